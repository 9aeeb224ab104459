"""Surrogates: models of the model, fitted to masks and effects. Each is judged on masks it was not fitted to.

`base` says what a surrogate is. `linear` has ridge, ols, lasso and Bayesian ridge; `kernel` a Gaussian kernel;
`products` what two and three units do together, with `pairs`; `trees` boosted trees, with `boosting`; `rules`
conjunctions; `expansion` refits sparsely what trees and searches propose; `adaptive`, the default, averages what fits
best; `proxied` puts the answers of a cheap model beside any of them. All are functions of their data alone.
"""

from __future__ import annotations

from whygen.errors import UnknownNameError
from whygen.prompt.surrogates.adaptive import Adaptive
from whygen.prompt.surrogates.base import (
    ByChance,
    Fitted,
    Linear,
    Remembers,
    Sum,
    Surrogate,
    fitter,
    folded,
    one_thread,
)
from whygen.prompt.surrogates.kernel import KernelRidge
from whygen.prompt.surrogates.linear import BayesianRidge, Lasso, Ols, Ridge
from whygen.prompt.surrogates.products import Pairs
from whygen.prompt.surrogates.proxied import Powered, Proxied, Proxy
from whygen.prompt.surrogates.trees import Boosting

__all__ = [
    "LINEAR", "SURROGATES", "Adaptive", "BayesianRidge", "Boosting", "ByChance", "Fitted", "KernelRidge", "Lasso",
    "Linear", "Ols", "Pairs", "Powered", "Proxied", "Proxy", "Remembers", "Ridge", "Sum", "Surrogate", "fitter",
    "folded", "load_surrogate", "one_thread",
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
