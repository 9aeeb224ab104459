"""Accuracy against word labels: ATT ACC, F1 and AUROC. METHODS A7.

A unit is *called* where its attribution is significant; where nothing says how sure it is, the k strongest are called,
k the number of labelled units. Strength is the absolute attribution: a word that pushes the output away matters too.
Chance is in closed form: the mean over all ways to deal the attributions out to the units.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whygen.errors import UsageError
from whygen.evaluation.case import Case, Floats, Metric, percentiles
from whygen.evaluation.rebuilt import attributions
from whygen.evaluation.result import Measure
from whygen.results.prompt import PromptExplanation
from whygen.stats.seeds import generator
from whygen.stats.wilson import wilson

DRAWS = 2000


@dataclass(frozen=True, slots=True)
class Accuracy:
    """ATT ACC, F1 and AUROC."""

    acc: float
    f1: float
    auroc: float


def auroc(labels: NDArray[np.bool_], strength: Floats) -> float:
    """Chance that a labelled unit is stronger than another one, ties counting half; NaN with one class alone."""
    positives = int(labels.sum())
    if positives in {0, len(labels)}:
        return float("nan")
    from scipy.stats import rankdata  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

    ranks = np.asarray(rankdata(strength), dtype=np.float64)
    above = float(ranks[labels].sum()) - positives * (positives + 1) / 2
    return above / (positives * (len(labels) - positives))


def scored(labels: NDArray[np.bool_], called: NDArray[np.bool_], strength: Floats) -> Accuracy:
    """The three figures; F1 is 0 where nothing is labelled nor called."""
    both = int((labels & called).sum())
    either = int(labels.sum()) + int(called.sum())
    return Accuracy(float((labels == called).mean()), 2 * both / either if either else 0.0, auroc(labels, strength))


def by_chance(labels: NDArray[np.bool_], called: NDArray[np.bool_]) -> Accuracy:
    """Their means over all ways to deal the same calls and strengths out to the units."""
    n, p, m = len(labels), int(labels.sum()), int(called.sum())
    hits = m * p / n
    return Accuracy((2 * hits + n - p - m) / n, 2 * hits / (m + p) if m + p else 0.0, 0.5)


def called_units(explanation: PromptExplanation, labelled: int) -> tuple[NDArray[np.bool_], str]:
    """Which units the explanation calls, ``(n,)``, and by what rule."""
    if any(unit.low is not None or unit.p_value is not None for unit in explanation.units):
        return np.array([unit.significant is True for unit in explanation.units]), "significant units are called"
    called = np.zeros(len(explanation.units), dtype=bool)
    called[np.argsort(-np.abs(attributions(explanation)), kind="stable")[:labelled]] = True
    return called, f"no interval: the {labelled} strongest units are called"


def measure(case: Case) -> list[Measure]:
    """ATT ACC, F1 and AUROC.

    Raises:
        UsageError: if there are no labels, or they are all alike.
    """
    labels = case.labels
    if labels is None:
        raise UsageError("accuracy needs labels: labels=[...], one 0 or 1 for each unit, in the order of the prompt.")
    if labels.all() or not labels.any():
        raise UsageError(
            f"labels calls {int(labels.sum())} of {len(labels)} units relevant: accuracy needs some of each."
        )
    called, rule = called_units(case.explanation, int(labels.sum()))
    strength = np.abs(attributions(case.explanation))
    found, chance = scored(labels, called, strength), by_chance(labels, called)
    spread = _bootstrap(labels, called, strength, generator(case.seed, "accuracy"))
    right = int((labels == called).sum())
    limits = wilson(right, len(labels))
    boot, same = "Interval: bootstrap over units", "chance: attributions shuffled over units, closed form"
    rows = [
        ("att_acc", found.acc, limits, chance.acc, f"share of units called as labelled; {rule}. Interval: Wilson's"),
        ("f1", found.f1, percentiles(spread[:, 0]), chance.f1, f"F1 of the labelled units; {rule}. {boot}"),
        ("auroc", found.auroc, percentiles(spread[:, 1]), chance.auroc, f"AUROC of |attribution|. {boot}"),
    ]
    return [
        Measure(
            metric="accuracy", name=name, value=value, low=span[0], high=span[1], chance=level, n=len(labels),
            better="higher", how=f"{how}; {same}",
        )
        for name, value, span, level, how in rows
    ]  # fmt: skip


def _bootstrap(
    labels: NDArray[np.bool_], called: NDArray[np.bool_], strength: Floats, rng: np.random.Generator
) -> Floats:
    """F1 and AUROC of units drawn with replacement, ``(draws, 2)``."""
    rows = rng.integers(len(labels), size=(DRAWS, len(labels)))
    each = [scored(labels[row], called[row], strength[row]) for row in rows]
    return np.array([[found.f1, found.auroc] for found in each])


def _no_calls(case: Case) -> int:
    del case
    return 0


METRIC = Metric("accuracy", _no_calls, measure)
