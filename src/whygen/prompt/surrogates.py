"""Surrogates: models of the model, fitted to masks and effects. Each is judged on masks it was not fitted to.

All linear ones write the effect as ``intercept + sum_i b_i (z_i - p)``; then ``b_i`` is the surrogate's own
Banzhaf value at keep probability p. On complement pairs the regression is on half the difference of a pair,
``d = (f(z) - f(1 - z)) / 2``, in which every two-way interaction cancels (METHODS A2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from whygen.errors import BudgetError, UnknownNameError
from whygen.prompt.observed import Observed
from whygen.types import Masks

_PENALTIES = np.concatenate([[1e-10], np.logspace(-4, 2, 25)])
"""Ridge penalties tried, as multiples of the mean squared norm of a column."""

_INTERCEPT_SCALE = 1e4
"""The column of ones is scaled by this, so that the penalty does not reach the intercept (relative effect 1e-8)."""


class Fitted(Protocol):
    """A fitted surrogate."""

    def predict(self, masks: Masks) -> NDArray[np.float64]:
        """Predicted effects, shape ``(m,)``, of masks ``(m, n)``."""
        ...

    def attributions(self) -> NDArray[np.float64]:
        """The surrogate's own value of the estimand, shape ``(n,)``."""
        ...


class Surrogate(Protocol):
    """A way to fit. ``smallest_pairs`` is the number of pairs below which it refuses."""

    @property
    def name(self) -> str: ...

    def smallest_pairs(self, n: int) -> int: ...

    def fit(self, observed: Observed) -> Fitted: ...


@dataclass(frozen=True, slots=True)
class Linear:
    """``intercept + coefficients . (z - keep)``."""

    intercept: float
    coefficients: NDArray[np.float64]
    keep: float

    def predict(self, masks: Masks) -> NDArray[np.float64]:
        return self.intercept + (masks - self.keep) @ self.coefficients

    def attributions(self) -> NDArray[np.float64]:
        return self.coefficients


class _Regression(NamedTuple):
    """Rows for least squares; ``block`` rows are left out together; ``back`` makes a model of a solution."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    block: int
    back: Callable[[NDArray[np.float64]], Linear]


def _regression(observed: Observed) -> _Regression:
    """Pair differences without intercept where the groups are complement pairs, else all rows with one."""
    pairs = observed.complement_pairs()
    if pairs is not None:
        return _pair_differences(observed, *pairs)
    order = np.argsort(observed.groups, kind="stable")
    ones = np.full((len(order), 1), _INTERCEPT_SCALE)
    _, counts = np.unique(observed.groups, return_counts=True)
    block = int(counts[0]) if len(set(counts.tolist())) == 1 else 1

    def back(solution: NDArray[np.float64]) -> Linear:
        return Linear(float(solution[0] * _INTERCEPT_SCALE), solution[1:], observed.keep)

    return _Regression(np.hstack([ones, observed.centred()[order]]), observed.effects[order], block, back)


def _pair_differences(observed: Observed, first: NDArray[np.int64], second: NDArray[np.int64]) -> _Regression:
    """Half differences of pairs. With a ``total``, only the deviation from equal shares is fitted: it sums to zero."""
    n = observed.n
    root: NDArray[np.float64] = np.sqrt(observed.importance()[first])
    x: NDArray[np.float64] = observed.masks[first].astype(np.float64) - 0.5
    y = (observed.effects[first] - observed.effects[second]) / 2.0
    intercept = float(observed.effects.mean())
    if observed.total is None:

        def plain(solution: NDArray[np.float64]) -> Linear:
            return Linear(intercept, solution, 0.5)

        return _Regression(x * root[:, None], y * root, 1, plain)
    share = observed.total / n

    def back(solution: NDArray[np.float64]) -> Linear:
        return Linear(intercept, share + solution - solution.mean(), 0.5)

    deviation: NDArray[np.float64] = x - x.mean(axis=1, keepdims=True)
    y = y - share * x.sum(axis=1)
    return _Regression(deviation * root[:, None], y * root, 1, back)


@dataclass(frozen=True, slots=True)
class Ridge:
    """Ridge regression; the penalty with the least leave-one-pair-out error, towards 0 as pairs outnumber units."""

    name: str = "ridge"

    def smallest_pairs(self, n: int) -> int:
        del n
        return 2

    def fit(self, observed: Observed) -> Linear:
        rows = _regression(observed)
        return rows.back(_ridge(rows))


@dataclass(frozen=True, slots=True)
class Ols:
    """Ordinary least squares; refuses fewer pairs than unknowns rather than fall back on another solution."""

    name: str = "ols"

    def smallest_pairs(self, n: int) -> int:
        return 2 * (n + 1)

    def fit(self, observed: Observed) -> Linear:
        rows = _regression(observed)
        if len(rows.x) < rows.x.shape[1]:
            needed = 2 * self.smallest_pairs(observed.n)
            raise BudgetError(
                f"surrogate='ols' was given {len(observed)} masks for {observed.n} units: it needs more equations than "
                f"units in every fold. Use a budget of at least {needed + 3}, or surrogate='ridge'.",
                smallest=needed + 3,
            )
        solution: NDArray[Any] = np.linalg.lstsq(rows.x, rows.y, rcond=None)[0]
        return rows.back(solution)


SURROGATES: dict[str, Surrogate] = {"ridge": Ridge(), "ols": Ols()}


def load_surrogate(name: str) -> Surrogate:
    """The surrogate of that name.

    Raises:
        UnknownNameError: if there is none.
    """
    if name not in SURROGATES:
        raise UnknownNameError("surrogate", name, SURROGATES)
    return SURROGATES[name]


def _ridge(rows: _Regression) -> NDArray[np.float64]:
    """Solve over all penalties by one singular value decomposition and keep the best left-out error.

    With ``shrink = penalty / (s^2 + penalty)`` the residual is ``e = U shrink U'y + (I - UU')y`` and one minus the
    leverage is built the same way: no difference of nearly equal numbers, also where the fit interpolates.
    """
    x, y, block, _ = rows
    left, singular, right = np.linalg.svd(x, full_matrices=False)
    along = left.T @ y
    outside = y - left @ along if len(x) > len(singular) else np.zeros_like(y)
    scale = float((x[:, -1] ** 2).sum()) or 1.0
    best_error, best = np.inf, np.zeros(x.shape[1])
    for penalty in _PENALTIES * scale:
        shrink = penalty / (singular**2 + penalty)
        error = _left_out_error(left, shrink, along, outside, block)
        if error < best_error * (1.0 - 1e-9):
            best_error = error
            best = right.T @ (singular / (singular**2 + penalty) * along)
    return best


def _left_out_error(
    left: NDArray[np.float64],
    shrink: NDArray[np.float64],
    along: NDArray[np.float64],
    outside: NDArray[np.float64],
    block: int,
) -> float:
    """Mean squared error of predicting each block of rows from the others: ``(I - H_bb)^-1 e_b``."""
    residual = left @ (shrink * along) + outside
    if block == 1:
        spared = (left**2) @ shrink
        if len(left) > len(shrink):
            spared = spared + np.maximum(1.0 - (left**2).sum(axis=1), 0.0)
        return float(np.mean((residual / np.maximum(spared, 1e-12)) ** 2))
    blocks = left.reshape(-1, block, left.shape[1])
    hat = np.eye(block) - np.einsum("gik,k,gjk->gij", blocks, 1.0 - shrink, blocks)
    hat += 1e-12 * np.eye(block)
    solved = np.asarray(np.linalg.solve(hat, residual.reshape(-1, block, 1)), dtype=np.float64)
    return float((solved**2).mean())
