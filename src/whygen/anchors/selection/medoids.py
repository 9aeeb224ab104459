"""k-medoids by Voronoi iteration: what the published code of PXGen runs under the name "k-center"."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whygen.anchors.arrays import Points, require_finite
from whygen.anchors.selection.kinds import Metric, Selection, checked, distance_blocks, nearest_pick
from whygen.errors import UsageError


def k_medoids(
    points: ArrayLike, k: int, *, rng: np.random.Generator, metric: Metric = "cityblock", max_rounds: int = 100
) -> Selection:
    """Pick k points so that the sum of distances of all points to their nearest pick is small.

    Assign each point to its nearest medoid, let each cluster's medoid be the member with the smallest sum of
    distances to the others, repeat until the medoids stay. A local optimum; nothing is known of the global one.

    Args:
        points: shape ``(n, dim)``.
        k: number of picks; all points where there are fewer.
        rng: draws the k distinct points to start from.
        metric: "cityblock" (L1, as published) or "euclidean".
        max_rounds: rounds after which it stops in any case.

    Raises:
        UsageError: if an argument is out of range.
        DataError: if a point is not finite.

    Source: METHODS B4; Park and Jun 2009, Expert Syst. Appl. 36:3336-3341, with random starts.
    """
    array, count = checked(points, k)
    if max_rounds < 1:
        raise UsageError(f"max_rounds={max_rounds} leaves nothing to do; give at least 1.")
    require_finite(array)
    medoids = rng.choice(len(array), size=count, replace=False).astype(np.int64)
    for _ in range(max_rounds):
        _, owners = nearest_pick(array, medoids, metric=metric)
        moved = _moved(array, medoids, owners, metric)
        if np.array_equal(moved, medoids):
            break
        medoids = moved
    distances, _ = nearest_pick(array, medoids, metric=metric)
    return Selection(
        name="k-medoids",
        indices=medoids,
        objective=float(distances.sum()),
        bound=0.0 if count == len(array) else None,
        sense="min",
        means="sum of distances to the nearest pick",
        exact=count == len(array),
        metric=metric,
        first="random",
        covering_radius=float(distances.max()),
    )


def _moved(points: Points, medoids: NDArray[np.int64], owners: NDArray[np.int64], metric: Metric) -> NDArray[np.int64]:
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
