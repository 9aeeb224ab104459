"""What every selection returns, the distances that several of them need, and the farthest-first walk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist  # pyright: ignore[reportMissingTypeStubs]

from whygen.anchors.arrays import Points, as_points, require_finite
from whygen.anchors.selection.device import OnDevice, chosen_device
from whygen.errors import DataError, UsageError

SelectionName: TypeAlias = Literal["k-dispersion", "k-center", "k-medoids", "facility-location"]
Solver: TypeAlias = Literal["greedy", "exact"]
Metric: TypeAlias = Literal["euclidean", "cityblock"]
METRICS: tuple[str, ...] = get_args(Metric)

_BLOCK = 4_000_000
"""Distances computed at once, 32 MB of them."""

_FEW = 1000
"""Distances to so many points are computed by differences, to the last digit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The points that stand for a group, how good the choice is and how much better any choice could be.

    ``objective`` is what ``means`` says, to be made large or small as ``sense`` says; None where it does not exist
    (one pick has no distance to another). ``bound`` holds the optimum: it is at most (for "max") or at least (for
    "min") this; None where nothing is known. ``gap`` is the factor between the two, 1 for an optimum.
    """

    name: SelectionName
    indices: NDArray[np.int64]
    objective: float | None
    bound: float | None
    sense: Literal["max", "min"]
    means: str
    exact: bool
    metric: Metric
    first: str
    """How the first pick, or the start, was made."""
    radii: NDArray[np.float64] | None = None
    """Shape ``(k,)``: how far each pick lay from those before it; infinite for the first. Greedy orders only."""
    covering_radius: float | None = None
    """Distance of the point (not among ``dropped``) that lies farthest from its nearest pick; None where it was not
    computed (k-dispersion does not need it: `nearest_pick` tells)."""
    dropped: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    """Points that were left out as outliers."""

    @property
    def gap(self) -> float | None:
        """At most so many times better is the optimum; None where no bound is known."""
        if self.objective is None or self.bound is None:
            return None
        better, worse = (self.bound, self.objective) if self.sense == "max" else (self.objective, self.bound)
        if better <= worse:
            return 1.0
        return better / worse if worse > 0 else None


def checked(points: ArrayLike, k: int, *, first: int | None = None) -> tuple[Points, int]:
    """Points as floats, and k no larger than there are points.

    Raises:
        UsageError: if k is not positive, or ``first`` is not one of the points.
        DataError: if there are no points.
    """
    array = as_points(points)
    if k < 1:
        raise UsageError(f"k={k} picks cannot be made; give a whole number of at least 1.")
    if first is not None and not 0 <= first < len(array):
        raise UsageError(f"first={first} is not one of the {len(array)} points; give an index from 0 on.")
    return array, min(k, len(array))


def distance_blocks(points: Points, others: Points, *, metric: Metric) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Rows of the matrix of distances between points and others, in float64, block by block.

    Euclidean distances to many others come from matrix products of centred points, tens of times faster than by
    differences; those below 1e-8 of the points' spread are then no longer told from 0.
    """
    size = max(1, _BLOCK // len(others))
    by_products = metric == "euclidean" and len(others) > _FEW
    centre = others.mean(axis=0, dtype=np.float64)
    right = (others - centre) if by_products else others
    for start in range(0, len(points), size):
        rows = slice(start, min(start + size, len(points)))
        if by_products:
            yield rows, _by_products(points[rows] - centre, right)
        else:
            yield rows, np.asarray(cdist(points[rows], others, metric), dtype=np.float64)


def _by_products(left: Points, right: Points) -> NDArray[np.float64]:
    squares = np.asarray(left @ right.T, dtype=np.float64)
    squares *= -2
    squares += np.einsum("ij,ij->i", left, left)[:, None]
    squares += np.einsum("ij,ij->i", right, right)
    return np.sqrt(np.maximum(squares, 0, out=squares), out=squares)


def pairwise(points: Points, *, metric: Metric) -> NDArray[np.float64]:
    """All distances, ``(n, n)``; the diagonal is 0."""
    distances = np.concatenate([block for _, block in distance_blocks(points, points, metric=metric)])
    np.fill_diagonal(distances, 0.0)
    return distances


def neighbour_distances(
    points: Points, queries: Points | None, *, neighbours: int, device: str | None = None
) -> NDArray[np.float64]:
    """Euclidean distance of each query to its ``neighbours``-th nearest point, ``(n_queries,)``.

    Without queries it is asked of the points themselves, each not counting as its own neighbour. Which point that is
    comes from one matrix product a block; how far it is, from the difference of the two. Among points that are equally
    far up to rounding, any may be taken. ``device``: where products are made (see `OnDevice`); chosen by what there is.
    """
    centre = points.mean(axis=0, dtype=np.float64).astype(points.dtype)
    known = points - centre
    asked = known if queries is None else queries - centre
    squares = np.square(known).sum(axis=1)
    found = np.empty(len(asked))
    rows = max(1, min(512, _BLOCK // len(known)))
    where = chosen_device(device, float(len(asked)) * known.size)
    there = None if where is None else OnDevice(known, where)
    for start in range(0, len(asked), rows):
        block = asked[start : start + rows]
        if there is not None:
            some = slice(start, start + len(block))
            which = there.nearest(asked, some, squares.astype(np.float32), neighbours, own=queries is None)
            found[some] = np.linalg.norm(known[which] - block, axis=1)
            continue
        apart = squares - 2 * (block @ known.T)
        if queries is None:
            np.fill_diagonal(apart[:, start:], np.inf)
        which = np.argpartition(apart, neighbours - 1, axis=1)[:, neighbours - 1]
        found[start : start + len(block)] = np.linalg.norm(known[which] - block, axis=1)
    return found


def nearest_pick(
    points: ArrayLike, indices: ArrayLike, *, metric: Metric = "euclidean"
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Distance of each point to its nearest pick, and that pick's position among the picks; both ``(n,)``."""
    array = as_points(points)
    picks = array[np.asarray(indices, dtype=np.int64)]
    distances, places = np.empty(len(array)), np.empty(len(array), dtype=np.int64)
    for rows, block in distance_blocks(array, picks, metric=metric):
        places[rows] = block.argmin(axis=1)
        distances[rows] = block.min(axis=1)
    return distances, places


def diversity(points: ArrayLike, indices: ArrayLike, *, metric: Metric = "euclidean") -> float | None:
    """Mean distance between two picks; None for fewer than two."""
    picks = as_points(points)[np.asarray(indices, dtype=np.int64)]
    if len(picks) < 2:
        return None
    return float(pairwise(picks, metric=metric)[np.triu_indices(len(picks), 1)].mean())


_FIRST_BLOCK = 2048
"""Rows of a block that is subtracted from: with its copy it stays in the second-level cache."""

_PASS_BLOCK = 32768
"""Rows of a block of which only a few numbers each are handled: its vectors stay in cache."""

_ROUGHLY = 4096
"""Rows, evenly spaced, whose mean is near enough to the mean of all to measure from."""

_SUSPECTS = 4096
"""More points than this within rounding of the farthest, and the traversal goes on in float64 throughout."""


@dataclass(frozen=True, slots=True)
class Traversal:
    """``picks (k,)``, and ``radii (k,)``: how far each pick lay from the picks before it, infinite for the first.

    radii[i] is also the radius with which the first i picks cover all points; of all k picks it would take one more
    pass to know. Distances are Euclidean.
    """

    picks: NDArray[np.int64]
    radii: NDArray[np.float64]


def farthest_first(points: Points, k: int, *, first: int | None = None, device: str | None = None) -> Traversal:
    """Walk to the farthest point k - 1 times; ties go to the lowest index.

    Args:
        points: shape ``(n, dim)``, float32 or float64, finite; never copied whole.
        k: picks, 1 to n.
        first: the first pick; without one, the point nearest to the mean.
        device: where products are made (see `OnDevice`); chosen by what there is.

    Raises:
        DataError: if a point is NaN or infinite, or too large to square in float64.
    """
    start, bounds = _from_mean(points) if first is None else (first, _Bounds(points, points[first]))
    where = chosen_device(device, float(k) * points.size)
    if where is not None and points.dtype == np.float32:
        bounds.bring_to(where)
    walk = _steps(points, start, bounds)
    found = [next(walk) for _ in range(k - 1)]
    picks = np.array([start, *(index for index, _ in found)], dtype=np.int64)
    return Traversal(picks, np.array([np.inf, *(radius for _, radius in found)]))


def squared_distances(points: Points, centre: Points) -> NDArray[np.float64]:
    """Squared Euclidean distances ``(n,)`` to one point, by differences in float64, block by block."""
    centre64, out = centre.astype(np.float64), np.empty(len(points))
    for start in range(0, len(points), _FIRST_BLOCK):
        difference = points[start : start + _FIRST_BLOCK] - centre64
        np.einsum("ij,ij->i", difference, difference, out=out[start : start + _FIRST_BLOCK])
    return out


def _from_mean(points: Points) -> tuple[int, _Bounds]:
    """The point nearest to the mean (lowest index on ties), and bounds with the mean as their origin."""
    rough = points[:: max(1, len(points) // _ROUGHLY)].mean(axis=0, dtype=np.float64)
    total = np.zeros_like(rough)
    bounds = _Bounds(points, rough.astype(points.dtype), total=total)
    # What is left of the mean after the subtraction of a rough one is small, and so is its rounding error.
    offset = total / len(points)
    suspects = bounds.nearest_to_origin(within=float(np.linalg.norm(offset)))
    chosen = points if suspects is None else points[suspects]
    distances = squared_distances(chosen, bounds.origin + offset)
    _require_usable(points, float(distances.max()))
    start = int(np.argmin(distances))
    return start if suspects is None else int(suspects[start]), bounds


def _steps(points: Points, start: int, bounds: _Bounds) -> Iterator[tuple[int, float]]:
    """The farthest point from the picks so far and its distance, again and again."""
    picks = [start]
    while (suspects := bounds.after(picks[-1])) is not None:
        index, radius = _farthest(points, suspects, picks)
        yield index, radius
        picks.append(index)
    yield from _steps_in_float64(points, picks)


def _steps_in_float64(points: Points, picks: list[int]) -> Iterator[tuple[int, float]]:
    nearest = np.full(len(points), np.inf)
    for pick in picks:
        np.minimum(nearest, squared_distances(points, points[pick]), out=nearest)
    _require_usable(points, float(nearest.max()))
    while True:
        index = int(np.argmax(nearest))
        yield index, float(np.sqrt(nearest[index]))
        np.minimum(nearest, squared_distances(points, points[index]), out=nearest)


def _farthest(points: Points, suspects: NDArray[np.int64], picks: list[int]) -> tuple[int, float]:
    rows = points[suspects]
    nearest = squared_distances(rows, points[picks[0]])
    for pick in picks[1:]:
        np.minimum(nearest, squared_distances(rows, points[pick]), out=nearest)
    place = int(np.argmax(nearest))
    return int(suspects[place]), float(np.sqrt(nearest[place]))


def _require_usable(points: Points, largest: float) -> None:
    if not np.isfinite(largest):
        require_finite(points)
        raise DataError("points are so large that squared distances overflow; divide them by their largest value.")


class _Bounds:
    """Lower and upper bounds on each point's squared distance to its nearest pick, in the points' own precision.

    With an origin o, e = x - o, and w = -2 (c - o) for a pick c, ``|x - c|^2 = |e|^2 + x.w + (|w|^2 / 4 - o.w)``.
    A product of length dim is off by at most ``dim u |x| |w|`` (u the unit roundoff, any order of summation:
    Higham 2002, 3.1), and ``|x| <= |o| + |e|``, so everything together is off by at most
    ``c u (2 |o| |w| + 1.5 |w|^2 + 1.5 |e|^2)``, with c somewhat over dim. The part with ``|e|^2`` is the same for
    every pick, so it enters once, when suspects are sought. The sum of all e is added to ``total (dim,)`` if given.
    """

    def __init__(self, points: Points, origin: Points, *, total: NDArray[np.float64] | None = None) -> None:
        self._points, self.origin = points, origin.astype(np.float64)
        self._squares = _squares_about(points, origin, total=total)
        self._top = float(self._squares.max())
        if not np.isfinite(self._top):
            require_finite(points)
        kind = np.finfo(points.dtype)
        self._slack = float(kind.eps) * (points.shape[1] + 16)
        self._largest = float(kind.max)
        self._floor = float(kind.tiny) * (points.shape[1] + 16)
        self._low, self._high = np.empty_like(self._squares), np.empty_like(self._squares)
        self._empty = True
        self._scratch = np.empty_like(self._squares)
        self._there: OnDevice | None = None

    def bring_to(self, device: str) -> None:
        """Have products made on a device."""
        self._there = OnDevice(self._points, device)

    @property
    def hold(self) -> bool:
        """Whether no term overflows or vanishes in this precision; where one does, no bound is true."""
        length = self._top**0.5
        largest_term = 8 * length * (length + float(np.linalg.norm(self.origin)))
        return self._top > self._floor**0.5 and largest_term < self._largest

    def nearest_to_origin(self, *, within: float) -> NDArray[np.int64] | None:
        """Indices of all points that may be the nearest to a place ``within`` this distance of the origin."""
        if not (self.hold and np.isfinite(within)):
            return None
        reach = np.sqrt(float(self._squares.min()) * (1 + self._slack) + self._floor) + 2 * within
        suspects = np.flatnonzero(self._squares * (1 - self._slack) <= reach**2 * (1 + self._slack))
        return suspects if suspects.size <= _SUSPECTS else None

    def add(self, index: int) -> None:
        """Take a further pick into account: one pass over the points."""
        if not self.hold:
            return
        w = -2 * (self._points[index].astype(np.float64) - self.origin)
        length, reach = float(np.linalg.norm(w)), float(np.linalg.norm(self.origin))
        if length == 0:  # the pick is the origin: its distance is |e|^2, and there is nothing to compute
            self._lower(slice(None), np.zeros_like(self._squares), 0.0)
        else:
            error = self._slack * (2 * reach * length + 1.5 * length**2) + self._floor
            constant = length**2 / 4 - float(self.origin @ w)
            direction = w.astype(self._points.dtype)
            # One product a pass: its threads meet once, which matters where others use the processor too.
            if self._there is None:
                np.dot(self._points, direction, out=self._scratch)
            else:
                self._scratch[...] = self._there.times(direction)
            for block in _blocks(len(self._points), _PASS_BLOCK):
                change = self._scratch[block]
                change += constant - error
                self._lower(block, change, error)
        self._empty = False

    def _lower(self, block: slice, change: Points, error: float) -> None:
        """Bring the bounds down to ``change`` and, above it, ``change + 2 error``; overwrites ``change``."""
        low, high = self._low[block], self._high[block]
        low[...] = change if self._empty else np.minimum(low, change, out=low)
        change += 2 * error
        high[...] = change if self._empty else np.minimum(high, change, out=high)

    def after(self, index: int) -> NDArray[np.int64] | None:
        """Take a further pick into account, and name the suspects then."""
        self.add(index)
        return self.suspects()

    def suspects(self) -> NDArray[np.int64] | None:
        """Indices, ascending, of all points that may be the farthest; None where bounds cannot tell few of them."""
        if not self.hold:
            return None
        wide = 1.5 * self._slack
        surest, peaks = -np.inf, list[tuple[slice, float]]()
        for block in _blocks(len(self._points), _PASS_BLOCK):
            squares, bound = self._squares[block], self._scratch[block]
            np.multiply(squares, 1 - wide, out=bound)
            bound += self._low[block]
            surest = max(surest, float(bound.max()))
            np.multiply(squares, 1 + wide, out=bound)
            bound += self._high[block]
            peaks.append((block, float(bound.max())))
        return self._collect(peaks, surest, wide)

    def _collect(self, peaks: list[tuple[slice, float]], surest: float, wide: float) -> NDArray[np.int64] | None:
        found, count = list[NDArray[np.int64]](), 0
        for block, _ in (each for each in peaks if each[1] >= surest):
            upper = self._squares[block] * (1 + wide) + self._high[block]
            found.append(np.flatnonzero(upper >= surest) + block.start)
            count += len(found[-1])
            if count > _SUSPECTS:
                return None
        return np.concatenate(found)


def _squares_about(points: Points, origin: Points, *, total: NDArray[np.float64] | None) -> Points:
    """Squared distances ``(n,)`` to a place, in the points' own precision; differences are added to ``total``.

    Overflow gives infinity and NaN stays NaN: the caller looks at the largest. Unlike a product this pass has no
    threads of its own, so blocks are shared out; sums are added in the order of blocks, whatever the threads.
    """
    out = np.empty(len(points), dtype=points.dtype)
    chunks = list(_blocks(len(points), _PASS_BLOCK))
    sums = [None if total is None else np.zeros_like(total) for _ in chunks]

    def walk(place: int) -> None:
        chunk = chunks[place]
        _squares_into(out[chunk], points[chunk], origin, sums[place])

    with ThreadPoolExecutor(min(len(chunks), os.cpu_count() or 1)) as pool:
        list(pool.map(walk, range(len(chunks))))
    for part in sums:
        if total is not None and part is not None:
            total += part
    return out


def _squares_into(out: Points, points: Points, origin: Points, total: NDArray[np.float64] | None) -> None:
    scratch = np.empty((min(len(points), _FIRST_BLOCK), points.shape[1]), dtype=points.dtype)
    ones = np.ones(len(scratch), dtype=points.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        for block in _blocks(len(points), _FIRST_BLOCK):
            difference = scratch[: block.stop - block.start]
            np.subtract(points[block], origin, out=difference)
            np.einsum("ij,ij->i", difference, difference, out=out[block])
            if total is not None:
                total += np.dot(ones[: len(difference)], difference)


def _blocks(n: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, n)) for start in range(0, n, size))
