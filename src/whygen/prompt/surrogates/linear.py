"""Linear surrogates: `ridge` and `ols`, and by scikit-learn `lasso` and `bayesian-ridge`. METHODS A2.

All write the effect as ``intercept + sum_i b_i (z_i - p)``; then ``b_i`` is the surrogate's own Banzhaf value at keep
probability p. On complement pairs the regression is on half the difference of a pair, ``d = (f(z) - f(1 - z)) / 2``, in
which every two-way interaction cancels. `lasso` is that of ContextCite (arXiv 2409.00729).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from whygen.errors import BudgetError
from whygen.prompt.effects import Effects
from whygen.prompt.surrogates.base import Linear, folds_of
from whygen.types import Floats

UNPENALISED = 1e4
"""A column scaled by this, as that of ones is, is out of reach of the penalty (relative effect 1e-8)."""

_PENALTIES = np.concatenate([[1e-10], np.logspace(-4, 2, 25)])
"""Ridge penalties tried, as multiples of the mean squared norm of a column."""

_SMALLEST = 0.999e-3
"""Penalties under this are for data without noise: they count only where the left-out error is under its square, as a
share of the mean square. With about as many rows as columns one small singular value rules all left-out errors at once,
and a hardly penalised fit can look good by chance: at 24 units and 24 pairs held-out R2 averaged .43 without the rule
and .58 with it (40 planted games), and it made no difference from one and a quarter pairs a unit on."""


class Regression(NamedTuple):
    """What least squares are fitted to, and how a solution becomes a model.

    Attributes:
        x: shape ``(r, columns)``: the units, after a column of ones where ``intercept``.
        y: shape ``(r,)``.
        groups: shape ``(r,)``, ascending; rows of one group are left out together.
        block: size of all groups, 1 where they differ.
        intercept: whether the first column stands for the intercept.
        back: makes a model of a solution ``(columns,)``.
    """

    x: Floats
    y: Floats
    groups: NDArray[np.int64]
    block: int
    intercept: bool
    back: Callable[[Floats], Linear]

    def model(self, coefficients: Floats, intercept: float) -> Linear:
        """The model of coefficients of the units and an intercept of their own; without a column for it, it is 0."""
        if not self.intercept:
            return self.back(coefficients)
        return self.back(np.concatenate([[intercept / UNPENALISED], coefficients]))


def regression(observed: Effects) -> Regression:
    """Pair differences without intercept where the groups are complement pairs, else all rows with one."""
    pairs = observed.complement_pairs()
    if pairs is not None:
        return _pair_differences(observed, *pairs)
    order = np.argsort(observed.groups, kind="stable")
    ones = np.full((len(order), 1), UNPENALISED)
    _, counts = np.unique(observed.groups, return_counts=True)
    block = int(counts[0]) if len(set(counts.tolist())) == 1 else 1

    def back(solution: Floats) -> Linear:
        return Linear(float(solution[0] * UNPENALISED), solution[1:], observed.keep)

    x = np.hstack([ones, observed.centred()[order]])
    return Regression(x, observed.values[order], observed.groups[order], block, True, back)


def _pair_differences(observed: Effects, first: NDArray[np.int64], second: NDArray[np.int64]) -> Regression:
    """Half differences of pairs. With a ``total``, only the deviation from equal shares is fitted: it sums to zero."""
    n = observed.n
    groups = observed.groups[first]
    root: Floats = np.sqrt(observed.importance()[first])
    x: Floats = observed.masks[first].astype(np.float64) - 0.5
    y = (observed.values[first] - observed.values[second]) / 2.0
    intercept = float(observed.values.mean())
    if observed.total is None:

        def plain(solution: Floats) -> Linear:
            return Linear(intercept, solution, 0.5)

        return Regression(x * root[:, None], y * root, groups, 1, False, plain)
    share = observed.total / n

    def back(solution: Floats) -> Linear:
        return Linear(intercept, share + solution - solution.mean(), 0.5)

    # With equal shares taken off both sides what is left to fit sums to zero over the units: the sum of the values is
    # then the total whatever the penalty does, and a penalty pulls towards equal shares rather than towards nothing.
    deviation: Floats = x - x.mean(axis=1, keepdims=True)
    y = y - share * x.sum(axis=1)
    return Regression(deviation * root[:, None], y * root, groups, 1, False, back)


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

    solution: Floats
    error: float


def solve_ridge(rows: Regression) -> Solved:
    """Ridge averaged over all penalties, by one singular value decomposition.

    With ``shrink = penalty / (s^2 + penalty)`` the residual is ``e = U shrink U'y + (I - UU')y`` and one minus the
    leverage is built the same way: no difference of nearly equal numbers, also where the fit interpolates.
    """
    x, y = rows.x, rows.y
    left, singular, right = np.linalg.svd(x, full_matrices=False)
    along = left.T @ y
    # Zero by construction where the columns reach all of y; a difference would leave rounding, which errors divide up.
    outside = y - left @ along if len(x) > len(singular) else np.zeros_like(y)
    penalties = _PENALTIES * (float((x[:, -1] ** 2).sum()) or 1.0)
    shrink = penalties / (singular[:, None] ** 2 + penalties)
    errors = _errors_of(left, shrink, along, outside, rows.block)
    allowed = (_PENALTIES >= _SMALLEST) | (errors <= _SMALLEST**2 * float(np.mean(y**2)))
    weights = weights_of(np.where(allowed, errors, np.inf), len(y) // rows.block)
    if not rows.intercept and not allowed[0]:  # a likelihood is for data with noise
        weights = (weights + shares_of(log_evidence(shrink, along, outside))) / 2.0
    solution = right.T @ ((singular[:, None] / (singular[:, None] ** 2 + penalties)) @ weights * along)
    return Solved(solution, float(_errors_of(left, (shrink @ weights)[:, None], along, outside, rows.block)[0]))


def weights_of(errors: Floats, blocks: float) -> Floats:
    """Weights ``(p,)`` that sum to one, of models with mean squared left-out errors ``(p,)`` over so many blocks.

    ``errors^(-blocks / 2)`` is the likelihood of what was left out under normal errors of unknown variance
    (pseudo-Bayesian model averaging: Geisser and Eddy 1979, JASA 74:153-160). One clear winner takes all; where
    several do alike, their mean has less error than the one that chance put first.
    """
    return shares_of(-0.5 * blocks * np.log(np.maximum(errors, 1e-300)))


def log_evidence(shrink: Floats, along: Floats, outside: Floats | None = None) -> Floats:
    """Logarithm of the marginal likelihood of each penalty, ``(p,)`` (MacKay 1992, Neural Computation 4:415-447).

    Args:
        shrink: the share of each of ``k`` directions that a penalty takes away, shape ``(k, p)``.
        along: what is fitted, along these directions, shape ``(k,)``.
        outside: what no direction reaches, shape ``(r,)``; None where they reach all of it.
    """
    rows, rest = (len(along), 0.0) if outside is None else (len(outside), float(outside @ outside))
    unexplained = (along**2) @ shrink + rest
    penalty_of_freedom = np.log(np.maximum(shrink, 1e-300)).sum(axis=0)
    return 0.5 * (penalty_of_freedom - rows * np.log(np.maximum(unexplained, 1e-300)))


def shares_of(logarithms: Floats) -> Floats:
    """Weights that sum to one, by their logarithms."""
    weights = np.exp(logarithms - logarithms.max())
    return weights / weights.sum()


class Spared(NamedTuple):
    """One less the smoother, as far as blocks need it, under each of ``p`` penalties.

    Attributes:
        own: its diagonal, shape ``(r, p)``.
        cross: its entry between the two rows of a block, shape ``(r / 2, p)``; None where blocks are rows.
    """

    own: Floats
    cross: Floats | None


def spared_by(left: Floats, shrink: Floats, block: int) -> Spared:
    """`Spared` of orthonormal columns ``(r, k)`` whose shares ``(k, p)`` penalties take; for blocks of one or two."""
    own = left**2 @ shrink
    pairs = left[0::2] * left[1::2] if block == 2 else None
    cross = None if pairs is None else pairs @ shrink
    # Columns that span fewer dimensions than there are rows leave the rest, I - UU', to no penalty: it is added whole.
    if len(left) > len(shrink):
        own += np.maximum(1.0 - (left**2).sum(axis=1), 0.0)[:, None]
        cross = None if pairs is None or cross is None else cross - pairs.sum(axis=1)[:, None]
    return Spared(own, cross)


def errors_by(residual: Floats, spared: Spared) -> Floats:
    """Mean squared left-out error under each penalty, shape ``(p,)``, from residuals ``(r, p)``."""
    if spared.cross is None:
        # No floor: with as many rows as columns and hardly a penalty all of these are tiny, and the ratio is not.
        return np.mean((residual / np.maximum(spared.own, 1e-300)) ** 2, axis=0)
    # Two rows left out at once: the inverse of a 2 x 2 matrix, with a floor where both rows decide each other's fit.
    one, two = spared.own[0::2] * (1.0 + 1e-13), spared.own[1::2] * (1.0 + 1e-13)
    determinant = np.maximum(one * two - spared.cross**2, np.maximum(1e-13 * one * two, 1e-300))
    first = (two * residual[0::2] - spared.cross * residual[1::2]) / determinant
    second = (one * residual[1::2] - spared.cross * residual[0::2]) / determinant
    return np.mean(first**2 + second**2, axis=0) / 2.0


def _errors_of(
    left: Floats,
    shrink: Floats,
    along: Floats,
    outside: Floats,
    block: int,
) -> Floats:
    """`left_out_error` for every column of ``shrink`` ``(k, p)``, shape ``(p,)``; at once for blocks of one or two."""
    if block > 2:
        return np.array([left_out_error(left, one, along, outside, block) for one in shrink.T])
    return errors_by(left @ (shrink * along[:, None]) + outside[:, None], spared_by(left, shrink, block))


def left_out_error(
    left: Floats,
    shrink: Floats,
    along: Floats,
    outside: Floats,
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


_FOLDS = 5


@dataclass(frozen=True, slots=True)
class Lasso:
    """Least squares with an absolute penalty: most coefficients are zero. The penalty by five folds of whole groups."""

    name: str = "lasso"

    def smallest_pairs(self, n: int) -> int:
        del n
        return 3

    def fit(self, observed: Effects) -> Linear:
        """Fit on pair differences, scaled to unit spread so that scikit-learn's tolerance fits any unit of effect."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LassoCV
        from sklearn.model_selection import PredefinedSplit

        rows = regression(observed)
        x, y, offset, scale = _scaled(rows)
        if scale == 0.0:
            return rows.model(np.zeros(int(x.shape[1])), offset)
        folds = PredefinedSplit(folds_of(rows.groups, _FOLDS))
        lasso: Any = LassoCV(cv=folds, fit_intercept=rows.intercept, max_iter=100_000, tol=1e-6)
        with warnings.catch_warnings():
            # Where columns are equal the last digits do not settle; the gap is then some 1e-5 of the variance.
            warnings.simplefilter("ignore", ConvergenceWarning)
            lasso.fit(x, y / scale)
        return rows.model(lasso.coef_ * scale, lasso.intercept_ * scale + offset)


@dataclass(frozen=True, slots=True)
class BayesianRidge:
    """Ridge whose penalty maximises the evidence (MacKay 1992) rather than the left-out error."""

    name: str = "bayesian-ridge"

    def smallest_pairs(self, n: int) -> int:
        del n
        return 2

    def fit(self, observed: Effects) -> Linear:
        """Fit on pair differences, scaled to unit spread: the library's priors have a unit of their own."""
        from sklearn.linear_model import BayesianRidge as SklearnBayesianRidge

        rows = regression(observed)
        x, y, offset, scale = _scaled(rows)
        if scale == 0.0:
            return rows.model(np.zeros(int(x.shape[1])), offset)
        ridge: Any = SklearnBayesianRidge(fit_intercept=rows.intercept)
        ridge.fit(x, y / scale)
        return rows.model(ridge.coef_ * scale, float(ridge.intercept_) * scale + offset)


def _scaled(rows: Regression) -> tuple[Floats, Floats, float, float]:
    """Columns of the units, targets less their mean where there is an intercept, that mean, and the spread left."""
    if not rows.intercept:
        return rows.x, rows.y, 0.0, _spread(rows.y, rows.y)
    offset = float(rows.y.mean())
    return rows.x[:, 1:], rows.y - offset, offset, _spread(rows.y - offset, rows.y)


def _spread(left: Floats, whole: Floats) -> float:
    """Root mean square of ``left``; 0 where it is rounding of ``whole``."""
    spread = float(np.sqrt(np.mean(left**2)))
    return spread if spread > 1e-12 * float(np.abs(whole).max(initial=0.0)) else 0.0


def lasso_along(x: Floats, y: Floats, penalties: Floats) -> Floats:
    """Coefficients ``(k, p)`` of the lasso for penalties ``(p,)``, shares of the least that leaves no column."""
    import sklearn
    from sklearn import linear_model as sklearn_linear_model

    library: Any = sklearn_linear_model
    settings: Any = sklearn
    largest = float(np.abs(x.T @ y).max(initial=0.0)) / len(y)
    if largest <= 1e-12 * float(np.abs(y).max(initial=0.0)):
        return np.zeros((int(x.shape[1]), len(penalties)))
    # What is given here is right by itself, and looking at it takes nearly as long as so small a fit.
    with warnings.catch_warnings(), settings.config_context(skip_parameter_validation=True):
        warnings.simplefilter("ignore")  # the last digits of the smallest penalties need not settle
        alphas = largest * penalties
        found = library.lasso_path(np.asfortranarray(x), y, alphas=alphas, max_iter=200, tol=1e-3, check_input=False)
    return found[1]
