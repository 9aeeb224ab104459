"""Contrasts against exchangeable twins: which originals stand out, and how many do.

An original and its m twins are m + 1 values. If the original is one of them like any other (the null hypothesis), each
is the lowest with chance 1 / (m + 1), whatever their law, and that says nothing of how far apart they are. So the texts
whose lowest value is a twin's show how many of those whose lowest value is the original's are chance. With m = 1 that
is the mirror: differences are as often negative as positive.

Sources: Barber and Candes 2015 (Annals of Statistics 43:2055, the filter with its offset of 1); Gimenez and Zou 2019
(arXiv 1810.11378, several knockoffs); Carlini et al. 2019 (arXiv 1802.08232, the rank of a canary among its twins).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr, betaincinv  # pyright: ignore[reportMissingTypeStubs]

from whygen.errors import DataError, UsageError


@dataclass(frozen=True, slots=True)
class Stands:
    """How originals stand among their twins; ``n`` of them.

    Attributes:
        rank_p: (1 + twins that are as low) / (m + 1), exact for each by itself, ``(n,)``.
        gap: mean of the others less the lowest, over their spread (see `spread`), ``(n,)``; at least 0.
        lowest: whether the original is strictly the lowest, ``(n,)``.
        q: the smallest level at which it is called; 1 where it is not the lowest, ``(n,)``.
    """

    rank_p: NDArray[np.float64]
    gap: NDArray[np.float64]
    lowest: NDArray[np.bool_]
    q: NDArray[np.float64]


def among_twins(values: ArrayLike) -> Stands:
    """How each original stands among its twins; a low value is what the original is suspected of.

    ``q <= level`` calls a set whose expected share of false ones is at most ``level``, whatever the values' laws, if
    the null originals are exchangeable with their twins and independent of each other.

    Args:
        values: ``(n, 1 + m)``, the original first, finite, m at least 1.

    Raises:
        DataError: if the shape is another, or a value is not finite.
    """
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 2 or found.shape[1] < 2 or not np.isfinite(found).all():
        raise DataError(f"values has shape {found.shape}; give (n, 1 + m) finite numbers, m at least 1.")
    m = found.shape[1] - 1
    own, twins = found[:, 0], found[:, 1:]
    as_low = (twins <= own[:, None]).sum(axis=1)
    ordered = np.sort(found, axis=1)
    gap = (ordered[:, 1:].mean(axis=1) - ordered[:, 0]) / spread(ordered[:, 1:])
    lowest = as_low == 0
    return Stands(rank_p=(1 + as_low) / (m + 1), gap=gap, lowest=lowest, q=_levels(lowest, gap, m))


def spread(others: NDArray[np.float64], *, usual: float | None = None) -> NDArray[np.float64]:
    """What differences from the mean of others are measured in: the root of s^2 + s0^2 for each row, ``(n,)``.

    s is the standard deviation within a row, s0 the usual one, by default the median over the rows. Without s, rows of
    wide spread drown the others; without s0, few values make some rows look narrow by chance (Tusher, Tibshirani and
    Chu 2001, PNAS 98:5116, add such a constant). All ones where rows have a single value, or nothing differs.

    Args:
        others: ``(n, m)``; the same whichever of a row's values is the original.
        usual: s0, where rows are to be measured as those of another table are.
    """
    if others.shape[1] < 2:
        return np.ones(len(others))
    within = others.std(axis=1, ddof=1)
    usual = float(np.median(within)) if usual is None and len(within) else usual or 0.0
    found = np.sqrt(within**2 + usual**2)
    return np.where(found > 0, found, 1.0)


def _levels(lowest: NDArray[np.bool_], gap: NDArray[np.float64], m: int) -> NDArray[np.float64]:
    """The smallest level at which each is called: min over thresholds t <= gap of (1 + #twins) / m / #originals."""
    order = np.argsort(-gap, kind="stable")
    ranked = gap[order]
    last = np.searchsorted(-ranked, -ranked, side="right") - 1  # equal gaps come in together
    originals, others = np.cumsum(lowest[order])[last], np.cumsum(~lowest[order])[last]
    false = (1 + others) / m / np.maximum(originals, 1)
    smallest = np.minimum.accumulate(false[::-1])[::-1]
    levels = np.ones(len(gap))
    levels[order] = np.minimum(smallest, 1.0)
    return np.where(lowest, levels, 1.0)


@dataclass(frozen=True, slots=True)
class KnockoffStanding:
    """Which share stands out in the population that the tests come from.

    Attributes:
        estimate: 1 less the estimated share of null ones.
        low: lower end of the interval; holds whatever those that stand out look like.
        high: upper end; holds if nearly all that stand out do so at the level that was looked at, else they are more.
    """

    estimate: float
    low: float
    high: float


def standing_share(values: ArrayLike, *, level: float = 0.95) -> KnockoffStanding:
    """The share of originals that are the lowest for a reason, by how many are not the lowest.

    If a share s stands out, an original is not the lowest with chance (1 - s) m / (m + 1).

    Args:
        values: as `among_twins` takes them.
        level: of the interval.

    Source: Storey 2002 (JRSS B 64:479) for the estimate; the ends invert the binomial test, so that the lower one is a
    bound as in Meinshausen and Rice 2006 (Annals of Statistics 34:373).
    """
    stands = among_twins(values)
    m = np.asarray(values).shape[1] - 1
    return _share(int((~stands.lowest).sum()), len(stands.lowest), chances=np.array([m / (m + 1)]), level=level)


def conformal_share(p_values: ArrayLike, *, reference: int, at: float = 0.25, level: float = 0.95) -> KnockoffStanding:
    """The share of tests that are no null ones, by how many conformal p-values lie above ``at``.

    Given the reference, a null p-value exceeds k / (n + 1) with a chance that all tests share and that is
    Beta(n + 1 - k, k): the interval has the reference's error, too.

    Args:
        p_values: ``(m,)``, conformal, of one reference.
        reference: n, how many reference scores they rest on.
        at: where nearly all that are no null ones lie below.
        level: of the interval.

    Source: Storey 2002 for the estimate; Vovk 2012 for the beta law. PTDI (arXiv 2510.09717) estimates the share among
    texts from that law, too, by a formula of its own.
    """
    p = np.asarray(p_values, dtype=np.float64)
    k = max(1, int(at * (reference + 1) + 1e-9))
    above = int((p > (k + 0.5) / (reference + 1)).sum())
    chances = betaincinv(reference + 1 - k, k, (np.arange(_NODES) + 0.5) / _NODES)
    return _share(above, len(p), chances=np.asarray(chances, dtype=np.float64), level=level)


_NODES = 32
"""Points of the beta law that chances are averaged over."""
_STEPS = 501
"""Shares that are tried for the ends of an interval."""


def _share(kept: int, n: int, *, chances: NDArray[np.float64], level: float) -> KnockoffStanding:
    """The interval of the share that ``kept`` of ``n`` do not refute, each kept by a null test's chance."""
    if not 0 < level < 1:
        raise UsageError(f"level={level} is not a level; give a number between 0 and 1, such as 0.95.")
    if not n:
        return KnockoffStanding(0.0, 0.0, 1.0)
    estimate = max(0.0, 1 - kept / float(chances.mean()) / n)
    null = np.linspace(0, 1, _STEPS)
    chance = null[:, None] * chances[None, :]
    upto = np.asarray(bdtr(kept, n, chance), dtype=np.float64).mean(axis=1)
    below = np.asarray(bdtr(kept - 1, n, chance), dtype=np.float64).mean(axis=1) if kept else np.zeros(_STEPS)
    tail = (1 - level) / 2
    possible = 1 - null[(upto > tail) & (1 - below > tail)]
    if not possible.size:  # so many are kept that even with none standing out it is odd
        return KnockoffStanding(estimate, 0.0, 0.0)
    return KnockoffStanding(estimate, min(estimate, float(possible[-1])), max(estimate, float(possible[0])))
