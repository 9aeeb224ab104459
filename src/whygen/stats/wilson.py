"""Wilson's interval for a share: it stays within [0, 1] and keeps its level where counts are 0 or small."""

from __future__ import annotations

import math

from scipy.special import ndtri  # pyright: ignore[reportMissingTypeStubs]

from whygen.errors import UsageError


def wilson(successes: int, trials: int, *, level: float = 0.95) -> tuple[float, float]:
    """Two-sided score interval for a binomial share.

    Args:
        successes: how many of the trials had the property, 0 to ``trials``.
        trials: how many there were; with none, nothing is known and the interval is (0, 1).
        level: coverage asked for, within (0, 1).

    Returns:
        Lower and upper end, both within [0, 1].

    Raises:
        UsageError: if the counts are not a share, or the level is outside (0, 1).

    Source: Wilson 1927, JASA 22:209-212, without continuity correction.
    """
    if not 0 < level < 1:
        raise UsageError(f"level={level} is not a level; give a number between 0 and 1, such as 0.95.")
    if not 0 <= successes <= trials:
        raise UsageError(f"successes={successes} of trials={trials} is not a share; give 0 <= successes <= trials.")
    if trials == 0:
        return 0.0, 1.0
    z2 = float(ndtri(0.5 + level / 2)) ** 2
    share = successes / trials
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = math.sqrt(z2 * (share * (1 - share) / trials + z2 / (4 * trials**2))) / (1 + z2 / trials)
    # At the ends the formula is 0 or 1 exactly; rounding must not say otherwise.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == trials else min(1.0, centre + half)
    return low, high
