"""A boosted forest as what it is on masks: a sum over leaves of products. METHODS A2.

A leaf is reached when some units are present and some absent, so it is ``value * prod z_i * prod (1 - z_j)``. Its
Banzhaf value at keep p is in closed form, ``value p^(present - 1) (1 - p)^absent`` for a unit it needs present, and its
Shapley value is that integrated over p: interventional tree Shapley between no unit and all units.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from whygen.types import Masks


@dataclass(frozen=True, slots=True)
class Leaves:
    """Leaves of trees over masks.

    Attributes:
        needs: shape ``(leaves, n)``: 1 where the unit must be present, -1 where absent, 0 where it does not matter.
        values: shape ``(leaves,)``.
    """

    needs: NDArray[np.int8]
    values: NDArray[np.float64]

    def times(self, factor: float) -> Leaves:
        return replace(self, values=factor * self.values)

    @property
    def degree(self) -> int:
        return max(int((self.needs != 0).sum(axis=1).max(initial=0)) - 1, 0)

    def predict(self, masks: Masks) -> NDArray[np.float64]:
        # Single precision counts units without error, and its matrix product is the fastest there is.
        met = masks.astype(np.float32) @ self.needs.astype(np.float32).T
        return (met == (self.needs > 0).sum(axis=1)) @ self.values

    def banzhaf(self, keep: float) -> NDArray[np.float64]:
        present, absent = self.needs > 0, self.needs < 0
        needed, unwanted = present.sum(axis=1), absent.sum(axis=1)
        chance = self.values * keep**needed * (1.0 - keep) ** unwanted
        return (chance / keep) @ present - (chance / (1.0 - keep)) @ absent
