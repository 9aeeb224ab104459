"""Captum 0.9: its perturbation methods on a function of a row of ones, whose baseline is a row of zeros.

`LLMAttribution` runs the same classes on a local language model and adds nothing to how masks are drawn or read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from captum.attr import FeatureAblation, KernelShap, Lime, ShapleyValueSampling

from benchmarks.rivals.protocol import CannotPlay, Found, Method, Task


def _method(kind: Any, options: Callable[[Task], dict[str, int]]) -> Method:
    def explain(task: Task) -> Found:
        def forward(rows: torch.Tensor) -> torch.Tensor:
            return torch.tensor(task.ask(rows.numpy() > 0.5), dtype=torch.float64)

        torch.manual_seed(task.seed)
        found = kind(forward).attribute(
            torch.ones(1, task.n, dtype=torch.float64), baselines=torch.zeros(1, task.n), **options(task)
        )
        return Found(found.detach().numpy()[0].astype(np.float64))

    return explain


def _one_each(task: Task) -> dict[str, int]:
    if task.n > task.calls:
        raise CannotPlay(f"feature ablation needs a call for each of {task.n} units, there are {task.calls}")
    return {}


def _permutations(task: Task) -> dict[str, int]:
    """A permutation asks for n masks, its last being all units; the baseline is asked for once."""
    runs = (task.calls - 1) // (task.n - 1)
    if runs < 1:
        raise CannotPlay(f"one permutation of {task.n} units needs more than {task.calls} calls")
    return {"n_samples": runs}


METHODS: dict[str, Method] = {
    "feature ablation": _method(FeatureAblation, _one_each),
    "Shapley sampling": _method(ShapleyValueSampling, _permutations),
    "KernelSHAP": _method(KernelShap, lambda task: {"n_samples": task.calls}),
    "LIME": _method(Lime, lambda task: {"n_samples": task.calls}),
}
