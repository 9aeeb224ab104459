"""Set functions whose Banzhaf and Shapley values are known: sums of small parts, each a function of few units.

Both values are linear, so a sum's value is the sum of its parts' values, and a part of at most five units is
enumerated: the truth is exact for any number of units, also where parts share units. At least a quarter of the units
(and one) is in no part: a dummy, whose value is zero.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from whygen.errors import UnknownNameError
from whygen.types import Masks

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Part:
    """A function of a few units: ``values`` has shape ``(2^k,)``, in the order of `itertools.product`."""

    units: NDArray[np.int64]
    values: Floats


def _corners(k: int) -> Masks:
    return np.array(list(itertools.product([False, True], repeat=k)), dtype=bool).reshape(-1, k)


Values: TypeAlias = Callable[[Masks, np.random.Generator], Floats]
"""Draws what a part says of each of its corners ``(2^k, k)``, shape ``(2^k,)``."""


def _units(corners: Masks) -> int:
    return int(corners.shape[1])


def _size(rng: np.random.Generator) -> float:
    """An effect of either sign that is not near zero."""
    return float(rng.choice([-1.0, 1.0]) * (0.5 + rng.exponential()))


def _additive(corners: Masks, rng: np.random.Generator) -> Floats:
    return np.dot(corners, rng.normal(size=_units(corners)))


def _heavy_tailed(corners: Masks, rng: np.random.Generator) -> Floats:
    return np.dot(corners, rng.standard_t(1.5, size=_units(corners)))


def _pairwise(corners: Masks, rng: np.random.Generator) -> Floats:
    return _additive(corners, rng) + 1.5 * rng.normal() * np.all(corners, axis=1)


def _redundant(corners: Masks, rng: np.random.Generator) -> Floats:
    return _size(rng) * np.any(corners, axis=1)


def _saturating(corners: Masks, rng: np.random.Generator) -> Floats:
    size = _size(rng)
    return size * (1.0 - np.exp(-np.dot(corners, rng.uniform(0.3, 1.2, size=_units(corners)))))


def _product(corners: Masks, rng: np.random.Generator) -> Floats:
    factors: Floats = 1.0 + rng.uniform(-0.9, 1.5, size=_units(corners))
    return np.asarray(_size(rng) * np.prod(np.where(corners, factors, 1.0), axis=1), dtype=np.float64)


def _vote(corners: Masks, rng: np.random.Generator) -> Floats:
    return _size(rng) * np.greater(2 * corners.sum(axis=1), _units(corners))


def _conjunction(corners: Masks, rng: np.random.Generator) -> Floats:
    needed = rng.random(_units(corners)) < 0.5
    return rng.normal() * np.all(corners == needed, axis=1)


def _parity(corners: Masks, rng: np.random.Generator) -> Floats:
    return np.asarray(_size(rng) * np.prod(np.where(corners, -1.0, 1.0), axis=1), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _Disjoint:
    """Parts of so many units each, on groups that share no unit; the last may be smaller."""

    size: int
    values: Values

    def __call__(self, active: NDArray[np.int64], rng: np.random.Generator) -> list[Part]:
        groups = [active[i : i + self.size] for i in range(0, len(active), self.size)]
        return [Part(group, self.values(_corners(len(group)), rng)) for group in groups]


@dataclass(frozen=True, slots=True)
class _Overlapping:
    """``share`` parts for each active unit (at least one), each on units drawn anew; ``sizes`` are drawn too."""

    share: float
    sizes: tuple[int, ...]
    values: Values

    def __call__(self, active: NDArray[np.int64], rng: np.random.Generator) -> list[Part]:
        parts: list[Part] = []
        for _ in range(max(1, round(self.share * len(active)))):
            size = min(int(rng.choice(self.sizes)), len(active))
            units = rng.choice(active, size=size, replace=False)
            parts.append(Part(units, self.values(_corners(size), rng)))
        return parts


_DRAWN: dict[str, _Disjoint | _Overlapping] = {
    "additive": _Disjoint(1, _additive),
    "pairwise": _Disjoint(2, _pairwise),
    "redundant": _Disjoint(3, _redundant),
    "saturating": _Disjoint(4, _saturating),
    "heavy-tailed": _Disjoint(1, _heavy_tailed),
    "products": _Disjoint(4, _product),
    "votes": _Disjoint(5, _vote),
    "conjunctions": _Overlapping(0.5, (3, 4), _conjunction),
    "parities": _Overlapping(0.5, (3,), _parity),
}

FAMILIES = tuple(_DRAWN)
"""Sums of: single units; pairs with an interaction; "any of three"; four units with diminishing returns; single units
of which few are worth much more than the others (Student t, 1.5 degrees of freedom); factors of four units; majorities
of five; conjunctions of three or four units, present or absent, that share units; parities of three that share units.
"""


class Game:
    """A random game of a family.

    Args:
        n: number of units.
        family: one of `FAMILIES`.
        rng: draws the game.
        noise: standard deviation of one observation, see `observe`.

    Raises:
        UnknownNameError: if there is no such family.
    """

    def __init__(self, n: int, family: str, rng: np.random.Generator, *, noise: float = 0.0) -> None:
        if family not in FAMILIES:
            raise UnknownNameError("family of games", family, FAMILIES)
        self.n, self.noise = n, noise
        order = rng.permutation(n)
        self.parts = tuple(_DRAWN[family](order[max(1, n // 4) :], rng))
        self.dummies = np.setdiff1d(order, np.concatenate([part.units for part in self.parts]))

    def values(self, masks: Masks) -> Floats:
        """Effect of each mask ``(m, n)``, shape ``(m,)``."""
        total = np.zeros(len(masks))
        for part in self.parts:
            k = len(part.units)
            total += part.values[masks[:, part.units] @ (1 << np.arange(k - 1, -1, -1))]
        return total

    def observe(self, masks: Masks, rng: np.random.Generator) -> Floats:
        """What one noisy draw of each mask ``(m, n)`` shows, shape ``(m,)``."""
        return self.values(masks) + self.noise * rng.normal(size=len(masks))

    def spread(self) -> float:
        """Standard deviation of f over all masks: the root of its squared Fourier coefficients, added up over parts."""
        merged: defaultdict[tuple[int, ...], float] = defaultdict(float)
        for part in self.parts:
            corners = _corners(len(part.units))
            for chosen in corners[1:]:
                signs = np.where(corners[:, chosen], 1.0, -1.0).prod(axis=1)
                merged[tuple(sorted(part.units[chosen].tolist()))] += float(signs @ part.values) / len(corners)
        return math.sqrt(sum(coefficient**2 for coefficient in merged.values()))

    def banzhaf(self, keep: float = 0.5) -> Floats:
        """Banzhaf value of each unit, shape ``(n,)``: mean with the unit minus mean without it.

        ``keep`` is the probability with which each of the others is kept (the weighted Banzhaf value).
        """
        return self._weighted(lambda k, others: keep**others * (1.0 - keep) ** (k - 1 - others))

    def shapley(self) -> Floats:
        """Shapley value of each unit, shape ``(n,)``: dummies do not change a part's own value."""
        return self._weighted(lambda k, others: 1.0 / (k * math.comb(k - 1, others)))

    def _weighted(self, weight: Callable[[int, int], float]) -> Floats:
        """Sum of marginal contributions, weighted by the size of the part and how many of the others are kept."""
        found = np.zeros(self.n)
        for part in self.parts:
            k = len(part.units)
            corners = _corners(k)
            for index, unit in enumerate(part.units):
                kept = corners[:, index]
                others = np.delete(corners, index, axis=1).sum(axis=1)
                weights = np.array([weight(k, int(size)) for size in others])
                found[unit] += float(np.dot(np.where(kept, weights, -weights), part.values))
        return found
