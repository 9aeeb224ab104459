"""Split-conformal p-values: how unusual a score is among those of a reference that is exchangeable with it.

With m reference scores, n here is m: p(x) = (1 + #{i: s_i >= s(x)}) / (n + 1). If x is exchangeable with the
reference, P(p <= u) <= u for every u, with equality on the grid 1/(n+1), 2/(n+1) ... when no scores tie.

Sources: Vovk, Gammerman, Shafer 2005; Bates et al. 2023 (arXiv 2104.08279); METHODS B2.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv  # pyright: ignore[reportMissingTypeStubs]

from whygen.errors import UsageError

_SLACK = 1e-9
"""Products such as 0.29 * 100 fall just below the whole number they are; no level is that close to another."""


def smallest_reference(alpha: float) -> int:
    """The fewest reference scores with which any score at all can reach p <= alpha: ceil(1/alpha) - 1."""
    return math.ceil(1 / _level(alpha) - _SLACK) - 1


def rank_at(n: int, alpha: float) -> int:
    """floor(alpha (n + 1)): p <= alpha exactly where at most this many, less one, of the n scores are as high."""
    return math.floor(_level(alpha) * (n + 1) + _SLACK)


def realised_level(n: int, alpha: float) -> float:
    """The level that n scores really give, floor(alpha (n + 1)) / (n + 1): at most alpha, 0 for too few scores."""
    return rank_at(n, alpha) / (n + 1)


def level_spread(n: int, alpha: float, *, mass: float = 0.9) -> tuple[float, float]:
    """Where the level of *this* reference lies: given the reference, P(p <= alpha) is Beta(l, n + 1 - l).

    Args:
        n: number of reference scores.
        alpha: the level asked for; l = floor(alpha (n + 1)).
        mass: probability between the two ends, the same left out on either side.

    Source: Vovk 2012 (conditional validity); exact for continuous scores.
    """
    rank = rank_at(n, alpha)
    if rank == 0:
        return 0.0, 0.0
    ends = betaincinv(rank, n + 1 - rank, [(1 - mass) / 2, (1 + mass) / 2])
    return float(ends[0]), float(ends[1])


def p_values(reference: ArrayLike, scores: ArrayLike) -> NDArray[np.float64]:
    """Conformal p-values; a high score is unusual.

    Args:
        reference: shape (n,), finite.
        scores: shape (m,), finite.

    Returns:
        Shape (m,), each a multiple of 1 / (n + 1) within [1 / (n + 1), 1].
    """
    ordered = np.sort(np.asarray(reference, dtype=np.float64))
    as_high = ordered.size - np.searchsorted(ordered, np.asarray(scores, dtype=np.float64), side="left")
    return (1 + as_high) / (ordered.size + 1)


def threshold(reference: ArrayLike, alpha: float) -> float:
    """The score above which p <= alpha: the floor(alpha (n + 1))-th largest reference score.

    Raises:
        UsageError: if the reference is too small for the level.
    """
    ordered = np.sort(np.asarray(reference, dtype=np.float64))
    rank = rank_at(ordered.size, alpha)
    if rank == 0:
        raise UsageError(
            f"reference has {ordered.size} scores, but alpha={alpha} needs at least {smallest_reference(alpha)}. "
            f"Give more reference samples, or an alpha of at least {1 / (ordered.size + 1):.3g}."
        )
    return float(ordered[ordered.size - rank])


def _level(alpha: float) -> float:
    if not 0 < alpha < 1:
        raise UsageError(f"alpha={alpha} is not a level; give a number between 0 and 1, such as 0.025.")
    return alpha
