"""Whether what was given to be explained is made of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import cast

from whygen.errors import DataError, UsageError
from whygen.types import Chat, Edit, Message, Template

ROLES = ("system", "user", "assistant", "tool")

_OTHER_ROLES = {
    "developer": "OpenAI's newer models call the system so: give the role 'system', which they read as the same",
    "function": "That is the role 'tool' here: give it with answers=, the id of the call that it answers",
    "model": "That is the role 'assistant' here",
    "human": "That is the role 'user' here",
    "ai": "That is the role 'assistant' here",
    "bot": "That is the role 'assistant' here",
}  # fmt: skip
"""Roles of other libraries and services, and what to give instead."""


def bad_role(where: str, role: object) -> DataError:
    """That a message has a role that is not sent, and what to give instead."""
    advice = _OTHER_ROLES.get(role.lower()) if isinstance(role, str) else None
    known = f"{', '.join(ROLES)} exist."
    return DataError(f"{where} has the role {role!r}: {known}" + (f" {advice}." if advice else ""))


def check_source(prompt: object) -> None:
    """Refuse a prompt of another type, with a bad role, or without valid Unicode.

    Raises:
        UsageError: if it is no text, chat, template or edit.
        DataError: naming the part that cannot be used.
    """
    if isinstance(prompt, Chat):
        _check_chat(prompt)
    elif isinstance(prompt, Template):
        _check_text(prompt.text, "The template")
        check_values(prompt.fields)
    elif isinstance(prompt, Edit):
        _check_text(prompt.instruction, "The instruction")
    elif isinstance(prompt, str):
        _check_text(prompt, "The prompt")
    else:
        raise UsageError(
            f"prompt is a {type(prompt).__name__}: give the text as a str, or a Chat, Template or Edit.{_meant(prompt)}"
        )


def _meant(prompt: object) -> str:
    """The line to type for what people hold in place of a text."""
    if callable(prompt):
        return " The model comes first, then the prompt."
    if isinstance(prompt, bytes | bytearray):
        return " Write prompt.decode()."
    if isinstance(prompt, PurePath):
        return " Write path.read_text(encoding='utf-8')."
    if callable(getattr(prompt, "read", None)):
        return " Write prompt.read()."
    if isinstance(prompt, Mapping):
        return _held(cast("Mapping[object, object]", prompt))
    if isinstance(prompt, list | tuple):
        held = cast("Sequence[object]", prompt)
        texts = held and all(isinstance(each, str) for each in held)
        return _MANY if texts else _as_chat(held, "prompt")
    return _MANY if callable(getattr(prompt, "tolist", None)) or callable(getattr(prompt, "to_dict", None)) else ""


def _held(told: Mapping[object, object]) -> str:
    """The line to type for a dict."""
    if told.keys() & {"messages", "contents", "input"}:
        return " Of a request, write whygen.Call.read(prompt), which keeps its tools and settings."
    if name := next((name for name in ("prompt", "text") if name in told), None):
        return f" Give what it holds: prompt[{name!r}]."
    return _as_chat([told], "[prompt]")


_MANY = " It takes one; many are for whygen.explain_many(model, list of texts)."
_TURNS: Mapping[str, tuple[tuple[str, type], ...]] = {
    "Message(turn['role'], turn['content'])": (("role", str), ("content", str)),
    "Message(turn['role'], ''.join(part.get('text', '') for part in turn['content']))": (
        ("role", str), ("content", list),
    ),
    "Message(turn['role'], turn['parts'][0]['text'])": (("role", str), ("parts", list)),
    "Message({'human': 'user', 'ai': 'assistant'}.get(turn.type, turn.type), turn.content)": (
        ("type", str), ("content", str),
    ),
    "Message(turn.role, turn.content)": (("role", str), ("content", str)),
    "Message(*turn)": (),
}  # fmt: skip
"""How a turn of another library becomes a message, and what such a turn has."""


def _as_chat(turns: Sequence[object], name: str) -> str:
    for line, needed in _TURNS.items():
        if turns and all(_has(turn, needed, by_name="[" in line) for turn in turns):
            return f" Write Chat([{line} for turn in {name}]), with from whygen import Chat, Message."
    return ""


def _has(turn: object, needed: tuple[tuple[str, type], ...], *, by_name: bool) -> bool:
    if not needed:
        pair = cast("Sequence[object]", turn) if isinstance(turn, tuple | list) else ()
        return len(pair) == 2 and all(isinstance(each, str) for each in pair)
    if isinstance(turn, Mapping):
        told = cast("Mapping[str, object]", turn)
        return by_name and all(isinstance(told.get(part), kind) for part, kind in needed)
    return not by_name and all(isinstance(getattr(turn, part, None), kind) for part, kind in needed)


def check_values(values: object) -> None:
    """Refuse values of fields that are neither texts nor lists of texts.

    Raises:
        DataError: naming the field.
    """
    if not isinstance(values, Mapping):
        raise DataError(f"The fields of a template are a {type(values).__name__}: give a dict from names to texts.")
    for name, value in cast("Mapping[object, object]", values).items():
        texts = cast("list[object]", list(value)) if isinstance(value, list | tuple) else [value]  # pyright: ignore[reportUnknownArgumentType]
        for text in texts:
            _check_text(text, f"The field {name!r}", advice="a str, or a list of str (documents)")


def _check_chat(chat: Chat) -> None:
    if not chat.messages:
        raise DataError("The chat has no message: give at least one, such as Chat((Message('user', 'Hello'),)).")
    for number, message in enumerate(chat.messages, start=1):
        if not isinstance(message, Message):  # pyright: ignore[reportUnnecessaryIsInstance] - user code
            raise DataError(f"Message {number} of the chat is a {type(message).__name__}: give a Message(role, text).")
        if message.role not in ROLES:
            raise bad_role(f"Message {number} of the chat", message.role)
        if message.role == "tool" and not message.answers:
            raise DataError(
                f"Message {number} of the chat is a tool's, and does not say which call it answers: give answers=ID."
            )
        _check_text(message.text, f"Message {number} of the chat")


def _check_text(text: object, what: str, *, advice: str = "a str") -> None:
    if not isinstance(text, str):
        raise DataError(f"{what} holds a {type(text).__name__}: give {advice}.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{what} is not valid Unicode: character {error.start} is half of a surrogate pair. Read it as UTF-8."
        ) from None
