"""Coverage of the intervals of `explain_prompt` with ``inputs=``: for inputs like these, and for these alone.

The whole call is made, on a model whose answer is a number: a sum over the sentences that a system prompt keeps, a
product of the first two, and noise that is fresh for every call. What a sentence adds differs from input to input, by
a normal law around a mean that half of the sentences have at zero. For inputs like these the truth is the mean of that
law (half the product belongs to each of its two sentences); for these alone it is the mean over the inputs given.
Four sentences are enumerated, ten are sampled. Units are counted together: 95% of the intervals should hold the truth.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import whygen
from benchmarks import record
from benchmarks.partial import Row, Rows, arguments
from whygen.types import Chat, Limits, Message, Output, Request, Settings

Floats = NDArray[np.float64]

RUNS = {4: 200, 10: 100}
"""Of a cell, by sentences: 800 or 1,000 intervals."""
EACH = {4: 30, 10: 64}
"""Calls an input."""
PRODUCT = 0.5
SEED = 29


@dataclass(frozen=True)
class Cell:
    """A row: sentences, inputs, how much inputs differ, and the noise of a call, each beside a weight of one."""

    units: int
    inputs: int
    differ: float
    noise: float


class Sums:
    """Answers with the sum that the sentences in the prompt make for the input."""

    uri = "py/sums"
    limits = Limits(max_batch=64)

    def __init__(self, cell: Cell, number: int) -> None:
        rng = np.random.default_rng((SEED, number))
        self.mean = np.where(np.arange(cell.units) % 2 == 0, 1.0, 0.0)
        self.weights = self.mean + cell.differ * rng.standard_normal((cell.inputs, cell.units))
        self.cell, self.rng = cell, rng

    def answer(self, requests: Sequence[Request]) -> list[Output]:
        return [Output(text=f"{self._value(request):.17g}") for request in requests]

    def _value(self, request: Request) -> float:
        assert isinstance(request.prompt, Chat)
        system = " ".join(message.text for message in request.prompt.messages[:-1])
        kept = np.array([f"Rule {unit} holds." in system for unit in range(self.cell.units)])
        own = self.weights[int(request.prompt.messages[-1].text.split()[-1])]
        return float(own @ kept + PRODUCT * (kept[0] & kept[1]) + self.cell.noise * self.rng.standard_normal())

    def truth(self, over: str) -> Floats:
        """Banzhaf values of the mean over the law of inputs, or over those that were given."""
        values = self.mean if over == "like-these" else self.weights.mean(axis=0)
        return values + PRODUCT / 2.0 * (np.arange(self.cell.units) < 2)


def cells() -> list[Cell]:
    every = itertools.product((4, 10), (4, 8, 20), (0.3, 0.0), (0.0, 0.3))
    return [Cell(*each) for each in every if each[2] or each[3]]


def held(cell: Cell, number: int, over: str) -> tuple[list[bool], list[bool], float]:
    """Which intervals hold the truth, which of those of units that do nothing do, and their mean width."""
    model = Sums(cell, number)
    explanation = whygen.explain_prompt(
        model, Chat((Message("system", " ".join(f"Rule {unit} holds." for unit in range(cell.units))),)),
        inputs=[f"Wish {one}" for one in range(cell.inputs)], over=over, target=float, seed=number,
        budget=EACH[cell.units] * cell.inputs, cache=None, settings=Settings(temperature=1.0),
    )  # fmt: skip
    truth, slack = model.truth(over), 1e-9
    found = [(unit.low, unit.high) for unit in explanation.units]
    hits = [
        low is not None and high is not None and low - slack <= value <= high + slack
        for (low, high), value in zip(found, truth, strict=True)
    ]
    width = float(np.mean([high - low for low, high in found if low is not None and high is not None]))
    return hits, [hit for hit, value in zip(hits, truth, strict=True) if value == 0.0], width


def row(cell: Cell) -> Row:
    shown: Row = {"sentences": cell.units, "inputs": cell.inputs, "inputs differ by": cell.differ, "noise": cell.noise}
    for over in ("like-these", "these"):
        runs = [held(cell, number, over) for number in range(RUNS[cell.units])]
        shown[over] = float(np.mean([hit for hits, _, _ in runs for hit in hits]))
        dummies = [hit for _, none, _ in runs for hit in none]
        shown[f"{over}, of those that do nothing"] = float(np.mean(dummies)) if dummies else None
        shown[f"{over}, width"] = float(np.mean([width for _, _, width in runs]))
    return shown


def main(data: Path | None = None, *, minutes: float = 600.0, fresh: bool = False) -> None:
    del data
    kept = Rows("templates", minutes=minutes, fresh=fresh)
    found = [kept.get(str(cell), lambda cell=cell: row(cell)) for cell in cells()]
    rows = [each for each in found if each is not None]
    print(record.table(rows))
    record.write("templates", {"rows": rows, "not run": len(found) - len(rows)}, seed=SEED)


if __name__ == "__main__":
    main(**vars(arguments(__doc__).parse_args()))
