"""Instructions: generated, so that the words that matter are known.

Phrasings come in two sets. What is held out is never seen in training: openers, one template of each slot and form,
whole irrelevant sentences, one filler word in eight, and one in ten pairs of values of some slots.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from training.storyteller.words import SLOTS, SYNONYMS, TELLINGS, Slot

Part: TypeAlias = Literal["seen", "held-out"]

OPENERS = (
    "Write a story", "Please write a short story", "Tell me a tale", "Could you write a story", "I would like a story",
    "Compose a brief story", "Make up a story", "Give me a tiny tale", "I need a little story", "Kindly write a story",
    "Let me hear a story", "Can you tell a story", "Short story please", "Story time", "Write me something",
    "We want a good story",
)  # fmt: skip
HELD_OPENERS = ("Would you mind writing a story", "Invent a narrative", "Draft one short tale", "Hey, story")

CLAUSES: dict[Slot, tuple[str, ...]] = {
    "character": ("about a {}", "with a {} in it", "starring a {}", "whose hero is a {}", "that follows a {}"),
    "place": ("set in a {}", "that takes place at the {}", "near a {}", "that happens in the {}", "located at a {}"),
    "weather": ("on a {} day", "in {} weather", "when it is {}", "under {} skies", "during a {} afternoon"),
    "mood": ("where the hero feels {}", "in a {} spirit", "make the hero {}", "with a {} hero", "someone really {}"),
    "object": ("and include a {}", "that mentions a {}", "using a {}", "in which a {} matters", "put a {} there"),
    "animal": ("and add a {}", "in which a {} appears", "let a {} show up", "beside a {}", "joined by a {}"),
    "food": ("they should eat {}", "with some {} to eat", "and serve {}", "with {} for dinner", "mention eating {}"),
    "ending": (
        "ending with a {}",
        "that finishes with a {}",
        "and close on a {}",
        "leading to a {}",
        "then a {} at last",
    ),
}
HELD_CLAUSES: dict[Slot, tuple[str, ...]] = {
    "character": ("concerning one {}",),
    "place": ("somewhere around the {}",),
    "weather": ("while it stays {}",),
    "mood": ("the lead being {}",),
    "object": ("bring in some {}",),
    "animal": ("accompanied by one {}",),
    "food": ("have them taste {}",),
    "ending": ("wrapping up in a {}",),
}
SENTENCES: dict[Slot, tuple[str, ...]] = {
    "character": ("The hero is a {}.", "Main character: {}.", "Take a {} as the hero."),
    "place": ("Setting: {}.", "It happens at the {}.", "The scene is a {}."),
    "weather": ("Weather: {}.", "The weather is {}.", "Let it be {}."),
    "mood": ("Mood: {}.", "The hero should be {}.", "Make it {}."),
    "object": ("Include a {}.", "Object: {}.", "A {} must be there."),
    "animal": ("Animal: {}.", "There is also a {}.", "Add a {} too."),
    "food": ("Food: {}.", "They eat {}.", "Serve {}."),
    "ending": ("Ending: {}.", "End with a {}.", "It ends in a {}."),
}
HELD_SENTENCES: dict[Slot, tuple[str, ...]] = {
    "character": ("Our protagonist: {}.",),
    "place": ("Where? The {}.",),
    "weather": ("Outside it is {}.",),
    "mood": ("Emotion: {}.",),
    "object": ("Do not forget the {}.",),
    "animal": ("One {} as well.",),
    "food": ("Dinner is {}.",),
    "ending": ("Last of all, a {}.",),
}
ASIDES = (
    "My neighbour called twice.", "The printer is out of paper.", "I am on the train.", "Thank you very much.",
    "Do not worry about spelling.", "This is for my class.", "No rush.", "My sister asked for it.",
    "I had a long meeting.", "The phone is ringing.", "It is for a friend.", "Keep it simple.",
    "We moved the sofa yesterday.", "My password expired.", "The bus was late again.", "I lost my keys.",
    "Take your time.", "The office is closed.", "Our team won the match.", "You are very kind.",
)  # fmt: skip
HELD_ASIDES = (
    "The elevator is broken.", "My cousin lives abroad.", "I forgot the invoice.", "Our lease ends in May.",
    "The plumber never came.", "Her laptop crashed.",
)  # fmt: skip
FILLERS = ("please", "kindly", "now", "maybe", "really", "just", "thanks", "today", "simply", "perhaps")

_HELD_PAIRS: tuple[tuple[Slot, Slot], ...] = (
    ("character", "place"), ("object", "animal"), ("weather", "mood"), ("food", "ending"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Instruction:
    """An instruction and what it asks for."""

    text: str
    slots: Mapping[Slot, str]


def _share(text: str) -> float:
    """A fixed number in [0, 1) for a text: decides what is held out, the same on every machine."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / 2**32


def is_held_combination(slots: Mapping[Slot, str]) -> bool:
    """Whether some pair of values is one that training never shows together."""
    return any(a in slots and b in slots and _share(f"{a}:{slots[a]}|{b}:{slots[b]}") < 0.1 for a, b in _HELD_PAIRS)


def is_held_filler(word: str) -> bool:
    """Whether a filler word is kept out of training."""
    return _share(f"filler:{word}") < 0.125


def _pick(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


def draw_slots(rng: np.random.Generator, *, share: float) -> dict[Slot, str]:
    """Each slot is named with probability ``share``; at least one is."""
    chosen: list[Slot] = [slot for slot in SLOTS if rng.random() < share]
    chosen = chosen or [SLOTS[int(rng.integers(len(SLOTS)))]]
    return {slot: _pick(tuple(TELLINGS[slot]), rng) for slot in chosen}


def _name(value: str, rng: np.random.Generator) -> str:
    return SYNONYMS[value] if value in SYNONYMS and rng.random() < 0.35 else value


def _fill(template: str, value: str) -> str:
    """Puts a value into a template, with the article it needs."""
    text = template.format(value)
    if value[0] in "aeiou":
        text = text.replace(f" a {value}", f" an {value}").replace(f"A {value}", f"An {value}")
    return text


def write_instruction(
    slots: Mapping[Slot, str], rng: np.random.Generator, *, part: Part, fillers: Sequence[str] = FILLERS
) -> Instruction:
    """Words the slots in any order and form, with irrelevant words and sentences mixed in.

    Args:
        slots: what to ask for.
        rng: the only source of chance.
        part: ``seen`` phrasings, or (mostly) ``held-out`` ones.
        fillers: irrelevant words.
    """
    order = list(slots)
    rng.shuffle(order)
    form = rng.random()
    if form < 0.07:
        body = ", ".join(_name(slots[slot], rng) for slot in order)
        pieces = [body]
    else:
        cut = int(rng.integers(len(order) + 1)) if form < 0.55 else (len(order) if form < 0.8 else 0)
        clauses = [_fill(_phrase(CLAUSES, HELD_CLAUSES, s, part, rng), _name(slots[s], rng)) for s in order[:cut]]
        opener = _opener(part, rng)
        joined = ", ".join(clauses) if rng.random() < 0.5 else " ".join(clauses)
        pieces = [f"{opener} {joined}".strip() + _pick((".", ".", "!", ""), rng)]
        pieces += [_fill(_phrase(SENTENCES, HELD_SENTENCES, s, part, rng), _name(slots[s], rng)) for s in order[cut:]]
    pieces = _with_asides(pieces, part, rng)
    text = _with_fillers(" ".join(pieces), rng, fillers)
    return Instruction(text.lower() if rng.random() < 0.08 else text, dict(slots))


def _is_held(part: Part, rng: np.random.Generator) -> bool:
    return part == "held-out" and rng.random() < 0.7


def _opener(part: Part, rng: np.random.Generator) -> str:
    return _pick(HELD_OPENERS if _is_held(part, rng) else OPENERS, rng)


def _phrase(
    seen: Mapping[Slot, tuple[str, ...]],
    held: Mapping[Slot, tuple[str, ...]],
    slot: Slot,
    part: Part,
    rng: np.random.Generator,
) -> str:
    return _pick(held[slot] if _is_held(part, rng) else seen[slot], rng)


def _with_asides(pieces: list[str], part: Part, rng: np.random.Generator) -> list[str]:
    for _ in range(int(rng.choice(3, p=(0.45, 0.35, 0.2)))):
        aside = _pick(HELD_ASIDES if _is_held(part, rng) else ASIDES, rng)
        pieces.insert(int(rng.integers(len(pieces) + 1)), aside)
    return pieces


def _with_fillers(text: str, rng: np.random.Generator, fillers: Sequence[str]) -> str:
    """Runs of irrelevant words at random places, in half of the instructions."""
    tokens = text.split(" ")
    if rng.random() < 0.5:
        for _ in range(int(rng.integers(1, 3))):
            run = [_pick(fillers, rng) for _ in range(int(rng.integers(1, 5)))]
            place = int(rng.integers(len(tokens) + 1))
            tokens[place:place] = run
    return " ".join(tokens)
