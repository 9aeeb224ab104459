"""k-dispersion: the smallest distance between two picks as large as can be. Shows the variety of a group."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whygen.anchors.arrays import Points, require_finite
from whygen.anchors.selection.exact import most_dispersed
from whygen.anchors.selection.farthest import farthest_first
from whygen.anchors.selection.kinds import Selection, Solver, checked, neighbour_distances
from whygen.errors import UsageError

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
