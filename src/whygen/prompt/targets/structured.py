"""Answers as data: a field of JSON, a label, a refusal (calls of tools are in `tools`). The effect is agreement.

What cannot be read (no JSON, no label) is an outcome of its own: it agrees only with a reference that could not be
read either, and `outcomes` counts it. A refusal is what the provider says, else what stands at the beginning of an
answer, in fifteen languages.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal, cast

import numpy as np

from whygen.errors import DataError, UsageError
from whygen.prompt.targets.protocol import Verb
from whygen.prompt.targets.scored import shown
from whygen.results.prompt import TargetRecord
from whygen.safe import check_depth, read_json
from whygen.texts import find_all, language_of, name_of_language, nfc, word_edges
from whygen.types import Failure, Floats, Output, canonical_json

AGREES = "1 if as the reference, else 0"
ADVICE = "Ask for it in the prompt (and pin that part), or choose another target"
"""What to do about a reference that cannot be read."""

_FENCE = re.compile(r"```(?:json)?\s*(.*?)```", re.DOTALL | re.IGNORECASE)
_LONG_ID = re.compile(r"-?\d{16,}")
_MOST_STARTS = 64
"""Braces at which JSON is looked for; an answer with more before its JSON does not hold any."""


@dataclass(frozen=True, slots=True)
class AnswerReading:
    """What an answer says. Without a value, ``kind`` says why there is none; readings agree if they are equal."""

    kind: str
    value: str | None = None

    def __str__(self) -> str:
        return self.kind if self.value is None else self.value


@dataclass(frozen=True, slots=True)
class AnswerAgreement:
    """1 where the answer reads as the reference does, else 0; the mean over references."""

    record: TargetRecord
    read: Callable[[Output], AnswerReading]
    needs_value: bool = True
    """Whether a reference without a value is an error; a tool not called, say, is a choice like any other."""
    advice: str = ADVICE
    """What to do about such a reference."""
    verb: Verb = "answer"

    def check(self, reference: Output) -> None:
        """Raise `DataError`, which shows the reference, if it has no value to agree with."""
        if self.needs_value:
            _check_reading(self.read(reference), reference, self.record, self.advice)

    def effects(self, outputs: Sequence[Output], references: Sequence[Output]) -> Floats:
        """Share of references that each output agrees with, shape ``(n,)``."""
        self.check(references[0])
        said, wanted = [self.read(output) for output in outputs], [self.read(reference) for reference in references]
        return np.array([[reading == other for other in wanted] for reading in said], dtype=np.float64).mean(axis=1)

    def outcomes(self, outputs: Sequence[Output], references: Sequence[Output]) -> tuple[str, ...]:
        """What each output says."""
        del references
        return tuple(str(self.read(output)) for output in outputs)

    def unread(self, outputs: Sequence[Output]) -> tuple[str, ...]:
        """Why outputs have no value, once for each that has none; nothing where none is a choice too."""
        readings = [self.read(output) for output in outputs] if self.needs_value else []
        return tuple(reading.kind for reading in readings if reading.value is None)


@dataclass(frozen=True, slots=True)
class JsonField:
    """A field of the JSON in the answer: agreement, or for a number minus the absolute difference.

    An answer without the number counts as one that says 0, and at least 1 away: a distance that depends on the
    reference alone, never on the other answers of the run.
    """

    record: TargetRecord
    path: tuple[str, ...]
    verb: Verb = "answer"

    def check(self, reference: Output) -> None:
        """Raise `DataError`, which shows the reference, if it has no such field."""
        _check_reading(read_field(reference.said, self.path), reference, self.record, ADVICE)

    def effects(self, outputs: Sequence[Output], references: Sequence[Output]) -> Floats:
        """Agreement, or minus the absolute difference where the first reference holds a number, shape ``(n,)``."""
        self.check(references[0])
        said = [read_field(output.said, self.path) for output in outputs]
        wanted = [read_field(reference.said, self.path) for reference in references]
        score = _agree if _as_number(wanted[0]) is None else _minus_gap
        return np.array([[score(one, other) for other in wanted] for one in said], dtype=np.float64).mean(axis=1)

    def unchanged(self, reference: Output) -> float:
        """The effect of an answer that says in the field what the reference does: a distance of 0, or agreement."""
        return 1.0 if _as_number(read_field(reference.said, self.path)) is None else 0.0

    def outcomes(self, outputs: Sequence[Output], references: Sequence[Output]) -> tuple[str, ...]:
        """What each output says in the field, or why nothing."""
        del references
        return tuple(str(read_field(output.said, self.path)) for output in outputs)

    def unread(self, outputs: Sequence[Output]) -> tuple[str, ...]:
        """Why outputs have no such field, once for each that has none."""
        readings = [read_field(output.said, self.path) for output in outputs]
        return tuple(reading.kind for reading in readings if reading.value is None)


def _check_reading(reading: AnswerReading, reference: Output, record: TargetRecord, advice: str) -> None:
    if reading.value is None:
        raise DataError(
            f"target={record.name!r} cannot be measured: {reading.kind} in the reference answer, which is "
            f"{shown(reference.said)}. {advice}."
        )


def _agree(one: AnswerReading, other: AnswerReading) -> float:
    return float(one == other)


def _minus_gap(one: AnswerReading, other: AnswerReading) -> float:
    a, b = _as_number(one), _as_number(other)
    if a is None or b is None:
        known = b if a is None else a
        return 0.0 if known is None else -max(1.0, abs(known))
    return -abs(a - b)


def _as_number(reading: AnswerReading) -> float | None:
    """The number that a reading is; None for text, truth values, what cannot be read, and numbers that are names.

    A whole number over 2^53, such as an id, has neighbours that are the same float: it agrees or it does not.
    """
    if reading.value is None or reading.value in {"true", "false"} or _LONG_ID.fullmatch(reading.value):
        return None
    try:
        value = float(reading.value)
    except (ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None


def json_in(text: str) -> Iterator[Any]:
    """Values of the JSON in an answer: all of it, fenced blocks, then objects and arrays in the prose, outermost."""
    for candidate in (text, *(match[1] for match in _FENCE.finditer(text))):
        with suppress(ValueError):
            yield read_json(candidate)
    decoder, end = json.JSONDecoder(), 0
    for start in [match.start() for match in re.finditer(r"[{\[]", text)][:_MOST_STARTS]:
        if start < end:
            continue
        with suppress(ValueError, RecursionError):
            value, end = decoder.raw_decode(text, start)
            check_depth(value)
            yield value


def read_field(text: str, path: Sequence[str]) -> AnswerReading:
    """The field of that path in the first JSON of the answer that has it; steps are keys, or positions in arrays."""
    values: list[Any] = [value for value in json_in(nfc(text)) if isinstance(value, dict | list)]
    found = [field for field in (at_path(value, path) for value in values) if field is not None]
    if not found:
        return AnswerReading(f"no field {'.'.join(path)!r}" if values else "no JSON")
    try:
        return AnswerReading("value", nfc(canonical_json(found[0][0])))
    except ValueError:  # NaN and infinities are no JSON
        return AnswerReading("no JSON")


def at_path(value: Any, path: Sequence[str]) -> tuple[Any] | None:
    """The value at the end of the path, as a tuple of one (it may be None itself)."""
    for step in path:
        if isinstance(value, dict) and step in value:
            value = cast("dict[str, Any]", value)[step]
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(cast("list[Any]", value)):
            value = cast("list[Any]", value)[int(step)]
        else:
            return None
    return (value,)


def json_target(path: str) -> JsonField:
    """The target ``json:FIELD``.

    Raises:
        UsageError: if the path is empty, or has an empty step.
    """
    steps = tuple(nfc(path).split("."))
    if not all(steps):
        raise UsageError(f"target='json:{path}': give the field's path, such as 'json:price' or 'json:items.0.name'.")
    unit = f"{AGREES}; a number: minus the absolute difference, and one that is missing counts as 0, at least 1 away"
    return JsonField(TargetRecord(name=f"json:{path}", distance=f"field {path!r} of the JSON", unit=unit), steps)


def read_label(text: str, labels: Sequence[str]) -> AnswerReading:
    """The one label that an answer names, in any case, as whole words; one inside a longer label does not count.

    Words end where `whygen.texts.word_edges` says: ``positive`` is not in *nonpositive* or *non-positive*, and 正面 is
    in 这是正面评价. A particle may follow a Korean label.
    """
    fold = _folding(labels)
    plain = fold(text.strip().strip(".!\"'*` "))
    folded = {label: fold(label) for label in labels}
    for label in labels:
        if plain == folded[label]:
            return AnswerReading("value", label)
    answer = fold(text)
    edges, taken, named = word_edges(answer), set[int](), set[str]()
    for label in sorted(labels, key=lambda label: -len(folded[label])):
        for start, end in find_all(answer, folded[label]):
            places = set(range(start, end))
            if start in edges and _ends_there(answer, end, edges) and not places & taken:
                taken |= places
                named.add(label)
    if len(named) == 1:
        return AnswerReading("value", named.pop())
    return AnswerReading("several labels" if named else "no label")


_KOREAN_ENDING = re.compile(
    "(?:적|적인|적으로)?(?:이|가|은|는|을|를|의|에|로|으로|도|만|과|와|임|이다|입니다|이에요|예요|이며|이고|인)?"
)


def _ends_there(text: str, end: int, edges: frozenset[int]) -> bool:
    """Whether a word ends at a place, or a Korean one but for its particles."""
    if end in edges:
        return True
    follows = _KOREAN_ENDING.match(text, end)
    return follows is not None and follows.end() > end and follows.end() in edges


def _folding(labels: Sequence[str]) -> Callable[[str], str]:
    """How labels and answers are made alike: case, NFC, and the i of Turkish with or without its dot."""
    return _without_dots if len({_without_dots(label) for label in labels}) == len(labels) else _folded


def _folded(text: str) -> str:
    return nfc(nfc(text).casefold())


def _without_dots(text: str) -> str:
    return _folded(text).replace("i\u0307", "i").replace("\u0131", "i")


def label_target(labels: Sequence[str]) -> AnswerAgreement:
    """Which of the given labels the answer names.

    Raises:
        UsageError: if there are fewer than two, an empty one, or two that differ in case alone.
    """
    names = tuple(nfc(label).strip() for label in labels)
    if len(names) < 2 or not all(names) or len({_folded(name) for name in names}) < len(names):
        raise UsageError(f"labels={list(labels)!r}: give at least two different ones, such as 'label:yes,no'.")
    record = TargetRecord(name=f"label:{','.join(names)}", distance="label that the answer names", unit=AGREES)
    return AnswerAgreement(record, lambda output: read_label(output.said, names))


REFUSES_WITHIN = 160
"""Characters at the beginning of an answer in which a refusal is looked for."""

_SURE = 24
"""Letters from which an answer in another language counts as one: shorter ones may be a name or a number."""


_SPOKEN = re.compile(
    r"```.*?```|`[^`]*`|\"[^\"]*\"|“[^“”]*[”“]|„[^„“”]*[“”]|«[^«»]*»|»[^«»]*«|「[^「」]*」|『[^『』]*』"
    r"|(?<!\w)'(?:[^'\n]|(?<=\w)'(?=\w))+'(?!\w)",
    re.DOTALL,
)
"""What somebody else says, in a pair of quotation marks, and code."""


@cache
def refusals(reads: Literal["refusal", "none"] = "refusal") -> dict[str, re.Pattern[str]]:
    """For each language that refusals are read in, what they say, or what sounds like one and is none (idioms).

    ``refusals.tsv`` holds a pattern a line.
    """
    rows = resources.files("whygen.prompt.targets").joinpath("refusals.tsv").read_text(encoding="utf-8").splitlines()
    found: dict[str, list[str]] = {}
    for code, kind, pattern in (nfc(row).split("\t") for row in rows[1:]):
        if kind == reads:
            found.setdefault(code, []).append(pattern)
    return {code: re.compile("|".join(patterns), re.IGNORECASE) for code, patterns in found.items()}


def languages_read() -> str:
    """Names of the languages, for people."""
    names = [name_of_language(code) for code in refusals()]
    return f"{', '.join(names[:-1])} and {names[-1]}"


def read_refusal(output: Output) -> AnswerReading:
    """Whether an answer refuses; without a value where it is in a language that is not read.

    The provider's word goes first. Then the patterns of all languages, as an answer may begin in one and go on in
    another; that none is found counts as an answer only in a language that is read.
    """
    text = nfc(output.text).strip()
    if output.finish == "refused":
        return AnswerReading("value", "refused")
    beginning = _own_words(text.lower().translate({0x2018: "'", 0x2019: "'"}))[:REFUSES_WITHIN]
    for pattern in refusals("none").values():
        beginning = pattern.sub(" ", beginning)
    if any(pattern.search(beginning) for pattern in refusals().values()):
        return AnswerReading("value", "refused")
    language = language_of(text)
    if language is None or language in refusals() or sum(map(str.isalpha, text)) < _SURE:
        return AnswerReading("value", "answered")
    name = "a language that is not known here" if language == "other" else name_of_language(language)
    return AnswerReading(f"an answer in {name}")


def _own_words(text: str) -> str:
    """The text with what others say in it blanked; whole where nothing else is left, and in JSON, whose texts all stand
    in quotation marks.
    """
    if text[:1] in "{[":
        return text
    own = _SPOKEN.sub(lambda said: " " * len(said[0]), text)
    return own if any(map(str.isalpha, own)) else text


@dataclass(frozen=True, slots=True)
class Refusal(AnswerAgreement):
    """Whether the model refuses, as it did. A request that the provider refused is an answer here, not a failure."""

    def heard(self, failure: Failure) -> Output | Failure:
        """An output with the provider's words, where it refused."""
        return Output(text=failure.message, finish="refused") if failure.kind == "refused" else failure


def refusal_target() -> Refusal:
    """Whether the model refuses, as it did; positive pulls towards refusing if it refused, else towards answering."""
    distance = f"refusal, as the provider says or by phrases in {languages_read()}"
    advice = (
        f"Refusals are read in {languages_read()}. For another language give target='regex:PATTERN' of what a refusal "
        "says there, or a function of your own"
    )
    return Refusal(TargetRecord(name="refusal", distance=distance, unit=AGREES), read_refusal, advice=advice)
