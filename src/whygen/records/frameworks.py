"""Messages in the words of any other framework: who speaks, what is called and what came back, by what a part holds.

Frameworks name things alike and not the same (``tool_call``, ``function_call``; ``call_id``, ``toolCallId``), so one
reader of all these names stands for one of each: AutoGen, Haystack, LlamaIndex, smolagents and their like.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, cast

from whygen.records.fields import Field
from whygen.records.openai_chat import ROLES, arguments_text

_CALLED = ("tool_call", "toolCall", "function_call", "functionCall")
_GAVE = (
    "tool_call_result", "tool_result", "function_response", "functionResponse", "tool_response", "toolResponse",
    "function_result", "toolResult",
)  # fmt: skip
"""Names under which a part holds a call, or what a tool gave back."""
_IDS = ("tool_call_id", "toolCallId", "call_id", "callId", "tool_use_id", "id")
_NAMES = ("name", "tool_name", "toolName")
_ARGUMENTS = ("arguments", "args", "input", "tool_args", "tool_kwargs", "parameters")
_RESULTS = ("content", "result", "output", "response", "text", "value")
_CONTENTS = ("content", "_content", "parts", "blocks", "items")
_SPEAKERS = {
    "user": "user", "human": "user", "ai": "assistant", "assistant": "assistant", "model": "assistant",
    "agent": "assistant", "bot": "assistant", "chatbot": "assistant", "system": "system", "developer": "system",
    "tool": "tool", "function": "tool", "tool-call": "assistant", "tool-response": "user",
}  # fmt: skip
"""Who speaks. A call and a result that were written into a text are sent as one, by who says it."""
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_TYPES = frozenset({
    "tool_call", "tool_result", "tool_response", "function_call", "function_response", "function_result",
})  # fmt: skip
"""Kinds of parts (`_kind`) that say what they are."""


def speaks(turn: Field) -> bool:
    """Whether a message is in words that neither a service nor a framework with a reader of its own takes."""
    role = turn["role"].name()
    if turn["kwargs"].is_object or turn["toolInvocations"].there or role in {"human", "ai"}:  # these have readers
        return False
    if role and _speaker(role) and not turn.first(*_CONTENTS, "tool_calls").there and turn["text"].is_text:
        return True
    if role and role not in ROLES and _speaker(role):
        return turn.first(*_CONTENTS).there
    told = role or (turn["source"].is_text and _WORD.findall(turn["type"].name())[-1:] in (["Message"], ["Event"]))
    parts = _parts(turn)
    return bool(told) and (any(_kind(part) or _called(part) is not None or _gave(part) is not None for part in parts))


def _parts(turn: Field) -> list[Field]:
    found = turn.first(*_CONTENTS)
    return list(found) if found.is_list else []


def _speaker(said: str) -> str:
    """Who speaks, by the name of a role or of a class of messages; empty where neither tells."""
    words = [word.lower() for word in _WORD.findall(said)]
    return next((_SPEAKERS[each] for each in (said.lower(), "-".join(words[-2:]), *words) if each in _SPEAKERS), "")


def _held(part: Field, names: tuple[str, ...]) -> Field | None:
    """What a part holds under one of these names, or is, where its kind says so."""
    inner = part.first(*names)
    if inner.is_object and (not part["toolResult"].there or inner["value"].there):  # Bedrock's holds no value
        told = inner["value"] if inner["status"].is_text and inner["value"].is_object else inner  # Goose
        return Field({"id": part["id"].value, **told.object()}, told.place, told.source)
    return part if _kind(part) in names and _kind(part) in _TYPES else None


def _kind(part: Field) -> str:
    """What a part is, as LlamaIndex and Semantic Kernel write it; empty where it does not say."""
    return part.first("block_type", "content_type").name()


def _called(part: Field) -> dict[str, Any] | None:
    """A call of a tool; None where a part is none."""
    found = _held(part, _CALLED)
    if found is None and part["type"].value == "function" and part["function"].is_object:  # PostHog
        found = Field({**part.object(), **part["function"].object()}, part.place, part.source)
    if found is None:
        bare = part.first(*_NAMES).is_text and part.first(*_ARGUMENTS).there and not part["type"].there
        if not bare or part["content"].there:
            return None
        found = part
    return _call(found)


def _call(found: Field) -> dict[str, Any]:
    function = {"name": found.first(*_NAMES).value, "arguments": arguments_text(found.first(*_ARGUMENTS))}
    return {"id": found.first(*_IDS).name(), "type": "function", "function": function}


def _gave(part: Field) -> dict[str, Any] | None:
    """What a tool gave back, as a message; None where a part is none."""
    found = _held(part, _GAVE)
    if found is None:
        if not part.first(*_IDS[:-1]).is_text or not part.first(*_RESULTS).there or part["type"].there:
            return None
        found = part
    origin = found["origin"] if found["origin"].is_object else found
    return {"role": "tool", "tool_call_id": origin.first(*_IDS).name(), "content": _result(found.first(*_RESULTS))}


def _result(found: Field) -> Any:
    if found.is_list and all(part["text"].is_text for part in found):
        return [_said(part) for part in found]
    return found.written()


def messages(turns: Field) -> Iterator[dict[str, Any]]:
    """The messages; each result of a tool is one of its own."""
    for turn in turns:
        if not turn.is_object:
            raise turn.wrong("a message with role and content")
        parts = [(part, _called(part), _gave(part)) for part in _parts(turn)]
        calls = [call for _, call, _ in parts if call is not None]
        results = [gave for _, _, gave in parts if gave is not None]
        rest = [_said(part) for part, call, gave in parts if call is None and gave is None]
        yield from results
        if results and not rest:
            continue
        content = turn.first(*_CONTENTS, "text")
        also = turn["tool_calls"] if turn["tool_calls"].is_list else turn.at("additional_kwargs", "tool_calls")
        if also.is_list and not calls:
            calls = [cast("dict[str, Any]", each.value) if each["function"].is_object else _call(each) for each in also]
        made = {**turn.object(), "role": _role(turn, bool(calls)), "content": rest if parts else content.value}
        for name in ("id", "answers", "type"):  # of the message, and of no result
            made.pop(name, None)
        if turn["additional_kwargs"]["tool_call_id"].is_text:
            made.setdefault("tool_call_id", turn["additional_kwargs"]["tool_call_id"].text())
        thought = {"reasoning": True} if turn.first("thought", "thinking", "isThought").value else {}
        yield {**made, **thought, **({"tool_calls": calls, "content": rest or None} if calls else {})}


def _role(turn: Field, calls: bool) -> Any:
    if calls:
        return "assistant"
    role = turn["role"].name()
    told = role if role in ROLES else _speaker(role) or _speaker(turn["type"].name())
    if not told and turn["source"].is_text:
        told = "user" if turn["source"].value == "user" else "assistant"
    return told or turn["role"].value


def _said(part: Field) -> Any:
    """What else a part holds, in OpenAI's words where it is a text or a picture."""
    if part["text"].is_text and _kind(part):
        return {"type": "text", "text": part["text"].value}
    if part["block_type"].value == "image":
        held = part.first("image", "url").name_of_data()
        media = part["image_mimetype"].name() or "image/png"
        data = held if ":" in held[:12] else f"data:{media};base64,{held}"
        return {"type": "image_url", "image_url": {"url": data}}
    return part.value
