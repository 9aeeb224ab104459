"""`split`: any prompt cut into the pieces a person would name."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TypeAlias, TypeVar

from whygen.errors import UnknownNameError, UsageError
from whygen.prompt.units.chats import CHAT_KINDS, split_chat
from whygen.prompt.units.checks import check_source
from whygen.prompt.units.pieces import Units
from whygen.prompt.units.splitters import SPLITTERS, TOKEN, Splitter
from whygen.prompt.units.templates import TEMPLATE_KINDS, split_template
from whygen.prompt.units.texts import split_at, split_text
from whygen.texts import Span, unspaced_scripts
from whygen.types import Chat, Edit, Source, Template

U = TypeVar("U", bound=Units)

Kind: TypeAlias = str | Sequence[Span]
"""The name of a kind of unit, or the units themselves as spans of a plain text."""


def split(prompt: Source, units: Kind = "word", *, pin: Sequence[str] = (), splitter: Splitter | None = None) -> Units:
    """Cut a prompt into units.

    Args:
        prompt: a text, a `Chat` or a `Template`; any Unicode.
        units: ``word`` (punctuation apart), ``whitespace`` (what stands between white space), ``sentence``, ``line`` or
            ``paragraph``: of a text, inside the messages of a chat, or of the fixed text of a template. For a chat also
            ``message``; for a template also ``field``, ``document`` and ``part`` (sentences of the fixed text, fields
            and documents). For a text also a list of spans ``(start, end)``; the rest is pinned.
        pin: texts that are always sent and never attributed, and for chats ``role:system``, for templates
            ``field:NAME``. Every occurrence that begins and ends with units is pinned.
        splitter: cuts a text into ``token`` units, such as `whygen.prompt.tokens.token_splitter` of a model: spans in
            order that leave out nothing but white space.

    Raises:
        UsageError: if the prompt holds no unit; if units overlap; if a pinned text does not occur in it, or only cuts
            through units; if everything is pinned; if there is no model to cut it into tokens.
        DataError: if the prompt is not made of valid texts.
        UnknownNameError: if ``units`` is not a kind that such a prompt has.
    """
    check_source(prompt)
    if isinstance(prompt, Edit):
        raise UsageError("An edit is cut with its picture: use whygen.prompt.edits.split_edit.")
    if not isinstance(units, str):
        return split_at(_plain(prompt), units, pin=pin)
    if units == TOKEN:
        return _tokens(prompt, splitter, pin=pin)
    kinds = CHAT_KINDS if isinstance(prompt, Chat) else TEMPLATE_KINDS if isinstance(prompt, Template) else SPLITTERS
    check_kind(units, prompt, kinds)
    if isinstance(prompt, Chat):
        return with_scripts(split_chat(prompt, units, pin=pin), units)
    if isinstance(prompt, Template):
        return with_scripts(split_template(prompt, units, pin=pin), units)
    return with_scripts(split_text(prompt, SPLITTERS[units], pin=pin), units)


def with_scripts(units: U, kind: str) -> U:
    """The same units, with a notice where words are cut character by character."""
    scripts = unspaced_scripts("".join(units.texts)) if kind == "word" else []
    if not scripts:
        return units
    listed = " and ".join([", ".join(scripts[:-1]), scripts[-1]] if scripts[1:] else scripts)
    text = (
        f"The prompt holds {listed}, written without spaces between words: each character there is a unit of its own. "
        "For larger units use units='sentence', or give spans of your own in Python."
    )
    return replace(units, notices=(*units.notices, ("characters-as-words", text)))


def _tokens(prompt: Source, splitter: Splitter | None, *, pin: Sequence[str]) -> Units:
    if splitter is None:
        raise UsageError(
            "units='token' needs a model that shows its tokenizer. Use a local model (hf/ORG/NAME, hf/PATH or "
            "demo/storyteller), or units='word'."
        )
    if not isinstance(prompt, str):
        raise UsageError(f"units='token' needs a plain text, and the prompt is a {type(prompt).__name__}. Use 'word'.")
    return split_text(prompt, splitter, pin=pin)


def _plain(prompt: Source) -> str:
    if isinstance(prompt, str):
        return prompt
    raise UsageError(
        f"units is a list of spans, and the prompt is a {type(prompt).__name__}: spans point into a plain text. "
        "Use a kind of unit such as 'sentence', or give the prompt as a str."
    )


def check_kind(units: str, prompt: Source, kinds: Collection[str]) -> None:
    """Refuse a kind of unit that such a prompt does not have.

    Raises:
        UsageError: if another sort of prompt has it.
        UnknownNameError: if none has.
    """
    if units in kinds:
        return
    for name, others in (("Chat", CHAT_KINDS), ("Template", TEMPLATE_KINDS)):
        if units in others:
            raise UsageError(f"units={units!r} needs a {name}, and the prompt is a {type(prompt).__name__}.")
    raise UnknownNameError("kind of unit", units, kinds)
