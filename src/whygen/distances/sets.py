"""Distances between sets of vectors, each set a uniform distribution over its rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import ot
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from whygen.types import Vectors

_MAX_ITERATIONS = 1_000_000
"""Of the network simplex: far above what sets of some thousand rows need, so that it never stops early."""


def optimal_transport(sets: Sequence[Vectors], reference: Vectors) -> NDArray[np.float64]:
    """Exact Wasserstein-1 distance under the Euclidean ground distance (Earth Mover's Distance, by POT).

    Args:
        sets: ``n`` arrays of shape ``(t_i, d)``, each of at least one row.
        reference: shape ``(t, d)``.

    Returns:
        Shape ``(n,)``; for rows of length one from 0 to 2.
    """
    return np.array([_exact(_ground(points, reference)) for points in sets], dtype=np.float64)


def _ground(points: Vectors, reference: Vectors) -> NDArray[np.float64]:
    return cdist(points, reference)


def _exact(cost: NDArray[np.float64]) -> float:
    rows, columns = cost.shape
    a, b = np.full(rows, 1.0 / rows), np.full(columns, 1.0 / columns)
    solve = cast(Any, ot.lp.emd2)  # POT has no types
    return max(0.0, float(solve(a, b, cost, numItermax=_MAX_ITERATIONS, check_marginals=False)))


def sinkhorn(sets: Sequence[Vectors], reference: Vectors, *, blur: float = 0.05) -> NDArray[np.float64]:
    """Debiased Sinkhorn divergence: ``S(a, b) - S(a, a) / 2 - S(b, b) / 2``, entropic transport cost with the entropy.

    Genevay, Peyre, Cuturi (2018). ``blur`` is the regularisation in units of the ground distance.

    Returns:
        Shape ``(n,)``.
    """
    own = _entropic(_ground(reference, reference), blur)
    return np.array(
        [max(0.0, _entropic(_ground(p, reference), blur) - 0.5 * (_entropic(_ground(p, p), blur) + own)) for p in sets],
        dtype=np.float64,
    )


def _entropic(cost: NDArray[np.float64], blur: float, *, rounds: int = 2000, tolerance: float = 1e-9) -> float:
    """Value of entropic transport by Sinkhorn's iteration on log potentials: ``<a, f> + <b, g>`` at the optimum."""
    rows, columns = cost.shape
    log_a, log_b = -np.log(rows), -np.log(columns)
    f, g = np.zeros(rows), np.zeros(columns)
    for _ in range(rounds):
        f_next = -blur * _log_mean(g[None, :] / blur + log_b - cost / blur, axis=1)
        g = -blur * _log_mean(f_next[:, None] / blur + log_a - cost / blur, axis=0)
        moved = float(np.abs(f_next - f).max())
        f = f_next
        if moved < tolerance:
            break
    return float(f.mean() + g.mean())


def _log_mean(values: NDArray[np.float64], *, axis: int) -> NDArray[np.float64]:
    highest = values.max(axis=axis, keepdims=True)
    return np.log(np.exp(values - highest).sum(axis=axis)) + highest.squeeze(axis)


def energy(sets: Sequence[Vectors], reference: Vectors) -> NDArray[np.float64]:
    """Energy distance ``2 E|X - Y| - E|X - X'| - E|Y - Y'|`` of the two distributions (Szekely and Rizzo, 2013).

    Returns:
        Shape ``(n,)``.
    """
    own = _ground(reference, reference).mean()
    found = [2.0 * _ground(points, reference).mean() - _ground(points, points).mean() - own for points in sets]
    return np.maximum(np.array(found, dtype=np.float64), 0.0)
