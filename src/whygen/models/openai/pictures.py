"""Pictures by a server: the endpoints of pictures, models that draw in a chat, and where a picture stands in an answer.

A text becomes a picture, or a picture with an instruction a changed one. Every maker of servers has a place of its own
for what was drawn.
"""

from __future__ import annotations

import base64
import io
import re
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, Generic, TypeVar, cast
from urllib.parse import unquote_to_bytes

import httpx2
import openai
from PIL import Image, UnidentifiedImageError

from whygen.errors import DataError
from whygen.media import pictures
from whygen.models.openai.text import finish_of, is_filtered
from whygen.models.openai.turns import messages
from whygen.remote import Answer, Malformed, Service, Unacceptable, dig, document, refuse_error, usage, with_extra
from whygen.remote.addresses import fetch
from whygen.remote.jobs import finished, goes_on
from whygen.remote.reading import ErrorInside
from whygen.types import Chat, Edit, Failure, JsonValue, Message, Output, Picture, Prompt, Request

_FORMATS: Final = frozenset({"PNG", "JPEG", "MPO", "WEBP", "AVIF", "GIF", "BMP", "TIFF"})
"""What is taken, of all that Pillow can read: for some formats it starts other programs."""
_BYTES: Final = ("b64_json", "base64", "b64", "image_base64", "image_data", "image")
_ADDRESSES: Final = ("url", "image_url", "image_urls", "sample")
_WITHIN: Final = ("data", "images", "artifacts", "output", "outputs", "result", "results")
"""Names of what holds the picture, what holds its address, and what holds either.

Beside OpenAI's ``data[0].b64_json`` and ``url`` there are ``images[0].url`` (SiliconFlow, fal), ``images[0]`` as text
(the web interfaces of Stable Diffusion), ``artifacts[0].base64`` (Stability, NVIDIA), ``data.image_urls[0]`` and
``data.image_base64[0]`` (MiniMax), ``output[0]`` (Replicate), ``result.sample`` (Black Forest Labs) and
``result.image`` (Cloudflare).
"""
_DEEPEST: Final = 6
_MOST_OF_JOB: Final = 2 * pictures.MOST_BYTES
"""Bytes of what a job says last: a picture as base64 takes a third more than its own."""
_FILTERED: Final = frozenset({"CONTENT_FILTERED", "CONTENT_FILTER"})


def shown(found: object, *, name: str = "", depth: int = 0) -> Iterator[tuple[str, bool]]:
    """The texts in an answer that are a picture, and whether each is its address; the likeliest first.

    Args:
        found: the answer, or a part of it.
        name: of that part.
        depth: of that part.
    """
    if isinstance(found, str):
        if found:
            begins = found[:8].lower()
            yield (
                found,
                begins.startswith(("http://", "https://")) or (name in _ADDRESSES and not begins.startswith("data:")),
            )
    elif depth < _DEEPEST and isinstance(found, Sequence):
        for each in cast(Sequence[object], found)[:4]:
            yield from shown(each, name=name, depth=depth + 1)
    elif depth < _DEEPEST and isinstance(found, Mapping):
        for key in (*_BYTES, *_ADDRESSES, *_WITHIN):
            yield from shown(cast(Mapping[str, object], found).get(key), name=key, depth=depth + 1)


def picture_in(found: object, service: Service, *, timeout: float) -> Picture:
    """The picture that an answer, or a part of one, holds or gives the address of.

    Args:
        found: the answer.
        service: the server that gave it.
        timeout: seconds that an answer may take.

    Raises:
        Malformed: if there is no picture in it.
        Unacceptable: if the address is not to be visited, or what is there is no picture.
    """
    text, is_address = next(shown(found), ("", False))
    if not text:
        raise Malformed("JSON without a picture in it")
    if not is_address:
        return usable(decoded(text))
    data = fetch(text, service, most=pictures.MOST_BYTES, timeout=timeout).data
    try:
        return usable(data)
    except Malformed as malformed:
        what = "a web page" if data.lstrip()[:1] == b"<" else malformed
        raise Unacceptable(
            f"at the address that it gives for its picture is {what}", kind="permanent",
            advice="Look at what the server's store answers; or have it send pictures themselves (b64_json).",
        ) from None  # fmt: skip


def decoded(text: str) -> bytes:
    """The bytes of base64, in either alphabet and broken into lines or not, or of a ``data:`` URL.

    Raises:
        Malformed: if it is neither.
    """
    head, comma, tail = text.partition(",")
    if comma and head[:5].lower() == "data:":
        if ";base64" not in head.lower():
            return unquote_to_bytes(tail)
        text = tail
    plain = "".join(text.split()).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except ValueError:  # that of base64 is one, and so are characters that it cannot have
        raise Malformed("a picture that is not base64") from None


def usable(data: bytes) -> Picture:
    """A picture from its bytes.

    Raises:
        Malformed: if they are none, or none that can be used.
    """
    try:
        return pictures.picture_from(Picture(data, media_type(data)))
    except DataError as error:
        raise Malformed(f"a picture that cannot be used ({error})") from None


def media_type(data: bytes) -> str:
    """The media type that a picture's bytes have, whatever was promised.

    Raises:
        Malformed: if they are no picture.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as image:
                kind = image.format or ""
    except (UnidentifiedImageError, Image.DecompressionBombError, Image.DecompressionBombWarning, OSError):
        raise Malformed("bytes that are no picture") from None
    if kind not in _FORMATS:
        raise Malformed(f"a picture of a format that is not taken ({kind})")
    return Image.MIME[kind]


def is_withheld(answer: Mapping[str, Any]) -> bool:
    """Whether the service says that its filter stands in the picture's place (a black or blurred one, or none)."""
    first = dig(answer, "data", 0)
    ends = [dig(answer, "artifacts", 0, name) for name in ("finishReason", "finish_reason")]
    return (
        any(isinstance(end, str) and end.upper() in _FILTERED for end in (*ends, dig(first, "finish_reason")))
        or dig(first, "respect_moderation") is False
        or dig(answer, "has_nsfw_concepts", 0) is True
    )


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


class ServerPictures:
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
        self._forms = Ways((_as_form, partial(_as_json, whole=True), partial(_as_json, whole=False)), _wants_other_form)

    def generate(self, client: openai.OpenAI, name: str, request: Request) -> Answer:
        """Ask for a picture of what a text says. Of the settings only ``extra`` (size, quality ...) is sent."""
        prompt = request.prompt
        if not isinstance(prompt, str):
            return _TEXTS_ONLY

        def send(body: Mapping[str, JsonValue]) -> Answer:
            raw = client.images.with_raw_response.generate(model=name, prompt=prompt, n=1, extra_body=body)
            return self._read(raw)

        return self._ask(self._generations, name, request, send)

    def edit(self, client: openai.OpenAI, name: str, request: Request) -> Answer:
        """Ask for a picture to be changed; the request's prompt is an `Edit`."""
        prompt = request.prompt
        if not isinstance(prompt, Edit):
            raise TypeError("no edit")

        def send(body: Mapping[str, JsonValue]) -> Answer:
            return self._read(self._forms.ask(lambda form: form(client, name, prompt, body)))

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

    def _read(self, raw: Any) -> Answer:
        """The output in a response of the official client; of a job, when it is done."""
        answer = self._document(raw.content)
        if isinstance(answer, Output):
            return answer
        refuse_error(answer)
        if next(shown(answer), None) is None or goes_on(answer):
            last = finished(
                answer, raw.status_code, raw.headers, self._service, most=_MOST_OF_JOB, timeout=self._timeout
            )
            if isinstance(last, Failure):
                return last
            answer = answer if last is None else self._document(last)
        return answer if isinstance(answer, Output) else self.read(answer)

    @staticmethod
    def _document(content: bytes) -> Mapping[str, Any] | Output:
        """The JSON of a response, or its picture: some servers send the bytes and nothing else."""
        try:
            return document(content)
        except Malformed as malformed:
            try:
                return Output(picture=usable(content))
            except Malformed:
                raise malformed from None


def _as_form(client: openai.OpenAI, name: str, edit: Edit, body: Mapping[str, JsonValue]) -> Any:
    """Send an edit as OpenAI takes it: the picture is a file in a form."""
    image = edit.picture
    file = (f"image.{image.media_type.partition('/')[2]}", image.data, image.media_type)
    return client.images.with_raw_response.edit(model=name, image=file, prompt=edit.instruction, n=1, extra_body=body)


def _as_json(client: openai.OpenAI, name: str, edit: Edit, body: Mapping[str, JsonValue], *, whole: bool) -> Any:
    """Send an edit as JSON: the picture is a ``data:`` address, in an object (xAI) or alone."""
    image = edit.picture
    address = f"data:{image.media_type};base64,{base64.b64encode(image.data).decode()}"
    shown_as = {"url": address, "type": "image_url"} if whole else address
    told = {"model": name, "prompt": edit.instruction, "n": 1, "image": shown_as, **body}
    return client.post("/images/edits", body=told, cast_to=httpx2.Response)


_FORM_WORDS = re.compile(
    r"(?i)\bjson\b|content[- ]?type|multipart|form[- ]?data|media[ _]type|valid dictionary|"
    r"\bimage\b.{0,80}\b(string|str|type|object|url|field)\b"
)


def _wants_other_form(error: openai.APIStatusError | ErrorInside) -> bool:
    """Whether a server refuses how an edit is sent, not what it says."""
    if isinstance(error, ErrorInside):
        return _FORM_WORDS.search(str(error.found)) is not None
    named = error.status_code in _REFUSING and _FORM_WORDS.search(error.response.text) is not None
    return named or error.status_code == 415


_Way = TypeVar("_Way")
_Said = TypeVar("_Said")


class Ways(Generic[_Way]):
    """Ways of asking, of which an endpoint may refuse the first ones.

    The first request finds it out while others wait for it, so that one alone is refused. It is sent again, beside what
    a run counts: a request that was not taken was not answered. A way is given up only when a later one is taken.

    Args:
        ways: the one to try first, first.
        is_refused: whether an error refuses the way, and not what is asked.
    """

    def __init__(self, ways: Sequence[_Way], is_refused: Callable[[openai.APIStatusError | ErrorInside], bool]) -> None:
        self._ways = ways
        self._is_refused = is_refused
        self._now = 0
        self._first = threading.Lock()
        self._known = threading.Event()

    @property
    def now(self) -> _Way:
        """The way that is taken, as far as is known."""
        return self._ways[self._now]

    def ask(self, send: Callable[[_Way], _Said]) -> _Said:
        """Ask in the first way that is not refused.

        Raises:
            openai.APIStatusError: of the last way, if it refuses what is asked; of the first one, if all are refused.
        """
        is_first = self._first.acquire(blocking=False)  # and it is never given back
        if not is_first:
            self._known.wait()
        refused: Exception | None = None
        try:
            for place in range(self._now, len(self._ways)):
                try:
                    said = send(self._ways[place])
                except (openai.APIStatusError, ErrorInside) as error:
                    if not self._is_refused(error):
                        raise
                    refused = refused or error
                else:
                    self._now = max(self._now, place)
                    return said
        finally:
            if is_first:
                self._known.set()
        raise refused or AssertionError


class Dispensable:
    """A parameter that an endpoint may refuse and do without.

    Args:
        name: of the parameter.
        value: what is sent.
        names: words of an error that speak of it.
    """

    def __init__(self, name: str, value: JsonValue, *, names: re.Pattern[str]) -> None:
        self._name = name
        self._value = value
        self._names = names
        self._ways = Ways((True, False), self._is_refused)

    def body(self, request: Request, *, taken: bool | None = None) -> dict[str, JsonValue]:
        """What is asked beside model and prompt."""
        sent = self._ways.now if taken is None else taken
        return with_extra({self._name: self._value} if sent else {}, request.settings.extra)

    def ask(self, request: Request, send: Callable[[Mapping[str, JsonValue]], Answer]) -> Answer:
        """Ask, and once more where the parameter is refused; what a person says of it is sent as it is."""
        if self._name in request.settings.extra:
            return send(self.body(request))
        return self._ways.ask(lambda taken: send(self.body(request, taken=taken)))

    def _is_refused(self, error: openai.APIStatusError | ErrorInside) -> bool:
        if isinstance(error, ErrorInside):
            return self._names.search(str(error.found)) is not None
        return error.status_code in _REFUSING and self._names.search(error.response.text) is not None


_MARKDOWN: Final = re.compile(r"!\[[^\]]{0,500}\]\(\s*((?:data:image/|https?://)[^)\s]+)")
"""A picture in a text, as some servers write it."""
_SHOWN: Final = 200


class ChatPictures:
    """How one model is asked for pictures by chat.

    Of the settings only ``extra`` is sent: a limit in tokens would cut a picture.
    """

    def __init__(self, service: Service, *, timeout: float) -> None:
        self._service = service
        self._timeout = timeout
        self._modalities = Dispensable("modalities", ["image", "text"], names=re.compile(r"(?i)modalit"))

    def ask(self, client: openai.OpenAI, name: str, request: Request) -> Answer:
        """Ask for a picture: of a text, a chat, or an `Edit`."""

        def send(body: Mapping[str, JsonValue]) -> Answer:
            raw = client.chat.completions.with_raw_response.create(
                model=name, messages=cast(Any, messages(_as_chat(request.prompt))), extra_body=body
            )
            return self.read(document(raw.content))

        return self._modalities.ask(request, send)

    def body(self, name: str, request: Request) -> dict[str, JsonValue] | Failure:
        """The same as `ask` asks with, for a batch."""
        return {"model": name, "messages": messages(_as_chat(request.prompt)), **self._modalities.body(request)}

    def read(self, answer: Mapping[str, Any], seed: JsonValue = None) -> Answer:
        """The picture in a chat completion: in a list of its own, among the parts of the message, or in its text.

        Raises:
            Malformed: if there is no message.
            Unacceptable: if it gives an address that is not to be visited.
        """
        del seed
        refuse_error(answer)
        choice = dig(answer, "choices", 0)
        if is_filtered(answer) or finish_of(choice) == "refused":
            return _words("the service's filter stopped the picture")
        content = dig(choice, "message", "content")
        written = _MARKDOWN.search(content) if isinstance(content, str) else None
        places: list[object] = [dig(choice, "message", "images"), written[1] if written else None]
        if not isinstance(content, str):
            places.append(content)
        for place in places:
            try:
                picture = picture_in({"images": place}, self._service, timeout=self._timeout)
            except Malformed as malformed:
                if "without a picture" in str(malformed):
                    continue
                raise
            read, wrote = usage(answer)
            return Output(picture=picture, tokens_in=read, tokens_out=wrote)
        said = content if isinstance(content, str) else ""
        if not said.strip():
            raise Malformed("JSON without a message that holds a picture")
        return _words(f"the model answered with words instead of a picture: {self._service.scrub(said)[:_SHOWN]!r}")


def _words(what: str) -> Failure:
    return Failure(kind="refused", message=what, advice="Word the prompt as a picture to draw, or change it.")


def _as_chat(prompt: Prompt) -> str | Chat:
    return Chat((Message("user", prompt.instruction, (prompt.picture,)),)) if isinstance(prompt, Edit) else prompt
