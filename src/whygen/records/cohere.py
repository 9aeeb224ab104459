"""Cohere's own chat, of today (v2) and before (v1): put into the words of OpenAI's Chat Completions.

Cohere's service speaks both, so a call that was recorded in the one can be asked again in the other (``cohere/NAME``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from whygen.records.fields import Field
from whygen.records.notices import Notices

PROTOCOL = "cohere"
_PATH = re.compile(r"cohere\.(?:com|ai)/v[12]/chat$")
_SETTINGS = {
    "temperature": "temperature", "p": "top_p", "max_tokens": "max_tokens", "stop_sequences": "stop", "seed": "seed",
    "frequency_penalty": "frequency_penalty", "presence_penalty": "presence_penalty",
    "response_format": "response_format",
}  # fmt: skip
_READ = frozenset({
    "messages", "message", "chat_history", "preamble", "model", "tools", "documents", "tool_choice", "stream",
    "conversation_id", "tool_results",
})  # fmt: skip
_MARKS = frozenset({"chat_history", "preamble", "citation_options", "safety_mode", "strict_tools", "documents"})
_REASONS = {"MAX_TOKENS": "length", "TOOL_CALL": "tool_calls", "ERROR_TOXIC": "content_filter"}
_ROLES = {"USER": "user", "CHATBOT": "assistant", "SYSTEM": "system"}


def speaks(body: Field, path: str) -> bool:
    """Whether a request is in these words."""
    if _PATH.search(path):
        return True
    turns = body["messages"] if body["messages"].is_list else ()
    return (
        is_old(body)
        or (body["messages"].is_list and bool(body.keys() & _MARKS))
        or any(t["tool_plan"].there for t in turns)
    )


def is_old(body: Field) -> bool:
    """Whether this is a request of the older protocol."""
    known = body.keys() <= {*_SETTINGS, *_READ, *_MARKS, "k", "connectors", "prompt_truncation", "search_queries_only"}
    return body["message"].is_text and body["model"].is_text and known


def model_of(path: str, body: Field) -> str:
    """The model's name."""
    return body["model"].name()


def request(body: Field, notices: Notices) -> Field:
    """The request in OpenAI's words; documents, which Cohere takes apart from messages, stand before the last one.

    Raises:
        DataError: naming the field that cannot be used.
    """
    turns = (
        list(_old(body, notices)) if body["message"].is_text else [_turn(turn, notices) for turn in body["messages"]]
    )
    if documents := [_document(each, number) for number, each in enumerate(body["documents"], start=1)]:
        last = max((place for place, turn in enumerate(turns) if turn.get("role") == "user"), default=len(turns))
        turns.insert(last, {"role": "user", "content": "\n\n".join(documents)})
        notices.say(
            "documents",
            f"The request's {len(documents)} documents, which Cohere takes apart from its messages, are sent as a "
            "message before the last question: its other protocol has no place for them. Answers may differ for this "
            "alone.",
        )
    asked: dict[str, Any] = {"messages": turns}
    asked |= {own: body[name].value for name, own in _SETTINGS.items() if body[name].there}
    asked["tools"] = [each.value for each in body["tools"] if each["function"].is_object]
    if (choice := body["tool_choice"].name().lower()) in {"required", "none"}:
        asked["tool_choice"] = choice
    if left := sorted(body.keys() - _SETTINGS.keys() - _READ):
        notices.leave("Cohere's own protocol", left)
    return Field(asked, body.place, body.source)


def _old(body: Field, notices: Notices) -> Iterator[dict[str, Any]]:
    """The messages of the older protocol, whose last stands beside those before it."""
    if body["preamble"].is_text:
        yield {"role": "system", "content": body["preamble"].text()}
    for turn in body["chat_history"]:
        role = _ROLES.get(turn["role"].name().upper())
        if role is None:
            raise turn["role"].wrong(f"one of {', '.join(_ROLES)}")
        yield {"role": role, "content": turn["message"].text()}
    if body["tool_results"].there:
        notices.count("lost-part", body["tool_results"])
    yield {"role": "user", "content": body["message"].text()}


def _turn(turn: Field, notices: Notices) -> dict[str, Any]:
    made: dict[str, Any] = dict(turn.object())
    if turn["tool_plan"].is_text:  # what the model means to do, which it says before it calls
        made.pop("tool_plan")
        made["content"] = turn["content"].value or turn["tool_plan"].text()
    if turn["content"].is_list:
        made["content"] = [_part(part) for part in turn["content"]]
    return made


def _part(part: Field) -> Any:
    return {"type": "text", "text": _data(part["document"])} if part["document"].is_object else part.value


def _data(document: Field) -> str:
    return (document["data"] if document["data"].there else document).written()


def _document(found: Field, number: int) -> str:
    return f"Document {number}:\n{found.text() if found.is_text else _data(found)}"


def answer(response: Field) -> Field:
    """The response in OpenAI's words."""
    said, usage = response["message"], response.at("usage", "tokens")
    if not said.is_object:
        if not response["text"].is_text:
            return response
        said = Field({"role": "assistant", "content": response["text"].value})
    message: dict[str, Any] = {name: said[name].value for name in ("role", "content", "tool_calls") if said[name].there}
    if said["tool_plan"].is_text and not said["content"].there:
        message["content"] = said["tool_plan"].text()
    if said["content"].is_list:
        message["content"] = "".join(part["text"].name_of_data() for part in said["content"])
    counts = {"prompt_tokens": usage["input_tokens"].value, "completion_tokens": usage["output_tokens"].value}
    reason = _REASONS.get(response["finish_reason"].name(), "stop")
    value = {"choices": [{"message": {"role": "assistant", **message}, "finish_reason": reason}], "usage": counts}
    return Field(value, response.place, response.source)
