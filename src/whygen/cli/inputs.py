"""What the commands about prompts take beside the prompt: inputs in a file, and further settings of a service."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, cast

from whygen.cli.options import option
from whygen.errors import DataError, UsageError
from whygen.prompt.units import Input
from whygen.safe import read_json
from whygen.texts import read_text_file
from whygen.types import JsonValue

Setting = Annotated[
    list[str] | None,
    option(
        "For experts: the answers",
        "--setting",
        metavar="NAME=VALUE",
        help="A further parameter of the service; may be given again.",
    ),
]


def read_inputs(path: Path) -> list[Input]:
    """Inputs from a file: a JSON list or JSON Lines of texts, or of objects with a text for each field; or plain lines.

    Raises:
        MissingError: if the file is not there.
        DataError: if it holds something else.
    """
    content = read_text_file(path, "The file of inputs")
    if not content.lstrip().startswith("[") and path.suffix.lower() not in {".jsonl", ".ndjson", ".json"}:
        lines = [line for line in content.split("\n") if line.strip()]
        with suppress(ValueError):
            rows = [read_json(line) for line in lines]
            if all(isinstance(row, dict) for row in rows):
                return cast("list[Input]", rows)
        return list[Input](lines)
    try:
        found: object = read_json(content)
    except ValueError as error:
        found = _rows(path, content, error)
    listed = cast("list[object]", found) if isinstance(found, list) else [found]
    if all(isinstance(item, str) for item in listed) or all(isinstance(item, dict) for item in listed):
        return cast("list[Input]", listed)
    raise DataError(
        f"The inputs in {str(path)!r} are neither a list of texts nor a list of objects. Give texts alone, or objects "
        'alone, each with a text for every field of the template: ["red", "blue"] or [{"colour": "red"}].'
    )


def _rows(path: Path, content: str, error: ValueError) -> list[object]:
    """The values of JSON Lines.

    Raises:
        DataError: naming the line that is none; where no line before it is one, with the error of the whole file.
    """
    rows: list[object] = []
    for number, line in enumerate(content.split("\n"), start=1):
        try:
            rows += [read_json(line)] if line.strip() else []
        except ValueError as wrong:
            said = f"line {number}: {wrong}" if rows else str(error)
            raise DataError(
                f"The inputs in {str(path)!r} are no JSON: {said}. Give one JSON list, a JSON value on each line, or "
                "plain lines in a .txt file that does not begin with a bracket."
            ) from None
    if not rows:
        raise DataError(f"The inputs in {str(path)!r} are empty. Give one at least.")
    return rows


def read_settings(given: Sequence[str] | None) -> dict[str, JsonValue]:
    """Further parameters, from ``NAME=VALUE``: the value is JSON where it can be, else a text.

    Raises:
        UsageError: for one without a name or a value, or a name that stands there twice.
    """
    found: dict[str, JsonValue] = {}
    for each in given or ():
        name, equals, value = each.partition("=")
        if not (name.strip() and equals):
            raise UsageError(f"--setting {each!r}: write NAME=VALUE, such as --setting presence_penalty=0.5.")
        if name in found:
            raise UsageError(f"--setting {name} is given twice: leave one of them out.")
        try:
            found[name] = cast("JsonValue", json.loads(value, parse_constant=_no_constant))
        except (ValueError, RecursionError):
            found[name] = value
    return found


def _no_constant(name: str) -> JsonValue:
    raise ValueError(f"{name} is no JSON")
