"""What proxies and clients put around a call: the whole HTTP request, a HAR of a browser, a row of a log."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from whygen.errors import DataError
from whygen.records.fields import Field
from whygen.records.kept import Kept
from whygen.records.parts import text_of_base64
from whygen.records.unread import what_it_is
from whygen.records.wire import BESIDE, Sent, answer_in, is_body, is_chat

_REQUESTS: Final = (
    "request", "request_body", "requestBody", "req", "proxy_server_request", "params", "body", "input_request",
    "kwargs", "inputs", "input", "inputBodyJson", "payload",
)  # fmt: skip
_TALKS: Final = ("inputs", "input", "prompt", "messages", "model_input_messages", "input_messages")
"""Where tracers keep the messages alone."""
_CHATS: Final = ("messages", "chat_history", "history", "conversation")
"""Where they stand in what was given."""
_RESPONSES: Final = (
    "response", "response_body", "responseBody", "resp", "output", "outputs", "completion", "outputBodyJson",
    "model_output_message", "output_message", "preferred_output", "chosen", "output_choices",
)  # fmt: skip
_IDS: Final = ("id", "call_id", "custom_id", "request_id", "requestId", "litellm_call_id", "uuid", "key")
_TIMES: Final = (
    "startedDateTime", "time", "timestamp", "created_at", "started_at", "start_time", "startTime", "ts", "created",
)  # fmt: skip
_RUNS: Final = ("run_id", "trace_id", "session_id", "conversation_id", "thread_id", "run", "session")
_MODELS: Final = (
    "model", "modelId", "request_model", "model_name", "modelName", "provided_model_name", "providedModelName",
    "ai_model", "model_id",
)  # fmt: skip
"""Where they name the model."""
_PROVIDED: Final = ("provider", "custom_llm_provider", "model_provider", "provider_name", "ai_org")
_OF_ROWS: Final = frozenset((*_IDS, *_TIMES, *_RUNS))
_SETTINGS: Final = (
    "model_parameters",
    "optional_params",
    "invocation_params",
    "parameters",
    "settings",
    "model_config",
)
"""Where rows of a log keep the settings of the request, beside its messages."""
_ALSO: Final = ("metadata", "kwargs", "hyperparameters", "config", "prompt")
"""Where they keep them among other things."""
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
_HTTP: Final = frozenset({"code", "headers", "method", "status", "statusCode", "status_code", "uri", "url"})
_PIECES: Final = re.compile(r"\s*(?:data:|event:|[{\[])")
_SHOWN: Final = re.compile(r"\w*Response\(")
"""What Python shows of an object, where a log was written with ``default=str``: no answer."""
_BODIES: Final = ("body", "json", "postData", "content", "data", "text")
SMALLEST: Final = (
    '{"model": "gpt-4o", "messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}'
)
"""The smallest record, to be shown."""
_NO_CHATS: Final = re.compile(
    r"/(?:embeddings|moderations|images/\w+|audio/\w+|rerank|files|batches|fine_tuning/\w+)/?$|:(?:embedContent|countTokens)$"
)


def matches(item: Field) -> bool:
    """Whether this is a request, or a request in a wrapper."""
    item = _flat(item)
    held = is_chat(item) or is_body(item) or any(is_body(_payload(item[name])) for name in _REQUESTS)
    return held or _talk(item) is not None


def _flat(item: Field) -> Field:
    """A record without a wrapper that is known: what stands inside beside what stands around."""
    cells = {name: item[name].parsed().value for name in ("messages", "tools") if item[name].is_text}
    if cells:  # a row of a table, whose cells are texts
        item = Field({**item.object(), **cells}, item.place, item.source)
    if any(name.startswith("$ai_") for name in item.keys()):  # noqa: SIM118 - a field is no dict; PostHog
        own = {name.removeprefix("$ai_"): each.value for name, each in item.items() if name.startswith("$ai_")}
        item = Field(own, item.place, item.source)
    asked = item["input"]
    if asked.is_object and len(asked.keys()) == 1 and is_body(inside := asked["input"].parsed()):  # sets of Phoenix
        item = Field({**item.object(), "input": inside.value}, item.place, item.source)
    if _SHOWN.match(item["response"].name()):  # DSPy, whose outputs stand beside it
        first = next(iter(item["outputs"]), Field(None)) if item["outputs"].is_list else Field(None)
        said = {"content": first["text"].value, "tool_calls": first["tool_calls"].value} if first.is_object else None
        message = said or ({"content": first.value} if first.is_text else None)
        answer = None if message is None else {"choices": [{"message": message}]}
        item = Field({**item.object(), "response": answer}, item.place, item.source)
    inner, told = item["span_data"], item["response"]
    if inner.is_object:  # OpenAI's Agents SDK
        return Field({**item.object(), **inner.object(), "span_data": None, "type": None}, "", item.source)
    if item["schemaType"].value == "ModelInvocationLog":  # what Bedrock keeps of its calls
        sent, came = item.at("input", "inputBodyJson"), item.at("output", "outputBodyJson")
        return Field({**item.object(), "input": None, "request": sent.value, "response": came.value}, "", item.source)
    if item["input"].is_text and item["output"].is_list and item.at("metadata", "model").is_text:  # Braintrust
        told = {"model": item["metadata"]["model"].value, "output": {"output": item["output"].value}}
        return Field({**item.object(), **told}, "", item.source)
    if item["input"].there and told["object"].value == "response" and not item["model"].there:
        echo = {key: each.value for key, each in told.items() if key in _ASKED and each.there}
        return Field({**item.object(), **echo, "input": item["input"].value}, "", item.source)
    return item


def _talk(item: Field) -> Field | None:
    """The messages that a tracer kept beside an answer; None where it kept none, or a request as it was sent."""
    answer = item.first(*_RESPONSES)
    items = answer.is_list and any(each["type"].there and not each["lc"].there for each in answer)
    if not answer.there or (is_body(item) and (items or not _is_message(answer))):
        return None
    places = [item[name].parsed() for name in _TALKS]
    inside = [place[name].parsed() for place in places if place.is_object for name in _CHATS]
    return next(filter(is_chat, (*places, *inside)), None)


def _is_message(found: Field) -> bool:
    """Whether this is a message, or several, or the choices of an answer."""
    first = next(iter(found), found) if found.is_list else found
    return first["role"].is_text or first["message"].is_object


def calls(items: Sequence[Field]) -> Iterable[Kept]:
    """The calls of records that hold one each."""
    return map(kept_in, items)


def kept_in(item: Field) -> Kept:
    """The call in one record.

    Raises:
        DataError: if there is none; says what it is, or which forms are known.
    """
    found, item = item, _flat(item)
    response = _came(item)
    said = next(iter(response), Field(None)) if response.is_list else Field(None)
    messages = said["role"].is_text and not said["type"].there
    several = (response["messages"].is_list and not response["choices"].there) or said["function"].is_object
    if messages or several or (response.is_text and not _PIECES.match(response.text())):
        response = answer_in(response)
    if is_chat(item):
        return _kept(item, Sent(body=Field({"messages": item.value}, "", item.source), response=_nothing(item)))
    for name in _REQUESTS:
        body = _payload(item[name])
        if is_body(body):
            return _in_wrapper(item, item[name], body, response)
    url, about = item.first("api_base", "base_url").name(), item.first(*_PROVIDED).name()
    if (talk := _talk(item)) is not None:
        row = _row(item).object()
        row.pop("input", None)
        body = Field({**row, "messages": talk.json()}, "", item.source)
        return _kept(item, Sent(body=body, response=answer_in(response), url=url, provider=about))
    if is_body(item):
        if response.there:
            return _kept(item, Sent(body=_row(item), response=response, url=url, provider=about))
        # No request has an id or a time; one that names no model is none that a service takes as it stands.
        plain = not item.keys() & _OF_ROWS and (item["model"].there or item.keys() <= _ASKED | {BESIDE})
        return _kept(item, Sent(body=item if plain else _row(item), response=_nothing(item)))
    if told := what_it_is(found):
        raise DataError(f"{item.source} holds no call that could be explained, but {told}.")
    raise DataError(
        f"{item.source} holds no call of a model: neither messages (OpenAI Chat Completions, Anthropic Messages) nor "
        f"input (OpenAI Responses) stands in it, nor in its request. A log with names of its own can be written as "
        f"{SMALLEST}; a last turn of the assistant is the answer that is explained. The forms that are read: "
        "docs/why.md."
    )


def _came(item: Field) -> Field:
    """What came back: below a name of its own once more, as rows of data sets have it, or as what went wrong."""
    response = _payload(item.first(*_RESPONSES))
    if response.is_object and len(response.keys()) == 1 and response.first(*_RESPONSES).is_text:
        response = _payload(response.first(*_RESPONSES))
    failed = item.first("error_str", "error_message", "exception")
    if not response.value and failed.is_text:
        return Field({"error": {"message": failed.text()}}, failed.place, failed.source)
    return response


def _in_wrapper(item: Field, request: Field, body: Field, response: Field) -> Kept:
    """A request that stands under a name of its own.

    Raises:
        DataError: if it asks for no answer in words.
    """
    asked = request.first("url", "uri")
    asked = asked if asked.there else item.first("url", "api_base", "request_path")
    url = (asked["raw"] if asked.is_object else asked).name()
    if _NO_CHATS.search(url.partition("?")[0]):
        raise DataError(f"{item.source} was sent to {url.partition('?')[0]}, which answers nothing that is explained.")
    name, provider = item.first(*_MODELS).name(), item.first(*_PROVIDED).name().lower()
    if not url and not body["model"].there and not body["modelId"].there:  # a tracer's: settings stand beside it
        row = {key: value for key, value in _row(item).object().items() if key not in {"input", "messages"}}
        body = Field({**row, **body.object()}, body.place, body.source)
    return _kept(item, Sent(body=body, response=response, url=url, provider=provider, name=name))


def _nothing(item: Field) -> Field:
    return Field(None, "response", item.source)


def _row(item: Field) -> Field:
    """The request in a row of a log, whose messages stand beside the answer and what else was told of it."""
    body = {name: each.value for name, each in item.items() if name in _ASKED}
    if (name := item.first(*_MODELS).name()) and not item["model"].is_text:
        body["model"] = name
    settings = item.first(*_SETTINGS).parsed()
    if settings.is_object:
        body = {**settings.object(), **body}
    for name in _ALSO:
        also = item[name].parsed()
        told = {key: each.value for key, each in also.items() if key in _ASKED} if also.is_object else {}
        body = {**told, **body}
    if is_chat(Field(body.get("messages"))):  # what else is said in words of another protocol is none of the request
        body.pop("input", None)
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
    first = next(iter(found), found) if found.is_list else found
    found = first if first["code"].there and first["body"].there else found  # Postman keeps several answers
    if found["object"].value == "response" or (found["output"].is_list and found["model"].is_text):
        return found  # a response of OpenAI's has a status and a text of its own
    if not found.keys() & _HTTP and not found.keys() <= {*_BODIES, "ok", "time"}:
        return found
    for name in _BODIES:
        inside = found[name]
        if inside.is_object and inside["mimeType"].there:  # a HAR's
            inside = _decoded(inside)
        elif inside.is_object and inside.first("string", "raw").is_text:  # a cassette's, Postman's
            inside = inside.first("string", "raw")
        if inside.there:
            return inside.parsed()
    return found


def _decoded(content: Field) -> Field:
    text = content["text"]
    if content["encoding"].value != "base64" or not text.is_text:
        return text
    decoded = text_of_base64(text.text())
    return text if decoded is None else Field(decoded, text.place, text.source)
