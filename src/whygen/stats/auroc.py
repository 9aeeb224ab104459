"""The area under the ROC curve of two sets of scores, with an interval."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri  # pyright: ignore[reportMissingTypeStubs]

from whygen.errors import UsageError


def auroc(low: ArrayLike, high: ArrayLike, *, level: float = 0.95) -> tuple[float, float, float]:
    """Chance that a score of ``high`` exceeds one of ``low``, ties counting half, with its interval.

    The variance is DeLong's; the ends are those of Wilson's interval for a share of as many trials as have that
    variance, at most the smaller number of scores: near 0 and 1 a normal interval would leave [0, 1] or have no width.

    Args:
        low: shape ``(m,)``, finite.
        high: shape ``(n,)``, finite.
        level: coverage asked for.

    Returns:
        The area, and both ends of its interval, each within [0, 1].

    Raises:
        UsageError: if a set is empty, or the level is outside (0, 1).

    Sources: DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44:837; decision 13 for the ends.
    """
    one, other = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    if not one.size or not other.size:
        raise UsageError("An area under the ROC curve needs at least one score of each set.")
    if not 0 < level < 1:
        raise UsageError(f"level={level} is not a level; give a number between 0 and 1, such as 0.95.")
    of_one, of_other = 1 - _placed(one, other), _placed(other, one)
    area, fewest = float(of_other.mean()), min(len(one), len(other))
    variance = _part(of_one) + _part(of_other)
    trials = float(fewest) if variance <= 0 else min(area * (1 - area) / variance, float(fewest))
    if trials <= 0:
        return area, 0.0, 1.0
    z2 = float(ndtri(0.5 + level / 2)) ** 2
    centre = (area + z2 / (2 * trials)) / (1 + z2 / trials)
    half = math.sqrt(z2 * (area * (1 - area) / trials + z2 / (4 * trials**2))) / (1 + z2 / trials)
    return area, min(area, max(0.0, centre - half)), max(area, min(1.0, centre + half))


def _placed(scores: NDArray[np.float64], among: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each score the share of ``among`` below it, ties counting half."""
    ordered = np.sort(among)
    below, upto = np.searchsorted(ordered, scores, side="left"), np.searchsorted(ordered, scores, side="right")
    return (below + upto) / (2 * len(ordered))


def _part(placements: NDArray[np.float64]) -> float:
    return float(placements.var(ddof=1) / len(placements)) if len(placements) > 1 else 0.0
