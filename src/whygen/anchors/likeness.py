"""Whether anchors can be told from the reference. Where they cannot, high shares are a matter of course.

Shares of samples that are exchangeable with the reference are set by the level alone, whatever the model is
(METHODS, corrections to B2).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from whygen.anchors.arrays import Criteria
from whygen.anchors.samples import Prepared
from whygen.results.anchors_controls import LikenessRecord

MOST = 400
"""So many samples of either side are compared."""
FEWEST = 10
PERMUTATIONS = 999
LEVEL = 0.05


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
