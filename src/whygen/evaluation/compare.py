"""Two explanations of one prompt beside each other: do they say the same? METHODS A1 (keep), A7 (stability), A8.

Values are compared only when both measure in one unit; orders always. The intervals of two explanations are taken as
independent, which they are unless both read the same answers: then differences are, if anything, smaller than shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from whygen.errors import UsageError
from whygen.results.prompt import PromptExplanation, UnitAttribution
from whygen.stats.seeds import generator
from whygen.typed import typed

DISAGREE = 0.5
"""Rank correlation under which two orders are said to disagree."""

ROUNDS = 2000
_SETTINGS = ("model", "estimand", "keep", "target", "operator", "design", "preset", "seed")


@dataclass(frozen=True, slots=True)
class UnitPair:
    """One unit in both explanations. ``low`` and ``high`` limit the difference; None without intervals or one unit."""

    text: str
    first: float
    second: float
    low: float | None
    high: float | None
    changed: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two explanations share.

    Attributes:
        units: the units that are in both, in the order of the prompt.
        only_first: texts of units that the second lacks.
        only_second: texts of units that the first lacks.
        settings: settings that differ, each with both values.
        same_unit: whether values can be compared, not only orders.
        rank_correlation: Spearman's, of the attributions; None for fewer than three units, or none that vary.
        jaccard: of the sets of the k strongest units, and its mean by chance.
        overlap: ``sum min(|a|, |b|) / sum max(|a|, |b|)`` (generalised Jaccard), and its mean by chance.
        changed: how many units differ beyond both intervals.
        notes: what to know of it, with the next step.
    """

    units: tuple[UnitPair, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    settings: dict[str, tuple[str, str]]
    same_unit: bool
    rank_correlation: float | None
    jaccard: tuple[float, float]
    overlap: tuple[float, float]
    changed: int
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)


@typed()
def compare(first: PromptExplanation, second: PromptExplanation, *, strongest: int | None = None) -> Comparison:
    """Compare two explanations unit by unit.

    Args:
        first: an explanation.
        second: another one, of the same prompt or of one that shares units with it.
        strongest: k of the sets of strongest units; as many as are significant in the first, at least one.

    Raises:
        UsageError: if they share no unit.
    """
    pairs, only_first, only_second = _matched(first.units, second.units)
    if not pairs:
        raise UsageError("The two explanations share no unit: compare explanations of one prompt, in one kind of unit.")
    a = np.array([one.attribution for one, _ in pairs])
    b = np.array([other.attribution for _, other in pairs])
    same_unit = (first.target, first.estimand) == (second.target, second.estimand)
    rows = tuple(_row(one, other, same_unit=same_unit) for one, other in pairs)
    k = strongest or max(1, sum(unit.significant for unit in first.units))
    settings = _differences(first, second)
    correlation = rank_correlation(a, b)
    return Comparison(
        units=rows,
        only_first=only_first,
        only_second=only_second,
        settings=settings,
        same_unit=same_unit,
        rank_correlation=correlation,
        jaccard=(top_jaccard(a, b, k), chance_jaccard(len(a), k)),
        overlap=(generalised_jaccard(a, b), chance_overlap(a, b)),
        changed=sum(row.changed for row in rows),
        notes=_notes(settings, correlation, same_unit=same_unit, a=a, b=b, pairs=pairs),
    )


def _matched(
    first: Sequence[UnitAttribution], second: Sequence[UnitAttribution]
) -> tuple[list[tuple[UnitAttribution, UnitAttribution]], tuple[str, ...], tuple[str, ...]]:
    """Units of equal text, the i-th occurrence with the i-th."""

    def named(units: Sequence[UnitAttribution]) -> dict[tuple[str, int], UnitAttribution]:
        seen: dict[str, int] = {}
        named: dict[tuple[str, int], UnitAttribution] = {}
        for unit in units:
            seen[unit.text] = seen.get(unit.text, 0) + 1
            named[unit.text, seen[unit.text]] = unit
        return named

    one, other = named(first), named(second)
    pairs = [(unit, other[key]) for key, unit in one.items() if key in other]
    return pairs, tuple(k[0] for k in one if k not in other), tuple(k[0] for k in other if k not in one)


def _row(one: UnitAttribution, other: UnitAttribution, *, same_unit: bool) -> UnitPair:
    if not same_unit or one.low is None or one.high is None or other.low is None or other.high is None:
        return UnitPair(one.text, one.attribution, other.attribution, None, None, changed=False)
    difference = other.attribution - one.attribution
    half = float(np.hypot((one.high - one.low) / 2.0, (other.high - other.low) / 2.0))
    low, high = difference - half, difference + half
    slack = 1e-9 * max(abs(one.attribution), abs(other.attribution))
    return UnitPair(one.text, one.attribution, other.attribution, low, high, low > slack or high < -slack)


def _differences(first: PromptExplanation, second: PromptExplanation) -> dict[str, tuple[str, str]]:
    def shown(explanation: PromptExplanation, name: str) -> str:
        return explanation.target.distance if name == "target" else str(getattr(explanation, name))

    both = {name: (shown(first, name), shown(second, name)) for name in _SETTINGS}
    return {name: values for name, values in both.items() if values[0] != values[1]}


def rank_correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float | None:
    """Spearman's correlation; None for fewer than three values, or where one side does not vary."""
    if len(a) < 3 or np.ptp(a) == 0.0 or np.ptp(b) == 0.0:
        return None
    ranks = cast("Any", stats).rankdata
    return float(np.corrcoef(ranks(a), ranks(b))[0, 1])


def top_jaccard(a: NDArray[np.float64], b: NDArray[np.float64], k: int) -> float:
    """Jaccard index of the sets of the k largest absolute values."""
    one, other = (set(np.argsort(-np.abs(x), kind="stable")[:k].tolist()) for x in (a, b))
    return len(one & other) / len(one | other)


def chance_jaccard(n: int, k: int) -> float:
    """Mean of `top_jaccard` for two random orders of n units: the shared number is hypergeometric."""
    k = min(k, n)
    shared = np.arange(k + 1)
    chance: NDArray[np.float64] = cast("Any", stats).hypergeom.pmf(shared, n, k, k)
    return float((chance * shared / (2 * k - shared)).sum())


def generalised_jaccard(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """``sum min(|a|, |b|) / sum max(|a|, |b|)``; 1 where both are zero."""
    total = float(np.maximum(np.abs(a), np.abs(b)).sum())
    return 1.0 if total == 0.0 else float(np.minimum(np.abs(a), np.abs(b)).sum()) / total


def chance_overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Mean of `generalised_jaccard` when the values of the second are dealt out to other units."""
    rng = generator(0, "chance of overlap")
    return float(np.mean([generalised_jaccard(a, rng.permutation(b)) for _ in range(ROUNDS)]))


def _notes(
    settings: dict[str, tuple[str, str]],
    correlation: float | None,
    *,
    same_unit: bool,
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    pairs: Sequence[tuple[UnitAttribution, UnitAttribution]],
) -> tuple[str, ...]:
    notes: list[str] = []
    if not same_unit:
        notes.append("The explanations measure different things (target or estimand): only orders are compared.")
    flipped = [one.text for one, other in pairs if one.significant and other.significant
               and one.attribution * other.attribution < 0]  # fmt: skip
    if flipped:
        notes.append(f"Significant in both, with opposite signs: {', '.join(map(repr, flipped))}.")
    if correlation is None or correlation >= DISAGREE:
        return tuple(notes)
    if "operator" in settings:
        notes.append(
            f"The operators disagree (rank correlation {correlation:.2f}): what a unit does depends on what stands in "
            "its place. Report both, or choose the operator whose prompts are like those you will send."
        )
    elif "keep" in settings:
        notes.append(
            f"The orders at keep={settings['keep'][0]} and {settings['keep'][1]} disagree (rank correlation "
            f"{correlation:.2f}): units act together. Trust the higher keep for the prompt as it was asked, and look "
            "at the interactions."
        )
    else:
        notes.append(
            f"The orders disagree (rank correlation {correlation:.2f}). If only the seed differs, raise the budget."
        )
    return tuple(notes)
