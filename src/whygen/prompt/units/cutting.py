"""`split`: any prompt cut into the pieces a person would name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from whygen.errors import DataError, UnknownNameError, UsageError
from whygen.prompt.units.chats import CHAT_KINDS, split_chat
from whygen.prompt.units.pieces import Units
from whygen.prompt.units.splitters import SPLITTERS, Span
from whygen.prompt.units.templates import TEMPLATE_KINDS, split_template
from whygen.prompt.units.texts import split_at, split_text
from whygen.types import Chat, Message, Source, Template

Kind: TypeAlias = "str | Sequence[Span]"
"""The name of a kind of unit, or the units themselves as spans of a plain text."""

_ROLES = ("system", "user", "assistant")


def split(prompt: Source, units: Kind = "word", *, pin: Sequence[str] = ()) -> Units:
    """Cut a prompt into units.

    Args:
        prompt: a text, a `Chat` or a `Template`; any Unicode.
        units: ``word`` (punctuation apart), ``whitespace`` (what stands between white space), ``sentence``, ``line`` or
            ``paragraph``: of a text, inside the messages of a chat, or of the fixed text of a template. For a chat also
            ``message``; for a template also ``field``, ``document`` and ``part`` (sentences of the fixed text, fields
            and documents). For a text also a list of spans ``(start, end)``; the rest is pinned.
        pin: texts that are always sent and never attributed, and for chats ``role:system``, for templates
            ``field:NAME``. Every occurrence that begins and ends with units is pinned.

    Raises:
        UsageError: if the prompt holds no unit; if units overlap; if a pinned text does not occur in it, or only cuts
            through units; if everything is pinned.
        DataError: if the prompt is not made of valid texts.
        UnknownNameError: if ``units`` is not a kind that such a prompt has.
    """
    check_source(prompt)
    if not isinstance(units, str):
        return split_at(_plain(prompt), units, pin=pin)
    kinds = {str: SPLITTERS, Chat: CHAT_KINDS, Template: TEMPLATE_KINDS}[type(prompt)]
    if units not in kinds:
        _refuse(units, prompt, kinds)
    if isinstance(prompt, Chat):
        return split_chat(prompt, units, pin=pin)
    if isinstance(prompt, Template):
        return split_template(prompt, units, pin=pin)
    return split_text(prompt, units, pin=pin)


def _plain(prompt: Source) -> str:
    if isinstance(prompt, str):
        return prompt
    raise UsageError(
        f"units is a list of spans, and the prompt is a {type(prompt).__name__}: spans point into a plain text. "
        "Use a kind of unit such as 'sentence', or give the prompt as a str."
    )


def _refuse(units: str, prompt: Source, kinds: Iterable[str]) -> None:
    for name, others in (("Chat", CHAT_KINDS), ("Template", TEMPLATE_KINDS)):
        if units in others:
            raise UsageError(f"units={units!r} needs a {name}, and the prompt is a {type(prompt).__name__}.")
    raise UnknownNameError("kind of unit", units, kinds)


def check_source(prompt: object) -> None:
    """Refuse a prompt of another type, with a bad role, or without valid Unicode.

    Raises:
        UsageError: if it is no text, chat or template.
        DataError: naming the part that cannot be used.
    """
    if isinstance(prompt, Chat):
        _check_chat(prompt)
    elif isinstance(prompt, Template):
        _check_text(prompt.text, "The template")
        for name, value in prompt.fields.items():
            for text in [value] if isinstance(value, str) else value:
                _check_text(text, f"The field {name!r}")
    elif isinstance(prompt, str):
        _check_text(prompt, "The prompt")
    else:
        raise UsageError(f"prompt is a {type(prompt).__name__}: give the text as a str, or a Chat or Template.")


def _check_chat(chat: Chat) -> None:
    if not chat.messages:
        raise DataError("The chat has no message: give at least one, such as Chat((Message('user', 'Hello'),)).")
    for number, message in enumerate(chat.messages, start=1):
        if not isinstance(message, Message):  # pyright: ignore[reportUnnecessaryIsInstance] - user code
            raise DataError(f"Message {number} of the chat is a {type(message).__name__}: give a Message(role, text).")
        if message.role not in _ROLES:
            raise DataError(f"Message {number} of the chat has the role {message.role!r}: {', '.join(_ROLES)} exist.")
        _check_text(message.text, f"Message {number} of the chat")


def _check_text(text: object, what: str) -> None:
    if not isinstance(text, str):
        raise DataError(f"{what} holds a {type(text).__name__}: give a str.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{what} is not valid Unicode: character {error.start} is half of a surrogate pair. Read it as UTF-8."
        ) from None
