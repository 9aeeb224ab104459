"""Asking a server for one thing after another: `whygen.calls` is what asks for many at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from whygen.remote.service import Service
from whygen.types import Failure, JsonValue, Output, Request

Answer: TypeAlias = Output | Failure
FailureOf: TypeAlias = Callable[[Exception, Service], Failure]
"""What an error of a client library means."""


def answer_each(
    requests: Sequence[Request], one: Callable[[Request], Answer], *, service: Service, failure_of: FailureOf
) -> list[Answer]:
    """Answers in order, each timed; whatever ``one`` raises is the failure of that request alone."""
    return [_answer(request, one, service, failure_of) for request in requests]


def _answer(request: Request, one: Callable[[Request], Answer], service: Service, failure_of: FailureOf) -> Answer:
    begun = time.perf_counter()
    try:
        answer = trusted(one(request), service)
    except Exception as error:
        return failure_of(error, service)
    return answer if isinstance(answer, Failure) else replace(answer, seconds=time.perf_counter() - begun)


def trusted(answer: Answer, service: Service) -> Answer:
    """The answer without the key in what the server says beside it; a failure where its text repeats the key."""
    if isinstance(answer, Failure):
        return answer
    if service.holds_key(answer.text) or any(service.holds_key(call.name + call.arguments) for call in answer.calls):
        return Failure(
            kind="permanent",
            message=f"the answer of {service.place} holds the key that it was asked with, and was thrown away",
            advice="Take the key out of the prompt, or do not use this server.",
        )
    return replace(answer, extra=_scrubbed(answer.extra, service))


def _scrubbed(extra: Mapping[str, JsonValue], service: Service) -> dict[str, JsonValue]:
    """What is known of an answer, without keys; tokens that spell one together go as a whole."""
    clean = {name: service.scrub_all(value) for name, value in extra.items()}
    return {name: value for name, value in clean.items() if not service.holds_key(_joined(value))}


def _joined(value: JsonValue) -> str:
    """All text in a JSON value in a row: a key may be cut into tokens."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return "".join(f"{name}{_joined(each)}" for name, each in value.items())
    return "".join(map(_joined, value)) if isinstance(value, Sequence) else ""


def with_extra(body: Mapping[str, JsonValue], extra: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The parameters with the person's own over them; None leaves a parameter out."""
    return {name: value for name, value in {**body, **extra}.items() if value is not None}


def told(**about: JsonValue) -> dict[str, JsonValue]:
    """What is known of an answer, for `Output.extra`: what is None is left out."""
    return {name: value for name, value in about.items() if value is not None}
