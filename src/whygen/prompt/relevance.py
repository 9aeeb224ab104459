"""Answers that have nothing to do with what the model said: the thesis's hallucination gate, with a level of its own.

An answer is irrelevant when it is as far from the references as texts about other things are. The line is the distance
under which only the nearest quarter of such texts lie; they come with the package, so no call is spent. METHODS A8.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from whygen.errors import UnknownNameError, UsageError
from whygen.prompt.effects import Effects
from whygen.prompt.intervals import Estimate
from whygen.prompt.targets import Target
from whygen.stats.intervals import Interval, student_half_width
from whygen.types import Floats, Output

CHOICES = ("count", "exclude")
"""What becomes of irrelevant answers: they are counted, or attributions are those among the relevant ones."""

NEAREST = 0.25
"""This share of the texts about other things may be nearer than the line."""

MANY = 0.2
"""Share of irrelevant answers from which a warning is given."""

_ROUNDING = 1e-9
_ENUMERABLE = 20
"""Units whose masks can all be asked."""

GRADED = frozenset(
    {"optimal-transport", "sinkhorn", "sliced", "energy", "mmd", "cosine", "euclidean", "tfidf", "token-set"}
)
"""Targets that grade how far texts are apart by their words or meaning; others have no level."""

ELSEWHERE = (
    "The recipe asks for two eggs, a cup of flour and a little butter; bake it for half an hour until it is brown.",
    "Shares fell on Tuesday after the central bank raised its rate by a quarter of a percentage point.",
    "To reset the router, hold the small button on its back for ten seconds and wait until the light turns green.",
    "The home side scored twice in the last five minutes and won the match by three goals to two.",
    "Photosynthesis turns light, water and carbon dioxide into sugar; it takes place in the leaves of plants.",
    "Dear Mrs Miller, thank you for your letter of the third of May. We shall send the missing parts next week.",
    "The train to the coast leaves at seven from platform four and calls at every station on its way.",
    "In 1815 the treaty was signed, and the border between the two kingdoms ran along the river.",
    "A triangle whose sides measure three, four and five has a right angle between the two shorter ones.",
    "The patient should take one tablet twice a day after meals, and see the doctor again in a fortnight.",
    "The guitar and the drums begin together, and the singer joins them in the second verse.",
    "Rain is expected in the north tomorrow, with strong winds in the mountains and snow above 2,000 metres.",
)
"""Short texts about different things; one or two of them may be near a reference by chance."""


def check_choice(choice: str) -> None:
    """Refuse an unknown choice.

    Raises:
        UnknownNameError: naming those there are.
    """
    if choice not in CHOICES:
        raise UnknownNameError("value of irrelevant", choice, CHOICES)


def level(target: Target, references: Sequence[Output]) -> float | None:
    """The effect at which an answer is irrelevant; None where the target cannot tell.

    It does not compare texts; or texts about other things are all as far as can be, since the references have no word
    of theirs (a number, a label): then every other answer would be one of them.
    """
    if target.record.name not in GRADED or any(not output.said.strip() for output in references):
        return None
    effects = target.effects([Output(text=text) for text in ELSEWHERE], references)
    line = float(np.quantile(effects, 1.0 - NEAREST))
    return line if line > effects.min() + _ROUNDING else None


def irrelevant(effects: NDArray[np.float64], line: float | None) -> NDArray[np.bool_]:
    """Which effects are at or under the line, as booleans of the same shape; NaN is not."""
    if line is None:
        return np.zeros(effects.shape, dtype=bool)
    return np.asarray(effects <= line)


def among_relevant(observed: Effects, draws: Floats, strange: NDArray[np.bool_]) -> Estimate:
    """Banzhaf values among relevant answers: their mean effect with a unit, less that without it.

    Each mean is a ratio of two: effects of relevant answers over their number, so masks with more of them weigh more
    and none is hidden with the group it belongs to. Intervals by linearisation over groups (Cochran, Sampling
    Techniques, 1977, section 6.4). What a unit does to the chance of a relevant answer is no part of it, see
    `on_relevance`.

    Args:
        observed: the masks.
        draws: effects of all draws, shape ``(m, d)``; NaN where a mask was drawn less often.
        strange: which of them are about something else, same shape.

    Raises:
        UsageError: if a unit has no relevant answer with it, or none without it.
    """
    kept = ~np.isnan(draws) & ~strange
    number = (~np.isnan(draws)).sum(axis=1)
    share: Floats = kept.sum(axis=1) / number
    total: Floats = np.where(kept, draws, 0.0).sum(axis=1) / number
    arms = _arms(observed)
    if any(not (arm.T @ share).all() for arm in arms):
        raise UsageError(
            "irrelevant='exclude' leaves no pair of masks: all answers with one of the units, or without it, are about "
            "something else. Use irrelevant='count', or pin what keeps the model on its subject."
        )
    means = [arm.T @ total / (arm.T @ share) for arm in arms]
    parts = [
        arm * (total[:, None] - mean * share[:, None]) / (arm.T @ share) for arm, mean in zip(arms, means, strict=True)
    ]
    return _by_groups(means[0] - means[1], parts[0] - parts[1], observed, spread=float(np.std(draws[kept])))


def on_relevance(observed: Effects, draws: Floats, strange: NDArray[np.bool_]) -> Estimate:
    """Banzhaf values of the chance of a relevant answer; arguments as of `among_relevant`."""
    drawn = ~np.isnan(draws)
    share: Floats = (drawn & ~strange).sum(axis=1) / drawn.sum(axis=1)
    with_it, without = _arms(observed)
    means = [arm.T @ share / arm.sum(axis=0) for arm in (with_it, without)]
    one = with_it * (share[:, None] - means[0]) / with_it.sum(axis=0)
    other = without * (share[:, None] - means[1]) / without.sum(axis=0)
    return _by_groups(means[0] - means[1], one - other, observed, spread=float(np.std(share)))


def _arms(observed: Effects) -> tuple[Floats, Floats]:
    """Weights ``(m, n)`` of the masks with each unit, and of those without it."""
    weights: Floats = observed.ratio()[:, None]
    return observed.masks * weights, ~observed.masks * weights


def _by_groups(values: Floats, parts: Floats, observed: Effects, *, spread: float) -> Estimate:
    """Student's t over groups, whose ``parts`` ``(m, n)`` sum to the error of each value.

    Where the drawn masks agree, others may not: one group more, as far off as answers are (``spread``), bounds the
    error from below, unless all masks were asked.
    """
    names, group_of = np.unique(observed.groups, return_inverse=True)
    sums = np.zeros((len(names), parts.shape[1]))
    np.add.at(sums, group_of, parts)
    degrees = max(len(names) - 1.0, 1.0)
    variance: Floats = (sums**2).sum(axis=0) * len(names) / degrees
    masks, units = observed.masks.shape
    if units > _ENUMERABLE or masks < 2**units:
        variance = np.maximum(variance, (2.0 * spread / (len(names) + 1.0)) ** 2)
    half = student_half_width(variance, degrees)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(variance > 0.0, np.abs(values) / np.sqrt(variance), 0.0)
    p_values = np.asarray(2.0 * stdtr(degrees, -ratio), dtype=np.float64)
    return Estimate(values, Interval(values, values - half, values + half), p_values, "among relevant answers")
