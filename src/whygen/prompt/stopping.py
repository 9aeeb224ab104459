"""When to stop asking, and what more calls would buy. Pure functions of scores and intervals. METHODS A3.

A run that stops at the first look whose intervals are narrow stops more often where they came out too narrow by chance;
benchmarks/coverage.py measures what that does to the coverage of the intervals it ends with.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whygen.errors import UsageError
from whygen.stats.intervals import Interval

FIRST_LOOK = 16
"""Pairs before the stop rule looks for the first time."""

GROWTH = 1.5
"""Each later look comes at so many times as many pairs."""

_NORMAL = 1.96
"""Half widths are read as so many standard errors; advice is about."""

AGREEING_LOOKS = 2
"""So many looks in a row must show the same first k units before their order counts as stable."""


def looks(pairs: int, n: int, *, first: int = FIRST_LOOK, growth: float = GROWTH) -> tuple[int, ...]:
    """Numbers of pairs at which a run looks whether it may stop; the last is the whole design.

    No look is between ``n`` and ``2 n`` pairs: there the surrogate turns from shrinking to interpolating, the scores of
    different folds depend on each other most, and a run that stops at the narrowest of such intervals stops too early
    (docs/decisions/0002-intervals.md).

    Args:
        pairs: pairs of the whole design.
        n: number of units.
        first: pairs at the first look.
        growth: ratio of one look to the one before.

    Raises:
        UsageError: if there is no pair, or the looks would not grow.
    """
    if pairs < 1 or first < 1 or growth <= 1.0:
        raise UsageError(
            f"pairs={pairs}, first={first}, growth={growth}: give at least one pair and a growth over 1, such as 1.5."
        )
    found: list[int] = []
    at = float(first)
    while int(at) < pairs:
        if (not found or int(at) > found[-1]) and not n <= int(at) <= 2 * n:
            found.append(int(at))
        at *= growth
    return (*found, pairs)


def widest(interval: Interval | None) -> float:
    """Width of the widest interval, in the target's unit; infinite where there is none."""
    return math.inf if interval is None else float((interval.high - interval.low).max(initial=0.0))


def is_sharp(interval: Interval | None, tolerance: float) -> bool:
    """Whether the widest interval is at most ``tolerance`` (a width, low to high, in the target's unit)."""
    return widest(interval) <= tolerance


def top_order(attributions: NDArray[np.float64], k: int) -> tuple[int, ...]:
    """The ``k`` units of largest absolute attribution, largest first; ties go to the earlier unit."""
    return tuple(np.argsort(-np.abs(attributions), kind="stable")[:k].tolist())


def is_stable(history: list[NDArray[np.float64]], k: int, *, agreeing: int = AGREEING_LOOKS) -> bool:
    """Whether the last ``agreeing`` looks order the same first ``k`` units alike.

    That says nothing about how far an attribution is from the truth: a run that ends by it is reported as "order
    stable", never as precise.

    Args:
        history: attributions ``(n,)`` at each look so far.
        k: how many units the order is about.
        agreeing: looks in a row that must agree, at least 2.

    Raises:
        UsageError: if ``k`` or ``agreeing`` makes no comparison.
    """
    if k < 1 or agreeing < 2:
        raise UsageError(f"k={k}, agreeing={agreeing}: give at least one unit and at least two looks.")
    recent = {top_order(attributions, k) for attributions in history[-agreeing:]}
    return len(history) >= agreeing and len(recent) == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What it would take to halve the widest interval.

    Attributes:
        width: of the widest interval now, low to high, in the target's unit.
        calls: further calls for masks that would about halve it; None where no number of masks would.
        floor: about the width that is left when every mask has been asked: the model's own noise.
        sentence: the same for people.
    """

    width: float
    calls: int | None
    floor: float
    sentence: str


def advice(
    half_widths: NDArray[np.float64],
    *,
    pairs: int,
    draws: int = 1,
    population: int | None = None,
    noise: float = 0.0,
    size: float = 0.0,
    seen: bool = True,
) -> Advice:
    """How many more calls would halve the widest interval.

    After P of F pairs the variance of an attribution is ``a (1/P - 1/F) + e/P``: ``a`` from the choice of masks, ``e``
    from the model's own noise (docs/decisions/0002-intervals.md). A quarter of it needs
    ``(a + e) / (variance / 4 + a / F)`` pairs: three times as many again where F is endless; fewer near exhaustion, as
    the last masks leave no doubt about masks; and more than there are where the noise alone is over a quarter.

    Args:
        half_widths: of the 95% intervals, shape ``(n,)``, in the target's unit.
        pairs: pairs asked for so far.
        draws: calls for each mask.
        population: pairs there are; None where they are too many to matter.
        noise: variance that the model's own noise adds to one pair score, as in `score_error`.
        size: of the largest attribution; a width that is rounding error beside it is none.
        seen: whether that noise was seen; else it is what repeats that agreed leave possible.

    Raises:
        UsageError: if there is no pair, or fewer in all than were asked for.
    """
    if pairs < 1 or draws < 1 or (population is not None and population < pairs):
        raise UsageError(
            f"pairs={pairs}, draws={draws}, population={population}: give at least one pair and at most all of them."
        )
    width = 2.0 * float(half_widths.max(initial=0.0))
    if width <= _ROUNDING * size:
        return Advice(width=0.0, calls=0, floor=0.0, sentence="The intervals have no width: more calls change nothing.")
    if population is None:
        calls = 6 * draws * pairs
        return Advice(width=width, calls=calls, floor=0.0, sentence=_more(calls, width))
    variance = (width / 2.0 / _NORMAL) ** 2
    own = min(noise, variance * pairs)
    masks = (variance - own / pairs) / (1.0 / pairs - 1.0 / population) if pairs < population else 0.0
    floor = 2.0 * _NORMAL * math.sqrt(own / population)
    needed = math.ceil((masks + own) / (variance / 4.0 + masks / population) * (1.0 - 1e-9))
    if needed > population:
        return Advice(width=width, calls=None, floor=floor, sentence=_no_more(population, floor, seen=seen))
    calls = 2 * draws * (needed - pairs)
    return Advice(width=width, calls=calls, floor=floor, sentence=_more(calls, width))


_ROUNDING = 1e-9
"""Share of the largest attribution up to which a width is rounding error."""


def _more(calls: int, width: float) -> str:
    return f"About {calls:,} more calls would halve the intervals; the widest is {width:.3g} wide now."


def _no_more(population: int, floor: float, *, seen: bool) -> str:
    what = "is the model's own noise" if seen else "repeats that agreed do not rule out as the model's own noise"
    return (
        f"No number of masks halves the intervals: all {population:,} pairs would leave {floor:.3g}, which {what}. "
        "Ask each mask more often (draws=)."
    )
