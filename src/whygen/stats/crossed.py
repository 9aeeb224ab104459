"""Scores of masks crossed with inputs: what holds for inputs like those that were seen."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from whygen.stats.intervals import Interval, student_half_width

Floats: TypeAlias = NDArray[np.float64]


def between_inputs(scores: Floats, *, sampled: float = 0.0) -> Floats:
    """Variance of the mean over inputs that comes from the choice of inputs alone. METHODS A4.

    Two-way random effects (Searle, Casella & McCulloch, Variance Components, 1992, section 4.4): the variance of the
    inputs' means, less the share of it that comes from the masks each mean was taken over,

        max(0, s2_inputs - (1 - sampled) s2_residual / pairs) / inputs.

    Args:
        scores: shape ``(inputs, pairs, n)``; every input was asked about the same pairs.
        sampled: share of all pairs that was drawn.

    Returns:
        Shape ``(n,)``.
    """
    inputs, pairs, _ = scores.shape
    means = scores.mean(axis=1)
    residual = scores - means[:, None] - scores.mean(axis=0) + scores.mean(axis=(0, 1))
    spread = (residual**2).sum(axis=(0, 1)) / ((inputs - 1) * max(pairs - 1, 1))
    own = means.var(axis=0, ddof=1) - (1.0 - sampled) * spread / pairs
    return np.maximum(own, 0.0) / inputs


def share_unseen(inputs: int, *, level: float = 0.95) -> float:
    """The share of all inputs, at most, that so many like them may have missed: the rule of three. METHODS A4.

    If a share p of inputs is other than the rest, none of so many is with a chance of ``(1 - p)^inputs``: inputs that
    agree in everything leave room for ``1 - (1 - level)^(1 / inputs)``, about three over their number (Hanley and
    Lippman-Hand 1983, JAMA 249:1743-1745).
    """
    return 1.0 - (1.0 - level) ** (1.0 / inputs)


def at_least(interval: Interval, half: Floats) -> Interval:
    """An interval whose half widths are ``half`` ``(n,)`` at least."""
    half = np.maximum((interval.high - interval.low) / 2.0, half)
    return Interval(interval.estimate, interval.estimate - half, interval.estimate + half)


def widened(interval: Interval, added: Floats, inputs: int) -> Interval:
    """An interval for inputs like these, from one for these inputs and the variance ``(n,)`` that inputs add."""
    half = np.hypot(interval.high - interval.estimate, student_half_width(added, inputs - 1.0))
    return Interval(interval.estimate, interval.estimate - half, interval.estimate + half)


def student_p(interval: Interval, degrees: float, *, zero: float = 1e-12) -> Floats:
    """Two-sided p-values of "the estimate is zero" that agree with a 95% interval of these degrees of freedom.

    Args:
        interval: estimates with limits, each of shape ``(n,)``.
        degrees: of Student's t.
        zero: estimates below this count as zero: they hold only rounding.
    """
    error = (interval.high - interval.estimate) / student_half_width(np.array(1.0), degrees)
    size = np.abs(interval.estimate)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.where(error > 0, 2.0 * stdtr(degrees, -size / error), 0.0)
    return np.where(size <= zero, 1.0, p)
