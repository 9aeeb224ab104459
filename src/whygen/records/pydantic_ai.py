"""The messages of pydantic-ai (`all_messages_json`), requests and responses in parts: put into OpenAI's words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from whygen.records.fields import Field
from whygen.records.openai_chat import arguments_text

_KINDS = frozenset({"request", "response"})


def speaks(turn: Field) -> bool:
    """Whether a message is in pydantic-ai's words."""
    return turn["kind"].name() in _KINDS and turn["parts"].is_list


def messages(turns: Field) -> Iterator[dict[str, Any]]:
    """The messages; each result of a tool is one of its own. Instructions hold for the whole request."""
    told = [turn["instructions"].text() for turn in turns if turn["instructions"].is_text]
    if told:
        yield {"role": "system", "content": told[-1]}
    for turn in turns:
        yield from _asked(turn) if turn["kind"].value == "request" else [_answered(turn)]


def _asked(turn: Field) -> Iterator[dict[str, Any]]:
    for part in turn["parts"]:
        kind = part["part_kind"].name()
        if kind == "system-prompt":
            yield {"role": "system", "content": part["content"].value}
        elif kind == "tool-return" or (kind == "retry-prompt" and part["tool_name"].name()):
            yield {
                "role": "tool",
                "content": arguments_text(part["content"]),
                "tool_call_id": part["tool_call_id"].name(),
            }
        elif kind in {"user-prompt", "retry-prompt"}:
            content = part["content"]
            said = [_part(each) for each in content] if content.is_list else arguments_text(content)
            yield {"role": "user", "content": said}
        else:
            raise part["part_kind"].wrong("a part of a request as pydantic-ai writes it")


def _part(part: Field) -> Any:
    """One part of what the user said: a text, a link, or data."""
    kind, media = part["kind"].name(), part["media_type"].name()
    if part.is_text or part["content"].is_text:
        return {"type": "text", "text": part.value if part.is_text else part["content"].value}
    if kind == "image-url":
        return {"type": "image_url", "image_url": {"url": part["url"].value}}
    if kind == "binary" and media.startswith("image/"):
        data = part["data"].name_of_data().replace("-", "+").replace("_", "/")
        return {"type": "image_url", "image_url": {"url": f"data:{media};base64,{data}"}}
    return {**part.object(), "type": kind or "part"}


def _answered(turn: Field) -> dict[str, Any]:
    said: list[str] = []
    calls: list[dict[str, Any]] = []
    thought = False
    for part in turn["parts"]:
        kind = part["part_kind"].name()
        if kind == "text":
            said.append(part["content"].name_of_data())
        elif kind == "tool-call":
            function = {"name": part["tool_name"].value, "arguments": arguments_text(part["args"])}
            calls.append({"id": part["tool_call_id"].name(), "type": "function", "function": function})
        thought = thought or kind == "thinking"
    made: dict[str, Any] = {"role": "assistant", "content": "\n\n".join(said)}
    return {**made, **({"tool_calls": calls} if calls else {}), **({"reasoning": True} if thought else {})}
