"""Held-out R2 of the default where it was aimed at: on many planted games, none of which chose anything.

Beside it ridge, the kernel and `pairs` on the same masks, each game with masks of its own. ``least`` is the worst game.
`methods.py` has all families beside all methods, on few games a cell.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks import games, record
from benchmarks.methods import DEFAULT, TESTED, Cell, game_of, r2_of
from benchmarks.partial import Row, Rows, arguments
from whygen import lab

MANY = 40

AIMED = (
    Cell("conjunctions", 33, 256, MANY, 1, 0.5),
    Cell("parities", 16, 256, MANY, 1, 0.5),
    Cell("votes", 6, 32, MANY, 1, 0.5),
    Cell("conjunctions", 16, 64, MANY, 1, 0.5),
    Cell("parities", 33, 256, MANY, 1, 0.5),
    Cell("redundant", 33, 256, MANY, 1, 0.5),
)
"""What the default was aimed at, and where it was behind: on many games, each with masks of its own."""

BESIDE = ("ridge", "kernel-ridge", "pairs")


def row(cell: Cell) -> Row:
    """Means over games, with the standard error of the default's."""
    runs = np.array([_asked(cell, number) for number in range(cell.games)])
    error = float(runs[:, 0].std(ddof=1) / np.sqrt(len(runs)))
    return {
        "game": cell.kind, "units": cell.n, "calls": cell.calls, "games": len(runs),
        "default": float(runs[:, 0].mean()), "standard error": error, "least": float(runs[:, 0].min()),
        **dict(zip(BESIDE, runs[:, 1:].mean(axis=0).tolist(), strict=True)),
    }  # fmt: skip


def _asked(cell: Cell, number: int) -> list[float]:
    game, rng = game_of(cell, number), np.random.default_rng((games.FRESH, cell.n, number, 1))
    new, design = rng.random((TESTED, game.n)) < 0.5, lab.draw(game.n, cell.calls, rng)
    seen = lab.effects_of(design.masks, game.values(design.masks), groups=design.groups)
    return [r2_of(lab.SURROGATES[name], seen, new, game.values(new)) for name in (DEFAULT, *BESIDE)]


def main(data: Path | None = None, *, minutes: float = 600.0, fresh: bool = False) -> None:
    del data
    kept = Rows("aims", minutes=minutes, fresh=fresh)
    rows = {cell.key: kept.get(cell.key, lambda cell=cell: row(cell)) for cell in AIMED}
    done = [each for each in rows.values() if each is not None]
    print(record.table(done))
    left = [key for key, each in rows.items() if each is None]
    record.write("aims", {"rows": done, "not run": left}, seed=games.FRESH)


if __name__ == "__main__":
    main(**vars(arguments(__doc__).parse_args()))
