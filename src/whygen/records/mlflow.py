"""MLflow's traces: their spans of models, as its client and its page give them, and as rows of its table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from whygen.errors import DataError
from whygen.records import langchain
from whygen.records.call import Call
from whygen.records.fields import Field
from whygen.records.kept import Kept
from whygen.records.notices import Notices
from whygen.records.wire import Sent, answer_in, is_body, is_chat
from whygen.safe import read_json

_MODELS = frozenset({"CHAT_MODEL", "LLM"})
_SETTINGS = (
    "max_completion_tokens", "max_tokens", "temperature", "top_p", "stop", "seed", "tools", "tool_choice",
    "response_format",
)  # fmt: skip
"""Attributes that MLflow's client puts beside the inputs."""


def matches(item: Field) -> bool:
    """Whether this is a trace, a row of traces, or a span of one."""
    return bool(_spans(item))


def calls(items: Sequence[Field]) -> Iterable[Kept]:
    """The calls of models, in the order in which they began.

    A framework's span of a call and the one of the client below it are one call: that of the client counts, as it was
    sent.
    """
    found = [span for item in items for span in _spans(item)]
    models = sorted((span for span in found if _told(span, "spanType").name() in _MODELS), key=_start)
    over = {span.first("parent_span_id", "parent_id").name() for span in models if _told(span, "spanInputs").there}
    for span in models:
        if _id(span) not in over:
            yield Kept(
                partial(_read, span), f"{span.source}, span {_id(span)}", model=_model(span), id=_id(span),
                time=_start(span), run=_trace(span),
            )  # fmt: skip


def _spans(item: Field) -> list[Field]:
    trace = item["trace"].parsed()  # a row of search_traces
    held = item if not trace.is_object else trace
    several = held["data"]["spans"] if held["data"].is_object else held["spans"]
    if several.is_list:
        return [each for each in (span.parsed() for span in several) if _is_span(each)]
    return [item] if _is_span(item) else []


def _is_span(item: Field) -> bool:
    return item["attributes"].is_object and any(key.startswith("mlflow.") for key, _ in item["attributes"].items())


def _told(span: Field, name: str) -> Field:
    """An attribute of MLflow's, which are JSON in texts."""
    return _plain(span["attributes"][f"mlflow.{name}"])


def _plain(found: Field) -> Field:
    if not found.is_text:
        return found
    try:
        return Field(read_json(found.text()), found.place, found.source)
    except ValueError:
        return found


def _id(span: Field) -> str:
    return span.first("span_id", "context").name() or span.at("context", "span_id").name()


def _trace(span: Field) -> str:
    return _told(span, "traceRequestId").name() or span["trace_id"].name()


def _start(span: Field) -> str:
    return span.first("start_time_unix_nano", "start_time_ns", "start_time").name()


def _model(span: Field) -> str:
    asked = _told(span, "spanInputs")["model"].name()
    return asked or _told(span, "llm.model").name() or _plain(span["attributes"]["model"]).name()


def _read(span: Field, notices: Notices) -> Call:
    call, status = _sent(span).call(notices), span["status"]
    if call.answer is None and status["code"].name().endswith("ERROR"):
        notices.failed(status.first("message", "description").name() or "it does not say which")
    return call


def _sent(span: Field) -> Sent:
    asked, attributes = _told(span, "spanInputs"), span["attributes"]
    if not asked.value:
        raise DataError(
            f"{span.source}: the span {_id(span)} of {_model(span) or 'a model'} holds no inputs "
            "(mlflow.spanInputs): get the trace whole (mlflow.get_trace(ID).to_json()), with its spans."
        )
    found = Field(asked.value, "mlflow.spanInputs", span.source)
    body: dict[str, Any] = langchain.settings(attributes["invocation_params"].parsed())
    for name in _SETTINGS:
        if attributes[name].there:
            body.setdefault(name, _plain(attributes[name]).value)
    if (tools := _told(span, "chat.tools")).is_list and not is_body(found):
        body.setdefault("tools", tools.value)
    if is_body(found):
        body |= {key: each.value for key, each in found.items() if each.there}
    elif is_chat(found):
        body["messages"] = found.value
    elif found.is_list and len(rows := list(found)) == 1 and is_chat(rows[0]):
        body["messages"] = rows[0].value
    else:
        prompt = found.first("prompt", "prompts", "input", "inputs") if found.is_object else found
        first = next(iter(prompt), prompt) if prompt.is_list else prompt
        body["messages"] = [{"role": "user", "content": first.text()}]
    body.setdefault("model", _model(span))
    outputs = _told(span, "spanOutputs")
    return Sent(
        body=Field(body, "mlflow.spanInputs", span.source),
        response=answer_in(Field(outputs.value, "mlflow.spanOutputs", span.source)),
        provider=_told(span, "llm.provider").name(), name=_model(span),
    )  # fmt: skip
