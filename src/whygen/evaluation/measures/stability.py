"""Stability, consistency and agreement: does the explanation stay when what should not matter changes? METHODS A7, A8.

Each figure compares two explanations of one prompt by the thesis's two Jaccard indices and Spearman's correlation, with
the chance level of each beside it. The interval is that of the attributions: both sides are drawn from their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from whygen.errors import UnknownNameError, UsageError
from whygen.evaluation.again import Again
from whygen.evaluation.compare import chance_jaccard, generalised_jaccard, matched, top_jaccard
from whygen.evaluation.measures.ranking import spearman
from whygen.evaluation.measures.record import Found, Measure
from whygen.results.prompt import PromptExplanation, UnitAttribution
from whygen.stats.seeds import generator

STABILITY, CONSISTENCY, AGREEMENT = "stability", "consistency", "agreement"
MARK = "###"
"""What the thesis appends to a prompt."""
DRAWN = 500
"""Pairs of attributions drawn from their intervals, and dealings-out of the values for the chance level."""
SEEDS = 3
"""Further seeds of `consistency`."""

Floats = NDArray[np.float64]


def stability(again: Again, *, paraphrase: str | None, seed: int) -> Found:
    """The explanation beside those with ``###`` appended, another seed, and the prompt in other words where given.

    Raises:
        BudgetError: if the budget has no room for them.
        UsageError: if the prompt is no text, or the paraphrase shares no unit with it.
    """
    first = again.explanation
    if not isinstance(again.prompt, str):
        raise UsageError(f"Stability appends {MARK} to a text, and the prompt is a {type(again.prompt).__name__}.")
    spans = [(unit.start, unit.end) for unit in first.units]
    marked = f"{again.prompt} {MARK}"
    appended = again.explain(STABILITY, prompt=marked, units=[*spans, (len(marked) - len(MARK), len(marked))])
    found = list(beside(first, appended, STABILITY, f"{MARK} appended", seed=seed))
    found += beside(first, again.explain(STABILITY, seed=first.seed + 1), STABILITY, "another seed", seed=seed)
    if paraphrase is not None:
        units = again.choices.get("units", "word")
        other = again.explain(STABILITY, prompt=paraphrase, units=units if isinstance(units, str) else "word")
        found += beside(first, other, STABILITY, "in other words", seed=seed)
    return found


def consistency(again: Again, *, models: Sequence[object], seed: int) -> Found:
    """Spread over seeds, and over other models where they are given: every pair of explanations is compared.

    Raises:
        BudgetError: if the budget has no room for them.
    """
    first = again.explanation
    runs = [first, *(again.explain(CONSISTENCY, seed=first.seed + 1 + round_) for round_ in range(SEEDS))]
    found = [_spread(runs, f"over {len(runs)} seeds")]
    if models:
        others = [again.explain(CONSISTENCY, model=model) for model in models]
        found.append(_spread([first, *others], f"over {1 + len(models)} models"))
        for model, other in zip(models, others, strict=True):
            found += beside(first, other, CONSISTENCY, f"beside {_named(model)}", seed=seed)
    return found


def agreement(again: Again, *, operators: Sequence[str], seed: int) -> Found:
    """The explanation beside those in which something else happens to a missing unit (METHODS A4, A8).

    Raises:
        BudgetError: if the budget has no room for them.
        UnknownNameError: if there is no such operator.
    """
    first, found = again.explanation, list[Measure]()
    others = [name for name in operators if name != first.operator]
    for name in others or (["delete"] if first.operator != "delete" else ["placeholder"]):
        found += beside(first, again.explain(AGREEMENT, operator=name), AGREEMENT, f"operator {name}", seed=seed)
    return found


def beside(
    first: PromptExplanation, second: PromptExplanation, metric: str, what: str, *, seed: int
) -> tuple[Measure, ...]:
    """Both Jaccard indices and Spearman's correlation of two explanations, over the units that are in both.

    Raises:
        UsageError: if they share no unit.
    """
    pairs, _, _ = matched(first.units, second.units)
    if not pairs:
        raise UsageError(f"The explanation and the one {what} share no unit: nothing can be compared.")
    k = min(len(pairs), max(1, sum(unit.significant for unit in first.units)))
    rng = generator(seed, "beside", metric, what)
    one, other = (_values([pair[side] for pair in pairs]) for side in (0, 1))
    sides = [[pair[side] for pair in pairs] for side in (0, 1)]
    drawn = [(_drawn(sides[0], rng), _drawn(sides[1], rng)) for _ in range(DRAWN)]
    dealt = [rng.permutation(other) for _ in range(DRAWN)]
    by_chance = float(np.mean([generalised_jaccard(one, values) for values in dealt]))
    how = f"over {len(pairs)} shared units; interval: both sides drawn {DRAWN} times from their own intervals"

    def row(name: str, value: float, values: Sequence[float], chance: float, formula: str) -> Measure:
        known = [v for v in values if np.isfinite(v)]
        if np.isfinite(value):
            known.append(value)
        low, high = np.quantile(known, [0.025, 0.975]) if known else (np.nan, np.nan)
        return Measure(
            metric=metric, name=f"{name}, {what}", value=value, low=min(float(low), value),
            high=max(float(high), value), chance=chance, how=f"{formula}; {how}",
        )  # fmt: skip

    return (
        row(
            "generalised Jaccard", generalised_jaccard(one, other), [generalised_jaccard(*d) for d in drawn],
            by_chance, "sum min(|a|, |b|) / sum max(|a|, |b|); chance: values dealt out to other units",
        ),
        row(
            "Jaccard", top_jaccard(one, other, k), [top_jaccard(*d, k) for d in drawn],
            chance_jaccard(len(pairs), k), f"of the sets of the {k} strongest units; chance in closed form",
        ),
        row(
            "rank correlation", spearman(_level(one), _level(other)), [spearman(*d) for d in drawn],
            0.0, "Spearman's correlation, what differs by rounding alone taken as equal",
        ),
    )  # fmt: skip


def _values(units: Sequence[UnitAttribution]) -> Floats:
    return np.array([unit.attribution for unit in units])


def _level(values: Floats) -> Floats:
    """The values without what is rounding beside the largest of them."""
    unit = 1e-9 * float(np.abs(values).max(initial=0.0))
    return values if unit == 0.0 else np.round(values / unit) * unit


def _drawn(units: Sequence[UnitAttribution], rng: np.random.Generator) -> Floats:
    """Attributions drawn from normal laws as wide as their intervals; themselves where there is none."""
    half = np.array([0.0 if u.low is None or u.high is None else (u.high - u.low) / 2.0 for u in units])
    return _values(units) + rng.standard_normal(len(units)) * half / 1.96


def _spread(runs: Sequence[PromptExplanation], what: str) -> Measure:
    """Mean generalised Jaccard over all pairs, least and most as limits."""
    values, chances = list[float](), list[float]()
    rng = generator(0, "spread", what)
    for one, other in combinations(runs, 2):
        pairs, _, _ = matched(one.units, other.units)
        a, b = (_values([pair[side] for pair in pairs]) for side in (0, 1))
        values.append(generalised_jaccard(a, b))
        chances += [generalised_jaccard(a, rng.permutation(b)) for _ in range(100)]
    return Measure(
        metric=CONSISTENCY, name=f"generalised Jaccard, {what}", value=float(np.mean(values)), low=min(values),
        high=max(values), chance=float(np.mean(chances)),
        how=f"mean over {len(values)} pairs of explanations, sd {np.std(values):.3f}; limits: the least and the most "
        "of them; chance: values dealt out to other units",
    )  # fmt: skip


def _named(model: object) -> str:
    if isinstance(model, str):
        return model
    return str(getattr(model, "uri", None) or getattr(model, "__name__", type(model).__name__))


def check_operators(names: Sequence[str]) -> None:
    """Refuse names that no operator has.

    Raises:
        UnknownNameError: naming those there are.
    """
    known = ("delete", "placeholder", "synonym", "neutral", "paraphrase", "noise")
    for name in names:
        if name not in known:
            raise UnknownNameError("operator", name, known)
