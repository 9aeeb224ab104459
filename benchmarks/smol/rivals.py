"""Every method on the recorded tasks of SmolLM2: fidelity, Shapley error, coverage of intervals, seconds.

    python -m benchmarks.smol.rivals --install                                        # once
    python -m benchmarks.smol.rivals [--calls 32 64 128] [--seeds 3] [--names TASK ...] [--only RIVAL ...]

R2 and LDS (rank correlation of predicted and true effects) are over all masks of a game of up to twelve units, each as
often: a method has seen a part of them. Of larger games they are over masks drawn for this alone. A rival is granted
the better of its own prediction and of the sum of its attributions with the best intercept and scale. whygen stands in
two lines: its surrogate's prediction, granted nothing, and the sum of the attributions that it prints, granted what
rivals are. Coverage is of 95% intervals, over units and seeds, of the values that they are intervals of. A run goes on
where the last one stopped. Larger games are answered from ``larger.npz``; ``--model`` plays what it lacks and adds it.
`benchmarks.smol.tables` writes what came of it into the page.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

import whygen
from benchmarks.rivals import rooms, scores
from benchmarks.rivals.box import Box
from benchmarks.rivals.play import Players
from benchmarks.rivals.protocol import Bools, CannotPlay, Floats, Found, OverBudget, mask_of, words
from benchmarks.rivals.questions import Question, read
from benchmarks.rivals.registry import Rival
from benchmarks.rivals.rooms import Missing
from benchmarks.smol.record import (
    FILE,
    LARGER_FILE,
    Answers,
    NotRecorded,
    all_subsets,
    opened,
    recorded,
    rows_of,
    subsets_of,
)
from benchmarks.smol.tasks import LARGER, TASKS
from whygen.models.hf.model import HfModel
from whygen.results.prompt import PromptExplanation
from whygen.types import Limits, Output, Request

RIVALS = (
    Rival("leave-one-out", None, "leave-one-out"),
    Rival("LIME 0.2", "lime", "LIME"),
    Rival("Captum 0.9 LIME", "captum", "LIME"),
    Rival("Captum 0.9 KernelSHAP", "captum", "KernelSHAP", "shapley"),
    Rival("ContextCite 0.0.4", "context_cite", "LASSO"),
    Rival("larpie 0.2", "larpie", "likelihood"),
    Rival("SHAP 0.54 partition", "shap_newest", "partition", "shapley"),
    Rival("TokenSHAP dc28533", "tokenshap", "TokenSHAP", "shapley", scaled=True),
    Rival("mllm-shap 0.8 kernel Banzhaf", "mllm_shap", "kernel Banzhaf"),
    *(Rival(f"mllm-shap 0.8 {name}", "mllm_shap", name, "shapley") for name in ("leverage", "complementary", "proxy")),
    *(
        Rival(f"shapiq 1.8 {name}", "shapiq_newest", name, "shapley")
        for name in ("OddSHAP", "LeverageSHAP", "PolySHAP", "RegressionMSR", "ProxySHAP", "ProxySPEX")
    ),
    Rival("shapiq 1.8 ShaplEIG", "shapleig", "ShaplEIG", "shapley"),
)
OURS, PRINTED, SHAPLEY = "whygen, its surrogate", "whygen, printed attributions alone", "whygen, Shapley values"
RESULT = FILE.with_name("rivals.json")


def main() -> None:
    """Play, and write a record of each row."""
    asked = _options()
    only = tuple(asked.only or [""])
    players, own = Players(tuple(rival for rival in RIVALS if rival.name.startswith(only))), OURS.startswith(only)
    if asked.install:
        _install(players)
    players.open()
    rows = kept_rows(asked.out)
    done = {(row["question"], row["calls"], row["seed"], row["method"]) for row in rows}
    try:
        for question in questions(asked.games, asked.names, opened(asked.model) if asked.model else None):
            for calls, seed in product(asked.calls, range(asked.seeds)):
                place = (question.name, calls, seed)
                rows += [] if (*place, OURS) in done or not own else played(question, calls, seed)
                left = [rival for rival in players.present() if (*place, rival.name) not in done]
                rows += [rivalled(question, rival, players, calls, seed) for rival in left]
                keep_rows(asked.out, rows)
            sys.stderr.write(f"{question.name} {time.process_time():.0f} s\n")
    finally:
        players.close()
    sys.stdout.write("\n".join(f"{name}: {why}" for name, why in players.left_out.items()) + "\n")


COLUMNS = (
    "question", "family", "units", "calls", "seed", "method", "R2", "LDS", "Shapley error", "covered", "width",
    "seconds", "failed",
)  # fmt: skip


def kept_rows(file: Path = RESULT) -> list[dict[str, Any]]:
    """The rows that were played before, without what they lack."""
    if not file.exists():
        return []
    rows = json.loads(file.read_text("utf-8"))["rows"]
    return [{name: cell for name, cell in zip(COLUMNS, row, strict=True) if cell is not None} for row in rows]


def keep_rows(file: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write the rows down, a line each, in the order of their places."""
    cells = [[row.get(name) for name in COLUMNS] for row in rows]
    short = [[round(cell, 4) if isinstance(cell, float) else cell for cell in row] for row in cells]
    short.sort(key=lambda row: (row[2], row[0], row[3], row[5], row[4]))
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in short)
    file.write_text(f'{{"columns":{json.dumps(COLUMNS)},"rows":[\n{lines}\n]}}\n', "utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--games", type=Path, default=FILE, help="the file of games; larger.npz stands beside it")
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--names", nargs="*", help="only these tasks")
    parser.add_argument("--only", nargs="*", help="what names of methods begin with")
    parser.add_argument("--model", help="a folder of the model, which plays masks that are not recorded")
    parser.add_argument("--install", action="store_true", help="make the environments of the rivals first")
    return parser.parse_args()


def _install(players: Players) -> None:
    for room in dict.fromkeys(rival.room for rival in players.rivals if rival.room):
        try:
            rooms.install(room)
        except Missing as reason:
            sys.stdout.write(f"{reason}\n")


def questions(file: Path, names: Sequence[str] | None, model: HfModel | None) -> Iterator[Question]:
    """The recorded games of a file, and the larger ones beside it; of a task's the units that are right are known."""
    tasks = {task.name: task for task in (*TASKS, *LARGER)}
    games = recorded(file)
    for name, each in games.items():
        if names and name not in names:
            continue
        values, task = np.array(each), tasks.get(name)
        told = Told.of(values)
        masks = all_subsets(told.n)
        yield Question(
            name.partition("-")[0], name, told.n, told.values, masks, told.explain, shapley=shapley(masks, values),
            relevant=np.isin(np.arange(told.n), task.right) if task and task.right else None, signed=True,
        )  # fmt: skip
    for task in LARGER:
        if task.name in games or (names and task.name not in names):
            continue
        answers, n, judged = Answers(task, file.with_name(LARGER_FILE.name), model), len(task.units), subsets_of(task)
        if set(rows_of(judged).tolist()) <= answers.known.keys():  # drawn ones may coincide
            yield Question(
                task.family, task.name, n, answers, judged, Told(answers, n).explain,
                relevant=np.isin(np.arange(n), task.right) if task.right else None, signed=True,
            )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """A model that looks the effects of a batch up, and `explain_prompt` on it."""

    values: Any
    n: int
    uri: str = "py/recorded"  # answers are kept by it: two that are asked beside each other need two
    limits: Limits = Limits(max_batch=1024)  # noqa: RUF009 (frozen)

    @classmethod
    def of(cls, table: Floats, uri: str = "py/recorded") -> Told:
        """Of a game that is known in full."""
        return cls(lambda masks: table[rows_of(masks)], len(table).bit_length() - 1, uri)

    def answer(self, requests: Sequence[Request]) -> list[Output]:
        masks = np.array([mask_of(str(request.prompt), self.n) for request in requests])
        return [Output(text=repr(float(value))) for value in self.values(masks)]

    def explain(self, estimand: str, calls: int, seed: int, *, proxy: Told | None = None) -> PromptExplanation:
        return whygen.explain_prompt(
            self, " ".join(words(self.n)), target=float, estimand=estimand, budget=calls, seed=seed, cache=None,
            model_noise="none", empty="include", proxy=proxy,
        )  # fmt: skip


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


def truth_of(question: Question, kind: str) -> Floats | None:
    """Exact values of a game that is known in full."""
    if question.shapley is None:
        return None
    return question.shapley if kind == "shapley" else banzhaf(question.new, question.truth)


def played(question: Question, calls: int, seed: int) -> list[dict[str, Any]]:
    """Lines of whygen: by its surrogate and by what it prints, and its Shapley values; with intervals of both."""
    lines: list[dict[str, Any]] = []
    for estimand in ("banzhaf", "shapley"):
        begun = time.process_time()
        try:
            explained = question.explain(estimand, calls, seed)
        except NotRecorded as reason:
            return [{**_place(question, calls, seed), "method": OURS, "failed": str(reason)}]
        seconds = time.process_time() - begun
        place = {**_place(question, calls, seed), "seconds": seconds}
        found = read(explained, question.new, predicts=estimand == "banzhaf")
        found = Found(found.attributions, found.predictions, intervals_of(explained), estimand)
        if found.predictions is not None:
            lines.append({**place, "method": OURS, **fidelity(question, found.predictions)})
            lines.append({**place, "method": PRINTED, **granted(question, found.attributions), **held(question, found)})
        else:
            error = None if question.shapley is None else scores.shapley_error(found.attributions, question.shapley)
            lines.append({**place, "method": SHAPLEY, "Shapley error": error, **held(question, found)})
    return lines


def _place(question: Question, calls: int, seed: int) -> dict[str, Any]:
    return {"question": question.name, "family": question.part, "units": question.n, "calls": calls, "seed": seed}


def intervals_of(explained: PromptExplanation) -> Floats:
    """Both ends, NaN where none is printed."""
    ends = [(unit.low, unit.high) for unit in explained.units]
    return np.array([(np.nan if low is None else low, np.nan if high is None else high) for low, high in ends])


def held(question: Question, found: Found) -> dict[str, float]:
    """Share of the printed intervals that hold the exact values, and their mean width in standard deviations of the
    game; nothing where there are none, or no exact values.
    """
    truth = truth_of(question, found.covers)
    if found.intervals is None or truth is None or np.isnan(found.intervals).all():
        return {}
    printed = ~np.isnan(found.intervals).any(axis=1)
    (low, high), truth = found.intervals[printed].T, truth[printed]
    inside = (low <= truth + 1e-9) & (truth - 1e-9 <= high)
    return {"covered": float(inside.mean()), "width": float((high - low).mean() / question.truth.std())}


def rivalled(question: Question, rival: Rival, players: Players, calls: int, seed: int) -> dict[str, Any]:
    """A rival's line; why it could not play, if so."""
    place = {**_place(question, calls, seed), "method": rival.name}
    try:
        found, seconds = players.explain(rival, Box(question.values, calls), question.new, seed=seed)
    except (CannotPlay, OverBudget, Missing, NotRecorded) as reason:
        return {**place, "failed": str(reason)}
    fits = [granted(question, found.attributions)]
    if found.predictions is not None:
        fits.append(fidelity(question, found.predictions))
    error = None
    if rival.claim == "shapley" and question.shapley is not None:
        error = scores.shapley_error(found.attributions, question.shapley, scaled=rival.scaled)
    best = max(fits, key=lambda fit: fit["R2"])
    return {**place, "seconds": seconds, "Shapley error": error, **best, **held(question, found)}


def fidelity(question: Question, predicted: Floats) -> dict[str, float]:
    """R2 and LDS of a prediction."""
    ranks = 0.0 if np.ptp(predicted) == 0 else float(spearmanr(predicted, question.truth).statistic)
    return {"R2": scores.r_squared(question.truth, predicted), "LDS": ranks}


def granted(question: Question, attributions: Floats) -> dict[str, float]:
    """The same of sums of attributions with the best intercept and scale."""
    sums = question.new @ attributions
    return {**fidelity(question, sums), "R2": scores.granted_r_squared(question.truth, sums)}


if __name__ == "__main__":
    main()
