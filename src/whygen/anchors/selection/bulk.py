"""Selections that show the bulk of a group: facility location, and the published k-medoids."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from typing import Any, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whygen.anchors.arrays import Points, require_finite
from whygen.anchors.selection.points import Metric, Selection, checked, distance_blocks, nearest_pick, pairwise
from whygen.errors import MissingExtraError, UnknownNameError, UsageError

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


MedoidSolver: TypeAlias = Literal["faster-pam", "voronoi"]
SOLVERS: tuple[MedoidSolver, ...] = ("faster-pam", "voronoi")

HELD_MEDOIDS = 4000
"""Up to so many points all distances are held at once (0.1 GB); of more, so many are drawn, as CLARA does."""
STARTS = 5
ASCENT = 60_000_000
"""So many distances at most the bound looks at, over all its rounds."""
MOST_ROUNDS, FEWEST_ROUNDS = 100, 10

_Matrix: TypeAlias = NDArray[np.float64]
_Indices: TypeAlias = NDArray[np.int64]


def k_medoids(
    points: ArrayLike,
    k: int,
    *,
    rng: np.random.Generator,
    metric: Metric = "cityblock",
    max_rounds: int = 100,
    solver: MedoidSolver = "faster-pam",
) -> Selection:
    """Pick k points so that the sum of distances of all points to their nearest pick is small.

    ``faster-pam`` swaps a pick for another point for as long as a swap helps, from the medoids of the Voronoi
    iteration and from four random starts, and takes the best: never worse than ``voronoi`` with the same generator.
    ``voronoi`` assigns each point to its nearest medoid, lets each cluster's medoid be the member with the smallest
    sum of distances to the others, and repeats until the medoids stay. Either way the largest cluster's medoid comes
    first. The bound is that of the Lagrangian relaxation, for up to about 2,400 points.

    Args:
        points: shape ``(n, dim)``. With ``faster-pam`` and more than 4,000 points, 4,000 drawn at random choose the
            picks, and the objective is that of all.
        k: number of picks; all points where there are fewer.
        rng: draws what the search starts from.
        metric: "cityblock" (L1, as published) or "euclidean".
        max_rounds: rounds after which it stops in any case.
        solver: "faster-pam" (extra ``medoids``), or "voronoi" as published.

    Raises:
        UsageError: if an argument is out of range.
        MissingExtraError: if ``faster-pam`` is asked for and the package kmedoids is not installed.
        DataError: if a point is not finite.

    Source: METHODS B4; Schubert and Rousseeuw 2021, Inf. Syst. 101:101804; Park and Jun 2009, Expert Syst. Appl.
    36:3336-3341, with random starts; Kaufman and Rousseeuw 1990, ch. 3, for CLARA.
    """
    array, count = checked(points, k)
    if solver not in SOLVERS:
        raise UnknownNameError("solver of k-medoids", solver, SOLVERS)
    if max_rounds < 1:
        raise UsageError(f"max_rounds={max_rounds} leaves nothing to do; give at least 1.")
    require_finite(array)
    bound, first = None, "random"
    if solver == "voronoi":
        medoids = _voronoi(array, count, rng, metric, max_rounds)
    else:
        medoids, bound, first = _faster_pam(array, count, rng, metric, max_rounds)
    distances, owners = nearest_pick(array, medoids, metric=metric)
    objective = float(distances.sum())
    bound = 0.0 if count == len(array) else bound
    order = np.argsort(-np.bincount(owners, minlength=count), kind="stable")
    return Selection(
        name="k-medoids",
        indices=medoids[order],
        objective=objective,
        bound=None if bound is None else min(bound, objective),
        sense="min",
        means="sum of distances to the nearest pick",
        exact=bound is not None and objective <= bound * (1 + 1e-9),
        metric=metric,
        first=first,
        covering_radius=float(distances.max()),
    )


# --- FasterPAM -----------------------------------------------------------------------------------------------------


def _faster_pam(
    points: Points, k: int, rng: np.random.Generator, metric: Metric, rounds: int
) -> tuple[_Indices, float | None, str]:
    """Picks, a bound on the optimum of all points if one was computed, and how the search began."""
    library = require_faster_pam()
    drawn = np.arange(len(points), dtype=np.int64)
    if len(points) > HELD_MEDOIDS:
        drawn = np.sort(rng.choice(len(points), size=HELD_MEDOIDS, replace=False)).astype(np.int64)
    among = points[drawn]
    starts = [_voronoi(among, k, rng, metric, rounds)]
    starts += [rng.choice(len(among), size=k, replace=False).astype(np.int64) for _ in range(STARTS - 1)]
    distances = pairwise(among, metric=metric)
    best, lowest = starts[0], np.inf
    for start in starts:
        # A copy: the library moves the medoids it is given. One thread: the result must not depend on the machine.
        found = library.fasterpam(distances, start.astype(np.uintp), max_iter=rounds, n_cpu=1)
        if found.loss < lowest:
            best, lowest = np.asarray(found.medoids, dtype=np.int64), float(found.loss)
    if len(drawn) < len(points):
        return drawn[best], None, f"best of {STARTS} starts on {HELD_MEDOIDS} points drawn at random"
    return best, _lower_bound(distances, best), f"best of {STARTS} starts"


def require_faster_pam() -> Any:
    """The package that holds FasterPAM.

    Raises:
        MissingExtraError: if it is not installed.
    """
    try:
        import kmedoids
    except ImportError as error:
        raise MissingExtraError(
            "k-medoids by FasterPAM (select='k-medoids:8,solver=voronoi' does without, and is a little worse)",
            extra="medoids",
            package="kmedoids",
        ) from error
    return cast("Any", kmedoids)


def _lower_bound(distances: _Matrix, medoids: _Indices) -> float | None:
    """What no k medoids can go below: the Lagrangian relaxation of "each point has one medoid", by subgradients.

    For any prices v the optimum is at least sum(v) + the k smallest of r_j = sum_i min(0, d_ij - v_i): point j as a
    medoid serves those who pay more than their distance to it.

    Source: Cornuejols, Fisher, Nemhauser 1977, Management Science 23:789-810; Held, Wolfe, Crowder 1974 for the steps.
    """
    rounds = min(MOST_ROUNDS, ASCENT // len(distances) ** 2)
    if rounds < FEWEST_ROUNDS:
        return None
    k = len(medoids)
    two = np.sort(distances[:, medoids], axis=1)[:, :2]
    reached, prices, scale, best = float(two[:, 0].sum()), two.mean(axis=1), 1.0, 0.0
    for _ in range(rounds):
        gains = np.minimum(distances - prices[:, None], 0).sum(axis=0)
        chosen = np.argpartition(gains, k - 1)[:k] if k < len(gains) else np.arange(k)
        value = float(prices.sum() + gains[chosen].sum())
        scale = scale if value > best else scale * 0.9
        best = max(best, value)
        slope = 1.0 - (distances[:, chosen] < prices[:, None]).sum(axis=1)
        steep = float(slope @ slope)
        if steep == 0 or reached - value <= 0:
            break
        prices = np.maximum(prices + scale * (reached - value) / steep * slope, 0)
    return best


# --- the published iteration ---------------------------------------------------------------------------------------


def _voronoi(points: Points, k: int, rng: np.random.Generator, metric: Metric, rounds: int) -> _Indices:
    medoids = rng.choice(len(points), size=k, replace=False).astype(np.int64)
    for _ in range(rounds):
        _, owners = nearest_pick(points, medoids, metric=metric)
        moved = _moved(points, medoids, owners, metric)
        if np.array_equal(moved, medoids):
            break
        medoids = moved
    return medoids


def _moved(points: Points, medoids: _Indices, owners: _Indices, metric: Metric) -> _Indices:
    """The member of each cluster with the smallest sum of distances; an emptied cluster keeps its medoid."""
    moved = medoids.copy()
    for cluster in range(len(medoids)):
        members = np.flatnonzero(owners == cluster)
        if members.size:
            rows = points[members]
            sums = np.concatenate([block.sum(axis=1) for _, block in distance_blocks(rows, rows, metric=metric)])
            here = np.flatnonzero(members == medoids[cluster])
            # A medoid as good as the best stays: else ties could go round for ever.
            stays = here.size > 0 and bool(sums[here[0]] <= sums.min())
            moved[cluster] = medoids[cluster] if stays else members[int(np.argmin(sums))]
    return moved
