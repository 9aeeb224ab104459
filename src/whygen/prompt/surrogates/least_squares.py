"""`ridge` and `ols`: linear least squares, with and without a penalty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from whygen.errors import BudgetError
from whygen.prompt.effects import Effects
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
    """Ridge regression, averaged over penalties by how well each predicts left-out pairs and by its evidence.

    The penalty goes towards 0 as pairs outnumber units. Why an average: docs/decisions/0006-adaptive.md.
    """

    name: str = "ridge"

    def smallest_pairs(self, n: int) -> int:
        del n
        return 2

    def fit(self, observed: Effects) -> Linear:
        rows = regression(observed)
        return rows.back(solve_ridge(rows).solution)


@dataclass(frozen=True, slots=True)
class Ols:
    """Ordinary least squares; refuses fewer pairs than unknowns rather than fall back on another solution."""

    name: str = "ols"

    def smallest_pairs(self, n: int) -> int:
        return 2 * (n + 1)

    def fit(self, observed: Effects) -> Linear:
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
    """Coefficients ``(columns,)`` and the mean squared left-out error with the penalties weighted as they were."""

    solution: NDArray[np.float64]
    error: float


def solve_ridge(rows: Rows) -> Solved:
    """Ridge averaged over all penalties, by one singular value decomposition.

    With ``shrink = penalty / (s^2 + penalty)`` the residual is ``e = U shrink U'y + (I - UU')y`` and one minus the
    leverage is built the same way: no difference of nearly equal numbers, also where the fit interpolates.
    """
    x, y = rows.x, rows.y
    left, singular, right = np.linalg.svd(x, full_matrices=False)
    along = left.T @ y
    outside = y - left @ along if len(x) > len(singular) else np.zeros_like(y)
    penalties = _PENALTIES * (float((x[:, -1] ** 2).sum()) or 1.0)
    shrink = penalties / (singular[:, None] ** 2 + penalties)
    errors = _errors_of(left, shrink, along, outside, rows.block)
    allowed = _allowed(errors, y)
    weights = weights_of(np.where(allowed, errors, np.inf), len(y) // rows.block)
    if not rows.intercept and not allowed[0]:  # a likelihood is for data with noise
        weights = (weights + _evidence(shrink, along, outside)) / 2.0
    solution = right.T @ ((singular[:, None] / (singular[:, None] ** 2 + penalties)) @ weights * along)
    return Solved(solution, float(_errors_of(left, (shrink @ weights)[:, None], along, outside, rows.block)[0]))


def _allowed(errors: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The penalties that count, see `_SMALLEST`."""
    return (_PENALTIES >= _SMALLEST) | (errors <= _SMALLEST**2 * float(np.mean(y**2)))


def weights_of(errors: NDArray[np.float64], blocks: float) -> NDArray[np.float64]:
    """Weights ``(p,)`` that sum to one, of models with mean squared left-out errors ``(p,)`` over so many blocks.

    ``errors^(-blocks / 2)`` is the likelihood of what was left out under normal errors of unknown variance
    (pseudo-Bayesian model averaging: Geisser and Eddy 1979, JASA 74:153-160). One clear winner takes all; where
    several do alike, their mean has less error than the one that chance put first.
    """
    return _normalised(-0.5 * blocks * np.log(np.maximum(errors, 1e-300)))


def _evidence(
    shrink: NDArray[np.float64], along: NDArray[np.float64], outside: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Weights ``(p,)`` by the marginal likelihood of each penalty (MacKay 1992, Neural Computation 4:415-447)."""
    unexplained = (along**2) @ shrink + float(outside @ outside)
    penalty_of_freedom = np.log(np.maximum(shrink, 1e-300)).sum(axis=0)
    return _normalised(0.5 * (penalty_of_freedom - len(outside) * np.log(np.maximum(unexplained, 1e-300))))


def _normalised(logarithms: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.exp(logarithms - logarithms.max())
    return weights / weights.sum()


class Spared(NamedTuple):
    """One less the smoother, as far as blocks need it, under each of ``p`` penalties.

    Attributes:
        own: its diagonal, shape ``(r, p)``.
        cross: its entry between the two rows of a block, shape ``(r / 2, p)``; None where blocks are rows.
    """

    own: NDArray[np.float64]
    cross: NDArray[np.float64] | None


def spared_by(left: NDArray[np.float64], shrink: NDArray[np.float64], block: int) -> Spared:
    """`Spared` of orthonormal columns ``(r, k)`` whose shares ``(k, p)`` penalties take; for blocks of one or two."""
    own = left**2 @ shrink
    pairs = left[0::2] * left[1::2] if block == 2 else None
    cross = None if pairs is None else pairs @ shrink
    if len(left) > len(shrink):
        own += np.maximum(1.0 - (left**2).sum(axis=1), 0.0)[:, None]
        cross = None if pairs is None or cross is None else cross - pairs.sum(axis=1)[:, None]
    return Spared(own, cross)


def errors_by(residual: NDArray[np.float64], spared: Spared) -> NDArray[np.float64]:
    """Mean squared left-out error under each penalty, shape ``(p,)``, from residuals ``(r, p)``."""
    if spared.cross is None:
        # No floor: with as many rows as columns and hardly a penalty all of these are tiny, and the ratio is not.
        return np.mean((residual / np.maximum(spared.own, 1e-300)) ** 2, axis=0)
    one, two = spared.own[0::2] * (1.0 + 1e-13), spared.own[1::2] * (1.0 + 1e-13)
    determinant = np.maximum(one * two - spared.cross**2, np.maximum(1e-13 * one * two, 1e-300))
    first = (two * residual[0::2] - spared.cross * residual[1::2]) / determinant
    second = (one * residual[1::2] - spared.cross * residual[0::2]) / determinant
    return np.mean(first**2 + second**2, axis=0) / 2.0


def _errors_of(
    left: NDArray[np.float64],
    shrink: NDArray[np.float64],
    along: NDArray[np.float64],
    outside: NDArray[np.float64],
    block: int,
) -> NDArray[np.float64]:
    """`left_out_error` for every column of ``shrink`` ``(k, p)``, shape ``(p,)``; at once for blocks of one or two."""
    if block > 2:
        return np.array([left_out_error(left, one, along, outside, block) for one in shrink.T])
    return errors_by(left @ (shrink * along[:, None]) + outside[:, None], spared_by(left, shrink, block))


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
