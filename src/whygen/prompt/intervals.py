"""Attributions with intervals, p-values and a band that belong together. METHODS A1, A2, A3, A8.

**Sampled masks.** The middle of every interval is the mean of cross-fitted scores (`crossfit`), its half width and the
p-value come from one standard error, and the value that is reported lies well inside: a unit is significant exactly
where its interval excludes zero (before the correction for the number of units, which the report says).

**All masks**, of few units, or each unit left out once: nothing is sampled, so what is uncertain is the model's own
noise. Each estimate is a contrast of the masks' mean effects, and `MeasuredNoise.limits` says how far it may be off.

**One effect.** Every perturbed prompt lost the answer, or none changed it: opposite findings. And masks are a sample:
what none of G groups of them showed may still happen in one of G / 3 (the rule of three), so an interval of no width
would claim more than was seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq  # pyright: ignore[reportUnknownVariableType]

from whygen.errors import DataError
from whygen.prompt.crossfit import (
    FEWEST_GROUPS,
    MET,
    TRANSLATION,
    Completed,
    CrossFit,
    cross_fit,
    folds_for,
    noise_of_score,
)
from whygen.prompt.effects import Effects, Population
from whygen.prompt.noise import UNMEASURED, MeasuredNoise, measure, resolution
from whygen.prompt.surrogates import Proxied, Surrogate
from whygen.stats.intervals import Error, Interval, simultaneous, student_half_width
from whygen.types import Floats

__all__ = [
    "FEWEST_GROUPS", "LEVEL", "LEVEL_OF_LOOKS", "LIKE_THESE", "Collapse", "CrossFit", "Estimate", "banzhaf_weights",
    "collapsed", "collapsed_estimate", "contrast", "cross_fit", "enumerated_estimate", "enumerated_shapley",
    "folds_for", "leave_one_out_estimate", "leave_one_out_weights", "local_estimate", "local_weights", "narrowest",
    "noise_of_score", "one_effect", "sampled_error", "sampled_estimate", "shapley_error", "shapley_estimate",
    "shapley_weights", "stratified_estimate",
]  # fmt: skip

LEVEL = 0.95
"""Coverage of the intervals when the number of masks was fixed in advance."""

LEVEL_OF_LOOKS = 0.96
"""Level of the t quantile when a stop rule may end the run, so that 95% remain: a run that stops when its intervals are
narrow stops more often where they came out too narrow. Measured in benchmarks/coverage.py."""

LIKE_THESE = "for inputs like these"
"""How the method of an estimate ends whose interval and p-values are a Student t over inputs."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Attributions ``(n,)`` with limits and p-values; None where the design gives none.

    Attributes:
        attributions: shape ``(n,)``.
        interval: limits that hold each by itself.
        p_values: of zero.
        method: how the interval was made, or why there is none.
        effective: Kish's effective sample size, for weighted estimates.
        predicted: held-out predictions ``(m,)`` of the cross-fit behind the estimate, where there is one.
        fitted: predictions ``(m,)`` of the surrogate of all masks, where there is one.
        band: limits that hold all at once.
        weight: of a proxy in the surrogate behind the estimate.
        without: the limits without the proxy, where there was one.
    """

    attributions: NDArray[np.float64]
    interval: Interval | None
    p_values: NDArray[np.float64] | None
    method: str
    effective: float | None = None
    predicted: NDArray[np.float64] | None = None
    fitted: NDArray[np.float64] | None = None
    band: Interval | None = None
    weight: float = 0.0
    without: Interval | None = None


def narrowest(surrogate: Surrogate, estimate: Callable[[Surrogate], Estimate]) -> Estimate:
    """The estimate by a surrogate; beside a proxy, that without it where its intervals are narrower in the mean.

    Left-out errors choose the weight of a proxy, and the width of intervals does not enter them: on a game that a
    surrogate nearly meets all weights look alike, and the error of the proxy's own attributions may be the larger part.
    ``estimate`` makes one with whatever surrogate it is given.
    """
    own = estimate(surrogate)
    if not isinstance(surrogate, Proxied):
        return own
    without = estimate(surrogate.base)
    if own.interval is None or without.interval is None:
        return own
    wide, narrow = (float((each.high - each.low).mean()) for each in (own.interval, without.interval))
    return replace(without if narrow < wide else own, without=without.interval)


def sampled_error(
    fit: CrossFit, *, noise: float = 0.0, most: float = 0.0, span: float = 0.0, whole: float | None = None
) -> Error:
    """The Banzhaf values in the middle of their intervals, and how far they may be off.

    Args:
        fit: the scores.
        noise: variance of one effect under repetition, from redrawn prompts; 0 when repeats did not differ.
        most: the largest that may well be, see `CrossFit.error`.
        span: range of all effects that are known, see `CrossFit.error`.
        whole: effect of the whole prompt, see `CrossFit.least_error`.
    """
    return fit.error(noise=noise, most=most, span=span).at_least(fit.least_error(whole))


def sampled_estimate(
    fit: CrossFit,
    rng: np.random.Generator,
    *,
    noise: float = 0.0,
    most: float = 0.0,
    span: float = 0.0,
    whole: float | None = None,
    level: float = LEVEL,
) -> Estimate:
    """Banzhaf values of less squared error than the middle of their intervals, and all that belongs to them.

    Args:
        fit: the scores.
        rng: draws the signs of the band.
        noise: as for `sampled_error`.
        most: as for `sampled_error`.
        span: as for `sampled_error`.
        whole: as for `sampled_error`.
        level: of the intervals; `LEVEL_OF_LOOKS` where a stop rule may end the run.
    """
    error = sampled_error(fit, noise=noise, most=most, span=span, whole=whole)
    values = fit.values(error.estimate, error.half_width(level))
    return _estimate(fit, error, values, rng, level=level, method="Student t over cross-fitted scores")


def shapley_error(
    fit: CrossFit, observed: Effects, *, noise: float = 0.0, most: float = 0.0, shared: float = 0.0
) -> Error:
    """The Shapley values in the middle of their intervals, projected onto efficiency: they sum to f(1) - f(0).

    Args:
        fit: the scores.
        observed: masks drawn by size, with their ``total``.
        noise: variance of one effect under repetition.
        most: the largest that may well be, see `CrossFit.error`.
        shared: variance of the total under repetition, which every value carries an n-th of.

    Raises:
        ValueError: if ``observed`` has no total.
    """
    if observed.total is None:
        raise ValueError("Shapley values need Effects.total, f(1) - f(0)")
    error = fit.error(noise=noise, most=most, span=max(float(np.ptp(observed.values)), abs(observed.total)))
    middle: Floats = error.estimate + (observed.total - float(error.estimate.sum())) / observed.n
    standard: Floats = np.hypot(error.standard, np.sqrt(shared) / observed.n)
    return Error(middle, standard, error.degrees).at_least(fit.least_error())


def shapley_estimate(
    fit: CrossFit,
    observed: Effects,
    rng: np.random.Generator,
    *,
    noise: float = 0.0,
    most: float = 0.0,
    shared: float = 0.0,
    level: float = LEVEL,
) -> Estimate:
    """Shapley values of less squared error than the middle of their intervals, and all that belongs to them.

    The values are those nearest to `CrossFit.values` that sum to f(1) - f(0), to rounding, and stay as near the middle
    as those do. Arguments as for `shapley_error` and `sampled_estimate`.
    """
    error = shapley_error(fit, observed, noise=noise, most=most, shared=shared)
    half = error.half_width(level)
    near = Interval(error.estimate, error.estimate - TRANSLATION * half, error.estimate + TRANSLATION * half)
    total = float(observed.total or 0.0)
    values = _efficient(fit.values(error.estimate, half), near, total)
    method = "Student t over cross-fitted scores, projected onto efficiency"
    return _estimate(fit, error, values, rng, level=level, method=method)


def _estimate(
    fit: CrossFit, error: Error, values: Floats, rng: np.random.Generator, *, level: float, method: str
) -> Estimate:
    wider = simultaneous(fit.scores, rng)
    return Estimate(
        values,
        error.interval(level),
        error.p_values(level),
        method,
        predicted=fit.predicted,
        fitted=fit.fitted,
        band=error.interval(level, wider=wider),
        weight=fit.weight,
    )


def _efficient(values: Floats, interval: Interval, total: float) -> Floats:
    """The nearest values in the interval that sum to ``total``, as its middle does: all moved alike, and held."""
    low, high = interval.low, interval.high

    def excess(move: float) -> float:
        return float(np.clip(values + move, low, high).sum()) - total

    least, most = float((low - values).min()), float((high - values).max())
    if not excess(least) < 0.0 < excess(most):  # no width to move in
        return interval.estimate
    move = cast(float, brentq(excess, least, most, xtol=1e-15))
    found: Floats = np.clip(values + move, low, high)
    free = (found > low) & (found < high)
    found[free] += (total - float(found.sum())) / max(int(free.sum()), 1)
    return found


def _sandwich(observed: Effects) -> Estimate:
    """Weighted least squares under the observed ``nearness``; intervals from HC3, clustered by group.

    There is none where groups are under twice as many as coefficients: residuals of a line that nearly interpolates say
    nothing of its error, and intervals came out tens of standard deviations wide.

    Args:
        observed: masks with the weight of each under a kernel.

    Returns:
        The estimate; its ``effective`` is Kish's ``(sum w)^2 / sum w^2``.

    Raises:
        DataError: if ``nearness`` is not one finite number of at least zero a mask, or zero for all.
    """
    x, weights, bread = _normal_equations(observed)
    effective = float(weights.sum() ** 2 / (weights**2).sum())
    solution: Floats = bread @ x.T @ (weights * observed.values)
    residual: Floats = observed.values - x @ solution
    leverage: Floats = weights * ((x @ bread) * x).sum(axis=1)
    meat_rows: Floats = x * (weights * residual / np.maximum(1.0 - leverage, 1e-6))[:, None]
    names, group_of = np.unique(observed.groups, return_inverse=True)
    clustered = np.zeros((len(names), x.shape[1]))
    np.add.at(clustered, group_of, meat_rows)
    variance: Floats = ((clustered @ bread) ** 2).sum(axis=0)[1:]
    coefficients, degrees = solution[1:], len(names) - x.shape[1]
    if degrees < x.shape[1]:  # hardly a residual is left, and HC3 divides by what is left of each
        method = f"none: {len(names)} groups of masks for {x.shape[1]} coefficients; an interval needs twice as many"
        return Estimate(coefficients, None, None, method, effective)
    if float(np.ptp(residual)) <= MET * float(np.ptp(observed.values)):  # a line met all masks drawn: see `MET`
        variance = np.maximum(variance, (2.0 * float(np.std(observed.values)) / (len(names) + 1.0)) ** 2)
    half = student_half_width(variance, degrees)
    interval = Interval(coefficients, coefficients - half, coefficients + half)
    return Estimate(coefficients, interval, None, "sandwich (HC3) clustered by pair", effective)


def local_weights(observed: Effects) -> Floats:
    """How weighted least squares makes its coefficients of effects, ``(m, n)``: ``weights.T @ effects``.

    Raises:
        DataError: as `local_estimate` does.
    """
    x, weights, bread = _normal_equations(observed)
    return (weights[:, None] * (x @ bread))[:, 1:]


def _normal_equations(observed: Effects) -> tuple[Floats, Floats, Floats]:
    """Columns ``(m, n + 1)``, the first of ones; the weight of each mask; and the inverse of ``x.T @ (w x)``."""
    weights = np.ones(len(observed)) if observed.nearness is None else observed.nearness
    if weights.shape != (len(observed),) or not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise DataError(
            f"nearness has shape {weights.shape} for {len(observed)} masks: give one finite number of at least zero "
            "for each, not all zero. A kernel that is too narrow rounds to zero: widen it."
        )
    x: Floats = np.hstack([np.ones((len(observed), 1)), observed.masks.astype(np.float64)])
    bread: Floats = np.asarray(np.linalg.pinv(x.T @ (weights[:, None] * x)), dtype=np.float64)
    return x, weights, bread


_ROUNDING = 1e-12
"""Of the target's own range: less is rounding, even where all effects are that small."""


@dataclass(frozen=True, slots=True)
class Collapse:
    """All perturbed prompts have one effect.

    Attributes:
        kind: ``lost`` where it is not that of the whole prompt, ``unchanged`` where it is.
        masks: how many perturbed prompts there were.
        groups: how many of them were drawn independently of each other.
        reach: how far another effect may be from it; 0 where nobody knows.
    """

    kind: Literal["lost", "unchanged"]
    masks: int
    groups: int
    reach: float

    @property
    def rate(self) -> float:
        """Groups of masks that show another effect, at most, at 95%."""
        return 1.0 - (1.0 - LEVEL) ** (1.0 / self.groups)


def collapsed(observed: Effects, repeats: Floats, reach: float = 0.0) -> Collapse | None:
    """Whether all masks that lack a unit have one effect, to rounding in the scale of the scores.

    Args:
        observed: masks with their effects.
        repeats: effects of the whole prompt, shape ``(r,)``.
        reach: how far the target lets two effects be apart; 0 if nobody knows.
    """
    masked = observed.masks.sum(axis=1) < observed.n
    effects = observed.values[masked]
    if not len(effects):
        return None
    slack = max(resolution(np.append(effects, repeats)), _ROUNDING * reach)
    if float(np.ptp(effects)) > slack:
        return None
    apart = abs(float(repeats.mean() - effects.mean()))
    kind = "lost" if apart > slack else "unchanged"
    groups = len(np.unique(observed.groups[masked]))
    return Collapse(kind, len(effects), groups, max(reach, apart if kind == "lost" else 0.0))


def one_effect(observed: Effects) -> Collapse | None:
    """Whether all masks of a run have one effect, the whole prompt among them where it is one."""
    collapse = collapsed(observed, observed.whole, observed.reach)
    lacking = bool((observed.masks.sum(axis=1) < observed.n).all())
    return collapse if collapse is not None and (lacking or collapse.kind == "unchanged") else None


def collapsed_estimate(observed: Effects, collapse: Collapse) -> Estimate:
    """No sampled mask says which unit matters: a bound for each, where it is known how far effects can be apart.

    An attribution is the mean difference that a unit makes within groups of masks, so it is at most the share of groups
    in which anything differs times the reach; where units are kept with another chance than one half, the rarer side
    counts for more. Shapley values share out the total evenly, and carry the doubt of its two ends.
    """
    total = observed.total or 0.0
    values = np.full(observed.n, total / observed.n)
    if not collapse.reach:
        return Estimate(values, None, None, "none: every perturbed prompt had one effect")
    rarer = min(observed.keep, 1.0 - observed.keep)
    half = collapse.rate * collapse.reach * (0.5 / rarer if rarer > 0.0 else 1.0)
    if observed.total is not None:
        half += collapse.reach / observed.n
    method = f"rule of three: every perturbed prompt of {collapse.groups} groups had one effect"
    return Estimate(values, Interval(values, values - half, values + half), np.ones(observed.n), method)


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


def completed_estimate(found: Completed, noise: MeasuredNoise | None, *, level: float = LEVEL) -> Estimate:
    """The estimate where some of all masks have no answer; without an interval where nothing is known of the noise."""
    error, limits = found.error, None if noise is None else noise.limits(found.weights, found.error.estimate)
    if limits is None:
        return Estimate(error.estimate, None, None, "none: the model's noise was not measured")
    unit = student_half_width(np.ones(1), error.degrees, level=level)
    error = Error(error.estimate, np.hypot(error.standard, limits.half / unit), error.degrees)
    method = f"Student t over pairs held out: the surrogate stands for {found.missing} masks without an answer"
    return Estimate(error.estimate, error.interval(level), error.p_values(level), method)


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

    What the line misses is no error of it where nothing was sampled, though the sandwich of sampled masks
    counts it as one. No unit is tested, as where masks are sampled.

    Args:
        observed: masks with the weight of each under a kernel.
        noise: of their effects, where these are all masks there are; None where they were sampled.
    """
    sampled = _sandwich(observed)
    if noise is None or noise.source == "unknown":
        return sampled
    found = contrast(local_weights(observed), observed.values, noise)
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
        return Estimate(values, None, None, UNMEASURED.method if noise is None else noise.method)
    interval = Interval(values, values - limits.half, values + limits.half)
    return Estimate(values, interval, None if noise.source == "none" else limits.p_values, noise.method)
