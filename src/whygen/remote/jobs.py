"""A server that answers with a job: it is asked how that goes until there is something, within the time of an answer.

Makers say it each in their own way: where to ask (Replicate's ``urls.get``, Black Forest Labs' ``polling_url``, fal's
``status_url`` and ``response_url``, Azure's header ``Operation-Location``), and how it goes (``succeeded``, ``Ready``,
``COMPLETED``). `whygen.remote.addresses` visits the address: no key goes to another host, nothing inside is reached.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from whygen.remote.addresses import Found, Passing, Wanted, fetch, is_at
from whygen.remote.failures import from_status
from whygen.remote.reading import ErrorInside, Malformed, Unacceptable, dig, document
from whygen.remote.service import Service
from whygen.types import Failure

_ADDRESSES: Final[tuple[tuple[str, ...], ...]] = (
    ("polling_url",), ("poll_url",), ("pollingUrl",), ("status_url",), ("statusUrl",), ("urls", "get"),
    ("urls", "status"), ("links", "self"), ("_links", "self", "href"), ("response_url",), ("result_url",),
)  # fmt: skip
_RESULTS: Final[tuple[tuple[str, ...], ...]] = (("response_url",), ("result_url",), ("urls", "result"))
"""Where some servers keep what a job has made, apart from how it goes."""
_WITHIN: Final = ("data", "output", "task", "job", "prediction")
_HEADERS: Final = ("operation-location", "azure-asyncoperation", "location")
_STATES: Final = ("status", "state", "task_status", "taskStatus")
_DONE: Final = frozenset({
    "succeeded", "success", "succeed", "successful", "completed", "complete", "ready", "done", "finished", "ok",
})  # fmt: skip
_FAILED: Final = frozenset({
    "failed", "failure", "fail", "error", "errored", "canceled", "cancelled", "aborted", "expired", "timeout",
    "timedout", "rejected", "deleted", "unknown",
})  # fmt: skip
_WITHHELD: Final = re.compile(r"moderat|nsfw|filtered|unsafe|safetyblock|policy")

_GOING: Final = frozenset({
    "starting", "processing", "queued", "inqueue", "inprogress", "pending", "running", "created", "submitted",
    "notrunning", "notstarted", "waiting", "scheduled", "accepted", "generating",
})  # fmt: skip

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 5.0
_DOUBTS: Final = 5
"""Visits in a row that bring nothing, as when the job is not known yet, until it is given up."""
_ANY_ANSWER: Final = frozenset({201, 202, *range(400, 500)} - {404, 408, 425, 429})


def goes_on(answer: Mapping[str, Any]) -> bool:
    """Whether an answer says that it is not all yet, whatever stands in it."""
    return _state(answer) in _GOING


def finished(
    answer: Mapping[str, Any], status: int, headers: Mapping[str, str], service: Service, *, most: int, timeout: float
) -> bytes | Failure | None:
    """The last word of a job, which holds what it made or where that is; None of an answer that is no job.

    Args:
        answer: of the server.
        status: HTTP status of it.
        headers: that came with it.
        service: the server.
        most: bytes that are taken.
        timeout: seconds without a word in which an answer is given up; a job may take three times as long.

    Raises:
        ErrorInside: if the job failed, with what is said of it.
        Malformed: if there is a job and no address at which to ask for it.
        Unacceptable: if the address is not to be visited, or the job does not end.
    """
    state = _state(answer)
    _refuse_failed(answer, state)
    address = _address(answer, _ADDRESSES) or _of_headers(headers, status)
    if state in _DONE:
        address = _address(answer, _RESULTS)
    if address:
        return _Waiting(service, most, time.monotonic() + 3 * timeout).until_done(address)
    if goes_on(answer) or status == 202:
        raise Malformed("a job, and no address at which to ask how it goes")
    return None


class _Waiting:
    """Who asks how a job goes."""

    def __init__(self, service: Service, most: int, deadline: float) -> None:
        self._service = service
        self._most = most
        self._deadline = deadline
        self._wanted = Wanted("job", "application/json", _ANY_ANSWER)

    def until_done(self, address: str) -> bytes | Failure:
        """The last word of the job at an address."""
        pause, doubts = _FIRST_PAUSE, 0
        while doubts < _DOUBTS:
            self._wait(pause)
            pause = min(_LONGEST_PAUSE, pause * 1.5)
            try:
                found = self._fetch(address)
            except Passing:
                doubts += 1
                if doubts == _DOUBTS:
                    raise
                continue
            doubts = 0
            if found.status >= 400:
                return self._refused(found)
            if not self._is_done(found):
                continue
            place = _address(_document(found.data), _RESULTS)
            if not place or place == address:
                return found.data
            address = place
        raise AssertionError  # the last doubt raises

    @staticmethod
    def _is_done(found: Found) -> bool:
        said = _document(found.data)
        state = _state(said)
        _refuse_failed(said, state)
        return state in _DONE if state is not None else found.status != 202

    def _fetch(self, address: str) -> Found:
        left = max(0.001, self._deadline - time.monotonic())
        return fetch(address, self._service, most=self._most, timeout=left, wanted=self._wanted)

    def _wait(self, pause: float) -> None:
        if time.monotonic() + pause > self._deadline:
            raise Unacceptable(
                "the job that it answered with does not end", kind="transient",
                advice="Run the same command again; or give the server more time (timeout).",
            )  # fmt: skip
        time.sleep(pause)

    def _refused(self, found: Found) -> Failure:
        if found.status in {401, 403} and self._service.key is not None and not is_at(self._service, found.url):
            raise Unacceptable(
                f"its job is at {found.url.host}, which wants a key, and the key for {self._service.place} goes "
                "nowhere else",
                kind="fatal", advice=f"Give the address of {found.url.host} itself (--base-url), if you trust it.",
            )  # fmt: skip
        return from_status(found.status, {}, found.data[:100_000].decode("utf-8", "replace"), self._service)


def _state(answer: Mapping[str, Any]) -> str | None:
    """How a job goes, in small letters alone; None where nothing is said."""
    for place in (answer, *(dig(answer, name) for name in _WITHIN)):
        for name in _STATES:
            word = dig(place, name)
            if isinstance(word, str) and word:
                return re.sub(r"[^a-z]", "", word[:80].lower())
    return None


def _document(data: bytes) -> Mapping[str, Any]:
    """The JSON of a job's word; nothing where it is what the job made."""
    try:
        return document(data)
    except Malformed:
        return {}


def _address(answer: Mapping[str, Any], paths: Sequence[Sequence[str]]) -> str:
    places = (answer, *(dig(answer, name) for name in _WITHIN))
    found = (dig(place, *path) for place in places for path in paths)
    return next((each for each in found if isinstance(each, str) and each), "")


def _of_headers(headers: Mapping[str, str], status: int) -> str:
    told = {name.lower(): value for name, value in headers.items()}
    return next((told[name] for name in _HEADERS if told.get(name)), "") if status in {201, 202} else ""


def _refuse_failed(answer: Mapping[str, Any], state: str | None) -> None:
    if state is not None and (state in _FAILED or _WITHHELD.search(state)):
        raise ErrorInside(_told(answer, state))


def _told(answer: Mapping[str, Any], state: str) -> Mapping[str, Any]:
    """A failed job as the errors of other answers are told."""
    places = (answer, *(dig(answer, name) for name in _WITHIN))
    names = ("error", "failure_reason", "failure", "error_message", "message", "detail", "details", "reason")
    found = next((said for place in places for name in names if (said := dig(place, name))), None)
    if _WITHHELD.search(state):
        return {"error": {"code": "content_moderation", "message": f"the job ended as {state}"}}
    if isinstance(found, Mapping):
        return {"error": found}
    return {"error": {"message": found if isinstance(found, str) else f"the job ended as {state}"}}
