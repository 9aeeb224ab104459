"""Does exact optimal transport earn its time? Five distances on the same recorded answers of the storyteller.

For each: seconds for the distances of one prompt's answers (embeddings are there already), held-out R2, and AUROC
against the true labels, paired by prompt with exact transport. Equivalence is two one-sided t-tests (TOST) at a margin
of .02 AUROC. A reader of the thesis proposed to check whether Wasserstein is at least 10% better than cosine: the last
figures answer that.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from scipy import stats
from sklearn.metrics import roc_auc_score
from training.storyteller.labelled import labelled_prompts

import whygen
from benchmarks import record
from whygen import distances
from whygen.encoders import TextEncoder, load_text_encoder
from whygen.models import Model, load_model
from whygen.prompt.targets import SentenceVectors, Target, TokenSets, load_target
from whygen.results.prompt import PromptExplanation, TargetRecord
from whygen.types import Output, Settings
from whygen_experiments.gsmile_life import by_default, load_run, paired

PROMPTS = 60
BUDGETS = (32, 64)
SEED = 71
MARGIN = 0.02
EXACT = "optimal-transport"


def targets(encoder: TextEncoder) -> dict[str, Target]:
    along = distances.directions(64, encoder.tokens(["a"])[0].shape[1], np.random.default_rng(SEED))
    sets: dict[str, Callable[..., np.ndarray]] = {
        EXACT: distances.optimal_transport,
        "sinkhorn": distances.sinkhorn,
        "sliced": partial(distances.sliced, along=along),
        "energy": distances.energy,
    }
    found: dict[str, Target] = {
        name: TokenSets(TargetRecord(name=name, distance=name, unit=name), encoder, distance)
        for name, distance in sets.items()
    }
    unit = TargetRecord(name="cosine", distance="cosine", unit="1 - cosine")
    return found | {"cosine": SentenceVectors(unit, encoder, distances.cosine), "tfidf": load_target("tfidf")}


def run(prompts: int = PROMPTS, budgets: tuple[int, ...] = BUDGETS) -> dict[str, object]:
    encoder, model = load_text_encoder(), load_model("demo/storyteller")
    measured = targets(encoder)
    found: dict[tuple[int, str], list[tuple[float, float, float]]] = {}
    for index, item in enumerate(labelled_prompts(prompts, np.random.default_rng(SEED))):
        labels = np.array(item.labels)
        with tempfile.TemporaryDirectory() as folder:
            for budget in budgets:
                for name, target in measured.items():
                    explanation = explain(model, item.text, target, Path(folder), budget=budget, seed=index)
                    auroc = float(roc_auc_score(labels, [unit.attribution for unit in explanation.units]))
                    r2 = explanation.fidelity.r2_heldout
                    figures = (auroc, np.nan if r2 is None else r2, seconds(target, explanation))
                    found.setdefault((budget, name), []).append(figures)
        print(index, flush=True)
    arrays = {key: np.array(rows) for key, rows in found.items()}
    return {
        "prompts": prompts,
        "margin": MARGIN,
        "rows": [compared(key, array, arrays[key[0], EXACT]) for key, array in arrays.items()],
        "verdict": [verdict(arrays[budget, EXACT], arrays[budget, "cosine"], budget) for budget in budgets],
        "gpt-3.5, 62 recorded answers": recorded(measured),
    }


def explain(model: Model, text: str, target: Target, folder: Path, *, budget: int, seed: int) -> PromptExplanation:
    return whygen.explain_prompt(
        model, text, budget=budget, target=target, seed=seed, cache=folder / "calls.sqlite",
        settings=Settings(max_tokens=120),
    )  # fmt: skip


def seconds(target: Target, explanation: PromptExplanation) -> float:
    """Of the distances alone: every text has been embedded by now."""
    assert explanation.evidence is not None
    outputs = [Output(text=sample.output) for sample in explanation.evidence.samples if sample.kind == "mask"]
    start = time.perf_counter()
    target.effects(outputs, [Output(text=explanation.reference.text)])
    return time.perf_counter() - start


def compared(key: tuple[int, str], array: np.ndarray, exact: np.ndarray) -> dict[str, object]:
    difference = array[:, 0] - exact[:, 0]
    return {
        "calls": key[0],
        "distance": key[1],
        "AUROC": float(array[:, 0].mean()),
        "AUROC less that of exact transport": interval(difference),
        "TOST p": equivalence(difference),
        "held-out R2": float(np.nanmean(array[:, 1])),
        "R2 less that of exact transport": interval(array[:, 1] - exact[:, 1]),
        "milliseconds": float(1000 * np.median(array[:, 2])),
    }


def interval(difference: np.ndarray) -> str:
    values = difference[~np.isnan(difference)]
    half = float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return f"{values.mean():+.4f} ± {half:.4f}"


def equivalence(difference: np.ndarray) -> float:
    """The larger p-value of the two one-sided t-tests that the mean lies within the margin."""
    error = float(difference.std(ddof=1) / np.sqrt(len(difference)))
    if error == 0.0:
        return 0.0 if abs(float(difference.mean())) < MARGIN else 1.0
    lower, upper = (difference.mean() + MARGIN) / error, (MARGIN - difference.mean()) / error
    return float(stats.t.sf(min(lower, upper), len(difference) - 1))


def verdict(exact: np.ndarray, cosine: np.ndarray, budget: int) -> dict[str, object]:
    """Ratio of the mean held-out R2 of exact transport to that of cosine, with a bootstrap over prompts."""
    rng = np.random.default_rng(SEED)
    both = ~np.isnan(exact[:, 1]) & ~np.isnan(cosine[:, 1])
    a, b = exact[both, 1], cosine[both, 1]
    draws = rng.integers(0, len(a), size=(5000, len(a)))
    ratios = a[draws].mean(axis=1) / b[draws].mean(axis=1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    holds = "holds" if low >= 1.1 else "does not hold" if high < 1.1 else "is open"
    return {
        "calls": budget, "R2 of transport over R2 of cosine": float(a.mean() / b.mean()),
        "low": float(low), "high": float(high), "at least 10% better": holds,
    }  # fmt: skip


def recorded(measured: dict[str, Target]) -> list[dict[str, object]]:
    run_, rows = load_run(), []
    for name, target in measured.items():
        explanation = by_default(run_, target=target)
        rows.append(
            {"distance": name, "held-out R2": explanation.fidelity.r2_heldout, "pairs": len(paired(run_).masks) // 2}
        )
    return rows


def main(data: Path | None = None, prompts: int = PROMPTS) -> None:
    del data
    figures = run(prompts)
    for name in ("rows", "verdict", "gpt-3.5, 62 recorded answers"):
        print(record.table(figures[name]))  # type: ignore[arg-type]
    record.write("distances", figures, seed=SEED)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=PROMPTS)
    main(prompts=parser.parse_args().prompts)
