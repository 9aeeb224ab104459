"""Facility location: picks that cover a group as a whole, its bulk more than its edges."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whygen.anchors.arrays import Points, require_finite
from whygen.anchors.selection.kinds import Metric, Selection, checked, distance_blocks, nearest_pick, pairwise

HELD_LIMIT = 8000
"""Up to so many points all distances are held at once."""

_Row: TypeAlias = Callable[[int], NDArray[np.float64]]


def facility_location(points: ArrayLike, k: int, *, metric: Metric = "euclidean") -> Selection:
    """Pick k points that maximise the sum over all points of (largest distance - distance to the nearest pick).

    Greedy, which reaches 1 - 1/e of the optimum because gains only shrink as picks are added; and lazy: a gain
    is computed again only where its last value still leads. The first pick is the point with the smallest sum of
    distances. The bound is the smaller of objective / (1 - 1/e) and the objective plus the k largest gains left.

    Args:
        points: shape ``(n, dim)``. All n^2 distances are computed; up to 8,000 points they are held (0.5 GB).
        k: number of picks; all points where there are fewer.
        metric: "euclidean" or "cityblock".

    Raises:
        UsageError: if k is out of range.
        DataError: if a point is not finite.

    Source: Nemhauser, Wolsey, Fisher 1978, Math. Programming 14:265-294; Minoux 1978 for laziness; METHODS B4.
    """
    array, count = checked(points, k)
    require_finite(array)
    row, sums, largest = _distances(array, metric)
    nearest = np.full(len(array), largest)
    heap = [(-(len(array) * largest - total), index) for index, total in enumerate(sums.tolist())]
    heapq.heapify(heap)
    picks, radii = list[int](), list[float]()
    while len(picks) < count:
        index = _pop_best(row, heap, nearest)
        radii.append(float(nearest[index]) if picks else math.inf)
        picks.append(index)
        np.minimum(nearest, row(index), out=nearest)
    reached = float((largest - nearest).sum())
    left = sum(-gain for gain, _ in heapq.nsmallest(count, heap))
    exact = count == len(array)
    return Selection(
        name="facility-location",
        indices=np.array(picks, dtype=np.int64),
        objective=reached,
        bound=reached if exact else min(reached / (1 - math.exp(-1)), reached + left),
        sense="max",
        means="sum of (largest distance - distance to the nearest pick)",
        exact=exact,
        metric=metric,
        first="smallest sum of distances",
        radii=np.array(radii),
        covering_radius=float(nearest.max()),
    )


def _distances(points: Points, metric: Metric) -> tuple[_Row, NDArray[np.float64], float]:
    """Distances of one point to all, their sums, and the largest: from a matrix, or anew each time if it is too big."""
    if len(points) <= HELD_LIMIT:
        held = pairwise(points, metric=metric)
        return held.__getitem__, held.sum(axis=1), float(held.max())
    sums, largest = np.empty(len(points)), 0.0
    for rows, block in distance_blocks(points, points, metric=metric):
        sums[rows] = block.sum(axis=1)
        largest = max(largest, float(block.max()))
    return (lambda index: nearest_pick(points, [index], metric=metric)[0]), sums, largest


def _pop_best(row: _Row, heap: list[tuple[float, int]], nearest: NDArray[np.float64]) -> int:
    """Take the point with the largest gain off the heap; gains found to be stale are put back renewed."""
    while True:
        _, index = heapq.heappop(heap)
        gain = float(np.maximum(nearest - row(index), 0.0).sum())
        if not heap or (-gain, index) <= heap[0]:
            return index
        heapq.heappush(heap, (-gain, index))
