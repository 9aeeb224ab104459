"""The strongest pairs of units, with intervals, where they raise held-out fidelity. METHODS A2, A3.

A pair's value is its Banzhaf interaction index, the mean of ``f(both) - f(one) - f(other) + f(none)`` over the others:
at keep one half four times the degree-two Fourier coefficient. Half of the groups choose the pairs, the other half
estimates them, so that no pair is measured on masks that chose it. Estimation is by cross-fitted scores,

    psi_ij = coefficient_ij(surrogate) + mean over the group's rows of w_i(z) w_j(z) (f(z) - surrogate(z)),

unbiased whatever the surrogate, as those of `intervals` are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from whygen.prompt.effects import Effects
from whygen.prompt.noise import resolution
from whygen.prompt.surrogates import LINEAR, Linear, Ridge, Surrogate
from whygen.prompt.surrogates.folding import group_means
from whygen.prompt.surrogates.pairs import Support, fit_both, leftover, pursue
from whygen.stats.intervals import score_interval
from whygen.stats.multiplicity import benjamini_hochberg
from whygen.stats.signs import sign_flip_p

FEWEST_GROUPS = 16
"""With fewer groups no pair is looked for: eight to choose and eight to estimate, and 2^-8 bounds the p-value."""

ROUNDING = 1e-8
"""A pair that stays below this share of the largest effect is what the fit of the others rounded."""

_FOLDS = 4


@dataclass(frozen=True, slots=True)
class Interaction:
    """Two units that act together.

    Attributes:
        first: number of the one unit.
        second: number of the other, larger than ``first``.
        value: Banzhaf interaction index, in the target's unit: positive where both do more together than apart.
        low: lower limit of the 95% interval.
        high: upper limit.
        p_value: of no interaction, by sign flips.
        significant: after false-discovery control at 5% over the pairs that were reported together.
    """

    first: int
    second: int
    value: float
    low: float
    high: float
    p_value: float
    significant: bool


class _Scored(NamedTuple):
    """Scores of the pairs ``(groups, k)`` and the gain in squared error over main effects alone ``(groups,)``."""

    scores: NDArray[np.float64]
    gains: NDArray[np.float64]


def strongest_pairs(
    observed: Effects, surrogate: Surrogate, rng: np.random.Generator, *, most: int = 5
) -> tuple[Interaction, ...]:
    """The pairs of units that act together most, by absolute value; none where they do not raise held-out fidelity.

    Args:
        observed: masks whose units were kept independently of each other.
        surrogate: fits the main effects, if it is linear; ridge does otherwise.
        rng: halves the groups, deals the folds and flips the signs.
        most: as many pairs at most.

    Raises:
        ValueError: for masks drawn by size, whose weights for this index have no bound.
    """
    if observed.sizes is not None:
        raise ValueError("strongest_pairs needs units that were kept independently: masks by size give other weights")
    names, group_of = np.unique(observed.groups, return_inverse=True)
    if len(names) < FEWEST_GROUPS or observed.n < 2 or most < 1 or not np.ptp(observed.values):
        return ()
    choosing = (rng.permutation(len(names)) % 2 == 0)[group_of]
    support = _chosen(observed.take(choosing), surrogate, most)
    if not len(support):
        return ()
    scored = _scored(observed, ~choosing, surrogate, support, rng)
    if scored.gains.mean() <= scored.gains.std(ddof=1) / np.sqrt(len(scored.gains)):
        return ()
    found = _report(scored.scores, support, rng, rounding=4.0 * resolution(observed.values))
    rounding = ROUNDING * float(np.abs(observed.values).max())
    return tuple(pair for pair in found if max(abs(pair.low), abs(pair.high)) > rounding)


def _chosen(observed: Effects, surrogate: Surrogate, most: int) -> Support:
    """The first ``most`` pairs of a pursuit on what the main effects leave over."""
    return pursue(leftover(observed, _main(observed, surrogate)), most).support


def _main(observed: Effects, surrogate: Surrogate) -> Linear:
    return (surrogate if isinstance(surrogate, LINEAR) else Ridge()).fit(observed)


def _scored(
    observed: Effects, estimating: NDArray[np.bool_], surrogate: Surrogate, support: Support, rng: np.random.Generator
) -> _Scored:
    """Scores of the estimating half. Every fold of it is scored by a fit to all the other masks of both halves."""
    weights, ratio = observed.weights(), observed.ratio()
    names, group_of = np.unique(observed.groups, return_inverse=True)
    fold_of = (rng.permutation(len(names)) % _FOLDS)[group_of]
    scores: list[NDArray[np.float64]] = []
    gains: list[NDArray[np.float64]] = []
    for fold in range(_FOLDS):
        held = estimating & (fold_of == fold)
        if not held.any():  # of few groups, chance may leave a fold without any of this half
            continue
        rest, seen = observed.take(~held), observed.take(held)
        main, pairs = fit_both(rest, support)
        left = seen.values - main.predict(seen.masks) - pairs.predict(seen.masks)
        # The weights of both units hold the ratio of the two laws, which counts once.
        own = weights[held][:, support[:, 0]] * weights[held][:, support[:, 1]] / ratio[held, None]
        scores.append(pairs.coefficients + group_means(own * left[:, None], seen.groups))
        alone = seen.values - _main(rest, surrogate).predict(seen.masks)
        gains.append(group_means((alone**2 - left**2)[:, None], seen.groups)[:, 0])
    return _Scored(np.concatenate(scores), np.concatenate(gains))


def _report(
    scores: NDArray[np.float64], support: Support, rng: np.random.Generator, *, rounding: float
) -> tuple[Interaction, ...]:
    interval = score_interval(scores, folds=_FOLDS)
    p_values = sign_flip_p(scores, rng, rounding=rounding)
    significant = benjamini_hochberg(p_values, level=0.05)
    columns = zip(support.tolist(), *interval, p_values, significant, strict=True)
    found = [
        Interaction(first, second, float(value), float(low), float(high), float(p), bool(sure))
        for (first, second), value, low, high, p, sure in columns
    ]
    return tuple(sorted(found, key=lambda pair: -abs(pair.value)))
