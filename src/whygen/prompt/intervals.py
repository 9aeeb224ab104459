"""Attributions with intervals, p-values and a band that belong together. METHODS A2, A3.

The middle of every interval is the mean of cross-fitted scores (`crossfit`), its half width and the p-value come from
one standard error, and the value that is reported lies well inside: a unit is significant exactly where its interval
excludes zero (before the correction for the number of units, which the report says).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq  # pyright: ignore[reportUnknownVariableType]

from whygen.errors import DataError
from whygen.prompt.crossfit import FEWEST_GROUPS, MET, TRANSLATION, CrossFit, cross_fit, folds_for, noise_of_score
from whygen.prompt.effects import Effects
from whygen.stats.intervals import Error, Interval, simultaneous, student_half_width
from whygen.types import Floats

__all__ = [
    "FEWEST_GROUPS", "LEVEL", "LEVEL_OF_LOOKS", "LIKE_THESE", "CrossFit", "Estimate", "cross_fit", "folds_for",
    "local_estimate", "noise_of_score", "sampled_error", "sampled_estimate", "shapley_error", "shapley_estimate",
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
    """

    attributions: NDArray[np.float64]
    interval: Interval | None
    p_values: NDArray[np.float64] | None
    method: str
    effective: float | None = None
    predicted: NDArray[np.float64] | None = None
    fitted: NDArray[np.float64] | None = None
    band: Interval | None = None


def sampled_error(fit: CrossFit, *, noise: float = 0.0, span: float = 0.0, whole: float | None = None) -> Error:
    """The Banzhaf values in the middle of their intervals, and how far they may be off.

    Args:
        fit: the scores.
        noise: variance of one effect under repetition, from redrawn prompts; 0 when repeats did not differ.
        span: range of all effects that are known, see `CrossFit.error`.
        whole: effect of the whole prompt, see `CrossFit.least_error`.
    """
    return fit.error(noise=noise, span=span).at_least(fit.least_error(whole))


def sampled_estimate(
    fit: CrossFit,
    rng: np.random.Generator,
    *,
    noise: float = 0.0,
    span: float = 0.0,
    whole: float | None = None,
    level: float = LEVEL,
) -> Estimate:
    """Banzhaf values of less squared error than the middle of their intervals, and all that belongs to them.

    Args:
        fit: the scores.
        rng: draws the signs of the band.
        noise: as for `sampled_error`.
        span: as for `sampled_error`.
        whole: as for `sampled_error`.
        level: of the intervals; `LEVEL_OF_LOOKS` where a stop rule may end the run.
    """
    error = sampled_error(fit, noise=noise, span=span, whole=whole)
    values = fit.values(error.estimate, error.half_width(level))
    return _estimate(fit, error, values, rng, level=level, method="Student t over cross-fitted scores")


def shapley_error(fit: CrossFit, observed: Effects, *, noise: float = 0.0, shared: float = 0.0) -> Error:
    """The Shapley values in the middle of their intervals, projected onto efficiency: they sum to f(1) - f(0).

    Args:
        fit: the scores.
        observed: masks drawn by size, with their ``total``.
        noise: variance of one effect under repetition.
        shared: variance of the total under repetition, which every value carries an n-th of.

    Raises:
        ValueError: if ``observed`` has no total.
    """
    if observed.total is None:
        raise ValueError("Shapley values need Effects.total, f(1) - f(0)")
    error = fit.error(noise=noise, span=max(float(np.ptp(observed.values)), abs(observed.total)))
    middle: Floats = error.estimate + (observed.total - float(error.estimate.sum())) / observed.n
    standard: Floats = np.hypot(error.standard, np.sqrt(shared) / observed.n)
    return Error(middle, standard, error.degrees).at_least(fit.least_error())


def shapley_estimate(
    fit: CrossFit,
    observed: Effects,
    rng: np.random.Generator,
    *,
    noise: float = 0.0,
    shared: float = 0.0,
    level: float = LEVEL,
) -> Estimate:
    """Shapley values of less squared error than the middle of their intervals, and all that belongs to them.

    The values are those nearest to `CrossFit.values` that sum to f(1) - f(0), to rounding, and stay as near the middle
    as those do. Arguments as for `shapley_error` and `sampled_estimate`.
    """
    error = shapley_error(fit, observed, noise=noise, shared=shared)
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


def local_estimate(observed: Effects) -> Estimate:
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
