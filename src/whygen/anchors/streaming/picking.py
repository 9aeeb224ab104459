"""The few anchors that stand for each group, where the groups do not fit in memory.

A group of few members is picked from in memory, as `whygen.anchors.representing` does; of a large one farthest-first
takes one pass over the points for each pick, or one pass in all, by candidates of each shard.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from whygen.anchors.arrays import Points
from whygen.anchors.options import AnchorOptions, parse_select
from whygen.anchors.representing import TYPICAL_OF, pick_among, typical
from whygen.anchors.selection import Selection
from whygen.anchors.streaming.passes import NOBODY, Open, SpreadPicks, spread_by_candidates, spread_in_passes
from whygen.anchors.streaming.verdicts import StreamedGroups
from whygen.results.anchors_rows import UNSURE
from whygen.results.prompt import Warned
from whygen.stats.seeds import generator

HELD = 4096
"""Of so many members at most all are held at once."""
WALKS = ("k-dispersion", "k-center")
"""Selections that are farthest-first."""


@dataclass(frozen=True, slots=True)
class Picked:
    """The representatives of a group.

    Attributes:
        rows: their numbers among all anchors, in the order of the picks.
        radii: how far each lay from those before it; infinite for the first. None where the order is no walk.
        among: members that could be picked.
        gap: the optimum is at most so many times better; None where nothing is known.
        how: what was done, in words.
    """

    rows: tuple[int, ...]
    radii: tuple[float, ...] | None
    among: int
    gap: float | None
    how: str


@dataclass(frozen=True, slots=True)
class Picking:
    """Picks of the groups of a stream.

    Attributes:
        plan: names the selection.
        groups: the verdicts.
        names: of the groups by their codes.
        points: open the points of each shard.
        values: criteria of a shard's anchors, averaged over the draws.
        seed: of the run.
        folder: for working files.
        by: passes over all points, or candidates of each shard.
    """

    plan: AnchorOptions
    groups: StreamedGroups
    names: Mapping[int, str]
    points: Sequence[Open]
    values: Callable[[int], NDArray[np.float64]]
    seed: int
    folder: Path
    by: Literal["passes", "candidates"]

    def run(self) -> tuple[dict[str, Picked], tuple[Warned, ...]]:
        """For every group that has members, its picks."""
        picked: dict[str, Picked] = {}
        warnings: list[Warned] = []
        firsts: dict[int, int] = {}
        labels = self._labels()
        for code, name in self.names.items():
            size = self._pool(code, labels)
            if 0 < size <= HELD:
                picked[name], told = self._held(self._members(labels, code), name)
                warnings += told
            elif size and self._walks:
                firsts[code] = self._first(labels, code)
            elif size:
                picked[name], told = self._drawn(labels, code, size)
                warnings += told
        for code, found in self._spread(labels, firsts).items():
            picked[self.names[code]] = found
        del labels
        self._path.unlink(missing_ok=True)
        ordered = {name: picked[name] for name in self.names.values() if name in picked}
        return ordered, tuple(warnings)

    @property
    def _walks(self) -> bool:
        chosen = parse_select(self.plan.select)
        return chosen.name in WALKS and not chosen.options

    @property
    def _path(self) -> Path:
        return self.folder / ".pool"

    @property
    def _starts(self) -> NDArray[np.int64]:
        return np.cumsum([0, *map(len, self.groups.codes)])

    def _labels(self) -> list[NDArray[np.int8]]:
        """A file that holds the group of each anchor that may be picked, by shard."""
        starts = cast("list[int]", self._starts.tolist())
        whole = np.memmap(self._path, np.int8, "w+", shape=(starts[-1],))
        whole[:] = NOBODY
        return [whole[start:stop] for start, stop in itertools.pairwise(starts)]

    def _pool(self, code: int, labels: Sequence[NDArray[np.int8]]) -> int:
        """Mark who of a group may be picked: the sure ones, and few others where they are few; how many they are."""
        found, k = self.groups, parse_select(self.plan.select).k
        total = sure = 0
        fill: list[tuple[int, int]] = []  # flips and number of the surest of the others
        for place, (codes, flips, distinct, start) in enumerate(
            zip(found.codes, found.flips, found.distinct, self._starts, strict=False)
        ):
            mine = np.flatnonzero((codes == code) & distinct)
            is_sure = flips[mine] <= UNSURE * found.replicates + 1e-9
            if self.plan.members == "all":
                is_sure = np.ones_like(is_sure)
            labels[place][mine[is_sure]] = code
            total, sure = total + len(mine), sure + int(is_sure.sum())
            others = mine[~is_sure]
            order = others[np.argsort(flips[others], kind="stable")[:k]]
            fill = sorted([*fill, *((int(flips[row]), int(row + start)) for row in order)])[:k]
        short = min(min(k, total) - sure, sure)
        for _, number in fill[: max(0, short)]:
            place, row = self._at(number)
            labels[place][row] = code
        return sure + max(0, min(short, len(fill)))

    def _at(self, number: int) -> tuple[int, int]:
        place = int(np.searchsorted(self._starts, number, side="right")) - 1
        return place, number - int(self._starts[place])

    def _members(self, labels: Sequence[NDArray[np.int8]], code: int) -> NDArray[np.int64]:
        rows = [np.flatnonzero(each == code) + start for each, start in zip(labels, self._starts, strict=False)]
        return np.concatenate(rows).astype(np.int64)

    def _of(self, numbers: NDArray[np.int64]) -> tuple[Points, NDArray[np.float64], NDArray[np.float64]]:
        """Points, criteria and flip rates of a few anchors, ascending by number."""
        starts = self._starts
        points: list[Points] = []
        values: list[NDArray[np.float64]] = []
        rates: list[NDArray[np.float64]] = []
        there = np.unique(np.searchsorted(starts, numbers, side="right") - 1)
        for place in cast("list[int]", there.tolist()):
            rows = numbers[(numbers >= starts[place]) & (numbers < starts[place + 1])] - starts[place]
            points.append(np.asarray(self.points[place]()[rows]))
            values.append(self.values(place)[rows])
            rates.append(self.groups.flips[place][rows] / self.groups.replicates)
        return np.concatenate(points), np.concatenate(values), np.concatenate(rates)

    def _held(self, members: NDArray[np.int64], name: str) -> tuple[Picked, tuple[Warned, ...]]:
        points, values, rates = self._of(members)
        local, told = pick_among(self.plan, points, values, rates, group=name, seed=self.seed)
        return _as_picked(local, members, len(members)), told

    def _drawn(self, labels: Sequence[NDArray[np.int8]], code: int, size: int) -> tuple[Picked, tuple[Warned, ...]]:
        """A selection that looks at all pairs looks at those of `HELD` members drawn at random."""
        name = self.names[code]
        wanted = np.sort(generator(self.seed, "drawn", name).choice(size, size=HELD, replace=False))
        seen, rows = 0, list[NDArray[np.int64]]()
        for each, start in zip(labels, self._starts, strict=False):
            mine = np.flatnonzero(each == code)
            some = wanted[(wanted >= seen) & (wanted < seen + len(mine))] - seen
            rows.append(mine[some] + start)
            seen += len(mine)
        found, told = self._held(np.concatenate(rows).astype(np.int64), name)
        text = f"{name} has {size:,} members: {parse_select(self.plan.select).name} picked of {HELD:,} drawn at random."
        return found, (*told, Warned(code="drawn-members", text=text))

    def _first(self, labels: Sequence[NDArray[np.int8]], code: int) -> int:
        """The first pick of a large group: that of the lowest sum, or the typical one of `TYPICAL_OF` sure members."""
        if self.plan.first == "lowest-sum":
            best, number = math.inf, -1
            for place, (each, start) in enumerate(zip(labels, self._starts, strict=False)):
                mine = np.flatnonzero(each == code)
                sums = self.values(place)[mine].sum(axis=1)
                if mine.size and float(sums.min()) < best:
                    best, number = float(sums.min()), int(mine[np.argmin(sums)] + start)
            return number
        counts = np.zeros(self.groups.replicates + 1, np.int64)
        for each, flips in zip(labels, self.groups.flips, strict=True):
            counts += np.bincount(flips[each == code], minlength=len(counts))
        limit = _median(counts)
        surer = int(counts[: int(limit) + 1].sum())
        step = -(-surer // TYPICAL_OF)
        seen, rows = 0, list[NDArray[np.int64]]()
        for each, flips, start in zip(labels, self.groups.flips, self._starts, strict=False):
            mine = np.flatnonzero((each == code) & (flips <= limit))
            rows.append(mine[(-seen) % step :: step] + start)
            seen += len(mine)
        numbers = np.concatenate(rows).astype(np.int64)
        points, _, _ = self._of(numbers)
        return int(numbers[typical(points, np.zeros(len(numbers)))])

    def _spread(self, labels: Sequence[NDArray[np.int8]], firsts: Mapping[int, int]) -> dict[int, Picked]:
        if not firsts:
            return {}
        selecting = parse_select(self.plan.select)
        spread: SpreadPicks
        if self.by == "passes":
            spread = spread_in_passes(self.points, labels, selecting.k, firsts, folder=self.folder)
            how = "farthest-first in passes over all members"
        else:
            spread = spread_by_candidates(self.points, labels, selecting.k, firsts)
            how = "farthest-first among the farthest-first picks of each shard"
        sizes = {code: len(self._members(labels, code)) for code in firsts}
        gap = spread.factor[WALKS.index(selecting.name)]
        return {
            code: Picked(tuple(walk.picks.tolist()), tuple(walk.radii.tolist()), sizes[code], gap, how)
            for code, walk in spread.walks.items()
        }


def _median(counts: NDArray[np.int64]) -> float:
    """The median of numbers of which there are so many of each."""
    ends = np.cumsum(counts)
    last = int(ends[-1])
    middle = [int(np.searchsorted(ends, place, side="right")) for place in ((last - 1) // 2, last // 2)]
    return sum(middle) / 2


def _as_picked(local: Selection, members: NDArray[np.int64], among: int) -> Picked:
    return Picked(
        tuple(members[local.indices].tolist()), None if local.radii is None else tuple(local.radii.tolist()), among,
        local.gap, f"{local.name} in memory",
    )  # fmt: skip
