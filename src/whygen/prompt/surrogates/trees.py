"""Boosted trees over masks, of two kinds. METHODS A2.

`boosting` grows those of scikit-learn on what `pairs` leaves over, and keeps them only where their gain on left-out
groups exceeds one standard error. A leaf is reached when some units are present and some absent, so it is ``value *
prod z_i * prod (1 - z_j)``: its Banzhaf value at keep p is ``value p^(present - 1) (1 - p)^absent`` for a unit it needs
present, and its Shapley value that integrated over p (interventional tree Shapley between no unit and all units).

`grow_forests` grows oblivious trees, with one unit for all nodes of a level (Kohavi and Li 1995). Such a tree of depth
d is a table of 2^d values over d units, so that its Fourier expansion is one small matrix product, and forests that
differ in their rows alone, those of the folds of a cross-fit, grow in step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from whygen.prompt.effects import Effects
from whygen.prompt.surrogates.base import SEED, Sum, Support, best_count, distinct_terms, group_means, in_folds, sum_of
from whygen.prompt.surrogates.products import choose, fit_both
from whygen.types import Floats, Masks

Singles: TypeAlias = NDArray[np.float32]
"""Single precision: trees choose by sums over some hundred rows, and are three times as fast with it."""

_TREES = 30

_STEP = 10
"""The number of trees is tried in such steps."""

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


@dataclass(frozen=True, slots=True)
class Leaves:
    """Leaves of trees over masks.

    Attributes:
        needs: shape ``(leaves, n)``: 1 where the unit must be present, -1 where absent, 0 where it does not matter.
        values: shape ``(leaves,)``.
    """

    needs: NDArray[np.int8]
    values: Floats

    def times(self, factor: float) -> Leaves:
        return replace(self, values=factor * self.values)

    @property
    def degree(self) -> int:
        return max(int((self.needs != 0).sum(axis=1).max(initial=0)) - 1, 0)

    def predict(self, masks: Masks) -> Floats:
        # Single precision counts units without error, and its matrix product is the fastest there is.
        met = masks.astype(np.float32) @ self.needs.astype(np.float32).T
        return (met == (self.needs > 0).sum(axis=1)) @ self.values

    def banzhaf(self, keep: float) -> Floats:
        present, absent = self.needs > 0, self.needs < 0
        needed, unwanted = present.sum(axis=1), absent.sum(axis=1)
        chance = self.values * keep**needed * (1.0 - keep) ** unwanted
        return (chance / keep) @ present - (chance / (1.0 - keep)) @ absent


@dataclass(frozen=True, slots=True)
class Boosting:
    """Ridge, the interactions that help, and trees on the residual if they help."""

    name: str = "boosting"

    def smallest_pairs(self, n: int) -> int:
        del n
        return 3

    def fit(self, observed: Effects) -> Sum:
        support = choose(observed)
        base = sum_of(observed, *fit_both(observed, support))
        enough = len(np.unique(observed.groups)) >= 2 * observed.n
        left = float(np.ptp(observed.values - base.predict(observed.masks)))
        if not (enough and left > 1e-9 * float(np.ptp(observed.values))):  # nothing but rounding is left over
            return base
        trees = _STEP * best_count(_fold_errors(observed, support))
        return sum_of(observed, *base.parts, _grow(observed, base, trees)) if trees else base


def _fold_errors(observed: Effects, support: Support) -> Iterator[Floats]:
    """Errors of each fold with 0, 10, 20 .. trees.

    The interactions were chosen on all groups, their coefficients are fitted without the fold: that favours the base.
    """
    for train, held in in_folds(observed):
        base = sum_of(train, *fit_both(train, support))
        left = held.values - base.predict(held.masks)
        staged = np.array(list(_forest(train, base, _TREES).staged_predict(held.masks.astype(np.float32))))
        predicted = np.vstack([np.zeros(len(left)), staged[_STEP - 1 :: _STEP]])
        yield group_means(held.importance()[:, None] * (left - predicted).T ** 2, held.groups)


def _forest(observed: Effects, base: Sum, trees: int) -> Any:
    """Trees of depth three on the residual of the base, each on a part of the rows and units (Friedman 2002)."""
    from sklearn.ensemble import GradientBoostingRegressor

    forest: Any = GradientBoostingRegressor(
        n_estimators=trees,
        max_depth=3,
        learning_rate=0.15,
        subsample=0.7,
        min_samples_leaf=min(5, len(observed) // 4),
        max_features=min(observed.n, max(8, observed.n // 4)),
        init="zero",
        random_state=SEED,
    )
    left = observed.values - base.predict(observed.masks)
    return forest.fit(observed.masks.astype(np.float32), left, sample_weight=observed.importance())


def _grow(observed: Effects, base: Sum, trees: int) -> Leaves:
    """Every leaf of the trees, found by walking each from its root."""
    forest = _forest(observed, base, trees)
    needs: list[NDArray[np.int8]] = []
    values: list[float] = []
    for tree in (stage.tree_ for stage in forest.estimators_[:, 0]):
        todo = [(0, np.zeros(observed.n, dtype=np.int8))]
        while todo:
            node, path = todo.pop()
            left, right = int(tree.children_left[node]), int(tree.children_right[node])
            if left < 0:
                needs.append(path)
                values.append(float(tree.value[node, 0, 0]))
                continue
            for child, side in ((left, -1), (right, 1)):  # a unit that is absent goes left
                below = path.copy()
                below[tree.feature[node]] = side
                todo.append((child, below))
    return Leaves(np.array(needs), forest.learning_rate * np.array(values))


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


def grow_forests(masks: Masks, effects: Floats, weights: Floats, held: Floats) -> Forest | None:
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
        self.rng = np.random.default_rng(SEED)
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
        # Weights and weighted residuals of the rows in each node: (2, s, nodes, rows). A row stands in every node, with
        # weight zero where it is not: all forests and nodes are then split by one matrix product, without a loop.
        nodes = np.stack([weights, weights * seen])[:, :, None]
        place = np.zeros(left.shape, dtype=np.int64)
        worth = np.zeros((len(left), rows.shape[1]), dtype=np.float32)
        units = np.empty((len(left), self.depth), dtype=np.int64)
        for level in range(self.depth):
            unit = (worth + _gain(nodes, rows)).argmax(axis=1)
            units[:, level] = unit
            worth[forests, unit] = -np.inf  # no unit twice in a tree
            # Both sides of a split from one product: those without the unit are what those with it leave.
            split = np.empty((2, len(left), 2 ** (level + 1), nodes.shape[3]), dtype=np.float32)
            np.multiply(columns[unit][:, None], nodes, out=split[:, :, 1::2])
            np.subtract(nodes, split[:, :, 1::2], out=split[:, :, ::2])
            nodes = split
            place = 2 * place + self.places[unit]
        sums = nodes.sum(axis=3)
        values = RATE * sums[1] / (sums[0] + HOLD)
        return units, values, values[forests[:, None], place]


def _gain(nodes: Singles, rows: Singles) -> Singles:
    """How much of the weighted squares a split of every node by each unit would explain, shape ``(s, n)``."""
    _, forests, count, _ = nodes.shape
    present = (nodes.reshape(-1, len(rows)) @ rows).reshape(2, forests, count, -1)
    absent = nodes.sum(axis=3)[..., None] - present
    gain: Singles = present[1] ** 2 / (present[0] + HOLD) + absent[1] ** 2 / (absent[0] + HOLD)
    return gain.sum(axis=1)


def fourier_of(units: NDArray[np.int64], values: Floats, n: int, centre: float) -> tuple[Support, Floats, float]:
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
    # A table over d units becomes its coefficients by the Kronecker product of d small matrices, one a unit.
    table = np.ones((1, 1))
    for _ in range(depth):
        table = np.kron(table, one)
    used = np.array(list(product([False, True], repeat=depth)))
    support = np.sort(np.where(used, units[:, None, :], n).reshape(-1, depth), axis=1)
    terms, place = distinct_terms(support, n)  # trees share terms; the empty one, their constant, comes last
    each: Floats = values @ table
    coefficients: Floats = np.bincount(place, each.ravel()).astype(np.float64)
    return terms[:-1], coefficients[:-1], float(coefficients[-1])
