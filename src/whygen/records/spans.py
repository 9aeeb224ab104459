"""Spans and their events, in whatever JSON an exporter wrote: OTLP, the SDK's console, Phoenix's export."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

from whygen.records.fields import Field
from whygen.records.stores import span_of

MOST_LEVELS = 20
"""Dots in the name of an attribute that are followed."""
MOST_ITEMS = 10_000
"""Of a list that is spelled by the names of attributes, ``llm.input_messages.0.message.role``."""


@dataclass(slots=True)
class Span:
    """A span, whatever wrote it.

    Attributes:
        attributes: nested by the dots in their names; numbers there are places in lists.
        trace: the run that it belongs to.
        id: of the span.
        parent: the span that it is inside of.
        name: of what was done.
        kind: what OpenInference calls it, such as ``LLM``.
        start: when it began, as the export writes it.
        end: when it ended.
        error: what went wrong; empty where nothing did.
        events: names and bodies of what was told during it, in order.
    """

    attributes: Field
    trace: str = ""
    id: str = ""
    parent: str = ""
    name: str = ""
    kind: str = ""
    start: str = ""
    end: str = ""
    error: str = ""
    events: list[tuple[str, Field]] = field(default_factory=list["tuple[str, Field]"])


@dataclass(frozen=True, slots=True)
class Event:
    """A record of a log that belongs to a span."""

    trace: str
    span: str
    name: str
    body: Field


def matches(item: Field) -> bool:
    """Whether this is an export of spans, a span, or a record of a log."""
    several = item["data"].is_list and any(map(_is_span, item["data"]))
    return several or _is_otlp(item) or _is_span(item) or _is_log(item) or span_of(item) is not None


def _is_otlp(item: Field) -> bool:
    scopes = {"scopeSpans", "scope_spans", "instrumentationLibrarySpans"}
    of_tempo = item["batches"].is_list and any(each.keys() & scopes for each in item["batches"])
    return of_tempo or bool(item.keys() & {"resourceSpans", "resource_spans", "resourceLogs", "resource_logs"})


def _is_span(item: Field) -> bool:
    keys = item.keys()
    return (
        (item["attributes"].is_object and (item["context"].is_object or bool(keys & _SPAN_IDS)))
        or ("context.span_id" in keys and any(key.startswith("attributes.") for key in keys))
        or (item["attributes"].is_list and bool(keys & {"spanId", "span_id"}))
    )


_SPAN_IDS = frozenset({"spanId", "span_id", "spanContext"})


def _is_log(item: Field) -> bool:
    return bool(item.keys() & {"event_name", "eventName"}) and bool(item.keys() & {"trace_id", "traceId", "body"})


def spans_in(items: Iterable[Field]) -> list[Span]:
    """The spans of a file, each with its events, whether these stand in it or in a log beside it."""
    spans: list[Span] = []
    events: list[Event] = []
    for item in items:
        for each in _spread(item):
            if isinstance(each, Span):
                spans.append(each)
            else:
                events.append(each)
    by_id = {(span.trace, span.id): span for span in spans}
    for event in events:
        span = by_id.get((event.trace, event.span))
        if span is None:  # the log was kept without its spans
            span = Span(Field({}, "attributes", event.body.source), event.trace, event.span)
            by_id[event.trace, event.span] = span
            spans.append(span)
        span.events.append((event.name, event.body))
    return spans


def _spread(item: Field) -> Iterable[Span | Event]:
    if _is_otlp(item):
        for outer in _each(item, "resourceSpans", "resource_spans", "batches"):
            for scope in _each(outer, "scopeSpans", "scope_spans", "instrumentationLibrarySpans"):
                yield from map(_otlp_span, _each(scope, "spans"))
        for outer in _each(item, "resourceLogs", "resource_logs"):
            for scope in _each(outer, "scopeLogs", "scope_logs"):
                yield from map(_otlp_log, _each(scope, "logRecords", "log_records"))
    elif item["data"].is_list and not _is_span(item):
        yield from map(_plain_span, filter(_is_span, item["data"]))
    elif _is_log(item):
        yield _plain_log(item)
    elif not _is_span(item) and (kept := span_of(item)) is not None:
        yield _plain_span(kept)
    elif item["attributes"].is_list:
        yield _otlp_span(item)
    else:
        yield _plain_span(item)


def _each(outer: Field, *names: str) -> list[Field]:
    found = outer.first(*names)
    return list(found) if found.is_list else []


def _otlp_span(item: Field) -> Span:
    attributes = _nested(_key_values(item["attributes"]), item, "attributes")
    return Span(
        attributes,
        trace=_id(item.first("traceId", "trace_id")),
        id=_id(item.first("spanId", "span_id")),
        parent=_id(item.first("parentSpanId", "parent_span_id")),
        name=item["name"].name(),
        kind=attributes.at("openinference", "span", "kind").name(),
        start=item.first("startTimeUnixNano", "start_time_unix_nano").name(),
        end=item.first("endTimeUnixNano", "end_time_unix_nano").name(),
        error=_error(item["status"].first("code"), item["status"]["message"]),
        events=[
            (event["name"].name(), _nested(_key_values(event["attributes"]), event, "attributes"))
            for event in _each(item, "events")
        ],
    )


def _otlp_log(item: Field) -> Event:
    attributes = _key_values(item["attributes"])
    name = item.first("eventName", "event_name").name() or str(attributes.get("event.name", ""))
    body = Field(_any_value(item["body"].value, 0))
    inside = {**attributes, **(body.object() if body.is_object else {})}
    trace, span = _id(item.first("traceId", "trace_id")), _id(item.first("spanId", "span_id"))
    return Event(trace, span, name, _nested(inside, item, "body"))


def _plain_span(item: Field) -> Span:
    """A span as the SDK's console or Phoenix writes it; of a table of spans, a row."""
    whole = item
    if "context.span_id" in item.keys():  # noqa: SIM118 - a field is no dict
        whole = _nested(item.object(), item, "")
    context = whole.first("context", "spanContext")
    context = context if context.is_object else whole
    inside = whole["attributes"].object() if whole["attributes"].is_object else {}
    attributes = _nested(inside, item, "attributes")
    return Span(
        attributes,
        trace=_id(context.first("trace_id", "traceId")),
        id=_id(context.first("span_id", "spanId")),
        parent=_id(whole.first("parent_id", "parentId")),
        name=whole["name"].name(),
        kind=attributes.at("openinference", "span", "kind").name() or whole["span_kind"].name(),
        start=whole.first("start_time", "startTime").name(),
        end=whole.first("end_time", "endTime").name(),
        error=_error(
            whole["status"].first("status_code", "code") if whole["status"].is_object else whole["status_code"],
            whole["status"].first("description", "message") if whole["status"].is_object else whole["status_message"],
        ),
        events=[
            (event["name"].name(), _nested(event["attributes"].object(), event, "attributes"))
            for event in _each(whole, "events")
            if event["attributes"].is_object
        ],
    )


def _plain_log(item: Field) -> Event:
    attributes = item["attributes"].object() if item["attributes"].is_object else {}
    name = item.first("event_name", "eventName").name() or str(attributes.get("event.name", ""))
    body = item["body"].object() if item["body"].is_object else {}
    return Event(
        _id(item.first("trace_id", "traceId")),
        _id(item.first("span_id", "spanId")),
        name,
        _nested({**attributes, **body}, item, "body"),
    )


def _error(code: Field, message: Field) -> str:
    """What went wrong during a span; OTLP has a word for it, or the number 2."""
    failed = code.value == 2 or code.name().upper().endswith("ERROR")
    return (message.name() or "it does not say which") if failed else ""


def _id(found: Field) -> str:
    return found.name().removeprefix("0x").lower()


def _key_values(found: Field) -> dict[str, object]:
    """OTLP's list of keys and values as a dict."""
    if found.is_object:
        return dict(found.object())
    pairs = [each for each in found if each["key"].is_text] if found.is_list else []
    return {each["key"].text(): _any_value(each["value"].value, 0) for each in pairs}


def _any_value(value: object, level: int) -> object:
    """What OTLP's ``AnyValue`` holds."""
    if not isinstance(value, dict) or level > 2 * MOST_LEVELS:
        return cast("object", value)
    held = cast("Mapping[str, object]", value)
    for name in ("stringValue", "boolValue", "doubleValue", "bytesValue", "string_value", "bool_value", "double_value"):
        if name in held:
            return held[name]
    for name in ("intValue", "int_value"):
        if name in held:
            text = str(held[name])
            return int(text) if text.lstrip("-").isdecimal() and len(text) < 25 else held[name]
    inside = Field(held)
    if (several := inside.first("arrayValue", "array_value")).is_object:
        values = several["values"]
        return [_any_value(each.value, level + 1) for each in values] if values.is_list else []
    if (pairs := inside.first("kvlistValue", "kvlist_value")).is_object:
        values = pairs["values"]
        named = [each for each in values if each["key"].is_text] if values.is_list else []
        return {each["key"].text(): _any_value(each["value"].value, level + 1) for each in named}
    return None


def _nested(flat: Mapping[str, object], item: Field, place: str) -> Field:
    """Attributes nested by the dots in their names; an inner object of dotted names is nested too."""
    whole: dict[str, object] = {}
    for name, value in flat.items():
        steps = name.split(".", MOST_LEVELS)
        inner = whole
        for step in steps[:-1]:
            below = inner.get(step)
            if not isinstance(below, dict):
                below = {} if below is None else {"": below}
                inner[step] = below
            inner = cast("dict[str, object]", below)
        last = steps[-1]
        there = inner.get(last)
        inner[last] = {**cast("dict[str, object]", there), "": value} if isinstance(there, dict) else value
    return Field(_listed(whole, 0), place, item.source)


def _item(value: object) -> object:
    """An item of a list, whose own names may have dots, as in rows of a table."""
    names: dict[str, object] = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    dotted = any("." in name for name in names)
    return _nested(names, Field(None), "").value if dotted else cast("object", value)


def _listed(value: object, level: int) -> object:
    """Objects whose keys are 0, 1, 2 ... as lists, and the names in lists' items nested."""
    if level > 2 * MOST_LEVELS:
        return value
    if isinstance(value, list):
        return [_item(each) for each in cast("list[object]", value)]
    if not isinstance(value, dict):
        return value
    inside = cast("dict[str, object]", value)
    if inside and len(inside) <= MOST_ITEMS and all(key.isdecimal() and len(key) < 6 for key in inside):
        return [_listed(inside[key], level + 1) for key in sorted(inside, key=int)]
    return {key: _listed(each, level + 1) for key, each in inside.items()}
