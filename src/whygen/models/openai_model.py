"""Models behind a server that speaks OpenAI's protocol, one class for what each endpoint can do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

import openai

from whygen.models.openai_chat import chat
from whygen.models.openai_client import failure_of, open_client
from whygen.models.openai_completions import complete, score
from whygen.models.openai_pictures import edit, generate
from whygen.remote import Answer, Service, answer_each
from whygen.types import Edit, JsonValue, Limits, Request

IN_FLIGHT = 64
"""The most calls at once; how many of these the server is given, `whygen.runs` finds out."""
_OWN_HOST = "https://api.openai.com"

One: TypeAlias = Callable[[openai.OpenAI, str, Request], Answer]


class RemoteModel:
    """One endpoint of one model. An `Edit` goes to the endpoint of edits, whichever is asked for other prompts."""

    def __init__(self, service: Service, name: str, *, endpoint: str, one: One, timeout: float | None = None) -> None:
        self._client = open_client(service, timeout=timeout)
        self._service = service
        self._name = name
        self._endpoint = endpoint
        self._one = one

    @property
    def uri(self) -> str:
        return f"{self._service.name}/{self._name}"

    @property
    def limits(self) -> Limits:
        return Limits(max_batch=1, max_in_flight=IN_FLIGHT)

    @property
    def identity(self) -> Mapping[str, JsonValue] | None:
        """URI, address and endpoint; never the key."""
        return {"uri": self.uri, "base_url": self._service.place, "endpoint": self._endpoint}

    @property
    def service(self) -> Service:
        """Where it is."""
        return self._service

    def answer(self, requests: Sequence[Request]) -> list[Answer]:
        return self._each(requests, self._answer)

    def _answer(self, request: Request) -> Answer:
        if isinstance(request.prompt, Edit):
            return edit(self._client, self._name, request, request.prompt)
        return self._one(self._client, self._name, request)

    def _each(self, requests: Sequence[Request], one: Callable[[Request], Answer]) -> list[Answer]:
        return answer_each(requests, one, service=self._service, failure_of=failure_of)


class CompletionsModel(RemoteModel):
    """A model that continues texts, and scores them if its server echoes them with log-probabilities."""

    def score(self, requests: Sequence[Request]) -> list[Answer]:
        return self._each(requests, lambda request: score(self._client, self._name, request))


def make_model(service: Service, name: str, *, endpoint: str, timeout: float | None = None) -> RemoteModel:
    """The model for an endpoint: ``chat``, ``completions`` or ``images``.

    The limit of an answer is ``max_completion_tokens`` at OpenAI, whose newer models know no other, and ``max_tokens``
    elsewhere, which every compatible server knows.
    """
    if endpoint == "completions":
        return CompletionsModel(service, name, endpoint=endpoint, one=complete, timeout=timeout)
    if endpoint == "images":
        return RemoteModel(service, name, endpoint=endpoint, one=generate, timeout=timeout)
    length = "max_completion_tokens" if service.place.startswith(_OWN_HOST) else "max_tokens"
    return RemoteModel(service, name, endpoint=endpoint, one=partial(chat, length=length), timeout=timeout)
