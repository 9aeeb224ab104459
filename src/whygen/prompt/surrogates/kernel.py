"""`kernel-ridge`: a Gaussian kernel over masks, which on masks is a product over units. METHODS A2.

``exp(-|z - m|^2 / width^2) = t ^ (number of units in which z and m differ)``: the expectation over independent units is
a product, so the surrogate's Banzhaf values are in closed form at every keep probability. On complement pairs the odd
and the even part of the model are fitted apart, each with its own penalty: a pair is one row of each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from whygen.prompt.effects import Effects
from whygen.prompt.surrogates.base import Linear, Sum, sum_of
from whygen.prompt.surrogates.linear import errors_by, log_evidence, shares_of, spared_by
from whygen.types import Floats, Masks

FAR = np.array([0.02, 0.1, 0.25, 0.5, 0.75, 0.9])
"""Widths tried, as the kernel between two masks that differ in half of the units."""

_PENALTIES = np.logspace(-10, 1, 23)
"""Penalties tried, as multiples of the kernel's largest eigenvalue."""

_MOST = 0.9
"""Left-out errors of pairs are compared by their upper limits at this level, see `_doubt`."""


@dataclass(frozen=True, slots=True)
class Kernels:
    """``sum_m weight_m t^(units in which z and m differ)``.

    Attributes:
        centres: masks m, shape ``(c, n)``.
        weights: shape ``(c,)``.
        t: the kernel of two masks that differ in one unit, between 0 and 1.
    """

    centres: Masks
    weights: Floats
    t: float

    def times(self, factor: float) -> Kernels:
        return replace(self, weights=factor * self.weights)

    @property
    def degree(self) -> int:
        return int(self.centres.shape[1]) - 1

    def predict(self, masks: Masks) -> Floats:
        return np.exp(np.log(self.t) * _differ(masks, self.centres)) @ self.weights

    def banzhaf(self, keep: float) -> Floats:
        """``sum_m weight_m (+-(1 - t)) prod over others of E t^[differs]``, the sign that of m at the unit."""
        with_unit, without = keep + (1.0 - keep) * self.t, keep * self.t + (1.0 - keep)
        # The expected factor of a unit is `with_unit` where m has it, else `without`, so the product over all units
        # depends on m's size alone; dividing by the factor of one unit leaves that of the others.
        size: NDArray[np.int64] = self.centres.sum(axis=1)
        product = with_unit**size * without ** (self.centres.shape[1] - size) * self.weights * (1.0 - self.t)
        return product @ np.where(self.centres, 1.0 / with_unit, -1.0 / without)


class Distinct(NamedTuple):
    """The masks of a design, each once: a mask that was drawn again is one fact, with its weights added up.

    Attributes:
        first: a row of each pair of masks, or every row, shape ``(r,)``.
        second: the row of its complement; None where masks do not come in complement pairs.
        place: which distinct mask each of them is, shape ``(r,)``.
        centres: the distinct masks, shape ``(d, n)``; of two complements the one without the last unit.
        weights: shape ``(d,)``.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64] | None
    place: NDArray[np.int64]
    centres: Masks
    weights: Floats


def distinct(observed: Effects) -> Distinct:
    """The distinct masks of a design, or its distinct pairs."""
    pairs, second = observed.complement_pairs(), None
    first: NDArray[np.int64] = np.arange(len(observed))
    if pairs is not None:
        turned = observed.masks[pairs[0], -1]
        first, second = np.where(turned, pairs[1], pairs[0]), np.where(turned, pairs[0], pairs[1])
    centres, place = np.unique(observed.masks[first], axis=0, return_inverse=True)
    weights: Floats = np.bincount(place, observed.importance()[first]).astype(np.float64)
    return Distinct(first, second, place, centres, weights)


class Problem(NamedTuple):
    """A kernel fit to distinct masks ``(d, n)`` with root weights ``(d,)``; what to fit is not part of it.

    ``sign`` adds or takes off the kernel with the complement (the even and the odd part of a game), 0 does neither.
    ``rows`` is the number of rows before masks that were drawn again were taken together.
    """

    centres: Masks
    root: Floats
    sign: int
    rows: int


class KernelFit(NamedTuple):
    """A fit, and its mean squared left-out error, masks or pairs left out one by one."""

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
    """

    t: float
    vectors: Floats
    values: Floats
    penalties: Floats
    shrink: Floats


@dataclass(frozen=True, slots=True)
class KernelRidge:
    """Gaussian kernel ridge; the width with the most evidence, and penalties averaged by theirs (MacKay 1992)."""

    name: str = "kernel-ridge"

    def smallest_pairs(self, n: int) -> int:
        del n
        return 2

    def fit(self, observed: Effects) -> Sum:
        return self.prepared(observed)(observed.values)

    def prepared(self, observed: Effects) -> Callable[[Floats], Sum]:
        """Fits of many effects of the same masks: the decompositions are theirs alone."""
        once = distinct(observed)
        parts = [(problem, widths_of(problem, FAR)) for problem in problems(once)]

        def fit(effects: Floats) -> Sum:
            seen = observed.with_values(effects)
            level = level_of(seen)
            found = [best_of(p, widths, y) for (p, widths), y in zip(parts, targets(seen, once), strict=True)]
            return sum_of(seen, level, *(part.kernels for part in found))

        return fit


def level_of(observed: Effects) -> Linear:
    """The weighted mean of the effects, as a surrogate."""
    mean = float(np.average(observed.values, weights=observed.importance()))
    return Linear(mean, np.zeros(observed.n), observed.keep)


def problems(once: Distinct) -> list[Problem]:
    """The odd and the even part of complement pairs, else all rows at once."""
    signs = (0,) if once.second is None else (-1, 1)
    return [Problem(once.centres, np.sqrt(once.weights), sign, len(once.place)) for sign in signs]


def targets(observed: Effects, once: Distinct) -> list[Floats]:
    """What each of the `problems` is fitted to, ``(d,)``: effects less their mean; the mean where masks come again."""
    left = observed.values - level_of(observed).intercept
    one = left[once.first]
    found = [one] if once.second is None else [(one + sign * left[once.second]) / 2.0 for sign in (-1, 1)]
    weights = observed.importance()[once.first]
    return [np.bincount(once.place, weights * y) / once.weights for y in found]


def widths_of(problem: Problem, far: Floats) -> list[Width]:
    """One eigendecomposition a width; ``far`` is the kernel between two masks that differ in half of the units."""
    differ, n = _differ(problem.centres, problem.centres), problem.centres.shape[1]
    found: list[Width] = []
    for t in (float(t) for t in far ** (2.0 / n)):
        gram = np.exp(np.log(t) * differ)
        if problem.sign:
            # The complement of a mask differs in all the other units, so its kernel is t^n over that of the mask. Half
            # the sum (or difference) with it is the kernel of even (or odd) functions: half the rows, an eighth of the
            # time.
            gram = (gram + problem.sign * t**n / gram) / 2.0
        values, vectors = np.linalg.eigh(problem.root[:, None] * gram * problem.root)
        values = np.maximum(values, 0.0)  # rounding can make the smallest of a flat kernel negative
        penalties = _PENALTIES * max(float(values[-1]), 1e-12)
        found.append(Width(t, vectors, values, penalties, penalties / (values[:, None] + penalties)))
    return found


def _doubt(left: Floats) -> float:
    """By how much more a left-out error may be too small by chance than that of a constant.

    A fit that is hardly penalised leaves little over but along its smallest eigenvalues, and all its left-out errors
    are those few directions: small by chance, where there are three. Directions that take part are counted as degrees
    of freedom are (Satterthwaite), and errors compared by their upper limits under the law of chi squared. Why:
    docs/decisions/0006-adaptive.md.

    Args:
        left: the share of each direction that the fit leaves over, shape ``(r,)``.
    """
    squares: Floats = left**2
    degrees = float(squares.sum() ** 2 / (squares**2).sum())
    upper = degrees / float(chdtri(degrees, _MOST))
    return max(upper * float(chdtri(float(len(left)), _MOST)) / len(left), 1.0)


def best_of(problem: Problem, widths: list[Width], y: Floats) -> KernelFit:
    """The width with the most evidence of ``y`` ``(r,)``, averaged over penalties by theirs, with its left-out error.

    Left-out errors say how well a fit predicts, and are a poor guide to its penalty where masks are about as many as
    numbers to fit. Why: docs/decisions/0006-adaptive.md.
    """
    found: list[tuple[float, Width, Floats, Floats]] = []
    for width in widths:
        # One decomposition serves every penalty, and every effect: only the products with y are made anew.
        along = width.vectors.T @ (problem.root * y)
        evidence = log_evidence(width.shrink, along)
        found.append((float(np.logaddexp.reduce(evidence)), width, along, shares_of(evidence)))
    _, width, along, weights = max(found, key=lambda fit: fit[0])
    inverse = (1.0 / (width.values[:, None] + width.penalties)) @ weights
    solved, t = problem.root * (width.vectors @ (along * inverse)), width.t
    left = (width.shrink @ weights)[:, None]
    missed = errors_by(width.vectors @ (left * along[:, None]), spared_by(width.vectors, left, 1))
    # Of rows that are no pairs there are twice as many: there the doubt costs more than it saves.
    error = float(missed[0]) * (_doubt(left[:, 0]) if problem.sign else 1.0) * len(y) / problem.rows
    if not problem.sign:
        return KernelFit(Kernels(problem.centres, solved, t), error)
    # As a function of all masks: the other half of each pair stands with its own sign.
    both = np.concatenate([solved, problem.sign * solved]) / 2.0
    return KernelFit(Kernels(np.concatenate([problem.centres, ~problem.centres]), both, t), error)


def _differ(one: Masks, two: Masks) -> Floats:
    """The number of units in which masks differ, shape ``(len(one), len(two))``."""
    # Of units as -1 and 1 the product is (agreeing - differing), and a matrix product is the fastest way to count.
    return (one.shape[1] - (2.0 * one - 1.0) @ (2.0 * two - 1.0).T) / 2.0
