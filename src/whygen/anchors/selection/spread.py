"""Selections that spread: k-dispersion shows the variety of a group, k-center leaves nobody out; greedy or exact."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize  # pyright: ignore[reportMissingTypeStubs]

from whygen.anchors.arrays import Points, require_finite
from whygen.anchors.selection.points import (
    Selection,
    Solver,
    checked,
    farthest_first,
    nearest_pick,
    neighbour_distances,
    pairwise,
)
from whygen.errors import UsageError, WhygenError


def most_dispersed(points: Points, greedy: NDArray[np.int64]) -> tuple[NDArray[np.int64], float]:
    """The k points with the largest smallest distance, and that distance.

    k points at least t apart are a clique of size k in the graph that joins points at least t apart (an independent
    set in its complement). The answer lies between what greedy picks reach and twice that.

    Args:
        points: shape ``(n, dim)``, up to about 200.
        greedy: k >= 2 picks of farthest-first, to start from.
    """
    require_finite(points)
    distances = pairwise(points, metric="euclidean")
    reached = _smallest_within(distances, greedy)
    candidates = np.unique(distances[(distances > reached) & (distances <= 2 * reached * (1 + 1e-9))])
    best, low, high = greedy, 0, len(candidates)
    while low < high:
        middle = (low + high) // 2
        clique = _clique(distances >= candidates[middle], len(greedy))
        if clique is None:
            high = middle
        else:
            best, low = np.array(clique, dtype=np.int64), middle + 1
    return best, _smallest_within(distances, best)


def best_centers(points: Points, greedy: NDArray[np.int64]) -> tuple[NDArray[np.int64], float]:
    """The k points with the smallest largest distance to the nearest of them, and that distance.

    k centers reach every point within t if they dominate the graph that joins points at most t apart; HiGHS answers
    that. The answer lies between half of what greedy reaches and that.

    Args:
        points: shape ``(n, dim)``, up to a few hundred.
        greedy: k picks of farthest-first, to start from.
    """
    require_finite(points)
    distances = pairwise(points, metric="euclidean")
    reached = float(distances[:, greedy].min(axis=1).max())
    candidates = np.unique(distances[(distances < reached) & (distances >= reached / 2 * (1 - 1e-9))])
    best, low, high = greedy, 0, len(candidates)
    while low < high:
        middle = (low + high) // 2
        centers = _dominating(distances <= candidates[middle], len(greedy))
        if centers is None:
            low = middle + 1
        else:
            best, high = centers, middle
    return best, float(distances[:, best].min(axis=1).max())


def _smallest_within(distances: NDArray[np.float64], picks: NDArray[np.int64]) -> float:
    return float(distances[np.ix_(picks, picks)][np.triu_indices(len(picks), 1)].min())


def _dominating(joined: NDArray[np.bool_], k: int) -> NDArray[np.int64] | None:
    """Find k points of which every point is joined to at least one; None if there are none."""
    n = len(joined)
    answer: Any = optimize.milp(  # pyright: ignore[reportUnknownMemberType]
        np.ones(n),
        constraints=optimize.LinearConstraint(joined.astype(np.float64), lb=1),
        integrality=np.ones(n),
        bounds=optimize.Bounds(0, 1),
    )
    if answer.status != 0:
        raise WhygenError(f"The exact k-center solver stopped early: {answer.message} Use solver='greedy'.")
    chosen = np.flatnonzero(np.asarray(answer.x) > 0.5)
    if chosen.size > k:
        return None
    spare = np.setdiff1d(np.arange(n), chosen)[: k - chosen.size]
    return np.concatenate([chosen, spare]).astype(np.int64)


def _clique(joined: NDArray[np.bool_], size: int) -> list[int] | None:
    """``size`` points that are all joined to each other, or None: branch and bound over bit sets.

    Points are coloured so that joined ones differ; a clique needs one colour for each member, so a branch with too
    few colours is cut. Source: Tomita and Seki 2003, DMTCS, LNCS 2731:278-289.
    """
    neighbours = [sum(1 << int(j) for j in np.flatnonzero(row) if j != i) for i, row in enumerate(joined)]

    def grow(members: list[int], candidates: int) -> list[int] | None:
        if len(members) == size:
            return members
        order = _coloured(neighbours, candidates)
        for vertex, colour in reversed(order):
            if len(members) + colour < size:
                return None
            found = grow([*members, vertex], candidates & neighbours[vertex])
            if found is not None:
                return found
            candidates &= ~(1 << vertex)
        return None

    return grow([], (1 << len(joined)) - 1)


def _coloured(neighbours: list[int], candidates: int) -> list[tuple[int, int]]:
    """Vertices with their colour, colours ascending; each colour is a set of vertices not joined to each other."""
    order, colour = list[tuple[int, int]](), 0
    while candidates:
        colour += 1
        free = candidates
        while free:
            vertex = (free & -free).bit_length() - 1
            order.append((vertex, colour))
            candidates &= ~(1 << vertex)
            free &= ~(1 << vertex) & ~neighbours[vertex]
    return order


MEANS = "smallest distance between two picks"
EXACT_LIMIT = 200
"""More points than this, and the exact solver may run for hours."""


def k_dispersion(
    points: ArrayLike,
    k: int,
    *,
    first: int | None = None,
    solver: Solver = "greedy",
    drop_share: float = 0.0,
    neighbours: int = 5,
) -> Selection:
    """Pick k points that lie as far from each other as possible (Euclidean).

    Greedy is farthest-first: at least half the optimum, and no polynomial method does better unless P = NP. The
    optimum is at most 2 r(k - 1), r(i) being the radius with which the first i picks cover the points: of k points
    two share a ball of that radius. As r(k - 1) is what greedy reaches, the bound is also twice that.

    Args:
        points: shape ``(n, dim)``.
        k: number of picks; all points where there are fewer.
        first: first pick (the paper's is argmin(kld + sse)); without one, the point nearest to the mean.
        solver: "greedy", or "exact" for up to 200 points.
        drop_share: farthest-first loves outliers; leave out this share of points, those farthest from their
            ``neighbours``-th neighbour, before anything is picked. ``first`` is always kept.
        neighbours: which neighbour's distance measures how far off a point lies.

    Raises:
        UsageError: if an argument is out of range, or exact is asked of too many points.
        DataError: if a point is not finite.

    Source: Ravi, Rosenkrantz, Tayi 1994, Operations Research 42:299-310; METHODS B4.
    """
    array, _ = checked(points, k, first=first)
    dropped = _sparsest(array, drop_share, neighbours, first)
    kept = np.delete(np.arange(len(array), dtype=np.int64), dropped) if dropped.size else None
    rows = array if kept is None else array[kept]
    count, start = min(k, len(rows)), first
    if kept is not None and first is not None:
        start = int(np.searchsorted(kept, first))
    walk = farthest_first(rows, count, first=start)
    reached = float(walk.radii[count - 1]) if count > 1 else None
    chosen, bound, exact = walk.picks, None if reached is None else 2 * reached, count == len(rows)
    if solver == "exact" and reached is not None:
        _require_small(len(rows))
        chosen, reached = most_dispersed(rows, walk.picks)
        exact = True
    return Selection(
        name="k-dispersion",
        indices=chosen if kept is None else kept[chosen],
        objective=reached,
        bound=reached if exact else bound,
        sense="max",
        means=MEANS,
        exact=exact,
        metric="euclidean",
        first="given" if first is not None else "nearest to the mean",
        radii=walk.radii if solver == "greedy" else None,
        dropped=dropped,
    )


def _sparsest(points: Points, share: float, neighbours: int, first: int | None) -> NDArray[np.int64]:
    """Ascending indices of the points to drop: those farthest from their neighbours."""
    if not 0 <= share < 1:
        raise UsageError(f"drop_share={share} is not a share that can be dropped; give 0 <= drop_share < 1.")
    drop = int(share * len(points))
    if drop == 0:
        return np.empty(0, dtype=np.int64)
    require_finite(points)
    sparsity = neighbour_distances(points, None, neighbours=min(neighbours, len(points) - 1))
    if first is not None:
        sparsity[first] = -np.inf
    return np.sort(np.argsort(sparsity, kind="stable")[len(points) - drop :]).astype(np.int64)


def _require_small(n: int) -> None:
    if n > EXACT_LIMIT:
        raise UsageError(
            f'solver="exact" was given {n} points and takes at most {EXACT_LIMIT}. Use solver="greedy", which is at '
            "least half as good and reports a bound on the optimum, or give fewer points."
        )


COVERS = "largest distance of a point to its nearest pick"
EXACT_CENTERS = 500
"""More points than this, and the exact solver may run for hours."""
ROBUST_LIMIT = 8000
"""The variant with outliers holds all distances: 0.5 GB for so many points."""


def k_center(
    points: ArrayLike, k: int, *, first: int | None = None, solver: Solver = "greedy", outliers: int = 0
) -> Selection:
    """Pick k points so that every point, but for ``outliers`` of them, is near to a pick (Euclidean).

    Greedy is Gonzalez's farthest-first: at most twice the optimum. The optimum is at least delta(k + 1) / 2, half
    the distance at which the next pick would be made: of k + 1 points so far from each other two share a center.

    Args:
        points: shape ``(n, dim)``.
        k: number of picks; all points where there are fewer.
        first: first pick; without one, the point nearest to the mean. Not used with outliers.
        solver: "greedy", or "exact" for up to 500 points without outliers.
        outliers: how many points may be left uncovered; then the greedy of Charikar and others, at most three times
            the optimum, for up to 8,000 points.

    Raises:
        UsageError: if an argument is out of range, or too many points are given.
        DataError: if a point is not finite.

    Source: Gonzalez 1985, Theoret. Comput. Sci. 38:293-306; Charikar, Khuller, Mount, Narasimhan
    2001, SODA, 642-651; METHODS B4.
    """
    array, count = checked(points, k, first=first)
    if outliers:
        return _with_outliers(array, count, outliers, solver)
    walk = farthest_first(array, min(count + 1, len(array)), first=first)
    reached = float(walk.radii[count]) if count < len(array) else 0.0
    greedy = walk.picks[:count]
    chosen, bound, exact = greedy, reached / 2, reached == 0
    if solver == "exact" and not exact:
        _require_few(len(array), EXACT_CENTERS, 'solver="exact"')
        chosen, reached = best_centers(array, greedy)
        bound, exact = reached, True
    return Selection(
        name="k-center",
        indices=chosen,
        objective=reached,
        bound=bound,
        sense="min",
        means=COVERS,
        exact=exact,
        metric="euclidean",
        first="given" if first is not None else "nearest to the mean",
        radii=walk.radii[:count] if solver == "greedy" else None,
        covering_radius=reached,
    )


def _with_outliers(points: Points, k: int, outliers: int, solver: Solver) -> Selection:
    if not 0 < outliers < len(points):
        raise UsageError(f"outliers={outliers} of {len(points)} points; give fewer than there are, and none below 0.")
    if solver == "exact":
        raise UsageError('solver="exact" does not take outliers; use solver="greedy" (at most 3 times the optimum).')
    _require_few(len(points), ROBUST_LIMIT, "outliers")
    require_finite(points)
    distances = pairwise(points, metric="euclidean")
    radius, picks = _smallest_feasible(distances, k, outliers)
    nearest, _ = nearest_pick(points, picks)
    order = np.argsort(nearest, kind="stable")
    reached = float(nearest[order[-outliers - 1]])
    return Selection(
        name="k-center",
        indices=picks,
        objective=reached,
        bound=min(radius, reached),
        sense="min",
        means=f"{COVERS}, the {outliers} farthest left out",
        exact=reached <= radius,
        metric="euclidean",
        first="the point with most others within the radius",
        covering_radius=reached,
        dropped=np.sort(order[-outliers:]).astype(np.int64),
    )


def _smallest_feasible(distances: NDArray[np.float64], k: int, outliers: int) -> tuple[float, NDArray[np.int64]]:
    """The smallest radius found for which greedy discs leave at most ``outliers`` points out, and the discs' centers.

    Every radius from the optimum on is feasible, so the search never ends above the optimum: the radius bounds it.
    """
    radii = np.unique(distances)
    low, high = -1, len(radii) - 1
    best = _discs(distances, float(radii[high]), k, outliers)
    while high - low > 1:
        middle = (low + high) // 2
        picks = _discs(distances, float(radii[middle]), k, outliers)
        low, high, best = (middle, high, best) if picks is None else (low, middle, picks)
    if best is None:
        raise AssertionError("one disc as wide as the points covers them all")
    return float(radii[high]), best


def _discs(distances: NDArray[np.float64], radius: float, k: int, outliers: int) -> NDArray[np.int64] | None:
    """Take k times the disc that covers most uncovered points, and cover all within three radii of its center."""
    uncovered, picks = np.ones(len(distances), dtype=np.bool_), list[int]()
    within = (distances <= radius).astype(np.float32)
    for _ in range(k):
        gains = within @ uncovered.astype(np.float32)
        gains[picks] = -1
        picks.append(int(np.argmax(gains)))
        uncovered &= distances[picks[-1]] > 3 * radius
    return np.array(picks, dtype=np.int64) if uncovered.sum() <= outliers else None


def _require_few(n: int, limit: int, what: str) -> None:
    if n > limit:
        raise UsageError(
            f"{what} was asked of {n} points and takes at most {limit}. Give fewer points, or use "
            'solver="greedy" without outliers, which is at most twice the optimum and reports a bound on it.'
        )
