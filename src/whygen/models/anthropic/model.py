"""A model behind Anthropic's messages endpoint: requests to messages, answers to outputs, errors to failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast
from weakref import finalize

import anthropic
import httpx2

from whygen.models.anthropic.batches import AnthropicBatches
from whygen.models.anthropic.caching import marked
from whygen.models.anthropic.turns import calls_in, split, tools
from whygen.models.batches import Batches
from whygen.models.turns import Refused
from whygen.remote import (
    Answer,
    Malformed,
    Service,
    answer_each,
    count,
    dig,
    document,
    from_status,
    refuse_error,
    timed_out,
    told,
    told_name,
    unexpected,
    unreachable,
    with_extra,
)
from whygen.remote.bounded import bounded_client
from whygen.types import Failure, FinishReason, JsonValue, Limits, Output, Request

TIMEOUT = 300.0
"""Seconds without a byte until an answer is given up."""
IN_FLIGHT = 64
"""The most calls at once; how many of these the server is given, `whygen.calls` finds out."""
_CONNECT = 10.0
_FINISHES: Mapping[str, FinishReason] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refused",
}


class AnthropicModel:
    """A model of Anthropic. It takes no seed: two draws of a prompt differ, and a rerun relies on what is recorded."""

    def __init__(self, service: Service, name: str, *, timeout: float | None = None) -> None:
        self._service = service
        self._name = name
        self._client = anthropic.Anthropic(
            api_key=service.key or "none",
            base_url=service.base_url,
            max_retries=0,
            timeout=httpx2.Timeout(timeout or TIMEOUT, connect=min(_CONNECT, timeout or TIMEOUT)),
            http_client=bounded_client(timeout or TIMEOUT),
        )
        self._before: Mapping[str, JsonValue] | None = None
        finalize(self, self._client.close)  # its connections go with the model, not when a collector comes by

    @property
    def uri(self) -> str:
        return f"anthropic/{self._name}"

    @property
    def limits(self) -> Limits:
        return Limits(max_batch=1, max_in_flight=IN_FLIGHT)

    @property
    def identity(self) -> Mapping[str, JsonValue] | None:
        """URI and address; never the key."""
        return {"uri": self.uri, "base_url": self._service.place}

    @property
    def service(self) -> Service:
        """Where it is."""
        return self._service

    @property
    def batches(self) -> Batches:
        """The batch endpoint."""
        return AnthropicBatches(self._client, self._service, body=self._body, read=read_message, failure_of=failure_of)

    def answer(self, requests: Sequence[Request]) -> list[Answer]:
        return answer_each(requests, self._answer, service=self._service, failure_of=failure_of)

    def check(self, request: Request) -> None:
        """Say before anything is sent that the protocol has no place for a part of the prompt.

        Raises:
            UsageError: naming the part.
        """
        try:
            parameters(request)
        except Refused as refused:
            raise refused.beforehand() from None

    def _answer(self, request: Request) -> Answer:
        body = self._body(request)
        if isinstance(body, Failure):
            return body
        del body["model"]
        said, limit = body.pop("messages"), body.pop("max_tokens", request.settings.max_tokens)
        raw = self._client.messages.with_raw_response.create(
            model=self._name, max_tokens=cast(int, limit), messages=cast(Any, said), extra_body=body
        )
        return read_message(document(raw.read()))

    def _body(self, request: Request) -> dict[str, JsonValue] | Failure:
        """What is asked with, in a batch too."""
        try:
            about = parameters(request)
        except Refused as refused:
            return refused.failure
        body: dict[str, JsonValue] = {"max_tokens": request.settings.max_tokens, **about, "model": self._name}
        before, self._before = self._before, body
        return marked(body, before)


def parameters(request: Request) -> dict[str, JsonValue]:
    """The request in the protocol's words; settings of ``Settings.extra`` win, and its None leaves one out.

    Raises:
        Refused: if a part of it has no place in the protocol.
    """
    settings = request.settings
    system, turns = split(request.prompt)
    body: dict[str, JsonValue] = {
        "messages": turns, "system": system, "max_tokens": settings.max_tokens, "temperature": settings.temperature,
        "top_p": settings.top_p, "stop_sequences": list(settings.stop) or None, **tools(request.prompt),
    }  # fmt: skip
    return with_extra(body, settings.extra)


def read_message(answer: Mapping[str, Any]) -> Output:
    """The output in a message: its texts joined, and the tools that it calls; what it thinks is left out.

    A message that stopped without either is an empty answer.

    Raises:
        Malformed: if it is no message, or is empty without having stopped.
    """
    refuse_error(answer)
    content = answer.get("content")
    if not isinstance(content, list) or (not content and answer.get("stop_reason") is None):
        raise Malformed("JSON without a message in it")
    texts = [dig(part, "text") for part in cast(list[object], content) if dig(part, "type") == "text"]
    reason = answer.get("stop_reason")
    return Output(
        text="".join(text for text in texts if isinstance(text, str)),
        calls=calls_in(cast(object, content)),
        finish=_FINISHES.get(reason, "stop") if isinstance(reason, str) else "stop",
        tokens_in=_tokens_in(answer),
        tokens_out=count(answer, "usage", "output_tokens"),
        extra=told(model=told_name(answer.get("model"))),
    )


def _tokens_in(answer: Mapping[str, Any]) -> int | None:
    """All that was read: what came from the provider's cache is counted apart there."""
    fresh = count(answer, "usage", "input_tokens")
    if fresh is None:
        return None
    kept = [count(answer, "usage", f"cache_{kind}_input_tokens") or 0 for kind in ("creation", "read")]
    return fresh + sum(kept)


def failure_of(error: Exception, service: Service) -> Failure:
    """What an error of the official client means."""
    if isinstance(error, anthropic.APIStatusError):
        return from_status(error.status_code, error.response.headers, error.response.text, service)
    if isinstance(error, anthropic.APITimeoutError):
        return timed_out(service)
    if isinstance(error, anthropic.APIConnectionError):
        return unreachable(error, service)
    return unexpected(error, service)
