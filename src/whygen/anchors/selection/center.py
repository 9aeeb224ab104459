"""k-center: the largest distance of a point to its nearest pick as small as can be. Leaves nobody out."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whygen.anchors.arrays import Points, require_finite
from whygen.anchors.selection.exact import best_centers
from whygen.anchors.selection.farthest import farthest_first
from whygen.anchors.selection.kinds import Selection, Solver, checked, nearest_pick, pairwise
from whygen.errors import UsageError

MEANS = "largest distance of a point to its nearest pick"
EXACT_LIMIT = 500
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
        _require_small(len(array), EXACT_LIMIT, 'solver="exact"')
        chosen, reached = best_centers(array, greedy)
        bound, exact = reached, True
    return Selection(
        name="k-center",
        indices=chosen,
        objective=reached,
        bound=bound,
        sense="min",
        means=MEANS,
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
    _require_small(len(points), ROBUST_LIMIT, "outliers")
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
        means=f"{MEANS}, the {outliers} farthest left out",
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


def _require_small(n: int, limit: int, what: str) -> None:
    if n > limit:
        raise UsageError(
            f"{what} was asked of {n} points and takes at most {limit}. Give fewer points, or use "
            'solver="greedy" without outliers, which is at most twice the optimum and reports a bound on it.'
        )
