"""The JSON in a file: one value, or one a line; how far it can be read where it was cut short."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

from whygen.errors import DataError
from whygen.records.fields import Field
from whygen.records.http_text import requests_in
from whygen.safe import DEEPEST, check_depth, read_json, without_secrets
from whygen.texts import read_text_file

MOST_BYTES = 128 * 2**20
"""A larger file is a log of days."""
MOST_RECORDS = 100_000


ARCHIVE = b"PK\x03\x04"
"""How a zip archive begins, such as the log that inspect_ai writes."""


def beginning(path: Path) -> bytes:
    """The first bytes of a file; none of what cannot be read, which `load` says."""
    try:
        if not path.is_file():  # a pipe that nobody writes into would be waited for
            return b""
        with path.open("rb") as opened:
            return opened.read(16)
    except (OSError, ValueError):
        return b""


class Items(NamedTuple):
    """What a file holds.

    Attributes:
        found: its values.
        cut: what is said where the file ends in the middle of a value; empty where it is whole.
    """

    found: list[Field]
    cut: str = ""


def load(path: Path) -> Items:
    """The values in a file: of a JSON list of records each one, of JSON lines each line's.

    Raises:
        MissingError: if the file is not there.
        DataError: if it is too large, or no JSON; says how far it can be read.
    """
    text = read_text_file(path, "The record", most=MOST_BYTES)
    named = repr(str(path.name))
    if not text.strip():
        raise DataError(f"The record {named} is empty.")
    try:
        return Items([Field(read_json(text), "", named)])
    except ValueError as error:
        lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
        if len(lines) > 1 and _is_json(lines[0][1]):
            return _lines(lines, named)
        if written := requests_in(text, named):
            return Items(written)
        return _in_a_row(text, named) or _refused(text, named, error)


def _refused(text: str, named: str, error: ValueError) -> Items:
    raise _no_json(text, named, error) from None


def _in_a_row(text: str, named: str) -> Items | None:
    """Values one after another, each over several lines, as consoles get them; None if there is only one."""
    decoder, found, place = json.JSONDecoder(), list[Field](), 0
    text = text.strip()
    if text[0] not in "{[":
        return None
    while place < len(text) and len(found) < MOST_RECORDS:
        source = f"{named}, value {len(found) + 1}"
        try:
            value, place = decoder.raw_decode(text, place)
            check_depth(value)
        except (ValueError, RecursionError):
            if not found:
                return None
            return Items(found, f"{source} is no whole JSON; all values before it are.")
        found.append(Field(value, "", source))
        while place < len(text) and text[place].isspace():
            place += 1
    return Items(found)


def _is_json(text: str) -> bool:
    try:
        return isinstance(read_json(text), dict | list)
    except ValueError:
        return False


def _lines(lines: list[tuple[int, str]], named: str) -> Items:
    if len(lines) > MOST_RECORDS:
        raise DataError(f"{named} has {len(lines):,} lines; {MOST_RECORDS:,} are read. Take out those that matter.")
    found: list[Field] = []
    for place, (number, line) in enumerate(lines):
        source = f"{named}, line {number}"
        try:
            found.append(Field(read_json(line), "", source))
        except ValueError as error:
            if place == len(lines) - 1 and isinstance(error, json.JSONDecodeError):
                return Items(
                    found, f"{source} is cut short after {len(line):,} characters; all lines before it are whole."
                )
            raise DataError(f"{source} is no JSON: {error}.") from None
    return Items(found)


def _no_json(text: str, named: str, error: ValueError) -> DataError:
    """What is wrong with a file that is no JSON; of one that was cut short, where it ends."""
    if not isinstance(error, json.JSONDecodeError):
        return DataError(f"The record {named} cannot be read: {error}.")
    end = len(text.rstrip())
    if _PYTHON.match(text):
        return DataError(f"The record {named} is written as Python shows it, and no JSON: write it by json.dumps.")
    if text.lstrip()[:1] not in {"{", "["}:
        told = next((told for pattern, told in _TEXTS if pattern.match(text)), "")
        is_what = (
            f"no JSON, but {told}"
            if told
            else f"no JSON: it begins with {without_secrets(text.lstrip()[:_SHOWN])[:20]!r}"
        )
        return DataError(f"The record {named} is {is_what}. {_FORMS}")
    if error.pos >= end - 1 or error.msg.startswith("Unterminated string"):
        way = open_at_end(text)
        inside = f", inside {way}" if way else ""
        return DataError(
            f"The record {named} was cut short: it is JSON up to its end, at line {error.doc.count(chr(10)) + 1}, "
            f"character {end:,}{inside}. All before that is whole; get a whole copy of it, or close it there by hand."
        )
    return DataError(f"The record {named} is no JSON from line {error.lineno}, column {error.colno} on: {error.msg}.")


_SHOWN = 300
"""Characters in which keys are looked for before the first of them are shown."""
_PYTHON = re.compile(r"\s*[\[{]+\s*'")
_HEAD = r"(?:%YAML.*\n)?(?:---.*\n)?(?:#.*\n)*"
"""What YAML may begin with."""
_CELL = r"(?:\"(?:[^\"\n]|\"\")*\"|[\w.-]+(?: [\w.-]+)?)"
"""Of the first line of a table."""
_TEXTS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\s*(?:data|event):"), "an answer in pieces without its request: give both, {request, response}"),
    (re.compile(r"[*>] .*\n|\* "), "what curl says of a transfer (-v), without what it sent: give the command itself"),
    (re.compile(r"\d+:\d+:"), "flows of mitmproxy: save them by mitmdump -nr FILE --set hardump=OUT.har"),
    (
        re.compile(
            r"(?:https?|xh) (?:\S+ )*(?:POST|\S+/)|(?:wget|iwr|irm|Invoke-\w+|const|let|await|import) |fetch\(|"
            r"from [\w.]+ import "
        ),
        "a program or a command that is not read: give the JSON of what it sends, or a curl command",
    ),
    (
        re.compile(rf"{_HEAD}(?:version: .*\n)?interactions:\s*\n *- "),
        "a cassette of vcrpy as YAML: record it with serializer='json', or give the same as JSON",
    ),
    (re.compile(rf"{_HEAD}(?:- )?[\w-]+:(?: .*)?\r?\n *(?:[\w-]+:|- )"), "YAML: give the same as JSON"),
    (
        re.compile(rf"(?:{_CELL})?(?:[,;\t]{_CELL})+\r?\n[^\n]*[,;\t]|[^\n\"{{\[]*,\"[^\n]*\",[^\n]*\r?\n"),
        "a table (CSV): export it as JSON or JSON lines",
    ),
)
"""Texts that people have in place of a record, and what to do with each."""
_FORMS = "A record is JSON, one value or one a line; the forms that are read: docs/why.md."


def open_at_end(text: str) -> str:
    """The way to the value inside which a JSON text ends, such as ``messages[2].content``."""
    way: list[str | int] = []
    place, key = 0, ""
    while place < len(text) and len(way) <= DEEPEST:
        letter = text[place]
        if letter == '"':
            end = _end_of_string(text, place)
            if end is None:
                break
            key, place = text[place + 1 : end], end
        elif letter in "[{":
            way.append(0 if letter == "[" else "")
        elif letter in "]}" and way:
            way.pop()
        elif letter == ":" and way:
            way[-1] = key[:80]
        elif letter == "," and way:
            last = way[-1]
            way[-1] = last + 1 if isinstance(last, int) else ""
        place += 1
    return "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in way).strip(".")


def _end_of_string(text: str, start: int) -> int | None:
    """Where the string that begins at ``start`` is closed; None where it is not."""
    place = start + 1
    while (end := text.find('"', place)) >= 0:
        slashes = len(text[start + 1 : end]) - len(text[start + 1 : end].rstrip("\\"))
        if slashes % 2 == 0:
            return end
        place = end + 1
    return None
