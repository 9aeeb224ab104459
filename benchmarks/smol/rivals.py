"""Every method on the recorded games of SmolLM2: fidelity on all masks, Shapley error, coverage, seconds.

    python -m benchmarks.rivals --install --only captum context_cite lime shap shapiq_newest tokenshap   # once
    python -m benchmarks.smol.rivals [--calls 32 64 128] [--seeds 3] [--games FILE]

R2 and LDS (rank correlation of predicted and true effects) are over all masks of a game, each as often: a method has
seen a part of them. A rival is granted the better of its own prediction and of the sum of its attributions with the
best intercept and scale. whygen stands in two lines: its surrogate's prediction, granted nothing, and the sum of the
attributions that it prints, granted what rivals are. Coverage is of 95% intervals, over units and seeds. A run goes on
where the last one stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

import whygen
from benchmarks.rivals import scores
from benchmarks.rivals.box import Box
from benchmarks.rivals.play import Players
from benchmarks.rivals.protocol import Bools, CannotPlay, Floats, OverBudget, mask_of, words
from benchmarks.rivals.questions import Question, ours
from benchmarks.rivals.registry import Rival
from benchmarks.rivals.rooms import Missing
from benchmarks.smol.record import FILE, recorded
from benchmarks.smol.tasks import TASKS
from whygen.results.prompt import PromptExplanation

NEWEST = "shapiq_newest"
RIVALS = (
    Rival("leave-one-out", None, "leave-one-out"),
    Rival("LIME 0.2", "lime", "LIME"),
    Rival("Captum 0.9 LIME", "captum", "LIME"),
    Rival("Captum 0.9 KernelSHAP", "captum", "KernelSHAP", "shapley"),
    Rival("ContextCite 0.0.4", "context_cite", "LASSO"),
    Rival("SHAP 0.54 partition", "shap", "partition", "shapley"),
    Rival("TokenSHAP 0.2", "tokenshap", "TokenSHAP", "shapley", scaled=True),
    *(
        Rival(f"shapiq 1.8 {name}", NEWEST, name, "shapley")
        for name in ("ProxySPEX", "OddSHAP", "LeverageSHAP", "PolySHAP", "RegressionMSR", "ProxySHAP")
    ),
)
OURS = "whygen, surrogate"
RESULT = FILE.with_name("rivals.json")


def main() -> None:
    """Play, write the records, print a table for each number of calls."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--games", type=Path, default=FILE)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--only", nargs="*", help="what names of rivals begin with")
    asked = parser.parse_args()
    players = Players(tuple(rival for rival in RIVALS if rival.name.startswith(tuple(asked.only or [""]))))
    players.open()
    rows: list[dict[str, Any]] = json.loads(asked.out.read_text("utf-8"))["rows"] if asked.out.exists() else []
    done = {(row["question"], row["calls"], row["seed"], row["method"]) for row in rows}
    try:
        for question in questions(asked.games):
            for calls, seed in product(asked.calls, range(asked.seeds)):
                place = (question.name, calls, seed)
                rows += [] if (*place, OURS) in done else played(question, calls, seed)
                left = [rival for rival in players.present() if (*place, rival.name) not in done]
                rows += [rivalled(question, rival, players, calls, seed) for rival in left]
            sys.stderr.write(f"{question.name} {time.process_time():.0f} s\n")
            asked.out.write_text(json.dumps({"left out": players.left_out, "rows": rows}) + "\n", "utf-8")
    finally:
        players.close()
    sys.stdout.write("\n".join(tables(rows)) + "\n")


def questions(file: Path) -> Iterator[Question]:
    """The recorded games of a file; of a task's the units that are right are known."""
    tasks = {task.name: task for task in TASKS}
    for name, each in recorded(file).items():
        values, task = np.array(each), tasks.get(name)
        n = len(values).bit_length() - 1
        masks = np.array(list(product((False, True), repeat=n)))
        right = task.right if task else ()
        yield Question(
            name.partition("-")[0], name, n, lambda a, values=values: values[rows_of(a)], masks, told(values, n),
            shapley=shapley(masks, values), relevant=np.isin(np.arange(n), right) if right else None, signed=True,
        )  # fmt: skip


def rows_of(masks: Bools) -> Any:
    """Rows of the table, the first unit the highest bit."""
    return masks @ (1 << np.arange(masks.shape[1] - 1, -1, -1))


def told(values: Floats, n: int) -> Any:
    """`explain_prompt` on a model that looks the effect up."""

    def model(prompt: str) -> str:
        return repr(float(values[rows_of(mask_of(prompt, n)[None])[0]]))

    def explain(estimand: str, calls: int, seed: int) -> PromptExplanation:
        return whygen.explain_prompt(
            model, " ".join(words(n)), target=float, estimand=estimand, budget=calls, seed=seed, cache=None,
            model_noise="none", empty="include",
        )  # fmt: skip

    return explain


def shapley(masks: Bools, values: Floats) -> Floats:
    """By the definition, over all masks."""
    n, sizes = masks.shape[1], masks.sum(axis=1)
    weights = np.array([1.0 / (n * comb(n - 1, k)) for k in range(n)])
    without = [~masks[:, unit] for unit in range(n)]
    step = 1 << np.arange(n - 1, -1, -1)
    rows = np.arange(len(masks))
    return np.array([
        float((weights[sizes[w]] * (values[rows[w] + step[unit]] - values[w])).sum()) for unit, w in enumerate(without)
    ])  # fmt: skip


def banzhaf(masks: Bools, values: Floats) -> Floats:
    """Mean difference that a unit makes, over all masks."""
    return np.array([values[kept].mean() - values[~kept].mean() for kept in masks.T])


def played(question: Question, calls: int, seed: int) -> list[dict[str, Any]]:
    """Lines of whygen: by its surrogate and by what it prints, and both estimands with their error and intervals."""
    begun = time.process_time()
    found, _ = ours(question, "banzhaf", calls, seed)
    seconds = time.process_time() - begun
    assert found.predictions is not None
    place = {"question": question.name, "family": question.part, "calls": calls, "seed": seed, "seconds": seconds}
    lines = [
        {**place, "method": OURS, **fidelity(question, found.predictions)},
        {**place, "method": "whygen, printed alone", **granted(question, found.attributions)},
    ]
    truths = {"banzhaf": banzhaf(question.new, question.truth), "shapley": question.shapley}
    for estimand, truth in truths.items():
        explained = question.explain(estimand, calls, seed)
        assert truth is not None
        inside = [
            unit.low <= value + 1e-9 and value - 1e-9 <= unit.high
            for unit, value in zip(explained.units, truth, strict=True)
            if unit.low is not None and unit.high is not None
        ]
        values = np.array([unit.attribution for unit in explained.units])
        lines.append({
            **place, "method": f"whygen, {estimand}", "covered": float(np.mean(inside)) if inside else None,
            "Shapley error": scores.shapley_error(values, truth) if estimand == "shapley" else None,
        })  # fmt: skip
    return lines


def rivalled(question: Question, rival: Rival, players: Players, calls: int, seed: int) -> dict[str, Any]:
    """A rival's line; why it could not play, if so."""
    place = {"question": question.name, "family": question.part, "calls": calls, "seed": seed, "method": rival.name}
    try:
        found, seconds = players.explain(rival, Box(question.values, calls), question.new, seed=seed)
    except (CannotPlay, OverBudget, Missing) as reason:
        return {**place, "failed": str(reason)}
    fits = [granted(question, found.attributions)]
    if found.predictions is not None:
        fits.append(fidelity(question, found.predictions))
    error = None
    if rival.claim == "shapley" and question.shapley is not None:
        error = scores.shapley_error(found.attributions, question.shapley, scaled=rival.scaled)
    return {**place, "seconds": seconds, "Shapley error": error, **max(fits, key=lambda fit: fit["R2"])}


def fidelity(question: Question, predicted: Floats) -> dict[str, float]:
    """R2 and LDS of a prediction."""
    ranks = 0.0 if np.ptp(predicted) == 0 else float(spearmanr(predicted, question.truth).statistic)
    return {"R2": scores.r_squared(question.truth, predicted), "LDS": ranks}


def granted(question: Question, attributions: Floats) -> dict[str, float]:
    """The same of sums of attributions with the best intercept and scale."""
    sums = question.new @ attributions
    return {**fidelity(question, sums), "R2": scores.granted_r_squared(question.truth, sums)}


def tables(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Means over games and seeds, and the mean difference to whygen's surrogate over games with its 95% interval."""
    for calls in sorted({row["calls"] for row in rows}):
        found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        by_game: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for row in (row for row in rows if row["calls"] == calls):
            for name in ("R2", "LDS", "Shapley error", "covered", "seconds"):
                if row.get(name) is not None:
                    found[row["method"]][name].append(row[name])
            if row.get("R2") is not None:
                by_game[row["method"]][row["question"]].append(row["R2"])
        yield f"\n{calls} calls, {len(by_game[OURS])} games"
        yield "| method | R2 | behind the surrogate | LDS | Shapley error | covered | seconds |"
        yield "|---|---|---|---|---|---|---|"
        for method, scored in found.items():
            yield (
                f"| {method} | {mean(scored['R2'])} | {behind(by_game, method)} | "
                + " | ".join(mean(scored[name]) for name in ("LDS", "Shapley error", "covered", "seconds"))
                + " |"
            )


def mean(values: list[float]) -> str:
    return f"{np.mean(values):.3f}" if values else ""


def behind(by_game: dict[str, dict[str, list[float]]], method: str) -> str:
    """How far whygen's surrogate is ahead in R2, paired by game."""
    first, other = by_game[OURS], by_game[method]
    if method == OURS or not other:
        return ""
    apart = np.array([np.mean(first[game]) - np.mean(other[game]) for game in other])
    return f"{apart.mean():+.3f} ± {1.96 * apart.std(ddof=1) / np.sqrt(len(apart)):.3f}" if len(apart) > 1 else ""


if __name__ == "__main__":
    main()
