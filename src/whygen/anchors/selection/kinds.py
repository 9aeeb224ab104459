"""What every selection returns, and the distances that several of them need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist  # pyright: ignore[reportMissingTypeStubs]

from whygen.anchors.arrays import Points, as_points
from whygen.errors import UsageError

SelectionName: TypeAlias = Literal["k-dispersion", "k-center", "k-medoids", "facility-location"]
Solver: TypeAlias = Literal["greedy", "exact"]
Metric: TypeAlias = Literal["euclidean", "cityblock"]

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


def neighbour_distances(points: Points, queries: Points | None, *, neighbours: int) -> NDArray[np.float64]:
    """Euclidean distance of each query to its ``neighbours``-th nearest point, ``(n_queries,)``.

    Without queries it is asked of the points themselves, each not counting as its own neighbour. Which point that is
    comes from one matrix product a block; how far it is, from the difference of the two. Among points that are equally
    far up to rounding, any may be taken.
    """
    centre = points.mean(axis=0, dtype=np.float64).astype(points.dtype)
    known = points - centre
    asked = known if queries is None else queries - centre
    squares = np.square(known).sum(axis=1)
    found = np.empty(len(asked))
    rows = max(1, min(512, _BLOCK // len(known)))
    for start in range(0, len(asked), rows):
        block = asked[start : start + rows]
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
