"""Coverage of the 95% intervals where every mask is asked, over kinds of the model's own noise.

Each cell is an estimand, a kind of noise, a number of units n (4 to 6) and a budget. A game's masks are asked as the
package asks them: the reference and two repeats first, then every mask, then redraws at random as far as the budget
goes (`Plan.redraws`); the limits are those of `whygen.prompt.noise`. ``coverage`` is over units, ``idle`` the share of
units
that do nothing with a raw p-value of at most 5%, ``games`` the share of games with an idle unit that is significant
after Benjamini-Hochberg at 5%, ``width`` the mean width as a share of the range of effects, and ``steady`` the share of
games in which all repeats agreed. ``known`` games are exactly deterministic: they are listed apart. A cell without an
interval counts as uncovered.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import record
from benchmarks.partial import Rows, arguments
from whygen.prompt import designs, exact
from whygen.prompt.noise import Noise, measure
from whygen.prompt.observed import Observed
from whygen.stats.multiplicity import benjamini_hochberg

Floats = NDArray[np.float64]
Draw = Callable[[int], Floats]
"""So many draws of every mask, shape ``(2^n, draws)``."""

GAMES = 100
"""In a cell."""

LOW, HIGH = 0.92, 0.98

BUDGETS = {4: (32, 64), 5: (48, 64, 128), 6: (96, 128)}

ESTIMATES = {"banzhaf": exact.enumerated_estimate, "shapley": exact.enumerated_shapley}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One setting."""

    estimand: str
    noise: str
    n: int
    calls: int


def _clean(masks: NDArray[np.bool_], rng: np.random.Generator) -> Floats:
    """Additive with one product; the first unit does nothing."""
    weights = rng.normal(size=masks.shape[1])
    weights[0] = 0.0
    pair = rng.choice(np.arange(1, masks.shape[1]), 2, replace=False)
    return masks @ weights + rng.normal() * masks[:, pair].all(axis=1)


def _chances(masks: NDArray[np.bool_], rng: np.random.Generator) -> Floats:
    """Chances of an answer, steep in the units; the first unit does nothing."""
    weights = 1.5 * rng.normal(size=masks.shape[1])
    weights[0] = 0.0
    return 1.0 / (1.0 + np.exp(-(masks @ weights - weights.sum() / 2.0 + 0.5 * rng.normal())))


def _added(kind: str, masks: NDArray[np.bool_], rng: np.random.Generator) -> tuple[Floats, Draw]:
    """Noise that is added to an effect."""
    clean, shape = _clean(masks, rng), (len(masks),)
    sizes = {
        "normal": np.full(shape, 0.5),
        "log-normal": np.full(shape, 0.5),
        "vanishing": 0.7 * (1.0 - masks.mean(axis=1)),
        "heteroscedastic": 0.4 * np.exp(rng.normal(size=shape)),
        "pure": np.ones(shape),
        "none": np.zeros(shape),
    }
    clean = np.zeros(shape) if kind == "pure" else clean
    sigma = sizes[kind] * (1.0 if kind == "pure" else clean.std())

    def draw(draws: int) -> Floats:
        unit = rng.normal(size=(len(masks), draws))
        if kind == "log-normal":
            unit = (np.exp(unit) - math.exp(0.5)) / math.sqrt((math.e - 1.0) * math.e)
        return clean[:, None] + sigma[:, None] * unit

    return clean, draw


def _flipped(chances: Floats, rng: np.random.Generator) -> tuple[Floats, Draw]:
    """Answers 0 and 1."""
    return chances, lambda draws: (rng.random((len(chances), draws)) < chances[:, None]).astype(np.float64)


def play(kind: str, masks: NDArray[np.bool_], rng: np.random.Generator) -> tuple[Floats, Draw]:
    """The true effect of each mask, ``(m,)``, and the model."""
    name, _, value = kind.partition(" ")
    whole = masks.all(axis=1)
    if name == "0/1":  # P(the answer to the whole prompt) as given
        chances = _chances(masks, rng)
        return _flipped(np.clip(chances * float(value) / chances[whole], 0.0, 1.0), rng)
    if name == "odd":  # one odd answer in so many calls
        sure = (_chances(masks, rng) > 0.5) | whole
        return _flipped(np.abs(sure - 1.0 / float(value)), rng)
    if name == "coin":  # sure of the whole prompt, a coin elsewhere
        return _flipped(np.where(whole, 1.0, 0.5), rng)
    if name == "coins":  # a few masks are coins, the others sure
        chances = (_chances(masks, rng) > 0.5).astype(np.float64)
        chances[rng.choice(np.flatnonzero(~whole), max(2, len(masks) // 10), replace=False)] = 0.5
        return _flipped(chances, rng)
    if name == "garbage":
        clean = _clean(masks, rng)
        odd, share = clean.min() - clean.std(), 0.01

        def draw(draws: int) -> Floats:
            return np.where(rng.random((len(masks), draws)) < share, odd, np.repeat(clean[:, None], draws, axis=1))

        return (1.0 - share) * clean + share * odd, draw
    return _added(kind, masks, rng)


BINARY = ("0/1", "odd", "coin", "coins")

KINDS = (
    "normal", "log-normal", "vanishing", "heteroscedastic", "pure", "0/1 0.97", "0/1 0.9", "0/1 0.7", "odd 50",
    "odd 20", "odd 5", "garbage", "coin", "coins", "none",
)  # fmt: skip


def asked(cell: Cell, masks: NDArray[np.bool_], draw: Draw, rng: np.random.Generator) -> Floats:
    """Effects of the draws that the budget pays for, ``(m, d)``, NaN where a mask was drawn less often."""
    whole = int(np.flatnonzero(masks.all(axis=1))[0])
    counts = np.ones(len(masks), dtype=np.int64)
    counts[whole] = 2  # the repeats; the reference is no draw of its own
    left, others = cell.calls - 3 - (len(masks) - 1), np.delete(np.arange(len(masks)), whole)
    order = rng.permutation(others)
    while len(order) < left:
        order = np.concatenate([order, rng.permutation(np.append(others, whole))])
    np.add.at(counts, order[: max(left, 0)], 1)
    drawn = draw(int(counts.max()))
    drawn[np.arange(drawn.shape[1]) >= counts[:, None]] = np.nan
    return drawn


def run(cell: Cell, rng: np.random.Generator, *, games: int = GAMES) -> dict[str, object]:
    """One row of the table."""
    design = designs.enumerated(cell.n)
    masks, find = design.masks, ESTIMATES[cell.estimand]
    hits, idle, found, widths, steady = [], [], [], [], []
    for _ in range(games):
        truth, draw = play(cell.noise, masks, rng)
        drawn = asked(cell, masks, draw, rng)
        reach = 1.0 if cell.noise.split()[0] in BINARY else 0.0
        noise: Noise = measure(drawn, speaks=~masks.all(axis=1), reach=reach)
        estimate = find(Observed(masks, np.nanmean(drawn, axis=1), design.groups), noise)
        right = find(Observed(masks, truth, design.groups)).attributions
        nothing = np.abs(right) < 1e-9
        steady.append(noise.source == "steady")
        if estimate.interval is None or estimate.p_values is None:
            hits.append(np.zeros(cell.n, dtype=bool))
            continue
        hits.append((estimate.interval.low - 1e-9 <= right) & (right <= estimate.interval.high + 1e-9))
        idle.extend(estimate.p_values[nothing] <= 0.05)
        found.append(bool((benjamini_hochberg(estimate.p_values, level=0.05) & nothing).any()))
        widths.append(float((estimate.interval.high - estimate.interval.low).mean()) / max(noise.span, 1e-300))
    return {
        "estimand": cell.estimand, "noise": cell.noise, "n": cell.n, "calls": cell.calls, "games": games,
        "coverage": float(np.mean(hits)), "idle": float(np.mean(idle)) if idle else None,
        "games with a false find": float(np.mean(found)), "width": float(np.mean(widths)),
        "steady": float(np.mean(steady)),
    }  # fmt: skip


def grid() -> Iterator[Cell]:
    for estimand, noise, n in itertools.product(ESTIMATES, KINDS, BUDGETS):
        for calls in BUDGETS[n]:
            yield Cell(estimand=estimand, noise=noise, n=n, calls=calls)


def verdict(rows: list[dict[str, object]]) -> dict[str, object]:
    """How many cells are where they should be, and which are not."""
    noisy = [row for row in rows if row["noise"] != "none"]
    return {
        "cells": len(noisy),
        "under": [row for row in noisy if row["coverage"] < LOW],  # type: ignore[operator]
        "over": [row for row in noisy if row["coverage"] > HIGH],  # type: ignore[operator]
        "idle over 6%": [row for row in noisy if row["idle"] is not None and row["idle"] > 0.06],  # type: ignore[operator]
        "games over 5%": [row for row in noisy if row["games with a false find"] > 0.05],  # type: ignore[operator]
        "deterministic": [row for row in rows if row["noise"] == "none"],
    }


def by_noise(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """A line for each kind of noise, the one with the worst cell first."""
    lines: list[dict[str, object]] = []
    for noise in dict.fromkeys(row["noise"] for row in rows):
        own = [row for row in rows if row["noise"] == noise]
        held = [row["coverage"] for row in own]
        idle = [row["idle"] for row in own if row["idle"] is not None]
        lines.append({
            "noise": noise, "cells": len(own), "worst": min(held), "mean": float(np.mean(held)), "best": max(held),  # type: ignore[type-var, arg-type]
            "idle": float(np.mean(idle)) if idle else None,  # type: ignore[arg-type]
            "false": float(np.mean([row["games with a false find"] for row in own])),  # type: ignore[arg-type]
            "width": float(np.mean([row["width"] for row in own])),  # type: ignore[arg-type]
        })  # fmt: skip
    return sorted(lines, key=lambda line: line["worst"])  # type: ignore[arg-type, return-value]


def main(data: Path | None = None, *, minutes: float = 600.0, fresh: bool = False) -> None:
    del data
    kept = Rows("coverage_noise", minutes=minutes, fresh=fresh)
    rows = [
        row
        for i, cell in enumerate(grid())
        if (row := kept.get(str(cell), lambda cell=cell, i=i: run(cell, np.random.default_rng([8, i])))) is not None
    ]
    judged = verdict(rows)
    print(record.table(sorted(rows, key=lambda row: float(row["coverage"]))))  # type: ignore[arg-type]
    print("; ".join(f"{key}: {len(value) if isinstance(value, list) else value}" for key, value in judged.items()))
    record.write("coverage_noise", {"noises": by_noise(rows), "rows": rows, "verdict": judged}, seed=0)


if __name__ == "__main__":
    main(**vars(arguments(__doc__).parse_args()))
