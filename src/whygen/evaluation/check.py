"""`check`: does a saved explanation keep the rules? A gate for continuous integration. Nothing is asked of a model.

A limit is *passed* where the whole 95% interval is on its side, *failed* where the whole interval is on the other, and
*unknown* where the interval holds it: then more calls would tell. A figure without an interval is compared as it is.
Each verdict states its error rate: how often a rule would be passed that the model does not keep, or failed that it
keeps. None where nothing says how sure the figure is.
"""

from __future__ import annotations

import difflib
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from whygen._arguments import typed
from whygen.errors import MissingError, UsageError
from whygen.evaluation.compare import compare
from whygen.evaluation.measures.fidelity import heldout_r2
from whygen.evaluation.result import DOCUMENT, Evaluation, between, number
from whygen.evaluation.rules import (
    Answer,
    Attribution,
    Drift,
    NoWarning,
    Number,
    Rule,
    Share,
    Sign,
    Significant,
    Top,
    read_rule,
)
from whygen.results import AnchorExplanation, Explanation, PromptExplanation, TextAnchorExplanation, load
from whygen.results.files import digest_of
from whygen.results.prompt import UnitAttribution
from whygen.results.records import Figure, Record, Text
from whygen.results.summary.words import names
from whygen.texts import counted

Verdict = Literal["pass", "fail", "unknown"]

BEYOND = 0.025
"""Chance that a 95% interval lies wholly on the wrong side of a limit."""

DISCOVERIES = 0.05
"""Share of false ones among the units that are called significant (Benjamini-Hochberg)."""


class Checked(Record):
    """A rule, whether it holds, and what was observed."""

    rule: Text
    verdict: Verdict
    value: Figure = None
    low: Figure = None
    high: Figure = None
    observed: Text
    error_rate: Figure = None
    """At most this share of such verdicts is wrong; None where that is not known, or there is no verdict."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What is checked, and the figures that `evaluate` left beside it, if it did."""

    explanation: Explanation
    evaluation: Evaluation | None

    def prompt(self, rule: str) -> PromptExplanation:
        """The explanation of a prompt.

        Raises:
            UsageError: if it explains anchors.
        """
        if not isinstance(self.explanation, PromptExplanation):
            raise UsageError(f"The rule {rule!r} is for an explanation of a prompt, and this one explains anchors.")
        return self.explanation


@typed()
def check(
    explanation: Explanation | Path | str,
    rules: Sequence[str | Rule],
    *,
    evaluation: Evaluation | None = None,
) -> tuple[Checked, ...]:
    """Whether an explanation keeps each rule.

    Args:
        explanation: an explanation, or the folder it was saved in.
        rules: texts in the forms of `whygen.evaluation.rules.FORMS`, or rules that were read.
        evaluation: figures that rules may name; by default the ``evaluation.json`` in the folder.

    Raises:
        UsageError: for a rule that has none of the forms, or does not fit the explanation; for no rule.
        MissingError: if an explanation is not there.
        FormatError: if a saved file is damaged or newer than this version.
    """
    if not rules:
        raise UsageError("There is no rule to check. Give one, such as: fidelity >= 0.5")
    read = [read_rule(rule) if isinstance(rule, str) else rule for rule in rules]
    if isinstance(explanation, Path | str):
        evaluation = _beside(Path(explanation)) if evaluation is None else evaluation
        explanation = load(explanation)
    subject = Judged(explanation, evaluation)
    return tuple(_checked(subject, rule) for rule in read)


def _beside(place: Path) -> Evaluation | None:
    folder = place if place.is_dir() else place.parent
    return Evaluation.load(folder) if (folder / DOCUMENT).is_file() else None


_COMPARE: Mapping[Sign, Callable[[float, float], bool]] = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le,
}  # fmt: skip


def verdict(value: float | None, low: float | None, high: float | None, sign: Sign, limit: float) -> Verdict:
    """``pass``, ``fail`` or, where the interval holds the limit or there is no value, ``unknown``."""
    if value is None:
        return "unknown"
    ends = (value,) if low is None or high is None else (low, high)
    sides = {_COMPARE[sign](end, limit) for end in ends}
    return "unknown" if len(sides) > 1 else "pass" if sides.pop() else "fail"


def _limited(
    rule: Rule, sign: Sign, limit: float, value: float | None, *, low: float | None = None, high: float | None = None,
    what: str = "", missing: str = "",
) -> Checked:  # fmt: skip
    """A figure against its limit: the whole 95% interval is beyond it by chance in at most 2.5% of cases."""
    seen = " ".join(filter(None, [what, number(value), between(low, high)])) if value is not None else missing
    found = verdict(value, low, high, sign, limit)
    known = found != "unknown" and low is not None and high is not None
    return Checked(
        rule=rule.text, verdict=found, value=value, low=low, high=high, observed=seen,
        error_rate=BEYOND if known else None,
    )  # fmt: skip


def _truth(rule: Rule, found: bool | None, wanted: bool, observed: str) -> Checked:
    """A fact that is so, or is not, or is not known."""
    kept: Verdict = "unknown" if found is None else "pass" if found == wanted else "fail"
    return Checked(rule=rule.text, verdict=kept, observed=observed)


def _unit(explanation: PromptExplanation, rule: Rule, text: str, place: int | None) -> UnitAttribution | Checked:
    """The unit of that text, or the part of that name; a rule on one that is not there fails.

    Raises:
        UsageError: if several units have that text and the rule does not say which.
    """
    called = names(explanation)
    found = [unit for unit, name in zip(explanation.units, called, strict=True) if text in (unit.text, name)]
    if not found or (place is not None and place > len(found)):
        told = [name or unit.text for unit, name in zip(explanation.units, called, strict=True)]
        units = ", ".join(map(repr, told[:20]))
        return Checked(
            rule=rule.text, verdict="fail", observed=f"the prompt has {len(found)} such units; its units: {units}"
        )
    if place is None and len(found) > 1:
        raise UsageError(
            f"The rule {rule.text!r} fits {len(found)} units. Say which, counted from the left: unit {text!r} #1 ..."
        )
    return found[(place or 1) - 1]


def _shown(unit: UnitAttribution) -> str:
    p_value = "" if unit.p_value is None else f", p = {unit.p_value:.2g}"
    return f"{number(unit.attribution)} {between(unit.low, unit.high)}".strip() + p_value


def _significant(subject: Judged, rule: Rule, form: Significant) -> Checked:
    unit = _unit(subject.prompt(rule.text), rule, form.text, form.place)
    if isinstance(unit, Checked):
        return unit
    known = unit.p_value is not None or unit.low is not None
    result = _truth(rule, unit.significant if known else None, form.wanted, _shown(unit))
    told = {"value": unit.attribution, "low": unit.low, "high": unit.high}
    # That a unit is called is wrong for 5% of the called; that it is not called says only that it was not shown.
    return result.model_copy(update={**told, "error_rate": DISCOVERIES if known and unit.significant else None})


def _attribution(subject: Judged, rule: Rule, form: Attribution) -> Checked:
    unit = _unit(subject.prompt(rule.text), rule, form.text, form.place)
    if isinstance(unit, Checked):
        return unit
    return _limited(rule, form.sign, form.limit, unit.attribution, low=unit.low, high=unit.high)


def _top(subject: Judged, rule: Rule, form: Top) -> Checked:
    explanation = subject.prompt(rule.text)
    both = sorted(zip(explanation.units, names(explanation), strict=True), key=lambda each: -abs(each[0].attribution))[
        : form.k
    ]
    held = any(form.text in (unit.text, name) for unit, name in both)
    told = ", ".join(repr(name or unit.text) for unit, name in both)
    return _truth(rule, held, form.wanted, f"the {form.k} strongest: {told}")


def _answer(subject: Judged, rule: Rule, form: Answer) -> Checked:
    text = subject.prompt(rule.text).reference.text
    return _truth(rule, form.text in text, form.wanted, f"the answer: {text[:120]!r}")


def _drift(subject: Judged, rule: Rule, form: Drift) -> Checked:
    other = load(form.place)
    if not isinstance(other, PromptExplanation):
        raise UsageError(f"The rule {rule.text!r} names an explanation of anchors: drift compares those of prompts.")
    found = compare(other, subject.prompt(rule.text))
    if not found.same_unit:
        raise UsageError(
            f"The rule {rule.text!r} compares values of different targets or estimands: explain both alike."
        )
    value, chance = 1.0 - found.overlap[0], 1.0 - found.overlap[1]
    lost = (
        f", {counted(len(found.only_first), 'unit')} gone, {len(found.only_second)} new"
        if found.only_first or found.only_second
        else ""
    )
    result = _limited(rule, form.sign, form.limit, value)
    return result.model_copy(update={"observed": f"{value:.3g} (by chance {chance:.3g}{lost})"})


def _number(subject: Judged, rule: Rule, form: Number) -> Checked:
    own = _figures(subject.explanation)
    if form.name in own:
        value, low, high = own[form.name]()
        missing = "the explanation has no such figure: explain with a larger budget"
        return _limited(rule, form.sign, form.limit, value, low=low, high=high, missing=missing)
    near = difflib.get_close_matches(form.name, [*own], n=1, cutoff=0.75)
    if near and (subject.evaluation is None or form.name not in {each.name for each in subject.evaluation.measures}):
        raise UsageError(
            f"The rule {rule.text!r} names {form.name!r}, which is no figure. Did you mean: "
            f"{near[0]} {form.sign} {form.limit:g}?"
        )
    if subject.evaluation is None:
        missing = "no evaluation.json beside the explanation: run whygen evaluate DIR first"
        return _limited(rule, form.sign, form.limit, None, missing=missing)
    if subject.evaluation.digest != digest_of(subject.explanation):
        raise UsageError(f"The rule {rule.text!r}: evaluation.json is of another explanation. Run whygen evaluate DIR.")
    try:
        found = subject.evaluation.measure(form.name)
    except MissingError as error:
        raise UsageError(f"The rule {rule.text!r}: {error}") from None
    chance = "" if found.chance is None else f"(by chance {number(found.chance)})"
    result = _limited(rule, form.sign, form.limit, found.value, low=found.low, high=found.high, missing=found.how)
    return result.model_copy(update={"observed": f"{result.observed} {chance}".strip()})


Limits = tuple[float | None, float | None, float | None]


def _figures(explanation: Explanation) -> dict[str, Callable[[], Limits]]:
    """Figures that an explanation holds itself, with their limits."""
    if isinstance(explanation, AnchorExplanation):
        return {"flip_rate": lambda: (explanation.mean_flip_rate, None, None)}
    if isinstance(explanation, TextAnchorExplanation):
        return {"known_by_heart": lambda: _known_by_heart(explanation)}
    return {
        "fidelity": lambda: heldout_r2(explanation),
        "noise_ceiling": lambda: (explanation.fidelity.noise_ceiling, None, None),
        "calls": lambda: (float(explanation.calls.asked), None, None),
        "calls_made": lambda: (float(explanation.calls.made), None, None),
    }


def _known_by_heart(explanation: TextAnchorExplanation) -> Limits:
    """The estimated share, by the contrast that most texts have."""
    found = max(explanation.contrasts, key=lambda each: each.n, default=None)
    return (None, None, None) if found is None else (found.estimate, found.low, found.high)


def _share(subject: Judged, rule: Rule, form: Share) -> Checked:
    if isinstance(subject.explanation, PromptExplanation):
        raise UsageError(f"The rule {rule.text!r} is for an explanation of anchors, and this one explains a prompt.")
    group = subject.explanation.groups.get(form.group)
    if group is None:
        raise UsageError(f"The rule {rule.text!r} names a group that this explanation does not have: explain again.")
    return _limited(rule, form.sign, form.limit, group.share, low=group.low, high=group.high)


def _silent(subject: Judged, rule: Rule, form: NoWarning) -> Checked:
    codes = [each.code for each in subject.explanation.warnings if form.code in {None, each.code}]
    return _truth(rule, bool(codes), False, f"warnings: {', '.join(codes)}" if codes else "no such warning")


def _checked(subject: Judged, rule: Rule) -> Checked:
    """One rule, by its form."""
    match rule.form:
        case Significant() as form:
            return _significant(subject, rule, form)
        case Attribution() as form:
            return _attribution(subject, rule, form)
        case Top() as form:
            return _top(subject, rule, form)
        case Answer() as form:
            return _answer(subject, rule, form)
        case Number() as form:
            return _number(subject, rule, form)
        case Drift() as form:
            return _drift(subject, rule, form)
        case Share() as form:
            return _share(subject, rule, form)
        case NoWarning() as form:
            return _silent(subject, rule, form)
