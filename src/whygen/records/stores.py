"""What stores make of records: spans under names of their own, and rows without the names of their columns."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import cast

from whygen.records.fields import Field

_KEPT = (
    "attributes", "tags", "SpanAttributes", "span_attributes", "spanAttributes", "customDimensions",
    "custom_dimensions", "attributes_string", "data", "labels",
)  # fmt: skip
"""Where Jaeger, Zipkin, ClickHouse, SigNoz, Application Insights, Sentry and Google's traces keep attributes."""
_ALSO = ("attributes_number", "attributes_bool", "customMeasurements")
_VOCABULARIES = ("gen_ai.", "llm.", "openinference.", "ai.prompt", "langfuse.observation")
_TRACES = ("traceId", "trace_id", "traceID", "TraceId", "operation_Id", "trace")
_SPANS = ("spanId", "span_id", "spanID", "SpanId", "id")
_PARENTS = ("parentId", "parent_id", "parent_span_id", "parentSpanId", "ParentSpanId", "operation_ParentId")
_NAMES = ("name", "operationName", "SpanName", "span_name", "description", "displayName")
_STARTS = ("start_time", "startTime", "startTimeMillis", "start_timestamp", "Timestamp", "timestamp", "@timestamp")
_NUMBER = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,18})?")
MOST_ROWS = 100_000


def span_of(item: Field) -> Field | None:
    """A span that a store keeps under its own names, as the SDK's console would write it; None of what is none."""
    for name in _KEPT:
        told = dict(_pairs(item[name].parsed()))
        if any(key.startswith(_VOCABULARIES) for key in told):
            for also in _ALSO:
                told |= dict(_pairs(item[also].parsed()))
            told = {key: _number(key, value) for key, value in told.items()}
            named = {"trace_id": _TRACES, "span_id": _SPANS, "parent_id": _PARENTS, "name": _NAMES}
            kept: dict[str, object] = {key: item.first(*names).value for key, names in named.items()}
            start = item.first(*_STARTS).name()
            whole = {**kept, "start_time": start, "attributes": told, "events": item["events"].value}
            return Field(whole, "", item.source)
    return None


def _pairs(found: Field) -> Iterable[tuple[str, object]]:
    """Names and values, in an object or in a list of them."""
    if found.is_object:
        yield from found.object().items()
    elif found.is_list:
        yield from ((each["key"].text(), each["value"].value) for each in found if each["key"].is_text)


def _number(key: str, value: object) -> object:
    """A setting or a count that a store of texts alone has made a text."""
    if not isinstance(value, str) or not key.startswith(("gen_ai.request.", "gen_ai.usage.", "server.port")):
        return value
    found = Field(value).parsed().value  # stop sequences are a list
    if found is value and _NUMBER.fullmatch(value) and not key.endswith(".model"):
        found = int(value) if value.lstrip("-").isdecimal() else float(value)
    return found


def rows_of(item: Field) -> list[Field]:
    """The rows of a table, each with the names of its columns; none of what is no table.

    A query's answer names its columns once (Application Insights, pandas' ``split``), pandas' ``to_json`` writes column
    after column.
    """
    names = [each.name() or each["name"].name() for each in item["columns"]] if item["columns"].is_list else []
    rows = item.first("rows", "data", "values")
    if names and rows.is_list and all(each.is_list for each in rows):
        kept = [dict(zip(names, cast("list[object]", each.value), strict=False)) for each in rows]
        return [Field(row, "", f"{item.source}, row {number}") for number, row in enumerate(kept, start=1)]
    columns = item.items() if item.is_object else []
    numbers = columns[0][1].keys() if columns else frozenset[str]()
    if not numbers or len(numbers) > MOST_ROWS:
        return []
    if not all(each.isdecimal() for each in numbers) and not any(name.startswith("attributes.") for name, _ in columns):
        return []  # a table is known by the numbers of its rows, one of spans by its columns
    if not all(column.keys() == numbers for _, column in columns):
        return []
    return [
        Field({name: column[number].value for name, column in columns}, "", f"{item.source}, row {number}")
        for number in sorted(numbers, key=lambda each: (each.zfill(len(str(MOST_ROWS))), each))
    ]
