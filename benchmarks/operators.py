"""Which operator says most of a prompt? Held-out R2 and WMSE, stability and AUROC on the storyteller, at equal calls.

An explanation whose masked prompts all gave one answer counts with an R2 of 0. Stability is the rank correlation of
the attributions of two seeds (other masks, other noise), and their generalised Jaccard index with its chance level.
The weighted mean squared error is of held-out predictions, effects over their range, under the kernel of `local`. The
labels say which words name something that the story must tell, known by deletion: `delete` is at home here. The
fillers of `neutral` come from a fill-mask model made of counts: which word stood between these two neighbours in the
phrasings that the storyteller was trained on. `paraphrase` is asked of the storyteller's own grammar, a second word
for a value where it has one: what the story must tell stays, so what is left is the wording. Prompts without such a
word are left out of its row.  Two explanations that say nothing at all are alike: the chance level of 1 beside shows
it.
"""

from __future__ import annotations

import argparse
import itertools
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score
from training.storyteller.instructions import draw_slots, write_instruction
from training.storyteller.labelled import LabelledPrompt, labelled_prompts
from training.storyteller.words import SYNONYMS

import whygen
from benchmarks import record
from benchmarks.agreeing import GENERALISED, RANKS, attributions, chance, measures
from benchmarks.fitting import weighted_error
from whygen.encoders import TextEncoder, load_text_encoder
from whygen.errors import UsageError
from whygen.models import Model, load_model
from whygen.prompt.operators import Operator, OperatorOptions, Tools, load_operator
from whygen.prompt.units import split
from whygen.results.prompt import PromptExplanation
from whygen.types import Failure, Limits, Output, Request, Settings

PROMPTS = 8
BUDGET = 128
SEED = 31
PHRASINGS = 4000
SEEDS_ALIKE = ("held-out R2", "WMSE", "AUROC")
PAIRWISE = ("stability", GENERALISED, "by chance", "unchanged units")


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


def reword(text: str) -> str:
    """The grammar's other word for the same value; the text itself where there is none."""
    both = SYNONYMS | {other: value for value, other in SYNONYMS.items()}
    return both.get(text.lower(), text)


def run(prompts: int = PROMPTS, seed: int = SEED) -> dict[str, object]:
    rng = np.random.default_rng(seed)
    model, encoder = load_model("demo/storyteller"), load_text_encoder()
    counts = Counts(rng)
    ways: dict[str, tuple[str, OperatorOptions]] = {
        "delete": ("delete", OperatorOptions()),
        "placeholder ...": ("placeholder", OperatorOptions()),
        "synonym": ("synonym", OperatorOptions()),
        "paraphrase, grammar": ("paraphrase", OperatorOptions(paraphraser=reword)),
        "neutral, counts": ("neutral", OperatorOptions(infill=counts)),
        **{f"noise, {scale}": ("noise", OperatorOptions(noise=scale)) for scale in (1.0, 2.0, 4.0)},
    }
    figures: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in ways}
    for index, item in enumerate(labelled_prompts(prompts, rng)):
        for name, (operator, options) in ways.items():
            made = one(model, encoder, item, load_operator(operator, options), seed=2 * index)
            for figure, values in made.items():
                figures[name][figure] += values
        print(index, {name: round(float(np.mean(f["AUROC"])), 3) for name, f in figures.items()}, flush=True)
    rows = [
        {"operator": name, **{what: float(np.nanmean(v)) for what, v in f.items()},
         "prompts": int(np.isfinite(f["stability"]).sum())}
        for name, f in figures.items()
    ]  # fmt: skip
    pairs = {
        f"{one} - {other}": _paired(figures[one]["AUROC"], figures[other]["AUROC"])
        for one, other in itertools.product(["delete"], list(ways)[1:])
    }
    return {"prompts": prompts, "budget": BUDGET, "rows": rows, "AUROC differences": pairs}


def one(
    model: Model, encoder: TextEncoder, item: LabelledPrompt, operator: Operator, *, seed: int
) -> dict[str, list[float]]:
    """Figures of one prompt by two seeds; not a number where the operator has nothing to put anywhere."""
    units = split(item.text)
    try:
        ready = [operator.prepare(units, Tools(model=model, encoder=encoder, seed=seed + again)) for again in range(2)]
    except UsageError:
        return {name: [np.nan] * 2 for name in SEEDS_ALIKE} | {name: [np.nan] for name in PAIRWISE}
    made = [
        whygen.explain_prompt(
            model, item.text, operator=each, budget=BUDGET, seed=seed + again, encoder=encoder, cache=None,
            settings=Settings(max_tokens=120),
        )
        for again, each in enumerate(ready)
    ]  # fmt: skip
    values = [attributions(each) for each in made]
    pairs = [(values[0], values[1])]
    agreement, k = measures(pairs, sum(item.labels)), sum(item.labels)
    replaced = getattr(ready[0], "replacements", None)
    same = sum(a == b for a, b in zip(units.texts, replaced, strict=True)) if replaced else 0
    return {
        "held-out R2": [each.fidelity.r2_heldout or 0.0 for each in made],
        "WMSE": [_error(each) for each in made],
        "AUROC": [float(roc_auc_score(item.labels, value)) for value in values],
        "stability": agreement[RANKS].tolist(),
        GENERALISED: agreement[GENERALISED].tolist(),
        "by chance": [chance(pairs, k, np.random.default_rng(seed))[GENERALISED]],
        "unchanged units": [same / len(units)],
    }


def _error(explanation: PromptExplanation) -> float:
    evidence = explanation.evidence
    assert evidence is not None
    return weighted_error(evidence.masks, evidence.effects, evidence.predicted)


def _paired(one: Sequence[float], other: Sequence[float]) -> dict[str, float]:
    """Mean difference over prompts (two seeds each) and its standard error."""
    differences = (np.array(one) - np.array(other)).reshape(-1, 2).mean(axis=1)
    differences = differences[np.isfinite(differences)]
    return {"mean": float(differences.mean()), "error": float(differences.std(ddof=1) / len(differences) ** 0.5)}


def main(data: Path | None = None, prompts: int = PROMPTS) -> None:
    del data
    figures = run(prompts)
    print(record.table(figures["rows"]))  # type: ignore[arg-type]
    record.write("operators", figures, seed=SEED)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=PROMPTS)
    main(prompts=parser.parse_args().prompts)
