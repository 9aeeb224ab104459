"""Intervals from scores: the mean of independent groups, and how far it may be from the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit


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
    # A kurtosis has no scale, and fourth powers of small or large scores are no numbers. Powers of two change no digit.
    centred = np.ldexp(centred, -np.frexp(np.abs(centred).max(axis=0, initial=0.0))[1])
    second = (centred**2).mean(axis=0)
    fourth = (centred**4).mean(axis=0)
    kurtosis = np.where(second > 0, fourth / np.where(second > 0, second**2, 1.0), 3.0)
    return np.clip(2.0 * groups / np.maximum(kurtosis - 1.0, 1e-9), min(2.0, groups - 1.0), groups - 1.0)


def satterthwaite(*parts: tuple[NDArray[np.float64], NDArray[np.float64]]) -> NDArray[np.float64]:
    """Degrees of freedom of a sum of independent variances, each given with its own. Shapes broadcast."""
    total = np.asarray(sum(variance for variance, _ in parts))
    doubt = np.asarray(sum(variance**2 / degrees for variance, degrees in parts))
    fewest = np.minimum.reduce([degrees for _, degrees in parts])
    return np.asarray(np.divide(total**2, doubt, out=fewest.astype(np.float64), where=doubt > 0.0), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Error:
    """How far an estimate may be off: standard errors and degrees of freedom, each ``(n,)``.

    One object gives the interval, the p-value and the band of an estimate, so that they cannot contradict each other.
    """

    estimate: NDArray[np.float64]
    standard: NDArray[np.float64]
    degrees: NDArray[np.float64]

    def at_least(self, standard: float | NDArray[np.float64]) -> Error:
        """The same, with no standard error under ``standard``."""
        return Error(self.estimate, np.maximum(self.standard, standard), self.degrees)

    def half_width(self, level: float = 0.95) -> NDArray[np.float64]:
        """Half width of the two-sided t interval, shape ``(n,)``."""
        return student_half_width(self.standard**2, self.degrees, level=level)

    def interval(self, level: float = 0.95, *, wider: float = 1.0) -> Interval:
        """The two-sided t interval, its half widths times ``wider``."""
        half = wider * self.half_width(level)
        return Interval(self.estimate, self.estimate - half, self.estimate + half)

    def p_values(self, level: float = 0.95) -> NDArray[np.float64]:
        """Two-sided p-values of zero, at most .05 exactly where the interval of that ``level`` excludes zero, ``(n,)``.

        An estimate without error has 0, or 1 where it is zero itself.
        """
        scale = self.half_width(level) / stdtrit(self.degrees, 0.975)
        exact = np.where(self.estimate == 0.0, 0.0, np.inf)
        ratio = np.divide(np.abs(self.estimate), scale, out=exact, where=scale > 0.0)
        return np.asarray(2.0 * stdtr(self.degrees, -ratio), dtype=np.float64)


def moderated(variance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Variances ``(n,)`` of the units, none under their mean.

    Where few scores carry the variance of a unit, it comes out too small as often as these are not drawn; that of all
    units together does not (Smyth 2004, Statistical Applications in Genetics and Molecular Biology 3:3, draws each
    towards the common one; docs/decisions/0009-shapley-and-keep.md).
    """
    return np.maximum(variance, variance.mean())


def simultaneous(
    scores: NDArray[np.float64], rng: np.random.Generator, *, level: float = 0.95, flips: int = 999
) -> float:
    """How many times as wide intervals must be to hold all at once: the largest ``|t|`` under sign flips. At least 1.

    A sign is common to all scores of a group, so that their correlation counts, and each flipped sample is studentised
    by its own spread (Chernozhukov, Chetverikov and Kato 2013, Annals of Statistics 41:2786-2819, for the maximum of
    means under random multipliers).

    Args:
        scores: shape ``(groups, n)``.
        rng: draws the signs.
        level: of the band.
        flips: random sign patterns.
    """
    groups = len(scores)
    centred = scores - scores.mean(axis=0)
    squares = (centred**2).sum(axis=0)
    alive = squares > 0.0
    if groups < 3 or np.count_nonzero(alive) < 2:
        return 1.0
    signs = rng.choice(np.array([-1.0, 1.0]), size=(flips, groups))
    sums = signs @ centred[:, alive]
    left = np.maximum(squares[alive] - sums**2 / groups, 1e-12 * squares[alive])
    largest = (np.abs(sums) / np.sqrt(left * groups / (groups - 1.0))).max(axis=1)
    return max(1.0, float(np.quantile(largest, level) / stdtrit(groups - 1.0, 0.5 + level / 2)))


def score_error(
    scores: NDArray[np.float64], *, sampled: float = 0.0, noise: float = 0.0, folds: int | None = None
) -> Error:
    """The mean of cross-fitted scores, and how far it may be off. METHODS A3, docs/decisions/0002-intervals.md.

    Args:
        scores: shape ``(groups, n)``; one row a pair of masks.
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
    return Error(scores.mean(axis=0), np.sqrt(variance), np.maximum(degrees, 1.0))
