"""Whether the interval of a cross-validated R2 holds the R2 on fresh masks.

Each cell is a family of games, a number of units, of pairs of masks, and a noise level in standard deviations of the
clean effect. The interval is that of `whygen.evaluation.measures.fidelity`; the truth is the R2 of the surrogate of all
masks on `FRESH` masks that it never saw, with noise of their own. ``naive`` is the coverage of the interval by
independent losses, ``half`` the mean half width. Target: .92 to .98 in every cell.
Eight folds were chosen on the seeds of `tests/unit/evaluation/test_chance_and_spread.py`; nothing was chosen on `SEED`.
``python -m benchmarks r2_interval``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks import record
from benchmarks.partial import Row, Rows, arguments
from whygen import lab
from whygen.evaluation.measures.fidelity import r2_spread
from whygen.lab import Game, r_squared

SEED, RUNS, FRESH = 41, 400, 2000
LOW, HIGH = 0.92, 0.98


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One setting."""

    family: str
    n: int
    pairs: int
    noise: float
    surrogate: str = "ridge"


def grid() -> Iterator[Cell]:
    """The two cells that the folds were chosen on first, then others."""
    yield Cell(family="redundant", n=12, pairs=32, noise=0.3)
    yield Cell(family="pairwise", n=12, pairs=32, noise=0.5)
    for family in ("additive", "pairwise", "redundant", "conjunctions"):
        yield Cell(family=family, n=8, pairs=20, noise=0.3)
        yield Cell(family=family, n=12, pairs=64, noise=0.5)
        yield Cell(family=family, n=24, pairs=64, noise=0.3)
    yield Cell(family="parities", n=12, pairs=48, noise=0.0)
    yield Cell(family="votes", n=12, pairs=32, noise=1.0)


def run(cell: Cell, *, runs: int = RUNS) -> Row:
    """One row of the table."""
    surrogate, held, naive, halves = lab.SURROGATES[cell.surrogate], 0, 0, []
    for each in range(runs):
        rng = np.random.default_rng([SEED, cell.n, cell.pairs, round(10 * cell.noise), len(cell.family), each])
        game = Game(cell.n, cell.family, rng)
        design = lab.draw(cell.n, 2 * cell.pairs, rng)
        sigma = cell.noise * game.spread()
        effects = game.values(design.masks) + sigma * rng.normal(size=len(design.masks))
        observed = lab.effects_of(design.masks, effects, groups=design.groups)
        value = r_squared(effects, lab.held_out(observed, rng, surrogate=surrogate))
        known = r2_spread(observed, surrogate, rng)
        fresh = rng.random((FRESH, cell.n)) < 0.5
        told = game.values(fresh) + sigma * rng.normal(size=FRESH)
        truth = r_squared(told, surrogate.fit(observed).predict(fresh))
        if value is None or known is None or truth is None:
            continue  # counted as not held
        low, high = known.limits(value)
        held += low <= truth <= high
        naive += abs(value - truth) <= known.half / known.wider
        halves.append(known.half)
    return {
        **asdict(cell),
        "runs": runs,
        "coverage": held / runs,
        "naive": naive / runs,
        "half": float(np.mean(halves)),
    }


def main(data: Path | None = None, *, minutes: float = 600.0, fresh: bool = False) -> None:
    del data
    kept = Rows("r2_interval", minutes=minutes, fresh=fresh)
    rows = [row for cell in grid() if (row := kept.get(str(cell), lambda cell=cell: run(cell))) is not None]
    rows.sort(key=lambda row: float(row["coverage"]))  # type: ignore[arg-type]
    print(record.table(rows))
    outside = [row for row in rows if not LOW <= float(row["coverage"]) <= HIGH]  # type: ignore[arg-type]
    record.write("r2_interval", {"rows": rows, "outside": outside}, seed=SEED)


if __name__ == "__main__":
    main(**vars(arguments(__doc__).parse_args()))
