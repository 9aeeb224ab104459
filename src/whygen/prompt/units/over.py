"""A template over many inputs: the same units in every prompt, whatever fills the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from whygen.errors import UsageError
from whygen.prompt.units.chats import CHAT_KINDS, ChatUnits, split_chat
from whygen.prompt.units.checks import check_source
from whygen.prompt.units.cutting import check_kind, with_scripts
from whygen.prompt.units.pieces import Piece, Sent, Units, numbered
from whygen.prompt.units.pins import pin_pieces
from whygen.prompt.units.templates import TEMPLATE_KINDS, Values, open_fields, split_template
from whygen.types import Chat, Message, Template

Input: TypeAlias = str | Values
"""A user message for a chat, or the values of a template's open fields."""


@dataclass(frozen=True, slots=True)
class UnitsOver:
    """One cut of a template, and the same cut of what each input makes of it.

    Attributes:
        shown: the template as it is shown, with ``{name}`` where inputs differ.
        each: for each input, units that share number and order with ``shown``.
        labels: each input as one text.
    """

    shown: Units
    each: tuple[Units, ...]
    labels: tuple[str, ...]

    def first(self, inputs: int) -> UnitsOver:
        """The same cut of the first so many inputs."""
        return replace(self, each=self.each[:inputs], labels=self.labels[:inputs])


def split_over(template: Chat | Template, units: str, inputs: Sequence[Input], *, pin: Sequence[str] = ()) -> UnitsOver:
    """Cut a template that many inputs share; what differs between them is pinned.

    Args:
        template: a chat, to which each input is added as a user message; or a template with open fields.
        units: a kind of unit that it has.
        inputs: user messages, or for a template a dict of its open fields each.
        pin: as in `split`; texts are looked up in the template as it is shown.

    Raises:
        UsageError: if there is no input or no open field, or the units or pins do not fit.
        DataError: if an input is not made of texts.
    """
    check_source(template)
    if not inputs:
        raise UsageError("inputs is empty: give at least one input.")
    cut, stand_in = _chat(template, units) if isinstance(template, Chat) else _template(template, units)
    plain = cut(stand_in)
    pieces, notices = pin_pieces(plain.text, plain.pieces, pin, sections=plain.sections)
    held = {old.unit for old, new in zip(plain.pieces, pieces, strict=True) if new.unit is None} - {None}
    each = tuple(_holding(cut(given), held) for given in inputs)
    _check_distinct(each)
    shown = with_scripts(replace(plain, pieces=pieces, notices=notices), units)
    return UnitsOver(shown, each, tuple(_label(given) for given in inputs))


def _check_distinct(each: Sequence[Units]) -> None:
    """Equal inputs would share recorded answers, and their noise would not be independent."""
    first: dict[Sent, int] = {}
    for number, units in enumerate(each, start=1):
        if (before := first.setdefault(units.prompt, number)) != number:
            raise UsageError(f"Inputs {before} and {number} make the same prompt: give each input once.")


def _holding(units: Units, held: set[int | None]) -> Units:
    return replace(units, pieces=numbered(replace(p, unit=None) if p.unit in held else p for p in units.pieces))


def _chat(chat: Chat, kind: str) -> tuple[Callable[[Input], Units], Input]:
    check_kind(kind, chat, CHAT_KINDS)

    def cut(given: Input) -> ChatUnits:
        if not isinstance(given, str):
            raise UsageError(f"An input is a {type(given).__name__}: for a Chat give user messages, each a str.")
        whole = Chat((*chat.messages, Message("user", given)))
        check_source(whole)
        units = split_chat(whole, kind)
        own = units.bodies[-1][0]
        return replace(units, pieces=tuple(_open(piece) if piece.start >= own else piece for piece in units.pieces))

    return cut, "{input}"


def _open(piece: Piece) -> Piece:
    return replace(piece, unit=None)


def _template(template: Template, kind: str) -> tuple[Callable[[Input], Units], Input]:
    check_kind(kind, template, TEMPLATE_KINDS)
    names = open_fields(template)
    if not names:
        raise UsageError("Every field of the template has a value: leave out those that differ between inputs.")

    def cut(given: Input) -> Units:
        if isinstance(given, str):
            raise UsageError(f"An input is a str: for a Template give a dict with {', '.join(names)} each.")
        return split_template(template, kind, inputs=given)

    return cut, {name: f"{{{name}}}" for name in names}


def _label(given: Input) -> str:
    if isinstance(given, str):
        return given
    texts = {name: value if isinstance(value, str) else "\n".join(value) for name, value in given.items()}
    return next(iter(texts.values())) if len(texts) == 1 else "\n".join(f"{k}: {v}" for k, v in texts.items())
