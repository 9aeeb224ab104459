"""Coverage of the cells of `matrix="sentence"` where each sentence comes or stays away: by chance, or oddly at times.

An answer holds a sentence that always comes, and three more, each driven by a unit of its own: with a chance of .8 with
its unit and .3 without (*0/1 by chance*), or surely with it and never without, but for one call in 5, 20 or 50 that
does the opposite (*odd*), each sentence by itself. The target is equality, so a cell is worth the difference of the
two chances, or nothing. Four or five units are enumerated, ten sampled. ``sampling`` says whether the run is told that
the model samples (temperature 1) or not. ``false discoveries`` are over the significant cells of a run, ``runs with an
idle cell`` the share of runs with one at least.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import whygen
from benchmarks import record
from whygen.types import Settings

WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa")
DRIVEN = 3
"""Sentences with a unit that drives them: the first three units."""
CHANCES = (0.3, 0.8)
"""Of a sentence without its unit and with it, where answers are 0/1 by chance."""
CELLS = ((4, 32, 60), (5, 64, 60), (10, 64, 60), (10, 200, 60))
"""Units, calls and runs."""
SEED = 67


class Answers:
    """Says the sentences that come."""

    def __init__(self, odd: float | None, rng: np.random.Generator) -> None:
        self.rng = rng
        self.without, self.with_it = CHANCES if odd is None else (odd, 1.0 - odd)

    def __call__(self, text: str) -> str:
        there = set(text.split())
        chances = [self.with_it if word in there else self.without for word in WORDS[:DRIVEN]]
        came = [
            f"It speaks of {word}." for word, chance in zip(WORDS, chances, strict=False) if self.rng.random() < chance
        ]
        return " ".join(["Here is the text.", *came])


def row(units: int, calls: int, odd: float | None, *, sampling: bool, runs: int) -> dict[str, object]:
    """One line of the table."""
    real: list[bool] = []
    idle: list[bool] = []
    false: list[float] = []
    found: list[bool] = []
    widths: list[float] = []
    for number in range(runs):
        model = Answers(odd, np.random.default_rng((SEED, units, calls, number)))
        explanation = whygen.explain_prompt(
            model, " ".join(WORDS[:units]), target="exact", matrix="sentence", budget=calls, seed=number, cache=None,
            settings=Settings(temperature=1.0 if sampling else 0.0),
        )  # fmt: skip
        matrix = explanation.matrix
        assert matrix is not None
        worth = model.with_it - model.without
        truth = np.array(
            [
                [worth * (word in one.text and word in WORDS[:DRIVEN]) for one in matrix.sentences]
                for word in WORDS[:units]
            ]
        )
        matters = truth != 0.0
        sure = np.zeros_like(matters)
        if matrix.low is None or matrix.high is None:  # a run without intervals counts as uncovered
            inside = np.zeros_like(matters)
        else:
            low, high = np.array(matrix.low), np.array(matrix.high)
            inside, sure = (low <= truth) & (truth <= high), matrix.sure()
            widths.append(float((high - low).mean()))
        real += inside[matters].tolist()
        idle += inside[~matters].tolist()
        found += sure[matters].tolist()
        false.append(float((sure & ~matters).sum() / max(1, sure.sum())))
    noise = "0/1 by chance" if odd is None else f"one in {round(1 / odd)} odd"
    return {"units": units, "calls": calls, "answers": noise, "sampling": "said" if sampling else "not said",
            "coverage": float(np.mean(real + idle)), "that matter": float(np.mean(real)), "idle": float(np.mean(idle)),
            "false discoveries": float(np.mean(false)),
            "runs with an idle cell": float(np.mean(np.array(false) > 0.0)),
            "found": float(np.mean(found)), "width": float(np.mean(widths)) if widths else None}  # fmt: skip


def main(data: Path | None = None) -> None:
    del data
    rows = [
        row(units, calls, odd, sampling=sampling, runs=runs)
        for units, calls, runs in CELLS
        for odd, sampling in ((None, True), (0.2, True), (0.05, True), (0.02, True), (0.05, False), (0.02, False))
    ]
    rows.sort(key=lambda each: float(each["that matter"]))  # type: ignore[arg-type]
    print(record.table(rows))
    record.write("matrices_noise", {"rows": rows}, seed=SEED)


if __name__ == "__main__":
    main()
