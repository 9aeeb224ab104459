"""Where a picture stands in an answer: every maker of servers has a place of its own for it."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast
from urllib.parse import unquote_to_bytes

from PIL import Image, UnidentifiedImageError

from whygen import pictures
from whygen.errors import DataError
from whygen.remote import Malformed, Service, Unacceptable, dig
from whygen.remote.addresses import fetch
from whygen.types import Picture

_FORMATS: Final = frozenset({"PNG", "JPEG", "MPO", "WEBP", "AVIF", "GIF", "BMP", "TIFF"})
"""What is taken, of all that Pillow can read: for some formats it starts other programs."""
_BYTES: Final = ("b64_json", "base64", "b64", "image_base64", "image_data", "image")
_ADDRESSES: Final = ("url", "image_url", "image_urls")
_WITHIN: Final = ("data", "images", "artifacts", "output", "result", "results")
"""Names of what holds the picture, what holds its address, and what holds either.

Beside OpenAI's ``data[0].b64_json`` and ``url`` there are ``images[0].url`` (SiliconFlow, fal), ``images[0]`` as text
(the web interfaces of Stable Diffusion), ``artifacts[0].base64`` (Stability, NVIDIA), ``data.image_urls[0]`` and
``data.image_base64[0]`` (MiniMax), ``output[0]`` (Replicate) and ``result.image`` (Cloudflare).
"""
_DEEPEST: Final = 6
_WITHHELD: Final = frozenset({"CONTENT_FILTERED", "CONTENT_FILTER"})


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
    data = fetch(text, service, most=pictures.MOST_BYTES, timeout=timeout)
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
        any(isinstance(end, str) and end.upper() in _WITHHELD for end in (*ends, dig(first, "finish_reason")))
        or dig(first, "respect_moderation") is False
        or dig(answer, "has_nsfw_concepts", 0) is True
    )
