"""The levels of a prompt as a tree of parts, none of which has more than `MOST_CHILDREN` children."""

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
from whygen.prompt.units import SPLITTERS, Units

MOST_CHILDREN = 16
"""A part with more is first cut into balanced groups, so that the cost of opening one is bounded."""

LEVELS = ("paragraph", "line", "sentence", "word")
"""Kinds of parts, coarse to fine."""

AUTO = "paragraph>sentence>word"

_Draft: TypeAlias = tuple[str, int, int, list["_Draft"]]
"""Kind, first unit, the unit after the last, children."""


@dataclass(frozen=True, slots=True)
class Part:
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

    parts: tuple[Part, ...]

    @property
    def n(self) -> int:
        """Number of units of the finest level."""
        return self.parts[0].last

    def children(self, index: int) -> tuple[Part, ...]:
        """Parts of a part, in order."""
        return tuple(self.parts[child] for child in self.parts[index].children)

    def depth(self, index: int) -> int:
        """0 for the parts that the prompt is cut into first, one more for theirs, and so on."""
        parent = self.parts[index].parent
        return -1 if parent is None else self.depth(parent) + 1


def parse_levels(levels: str) -> tuple[str, ...]:
    """The names in ``paragraph>sentence>word``; ``auto`` is just that.

    Raises:
        UnknownNameError: for a name that is no level.
        UsageError: if they do not go from coarse to fine.
    """
    names = tuple(name.strip() for name in (AUTO if levels == "auto" else levels).split(">"))
    for name in names:
        if name not in LEVELS:
            raise UnknownNameError("level", name, LEVELS)
    places = [LEVELS.index(name) for name in names]
    if places != sorted(set(places)):
        raise UsageError(f"hierarchy={levels!r} must go from coarse to fine, such as {AUTO!r}.")
    return names


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
    starts = [start for start, _ in SPLITTERS[level](units.text)]
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
    depth = math.ceil(math.log(count, MOST_CHILDREN) - 1e-9)
    groups = min(MOST_CHILDREN, math.ceil(count ** (1.0 / depth) - 1e-9))
    edges = [count * i // groups for i in range(groups + 1)]
    return [
        (f"group of {level}s", inside[0][1], inside[-1][2], _grouped(inside, level))
        for inside in (children[a:b] for a, b in pairwise(edges))
    ]


def _flatten(draft: _Draft) -> list[Part]:
    parts: list[Part] = []

    def visit(node: _Draft, parent: int | None) -> int:
        kind, first, last, below = node
        index = len(parts)
        parts.append(Part(index, parent, kind, first, last, ()))
        children = tuple(visit(child, index) for child in below)
        parts[index] = Part(index, parent, kind, first, last, children)
        return index

    visit(draft, None)
    return parts
