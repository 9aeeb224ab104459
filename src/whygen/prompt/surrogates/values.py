"""The value of itself that a fitted surrogate reports, in closed form. METHODS A2.

Each part of a surrogate knows its Banzhaf value at any keep probability: the expectation of a product over units is the
product of expectations. Its Shapley value follows from the same function by Owen's (1972) multilinear extension,

    Shapley_i = integral over p from 0 to 1 of Banzhaf_i(p) dp,

a polynomial in p, so that Gauss-Legendre quadrature with enough nodes has no error but rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from whygen.prompt.effects import Effects
from whygen.types import Floats, Masks


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

    def fit(self, observed: Effects) -> Fitted: ...


@runtime_checkable
class Prepared(Protocol):
    """A surrogate that fits many effects of the same masks faster than one by one."""

    def prepared(self, observed: Effects) -> Callable[[Floats], Fitted]: ...


def fitter(surrogate: Surrogate, observed: Effects) -> Callable[[Floats], Fitted]:
    """Fits other effects ``(m,)`` of the same masks; the numbers are those of `Surrogate.fit`."""
    if isinstance(surrogate, Prepared):
        return surrogate.prepared(observed)
    return lambda effects: surrogate.fit(observed.with_values(effects))


@runtime_checkable
class Remembers(Protocol):
    """A surrogate that can keep what depends on masks alone, for many fits of the same masks."""

    def remembering(self) -> Surrogate: ...


@runtime_checkable
class ByChance(Protocol):
    """A surrogate with cheaper fits of shuffled effects, which follow them as far as its own do."""

    def by_chance(self, observed: Effects) -> Callable[[Floats], Fitted]: ...


@runtime_checkable
class Folded(Protocol):
    """A surrogate that fits all but each fold, and all rows, faster together than one by one."""

    def folded(self, observed: Effects, fold_of: NDArray[np.int64]) -> Sequence[Fitted]: ...


def folded(surrogate: Surrogate, observed: Effects, fold_of: NDArray[np.int64]) -> Sequence[Fitted]:
    """The surrogate without each fold, and last of all rows.

    Args:
        surrogate: what is fitted.
        observed: masks with their effects.
        fold_of: fold of each row from 0 on, shape ``(m,)``; whole groups in one fold.
    """
    if isinstance(surrogate, Folded):
        return surrogate.folded(observed, fold_of)
    without = [surrogate.fit(observed.take(fold_of != fold)) for fold in range(int(fold_of.max()) + 1)]
    return [*without, surrogate.fit(observed)]


class Part(Protocol):
    """A function of masks whose Banzhaf values are known; ``degree`` bounds their degree as polynomials in keep."""

    @property
    def degree(self) -> int: ...

    def times(self, factor: float) -> Part: ...

    def predict(self, masks: Masks) -> NDArray[np.float64]: ...

    def banzhaf(self, keep: float) -> NDArray[np.float64]:
        """Mean with each unit minus mean without it, shape ``(n,)``, the others kept with probability ``keep``."""
        ...


def shapley(banzhaf: Callable[[float], NDArray[np.float64]], degree: int) -> NDArray[np.float64]:
    """Shapley values ``(n,)`` from Banzhaf values at every keep probability, polynomials of at most ``degree``."""
    nodes, weights = np.polynomial.legendre.leggauss(degree // 2 + 1)
    values = [weight / 2.0 * banzhaf((1.0 + node) / 2.0) for node, weight in zip(nodes, weights, strict=True)]
    return np.sum(values, axis=0)


@dataclass(frozen=True, slots=True)
class Sum:
    """The sum of parts, and the estimand it reports.

    Attributes:
        parts: the summands.
        keep: keep probability of the Banzhaf value; None for Shapley values.
        total: f(1) - f(0), which the Shapley values share out. The sum is taken to miss it at the full mask alone,
            which changes every Shapley value by an n-th of what it misses; no design by size draws that mask.
        error: mean squared error on left-out groups of what the attributions rest on; None where it is not known.
    """

    parts: tuple[Part, ...]
    keep: float | None
    total: float | None = None
    error: float | None = None

    def predict(self, masks: Masks) -> NDArray[np.float64]:
        return np.sum([part.predict(masks) for part in self.parts], axis=0)

    def attributions(self) -> NDArray[np.float64]:
        if self.keep is not None:
            return self._banzhaf(self.keep)
        values = shapley(self._banzhaf, max(part.degree for part in self.parts))
        return values if self.total is None else values + (self.total - values.sum()) / len(values)

    def _banzhaf(self, keep: float) -> NDArray[np.float64]:
        return np.sum([part.banzhaf(keep) for part in self.parts], axis=0)


def sum_of(observed: Effects, *parts: Part, error: float | None = None) -> Sum:
    """The sum of parts that reports what ``observed`` was drawn for: Shapley by size, Banzhaf at its keep else."""
    return Sum(parts, observed.keep if observed.sizes is None else None, observed.total, error)
