"""Estimates from masks that were all asked: every mask of few units, or each unit left out once. METHODS A1, A3.

Nothing is sampled over masks, so what is uncertain is the model's own noise.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from whygen.errors import DataError
from whygen.prompt.intervals import Estimate, Floats
from whygen.prompt.observed import Observed
from whygen.stats.intervals import Interval, student_half_width


def enumerated_estimate(observed: Observed, *, noise: float | None = 0.0, degrees: int = 0) -> Estimate:
    """Exact over masks: the mean with a unit minus the mean without it. Only the model's noise is left.

    Args:
        observed: every mask, or every mask but the pair {none, all}.
        noise: variance of one effect under repetition; 0 when repeats did not differ, None when not measured.
        degrees: degrees of freedom of that variance.
    """
    kept = observed.masks.sum(axis=0)
    left_out = len(observed) - kept
    means = observed.masks.T @ observed.effects / kept - (~observed.masks).T @ observed.effects / left_out
    return _without_sampling(means, 1.0 / kept + 1.0 / left_out, noise, degrees)


def enumerated_shapley(observed: Observed, *, noise: float | None = 0.0, degrees: int = 0) -> Estimate:
    """Exact Shapley values from all masks: ``sum over z of p_n(|z| - z_i) f(z)``, positive with i and negative without.

    Args:
        observed: every mask.
        noise: variance of one effect under repetition; 0 when repeats did not differ, None when not measured.
        degrees: degrees of freedom of that variance.
    """
    n = observed.n
    size = observed.masks.sum(axis=1)
    others = size[:, None] - observed.masks
    members = np.array([math.comb(n - 1, s) for s in range(n)], dtype=np.float64)[others]
    weight: NDArray[np.float64] = np.where(observed.masks, 1.0, -1.0) / (n * members)
    values: NDArray[np.float64] = weight.T @ observed.effects
    return _without_sampling(values, (weight**2).sum(axis=0), noise, degrees)


def leave_one_out_estimate(
    observed: Observed, whole: float, *, draws: Floats | None = None, repeats: Floats | None = None
) -> Estimate:
    """``f(1) - f(1 without i)``, with Welch's t interval where masks were drawn at least twice. METHODS A3.

    With one draw a mask there is no interval: nothing says how noisy a difference is. All differences share the
    ``repeats``, so their errors are correlated; each interval holds by itself.

    Args:
        observed: the leave-one-out masks, one row a unit, in order; effects are means over draws.
        whole: f(1), the mean of the repeats of the whole prompt.
        draws: effects of each draw, shape ``(n, d)``.
        repeats: effects of the repeats of the whole prompt, shape ``(r,)``.

    Raises:
        DataError: if ``draws`` has not one row a unit.
    """
    values: Floats = whole - observed.effects
    if draws is None or repeats is None or draws.shape[1] < 2 or len(repeats) < 2:
        return Estimate(values, None, None, "none: an interval needs two draws of each mask and of the whole prompt")
    if len(draws) != len(values):
        raise DataError(f"draws has {len(draws)} rows for {len(values)} masks: give one row a unit, in order.")
    left: Floats = draws.var(axis=1, ddof=1) / draws.shape[1]
    right = float(repeats.var(ddof=1)) / len(repeats)
    variance: Floats = left + right
    alive: Floats = np.where(variance > 0, variance, 1.0)
    # Welch 1947, Biometrika 34:28-35: degrees of freedom of a sum of two estimated variances.
    parts: Floats = (left / alive) ** 2 / (draws.shape[1] - 1) + (right / alive) ** 2 / (len(repeats) - 1)
    degrees: Floats = 1.0 / np.where(variance > 0, parts, 1.0)
    half = student_half_width(variance, degrees)
    p_values: Floats | None = None
    if (variance > 0).all():
        p_values = np.asarray(2.0 * stdtr(degrees, -np.abs(values) / np.sqrt(variance)), dtype=np.float64)
    return Estimate(values, Interval(values, values - half, values + half), p_values, "Welch's t over draws")


def _without_sampling(values: Floats, leverage: Floats, noise: float | None, degrees: int) -> Estimate:
    """An estimate from all masks: what is uncertain is the model's noise, times the ``leverage`` ``(n,)`` of each."""
    if noise is None:
        return Estimate(values, None, None, "none: every mask was asked, but the model's noise was not measured")
    if noise == 0.0:
        return Estimate(values, Interval(values, values, values), None, "every mask was asked; repeats agree")
    half = student_half_width(noise * leverage, max(degrees, 1))
    interval = Interval(values, values - half, values + half)
    return Estimate(values, interval, None, "noise of the model only; every mask was asked")
