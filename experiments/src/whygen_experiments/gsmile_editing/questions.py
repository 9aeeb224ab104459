"""What ``whygen reproduce gsmile-editing`` asks: the published instructions, and what the painter knows in their place.

Sources: the nine conditions are those of the authors' stability folder (Mapping-the-Mind-of-an-Instruction-based-Image-
Editing-using-SMILE; one instruction of the nine is published, the others follow its wording), the labelled instructions
those of `edit_labels.json`, which cites its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from whygen.demo.painter import Scene, draw_scene, render
from whygen.media import pictures
from whygen.types import Edit, JsonValue, Picture
from whygen_experiments.gsmile_editing.labelled import labelled_edits

LABELS = Path(__file__).parents[1] / "data" / "edit_labels.json"
MARK = "###"
"""What the published stability test appends to an instruction; the meaning stays the same."""

CONDITIONS = ("autumn", "blur", "color", "evening", "night", "rain drop", "snow", "sunny", "winter")
PHRASE = "transform it to become {condition}"
"""The authors' own words for the condition ``blur``; the other eight instructions are not published."""

PAINTER_CONDITIONS: Mapping[str, str] = {
    "autumn": "please change the colour of the tree to golden",
    "blur": "now erase the ball from the picture",
    "color": "please change the colour of the house to blue",
    "evening": "change the sky to dusk right now",
    "night": "please change the time to night",
    "rain drop": "change the weather to snowy for me",
    "snow": "please add some snow right now",
    "sunny": "please put a sun in the sky",
    "winter": "now change the weather to winter",
}
"""What the painter can do in place of each condition: it knows neither blur nor rain."""

LABELLED = 16
"""Instructions drawn for the painter."""
SEED = 2412
PAINTER_WORDS = (6, 14)
"""Words of a labelled instruction to the painter; the published ones have 4 to 9."""


@dataclass(frozen=True, slots=True)
class Question:
    """An edit to explain.

    Attributes:
        name: the condition or category it stands for.
        edit: what is sent.
        labels: whether each word (cut at white space) matters; None where that is not known.
    """

    name: str
    edit: Edit
    labels: tuple[bool, ...] | None = None

    @property
    def marked(self) -> Edit:
        """The same edit with `MARK` at the end of the instruction."""
        return Edit(self.edit.image, f"{self.edit.instruction} {MARK}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """All that is asked of one editor.

    Attributes:
        stability: the nine conditions.
        labelled: the instructions whose important words are known.
        mapped: condition whose outputs are drawn as a map.
        seeded: condition that is drawn from ten noises.
        high: settings of high guidance.
        said: where the instructions and labels come from, for people.
    """

    stability: tuple[Question, ...]
    labelled: tuple[Question, ...]
    mapped: str
    seeded: str
    high: Mapping[str, JsonValue]
    said: str

    def named(self, name: str) -> Question:
        """The condition of that name."""
        return next(question for question in self.stability if question.name == name)


def published_labels() -> list[tuple[str, str, tuple[bool, ...]]]:
    """The 15 published instructions (16 rows, one text twice): category, text, and a label for each word."""
    items: list[dict[str, Any]] = json.loads(LABELS.read_text(encoding="utf-8"))["items"]
    once = {item["instruction"]: item for item in reversed(items)}
    return [
        (item["category"], item["instruction"], tuple(map(bool, item["labels"])))
        for item in items
        if once[item["instruction"]] is item
    ]


def for_any(image: Picture) -> Questions:
    """The nine published conditions in our wording of them, and the labelled instructions, about one picture."""
    asked = [Question(name, Edit(image, PHRASE.format(condition=name))) for name in CONDITIONS]
    labelled = [Question(name, Edit(image, text), labels) for name, text, labels in published_labels()]
    return Questions(
        stability=tuple(asked),
        labelled=tuple(labelled),
        mapped="snow",
        seeded="sunny",
        high={"guidance_scale": 15.0},
        said=(
            "The nine published conditions (the wording is published for one and ours, after it, for eight) and the 15 "
            "instructions that the authors labelled, all about one picture."
        ),
    )


def for_painter() -> Questions:
    """Instructions that the painter knows, about scenes drawn for them; its labels are true by rule."""
    rng = np.random.default_rng(SEED)
    image = pictures.picture_of(render(full_scene(rng)))
    least, most = PAINTER_WORDS
    drawn = labelled_edits(LABELLED, rng, min_units=least, max_units=most)
    labelled = [
        Question(f"{number}", Edit(pictures.picture_of(render(item.scene)), item.text), item.labels)
        for number, item in enumerate(drawn, 1)
    ]
    return Questions(
        stability=tuple(Question(name, Edit(image, PAINTER_CONDITIONS[name])) for name in CONDITIONS),
        labelled=tuple(labelled),
        mapped="color",
        seeded="sunny",
        high={"guidance_scale": 2.0, "image_guidance_scale": 1.0},
        said=(
            "The painter knows no blur, no rain and none of the things that the published instructions name: each of "
            "the nine conditions stands for an edit that it knows, and the 16 labelled instructions are drawn from its "
            "grammar, in phrasings that its training never showed. A label is true where deleting that word alone "
            "changes what is right."
        ),
    )


def full_scene(rng: np.random.Generator) -> Scene:
    """A scene on which every condition has something to change: a house not blue, a tree not yellow, and a ball."""
    while True:
        scene = draw_scene(rng)
        house, tree, ball = (scene.thing(name) for name in ("house", "tree", "ball"))
        if house and tree and ball and house.colour != "blue" and tree.colour != "yellow":
            return scene
