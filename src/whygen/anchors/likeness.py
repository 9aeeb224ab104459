"""Whether anchors can be told from the reference: a two-sample test, and what is said of either answer.

Shares of samples that are exchangeable with the reference are set by the level alone, whatever the model is (METHODS
B6, and corrections to B2).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from whygen.anchors.arrays import Criteria
from whygen.anchors.diagnostics import Coverage
from whygen.anchors.groups import Grouping
from whygen.anchors.samples import Prepared
from whygen.results.anchors_scores import LikenessRecord
from whygen.results.prompt import Warned

MOST = 400
"""So many samples of either side are compared."""
FEWEST = 10
PERMUTATIONS = 999
LEVEL = 0.05
APART, HALF = 0.9, 0.5
"""Sets whose samples have a neighbour of their own so often do not meet, nor do those that cover less than half."""


def own_neighbours(anchors: Prepared, reference: Prepared, rng: np.random.Generator) -> NDArray[np.int64] | None:
    """For equally many samples of both sides, drawn by ``rng``, the place of each one's nearest neighbour among all.

    None where either side has fewer than ten samples.
    """
    rows = _drawn(len(anchors), len(reference), rng)
    if rows is None:
        return None
    parts = (part.rows(some).reshape(len(some), -1) for part, some in zip((anchors, reference), rows, strict=True))
    return _nearest(np.concatenate(list(parts)))


def _drawn(n: int, m: int, rng: np.random.Generator) -> list[NDArray[np.int64]] | None:
    size = min(n, m, MOST)
    return None if size < FEWEST else [rng.permutation(count)[:size] for count in (n, m)]


def likeness(
    neighbour: NDArray[np.int64] | None, values: tuple[Criteria, Criteria], rng: np.random.Generator
) -> LikenessRecord | None:
    """Permutation tests of equal distributions, on the samples themselves and on each criterion.

    On samples: the share of them whose nearest neighbour comes from their own side (Schilling 1986). On a criterion:
    the largest distance of the two distribution functions (Smirnov). Equally many of both sides are compared.

    Args:
        neighbour: what `own_neighbours` gave for anchors and reference.
        values: criteria of both, ``(n, c)`` and ``(m, c)``.
        rng: draws samples and permutations; of the same seed as there.

    Returns:
        None where either side has fewer than ten samples.
    """
    rows = _drawn(len(values[0]), len(values[1]), rng)
    if rows is None or neighbour is None:
        return None
    size = len(rows[0])
    side = np.repeat([True, False], size)
    permuted = rng.permuted(np.tile(side, (PERMUTATIONS, 1)), axis=1)
    own, by_chance = _own(side[None], neighbour), _own(permuted, neighbour)
    p_values = [_p_value(own[0], by_chance)]
    pooled = np.concatenate([part[some] for part, some in zip(values, rows, strict=True)])
    p_values += [_p_value(_apart(side[None], column)[0], _apart(permuted, column)) for column in pooled.T]
    p = min(1.0, min(p_values) * len(p_values))
    return LikenessRecord(told_apart=p <= LEVEL, p_value=p, own_neighbour=float(own[0]), n=size)


def _nearest(points: NDArray[np.float32]) -> NDArray[np.int64]:
    centred = points - points.mean(axis=0)
    squares = np.square(centred).sum(axis=1)
    apart = squares[:, None] + squares - 2 * centred @ centred.T
    np.fill_diagonal(apart, np.inf)
    return apart.argmin(axis=1).astype(np.int64)


def _own(sides: NDArray[np.bool_], neighbour: NDArray[np.int64]) -> NDArray[np.float64]:
    return (sides == sides[:, neighbour]).mean(axis=1)


def _apart(sides: NDArray[np.bool_], column: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smirnov's distance of two sides of equal size, for each row of ``sides``."""
    order = np.argsort(column, kind="stable")
    ordered = column[order]
    last = np.append(ordered[1:] != ordered[:-1], True)  # between equal values neither function has a step of its own
    steps = np.cumsum(np.where(sides[:, order], 1, -1), axis=1)[:, last]
    return np.abs(steps).max(axis=1) / (len(column) / 2)


def _p_value(seen: float, by_chance: NDArray[np.float64]) -> float:
    return float((1 + (by_chance >= seen - 1e-12).sum()) / (1 + len(by_chance)))


def check_likeness(
    likeness: LikenessRecord | None, coverage: Coverage | None, grouping: Grouping
) -> tuple[Warned, ...]:
    """Warn of anchors that are the reference's own kind, and of those that are nothing like it and pass for it."""
    if likeness is None:
        return ()
    if not likeness.told_apart:
        text = (
            f"The anchors cannot be told from the reference (p = {likeness.p_value:.2g}, {likeness.n} of each "
            "compared): high shares are then a matter of course, whatever the model is. Give anchors that differ from "
            "it, too."
        )
        return (Warned(code="anchors-alike", text=text),)
    alike, name = grouping.alike.share, grouping.alike.group
    apart = likeness.own_neighbour > APART or (coverage is not None and coverage.normalised < HALF)
    if alike < 0.5 or not apart:
        return ()
    covered = "" if coverage is None else f", and they cover {coverage.normalised:.0%} of what their own kind would"
    text = (
        f"The anchors are unlike the reference: in {likeness.own_neighbour:.0%} of cases the nearest neighbour of a "
        f"sample is one of its own set (50% if they were alike){covered}. Yet {alike:.0%} of them are {name}: the "
        "criteria do not tell them apart, and the share says nothing of what the model knows."
    )
    return (Warned(code="anchors-unlike-reference", text=text),)
