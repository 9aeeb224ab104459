"""How good are attributions? Four scores, the same for everybody; rivals are granted what is in doubt."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.metrics import roc_auc_score

from benchmarks.rivals.protocol import Bools, Floats


def r_squared(truth: Floats, predicted: Floats) -> float:
    """One minus the squared error over the variance; 1 is perfect, the mean of the truth has 0."""
    return 1.0 - float(((truth - predicted) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())


def granted_r_squared(truth: Floats, additive: Floats) -> float:
    """R2 of sums of attributions with the best intercept and the best scale of at least zero, found on ``truth``."""
    spread = float(additive.std())
    if spread < 1e-12:
        return 0.0
    correlation = float(((truth - truth.mean()) * (additive - additive.mean())).mean() / (spread * truth.std()))
    return max(correlation, 0.0) ** 2


def shapley_error(found: Floats, truth: Floats, *, scaled: bool = False) -> float:
    """Squared error over the squared length of the truth; with the best scale and shift where these were lost."""
    if scaled:
        design = np.stack([found, np.ones(len(found))], axis=1)
        found = design @ np.linalg.lstsq(design, truth, rcond=None)[0]
    return float(((found - truth) ** 2).sum() / (truth**2).sum())


def deletion(values: Callable[[Bools], Floats], attributions: Floats, spread: float) -> float:
    """Mean fall of the effect as units are deleted, the most positive first, in standard deviations of the effect.

    The area over the deletion curve. Attributions that are equal are deleted in the order of the prompt.
    """
    order = np.argsort(-attributions, kind="stable")
    masks = np.ones((len(order) + 1, len(order)), dtype=bool)
    for step, unit in enumerate(order, start=1):
        masks[step:, unit] = False
    curve = values(masks)
    return float((curve[0] - curve[1:]).mean() / spread)


def auroc(relevant: Bools, attributions: Floats) -> float:
    return float(roc_auc_score(relevant, attributions))
