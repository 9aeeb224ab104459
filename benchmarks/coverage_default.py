"""Coverage of the 95% intervals that rest on the default surrogate, beside those of ridge on the same observations.

`coverage.py` runs every cell with ridge, which takes a tenth of the time; here are the kinds of cells in which a
default that chooses among many fits could go wrong: few masks, units that act in threes and more, Shapley values, a
high keep, answers of 0 and 1, runs that a stop rule ended. ``idle`` is the share of units that do nothing with a raw
p-value of at most 5%, ``ratio`` the mean width over that of ridge, ``none`` the share of games without an interval:
where no mask changed anything the package gives none, and says so. ``nested`` rows fit the default once more without
each fold, with inner folds of its own, so that nothing of a fold has a part in what predicts it: the package does not,
as it takes six times as long, and ``coverage`` beside ``nested`` shows what that costs.

All masks of five units are asked at 48 calls, and one unit is left out at a time for `loo`: no surrogate has a part in
either. Repeats are as many as give about 1,000 intervals a cell, a standard error of .008-.012 as those of a game hang
together. `nested`, which takes six times as long, has half of them. The whole takes some twelve minutes of one core;
``--minutes 5`` ends earlier, and the next run goes on.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import record
from benchmarks.coverage import HIGH, LOW, run_to_a_stop
from benchmarks.partial import Row, Rows, arguments
from benchmarks.trials import DEFAULT, SURROGATE, Cell, Trial, estimate, holds, play
from whygen.lab import FAMILIES, SURROGATES, Effects, Estimate, Fitted

INTERVALS, FEWEST_GAMES = 1000, 40
IDLE = 0.06
WORST = 12
"""Rows for a page."""

MANY = ("redundant", "votes", "conjunctions", "parities")
"""Families whose units act in threes and more."""


@dataclass(frozen=True, slots=True)
class Nested:
    """The default fitted on its own without each fold: it has no way to fit all folds together."""

    name: str = "nested"

    def smallest_pairs(self, n: int) -> int:
        return SURROGATES[DEFAULT].smallest_pairs(n)

    def fit(self, observed: Effects) -> Fitted:
        return SURROGATES[DEFAULT].fit(observed)


def games(cell: Cell) -> int:
    return max(FEWEST_GAMES, -(-INTERVALS // cell.n))


def grid() -> Iterator[Cell]:
    """What was feared most first."""
    for family in FAMILIES:
        yield Cell(estimand="shapley", family=family, n=12, m=64, noise=0.5)
        yield Cell(estimand="banzhaf", family=family, n=12, m=64, noise=0.5, keep=0.8)
    for family in MANY:
        yield Cell(estimand="shapley", family=family, n=12, m=128, noise=0.0)
        yield Cell(estimand="banzhaf", family=family, n=12, m=64, noise=0.0, keep=0.8)
        yield Cell(estimand="banzhaf", family=family, n=12, m=96, noise=0.0, keep=0.5, kind="0/1")
        yield Cell(estimand="banzhaf", family=family, n=12, m=96, noise=0.0, keep=0.8, kind="0/1")
    for family, (n, m), noise in itertools.product(FAMILIES, ((8, 48), (12, 64)), (0.0, 0.5)):
        yield Cell(estimand="banzhaf", family=family, n=n, m=m, noise=noise)
    for family, (n, m, noise) in itertools.product(MANY, ((6, 48, 0.5), (33, 256, 0.0), (33, 256, 0.5))):
        yield Cell(estimand="banzhaf", family=family, n=n, m=m, noise=noise)


def nested_grid() -> Iterator[Cell]:
    """Where choices have the fewest masks to rest on."""
    for family, (n, m) in itertools.product(("conjunctions", "parities", "redundant"), ((8, 48), (12, 64))):
        yield Cell(estimand="banzhaf", family=family, n=n, m=m, noise=0.5)


def stop_grid() -> Iterator[Cell]:
    for family in MANY:
        yield Cell(estimand="banzhaf", family=family, n=12, m=128, noise=0.5)


class Seen:
    """What the intervals of one surrogate said of the games of a cell."""

    def __init__(self) -> None:
        self.hits: list[NDArray[np.bool_]] = []
        self.idle: list[NDArray[np.bool_]] = []
        self.widths: list[float] = []
        self.games = 0

    def add(self, trial: Trial, found: Estimate) -> None:
        self.games += 1
        if found.interval is None or found.p_values is None:
            return
        self.hits.append(holds(trial, found.interval))
        idle = np.abs(trial.truth) <= 1e-9 * trial.game.spread()
        self.idle.append(found.p_values[idle] <= 0.05)
        self.widths.append(float((found.interval.high - found.interval.low).mean()) / trial.game.spread())

    @property
    def without(self) -> float:
        """The share of games that get no interval, and are told so: no mask changed anything."""
        return 1.0 - len(self.hits) / self.games

    @property
    def figures(self) -> tuple[float, float, float]:
        return float(np.mean(self.hits)), float(np.mean(np.concatenate(self.idle))), float(np.mean(self.widths))


def run(cell: Cell, rng: np.random.Generator) -> Row:
    """One row: the default and ridge on the same observations."""
    seen = {name: Seen() for name in (DEFAULT, SURROGATE)}
    for _ in range(games(cell)):
        trial = play(cell, rng)
        for name, each in seen.items():
            each.add(trial, estimate(trial, rng, surrogate=SURROGATES[name]))
    (coverage, idle, width), (control, idle_control, width_control) = (seen[name].figures for name in seen)
    return asdict(cell) | {
        "intervals": len(seen[DEFAULT].hits) * cell.n, "none": seen[DEFAULT].without,
        "coverage": coverage, "idle": idle, "ridge": control,
        "ridge idle": idle_control, "ratio": width / width_control if width_control > 1e-9 else None,
        "exact": float(np.mean(np.array(seen[DEFAULT].widths) < 1e-6)),
    }  # fmt: skip


def nested(cell: Cell, rng: np.random.Generator) -> Row:
    """One row: the default as the package fits it, and nested, on the same observations with the same folds."""
    seen = {"coverage": Seen(), "nested": Seen()}
    for _ in range(games(cell) // 2):
        trial, seed = play(cell, rng), int(rng.integers(2**32))
        for name, surrogate in (("coverage", SURROGATES[DEFAULT]), ("nested", Nested())):
            seen[name].add(trial, estimate(trial, np.random.default_rng(seed), surrogate=surrogate))
    (coverage, idle, width), (strict, idle_strict, width_strict) = (each.figures for each in seen.values())
    return asdict(cell) | {
        "intervals": games(cell) // 2 * cell.n, "coverage": coverage, "idle": idle, "nested": strict,
        "nested idle": idle_strict, "ratio": width / width_strict,
    }  # fmt: skip


def verdict(rows: list[Row]) -> Row:
    """How many rows are where they should be, and which are not; exact ones must hit."""
    sampled = [row for row in rows if row.get("exact", 0.0) < 0.5]  # type: ignore[operator]
    return {
        "cells": len(rows), "sampled": len(sampled),
        "mean": float(np.mean([row["coverage"] for row in sampled])),  # type: ignore[arg-type]
        "under": [row for row in rows if row["coverage"] < LOW],  # type: ignore[operator]
        "over": [row for row in sampled if row["coverage"] > HIGH],  # type: ignore[operator]
        "idle over 6%": [row for row in rows if row.get("idle", 0.0) > IDLE],  # type: ignore[operator]
    }  # fmt: skip


def main(data: Path | None = None, *, minutes: float = 600.0, fresh: bool = False) -> None:
    del data
    kept, rng = Rows("coverage_default", minutes=minutes, fresh=fresh), np.random.default_rng
    largest = [(i, c) for i, c in enumerate(grid()) if c.n > 12]
    for i, c in largest:  # these first: no other benchmark has them
        kept.get(str(c), lambda c=c, i=i: run(c, rng([9, i])))
    tables = {
        "stopped": [
            kept.get(f"stopped {c}", lambda c=c, i=i: run_to_a_stop(c, rng([10, i]), surrogate=DEFAULT, games=games(c)))
            for i, c in enumerate(stop_grid())
        ],
        "nested": [
            kept.get(f"nested {c}", lambda c=c, i=i: nested(c, rng([11, i]))) for i, c in enumerate(nested_grid())
        ],
        "rows": [kept.get(str(c), lambda c=c, i=i: run(c, rng([9, i]))) for i, c in enumerate(grid())],
    }
    figures: dict[str, object] = {"not run": sum(table.count(None) for table in tables.values())}
    for name, table in tables.items():
        done = sorted((row for row in table if row is not None), key=lambda row: float(row["coverage"]))  # type: ignore[arg-type]
        if not done:
            continue
        figures |= {name: done, f"verdict {name}": (judged := verdict(done))}
        figures |= {"worst": done[:WORST]} if name == "rows" else {}
        print(f"\n## {name}\n\n{record.table(done)}\n")
        print("; ".join(f"{key}: {len(v) if isinstance(v, list) else v}" for key, v in judged.items()))
    record.write("coverage_default", figures, seed=9)


if __name__ == "__main__":
    main(**vars(arguments(__doc__).parse_args()))
