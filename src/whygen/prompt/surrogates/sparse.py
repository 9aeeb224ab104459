# pyright: basic
"""`lasso` (ContextCite, arXiv 2409.00729) and `bayesian-ridge` (the paper's alternative), fitted by scikit-learn."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whygen.prompt.effects import Effects
from whygen.prompt.surrogates.folding import folds_of
from whygen.prompt.surrogates.rows import Linear, Rows, regression

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
            return rows.model(np.zeros(x.shape[1]), offset)
        folds = PredefinedSplit(folds_of(rows.groups, _FOLDS))
        with warnings.catch_warnings():
            # Where columns are equal the last digits do not settle; the gap is then some 1e-5 of the variance.
            warnings.simplefilter("ignore", ConvergenceWarning)
            lasso = LassoCV(cv=folds, fit_intercept=rows.intercept, max_iter=100_000, tol=1e-6).fit(x, y / scale)
        return rows.model(lasso.coef_ * scale, lasso.intercept_ * scale + offset)


def lasso_along(x: NDArray[np.float64], y: NDArray[np.float64], penalties: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coefficients ``(k, p)`` of the lasso for penalties ``(p,)``, shares of the least that leaves no column."""
    from sklearn.linear_model import lasso_path

    largest = float(np.abs(x.T @ y).max(initial=0.0)) / len(y)
    if largest <= 1e-12 * float(np.abs(y).max(initial=0.0)):
        return np.zeros((x.shape[1], len(penalties)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the last digits of the smallest penalties need not settle
        found: tuple[Any, ...] = lasso_path(
            np.asfortranarray(x),
            y,
            alphas=largest * penalties,  # pyright: ignore[reportArgumentType]
            max_iter=200,
            tol=1e-3,
            check_input=False,
        )
    return found[1]


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
            return rows.model(np.zeros(x.shape[1]), offset)
        ridge = SklearnBayesianRidge(fit_intercept=rows.intercept).fit(x, y / scale)
        return rows.model(ridge.coef_ * scale, float(ridge.intercept_) * scale + offset)


def _scaled(rows: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64], float, float]:
    """Columns of the units, targets less their mean where there is an intercept, that mean, and the spread left."""
    if not rows.intercept:
        return rows.x, rows.y, 0.0, _spread(rows.y, rows.y)
    offset = float(rows.y.mean())
    return rows.x[:, 1:], rows.y - offset, offset, _spread(rows.y - offset, rows.y)


def _spread(left: NDArray[np.float64], whole: NDArray[np.float64]) -> float:
    """Root mean square of ``left``; 0 where it is rounding of ``whole``."""
    spread = float(np.sqrt(np.mean(left**2)))
    return spread if spread > 1e-12 * float(np.abs(whole).max(initial=0.0)) else 0.0
