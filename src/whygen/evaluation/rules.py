"""The rules of `whygen check`: a few fixed forms, read by patterns. Nothing in a rule is ever run."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from whygen.errors import DataError, MissingError, UsageError

Sign = Literal["<", "<=", ">", ">="]

FORMS = """\
  unit 'TEXT' significant             unit 'TEXT' not significant
  unit 'TEXT' attribution > 0.1       (>, >=, <, <=; of a text that stands there twice: unit 'TEXT' #2 ...)
  top 3 contains 'TEXT'               top 3 lacks 'TEXT'
  answer contains 'TEXT'              answer lacks 'TEXT'
  fidelity >= 0.5                     (held-out R2; also noise_ceiling, calls, calls_made)
  FIGURE >= 0.8                       (a figure of the evaluation.json that whygen evaluate left there, such as auroc)
  drift from DIR <= 0.2               (1 - generalised Jaccard with the explanation saved there)
  group HILE share <= 0.1             (of anchors; also flip_rate)
  group 'knows by heart' share <= 0.1 (of texts; also known_by_heart, the estimated share)
  no warning                          no warning 'CODE'"""


@dataclass(frozen=True, slots=True)
class Significant:
    """That a unit is significant, or is not."""

    text: str
    place: int | None
    wanted: bool


@dataclass(frozen=True, slots=True)
class Attribution:
    """That a unit's attribution is on one side of a limit."""

    text: str
    place: int | None
    sign: Sign
    limit: float


@dataclass(frozen=True, slots=True)
class Top:
    """That a text is among the k strongest units, or is not."""

    k: int
    text: str
    wanted: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """That the reference answer holds a text, or does not."""

    text: str
    wanted: bool


@dataclass(frozen=True, slots=True)
class Number:
    """That a figure is on one side of a limit."""

    name: str
    sign: Sign
    limit: float


@dataclass(frozen=True, slots=True)
class Drift:
    """That the explanation is near another one."""

    place: str
    sign: Sign
    limit: float


@dataclass(frozen=True, slots=True)
class Share:
    """That a group of anchors is large or small enough."""

    group: str
    sign: Sign
    limit: float


@dataclass(frozen=True, slots=True)
class NoWarning:
    """That there is no warning, or none of a code."""

    code: str | None


Form = Significant | Attribution | Top | Answer | Number | Drift | Share | NoWarning


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as it was written, and what it means."""

    text: str
    form: Form


_QUOTED = r"""(?:'(?P<single>[^']+)'|"(?P<double>[^"]+)")"""
_UNIT = rf"unit\s+{_QUOTED}(?:\s*\#(?P<place>[1-9]\d*))?"
_LIMIT = r"(?P<sign>>=|<=|>|<)\s*(?P<limit>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
_WANTED = r"(?P<wanted>contains|lacks)"


def _text(found: Mapping[str, str | None]) -> str:
    return found["single"] or found["double"] or ""


def _place(found: Mapping[str, str | None]) -> int | None:
    place = found["place"]
    return None if place is None else int(place)


def _limit(found: Mapping[str, str | None]) -> tuple[Sign, float]:
    return cast("Sign", found["sign"]), float(found["limit"] or "nan")


_READERS: tuple[tuple[str, Callable[[Mapping[str, str | None]], Form]], ...] = (
    (rf"{_UNIT}\s+(?P<no>not\s+)?significant", lambda f: Significant(_text(f), _place(f), f["no"] is None)),
    (rf"{_UNIT}\s+attribution\s*{_LIMIT}", lambda f: Attribution(_text(f), _place(f), *_limit(f))),
    (
        rf"top\s+(?P<k>[1-9]\d*)\s+{_WANTED}\s+{_QUOTED}",
        lambda f: Top(int(f["k"] or "0"), _text(f), f["wanted"] == "contains"),
    ),
    (rf"answer\s+{_WANTED}\s+{_QUOTED}", lambda f: Answer(_text(f), f["wanted"] == "contains")),
    (rf"drift\s+from\s+(?P<where>.+?)\s*{_LIMIT}", lambda f: Drift(_bare(f["where"] or ""), *_limit(f))),
    (
        rf"group\s+(?:(?P<group>[HL]I[HL]E|BELOW|HIGH|LOW)|{_QUOTED})\s+share\s*{_LIMIT}",
        lambda f: Share(f["group"] or _text(f), *_limit(f)),
    ),
    (rf"no\s+warning(?:\s+{_QUOTED})?", lambda f: NoWarning(_text(f) or None)),
    (rf"(?P<name>[a-z][a-z0-9_.]*)\s*{_LIMIT}", lambda f: Number(f["name"] or "", *_limit(f))),
)


def _bare(where: str) -> str:
    """A folder, without the quotes it may stand in."""
    return where[1:-1] if len(where) > 2 and where[0] == where[-1] and where[0] in "'\"" else where


def read_rule(text: str) -> Rule:
    """What a rule means.

    Raises:
        UsageError: if it has none of the forms; the message lists them.
    """
    for pattern, make in _READERS:
        found = re.fullmatch(pattern, text.strip())
        if found is not None:
            return Rule(text.strip(), make(found.groupdict()))
    raise UsageError(f"The rule {text!r} has none of the forms there are:\n{FORMS}")


def read_rules(path: Path | str) -> list[Rule]:
    """Rules from a file: TOML with ``rules = ["...", ...]``, else one rule a line, ``#`` beginning a comment line.

    Raises:
        MissingError: if the file is not there.
        DataError: if it cannot be read, or holds no rule.
        UsageError: for a rule that has none of the forms.
    """
    file = Path(path)
    if not file.is_file():
        raise MissingError(f"The file of rules {str(file)!r} is not there.")
    try:
        content = file.read_text(encoding="utf-8")
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(f"The rules in {str(file)!r} cannot be read: {error}. Save the file as UTF-8.") from None
    texts = _from_toml(content, file) if file.suffix == ".toml" else _from_lines(content)
    if not texts:
        raise DataError(f"{str(file)!r} holds no rule. Write one a line, such as: fidelity >= 0.5")
    return [read_rule(text) for text in texts]


def _from_lines(content: str) -> list[str]:
    lines = (line.strip() for line in content.split("\n"))
    return [line for line in lines if line and not line.startswith("#")]


def _from_toml(content: str, file: Path) -> list[str]:
    try:
        found = tomllib.loads(content).get("rules")
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{str(file)!r} is no TOML: {error}.") from None
    if not isinstance(found, list) or not all(isinstance(item, str) for item in cast("list[object]", found)):
        raise DataError(f'{str(file)!r} must hold rules = ["...", ...], a list of texts.')
    return cast("list[str]", found)
