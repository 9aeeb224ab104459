"""Two attributions beside each other: the figures that stability, consistency and operator agreement share.

Jaccard of the sets of the k strongest units (chance in closed form: the shared number is hypergeometric), generalised
Jaccard ``sum min(|a|, |b|) / sum max(|a|, |b|)`` and Spearman's correlation (chance: the values of one side shuffled
over units). METHODS A7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from whygen.errors import UsageError
from whygen.evaluation.case import Floats, mean_of, percentiles
from whygen.evaluation.compare import chance_jaccard, generalised_jaccard, top_jaccard
from whygen.evaluation.measures.fidelity import spearman
from whygen.evaluation.rebuilt import attributions
from whygen.evaluation.result import Measure
from whygen.results.prompt import PromptExplanation
from whygen.stats.intervals import student_half_width
from whygen.stats.seeds import generator

ROUNDS = 500


@dataclass(frozen=True, slots=True)
class Pair:
    """Attributions of the units that two explanations share, each ``(n,)``; ``k`` of the first stand out."""

    first: Floats
    second: Floats
    k: int


def strongest(explanation: PromptExplanation) -> int:
    """k: as many units as are significant, at least one."""
    return max(1, sum(unit.significant is True for unit in explanation.units))


def pair(first: PromptExplanation, second: PromptExplanation) -> Pair:
    """The units of equal place where both have the same number, else those of equal text (the i-th with the i-th).

    Raises:
        UsageError: if they share fewer than two units.
    """
    a, b = attributions(first), attributions(second)
    if len(a) == len(b):
        return Pair(a, b, strongest(first))
    one, other = _named(first), _named(second)
    shared = [name for name in one if name in other]
    if len(shared) < 2:
        raise UsageError("The explanations share fewer than two units: give a paraphrase that keeps some words.")
    return Pair(np.array([one[s] for s in shared]), np.array([other[s] for s in shared]), strongest(first))


def _named(explanation: PromptExplanation) -> dict[tuple[str, int], float]:
    seen: dict[str, int] = {}
    named: dict[tuple[str, int], float] = {}
    for unit in explanation.units:
        seen[unit.text] = seen.get(unit.text, 0) + 1
        named[unit.text, seen[unit.text]] = unit.attribution
    return named


def rows(metric: str, what: str, pairs: Sequence[Pair], *, seed: int, how: str) -> list[Measure]:
    """Jaccard, generalised Jaccard and rank correlation over pairs of explanations.

    Args:
        metric: the group.
        what: what was changed; it ends the names of the figures.
        pairs: at least one. With several, the interval is Student's over them.
        seed: of the permutations.
        how: what was compared.
    """
    rng = generator(seed, metric, what)
    generalised, ranks = _dealt_out(pairs, rng)
    table = {
        f"jaccard_top_{what}": (
            [top_jaccard(p.first, p.second, p.k) for p in pairs],
            np.array([chance_jaccard(len(p.first), p.k) for p in pairs]),
            "Jaccard of the sets of the k strongest units, k the significant ones; chance in closed form",
        ),
        f"generalised_jaccard_{what}": (
            [generalised_jaccard(p.first, p.second) for p in pairs],
            generalised,
            "sum min(|a|, |b|) / sum max(|a|, |b|); chance: one side shuffled over units",
        ),
        f"spearman_{what}": (
            [spearman(p.first, p.second) for p in pairs],
            ranks,
            "Spearman's correlation of attributions; chance: one side shuffled over units",
        ),
    }
    limits = {f"spearman_{what}": -1.0}
    return [
        _row(metric, name, np.array(values), chance, f"{how}. {text}", limits.get(name, 0.0))
        for name, (values, chance, text) in table.items()
    ]


def _dealt_out(pairs: Sequence[Pair], rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Generalised Jaccard and Spearman when the second side is shuffled over units, ``(rounds,)`` each."""
    generalised, ranks = np.empty((2, ROUNDS))
    for index in range(ROUNDS):
        each = pairs[index % len(pairs)]
        dealt = rng.permutation(each.second)
        generalised[index], ranks[index] = generalised_jaccard(each.first, dealt), spearman(each.first, dealt)
    return generalised, ranks


def _row(metric: str, name: str, values: Floats, chance: Floats, how: str, floor: float) -> Measure:
    low, high = student(values, floor=floor)
    closed = len(chance) < ROUNDS
    span = (None, None) if closed else percentiles(chance)
    runs = f"interval: Student's over {len(values)} pairs" if low is not None else "one pair: no interval"
    return Measure(
        metric=metric, name=name, value=mean_of(values), low=low, high=high, chance=mean_of(chance),
        chance_low=span[0], chance_high=span[1], n=len(values), better="higher", how=f"{how}; {runs}",
    )  # fmt: skip


def student(values: Floats, *, floor: float, ceiling: float = 1.0) -> tuple[float | None, float | None]:
    """Student's interval of the mean, within the range of the figure; None for fewer than two finite values."""
    finite = values[np.isfinite(values)]
    if len(finite) < 2:
        return None, None
    half = float(student_half_width(np.array(finite.var(ddof=1) / len(finite)), len(finite) - 1))
    middle = float(finite.mean())
    return max(floor, middle - half), min(ceiling, middle + half)
