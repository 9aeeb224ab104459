"""Errors of predictions, weighted as the thesis weighs them: what several studies share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from whygen import lab
from whygen.types import Masks

Floats = NDArray[np.float64]


def weighted_error(masks: Masks, effects: Floats, predicted: Floats) -> float:
    """Mean squared error of predictions ``(m,)`` under `local`'s kernel, effects in units of their range.

    Over the range, since that is what the thesis's scaling to 0 .. 1 amounts to. 0 where nothing differs.
    """
    alive = ~np.isnan(effects) & ~np.isnan(predicted)
    spread = float(np.ptp(effects[alive]))
    if spread == 0.0:
        return 0.0
    weights = lab.nearness(masks[alive])
    return float(np.average(((effects - predicted)[alive] / spread) ** 2, weights=weights))
