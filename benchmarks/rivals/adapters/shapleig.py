"""shapiq 1.8's ShaplEIG: a Gaussian process over masks that asks for the one that tells most, with variances.

It needs torch, and Python 3.12. Its intervals here are 1.96 standard deviations of its posterior on both sides.
"""

from __future__ import annotations

import numpy as np
from shapiq.approximator.shapleig.shapleig import ShaplEIG

from benchmarks.rivals.protocol import Bools, CannotPlay, Floats, Found, Method, Task


def explain(task: Task) -> Found:
    approximator = ShaplEIG(n=task.n, random_state=task.seed, show_progress=False, refit="decaying")
    if task.calls <= approximator.initial_design_size:
        raise CannotPlay(f"ShaplEIG begins with {approximator.initial_design_size} masks, there are {task.calls} calls")

    def game(masks: Bools) -> Floats:
        return task.ask(np.asarray(masks, dtype=bool))

    found, variances = approximator.approximate_with_variance(budget=task.calls, game=game)
    values = np.array([float(found[(unit,)]) for unit in range(task.n)])
    apart = 1.96 * np.sqrt(np.maximum(np.asarray(variances, dtype=np.float64), 0.0))
    return Found(values, intervals=np.stack([values - apart, values + apart], axis=1))


METHODS: dict[str, Method] = {"ShaplEIG": explain}
