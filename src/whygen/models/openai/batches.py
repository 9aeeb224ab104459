"""OpenAI's batch endpoint, by a file of JSON lines; compatible servers have it too, or answer that they do not."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

import openai

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
from whygen.models.openai.client import failure_of
from whygen.remote import Malformed, Service, count, dig, document, from_status
from whygen.types import Failure, JsonValue, Request

LIMITS: Final = BatchLimits(requests=50_000, bytes=200_000_000)
"""Of one batch, as OpenAI has them."""
WINDOW: Final = "24h"
"""The only one there is."""
PAGES: Final = 20
"""Of a hundred batches each, that are looked through for one."""
_SKEW: Final = 86_400.0
"""Seconds by which the clocks here and there may differ."""
_OVER = frozenset({"completed", "expired", "cancelled"})
_GONE: Final = {"batch_cancelled", "cancelled", "canceled"}

Body: TypeAlias = Callable[[Request], Mapping[str, JsonValue] | Failure]
"""What the endpoint is asked with."""
Read: TypeAlias = Callable[[Mapping[str, Any], JsonValue], Answer]
"""The output in an answer of the endpoint, and the seed that was sent, if it is known."""


class OpenAIBatches:
    """Batches of one model at one endpoint, such as ``/v1/chat/completions``."""

    def __init__(self, client: openai.OpenAI, service: Service, *, endpoint: str, body: Body, read: Read) -> None:
        self._client = client
        self._service = service
        self._endpoint = endpoint
        self._body = body
        self._read = read

    @property
    def limits(self) -> BatchLimits:
        return LIMITS

    def line(self, name: str, request: Request) -> bytes | Failure:
        body = self._body(request)
        if isinstance(body, Failure):
            return body
        entry = {"custom_id": name, "method": "POST", "url": self._endpoint, "body": body}
        try:
            return json.dumps(entry, ensure_ascii=False).encode() + b"\n"
        except UnicodeError as error:
            return failure_of(error, self._service)

    def submit(self, lines: Sequence[bytes], *, tag: str) -> str | Failure | InDoubt | NoBatches:
        try:
            file = (f"whygen-{tag}.jsonl", b"".join(lines), "application/jsonl")
            uploaded = self._client.files.with_raw_response.create(file=file, purpose="batch")
            file_id = batch_name(document(uploaded.content).get("id"))
        except Exception as error:
            return self._turned_away(error)
        try:
            raw = self._client.batches.with_raw_response.create(
                input_file_id=file_id,
                endpoint=self._endpoint,  # pyright: ignore[reportArgumentType] - a literal there
                completion_window=WINDOW,
                metadata={"whygen": tag},
            )
            return batch_name(document(raw.content).get("id"))
        except Exception as error:
            refused = self._turned_away(error)
            return InDoubt(refused) if isinstance(refused, Failure) and refused.kind == "transient" else refused

    def find(self, sought: Sought) -> str | Failure | None:
        after: dict[str, Any] = {}
        try:
            for _ in range(PAGES):
                raw = self._client.batches.with_raw_response.list(limit=100, **after)
                page = document(raw.content)
                entries = _list(dig(page, "data"))
                for entry in entries:
                    if dig(entry, "metadata", "whygen") == sought.tag:
                        return batch_name(dig(entry, "id"))
                oldest = count(entries[-1], "created_at") if entries else None
                if oldest is None or oldest < sought.since - _SKEW or not dig(page, "has_more"):
                    return None
                after = {"after": batch_name(dig(entries[-1], "id"))}
        except Exception as error:
            return failure_of(error, self._service)
        return None

    def poll(self, batch: str) -> BatchState | Failure:
        try:
            found = self._retrieve(batch)
        except Exception as error:
            return failure_of(error, self._service)
        word = str(found.get("status"))[:40]
        failed, answered = count(found, "request_counts", "failed"), count(found, "request_counts", "completed")
        done = None if failed is None or answered is None else failed + answered
        total = count(found, "request_counts", "total")
        if word == "failed":
            return BatchState(status="refused", word=word, failure=self._refusal(found))
        return BatchState(status="over" if word in _OVER else "under way", word=word, done=done, total=total)

    def collect(self, batch: str, asked: Mapping[str, Request]) -> Results | Failure:
        try:
            found = self._retrieve(batch)
            names = [found.get(name) for name in ("output_file_id", "error_file_id")]
            contents = [self._client.files.content(batch_name(name)).content for name in names if name]
        except Exception as error:
            return failure_of(error, self._service)

        def read(name: str, entry: Mapping[str, Any]) -> Answer | None:
            seed = None if name not in asked else self._seed(asked[name])
            return self._answer(entry, seed, cancelled=found.get("status") == "cancelled")

        results = read_lines(contents, read, self._service)
        if found.get("status") != "cancelled":
            return results
        left = asked.keys() - results.answers.keys()
        return Results(answers=results.answers, cancelled=results.cancelled | left, whole=results.whole)

    def cancel(self, batch: str) -> Failure | None:
        try:
            self._client.batches.with_raw_response.cancel(batch)
        except Exception as error:
            return failure_of(error, self._service)
        return None

    def _turned_away(self, error: Exception) -> Failure | NoBatches:
        failure = failure_of(error, self._service)
        absent = isinstance(error, openai.APIStatusError) and error.status_code in ABSENT
        return NoBatches(failure) if absent else failure

    def _retrieve(self, batch: str) -> Mapping[str, Any]:
        return document(self._client.batches.with_raw_response.retrieve(batch).content)

    def _seed(self, request: Request) -> JsonValue:
        body = self._body(request)
        return None if isinstance(body, Failure) else body.get("seed")

    def _answer(self, entry: Mapping[str, Any], seed: JsonValue, *, cancelled: bool) -> Answer | None:
        """What a line of either file says: an HTTP response, or an error of the batch itself."""
        status, body = count(entry, "response", "status_code"), dig(entry, "response", "body")
        if status is not None and status < 400 and isinstance(body, Mapping):
            return self._read(cast(Mapping[str, Any], body), seed)
        if status is not None and status >= 400:
            return from_status(status, {}, _text(body), self._service)
        code = dig(entry, "error", "code")
        if not isinstance(dig(entry, "error"), Mapping):
            raise Malformed("a line without a response in it")
        if cancelled or code in _GONE:
            return None
        words = self._service.scrub(str(dig(entry, "error", "message") or code))[:300]
        message = f"{self._service.place} did not answer this request of a batch ({code}): {words}"
        advice = "Run the same command again later: it asks only for the rest."
        return Failure(kind="transient", message=message, advice=advice)

    def _refusal(self, found: Mapping[str, Any]) -> Failure:
        errors = _list(dig(found, "errors", "data"))
        codes = {str(dig(error, "code")) for error in errors}
        told = "; ".join(dict.fromkeys(str(dig(error, "message") or dig(error, "code")) for error in errors))
        words = self._service.scrub(told)[:300] or "it does not say why"
        message = f"{self._service.place} refused the batch: {words}"
        if "token_limit_exceeded" in codes:
            advice = "Wait until other batches of this account are done, or ask for less at once (--budget)."
            return Failure(kind="rate_limit", message=message, advice=advice)
        advice = "Change what it names; or leave batch out, and the same requests are made one by one."
        return Failure(kind="permanent", message=message, advice=advice)


def _text(body: object) -> str:
    return body if isinstance(body, str) else json.dumps(body)


def _list(found: object) -> list[Any]:
    return found if isinstance(found, list) else []  # pyright: ignore[reportUnknownVariableType]
