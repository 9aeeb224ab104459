"""Planted games observed as the package observes a model: what the benchmarks of the estimators share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from whygen.models.planted.games import Game
from whygen.prompt import designs, exact, intervals
from whygen.prompt.asking import REDRAWS, REPEATS
from whygen.prompt.collapse import collapsed, collapsed_estimate
from whygen.prompt.effects import Effects
from whygen.prompt.noise import MeasuredNoise, measure
from whygen.prompt.surrogates import Surrogate, load_surrogate
from whygen.stats.intervals import Interval

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
    """One game and what its masks and the whole prompt showed; ``noise`` as redrawn prompts tell it."""

    game: Game
    observed: Effects
    noise: MeasuredNoise
    whole: float
    enumerated: bool

    @property
    def own(self) -> float:
        """Variance of one effect under repetition."""
        return self.noise.bound

    @property
    def truth(self) -> Floats:
        return self.game.banzhaf(self.observed.keep) if self.observed.total is None else self.game.shapley()

    def first(self, pairs: int) -> Trial:
        """What was known after so many pairs."""
        return replace(self, observed=self.observed.take(self.observed.groups < pairs))


def play(cell: Cell, rng: np.random.Generator, *, sizes: designs.Sizes | None = None) -> Trial:
    """A random game of the cell's family and its observations; ``sizes`` is another law for Shapley values."""
    game = Game(cell.n, cell.family, rng)
    answer, steady = _model(cell, game, rng), cell.kind == "normal" and cell.noise == 0
    design = _design(cell, rng, sizes)
    clean = game.values(design.masks)
    effects = answer(clean)
    ends = game.values(np.array([[True] * cell.n, [False] * cell.n]))
    # f(1) is the mean of the repeats of the whole prompt, and stands for it among the masks; f(0) is one call.
    whole = float(answer(np.repeat(ends[:1], REPEATS)).mean())
    total = None if cell.estimand == "banzhaf" else float(whole - answer(ends[1:])[0])
    effects[design.masks.all(axis=1)] = whole
    observed = design.observed(effects, total=total)
    draws = np.full((len(clean), 2), np.nan)
    draws[:, 0] = effects
    if not steady:
        rows = rng.permutation(len(clean))[:REDRAWS]
        draws[rows, 1] = answer(clean[rows])
        observed = observed.with_values(np.nanmean(draws, axis=1))
    return Trial(game, observed, measure(draws, known=steady), whole, design.enumerated)


def _model(cell: Cell, game: Game, rng: np.random.Generator) -> Callable[[Floats], Floats]:
    """One draw of masks whose clean effects are ``(m,)``."""
    if cell.kind == "0/1":
        low, high = (sum(float(pick(part.values)) for part in game.parts) for pick in (np.min, np.max))
        return lambda clean: np.where(rng.random(len(clean)) * (high - low) < clean - low, high, low)
    sigma = cell.noise * game.spread()
    return lambda clean: clean + sigma * rng.normal(size=len(clean))


def _design(cell: Cell, rng: np.random.Generator, sizes: designs.Sizes | None) -> designs.Design:
    n, m = cell.n, cell.m
    if cell.keep == 0.5 and designs.fits_enumeration(n, m):
        return designs.enumerated(n)
    halves = designs.halves_for(n, m)
    if cell.estimand == "shapley" and halves == "complement" and sizes is None:
        return designs.by_layers(n, m, rng)
    if cell.estimand == "shapley":
        repeats = "fresh" if cell.noise else "shared"
        return designs.by_size(n, m, rng, repeats=repeats, sizes=sizes or "leverage", halves=halves)
    if cell.keep != 0.5:
        return designs.by_number(n, m, rng, keep=cell.keep)
    draw = designs.complement_pairs if halves == "complement" else designs.independent
    return draw(n, m // 2, rng)


def estimate(
    trial: Trial, rng: np.random.Generator, *, level: float = intervals.LEVEL, surrogate: str | Surrogate = SURROGATE
) -> intervals.Estimate:
    """The estimate that the package would print: without an interval where no mask changed anything, which it says."""
    observed = trial.observed
    one = collapsed(observed, np.full(REPEATS, trial.whole))
    if one is not None and one.kind == "unchanged" and not trial.enumerated:
        return collapsed_estimate(observed, one)
    if trial.enumerated:
        find = exact.enumerated_estimate if observed.total is None else exact.enumerated_shapley
        return find(observed, trial.noise)
    how = load_surrogate(surrogate) if isinstance(surrogate, str) else surrogate
    fit = intervals.cross_fit(observed, how, rng)
    if observed.total is not None:
        shared = trial.own * (1.0 + 1.0 / REPEATS)
        return intervals.shapley_estimate(fit, observed, rng, noise=trial.own, shared=shared, level=level)
    span = float(np.ptp(np.append(observed.values, trial.whole)))
    return intervals.sampled_estimate(fit, rng, noise=trial.own, span=span, level=level)


def interval(
    trial: Trial, rng: np.random.Generator, *, level: float = intervals.LEVEL, surrogate: str | Surrogate = SURROGATE
) -> Interval:
    """The interval that the package would print."""
    found = estimate(trial, rng, level=level, surrogate=surrogate).interval
    assert found is not None
    return found


def p_values(trial: Trial, rng: np.random.Generator, *, surrogate: str | Surrogate = SURROGATE) -> Floats:
    """The p-values that the package would print, shape ``(n,)``."""
    found = estimate(trial, rng, surrogate=surrogate).p_values
    assert found is not None
    return found


def holds(trial: Trial, found: Interval) -> NDArray[np.bool_]:
    """Which limits ``(n,)`` hold the truth, granted `EXACT`."""
    slack = EXACT * trial.game.spread()
    return (found.low - slack <= trial.truth) & (trial.truth <= found.high + slack)
