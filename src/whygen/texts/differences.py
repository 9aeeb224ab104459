"""What two texts share, and what each has alone: for two answers side by side."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Final, NamedTuple

from whygen.texts.segments import word_edges

MOST: Final = 4_000
"""Words, spaces and marks of each text that are compared; comparing takes their square in the worst case."""


class Stretch(NamedTuple):
    """A part of a text; ``own`` where the other text does not have it there."""

    text: str
    own: bool


def differences(first: str, second: str) -> tuple[tuple[Stretch, ...], tuple[Stretch, ...]]:
    """Both texts in stretches, whose texts joined give each back: words that stand in both, in one order, are shared.

    What follows the first 4,000 words and marks of a text is taken for its own, unless the two texts are equal.
    """
    if first == second:
        whole = (Stretch(first, False),) if first else ()
        return whole, whole
    one, two = _pieces(first), _pieces(second)
    matcher = SequenceMatcher(None, one[:MOST], two[:MOST], autojunk=max(len(one), len(two)) > MOST // 2)
    blocks = [block for block in matcher.get_matching_blocks() if _says(one[block.a : block.a + block.size])]
    return (
        _stretches(one, [(block.a, block.a + block.size) for block in blocks]),
        _stretches(two, [(block.b, block.b + block.size) for block in blocks]),
    )


def _pieces(text: str) -> list[str]:
    edges = sorted(word_edges(text))
    return [text[start:end] for start, end in pairwise(edges)]


def _says(pieces: Sequence[str]) -> bool:
    """Whether a stretch holds a letter or a digit: a space or a full stop alone is nothing that two texts share."""
    return any(character.isalnum() for piece in pieces for character in piece)


def _stretches(pieces: Sequence[str], shared: Sequence[tuple[int, int]]) -> tuple[Stretch, ...]:
    found: list[Stretch] = []
    at = 0
    for start, end in (*shared, (len(pieces), len(pieces))):
        found += [Stretch("".join(pieces[at:start]), True), Stretch("".join(pieces[start:end]), False)]
        at = end
    return tuple(stretch for stretch in found if stretch.text)
