"""SHAP 0.51: the partition and permutation explainers with its own masker of texts."""

from __future__ import annotations

import re

import numpy as np
import shap

from benchmarks.rivals.protocol import CannotPlay, Found, Method, Task, masks_of, words


def _method(algorithm: str) -> Method:
    def explain(task: Task) -> Found:
        if algorithm == "permutation" and task.calls < 2 * task.n + 1:
            raise CannotPlay(f"a permutation there and back needs {2 * task.n + 1} calls, there are {task.calls}")
        explainer = shap.Explainer(
            lambda texts: task.ask(masks_of(list(texts), task.n)),
            shap.maskers.Text(r"\W+"), algorithm=algorithm, silent=True, seed=task.seed,
        )  # fmt: skip
        # The partition explainer asks for the empty prompt and the whole one outside of its count.
        found = explainer([" ".join(words(task.n))], max_evals=task.calls - (algorithm == "partition"))
        names = [re.search(r"u(\d+)", str(token)) for token in found.data[0]]
        values = np.zeros(task.n)
        for name, value in zip(names, found.values[0], strict=True):
            if name is not None:
                values[int(name.group(1))] += float(value)
        return Found(values)

    return explain


METHODS: dict[str, Method] = {"partition": _method("partition"), "permutation": _method("permutation")}
