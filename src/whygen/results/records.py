"""Parts of an explanation that stand by themselves: frozen, plain values, each with its own place in the files."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator


def _none_for_nan(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _mend(value: object) -> object:
    """Models answer with halves of surrogate pairs at times, which no file can hold: U+FFFD stands for them."""
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if isinstance(value, str) else value


Figure: TypeAlias = Annotated[float | None, BeforeValidator(_none_for_nan)]
"""A number, or None where it cannot be computed; NaN and infinities become None, since JSON has no word for them."""

Text: TypeAlias = Annotated[str, BeforeValidator(_mend)]
"""Text that can be encoded."""

Ended: TypeAlias = Literal["interrupt", "deadline", "cost", "failures"]
"""What may end a run early."""


class Record(BaseModel):
    """A part of an explanation: frozen, strict about unknown fields, and without NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Lists(Record):
    """A record of lists that belong together: saved files may have been changed.

    Attributes:
        columns: names of lists of one length; those that are None do not count.
        rows: names of tables, and the list that each of their rows is as long as; None: they are as long as each other.
    """

    columns: ClassVar[tuple[str, ...]]
    rows: ClassVar[tuple[tuple[str, ...], str | None]] = ((), None)

    @model_validator(mode="after")
    def _fit_each_other(self) -> Self:
        found = {name: len(held) for name in self.columns if (held := getattr(self, name)) is not None}
        if len(set(found.values())) > 1:
            raise ValueError(f"lists that belong together differ in length: {found}")
        tables, beside = self.rows
        for name in tables:
            widths: set[int] = {len(row) for row in getattr(self, name) or ()}
            if beside:
                widths.add(len(getattr(self, beside)))
            if len(widths) > 1:
                raise ValueError(f"rows of {name} differ in length")
        return self


class TargetRecord(Record):
    """What was measured: the target's name, its distance, and the unit of every effect and attribution."""

    name: str
    distance: str
    unit: str


class PictureShare(Record):
    """What the pictures of a chat do to the answer together, with 95% intervals.

    ``value`` is the sum of the attributions of their ``units``; ``share`` is it over the sum of all, from 0 to 1, and
    None where all units together may do nothing, or pictures and words pull apart.
    """

    units: int
    value: float
    low: float
    high: float
    share: float | None = None
    share_low: float | None = None
    share_high: float | None = None


class ProxyRecord(Record):
    """A cheap model that was asked beside the one that is explained, and what that was good for.

    ``correlation`` is that of both models' effects on the masks that both answered, ``weight`` what the surrogate of
    all masks takes of the proxy's effects, and ``width`` how wide the intervals are, as a share of those without it.
    """

    model: Text
    calls: int
    correlation: Figure = None
    weight: float = 0.0
    width: Figure = None


class InteractionRecord(Record):
    """Two units that act together: numbers of the units, the Banzhaf interaction index with its 95% interval.

    Positive: both do more together than apart. Chosen on other masks than it was estimated on.
    """

    first: int
    second: int
    value: float
    low: Figure
    high: Figure
    p_value: Figure
    significant: bool


class OutputSentence(Record):
    """A sentence of the reference output: characters ``[start, end)``."""

    text: Text
    start: int
    end: int


class SentenceMatrix(Lists):
    """Units by sentences of the reference: rows are the explanation's units, columns its sentences.

    ``low`` and ``high`` are the limits of the intervals, of the level and method of the explanation; None where the
    design gives none. ``significant``: after false-discovery control at 5% over all cells; None in files of earlier
    versions, and without intervals. ``left_out`` counts the sentences after those.
    """

    columns = ("attributions", "low", "high", "significant")
    rows = (columns, "sentences")
    sentences: tuple[OutputSentence, ...]
    target: TargetRecord
    attributions: tuple[tuple[float, ...], ...]
    low: tuple[tuple[float, ...], ...] | None
    high: tuple[tuple[float, ...], ...] | None
    significant: tuple[tuple[bool, ...], ...] | None = None
    left_out: int = 0

    def array(self) -> NDArray[np.float64]:
        """Attributions, shape ``(units, sentences)``."""
        return np.array(self.attributions, dtype=np.float64).reshape(len(self.attributions), len(self.sentences))

    def sure(self) -> NDArray[np.bool_]:
        """Where a cell is significant among all cells, shape ``(units, sentences)``; by its interval in old files."""
        return self.excludes_zero() if self.significant is None else np.array(self.significant, dtype=bool)

    def excludes_zero(self) -> NDArray[np.bool_]:
        """Where the interval excludes zero, shape ``(units, sentences)``; nowhere without intervals."""
        if self.low is None or self.high is None:
            return np.zeros((len(self.attributions), len(self.sentences)), dtype=bool)
        rounding = 1e-9 * float(np.abs(self.array()).max(initial=0.0))
        return (np.array(self.low) > rounding) | (np.array(self.high) < -rounding)


class UnitSet(Lists):
    """Units that together change the answer when they are taken away, or keep it when they alone are sent.

    Attributes:
        units: places of the units in the explanation.
        texts: their texts.
        effect: mean over its calls, in the target's unit.
        row: row of the evidence's masks that shows it; None where a further call does.
        prompt: what was sent.
        output: what came back; empty where a target scored.
        minimal: True where it is decided that this set does it and that none of one unit less does; None where that is
            open: no smaller one was found. (False in files of earlier versions: open.)
        fewest: whether it is decided of every set of fewer units, too.
        asked: calls of this very set.
        did: those of them that changed (or kept) the answer.
    """

    columns = ("units", "texts")
    units: tuple[int, ...]
    texts: tuple[Text, ...]
    effect: float
    row: int | None
    prompt: Text
    output: Text
    minimal: bool | None
    fewest: bool = False
    asked: int = 1
    did: int = 1


class AnswerSets(Record):
    """Few units whose removal changes the answer, and few that keep it, each with the call that shows it.

    An answer counts as changed where its effect is under ``threshold``; ``rule`` says where that comes from. ``calls``
    counts the calls that were made to shrink and test the sets, beside the budget.
    """

    threshold: float
    rule: str
    changing: tuple[UnitSet, ...]
    keeping: tuple[UnitSet, ...]
    calls: int = 0


class Node(Record):
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
    low: Figure
    high: Figure
    p_value: Figure
    opened: bool
    divisible: bool
    total: Figure = None
    total_low: Figure = None
    total_high: Figure = None
    hidden: Figure = None


class Tree(Record):
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
