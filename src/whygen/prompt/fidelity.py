"""How well the surrogate predicts the model, and what chance and the model's noise allow. METHODS A3."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtri

from whygen.prompt.noise import Noise, resolution
from whygen.prompt.observed import Observed
from whygen.prompt.surrogates import Surrogate, fitter
from whygen.prompt.surrogates.values import ByChance

CHANCE_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class Chance:
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


def chance_level(observed: Observed, surrogate: Surrogate, rng: np.random.Generator) -> Chance | None:
    """In-sample R2 when the effects of whole groups are dealt out anew, `CHANCE_ROUNDS` times.

    The masks are the same each time: what depends on them alone is worked out once, and a surrogate that averages may
    leave out what noise does not let it use (`surrogates.values.ByChance`).
    """
    order = np.argsort(observed.groups, kind="stable")
    groups = len(np.unique(observed.groups))
    if len(order) % groups:
        return None
    blocks = observed.effects[order].reshape(groups, -1)
    fit = surrogate.by_chance(observed) if isinstance(surrogate, ByChance) else fitter(surrogate, observed)
    values: list[float] = []
    for _ in range(CHANCE_ROUNDS):
        shuffled = np.empty(len(observed))
        shuffled[order] = blocks[rng.permutation(groups)].ravel()
        value = r_squared(shuffled, fit(shuffled).predict(observed.masks), observed.nearness)
        if value is None:
            return None
        values.append(value)
    return Chance(float(np.mean(values)), float(np.quantile(values, 0.95)))


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The best R2 any explanation can have, with the limits of a 95% interval."""

    value: float
    low: float
    high: float


def noise_ceiling(effects: NDArray[np.float64], noise: Noise) -> Ceiling | None:
    """``1 - var_noise / var(f)``: the best R2 any explanation of these mean effects ``(m,)`` can have.

    The limits take the two variances for those of independent normal samples, so that their ratio follows Fisher's F;
    where all repeats agreed, the flip rate that they bound is the most that the noise can make. None when the effects
    do not vary, or the noise was not measured.
    """
    spread = float(np.var(effects, ddof=1)) if len(effects) > 1 else 0.0
    own = noise.variance
    if own is None or spread <= resolution(effects) ** 2:
        return None
    if noise.source == "none":
        return Ceiling(1.0, 1.0, 1.0)
    share, most = own / spread, float(noise.counts.mean())
    if noise.source == "steady":
        rate = noise.flip_rate
        return Ceiling(1.0, max(0.0, 1.0 - rate * (1.0 - rate) * noise.span**2 / most / spread), 1.0)
    low, high = (float(fdtri(noise.degrees, len(effects) - 1.0, tail)) for tail in (0.025, 0.975))
    return Ceiling(*(float(np.clip(1.0 - share * by, 0.0, 1.0)) for by in (1.0, 1.0 / low, 1.0 / high)))
