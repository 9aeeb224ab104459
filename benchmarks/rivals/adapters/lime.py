"""LIME 0.2: `LimeTextExplainer` on a text of one word a unit, as it comes (cosine kernel of width 25, ridge)."""

from __future__ import annotations

import numpy as np
from lime.lime_text import LimeTextExplainer
from sklearn.metrics.pairwise import pairwise_distances

from benchmarks.rivals.protocol import Bools, Floats, Found, Method, Task, masks_of, words


def explain(task: Task) -> Found:
    explainer = LimeTextExplainer(bow=False, random_state=task.seed)
    if task.given is not None:
        return _given(explainer, task, *task.given)

    def classify(texts: list[str]) -> Floats:
        values = task.ask(masks_of(texts, task.n))
        return np.stack([-values, values], axis=1)  # its input is the table of a classifier

    found = explainer.explain_instance(
        " ".join(words(task.n)), classify, labels=(1,), num_features=task.n, num_samples=task.calls + 1
    )
    return _read(task, found.as_map()[1], found.intercept[1])


def _given(explainer: LimeTextExplainer, task: Task, masks: Bools, values: Floats) -> Found:
    data = masks.astype(float)
    apart = pairwise_distances(data, np.ones((1, task.n)), metric="cosine").ravel() * 100
    intercept, weights, *_ = explainer.base.explain_instance_with_data(data, values[:, None], apart, 0, task.n)
    return _read(task, weights, intercept)


def _read(task: Task, weights: list[tuple[int, float]], intercept: float) -> Found:
    values = np.zeros(task.n)
    for unit, weight in weights:
        values[unit] = weight
    return Found(values, intercept + task.new @ values)


METHODS: dict[str, Method] = {"LIME": explain}
