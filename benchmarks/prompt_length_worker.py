"""One explanation of one prompt in a process of its own: seconds of processor time and memory, as one line of JSON.

Called by `prompt_length`; runs in any environment that holds the explainer asked for. The model is five words with a
weight each: what is measured is the explainer. Memory is the peak of the process less what it held after the imports,
and with ``--trace`` also the peak that tracemalloc saw, which slows everything: such a run's seconds do not count.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import resource
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

WEIGHTS = {"alpha": 3.0, "beta": 2.0, "gamma": 1.5, "delta": 2.0, "epsilon": -2.0}
PER_UNIT, FEWEST = 4, 64
WORD = re.compile(r"\w+")


def calls_for(units: int) -> int:
    """Two pairs of masks a unit."""
    return max(FEWEST, PER_UNIT * units)


def prompt_of(units: int) -> str:
    """Distinct words, those that matter spread among them."""
    words = [f"w{i}" for i in range(units)]
    for place, word in enumerate(WEIGHTS):
        words[place * units // len(WEIGHTS)] = word
    return " ".join(words)


def lime(units: int, seed: int) -> Callable[[], dict[str, float]]:
    import numpy as np
    from lime.lime_text import LimeTextExplainer

    def classify(texts: list[str]) -> Any:
        scores = [sum(WEIGHTS[word] for word in set(WORD.findall(text)) & WEIGHTS.keys()) for text in texts]
        chances = np.array([1.0 / (1.0 + math.exp(-score)) for score in scores])
        return np.stack([1.0 - chances, chances], axis=1)

    def explain() -> dict[str, float]:
        explainer = LimeTextExplainer(bow=False, random_state=seed)
        found = explainer.explain_instance(prompt_of(units), classify, num_features=units, num_samples=calls_for(units))
        return dict(found.as_list())

    return explain


def whygen(units: int, seed: int, **choices: Any) -> Callable[[], dict[str, float]]:
    from whygen import explain_prompt
    from whygen.models.planted import WeighedWords

    budget = choices.pop("budget", calls_for(units))

    def explain() -> dict[str, float]:
        found = explain_prompt(
            WeighedWords(WEIGHTS), prompt_of(units), budget=budget, target="logprob", cache=None, seed=seed, **choices
        )
        return {unit.text: unit.attribution for unit in found.units} | {"calls": float(found.calls.asked)}

    return explain


EXPLAINERS: dict[str, Callable[[int, int], Callable[[], dict[str, float]]]] = {
    "whygen": whygen,
    "whygen, ridge": lambda units, seed: whygen(units, seed, surrogate="ridge"),
    "whygen, hierarchy": lambda units, seed: whygen(units, seed, hierarchy="auto", budget=20_000),
    "LIME": lime,
}


def held() -> float:
    """Peak resident set of this process so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def measure(name: str, units: int, seed: int, *, trace: bool) -> dict[str, float]:
    explain = EXPLAINERS[name](units, seed)
    before = held()
    if trace:
        tracemalloc.start()
    begun = time.process_time()
    found = explain()
    seconds = time.process_time() - begun
    traced = tracemalloc.get_traced_memory()[1] / 2**20 if trace else math.nan
    strongest = sorted(found.keys() - {"calls"}, key=lambda word: -abs(found[word]))[: len(WEIGHTS)]
    return {
        "seconds": seconds,
        "MiB": held() - before,
        "MiB traced": traced,
        "calls": found.get("calls", float(calls_for(units))),
        "found": sum(word in WEIGHTS for word in strongest) / len(WEIGHTS),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("explainer", choices=EXPLAINERS)
    parser.add_argument("units", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trace", action="store_true")
    given = parser.parse_args()
    print(json.dumps(measure(given.explainer, given.units, given.seed, trace=given.trace)))
