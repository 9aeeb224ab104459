"""Rows of a least-squares fit. METHODS A2.

All linear surrogates write the effect as ``intercept + sum_i b_i (z_i - p)``; then ``b_i`` is the surrogate's own
Banzhaf value at keep probability p. On complement pairs the regression is on half the difference of a pair,
``d = (f(z) - f(1 - z)) / 2``, in which every two-way interaction cancels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from whygen.prompt.effects import Effects
from whygen.types import Masks

UNPENALISED = 1e4
"""A column scaled by this, as that of ones is, is out of reach of the penalty (relative effect 1e-8)."""


@dataclass(frozen=True, slots=True)
class Linear:
    """``intercept + coefficients . (z - keep)``."""

    intercept: float
    coefficients: NDArray[np.float64]
    keep: float

    def times(self, factor: float) -> Linear:
        return Linear(factor * self.intercept, factor * self.coefficients, self.keep)

    @property
    def degree(self) -> int:
        return 0

    def predict(self, masks: Masks) -> NDArray[np.float64]:
        return self.intercept + (masks - self.keep) @ self.coefficients

    def banzhaf(self, keep: float) -> NDArray[np.float64]:
        """The coefficients, whatever ``keep`` is."""
        del keep
        return self.coefficients

    def attributions(self) -> NDArray[np.float64]:
        return self.coefficients


class Rows(NamedTuple):
    """Rows for least squares.

    Attributes:
        x: shape ``(r, columns)``: the units, after a column of ones where ``intercept``.
        y: shape ``(r,)``.
        groups: shape ``(r,)``, ascending; rows of one group are left out together.
        block: size of all groups, 1 where they differ.
        intercept: whether the first column stands for the intercept.
        back: makes a model of a solution ``(columns,)``.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    groups: NDArray[np.int64]
    block: int
    intercept: bool
    back: Callable[[NDArray[np.float64]], Linear]

    def model(self, coefficients: NDArray[np.float64], intercept: float) -> Linear:
        """The model of coefficients of the units and an intercept of their own; without a column for it, it is 0."""
        if not self.intercept:
            return self.back(coefficients)
        return self.back(np.concatenate([[intercept / UNPENALISED], coefficients]))


def regression(observed: Effects) -> Rows:
    """Pair differences without intercept where the groups are complement pairs, else all rows with one."""
    pairs = observed.complement_pairs()
    if pairs is not None:
        return _pair_differences(observed, *pairs)
    order = np.argsort(observed.groups, kind="stable")
    ones = np.full((len(order), 1), UNPENALISED)
    _, counts = np.unique(observed.groups, return_counts=True)
    block = int(counts[0]) if len(set(counts.tolist())) == 1 else 1

    def back(solution: NDArray[np.float64]) -> Linear:
        return Linear(float(solution[0] * UNPENALISED), solution[1:], observed.keep)

    x = np.hstack([ones, observed.centred()[order]])
    return Rows(x, observed.values[order], observed.groups[order], block, True, back)


def _pair_differences(observed: Effects, first: NDArray[np.int64], second: NDArray[np.int64]) -> Rows:
    """Half differences of pairs. With a ``total``, only the deviation from equal shares is fitted: it sums to zero."""
    n = observed.n
    groups = observed.groups[first]
    root: NDArray[np.float64] = np.sqrt(observed.importance()[first])
    x: NDArray[np.float64] = observed.masks[first].astype(np.float64) - 0.5
    y = (observed.values[first] - observed.values[second]) / 2.0
    intercept = float(observed.values.mean())
    if observed.total is None:

        def plain(solution: NDArray[np.float64]) -> Linear:
            return Linear(intercept, solution, 0.5)

        return Rows(x * root[:, None], y * root, groups, 1, False, plain)
    share = observed.total / n

    def back(solution: NDArray[np.float64]) -> Linear:
        return Linear(intercept, share + solution - solution.mean(), 0.5)

    deviation: NDArray[np.float64] = x - x.mean(axis=1, keepdims=True)
    y = y - share * x.sum(axis=1)
    return Rows(deviation * root[:, None], y * root, groups, 1, False, back)
