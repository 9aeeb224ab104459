"""Boosted trees over masks, many forests at once, and their Fourier coefficients. METHODS A2.

The trees are oblivious: one unit for all nodes of a level (Kohavi and Li 1995). A tree of depth d is then a table of
2^d values over d units, so that its Fourier expansion is one small matrix product, and forests that differ in their
rows alone, those of the folds of a cross-fit, grow in step.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from whygen.prompt.surrogates.terms import Support, distinct_terms
from whygen.types import Floats, Masks

Singles: TypeAlias = NDArray[np.float32]
"""Single precision: trees choose by sums over some hundred rows, and are three times as fast with it."""

ROUNDS = 150
DEPTH = 4
RATE = 0.1
"""What of its own values a tree adds."""

MOST_ROWS = 512
"""Rows that each tree is grown on, drawn anew where there are more (Friedman 2002). Of fewer all: each is needed."""

HOLD = 1.0
"""Rows without effect that are added to each leaf, so that a few rows are not taken at their word."""

LOOK = 30
"""Rounds between looks at the left-out errors: where they rise, a forest keeps no later tree. Each forest goes by the
errors of the others: what it leaves out itself has no part in it."""

_SEED = 0
"""Rows of each tree are drawn by this fixed seed: a surrogate is a function of its data alone."""


class Forest(NamedTuple):
    """``s`` forests of ``t`` trees.

    Attributes:
        units: the unit of each level of each tree, shape ``(s, t, d)``.
        values: shape ``(s, t, 2^d)``; the place of a value counts its levels in binary, the first highest.
        level: a constant of each forest, shape ``(s,)``.
        predicted: for every row, shape ``(s, m)``.
    """

    units: NDArray[np.int64]
    values: Floats
    level: Floats
    predicted: Floats


def grow(masks: Masks, effects: Floats, weights: Floats, held: Floats) -> Forest | None:
    """Boost forests on the same masks.

    Args:
        masks: shape ``(m, n)``.
        effects: what each forest is fitted to, shape ``(s, m)``.
        weights: of each row in each forest, shape ``(s, m)``; zero for a row that it must not see.
        held: weights of the rows that judge each forest, shape ``(s, m)``.

    Returns:
        The forests; None where the first trees of all of them predict the held rows no better than a constant. One that
        others stopped has trees of zeros from there on.
    """
    level: Floats = (weights * effects).sum(axis=1) / weights.sum(axis=1)
    left: Singles = (effects - level[:, None]).astype(np.float32)
    trees = _Trees(masks, weights.astype(np.float32))
    units: list[NDArray[np.int64]] = []
    values: list[Singles] = []
    error, kept = of_others(held, left), left
    rounds, going = np.zeros(len(left), dtype=np.int64), np.ones(len(left), dtype=bool)
    # All grow on until none needs to: one that stopped still judges the others as if it had not.
    while len(units) < ROUNDS and going.any():
        one, leaves, step = trees.grow(left)
        units.append(one)
        values.append(leaves)
        left = left - step
        if len(units) % LOOK == 0:
            before, error = error, of_others(held, left)
            first = len(units) == LOOK
            grown = going & ((error < before) | (not first))
            kept, rounds = np.where(grown[:, None], left, kept), np.where(grown, len(units), rounds)
            going &= error < before
    if not rounds.any():
        return None
    alive = np.arange(len(units)) < rounds[:, None]
    tables = np.stack(values, axis=1).astype(np.float64) * alive[:, :, None]
    return Forest(np.stack(units, axis=1), tables, level, effects - kept)


def of_others(held: Floats, left: Singles | Floats) -> Floats:
    """The left-out squares ``(s,)`` of all fits but each one, from what each leaves over ``(s, m)``; of one its own."""
    own: Floats = (held * left**2).sum(axis=1)
    return own if len(own) == 1 else np.sum(own * (1.0 - np.eye(len(own))), axis=1)


class _Trees:
    """Grows one tree of each forest at a time."""

    def __init__(self, masks: Masks, weights: Singles) -> None:
        self.rows = masks.astype(np.float32)
        self.columns = np.ascontiguousarray(self.rows.T)
        self.places = self.columns.astype(np.int64)
        self.weights = weights
        self.rng = np.random.default_rng(_SEED)
        self.drawn = min(len(masks), MOST_ROWS)
        self.depth = min(DEPTH, masks.shape[1])

    def grow(self, left: Singles) -> tuple[NDArray[np.int64], Singles, Singles]:
        """The units ``(s, d)`` of a tree of each forest, its values ``(s, 2^d)``, and what it adds to each row.

        Args:
            left: what is left over in each forest, shape ``(s, m)``.
        """
        forests, m = np.arange(len(left)), len(self.rows)
        rows, columns, weights, seen = self.rows, self.columns, self.weights, left
        if self.drawn < m:
            drawn = self.rng.permutation(m)[: self.drawn]
            rows, columns, weights, seen = rows[drawn], columns[:, drawn], weights[:, drawn], left[:, drawn]
        # Weights and weighted residuals of the rows in each node: (2, s, nodes, rows).
        nodes = np.stack([weights, weights * seen])[:, :, None]
        place = np.zeros(left.shape, dtype=np.int64)
        worth = np.zeros((len(left), rows.shape[1]), dtype=np.float32)
        units = np.empty((len(left), self.depth), dtype=np.int64)
        for level in range(self.depth):
            unit = (worth + _gain(nodes, rows)).argmax(axis=1)
            units[:, level] = unit
            worth[forests, unit] = -np.inf  # no unit twice in a tree
            split = np.empty((2, len(left), 2 ** (level + 1), nodes.shape[3]), dtype=np.float32)
            np.multiply(columns[unit][:, None], nodes, out=split[:, :, 1::2])
            np.subtract(nodes, split[:, :, 1::2], out=split[:, :, ::2])
            nodes = split
            place = 2 * place + self.places[unit]
        sums = nodes.sum(axis=3)
        values = RATE * sums[1] / (sums[0] + HOLD)
        return units, values, np.take_along_axis(values, place, axis=1)


def _gain(nodes: Singles, rows: Singles) -> Singles:
    """How much of the weighted squares a split of every node by each unit would explain, shape ``(s, n)``."""
    _, forests, count, _ = nodes.shape
    present = (nodes.reshape(-1, len(rows)) @ rows).reshape(2, forests, count, -1)
    absent = nodes.sum(axis=3)[..., None] - present
    gain: Singles = present[1] ** 2 / (present[0] + HOLD) + absent[1] ** 2 / (absent[0] + HOLD)
    return gain.sum(axis=1)


def expanded(units: NDArray[np.int64], values: Floats, n: int, centre: float) -> tuple[Support, Floats, float]:
    """The coefficients of one forest in the basis of `terms`, and its constant.

    Args:
        units: shape ``(t, d)``.
        values: shape ``(t, 2^d)``.
        n: number of units in all.
        centre: of the basis.
    """
    depth = units.shape[1]
    scale = np.sqrt(centre * (1.0 - centre))
    one = np.array([[1.0 - centre, -scale], [centre, scale]])  # of a unit that is absent, and of one that is present
    table = np.ones((1, 1))
    for _ in range(depth):
        table = np.kron(table, one)
    used = np.array(list(product([False, True], repeat=depth)))
    support = np.sort(np.where(used, units[:, None, :], n).reshape(-1, depth), axis=1)
    terms, place = distinct_terms(support, n)
    each: Floats = values @ table
    coefficients: Floats = np.bincount(place, each.ravel()).astype(np.float64)
    return terms[:-1], coefficients[:-1], float(coefficients[-1])
