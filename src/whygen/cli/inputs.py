"""What the commands about prompts take beside the prompt: inputs in a file, and further settings of a service."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, cast

from whygen.cli.options import option
from whygen.errors import UsageError
from whygen.prompt.prompt_files import parse_inputs
from whygen.prompt.units import Input
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
    """Inputs from a file, see `parse_inputs`; a file that is called JSON holds no plain lines.

    Raises:
        MissingError: if the file is not there.
        DataError: if it holds something else.
    """
    content = read_text_file(path, "The file of inputs")
    plain = path.suffix.lower() not in {".jsonl", ".ndjson", ".json"}
    return parse_inputs(content, named=f"The inputs in {str(path)!r}", plain=plain)


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
