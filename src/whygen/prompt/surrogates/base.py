"""What a surrogate is, and what it says of itself in closed form. METHODS A2.

A fitted surrogate is a sum of functions of masks, each of which knows its Banzhaf value at any keep probability: the
expectation of a product over units is the product of expectations. Its Shapley value follows from the same function by
Owen's (1972) multilinear extension,

    Shapley_i = integral over p from 0 to 1 of Banzhaf_i(p) dp,

a polynomial in p, so that Gauss-Legendre quadrature with enough nodes has no error but rounding.

`Linear` and `Terms` (products of units, of any degree) stand here; `kernel`, `products` and `trees` have their own. The
folds inside a fit, which decide how much of it is kept, are here too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from whygen.prompt.effects import Effects
from whygen.types import Floats, Masks

SEED = 0
"""Folds, rows and columns inside a fit are drawn by this fixed seed: a surrogate is a function of its data alone."""

FOLDS = 4
"""Folds in which added terms must prove themselves."""

Support = NDArray[np.int64]
"""The units of each term in ascending order, shape ``(k, d)``; places that are not used hold ``n``."""


def one_thread() -> AbstractContextManager[object]:
    """Many small fits are done fastest by one thread: on a busy machine threads of BLAS wait for each other.

    296 masks of 25 units took 20 seconds of processor time by two threads, and 5 by one; where other processes wait,
    one decomposition of 3,000 masks of 300 units took 1.9 by two, and .09 by one.
    """
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=1, user_api="blas")


class Fitted(Protocol):
    """A fitted surrogate."""

    def predict(self, masks: Masks) -> Floats:
        """Predicted effects, shape ``(m,)``, of masks ``(m, n)``."""
        ...

    def attributions(self) -> Floats:
        """The surrogate's own value of the estimand, shape ``(n,)``."""
        ...


class Surrogate(Protocol):
    """A way to fit. ``smallest_pairs`` is the number of pairs below which it refuses."""

    @property
    def name(self) -> str: ...

    def smallest_pairs(self, n: int) -> int: ...

    def fit(self, observed: Effects) -> Fitted: ...


@runtime_checkable
class FitsMany(Protocol):
    """A surrogate that fits many effects of the same masks faster than one by one."""

    def prepared(self, observed: Effects) -> Callable[[Floats], Fitted]: ...


def fitter(surrogate: Surrogate, observed: Effects) -> Callable[[Floats], Fitted]:
    """Fits other effects ``(m,)`` of the same masks; the numbers are those of `Surrogate.fit`."""
    if isinstance(surrogate, FitsMany):
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


class Summand(Protocol):
    """A function of masks whose Banzhaf values are known; ``degree`` bounds their degree as polynomials in keep."""

    @property
    def degree(self) -> int: ...

    def times(self, factor: float) -> Summand: ...

    def predict(self, masks: Masks) -> Floats: ...

    def banzhaf(self, keep: float) -> Floats:
        """Mean with each unit minus mean without it, shape ``(n,)``, the others kept with probability ``keep``."""
        ...


def shapley(banzhaf: Callable[[float], Floats], degree: int) -> Floats:
    """Shapley values ``(n,)`` from Banzhaf values at every keep probability, polynomials of at most ``degree``."""
    nodes, weights = np.polynomial.legendre.leggauss(degree // 2 + 1)
    # Nodes and weights are those of [-1, 1]; n nodes are exact up to degree 2 n - 1.
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

    parts: tuple[Summand, ...]
    keep: float | None
    total: float | None = None
    error: float | None = None

    def predict(self, masks: Masks) -> Floats:
        return np.sum([part.predict(masks) for part in self.parts], axis=0)

    def attributions(self) -> Floats:
        if self.keep is not None:
            return self._banzhaf(self.keep)
        values = shapley(self._banzhaf, max(part.degree for part in self.parts))
        return values if self.total is None else values + (self.total - values.sum()) / len(values)

    def _banzhaf(self, keep: float) -> Floats:
        return np.sum([part.banzhaf(keep) for part in self.parts], axis=0)


def sum_of(observed: Effects, *parts: Summand, error: float | None = None) -> Sum:
    """The sum of parts that reports what ``observed`` was drawn for: Shapley by size, Banzhaf at its keep else."""
    return Sum(parts, observed.keep if observed.sizes is None else None, observed.total, error)


@dataclass(frozen=True, slots=True)
class Linear:
    """``intercept + coefficients . (z - keep)``."""

    intercept: float
    coefficients: Floats
    keep: float

    def times(self, factor: float) -> Linear:
        return Linear(factor * self.intercept, factor * self.coefficients, self.keep)

    @property
    def degree(self) -> int:
        return 0

    def predict(self, masks: Masks) -> Floats:
        return self.intercept + (masks - self.keep) @ self.coefficients

    def banzhaf(self, keep: float) -> Floats:
        """The coefficients, whatever ``keep`` is."""
        del keep
        return self.coefficients

    def attributions(self) -> Floats:
        return self.coefficients


@dataclass(frozen=True, slots=True)
class Terms:
    """``level + sum_k coefficient_k prod over S_k of (z_i - centre) / scale``.

    Attributes:
        support: the units of each term, shape ``(k, d)``.
        coefficients: shape ``(k,)``.
        centre: what is taken off each unit.
        level: a constant.
        n: number of units.
    """

    support: Support
    coefficients: Floats
    centre: float
    level: float
    n: int

    @property
    def scale(self) -> float:
        return float(np.sqrt(self.centre * (1.0 - self.centre)))

    @property
    def degree(self) -> int:
        return max(int(self.support.shape[1]) - 1, 0)

    def times(self, factor: float) -> Terms:
        return replace(self, coefficients=factor * self.coefficients, level=factor * self.level)

    def predict(self, masks: Masks) -> Floats:
        found: Floats = columns(normalised(masks, self.centre), self.support) @ self.coefficients
        return self.level + found

    def banzhaf(self, keep: float) -> Floats:
        """``sum over the terms with unit i of coefficient (keep - centre)^(degree - 1) / scale^degree``."""
        degree: NDArray[np.int64] = (self.support < self.n).sum(axis=1)
        each = self.coefficients * (keep - self.centre) ** np.maximum(degree - 1, 0) / self.scale**degree
        found = np.zeros(self.n + 1)
        for units in self.support.T:
            np.add.at(found, units, each)
        return found[: self.n]


def normalised(masks: Masks, centre: float) -> Floats:
    """Units ``(m, n)`` of mean zero and variance one under masks that keep each with probability ``centre``."""
    return (masks.astype(np.float64) - centre) / np.sqrt(centre * (1.0 - centre))


def columns(units: Floats, support: Support) -> Floats:
    """The products of normalised units ``(m, n)`` of each term, shape ``(m, k)``."""
    # Places that are not used hold n, and row n is all ones: terms of fewer units need no case of their own.
    rows = np.vstack([units.T, np.ones(len(units))])
    found = np.ones((len(support), len(units)))
    for place in support.T:
        found *= rows[place]
    return found.T


def distinct_terms(support: Support, n: int) -> tuple[Support, NDArray[np.int64]]:
    """Every term once, and which of them each row of ``support`` ``(r, d)`` is; the empty one, if there, comes last."""
    # Each term as one number in base n + 1: sorting numbers is many times as fast as sorting rows.
    base = (n + 1) ** np.arange(support.shape[1] - 1, -1, -1, dtype=np.int64)
    _, first, place = np.unique(support @ base, return_index=True, return_inverse=True)
    return support[first], place


def merged(n: int, *parts: tuple[Support, Floats]) -> tuple[Support, Floats]:
    """Every term of ``parts`` once, with the largest of its coefficients in size, all taken as positive."""
    width = max(support.shape[1] for support, _ in parts)
    padded = [np.hstack([s, np.full((len(s), width - s.shape[1]), n)]) for s, _ in parts]
    support, place = distinct_terms(np.vstack(padded), n)
    largest = np.zeros(len(support))
    np.maximum.at(largest, place, np.abs(np.concatenate([c for _, c in parts])))
    return support, largest


def folds_of(groups: NDArray[np.int64], folds: int) -> NDArray[np.int64]:
    """Fold of each row ``(r,)``, with whole groups in one fold; fewer folds where there are fewer groups.

    Shuffled, because enumerated designs count in binary: every fourth group has two units in common.
    """
    # Whole groups: the two masks of a pair say nearly the same, and one would give away what the other is to judge.
    names, group_of = np.unique(groups, return_inverse=True)
    dealt = np.random.default_rng(SEED).permutation(len(names)) % min(folds, len(names))
    return dealt[group_of]


def in_folds(observed: Effects) -> Iterator[tuple[Effects, Effects]]:
    """Without each of `FOLDS` folds, and the fold alone."""
    fold_of = folds_of(observed.groups, FOLDS)
    for fold in range(int(fold_of.max()) + 1):
        yield observed.take(fold_of != fold), observed.take(fold_of == fold)


def group_means(values: Floats, groups: NDArray[np.int64]) -> Floats:
    """Mean over the rows of each group, ``(r, k)`` to ``(groups, k)``."""
    _, group_of = np.unique(groups, return_inverse=True)
    sums = np.zeros((int(group_of.max()) + 1, values.shape[1]))
    np.add.at(sums, group_of, values)
    return sums / np.bincount(group_of)[:, None]


def best_count(errors: Iterable[Floats]) -> int:
    """The column with the least mean error; the first unless its gain over the first exceeds one standard error.

    Args:
        errors: for each fold, the error of each held-out group with none, one, two .. added terms, ``(groups, k + 1)``.
            Where nothing beats none after half of the folds, the rest is not asked for.
    """
    seen: list[Floats] = []
    for fold in errors:
        seen.append(fold)
        if len(seen) == FOLDS // 2 and int(np.concatenate(seen).mean(axis=0).argmin()) == 0:
            break
    table = np.concatenate(seen)
    best = int(table.mean(axis=0).argmin())
    # The least of many noisy means lies under the truth: one standard error is the price of having looked.
    gain = table[:, 0] - table[:, best]
    return best if best and gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain)) else 0
