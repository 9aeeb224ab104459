"""Tests of linear contrasts of a regression that hold in small samples: the restricted wild bootstrap."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

FLIPS = (999, 3999)
"""Random sign patterns: so many for every contrast, and the larger number where the first leave it under `DOUBTFUL`."""

DOUBTFUL = 0.02

_ROUNDING = 1e-10


class Contrasts(NamedTuple):
    """What is tested of the coefficients b ``(k,)`` of ``y = x b``: is ``c_i b + shift = 0``?

    Attributes:
        rows: c, shape ``(n, k)``; each estimable from the regression.
        shift: a known part of every value, such as a share of a total.
        error: the standard error of ``shift``, which no residual shows: it is drawn anew, from a normal law.
    """

    rows: Floats
    shift: float = 0.0
    error: float = 0.0


def wild_p(x: Floats, y: Floats, contrasts: Contrasts, rng: np.random.Generator) -> Floats:
    """Two-sided p-values of contrasts of least squares, one each. Shape ``(n,)``.

    Under the hypothesis the regression is fitted without what is tested; the signs of its residuals are flipped at
    random, and the studentised value is computed anew (Cameron, Gelbach and Miller 2008, Review of Economics and
    Statistics 90:414-427, with Rademacher signs and one row a cluster; Davidson and Flachaire 2008, Journal of
    Econometrics 146:162-169, for residuals restricted and divided by the root of one minus their leverage). Standard
    errors are HC3, so errors may differ in size from row to row. Scores of a cross-fit that share their data have tails
    that a t-distribution does not know; these p-values do not rest on one.

    Args:
        x: shape ``(rows, k)``; may lack rank, as deviations from a mean do.
        y: shape ``(rows,)``.
        contrasts: what is tested.
        rng: draws the signs.
    """
    fit = _Fit.of(x, y, contrasts)
    few, many = FLIPS
    signs: Floats = 2.0 * rng.integers(0, 2, (many, len(y)), dtype=np.int8).astype(np.float64) - 1.0
    shifts: Floats = contrasts.error * rng.standard_normal(many)
    return np.array([_one(fit, place, signs, shifts, few) for place in range(len(contrasts.rows))])


class _Fit(NamedTuple):
    """One fit, and what every test needs of it: leverages, the weights of each contrast on rows, its t statistic."""

    x: Floats
    y: Floats
    solution: Floats
    inverse: Floats
    leverage: Floats
    weights: Floats
    directions: Floats
    values: Floats
    squared_error: float

    @classmethod
    def of(cls, x: Floats, y: Floats, contrasts: Contrasts) -> _Fit:
        inverse: Floats = np.asarray(np.linalg.pinv(x), dtype=np.float64)
        solution: Floats = inverse @ y
        leverage: Floats = np.clip((x * inverse.T).sum(axis=1), 0.0, 1.0 - 1e-9)
        directions: Floats = contrasts.rows @ (inverse @ inverse.T)
        values: Floats = contrasts.rows @ solution + contrasts.shift
        return cls(x, y, solution, inverse, leverage, contrasts.rows @ inverse, directions, values, contrasts.error**2)

    def studentised(self, place: int, values: Floats, residuals: Floats) -> Floats:
        """Absolute values over their HC3 standard error; ``residuals`` have one row a value."""
        weights: Floats = self.weights[place] / (1.0 - self.leverage)
        variance: Floats = ((residuals * weights) ** 2).sum(axis=1) + self.squared_error
        return np.abs(values) / np.sqrt(np.maximum(variance, 1e-300))


def _one(fit: _Fit, place: int, signs: Floats, shifts: Floats, few: int) -> float:
    scale = _ROUNDING * float(np.abs(fit.y).max(initial=0.0))
    value, weights = float(fit.values[place]), fit.weights[place]
    size = float(weights @ weights)
    if abs(value) <= scale or size <= 0.0:
        return 1.0
    direction = fit.directions[place]
    restricted = fit.y - fit.x @ (fit.solution - direction * (value / size))
    # Without the tested direction the fit leans on each row a little less.
    left: Floats = np.clip(1.0 - fit.leverage + (fit.x @ direction) ** 2 / size, 1e-9, 1.0)
    errors: Floats = restricted / np.sqrt(left)
    own = (fit.y - fit.x @ fit.solution)[None, :]
    if float(np.abs(own).max()) <= scale and not fit.squared_error:
        return 1.0 / (len(signs) + 1)  # the regression is met exactly, and the value is not zero
    observed = float(fit.studentised(place, np.array([value]), own)[0])
    for flips in (few, len(signs)):
        drawn = signs[:flips] * errors
        residuals = drawn - (drawn @ fit.inverse.T) @ fit.x.T
        values = drawn @ weights + shifts[:flips]
        reached = int((fit.studentised(place, values, residuals) >= observed * (1.0 - 1e-9)).sum())
        if (p := (1 + reached) / (flips + 1)) > DOUBTFUL:
            break
    return p
