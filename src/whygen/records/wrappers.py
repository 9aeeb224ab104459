"""What proxies and clients put around a call: the whole HTTP request, a HAR of a browser, a row of a log."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Final

from whygen.errors import DataError
from whygen.records.fields import Field
from whygen.records.kept import Kept
from whygen.records.wire import Sent, is_body, is_chat

_REQUESTS: Final = ("request", "request_body", "req", "params", "body", "input_request", "kwargs")
_RESPONSES: Final = ("response", "response_body", "responseBody", "resp", "output", "completion")
_IDS: Final = ("id", "call_id", "custom_id", "request_id", "requestId", "litellm_call_id", "uuid")
_TIMES: Final = (
    "time", "timestamp", "created_at", "started_at", "start_time", "startTime", "startedDateTime", "ts", "created",
)  # fmt: skip
_RUNS: Final = ("run_id", "trace_id", "session_id", "conversation_id", "thread_id", "run", "session")
_SETTINGS: Final = ("model_parameters", "optional_params", "invocation_params", "parameters", "settings")
"""Where rows of a log keep the settings of the request, beside its messages."""
_ASKED: Final = frozenset({
    "frequency_penalty", "function_call", "functions", "input", "instructions", "logit_bias", "logprobs",
    "max_completion_tokens", "max_output_tokens", "max_tokens", "messages", "min_p", "model", "parallel_tool_calls",
    "presence_penalty", "previous_response_id", "reasoning", "reasoning_effort", "response_format", "seed", "stop",
    "stop_sequences", "system", "temperature", "text", "thinking", "tool_choice", "tools", "top_k", "top_logprobs",
    "top_p", "truncation", "verbosity",
    "contents", "generationConfig", "generation_config", "systemInstruction", "system_instruction", "toolConfig",
    "tool_config", "cachedContent", "inferenceConfig", "modelId",
})  # fmt: skip
"""Fields of a request that stand between other things in a row of a log."""
_HTTP: Final = frozenset({"headers", "method", "status", "statusCode", "status_code", "url"})


def matches(item: Field) -> bool:
    """Whether this is a request, or a request in a wrapper."""
    return is_chat(item) or is_body(item) or any(is_body(_payload(item[name])) for name in _REQUESTS)


def calls(items: Sequence[Field]) -> Iterable[Kept]:
    """The calls of records that hold one each."""
    return map(kept_in, items)


def kept_in(item: Field) -> Kept:
    """The call in one record.

    Raises:
        DataError: if there is none; says which forms are known.
    """
    response = _payload(item.first(*_RESPONSES))
    about = item.first("provider", "custom_llm_provider").name()
    if is_chat(item):
        return _kept(item, Sent(body=Field({"messages": item.value}, "", item.source), response=_nothing(item)))
    for name in _REQUESTS:
        body = _payload(item[name])
        if is_body(body):
            request = item[name]
            url = (request["url"] if request["url"].there else item.first("url", "api_base")).name()
            sent = Sent(body=body, response=response, url=url, provider=about, name=item["model"].name())
            return _kept(item, sent)
    if is_body(item):
        if not response.there:
            return _kept(item, Sent(body=item, response=_nothing(item)))
        return _kept(item, Sent(body=_row(item), response=response, url=item["api_base"].name(), provider=about))
    raise DataError(
        f"{item.source} holds no call of a model: neither messages (OpenAI Chat Completions, Anthropic Messages) nor "
        "input (OpenAI Responses) stands in it, nor in its request. The forms that are read: docs/why.md."
    )


def _nothing(item: Field) -> Field:
    return Field(None, "response", item.source)


def _row(item: Field) -> Field:
    """The request in a row of a log, whose messages stand beside the answer and what else was told of it."""
    body = {name: each.value for name, each in item.items() if name in _ASKED}
    settings = item.first(*_SETTINGS).parsed()
    if settings.is_object:
        body = {**settings.object(), **body}
    return Field(body, "", item.source)


def kept_of(sent: Sent, source: str, *, id: str = "", time: str = "", run: str = "") -> Kept:  # noqa: A002 - as in `Kept`
    """A call of which a format knows all that is beside it."""
    return Kept(read=sent.call, source=source, model=sent.body["model"].name() or sent.name, id=id, time=time, run=run)


def _kept(item: Field, sent: Sent) -> Kept:
    """A call with what the record tells beside it."""
    return Kept(
        read=sent.call,
        source=item.source,
        model=sent.body["model"].name() or sent.name,
        id=item.first(*_IDS).name() or sent.response["id"].name(),
        time=item.first(*_TIMES).name() or sent.response.first("created", "created_at").name(),
        run=item.first(*_RUNS).name(),
    )


def _payload(found: Field) -> Field:
    """The body in what was kept of a request or of a response: as JSON, or as the text of it."""
    found = found.parsed()
    if not found.keys() & _HTTP:
        return found
    for name in ("body", "json", "postData", "content", "data", "text"):
        inside = found[name]
        if inside.is_object and inside["mimeType"].there:  # a HAR's
            inside = _decoded(inside)
        if inside.there:
            return inside.parsed()
    return found


def _decoded(content: Field) -> Field:
    text = content["text"]
    if content["encoding"].value != "base64" or not text.is_text:
        return text
    try:
        decoded = base64.b64decode(text.text(), validate=True).decode()
    except ValueError:
        return text
    return Field(decoded, text.place, text.source)
