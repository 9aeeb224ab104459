"""Weighted least squares with intercept: what the estimand `local` is, as a surrogate that predicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whygen.prompt.effects import Effects
from whygen.prompt.surrogates import Linear


@dataclass(frozen=True, slots=True)
class WeightedLeastSquares:
    """Least squares in which each mask weighs what the kernel says; the smallest solution where there are many."""

    name: str = "wls"

    def smallest_pairs(self, n: int) -> int:
        return (n + 2) // 2

    def fit(self, observed: Effects) -> Linear:
        root: NDArray[np.float64] = np.sqrt(observed.importance())
        x = np.hstack([np.ones((len(observed), 1)), observed.centred()])
        solution: NDArray[Any] = np.linalg.lstsq(x * root[:, None], observed.values * root, rcond=None)[0]
        return Linear(float(solution[0]), solution[1:], observed.keep)
