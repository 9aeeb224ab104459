"""OpenInference's attributes, as Phoenix keeps them: the request as it was sent, else its messages one by one."""

from __future__ import annotations

from typing import Any, cast

from whygen.records.fields import Field
from whygen.records.spans import Span
from whygen.records.wire import Sent, is_body, is_chat

CALL = "LLM"
"""The kind of a span that is a call of a model."""


def holds(span: Span) -> bool:
    """Whether a span holds what was said to a model."""
    told = _is_whole(span.attributes.at("input", "value").parsed()) or _messages(span).is_list
    return span.kind == CALL and told


def _is_whole(asked: Field) -> bool:
    """Whether this is a request as it was sent; frameworks put objects of their own there."""
    return is_body(asked) and (is_chat(asked["messages"]) or not asked["messages"].there)


def _given(found: Field) -> Field:
    """A request without the parameters that nobody gave, which Mistral's instrumentation writes as empty texts."""
    asked = found.parsed()
    if not asked.is_object:
        return asked
    return Field({name: each.value for name, each in asked.items() if each.value != ""}, asked.place, asked.source)


def _messages(span: Span) -> Field:
    return span.attributes.at("llm", "input_messages")


def sent_in(span: Span) -> Sent:
    """What was sent and what came back."""
    llm = span.attributes["llm"]
    name = llm.at("request", "model_name").name() or llm["model_name"].name()
    whole, answered = _given(span.attributes.at("input", "value")), span.attributes.at("output", "value").parsed()
    provider = llm.first("provider", "system").name()
    if _is_whole(whole):
        return Sent(body=whole, response=answered, provider=provider, name=name)
    source = span.attributes.source
    asked = _given(llm["invocation_parameters"])
    body: dict[str, Any] = dict(asked.object()) if asked.is_object else {}
    schemas = [_schema(tool) for tool in llm["tools"]] if llm["tools"].is_list else []
    body |= {"messages": [_message(turn["message"]) for turn in _messages(span)], "tools": [s for s in schemas if s]}
    body.setdefault("model", name)
    finish = llm["finish_reason"].value
    answers = list(llm["output_messages"]) if llm["output_messages"].is_list else []
    choices = [{"message": _message(turn["message"]), "finish_reason": finish} for turn in answers]
    count = llm["token_count"]
    response = {
        "choices": choices,
        "usage": {"prompt_tokens": count["prompt"].value, "completion_tokens": count["completion"].value},
    }
    return Sent(
        body=Field(body, "llm", source), response=Field(response, "llm", source), provider=provider, protocol="openai"
    )


def _schema(tool: Field) -> Any:
    return tool.at("tool", "json_schema").parsed().value


def _message(found: Field) -> dict[str, Any]:
    """A message in the words of OpenAI's protocol."""
    turn: dict[str, Any] = {"role": found["role"].value, "content": found["content"].value}
    contents = found["contents"]
    if contents.is_list:
        turn["content"] = [part for each in contents for part in _part(each["message_content"])]
    calls = found["tool_calls"]
    if calls.is_list:
        turn["tool_calls"] = [_call(each["tool_call"]) for each in calls]
    elif turn["content"] is None:
        turn["content"] = ""
    if found["tool_call_id"].there:
        turn["tool_call_id"] = found["tool_call_id"].value
    return turn


def _call(found: Field) -> dict[str, Any]:
    return {"id": found["id"].name(), "function": cast("dict[str, Any]", found["function"].object())}


def _part(found: Field) -> list[dict[str, Any]]:
    kind = found["type"].value
    if kind == "image":
        return [{"type": "image_url", "image_url": {"url": found.at("image", "image", "url").value}}]
    if kind == "tool_use":
        return []
    return [{"type": "reasoning" if kind == "reasoning" else "text", "text": found["text"].value}]
