"""What was observed: masks, their effects, and how the masks were drawn. The one input of every estimator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whygen.types import Effects, Masks


@dataclass(frozen=True, slots=True)
class Observed:
    """Masks with their effects.

    Attributes:
        masks: shape ``(m, n)``.
        effects: shape ``(m,)``, in the target's unit.
        groups: shape ``(m,)``; rows of one group were drawn together.
        keep: the probability with which each unit was kept.
    """

    masks: Masks
    effects: Effects
    groups: NDArray[np.int64]
    keep: float = 0.5

    def __len__(self) -> int:
        return len(self.effects)

    @property
    def n(self) -> int:
        """Number of units."""
        return int(self.masks.shape[1])

    def take(self, rows: NDArray[np.bool_]) -> Observed:
        """The rows where ``rows`` ``(m,)`` is True."""
        return Observed(self.masks[rows], self.effects[rows], self.groups[rows], self.keep)

    def centred(self) -> NDArray[np.float64]:
        """Masks minus the keep probability, shape ``(m, n)``: the mean of each column is zero by design."""
        return self.masks - self.keep

    def weights(self) -> NDArray[np.float64]:
        """Horvitz-Thompson weights, shape ``(m, n)``: the mean of weight times effect is the Banzhaf value.

        ``w_i = z_i / p - (1 - z_i) / (1 - p)``; METHODS A2.
        """
        return np.where(self.masks, 1.0 / self.keep, -1.0 / (1.0 - self.keep))

    def complement_pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        """Row numbers of the first and second half of every pair, or None if the groups are not complement pairs."""
        order = np.argsort(self.groups, kind="stable")
        if len(order) % 2:
            return None
        first, second = order[0::2], order[1::2]
        paired = np.array_equal(self.groups[first], self.groups[second])
        if paired and np.array_equal(self.masks[first], ~self.masks[second]):
            return first, second
        return None
