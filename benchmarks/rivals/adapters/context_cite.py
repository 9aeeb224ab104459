"""ContextCite 0.0.4: its masks (each unit kept with chance one half) and its solver (LASSO, penalty .01).

The class around them takes local models alone. The penalty is in the unit of its own score, so effects are divided by
their standard deviation first, and coefficients multiplied by it.
"""

from __future__ import annotations

import numpy as np
from context_cite.solver import LassoRegression
from context_cite.utils import _create_mask

from benchmarks.rivals.protocol import Found, Method, Task


def explain(task: Task) -> Found:
    if task.given is not None:
        masks, values = task.given
    else:
        first = task.seed * 100_000
        masks = np.array([_create_mask(task.n, 0.5, first + row) for row in range(task.calls)])
        values = task.ask(masks)
    masks = masks.astype(bool)
    scale = float(values.std()) or 1.0
    weights, bias = LassoRegression().fit(masks, values / scale, 1)
    return Found(scale * weights, scale * (bias + task.new @ weights))


METHODS: dict[str, Method] = {"LASSO": explain}
