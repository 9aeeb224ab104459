"""`pairs`: main effects by ridge, and the few two-way interactions that are proven to help. METHODS A2.

Interactions are products ``(z_i - p)(z_j - p)``, found by orthogonal matching pursuit (Pati et al. 1993) on what the
main effects leave over: on complement pairs the mean of a pair, in which every main effect cancels. How many are kept
is decided by folds of whole groups, and none is unless the gain exceeds one standard error.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from whygen.prompt.effects import Effects
from whygen.prompt.surrogates.folding import FOLDS, Count, best_count, folds_of, group_means
from whygen.prompt.surrogates.least_squares import Ridge, solve_ridge
from whygen.prompt.surrogates.rows import Linear, regression
from whygen.prompt.surrogates.values import Sum, sum_of
from whygen.types import Floats, Masks

Support: TypeAlias = NDArray[np.int64]
"""Numbers of the two units of each interaction, shape ``(k, 2)``."""

_MOST = 64
"""No more interactions than this, and than a quarter of the groups, are looked for."""


@dataclass(frozen=True, slots=True)
class Products:
    """``level + sum_k coefficient_k (z_i - centre)(z_j - centre)``.

    Attributes:
        support: the units i and j of each term, shape ``(k, 2)``.
        coefficients: shape ``(k,)``; each is the surrogate's own Banzhaf interaction index of its two units.
        centre: keep probability of the design.
        level: a constant.
    """

    support: Support
    coefficients: Floats
    centre: float
    level: float
    n: int

    def times(self, factor: float) -> Products:
        return replace(self, coefficients=factor * self.coefficients, level=factor * self.level)

    @property
    def degree(self) -> int:
        return 1

    def predict(self, masks: Masks) -> Floats:
        return self.level + products(masks.astype(np.float64) - self.centre, self.support) @ self.coefficients

    def banzhaf(self, keep: float) -> Floats:
        found = np.zeros(self.n)
        for column in (0, 1):
            np.add.at(found, self.support[:, column], self.coefficients * (keep - self.centre))
        return found


@dataclass(frozen=True, slots=True)
class Pairs:
    """Ridge for the main effects, a sparse sum of two-way interactions beside it."""

    name: str = "pairs"

    def smallest_pairs(self, n: int) -> int:
        del n
        return 3

    def fit(self, observed: Effects) -> Sum:
        main = Ridge().fit(observed)
        return sum_of(observed, *fit_both(observed, choose(observed, main).support, main))


class Leftover(NamedTuple):
    """What main effects leave over: centred units ``(r, n)``, residuals, weights and groups ``(r,)``."""

    centred: Floats
    residual: Floats
    weights: Floats
    groups: NDArray[np.int64]


def leftover(observed: Effects, main: Linear) -> Leftover:
    """One row a complement pair, its mean residual; else all rows."""
    centred, residual = observed.centred(), observed.values - main.predict(observed.masks)
    weights = observed.importance()
    pairs = observed.complement_pairs()
    if pairs is None:
        return Leftover(centred, residual, weights, observed.groups)
    first, second = pairs
    mean = (residual[first] + residual[second]) / 2.0
    return Leftover(centred[first], mean, weights[first], observed.groups[first])


class ChosenPairs(NamedTuple):
    """Interactions ``(k, 2)``, and the mean squared error with them on left-out groups; None where there are none."""

    support: Support
    error: float | None


def choose(observed: Effects, main: Linear | None = None) -> ChosenPairs:
    """The interactions that lower the left-out error by more than one standard error.

    Args:
        observed: masks and effects.
        main: the ridge of the main effects, if it is known.
    """
    main = Ridge().fit(observed) if main is None else main
    left = leftover(observed, main)
    steps = most_of(len(np.unique(left.groups)))
    best = best_count(_fold_errors(observed, main, steps)) if steps else Count(0, None)
    return ChosenPairs(pursue(left, best.terms).support, best.error if best.terms else None)


def _fold_errors(observed: Effects, main: Linear, steps: int) -> Iterator[Floats]:
    """Errors of each fold. Main effects cancel in complement pairs, so that one fit of them serves all folds."""
    fold_of = folds_of(observed.groups, FOLDS)
    paired = observed.complement_pairs() is not None
    for fold in range(int(fold_of.max()) + 1):
        train, held = observed.take(fold_of != fold), observed.take(fold_of == fold)
        own = main if paired else Ridge().fit(train)
        yield _errors(leftover(train, own), leftover(held, own), steps)


def most_of(groups: int) -> int:
    """How many interactions are looked for in so many groups."""
    return min(_MOST, groups // 4)


def products(centred: Floats, support: Support) -> Floats:
    """The interaction columns of centred units ``(r, n)``, shape ``(r, k)``."""
    return centred[:, support[:, 0]] * centred[:, support[:, 1]]


def fit_both(observed: Effects, support: Support, main: Linear | None = None) -> tuple[Linear, Products]:
    """Main effects by ridge (``main``, if it is known), and given interactions.

    The interactions are fitted by themselves on complement pairs, else under the same penalty.
    """
    if observed.complement_pairs() is not None or not len(support):
        main = Ridge().fit(observed) if main is None else main
        return main, _fit_products(observed, main, support)
    rows, k = regression(observed), len(support)
    order = np.argsort(observed.groups, kind="stable")
    columns = products(observed.centred()[order], support)
    solution = solve_ridge(rows._replace(x=np.hstack([rows.x[:, :1], columns, rows.x[:, 1:]]))).solution
    main = rows.back(np.delete(solution, slice(1, 1 + k)))
    return main, Products(support, solution[1 : 1 + k], observed.keep, 0.0, observed.n)


def _fit_products(observed: Effects, main: Linear, support: Support) -> Products:
    """Least squares of the leftover on given interactions."""
    left = leftover(observed, main)
    root = np.sqrt(left.weights)[:, None]
    columns = np.hstack([np.ones((len(root), 1)), products(left.centred, support)])
    solution: NDArray[Any] = np.linalg.lstsq(root * columns, root[:, 0] * left.residual, rcond=None)[0]
    return Products(support, solution[1:], observed.keep, float(solution[0]), observed.n)


class Path(NamedTuple):
    """A pursuit: the terms in order ``(k, 2)``; orthonormal columns ``(r, k + 1)``, a constant first."""

    support: Support
    basis: Floats


def pursue(left: Leftover, steps: int) -> Path:
    """Orthogonal matching pursuit: at each step the product that agrees best with what is still left over."""
    root = np.sqrt(left.weights)
    basis = np.empty((len(root), steps + 1))
    basis[:, 0] = root / np.linalg.norm(root)
    residual = _without(root * left.residual, basis[:, :1])
    least = 1e-20 * float(residual @ residual)
    norms = np.sqrt((left.centred**2).T @ (left.weights[:, None] * left.centred**2))
    alive = np.triu(norms, 1) > 0.0
    worth = np.where(alive, 1.0 / np.where(alive, norms, 1.0), 0.0)  # zero where there is no such product, or no longer
    weighted = root[:, None] * left.centred
    support: list[tuple[int, int]] = []
    while len(support) < steps and float(residual @ residual) > least:
        share = np.abs((residual[:, None] * weighted).T @ left.centred) * worth
        i, j = divmod(int(share.argmax()), len(share))
        if share[i, j] == 0.0:
            break
        worth[i, j] = 0.0
        k = len(support) + 1
        column = _without(weighted[:, i] * left.centred[:, j], basis[:, :k])
        length = float(np.sqrt(column @ column))
        if length > 1e-8 * norms[i, j]:
            support.append((i, j))
            basis[:, k] = column / length
            residual = _without(residual, basis[:, k : k + 1])
    return Path(np.array(support, dtype=np.int64).reshape(-1, 2), basis[:, : len(support) + 1])


def _without(vector: Floats, basis: Floats) -> Floats:
    """``vector`` less its share of an orthonormal basis; the second pass removes the rounding of the first."""
    once: Floats = vector - basis @ (basis.T @ vector)
    return once - basis @ (basis.T @ once)


def _errors(train: Leftover, held: Leftover, steps: int) -> Floats:
    """Squared error of each held group after 0, 1 .. ``steps`` terms of a pursuit on the training rows."""
    support, basis = pursue(train, steps)
    root = np.sqrt(train.weights)
    columns = np.hstack([np.ones((len(root), 1)), products(train.centred, support)])
    upper = basis.T @ (root[:, None] * columns)  # the columns in the basis: upper triangular
    held_columns = np.hstack([np.ones((len(held.residual), 1)), products(held.centred, support)])
    terms = np.linalg.solve(upper.T, held_columns.T).T * (basis.T @ (root * train.residual))
    predicted = np.cumsum(terms, axis=1)
    errors = held.weights[:, None] * (held.residual[:, None] - predicted) ** 2
    missing = steps + 1 - errors.shape[1]  # a pursuit that ended early stays where it ended
    return group_means(np.pad(errors, ((0, 0), (0, missing)), mode="edge"), held.groups)
