"""Coverage of the limits of the noise ceiling, over kinds of the model's own noise.

Games and calls are those of `benchmarks.coverage_noise`. The truth is one minus the noise in the mean effect of a mask,
as many draws tell it, over that and the variance of the true effects. ``none`` is the share of games without a ceiling,
where nothing is shown, and ``missed`` the share of all games with limits that miss the truth: with few repeats a
ceiling is shown only where all of them agreed, so its coverage is that of games in which chance deceived.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from benchmarks import record
from benchmarks.coverage_noise import BINARY, KINDS, Cell, asked, play
from whygen import lab

GAMES = 300
SEED = 51
"""Nothing was chosen on it; `UNEQUAL` was chosen on seed 5."""

SIZES = ((4, 32), (4, 64), (5, 48), (5, 64), (5, 128), (6, 74), (6, 96), (6, 128))
TRUTH = 400
"""Draws of a mask that the truth is taken from."""


def run(noise: str, n: int, calls: int, *, games: int = GAMES) -> dict[str, object]:
    """One row of the table."""
    masks = lab.enumerated(n).masks
    held, widths, none = [], [], 0
    for game in range(games):
        rng = np.random.default_rng((SEED, n, calls, game))
        truth, draw = play(noise, masks, rng)
        drawn = asked(Cell(estimand="banzhaf", noise=noise, n=n, calls=calls), masks, draw, rng)
        own = float((draw(TRUTH).var(axis=1, ddof=1) / (~np.isnan(drawn)).sum(axis=1)).mean())
        reach = 1.0 if noise.split(maxsplit=1)[0] in BINARY else 0.0
        found = lab.ceiling(masks, drawn, reach=reach)
        if found is None:
            none += 1
            continue
        right = 1.0 - own / max(float(np.var(truth, ddof=1)) + own, 1e-300)
        held.append(found.low - 1e-9 <= right <= found.high + 1e-9)
        widths.append(found.high - found.low)
    return {"noise": noise, "n": n, "calls": calls, "games": games, "coverage": float(np.mean(held)) if held else None,
            "width": float(np.mean(widths)) if held else None, "none": none / games,
            "missed": (len(held) - sum(held)) / games}  # fmt: skip


def main(data: Path | None = None) -> None:
    del data
    rows = [run(noise, *size) for noise, size in itertools.product(KINDS, SIZES)]
    rows.sort(key=lambda row: -float(row["missed"]))  # type: ignore[arg-type]
    print(record.table(rows))
    record.write("ceilings", {"worst": rows[:12], "rows": rows}, seed=SEED)


if __name__ == "__main__":
    main()
