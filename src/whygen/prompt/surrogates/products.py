"""Products of two and of three units: which of them a game needs. METHODS A2.

Two orthogonal matching pursuits (Pati et al. 1993) take products of two one after the other: `pursue` in one game, for
`pairs` and for the interactions of an explanation, `pursue_in_step` in all fits of a cross-fit at once.
`triples` looks for products of three by themselves: a parity of three units has no main effect and no interaction of
two, so that trees, which go unit by unit, gain nothing by their first two splits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import comb
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from whygen.prompt.effects import Effects
from whygen.prompt.surrogates.base import (
    Linear,
    Sum,
    Support,
    best_count,
    columns,
    distinct_terms,
    group_means,
    in_folds,
    sum_of,
)
from whygen.prompt.surrogates.linear import Ridge, regression, solve_ridge
from whygen.types import Floats, Masks

_MOST = 64
"""No more interactions than this, and than a quarter of the groups, are looked for."""

MOST_TRIPLES = 3_000_000
"""With more products of three units than this (262 units) none is looked for: none could stand out in some hundred
masks unless the game were that product alone."""

MOST_NUMBERS = 40_000_000
"""Products of two units times rows that are held at once, 160 MB; beyond, no product of three is looked for."""

PASSES = 4

MARGIN = 0.3
"""In standard errors, added to ``sqrt(2 log N)``, which the largest of N products of pure noise is about."""

NEARBY = 2.5
"""Once a product stands out, those beyond so many standard errors of what is then left over are candidates too."""


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
        return sum_of(observed, *fit_both(observed, choose(observed, main), main))


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


def choose(observed: Effects, main: Linear | None = None) -> Support:
    """The interactions ``(k, 2)`` that lower the left-out error by more than one standard error.

    Args:
        observed: masks and effects.
        main: the ridge of the main effects, if it is known.
    """
    main = Ridge().fit(observed) if main is None else main
    left = leftover(observed, main)
    steps = most_of(len(np.unique(left.groups)))
    best = best_count(_fold_errors(observed, main, steps)) if steps else 0
    return pursue(left, best).support


def _fold_errors(observed: Effects, main: Linear, steps: int) -> Iterator[Floats]:
    """Errors of each fold. Main effects cancel in complement pairs, so that one fit of them serves all folds."""
    paired = observed.complement_pairs() is not None
    for train, held in in_folds(observed):
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
        left = leftover(observed, main)
        root = np.sqrt(left.weights)[:, None]
        columns = np.hstack([np.ones((len(root), 1)), products(left.centred, support)])
        solved: NDArray[Any] = np.linalg.lstsq(root * columns, root[:, 0] * left.residual, rcond=None)[0]
        return main, Products(support, solved[1:], observed.keep, float(solved[0]), observed.n)
    # Without pairs main effects and interactions are not orthogonal: all are columns of one ridge, ones first.
    rows, k = regression(observed), len(support)
    order = np.argsort(observed.groups, kind="stable")
    columns = products(observed.centred()[order], support)
    solution = solve_ridge(rows._replace(x=np.hstack([rows.x[:, :1], columns, rows.x[:, 1:]]))).solution
    main = rows.back(np.delete(solution, slice(1, 1 + k)))
    return main, Products(support, solution[1 : 1 + k], observed.keep, 0.0, observed.n)


class PursuedPairs(NamedTuple):
    """A pursuit: the terms in order ``(k, 2)``; orthonormal columns ``(r, k + 1)``, a constant first."""

    support: Support
    basis: Floats


def pursue(left: Leftover, steps: int) -> PursuedPairs:
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
        # A product that the chosen ones make up leaves rounding alone, and would be fitted with a huge coefficient.
        if length > 1e-8 * norms[i, j]:
            support.append((i, j))
            basis[:, k] = column / length
            residual = _without(residual, basis[:, k : k + 1])
    return PursuedPairs(np.array(support, dtype=np.int64).reshape(-1, 2), basis[:, : len(support) + 1])


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
    predicted = np.cumsum(terms, axis=1)  # columns are orthogonal in the basis, so each step adds its own term
    errors = held.weights[:, None] * (held.residual[:, None] - predicted) ** 2
    missing = steps + 1 - errors.shape[1]  # a pursuit that ended early stays where it ended
    return group_means(np.pad(errors, ((0, 0), (0, missing)), mode="edge"), held.groups)


class Pursuit(NamedTuple):
    """Products of two units in the order they were taken, and least squares on none, the first, the first two ..

    Attributes:
        support: shape ``(k, 2)``.
        coefficients: shape ``(k, k + 1)``.
        levels: the constant beside them, shape ``(k + 1,)``.
        mains: the main effects beside them, shape ``(n, k + 1)``; ``(0, k + 1)`` where they were not refitted.
    """

    support: Support
    coefficients: Floats
    levels: Floats
    mains: Floats


def pursue_in_step(units: Floats, left: Floats, weights: Floats, *, most: int, beside: Floats) -> list[Pursuit]:
    """Orthogonal matching pursuit (Pati et al. 1993) of products of two units, in ``s`` games in step.

    At each step the product that agrees best with what is still left over.

    Args:
        units: normalised, shape ``(m, n)``.
        left: what main effects leave over in each game, shape ``(s, m)``.
        weights: of the rows in each game, shape ``(s, m)``; zero for one that it must not see.
        most: steps.
        beside: columns that are fitted beside the products, with a constant, shape ``(m, b)``.
    """
    games, n = np.arange(len(left)), units.shape[1]
    root, around = np.sqrt(weights), np.hstack([np.ones((len(units), 1)), beside])
    if len(left) * n**2 > MOST_NUMBERS:  # ten thousand units have 50 million products in each game: 24 GB
        basis = np.linalg.qr(root[:, :, None] * around)[0].transpose(0, 2, 1)
        none = np.full((len(left), 0), -1)
        return [_solved(units, around, root[i] * left[i], root[i], basis[i], none[i]) for i in games]
    length: Floats = np.sqrt((weights[:, None] * units.T**2) @ units**2)
    above = np.tri(n, k=-1, dtype=bool).T
    worth = np.where(above & (length > 0.0), 1.0 / np.maximum(length, 1e-300), 0.0).reshape(len(left), -1)
    basis = np.zeros((len(left), around.shape[1] + most, len(units)))
    basis[:, : around.shape[1]] = np.linalg.qr(root[:, :, None] * around)[0].transpose(0, 2, 1)
    still = _without_all(root * left, basis[:, : around.shape[1]])
    least = 1e-20 * (still**2).sum(axis=1)
    chosen: NDArray[np.int64] = np.full((len(left), most), -1)
    for step, place in enumerate(range(around.shape[1], basis.shape[1])):
        agreement: Floats = ((root * still)[:, None] * units.T) @ units
        share = np.abs(agreement).reshape(len(left), -1) * worth
        best = share.argmax(axis=1)
        worth[games, best], going = 0.0, (share.max(axis=1) > 0.0) & ((still**2).sum(axis=1) > least)
        if not going.any():
            break
        one, two = np.divmod(best, n)
        column = _without_all(root * units.T[one] * units.T[two], basis[:, :place])
        size = np.linalg.norm(column, axis=1)
        going &= size > 1e-8 * length[games, one, two]
        basis[:, place] = np.where(going, 1.0 / np.maximum(size, 1e-300), 0.0)[:, None] * column
        still = _without_all(still, basis[:, place : place + 1])
        chosen[going, step] = best[going]
    return [_solved(units, around, root[game] * left[game], root[game], basis[game], chosen[game]) for game in games]


def _without_all(vectors: Floats, basis: Floats) -> Floats:
    """``vectors`` ``(s, m)`` less their shares of orthonormal bases ``(s, k, m)``; twice, for the rounding."""
    for _ in range(2):
        share: Floats = basis @ vectors[:, :, None]
        vectors = vectors - (share.transpose(0, 2, 1) @ basis)[:, 0]
    return vectors


def _solved(
    units: Floats, around: Floats, y: Floats, root: Floats, basis: Floats, chosen: NDArray[np.int64]
) -> Pursuit:
    """Least squares after every step, from the columns in their own orthonormal basis: a triangle."""
    taken, first = np.flatnonzero(chosen >= 0), around.shape[1]
    support = np.stack(np.divmod(chosen[taken], units.shape[1]), axis=1)
    own = np.vstack([basis[:first], basis[first:][taken]])
    x = root[:, None] * np.hstack([around, columns(units, support)])
    reached = np.arange(len(own))[:, None] < first + np.arange(len(taken) + 1)
    solved: Floats = np.asarray(
        np.linalg.lstsq(own @ x, reached * (own @ y)[:, None], rcond=1e-12)[0], dtype=np.float64
    )
    return Pursuit(support, solved[first:], solved[0], solved[1:first])


class FoundTerm(NamedTuple):
    """Products of three units ``(k, 3)`` with coefficients ``(k,)``."""

    support: Support
    coefficients: Floats


def triples(units: Floats, left: Floats, weights: Floats) -> list[FoundTerm]:
    """The products of three that stand out in each of ``s`` games on the same masks.

    Args:
        units: normalised, shape ``(m, n)``.
        left: what main effects leave over in each game, shape ``(s, m)``.
        weights: of the rows in each game, shape ``(s, m)``; zero for one that it must not see.
    """
    n = units.shape[1]
    games = [_Game(units, y, w) for y, w in zip(left, weights, strict=True)]
    if n >= 3 and comb(n, 3) <= MOST_TRIPLES and comb(n, 2) * len(units) <= MOST_NUMBERS:
        products = _Triples(units)
        threshold = np.sqrt(2.0 * np.log(max(comb(n, 3), 2))) + MARGIN
        for _ in range(PASSES):
            seen = products.beyond(np.stack([game.share() for game in games]))
            if not [game for game, found in zip(games, seen, strict=True) if game.take(found, threshold)]:
                break
    return [game.found() for game in games]


class _Triples:
    """All products of three units, and how they agree with something.

    Pairs i < j stand in the order of j, so that those below k are the first ``k (k - 1) / 2``: a product of three is
    one of these times the column of k.
    """

    def __init__(self, units: Floats) -> None:
        self.rows = units.T.astype(np.float32)
        second, first = np.tril_indices(len(self.rows), -1)
        self.index = np.stack([first, second], axis=1)
        self.two = self.rows[first] * self.rows[second]

    def beyond(self, share: Floats) -> list[FoundTerm]:
        """Products whose agreement with each of ``share`` ``(s, m)``, in standard errors, is beyond `NEARBY`."""
        nothing = FoundTerm(np.zeros((0, 3), dtype=np.int64), np.zeros(0))
        found = [[nothing] for _ in share]
        # All units as the highest in turn: one matrix product each, of the pairs below it, for all games at once.
        for unit in range(2, len(self.rows)):
            below = comb(unit, 2)
            agreement = self.two[:below] @ (share * self.rows[unit]).T.astype(np.float32)
            far = np.abs(agreement) > NEARBY
            for game in np.flatnonzero(far.any(axis=0)):
                rows = np.flatnonzero(far[:, game])
                support = np.column_stack([self.index[rows], np.full(len(rows), unit)])
                found[game].append(FoundTerm(support, agreement[rows, game].astype(np.float64)))
        return [
            FoundTerm(np.vstack([f.support for f in some]), np.concatenate([f.coefficients for f in some]))
            for some in found
        ]


class _Game:
    """The products that were taken for one game, and what they leave over."""

    def __init__(self, units: Floats, y: Floats, weights: Floats) -> None:
        rows = weights > 0.0
        self.root = np.sqrt(weights[rows])
        self.units, self.y, self.weights = units[rows], y[rows], weights
        self.rows, self.left = rows, y[rows]
        self.support: Support = np.zeros((0, 3), dtype=np.int64)
        self.coefficients: Floats = np.zeros(0)
        self.near = FoundTerm(self.support, self.coefficients)

    def share(self) -> Floats:
        """What a product is multiplied with and summed over rows to give its agreement in standard errors, ``(m,)``."""
        weighted: Floats = self.root**2 * self.left
        size = float(np.sqrt(weighted @ weighted))
        share = np.zeros(len(self.weights))
        share[self.rows] = weighted / size if size > 1e-9 * float(np.abs(self.root**2 * self.y).sum()) else 0.0
        self.error = size / float((self.root**2).sum())
        return share

    def take(self, seen: FoundTerm, threshold: float) -> bool:
        """Add what is beyond the threshold; whether there was anything new and rows enough for it."""
        self.near = FoundTerm(seen.support, seen.coefficients * self.error)
        new = seen.support[np.abs(seen.coefficients) > threshold]
        both, _ = distinct_terms(np.vstack([self.support, new]), self.units.shape[1])
        # Least squares on more terms than a third of the rows would meet them by chance.
        if len(both) == len(self.support) or 3 * len(both) > len(self.y):
            return False
        x = columns(self.units, both)
        solved: tuple[Any, ...] = np.linalg.lstsq(self.root[:, None] * x, self.root * self.y, rcond=None)
        self.support, self.coefficients = both, solved[0]
        self.left = self.y - x @ self.coefficients
        return True

    def found(self) -> FoundTerm:
        """What stands out, and what came near it; nothing where nothing stands out."""
        if not len(self.support):
            return FoundTerm(self.support, self.coefficients)
        most = np.argsort(-np.abs(self.near.coefficients), kind="stable")[: len(self.y) // 4]
        support = np.vstack([self.support, self.near.support[most]])
        return FoundTerm(support, np.concatenate([self.coefficients, self.near.coefficients[most]]))
