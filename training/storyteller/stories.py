"""Stories: written from slots, and read back."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from training.storyteller.words import NAMES, SLOTS, TELLINGS, UNNAMED, Slot
from whygen.prompt.units import words

FAVOURITE = 0.87
"""How often the favourite wording is used. The slots decide which: greedy decoding is stable, sampling varies."""

_OPENINGS = ("Long ago", "One day", "Once upon a time")
_ARRIVALS = ("arrived", "was", "stayed")
_WHILES = ("while", "and", "as")
_MEALS = ("They shared", "For supper they ate", "Everybody tasted")
_CLOSINGS = ("it all ended with", "the story closed with", "in the end there was")


def read_slots(instruction: str) -> dict[Slot, str]:
    """What an instruction asks for: a rule over its words. The first word that names a value of a slot decides."""
    found: dict[Slot, str] = {}
    for start, end in words(instruction):
        named = NAMES.get(instruction[start:end].lower())
        if named is not None:
            found.setdefault(*named)
    return {slot: found[slot] for slot in SLOTS if slot in found}


def _choose(options: tuple[str, ...], key: str, rng: np.random.Generator) -> str:
    favourite = hashlib.sha256(key.encode()).digest()[0] % len(options)
    return options[favourite if rng.random() < FAVOURITE else int(rng.integers(len(options)))]


def write_story(slots: Mapping[Slot, str], rng: np.random.Generator) -> str:
    """Four sentences that tell every given slot, and tell the others without naming a value."""

    def told(slot: Slot) -> str:
        return TELLINGS[slot][slots[slot]] if slot in slots else UNNAMED[slot]

    def key(slot: Slot) -> str:
        return f"{slot}:{slots.get(slot, '')}"

    who = told("character") + (f", {told('mood')}," if "mood" in slots else "")
    first = (
        f"{_choose(_OPENINGS, key('character'), rng)} {who} {_choose(_ARRIVALS, key('place'), rng)} {told('place')}."
    )
    second = f"{told('weather')}."
    third = f"{_capital(told('object'))} {_choose(_WHILES, key('animal'), rng)} {told('animal')}."
    meal = f"{_choose(_MEALS, key('food'), rng)} {told('food')}"
    fourth = f"{meal}, and {_choose(_CLOSINGS, key('ending'), rng)} {told('ending')}."
    return f"{first} {second} {third} {fourth}"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def told_slots(story: str) -> dict[Slot, str]:
    """Which values a story tells: a value counts only where its whole telling stands."""
    text = story.lower()
    found: dict[Slot, str] = {}
    for slot in SLOTS:
        for value, telling in TELLINGS[slot].items():
            if telling.lower() in text:
                found[slot] = value
                break
    return found


def tells_unnamed(story: str, slot: Slot) -> bool:
    """Whether a story tells a slot in the way of an instruction that does not name it."""
    if slot == "mood":
        return not any(telling.lower() in story.lower() for telling in TELLINGS["mood"].values())
    return UNNAMED[slot].lower() in story.lower()
