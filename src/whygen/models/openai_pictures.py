"""The endpoints of pictures: a text to a picture, and a picture with an instruction to a changed one."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Mapping
from typing import Any

import openai
from PIL import Image, UnidentifiedImageError

from whygen import pictures
from whygen.errors import DataError
from whygen.remote import Answer, Malformed, dig, document, refuse_error, usage, with_extra
from whygen.types import Edit, Failure, JsonValue, Output, Picture, Request

_ALWAYS_BYTES = ("gpt-image", "chatgpt-image")
"""Models that send pictures themselves, never links to them, and refuse to be told so."""

_TEXTS_ONLY = Failure(
    kind="permanent",
    message="the images endpoint takes a text, not a chat",
    advice="Give a text; for a picture with an instruction, give an Edit.",
)


def generate(client: openai.OpenAI, name: str, request: Request) -> Answer:
    """Ask for a picture of what a text says. Of the settings only ``extra`` (size, quality ...) is sent."""
    if not isinstance(request.prompt, str):
        return _TEXTS_ONLY
    raw = client.images.with_raw_response.generate(
        model=name, prompt=request.prompt, n=1, extra_body=_body(name, request)
    )
    return read_picture(document(raw.content))


def picture_body(name: str, request: Request) -> dict[str, JsonValue] | Failure:
    """The same as `generate` asks with, for a batch."""
    if not isinstance(request.prompt, str):
        return _TEXTS_ONLY
    return {"model": name, "prompt": request.prompt, "n": 1, **_body(name, request)}


def edit(client: openai.OpenAI, name: str, request: Request, prompt: Edit) -> Answer:
    """Ask for a picture to be changed."""
    image = prompt.image
    file = (f"image.{image.media_type.partition('/')[2]}", image.data, image.media_type)
    raw = client.images.with_raw_response.edit(
        model=name, image=file, prompt=prompt.instruction, n=1, extra_body=_body(name, request)
    )
    return read_picture(document(raw.content))


def _body(name: str, request: Request) -> dict[str, JsonValue]:
    body: dict[str, JsonValue] = {} if name.startswith(_ALWAYS_BYTES) else {"response_format": "b64_json"}
    return with_extra(body, request.settings.extra)


def read_picture(answer: Mapping[str, Any]) -> Answer:
    """The output in an answer of the images endpoints.

    Raises:
        Malformed: if there is no picture in it.
    """
    refuse_error(answer)
    encoded = dig(answer, "data", 0, "b64_json")
    if not isinstance(encoded, str):
        if isinstance(dig(answer, "data", 0, "url"), str):
            advice = "Ask for the picture itself: Settings(extra={'response_format': 'b64_json'})."
            return Failure(kind="permanent", message="the server sent a link instead of a picture", advice=advice)
        raise Malformed("JSON without a picture in it")
    try:
        data = base64.b64decode(encoded.partition("base64,")[2] or encoded, validate=True)
    except ValueError:  # that of base64 is one, and so are characters that it cannot have
        raise Malformed("a picture that is not base64") from None
    try:
        picture = pictures.picture_from(Picture(data, media_type(data)))
    except DataError as error:
        raise Malformed(f"a picture that cannot be used ({error})") from None
    revised = dig(answer, "data", 0, "revised_prompt")
    read, written = usage(answer)
    return Output(
        picture=picture,
        tokens_in=read,
        tokens_out=written,
        extra={"revised_prompt": revised} if isinstance(revised, str) else {},
    )


def media_type(data: bytes) -> str:
    """The media type that a picture's bytes have, whatever was promised.

    Raises:
        Malformed: if they are no picture.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as image:
                return Image.MIME[image.format or ""]
    except (UnidentifiedImageError, Image.DecompressionBombError, Image.DecompressionBombWarning, OSError, KeyError):
        raise Malformed("bytes that are no picture") from None
