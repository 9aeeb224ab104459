"""shapiq: its approximators take a game and a budget as they are."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import shapiq
from shapiq.approximator import ProxySPEX

from benchmarks.rivals.protocol import Bools, Floats, Found, Method, Task


def _interactions(kind: Any, task: Task, **options: Any) -> tuple[Any, float]:
    """What an approximator finds of the game less its empty value, within the calls."""
    nothing = float(task.ask(np.zeros((1, task.n), dtype=bool))[0])

    def game(masks: Bools) -> Floats:
        masks = np.atleast_2d(np.asarray(masks, dtype=bool))
        values, asked = np.zeros(len(masks)), masks.any(axis=1)  # the empty prompt is known by now
        values[asked] = task.ask(masks[asked]) - nothing
        return values

    approximator = kind(n=task.n, random_state=task.seed, **options)
    return approximator.approximate(task.calls + 1, game), nothing


def _singles(found: Any, n: int) -> Floats:
    return np.array([float(found[(unit,)]) for unit in range(n)])


def values_of(kind: Any, **options: Any) -> Method:
    def explain(task: Task) -> Found:
        return Found(_singles(_interactions(kind, task, **options)[0], task.n))

    return explain


class _Read(ProxySPEX):
    """Keeps the Moebius terms that any index is made of: their sum over the subsets of a mask is its prediction."""

    terms: ClassVar[dict[tuple[int, ...], float]] = {}

    def _process_moebius(self, moebius_transform: dict[tuple[int, ...], float]) -> Floats:
        self.terms = dict(moebius_transform)
        return super()._process_moebius(moebius_transform)


def proxyspex(task: Task) -> Found:
    kept: list[_Read] = []

    def make(**options: Any) -> _Read:
        kept.append(_Read(**options))
        return kept[0]

    found, nothing = _interactions(make, task, index="SV", max_order=1)
    predicted = np.full(len(task.new), nothing)
    for units, term in kept[0].terms.items():
        predicted += float(term) * task.new[:, list(units)].all(axis=1)
    return Found(_singles(found, task.n), predicted)


def kernelshap_iq(task: Task) -> Found:
    found, _ = _interactions(shapiq.KernelSHAPIQ, task, max_order=2, index="k-SII")
    shapley = _singles(found, task.n)
    for pair in found.interaction_lookup:
        if len(pair) == 2:
            shapley[list(pair)] += float(found[pair]) / 2.0  # k-SII of order two shares out to the Shapley value
    return Found(shapley)


METHODS: dict[str, Method] = {
    "KernelSHAP": values_of(shapiq.KernelSHAP),
    "KernelSHAP-IQ": kernelshap_iq,
    "SVARM": values_of(shapiq.SVARM),
    "permutation": values_of(shapiq.PermutationSamplingSV),
    "ProxySPEX": proxyspex,
}
