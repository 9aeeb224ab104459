"""Coverage over the inputs of a template where answers are 0 or 1: by chance on every call, or odd once in a while.

Four sentences are enumerated and ten sampled, over eight inputs. *By chance*: a call says 1 with a chance of .1, and
more by each of the even sentences, another amount for each input (.05 to .25 with four sentences, .02 to .1 with ten).
*Odd*: the answer is 1 where the first sentence is in, for seven inputs of ten where the second is, and one call in 5,
20 or 50 says the opposite. Units are counted together; "idle" are those that do nothing for any input.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

import whygen
from benchmarks import record
from whygen.types import Chat, Limits, Message, Output, Request, Settings

INPUTS = 8
EACH = {4: 30, 10: 64}
"""Calls an input."""
RUNS = {4: 100, 10: 60}
SHARE = 0.7
"""Of inputs in which the second sentence is not looked at."""
SEED = 37


class Answers:
    """Says 1 or 0."""

    uri = "py/answers"
    limits = Limits(max_batch=64)

    def __init__(self, units: int, odd: float | None, number: int) -> None:
        self.rng = np.random.default_rng((SEED, units, number))
        self.units, self.odd = units, odd
        most = 0.25 if units == 4 else 0.1
        even = np.arange(units) % 2 == 0
        self.mean = np.where(even, 0.6 * most, 0.0)
        self.weights = even * self.rng.uniform(0.2 * most, most, (INPUTS, units))
        if odd is not None:
            second = self.rng.random(INPUTS) >= SHARE
            self.weights = np.zeros((INPUTS, units))
            self.weights[np.arange(INPUTS), second.astype(int)] = 1.0 - 2.0 * odd
            self.mean = (1.0 - 2.0 * odd) * np.array([SHARE, 1.0 - SHARE, *[0.0] * (units - 2)])

    def answer(self, requests: Sequence[Request]) -> list[Output]:
        return [Output(text=str(int(self.rng.random() < self._chance(request)))) for request in requests]

    def _chance(self, request: Request) -> float:
        assert isinstance(request.prompt, Chat)
        system = " ".join(message.text for message in request.prompt.messages[:-1])
        kept = np.array([f"Rule {unit} holds." in system for unit in range(self.units)])
        own = self.weights[int(request.prompt.messages[-1].text.split()[-1])]
        return float(own @ kept) + (0.1 if self.odd is None else self.odd)


def row(units: int, odd: float | None, over: str, *, runs: int | None = None) -> dict[str, object]:
    """One line of the table."""
    held: list[bool] = []
    idle: list[bool] = []
    false: list[float] = []
    widths: list[float] = []
    for number in range(runs or RUNS[units]):
        model = Answers(units, odd, number)
        system = Message("system", " ".join(f"Rule {unit} holds." for unit in range(units)))
        found = whygen.explain_prompt(
            model, Chat((system,)), inputs=[f"Wish {one}" for one in range(INPUTS)], over=over, target=float,
            seed=number, budget=EACH[units] * INPUTS, cache=None, settings=Settings(temperature=1.0),
        )  # fmt: skip
        truth = model.mean if over == "like-these" else model.weights.mean(axis=0)
        nothing = model.mean == 0.0
        inside = [
            unit.low is not None and unit.high is not None and unit.low <= value <= unit.high
            for unit, value in zip(found.units, truth, strict=True)
        ]
        held += inside
        idle += [hit for hit, none in zip(inside, nothing, strict=True) if none]
        sure = [bool(unit.significant) for unit in found.units]
        false.append(sum(hit and none for hit, none in zip(sure, nothing, strict=True)) / max(1, sum(sure)))
        widths += [unit.high - unit.low for unit in found.units if unit.low is not None and unit.high is not None]
    noise = "0/1 by chance" if odd is None else f"one in {round(1 / odd)} odd"
    return {"sentences": units, "answers": noise, "over": over, "coverage": float(np.mean(held)),
            "idle": float(np.mean(idle)), "false discoveries": float(np.mean(false)),
            "width": float(np.mean(widths))}  # fmt: skip


def main(data: Path | None = None) -> None:
    del data
    rows = [
        row(units, odd, over) for units in RUNS for odd in (None, 0.2, 0.05, 0.02) for over in ("like-these", "these")
    ]
    rows.sort(key=lambda each: float(each["coverage"]))  # type: ignore[arg-type]
    print(record.table(rows))
    record.write("templates_noise", {"rows": rows}, seed=SEED)


if __name__ == "__main__":
    main()
