"""Set functions whose Banzhaf and Shapley values are known: sums of small parts on disjoint groups of units.

Both values are linear, so a sum's value is the sum of its parts' values, and a part of at most four units is
enumerated: the truth is exact for any number of units. A quarter of the units (at least one) is in no part: a dummy,
whose value is zero.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whygen.errors import UnknownNameError
from whygen.types import Masks

FAMILIES = ("additive", "pairwise", "redundant", "saturating")
"""Sums of: single units; pairs with an interaction; "any of three"; four units with diminishing returns."""

_PART_SIZE = {"additive": 1, "pairwise": 2, "redundant": 3, "saturating": 4}


@dataclass(frozen=True, slots=True)
class Part:
    """A function of a few units: ``values`` has shape ``(2^k,)``, in the order of `itertools.product`."""

    units: NDArray[np.int64]
    values: NDArray[np.float64]


def _corners(k: int) -> Masks:
    return np.array(list(itertools.product([False, True], repeat=k)), dtype=bool).reshape(-1, k)


def _part(family: str, k: int, rng: np.random.Generator) -> NDArray[np.float64]:
    corners = _corners(k)
    if family == "additive":
        return corners @ rng.normal(size=k)
    if family == "pairwise":
        return corners @ rng.normal(size=k) + 1.5 * rng.normal() * corners.all(axis=1)
    sign = rng.choice([-1.0, 1.0]) * (0.5 + rng.exponential())
    if family == "redundant":
        return sign * corners.any(axis=1)
    return sign * (1.0 - np.exp(-(corners @ rng.uniform(0.3, 1.2, size=k))))


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
        active = order[max(1, n // 4) :]
        size = _PART_SIZE[family]
        groups = [active[i : i + size] for i in range(0, len(active), size)]
        self.dummies = np.sort(order[: max(1, n // 4)])
        self.parts = tuple(Part(group, _part(family, len(group), rng)) for group in groups)

    def values(self, masks: Masks) -> NDArray[np.float64]:
        """Effect of each mask ``(m, n)``, shape ``(m,)``."""
        total = np.zeros(len(masks))
        for part in self.parts:
            k = len(part.units)
            total += part.values[masks[:, part.units] @ (1 << np.arange(k - 1, -1, -1))]
        return total

    def observe(self, masks: Masks, rng: np.random.Generator) -> NDArray[np.float64]:
        """What one noisy draw of each mask ``(m, n)`` shows, shape ``(m,)``."""
        return self.values(masks) + self.noise * rng.normal(size=len(masks))

    def spread(self) -> float:
        """Standard deviation of f over all masks: parts are independent, so variances add."""
        return math.sqrt(sum(float(part.values.var()) for part in self.parts))

    def banzhaf(self, keep: float = 0.5) -> NDArray[np.float64]:
        """Banzhaf value of each unit, shape ``(n,)``: mean with the unit minus mean without it.

        ``keep`` is the probability with which each of the others is kept (the weighted Banzhaf value).
        """
        return self._weighted(lambda k, others: keep**others * (1.0 - keep) ** (k - 1 - others))

    def shapley(self) -> NDArray[np.float64]:
        """Shapley value of each unit, shape ``(n,)``: dummies do not change a part's own value."""
        return self._weighted(lambda k, others: 1.0 / (k * math.comb(k - 1, others)))

    def _weighted(self, weight: Callable[[int, int], float]) -> NDArray[np.float64]:
        """Sum of marginal contributions, weighted by the size of the part and how many of the others are kept."""
        found = np.zeros(self.n)
        for part in self.parts:
            k = len(part.units)
            corners = _corners(k)
            for index, unit in enumerate(part.units):
                kept = corners[:, index]
                others = np.delete(corners, index, axis=1).sum(axis=1)
                weights = np.array([weight(k, int(size)) for size in others])
                found[unit] = float(np.dot(np.where(kept, weights, -weights), part.values))
        return found
