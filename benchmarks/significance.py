"""How often the sign-flip p-values are wrong about dummy units, and how often right about planted ones.

False positives: dummy units in games where other units matter, clean and noisy. False discoveries: the share of dummies
among the units that Benjamini and Hochberg call at 5%, averaged over games. Power: one unit whose attribution is one
standard deviation of the model's noise, beside the other units of a random game, at 128 masks. Free permutation of the
masks is run beside it.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks import known_bad, record
from benchmarks.partial import Row, Rows, arguments
from benchmarks.trials import Cell, Trial, p_values, play
from whygen.models.planted.games import FAMILIES
from whygen.stats.multiplicity import benjamini_hochberg

FEWEST_DUMMIES = 2000
"""In a cell: the standard error of a rate of 5% is then 0.5 points."""

FEWEST_GAMES = 200
LEVEL = 0.05
POWER_MASKS, POWER_NOISE = 128, 0.5


def false_positives(cell: Cell, rng: np.random.Generator) -> dict[str, object]:
    """One row: the rate of p <= .05 among dummies, and the mean share of dummies among what is called."""
    games = max(FEWEST_GAMES, -(-FEWEST_DUMMIES // max(1, cell.n // 4)))
    wrong, shares = [], []
    for _ in range(games):
        trial = play(cell, rng)
        p = p_values(trial, rng)
        called = benjamini_hochberg(p, level=LEVEL)
        dummy = np.isin(np.arange(cell.n), trial.game.dummies)
        wrong.append(p[dummy] <= LEVEL)
        shares.append((called & dummy).sum() / max(1, called.sum()))
    return {
        "estimand": cell.estimand, "family": cell.family, "n": cell.n, "m": cell.m, "noise": cell.noise,
        "dummies": sum(map(len, wrong)), "false positives": float(np.mean(np.concatenate(wrong))),
        "false discoveries": float(np.mean(shares)),
    }  # fmt: skip


def power(family: str, n: int, rng: np.random.Generator, *, games: int = 400) -> dict[str, object]:
    """One row: how often a unit worth one standard deviation of the noise is found; half of sd(f) is noise."""
    cell = Cell(estimand="banzhaf", family=family, n=n, m=POWER_MASKS, noise=POWER_NOISE)
    raw, called = [], []
    for _ in range(games):
        trial = play(cell, rng)
        p = p_values(_with_planted(trial, POWER_NOISE * trial.game.spread()), rng)
        unit = trial.game.dummies[0]
        raw.append(p[unit] <= LEVEL)
        called.append(benjamini_hochberg(p, level=LEVEL)[unit])
    return {"family": family, "n": n, "games": games, "power": float(np.mean(raw)), "called": float(np.mean(called))}


def _with_planted(trial: Trial, size: float) -> Trial:
    """The same trial with ``size`` added wherever its first dummy is kept."""
    seen = trial.play.effects
    planted = seen.with_values(seen.values + size * seen.masks[:, trial.game.dummies[0]])
    return replace(trial, play=replace(trial.play, effects=planted))


def free_permutation(cell: Cell, rng: np.random.Generator, *, games: int = 500) -> dict[str, object]:
    """False positives of permuting single masks: the first dummy of each game."""
    p = []
    for _ in range(games):
        trial = play(cell, rng)
        p.append(known_bad.free_permutation_p(trial.play.effects, int(trial.game.dummies[0]), rng))
    return {"method": "free permutation", "family": cell.family, "n": cell.n, "m": cell.m, "noise": cell.noise,
            "dummies": games, "false positives": float(np.mean(np.array(p) <= LEVEL))}  # fmt: skip


def grid() -> list[Cell]:
    cells = [
        Cell(estimand="banzhaf", family=family, n=n, m=m, noise=noise)
        for n, m, family, noise in itertools.product((12, 24), (64, 128), FAMILIES, (0.0, 0.5))
    ]
    # Without noise these are met exactly: a dummy's scores are rounding, and none is called.
    return [cell for cell in cells if cell.noise > 0 or cell.family in ("redundant", "saturating")]


def main(data: Path | None = None, *, minutes: float = 600.0, fresh: bool = False) -> None:
    del data
    kept, rng = Rows("significance", minutes=minutes, fresh=fresh), np.random.default_rng
    cells = [
        kept.get(f"cell {cell}", lambda cell=cell, i=i: false_positives(cell, rng([0, i])))
        for i, cell in enumerate(grid())
    ]
    powers = [
        kept.get(f"power {family} {n}", lambda family=family, n=n: power(family, n, rng([1, n])))
        for family in FAMILIES
        for n in (12, 24)
    ]
    free = [
        kept.get(f"free {cell}", lambda cell=cell: free_permutation(cell, rng(2)))
        for cell in grid()
        if cell.m == POWER_MASKS
    ]
    rows, found, bad = ([row for row in table if row is not None] for table in (cells, powers, free))
    report(rows, found, bad, not_run=[*cells, *powers, *free].count(None))


def report(rows: list[Row], found: list[Row], bad: list[Row], *, not_run: int) -> None:
    """Print and keep the tables, and what is not where it should be."""
    for table in (rows, found, bad):
        if table:
            print(record.table(table) + "\n")
    dummies = sum(int(row["dummies"]) for row in rows)  # type: ignore[call-overload]
    wrong = sum(row["false positives"] * row["dummies"] for row in rows)  # type: ignore[operator]
    outside = [row for row in rows if not 0.04 <= row["false positives"] <= 0.06]  # type: ignore[operator]
    print(f"{wrong / dummies:.2%} of {dummies} dummies at p <= .05; cells outside 4-6%: {len(outside)} of {len(rows)}")
    figures = {"cells": rows, "power": found, "known bad": bad, "pooled": wrong / dummies, "outside": outside}
    record.write("significance", figures | {"not run": not_run}, seed=0)


if __name__ == "__main__":
    main(**vars(arguments(__doc__).parse_args()))
