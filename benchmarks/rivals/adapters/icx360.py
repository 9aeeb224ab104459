"""ICX360 0.1: C-LIME and L-SHAP of MExGen, on units as they are and a score of our own in place of a scalarizer."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from icx360.algorithms.mexgen import CLIME, LSHAP
from icx360.utils.model_wrappers.base_model_wrapper import GeneratedOutput
from icx360.utils.scalarizers import Scalarizer

from benchmarks.rivals.protocol import CannotPlay, Found, Method, Task, masks_of, words


class Score(Scalarizer):
    """Effects of texts that are lists of units."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task

    def scalarize_output(self, inputs: Any = None, **_: Any) -> torch.Tensor:
        return torch.tensor(self.task.ask(masks_of([" ".join(units) for units in inputs], self.task.n)))


def _explainer(kind: Any, task: Task) -> Any:
    """Past the constructor: that wants a model of spaCy to cut texts, and these are cut."""
    explainer = kind.__new__(kind)
    explainer.model, explainer.segmenter, explainer.scalarized_model = None, None, Score(task)
    return explainer


def _explained(kind: Any, task: Task, **options: Any) -> dict[str, Any]:
    return _explainer(kind, task).explain_instance(
        words(task.n), "w", output_orig=GeneratedOutput(output_text=[""]), ind_segment=False, **options
    )


def c_lime(task: Task) -> Found:
    """Masks that drop at most two units; as many as there are calls."""
    if task.calls < task.n:
        raise CannotPlay(f"C-LIME begins with {task.n} masks of one unit, there are {task.calls} calls")
    found = _explained(CLIME, task, oversampling_factor=task.calls / task.n)
    values = np.asarray(found["attributions"]["score"], dtype=np.float64)
    return Found(values, found["intercept"] - (~task.new) @ values)


def l_shap(task: Task) -> Found:
    """The widest neighbourhood and the largest subsets that the calls allow."""
    for neighbours, most in ((3, 3), (3, 2), (2, 2), (1, 2), (1, 1)):
        if _subsets(task.n, neighbours, most) <= task.calls:
            found = _explained(LSHAP, task, num_neighbors=neighbours, max_units_replace=most)
            return Found(np.asarray(found["attributions"]["score"], dtype=np.float64))
    raise CannotPlay(f"L-SHAP needs {_subsets(task.n, 1, 1)} calls for {task.n} units, there are {task.calls}")


def _subsets(n: int, neighbours: int, most: int) -> int:
    """How many sets of units it drops: the unit with at most ``most`` of those around it, and those without it."""
    from itertools import combinations

    dropped: set[frozenset[int]] = set()
    for unit in range(n):
        around = [other for other in range(max(0, unit - neighbours), min(n, unit + neighbours + 1)) if other != unit]
        for size in range(min(most, len(around)) + 1):
            for some in combinations(around, size):
                dropped |= {frozenset(some), frozenset((*some, unit))}
    return len(dropped - {frozenset()})


METHODS: dict[str, Method] = {"C-LIME": c_lime, "L-SHAP": l_shap}
