"""Do explanations of a stochastic model repeat? Ten seeds each.

The seed changes everything that is random: masks, the reference answer and every sampled answer. A reader of the thesis
proposed as a check a Jaccard index over .75 with a variance under .1. Beside each figure stands what two explanations
that have nothing to do with each other would reach.

    python -m benchmarks.stochastic --method default     its rows alone; the others are kept
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from training.storyteller.labelled import labelled_prompts

import whygen
from benchmarks import published, record
from benchmarks.agreeing import GENERALISED, RANKS, TOP, attributions, chance, measures, with_interval, within
from whygen.encoders import load_text_encoder
from whygen.models import load_model
from whygen.results.prompt import PromptExplanation
from whygen.types import Settings

PROMPTS, SEEDS = 10, 10
SEED = 83
CELLS = (
    ("published", 0.0), ("default", 0.0), ("published, the published masks", 1.0), ("published", 1.0),
    ("default", 1.0), ("default, twice the calls", 1.0), ("default, two draws a mask", 1.0),
)  # fmt: skip
"""Methods and temperatures. Without sampling the choice of masks alone is left."""
EXPECTED_MEAN, EXPECTED_VARIANCE = 0.75, 0.1

Explain = Callable[..., PromptExplanation]


def ways() -> dict[str, Explain]:
    """Methods by name, given a prompt, a seed and settings."""
    model, encoder = load_model("demo/storyteller"), load_text_encoder()
    ours = partial(whygen.explain_prompt, model, encoder=encoder, cache=None)
    words = published.word_vectors(encoder)
    return {
        "published": partial(published.explain_with_own_masks, model, encoder=words, cache=None),
        "published, the published masks": partial(published.explain, model, encoder=words, cache=None),
        "default": partial(ours, budget=64),
        "default, twice the calls": partial(ours, budget=128),
        "default, two draws a mask": partial(ours, budget=128, draws=2),
    }


def row(name: str, explain: Explain, temperature: float, prompts: int = PROMPTS) -> dict[str, object]:
    rng = np.random.default_rng(SEED)
    found: list[dict[str, np.ndarray]] = []
    by_chance: list[dict[str, float]] = []
    calls = 0
    for item in labelled_prompts(prompts, rng):
        made = [
            explain(item.text, seed=seed, settings=Settings(max_tokens=120, temperature=temperature, seed=seed))
            for seed in range(SEEDS)
        ]
        calls, k = made[0].calls.asked, sum(item.labels)
        pairs = within([attributions(each) for each in made])
        found.append(measures(pairs, k))
        by_chance.append(chance(pairs, k, rng))
    return {"method": name, "temperature": temperature, "calls": calls} | _figures(found, by_chance)


def _figures(found: list[dict[str, np.ndarray]], by_chance: list[dict[str, float]]) -> dict[str, object]:
    """Means over prompts of the means over pairs of seeds; variances likewise."""
    figures: dict[str, object] = {}
    for measure in (GENERALISED, TOP, RANKS):
        figures[measure] = with_interval(each[measure].mean() for each in found)
        figures[f"variance of {measure}"] = float(np.mean([each[measure].var(ddof=1) for each in found]))
        figures[f"{measure} by chance"] = float(np.mean([each[measure] for each in by_chance]))
    return figures


def verdict(row: dict[str, object]) -> dict[str, object]:
    """Whether the proposed bounds hold for a row, measure by measure."""
    said: dict[str, object] = {name: row[name] for name in ("method", "temperature")}
    for measure in (GENERALISED, TOP):
        mean, variance = row[measure], row[f"variance of {measure}"]
        assert isinstance(mean, dict)
        assert isinstance(variance, float)
        above = "holds" if mean["low"] > EXPECTED_MEAN else "does not hold" if mean["high"] < EXPECTED_MEAN else "open"
        said[f"{measure} over .75"] = above
        said[f"variance of {measure} under .1"] = "holds" if variance < EXPECTED_VARIANCE else "does not hold"
    return said


def main(data: Path | None = None, methods: list[str] | None = None) -> None:
    del data
    explainers = ways()
    for name, temperature in CELLS:
        if methods is None or name in methods:
            record.add_rows("stochastic", [row(name, explainers[name], temperature)], key=("method", "temperature"))
    rows = record.rows("stochastic")
    print(record.table(rows))
    figures = {"prompts": PROMPTS, "seeds": SEEDS, "rows": rows, "verdicts": [verdict(each) for each in rows]}
    record.write("stochastic", figures, seed=SEED)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", action="append", help="may be given again; all unless given")
    main(methods=parser.parse_args().method)
