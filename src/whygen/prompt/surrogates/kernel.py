"""`kernel-ridge`: a Gaussian kernel over masks, which on masks is a product over units. METHODS A2.

``exp(-|z - m|^2 / width^2) = t ^ (number of units in which z and m differ)``: the expectation over independent units is
a product, so the surrogate's Banzhaf values are in closed form at every keep probability. On complement pairs the odd
and the even part of the model are fitted apart, each with its own penalty: a pair is one row of each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from whygen.prompt.observed import Observed
from whygen.prompt.surrogates.least_squares import left_out_error
from whygen.prompt.surrogates.rows import Linear
from whygen.prompt.surrogates.values import Sum, sum_of
from whygen.types import Effects, Masks

FAR = np.array([0.02, 0.1, 0.25, 0.5, 0.75, 0.9])
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


class Problem(NamedTuple):
    """Rows of a kernel fit: masks ``(r, n)`` with weights ``(r,)``; what to fit is not part of it.

    ``sign`` adds or takes off the kernel with the complement (the even and the odd part of a game), 0 does neither.
    """

    centres: Masks
    root: NDArray[np.float64]
    sign: int
    block: int


class Fit(NamedTuple):
    """The best of all widths and penalties, and its mean squared left-out error."""

    kernels: Kernels
    error: float


class Width(NamedTuple):
    """The smoother of one width under each of ``p`` penalties: all that does not depend on the effects.

    Attributes:
        t: the kernel of two masks that differ in one unit.
        vectors: eigenvectors, shape ``(r, k)``.
        values: eigenvalues, shape ``(k,)``.
        penalties: shape ``(p,)``.
        shrink: the share of each eigenvector that a penalty takes away, shape ``(k, p)``.
        own: one less the leverage of each row, shape ``(r, p)``.
        cross: less the leverage between the two rows of a block, shape ``(r / 2, p)``; None where blocks are rows.
    """

    t: float
    vectors: NDArray[np.float64]
    values: NDArray[np.float64]
    penalties: NDArray[np.float64]
    shrink: NDArray[np.float64]
    own: NDArray[np.float64]
    cross: NDArray[np.float64] | None


@dataclass(frozen=True, slots=True)
class KernelRidge:
    """Gaussian kernel ridge; width and penalty with the least left-out error, whole groups left out."""

    name: str = "kernel-ridge"

    def smallest_pairs(self, n: int) -> int:
        del n
        return 2

    def fit(self, observed: Observed) -> Sum:
        return self.prepared(observed)(observed.effects)

    def prepared(self, observed: Observed) -> Callable[[Effects], Sum]:
        """Fits of many effects of the same masks: the decompositions are theirs alone."""
        parts = [(problem, widths_of(problem, FAR)) for problem in problems(observed)]

        def fit(effects: Effects) -> Sum:
            seen = observed.with_effects(effects)
            level = level_of(seen)
            found = [best_of(p, widths, y) for (p, widths), y in zip(parts, targets(seen), strict=True)]
            return sum_of(seen, level, *(part.kernels for part in found))

        return fit


def level_of(observed: Observed) -> Linear:
    """The weighted mean of the effects, as a surrogate."""
    mean = float(np.average(observed.effects, weights=observed.importance()))
    return Linear(mean, np.zeros(observed.n), observed.keep)


def problems(observed: Observed) -> list[Problem]:
    """The odd and the even part of complement pairs, else all rows at once."""
    root = np.sqrt(observed.importance())
    pairs = observed.complement_pairs()
    if pairs is not None:
        return [Problem(observed.masks[pairs[0]], root[pairs[0]], sign, 1) for sign in (-1, 1)]
    order = np.argsort(observed.groups, kind="stable")
    _, counts = np.unique(observed.groups, return_counts=True)
    block = int(counts[0]) if len(set(counts.tolist())) == 1 else 1
    return [Problem(observed.masks[order], root[order], 0, block)]


def targets(observed: Observed) -> list[NDArray[np.float64]]:
    """What each of the `problems` is fitted to: effects less their mean."""
    left = observed.effects - level_of(observed).intercept
    pairs = observed.complement_pairs()
    if pairs is None:
        return [left[np.argsort(observed.groups, kind="stable")]]
    first, second = pairs
    return [(left[first] + sign * left[second]) / 2.0 for sign in (-1, 1)]


def widths_of(problem: Problem, far: NDArray[np.float64]) -> list[Width]:
    """One eigendecomposition a width; ``far`` is the kernel between two masks that differ in half of the units."""
    return [_width(problem, float(t)) for t in far ** (2.0 / problem.centres.shape[1])]


def _width(problem: Problem, t: float) -> Width:
    centres, root, sign, block = problem
    gram = _kernel(centres, centres, t)
    if sign:
        gram = (gram + sign * _kernel(centres, ~centres, t)) / 2.0
    values, vectors = np.linalg.eigh(root[:, None] * gram * root)
    values = np.maximum(values, 0.0)
    penalties = _PENALTIES * max(float(values[-1]), 1e-12)
    shrink = penalties / (values[:, None] + penalties)
    cross = (vectors[0::2] * vectors[1::2]) @ shrink if block == 2 else None
    return Width(t, vectors, values, penalties, shrink, vectors**2 @ shrink, cross)


def best_of(problem: Problem, widths: list[Width], y: NDArray[np.float64]) -> Fit:
    """The fit of ``y`` ``(r,)`` with the least left-out error over all widths and penalties."""
    errors = [_left_out_errors(problem, width, y) for width in widths]
    one, other = divmod(int(np.argmin(errors)), len(_PENALTIES))
    width = widths[one]
    along = width.vectors.T @ (problem.root * y)
    solved = problem.root * (width.vectors @ (along / (width.values + width.penalties[other])))
    return Fit(_kernels(problem, solved, width.t), float(errors[one][other]))


def _left_out_errors(problem: Problem, width: Width, y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean squared left-out error under each penalty, shape ``(p,)``: `left_out_error` for all of them at once."""
    along = width.vectors.T @ (problem.root * y)
    if problem.block > 2:
        nothing = np.zeros_like(y)
        return np.array([left_out_error(width.vectors, one, along, nothing, problem.block) for one in width.shrink.T])
    residual = width.vectors @ (width.shrink * along[:, None])
    if width.cross is None:
        return np.mean((residual / np.maximum(width.own, 1e-300)) ** 2, axis=0)
    one, two = width.own[0::2] * (1.0 + 1e-13), width.own[1::2] * (1.0 + 1e-13)
    determinant = np.maximum(one * two - width.cross**2, 1e-13 * np.maximum(one * two, 1e-280))
    first = (two * residual[0::2] - width.cross * residual[1::2]) / determinant
    second = (one * residual[1::2] - width.cross * residual[0::2]) / determinant
    return np.mean(first**2 + second**2, axis=0) / 2.0


def _kernels(problem: Problem, solved: NDArray[np.float64], t: float) -> Kernels:
    """The solution as a function of masks; the other half of each pair stands with its own sign."""
    if not problem.sign:
        return Kernels(problem.centres, solved, t)
    both = np.concatenate([solved, problem.sign * solved]) / 2.0
    return Kernels(np.concatenate([problem.centres, ~problem.centres]), both, t)


def _kernel(one: Masks, two: Masks, t: float) -> NDArray[np.float64]:
    """``t ^ (units in which they differ)``, shape ``(len(one), len(two))``."""
    a, b = 2.0 * one - 1.0, 2.0 * two - 1.0
    return np.exp(np.log(t) * (one.shape[1] - a @ b.T) / 2.0)
