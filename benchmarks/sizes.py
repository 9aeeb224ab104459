"""Which law of sizes gives Shapley values of lower error at equal calls: the Shapley kernel, or leverage scores.

The error is the relative squared one, sum (phi - truth)^2 / sum truth^2, of the package's own estimator. Both laws see
the same games; `ratio` is the geometric mean over games of leverage over kernel, with its standard error. Games without
noise that the surrogate represents are recovered exactly by both and left out.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np

from benchmarks import record
from benchmarks.trials import Cell, Trial, interval, play
from whygen.lab import FAMILIES

UNITS, MASKS, NOISE = (8, 12, 24, 60), (64, 128, 256, 512), (0.0, 0.5)
GAMES = 40
LAWS = ("kernel", "leverage")


def error(trial: Trial, rng: np.random.Generator) -> float:
    wrong = interval(trial, rng).estimate - trial.truth
    return float((wrong**2).sum() / (trial.truth**2).sum())


def compare(cell: Cell, seed: int) -> dict[str, object]:
    """One row: errors of either law over the same games."""
    errors = {
        law: np.array([_one(cell, law, np.random.default_rng([seed, game])) for game in range(GAMES)]) for law in LAWS
    }
    ratios = np.log(errors["leverage"] / errors["kernel"])
    return {
        "family": cell.family, "n": cell.n, "m": cell.m, "noise": cell.noise,
        **{law: float(found.mean()) for law, found in errors.items()},
        "ratio": float(np.exp(ratios.mean())), "error of log ratio": float(ratios.std(ddof=1) / np.sqrt(GAMES)),
    }  # fmt: skip


def _one(cell: Cell, law: str, rng: np.random.Generator) -> float:
    return error(play(cell, rng, sizes=law), rng)


def main(data: Path | None = None) -> None:
    del data
    rows = []
    for seed, (n, m, family, noise) in enumerate(itertools.product(UNITS, MASKS, FAMILIES, NOISE)):
        represented = noise == 0 and family in ("additive", "pairwise")
        if not represented and 2**n - 1 > m:
            rows.append(compare(Cell(estimand="shapley", family=family, n=n, m=m, noise=noise), seed))
    by_units = {n: float(np.exp(np.mean([np.log(r["ratio"]) for r in rows if r["n"] == n]))) for n in UNITS}
    print(f"{record.table(rows)}\n\nratio by units: {by_units}")
    record.write("sizes", {"cells": rows, "ratio by units": by_units}, seed=0)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()
