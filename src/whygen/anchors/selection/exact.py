"""Exact answers for small groups: binary search over the distances, and for each a yes-or-no question on a graph."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize  # pyright: ignore[reportMissingTypeStubs]

from whygen.anchors.arrays import Points, require_finite
from whygen.anchors.selection.kinds import pairwise
from whygen.errors import WhygenError


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
