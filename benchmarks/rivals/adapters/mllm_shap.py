"""mllm-shap 0.8, which needs Python 3.12: its samplers and estimators, without the models around them."""

from __future__ import annotations

from typing import Any

import numpy as np
from mllm_shap.domain.players import PlayerSet
from mllm_shap.estimation import (
    BanzhafAggregator,
    ComplementaryEstimator,
    KernelBanzhafEstimator,
    LeverageEstimator,
    ShapleyAggregator,
)
from mllm_shap.estimation.proxy import ProxyEstimator

from benchmarks.rivals.protocol import CannotPlay, Found, Method, Task, words


def _method(kind: Any, aggregator: Any) -> Method:
    def explain(task: Task) -> Found:
        estimator, calls = kind(), min(task.calls + 1, 2**task.n)  # the whole prompt is free
        masks = list(estimator.sample_masks(PlayerSet(tuple(words(task.n))), calls / 2**task.n, False, task.seed))
        if len(masks) > calls:
            raise CannotPlay(f"{estimator.name} begins with {len(masks)} masks, there are {calls} calls")
        values = task.ask(np.array([mask.present for mask in masks]))
        return Found(np.array(estimator.estimate_attributions(masks, values.tolist(), aggregator())))

    return explain


METHODS: dict[str, Method] = {
    "kernel Banzhaf": _method(KernelBanzhafEstimator, BanzhafAggregator),
    "leverage": _method(LeverageEstimator, ShapleyAggregator),
    "complementary": _method(ComplementaryEstimator, ShapleyAggregator),
    "proxy": _method(ProxyEstimator, ShapleyAggregator),
}
