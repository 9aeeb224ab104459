# pyright: basic
"""Tools in chat templates: how they are told, and how the calls that a model writes are read."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from whygen.models.openai.turns import calls_in, is_free
from whygen.models.turns import Refused, check_parts, refuse_tool, run_by, with_ids
from whygen.models.written import calls_written
from whygen.types import Chat, Message, Tool, ToolCall


def told_messages(chat: Chat, content: Callable[[Message], Any]) -> list[dict[str, Any]]:
    """Messages as chat templates take them: arguments as mappings, and ids of nine letters, which Mistral's want.

    Args:
        chat: the conversation.
        content: what stands in a message.

    Raises:
        Refused: if a part holds no text, or a tool's message answers no call.
    """
    check_parts(chat.messages, "", "A chat template")
    turns = with_ids(chat.messages)
    number = itertools.count(1)
    ids = {call.id: f"call{next(number):05d}" for turn in turns for call in turn.calls}
    names = {call.id: call.name for turn in turns for call in turn.calls}
    made: list[dict[str, Any]] = []
    for turn in turns:
        told: dict[str, Any] = {"role": turn.role, "content": content(turn)}
        if turn.calls:
            told["tool_calls"] = [_told(replace(call, id=ids[call.id])) for call in turn.calls]
        if turn.role == "tool":
            told |= {"tool_call_id": ids.get(turn.answers, turn.answers), "name": names.get(turn.answers, "")}
        made.append(told)
    return made


def _told(call: ToolCall) -> dict[str, Any]:
    values = call.values
    asked = values if isinstance(values, Mapping) else call.arguments
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": asked}}


def told_tools(chat: Chat, uri: str) -> list[dict[str, Any]] | None:
    """The tools as templates take them; None where there are none.

    Raises:
        Refused: if a tool is no function, or one must be called, to which no template can bring a model.
    """
    if not chat.tools:
        return None
    if chat.tool_choice not in ("auto", "none"):
        raise Refused(
            f"{uri} cannot be made to call a tool (tool_choice={chat.tool_choice!r})",
            "Use tool_choice='auto', or a server that can, such as vLLM or llama.cpp by openai/.",
        )
    return [_function(tool, uri) for tool in chat.tools]


def _function(tool: Tool, uri: str) -> dict[str, Any]:
    if run_by(tool) is not None or is_free(tool):
        raise refuse_tool(tool, uri)
    schema = dict(tool.parameters) or {"type": "object", "properties": {}}
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": schema},
    }


def check_told(chat: Chat, rendered: str, uri: str) -> None:
    """Refuse a template that leaves tools, calls or results out without a word.

    Raises:
        Refused: naming what is left out.
    """
    wanted = [("tools", tool.name) for tool in chat.tools]
    wanted += [("calls of tools", call.name) for turn in chat.messages for call in turn.calls]
    wanted += [("what tools gave back", turn.text.strip()[:40]) for turn in chat.messages if turn.role == "tool"]
    if lost := next((what for what, text in wanted if not any(each in rendered for each in _forms(text))), None):
        raise Refused(
            f"the chat template of {uri} has no place for {lost}",
            "Use a model that was made for tools, or write them into the messages.",
        )


def _forms(text: str) -> tuple[str, str, str]:
    """A text as a template may write it: as it is, or inside JSON."""
    return text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]


def read_written(tokenizer: Any, raw: str, prompt: str, chat: Chat) -> tuple[str, tuple[ToolCall, ...]] | None:
    """The text and the calls in what a model wrote; None where it calls no tool.

    Args:
        tokenizer: its own account of its answers (``response_template``) goes first.
        raw: what was written, special tokens included.
        prompt: what it goes on from, which such an account needs.
        chat: whose tools could be called.
    """
    if not chat.tools or chat.tool_choice == "none":
        return None
    text, calls = _by_template(tokenizer, raw, prompt, chat) or calls_written(raw, {tool.name for tool in chat.tools})
    for token in tokenizer.all_special_tokens:
        text = text.replace(token, "")
    return (text.strip(), calls) if calls else None


def _by_template(tokenizer: Any, raw: str, prompt: str, chat: Chat) -> tuple[str, tuple[ToolCall, ...]] | None:
    if getattr(tokenizer, "response_template", None) is None:
        return None
    tools = [_function(tool, "") for tool in chat.tools]
    try:
        found = tokenizer.parse_response(raw, prefix=prompt, tools=tools)
    except Exception:  # the template is a program of the checkpoint's author, and the text a model's
        return None
    calls = calls_in(found)
    return (str(found.get("content") or ""), calls) if calls else None
