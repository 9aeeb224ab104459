"""Is every chance level of `evaluate` and `compare` what an explanation dealt out at random comes to?

An explanation of a known game is dealt out to its units at random, values with their intervals, and evaluated: each
figure is compared with the chance level printed beside it. ``apart`` is the mean difference in standard errors (of the
paired differences), ``outside`` the share of deals whose figure leaves the printed range of chance (5% should).
Games: *alike*, all units pull the same way, by different amounts; *mixed*, of both signs, with a pair that acts
together; each with ten units (40 calls) and six (all masks). Figures of fidelity and of answers dealt out anew are of
the procedure, so there a model that answers at random takes the place of the dealt explanation, explained anew each
time. ``repeatability`` is of four dealings; likeness (stability, consistency over models, operators, random models: one
code) is of an explanation and another of the same game, dealt out.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

import whygen
from benchmarks import record
from whygen.calls import open_store
from whygen.evaluation.case import Case, Lab
from whygen.evaluation.compare import compare
from whygen.evaluation.evaluate import evaluate
from whygen.evaluation.measures import agreement, consistency
from whygen.evaluation.result import Measure
from whygen.results.prompt import PromptExplanation

WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa")
CALLS = {10: 40, 6: 80}
DEALS = 40
NULLS = 12
"""Explanations of a model that answers at random."""
SEED = 73
ENOUGH = 4000
"""Calls of a model that costs nothing."""

Score = Callable[[str], float]


def alike(text: str) -> float:
    kept = text.split()
    return sum(0.2 + 0.15 * WORDS.index(word) for word in kept)


def mixed(text: str) -> float:
    kept = set(text.split())
    return 1.0 * ("alpha" in kept) - 0.7 * ("beta" in kept) + 0.4 * ("gamma" in kept) + ({"delta", "zeta"} <= kept)


def at_random(number: int) -> Score:
    """A score that the text alone decides, and that says nothing of its words."""

    def score(text: str) -> float:
        digest = hashlib.sha256(f"{number} {text}".encode()).digest()
        return float(np.random.default_rng(int.from_bytes(digest[:8])).normal())

    return score


GAMES: dict[str, Score] = {"alike": alike, "mixed": mixed}


def explained(score: Score, units: int, seed: int) -> PromptExplanation:
    return whygen.explain_prompt(
        lambda text: text, " ".join(WORDS[:units]), target=score, budget=CALLS[units], seed=seed, cache=None
    )


def dealt(explanation: PromptExplanation, rng: np.random.Generator) -> PromptExplanation:
    """The estimates of units given to other units."""
    estimates = [
        unit.model_dump(include={"attribution", "low", "high", "p_value", "significant"}) for unit in explanation.units
    ]
    order = rng.permutation(len(estimates))
    units = tuple(
        unit.model_copy(update=estimates[place]) for unit, place in zip(explanation.units, order, strict=True)
    )
    return explanation.model_copy(update={"units": units})


def of_units(score: Score, units: int, rng: np.random.Generator) -> Iterator[Measure]:
    """Figures of one explanation, dealt out."""
    own, other = explained(score, units, 0), explained(score, units, 1)
    labels = np.arange(units) % 3 == 0
    for number in range(DEALS):
        one = dealt(own, rng)
        yield from evaluate(
            one, metrics=("accuracy", "faithfulness"), labels=labels, budget=ENOUGH, cache=None, seed=number,
            model=lambda text: text, target=score,
        ).measures  # fmt: skip
        yield from agreement.rows("likeness", "dealt", [agreement.pair(other, one)], seed=number, how="")
        found = compare(other, one)
        for name, (value, chance) in {"jaccard": found.jaccard, "overlap": found.overlap}.items():
            yield Measure(metric="compare", name=name, value=value, chance=chance, n=units, better="higher", how="")
        with open_store(None) as store:
            case = Case(own, Lab(own, store, 0), number, None, 3, (), (), None)
            case.again[:] = [dealt(own, rng) for _ in range(3)]
            again = case.again[0]
            case.explanation = dealt(again, rng)
            yield from consistency.measure(case)


def of_the_procedure(units: int) -> Iterator[Measure]:
    """Figures of explanations of a model that answers at random."""
    for number in range(NULLS):
        null = explained(at_random(number), units, number)
        yield from evaluate(null, metrics=("fidelity", "randomisation"), cache=None, seed=number).measures
        said = null.fidelity
        yield Measure(metric="report", name="r2_insample", value=said.r2_insample, chance=said.r2_chance, n=units,
                      better="higher", how="")  # fmt: skip


def row(game: str, units: int, measures: Sequence[Measure]) -> dict[str, object]:
    """One line of the table, from the same figure of several explanations."""
    known = [each for each in measures if each.value is not None and each.chance is not None]
    value = np.array([each.value for each in known], dtype=np.float64)
    chance = np.array([each.chance for each in known], dtype=np.float64)
    apart = value - chance
    error = float(apart.std(ddof=1) / np.sqrt(len(apart)))
    limits = [(each.chance_low, each.chance_high) for each in known]
    outside = [
        not low - 1e-12 <= at <= high + 1e-12
        for at, (low, high) in zip(value, limits, strict=True)
        if low is not None and high is not None
    ]
    return {
        "metric": known[0].metric, "figure": known[0].name, "game": game, "units": units, "explanations": len(known),
        "dealt out": float(value.mean()), "by chance": float(chance.mean()),
        "apart": 0.0 if error < 1e-12 else float(apart.mean()) / error,
        "outside": float(np.mean(outside)) if outside else None,
    }  # fmt: skip


def table(game: str, units: int, measures: Iterator[Measure]) -> list[dict[str, object]]:
    named: dict[tuple[str, str], list[Measure]] = defaultdict(list)
    for each in measures:
        if each.chance is not None and each.value is not None:
            named[each.metric, each.name].append(each)
    return [row(game, units, found) for found in named.values()]


def main(data: Path | None = None) -> None:
    del data
    rows: list[dict[str, object]] = []
    for units in CALLS:
        for game, score in GAMES.items():
            rows += table(game, units, of_units(score, units, np.random.default_rng((SEED, units))))
        rows += table("at random", units, of_the_procedure(units))
    rows.sort(key=lambda each: -abs(float(each["apart"])))  # type: ignore[arg-type]
    far = [abs(float(each["apart"])) > 2.0 for each in rows]  # type: ignore[arg-type]
    print(record.table(rows))
    print(f"{sum(far)} of {len(far)} are more than two standard errors apart; chance makes {0.0455 * len(far):.1f}")
    record.write("chance_levels", {"rows": rows}, seed=SEED)


if __name__ == "__main__":
    main()
