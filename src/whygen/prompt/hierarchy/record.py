"""From the opened parts to an explanation: the leaves as its units, the tree beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from whygen.prompt.asker import Asker
from whygen.prompt.assemble import assemble, partial
from whygen.prompt.designs import LEVEL_BY_LEVEL, Design
from whygen.prompt.effects import Effects
from whygen.prompt.findings import Findings, Interaction
from whygen.prompt.hierarchy.levels import Level, cost_of_opening
from whygen.prompt.hierarchy.search import Search
from whygen.prompt.hierarchy.skeleton import Part, Skeleton
from whygen.prompt.intervals import Estimate
from whygen.prompt.plan import Plan
from whygen.prompt.units import Piece, Units
from whygen.results.prompt import PromptExplanation, Warned
from whygen.results.records import InteractionRecord, Node, Tree
from whygen.stats.intervals import Interval
from whygen.types import Floats, Masks

METHOD = "Student t over cross-fitted pair scores, level by level"


@dataclass(frozen=True, slots=True)
class AskedLevel:
    """Everything that was asked on word masks, over the leaves. All of shape ``(m, ...)``."""

    masks: Masks
    effects: Floats
    predicted: Floats
    groups: NDArray[np.int64]
    rows: NDArray[np.int64]


def explanation_of(
    asker: Asker,
    search: Search,
    pairs: Sequence[Interaction],
    *,
    levels: Sequence[str],
    plan: Plan,
    seed: int,
) -> PromptExplanation:
    """The explanation, with its tree.

    Args:
        asker: with everything that was asked.
        search: after its run.
        pairs: of leaves that act together.
        levels: names, coarse to fine.
        plan: what was chosen.
        seed: of the run.
    """
    leaves = search.leaves
    asked = _gather(search, leaves)
    name = f"{LEVEL_BY_LEVEL} ({' > '.join(levels)}), {len(search.opened) - 1} parts opened"
    design = Design(name=name, masks=asked.masks, groups=asked.groups)
    answers = asker.answers(design, (), (), stands=np.zeros(0, dtype=bool))
    leafy = replace(answers, units=_leaf_units(asker.units, leaves), notices=asker.notices)
    effects = Effects(
        asked.masks, asked.effects, asked.groups, whole=asker.meter(asker.repeats), noise=search.noise,
        rows=tuple(asked.rows.tolist()),
    )  # fmt: skip
    flat = assemble(Findings(leafy, asker.meter, plan, seed, effects, _estimate(search, leaves, asked.predicted)))
    warnings = (*flat.warnings, *_closed(search, plan.options.budget))
    tree = _tree(search, asker.units, levels)
    together = tuple(InteractionRecord(**asdict(pair)) for pair in pairs)
    found = {"pinned": asker.units.pinned, "warnings": warnings, "tree": tree, "interactions": together}
    return partial(flat.model_copy(update=found), answers)


def _leaf_units(units: Units, leaves: Sequence[Part]) -> Units:
    free = units.free
    pieces = [
        Piece(free[leaf.first].start, free[leaf.first].core, free[leaf.last - 1].stop, free[leaf.last - 1].end, place)
        for place, leaf in enumerate(leaves)
    ]
    return Units(units.text, tuple(pieces))


def _estimate(search: Search, leaves: Sequence[Part], predicted: Floats) -> Estimate:
    found = [search.standings[leaf.index] for leaf in leaves]
    values, low, high = (np.array(column) for column in zip(*((s.value, s.low, s.high) for s in found), strict=True))
    p_values = np.array([standing.p_value for standing in found])
    return Estimate(values, Interval(values, low, high), p_values, METHOD, predicted=predicted)


def _gather(search: Search, leaves: Sequence[Part]) -> AskedLevel:
    starts = [leaf.first for leaf in leaves]
    tables: list[AskedLevel] = []
    groups = 0
    for index, level in search.opened.items():
        rows = level.rows
        _, own_groups = np.unique(rows.groups, return_inverse=True)
        found = search.predicted(index)
        tables.append(AskedLevel(rows.masks[:, starts], rows.effects, found, own_groups + groups, rows.asked))
        groups += int(own_groups.max()) + 1
    return AskedLevel(*(np.concatenate(columns) for columns in zip(*map(_columns, tables), strict=True)))


def _columns(table: AskedLevel) -> tuple[Masks, Floats, Floats, NDArray[np.int64], NDArray[np.int64]]:
    return table.masks, table.effects, table.predicted, table.groups, table.rows


def _closed(search: Search, budget: int) -> tuple[Warned, ...]:
    """A warning when the budget ended before the search did; what is left of it goes elsewhere first."""
    waiting = search.waiting
    if not waiting:
        return ()
    needed = budget + min(cost_of_opening(len(part.children)) for part in waiting)
    text = (
        f"The budget ended with {len(waiting)} parts closed that may matter: they are attributed whole. A budget of at "
        f"least {needed} opens one more; a tolerance says which parts are too small to open."
    )
    return (Warned(code="closed-parts", text=text),)


def _tree(search: Search, units: Units, levels: Sequence[str]) -> Tree:
    skeleton = search.skeleton
    measured = [part for part in skeleton.parts if part.index in search.standings]
    place = {part.index: i for i, part in enumerate(measured)}
    return Tree(
        levels=tuple(levels), nodes=tuple(_node(search, skeleton, part, units, place) for part in measured)
    )  # fmt: skip


def _node(search: Search, skeleton: Skeleton, part: Part, units: Units, place: dict[int, int]) -> Node:
    standing = search.standings[part.index]
    level: Level | None = search.opened.get(part.index)
    total, total_low, total_high = (None, None, None) if level is None or level.total is None else level.total
    return Node(
        start=units.free[part.first].core,
        end=units.free[part.last - 1].stop,
        kind=part.kind,
        level=skeleton.depth(part.index),
        parent=place.get(-1 if part.parent is None else part.parent),
        children=() if level is None else tuple(place[child] for child in part.children),
        value=standing.value,
        low=standing.low,
        high=standing.high,
        p_value=standing.p_value,
        opened=level is not None,
        divisible=bool(part.children),
        total=total,
        total_low=total_low,
        total_high=total_high,
        hidden=standing.hidden,
    )
