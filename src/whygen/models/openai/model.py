"""Models behind a server that speaks OpenAI's protocol, one class for what each endpoint can do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import finalize

import openai

from whygen.models.batches import Batches
from whygen.models.openai.batches import OpenAIBatches
from whygen.models.openai.client import TIMEOUT, failure_of, open_client
from whygen.models.openai.pictures import ChatPictures, ServerPictures
from whygen.models.openai.responses import RESPONSES, read_response, respond, response_body
from whygen.models.openai.text import chat, chat_body, complete, completion_body, read_chat, read_completion, score
from whygen.models.turns import Refused
from whygen.remote import Answer, Service, answer_each
from whygen.types import Edit, Failure, JsonValue, Limits, OutputKind, Request

IN_FLIGHT = 64
"""The most calls at once; how many of these the server is given, `whygen.calls` finds out."""
DRAWING = ("images", "chat-images")
"""Endpoints whose answers are pictures."""
_OWN_HOST = "https://api.openai.com"
_CHAT = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What an endpoint is asked with, and how its answers are read.

    Attributes:
        name: ``chat``, ``responses``, ``completions``, ``images`` or ``chat-images``.
        path: as batches name it.
        one: asks for one answer.
        edit: the same for an `Edit`.
        body: what it is asked with, in a batch.
        read: the output in an answer, and the seed that was sent.
    """

    name: str
    path: str
    one: Callable[[openai.OpenAI, str, Request], Answer]
    edit: Callable[[openai.OpenAI, str, Request], Answer]
    body: Callable[[str, Request], Mapping[str, JsonValue] | Failure]
    read: Callable[[Mapping[str, Any], JsonValue], Answer]


class RemoteModel:
    """One endpoint of one model. An `Edit` goes to the endpoint of edits, whichever is asked for other prompts, but for
    ``chat-images``, which takes it.
    """

    def __init__(
        self,
        service: Service,
        name: str,
        *,
        endpoint: Endpoint,
        timeout: float | None = None,
    ) -> None:
        self._client = open_client(service, timeout=timeout)
        finalize(self, self._client.close)  # its connections go with the model, not when a collector comes by
        self._service = service
        self._name = name
        self._endpoint = endpoint

    @property
    def uri(self) -> str:
        return f"{self._service.name}/{self._name}"

    @property
    def limits(self) -> Limits:
        return Limits(max_batch=1, max_in_flight=IN_FLIGHT)

    @property
    def identity(self) -> Mapping[str, JsonValue] | None:
        """URI, address and endpoint; never the key."""
        return {"uri": self.uri, "base_url": self._service.place, "endpoint": self._endpoint.name}

    @property
    def output_kind(self) -> OutputKind:
        return "picture" if self._endpoint.name in DRAWING else "text"

    @property
    def service(self) -> Service:
        """Where it is."""
        return self._service

    @property
    def batches(self) -> Batches:
        """The batch endpoint. Whether the server has one, only asking shows."""
        return OpenAIBatches(
            self._client, self._service, endpoint=self._endpoint.path, body=self._body, read=self._endpoint.read
        )

    def answer(self, requests: Sequence[Request]) -> list[Answer]:
        return self._each(requests, self._answer)

    def check(self, request: Request) -> None:
        """Say before anything is sent that the protocol has no place for a part of the prompt.

        Raises:
            UsageError: naming the part.
        """
        if self.output_kind == "text" and not isinstance(request.prompt, Edit):
            try:
                self._endpoint.body(self._name, request)
            except Refused as refused:
                raise refused.beforehand() from None

    def _answer(self, request: Request) -> Answer:
        one = self._endpoint.edit if isinstance(request.prompt, Edit) else self._endpoint.one
        try:
            return one(self._client, self._name, request)
        except Refused as refused:
            return refused.failure

    def _body(self, request: Request) -> Mapping[str, JsonValue] | Failure:
        if isinstance(request.prompt, Edit) and self._endpoint.edit != self._endpoint.one:
            advice = "Leave batch out: the same pictures are then changed one by one."
            return Failure(kind="permanent", message="a batch takes no picture that is to be changed", advice=advice)
        try:
            return self._endpoint.body(self._name, request)
        except Refused as refused:
            return refused.failure

    def _each(self, requests: Sequence[Request], one: Callable[[Request], Answer]) -> list[Answer]:
        return answer_each(requests, one, service=self._service, failure_of=failure_of)


class CompletionsModel(RemoteModel):
    """A model that continues texts, and scores them if its server echoes them with log-probabilities."""

    def score(self, requests: Sequence[Request]) -> list[Answer]:
        return self._each(requests, lambda request: score(self._client, self._name, request))


def endpoint_for(name: str, service: Service, *, timeout: float) -> Endpoint:
    """The endpoint of that name, for one model: what it learns of its server, it keeps.

    The limit of an answer is ``max_completion_tokens`` at OpenAI, whose newer models know no other, and ``max_tokens``
    elsewhere, which every compatible server knows.
    """
    edit = ServerPictures(service, timeout=timeout).edit
    if name == "completions":
        read = _reading(read_completion)
        return Endpoint(name, "/v1/completions", complete, edit, completion_body, read)
    if name == "images":
        drawing = ServerPictures(service, timeout=timeout)
        return Endpoint(name, "/v1/images/generations", drawing.generate, drawing.edit, drawing.body, drawing.read)
    if name == "chat-images":
        by_chat = ChatPictures(service, timeout=timeout)
        return Endpoint(name, _CHAT, by_chat.ask, by_chat.ask, by_chat.body, by_chat.read)
    if name == "responses":
        return Endpoint(name, RESPONSES, respond, edit, response_body, _reading(read_response))
    length = "max_completion_tokens" if service.place.startswith(_OWN_HOST) else "max_tokens"
    how = {"length": length, "own": service.name == "openai"}
    one, body = partial(chat, **how), partial(chat_body, **how)
    return Endpoint(name, _CHAT, one, edit, body, _reading(read_chat))


def _reading(read: Callable[..., Answer]) -> Callable[[Mapping[str, Any], JsonValue], Answer]:
    return lambda found, seed: read(found, seed=seed)


def make_model(service: Service, name: str, *, endpoint: str, timeout: float | None = None) -> RemoteModel:
    """The model for an endpoint: ``chat``, ``responses``, ``completions``, ``images`` or ``chat-images``."""
    made = CompletionsModel if endpoint == "completions" else RemoteModel
    found = endpoint_for(endpoint, service, timeout=timeout or TIMEOUT)
    return made(service, name, endpoint=found, timeout=timeout)
