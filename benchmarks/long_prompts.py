"""Long prompts: how many calls find a few planted words, as the prompt grows.

Four places of the prompt matter, one of them by two words of opposite effect that hide each other. The search is left
to stop by itself. Beside the calls stands what a flat explanation would take: two pairs of masks a word.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

import whygen
from benchmarks import record
from whygen.models.planted import WeighedWords, long_prompt

WORDS = (100, 500, 1000, 5000)
PROMPTS = 8
WEIGHTS = {"Alpha": 3.0, "Beta": 2.0, "Gamma": 1.5, "Delta": 2.0, "Epsilon": -2.0}
TOGETHER = [["Alpha"], ["Beta"], ["Gamma"], ["Delta", "Epsilon"]]


def one(words: int, seed: int, *, punctuated: bool) -> dict[str, float]:
    prompt = long_prompt(words, TOGETHER, np.random.default_rng([words, seed]), punctuated=punctuated)
    begun = time.perf_counter()
    found = whygen.explain_prompt(
        WeighedWords(WEIGHTS), prompt, hierarchy="auto", budget=20_000, target="logprob", cache=None, seed=seed
    )
    assert found.tree is not None
    significant = {unit.text: unit.attribution for unit in found.units if unit.significant}
    return {
        "calls": found.calls.asked,
        "opened": sum(node.opened for node in found.tree.nodes) + 1,
        "depth": 1 + max(node.level for node in found.tree.nodes),
        "found": float(np.mean([word in significant for word in WEIGHTS])),
        "false": sum(word not in WEIGHTS for word in significant),
        "seconds": time.perf_counter() - begun,
    }


def run(prompts: int = PROMPTS) -> dict[str, object]:
    rows: list[dict[str, object]] = []
    fits: dict[str, dict[str, float]] = {}
    for punctuated in (True, False):
        kind = "paragraphs" if punctuated else "no punctuation"
        counts: list[tuple[int, float]] = []
        for words in WORDS:
            runs = [one(words, seed, punctuated=punctuated) for seed in range(prompts)]
            counts += [(words, run["calls"]) for run in runs]
            means = {key: float(np.mean([run[key] for run in runs])) for key in runs[0]}
            rows.append({"text": kind, "words": words, **means, "flat": 4 * words})
        fits[kind] = _fit(counts)
    return {"rows": rows, "fits": fits, "prompts": prompts}


def _fit(counts: list[tuple[int, float]]) -> dict[str, float]:
    """Exponent of a power law, and calls added by each tenfold of the words with the R2 of that line."""
    words, calls = np.array(counts, dtype=np.float64).T
    exponent = float(np.polyfit(np.log(words), np.log(calls), 1)[0])
    slope, start = np.polyfit(np.log10(words), calls, 1)
    left = calls - (start + slope * np.log10(words))
    return {
        "exponent": exponent,
        "calls a tenfold": float(slope),
        "r2 of the logarithm": float(1.0 - (left**2).sum() / ((calls - calls.mean()) ** 2).sum()),
    }


def main(data: Path | None = None) -> None:
    del data
    figures = run()
    print(record.table(figures["rows"]))  # type: ignore[arg-type]
    for kind, fit in figures["fits"].items():  # type: ignore[attr-defined]
        print(f"\n{kind}: " + ", ".join(f"{name} {value:.2f}" for name, value in fit.items()))
    record.write("long_prompts", figures, seed=0)


if __name__ == "__main__":
    main()
