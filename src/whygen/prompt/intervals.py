"""From observed effects to attributions with intervals and p-values. METHODS A2, A3.

Cross-fitting: a surrogate is fitted without a fold, predicts that fold, and each group of the fold gives a score

    psi_i = attribution_i(surrogate) + mean over the group's rows of w_i(z) (f(z) - surrogate(z)),

unbiased for the Banzhaf value whatever the surrogate. The attribution is the mean of the scores; their spread gives
the interval, their signs the p-value. No refit is needed beyond the folds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq  # pyright: ignore[reportUnknownVariableType]

from whygen.errors import DataError
from whygen.prompt.observed import Observed
from whygen.prompt.surrogates import LINEAR, Surrogate
from whygen.prompt.surrogates.values import Sum
from whygen.stats.intervals import Interval, score_interval, student_half_width
from whygen.stats.signs import sign_flip_p

Floats: TypeAlias = NDArray[np.float64]

FEW_GROUPS = 16
"""Below this many groups four folds, see `folds_for`."""

FEWEST_GROUPS = 4
"""The fewest groups that can be cross-fitted."""

EXACT = 0.01
"""The surrogate of all groups meets the game where its squared left-out error is under this share of the folds'. A game
of the surrogate's kind, without noise, is met as soon as groups outnumber unknowns, which those of a fold may not yet:
the share was then .003 or less, and .04 or more in every other of 290 games (docs/decisions/0006-adaptive.md)."""

LEVEL = 0.95
"""Coverage of the intervals when the number of masks was fixed in advance."""

LEVEL_OF_LOOKS = 0.96
"""Level of the t quantile when a stop rule may end the run, so that 95% remain: a run that stops when its intervals are
narrow stops more often where they came out too narrow. Measured in benchmarks/coverage.py."""

LEVEL_BY_SIZE = 0.96
"""The same for Shapley values of fewer than `FEW_SCORES` groups, with or without a stop rule: masks of few or nearly
all units weigh most and are few: some tens of scores understate their spread. Measured in benchmarks/coverage.py."""

FEW_SCORES = 100


@dataclass(frozen=True, slots=True)
class CrossFit:
    """Scores ``(groups, n)``, held-out predictions ``(m,)`` in row order, and the number of folds."""

    scores: NDArray[np.float64]
    predicted: NDArray[np.float64]
    folds: int
    own: NDArray[np.float64]
    """The surrogate's part of the scores, ``(groups, n)``; the rest corrects what it misses."""
    whole: NDArray[np.float64]
    """Attributions of the surrogate fitted to every group, ``(n,)``."""
    straight: bool = False
    """Whether the surrogate is linear in the units."""
    exact: bool = False
    """Whether the surrogate meets the game when it is fitted to every group, see `EXACT`."""

    def shrunk(self) -> Floats:
        """The unbiased attributions, as far as they stand out from their own noise; the surrogate's else, ``(n,)``.

        The mean of the scores is shrunk towards the surrogate's attributions by the positive-part rule of James and
        Stein (1961), with the sum of its squared standard errors for the variance. The surrogate's are the mean of
        those of the folds and of the fit to all groups: the one has a tenth less data, the other less stability where
        groups are about as many as units (docs/decisions/0005-shrinkage.md, 0006-adaptive.md). A surrogate that meets
        the game is reported as it is.
        """
        if self.exact:
            return self.whole
        target: Floats = (self.own.mean(axis=0) + self.whole) / 2.0
        unbiased: Floats = self.scores.mean(axis=0)
        noise = float(self.scores.var(axis=0, ddof=1).sum()) / len(self.scores)
        size = float(((unbiased - target) ** 2).sum())
        kept = max(0.0, 1.0 - noise / size) if size > 0.0 else 0.0
        return target + kept * (unbiased - target)


LIKE_THESE = "for inputs like these"
"""How the method of an estimate ends whose interval and p-values are a Student t over inputs."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Attributions ``(n,)`` with limits and p-values; None where the design gives none."""

    attributions: NDArray[np.float64]
    interval: Interval | None
    p_values: NDArray[np.float64] | None
    method: str
    effective: float | None = None
    """Kish's effective sample size, for weighted estimates."""
    predicted: NDArray[np.float64] | None = None
    """Held-out predictions ``(m,)`` of the cross-fit behind the estimate, where there is one."""


def cross_fit(observed: Observed, surrogate: Surrogate, rng: np.random.Generator) -> CrossFit:
    """Scores and held-out predictions; all rows of a group are in one fold.

    Args:
        observed: at least `FEWEST_GROUPS` groups.
        surrogate: what is fitted in each fold.
        rng: assigns groups to folds.
    """
    names, group_of = np.unique(observed.groups, return_inverse=True)
    groups = len(names)
    folds = folds_for(groups, observed.n)
    fold_of = rng.permutation(groups) % folds
    weights = observed.weights()
    rows_in = np.bincount(group_of, minlength=groups).astype(np.float64)
    scores, own = np.zeros((groups, observed.n)), np.zeros((groups, observed.n))
    predicted = np.zeros(len(observed))
    for fold in range(folds):
        held = fold_of[group_of] == fold
        fitted = surrogate.fit(observed.take(~held))
        predicted[held] = fitted.predict(observed.masks[held])
        correction = weights[held] * (observed.effects[held] - predicted[held])[:, None]
        np.add.at(scores, group_of[held], correction / rows_in[group_of[held], None])
        own[fold_of == fold] = fitted.attributions()
    final = surrogate.fit(observed)
    exact = isinstance(final, Sum) and final.error is not None and final.error <= EXACT * _missed(observed, predicted)
    straight = isinstance(surrogate, LINEAR)
    return CrossFit(scores + own, predicted, folds, own, final.attributions(), straight, exact)


def _missed(observed: Observed, predicted: Floats) -> float:
    """Mean squared error of held-out predictions ``(m,)`` of what attributions rest on: half differences, or rows."""
    residual, weights, pairs = observed.effects - predicted, observed.importance(), observed.complement_pairs()
    if pairs is None:
        return float(np.mean(weights * residual**2))
    first, second = pairs
    return float(np.mean(weights[first] * ((residual[first] - residual[second]) / 2.0) ** 2))


def folds_for(groups: int, n: int) -> int:
    """Folds of the cross-fit of so many groups of ``n`` units: ten, but fewer where groups are few.

    Surrogates of folds that share nearly all their data make scores that hang together, and the spread of the scores
    then understates the error. Between 16 groups and 2n six folds keep false positives at 5-6% where ten let 7% through
    (docs/decisions/0002-intervals.md).
    """
    if groups < FEW_GROUPS:
        return min(FEWEST_GROUPS, groups)
    return 6 if groups < 2 * n else 10


def sampled_interval(
    fit: CrossFit, *, sampled: float = 0.0, noise: float = 0.0, keep: float = 0.5, level: float = LEVEL
) -> Interval:
    """Attributions from cross-fitted scores and their limits: what a stop rule looks at.

    Args:
        fit: the scores.
        sampled: share of all groups that the design drew (0 where it draws with replacement). Its square counts where
            the surrogate bends with the data: what such a one misses of the masks that were not drawn it misses
            together (docs/decisions/0002-intervals.md).
        noise: variance of one effect under repetition, from redrawn prompts; 0 when repeats did not differ.
        keep: the keep probability, for the size of the weights.
        level: of the intervals; `LEVEL_OF_LOOKS` where a stop rule may end the run.
    """
    own = noise_of_score(noise, keep=keep)
    share = sampled if fit.straight else sampled**2
    return score_interval(fit.scores, level=level, sampled=share, noise=own, folds=fit.folds)


def sampled_estimate(
    fit: CrossFit,
    rng: np.random.Generator,
    *,
    sampled: float = 0.0,
    noise: float = 0.0,
    keep: float = 0.5,
    level: float = LEVEL,
) -> Estimate:
    """`sampled_interval` with p-values by sign flips, which ``rng`` draws, and attributions of less squared error.

    The interval and the p-values stand on the unbiased scores; the attributions are `CrossFit.shrunk`, within it.
    """
    interval = sampled_interval(fit, sampled=sampled, noise=noise, keep=keep, level=level)
    return Estimate(
        np.clip(fit.shrunk(), interval.low, interval.high),
        interval,
        sign_flip_p(fit.scores, rng),
        "Student t over cross-fitted pair scores",
        predicted=fit.predicted,
    )


def noise_of_score(noise: float, *, keep: float = 0.5) -> float:
    """Variance that ``noise``, the variance of one effect, adds to the score of a pair: half the mean square weight."""
    return noise * (1.0 / keep + 1.0 / (1.0 - keep)) / 2.0


def shapley_interval(fit: CrossFit, observed: Observed, *, noise: float = 0.0, level: float = LEVEL) -> Interval:
    """Shapley values from cross-fitted scores, projected onto efficiency: they sum to f(1) - f(0). METHODS A2.

    Args:
        fit: the scores.
        observed: masks drawn by size, with their ``total``.
        noise: variance of the total under repetition, which every value carries an n-th of.
        level: of the intervals; `LEVEL_OF_LOOKS` where a stop rule may end the run. Raised to `LEVEL_BY_SIZE` where
            groups are few.
    """
    level = max(level, LEVEL_BY_SIZE) if len(fit.scores) < FEW_SCORES else level
    raw = score_interval(fit.scores, level=level, folds=fit.folds)
    estimate: Floats = raw.estimate + _shift(fit, observed)
    shared = student_half_width(np.array(noise), 8.0, level=level) / observed.n
    half: Floats = np.hypot(raw.high - raw.estimate, shared)
    return Interval(estimate, estimate - half, estimate + half)


def shapley_estimate(
    fit: CrossFit, observed: Observed, rng: np.random.Generator, *, noise: float = 0.0, level: float = LEVEL
) -> Estimate:
    """`shapley_interval` with p-values by sign flips, which ``rng`` draws, and values of less squared error.

    The values are those nearest to `CrossFit.shrunk` that lie in the interval and sum to f(1) - f(0), to rounding.
    """
    interval = shapley_interval(fit, observed, noise=noise, level=level)
    return Estimate(
        _efficient(fit.shrunk(), interval, float(observed.total or 0.0)),
        interval,
        sign_flip_p(fit.scores + _shift(fit, observed), rng),
        "Student t over cross-fitted pair scores, projected onto efficiency",
        predicted=fit.predicted,
    )


def _efficient(values: Floats, interval: Interval, total: float) -> Floats:
    """The nearest values in the interval that sum to ``total``, as its middle does: all moved alike, and held."""
    low, high = interval.low, interval.high

    def excess(move: float) -> float:
        return float(np.clip(values + move, low, high).sum()) - total

    least, most = float((low - values).min()), float((high - values).max())
    if not excess(least) < 0.0 < excess(most):  # no width to move in
        return interval.estimate
    move = cast(float, brentq(excess, least, most, xtol=1e-15))
    found: Floats = np.clip(values + move, low, high)
    free = (found > low) & (found < high)
    found[free] += (total - float(found.sum())) / max(int(free.sum()), 1)
    return found


def _shift(fit: CrossFit, observed: Observed) -> float:
    """What each value needs for all to sum to the total."""
    if observed.total is None:
        raise ValueError("Shapley values need Observed.total, f(1) - f(0)")
    return (observed.total - float(fit.scores.mean(axis=0).sum())) / observed.n


def local_estimate(observed: Observed) -> Estimate:
    """Weighted least squares under the observed ``nearness``; intervals from HC3, clustered by group.

    Args:
        observed: masks with the weight of each under a kernel.

    Returns:
        The estimate; its ``effective`` is Kish's ``(sum w)^2 / sum w^2``.

    Raises:
        DataError: if ``nearness`` is not one finite number of at least zero a mask, or zero for all.
    """
    weights = np.ones(len(observed)) if observed.nearness is None else observed.nearness
    if weights.shape != (len(observed),) or not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise DataError(
            f"nearness has shape {weights.shape} for {len(observed)} masks: give one finite number of at least zero "
            "for each, not all zero. A kernel that is too narrow rounds to zero: widen it."
        )
    effective = float(weights.sum() ** 2 / (weights**2).sum())
    x: Floats = np.hstack([np.ones((len(observed), 1)), observed.masks.astype(np.float64)])
    bread: Floats = np.asarray(np.linalg.pinv(x.T @ (weights[:, None] * x)), dtype=np.float64)
    solution: Floats = bread @ x.T @ (weights * observed.effects)
    residual: Floats = observed.effects - x @ solution
    leverage: Floats = weights * ((x @ bread) * x).sum(axis=1)
    meat_rows: Floats = x * (weights * residual / np.maximum(1.0 - leverage, 1e-6))[:, None]
    names, group_of = np.unique(observed.groups, return_inverse=True)
    clustered = np.zeros((len(names), x.shape[1]))
    np.add.at(clustered, group_of, meat_rows)
    variance: Floats = ((clustered @ bread) ** 2).sum(axis=0)[1:]
    half = student_half_width(variance, max(len(names) - x.shape[1], 1))
    coefficients = solution[1:]
    interval = Interval(coefficients, coefficients - half, coefficients + half)
    return Estimate(coefficients, interval, None, "sandwich (HC3) clustered by pair", effective)
