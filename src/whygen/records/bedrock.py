"""Amazon Bedrock's Converse protocol: put into the words of OpenAI's Chat Completions.

Models of many makers are asked in it. Nothing here asks Bedrock again: whoever explains such a call says by ``--model``
which server does (docs/why.md).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from whygen.records.fields import Field
from whygen.records.notices import Notices
from whygen.records.parts import text_of_base64
from whygen.types import JsonValue

PROTOCOL = "bedrock"
ENDPOINT = re.compile(r"/model/([^/]+)/converse(?:-stream)?$")
"""How an address ends that is asked in these words; it names the model."""

_SETTINGS = {
    "temperature": "temperature", "topP": "top_p", "maxTokens": "max_tokens", "stopSequences": "stop",
    "max_new_tokens": "max_tokens", "top_p": "top_p",  # of Nova's models, asked directly (InvokeModel)
}  # fmt: skip
_REASONS = {
    "max_tokens": "length", "model_context_window_exceeded": "length", "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter", "tool_use": "tool_calls",
}  # fmt: skip
_MARKS = frozenset({"toolUse", "toolResult", "reasoningContent", "cachePoint", "guardContent"})
_PASSED_BY = frozenset({"cachePoint"})
"""Parts that say nothing to the model."""


def speaks(body: Field, path: str) -> bool:
    """Whether a request is in these words."""
    if ENDPOINT.search(path) or body["inferenceConfig"].is_object or body["modelId"].is_text:
        return True
    tools = body["toolConfig"]["tools"]
    if tools.is_list and any(tool["toolSpec"].is_object for tool in tools):
        return True
    turns = [turn for turn in body["messages"] if turn["content"].is_list] if body["messages"].is_list else []
    return any(part.keys() & _MARKS or _is_file(part) for turn in turns for part in turn["content"])


def _is_file(part: Field) -> bool:
    return not part["type"].there and any(part[name]["source"].is_object for name in ("document", "image", "video"))


def model_of(path: str, body: Field) -> str:
    """The model's id, from the address or the body."""
    found = ENDPOINT.search(path)
    return unquote(found[1]) if found else body["modelId"].name()


def request(body: Field, notices: Notices) -> Field:
    """The request in OpenAI's words.

    Raises:
        DataError: naming the field that cannot be used.
    """
    system = "\n".join(part["text"].text() for part in body["system"] if part["text"].is_text)
    turns = [message for turn in body["messages"] for message in _turns(turn, notices)]
    config = body["inferenceConfig"]
    asked: dict[str, Any] = {"messages": [*([{"role": "system", "content": system}] if system else []), *turns]}
    asked |= {own: config[name].value for name, own in _SETTINGS.items() if config[name].there}
    tools = body["toolConfig"]
    if told := list(_tools(tools["tools"])):
        asked["tools"] = told
    if (choice := _choice(tools["toolChoice"])) is not None:
        asked["tool_choice"] = choice
    if left := sorted(body.keys() & {"additionalModelRequestFields", "guardrailConfig", "promptVariables"}):
        notices.leave("Bedrock", left)
    return Field(asked, body.place, body.source)


def answer(response: Field) -> Field:
    """The response in OpenAI's words."""
    said = response.at("output", "message")
    if not said.is_object:
        return response
    message: dict[str, Any] = {"role": "assistant", "content": "", "tool_calls": []}
    for part in said["content"]:
        if part["toolUse"].is_object:
            message["tool_calls"].append(_call(part["toolUse"]))
        elif part["reasoningContent"].there:
            message["reasoning"] = True
        elif part["text"].is_text:
            message["content"] += part["text"].text()
    reason = response["stopReason"].name()
    counts = {
        "prompt_tokens": response.at("usage", "inputTokens").value,
        "completion_tokens": response.at("usage", "outputTokens").value,
    }
    choice = {"message": message, "finish_reason": _REASONS.get(reason, "stop")}
    return Field({"choices": [choice], "usage": counts}, response.place, response.source)


def _turns(turn: Field, notices: Notices) -> Iterator[dict[str, Any]]:
    """The messages that one is: each result of a tool is one of its own."""
    role = turn["role"].name()
    if role not in {"user", "assistant"}:
        raise turn["role"].wrong("user or assistant")
    said: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    results = 0
    for part in turn["content"]:
        if part["toolUse"].is_object:
            calls.append(_call(part["toolUse"]))
        elif (result := part["toolResult"]).is_object:
            results += 1
            if not result["toolUseId"].name():
                raise result["toolUseId"].wrong("the id of the call that it answers")
            inside = [each for own in result["content"] for each in _part(own, notices)]
            if result["status"].value == "error":
                notices.count("tool-error", result["status"])
            yield {"role": "tool", "content": _content(inside), "tool_call_id": result["toolUseId"].name()}
        elif part["reasoningContent"].there:
            notices.count("reasoning", part)
        else:
            said += _part(part, notices)
    if said or calls or not results:
        yield {"role": role, "content": _content(said), **({"tool_calls": calls} if calls else {})}


def _content(parts: list[dict[str, Any]]) -> Any:
    if len(parts) == 1 and parts[0]["type"] == "text":
        return parts[0]["text"]
    return parts or ""


def _part(part: Field, notices: Notices) -> list[dict[str, Any]]:
    """One part of a content: none where it cannot be sent again."""
    if part["text"].is_text:
        return [{"type": "text", "text": part["text"].text()}]
    if part["json"].there:
        return [{"type": "text", "text": json.dumps(part["json"].value, ensure_ascii=False)}]
    guarded = part.at("guardContent", "text", "text")
    if guarded.is_text:
        return [{"type": "text", "text": guarded.text()}]
    image, document = part["image"], part["document"]
    if (data := image.at("source", "bytes")).is_text:
        url = f"data:image/{image['format'].name() or 'png'};base64,{data.text()}"
        return [{"type": "image_url", "image_url": {"url": url}}]
    text = document.at("source", "text").name_of_data() or _text_in(document)
    if text:
        return [{"type": "text", "text": f"Document: {document['name'].name()}\n{text}"}]
    if not part.keys() & _PASSED_BY:
        notices.count("lost-part", part)
    return []


_TEXTS = frozenset({"txt", "md", "csv", "html"})


def _text_in(document: Field) -> str:
    """The text of a document that was sent as bytes; empty of one that is no text."""
    data = document.at("source", "bytes").name_of_data()
    return (text_of_base64(data) or "") if document["format"].name() in _TEXTS else ""


def _call(used: Field) -> dict[str, Any]:
    if not used["name"].is_text:
        raise used["name"].wrong("the name of the tool that was called")
    function = {"name": used["name"].text(), "arguments": json.dumps(used["input"].object(), ensure_ascii=False)}
    return {"id": used["toolUseId"].name(), "type": "function", "function": function}


def _tools(found: Field) -> Iterator[dict[str, Any]]:
    for tool in found:
        told = tool["toolSpec"]
        if not told.is_object:
            continue
        if not told["name"].is_text:
            raise told["name"].wrong("the name of a tool")
        schema = told.at("inputSchema", "json")
        function = {"name": told["name"].text(), "description": told["description"].name_of_data()}
        yield {"type": "function", "function": {**function, **({"parameters": schema.value} if schema.there else {})}}


def _choice(found: Field) -> JsonValue:
    if found["tool"].is_object:
        return {"type": "function", "function": {"name": found.at("tool", "name").name()}}
    return "required" if found["any"].there else None
