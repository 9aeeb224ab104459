"""Vercel's AI SDK: its messages in spans, put into OpenAI's words."""

from __future__ import annotations

import json
from typing import Any

from whygen.records import genai
from whygen.records.fields import Field
from whygen.records.spans import Span
from whygen.records.wire import Sent


def holds(span: Span) -> bool:
    """Whether a span is a call of a model that the SDK made, with what was said."""
    return _prompt(span)["messages"].is_text and not span.name.endswith(("generateText", "streamText"))


def _prompt(span: Span) -> Field:
    return span.attributes.at("ai", "prompt")


def sent_in(span: Span) -> Sent:
    """What was sent and what came back."""
    prompt, source = _prompt(span), span.attributes.source
    turns = [made for turn in prompt["messages"].parsed() for made in _turns(turn)]
    tools = [each.parsed() for each in prompt["tools"]] if prompt["tools"].is_list else []
    body: dict[str, Any] = {**genai.settings_in(span).object(), "messages": turns}
    body["tools"] = [each.value for each in tools]
    chosen = prompt["toolChoice"].parsed()
    if chosen["type"].name() in {"auto", "none", "required"}:
        body["tool_choice"] = chosen["type"].name()
    elif chosen["toolName"].name():
        body["tool_choice"] = {"type": "function", "function": {"name": chosen["toolName"].name()}}
    model = span.attributes.at("ai", "model")
    return Sent(
        body=Field(body, "ai.prompt", source), response=_answer(span), provider=model["provider"].name(),
        name=model["id"].name(), protocol="openai",
    )  # fmt: skip


def _answer(span: Span) -> Field:
    said, usage = span.attributes.at("ai", "response"), span.attributes.at("gen_ai", "usage")
    called = said["toolCalls"].parsed()
    message: dict[str, Any] = {"content": said["text"].value}
    if called.is_list:
        message["tool_calls"] = [_call(each) for each in called]
    choice = {"message": message, "finish_reason": said["finishReason"].name().replace("-", "_") or None}
    counts = usage.object() if usage.is_object else {}
    value: dict[str, Any] = {"choices": [choice], "model": said["model"].json(), "usage": counts}
    return Field(value if said.is_object else None, "ai.response", span.attributes.source)


def _turns(turn: Field) -> list[dict[str, Any]]:
    """The messages that one of the SDK's is: each result of a tool is one of its own."""
    role, content = turn["role"].value, turn["content"]
    if not content.is_list:
        return [{"role": role, "content": content.value}]
    made = [_result(part) for part in content if part["type"].value == "tool-result"]
    parts = [each for part in content if (each := _part(part)) is not None]
    called = [_call(part) for part in content if part["type"].value == "tool-call"]
    if parts or called:
        said: dict[str, Any] = {"role": role, "content": parts or None}
        made.append({**said, "tool_calls": called} if called else said)
    return made


def _call(part: Field) -> dict[str, Any]:
    written = part.first("input", "args")
    function = {"name": part["toolName"].value, "arguments": _text(written) if written.there else "{}"}
    return {"id": part["toolCallId"].name(), "function": function}


def _result(part: Field) -> dict[str, Any]:
    output = part.first("output", "result")
    inside = output["value"] if output["type"].is_text and output["value"].there else output
    return {"role": "tool", "tool_call_id": part["toolCallId"].name(), "content": _text(inside)}


def _text(found: Field) -> str:
    return found.text() if found.is_text else json.dumps(found.value, ensure_ascii=False)


def _part(part: Field) -> Any:
    kind = part["type"].value
    if kind in {"tool-call", "tool-result"}:
        return None
    if kind == "image" or (kind == "file" and part["mediaType"].name().startswith("image/")):
        return {"type": "image_url", "image_url": {"url": part.first("image", "data", "url").value}}
    return part.value
