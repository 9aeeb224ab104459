"""What is explained of a call, chosen from what was answered, and said."""

from __future__ import annotations

import re
from typing import NamedTuple, cast

from whygen.prompt.targets.structured import read_refusal
from whygen.safe import read_json
from whygen.types import Output


class Aim(NamedTuple):
    """A target and why it was chosen."""

    target: str
    reason: str


def aim_at(answer: Output, *, recorded: bool) -> Aim:
    """What to explain of an answer.

    Args:
        answer: the recorded one, else what the model says now.
        recorded: whether it stood in the record.
    """
    who = "the recorded answer" if recorded else "the answer, which the record does not hold and was asked for,"
    names = list(dict.fromkeys(call.name for call in answer.calls))
    if len(names) == 1:
        return Aim(f"tool:{_quoted(names[0])}", f"whether {names[0]} is called, as {who} calls it")
    if names:
        return Aim("tool", f"which tools are called, as {who} calls {', '.join(names)}")
    if read_refusal(answer).value == "refused":
        return Aim("refusal", f"whether the model refuses, as {who} does")
    fields = _fields(answer.text)
    if len(fields) == 1:
        return Aim(f"json:{fields[0]}", f"the field {fields[0]} of the JSON, as {who} is JSON")
    if fields:
        others = ", ".join(f"json:{name}" for name in fields)
        return Aim("exact", f"the whole JSON, as {who} is JSON; --target {others} explains a field of it")
    return Aim("auto", f"the text, as {who} calls no tool and refuses nothing")


def _quoted(name: str) -> str:
    return f'"{name}"' if re.search(r"[.\[\]]", name) else name


def _fields(text: str) -> list[str]:
    """The fields of an answer that is a JSON object and nothing else."""
    try:
        value: object = read_json(text.strip())
    except ValueError:
        return []
    if not isinstance(value, dict):
        return []
    return [name for name in cast("dict[str, object]", value) if name and "." not in name]
