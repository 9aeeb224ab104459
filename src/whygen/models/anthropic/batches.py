"""Anthropic's message batches: no file to hand in, and results as JSON lines once everything has ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias, cast

import anthropic
import httpx2

from whygen.models.batches import (
    ABSENT,
    Answer,
    BatchLimits,
    BatchState,
    InDoubt,
    NoBatches,
    Results,
    Sought,
    batch_name,
    read_lines,
)
from whygen.remote import Malformed, Service, count, dig, document, from_status
from whygen.types import Failure, JsonValue, Output, Request

LIMITS: Final = BatchLimits(requests=100_000, bytes=256_000_000)
"""Of one batch, as Anthropic has them."""
PAGES: Final = 20
"""Of a hundred batches each, that are looked through for one."""
_SKEW: Final = 86_400.0
"""Seconds by which the clocks here and there may differ."""
_NEAR: Final = 900.0
"""Seconds between handing in and the provider's own time, within which a batch that still runs is taken for it."""
_STATUS = {
    "invalid_request_error": 400, "authentication_error": 401, "billing_error": 402, "permission_error": 403,
    "not_found_error": 404, "request_too_large": 413, "rate_limit_error": 429, "api_error": 500, "timeout_error": 504,
    "overloaded_error": 529,
}  # fmt: skip
"""The HTTP status that goes with a type of error (docs.anthropic.com, "Errors")."""
_COUNTS = ("processing", "succeeded", "errored", "canceled", "expired")

Body: TypeAlias = Callable[[Request], Mapping[str, JsonValue] | Failure]
Read: TypeAlias = Callable[[Mapping[str, Any]], Output]
FailureOf: TypeAlias = Callable[[Exception, Service], Failure]


class AnthropicBatches:
    """Batches of one model."""

    def __init__(
        self, client: anthropic.Anthropic, service: Service, *, body: Body, read: Read, failure_of: FailureOf
    ) -> None:
        self._client = client
        self._service = service
        self._body = body
        self._read = read
        self._failure_of = failure_of

    @property
    def limits(self) -> BatchLimits:
        return LIMITS

    def line(self, name: str, request: Request) -> bytes | Failure:
        body = self._body(request)
        if isinstance(body, Failure):
            return body
        try:
            return json.dumps({"custom_id": name, "params": body}, ensure_ascii=False).encode() + b","
        except UnicodeError as error:
            return self._failure_of(error, self._service)

    def submit(self, lines: Sequence[bytes], *, tag: str) -> str | Failure | InDoubt | NoBatches:
        """This provider keeps no tag: a batch is found again by its size, its time and its requests' names."""
        del tag
        try:
            requests = [json.loads(line[:-1]) for line in lines]
            raw = self._client.messages.batches.with_raw_response.create(requests=cast(Any, requests))
            return batch_name(document(raw.read()).get("id"))
        except Exception as error:
            failure = self._failure_of(error, self._service)
            if isinstance(error, anthropic.APIStatusError) and error.status_code in ABSENT:
                return NoBatches(failure)
            return InDoubt(failure) if failure.kind == "transient" else failure

    def find(self, sought: Sought) -> str | Failure | None:
        try:
            likely = self._likely(sought)
            for entry in likely:
                name = batch_name(dig(entry, "id"))
                if dig(entry, "processing_status") != "ended":
                    if abs(_created(entry) - sought.since) < _NEAR:
                        return name
                elif sought.names & self._named(name):
                    return name
        except Exception as error:
            return self._failure_of(error, self._service)
        return None

    def poll(self, batch: str) -> BatchState | Failure:
        try:
            found = self._retrieve(batch)
        except Exception as error:
            return self._failure_of(error, self._service)
        word, total = str(found.get("processing_status"))[:40], _total(found)
        processing = count(found, "request_counts", "processing")
        done = None if total is None or processing is None else total - processing
        return BatchState(status="over" if word == "ended" else "under way", word=word, done=done, total=total)

    def collect(self, batch: str, asked: Mapping[str, Request]) -> Results | Failure:
        del asked  # an answer says all that there is to know: these models take no seed
        try:
            content = self._results(batch)
        except Exception as error:
            return self._failure_of(error, self._service)
        return read_lines([content], lambda _, entry: self._answer(entry), self._service)

    def cancel(self, batch: str) -> Failure | None:
        try:
            self._client.messages.batches.with_raw_response.cancel(batch)
        except Exception as error:
            return self._failure_of(error, self._service)
        return None

    def _retrieve(self, batch: str) -> Mapping[str, Any]:
        return document(self._client.messages.batches.with_raw_response.retrieve(batch).read())

    def _results(self, batch: str) -> bytes:
        """By the path that the endpoint has, not by the address in the answer: the key goes nowhere else."""
        return self._client.get(f"/v1/messages/batches/{batch}/results", cast_to=httpx2.Response).content

    def _answer(self, entry: Mapping[str, Any]) -> Answer | None:
        result = dig(entry, "result")
        kind = dig(result, "type")
        message = dig(result, "message")
        if kind == "succeeded" and isinstance(message, Mapping):
            return self._read(cast(Mapping[str, Any], message))
        if kind == "canceled":
            return None
        if kind == "expired":
            text = f"{self._service.place} did not answer this request of a batch before it expired"
            advice = "Run the same command again later: it asks only for the rest."
            return Failure(kind="transient", message=text, advice=advice)
        if kind != "errored":
            raise Malformed("a line without a result in it")
        error = dig(result, "error")
        inner = dig(error, "error") if isinstance(dig(error, "error"), Mapping) else error
        status = _STATUS.get(str(dig(inner, "type")), 500)
        return from_status(status, {}, json.dumps({"error": inner}), self._service)

    def _likely(self, sought: Sought) -> list[Any]:
        """Batches of the right size and about the right time, the nearest in time first."""
        found: list[Any] = []
        after: dict[str, Any] = {}
        for _ in range(PAGES):
            raw = self._client.messages.batches.with_raw_response.list(limit=100, **after)
            page = document(raw.read())
            entries = _list(dig(page, "data"))
            found += entries
            if not entries or _created(entries[-1]) < sought.since - _SKEW or not dig(page, "has_more"):
                break
            after = {"after_id": batch_name(dig(entries[-1], "id"))}
        size = len(sought.names)
        right = [each for each in found if _total(each) == size and dig(each, "id") not in sought.known]
        near = [each for each in right if _created(each) > sought.since - _SKEW]
        return sorted(near, key=lambda each: abs(_created(each) - sought.since))

    def _named(self, batch: str) -> set[str]:
        names: set[str] = set()
        read_lines([self._results(batch)], lambda name, _: names.add(name), self._service)
        return names


def _total(entry: object) -> int | None:
    counts = [count(entry, "request_counts", name) for name in _COUNTS]
    known = [each for each in counts if each is not None]
    return sum(known) if known else None


def _created(entry: object) -> float:
    try:
        return datetime.fromisoformat(str(dig(entry, "created_at"))).timestamp()
    except ValueError:
        raise Malformed("JSON without the time of a batch in it") from None


def _list(found: object) -> list[Any]:
    return found if isinstance(found, list) else []  # pyright: ignore[reportUnknownVariableType]
