"""Do attributions find the words that matter? AUROC against the true labels of held-out storyteller prompts.

The labels are known because the instructions are generated: a word is labelled when deleting it changes what the story
must tell. Beside the attributions: leave-one-out (n + 3 calls), the length of the word, and chance.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score
from training.storyteller.labelled import labelled_prompts

import whygen
from benchmarks import record
from whygen.types import Settings

PROMPTS = 200
BUDGETS = (64, 128)
SEED = 20


def score(labels: np.ndarray, values: np.ndarray) -> float:
    return float(roc_auc_score(labels, values))


def run(prompts: int = PROMPTS, budgets: tuple[int, ...] = BUDGETS, seed: int = SEED) -> dict[str, object]:
    rng = np.random.default_rng(seed)
    found: dict[str, list[float]] = {}
    shares, sizes = [], []
    for index, item in enumerate(labelled_prompts(prompts, rng)):
        labels = np.array(item.labels)
        shares.append(labels.mean())
        sizes.append(len(labels))
        lengths = np.array([end - start for start, end in item.spans], dtype=float)
        values = {"word length": lengths, "random": rng.random(len(labels))}
        with tempfile.TemporaryDirectory() as folder:  # a larger budget begins with the calls of the smaller one
            store = Path(folder) / "calls.sqlite"
            for budget in budgets:
                values[f"banzhaf, {budget} calls"] = attributions(item.text, store, budget=budget, seed=index)
            values["leave-one-out, n + 3 calls"] = attributions(
                item.text, store, budget=len(labels) + 3, seed=index, estimand="loo"
            )
        for name, value in values.items():
            found.setdefault(name, []).append(score(labels, value))
        print(index, {name: round(float(np.mean(v)), 4) for name, v in found.items()}, flush=True)
    rows = [
        {"method": name, "mean": float(np.mean(v)), "p10": float(np.quantile(v, 0.1)), "min": float(np.min(v))}
        for name, v in found.items()
    ]
    return {
        "prompts": prompts,
        "units": {"min": min(sizes), "mean": float(np.mean(sizes)), "max": max(sizes)},
        "labelled share": {"min": float(min(shares)), "mean": float(np.mean(shares)), "max": float(max(shares))},
        "rows": rows,
    }


def attributions(text: str, store: Path, *, budget: int, seed: int, estimand: str = "banzhaf") -> np.ndarray:
    explanation = whygen.explain_prompt(
        _model(), text, budget=budget, seed=seed, estimand=estimand, cache=store, settings=Settings(max_tokens=120)
    )
    return np.array([unit.attribution for unit in explanation.units])


_OPENED: list[object] = []


def _model() -> object:
    """The storyteller, opened once: a benchmark of accuracy should not load it a thousand times."""
    if not _OPENED:
        from whygen.models import load_model

        _OPENED.append(load_model("demo/storyteller"))
    return _OPENED[0]


def main(data: Path | None = None, prompts: int = PROMPTS) -> None:
    del data
    figures = run(prompts)
    print({key: value for key, value in figures.items() if key != "rows"})
    print(record.table(figures["rows"]))  # type: ignore[arg-type]
    record.write("labels", figures, seed=SEED)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=PROMPTS)
    main(prompts=parser.parse_args().prompts)
