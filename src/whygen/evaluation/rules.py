"""Rules about a saved explanation, for a gate in CI: small sentences, read word by word. No expression is evaluated."""

from __future__ import annotations

import operator
import shlex
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

from whygen.errors import DataError, FormatError, MissingError, UsageError
from whygen.evaluation.compare import compare
from whygen.results import AnchorExplanation, PromptExplanation, load
from whygen.results.anchors import GROUPS
from whygen.results.prompt import UnitAttribution

Explanation: TypeAlias = PromptExplanation | AnchorExplanation
Verdict: TypeAlias = Literal["pass", "fail", "unknown"]

FORMS = (
    "unit 'TEXT' significant",
    "unit 'TEXT' not significant",
    "unit 'TEXT' >= 0.1  (its attribution; also > <= <)",
    "unit 'TEXT' surely >= 0.1  (the whole interval)",
    "unit 'TEXT' in top 3  (by size of attribution)",
    "fidelity >= 0.5  (held-out R2)",
    "calls <= 300",
    "drift from DIR <= 0.2  (1 - generalised Jaccard)",
    "correlation with DIR >= 0.8  (of ranks)",
    "changed from DIR <= 0  (units that differ beyond both intervals)",
    "no warning",
    "no warning CODE",
    "share HIHE >= 0.9  (of anchors; also HILE, LIHE, LILE)",
    "flips <= 0.1  (mean flip rate of anchors)",
)
"""What a rule may say."""

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Checked:
    """A rule and what became of it; ``observed`` says what was seen."""

    rule: str
    verdict: Verdict
    observed: str


def check(explanation: Explanation, rules: Sequence[str], *, folder: Path | None = None) -> tuple[Checked, ...]:
    """Hold an explanation against rules.

    Args:
        explanation: what is checked.
        rules: sentences of the forms in `FORMS`.
        folder: what relative folders in rules are relative to; the current one unless given.

    Returns:
        A verdict for each rule; ``unknown`` where the explanation does not say what the rule asks about.

    Raises:
        UsageError: for a rule of no known form, or none at all.
        MissingError: if a folder that a rule names is not there.
    """
    if not rules:
        raise UsageError(f"No rule was given. Rules are: {'; '.join(FORMS)}.")
    return tuple(_check(explanation, rule, folder or Path()) for rule in rules)


def read_rules(path: Path) -> list[str]:
    """Rules from a file: TOML with ``rules = [...]``, or one a line; ``#`` begins a comment.

    Raises:
        MissingError: if the file is not there.
        FormatError: if it is no such file.
    """
    if not path.is_file():
        raise MissingError(f"The file of rules {str(path)!r} is not there.")
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".toml":
            found: object = tomllib.loads(text).get("rules")
            if not isinstance(found, list) or not all(isinstance(rule, str) for rule in cast("list[object]", found)):
                raise FormatError(f"{str(path)!r} has no list of texts called rules: rules = ['fidelity >= 0.5'].")
            return cast("list[str]", found)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FormatError(f"{str(path)!r} cannot be read as rules: {error}.") from None
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _check(explanation: Explanation, rule: str, folder: Path) -> Checked:
    try:
        words = shlex.split(rule)
    except ValueError as error:
        raise _no_rule(rule, f"{error}") from None
    match words:
        case ["share", group, sign, number]:
            return _share(explanation, rule, group, sign, number)
        case ["flips", sign, number]:
            return _number(rule, _anchors(explanation, rule).mean_flip_rate, sign, number)
        case ["no", "warning", *codes] if len(codes) < 2:
            return _warning(explanation, rule, codes)
        case ["unit", text, *rest]:
            return _unit(_prompt(explanation, rule), rule, text, rest)
        case ["fidelity", sign, number]:
            return _number(rule, _prompt(explanation, rule).fidelity.r2_heldout, sign, number)
        case ["calls", sign, number]:
            return _number(rule, float(_prompt(explanation, rule).calls.asked), sign, number)
        case [("drift" | "changed") as what, "from", place, sign, number]:
            return _beside(_prompt(explanation, rule), rule, what, folder / place, sign, number)
        case ["correlation", "with", place, sign, number]:
            return _beside(_prompt(explanation, rule), rule, "correlation", folder / place, sign, number)
        case _:
            raise _no_rule(rule)


def _no_rule(rule: str, why: str = "") -> UsageError:
    because = f" ({why})" if why else ""
    return UsageError(f"The rule {rule!r} is of no known form{because}. Rules are: {'; '.join(FORMS)}.")


def _prompt(explanation: Explanation, rule: str) -> PromptExplanation:
    if isinstance(explanation, PromptExplanation):
        return explanation
    raise UsageError(f"The rule {rule!r} is about an explanation of a prompt, and this one is by anchors.")


def _anchors(explanation: Explanation, rule: str) -> AnchorExplanation:
    if isinstance(explanation, AnchorExplanation):
        return explanation
    raise UsageError(f"The rule {rule!r} is about an explanation by anchors, and this one is of a prompt.")


def _limit(rule: str, sign: str, number: str) -> tuple[Callable[[float, float], bool], float]:
    if sign not in _COMPARISONS:
        raise _no_rule(rule, f"{sign!r} is no comparison")
    try:
        return _COMPARISONS[sign], float(number)
    except ValueError:
        raise _no_rule(rule, f"{number!r} is no number") from None


def _number(rule: str, value: float | None, sign: str, number: str, note: str = "") -> Checked:
    compares, limit = _limit(rule, sign, number)
    if value is None:
        return Checked(rule, "unknown", "not computed")
    return Checked(rule, "pass" if compares(value, limit) else "fail", f"{value:.4g}{note}")


def _share(explanation: Explanation, rule: str, group: str, sign: str, number: str) -> Checked:
    if group not in GROUPS:
        raise _no_rule(rule, f"{group!r} is no group")
    record = _anchors(explanation, rule).groups.get(group)
    if record is None:
        return Checked(rule, "unknown", f"no group {group}")
    return _number(rule, record.share, sign, number, f" [{record.low:.4g}, {record.high:.4g}]")


def _warning(explanation: Explanation, rule: str, codes: Sequence[str]) -> Checked:
    seen = [warned.code for warned in explanation.warnings if not codes or warned.code in codes]
    return Checked(rule, "fail" if seen else "pass", ", ".join(seen) or "none")


def _unit(explanation: PromptExplanation, rule: str, text: str, rest: Sequence[str]) -> Checked:
    found = [unit for unit in explanation.units if unit.text == text]
    if not found:
        _unit_verdict(explanation, rule, explanation.units[0], rest)  # a rule of no known form is refused all the same
        return Checked(rule, "unknown", f"no unit {text!r}")
    verdicts = [_unit_verdict(explanation, rule, unit, rest) for unit in found]
    failed = [one for one in verdicts if one.verdict != "pass"]
    return failed[0] if failed else verdicts[0]


def _unit_verdict(explanation: PromptExplanation, rule: str, unit: UnitAttribution, rest: Sequence[str]) -> Checked:
    limits = "" if unit.low is None or unit.high is None else f" [{unit.low:.4g}, {unit.high:.4g}]"
    seen = f"{unit.attribution:.4g}{limits}"
    match rest:
        case ["significant"]:
            return Checked(rule, "pass" if unit.significant else "fail", seen)
        case ["not", "significant"]:
            return Checked(rule, "fail" if unit.significant else "pass", seen)
        case ["in", "top", number] if number.isdigit() and int(number) > 0:
            order = sorted(explanation.units, key=lambda one: -abs(one.attribution))
            place = next(place for place, one in enumerate(order, start=1) if one is unit)
            return Checked(rule, "pass" if place <= int(number) else "fail", f"place {place}, {seen}")
        case ["surely", sign, number]:
            return _surely(rule, unit, sign, number, seen)
        case [sign, number]:
            return _number(rule, unit.attribution, sign, number, limits)
        case _:
            raise _no_rule(rule)


def _surely(rule: str, unit: UnitAttribution, sign: str, number: str, seen: str) -> Checked:
    compares, limit = _limit(rule, sign, number)
    if unit.low is None or unit.high is None:
        return Checked(rule, "unknown", f"{seen}, no interval")
    return Checked(rule, "pass" if compares(unit.low, limit) and compares(unit.high, limit) else "fail", seen)


def _beside(explanation: PromptExplanation, rule: str, what: str, place: Path, sign: str, number: str) -> Checked:
    _limit(rule, sign, number)
    other: Any = load(place)
    if not isinstance(other, PromptExplanation):
        raise DataError(f"The rule {rule!r} names {str(place)!r}, which explains no prompt.")
    found = compare(other, explanation)
    values = {
        "drift": 1.0 - found.overlap[0],
        "correlation": found.rank_correlation,
        "changed": float(found.changed),
    }
    lost = len(found.only_first) + len(found.only_second)
    note = f" ({lost} units are in one of them only)" if lost else ""
    return _number(rule, values[what], sign, number, note)
