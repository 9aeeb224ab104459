"""A model behind Anthropic's messages endpoint: requests to messages, answers to outputs, errors to failures.

Where Anthropic shall keep what it has read is marked: behind what a request begins with like the one before it. A mark
(``cache_control``) changes no answer. What is kept costs 1.25 of the price when it is written and 0.1 when it is read
again within five minutes; shorter beginnings than `LEAST` are kept by no model, marked or not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast
from weakref import finalize

import anthropic
import httpx2

from whygen.models.anthropic.batches import AnthropicBatches
from whygen.models.anthropic.turns import calls_in, split, tools
from whygen.models.batches import Batches
from whygen.models.turns import Refused, fitting
from whygen.remote import (
    Answer,
    Malformed,
    Service,
    answer_each,
    count,
    dig,
    document,
    ended_by,
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
from whygen.types import Failure, JsonValue, Limits, Output, Request

TIMEOUT = 300.0
"""Seconds without a byte until an answer is given up."""
IN_FLIGHT = 64
"""The most calls at once; how many of these the server is given, `whygen.calls` finds out."""
_CONNECT = 10.0


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
    return fitting(with_extra(body, settings.extra))


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
        finish=ended_by(reason),
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


LEAST: Final = 4096
"""Characters of a beginning that is marked: about the 1,024 tokens that the models keep at least."""
_MARK: Final[dict[str, JsonValue]] = {"type": "ephemeral"}
Body = Mapping[str, JsonValue]


def marked(body: Body, before: Body | None) -> dict[str, JsonValue]:
    """The request with a mark on the last block with which it begins like the one before; as it is if there is none.

    Tools come first, then what the system says, then the turns. A text stays the text it is: a turn or a system message
    is marked as a whole, so no token changes. Whoever sets marks is left alone.
    """
    made = dict(body)
    if before is None or "cache_control" in json.dumps(body):
        return made
    blocks, previous = _blocks(body), _blocks(before)
    same = next((i for i, (a, b) in enumerate(zip(blocks, previous, strict=False)) if a != b), None)
    same = min(len(blocks), len(previous)) if same is None else same
    if not 0 < same < len(blocks) or sum(len(json.dumps(block)) for block in blocks[:same]) < LEAST:
        return made
    room, *place = blocks[same - 1][0]
    made[str(room)] = _with_mark(body[str(room)], [int(each) for each in place])
    return made


def _blocks(body: Body) -> list[tuple[tuple[str | int, ...], Any]]:
    """Places and contents of all that is read, in that order; a turn's role stands with each of its blocks."""
    found: list[tuple[tuple[str | int, ...], Any]] = [
        (("tools", i), tool) for i, tool in enumerate(_listed(body.get("tools")))
    ]
    system = body.get("system")
    if isinstance(system, str):
        found.append((("system",), system))
    found += [(("system", i), block) for i, block in enumerate(_listed(system))]
    for i, turn in enumerate(cast(Sequence[Mapping[str, Any]], _listed(body.get("messages")))):
        content = turn["content"]
        if isinstance(content, str):
            found.append((("messages", i), [turn["role"], content]))
        else:
            found += [(("messages", i, j), [turn["role"], block]) for j, block in enumerate(content)]
    return found


def _listed(found: object) -> list[Any]:
    return cast(list[Any], found) if isinstance(found, list) else []


def _with_mark(room: Any, place: list[int]) -> Any:
    """The tools, the system's message or the turns with a mark at a place."""
    if isinstance(room, str):
        return [{"type": "text", "text": room, "cache_control": _MARK}]
    changed = list(room)
    if not place:
        return changed
    first, *rest = place
    entry = dict(changed[first])
    if "role" in entry and "content" in entry:
        entry["content"] = _with_mark(entry["content"], rest)
    else:
        entry["cache_control"] = _MARK
    changed[first] = entry
    return changed
