"""Is a mean under a margin? Tests by betting, for values of which only the largest possible one is known.

Somebody bets on each value that the mean is under ``margin``, and could never win in the long run if it were not: what
a stake of 1 has grown to, after any number of values and whenever one looks, exceeds ``1 / error`` with a chance of at
most ``error`` then (Ville's inequality; Waudby-Smith and Ramdas 2024, JRSS B 86:1-27, section 3). Nothing is supposed
of the shape: a hundred values of 0 say no more than the rule of three, where Student's t would be sure.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

LARGEST = 1.0
"""No value is over it; values may be negative."""

_STAKES: Floats = np.array([1.0, 0.7, 0.4, 0.2, 0.1])
_WEIGHTS: Floats = np.array([0.5, 0.2, 0.1, 0.1, 0.1])
"""Shares of the largest stake that may be put on a value, and how much of the first money goes to each: half of it is
ready for values that are all 0 (one of 1 loses it), the rest for a spread that nobody knows."""


def evidence_below(values: Floats, margin: float) -> float:
    """What a stake of 1 has grown to after these values, in any order; at most 1 on average if the mean is a margin.

    With stakes ``s_j = c_j / (1 - margin)`` it is the weighted mean of ``prod_i (1 + s_j (margin - value_i))``.

    Values must be independent with one mean; or independent with means of their own, the same ones round for round
    (what is tested is their average then, and evidence counts at the end of a round: a product of unequal means is at
    most that of their average).

    Args:
        values: shape ``(n,)``, each at most `LARGEST`.
        margin: what the mean is to be under, within (0, 1).
    """
    stakes = _STAKES / (LARGEST - margin)
    with np.errstate(divide="ignore"):
        logs: Floats = np.log(np.maximum(1.0 + stakes[:, None] * (margin - values[None, :]), 0.0)).sum(axis=1)
    return float(_WEIGHTS @ np.exp(np.minimum(logs, 700.0)))


def upper_bound(values: Floats, error: float) -> float:
    """The smallest margin that the mean is shown to be under, but for a chance of ``error``; 1 where none is."""
    low, high = max(0.0, float(values.mean()) if len(values) else 0.0), LARGEST
    for _ in range(40):
        middle = (low + high) / 2.0
        if middle < LARGEST and evidence_below(values, middle) >= 1.0 / error:
            high = middle
        else:
            low = middle
    return high


def fewest(margin: float, error: float) -> int:
    """How many values are needed if all of them are 0."""
    return math.ceil(math.log(1.0 / (error * float(_WEIGHTS[0]))) / -math.log1p(-margin))


def smallest_margin(number: int, error: float) -> float:
    """The margin that so many values can show if all of them are 0."""
    return 1.0 - (error * float(_WEIGHTS[0])) ** (1.0 / number)
