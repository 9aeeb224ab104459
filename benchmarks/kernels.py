"""What the kernel of `local` does: off, on, and at several widths, under several surrogates, on the same answers.

Masks keep each word with probability one half, as published, and the storyteller answers each once; every kernel and
surrogate then reads those answers. Held-out predictions by five folds. `held-out R2` weighs all masks alike, `near R2`
weighs them by the kernel itself: what a local explanation is meant to predict. The weighted squared error is under the
default kernel throughout, so that rows can be compared. Stability is between two seeds. `masks that count` is Kish's
effective sample size as a share of the masks. Figures are medians over prompts: a regression that a narrow kernel
leaves without masks can miss by any factor.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import BayesianRidge, Ridge
from training.storyteller.labelled import labelled_prompts

import whygen
from benchmarks import published, record
from benchmarks.agreeing import GENERALISED, RANKS, measures
from benchmarks.fitting import weighted_error
from whygen import lab
from whygen.encoders import load_text_encoder
from whygen.lab import Design, Dropped, Effects, Linear, WeightedLeastSquares, WordMover, r_squared
from whygen.models import Model, load_model
from whygen.prompt.units import split
from whygen.types import Settings

PROMPTS = 12
MASKS = 128
FOLDS = 5
SEED = 101
WIDTHS = {"dropped": (0.1, 0.25, 0.5, 1.0), "word-mover": (0.1, 0.25, 0.5, 1.0)}
PUBLISHED = ("word-mover", 0.25, "wls")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Recorded:
    """Masks, their effects, and what each kernel says they weigh."""

    observed: Effects
    weights: Mapping[tuple[str, float], Floats]


def kernels() -> dict[tuple[str, float], Dropped | WordMover]:
    words = published.word_vectors(load_text_encoder())
    made: dict[tuple[str, float], Dropped | WordMover] = {
        ("dropped", width): Dropped(width) for width in WIDTHS["dropped"]
    }
    return made | {("word-mover", width): WordMover(words, width) for width in WIDTHS["word-mover"]}


def ask(model: Model, text: str, weighing: Mapping[tuple[str, float], Dropped | WordMover], *, seed: int) -> Recorded:
    """No mask is drawn in a pair, as none is in the published draw: all surrogates see the same rows."""
    masks = np.random.default_rng([SEED, seed]).random((MASKS, len(split(text)))) < 0.5
    design = Design(name="Bernoulli(0.5)", masks=masks, groups=np.arange(MASKS))
    made = whygen.explain_prompt(
        model, text, design=design, budget=MASKS + 4, seed=seed, cache=None,
        surrogate="ridge", settings=Settings(max_tokens=120),
    )  # fmt: skip
    evidence = made.evidence
    assert evidence is not None
    sent = [sample.prompt for sample in evidence.samples if sample.kind == "mask"]
    observed = lab.effects_of(evidence.masks, evidence.effects, groups=evidence.groups)
    return Recorded(observed, {key: each.weights(evidence.masks, sent, text) for key, each in weighing.items()})


@dataclass(frozen=True)
class Weighted:
    """A regression of scikit-learn on masks, with intercept, weighted by the kernel.

    ``mean_one``: weights are scaled to a mean of one first, so that the penalty means the same at every width; else
    they are taken as the kernel gives them, as LIME and the published code do.
    """

    name: str
    regression: Callable[[], Any]
    mean_one: bool

    def fit(self, observed: Effects) -> Linear:
        given = np.ones(len(observed)) if observed.nearness is None else observed.nearness
        weights = given / given.mean() if self.mean_one else given
        fitted = self.regression().fit(observed.centred(), observed.values, sample_weight=weights)
        return Linear(float(fitted.intercept_), fitted.coef_, observed.keep)


SURROGATES: tuple[WeightedLeastSquares | Weighted, ...] = (
    WeightedLeastSquares(),
    Weighted("ridge", Ridge, mean_one=True),
    Weighted("ridge, weights as they are", Ridge, mean_one=False),
    Weighted("bayesian-ridge", BayesianRidge, mean_one=True),
    Weighted("bayesian-ridge, weights as they are", BayesianRidge, mean_one=False),
)
"""Ridge with a penalty of 1, as LIME and the published package have it."""


def figures(
    recorded: Recorded, kernel: tuple[str, float] | None, surrogate: WeightedLeastSquares | Weighted
) -> tuple[dict[str, float], Floats]:
    """Of one prompt and seed: figures, and attributions."""
    bare = recorded.observed
    weights = np.ones(len(bare)) if kernel is None else recorded.weights[kernel]
    observed = lab.effects_of(bare.masks, bare.values, groups=bare.groups, nearness=None if kernel is None else weights)
    predicted = held_out(observed, surrogate)
    found = {
        "held-out R2": r_squared(bare.values, predicted) or 0.0,
        "near R2": r_squared(bare.values, predicted, weights) or 0.0,
        "WMSE": weighted_error(bare.masks, bare.values, predicted),
        "masks that count": float(weights.sum() ** 2 / (weights**2).sum() / len(bare)),
    }
    return found, surrogate.fit(observed).attributions()


def held_out(observed: Effects, surrogate: WeightedLeastSquares | Weighted) -> Floats:
    folds = np.random.default_rng(0).permutation(len(observed)) % FOLDS
    predicted = np.empty(len(observed))
    for fold in range(FOLDS):
        predicted[folds == fold] = surrogate.fit(observed.take(folds != fold)).predict(observed.masks[folds == fold])
    return predicted


def run(prompts: int = PROMPTS) -> dict[str, object]:
    model, weighing = load_model("demo/storyteller"), kernels()
    cells = [None, *((name, width) for name, widths in WIDTHS.items() for width in widths)]
    found: dict[tuple[object, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for index, item in enumerate(labelled_prompts(prompts, np.random.default_rng(SEED))):
        asked = [ask(model, item.text, weighing, seed=2 * index + again) for again in range(2)]
        for cell in cells:
            for surrogate in SURROGATES:
                both = [figures(each, cell, surrogate) for each in asked]
                agreement = measures([(both[0][1], both[1][1])], sum(item.labels))
                means = {key: float(np.mean([each[0][key] for each in both])) for key in both[0][0]}
                stability = {key: float(agreement[key][0]) for key in (GENERALISED, RANKS)}
                for figure, value in (means | stability).items():
                    found[cell, surrogate.name][figure].append(value)
        print(index, flush=True)
    return {"prompts": prompts, "masks": MASKS, "rows": [_row(*key, values) for key, values in found.items()]}


def _row(cell: tuple[str, float] | None, surrogate: str, values: Mapping[str, list[float]]) -> dict[str, object]:
    kernel, width = cell or ("off", float("inf"))
    return {
        "kernel": kernel, "width": "-" if cell is None else str(width), "surrogate": surrogate,
        "published": (kernel, width, surrogate) == PUBLISHED,
        **{figure: float(np.median(each)) for figure, each in values.items()},
    }  # fmt: skip


def main(data: Path | None = None, prompts: int = PROMPTS) -> None:
    del data
    found = run(prompts)
    print(record.table(found["rows"]))  # type: ignore[arg-type]
    record.write("kernels", found, seed=SEED)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=PROMPTS)
    main(prompts=parser.parse_args().prompts)
