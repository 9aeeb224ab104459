"""Planted games observed as the package observes a model: what the benchmarks of the estimators share."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from whygen.models.planted.games import Game
from whygen.prompt import designs, exact, intervals
from whygen.prompt.asking import REDRAWS, REPEATS
from whygen.prompt.noise import Noise, measure
from whygen.prompt.observed import Observed
from whygen.prompt.surrogates import load_surrogate
from whygen.stats.intervals import Interval

Floats = NDArray[np.float64]

EXACT = 1e-9
"""An interval is granted this share of sd(f): noise-free games that the surrogate represents are met to rounding."""

DEFAULT = "adaptive"
SURROGATE = "ridge"
"""It takes a tenth of the time of the default: every cell is run with it, and a part of them with the default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One setting: ``noise`` is the standard deviation of one draw, in standard deviations of the clean effect."""

    estimand: str
    family: str
    n: int
    m: int
    noise: float


@dataclass(frozen=True, slots=True)
class Trial:
    """One game and what its masks showed; ``noise`` as redrawn prompts tell it."""

    game: Game
    observed: Observed
    noise: Noise
    enumerated: bool

    @property
    def own(self) -> float:
        """Variance of one effect under repetition."""
        return self.noise.bound

    @property
    def truth(self) -> Floats:
        return self.game.banzhaf() if self.observed.total is None else self.game.shapley()

    def first(self, pairs: int) -> Trial:
        """What was known after so many pairs."""
        return replace(self, observed=self.observed.take(self.observed.groups < pairs))


def play(cell: Cell, rng: np.random.Generator, *, sizes: designs.Sizes = "leverage") -> Trial:
    """A random game of the cell's family and its observations; ``sizes`` is the law for Shapley values."""
    game = Game(cell.n, cell.family, rng)
    sigma = cell.noise * game.spread()
    design = _design(cell, rng, sizes)
    clean = game.values(design.masks)
    effects = clean + sigma * rng.normal(size=len(clean))
    total = None
    if cell.estimand == "shapley":
        # f(1) is the mean of the repeats of the whole prompt, f(0) one call.
        ends = game.values(np.array([[True] * cell.n, [False] * cell.n]))
        total = float(ends[0] - ends[1] + sigma * np.sqrt(1.0 + 1.0 / REPEATS) * rng.normal())
    observed = Observed(design.masks, effects, design.groups, design.keep, design.sizes, total)
    draws = np.full((len(clean), 2), np.nan)
    draws[:, 0] = effects
    if sigma > 0:
        rows = rng.permutation(len(clean))[:REDRAWS]
        draws[rows, 1] = clean[rows] + sigma * rng.normal(size=len(rows))
        observed = observed.with_effects(np.nanmean(draws, axis=1))
    return Trial(game, observed, measure(draws, known=sigma == 0), design.enumerated)


def _design(cell: Cell, rng: np.random.Generator, sizes: designs.Sizes) -> designs.Design:
    if designs.fits_enumeration(cell.n, cell.m):
        return designs.enumerated(cell.n)
    halves = designs.halves_for(cell.n, cell.m)
    if cell.estimand == "shapley":
        repeats = "fresh" if cell.noise else "shared"
        return designs.by_size(cell.n, cell.m, rng, repeats=repeats, sizes=sizes, halves=halves)
    draw = designs.complement_pairs if halves == "complement" else designs.independent
    return draw(cell.n, cell.m // 2, rng)


def interval(
    trial: Trial, rng: np.random.Generator, *, level: float = intervals.LEVEL, surrogate: str = SURROGATE
) -> Interval:
    """The interval that the package would print."""
    observed = trial.observed
    if trial.enumerated:
        find = exact.enumerated_estimate if observed.total is None else exact.enumerated_shapley
        found = find(observed, trial.noise).interval
        assert found is not None
        return found
    fit = intervals.cross_fit(observed, load_surrogate(surrogate), rng)
    if observed.total is not None:
        return intervals.shapley_interval(fit, observed, noise=trial.own * (1.0 + 1.0 / REPEATS), level=level)
    population = 2 ** (observed.n - 1) if observed.n <= designs.MAX_ENUMERATED else np.inf
    return intervals.sampled_interval(fit, sampled=len(fit.scores) / population, noise=trial.own, level=level)


def p_values(trial: Trial, rng: np.random.Generator) -> Floats:
    """The p-values that the package would print for Banzhaf values, shape ``(n,)``."""
    fit = intervals.cross_fit(trial.observed, load_surrogate(SURROGATE), rng)
    found = intervals.sampled_estimate(fit, rng).p_values
    assert found is not None
    return found


def holds(trial: Trial, found: Interval) -> NDArray[np.bool_]:
    """Which limits ``(n,)`` hold the truth, granted `EXACT`."""
    slack = EXACT * trial.game.spread()
    return (found.low - slack <= trial.truth) & (trial.truth <= found.high + slack)
