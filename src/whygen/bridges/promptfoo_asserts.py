"""promptfoo's assertions that need nobody but the answer: equality, words, patterns, JSON. Others are named as such.

What an assertion means is promptfoo's documentation (Assertions and metrics, deterministic); ``not-`` before a type
turns it round. A value may hold ``{{name}}``, which stands for a variable of the test.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from whygen.records.fields import Field
from whygen.safe import read_json
from whygen.types import Output

Check = Callable[[str], bool]
"""Whether an answer passes."""
_NAME = re.compile(r"\{\{\s*([\w.-]+)\s*\}\}")


class NotComputableError(Exception):
    """An assertion that takes a model, a program or a clock; the text names it."""


def passes(
    asserted: Sequence[Field], variables: Mapping[str, object], threshold: float | None
) -> Callable[[Output], float]:
    """The score of an answer by a test's assertions: 1 where it passes, else 0.

    Args:
        asserted: the assertions of the test.
        variables: of the test.
        threshold: the share of weight that must pass; None where all must.

    Raises:
        NotComputableError: naming the types that nobody can compute from the answer alone.
    """
    checks, unknown = list[tuple[Check, float]](), list[str]()
    for each in asserted:
        try:
            checks.append((_check(each, variables), _weight(each)))
        except NotComputableError as error:
            unknown.append(str(error))
    if unknown:
        raise NotComputableError(", ".join(dict.fromkeys(unknown)))
    if not checks:
        raise NotComputableError("no assertion")

    def score(answer: Output) -> float:
        held = [(check(answer.said), weight) for check, weight in checks]
        if threshold is None:
            return float(all(passed for passed, weight in held if weight))
        total = sum(weight for _, weight in held) or 1.0
        return float(sum(weight for passed, weight in held if passed) / total >= threshold)

    return score


def _weight(found: Field) -> float:
    weight = found["weight"].value
    return float(weight) if isinstance(weight, int | float) and not isinstance(weight, bool) else 1.0


def _check(found: Field, variables: Mapping[str, object]) -> Check:
    """One assertion.

    Raises:
        NotComputableError: if it is of another kind.
    """
    kind = found["type"].text() if found["type"].is_text else ""
    name, turned = (kind.removeprefix("not-"), True) if kind.startswith("not-") else (kind, False)
    if name not in _KINDS or found["transform"].there:
        raise NotComputableError(kind or "an assertion without a type")
    check = _KINDS[name](_filled(found["value"].value, variables))
    return (lambda answer: not check(answer)) if turned else check


def _filled(value: object, variables: Mapping[str, object]) -> Any:
    """The value with the test's variables in it.

    Raises:
        NotComputableError: if it names a file or code, or holds a template that is more than names.
    """
    if isinstance(value, list):
        return [_filled(each, variables) for each in cast("list[object]", value)]
    if not isinstance(value, str):
        return value
    if value.startswith(("file://", "package:")):
        raise NotComputableError(value[:60])

    def put(found: re.Match[str]) -> str:
        if found[1] not in variables:
            raise NotComputableError(f"the template {found[0]}")
        given = variables[found[1]]
        return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)

    filled = _NAME.sub(put, value)
    if ("{{" in value and ("{{" in _NAME.sub("", value))) or "{%" in value:
        raise NotComputableError(f"the template {value[:60]}")
    return filled


def _same(value: Any) -> Check:
    """Equal to a text; an object is equal to the answer as JSON."""
    if isinstance(value, dict | list):
        return lambda answer: _json(answer) == value
    return lambda answer: answer == str(value)


def _holds(value: Any, *, low: bool = False) -> Check:
    wanted = _lower(str(value), low)
    return lambda answer: wanted in _lower(answer, low)


def _many(value: Any, how: Callable[[list[bool]], bool], *, low: bool = False) -> Check:
    """Several texts: a list, or one text with commas between."""
    given = cast("list[object]", value) if isinstance(value, list) else [each.strip() for each in str(value).split(",")]
    wanted = [_lower(str(each), low) for each in given]
    return lambda answer: how([each in _lower(answer, low) for each in wanted])


def _lower(text: str, low: bool) -> str:
    return text.lower() if low else text


def _regex(value: Any) -> Check:
    try:
        pattern = re.compile(str(value))
    except re.error:  # JavaScript's patterns are not all Python's
        raise NotComputableError(f"regex {str(value)[:60]}") from None
    return lambda answer: pattern.search(answer) is not None


def _is_json(value: Any) -> Check:
    if value is not None:
        raise NotComputableError("is-json with a schema")
    return lambda answer: _json(answer) is not None


def _has_json(value: Any) -> Check:
    if value is not None:
        raise NotComputableError("contains-json with a schema")
    decoder = json.JSONDecoder()

    def found(answer: str) -> bool:
        for place in (match.start() for match in re.finditer(r"[\[{]", answer)):
            try:
                decoder.raw_decode(answer, place)
            except (ValueError, RecursionError):
                continue
            return True
        return False

    return found


def _json(answer: str) -> Any:
    try:
        return read_json(answer.strip())
    except ValueError:
        return None


def _any(held: list[bool]) -> bool:
    return any(held)


def _all(held: list[bool]) -> bool:
    return all(held)


_KINDS: Mapping[str, Callable[[Any], Check]] = {
    "equals": _same,
    "contains": _holds,
    "icontains": lambda value: _holds(value, low=True),
    "contains-any": lambda value: _many(value, _any),
    "contains-all": lambda value: _many(value, _all),
    "icontains-any": lambda value: _many(value, _any, low=True),
    "icontains-all": lambda value: _many(value, _all, low=True),
    "starts-with": lambda value: lambda answer: answer.startswith(str(value)),
    "regex": _regex,
    "is-json": _is_json,
    "contains-json": _has_json,
}
