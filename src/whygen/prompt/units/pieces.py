"""`Units`: a prompt as pieces without gaps, and how the text that stands at each piece becomes what is sent.

Every piece owns the white space before it, so that deleting a piece leaves a readable prompt.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from whygen.prompt.units.splitters import Span
from whygen.results.prompt import Section
from whygen.types import Chat, Edit, Source

Sent: TypeAlias = str | Chat | Edit
"""What a model is sent."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Characters ``[start, end)`` of the text; ``[core, stop)`` are visible. ``unit`` is None when pinned."""

    start: int
    core: int
    stop: int
    end: int
    unit: int | None


@dataclass(frozen=True, slots=True)
class Units:
    """A prompt and its pieces, in order and without gaps. This one is a plain text; chats and templates derive from it.

    Attributes:
        text: the prompt as one text, in which all spans live: for a chat its transcript.
        pieces: what the text is cut into.
        sections: the messages, fields and documents that it holds, in order.
        notices: what the person should know of the pins, as pairs of a code and a text.
    """

    text: str
    pieces: tuple[Piece, ...]
    sections: tuple[Section, ...] = ()
    notices: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return sum(piece.unit is not None for piece in self.pieces)

    @property
    def source(self) -> Source:
        """What was given to be explained."""
        return self.text

    @property
    def prompt(self) -> Sent:
        """What is sent when everything is kept."""
        return self.text

    @property
    def free(self) -> tuple[Piece, ...]:
        """The pieces that are attributed, in order."""
        return tuple(piece for piece in self.pieces if piece.unit is not None)

    @property
    def spans(self) -> tuple[Span, ...]:
        """Visible characters of each attributed unit."""
        return tuple((piece.core, piece.stop) for piece in self.free)

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(self.text[start:end] for start, end in self.spans)

    @property
    def pinned(self) -> tuple[Span, ...]:
        return tuple((piece.core, piece.stop) for piece in self.pieces if piece.unit is None)

    @property
    def parts(self) -> tuple[str, ...]:
        """The text of each piece, white space included; they join to the prompt, byte for byte."""
        return tuple(self.text[piece.start : piece.end] for piece in self.pieces)

    def text_at(self, piece: Piece, instead: str | None = None) -> str:
        """What stands at a piece, white space included: its own text, or ``instead`` where it was visible."""
        if instead is None:
            return self.text[piece.start : piece.end]
        return self.text[piece.start : piece.core] + instead + self.text[piece.stop : piece.end]

    def sent(self, text: str) -> Sent:
        """What is sent when the prompt is this text."""
        return text

    def join(self, parts: Sequence[str]) -> Sent:
        """What is sent when these texts stand at the pieces; an empty one was taken away.

        White space before the first piece that is left goes, as nothing stands before it any more.

        Args:
            parts: one text for each piece, pinned ones included.
        """
        return joined(self.text, list(zip(self.pieces, parts, strict=True)))


def joined(text: str, standing: Sequence[tuple[Piece, str]]) -> str:
    """The parts in a row; if the first piece is gone, without the white space before the first that is left."""
    first = next((index for index, (_, part) in enumerate(standing) if part), 0)
    parts = [part for _, part in standing]
    if first:
        piece = standing[first][0]
        parts[first] = parts[first].removeprefix(text[piece.start : piece.core])
    return "".join(parts)


def pieces_of(spans: Sequence[Span], *, within: Span, free: bool = True) -> list[Piece]:
    """Pieces that cover ``within``: what lies between spans goes to the piece after it, what trails to the last."""
    start, end = within
    pieces: list[Piece] = []
    for index, (core, stop) in enumerate(spans):
        last = end if index == len(spans) - 1 else stop
        pieces.append(Piece(start, core, stop, last, 0 if free else None))
        start = last
    return pieces


def numbered(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """The same pieces, the free ones counted from 0."""
    found: list[Piece] = []
    count = 0
    for piece in pieces:
        found.append(piece if piece.unit is None else replace(piece, unit=count))
        count += piece.unit is not None
    return tuple(found)


def moved(spans: Iterable[Span], by: int) -> list[Span]:
    """Spans of a part of a text, as spans of the text."""
    return [(start + by, end + by) for start, end in spans]
