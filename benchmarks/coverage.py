"""Coverage of the 95% intervals on planted games whose Banzhaf and Shapley values are known.

Intervals rest on ridge; those of the default surrogate are in `coverage_default.py`. Each cell is an estimand, a family
of games, a number of units n, a number of masks m and a noise level (in standard deviations of the noise-free effect, a
fresh draw for every call). A cell is exact where most intervals have no width; they must hit the truth to 1e-9 sd(f).
Elsewhere 92-98% of the intervals should hold the truth. The variance of the noise is estimated as the package does it:
from eight masked prompts that are asked again.

`ratio` is the mean width over that of the t interval of least squares on pair differences, where there are at least
two pairs a unit. `stopped` is the coverage when the run ended at the first look whose widest interval was under a
tolerance, set to the median of the widest at the middle look, so that about half the runs that get there stop there.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import known_bad, record
from benchmarks.partial import Rows, arguments
from benchmarks.trials import SURROGATE, Cell, Trial, holds, interval, play
from whygen import lab
from whygen.lab import FAMILIES, Interval

UNITS = (8, 12, 24, 60)
MASKS = (64, 128, 256)
NOISE = (0.0, 0.5)
FEWEST_INTERVALS, FEWEST_GAMES = 2400, 100
"""In a cell."""

PILOT = 30
"""Games that set the tolerance of a stop rule."""

LOW, HIGH = 0.92, 0.98


def games(cell: Cell) -> int:
    return max(FEWEST_GAMES, -(-FEWEST_INTERVALS // cell.n))


def grid() -> Iterator[Cell]:
    """Every cell for Banzhaf values, fewer for Shapley values."""
    for n, family, noise in itertools.product(UNITS, FAMILIES, NOISE):
        for m in sorted({2 * n, *MASKS}):
            yield Cell(estimand="banzhaf", family=family, n=n, m=m, noise=noise)
    for n, family, noise, m in itertools.product((12, 24, 60), FAMILIES, NOISE, (128, 256)):
        yield Cell(estimand="shapley", family=family, n=n, m=m, noise=noise)


def fixed(cell: Cell, rng: np.random.Generator) -> dict[str, object]:
    """One row of the table: the number of masks was fixed in advance."""
    hits, dummies, widths, reference = [], [], [], []
    for _ in range(games(cell)):
        trial = play(cell, rng)
        found = interval(trial, rng)
        hits.append(holds(trial, found))
        dummies.append(hits[-1][trial.game.dummies])
        widths.append((found.high - found.low) / trial.game.spread())
        reference.append(known_bad.pair_least_squares_width(trial) / trial.game.spread())
    width, least = np.mean(widths), np.mean(reference)
    return {
        "estimand": cell.estimand, "family": cell.family, "n": cell.n, "m": cell.m, "noise": cell.noise,
        "intervals": len(hits) * cell.n, "coverage": float(np.mean(hits)), "dummies": float(np.mean(dummies)),
        "width": float(width), "ratio": float(width / least) if np.isfinite(least) and least > 1e-6 else None,
        "exact": float(np.mean(np.array(widths) < 1e-6)),
    }  # fmt: skip


def run_to_a_stop(cell: Cell, rng: np.random.Generator, *, surrogate: str = SURROGATE, games: int) -> dict[str, object]:
    """One row of the table: the stop rule ended the run."""
    looks = lab.looks(cell.n, cell.m)
    middle = looks[(len(looks) - 1) // 2]

    def look(trial: Trial, pairs: int) -> tuple[Interval, float]:
        found = interval(trial.first(pairs), rng, level=lab.LEVEL_OF_LOOKS, surrogate=surrogate)
        return found, lab.widest(found) / trial.game.spread()

    pilot = [play(cell, rng) for _ in range(PILOT)]
    tolerance = float(np.median([look(trial, middle)[1] for trial in pilot]))
    runs = [_run(play(cell, rng), looks, tolerance, look) for _ in range(games)]
    return {
        "estimand": cell.estimand, "family": cell.family, "n": cell.n, "m": cell.m, "noise": cell.noise,
        "intervals": len(runs) * cell.n, "coverage": float(np.mean([hit for hit, _ in runs])),
        "early": float(np.mean([pairs < looks[-1] for _, pairs in runs])),
        "pairs": float(np.mean([pairs for _, pairs in runs])),
    }  # fmt: skip


def _run(
    trial: Trial, looks: tuple[int, ...], tolerance: float, look: Callable[[Trial, int], tuple[Interval, float]]
) -> tuple[NDArray[np.bool_], int]:
    """Which intervals hold the truth, and at how many pairs the run ended."""
    for pairs in looks:
        found, widest = look(trial, pairs)
        if widest <= tolerance:
            break
    return holds(trial, found), pairs


def stop_grid() -> Iterator[Cell]:
    """Cells with looks to stop at, where intervals have a width."""
    for cell in grid():
        represented = cell.noise == 0 and cell.family in ("additive", "pairwise")
        enumerated = cell.n == 8 and cell.m == 256
        if cell.m in (128, 256) and not represented and not enumerated:
            yield cell


def bad_grid() -> Iterator[Cell]:
    for family, m, noise in itertools.product(FAMILIES, (64, 128), NOISE):
        yield Cell(estimand="banzhaf", family=family, n=24, m=m, noise=noise)


def verdict(rows: list[dict[str, object]]) -> dict[str, object]:
    """How many rows are where they should be, and which are not."""
    sampled = [row for row in rows if float(row.get("exact", 0.0)) < 0.5]  # type: ignore[arg-type]
    exact = [row for row in rows if row not in sampled]
    return {
        "sampled": len(sampled),
        "outside": [row for row in sampled if not LOW <= row["coverage"] <= HIGH],  # type: ignore[operator]
        "dummies outside": [row for row in sampled if "dummies" in row and not LOW <= row["dummies"] <= HIGH],  # type: ignore[operator]
        "exact": len(exact),
        "exact missed": [row for row in exact if row["coverage"] < HIGH],  # type: ignore[operator]
        "too wide": [row for row in sampled if row.get("ratio") is not None and row["ratio"] > 1.15],  # type: ignore[operator]
    }


def tables(kept: Rows) -> dict[str, list[dict[str, object] | None]]:
    """Every table, None for each row there was no time for."""
    rng = np.random.default_rng
    return {
        "fixed": [
            kept.get(f"fixed {cell}", lambda cell=cell, i=i: fixed(cell, rng([0, i]))) for i, cell in enumerate(grid())
        ],
        "stopped": [
            kept.get(f"stopped {cell}", lambda cell=cell, i=i: run_to_a_stop(cell, rng([1, i]), games=games(cell)))
            for i, cell in enumerate(stop_grid())
        ],
        "known bad": [
            kept.get(f"bad {cell}", lambda cell=cell: known_bad.bootstrap_coverage(cell, rng(2))) for cell in bad_grid()
        ],
    }


def main(data: Path | None = None, *, minutes: float = 600.0, fresh: bool = False) -> None:
    del data
    figures: dict[str, object] = {}
    not_run = 0
    for name, table in tables(Rows("coverage", minutes=minutes, fresh=fresh)).items():
        rows = [row for row in table if row is not None]
        not_run += len(table) - len(rows)
        figures[name] = rows
        if not rows:
            continue
        print(f"\n## {name}\n\n{record.table(rows)}\n")
        if name != "known bad":
            figures[f"verdict {name}"] = judged = verdict(rows)
            print("; ".join(f"{key}: {len(v) if isinstance(v, list) else v}" for key, v in judged.items()))
    figures["set distances"] = sets = known_bad.set_distances(np.random.default_rng(3))
    figures["not run"] = not_run
    print(f"\n{record.table(sets)}\n\nrows not run: {not_run}")
    record.write("coverage", figures, seed=0)


if __name__ == "__main__":
    main(**vars(arguments(__doc__).parse_args()))
