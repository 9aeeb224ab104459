"""Prompts in a file: a text on each line, or JSON Lines of texts, chats and recorded calls; inputs of a template."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from whygen.errors import DataError
from whygen.prompt.chat_files import chat_from_json
from whygen.prompt.units import Input
from whygen.records import Call, read_calls
from whygen.records.fields import Field
from whygen.records.reading import Recorded, calls_in, holds_record
from whygen.safe import read_json
from whygen.texts import read_text_file
from whygen.types import Source

MOST_BYTES = 256 * 2**20
"""Of a file of prompts."""
_JSON = frozenset({".json", ".jsonl", ".ndjson"})
"""Files that hold no plain lines, such as one that begins with a quotation mark."""
_FORM = (
    'Give a text, or an object with "prompt" (a text), "messages" (a chat), or a request as it was recorded; "id" or '
    '"name" is what it is called.'
)


@dataclass(frozen=True, slots=True)
class NamedPrompt:
    """A prompt of many, which is read when its turn comes: what is wrong with it harms no other."""

    name: str
    read: Callable[[], Source | Call]


def read_prompts(path: Path | str) -> list[NamedPrompt]:
    """The prompts in a file.

    Args:
        path: ``.jsonl`` or a JSON list: a text, an object with ``prompt``, ``text`` or ``messages``, or a recorded
            request each; any other file of recorded calls that `Call.read` knows; or plain text, a prompt on each line.

    Raises:
        MissingError: if the file is not there.
        DataError: if it is empty, too large or no text.
    """
    file = Path(path)
    text = read_text_file(file, "The file of prompts", most=MOST_BYTES)
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if not lines:
        raise DataError(f"{str(file)!r} holds no prompt. {_FORM}")
    if text.lstrip()[0] in '{["':
        values = _values(file, text, lines)
        if file.suffix.lower() in _JSON or _is_json([value for _, value in values]):
            recorded = [_recorded(file, place, value) for place, value in values]
            return _mixed(file, values, recorded) if None in recorded else _named_calls(read_calls(file))
    return [NamedPrompt(f"line {number}", _given(line.strip())) for number, line in lines]


def _values(file: Path, text: str, lines: list[tuple[int, str]]) -> list[tuple[str, object]]:
    """Each value with its place; an error in the place of one that cannot be read."""
    try:
        whole: object = read_json(text)
    except ValueError:
        return [(f"line {number}", _value(file, number, line)) for number, line in lines]
    items = cast("list[object]", whole) if isinstance(whole, list) else [whole]
    return [(f"item {number}", item) for number, item in enumerate(items, start=1)]


def _value(file: Path, number: int, line: str) -> object:
    try:
        return read_json(line)
    except ValueError as error:
        return DataError(f"Line {number} of {str(file)!r} is no JSON: {error}.")


def _is_json(values: list[object]) -> bool:
    """Whether these are lines of JSON, of which some may be broken: a person writes a line in quotation marks, too."""
    written = any(isinstance(value, dict | list) for value in values)
    return written or not any(isinstance(value, Exception) for value in values)


def _fields(value: object) -> dict[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def _is_call(value: object) -> bool:
    fields = _fields(value)
    return bool({"request", "model", "resourceSpans", "observations", "attributes"} & fields.keys())


def _recorded(file: Path, place: str, value: object) -> Field | None:
    """What may be a recorded call, or a piece of one; None for a prompt, and for what cannot be read."""
    field = Field(value, "", f"{file.name!r}, {place}")
    return field if _is_call(value) and holds_record(field) else None


def _mixed(file: Path, values: list[tuple[str, object]], recorded: list[Field | None]) -> list[NamedPrompt]:
    """Prompts, and what cannot be read, each in its place; the calls among them together, where the first one stands.

    Spans of one call may stand in several lines, so that a line is no call by itself.
    """
    calls = [field for field in recorded if field is not None]
    found: list[NamedPrompt] = []
    for (place, value), field in zip(values, recorded, strict=True):
        if field is None:
            found.append(_one(file, place, value))
        elif calls:
            found += _named_calls(calls_in(calls))
            calls = []
    return found


def _named_calls(calls: list[Recorded]) -> list[NamedPrompt]:
    return [NamedPrompt(each.id or f"call {each.number}", each.call) for each in calls]


def _one(file: Path, place: str, value: object) -> NamedPrompt:
    fields = _fields(value)
    named = next((str(fields[key]) for key in ("id", "name") if isinstance(fields.get(key), str | int)), place)
    return NamedPrompt(named, lambda: _read(file, place, value))


def _read(file: Path, place: str, value: object) -> Source:
    if isinstance(value, Exception):
        raise value
    if isinstance(value, str):
        return value
    fields = _fields(value)
    for key in ("prompt", "text"):
        if isinstance(found := fields.get(key), str):
            return found
    turns = fields.get("messages", fields.get("prompt"))
    if isinstance(turns, list):
        return chat_from_json(cast("list[object]", turns), folder=file.parent)
    if _is_call(value):
        calls_in([Field(value, "", f"{file.name!r}, {place}")])  # says what is missing
    raise DataError(f"{place.capitalize()} of {str(file)!r} holds no prompt. {_FORM}")


def _given(text: str) -> Callable[[], Source]:
    return lambda: text


def parse_inputs(content: str, *, named: str, plain: bool) -> list[Input]:
    """Inputs of a template: a JSON list or JSON Lines of texts, or of objects with a text for each field; plain lines.

    Args:
        content: what was written.
        named: how an error calls it.
        plain: whether lines that are no JSON are inputs too.

    Raises:
        DataError: if it holds something else.
    """
    if plain and not content.lstrip().startswith("["):
        lines = [line for line in content.split("\n") if line.strip()]
        with suppress(ValueError):
            rows = [read_json(line) for line in lines]
            if all(isinstance(row, dict) for row in rows):
                return cast("list[Input]", rows)
        return list[Input](lines)
    try:
        found: object = read_json(content)
    except ValueError as error:
        found = _input_rows(content, error, named=named)
    listed = cast("list[object]", found) if isinstance(found, list) else [found]
    if all(isinstance(item, str) for item in listed) or all(isinstance(item, dict) for item in listed):
        return cast("list[Input]", listed)
    raise DataError(
        f"{named} are neither a list of texts nor a list of objects. Give texts alone, or objects "
        'alone, each with a text for every field of the template: ["red", "blue"] or [{"colour": "red"}].'
    )


def _input_rows(content: str, error: ValueError, *, named: str) -> list[object]:
    """The values of JSON Lines.

    Raises:
        DataError: naming the line that is none; where no line before it is one, with the error of the whole.
    """
    rows: list[object] = []
    for number, line in enumerate(content.split("\n"), start=1):
        try:
            rows += [read_json(line)] if line.strip() else []
        except ValueError as wrong:
            said = f"line {number}: {wrong}" if rows else str(error)
            raise DataError(
                f"{named} are no JSON: {said}. Give one JSON list, a JSON value on each line, or "
                "plain lines in a .txt file that does not begin with a bracket."
            ) from None
    if not rows:
        raise DataError(f"{named} are empty. Give one at least.")
    return rows
