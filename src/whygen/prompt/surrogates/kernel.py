"""`kernel-ridge`: a Gaussian kernel over masks, which on masks is a product over units. METHODS A2.

``exp(-|z - m|^2 / width^2) = t ^ (number of units in which z and m differ)``: the expectation over independent units is
a product, so the surrogate's Banzhaf values are in closed form at every keep probability. On complement pairs the odd
and the even part of the model are fitted apart, each with its own penalty: a pair is one row of each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from whygen.prompt.observed import Observed
from whygen.prompt.surrogates.least_squares import left_out_error
from whygen.prompt.surrogates.rows import Linear
from whygen.prompt.surrogates.values import Sum, sum_of
from whygen.types import Masks

_FAR = np.array([0.02, 0.1, 0.25, 0.5, 0.75, 0.9])
"""Widths tried, as the kernel between two masks that differ in half of the units."""

_PENALTIES = np.logspace(-10, 1, 23)
"""Penalties tried, as multiples of the kernel's largest eigenvalue."""


@dataclass(frozen=True, slots=True)
class Kernels:
    """``sum_m weight_m t^(units in which z and m differ)``.

    Attributes:
        centres: masks m, shape ``(c, n)``.
        weights: shape ``(c,)``.
        t: the kernel of two masks that differ in one unit, between 0 and 1.
    """

    centres: Masks
    weights: NDArray[np.float64]
    t: float

    @property
    def degree(self) -> int:
        return int(self.centres.shape[1]) - 1

    def predict(self, masks: Masks) -> NDArray[np.float64]:
        return _kernel(masks, self.centres, self.t) @ self.weights

    def banzhaf(self, keep: float) -> NDArray[np.float64]:
        """``sum_m weight_m (+-(1 - t)) prod over others of E t^[differs]``, the sign that of m at the unit."""
        with_unit, without = keep + (1.0 - keep) * self.t, keep * self.t + (1.0 - keep)
        size: NDArray[np.int64] = self.centres.sum(axis=1)
        product = with_unit**size * without ** (self.centres.shape[1] - size) * self.weights * (1.0 - self.t)
        return product @ np.where(self.centres, 1.0 / with_unit, -1.0 / without)


class _Problem(NamedTuple):
    """Targets ``(r,)`` at ``centres`` ``(r, n)`` with weights; ``sign`` adds the kernel with the complement, 0 none."""

    centres: Masks
    y: NDArray[np.float64]
    root: NDArray[np.float64]
    sign: int
    block: int


@dataclass(frozen=True, slots=True)
class KernelRidge:
    """Gaussian kernel ridge; width and penalty with the least left-out error, whole groups left out."""

    name: str = "kernel-ridge"

    def smallest_pairs(self, n: int) -> int:
        del n
        return 2

    def fit(self, observed: Observed) -> Sum:
        mean = float(np.average(observed.effects, weights=observed.importance()))
        level = Linear(mean, np.zeros(observed.n), observed.keep)
        return sum_of(observed, level, *(_best(problem) for problem in _problems(observed, mean)))


def _problems(observed: Observed, mean: float) -> Iterator[_Problem]:
    """The odd and the even part of complement pairs, else all rows at once."""
    root = np.sqrt(observed.importance())
    left = observed.effects - mean
    pairs = observed.complement_pairs()
    if pairs is None:
        order = np.argsort(observed.groups, kind="stable")
        _, counts = np.unique(observed.groups, return_counts=True)
        block = int(counts[0]) if len(set(counts.tolist())) == 1 else 1
        yield _Problem(observed.masks[order], left[order], root[order], 0, block)
        return
    first, second = pairs
    for sign in (-1, 1):
        yield _Problem(observed.masks[first], (left[first] + sign * left[second]) / 2.0, root[first], sign, 1)


def _best(problem: _Problem) -> Kernels:
    """The fit with the least left-out error over all widths and penalties, each width by one eigendecomposition."""
    centres, y, root, sign, block = problem
    best_error, best_t, best = np.inf, 0.5, np.zeros(len(y))
    for t in _FAR ** (2.0 / centres.shape[1]):
        gram = _kernel(centres, centres, t)
        if sign:
            gram = (gram + sign * _kernel(centres, ~centres, t)) / 2.0
        values, vectors = np.linalg.eigh(root[:, None] * gram * root)
        values = np.maximum(values, 0.0)
        along = vectors.T @ (root * y)
        for penalty in _PENALTIES * max(float(values[-1]), 1e-12):
            error = left_out_error(vectors, penalty / (values + penalty), along, np.zeros_like(y), block)
            if error < best_error * (1.0 - 1e-9):
                best_error, best_t = error, float(t)
                best = root * (vectors @ (along / (values + penalty)))
    if not sign:
        return Kernels(centres, best, best_t)
    return Kernels(np.concatenate([centres, ~centres]), np.concatenate([best, sign * best]) / 2.0, best_t)


def _kernel(one: Masks, two: Masks, t: float) -> NDArray[np.float64]:
    """``t ^ (units in which they differ)``, shape ``(len(one), len(two))``."""
    a, b = 2.0 * one - 1.0, 2.0 * two - 1.0
    return np.exp(np.log(t) * (one.shape[1] - a @ b.T) / 2.0)
