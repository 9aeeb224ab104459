"""Nine output distances on the same recorded answers: which explains best, and is the difference more than luck?

Every distance reads the same answers of the storyteller to the same masks, so that whatever differs is the distance.
Held-out R2 and weighted squared error (of effects over their range, so that units of measure fall away; the weight
is the kernel of `local`), stability between two seeds, and AUROC against the true labels. `coordinates` is the
one-dimensional Wasserstein distance between the coordinates of two sentence vectors, as the thesis has it for pictures.

The tests are Wilcoxon's signed-rank tests of each distance against exact transport, paired by prompt: the differences
are bounded, skewed, and often zero, so that a t-test's normal mean is not to be had from these few prompts. Holm's
step-down over the distances keeps the chance of any false claim under 5% however the tests depend on each other, and
they do: all share one baseline and the same prompts. Effect sizes are matched-pairs rank-biserial correlations, -1
(worse at every prompt) to 1 (better at every prompt), and median differences.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy import stats
from sklearn.metrics import roc_auc_score
from training.storyteller.labelled import LabelledPrompt, labelled_prompts

from benchmarks import record
from benchmarks.agreeing import GENERALISED, RANKS, attributions, measures, with_interval
from benchmarks.distances import EXACT, explain, targets
from benchmarks.fitting import weighted_error
from whygen.encoders import TextEncoder, load_text_encoder
from whygen.lab import gsmile
from whygen.models import Model, load_model
from whygen.prompt.targets import SentenceVectors, Target, load_target
from whygen.results.prompt import PromptExplanation, TargetRecord

PROMPTS = 24
BUDGET = 64
SEED = 97
R2, ERROR, AUROC = "held-out R2", "WMSE", "AUROC"
COMPARED = (R2, ERROR, GENERALISED, RANKS, AUROC)
BETTER_WHEN_LOW = (ERROR,)

Figures = dict[str, dict[str, list[float]]]


def ablated(encoder: TextEncoder) -> dict[str, Target]:
    """The distances of the benchmark `distances`, the thesis's, and those that need no encoder."""

    def coordinates(vectors: np.ndarray, reference: np.ndarray) -> np.ndarray:
        return np.array([gsmile.coordinate_wasserstein(vector, reference) for vector in vectors])

    unit = TargetRecord(name="coordinates", distance="coordinates", unit="coordinate")
    return targets(encoder) | {
        "coordinates": SentenceVectors(unit, encoder, coordinates),
        "edit": load_target("edit"),
        "token-set": load_target("token-set"),
    }


def run(prompts: int = PROMPTS, budget: int = BUDGET) -> dict[str, object]:
    encoder, model = load_text_encoder(), load_model("demo/storyteller")
    measured = ablated(encoder)
    found: Figures = defaultdict(lambda: defaultdict(list))
    for index, item in enumerate(labelled_prompts(prompts, np.random.default_rng(SEED))):
        with tempfile.TemporaryDirectory() as folder:
            for name, target in measured.items():
                for figure, value in one(model, item, target, Path(folder), budget=budget, seed=2 * index).items():
                    found[name][figure].append(value)
        print(index, flush=True)
    return {"prompts": prompts, "budget": budget, "rows": rows(found), "tests": tests(found)}


def one(
    model: Model, item: LabelledPrompt, target: Target, folder: Path, *, budget: int, seed: int
) -> dict[str, float]:
    """Figures of one prompt: means over two seeds, and how far those agree."""
    made = [explain(model, item.text, target, folder, budget=budget, seed=seed + again) for again in range(2)]
    values = [attributions(each) for each in made]
    agreement = measures([(values[0], values[1])], sum(item.labels))
    return {
        R2: float(np.mean([_heldout(each) for each in made])),
        ERROR: float(np.mean([_error(each) for each in made])),
        GENERALISED: float(agreement[GENERALISED][0]),
        RANKS: float(agreement[RANKS][0]),
        AUROC: float(np.mean([roc_auc_score(item.labels, value) for value in values])),
    }


def _heldout(explanation: PromptExplanation) -> float:
    """0 where no answer differs: nothing is explained."""
    return explanation.fidelity.r2_heldout or 0.0


def _error(explanation: PromptExplanation) -> float:
    evidence = explanation.evidence
    assert evidence is not None
    return weighted_error(evidence.masks, evidence.effects, evidence.predicted)


def rows(found: Figures) -> list[dict[str, object]]:
    return [
        {"distance": name, **{figure: with_interval(values) for figure, values in figures.items()}}
        for name, figures in found.items()
    ]


def tests(found: Figures) -> list[dict[str, object]]:
    """Each distance against exact transport, each figure a family of its own."""
    others = [name for name in found if name != EXACT]
    made: list[dict[str, object]] = []
    for figure in COMPARED:
        differences = [np.array(found[name][figure]) - np.array(found[EXACT][figure]) for name in others]
        adjusted = holm([wilcoxon(each) for each in differences])
        for name, difference, p in zip(others, differences, adjusted, strict=True):
            sign = -1.0 if figure in BETTER_WHEN_LOW else 1.0
            effect = rank_biserial(sign * difference)
            made.append(
                {"figure": figure, "distance": name, "median difference": float(np.median(difference)),
                 "effect": effect, "p (Holm)": float(p), "verdict": verdict(effect, p)}
            )  # fmt: skip
    return made


def wilcoxon(difference: np.ndarray) -> float:
    """Two-sided, zeros by Pratt's way; 1 where nothing differs."""
    return float(stats.wilcoxon(difference, zero_method="pratt").pvalue) if np.any(difference) else 1.0


def holm(p_values: list[float]) -> np.ndarray:
    """Adjusted p-values. S. Holm, A simple sequentially rejective multiple test procedure (1979)."""
    p = np.array(p_values)
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def rank_biserial(difference: np.ndarray) -> float:
    """Ranks in favour less ranks against, over all (D. Kerby, The simple difference formula, 2014)."""
    told = difference[difference != 0]
    ranks = stats.rankdata(np.abs(told))
    return float((ranks * np.sign(told)).sum() / ranks.sum()) if len(told) else 0.0


def verdict(effect: float, p: float) -> str:
    if p >= 0.05:
        return "no difference shown"
    return "better" if effect > 0 else "worse"


def main(data: Path | None = None, prompts: int = PROMPTS) -> None:
    del data
    figures = run(prompts)
    print(record.table(figures["rows"]), record.table(figures["tests"]), sep="\n\n")  # type: ignore[arg-type]
    record.write("distance_ablation", figures, seed=SEED)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=PROMPTS)
    main(prompts=parser.parse_args().prompts)
