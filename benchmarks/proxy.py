"""A cheap model beside the dear one: how narrow intervals get, and whether they hold, on planted games.

The dear game is a mean of a planted family and of a rough part, which no surrogate learns from so few masks: parities
of four to seven units. The cheap game correlates with it over all masks as stated: ``rho f + sqrt(1 - rho^2) h``, with
h another game of the same kind. Each cell compares the same masks with and without the cheap game.

`width` is the mean over games of how wide intervals are beside those without it, `coverage` the share that holds the
truth. The control is ``rho = 0``: a proxy that says nothing must cost nothing. ``wrong`` is a proxy that is right about
everything but one unit, whose effect it has the wrong sign of: intervals must hold for that unit too.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks import record
from benchmarks.partial import Rows, arguments
from whygen import lab
from whygen.lab import Game
from whygen.types import Floats, Masks

GAMES = 40
FAMILIES = ("conjunctions", "votes", "additive")
RHO = (0.0, 0.5, 0.9, 0.99)
APART = 1024
"""Masks of the cheap game alone; where there are no more than 4,096 in all, all of them."""

LOW, HIGH = 0.92, 0.98
NARROW, IDLE = 0.6, 1.02
"""Figures wanted of the width: at most so much at a correlation of .9, and of 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One row of the table."""

    estimand: Literal["banzhaf", "shapley"]
    family: str
    n: int
    m: int
    rho: float
    kind: Literal["correlated", "wrong"] = "correlated"


def grid() -> Iterator[Cell]:
    for family, (n, m), rho in itertools.product(FAMILIES, ((12, 64), (24, 64)), RHO):
        yield Cell(estimand="banzhaf", family=family, n=n, m=m, rho=rho)
    for family, rho in itertools.product(FAMILIES[:2], RHO):
        yield Cell(estimand="shapley", family=family, n=12, m=64, rho=rho)
    yield Cell(estimand="banzhaf", family="conjunctions", n=12, m=64, rho=0.9, kind="wrong")


def every(n: int) -> Masks:
    return (np.arange(2**n)[:, None] >> np.arange(n) & 1).astype(bool)


def rough(n: int, rng: np.random.Generator) -> Callable[[Masks], Floats]:
    """A sum of 200 parities of four to seven units: mean zero, variance one, Banzhaf values zero."""
    units = [rng.permutation(n)[: int(rng.integers(4, 8))] for _ in range(200)]
    sizes = rng.normal(size=len(units))
    sizes /= np.sqrt((sizes**2).sum())

    def values(masks: Masks) -> Floats:
        signs = np.where(masks, 1.0, -1.0)
        return np.sum([size * signs[:, own].prod(axis=1) for size, own in zip(sizes, units, strict=True)], axis=0)

    return values


@dataclass(frozen=True, slots=True)
class Mixed:
    """Half the variance planted, half rough; standardised over masks."""

    game: Game
    rest: Callable[[Masks], Floats]
    middle: float
    spread: float

    @classmethod
    def of(cls, family: str, n: int, rng: np.random.Generator) -> Mixed:
        game, rest = Game(n, family, rng), rough(n, rng)
        seen = game.values(rng.random((20_000, n)) < 0.5)
        return cls(game, rest, float(seen.mean()), float(seen.std()) or 1.0)

    def __call__(self, masks: Masks) -> Floats:
        return ((self.game.values(masks) - self.middle) / self.spread + self.rest(masks)) / np.sqrt(2.0)

    def banzhaf(self) -> Floats:
        """Those of the planted part: parities of more than one unit have none."""
        return self.game.banzhaf() / self.spread / np.sqrt(2.0)


def shapley(values: Callable[[Masks], Floats], n: int) -> Floats:
    return np.asarray(lab.contrasts(every(n), estimand="shapley").T @ values(every(n)))


def trial(cell: Cell, seed: int) -> dict[str, float]:
    """One game: widths and hits with and without the cheap one."""
    rng = np.random.default_rng([seed, cell.n, FAMILIES.index(cell.family)])
    dear, other = (Mixed.of(cell.family, cell.n, rng) for _ in range(2))
    truth = dear.banzhaf() if cell.estimand == "banzhaf" else shapley(dear, cell.n)
    worst = int(np.abs(truth).argmax())

    def cheap(masks: Masks) -> Floats:
        if cell.kind == "wrong":
            return dear(masks) - 2.0 * truth[worst] * (masks[:, worst] - 0.5)
        return cell.rho * dear(masks) + np.sqrt(1.0 - cell.rho**2) * other(masks)

    ends = np.array([[True] * cell.n, [False] * cell.n])

    def shown(values: Callable[[Masks], Floats], masks: int) -> lab.Effects:
        design = lab.enumerated(cell.n) if masks >= 2**cell.n else lab.draw(cell.n, masks, rng, estimand=cell.estimand)
        ends_at = values(ends)
        total = float(ends_at[0] - ends_at[1]) if cell.estimand == "shapley" else None
        return design.observed(values(design.masks), total=total)

    seen = shown(dear, cell.m)
    apart = shown(cheap, APART if cell.n > 12 else 2**cell.n)
    asked = np.vstack([seen.masks, ends[:1]])
    beside = lab.proxied(apart, asked, cheap(asked), np.random.default_rng([seed, 1]))
    alone, both = (lab.estimate(seen, np.random.default_rng([seed, 2]), surrogate=by) for by in ("adaptive", beside))
    at = rng.random((4000, cell.n)) < 0.5
    row = {"correlation": float(np.corrcoef(dear(at), cheap(at))[0, 1])}
    widths = {}
    for name, found in (("alone", alone), ("proxied", both)):
        assert found.interval is not None
        low, high = found.interval.low, found.interval.high
        holds = (low <= truth) & (truth <= high)
        widths[name] = float((high - low).mean())
        row |= {f"coverage_{name}": float(holds.mean()), f"worst_{name}": float(holds[worst])}
        row[f"error_{name}"] = float(np.sqrt(((found.attributions - truth) ** 2).mean()))
    row["width"] = widths["proxied"] / widths["alone"]
    return row


def measured(cell: Cell) -> dict[str, object]:
    """A row of the table."""
    rows = [trial(cell, seed) for seed in range(GAMES)]
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    return {**asdict(cell), "games": GAMES, "intervals": GAMES * cell.n, **means}


def verdict(rows: list[dict[str, object]]) -> dict[str, object]:
    """What the figures say: the mean coverage, cells outside, the mean width by correlation."""
    own = [row for row in rows if row["kind"] == "correlated"]
    by_rho = {str(rho): float(np.mean([row["width"] for row in own if row["rho"] == rho])) for rho in RHO}  # type: ignore[misc]
    return {
        "coverage": float(np.mean([row["coverage_proxied"] for row in rows])),  # type: ignore[misc]
        "coverage without": float(np.mean([row["coverage_alone"] for row in rows])),  # type: ignore[misc]
        "under": [row for row in rows if row["coverage_proxied"] < LOW],  # type: ignore[operator]
        "over": [row for row in rows if row["coverage_proxied"] > HIGH],  # type: ignore[operator]
        "width by correlation": by_rho,
        "wider than wanted at .9": [row for row in own if row["rho"] == 0.9 and row["width"] > NARROW],  # type: ignore[operator]
        "wider than wanted at 0": [row for row in own if row["rho"] == 0.0 and row["width"] > IDLE],  # type: ignore[operator]
    }


def main(data: Path | None = None, *, minutes: float = 600.0, fresh: bool = False) -> None:
    del data
    kept = Rows("proxy", minutes=minutes, fresh=fresh)
    found = [kept.get(str(cell), lambda cell=cell: measured(cell)) for cell in grid()]
    done = [row for row in found if row is not None]
    if done:
        judged = verdict(done)
        print(record.table(done))
        print({name: len(value) if isinstance(value, list) else value for name, value in judged.items()})
        record.write("proxy", {"not run": found.count(None), "rows": done, "verdict": judged}, seed=0)


if __name__ == "__main__":
    main(**vars(arguments(__doc__).parse_args()))
