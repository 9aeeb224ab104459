"""Farthest-first for several groups at once over points that do not fit in memory: one pass over them for each pick.

Points lie in shards, which are read block by block. What is kept for each point (its group, the lower bound of its
distance to the picks of its group) lies in files as well. A pass multiplies each block with the last picks of all
groups; the few points that rounding leaves in the running for the farthest are then measured by differences in float64,
so that picks and radii are those of `whygen.anchors.selection.points.farthest_first`.

Source: Gonzalez 1985, Theor. Comput. Sci. 38:293-306; bounds as in `whygen.anchors.selection.points`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from whygen.anchors.arrays import Points
from whygen.anchors.selection.device import OnDevice, chosen_device
from whygen.anchors.selection.points import Traversal, farthest_first, squared_distances
from whygen.errors import DataError

BLOCK: Final = 16384
"""Rows of a block: with 64 columns it stays in the second-level cache while it is used twice."""
RUNNING: Final = 256
"""Points of a group that may be in the running for the farthest before all of them are measured in float64."""
NOBODY: Final = -1
"""The group of a point that is not to be picked."""

Open = Callable[[], Points]
"""Opens the points of a shard, ``(n, dim)``: a memory map, or an array."""


@dataclass(frozen=True, slots=True)
class SpreadPicks:
    """What farthest-first found in each group: global row numbers and radii, and how much better any choice could be.

    Attributes:
        walks: by group.
        factor: the optimum of k-dispersion is at most so many times what was reached, and k-center's radius at least
            that part of the optimum: 2 for passes over all points, 6 and 4 for candidates of shards.
    """

    walks: Mapping[int, Traversal]
    factor: tuple[float, float]


def spread_in_passes(
    shards: Sequence[Open],
    groups: Sequence[NDArray[np.int8]],
    k: int,
    firsts: Mapping[int, int],
    *,
    folder: Path,
    device: str | None = None,
) -> SpreadPicks:
    """Farthest-first in every group, k - 1 passes over all points after the first.

    Args:
        shards: open the points, shard by shard.
        groups: of each shard the group of each point, `NOBODY` for those that are not to be picked.
        k: picks of a group; all its points where there are fewer.
        firsts: by group, the global number of the first pick.
        folder: where working files are written; they are taken away again.
        device: where products are made (see `OnDevice`); chosen by what there is.

    Raises:
        DataError: if a point is not finite, or so large that its square is not.
    """
    walk = _PassWalk(shards, groups, firsts, folder, chosen_device(device, _multiplications(shards, groups, k)))
    try:
        return SpreadPicks(walk.run(k), (2.0, 2.0))
    finally:
        walk.close()


class _PassWalk:
    """All groups, and where each of them is."""

    def __init__(
        self,
        shards: Sequence[Open],
        groups: Sequence[NDArray[np.int8]],
        firsts: Mapping[int, int],
        folder: Path,
        device: str | None,
    ) -> None:
        self._shards, self._groups, self._names = shards, groups, sorted(firsts)
        self._device = device
        self._there: dict[int, OnDevice] = {}
        self._starts = np.cumsum([0, *map(len, groups)])
        self._columns = 1 + max((int(each.max()) for each in groups if len(each)), default=0)  # also of other groups
        self._sizes = {g: sum(int((each == g).sum()) for each in groups) for g in self._names}
        self._picks: dict[int, list[int]] = {g: [firsts[g]] for g in self._names}
        self._rows: dict[int, list[Points]] = {g: [self._row(firsts[g])] for g in self._names}
        self._radii: dict[int, list[float]] = {g: [math.inf] for g in self._names}
        self._paths = [folder / f".{name}.passes" for name in ("squares", "bounds")]
        n = max(1, int(self._starts[-1]))
        self._squares, self._low = (np.memmap(each, np.float32, "w+", shape=(n,)) for each in self._paths)
        self._origin = self._rough_mean()
        self._top = 0.0
        self._error = dict.fromkeys(self._names, 0.0)

    def close(self) -> None:
        """Take the working files away."""
        del self._squares, self._low
        for path in self._paths:
            path.unlink(missing_ok=True)

    def run(self, k: int) -> dict[int, Traversal]:
        """So many picks of every group that has so many."""
        for number in range(1, k):
            open_groups = [g for g in self._names if self._sizes[g] > number]
            if not open_groups:
                break
            running = self._pass(open_groups, is_first=number == 1)
            for g in open_groups:
                self._pick(g, running[g])
        return {g: Traversal(np.array(self._picks[g], dtype=np.int64), np.array(self._radii[g])) for g in self._names}

    def _row(self, number: int) -> Points:
        shard = int(np.searchsorted(self._starts, number, side="right")) - 1
        return np.asarray(self._shards[shard]()[number - self._starts[shard]], dtype=np.float64)

    def _rough_mean(self) -> Points:
        """Some place among the points: rounding errors grow with the distance to it."""
        some = [
            np.asarray(opened[:: max(1, len(opened) // 64)][:64], np.float64) for opened in map(_open, self._shards)
        ]
        return np.concatenate(some).mean(axis=0) if some else np.zeros(1)

    def _pass(self, names: Sequence[int], *, is_first: bool) -> dict[int, NDArray[np.int64] | None]:
        """Take the last pick of each group into account; the points of each that may be the farthest now."""
        dim, columns = len(self._origin), self._columns
        weights, constants = np.zeros((dim, columns), np.float32), np.zeros(columns, np.float32)
        slack = float(np.finfo(np.float32).eps) * (dim + 16)
        reach = float(np.linalg.norm(self._origin))
        for g in names:
            w = -2 * (self._rows[g][-1] - self._origin)
            length = float(np.linalg.norm(w))
            weights[:, g], constants[g] = w, length**2 / 4 - float(self._origin @ w)
            self._error[g] = max(self._error[g], slack * (2 * reach * length + 1.5 * length**2))
        # In the first pass nobody knows yet how far points are: what was seen is taken four times.
        spare = 4.0 if is_first else 1.0

        def walk(places: NDArray[np.int64]) -> _Running:
            running, steps = _Running(names, columns), np.arange(BLOCK) * columns
            top = self._top
            for start, points, group in self._blocks(places):
                place = slice(start, start + len(points))
                if is_first:
                    top = max(top, self._about_origin(points, place))
                column = np.maximum(group, 0)  # whoever is in no group is left out below
                found = self._products(start, points, weights).ravel().take(steps[: len(points)] + column)
                found += constants.take(column)
                low = self._low[place]
                low[...] = found if is_first else np.minimum(low, found)
                margins = {g: self._margin(g, slack, spare * top) for g in names}
                running.look(self._squares[place] + low, group, start, margins)
            running.top = top
            return running

        parts = np.array_split(np.arange(len(self._shards)), min(len(self._shards), os.cpu_count() or 1))
        with ThreadPoolExecutor(len(parts)) as pool:
            found = list(pool.map(walk, parts))
        self._top = max(each.top for each in found)
        return {g: _merged([each.of(g) for each in found], self._margin(g, slack, self._top)) for g in names}

    def _products(self, start: int, points: Points, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """Of a block with a vector for each group; on a device, blocks stay there from pass to pass."""
        if self._device is None:
            return np.asarray(points @ weights, np.float32)
        if start not in self._there:
            self._there[start] = OnDevice(points, self._device)
        return self._there[start].times(weights)

    def _margin(self, g: int, slack: float, top: float) -> float:
        """How much farther than another a point must seem to be farther."""
        return 2 * (self._error[g] + 3 * slack * top)

    def _about_origin(self, points: Points, place: slice) -> float:
        with np.errstate(over="ignore", invalid="ignore"):
            apart = points - self._origin.astype(np.float32)
            squares = np.einsum("ij,ij->i", apart, apart, dtype=np.float32)
        largest = float(squares.max(initial=0.0))
        if not math.isfinite(largest):
            row = place.start + int(np.flatnonzero(~np.isfinite(squares))[0])
            raise DataError(f"The point of anchor {row:,} is NaN, infinite, or too large to square. Leave it out.")
        self._squares[place] = squares
        return largest

    def _blocks(self, places: NDArray[np.int64]) -> Iterator[tuple[int, Points, NDArray[np.int8]]]:
        for number in cast("list[int]", places.tolist()):
            points, group = self._shards[number](), self._groups[number]
            for start in range(0, len(group), BLOCK):
                some = slice(start, min(start + BLOCK, len(group)))
                yield int(self._starts[number]) + start, np.asarray(points[some], np.float32), group[some]

    def _pick(self, g: int, rows: NDArray[np.int64] | None) -> None:
        """The farthest of those in the running, measured by differences; the lowest number on ties."""
        index, radius = self._measured(g, rows) if rows is not None else self._over_all(g)
        self._picks[g].append(index)
        self._rows[g].append(self._row(index))
        self._radii[g].append(radius)

    def _measured(self, g: int, rows: NDArray[np.int64]) -> tuple[int, float]:
        points = np.stack([self._row(int(row)) for row in rows])
        nearest = np.min([squared_distances(points, pick) for pick in self._rows[g]], axis=0)
        place = int(np.argmax(nearest))
        return int(rows[place]), math.sqrt(float(nearest[place]))

    def _over_all(self, g: int) -> tuple[int, float]:
        """A pass in float64, where too many points are equally far up to rounding."""
        best, far = -1, -1.0
        for start, points, group in self._blocks(np.arange(len(self._shards))):
            rows = np.flatnonzero(group == g)
            if not rows.size:
                continue
            nearest = np.min([squared_distances(points[rows], pick) for pick in self._rows[g]], axis=0)
            place = int(np.argmax(nearest))
            if nearest[place] > far:
                best, far = start + int(rows[place]), float(nearest[place])
        return best, math.sqrt(far)


def _multiplications(shards: Sequence[Open], groups: Sequence[NDArray[np.int8]], k: int) -> float:
    rows = sum(map(len, groups))
    return float(k) * rows * (shards[0]().shape[1] if rows else 0)


def _open(opens: Open) -> Points:
    return opens()


_Far: TypeAlias = tuple[NDArray[np.int64], NDArray[np.float32]]


class _Seen(NamedTuple):
    """What was seen of a group: how far the farthest may be, who may be it, and how far any other is at most."""

    best: float
    kept: _Far
    lost: float


class _Running:
    """The points of each group that may be the farthest: those within a margin of the farthest seen."""

    def __init__(self, names: Sequence[int], columns: int) -> None:
        # Below these nobody is in the running; the last, which NOBODY (-1) takes, lets nobody in.
        self._limits = np.full(columns + 1, np.inf, np.float32)
        self._limits[list(names)] = -np.inf
        nothing = (np.zeros(0, np.int64), np.zeros(0, np.float32))
        self._seen: dict[int, _Seen] = dict.fromkeys(names, _Seen(-math.inf, nothing, -math.inf))
        self.top = 0.0

    def look(self, far: NDArray[np.float32], group: NDArray[np.int8], start: int, margins: Mapping[int, float]) -> None:
        """Look through a block: how far its points may be, and which of them count."""
        rows = np.flatnonzero(far >= self._limits[group])
        for g in np.unique(group[rows]).tolist():
            mine, seen = rows[group[rows] == g], self._seen[g]
            best = max(seen.best, float(far[mine].max()))
            self._seen[g] = _thinned(best, [seen.kept, (mine + start, far[mine])], best - margins[g], seen.lost)
            self._limits[g] = np.nextafter(np.float32(self._seen[g].lost), np.float32(-np.inf))

    def of(self, g: int) -> _Seen:
        """What was seen of a group."""
        return self._seen[g]


def _thinned(best: float, kept: Sequence[_Far], limit: float, lost: float) -> _Seen:
    """Who is still in the running, the farthest `RUNNING` of them; whoever is left out is at most ``lost`` far."""
    rows, far = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    still, lost = np.flatnonzero(far >= limit), max(lost, limit)
    if len(still) > RUNNING:
        order = np.argpartition(-far[still], RUNNING)
        lost = max(lost, float(far[still[order[RUNNING:]]].max()))
        still = np.sort(still[order[:RUNNING]])
    return _Seen(best, (rows[still], far[still]), lost)


def _merged(parts: Sequence[_Seen], margin: float) -> NDArray[np.int64] | None:
    """The numbers of all in the running, ascending; None where one may have been left out."""
    limit = max(each.best for each in parts) - margin
    if any(each.lost > limit for each in parts):
        return None
    return np.concatenate([each.kept[0][each.kept[1] >= limit] for each in parts])


def spread_by_candidates(
    shards: Sequence[Open], groups: Sequence[NDArray[np.int8]], k: int, firsts: Mapping[int, int]
) -> SpreadPicks:
    """Farthest-first among the k farthest-first picks of each shard: one pass over the points.

    What is picked is at least a sixth as far apart as the best k points, and covers all points with at most four times
    the best radius: a shard's picks lie as far apart as they cover it, and farthest-first among them loses 2.

    Args:
        shards: open the points, shard by shard; one must fit in memory.
        groups: as for `spread_in_passes`.
        k: picks of a group.
        firsts: by group, the global number of the first pick.

    Source: Indyk, Mahabadi, Mahdian, Mirrokni 2014, PODS, for dispersion; Malkomes, Kusner, Chen, Weinberger, Moseley
    2015, NeurIPS, for k-center.
    """
    kept: dict[int, list[tuple[NDArray[np.int64], Points]]] = {g: [] for g in sorted(firsts)}
    start = 0
    for opens, group in zip(shards, groups, strict=True):
        points = opens()
        for g, found in kept.items():
            rows, first = np.flatnonzero(group == g), firsts[g] - start
            if rows.size:
                own = np.ascontiguousarray(points[rows])
                begin = int(np.searchsorted(rows, first)) if first in rows else None
                picks = farthest_first(own, min(k, len(own)), first=begin).picks
                found.append((rows[picks] + start, own[picks]))
        start += len(group)
    walks: dict[int, Traversal] = {}
    for g, found in kept.items():
        rows = np.concatenate([each for each, _ in found])
        among: NDArray[Any] = np.concatenate([points for _, points in found])
        walk = farthest_first(among, min(k, len(rows)), first=int(np.flatnonzero(rows == firsts[g])[0]))
        walks[g] = Traversal(rows[walk.picks], walk.radii)
    return SpreadPicks(walks, (6.0, 4.0))
