"""Instructions to the painter, and what they mean: a rule over their words, so the words that matter are known.

An instruction asks for one change of the sky (night, sunset, snow, a sun), one change of a thing (another colour, or
gone), or both. The rule reads words, not their order: verbs, polite words and asides change nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from whygen.demo.painter import COLOURS, SIDES, THINGS, Scene

Part: TypeAlias = Literal["training", "held-out"]

SKY_WORDS: dict[str, str] = {
    "night": "night", "midnight": "night", "nighttime": "night",
    "sunset": "sunset", "dusk": "sunset",
    "snow": "snow", "snowy": "snow", "winter": "snow",
    "sun": "sun", "sunny": "sun",
}  # fmt: skip
THING_WORDS: dict[str, str] = {
    "house": "house", "home": "house", "building": "house", "tree": "tree", "plant": "tree", "ball": "ball",
    "sphere": "ball",
}  # fmt: skip
COLOUR_WORDS: dict[str, str] = {
    "red": "red", "scarlet": "red", "blue": "blue", "azure": "blue", "green": "green", "emerald": "green",
    "yellow": "yellow", "golden": "yellow", "purple": "purple", "violet": "purple",
}  # fmt: skip
REMOVE_WORDS = ("remove", "erase", "delete")
HELD_OUT = (("house", "yellow"), ("snow", "purple"))
"""Combinations that training never shows: a yellow house, and snow beside anything purple."""

_SKY_TEMPLATES: dict[str, dict[Part, tuple[str, ...]]] = {
    "night": {
        "training": ("make it {w}", "turn it into {w}", "change the time to {w}", "let it be {w}", "show this at {w}"),
        "held-out": ("I would like to see the place at {w}", "it should look like {w}"),
    },
    "sunset": {
        "training": ("make it {w}", "paint a {w}", "change the sky to {w}", "let it be {w}", "show this at {w}"),
        "held-out": ("I would like to see the place at {w}", "it should look like {w}"),
    },
    "snow": {
        "training": (
            "make it {w}",
            "turn it into {w}",
            "let there be {w}",
            "change the weather to {w}",
            "add some {w}",
        ),
        "held-out": ("I would like the place with {w}", "it should look like {w}"),
    },
    "sun": {
        "training": ("add a {w}", "put a {w} in the sky", "let there be a {w}", "make it sunny", "draw a {w} up there"),
        "held-out": ("I would like a {w} above the place", "it should have a {w}", "it should look sunny"),
    },
}
_COLOUR_TEMPLATES: dict[Part, tuple[str, ...]] = {
    "training": (
        "paint the {t} {c}", "make the {t} {c}", "turn the {t} {c}", "change the {t} to {c}",
        "change the colour of the {t} to {c}", "let the {t} be {c}", "colour the {t} {c}",
    ),
    "held-out": ("I would like the {t} to be {c}", "give the {t} a {c} look"),
}  # fmt: skip
_REMOVE_TEMPLATES: dict[Part, tuple[str, ...]] = {
    "training": ("{v} the {t}", "{v} that {t}", "{v} the {t} from the picture", "take the {t} and {v} it"),
    "held-out": ("I would like you to {v} the {t}", "{v} this {t} from here"),
}
_OPENINGS = ("please", "could you", "hey", "kindly", "ok", "now", "can you", "well", "so")
_CLOSINGS = (
    "thanks", "for me", "right now", "in this image", "if you can", "as soon as you can", "and keep everything else",
    "but leave the rest as it is", "with great care", "just like that",
)  # fmt: skip
_ASIDES = ("quickly", "carefully", "simply", "really", "gently", "maybe")
_JOINS = ("and", "and also", "then", "and then")


@dataclass(frozen=True, slots=True)
class Edits:
    """What is asked for; None leaves that part alone. ``change`` is a colour, or ``remove``."""

    sky: str | None = None
    thing: str | None = None
    change: str | None = None

    @property
    def count(self) -> int:
        """How many changes."""
        return (self.sky is not None) + (self.change is not None)


def words_of(text: str) -> list[str]:
    """The words of an instruction, in lower case."""
    return re.findall(r"[a-z]+", text.lower())


def interpret(text: str) -> Edits:
    """What an instruction asks for: the first word of each kind counts, whatever its place.

    A thing changes when it is named with a colour, or with a word of removal, which comes first.
    """
    words = words_of(text)
    sky = next((SKY_WORDS[word] for word in words if word in SKY_WORDS), None)
    thing = next((THING_WORDS[word] for word in words if word in THING_WORDS), None)
    colour = next((COLOUR_WORDS[word] for word in words if word in COLOUR_WORDS), None)
    change = "remove" if any(word in REMOVE_WORDS for word in words) else colour
    return Edits(sky) if thing is None or change is None else Edits(sky, thing, change)


def carry_out(scene: Scene, edits: Edits, *, side: str) -> Scene:
    """The scene after the edits; a thing that is not there cannot change. ``side`` is where a new sun stands."""
    if edits.sky == "sun":
        scene = replace(scene, sun=side)
    elif edits.sky is not None:
        scene = replace(scene, weather=edits.sky)
    if edits.thing is None or edits.change is None or scene.thing(edits.thing) is None:
        return scene
    if edits.change == "remove":
        return scene.without(edits.thing)
    return scene.recoloured(edits.thing, edits.change)


def outcomes(scene: Scene, edits: Edits) -> tuple[Scene, ...]:
    """Every scene that would be right: two where a sun may stand on either side."""
    return tuple(dict.fromkeys(carry_out(scene, edits, side=side) for side in SIDES))


def is_held_out(edits: Edits) -> bool:
    """Whether training never shows this combination."""
    return (edits.thing, edits.change) == HELD_OUT[0] or (edits.sky, edits.change) == HELD_OUT[1]


def draw_edits(scene: Scene, rng: np.random.Generator, *, changes: int) -> Edits:
    """One or two edits that change this scene."""
    sky = str(rng.choice(["night", "sunset", "snow", "sun"]))
    thing = scene.things[int(rng.integers(len(scene.things)))]
    change = "remove" if rng.random() < 0.3 else str(rng.choice([c for c in COLOURS if c != thing.colour]))
    if changes == 2:
        return Edits(sky, thing.name, change)
    return Edits(sky) if rng.random() < 0.4 else Edits(None, thing.name, change)


def write_instruction(edits: Edits, rng: np.random.Generator, *, part: Part, padding: int = 2) -> str:
    """One way to ask for the edits, with up to ``padding`` polite words and asides."""
    clauses = [clause for clause in (_sky_clause(edits, rng, part), _thing_clause(edits, rng, part)) if clause]
    if len(clauses) == 2 and rng.random() < 0.5:
        clauses.reverse()
    text = f" {_pick(_JOINS, rng)} ".join(clauses)
    for _ in range(int(rng.integers(0, padding + 1))):
        text = _padded(text, rng)
    return text


def _pick(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


def _sky_clause(edits: Edits, rng: np.random.Generator, part: Part) -> str:
    if edits.sky is None:
        return ""
    template = _pick(_SKY_TEMPLATES[edits.sky][part], rng)
    return template.format(
        w=_pick([word for word, kind in SKY_WORDS.items() if kind == edits.sky and word != "sunny"], rng)
    )


def _thing_clause(edits: Edits, rng: np.random.Generator, part: Part) -> str:
    if edits.thing is None or edits.change is None:
        return ""
    thing = _pick([word for word, kind in THING_WORDS.items() if kind == edits.thing], rng)
    if edits.change == "remove":
        return _pick(_REMOVE_TEMPLATES[part], rng).format(v=_pick(REMOVE_WORDS, rng), t=thing)
    colour = _pick([word for word, kind in COLOUR_WORDS.items() if kind == edits.change], rng)
    return _pick(_COLOUR_TEMPLATES[part], rng).format(t=thing, c=colour)


def _padded(text: str, rng: np.random.Generator) -> str:
    kind = int(rng.integers(3))
    if kind == 0:
        return f"{_pick(_OPENINGS, rng)} {text}"
    if kind == 1:
        return f"{text} {_pick(_CLOSINGS, rng)}"
    words = text.split()
    words.insert(int(rng.integers(len(words) + 1)), _pick(_ASIDES, rng))
    return " ".join(words)


def vocabulary() -> tuple[str, ...]:
    """Every word that an instruction may hold, sorted."""
    templates = [t for kind in _SKY_TEMPLATES.values() for part in kind.values() for t in part]
    templates += [t for family in (_COLOUR_TEMPLATES, _REMOVE_TEMPLATES) for part in family.values() for t in part]
    loose = " ".join([*templates, *_OPENINGS, *_CLOSINGS, *_ASIDES, *_JOINS])
    plain = words_of(re.sub(r"\{\w\}", " ", loose))
    return tuple(sorted({*plain, *SKY_WORDS, *THING_WORDS, *COLOUR_WORDS, *REMOVE_WORDS, *THINGS}))
