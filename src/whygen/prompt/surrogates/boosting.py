# pyright: basic
"""`boosting`: what `pairs` leaves over, by gradient-boosted trees where they are proven to help. METHODS A2.

Trees are grown by scikit-learn on the residual, and kept only where their gain on left-out groups exceeds one standard
error and there are at least twice as many pairs of masks as units. The leaves give the estimand in closed form.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from whygen.prompt.effects import Effects
from whygen.prompt.surrogates.folding import FOLDS, best_count, folds_of, group_means
from whygen.prompt.surrogates.pairs import Support, choose, fit_both
from whygen.prompt.surrogates.trees import Leaves
from whygen.prompt.surrogates.values import Sum, sum_of

if TYPE_CHECKING:
    from sklearn.ensemble import GradientBoostingRegressor

_TREES = 30
_STEP = 10
"""The number of trees is tried in such steps."""

_SEED = 0
"""Features and rows of each tree are drawn by this fixed seed: the surrogate is a function of its data alone."""


@dataclass(frozen=True, slots=True)
class Boosting:
    """Ridge, the interactions that help, and trees on the residual if they help."""

    name: str = "boosting"

    def smallest_pairs(self, n: int) -> int:
        del n
        return 3

    def fit(self, observed: Effects) -> Sum:
        support = choose(observed).support
        base = sum_of(observed, *fit_both(observed, support))
        enough = len(np.unique(observed.groups)) >= 2 * observed.n
        trees = (
            _STEP * best_count(_fold_errors(observed, support)).terms if enough and _leaves_any(observed, base) else 0
        )
        return sum_of(observed, *base.parts, _grow(observed, base, trees)) if trees else base


def _leaves_any(observed: Effects, base: Sum) -> bool:
    """Whether the base leaves more than rounding."""
    return float(np.ptp(observed.values - base.predict(observed.masks))) > 1e-9 * float(np.ptp(observed.values))


def _fold_errors(observed: Effects, support: Support) -> Iterator[NDArray[np.float64]]:
    """Errors of each fold with 0, 10, 20 .. trees.

    The interactions were chosen on all groups, their coefficients are fitted without the fold: that favours the base.
    """
    fold_of = folds_of(observed.groups, FOLDS)
    for fold in range(int(fold_of.max()) + 1):
        train, held = observed.take(fold_of != fold), observed.take(fold_of == fold)
        base = sum_of(train, *fit_both(train, support))
        left = held.values - base.predict(held.masks)
        staged = np.array(list(_forest(train, base, _TREES).staged_predict(held.masks.astype(np.float32))))
        predicted = np.vstack([np.zeros(len(left)), staged[_STEP - 1 :: _STEP]])
        yield group_means(held.importance()[:, None] * (left - predicted).T ** 2, held.groups)


def _forest(observed: Effects, base: Sum, trees: int) -> GradientBoostingRegressor:
    """Trees of depth three on the residual of the base, each on a part of the rows and units (Friedman 2002)."""
    from sklearn.ensemble import GradientBoostingRegressor

    forest = GradientBoostingRegressor(
        n_estimators=trees,
        max_depth=3,
        learning_rate=0.15,
        subsample=0.7,
        min_samples_leaf=min(5, len(observed) // 4),
        max_features=min(observed.n, max(8, observed.n // 4)),
        init="zero",
        random_state=_SEED,
    )
    left = observed.values - base.predict(observed.masks)
    return forest.fit(observed.masks.astype(np.float32), left, sample_weight=observed.importance())


def _grow(observed: Effects, base: Sum, trees: int) -> Leaves:
    forest = _forest(observed, base, trees)
    needs: list[NDArray[np.int8]] = []
    values: list[float] = []
    for stage in forest.estimators_[:, 0]:
        _collect(stage.tree_, observed.n, needs, values)
    return Leaves(np.array(needs), forest.learning_rate * np.array(values))


def _collect(tree, n: int, needs: list[NDArray[np.int8]], values: list[float]) -> None:
    """Walk a tree from its root; a unit that is absent goes left."""
    todo = [(0, np.zeros(n, dtype=np.int8))]
    while todo:
        node, path = todo.pop()
        left, right = int(tree.children_left[node]), int(tree.children_right[node])
        if left < 0:
            needs.append(path)
            values.append(float(tree.value[node, 0, 0]))
            continue
        for child, side in ((left, -1), (right, 1)):
            below = path.copy()
            below[tree.feature[node]] = side
            todo.append((child, below))
