"""Are the sets of units that are called minimal minimal, on models that sample?

Eight units, 48 calls, and so many further ones for `sets`. A rule over the units says yes or no; some of the answers
are odd, or all are a coin that leans. A set does it where more than half of its answers would, by the chances
themselves: a set is truly minimal where it does it, and none of one unit less does. ``true`` is over the sets that are
called minimal; of a line in which none is called there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

import whygen
from benchmarks import record
from whygen.results.records import AnswerSets, UnitSet
from whygen.stats.wilson import wilson
from whygen.types import Settings

WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta")
CALLS = 48
RUNS = 30
"""Of a rule."""
SEED = 71

Rule = Callable[[set[str]], bool]
Chance = Callable[[bool, bool], float]
"""Of a yes: by what the rule says, and whether the prompt is whole."""

RULES: dict[str, Rule] = {
    "one unit": lambda kept: "beta" in kept,
    "two units": lambda kept: {"beta", "zeta"} <= kept,
    "either of two": lambda kept: bool({"beta", "zeta"} & kept),
    "a vote of five": lambda kept: len(kept & set(WORDS[:5])) >= 3,
    "either, and a third": lambda kept: bool({"beta", "zeta"} & kept) and "delta" in kept,
}
ODD: dict[str, Chance] = {
    "none": lambda right, whole: float(right),
    "one in 20": lambda right, whole: 0.95 if right else 0.05,
    "one in 5": lambda right, whole: 0.8 if right else 0.2,
    "one in 5, none at the whole prompt": lambda right, whole: 1.0 if whole else 0.8 if right else 0.2,
    "near a coin (.65 and .38)": lambda right, whole: 0.65 if right else 0.38,
}
LINES = (
    ("none", "steady", 40), ("none", "nothing", 120),
    ("one in 20", "nothing", 120), ("one in 20", "samples", 120), ("one in 20", "samples", 300),
    ("one in 5", "nothing", 120), ("one in 5", "samples", 120), ("one in 5", "samples", 300),
    ("one in 5, none at the whole prompt", "nothing", 300), ("one in 5, none at the whole prompt", "samples", 300),
    ("near a coin (.65 and .38)", "samples", 300), ("near a coin (.65 and .38)", "samples", 1000),
)  # fmt: skip
"""Odd answers, what the run is told of the model (at a temperature of 0 or 1, or that it is steady), further calls."""


def does(members: Sequence[str], *, changing: bool, rule: Rule, chance: Chance, threshold: float) -> bool:
    """Whether most answers would count, by the chances themselves."""
    kept = set(WORDS) - set(members) if changing else set(members)
    yes = chance(rule(kept), len(kept) == len(WORDS))
    changed = yes * (threshold > 1.0) + (1.0 - yes) * (threshold > 0.0)
    return changed > 0.5 if changing else changed < 0.5


def truly_minimal(found: UnitSet, *, changing: bool, rule: Rule, chance: Chance, threshold: float) -> bool:
    """Whether the set does it and none of one unit less."""
    less = [[text for text in found.texts if text != left] for left in found.texts]
    does_it = [
        does(each, changing=changing, rule=rule, chance=chance, threshold=threshold) for each in (found.texts, *less)
    ]
    return does_it[0] and not any(does_it[1:])


def sets_of(rule: Rule, chance: Chance, seed: int, *, told: str, further: int) -> AnswerSets:
    rng = np.random.default_rng((SEED, seed))

    def model(text: str) -> str:
        kept = set(text.split())
        return "yes" if rng.random() < chance(rule(kept), len(kept) == len(WORDS)) else "no"

    found = whygen.explain_prompt(
        model, " ".join(WORDS), target=lambda text: float(text == "yes"), surrogate="ridge", budget=CALLS, sets=further,
        model_noise="none" if told == "steady" else "measure", seed=seed, cache=None,
        settings=Settings(temperature=1.0 if told == "samples" else 0.0),
    ).sets  # fmt: skip
    assert found is not None
    return found


def row(odd: str, *, told: str, further: int, runs: int = RUNS) -> dict[str, object]:
    """One line of the table."""
    shown = called = right = with_one = 0
    for place, rule in enumerate(RULES.values()):
        for number in range(runs):
            found = sets_of(rule, ODD[odd], 1000 * place + number, told=told, further=further)
            named = [(each, True) for each in found.changing] + [(each, False) for each in found.keeping]
            minimal = [(each, changing) for each, changing in named if each.minimal]
            shown, called = shown + len(named), called + len(minimal)
            with_one += bool(minimal)
            right += sum(
                truly_minimal(each, changing=changing, rule=rule, chance=ODD[odd], threshold=found.threshold)
                for each, changing in minimal
            )
    low, high = wilson(right, called) if called else (None, None)
    return {
        "odd answers": odd, "told": told, "further calls": further, "sets": shown,
        "called minimal": called, "runs with one": with_one / (len(RULES) * runs),
        "true": {"mean": right / called, "low": low, "high": high} if called else None,
    }  # fmt: skip


def main(data: Path | None = None) -> None:
    del data
    rows = [row(odd, told=told, further=further) for odd, told, further in LINES]
    print(record.table(rows))
    record.write("minimal", {"rows": rows}, seed=SEED)


if __name__ == "__main__":
    main()
