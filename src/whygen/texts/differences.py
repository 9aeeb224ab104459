"""What two texts share, and what each has alone: for two answers side by side."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Final, NamedTuple

from whygen.texts.segments import has_word, word_edges

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
    pairs = _shared(one[:MOST], two[:MOST], autojunk=max(len(one), len(two)) > MOST // 2)
    runs: list[list[tuple[int, int]]] = []
    for i, j in sorted(pairs):
        if runs and runs[-1][-1] == (i - 1, j - 1):
            runs[-1].append((i, j))
        else:
            runs.append([(i, j)])
    return (
        _stretches(one, [(run[0][0], run[-1][0] + 1) for run in runs]),
        _stretches(two, [(run[0][1], run[-1][1] + 1) for run in runs]),
    )


def _shared(one: Sequence[str], two: Sequence[str], *, autojunk: bool) -> list[tuple[int, int]]:
    """Places of the pieces that both have, in order: words first, then the white space beside them.

    Half of all pieces are single spaces, each of which could be each other: left out, a comparison is five times as
    fast.
    """
    first, second = ([i for i, piece in enumerate(pieces) if not piece.isspace()] for pieces in (one, two))
    matcher = SequenceMatcher(None, [one[i] for i in first], [two[j] for j in second], autojunk=autojunk)
    pairs: list[tuple[int, int]] = []
    for block in matcher.get_matching_blocks():
        found = list(zip(first[block.a : block.a + block.size], second[block.b : block.b + block.size], strict=True))
        pairs += found if any(has_word(one[i]) for i, _ in found) else []
    taken = set[int](), set[int]()
    for step in (1, -1):  # what follows a shared word, then what is before one
        for i, j in tuple(pairs):
            at, there = i + step, j + step
            beside = 0 <= at < len(one) and 0 <= there < len(two) and one[at].isspace() and one[at] == two[there]
            if beside and at not in taken[0] and there not in taken[1]:
                taken[0].add(at)
                taken[1].add(there)
                pairs.append((at, there))
    return pairs


def _pieces(text: str) -> list[str]:
    edges = sorted(word_edges(text))
    return [text[start:end] for start, end in pairwise(edges)]


def _stretches(pieces: Sequence[str], shared: Sequence[tuple[int, int]]) -> tuple[Stretch, ...]:
    found: list[Stretch] = []
    at = 0
    for start, end in (*shared, (len(pieces), len(pieces))):
        found += [Stretch("".join(pieces[at:start]), True), Stretch("".join(pieces[start:end]), False)]
        at = end
    return tuple(stretch for stretch in found if stretch.text)
