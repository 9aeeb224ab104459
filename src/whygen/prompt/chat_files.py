"""A chat read from JSON: ``[{"role": "user", "content": "What is this?", "images": ["photo.png"]}, ...]``.

Chats as services take them are read too: content in parts (texts, and images as data addresses), and the role
``developer``, which is sent as ``system``.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from whygen.errors import DataError, MissingError
from whygen.prompt.units.checks import ROLES, bad_role, check_source
from whygen.safe import read_json
from whygen.texts import read_text_file
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
    text = read_text_file(file, "The chat file", most=MAX_CHAT_BYTES)
    try:
        value: object = read_json(text)
    except ValueError as error:
        raise DataError(f"The chat file {str(file)!r} is no JSON: {error}. {_FORM}") from None
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
    _refuse_other_fields(turn, where)
    role = "system" if turn.get("role") == "developer" else turn.get("role")
    if not isinstance(role, str):
        raise DataError(f"{where} has {'no role' if role is None else 'a role that is no text'}. {_FORM}")
    if role not in ROLES or role == "tool":
        raise bad_role(where, role)
    text, shown = _content(turn.get("content"), where)
    return Message(role, text, (*shown, *_images(turn.get("images", []), where, folder)))


def _refuse_other_fields(turn: Mapping[str, object], where: str) -> None:
    """Refuse what cannot be sent, in words; a field that is null or empty asks for nothing."""
    unknown = sorted(name for name in set(turn) - {"role", "content", "images"} if turn[name] not in (None, []))
    if {"tool_calls", "function_call"} & set(unknown):
        raise DataError(
            f"{where} holds {unknown[0]!r}, and calls of tools cannot be sent yet: write what was called into its "
            "content, such as 'I call search(\"fox\")', or leave the message out."
        )
    if "tool_call_id" in unknown:
        raise bad_role(where, "tool")
    if unknown:
        raise DataError(f"{where} has {unknown[0]!r}: only role, content and images are known.")


def _content(content: object, where: str) -> tuple[str, tuple[Picture, ...]]:
    """The text and the images of a content, whole or in parts."""
    if isinstance(content, str):
        return content, ()
    if not isinstance(content, list):
        raise DataError(f"{where} has {'no content' if content is None else 'a content that is no text'}. {_FORM}")
    texts: list[str] = []
    images: list[Picture] = []
    for part in cast("list[object]", content):
        if not isinstance(part, dict):
            raise DataError(f"{where} has a content that is no text: {_kind(part)} stands in it. {_FORM}")
        fields = cast("Mapping[str, object]", part)
        if fields.get("type") in {"text", "input_text"} and isinstance(fields.get("text"), str):
            texts.append(cast("str", fields["text"]))
        elif fields.get("type") in {"image_url", "input_image", "image"}:
            images.append(_sent_image(fields, where))
        else:
            raise DataError(
                f"{where} has a part of the type {fields.get('type')!r}: parts of the types text and image_url are "
                "known. Leave it out, or say in words what it holds."
            )
    return "\n".join(texts), tuple(images)


def _sent_image(part: Mapping[str, object], where: str) -> Picture:
    """The image of a part: a data address (OpenAI's form), or base64 (Anthropic's)."""
    given = part.get("image_url") or part.get("source")
    fields = cast("Mapping[str, object]", given) if isinstance(given, dict) else {"url": given}
    data, address = fields.get("data"), str(fields.get("url"))
    if data is None and address.startswith("data:"):
        data = address.partition(",")[2]
    if data is None:
        raise DataError(
            f"{where} names an image by the address {address[:80]!r}, and nothing is fetched. Save it beside the chat "
            'file and give it as "images": ["photo.png"].'
        )
    try:
        read = base64.b64decode(str(data), validate=True)
    except ValueError:
        raise DataError(f"{where} holds an image that is not base64.") from None
    return _picture(read, f"{where}: an image in it")


def _images(value: object, where: str, folder: Path) -> tuple[Picture, ...]:
    paths = cast("Sequence[object]", value) if isinstance(value, list) else None
    if paths is None or not all(isinstance(path, str) for path in paths):
        raise DataError(f'{where}: images is a list of paths, such as ["photo.png"].')
    return tuple(_image(folder / str(path), where) for path in paths)


def _image(file: Path, where: str) -> Picture:
    return _picture(_bytes(file, MAX_IMAGE_BYTES, f"{where}: the image {str(file)!r}"), f"{where}: {str(file)!r}")


def _picture(data: bytes, what: str) -> Picture:
    for begins, offset, holds, media_type in _SIGNATURES:
        if data.startswith(begins) and data[offset:].startswith(holds):
            return Picture(data, media_type)
    raise DataError(f"{what} is no PNG, JPEG, GIF or WebP image. Convert it to one of these.")


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
