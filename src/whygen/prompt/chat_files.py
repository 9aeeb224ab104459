"""A chat read from JSON: ``[{"role": "user", "content": "What is this?", "images": ["photo.png"]}, ...]``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from whygen.errors import DataError, MissingError
from whygen.prompt.units.checks import ROLES, check_source
from whygen.types import Chat, Message, Picture

MAX_CHAT_BYTES = 4 * 2**20
MAX_IMAGE_BYTES = 20 * 2**20

_SIGNATURES: tuple[tuple[bytes, int, bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", 0, b"", "image/png"),
    (b"\xff\xd8\xff", 0, b"", "image/jpeg"),
    (b"GIF8", 0, b"", "image/gif"),
    (b"RIFF", 8, b"WEBP", "image/webp"),
)
"""How a file begins, what stands at an offset in it, and what it is then; the name of a file proves nothing."""

_FORM = 'Give a list such as [{"role": "user", "content": "Hello"}].'


def read_chat(path: Path | str) -> Chat:
    """A chat from a JSON file; images are paths, looked up beside that file.

    Raises:
        MissingError: if the file or an image is not there.
        DataError: if it is too large, no JSON, or not a list of messages; if an image is no image.
    """
    file = Path(path)
    data = _bytes(file, MAX_CHAT_BYTES, f"The chat file {str(file)!r}")
    try:
        value = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"The chat file {str(file)!r} is no JSON in UTF-8: {error}. {_FORM}") from None
    return chat_from_json(value, folder=file.parent)


def chat_from_json(value: object, *, folder: Path | None = None) -> Chat:
    """A chat from a list of ``{"role", "content"}``, with optional ``images`` (paths).

    Args:
        value: what was read from JSON.
        folder: where images are looked up; the working directory if it is left out.

    Raises:
        MissingError: if an image is not there.
        DataError: naming the message that cannot be used.
    """
    if not isinstance(value, list):
        raise DataError(f"A chat is a list of messages, and this is {_kind(value)}. {_FORM}")
    turns = cast("list[object]", value)
    chat = Chat(tuple(_message(turn, number, folder or Path()) for number, turn in enumerate(turns, start=1)))
    check_source(chat)
    return chat


def _message(value: object, number: int, folder: Path) -> Message:
    where = f"Message {number} of the chat"
    if not isinstance(value, dict):
        raise DataError(f"{where} is {_kind(value)}. {_FORM}")
    turn = cast("dict[str, object]", value)
    if unknown := sorted(set(turn) - {"role", "content", "images"}):
        raise DataError(f"{where} has {unknown[0]!r}: only role, content and images are known.")
    role, content = turn.get("role"), turn.get("content")
    for name, given in (("role", role), ("content", content)):
        if not isinstance(given, str):
            raise DataError(f"{where} has {'no ' + name if given is None else f'a {name} that is no text'}. {_FORM}")
    if role not in ROLES:
        raise DataError(f"{where} has the role {role!r}: {', '.join(ROLES)} exist.")
    return Message(role, cast(str, content), _images(turn.get("images", []), where, folder))


def _images(value: object, where: str, folder: Path) -> tuple[Picture, ...]:
    paths = cast("Sequence[object]", value) if isinstance(value, list) else None
    if paths is None or not all(isinstance(path, str) for path in paths):
        raise DataError(f'{where}: images is a list of paths, such as ["photo.png"].')
    return tuple(_image(folder / str(path), where) for path in paths)


def _image(file: Path, where: str) -> Picture:
    data = _bytes(file, MAX_IMAGE_BYTES, f"{where}: the image {str(file)!r}")
    for begins, offset, holds, media_type in _SIGNATURES:
        if data.startswith(begins) and data[offset:].startswith(holds):
            return Picture(data, media_type)
    raise DataError(f"{where}: {str(file)!r} is no PNG, JPEG, GIF or WebP image. Convert it to one of these.")


def _bytes(file: Path, most: int, what: str) -> bytes:
    if not file.is_file():
        raise MissingError(f"{what} is not there. Paths of images start from the folder of the chat file.")
    with file.open("rb") as opened:
        data = opened.read(most + 1)
    if len(data) > most:
        raise DataError(f"{what} is over {most // 2**20} MiB. Give a smaller one.")
    return data


def _kind(value: object) -> str:
    names: Mapping[type, str] = {dict: "an object", str: "a text", type(None): "null", bool: "a truth value"}
    return names.get(type(value), "a number")
