"""The messages of Vercel's AI SDK, as it sends them to a model and as its pages keep them: put into OpenAI's words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from whygen.records.fields import Field
from whygen.records.openai_chat import arguments_text

_OWN = frozenset({"tool-call", "tool-result"})


def speaks(turn: Field) -> bool:
    """Whether a message is in the SDK's words: what a model is sent, or what a page keeps (parts, or before: calls)."""
    if _is_older(turn):
        return True
    if turn["parts"].is_list and turn["role"].is_text and not turn["content"].there:
        return all(part["type"].is_text and not part["content"].there for part in turn["parts"])
    return turn["content"].is_list and any(part["type"].name() in _OWN for part in turn["content"])


def messages(turns: Field) -> Iterator[dict[str, Any]]:
    """The messages; each result of a tool is one of its own."""
    for turn in turns:
        if turn["parts"].is_list and (_is_older(turn) or not turn["content"].there):
            yield from _of_a_page(turn, list(turn["parts"]))
        else:
            yield from _of_a_page(turn, _before(turn)) if _is_older(turn) else _turns(turn)


def _is_older(turn: Field) -> bool:
    """Whether a page of an older version keeps calls in a message, beside its text or among its parts."""
    among = turn["parts"].is_list and any(part["toolInvocation"].is_object for part in turn["parts"])
    return among or (turn["toolInvocations"].is_list and bool(turn["toolInvocations"].value))


def _before(turn: Field) -> list[Field]:
    """The parts of a message of a page as older versions keep it: its calls, and what was said after them."""
    said = Field({"type": "text", "text": turn["content"].value}, turn.place, turn.source)
    return [*turn["toolInvocations"], *([said] if turn["content"].value else [])]


def _of_a_page(turn: Field, parts: list[Field]) -> Iterator[dict[str, Any]]:
    """The messages that one of a page is: tools are run inside of an assistant's, step by step."""
    said: list[Any] = []
    calls: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for whole in parts:
        kind = whole["type"].name()
        part = whole["toolInvocation"] if whole["toolInvocation"].is_object else whole
        if kind == "step-start" and (said or calls):
            yield _said(turn, said, calls)
            yield from results
            said, calls, results = [], [], []
        elif part["toolCallId"].there:
            named = part.first("toolName", "type").name().removeprefix("tool-")
            again = {
                "toolName": named,
                "toolCallId": part["toolCallId"].value,
                "input": part.first("input", "args").value,
            }
            calls.append(call_of(Field(again, part.place, part.source)))
            if (gave := part.first("output", "result", "errorText")).there:
                told = {**again, "output": gave.value}
                results.append(_result(Field(told, part.place, part.source)))
        elif kind != "step-start" and not kind.startswith("data-"):
            said.append(_part(part))
    yield _said(turn, said, calls)
    yield from results


def _said(turn: Field, said: list[Any], calls: list[dict[str, Any]]) -> dict[str, Any]:
    return {"role": turn["role"].value, "content": said or "", **({"tool_calls": calls} if calls else {})}


def _turns(turn: Field) -> list[dict[str, Any]]:
    """The messages that one of the SDK's is: each result of a tool is one of its own."""
    role, content = turn["role"].value, turn["content"]
    if not content.is_list:
        return [{"role": role, "content": content.value}]
    made = [_result(part) for part in content if part["type"].value == "tool-result"]
    parts = [each for part in content if (each := _part(part)) is not None]
    called = [call_of(part) for part in content if part["type"].value == "tool-call"]
    if parts or called:
        said: dict[str, Any] = {"role": role, "content": parts or None}
        made.append({**said, "tool_calls": called} if called else said)
    return made


def call_of(part: Field) -> dict[str, Any]:
    """A call of a tool."""
    function = {"name": part["toolName"].value, "arguments": arguments_text(part.first("input", "args"))}
    return {"id": part["toolCallId"].name(), "function": function}


def _result(part: Field) -> dict[str, Any]:
    output = part.first("output", "result")
    inside = output["value"] if output["type"].is_text and output["value"].there else output
    return {"role": "tool", "tool_call_id": part["toolCallId"].name(), "content": inside.written()}


def _part(part: Field) -> Any:
    kind = part["type"].name()
    if kind in {"tool-call", "tool-result"}:
        return None
    if kind == "image" or (kind == "file" and part["mediaType"].name().startswith("image/")):
        return {"type": "image_url", "image_url": {"url": part.first("image", "data", "url").value}}
    return part.value
