"""Calls of tools: which are called, whether one is, and what it is called with. The effect is agreement.

What counts is what the provider says was called; of a model that writes its calls as text, what stands in the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from whygen.errors import DataError, UsageError
from whygen.models.written import calls_told, calls_written
from whygen.prompt.targets.scored import shown
from whygen.prompt.targets.structured import AGREES, AnswerAgreement, AnswerReading, at_path, json_in
from whygen.results.prompt import TargetRecord
from whygen.texts import nfc
from whygen.types import JsonValue, Output, ToolCall, canonical_json

_STEP: Final = re.compile(r"\[([0-9]+)\]|\.([^.\[\]]+)")
_PATH: Final = re.compile(rf'(?:"([^"]+)"|([^.\[\]"]+))((?:{_STEP.pattern})*)')
"""The name of a tool, in quotes where it has a full stop or a bracket, and the path of an argument."""
_FORM: Final = "Write 'tool:send_email' for whether it is called, or 'tool:send_email.items[0].sku' for an argument."


def calls_of(output: Output) -> tuple[ToolCall, ...]:
    """The calls of an answer: those that the provider tells, else those that stand in its text."""
    if output.calls:
        return output.calls
    told = output.extra.get("tool_calls")  # as callables and older records say it
    found = tuple(calls_told(list(told))) if isinstance(told, list | tuple) else ()
    if found:
        return found
    _, marked = calls_written(output.text, ())
    return marked or tuple(call for value in list(json_in(output.text))[:1] for call in calls_told(value))


def read_tool(output: Output) -> AnswerReading:
    """The tools that an answer calls, in order."""
    found = [call.name for call in calls_of(output)]
    return AnswerReading("value", ", ".join(found)) if found else AnswerReading("no tool")


def tool_target() -> AnswerAgreement:
    """Which tools the model calls; none is a choice too."""
    record = TargetRecord(name="tool", distance="tools that are called", unit=AGREES)
    return AnswerAgreement(record, read_tool, needs_value=False)


@dataclass(frozen=True, slots=True)
class ToolArgument(AnswerAgreement):
    """The value of one argument of a tool, as in the reference. An answer that does not call it disagrees."""

    def unread(self, outputs: Sequence[Output]) -> tuple[str, ...]:
        """None: another tool, or none, is an answer like any other, and `outcomes` counts it."""
        del outputs
        return ()

    def check(self, reference: Output) -> None:
        """Raise `DataError`, which says what is called instead, if the reference has no such argument."""
        reading = self.read(reference)
        if reading.value is None:
            called = ", ".join(call.said for call in calls_of(reference))
            raise DataError(
                f"target={self.record.name!r} cannot be measured: {reading.kind} in the reference answer, which "
                f"{f'calls {shown(called)}' if called else f'is {shown(reference.said)}'}. Choose an argument that is "
                "there, or target='tool' for which tools are called."
            )


def named_tool_target(argument: str) -> AnswerAgreement:
    """The target ``tool:NAME`` (whether it is called) or ``tool:NAME.ARGUMENT`` (with which value).

    Raises:
        UsageError: if it names no tool, or a step of the path is empty.
    """
    match = _PATH.fullmatch(nfc(argument).strip())
    if match is None:
        raise UsageError(f"target='tool:{argument}' names no tool, or no argument of one. {_FORM}")
    name, path = match[1] or match[2], match[3]
    if not path:
        record = TargetRecord(name=f"tool:{argument}", distance=f"whether the tool {name!r} is called", unit=AGREES)
        return AnswerAgreement(record, lambda output: read_called(output, name))
    steps = tuple(each[1] or each[2] for each in _STEP.finditer(path))
    distance = f"argument {path.lstrip('.')!r} of the tool {name!r}"
    record = TargetRecord(name=f"tool:{argument}", distance=distance, unit=f"{AGREES}, or not called")
    return ToolArgument(record, lambda output: read_argument(output, name, steps))


def tool_named(argument: str) -> str | None:
    """The tool that ``tool:NAME`` or ``tool:NAME.ARGUMENT`` means; None of what is neither."""
    match = _PATH.fullmatch(nfc(argument).strip())
    return None if match is None else match[1] or match[2]


def read_called(output: Output, name: str) -> AnswerReading:
    """Whether a tool is among those that an answer calls."""
    called = any(nfc(call.name) == name for call in calls_of(output))
    return AnswerReading("value", f"calls {name}" if called else f"does not call {name}")


def read_argument(output: Output, name: str, path: Sequence[str]) -> AnswerReading:
    """The value of an argument; of a tool that is called several times, the values of all of its calls, in order."""
    calls = [call for call in calls_of(output) if nfc(call.name) == name]
    found = [at_path(call.values, path) for call in calls]
    values = [_plain(value[0]) for value in found if value is not None]
    if not values:
        broken = any(isinstance(call.values, str) for call in calls)
        reason = "arguments that are no JSON" if broken else f"no argument {'.'.join(path)!r} of {name}"
        return AnswerReading(reason if calls else f"no call of {name}")
    try:
        return AnswerReading("value", " and ".join(nfc(canonical_json(value)) for value in values))
    except ValueError:  # NaN and infinities are no JSON
        return AnswerReading("arguments that are no JSON")


def _plain(value: JsonValue) -> JsonValue:
    """A value with its whole numbers written alike: models write 2 and 2.0 for the same."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value
