"""Every rival on every question, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.rivals import scores
from benchmarks.rivals.box import Box
from benchmarks.rivals.protocol import Bools, CannotPlay, Floats, Found, OverBudget, Task
from benchmarks.rivals.questions import Question, ours
from benchmarks.rivals.registry import OURS, Rival
from benchmarks.rivals.rooms import Missing, Room


@dataclass(slots=True)
class Players:
    """The rivals, their open rooms, and who was left out and why."""

    rivals: tuple[Rival, ...]
    rooms: dict[str, Room] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def open(self) -> None:
        """Open every room; a library that is missing leaves out its methods, and the others go on."""
        for rival in self.rivals:
            if rival.room is None or rival.room in self.rooms:
                continue
            try:
                self.rooms[rival.room] = Room.open(rival.room)
            except Missing as reason:
                self.left_out[rival.name] = str(reason)

    def present(self) -> list[Rival]:
        return [rival for rival in self.rivals if rival.room is None or rival.room in self.rooms]

    def explain(
        self, rival: Rival, box: Box, new: Bools, *, seed: int, given: tuple[Bools, Floats] | None = None
    ) -> tuple[Found, float]:
        """What a rival found, and its own seconds."""
        n = new.shape[1]
        if rival.room is not None:
            return self.rooms[rival.room].explain(rival.method, box, n, new=new, seed=seed, given=given)
        from benchmarks.rivals.adapters.plain import METHODS

        start = time.perf_counter()
        found = METHODS[rival.method](Task(n, box.budget - 1, seed, new, box, given))
        return found, time.perf_counter() - start

    def close(self) -> None:
        for room in self.rooms.values():
            room.close()


def rounds(
    questions: Iterable[Question], players: Players, budgets: tuple[int, ...], seeds: int
) -> Iterator[dict[str, Any]]:
    """One record for each question, budget, seed and method."""
    for question in questions:
        for budget in budgets:
            for seed in range(seeds):
                place = {"part": question.part, "question": question.name, "budget": budget, "seed": seed}
                for estimand, name in OURS.items():
                    yield {**place, "method": name, **_ours(question, estimand, budget, seed)}
                for rival in players.present():
                    yield {**place, "method": rival.name, **_theirs(question, rival, players, budget, seed)}


def _ours(question: Question, estimand: str, budget: int, seed: int) -> dict[str, Any]:
    start = time.perf_counter()
    found, calls = ours(question, estimand, budget, seed)
    judged = judge(question, found, claims_shapley=estimand == "shapley", granted=False)
    return judged | {"calls": calls, "seconds": time.perf_counter() - start}


def _theirs(question: Question, rival: Rival, players: Players, budget: int, seed: int) -> dict[str, Any]:
    box = Box(question.values, budget)
    try:
        found, seconds = players.explain(rival, box, question.new, seed=seed)
    except CannotPlay as reason:
        return {"cannot": str(reason)}
    except (OverBudget, Missing) as reason:
        return {"failed": str(reason)}
    judged = judge(question, found, claims_shapley=rival.claim == "shapley", scaled=rival.scaled)
    return judged | {"calls": box.calls, "seconds": seconds}


def judge(
    question: Question, found: Found, *, claims_shapley: bool, scaled: bool = False, granted: bool = True
) -> dict[str, float | None]:
    """The scores of attributions; None where one does not apply.

    A rival is granted the better of its own predictions and of sums of its attributions with the best intercept and
    scale; we are not.
    """
    values, truth = found.attributions, question.truth
    fits = [] if found.predictions is None else [scores.r_squared(truth, found.predictions)]
    if granted:
        fits.append(scores.granted_r_squared(truth, question.new @ values))
    sized = values if question.signed else np.abs(values)
    judged_by_size = question.relevant is not None and (question.signed or not scaled)
    shapley = question.shapley if claims_shapley else None
    return {
        "R2": max(fits, default=None),
        "AUROC": scores.auroc(question.relevant, sized) if judged_by_size and question.relevant is not None else None,
        "deletion": scores.deletion(question.values, values, float(truth.std())),
        "Shapley error": None if shapley is None else scores.shapley_error(values, shapley, scaled=scaled),
    }
