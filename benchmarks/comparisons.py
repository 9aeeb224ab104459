"""Does `compare` find changes in an unchanged model, and a change where there is one?

A model that samples is explained twice, with other seeds, and the two explanations are compared: the share of
comparisons with a finding should be at most 5%. The control is the same model deaf to one word: how many comparisons
call this word, and how many another. The one model repeats the words that it heard and adds some of its own (target:
the set of words, so that the reference is another in every run); the other says yes or no, with a chance that its
words decide (target: the same answer, so that two runs may have opposite references).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

import whygen
from benchmarks import record
from whygen.stats.wilson import wilson
from whygen.types import Settings

WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa")
CELLS = (("words", 5, 64, 400), ("words", 8, 64, 100), ("yes or no", 5, 64, 200), ("yes or no", 8, 64, 100))
"""Model, units, calls and comparisons without a change; a quarter as many with one."""
TARGETS = {"words": "token-set", "yes or no": "exact"}
SEED = 41


def sampling(kind: str, seed: int, deaf_to: str = "") -> Callable[[str], str]:
    rng = np.random.default_rng([SEED, seed])

    def words(text: str) -> str:
        said = [word for word in text.split() if word != deaf_to and rng.random() < 0.75]
        return " ".join([*said, *rng.choice(["red", "blue", "green", "black"], 2)])

    def yes_or_no(text: str) -> str:
        heard = set(text.split()) - {deaf_to}
        return "yes" if rng.random() < 0.2 + 0.5 * ("gamma" in heard) + 0.2 * ("alpha" in heard) else "no"

    return words if kind == "words" else yes_or_no


def explained(kind: str, units: int, calls: int, seed: int, deaf_to: str = "") -> whygen.PromptExplanation:
    return whygen.explain_prompt(
        sampling(kind, seed, deaf_to), " ".join(WORDS[:units]), target=TARGETS[kind], budget=calls, seed=seed,
        cache=None, settings=Settings(temperature=1.0),
    )  # fmt: skip


def row(kind: str, units: int, calls: int, comparisons: int, *, deaf_to: str = "") -> dict[str, object]:
    """One line of the table."""
    found = right = other = outside = silent = 0
    for number in range(comparisons):
        made = whygen.compare(
            explained(kind, units, calls, 2 * number), explained(kind, units, calls, 2 * number + 1, deaf_to=deaf_to)
        )
        called = {unit.text for unit in made.units if unit.changed}
        found += bool(called)
        right += deaf_to in called
        other += bool(called - {deaf_to})
        silent += all(unit.low is None for unit in made.units)
        outside += sum(
            unit.low is not None and unit.high is not None and not unit.low <= 0 <= unit.high for unit in made.units
        )
    low, high = wilson(found, comparisons)
    return {
        "model": kind, "units": units, "calls": calls, "changed": deaf_to or "nothing", "comparisons": comparisons,
        "with a finding": {"mean": found / comparisons, "low": low, "high": high},
        "calls what changed": right / comparisons if deaf_to else None,
        "calls another": other / comparisons,
        "intervals without zero": outside / (comparisons * units),
        "without intervals": silent / comparisons,
    }  # fmt: skip


def main(data: Path | None = None) -> None:
    del data
    rows: list[dict[str, object]] = []
    for kind, units, calls, comparisons in CELLS:
        rows.append(row(kind, units, calls, comparisons))
        rows.append(row(kind, units, calls, comparisons // 4, deaf_to="gamma"))
    print(record.table(rows))
    record.write("comparisons", {"rows": rows}, seed=SEED)


if __name__ == "__main__":
    main()
