"""The tree of a prompt that was explained level by level: what each part is worth, and which parts were opened.

Children are estimated from masks of their own, with the rest of the prompt wholly in or out. They sum to ``total``:
the value of their parent, seen a second time. It is kept beside ``value``, and neither is rescaled to the other.
"""

from __future__ import annotations

import math
from typing import Annotated, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator


def _none_for_nan(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


_Figure: TypeAlias = Annotated[float | None, BeforeValidator(_none_for_nan)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Node(_Frozen):
    """A part of the prompt: characters ``[start, end)``.

    Attributes:
        start: where its visible text begins.
        end: where it ends.
        kind: ``paragraph``, ``sentence``, ``word`` ..., or ``group of words`` and the like: neighbours that were put
            together because there are too many for one level.
        level: 0 for the parts that the prompt was cut into first.
        parent: position of the parent in `Tree.nodes`; None at level 0.
        children: positions of its children; empty if it was not opened.
        value: its attribution at its own level, in the target's unit.
        low: lower limit of its interval; None where there is none.
        high: upper limit.
        p_value: of the value being zero.
        opened: whether its children were asked about.
        divisible: whether it has children that could be asked about.
        total: what its children sum to, from their own masks; None if it was not opened.
        total_low: lower limit of the total.
        total_high: upper limit of the total.
        hidden: how much its random halves differ in effect where its value shows nothing; None if nobody looked.
    """

    start: int
    end: int
    kind: str
    level: int
    parent: int | None
    children: tuple[int, ...] = ()
    value: float
    low: _Figure
    high: _Figure
    p_value: _Figure
    opened: bool
    divisible: bool
    total: _Figure = None
    total_low: _Figure = None
    total_high: _Figure = None
    hidden: _Figure = None


class Tree(_Frozen):
    """All parts whose value was estimated, each before its children.

    Attributes:
        levels: names of the levels, coarse to fine.
        nodes: the parts.
    """

    levels: tuple[str, ...]
    nodes: tuple[Node, ...]

    @model_validator(mode="after")
    def _holds_together(self) -> Tree:
        for place, node in enumerate(self.nodes):
            if node.opened != bool(node.children):
                raise ValueError(f"node {place} is {'opened' if node.opened else 'closed'}, with {node.children=}")
            for child in node.children:
                if not place < child < len(self.nodes) or self.nodes[child].parent != place:
                    raise ValueError(f"node {place} has the child {child}, which does not know it")
            known = node.parent is None or (0 <= node.parent < place and place in self.nodes[node.parent].children)
            if not known:
                raise ValueError(f"node {place} has the parent {node.parent}, which does not know it")
        return self

    @property
    def roots(self) -> tuple[int, ...]:
        """Positions of the parts that the prompt was cut into first, in order."""
        return tuple(place for place, node in enumerate(self.nodes) if node.parent is None)

    @property
    def leaves(self) -> tuple[int, ...]:
        """Positions of the parts that were not opened, in the order of the prompt: the units of the explanation."""
        closed = [place for place, node in enumerate(self.nodes) if not node.opened]
        return tuple(sorted(closed, key=lambda place: self.nodes[place].start))

    @property
    def strongest_branch(self) -> tuple[int, ...]:
        """From the first level down: always the opened part of the largest value."""
        branch: list[int] = []
        here = self.roots
        while opened := [place for place in here if self.nodes[place].opened]:
            branch.append(max(opened, key=lambda place: abs(self.nodes[place].value)))
            here = self.nodes[branch[-1]].children
        return tuple(branch)
