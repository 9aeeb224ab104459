"""What needs no library: leave-one-out, chance, and the published gSMILE procedure on the same effects."""

from __future__ import annotations

import numpy as np

from benchmarks.rivals.protocol import CannotPlay, Found, Method, Task


def leave_one_out(task: Task) -> Found:
    if task.n > task.calls:
        raise CannotPlay(f"leave-one-out needs a call for each of {task.n} units, there are {task.calls}")
    values = task.ask(np.vstack([np.ones((1, task.n), dtype=bool), ~np.eye(task.n, dtype=bool)]))
    return Found(values[0] - values[1:], values[0] - (~task.new) @ (values[0] - values[1:]))


def chance(task: Task) -> Found:
    return Found(np.random.default_rng(task.seed).normal(size=task.n))


def gsmile(task: Task) -> Found:
    """The published masks, kernel and weighted least squares; masks in place of words decide how near a prompt is.

    The published kernel reads word mover's distances between prompts; here it reads the cosine distance of masks. The
    published min-max scale changes nothing once attributions are scaled back, so effects stay as they are.
    """
    from whygen.lab import gsmile as published

    if task.given is not None:
        masks, values = task.given
    else:
        masks = published.draw_masks(
            [f"u{i}" for i in range(task.n)], task.calls, seed=published.SEED + task.seed
        ).masks
        values = task.ask(masks)
    if np.ptp(values) == 0.0:
        return Found(np.zeros(task.n), np.full(len(task.new), values[0]))
    fit = published.fit(masks, values, published.kernel(1.0 - np.sqrt(masks.mean(axis=1))))
    return Found(fit.coefficients, fit.intercept + task.new @ fit.coefficients)


METHODS: dict[str, Method] = {"leave-one-out": leave_one_out, "random": chance, "gSMILE": gsmile}
