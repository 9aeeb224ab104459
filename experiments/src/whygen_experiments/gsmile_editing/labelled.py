"""Instructions whose important words are known: the test bed of attributions for image editing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whygen.demo.painter import Scene, draw_scene
from whygen.errors import UsageError
from whygen.prompt.units import split
from whygen_experiments.gsmile_editing.instructions import draw_edits, interpret, outcomes, write_instruction


@dataclass(frozen=True, slots=True)
class LabelledEdit:
    """A scene, an instruction, and for each of its word units whether deleting it alone changes what is right.

    Attributes:
        scene: what the picture shows; `whygen.demo.painter.render` draws it.
        text: the instruction.
        spans: characters ``[start, end)`` of each unit.
        labels: True where the word matters.
    """

    scene: Scene
    text: str
    spans: tuple[tuple[int, int], ...]
    labels: tuple[bool, ...]


def label(scene: Scene, text: str) -> LabelledEdit:
    """The labels of an instruction, by the rule: each word is deleted and the outcome compared."""
    units = split(text)
    wanted = outcomes(scene, interpret(text))
    labels = tuple(outcomes(scene, interpret(text[:start] + " " + text[end:])) != wanted for start, end in units.spans)
    return LabelledEdit(scene, text, units.spans, labels)


def labelled_edits(n: int, rng: np.random.Generator, *, min_units: int = 8, max_units: int = 20) -> list[LabelledEdit]:
    """Held-out instructions (phrasings that training never showed) for scenes drawn anew.

    Args:
        n: how many.
        rng: the only source of chance.
        min_units: fewest words.
        max_units: most words.

    Raises:
        UsageError: if hardly any instruction has that length.
    """
    found: list[LabelledEdit] = []
    for _ in range(1000 * n):
        if len(found) == n:
            return found
        scene = draw_scene(rng)
        edits = draw_edits(scene, rng, changes=int(rng.integers(1, 3)))
        item = label(scene, write_instruction(edits, rng, part="held-out", padding=4))
        if min_units <= len(item.labels) <= max_units and any(item.labels):
            found.append(item)
    if len(found) == n:
        return found
    raise UsageError(
        f"Only {len(found)} of {n} instructions have {min_units} to {max_units} words: widen these limits."
    )
