"""The parts of a long prompt, level by level, and the masks that open one of them. METHODS A4.

Parts form a tree: paragraphs, then sentences, then words; of a chat messages, then the parts of these, then sentences
and words. None has more than `MOST_CHILDREN` children.

Values are nested. While a part is opened, its neighbours at each level above are wholly in or out: at the first level
by a fair coin each (symmetric coalitional Banzhaf value) or as before a random place in a random order (Owen value),
and below always as in a random order. Its own children follow the design of Shapley values.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from whygen.errors import UnknownNameError, UsageError
from whygen.prompt.estimands import Estimand
from whygen.prompt.units import EVERY, PART, SPLITTERS, Units, split
from whygen.results.prompt import PART_KINDS
from whygen.types import Chat, Floats, Masks, Source

MOST_CHILDREN = 16
"""A part with more is first cut into balanced groups, so that the cost of opening one is bounded."""

LEVELS = ("message", PART, "paragraph", "line", "sentence", "word")
"""Kinds of parts, coarse to fine; the first two are a chat's."""

AUTO = "paragraph>sentence>word"
AUTO_OF_CHATS = "message>part>sentence>word"

_Draft: TypeAlias = tuple[str, int, int, list["_Draft"]]
"""Kind, first unit, the unit after the last, children."""


@dataclass(frozen=True, slots=True)
class PromptPart:
    """Units ``[first, last)`` of the finest level. ``parent`` is None for the prompt itself, which has index 0."""

    index: int
    parent: int | None
    kind: str
    first: int
    last: int
    children: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Skeleton:
    """All parts of a prompt, each before its children."""

    parts: tuple[PromptPart, ...]

    @property
    def n(self) -> int:
        """Number of units of the finest level."""
        return self.parts[0].last

    def children(self, index: int) -> tuple[PromptPart, ...]:
        """Parts of a part, in order."""
        return tuple(self.parts[child] for child in self.parts[index].children)

    def depth(self, index: int) -> int:
        """0 for the parts that the prompt is cut into first, one more for theirs, and so on."""
        parent = self.parts[index].parent
        return -1 if parent is None else self.depth(parent) + 1


def parse_levels(levels: str, prompt: object = "") -> tuple[str, ...]:
    """The names in ``paragraph>sentence>word``; ``auto`` is just that, of a chat ``message>part>sentence>word``.

    Raises:
        UnknownNameError: for a name that is no level of such a prompt.
        UsageError: if they do not go from coarse to fine.
    """
    auto = AUTO_OF_CHATS if isinstance(prompt, Chat) else AUTO
    known = LEVELS if isinstance(prompt, Chat) else LEVELS[2:]
    names = tuple(name.strip() for name in (auto if levels == "auto" else levels).split(">"))
    for name in names:
        if name not in known:
            raise UnknownNameError("level", name, known)
    places = [LEVELS.index(name) for name in names]
    if places != sorted(set(places)):
        raise UsageError(f"hierarchy={levels!r} must go from coarse to fine, such as {auto!r}.")
    return names


def split_finest(prompt: Source, levels: Sequence[str], *, pin: Sequence[str] = ()) -> Units:
    """The units of the finest level; of a chat inside the parts that it is made of."""
    finer = isinstance(prompt, Chat) and levels[-1] in SPLITTERS
    return split(prompt, levels[-1], pin=pin, within=[EVERY] if finer else ())


def lay_out(units: Units, levels: Sequence[str]) -> Skeleton:
    """Cut a prompt level by level. A level that does not divide a part is passed over.

    Args:
        units: the units of the finest level.
        levels: coarse to fine; the last is the kind of ``units``.
    """
    marks = [_segments(units, level) for level in levels[:-1]] + [np.arange(len(units))]
    draft: _Draft = ("prompt", 0, len(units), _divide(0, len(units), marks, levels))
    return Skeleton(tuple(_flatten(draft)))


def _segments(units: Units, level: str) -> NDArray[np.int64]:
    """Number of the paragraph, sentence ... that each unit begins in. Shape ``(n,)``."""
    if level in SPLITTERS:
        starts = [start for start, _ in SPLITTERS[level](units.text)]
    else:
        kinds = ("message", "tool") if level == "message" else PART_KINDS
        starts = sorted({section.start for section in units.sections if section.kind in kinds})
    return np.array([bisect_right(starts, core) for core, _ in units.spans], dtype=np.int64)


def _divide(first: int, last: int, marks: Sequence[NDArray[np.int64]], levels: Sequence[str]) -> list[_Draft]:
    """Children of the units ``[first, last)``, by the coarsest level that divides them."""
    for depth, (mark, level) in enumerate(zip(marks, levels, strict=True)):
        cuts = first + 1 + np.flatnonzero(np.diff(mark[first:last]))
        if len(cuts):
            edges = [first, *cuts.tolist(), last]
            below = [(level, a, b, _divide(a, b, marks[depth:], levels[depth:])) for a, b in pairwise(edges)]
            return _grouped(below, level)
    return []


def _grouped(children: list[_Draft], level: str) -> list[_Draft]:
    """At most `MOST_CHILDREN` of them: neighbours in groups of even size, as few levels of groups as will do."""
    count = len(children)
    if count <= MOST_CHILDREN:
        return children
    # As few levels of groups as will do, each cut into about the same number; 1e-9 is for the rounding of a logarithm.
    depth = math.ceil(math.log(count, MOST_CHILDREN) - 1e-9)
    groups = min(MOST_CHILDREN, math.ceil(count ** (1.0 / depth) - 1e-9))
    edges = [count * i // groups for i in range(groups + 1)]
    return [
        (f"group of {level}s", inside[0][1], inside[-1][2], _grouped(inside, level))
        for inside in (children[a:b] for a, b in pairwise(edges))
    ]


def _flatten(draft: _Draft) -> list[PromptPart]:
    parts: list[PromptPart] = []

    def visit(node: _Draft, parent: int | None) -> int:
        kind, first, last, below = node
        index = len(parts)
        parts.append(PromptPart(index, parent, kind, first, last, ()))
        children = tuple(visit(child, index) for child in below)
        parts[index] = PromptPart(index, parent, kind, first, last, children)
        return index

    visit(draft, None)
    return parts


def contexts(skeleton: Skeleton, part: PromptPart, rows: int, rng: np.random.Generator, *, estimand: Estimand) -> Masks:
    """What is kept of the prompt around a part; the part itself is out. Shape ``(rows, n)``.

    Who stands before a random place in a random order: each with probability u, u uniform.
    """
    masks = np.zeros((rows, skeleton.n), dtype=bool)
    here = part
    while here.parent is not None:
        keep = estimand.chances(rows, rng) if here.parent == 0 else rng.random((rows, 1))
        # One draw of u for all neighbours of a level: who stands before the same place is not independent.
        others = [sibling for sibling in skeleton.children(here.parent) if sibling.index != here.index]
        put(masks, others, rng.random((rows, len(others))) < keep)
        here = skeleton.parts[here.parent]
    return masks


def put(masks: Masks, parts: Sequence[PromptPart], kept: Masks) -> None:
    """Write into ``masks`` ``(rows, n)`` which parts are kept, ``(rows, len(parts))``; in place."""
    for column, part in enumerate(parts):
        masks[:, part.first : part.last] = kept[:, column, None]


def size_law(n: int) -> Floats:
    """Chance of each size 1 .. n - 1 of a mask of children: ``q(s) ~ 1 / sqrt(s (n - s))``.

    It makes the mean square of the Shapley weights, the sum of ``1 / (q(s) s (n - s))``, as small as can be (Cauchy and
    Schwarz), and leaves a regression fewer masks of a single child than the kernel ``1 / (s (n - s))`` does.
    """
    size = np.arange(1, n)
    law: Floats = 1.0 / np.sqrt(size * (n - size))
    return law / law.sum()


def paired_children(n: int, pairs: int, rng: np.random.Generator) -> Masks:
    """Complement pairs of masks of children, shape ``(2 * pairs, n)``; neither empty nor full.

    Each mask follows `size_law`, but sizes are drawn at even steps of it, so that no design is short of one.
    """
    # One random start and even steps from it: each mask follows the law, and together they hold each size's share.
    steps = (rng.random() + np.arange(pairs)) / pairs
    sizes = 1 + np.minimum(np.searchsorted(np.cumsum(size_law(n)), steps), n - 2)
    ranks = np.argsort(np.argsort(rng.random((pairs, n)), axis=1), axis=1)
    first = ranks < rng.permutation(sizes)[:, None]
    return np.stack([first, ~first], axis=1).reshape(2 * pairs, n)


def cuts_needed(units: int) -> int:
    """Cuts by `halves` after which any two of so many units have been on different sides."""
    return max(1, (units - 1).bit_length())


def halves(part: PromptPart, cuts: int, rng: np.random.Generator) -> Masks:
    """A part of at least two units cut in two, at random and each time another way. Shape ``(cuts, units in it)``.

    Units are numbered at random, and cut by the digits of their numbers in base two; when the digits are used up they
    are numbered anew. So any two are apart in one of `cuts_needed` cuts, and no side is ever empty.
    """
    units, digits = part.last - part.first, cuts_needed(part.last - part.first)
    numbers = np.stack([rng.permutation(units) for _ in range(-(-cuts // digits))])
    sides = (numbers[:, None, :] >> np.arange(digits)[:, None]) & 1
    # The last digit is mostly zero where their number is no power of two: a coin says which side is kept.
    return (sides.reshape(-1, units)[:cuts] ^ rng.integers(0, 2, (cuts, 1))).astype(bool)
