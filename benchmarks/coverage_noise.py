"""Coverage of the 95% intervals where every mask is asked, over kinds of the model's own noise.

Each cell is an estimand, a kind of noise, a number of units n (4 to 6) and a budget. A game's masks are asked as the
package asks them: the reference and two repeats first, then every mask, then redraws at random as far as the budget
goes (`Plan.redraws`); the limits are those of `whygen.prompt.noise`. `loo` asks for the whole prompt and each unit left
out, of up to 12 units; `local` weighs by the share that is kept, and of 12 units its masks are drawn (``sampled``).

``coverage`` is over units, ``idle`` the share of units that do nothing with a raw p-value of at most 5%, ``games`` the
share of games with an idle unit that is significant after Benjamini-Hochberg at 5%, ``width`` the mean width as a share
of the range of effects, and ``steady`` the share of games in which all repeats agreed. ``oracle`` is the mean width of
intervals that nobody could have: of one half width for each unit of each game, the one that holds 95% of the estimates
that the same calls give. ``none`` games are exactly deterministic: they are listed apart. A cell without an interval
counts as uncovered. Constants were chosen on the seeds 8, 1008, 2008, 3008 and 4008; what is kept is of `SEED`.
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
from whygen import lab
from whygen.lab import Estimate
from whygen.stats.multiplicity import benjamini_hochberg

Floats = NDArray[np.float64]
Draw = Callable[[int], Floats]
"""So many draws of every mask, shape ``(2^n, draws)``."""

GAMES, ORACLES, AGAIN = 750, 40, 200
"""Games in a cell (some rows that are kept have twice as many), those with an oracle, and how often it asks."""

MANY_UNITS, FEWER = 12, (300, 3)
"""With so many units a game has thousands of masks: fewer games, and fewer with an oracle."""

SEED = 31
"""Nothing was chosen by what it gives."""

LOW, HIGH, IDLE = 0.92, 0.98, 0.06

BUDGETS = {4: (32, 64), 5: (48, 64, 128), 6: (96, 128)}
OTHERS = {"loo": ((6, 24), (6, 48), (12, 64)), "local": ((4, 64), (5, 64), (12, 128))}
"""Units and calls."""


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


@dataclass(frozen=True, slots=True)
class Setting:
    """The masks that a cell asks for, ``rows`` among all 2^n, and the contrasts ``(rows, n)`` that it is after."""

    cell: Cell
    every: NDArray[np.bool_]
    rows: NDArray[np.int64]
    weights: Floats

    def estimate(self, drawn: Floats, reach: float) -> Estimate:
        """What the package says of the draws ``(rows, d)``."""
        return lab.estimate_drawn(self.every[self.rows], drawn, estimand=self.cell.estimand, reach=reach)

    def oracle(self, drawn: Floats, draw: Draw) -> float:
        """Mean half width that holds 95% of the estimates of so many draws of each mask."""
        counts, most = (~np.isnan(drawn)).sum(axis=1), drawn.shape[1]
        again = draw(AGAIN * most)[self.rows].reshape(len(self.rows), AGAIN, most)
        part = (np.arange(most) < counts[:, None]) / counts[:, None]
        found = self.weights.T @ np.einsum("mad,md->ma", again, part)
        return float(np.quantile(np.abs(found - found.mean(axis=1, keepdims=True)), 0.95, axis=1).mean())


def setting(cell: Cell) -> Setting:
    every = lab.enumerated(cell.n).masks
    rows = np.arange(len(every))
    if cell.estimand == "loo":
        size = every.sum(axis=1)
        rows = np.append(np.flatnonzero(size == cell.n - 1), np.flatnonzero(size == cell.n))
        rows[:-1] = rows[:-1][np.argsort(np.argmin(every[rows[:-1]], axis=1))]
    return Setting(cell, every, rows, lab.contrasts(every[rows], estimand=cell.estimand))


def _sampled(cell: Cell, every: NDArray[np.bool_], draw: Draw, rng: np.random.Generator) -> Estimate:
    """`local` from masks that were drawn, each answered once."""
    design = lab.bernoulli(cell.n, cell.calls - 4, rng, keep=0.5, repeats="fresh")
    bits = 1 << np.arange(cell.n)
    place = np.argsort(every @ bits)[design.masks @ bits]
    effects = draw(1)[place, 0]
    return lab.estimate(lab.effects_of(design, effects, nearness=lab.nearness(design.masks)), rng)


def run(cell: Cell, rng: np.random.Generator, *, games: int | None = None) -> dict[str, object]:
    """One row of the table."""
    most, oracles = FEWER if cell.n >= MANY_UNITS else (GAMES, ORACLES)
    games = games or most
    given, seen = setting(cell), Seen(cell)
    sampled = cell.estimand == "local" and cell.n > max(BUDGETS)
    reach = 1.0 if cell.noise.split()[0] in BINARY else 0.0
    for game in range(games):
        truth, draw = play(cell.noise, given.every, rng)
        right: Floats = given.weights.T @ truth[given.rows]
        if sampled:
            seen.add(_sampled(cell, given.every, draw, rng), right, span=float(np.ptp(truth)) or 1.0)
            continue
        drawn = asked(cell, given.every[given.rows], lambda draws, draw=draw: draw(draws)[given.rows], rng)
        span = max(reach, float(np.nanmax(drawn) - np.nanmin(drawn)), 1e-300)
        seen.add(given.estimate(drawn, reach), right, span=span)
        if game < oracles:
            seen.oracles.append(2.0 * given.oracle(drawn, draw) / span)
    return seen.row(games)


class Seen:
    """What the intervals of a cell said."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.hits: list[NDArray[np.bool_]] = []
        self.idle: list[bool] = []
        self.found: list[bool] = []
        self.widths: list[float] = []
        self.oracles: list[float] = []
        self.steady: list[bool] = []

    def add(self, estimate: Estimate, right: Floats, *, span: float) -> None:
        nothing = np.abs(right) < 1e-9
        self.steady.append("no difference" in estimate.method)
        if estimate.interval is None:
            self.hits.append(np.zeros(self.cell.n, dtype=bool))
            return
        low, high = estimate.interval.low, estimate.interval.high
        self.hits.append((low - 1e-9 <= right) & (right <= high + 1e-9))
        self.widths.append(float((high - low).mean()) / span)
        if estimate.p_values is not None:
            self.idle.extend(estimate.p_values[nothing] <= 0.05)
            self.found.append(bool((benjamini_hochberg(estimate.p_values, level=0.05) & nothing).any()))

    def row(self, games: int) -> dict[str, object]:
        return {
            "estimand": self.cell.estimand, "noise": self.cell.noise, "n": self.cell.n, "calls": self.cell.calls,
            "games": games, "coverage": float(np.mean(self.hits)),
            "idle": float(np.mean(self.idle)) if self.idle else None,
            "games with a false find": float(np.mean(self.found)) if self.found else None,
            "width": float(np.mean(self.widths)), "oracle": float(np.mean(self.oracles)) if self.oracles else None,
            "steady": float(np.mean(self.steady)),
        }  # fmt: skip


def grid() -> Iterator[Cell]:
    for estimand, noise, n in itertools.product(("banzhaf", "shapley"), KINDS, BUDGETS):
        for calls in BUDGETS[n]:
            yield Cell(estimand=estimand, noise=noise, n=n, calls=calls)


def others() -> Iterator[Cell]:
    for estimand, noise in itertools.product(OTHERS, KINDS):
        for n, calls in OTHERS[estimand]:
            yield Cell(estimand=estimand, noise=noise, n=n, calls=calls)


def verdict(rows: list[dict[str, object]]) -> dict[str, object]:
    """How many cells are where they should be, and which are not."""
    noisy = [row for row in rows if row["noise"] != "none"]
    idle = [row for row in noisy if row["idle"] is not None and row["idle"] > IDLE]  # type: ignore[operator]
    return {
        "cells": len(noisy),
        "under": [row for row in noisy if row["coverage"] < LOW],  # type: ignore[operator]
        "over": [row for row in noisy if row["coverage"] > HIGH],  # type: ignore[operator]
        "idle over 6%": idle,
        "games over 5%": [row for row in noisy if (row["games with a false find"] or 0.0) > 0.05],  # type: ignore[operator]
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
            "false": _mean([row["games with a false find"] for row in own]),
            "width": _mean([row["width"] for row in own]), "oracle": _mean([row["oracle"] for row in own]),
            "steady": _mean([row["steady"] for row in own]),
        })  # fmt: skip
    return sorted(lines, key=lambda line: line["worst"])  # type: ignore[arg-type, return-value]


def _mean(values: list[object]) -> float | None:
    known = [float(value) for value in values if value is not None]  # type: ignore[arg-type]
    return round(float(np.mean(known)), 9) if known else None  # an oracle of no noise needs rounding errors


def main(data: Path | None = None, *, minutes: float = 600.0, fresh: bool = False) -> None:
    del data
    kept, figures = Rows("coverage_noise", minutes=minutes, fresh=fresh), dict[str, object]()
    for name, cells in (("", grid()), ("others ", others())):
        rows = [
            row
            for i, cell in enumerate(cells)
            if (row := kept.get(str(cell), lambda cell=cell, i=i, name=name: run(cell, _rng(name, i)))) is not None
        ]
        rows.sort(key=lambda row: float(row["coverage"]))  # type: ignore[arg-type]
        figures |= {f"{name}rows": rows, f"{name}verdict": (judged := verdict(rows))}
        for estimand in OTHERS if name else [""]:
            own = [row for row in rows if estimand in ("", row["estimand"])]
            figures[f"{estimand} noises".strip()] = by_noise(own)
        print(record.table(rows))
        print("; ".join(f"{key}: {len(value) if isinstance(value, list) else value}" for key, value in judged.items()))
    record.write("coverage_noise", figures, seed=SEED)


def _rng(name: str, place: int) -> np.random.Generator:
    return np.random.default_rng([SEED, len(name), place])


if __name__ == "__main__":
    main(**vars(arguments(__doc__).parse_args()))
