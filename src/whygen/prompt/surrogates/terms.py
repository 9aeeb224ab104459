"""Sums of products of units, of any degree: the Fourier expansion of a function of masks. METHODS A2.

Under masks that keep each unit with probability c the products ``prod over S of (z_i - c) / sqrt(c (1 - c))`` are
orthonormal, so a coefficient is the mean of the product times the effect, and its square a share of the variance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from whygen.types import Floats, Masks

Support = NDArray[np.int64]
"""The units of each term in ascending order, shape ``(k, d)``; places that are not used hold ``n``."""


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
    rows = np.vstack([units.T, np.ones(len(units))])
    found = np.ones((len(support), len(units)))
    for place in support.T:
        found *= rows[place]
    return found.T


def distinct_terms(support: Support, n: int) -> tuple[Support, NDArray[np.int64]]:
    """Every term once, and which of them each row of ``support`` ``(r, d)`` is; the empty one, if there, comes last."""
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
