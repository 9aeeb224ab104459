"""How far a cross-validated R2 may be from the R2 on fresh masks: nested cross-validation.

A bootstrap of held-out errors leaves out that every fold's surrogate was fitted to much the same masks: its 95%
interval held 66% of the time. Bates, Hastie and Tibshirani (2023, JASA, Cross-validation: what does it estimate and how
well does it do it?) measure that: with fold k out, the error by cross-validation inside the rest is compared with the
error on fold k, and

    MSE = mean over k of (inner error - outer error)^2 - mean over k of var(outer losses of fold k) / size of fold k.

Fitting without folds j and k serves both, so K folds take K (K - 1) / 2 fits. R2 is linearised: the loss of a group of
masks is ``(mean w r^2 - (1 - R2) mean w (f - mean f)^2) / var(f)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from whygen.prompt.effects import Effects
from whygen.prompt.intervals import FEWEST_GROUPS, folds_for
from whygen.prompt.surrogates import Surrogate
from whygen.stats.intervals import student_half_width
from whygen.types import Floats

MOST_FOLDS = 8
DOUBTED = 2.0
"""So many times what R2 gains by a fold more is added above. Measured in benchmarks/r2_interval.py."""


@dataclass(frozen=True, slots=True)
class Spread:
    """What a cross-validated R2 is uncertain by.

    Attributes:
        half: half width of the 95% interval by the error of cross-validation.
        bias: what R2 gains when a fold more is fitted to, at least 0: fresh masks meet the surrogate of all masks, and
            those of a fold have a tenth less. It is added to the upper limit alone, and `DOUBTED` times, since it is
            itself uncertain.
        wider: the ratio of ``half`` to that of independent losses, at least 1.
    """

    half: float
    bias: float
    wider: float

    def limits(self, value: float) -> tuple[float, float]:
        """The interval of R2 on fresh masks around the cross-validated ``value``.

        A value below 0 says that folds did worse than the mean; a surrogate of all masks, which is shrunk, hardly does,
        so the upper limit is counted from 0.
        """
        return value - self.half, min(1.0, max(value, 0.0) + self.half + DOUBTED * self.bias)


def r2_spread(observed: Effects, surrogate: Surrogate, rng: np.random.Generator) -> Spread | None:
    """How far cross-validated R2 may be from the R2 of the surrogate of all masks on fresh masks.

    Student's quantile has one degree of freedom less than there are folds where the error of cross-validation is what
    they tell, and less than there are groups where that of independent losses is larger: the larger of two estimates
    is no surer by fewer degrees.

    Args:
        observed: masks with their effects.
        surrogate: what the R2 is of.
        rng: assigns groups to folds.

    Returns:
        None where groups are too few, or effects do not vary.
    """
    names, group_of = np.unique(observed.groups, return_inverse=True)
    groups = len(names)
    if groups < 2 * FEWEST_GROUPS:
        return None
    weights = np.ones(len(observed)) if observed.nearness is None else observed.nearness / observed.nearness.mean()
    around = weights * (observed.values - np.average(observed.values, weights=weights)) ** 2
    if float(around.mean()) <= 1e-18 * float((weights * observed.values**2).mean()):
        return None
    loss = _Loss(observed, surrogate, weights, around, group_of, groups)
    # Eight folds wherever groups are 2n, also where the cross-fit takes six or ten: over 500 games six held 98.8% in
    # one cell, ten 91.6% in another. Two groups a fold at least: their spread is part of the estimate.
    folds = folds_for(groups, observed.n) if groups < 2 * observed.n else MOST_FOLDS
    return _spread(loss, min(folds, groups // 2), rng)


@dataclass(frozen=True, slots=True)
class _Loss:
    """Losses of groups under a fit that left them out."""

    observed: Effects
    surrogate: Surrogate
    weights: Floats
    around: Floats
    group_of: NDArray[np.int64]
    groups: int

    def squared(self, out: NDArray[np.bool_]) -> Floats:
        """Mean weighted squared error of each group when the groups ``out`` ``(groups,)`` are not fitted to."""
        held = out[self.group_of]
        fitted = self.surrogate.fit(self.observed.take(~held))
        error = np.zeros(len(self.observed))
        error[held] = self.observed.values[held] - fitted.predict(self.observed.masks[held])
        return self.by_group(self.weights * error**2)

    def by_group(self, values: Floats) -> Floats:
        return np.bincount(self.group_of, weights=values, minlength=self.groups) / np.bincount(self.group_of)


def _spread(loss: _Loss, folds: int, rng: np.random.Generator) -> Spread:
    fold_of = rng.permutation(loss.groups) % folds
    size = float(loss.around.mean())
    outer = np.zeros(loss.groups)
    for fold in range(folds):
        outer += np.where(fold_of == fold, loss.squared(fold_of == fold), 0.0)
    missed = float(outer.mean()) / size
    base = missed * loss.by_group(loss.around)
    outer = (outer - base) / size
    inner = np.zeros((folds, loss.groups))  # inner[k, g]: loss of group g when its own fold and fold k are left out
    for one, two in combinations(range(folds), 2):
        both = (loss.squared((fold_of == one) | (fold_of == two)) - base) / size
        inner[two] += np.where(fold_of == one, both, 0.0)
        inner[one] += np.where(fold_of == two, both, 0.0)
    inside = [float(inner[k][fold_of != k].mean()) for k in range(folds)]
    apart = [(inside[k] - float(outer[fold_of == k].mean())) ** 2 for k in range(folds)]
    own = [float(outer[fold_of == k].var(ddof=1)) / int((fold_of == k).sum()) for k in range(folds)]
    naive = float(outer.std(ddof=1)) / loss.groups**0.5
    error = (max(float(np.mean(apart) - np.mean(own)), 0.0) * (folds - 1) / folds) ** 0.5
    # As the authors bound it: never under the error of independent losses, never over that of one fold.
    errors = np.array([min(error, naive * folds**0.5), naive])
    half = float(student_half_width(errors**2, np.array([folds - 1.0, loss.groups - 1.0])).max())
    bias = (1.0 + (folds - 2.0) / folds) * (float(np.mean(inside)) - float(outer.mean()))
    return Spread(half, max(bias, 0.0), 1.0 if naive == 0.0 else max(1.0, half / (1.96 * naive)))
