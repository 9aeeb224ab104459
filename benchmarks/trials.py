"""Planted games observed as the package observes a model: what the benchmarks of the estimators share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whygen import lab

Floats = NDArray[np.float64]

EXACT = 1e-9
"""An interval is granted this share of sd(f): noise-free games that the surrogate represents are met to rounding."""

DEFAULT = "adaptive"
SURROGATE = "ridge"
"""It takes a tenth of the time of the default: every cell is run with it, and a part of them with the default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One setting.

    Attributes:
        noise: the standard deviation of one draw, in standard deviations of the clean effect.
        kind: ``normal``, or ``0/1``: each draw is the least or the largest sum of the game's parts, with the chance
            that makes the clean effect its mean; ``noise`` is then of no account.
    """

    estimand: str
    family: str
    n: int
    m: int
    noise: float
    keep: float = 0.5
    kind: str = "normal"


@dataclass(frozen=True, slots=True)
class Trial:
    """One game and what it showed."""

    game: lab.Game
    play: lab.Play
    keep: float

    @property
    def truth(self) -> Floats:
        return self.game.banzhaf(self.keep) if self.play.effects.total is None else self.game.shapley()

    def first(self, pairs: int) -> Trial:
        """What was known after so many pairs."""
        return Trial(self.game, self.play.first(pairs), self.keep)


def play(cell: Cell, rng: np.random.Generator, *, sizes: str | None = None) -> Trial:
    """A random game of the cell's family and its observations; ``sizes`` is another law for Shapley values."""
    game = lab.Game(cell.n, cell.family, rng)
    shown = lab.play(
        game, cell.m, rng, estimand=cell.estimand, keep=cell.keep, sizes=sizes, answer=_model(cell, game, rng),
        steady=cell.kind == "normal" and cell.noise == 0,
    )  # fmt: skip
    return Trial(game, shown, cell.keep)


def _model(cell: Cell, game: lab.Game, rng: np.random.Generator) -> lab.Answer:
    """One draw of masks whose clean effects are ``(m,)``."""
    if cell.kind == "0/1":
        low, high = (sum(float(pick(part.values)) for part in game.parts) for pick in (np.min, np.max))
        return lambda clean: np.where(rng.random(len(clean)) * (high - low) < clean - low, high, low)
    sigma = cell.noise * game.spread()
    return lambda clean: clean + sigma * rng.normal(size=len(clean))


def estimate(
    trial: Trial, rng: np.random.Generator, *, level: float = lab.LEVEL, surrogate: str | lab.Surrogate = SURROGATE
) -> lab.Estimate:
    """The estimate that the package would print: without an interval where no mask changed anything, which it says."""
    return lab.estimate(trial.play, rng, surrogate=surrogate, level=level)


def interval(
    trial: Trial, rng: np.random.Generator, *, level: float = lab.LEVEL, surrogate: str | lab.Surrogate = SURROGATE
) -> lab.Interval:
    """The interval that the package would print."""
    found = estimate(trial, rng, level=level, surrogate=surrogate).interval
    assert found is not None
    return found


def p_values(trial: Trial, rng: np.random.Generator, *, surrogate: str | lab.Surrogate = SURROGATE) -> Floats:
    """The p-values that the package would print, shape ``(n,)``."""
    found = estimate(trial, rng, surrogate=surrogate).p_values
    assert found is not None
    return found


def holds(trial: Trial, found: lab.Interval) -> NDArray[np.bool_]:
    """Which limits ``(n,)`` hold the truth, granted `EXACT`."""
    slack = EXACT * trial.game.spread()
    return (found.low - slack <= trial.truth) & (trial.truth <= found.high + slack)
