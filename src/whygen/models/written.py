"""Calls of tools that a model wrote into its text, as chat templates of open models have them.

Known are JSON between ``<tool_call>`` and its end (Hermes, Qwen), Qwen's ``<function=NAME>`` with its parameters, JSON
after ``<|python_tag|>`` or as the whole answer (Llama 3), and what follows ``[TOOL_CALLS]`` (Mistral).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final, cast

from whygen.models.turns import call_of
from whygen.safe import check_depth
from whygen.types import ToolCall

_MARKED: Final = re.compile(r"<tool_call>\s*(.*?)\s*(?:</tool_call>|\Z)", re.DOTALL)
_FUNCTION: Final = re.compile(r"<function=([^>\n]+)>(.*?)(?:</function>|\Z)", re.DOTALL)
_PARAMETER: Final = re.compile(r"<parameter=([^>\n]+)>\n?(.*?)\n?(?:</parameter>|\Z)", re.DOTALL)
_AFTER: Final = ("<|python_tag|>", "[TOOL_CALLS]")
_NAMED: Final = re.compile(r"\s*([\w.-]+)\s*(?:\[CALL_ID\][\w-]+\s*)?(?:\[ARGS\])?\s*(?=\{)")
"""The name before its arguments, as newer templates of Mistral have it."""
_BETWEEN: Final = re.compile(r"[\s;,]*")


def calls_written(text: str, names: Collection[str]) -> tuple[str, tuple[ToolCall, ...]]:
    """The text without the calls that stand in it, and the calls, in order.

    Args:
        text: what the model wrote, its special tokens included.
        names: of the tools that could be called: an answer that is JSON and nothing else counts as a call of one of
            these alone. A mark of a call speaks for itself.
    """
    if marked := list(_MARKED.finditer(text)):
        calls = [call for match in marked for call in _inside(match[1])]
        return (_MARKED.sub("", text).strip(), tuple(calls)) if calls else (text, ())
    for mark in _AFTER:
        before, found, after = text.partition(mark)
        if found and (calls := [call for piece in after.split(mark) for call in _in_a_row(piece)]):
            return before.strip(), tuple(calls)
    calls = list(_in_a_row(text)) if text.lstrip()[:1] in ("{", "[") else []
    known = bool(calls) and all(call.name in names for call in calls)
    return ("", tuple(calls)) if known else (text, ())


def _inside(text: str) -> Iterator[ToolCall]:
    """The calls between the marks."""
    if functions := list(_FUNCTION.finditer(text)):
        for match in functions:
            values = {each[1].strip(): _value(each[2]) for each in _PARAMETER.finditer(match[2])}
            yield call_of(match[1].strip(), values)
    else:
        yield from _in_a_row(text)


def _value(text: str) -> object:
    """What a parameter says: JSON where it is JSON, else the text."""
    with suppress(ValueError, RecursionError):
        return json.loads(text)
    return text


def _in_a_row(text: str) -> Iterator[ToolCall]:
    """Calls that follow each other from the beginning of a text; what comes after them is left out."""
    decoder, place = json.JSONDecoder(), 0
    while (place := cast("re.Match[str]", _BETWEEN.match(text, place)).end()) < len(text):
        named = _NAMED.match(text, place)
        try:
            value, place = decoder.raw_decode(text, named.end() if named else place)
            check_depth(value)
        except (ValueError, RecursionError):
            return
        if named:
            yield call_of(named[1], value)
        else:
            yield from calls_told(value)


def calls_told(value: object) -> Iterator[ToolCall]:
    """The calls that a value of JSON names: ``{"name": ..., "arguments": ...}`` or its like, or a list of such."""
    for each in cast("list[object]", value) if isinstance(value, list) else [value]:
        if (call := _told(each)) is not None:
            yield call


def _told(value: object) -> ToolCall | None:
    """The name in ``{"tool": ...}``, ``{"function": ...}`` or ``{"name": ...}``, or in an object in one of these."""
    for _ in range(2):
        fields: Mapping[str, Any] = cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
        value = next((fields[key] for key in ("tool", "function", "name") if fields.get(key)), None)
        if isinstance(value, str):
            asked = next((fields[key] for key in _ARGUMENTS if fields.get(key) is not None), None)
            return call_of(value, asked)
    return None


_ARGUMENTS: Final = ("arguments", "parameters", "input", "args")
