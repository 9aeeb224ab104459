"""Vercel's AI SDK: its messages in spans, put into OpenAI's words."""

from __future__ import annotations

from typing import Any

from whygen.records import genai, vercel_messages
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
    turns = list(vercel_messages.messages(prompt["messages"].parsed()))
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
        message["tool_calls"] = [vercel_messages.call_of(each) for each in called]
    choice = {"message": message, "finish_reason": said["finishReason"].name().replace("-", "_") or None}
    counts = usage.object() if usage.is_object else {}
    value: dict[str, Any] = {"choices": [choice], "model": said["model"].json(), "usage": counts}
    return Field(value if said.is_object else None, "ai.response", span.attributes.source)
