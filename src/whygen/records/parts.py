"""Parts of a message that every service writes its own way: images, and what is kept as it is."""

from __future__ import annotations

import base64
import re

from whygen.errors import DataError
from whygen.records.fields import Field
from whygen.records.notices import Notices
from whygen.types import Block, Picture

MAX_IMAGE_BYTES = 20 * 2**20

_SIGNATURES: tuple[tuple[bytes, int, bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", 0, b"", "image/png"),
    (b"\xff\xd8\xff", 0, b"", "image/jpeg"),
    (b"GIF8", 0, b"", "image/gif"),
    (b"RIFF", 8, b"WEBP", "image/webp"),
)
"""How a file begins, what stands at an offset in it, and what it is then; the name of a file proves nothing."""
_SPACES = re.compile(r"\s+")


def picture_of_bytes(data: bytes, what: str) -> Picture:
    """A picture from the bytes of an image file.

    Args:
        data: of the file.
        what: names it in errors.

    Raises:
        DataError: if it is too large, or no image of a kind that services take.
    """
    if len(data) > MAX_IMAGE_BYTES:
        raise DataError(f"{what} is over {MAX_IMAGE_BYTES // 2**20} MiB. Give a smaller one.")
    for begins, offset, holds, media_type in _SIGNATURES:
        if data.startswith(begins) and data[offset:].startswith(holds):
            return Picture(data, media_type)
    raise DataError(f"{what} is no PNG, JPEG, GIF or WebP image. Convert it to one of these.")


def picture_of_base64(text: str, what: str) -> Picture:
    """A picture from base64 or from a ``data:`` address.

    Raises:
        DataError: if it is neither, or no image.
    """
    written = text.partition(",")[2] if text.startswith("data:") else text
    if len(written) > 2 * MAX_IMAGE_BYTES:
        raise DataError(f"{what} is over {MAX_IMAGE_BYTES // 2**20} MiB. Give a smaller one.")
    try:
        data = base64.b64decode(_SPACES.sub("", written), validate=True)
    except ValueError:
        raise DataError(f"{what} is not base64.") from None
    return picture_of_bytes(data, what)


def text_of_base64(written: str) -> str | None:
    """The text in base64; None of what is neither."""
    try:
        return base64.b64decode(written, validate=True).decode()
    except ValueError:
        return None


def sent_picture(text: str, where: Field, notices: Notices) -> Picture | None:
    """The picture that was sent; None, with a notice, where its data is not there any more."""
    try:
        return picture_of_base64(text, where.place)
    except DataError:
        notices.count("image-missing", where)
        return None


def is_link(address: object) -> bool:
    """Whether an image or a file is named by where it is."""
    return isinstance(address, str) and address.lower().startswith(("http://", "https://", "gs://", "s3://"))


def kept(part: Field, protocol: str, *place: str) -> Block:
    """A part as it went over the wire.

    Args:
        part: an object.
        protocol: whose it is.
        place: keys to the text in it; left out where there is no text.
    """
    has_text = bool(place) and part.at(*place).is_text
    return Block(part.object(), protocol, place if has_text else ())
