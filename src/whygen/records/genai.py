"""OpenTelemetry's conventions for generative AI: messages in attributes (today's), or one event a message (before)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from whygen.errors import DataError
from whygen.records.fields import Field
from whygen.records.files import open_at_end
from whygen.records.notices import Notices
from whygen.records.openai_chat import (
    ROLES,
    answer_of,
    arguments_text,
    read_message,
    read_messages,
    read_tool,
    waiting_in,
)
from whygen.records.parts import is_link, kept, sent_picture
from whygen.records.spans import Span
from whygen.remote import ended_by
from whygen.types import Block, Message, Output, Part, Role, Tool, ToolCall

EVENTS = {
    "gen_ai.system.message": "system", "gen_ai.developer.message": "developer", "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant", "gen_ai.tool.message": "tool",
}  # fmt: skip
"""Events that are messages of the request, and whose they are."""
CHOICE = "gen_ai.choice"
DETAILS = "gen_ai.client.inference.operation.details"
"""The event of today's conventions that holds what else stands in the span."""
SETTINGS = {
    "temperature": "temperature", "top_p": "top_p", "max_tokens": "max_tokens", "seed": "seed",
    "stop_sequences": "stop", "frequency_penalty": "frequency_penalty", "presence_penalty": "presence_penalty",
}  # fmt: skip
"""Attributes ``gen_ai.request.*`` that are settings, and what the protocol calls them."""


@dataclass
class Said:
    """What a span holds of a call.

    Attributes:
        messages: of the request.
        tools: that could be called.
        answer: what came back.
    """

    messages: list[Message] = field(default_factory=list[Message])
    tools: list[Tool] = field(default_factory=list[Tool])
    answer: Output | None = None


def holds(span: Span) -> bool:
    """Whether a span holds what was said."""
    ai = span.attributes["gen_ai"]
    told = ai.at("input", "messages").there or ai["prompt"].is_list or ai.at("request", "messages").there
    return (
        told
        or any(name in EVENTS or name == DETAILS for name, _ in span.events)
        or "gen_ai.content.prompt" in dict(span.events)
    )


def settings_in(span: Span) -> Field:
    """The settings of the request, in the words of OpenAI's protocol."""
    asked = span.attributes.at("gen_ai", "request")
    found = {name: asked[key].parsed().value for key, name in SETTINGS.items() if asked[key].there}
    return Field(found, "gen_ai.request", span.attributes.source)


def said_in(span: Span, notices: Notices) -> Said:
    """What was said, from the attributes or from the events.

    Raises:
        DataError: naming the field that cannot be used.
    """
    details = next((body for name, body in span.events if name == DETAILS), None)
    for place in (span.attributes, details):
        if place is not None and place.at("gen_ai", "input", "messages").there:
            return _by_attributes(place["gen_ai"], notices)
    if any(name in EVENTS for name, _ in span.events):
        return _by_events(span, notices)
    if span.attributes.at("gen_ai", "request", "messages").there:
        return _by_request(span.attributes["gen_ai"], notices)
    return _by_numbers(span, notices)


def _by_request(ai: Field, notices: Notices) -> Said:
    """Sentry's names from before the conventions: messages as they were sent, the answer in pieces of its own."""
    asked, answered = ai["request"], ai["response"]
    said = Said(
        list(read_messages(asked["messages"].parsed(), notices)), list(_tools(asked["available_tools"].parsed()))
    )
    texts, calls = answered["text"].parsed(), answered["tool_calls"].parsed()
    if texts.there or calls.there:
        text = texts.name_of_data()
        if texts.is_list:
            text = "".join(each.first("text", "content").name_of_data() or each.name_of_data() for each in texts)
        turn = Field({"content": text, "tool_calls": calls.value}, answered.place, answered.source)
        reasons = answered["finish_reasons"].parsed()
        said.answer = answer_of(
            turn, notices, finish=next((each.name() for each in reasons), "") if reasons.is_list else reasons.name(),
            model=answered["model"].name(), usage=ai["usage"],
        )  # fmt: skip
    return said


def _by_attributes(ai: Field, notices: Notices) -> Said:
    said = Said()
    instructions = ai["system_instructions"].parsed()
    if instructions.is_text and instructions.value:
        said.messages.append(Message("system", instructions.text()))
    elif instructions.there and (parts := _parts(instructions, notices)):
        said.messages.append(_plain("system", parts))
    asked = ai.at("input", "messages").parsed()
    if asked.is_text:
        raise DataError(
            f"{asked.source}: {asked.place} was cut short{_inside(asked.text())}, by the exporter's limit: record "
            "again without OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT and OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT."
        )
    for turn in asked:
        said.messages += _turns(turn, notices, said.messages)
    said.tools = list(_tools(ai.at("tool", "definitions").parsed()))
    answers = ai.at("output", "messages").parsed()
    if answers.is_list and (first := next(iter(answers), None)) is not None:
        said.answer = _answer(first, ai, notices)
    return said


def unasked(turns: Sequence[Message]) -> str | None:
    """The id of the first result whose call no message before it made; None where each has its call."""
    made: set[str] = set()
    for turn in turns:
        if turn.role == "tool" and turn.answers not in made:
            return turn.answers or "without an id"
        made |= {call.id for call in turn.calls}
    return None


def _inside(text: str) -> str:
    way = open_at_end(text)
    return f" inside {way}" if way else ""


def _plain(role: Role, parts: list[Part], calls: Iterable[ToolCall] = (), answers: str = "") -> Message:
    """A message; a lone text is no list of parts."""
    if all(isinstance(part, str) for part in parts) and len(parts) < 2:
        return Message(role, "".join(map(str, parts)), (), (), tuple(calls), answers)
    return Message(role, "", (), tuple(parts), tuple(calls), answers)


def _turns(turn: Field, notices: Notices, before: list[Message]) -> Iterable[Message]:
    """The messages that one is: each result of a tool is one of its own."""
    role = ROLES.get(turn["role"].name())
    if role is None:
        raise turn["role"].wrong(f"one of {', '.join(ROLES)}")
    if not turn["parts"].is_list:  # some write the content as the provider's own API has it
        yield read_message(turn, notices, waiting_in(before))
        return
    results = [part for part in turn["parts"] if part["type"].value == "tool_call_response"]
    waiting = waiting_in(before) if results else []
    for part in results:
        answers = part["id"].name() or next(iter(waiting), "")
        if waiting and answers not in waiting:  # some name a call by the id of its item, its result by the call's
            answers = waiting[0]
            notices.count("tool-id", part)
        waiting = [each for each in waiting if each != answers]
        if not answers:
            raise part["id"].wrong("the id of the call that it answers")
        yield _result(part.first("response", "result"), answers, notices)
    calls = tuple(_calls(turn["parts"], sum(len(each.calls) for each in before)))
    parts = _parts(turn["parts"], notices)
    if role == "tool":
        if not results:
            yield _plain("tool", parts, answers=next(iter(waiting_in(before)), "call"))
        return
    if not parts and not calls and not results:
        notices.count("empty-message", turn)
    if parts or calls or not results:
        yield _plain(role, parts, calls)


def _calls(parts: Field, before: int = 0) -> Iterable[ToolCall]:
    """The calls among parts, numbered after those ``before`` where they have no id, as Google's have none."""
    for part in parts:
        if part["type"].name() in {"tool_call", "tool_use"}:
            if not part["name"].is_text:
                raise part["name"].wrong("the name of the tool that was called")
            before += 1
            made = arguments_text(part.first("arguments", "input"))
            yield ToolCall(part["name"].text(), made, part["id"].name() or f"call_{before}")


def _tools(definitions: Field) -> Iterable[Tool]:
    """Definitions of tools; Google's stand in lists of their own."""
    for each in definitions if definitions.is_list else ():
        found = each.parsed()
        own = found.first("function_declarations", "functionDeclarations")
        yield from map(read_tool, own if own.is_list else [found])


def _result(found: Field, answers: str, notices: Notices) -> Message:
    """What a tool gave back: a text, parts, or JSON of its own."""
    if found.is_text or not found.there:
        return Message("tool", found.text() if found.there else "", answers=answers)
    if found.is_list and all(each["type"].is_text for each in found):
        return _plain("tool", _parts(found, notices), answers=answers)
    return Message("tool", json.dumps(found.value, ensure_ascii=False), answers=answers)


def _parts(parts: Field, notices: Notices) -> list[Part]:
    return [each for part in parts for each in _part(part, notices)]


_ELSEWHERE = frozenset({"tool_call", "tool_call_response", "tool_use"})


def _part(part: Field, notices: Notices) -> Iterable[Part]:
    kind = part["type"].name()
    media = part.first("mime_type", "media_type").name()
    if part.is_text:
        yield part.text()
    elif kind == "text":
        yield part.first("content", "text").text()
    elif kind in {"reasoning", "thinking"}:
        notices.count("reasoning", part)
    elif kind in {"blob", "binary"} and (part["modality"].value == "image" or media.startswith("image/")):
        picture = sent_picture(part.first("content", "data").name_of_data(), part, notices)
        yield from () if picture is None else (picture,)
    elif kind in {"uri", "image-url"} and (part["modality"].value == "image" or kind == "image-url"):
        yield from _linked(part, notices)
    elif kind == "document" and part.at("source", "data").is_text and part.at("source", "type").value == "text":
        yield Block(part.object(), "anthropic", ("source", "data"))
    elif kind not in _ELSEWHERE:
        notices.count("lost-part", part)


def _linked(part: Field, notices: Notices) -> Iterable[Part]:
    address = part.first("uri", "url")
    if is_link(address.value):
        notices.count("image-link", address)
        link = Field({"type": "image_url", "image_url": {"url": address.text()}}, part.place, part.source)
        yield kept(link, "openai")
    elif address.is_text:
        picture = sent_picture(address.text(), address, notices)
        yield from () if picture is None else (picture,)


def _answer(turn: Field, ai: Field, notices: Notices) -> Output:
    reasons = ai.at("response", "finish_reasons").parsed()
    first = next((each.name() for each in reasons if each.name()), "") if reasons.is_list else ""
    finish = turn["finish_reason"].name() or first
    usage = ai["usage"]
    if not turn["parts"].is_list:
        return answer_of(turn, notices, finish=finish, model=ai.at("response", "model").name(), usage=usage)
    refused = [part for part in turn["parts"] if part["type"].value == "refusal"]
    told = [part.first("content", "refusal").name_of_data() for part in refused]
    texts = told or [part for part in _parts(turn["parts"], notices) if isinstance(part, str)]
    return Output(
        text="".join(texts),
        calls=tuple(_calls(turn["parts"])),
        finish="refused" if refused else ended_by(finish),
        tokens_in=usage["input_tokens"].whole(),
        tokens_out=usage["output_tokens"].whole(),
        extra={"model": model} if (model := ai.at("response", "model").name()) else {},
    )


def _by_events(span: Span, notices: Notices) -> Said:
    """One event for each message, whose body is the message as the provider's API has it."""
    said = Said()
    ai = span.attributes["gen_ai"]
    for name, body in span.events:
        if name in EVENTS:
            inside = body.object()
            role = body["role"].name() if body["role"].name() in ROLES else EVENTS[name]
            turn = {
                "content": None,
                **inside,
                "role": role,
                "tool_call_id": inside.get("tool_call_id", inside.get("id")),
            }
            if turn["content"] is None and not inside.get("tool_calls"):
                turn["content"] = ""
                notices.count("empty-message", body)
            turn |= {key: body[key].parsed().value for key in ("tool_calls",) if body[key].is_text}
            said.messages.append(read_message(Field(turn, name, body.source), notices, waiting_in(said.messages)))
        elif name == CHOICE and said.answer is None:
            message = body["message"].parsed()
            message = message if message.is_object else body
            said.answer = answer_of(message, notices, finish=body["finish_reason"].name(), usage=ai["usage"])
    return said


def _by_numbers(span: Span, notices: Notices) -> Said:
    """Attributes from before there were conventions: ``gen_ai.prompt.0.role``, ``gen_ai.completion.0.content``."""
    said = Said()
    prompt = span.attributes.at("gen_ai", "prompt")
    for turn in prompt if prompt.is_list else ():
        said.messages.append(read_message(_numbered(turn), notices, waiting_in(said.messages)))
    functions = span.attributes.at("llm", "request", "functions")
    for each in functions if functions.is_list else ():
        said.tools.append(read_tool(_with_schema(each)))
    answers = span.attributes.at("gen_ai", "completion")
    first = next(iter(answers), None) if answers.is_list else None
    if first is not None:
        usage = span.attributes.at("gen_ai", "usage")
        said.answer = answer_of(_numbered(first), notices, finish=first["finish_reason"].name(), usage=usage)
    return said


def _numbered(turn: Field) -> Field:
    """A message by numbers: a content in parts stands there as the text of its JSON."""
    inside = turn.object()
    parsed = turn["content"].parsed()
    if parsed.is_list:
        inside["content"] = parsed.json()
    return Field({"content": "", **inside}, turn.place, turn.source)


def _with_schema(tool: Field) -> Field:
    return Field({**tool.object(), "parameters": tool["parameters"].parsed().json()}, tool.place, tool.source)
