"""Pins: what is always sent and never attributed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from whygen.errors import UsageError
from whygen.prompt.units.pieces import Piece, numbered
from whygen.results.prompt import Section
from whygen.texts import Span, find_all

Notices = tuple[tuple[str, str], ...]

_SECTION_OF = {"role": "message", "field": "field"}
"""``role:system`` pins messages of a chat, ``field:question`` a field of a template."""


def pin_pieces(
    text: str, pieces: Sequence[Piece], pins: Sequence[str], *, sections: Sequence[Section] = ()
) -> tuple[tuple[Piece, ...], Notices]:
    """The pieces with pinned ones marked, and what the person should know of that.

    A pinned text counts where it begins and ends with units: ``"a"`` pins the word, not the letter in ``"castle"``.

    Args:
        text: the text that the pieces cut.
        pieces: pieces of it; those that are pinned already stay so.
        pins: texts as they stand there; ``role:NAME`` and ``field:NAME`` where there are such sections.
        sections: the messages or fields of the prompt.

    Raises:
        UsageError: if a pin does not occur, only cuts through units, or nothing is left free.
    """
    held: set[Piece] = set()
    for pin in pins:
        held |= _named(pin, pieces, sections) if _is_name(pin, sections) else _held(text, pieces, pin)
    marked = numbered(replace(piece, unit=None) if piece in held else piece for piece in pieces)
    free = sum(piece.unit is not None for piece in marked)
    if not free:
        raise UsageError(f"Everything in the prompt is pinned ({len(held)} units): leave at least one unit free.")
    return marked, _notices(len(held), free)


def _notices(held: int, free: int) -> Notices:
    if held <= free:
        return ()
    text = (
        f"{held} units are pinned and {free} are free: the attributions say nothing about most of the prompt. Pin "
        "less, unless that is what you want."
    )
    return (("more-pinned-than-free", text),)


def _is_name(pin: str, sections: Sequence[Section]) -> bool:
    kind, colon, _ = pin.partition(":")
    return bool(colon) and _SECTION_OF.get(kind) in {section.kind for section in sections}


def _named(pin: str, pieces: Sequence[Piece], sections: Sequence[Section]) -> set[Piece]:
    kind, _, name = pin.partition(":")
    places = [section for section in sections if (section.kind, section.name) == (_SECTION_OF[kind], name)]
    if not places:
        known = ", ".join(sorted({f"{kind}:{s.name}" for s in sections if s.kind == _SECTION_OF[kind]}))
        raise UsageError(f"pin={pin!r}: the prompt has none such. It has {known}.")
    return {p for p in pieces if p.unit is not None and any(s.start <= p.core and p.stop <= s.end for s in places)}


def _held(text: str, pieces: Sequence[Piece], pin: str) -> set[Piece]:
    found = list(find_all(text, pin)) if pin else []
    if not found:
        raise UsageError(f"The pinned text {pin!r} does not occur in the prompt. Pin a text just as it stands there.")
    touched = [[piece for piece in pieces if piece.core < end and start < piece.stop] for start, end in found]
    whole = [hit for span, hit in zip(found, touched, strict=True) if hit and not _cut(hit, span)]
    if not whole:
        first = next((_cut(hit, span) for span, hit in zip(found, touched, strict=True) if hit), None)
        raise UsageError(_cuts(text, pin, first))
    return {piece for hit in whole for piece in hit if piece.unit is not None}


def _cut(hit: Sequence[Piece], span: Span) -> Piece | None:
    """The first piece that the span holds only a part of."""
    return next((piece for piece in hit if piece.core < span[0] or span[1] < piece.stop), None)


def _cuts(text: str, pin: str, piece: Piece | None) -> str:
    if piece is None:
        return f"The pinned text {pin!r} holds no unit of the prompt. Pin a text that shows something."
    unit = text[piece.core : piece.stop]
    shown = unit if len(unit) <= 60 else unit[:59] + "…"
    return f"The pinned text {pin!r} cuts through the unit {shown!r}. Pin the whole unit, or use finer units."
