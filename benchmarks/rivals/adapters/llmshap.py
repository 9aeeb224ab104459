"""llmSHAP 1.5: the widest sliding window that the calls allow; width one is its counterfactual sampler.

Its random sampler cannot keep to a budget: it draws a share of all 2^n prompts for every unit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llmSHAP import BasicPromptCodec, DataHandler, ShapleyAttribution
from llmSHAP.attribution_methods.coalition_sampler import FullEnumerationSampler, SlidingWindowSampler
from llmSHAP.llm.llm_interface import LLMInterface
from llmSHAP.value_functions import ValueFunction

from benchmarks.rivals.protocol import CannotPlay, Found, Method, Task, mask_of, words


class Model(LLMInterface):
    """Says the effect of a prompt."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def generate(self, prompt: Any, tools: Any = None, images: Any = None) -> str:
        return repr(float(self.task.ask(mask_of(prompt[-1]["content"], self.task.n)[None])[0]))


class Effect(ValueFunction):
    """Takes the effect for the similarity to the whole prompt's answer, which it is."""

    def __call__(self, base_generation: Any, coalition_generation: Any) -> float:
        del base_generation
        return float(coalition_generation.output)


def explain(task: Task) -> Found:
    found = ShapleyAttribution(
        model=Model(task), data_handler=DataHandler(" ".join(words(task.n))), prompt_codec=BasicPromptCodec(),
        sampler=_sampler(task), use_cache=True, verbose=False, value_function=Effect(),
    ).attribution()  # fmt: skip
    return Found(np.array([entry["score"] for entry in found.attribution.values()], dtype=np.float64))


def _sampler(task: Task) -> Any:
    """All prompts if they fit, else windows, the whole prompt and the empty one being asked for in any case."""
    units = list(range(task.n))
    if task.n < 20 and 2**task.n - 1 <= task.calls:
        return FullEnumerationSampler(task.n)
    for width in range(min(12, task.n), 0, -1):
        windows = task.n - width + 1
        if windows * 2 ** (width - 1) > 4 * task.calls:  # more than that share nothing that would save them
            continue
        sampler = SlidingWindowSampler(units, width)
        if _asked(sampler, units) <= task.calls:
            return sampler
    raise CannotPlay(f"llmSHAP needs {task.n + 1} calls for {task.n} units, there are {task.calls}")


def _asked(sampler: Any, units: list[int]) -> int:
    asked = {frozenset(units), frozenset()}
    for unit in units:
        for others, _ in sampler(unit, units):
            asked |= {frozenset(others), frozenset(others | {unit})}
    return len(asked) - 1


METHODS: dict[str, Method] = {"window": explain}
