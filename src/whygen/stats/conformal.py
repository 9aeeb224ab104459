"""Split-conformal p-values: how unusual a score is among those of a reference that is exchangeable with it.

With m reference scores, n here is m: p(x) = (1 + #{i: s_i >= s(x)}) / (n + 1). If x is exchangeable with the
reference, P(p <= u) <= u for every u, with equality on the grid 1/(n+1), 2/(n+1) ... when no scores tie.

`population_thresholds` says where the threshold would lie if the reference were the whole population: what the
reference leaves open, for intervals that hold whatever the anchors are.

Sources: Vovk, Gammerman, Shafer 2005; Bates et al. 2023 (arXiv 2104.08279); METHODS B2; decision 13.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv  # pyright: ignore[reportMissingTypeStubs]

from whygen.errors import UsageError

AMPLE = 3.0
"""Scores so many times as many as a threshold takes, and some, are looked at first: the others are below it."""

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


HEAVIEST = 6.0
"""Largest tail index that is thought possible beyond the highest reference score; .5 has no variance, 1 no mean.

An interval must hold for the heaviest tail; a guess of what another reference would say takes a usual one."""
USUAL = 0.5
LIGHTEST = -0.5
DISCRETE = 0.5
"""Where fewer than this part of the scores are distinct, each value is an atom; else ties are rounding."""


def is_discrete(scores: NDArray[np.float64]) -> bool:
    """Whether scores take few values, so that a threshold can only lie on one of them."""
    return len(np.unique(scores)) < DISCRETE * len(scores)


@dataclass(frozen=True, slots=True)
class Beyond:
    """Draws of what nothing measures: how the population goes on beyond the highest score. Each ``(B,)``.

    ``mass`` is a unit exponential, as those of the samples are; ``scale`` a gamma variable over its mean, by which the
    tail's scale is known; ``index`` the tail's heaviness. For scores of few values ``unseen`` is the mass above all
    that was seen, and ``rest`` that below.
    """

    mass: NDArray[np.float64]
    scale: NDArray[np.float64]
    index: NDArray[np.float64]
    unseen: NDArray[np.float64]
    rest: NDArray[np.float64]

    def where(self, same: NDArray[np.bool_], other: Beyond) -> Beyond:
        """That of another criterion in the draws in which it is the same, and this one elsewhere."""
        pairs = (
            (self.mass, other.mass), (self.scale, other.scale), (self.index, other.index),
            (self.unseen, other.unseen), (self.rest, other.rest),
        )  # fmt: skip
        return Beyond(*(np.where(same, theirs, own) for own, theirs in pairs))


def beyond(
    reference: NDArray[np.float64], draws: int, rng: np.random.Generator, *, heaviest: float = HEAVIEST
) -> list[Beyond]:
    """Draws of what lies beyond the highest score of each criterion, ``(n, c)``.

    Beyond all that was seen two criteria are either far on the same samples or on others. How often the samples that
    are highest by one are highest by another says which (k of the top m: Jeffreys' law); in so many draws what lies
    beyond is the same. Were it never so, the thresholds of criteria that go together would seem to err apart, and
    shares to be surer than they are; were it always so, the shares of what only one of them calls out would.
    """
    top = _top(len(reference))
    highest = np.argsort(-reference, axis=0, kind="stable")[:top].T
    found = list[Beyond]()
    for place, rows in enumerate(highest):
        own = Beyond(
            rng.exponential(size=draws),
            rng.gamma(top, size=draws) / top,
            rng.uniform(LIGHTEST, heaviest, size=draws),
            *rng.gamma(0.5, size=(2, draws)),
        )
        shared = [len(np.intersect1d(rows, known)) for known in highest[:place]]
        if shared:
            nearest = int(np.argmax(shared))
            chance = rng.beta(shared[nearest] + 0.5, top - shared[nearest] + 0.5, size=draws)
            own = own.where(rng.random(size=draws) < chance, found[nearest])
        found.append(own)
    return found


def _top(n: int) -> int:
    """So many of the highest scores say what the tail is like."""
    return max(1, min(max(2, math.ceil(math.sqrt(n))), n - 1))


def population_thresholds(
    reference: ArrayLike, levels: ArrayLike, masses: NDArray[np.float64], tail: Beyond
) -> NDArray[np.float64]:
    """Draws of the score that a share ``level`` of the *population* exceeds, given a reference drawn from it.

    n scores cut the line into n + 1 gaps whose probabilities are Dirichlet(1, ..., 1), whatever the law of the scores
    (Wilks 1941); the share above the k-th largest is then Beta(k, n + 1 - k), as in `level_spread`. A draw gives each
    gap a probability and finds the threshold: inside a gap by interpolation, beyond the highest score (which a small
    reference leaves open: with 39 scores at .025 in 37 draws of 100) along a generalised Pareto tail whose scale comes
    from the highest scores and whose index, which nothing measures, is drawn between `LIGHTEST` and ``heaviest``.

    Scores that take few values are atoms: the threshold is the highest value that more than ``level`` reach, and it is
    infinite where more than ``level`` may lie above all that was seen.

    Args:
        reference: shape ``(n,)``, finite.
        levels: a share for each draw, shape ``(B,)``.
        masses: unit exponentials, one a draw and reference sample, ``(B, n)``. Criteria of the same samples are given
            the same masses, so that their thresholds are as dependent as the criteria.
        tail: what lies beyond the highest score, as `beyond` draws it.

    Returns:
        Shape ``(B,)``.
    """
    scores, shares = np.asarray(reference, dtype=np.float64), np.asarray(levels, dtype=np.float64)
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    if is_discrete(scores):
        return _atoms(falling, shares, masses[:, order], tail)
    total = tail.mass + masses.sum(axis=1)
    first = min(len(scores), math.ceil(AMPLE * (len(scores) * float(shares.max()) + AMPLE**2)))
    if first < len(scores) and bool((tail.mass + masses[:, order[:first]].sum(axis=1) <= shares * total).any()):
        first = len(scores)  # the highest scores hold less than the share in some draw
    return _between(falling, shares, masses[:, order[:first]], total, tail)


def _between(
    falling: NDArray[np.float64], shares: NDArray[np.float64], masses: NDArray[np.float64], total: NDArray[np.float64],
    tail: Beyond,
) -> NDArray[np.float64]:  # fmt: skip
    """For scores without ties; ``falling`` and the columns of ``masses`` in descending order, as far as they matter.

    ``total (B,)`` is the mass of all scores.
    """
    n, draws = len(falling), np.arange(len(shares))
    above = np.cumsum(np.column_stack([tail.mass, masses]), axis=1)
    above /= total[:, None]  # above[:, k] is the population's share above the (k + 1)-th largest score
    gap = np.minimum((above <= shares[:, None]).sum(axis=1), masses.shape[1])
    upper, lower = falling[np.maximum(gap - 1, 0)], falling[np.minimum(gap, n - 1)]
    outside = np.where(gap > 0, above[draws, np.maximum(gap - 1, 0)], 0.0)
    tiny = np.finfo(np.float64).tiny  # tails fall like an exponential rather than on a line: by logarithms of the share
    part = np.log(np.maximum(shares, tiny) / np.maximum(outside, tiny)) / np.log(
        np.maximum(above[draws, gap], 2 * tiny) / np.maximum(outside, tiny)
    )
    inside = upper - np.clip(part, 0, 1) * (upper - lower)
    return np.where(gap == 0, falling[0] + _beyond(falling, above[:, 0] / shares, tail), inside)


def _beyond(falling: NDArray[np.float64], ratio: NDArray[np.float64], tail: Beyond) -> NDArray[np.float64]:
    """How far beyond the highest score a generalised Pareto tail reaches until its mass has fallen by ``ratio``."""
    n, top = len(falling), _top(len(falling))
    excess = float(falling[:top].mean() - falling[min(top, n - 1)])
    scale = excess / tail.scale  # the mean of ``top`` exponentials is known that well
    return scale * np.expm1(tail.index * np.log(np.maximum(ratio, 1.0))) / tail.index


def _atoms(
    falling: NDArray[np.float64], shares: NDArray[np.float64], masses: NDArray[np.float64], tail: Beyond
) -> NDArray[np.float64]:
    """For scores that take few values: the share at or above a value that k of n reach is Beta(k + .5, n - k + .5)."""
    starts = np.flatnonzero(np.concatenate([[True], falling[1:] != falling[:-1]]))
    reached = tail.unseen[:, None] + np.cumsum(np.add.reduceat(masses, starts, axis=1), axis=1)
    reached = np.column_stack([tail.unseen, reached]) / (masses.sum(axis=1) + tail.unseen + tail.rest)[:, None]
    values = np.concatenate([np.array([np.inf]), falling[starts]])
    return values[np.minimum((reached <= shares[:, None]).sum(axis=1), len(values) - 1)]


def _level(alpha: float) -> float:
    if not 0 < alpha < 1:
        raise UsageError(f"alpha={alpha} is not a level; give a number between 0 and 1, such as 0.025.")
    return alpha
