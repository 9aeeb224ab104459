"""How well the surrogate predicts the model, and what chance and the model's noise allow. METHODS A3."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from whygen.prompt.effects import Effects
from whygen.prompt.noise import MeasuredNoise, resolution
from whygen.prompt.surrogates import ByChance, Surrogate, fitter

CHANCE_ROUNDS = 20

DOUBT = 0.05
"""Chance with which a surrogate that predicts half of what the noise allows is warned of."""

UNEQUAL = 6.0
"""By how much one more than this the degrees of a noise's variance are divided at most, where masks vary as unequally
as can be: the few that vary most may not be among those that were asked twice. Measured in benchmarks/ceilings.py."""

FEWEST_REPEATS = 30
"""With fewer repeats of masks the noise is not bounded from above: tails were missed in a third of the runs."""


@dataclass(frozen=True, slots=True)
class ChanceLevel:
    """In-sample R2 on effects that were permuted by groups: mean and 95th percentile over the rounds."""

    mean: float
    p95: float


def r_squared(
    effects: NDArray[np.float64], predicted: NDArray[np.float64], weights: NDArray[np.float64] | None = None
) -> float | None:
    """``1 - sum w (f - prediction)^2 / sum w (f - mean_w f)^2``; None when the effects do not vary."""
    weights = np.ones(len(effects)) if weights is None else weights
    mean = float((weights * effects).sum() / weights.sum())
    total = float((weights * (effects - mean) ** 2).sum())
    scale = float((weights * effects**2).sum())
    if total <= 1e-18 * max(scale, 1e-300):
        return None
    return 1.0 - float((weights * (effects - predicted) ** 2).sum()) / total


def falls_short(observed: Effects, predicted: NDArray[np.float64], *, share: float) -> bool:
    """Whether held-out predictions ``(m,)`` miss ``share`` of the variance for sure: by more than chance among masks.

    R2 is under ``share`` exactly where squared errors exceed ``1 - share`` of the squared deviations on average; that
    is a t-test over groups of masks, one-sided at `DOUBT`.
    """
    weights = np.ones(len(observed)) if observed.nearness is None else observed.nearness
    mean = float((weights * observed.values).sum() / weights.sum())
    missed = weights * ((observed.values - predicted) ** 2 - (1.0 - share) * (observed.values - mean) ** 2)
    names, group_of = np.unique(observed.groups, return_inverse=True)
    each = np.bincount(group_of, missed) / np.bincount(group_of)
    if len(names) < 3:
        return False
    error = float(each.std(ddof=1)) / len(names) ** 0.5
    return float(each.mean()) > error * float(stdtrit(len(names) - 1.0, 1.0 - DOUBT))


def chance_level(observed: Effects, surrogate: Surrogate, rng: np.random.Generator) -> ChanceLevel | None:
    """In-sample R2 when the effects of whole groups are shuffled, `CHANCE_ROUNDS` times.

    The masks are the same each time: what depends on them alone is worked out once, and a surrogate that averages may
    leave out what noise does not let it use (`surrogates.ByChance`).
    """
    order = np.argsort(observed.groups, kind="stable")
    groups = len(np.unique(observed.groups))
    if len(order) % groups:
        return None
    blocks = observed.values[order].reshape(groups, -1)
    fit = surrogate.by_chance(observed) if isinstance(surrogate, ByChance) else fitter(surrogate, observed)
    values: list[float] = []
    for _ in range(CHANCE_ROUNDS):
        shuffled = np.empty(len(observed))
        shuffled[order] = blocks[rng.permutation(groups)].ravel()
        value = r_squared(shuffled, fit(shuffled).predict(observed.masks), observed.nearness)
        if value is None:
            return None
        values.append(value)
    return ChanceLevel(float(np.mean(values)), float(np.quantile(values, 0.95)))


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The best R2 any explanation can have, with the limits of a 95% interval."""

    value: float
    low: float
    high: float


def noise_ceiling(effects: NDArray[np.float64], noise: MeasuredNoise) -> Ceiling | None:
    """``1 - var_noise / var(f)``: the best R2 any explanation of these mean effects ``(m,)`` can have.

    The limits are those of the logarithm of the ratio of the two variances, by the delta method. The error of the
    noise's variance has `MeasuredNoise.degrees`, divided where masks vary unequally (`UNEQUAL`); that of the
    effects' comes from the noise in them alone, since masks are as they are. Under `FEWEST_REPEATS` nothing bounds
    the noise from above: the lower limit is 0, which no truth can miss, so that the upper one has all 5% to itself;
    and where answers agreed, some or all of them, there is no ceiling. Where so many repeats all agreed, the flip
    rate that they bound is the most that the noise can make. None when the effects do not vary, or too little is
    known of the noise. docs/decisions/0008-noise.md.
    """
    spread = float(np.var(effects, ddof=1)) if len(effects) > 1 else 0.0
    own = noise.variance
    if own is None or spread <= resolution(effects) ** 2:
        return None
    if noise.source == "none":
        return Ceiling(1.0, 1.0, 1.0)
    share, most = own / spread, float(noise.counts.mean())
    few = noise.repeats < FEWEST_REPEATS
    if few and noise.odd < noise.repeats:  # rare noise is seen, or not, by chance: its share may be any
        return None
    if noise.source == "steady":
        own = noise.flip_rate * (1.0 - noise.flip_rate) * noise.span**2 / most
        return Ceiling(1.0, max(0.0, 1.0 - own / spread), 1.0)
    told = noise.degrees / (1.0 + UNEQUAL * (1.0 - min(1.0, noise.degrees / noise.repeats)))
    # The logarithm of an estimated variance of d degrees has variance 2 / d. Of the spread only the noise is chance: a
    # fixed part of (1 - known) and a normal one of `known` give (2 known^2 + 4 known (1 - known)) / (m - 1).
    known = min(share, 1.0)
    error = np.sqrt(2.0 / told + (2.0 * known**2 + 4.0 * known * (1.0 - known)) / (len(effects) - 1.0))
    by = np.exp(error * stdtrit(noise.degrees, 0.95 if few else 0.975))
    low = 0.0 if few else 1.0 - share * by
    return Ceiling(*(float(np.clip(each, 0.0, 1.0)) for each in (1.0 - share, low, 1.0 - share / by)))
