"""Answers that have nothing to do with what the model said: the thesis's hallucination gate, with a level of its own.

An answer is irrelevant when it is as far from the references as texts about other things are. The line is the distance
under which only the nearest quarter of such texts lie; they come with the package, so no call is spent. METHODS A8.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from whygen.errors import UnknownNameError
from whygen.prompt.targets import Target
from whygen.types import Output

CHOICES = ("count", "exclude")
"""What becomes of irrelevant answers: they are counted, or their pairs of masks are left out."""

NEAREST = 0.25
"""This share of the texts about other things may be nearer than the line."""

MANY = 0.2
"""Share of irrelevant answers from which a warning is given."""

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
    """The effect at which an answer is irrelevant; None where the target does not compare texts."""
    if target.record.name not in GRADED or any(not output.text.strip() for output in references):
        return None
    effects = target.effects([Output(text=text) for text in ELSEWHERE], references)
    return float(np.quantile(effects, 1.0 - NEAREST))


def irrelevant(effects: NDArray[np.float64], line: float | None) -> NDArray[np.bool_]:
    """Which effects are at or under the line, as booleans of the same shape; NaN is not."""
    if line is None:
        return np.zeros(effects.shape, dtype=bool)
    return np.asarray(effects <= line)
