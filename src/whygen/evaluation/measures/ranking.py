"""Ranks: the area under the ROC curve, and Spearman's correlation."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics

Floats = NDArray[np.float64]


def auroc(truth: NDArray[np.bool_], scores: Floats) -> float:
    """Area under the ROC curve of scores ``(n,)``; NaN where all labels are alike."""
    if truth.all() or not truth.any():
        return float("nan")
    return float(cast("Any", metrics).roc_auc_score(truth, scores))


def adjusted_rand(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    """Adjusted Rand index of two groupings of n things: 1 where they agree, 0 on average at chance."""
    return float(cast("Any", metrics).adjusted_rand_score(a, b))


def spearman(a: Floats, b: Floats) -> float:
    """Spearman's rank correlation; NaN where one side does not vary."""
    if np.ptp(a) == 0.0 or np.ptp(b) == 0.0:
        return float("nan")
    rank = cast("Any", stats).rankdata
    return float(np.corrcoef(rank(a), rank(b))[0, 1])
