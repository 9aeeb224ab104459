"""Prompts whose important words are known: the test bed of attributions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from training.storyteller.instructions import FILLERS, Instruction, draw_slots, write_instruction
from training.storyteller.words import NAMES, Slot
from whygen.errors import UsageError
from whygen.prompt.units import split


@dataclass(frozen=True, slots=True)
class LabelledPrompt:
    """A prompt, and for each of its word units whether it names something that the story must tell.

    Attributes:
        text: the prompt.
        spans: characters ``[start, end)`` of each unit.
        labels: True where deleting the unit alone changes what must be told.
        slots: what the prompt asks for.
    """

    text: str
    spans: tuple[tuple[int, int], ...]
    labels: tuple[bool, ...]
    slots: Mapping[Slot, str]


def label(instruction: Instruction) -> LabelledPrompt:
    """The labels of an instruction: its slot words."""
    units = split(instruction.text)
    labels = tuple(text.lower() in NAMES for text in units.texts)
    return LabelledPrompt(instruction.text, units.spans, labels, instruction.slots)


def labelled_prompts(
    n: int,
    rng: np.random.Generator,
    *,
    min_units: int = 15,
    max_units: int = 40,
    min_share: float = 0.15,
    max_share: float = 0.40,
    fillers: Sequence[str] = FILLERS,
) -> list[LabelledPrompt]:
    """Held-out prompts (phrasings that training never showed) of a given length and share of labelled units.

    Args:
        n: how many.
        rng: the only source of chance.
        min_units: fewest word units, punctuation counted.
        max_units: most word units.
        min_share: least share of labelled units.
        max_share: greatest share of labelled units.
        fillers: irrelevant words to mix in.

    Raises:
        UsageError: if hardly any prompt has that length and share.
    """
    found: list[LabelledPrompt] = []
    for _ in range(1000 * n):
        if len(found) == n:
            return found
        slots = draw_slots(rng, share=float(rng.uniform(0.4, 1.0)))
        prompt = label(write_instruction(slots, rng, part="held-out", fillers=fillers))
        share = sum(prompt.labels) / len(prompt.labels)
        if min_units <= len(prompt.labels) <= max_units and min_share <= share <= max_share:
            found.append(prompt)
    if len(found) == n:
        return found
    raise UsageError(
        f"Only {len(found)} of {n} prompts have {min_units} to {max_units} units and a labelled share of "
        f"{min_share:g} to {max_share:g}: widen these limits."
    )
