"""Products of three units and of two that are looked for by themselves: what trees, which go unit by unit, miss.

A parity of three units has no main effect and no interaction of two: a tree gains nothing by its first two splits.
Stagewise orthogonal matching pursuit (Donoho, Tsaig, Drori and Starck 2012, IEEE Transactions on Information Theory
58:1094-1121) takes all products of three beyond a threshold at once, then looks at what is left over again. Products of
two are so few that each can be weighed one after the other. METHODS A2.
"""

from __future__ import annotations

from math import comb
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from whygen.prompt.surrogates.terms import Support, columns, distinct_terms
from whygen.types import Floats

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


class FoundTerm(NamedTuple):
    """Products of three units ``(k, 3)`` with coefficients ``(k,)``."""

    support: Support
    coefficients: Floats


def stand_out(units: Floats, left: Floats, weights: Floats) -> list[FoundTerm]:
    """The products of three that stand out in each of ``s`` games on the same masks.

    Args:
        units: normalised, shape ``(m, n)``.
        left: what main effects leave over in each game, shape ``(s, m)``.
        weights: of the rows in each game, shape ``(s, m)``; zero for one that it must not see.
    """
    n = units.shape[1]
    games = [_Game(units, y, w) for y, w in zip(left, weights, strict=True)]
    if n >= 3 and comb(n, 3) <= MOST_TRIPLES and comb(n, 2) * len(units) <= MOST_NUMBERS:
        products = _Products(units)
        threshold = np.sqrt(2.0 * np.log(max(comb(n, 3), 2))) + MARGIN
        for _ in range(PASSES):
            seen = products.beyond(np.stack([game.share() for game in games]))
            if not [game for game, found in zip(games, seen, strict=True) if game.take(found, threshold)]:
                break
    return [game.found() for game in games]


class _Products:
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


def pursue(units: Floats, left: Floats, weights: Floats, *, most: int, beside: Floats) -> list[Pursuit]:
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
    length: Floats = np.sqrt((weights[:, None] * units.T**2) @ units**2)
    above = np.tri(n, k=-1, dtype=bool).T
    worth = np.where(above & (length > 0.0), 1.0 / np.maximum(length, 1e-300), 0.0).reshape(len(left), -1)
    basis = np.zeros((len(left), around.shape[1] + most, len(units)))
    basis[:, : around.shape[1]] = np.linalg.qr(root[:, :, None] * around)[0].transpose(0, 2, 1)
    still = _without(root * left, basis[:, : around.shape[1]])
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
        column = _without(root * units.T[one] * units.T[two], basis[:, :place])
        size = np.linalg.norm(column, axis=1)
        going &= size > 1e-8 * length[games, one, two]
        basis[:, place] = np.where(going, 1.0 / np.maximum(size, 1e-300), 0.0)[:, None] * column
        still = _without(still, basis[:, place : place + 1])
        chosen[going, step] = best[going]
    return [_solved(units, around, root[game] * left[game], root[game], basis[game], chosen[game]) for game in games]


def _without(vectors: Floats, basis: Floats) -> Floats:
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
