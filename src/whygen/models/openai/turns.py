"""Messages, tools and calls in the words of OpenAI's chat endpoint, which most servers speak."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, cast

from whygen.models.turns import (
    Refused,
    as_text,
    call_of,
    check_parts,
    choice_of,
    entries,
    is_dated,
    refuse_tool,
    run_by,
    with_ids,
    without,
)
from whygen.models.written import calls_told
from whygen.remote import dig
from whygen.types import Block, Chat, Edit, JsonValue, Message, Part, Picture, Prompt, Tool, ToolCall

PROTOCOL = "openai"
FOREIGN = frozenset({"type", "function", "cache_control", "defer_loading", "allowed_callers", "input_examples"})
"""What a definition of a function holds elsewhere, or what says that it is one."""


def turns_of(prompt: Prompt) -> tuple[Message, ...]:
    """The messages of a prompt; a text is the user's.

    Raises:
        Refused: if it is an edit, or a tool's message answers no call.
    """
    if isinstance(prompt, Edit):
        raise Refused("a chat changes no pictures", "Use a model or an endpoint that edits pictures.")
    return with_ids(prompt.messages) if isinstance(prompt, Chat) else (Message("user", prompt),)


def messages(prompt: Prompt) -> list[dict[str, JsonValue]]:
    """A prompt as the protocol's messages.

    Raises:
        Refused: if the protocol has no place for a part of it.
    """
    turns = turns_of(prompt)
    check_parts(turns, PROTOCOL, "The chat endpoint")
    free = {tool.name for tool in prompt.tools if is_free(tool)} if isinstance(prompt, Chat) else set[str]()
    return [_message(turn, free) for turn in turns]


def is_free(tool: Tool) -> bool:
    """Whether a tool takes a text of any form instead of JSON."""
    return tool.extra.get("type") == "custom"


def _message(turn: Message, free: set[str]) -> dict[str, JsonValue]:
    content = _content(turn)
    made: dict[str, JsonValue] = {"role": turn.role, "content": content}
    if turn.calls:
        made["content"] = content or None  # an empty text beside calls is refused by some servers
        made["tool_calls"] = [_sent_call(call, free) for call in turn.calls]
    if turn.answers:
        made["tool_call_id"] = turn.answers
    return made


def _sent_call(call: ToolCall, free: set[str]) -> JsonValue:
    if call.name in free:
        return {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}}
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _content(turn: Message) -> JsonValue:
    if not turn.parts and not turn.images:
        return turn.text
    return [_part(part) for part in turn.content]


def _part(part: Part) -> JsonValue:
    if isinstance(part, Picture):
        return {"type": "image_url", "image_url": {"url": data_url(part)}}
    if isinstance(part, Block):
        return dict(part.raw) if part.protocol == PROTOCOL else {"type": "text", "text": part.text}
    return {"type": "text", "text": part}


def data_url(picture: Picture) -> str:
    """A picture as a ``data:`` URL."""
    return f"data:{picture.media_type};base64,{base64.b64encode(picture.data).decode()}"


def tools(prompt: Prompt, *, own: bool) -> dict[str, JsonValue]:
    """The tools that may be called, and the choice among them, as parameters; nothing where there are none.

    Args:
        prompt: whose tools they are.
        own: whether OpenAI itself is asked, which takes functions and custom tools here. Other servers may run tools
            of types that only they know.

    Raises:
        Refused: if a tool is one that another service runs, or the choice names one that is not there.
    """
    if not isinstance(prompt, Chat) or not prompt.tools:
        return {}
    choice, named = choice_of(prompt)
    made: dict[str, JsonValue] = {"tools": [_tool(tool, own=own) for tool in prompt.tools]}
    if named is not None:
        kind = "custom" if is_free(named) else "function"
        made["tool_choice"] = {"type": kind, kind: {"name": named.name}}
    elif choice != "auto":
        made["tool_choice"] = choice
    return made


def _tool(tool: Tool, *, own: bool) -> JsonValue:
    kind = run_by(tool)
    if kind is not None:
        if own or is_dated(kind):
            raise refuse_tool(tool, "The chat endpoint")
        return dict(tool.extra)
    about: dict[str, JsonValue] = {"name": tool.name}
    if tool.description:
        about["description"] = tool.description
    if is_free(tool):
        held = tool.extra.get("custom")
        inside = cast(Mapping[str, Any], held if isinstance(held, Mapping) else without(tool.extra, FOREIGN))
        return {"type": "custom", "custom": {**inside, **about}}
    about["parameters"] = dict(tool.parameters) or {"type": "object", "properties": {}}
    return {"type": "function", "function": {**about, **without(tool.extra, FOREIGN)}}


def calls_in(message: object) -> tuple[ToolCall, ...]:
    """The calls in an answer's message, in order, by ``tool_calls`` or by ``function_call`` of older servers."""
    found = [_read_call(entry) for entry in entries(dig(message, "tool_calls"))]
    old = dig(message, "function_call")
    if not found and dig(old, "name") is not None:
        found = [call_of(dig(old, "name"), dig(old, "arguments"))]
    return tuple(found)


def _read_call(entry: object) -> ToolCall:
    for kind, said in (("function", "arguments"), ("custom", "input")):
        if isinstance(dig(entry, kind), Mapping):
            return call_of(dig(entry, kind, "name"), dig(entry, kind, said), dig(entry, "id"))
    told = next(calls_told(entry), None)  # flat, as some servers and frameworks have it
    return call_of(None, as_text(entry)) if told is None else call_of(told.name, told.arguments, dig(entry, "id"))
