"""Which operator says most of a prompt? Held-out R2, stability and AUROC on the storyteller, at equal calls.

An explanation whose masked prompts all gave one answer counts with an R2 of 0. Stability is the rank correlation of the
attributions of two seeds (other masks, other noise). The labels say which words name something that the story must
tell, known by deletion: `delete` is at home here. The fillers of `neutral` come from a fill-mask model made of counts:
which word stood between these two neighbours in the phrasings that the storyteller was trained on.
"""

from __future__ import annotations

import argparse
import itertools
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

import whygen
from benchmarks import record
from whygen.demo.storyteller import labelled_prompts
from whygen.demo.storyteller.instructions import draw_slots, write_instruction
from whygen.encoders import load_text_encoder
from whygen.models import load_model
from whygen.prompt.operators import OperatorOptions, Tools, load_operator
from whygen.prompt.units import split
from whygen.types import Failure, Limits, Output, Request, Settings

PROMPTS = 12
BUDGET = 128
SEED = 31
PHRASINGS = 4000


class Counts:
    """A fill-mask model of counts: the words that stood most often between two neighbours, then anywhere."""

    uri = "benchmark/counts"
    limits = Limits(max_batch=1000)
    mask = "\ue000"

    def __init__(self, rng: np.random.Generator) -> None:
        self.between: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self.behind: dict[str, Counter[str]] = defaultdict(Counter)
        self.anywhere: Counter[str] = Counter()
        for _ in range(PHRASINGS):
            text = write_instruction(draw_slots(rng, share=float(rng.uniform(0.4, 1.0))), rng, part="seen").text
            for left, word, right in _triples([each.lower() for each in split(text).texts]):
                self.between[left, right][word] += 1
                self.behind[left][word] += 1
                self.anywhere[word] += 1

    def answer(self, requests: Sequence[Request]) -> list[Output | Failure]:
        return [self.fill(str(request.prompt)) for request in requests]

    def fill(self, prompt: str) -> Output:
        words = [each.lower() for each in split(prompt).texts]
        left, _, right = next(triple for triple in _triples(words) if triple[1] == self.mask)
        tables = (self.between[left, right], self.behind[left], self.anywhere)
        listed = dict.fromkeys(word for table in tables for word, _ in table.most_common())
        return Output(text=next(iter(listed)), extra={"fillers": [[word, 0.0] for word in listed]})


def _triples(words: Sequence[str]) -> list[tuple[str, str, str]]:
    padded = ["", *words, ""]
    return list(zip(padded, padded[1:], padded[2:], strict=False))


def run(prompts: int = PROMPTS, budget: int = BUDGET, seed: int = SEED) -> dict[str, object]:
    rng = np.random.default_rng(seed)
    model, encoder = load_model("demo/storyteller"), load_text_encoder()
    counts = Counts(rng)
    ways: dict[str, tuple[str, OperatorOptions]] = {
        "delete": ("delete", OperatorOptions()),
        "placeholder ...": ("placeholder", OperatorOptions()),
        "synonym": ("synonym", OperatorOptions()),
        "neutral, counts": ("neutral", OperatorOptions(infill=counts)),
        **{f"noise, {scale}": ("noise", OperatorOptions(noise=scale)) for scale in (1.0, 2.0, 4.0)},
    }
    figures: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in ways}
    for index, item in enumerate(labelled_prompts(prompts, rng)):
        units = split(item.text)
        for name, (operator, options) in ways.items():
            found = []
            for again in range(2):
                tools = Tools(model=model, encoder=encoder, seed=2 * index + again)
                ready = load_operator(operator, options).prepare(units, tools)
                found.append(
                    whygen.explain_prompt(
                        model, item.text, operator=ready, budget=budget, seed=2 * index + again, encoder=encoder,
                        cache=None, settings=Settings(max_tokens=120),
                    )  # type: ignore[arg-type]
                )  # fmt: skip
            values = [np.array([unit.attribution for unit in each.units]) for each in found]
            figures[name]["held-out R2"] += [each.fidelity.r2_heldout or 0.0 for each in found]
            figures[name]["stability"].append(_agreement(*values))
            figures[name]["AUROC"] += [float(roc_auc_score(item.labels, value)) for value in values]
            replaced = getattr(ready, "replacements", None)
            same = sum(a == b for a, b in zip(units.texts, replaced, strict=True)) if replaced else 0
            figures[name]["unchanged units"].append(same / len(units))
        print(index, {name: round(float(np.mean(f["AUROC"])), 3) for name, f in figures.items()}, flush=True)
    rows = [{"operator": name, **{what: float(np.mean(v)) for what, v in f.items()}} for name, f in figures.items()]
    pairs = {
        f"{one} - {other}": _paired(figures[one]["AUROC"], figures[other]["AUROC"])
        for one, other in itertools.product(["delete"], list(ways)[1:])
    }
    return {"prompts": prompts, "budget": budget, "rows": rows, "AUROC differences": pairs}


def _agreement(one: np.ndarray, other: np.ndarray) -> float:
    """Rank correlation; 0 where one side says nothing."""
    return float(spearmanr(one, other).statistic) if np.ptp(one) > 0 and np.ptp(other) > 0 else 0.0


def _paired(one: Sequence[float], other: Sequence[float]) -> dict[str, float]:
    """Mean difference over prompts (two seeds each) and its standard error."""
    differences = (np.array(one) - np.array(other)).reshape(-1, 2).mean(axis=1)
    return {"mean": float(differences.mean()), "error": float(differences.std(ddof=1) / len(differences) ** 0.5)}


def main(data: Path | None = None, prompts: int = PROMPTS, budget: int = BUDGET) -> None:
    del data
    figures = run(prompts, budget)
    print(record.table(figures["rows"]))  # type: ignore[arg-type]
    record.write("operators", figures, seed=SEED)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=PROMPTS)
    parser.add_argument("--budget", type=int, default=BUDGET)
    given = parser.parse_args()
    main(prompts=given.prompts, budget=given.budget)
