"""Two explanations beside each other: do they say the same? METHODS A1 (keep), A7 (stability), A8.

Of one prompt, here; two by the same anchors are compared by `whygen.anchors.comparing`.

Values are compared only when both measure in one unit; orders always. Two runs of a model that samples have two
reference answers, and effects against different references differ though the model is the same: both runs are read
against the references of both, from their recorded answers (see `read_against`). A unit is called changed where the
difference is significant under Benjamini-Hochberg over units at 5%. The intervals of two explanations are taken as
independent, which they are unless both read the same answers: then differences are, if anything, smaller than shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeAlias, cast, overload

import numpy as np
from numpy.typing import NDArray

from whygen._arguments import typed
from whygen.anchors.comparing import compare_anchors
from whygen.anchors.texts.comparing import compare_texts
from whygen.errors import MissingError, UsageError
from whygen.prompt.offline import read_against
from whygen.prompt.recipe import opened_target
from whygen.prompt.saved import recorded, references
from whygen.prompt.targets import Target
from whygen.results import Explanation
from whygen.results.anchors import AnchorExplanation
from whygen.results.anchors_compared import AnchorComparison
from whygen.results.prompt import PromptExplanation, UnitAttribution
from whygen.results.shown import Paged
from whygen.results.texts import TextAnchorExplanation
from whygen.stats.intervals import Error, student_half_width
from whygen.stats.multiplicity import benjamini_hochberg
from whygen.stats.seeds import generator
from whygen.texts import has_word
from whygen.types import Floats, Output

DISAGREE = 0.5
"""Rank correlation under which two orders are said to disagree."""

LEVEL = 0.05
"""False discovery rate over units."""

GROUPS = 32
"""Groups of masks that an explanation without its evidence is taken to rest on: half of the default budget."""

ORDERS_ONLY = "So only orders are compared. Load the folders that -o wrote, with the encoder that was used (encoder=)."

Pair: TypeAlias = tuple[UnitAttribution, UnitAttribution]

ROUNDS = 2000
_SETTINGS = ("model", "estimand", "keep", "target", "operator", "design", "preset", "seed")


@dataclass(frozen=True, slots=True)
class UnitPair:
    """One unit in both explanations.

    ``low`` and ``high`` are the 95% interval of the difference, ``p_value`` tests that there is none; None without
    intervals, or where values cannot be compared.
    """

    text: str
    first: float
    second: float
    low: float | None
    high: float | None
    changed: bool
    p_value: float | None = None

    @property
    def difference(self) -> float:
        """Second less first; where there is an interval its middle, which reads both against the references of both."""
        if self.low is None or self.high is None:
            return self.second - self.first
        return (self.low + self.high) / 2.0


@dataclass(frozen=True, slots=True)
class Comparison(Paged):
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
        changed: how many units differ significantly (Benjamini-Hochberg over units, 5%).
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

    def __repr__(self) -> str:
        plural = "" if len(self.units) == 1 else "s"
        return f"<Comparison of {len(self.units)} shared unit{plural}: {self.changed} changed>"

    def table(self) -> dict[str, list[Any]]:
        """A column for each field of a pair of units: what ``pandas.DataFrame`` takes."""
        return {field.name: [getattr(unit, field.name) for unit in self.units] for field in fields(UnitPair)}

    def _summary(self) -> dict[str, Any]:
        from whygen.results.summary.evaluated import summarise_changes

        return summarise_changes(self.to_dict(), names=("the first", "the second"))


@overload
def compare(
    first: PromptExplanation, second: PromptExplanation, *, strongest: int | None = None, encoder: object = "auto"
) -> Comparison: ...


@overload
def compare(first: AnchorExplanation, second: AnchorExplanation) -> AnchorComparison: ...


@overload
def compare(first: TextAnchorExplanation, second: TextAnchorExplanation) -> AnchorComparison: ...


@typed()
def compare(
    first: Explanation,
    second: Explanation,
    *,
    strongest: int | None = None,
    encoder: object = "auto",
) -> Comparison | AnchorComparison:
    """Compare two explanations: of one prompt unit by unit, or of two models by the same anchors.

    Args:
        first: an explanation.
        second: another one: of the same prompt, or of one that shares units with it; or by the same anchors.
        strongest: of prompts: k of the sets of strongest units; as many as are significant in the first, at least one.
        encoder: of prompts, as in `explain_prompt`: reads the answers again where the two references differ.

    Raises:
        UsageError: if they share no unit, or are by different anchors, criteria or calibrations.
        MissingError: if explanations by anchors hold no scores.
    """
    if isinstance(first, PromptExplanation) and isinstance(second, PromptExplanation):
        return _compare_prompts(first, second, strongest=strongest, encoder=encoder)
    if strongest is not None:
        raise UsageError("strongest counts units of prompts; a comparison of anchors has none. Leave it out.")
    if isinstance(first, AnchorExplanation) and isinstance(second, AnchorExplanation):
        return compare_anchors(first, second)
    if isinstance(first, TextAnchorExplanation) and isinstance(second, TextAnchorExplanation):
        return compare_texts(first, second)
    said = [
        "of a prompt" if isinstance(each, PromptExplanation)
        else "by texts" if isinstance(each, TextAnchorExplanation) else "by samples"
        for each in (first, second)
    ]  # fmt: skip
    raise UsageError(f"The first explanation is {said[0]}, the second {said[1]}: compare two of one kind.")


def _compare_prompts(
    first: PromptExplanation, second: PromptExplanation, *, strongest: int | None, encoder: object
) -> Comparison:
    pairs, only_first, only_second = _matched(first.units, second.units)
    if not pairs:
        raise UsageError("The two explanations share no unit: compare explanations of one prompt, in one kind of unit.")
    if not any(has_word(one.text) for one, _ in pairs):
        marks = ", ".join(dict.fromkeys(repr(one.text) for one, _ in pairs))
        raise UsageError(
            f"The two explanations share no unit but marks ({marks}): compare explanations of one prompt, or of two "
            "that have words in common."
        )
    a = np.array([one.attribution for one, _ in pairs])
    b = np.array([other.attribution for _, other in pairs])
    same_unit = (first.target, first.estimand) == (second.target, second.estimand)
    differences, why = _measured(first, second, pairs, encoder) if same_unit else (None, ())
    rows = _rows(pairs, differences)
    k = strongest or max(1, sum(unit.significant is True for unit in first.units))
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
        notes=(
            *_apart_in_words(len(pairs), len(only_first), len(only_second)),
            *why,
            *_notes(settings, correlation, same_unit=same_unit, a=a, b=b, pairs=pairs),
        ),
    )


def _apart_in_words(shared: int, *alone: int) -> tuple[str, ...]:
    """That two prompts have little in common, where each has more units of its own than they share."""
    if min(alone) < shared:
        return ()
    first, second = (shared + count for count in alone)
    told = f"These are two prompts: {shared} of {first} units of the first are among the {second} of the second."
    return (f"{told} What a shared unit does may have changed because all around it did.",)


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


def _apart(difference: Floats, halves: tuple[Floats, Floats], groups: Sequence[int]) -> Error:
    """Differences ``(n,)`` of independent explanations, from the half widths of their 95% intervals."""
    degrees = np.full(len(difference), max(1.0, min(groups) - 1.0))
    return Error(difference, np.hypot(*halves) / student_half_width(np.ones(1), degrees), degrees)


def _measured(
    first: PromptExplanation, second: PromptExplanation, pairs: Sequence[Pair], encoder: object
) -> tuple[Error | None, tuple[str, ...]]:
    """How far the shared units are apart by one yardstick; else None, and why."""
    one, other = (references(each.evidence) for each in (first, second))
    if _texts(one) == _texts(other) or not first.target.distance:
        return _printed(first, second, pairs), ()
    try:
        target = _target(first, encoder)
        a, b = (read_against(each, [one, other], target).interval for each in (first, second))
    except (UsageError, MissingError) as error:
        return None, (
            f"The runs have different reference answers and cannot be read against one: {error} {ORDERS_ONLY}",
        )
    if a is None or b is None:
        return None, (f"The runs have different reference answers, and their noise is not known. {ORDERS_ONLY}",)
    rows = [first.units.index(unit) for unit, _ in pairs], [second.units.index(unit) for _, unit in pairs]
    # The middle of each interval, not the value of less squared error: differences are compared with half widths.
    low, high = b.low[rows[1]] - a.high[rows[0]], b.high[rows[1]] - a.low[rows[0]]
    halves = (a.high[rows[0]] - a.low[rows[0]]) / 2.0, (b.high[rows[1]] - b.low[rows[1]]) / 2.0
    return _apart((low + high) / 2.0, halves, [_groups(each) for each in (first, second)]), ()


def _groups(explanation: PromptExplanation) -> int:
    return GROUPS if explanation.evidence is None else len(np.unique(explanation.evidence.groups))


def _target(explanation: PromptExplanation, encoder: object) -> Target:
    """The target of an explanation, opened again to read the answers of another run.

    Raises:
        UsageError: if it cannot be, or scored the run's own reference.
        MissingError: if its encoder is not installed.
    """
    recipe = recorded(explanation)
    texts = explanation.evidence is None or (explanation.evidence.pictures, explanation.evidence.media) == (None, None)
    if not texts or "target" in recipe.again or recipe.target.verb == "score":
        raise UsageError(f"target={explanation.target.name!r} cannot be opened again from its name alone.")
    return opened_target(recipe, encoder=encoder)


def _texts(said: Sequence[Output]) -> set[tuple[str, object]]:
    return {(output.text, output.medium) for output in said}


def _printed(first: PromptExplanation, second: PromptExplanation, pairs: Sequence[Pair]) -> Error | None:
    """The printed values and intervals: right where both were measured against the same reference."""
    limits = [(one.low, one.high, other.low, other.high) for one, other in pairs]
    if any(limit is None for each in limits for limit in each):
        return None
    low1, high1, low2, high2 = np.array(limits, dtype=np.float64).T
    difference = np.array([other.attribution - one.attribution for one, other in pairs])
    groups = [_groups(each) for each in (first, second)]
    return _apart(difference, ((high1 - low1) / 2.0, (high2 - low2) / 2.0), groups)


def _rows(pairs: Sequence[Pair], apart: Error | None) -> tuple[UnitPair, ...]:
    if apart is None:
        return tuple(
            UnitPair(one.text, one.attribution, other.attribution, None, None, changed=False) for one, other in pairs
        )
    slack = 1e-9 * np.array([max(abs(one.attribution), abs(other.attribution)) for one, other in pairs])
    p_values = np.where(np.abs(apart.estimate) <= slack, 1.0, apart.p_values())  # within the slack it is rounding
    changed = benjamini_hochberg(p_values, level=LEVEL)
    return tuple(
        UnitPair(
            one.text, one.attribution, other.attribution, float(low), float(high),
            changed=bool(called), p_value=float(p),
        )
        for (one, other), low, high, called, p in zip(pairs, *apart.interval()[1:], changed, p_values, strict=True)
    )  # fmt: skip


def _differences(first: PromptExplanation, second: PromptExplanation) -> dict[str, tuple[str, str]]:
    def shown(explanation: PromptExplanation, name: str) -> str:
        return explanation.target.distance if name == "target" else str(getattr(explanation, name))

    both = {name: (shown(first, name), shown(second, name)) for name in _SETTINGS}
    return {name: values for name, values in both.items() if values[0] != values[1]}


def rank_correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float | None:
    """Spearman's correlation; None for fewer than three values, or where one side does not vary."""
    if len(a) < 3 or np.ptp(a) == 0.0 or np.ptp(b) == 0.0:
        return None
    from scipy.stats import rankdata  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])  # pyright: ignore[reportUnknownArgumentType]


def top_jaccard(a: NDArray[np.float64], b: NDArray[np.float64], k: int) -> float:
    """Jaccard index of the sets of the k largest absolute values."""
    one, other = (set(np.argsort(-np.abs(x), kind="stable")[:k].tolist()) for x in (a, b))
    return len(one & other) / len(one | other)


def chance_jaccard(n: int, k: int) -> float:
    """Mean of `top_jaccard` for two random orders of n units: the shared number is hypergeometric."""
    from scipy.stats import hypergeom  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

    k = min(k, n)
    shared = np.arange(k + 1)
    chance: NDArray[np.float64] = cast("Any", hypergeom).pmf(shared, n, k, k)
    return float((chance * shared / (2 * k - shared)).sum())


def generalised_jaccard(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """``sum min(|a|, |b|) / sum max(|a|, |b|)``; 1 where both are zero."""
    total = float(np.maximum(np.abs(a), np.abs(b)).sum())
    return 1.0 if total == 0.0 else float(np.minimum(np.abs(a), np.abs(b)).sum()) / total


def chance_overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Mean of `generalised_jaccard` when the values of the second are shuffled over units."""
    rng = generator(0, "chance of overlap")
    return float(np.mean([generalised_jaccard(a, rng.permutation(b)) for _ in range(ROUNDS)]))


def _agree(a: NDArray[np.float64], b: NDArray[np.float64]) -> bool:
    """Whether two orders of the units that stand out agree; one or two units: by their signs and which is larger."""
    among = rank_correlation(a, b)
    if among is not None:
        return among >= DISAGREE
    return len(a) > 0 and bool((a * b > 0.0).all() and (np.argsort(a) == np.argsort(b)).all())


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
    # Units that stand out in neither run have the order of their noise, which says nothing.
    sure = np.array([bool(one.significant or other.significant) for one, other in pairs], dtype=bool)
    if correlation is None or correlation >= DISAGREE or _agree(a[sure], b[sure]):
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
