"""Surrogates: models of the model, fitted to masks and effects. Each is judged on masks it was not fitted to.

One file a family: `least_squares` (ridge, ols), `sparse` (lasso, Bayesian ridge), `kernel`, `pairs`, `adaptive`
(the default), `boosting`. What a fitted one says of itself, its own Banzhaf or Shapley values, is in `values`; the rows
they are fitted to are in `rows`. All are functions of their data alone: folds and trees inside a fit are dealt by fixed
seeds.
"""

from __future__ import annotations

from whygen.errors import UnknownNameError
from whygen.prompt.surrogates.adaptive import Adaptive
from whygen.prompt.surrogates.boosting import Boosting
from whygen.prompt.surrogates.kernel import KernelRidge
from whygen.prompt.surrogates.least_squares import Ols, Ridge
from whygen.prompt.surrogates.pairs import Pairs
from whygen.prompt.surrogates.rows import Linear
from whygen.prompt.surrogates.sparse import BayesianRidge, Lasso
from whygen.prompt.surrogates.values import Fitted, Remembers, Sum, Surrogate, fitter, folded

__all__ = [
    "LINEAR", "SURROGATES", "Adaptive", "BayesianRidge", "Boosting", "Fitted", "KernelRidge", "Lasso", "Linear", "Ols",
    "Pairs", "Remembers", "Ridge", "Sum", "Surrogate", "fitter", "folded", "load_surrogate",
]  # fmt: skip

SURROGATES: dict[str, Surrogate] = {
    surrogate.name: surrogate
    for surrogate in (Ridge(), Ols(), Lasso(), BayesianRidge(), KernelRidge(), Pairs(), Adaptive(), Boosting())
}


LINEAR = (Ridge, Ols, Lasso, BayesianRidge)
"""Those whose fit is a `Linear`."""


def load_surrogate(name: str) -> Surrogate:
    """The surrogate of that name.

    Raises:
        UnknownNameError: if there is none.
    """
    if name not in SURROGATES:
        raise UnknownNameError("surrogate", name, SURROGATES)
    return SURROGATES[name]
