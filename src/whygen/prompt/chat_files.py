"""A chat read from JSON: ``[{"role": "user", "content": "What is this?", "images": ["photo.png"]}, ...]``.

Chats as services take them are read too: content in parts (texts, and images as data addresses), calls of tools and
what these gave back, and the role ``developer``, which is sent as ``system``. What a program kept is read by
`whygen.records`, which leaves out what cannot be sent and says so; a person is told to mend it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from whygen.errors import DataError, MissingError
from whygen.prompt.units.checks import bad_role, check_source
from whygen.records.fields import Field, kind_of
from whygen.records.notices import Notices
from whygen.records.openai_chat import ROLES, read_message, read_tools, waiting_in
from whygen.records.parts import MAX_IMAGE_BYTES, picture_of_base64, picture_of_bytes
from whygen.safe import read_json
from whygen.texts import read_text_file
from whygen.types import Chat, Message, Picture

MAX_CHAT_BYTES = 4 * 2**20
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
    """A chat from a list of messages as services take them, with optional ``images`` (paths).

    Args:
        value: what was read from JSON: the list, or an object that holds it as ``messages``, with ``tools`` beside it.
        folder: where images are looked up; the working directory if it is left out.

    Raises:
        MissingError: if an image is not there.
        DataError: naming the message that cannot be used.
    """
    whole: Mapping[str, object] = {}
    if isinstance(value, dict) and "messages" in value:
        whole = cast("Mapping[str, object]", value)
    given: object = whole["messages"] if whole else cast("object", value)
    if not isinstance(given, list):
        raise DataError(f"A chat is a list of messages, and this is {kind_of(given)}. {_FORM}")
    if unknown := sorted(set(whole) - {"messages", "tools"}):
        raise DataError(f"The chat holds {unknown[0]!r} beside its messages: only tools are known there.")
    turns: list[Message] = []
    for number, turn in enumerate(cast("list[object]", given), start=1):
        turns.append(_message(turn, f"Message {number} of the chat", turns, folder or Path()))
    chat = Chat(tuple(turns), tuple(read_tools(Field(whole, "", "The chat"))))
    check_source(chat)
    return chat


def _message(value: object, where: str, before: Sequence[Message], folder: Path) -> Message:
    if not isinstance(value, dict):
        raise DataError(f"{where} is {kind_of(value)}. {_FORM}")
    turn = cast("dict[str, object]", value)
    role = turn.get("role")
    if not isinstance(role, str):
        raise DataError(f"{where} has {'no role' if role is None else 'a role that is no text'}. {_FORM}")
    if role not in ROLES:
        raise bad_role(where, role)
    for name in sorted(name for name in set(turn) - _KNOWN if turn[name] not in (None, [])):
        raise DataError(f"{where} has {name!r}: only {', '.join(sorted(_KNOWN))} are known.")
    if role not in {"tool", "function"} and turn.get("tool_call_id"):
        raise DataError(f"{where} has the role {role!r} and a tool_call_id: what a tool gave back has the role 'tool'.")
    field = Field({name: value for name, value in turn.items() if name != "images"}, "", where)
    notices = Notices()
    for part in field["content"] if field["content"].is_list else ():
        _check_part(part.value, where)
    read = read_message(field, notices, waiting_in(before))
    images = _images(turn.get("images", []), where, folder)
    if read.parts:
        return replace(read, parts=(*read.parts, *images))
    return replace(read, images=images)


_KNOWN = frozenset({"role", "content", "images", "tool_calls", "tool_call_id", "function_call", "refusal"})


def _check_part(part: object, where: str) -> None:
    """Refuse a part that has no place in a chat that a person writes; a record is read as it is, with a notice."""
    if not isinstance(part, dict):
        raise DataError(f"{where} has a content that is no text: {kind_of(part)} stands in it. {_FORM}")
    fields = cast("Mapping[str, object]", part)
    if fields.get("type") in {"image_url", "input_image", "image"}:
        _check_image(fields, where)
    elif fields.get("type") not in {"text", "input_text", "output_text", "refusal"}:
        raise DataError(
            f"{where} has a part of the type {fields.get('type')!r}: parts of the types text and image_url are "
            "known. Leave it out, or say in words what it holds."
        )


def _check_image(part: Mapping[str, object], where: str) -> None:
    """Refuse the image of a part that is no data address (OpenAI's form) or base64 (Anthropic's) of one."""
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
    picture_of_base64(str(data), f"{where}: an image in it")


def _images(value: object, where: str, folder: Path) -> tuple[Picture, ...]:
    paths = cast("Sequence[object]", value) if isinstance(value, list) else None
    if paths is None or not all(isinstance(path, str) for path in paths):
        raise DataError(f'{where}: images is a list of paths, such as ["photo.png"].')
    return tuple(_image(folder / str(path), where) for path in paths)


def _image(file: Path, where: str) -> Picture:
    return picture_of_bytes(
        _bytes(file, MAX_IMAGE_BYTES, f"{where}: the image {str(file)!r}"), f"{where}: {str(file)!r}"
    )


def _bytes(file: Path, most: int, what: str) -> bytes:
    if not file.is_file():
        raise MissingError(f"{what} is not there. Paths of images start from the folder of the chat file.")
    with file.open("rb") as opened:
        data = opened.read(most + 1)
    if len(data) > most:
        raise DataError(f"{what} is over {most // 2**20} MiB. Give a smaller one.")
    return data
