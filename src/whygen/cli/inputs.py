"""``--inputs FILE``: the inputs that a template is explained over, and the template that they make of the prompt."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from whygen.errors import DataError, UsageError
from whygen.prompt.units import Input
from whygen.texts import read_text_file
from whygen.types import Chat, Message, Template

PLACE = "{input}"
"""Where an input stands in a text that has a place for it."""


def read_inputs(path: Path) -> list[Input]:
    """Inputs from a file: a JSON list of texts, or of objects with a text for each field; or a text on each line.

    Raises:
        MissingError: if the file is not there.
        DataError: if it holds something else.
    """
    content = read_text_file(path, "The file of inputs")
    if not content.lstrip().startswith("["):
        return [line for line in content.splitlines() if line.strip()]
    try:
        found: object = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"The inputs in {str(path)!r} are no JSON: {error}.") from None
    listed = cast("list[object]", found) if isinstance(found, list) else []
    if all(isinstance(item, str) for item in listed) or all(isinstance(item, dict) for item in listed):
        return cast("list[Input]", listed)
    raise DataError(f"The inputs in {str(path)!r} are neither a list of texts nor a list of objects.")


def over(given: str | Chat, inputs: Sequence[Input]) -> tuple[Template | Chat, list[Input]]:
    """The template, and the inputs as it takes them.

    A chat is followed by each input. A text is a template where it says ``{input}`` or where inputs are objects (each
    fills the fields that are named so), and a system prompt otherwise.

    Raises:
        UsageError: for a chat with inputs that are no texts.
    """
    objects = any(not isinstance(item, str) for item in inputs)
    if isinstance(given, Chat):
        if objects:
            raise UsageError("--chat goes with user messages: give --inputs a list of texts, not of objects.")
        return given, list(inputs)
    if objects:
        return Template(given), list(inputs)
    if PLACE in given:
        doubled = given.replace("{", "{{").replace("}", "}}").replace(f"{{{PLACE}}}", PLACE)
        return Template(doubled), [{"input": cast("str", item)} for item in inputs]
    return Chat((Message("system", given),)), list(inputs)
