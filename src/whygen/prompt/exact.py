"""Estimates from masks that were all asked: every mask of few units, or each unit left out once. METHODS A1, A3.

Nothing is sampled over masks, so what is uncertain is the model's own noise: each estimate is a contrast of the masks'
mean effects, and `MeasuredNoise.limits` says how far it may be off.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from whygen.errors import DataError
from whygen.prompt import intervals
from whygen.prompt.effects import Effects, Population
from whygen.prompt.intervals import Estimate
from whygen.prompt.noise import MeasuredNoise, measure
from whygen.stats.intervals import Interval
from whygen.types import Floats


def banzhaf_weights(observed: Effects) -> Floats:
    """What each effect counts in the Banzhaf values, shape ``(m, n)``: one over the masks with a unit, or without it.

    Without the pair {none, all} units no longer vary independently of each other, and the plain difference would give
    an idle unit a part of what others do. Least squares do not, and say the same where no mask is left out.

    Args:
        observed: every mask, or every mask but the pair {none, all}.
    """
    kept = observed.masks.sum(axis=0)
    left_out = len(observed) - kept
    if len(observed) < 2**observed.n:
        design = np.column_stack([np.ones(len(observed)), observed.masks])
        slopes: Floats = np.asarray(np.linalg.pinv(design), dtype=np.float64)[1:]
        return slopes.T
    weights: Floats = observed.masks / kept - ~observed.masks / left_out
    return weights


def shapley_weights(observed: Effects) -> Floats:
    """What each effect counts in the Shapley values, ``(m, n)``: ``p_n(|z| - z_i)``, positive with i, negative without.

    Args:
        observed: every mask.
    """
    n = observed.n
    size = observed.masks.sum(axis=1)
    others = size[:, None] - observed.masks
    members = np.array([math.comb(n - 1, s) for s in range(n)], dtype=np.float64)[others]
    weights: NDArray[np.float64] = np.where(observed.masks, 1.0, -1.0) / (n * members)
    return weights


def leave_one_out_weights(n: int) -> Floats:
    """What each effect counts in ``f(1) - f(1 without i)``, shape ``(n + 1, n)``; f(1) comes last."""
    return np.vstack([-np.eye(n), np.ones((1, n))])


def enumerated_estimate(observed: Effects, noise: MeasuredNoise | None = None) -> Estimate:
    """Banzhaf values, exact over masks: the mean with a unit minus the mean without it. Only the model's noise is left.

    Args:
        observed: as for `banzhaf_weights`.
        noise: of their effects; None where nothing is known of it, and there is no interval.
    """
    return contrast(banzhaf_weights(observed), observed.values, noise)


def enumerated_shapley(observed: Effects, noise: MeasuredNoise | None = None) -> Estimate:
    """Shapley values, exact over masks. Arguments as for `enumerated_estimate`, of every mask."""
    return contrast(shapley_weights(observed), observed.values, noise)


def stratified_estimate(observed: Effects, population: Population, noise: MeasuredNoise | None = None) -> Estimate:
    """The estimate from all masks of a design by layers, each with its chance in the law of the design.

    Args:
        observed: every mask of the design; with a ``total`` and no empty and full mask, the values share it out.
        population: what they were drawn from.
        noise: of their effects; None where nothing is known of it, and there is no interval.
    """
    found = contrast(population.chance[:, None] * observed.weights(), observed.values, noise)
    if observed.total is None:
        return found
    shift = (observed.total - float(found.attributions.sum())) / observed.n
    moved = None if found.interval is None else Interval(*(limit + shift for limit in found.interval))
    return replace(found, attributions=found.attributions + shift, interval=moved)


def local_estimate(observed: Effects, noise: MeasuredNoise | None = None) -> Estimate:
    """The line that tells the nearest masks best; where all masks were asked only the model's noise is left.

    What the line misses is no error of it where nothing was sampled, though the sandwich of `intervals.local_estimate`
    counts it as one. No unit is tested, as where masks are sampled.

    Args:
        observed: masks with the weight of each under a kernel.
        noise: of their effects, where these are all masks there are; None where they were sampled.
    """
    sampled = intervals.local_estimate(observed)
    if noise is None or noise.source == "unknown":
        return sampled
    found = contrast(intervals.local_weights(observed), observed.values, noise)
    return replace(found, p_values=None, effective=sampled.effective)


def leave_one_out_estimate(
    observed: Effects, repeats: Floats, *, draws: Floats | None = None, known: bool = False, reach: float = 0.0
) -> Estimate:
    """``f(1) - f(1 without i)``. METHODS A3.

    All differences share the ``repeats``, so their errors are correlated; each interval holds by itself.

    Args:
        observed: the leave-one-out masks, one row a unit, in order; effects are means over draws.
        repeats: effects of the repeats of the whole prompt, shape ``(r,)``; their mean is f(1).
        draws: effects of each draw, shape ``(n, d)``, NaN where a mask was drawn less often; None for one draw each.
        known: whether equal questions are known to get equal answers.
        reach: how far the target lets two effects be apart; 0 if nobody knows.

    Raises:
        DataError: if ``draws`` has not one row a unit.
    """
    n = len(observed)
    draws = observed.values[:, None] if draws is None else draws
    if len(draws) != n:
        raise DataError(f"draws has {len(draws)} rows for {n} masks: give one row a unit, in order.")
    every = np.full((n + 1, max(draws.shape[1], len(repeats))), np.nan)
    every[:n, : draws.shape[1]], every[n, : len(repeats)] = draws, repeats
    noise = measure(every, known=known, speaks=np.arange(n + 1) < n, reach=reach)
    return contrast(leave_one_out_weights(n), np.append(observed.values, repeats.mean()), noise)


def contrast(weights: Floats, effects: Floats, noise: MeasuredNoise | None) -> Estimate:
    """The contrasts ``weights.T @ effects`` of all masks: what is uncertain is the model's noise.

    Args:
        weights: shape ``(m, n)``; each column sums to zero.
        effects: shape ``(m,)``.
        noise: of the effects; None where nothing is known of it.
    """
    centre = float(effects.mean()) if len(effects) else 0.0  # a score far from zero keeps its last digits
    values: Floats = weights.T @ (effects - centre)
    limits = None if noise is None else noise.limits(weights, values)
    if noise is None or limits is None:
        return Estimate(values, None, None, "none: every mask was asked, but the model's noise was not measured")
    interval = Interval(values, values - limits.half, values + limits.half)
    return Estimate(values, interval, None if noise.source == "none" else limits.p_values, noise.method)
