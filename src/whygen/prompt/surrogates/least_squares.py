"""`ridge` and `ols`: linear least squares, with and without a penalty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from whygen.errors import BudgetError
from whygen.prompt.observed import Observed
from whygen.prompt.surrogates.rows import Linear, Rows, regression

_PENALTIES = np.concatenate([[1e-10], np.logspace(-4, 2, 25)])
"""Ridge penalties tried, as multiples of the mean squared norm of a column."""

_SMALLEST = 0.999e-3
"""Penalties under this are for data without noise: they count only where the left-out error is under its square, as a
share of the mean square. With about as many rows as columns one small singular value rules all left-out errors at once,
and a hardly penalised fit can look good by chance: at 24 units and 24 pairs held-out R2 averaged .43 without the rule
and .58 with it (40 planted games), and it made no difference from one and a quarter pairs a unit on."""


@dataclass(frozen=True, slots=True)
class Ridge:
    """Ridge regression; the penalty with the least leave-one-pair-out error, towards 0 as pairs outnumber units."""

    name: str = "ridge"

    def smallest_pairs(self, n: int) -> int:
        del n
        return 2

    def fit(self, observed: Observed) -> Linear:
        rows = regression(observed)
        return rows.back(solve_ridge(rows).solution)


@dataclass(frozen=True, slots=True)
class Ols:
    """Ordinary least squares; refuses fewer pairs than unknowns rather than fall back on another solution."""

    name: str = "ols"

    def smallest_pairs(self, n: int) -> int:
        return 2 * (n + 1)

    def fit(self, observed: Observed) -> Linear:
        rows = regression(observed)
        if len(rows.x) < rows.x.shape[1]:
            needed = 2 * self.smallest_pairs(observed.n)
            raise BudgetError(
                f"surrogate='ols' was given {len(observed)} masks for {observed.n} units: it needs more equations than "
                f"units in every fold. Use a budget of at least {needed + 3}, or surrogate='ridge'.",
                smallest=needed + 3,
            )
        solution: NDArray[Any] = np.linalg.lstsq(rows.x, rows.y, rcond=None)[0]
        return rows.back(solution)


class Solved(NamedTuple):
    """Coefficients ``(columns,)`` and the mean squared left-out error of the penalty that was chosen."""

    solution: NDArray[np.float64]
    error: float


def solve_ridge(rows: Rows) -> Solved:
    """Ridge over all penalties by one singular value decomposition; the best left-out error wins.

    With ``shrink = penalty / (s^2 + penalty)`` the residual is ``e = U shrink U'y + (I - UU')y`` and one minus the
    leverage is built the same way: no difference of nearly equal numbers, also where the fit interpolates.
    """
    x, y = rows.x, rows.y
    left, singular, right = np.linalg.svd(x, full_matrices=False)
    along = left.T @ y
    outside = y - left @ along if len(x) > len(singular) else np.zeros_like(y)
    scale = float((x[:, -1] ** 2).sum()) or 1.0
    exact = _SMALLEST**2 * float(np.mean(y**2))
    penalties = _PENALTIES * scale
    errors = _errors_of(left, penalties / (singular[:, None] ** 2 + penalties), along, outside, rows.block)
    best_error, best = np.inf, -1
    for index, (share, error) in enumerate(zip(_PENALTIES.tolist(), errors.tolist(), strict=True)):
        if error < best_error * (1.0 - 1e-9) and (share >= _SMALLEST or error <= exact):
            best_error, best = error, index
    if best < 0:
        return Solved(np.zeros(x.shape[1]), float(np.mean(y**2)))
    return Solved(right.T @ (singular / (singular**2 + penalties[best]) * along), best_error)


def _errors_of(
    left: NDArray[np.float64],
    shrink: NDArray[np.float64],
    along: NDArray[np.float64],
    outside: NDArray[np.float64],
    block: int,
) -> NDArray[np.float64]:
    """`left_out_error` for every column of ``shrink`` ``(k, p)``, shape ``(p,)``; at once where blocks are rows."""
    if block != 1:
        return np.array([left_out_error(left, one, along, outside, block) for one in shrink.T])
    spared = left**2 @ shrink
    if len(left) > len(shrink):
        spared += np.maximum(1.0 - (left**2).sum(axis=1), 0.0)[:, None]
    residual = left @ (shrink * along[:, None]) + outside[:, None]
    return np.mean((residual / np.maximum(spared, 1e-300)) ** 2, axis=0)


def left_out_error(
    left: NDArray[np.float64],
    shrink: NDArray[np.float64],
    along: NDArray[np.float64],
    outside: NDArray[np.float64],
    block: int,
) -> float:
    """Mean squared error of predicting each block of rows from the others: ``(I - H_bb)^-1 e_b``.

    Args:
        left: orthonormal columns ``(r, k)`` of the smoother ``H = left (1 - shrink) left'``.
        shrink: shape ``(k,)``, the share of each column that the penalty takes away.
        along: ``left' y``, shape ``(k,)``.
        outside: what of y no column reaches, shape ``(r,)``.
        block: rows in a block.
    """
    residual = left @ (shrink * along) + outside
    overdetermined = len(left) > len(shrink)
    if block == 1:
        spared = (left**2) @ shrink
        if overdetermined:
            spared = spared + np.maximum(1.0 - (left**2).sum(axis=1), 0.0)
        # No floor: with as many rows as columns and hardly a penalty all of these are tiny, and the ratio is not.
        return float(np.mean((residual / np.maximum(spared, 1e-300)) ** 2))
    blocks = left.reshape(-1, block, left.shape[1])
    spared = np.einsum("gik,k,gjk->gij", blocks, shrink, blocks)
    if overdetermined:
        spared = spared + np.eye(block) - np.einsum("gik,gjk->gij", blocks, blocks)
    size = np.maximum(np.trace(spared, axis1=1, axis2=2), 1e-300)
    spared = spared + 1e-13 * size[:, None, None] * np.eye(block)
    solved = np.asarray(np.linalg.solve(spared, residual.reshape(-1, block, 1)), dtype=np.float64)
    return float((solved**2).mean())
