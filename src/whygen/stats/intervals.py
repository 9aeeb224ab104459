"""Intervals from scores: the mean of independent groups, and how far it may be from the truth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit


class Interval(NamedTuple):
    """Estimate and two-sided limits, each of shape ``(n,)``."""

    estimate: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def student_half_width(
    variance: NDArray[np.float64], degrees: float | NDArray[np.float64], *, level: float = 0.95
) -> NDArray[np.float64]:
    """Half width of a t interval for an estimate of the given variance. Shapes broadcast."""
    return np.asarray(stdtrit(degrees, 0.5 + level / 2) * np.sqrt(variance), dtype=np.float64)


def tail_degrees(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Degrees of freedom of the variance of ``scores`` ``(groups, n)``, by Satterthwaite's rule.

    A variance estimated from heavy-tailed scores is itself uncertain: with kurtosis k it has the relative variance
    (k - 1) / groups, as a chi-squared of 2 groups / (k - 1) degrees would. Never more than groups - 1, never
    under 2. Shape ``(n,)``.
    """
    groups = len(scores)
    centred = scores - scores.mean(axis=0)
    second = (centred**2).mean(axis=0)
    fourth = (centred**4).mean(axis=0)
    kurtosis = np.where(second > 0, fourth / np.where(second > 0, second**2, 1.0), 3.0)
    return np.clip(2.0 * groups / np.maximum(kurtosis - 1.0, 1e-9), min(2.0, groups - 1.0), groups - 1.0)


def score_interval(
    scores: NDArray[np.float64],
    *,
    level: float = 0.95,
    sampled: float = 0.0,
    noise: float = 0.0,
    folds: int | None = None,
) -> Interval:
    """Interval for the mean of cross-fitted scores. METHODS A3, docs/decisions/0002-intervals.md.

    Args:
        scores: shape ``(groups, n)``; one row a pair of masks.
        level: two-sided coverage.
        sampled: share of all groups that was drawn (without replacement); 0 where there are too many to matter.
        noise: variance that the model's own noise adds to one score. It is not subject to the finite-population
            factor ``1 - sampled``: drawing every mask does not silence the model.
        folds: number of folds of the cross-fit; the surrogates of ``k`` folds rest on ``(k - 1) / k`` of the groups,
            and the degrees of freedom are reduced in that ratio.
    """
    groups = len(scores)
    spread = scores.var(axis=0, ddof=1)
    own = np.minimum(noise, spread)
    variance = ((spread - own) * (1.0 - sampled) + own) / groups
    degrees = tail_degrees(scores) * (1.0 if folds is None else (folds - 1) / folds)
    half = student_half_width(variance, np.maximum(degrees, 1.0), level=level)
    estimate = scores.mean(axis=0)
    return Interval(estimate, estimate - half, estimate + half)
