"""Langfuse: generations as its API and its exports give them, and as its client sends them in spans."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any

from whygen.records.fields import Field
from whygen.records.kept import Kept
from whygen.records.spans import Span
from whygen.records.wire import Sent, answer_in, is_body, is_chat
from whygen.records.wrappers import kept_of

_GENERATIONS = frozenset({"generation", "agent-generation"})


def matches(item: Field) -> bool:
    """Whether this is a trace with its observations, an observation, or a page of either."""
    return bool(_observations(item))


def calls(items: Sequence[Field]) -> Iterable[Kept]:
    """The generations among the observations, oldest first, as pages have the newest first."""
    found = [each for item in items for each in _observations(item)]
    for each in sorted(found, key=lambda each: each.first("startTime", "start_time").name()):
        model = each.first("model", "providedModelName").name()
        settings, usage = each.first("modelParameters", "model_parameters"), each.first("usage", "usageDetails")
        sent = sent_of(each["input"], _came(each), settings, model, usage)
        yield kept_of(
            sent, each.source, id=each["id"].name(), time=each.first("startTime", "start_time").name(),
            run=each.first("traceId", "trace_id").name(),
        )  # fmt: skip


def _came(observation: Field) -> Field:
    """What came back: nothing is the text ``null`` in exports of its page, and an error stands beside it."""
    output, failed = observation["output"], observation.first("statusMessage", "status_message")
    if output.there and output.value not in ("", "null"):
        return output
    wrong = observation["level"].value == "ERROR"
    told = {"error": {"message": failed.name() or "it does not say which"}} if wrong else None
    return Field(told, failed.place or "output", observation.source)


def _observations(item: Field) -> list[Field]:
    several = item.first("observations", "data")
    if several.is_list:
        return [found for each in several for found in _observations(each)]
    kind = item["type"].name().lower()
    is_one = kind in _GENERATIONS and item["input"].there and bool(item.keys() & {"traceId", "trace_id"})
    return [item] if is_one else []


def holds(span: Span) -> bool:
    """Whether a span is a generation that Langfuse's client sent, with what was said."""
    return _observation(span)["input"].there and _observation(span)["type"].name().lower() in _GENERATIONS


def sent_in(span: Span) -> Sent:
    """What was sent and what came back."""
    found = _observation(span)
    model = found["model"]
    return sent_of(found["input"], found["output"], model["parameters"], model["name"].name(), found["usage_details"])


def _observation(span: Span) -> Field:
    return span.attributes.at("langfuse", "observation")


def sent_of(asked: Field, answered: Field, settings: Field, model: str, usage: Field) -> Sent:
    """A call of a generation's input, its output and the parameters of its model.

    Args:
        asked: messages; or an object with messages and tools; or a text.
        answered: a message, a text, or a whole response.
        settings: by name.
        model: as Langfuse calls it.
        usage: how many tokens were read and written.
    """
    asked, answered, settings = asked.parsed(), answered.parsed(), settings.parsed()
    told = settings.object() if settings.is_object else {}
    body: dict[str, Any] = {name: value for name, value in told.items() if value not in (None, "", "None")}
    inside = asked.object() if asked.is_object else {}
    if is_body(Field({"model": model or "?", **inside})):
        body |= inside
    elif is_chat(asked):
        body |= _apart(asked)
    elif asked.is_text:
        body["messages"] = [{"role": "user", "content": asked.text()}]
    else:
        raise asked.wrong("a list of messages, or a text")
    body["model"] = body.get("model") or model
    body |= {name: _number(value) for name, value in body.items() if name in _NUMBERS}
    several = list(answered) if answered.is_list else [answered]  # a lone item of Responses stands there by itself
    if answered["error"].is_object:
        return Sent(body=Field(body, asked.place, asked.source), response=answered, name=model)
    items = any(each["type"].there and not each["role"].there for each in several)
    output = {"output": [each.value for each in several]}
    came = Field(output, answered.place, answered.source) if items else answered
    came = answer_in(came, usage.parsed())
    return Sent(body=Field(body, asked.place, asked.source), response=came, name=model)


def _apart(turns: Field) -> dict[str, Any]:
    """Messages, and the definitions of tools that its handler for LangChain writes down as messages of tools."""
    defined = [each["content"]["function"].is_object and each["role"].value == "tool" for each in turns]
    tools = [each["content"].value for each, is_tool in zip(turns, defined, strict=True) if is_tool]
    said = [each.value for each, is_tool in zip(turns, defined, strict=True) if not is_tool]
    return {"messages": said, "tools": tools} if tools else {"messages": said}


_NUMBERS = frozenset({
    "frequency_penalty", "max_completion_tokens", "max_output_tokens", "max_tokens", "presence_penalty", "seed",
    "temperature", "top_p",
})  # fmt: skip


def _number(value: object) -> object:
    """Parameters are texts in some exports."""
    if not isinstance(value, str):
        return value
    try:
        number = float(value)
    except ValueError:
        return None
    if not isfinite(number):  # "Infinity" where no limit was given
        return None
    return int(number) if number == number // 1 and "." not in value else number
