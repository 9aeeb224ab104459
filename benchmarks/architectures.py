"""Do explanations of one prompt agree between models of one task? The storyteller and its siblings.

The siblings are of other architectures (learned positions; an encoder with a decoder), trained on the same kind of
pairs from other seeds, for a few minutes each: how well they tell what is asked stands beside. Within a model and
between two, explanations meet that have other seeds, so other masks: within a model that is as much agreement as the
choice of masks allows. Chance deals one side's values to other units. A sibling that tells under half of what is asked
has not learned the task, and is left out.

    python -m training.storyteller.train --out build/gpt2 --architecture gpt2 --steps 700 --threads 1 --seed 1
    python -m training.storyteller.train --out build/llama1 --architecture llama --steps 700 --threads 1 --seed 1
    python -m training.storyteller.train --out build/seq2seq --architecture seq2seq --steps 1800 --rate 0.0007 --seed 1

An encoder with a decoder wants a lower rate and more steps: at the others' rate it learns stories and never reads the
prompt. A sibling that is not there is left out, and the result says so.
"""

from __future__ import annotations

import argparse
import json
from itertools import combinations
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score
from training.storyteller.labelled import LabelledPrompt, labelled_prompts
from training.storyteller.stories import read_slots, told_slots

import whygen
from benchmarks import record
from benchmarks.agreeing import GENERALISED, RANKS, TOP, attributions, between, chance, measures, with_interval, within
from whygen.encoders import TextEncoder, load_text_encoder
from whygen.models import Model, load_model
from whygen.results.prompt import PromptExplanation
from whygen.types import Output, Request, Settings

PROMPTS, SEEDS, BUDGET = 10, 2, 128
SEED = 107
FEWEST_TOLD = 0.5
SETTINGS = Settings(max_tokens=120)
SHIPPED = "storyteller (llama)"
SIBLINGS = {"gpt2": Path("build/gpt2"), "llama, another seed": Path("build/llama1"), "seq2seq": Path("build/seq2seq")}

Floats = np.ndarray


def models(items: list[LabelledPrompt]) -> tuple[dict[str, Model], list[str]]:
    """Those that are there and know the task, and what is left out."""
    found: dict[str, Model] = {SHIPPED: load_model("demo/storyteller")}
    left_out: list[str] = []
    for name, folder in SIBLINGS.items():
        if not (folder / "config.json").is_file():
            left_out.append(f"{name}: not trained")
            continue
        model = load_model(f"hf/{folder.resolve()}")
        share = float(np.mean([told(item, story) for item, story in zip(items, stories(model, items), strict=True)]))
        if share < FEWEST_TOLD:
            left_out.append(f"{name}: tells {share:.0%} of what is asked")
        else:
            found[name] = model
    return found, left_out


def stories(model: Model, items: list[LabelledPrompt]) -> list[str]:
    answers = [model.answer([Request(prompt=item.text, settings=SETTINGS)])[0] for item in items]
    return [answer.text if isinstance(answer, Output) else "" for answer in answers]


def explanations(model: Model, item: LabelledPrompt, encoder: TextEncoder) -> list[PromptExplanation]:
    return [
        whygen.explain_prompt(
            model, item.text, budget=BUDGET, seed=seed, encoder=encoder, cache=None, settings=SETTINGS
        )
        for seed in range(SEEDS)
    ]  # fmt: skip


def told(item: LabelledPrompt, story: str) -> float:
    """Share of what the prompt names that the story tells."""
    wanted, found = read_slots(item.text), told_slots(story)
    return float(np.mean([found.get(slot) == value for slot, value in wanted.items()]))


def quality(made: dict[str, list[list[PromptExplanation]]], items: list[LabelledPrompt]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for name, prompts in made.items():
        both = list(zip(items, prompts, strict=True))
        aurocs = [np.mean([roc_auc_score(item.labels, attributions(one)) for one in each]) for item, each in both]
        fits = [np.mean([one.fidelity.r2_heldout or 0.0 for one in each]) for each in prompts]
        share = float(np.mean([told(item, each[0].reference.text) for item, each in both]))
        rows.append({"model": name, "told": share, "AUROC": with_interval(aurocs), "held-out R2": with_interval(fits)})
    return rows


def agreement(
    one: str, other: str, ours: list[list[Floats]], theirs: list[list[Floats]], ks: list[int]
) -> dict[str, object]:
    """A row: two models, or one with itself."""
    rng = np.random.default_rng(SEED)
    found: dict[str, list[float]] = {}
    for a, b, k in zip(ours, theirs, ks, strict=True):
        pairs = within(a) if one == other else between(a, b)
        by_chance = chance(pairs, k, rng)
        for measure, values in measures(pairs, k).items():
            found.setdefault(measure, []).append(float(values.mean()))
            found.setdefault(f"{measure} by chance", []).append(by_chance[measure])
    shown: dict[str, object] = {"model": one, "beside": "itself, other seeds" if one == other else other}
    for measure in (GENERALISED, TOP, RANKS):
        shown[measure] = with_interval(found[measure])
        shown[f"{measure} by chance"] = float(np.mean(found[f"{measure} by chance"]))
    return shown


def run(prompts: int = PROMPTS) -> dict[str, object]:
    items, encoder = labelled_prompts(prompts, np.random.default_rng(SEED)), load_text_encoder()
    found, left_out = models(items)
    made: dict[str, list[list[PromptExplanation]]] = {}
    for name, model in found.items():
        made[name] = [explanations(model, item, encoder) for item in items]
        print(name, flush=True)
    values = {name: [[attributions(one) for one in each] for each in rows] for name, rows in made.items()}
    ks = [sum(item.labels) for item in items]
    cells = [*((name, name) for name in found), *combinations(found, 2)]
    return {
        "prompts": prompts, "seeds": SEEDS, "budget": BUDGET, "left out": left_out,
        "siblings": {name: trained(folder) for name, folder in SIBLINGS.items() if name in found},
        "models": quality(made, items),
        "rows": [agreement(one, other, values[one], values[other], ks) for one, other in cells],
    }  # fmt: skip


def trained(folder: Path) -> dict[str, object]:
    """How a sibling was trained."""
    record_ = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    return {name: record_[name] for name in ("architecture", "steps", "seed", "parameters", "pairs")}


def main(data: Path | None = None, prompts: int = PROMPTS) -> None:
    del data
    figures = run(prompts)
    print(record.table(figures["models"]), record.table(figures["rows"]), sep="\n\n")  # type: ignore[arg-type]
    record.write("architectures", figures, seed=SEED)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=PROMPTS)
    main(prompts=parser.parse_args().prompts)
