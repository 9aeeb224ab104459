"""The endpoints of pictures: a text to a picture, and a picture with an instruction to a changed one."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

import openai

from whygen.models.openai_drawn import is_withheld, picture_in, usable
from whygen.remote import Answer, Malformed, Service, dig, document, refuse_error, usage, with_extra
from whygen.remote.reading import ErrorInside
from whygen.types import Edit, Failure, JsonValue, Output, Request

_ALWAYS_BYTES = ("gpt-image", "chatgpt-image")
"""Models that send pictures themselves, never links to them, and refuse to be told so."""
_REFUSING: Final = frozenset({400, 422})
"""Statuses of a parameter that is not taken."""

_TEXTS_ONLY = Failure(
    kind="permanent",
    message="the images endpoint takes a text, not a chat",
    advice="Give a text; for a picture with an instruction, give an Edit.",
)
_WITHHELD = Failure(
    kind="refused",
    message="the service withheld the picture and says that its filter did",
    advice="The service's content policy stops this prompt.",
)


class Drawing:
    """How one model is asked for pictures.

    Servers differ in whether they can be told to send pictures themselves: the first request finds it out, and later
    ones know.
    """

    def __init__(self, service: Service, *, timeout: float) -> None:
        self._service = service
        self._timeout = timeout
        names = re.compile(r"(?i)response[ _-]?format|b64_json")
        self._generations = Dispensable("response_format", "b64_json", names=names)
        self._edits = Dispensable("response_format", "b64_json", names=names)

    def generate(self, client: openai.OpenAI, name: str, request: Request) -> Answer:
        """Ask for a picture of what a text says. Of the settings only ``extra`` (size, quality ...) is sent."""
        prompt = request.prompt
        if not isinstance(prompt, str):
            return _TEXTS_ONLY

        def send(body: Mapping[str, JsonValue]) -> Answer:
            raw = client.images.with_raw_response.generate(model=name, prompt=prompt, n=1, extra_body=body)
            return self._read(raw.content)

        return self._ask(self._generations, name, request, send)

    def edit(self, client: openai.OpenAI, name: str, request: Request) -> Answer:
        """Ask for a picture to be changed; the request's prompt is an `Edit`."""
        prompt = request.prompt
        if not isinstance(prompt, Edit):
            raise TypeError("no edit")
        image = prompt.picture
        file = (f"image.{image.media_type.partition('/')[2]}", image.data, image.media_type)

        def send(body: Mapping[str, JsonValue]) -> Answer:
            raw = client.images.with_raw_response.edit(
                model=name, image=file, prompt=prompt.instruction, n=1, extra_body=body
            )
            return self._read(raw.content)

        return self._ask(self._edits, name, request, send)

    def _ask(
        self, asked: Dispensable, name: str, request: Request, send: Callable[[Mapping[str, JsonValue]], Answer]
    ) -> Answer:
        if name.startswith(_ALWAYS_BYTES):
            return send(with_extra({}, request.settings.extra))
        return asked.ask(request, send)

    def body(self, name: str, request: Request) -> dict[str, JsonValue] | Failure:
        """The same as `generate` asks with, for a batch."""
        if not isinstance(request.prompt, str):
            return _TEXTS_ONLY
        has_format = not name.startswith(_ALWAYS_BYTES)
        told = self._generations.body(request) if has_format else with_extra({}, request.settings.extra)
        return {"model": name, "prompt": request.prompt, "n": 1, **told}

    def read(self, answer: Mapping[str, Any], seed: JsonValue = None) -> Answer:
        """The output in an answer of the images endpoints, whoever made the server.

        Raises:
            Malformed: if there is no picture in it.
            Unacceptable: if it gives an address that is not to be visited.
        """
        del seed
        refuse_error(answer)
        if is_withheld(answer):
            return _WITHHELD
        picture = picture_in(answer, self._service, timeout=self._timeout)
        revised = dig(answer, "data", 0, "revised_prompt")
        read, written = usage(answer)
        return Output(
            picture=picture,
            tokens_in=read,
            tokens_out=written,
            extra={"revised_prompt": revised} if isinstance(revised, str) else {},
        )

    def _read(self, content: bytes) -> Answer:
        """The output in the body of a response: some servers send the picture's bytes and nothing else."""
        try:
            answer = document(content)
        except Malformed as malformed:
            try:
                return Output(picture=usable(content))
            except Malformed:
                raise malformed from None
        return self.read(answer)


class Dispensable:
    """A parameter that an endpoint may refuse and do without.

    The first request finds it out while others wait for it, so that one alone is refused. It is sent again without the
    parameter, beside what a run counts: a request that was not taken was not answered.

    Args:
        name: of the parameter.
        value: what is sent.
        names: words of an error that speak of it.
    """

    def __init__(self, name: str, value: JsonValue, *, names: re.Pattern[str]) -> None:
        self._name = name
        self._value = value
        self._names = names
        self._is_taken = True
        self._first = threading.Lock()
        self._known = threading.Event()

    def body(self, request: Request) -> dict[str, JsonValue]:
        """What is asked beside model and prompt."""
        return with_extra({self._name: self._value} if self._is_taken else {}, request.settings.extra)

    def ask(self, request: Request, send: Callable[[Mapping[str, JsonValue]], Answer]) -> Answer:
        """Ask, and once more where the parameter is refused; what a person says of it is sent as it is."""
        if not self._is_taken or self._name in request.settings.extra:
            return send(self.body(request))
        is_first = self._first.acquire(blocking=False)  # and it is never given back
        if not is_first:
            self._known.wait()
        try:
            return send(self.body(request))
        except (openai.APIStatusError, ErrorInside) as error:
            if not self._is_refused(error):
                raise
            self._is_taken = False
        finally:
            if is_first:
                self._known.set()
        return send(self.body(request))

    def _is_refused(self, error: openai.APIStatusError | ErrorInside) -> bool:
        if isinstance(error, ErrorInside):
            return self._names.search(str(error.found)) is not None
        return error.status_code in _REFUSING and self._names.search(error.response.text) is not None
