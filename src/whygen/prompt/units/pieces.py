"""`Units`: a prompt as pieces without gaps, and how the text that stands at each piece becomes what is sent.

Every piece owns the white space before it; what was apart in the prompt stays apart when pieces are taken away. A piece
that is pinned is always sent and never attributed.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from whygen.errors import UsageError
from whygen.results.prompt import PART_KINDS, Section
from whygen.texts import Span, counted, find_all, is_word_edge, reads_as_one, word_edges
from whygen.types import Chat, Edit, Source

Sent: TypeAlias = str | Chat | Edit
"""What a model is sent."""

EVERY = "*"
"""What names every part of a call."""

_LONG = 200
"""Characters for which finding every word boundary costs what asking for one does."""


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
        return tuple([self.text[piece.start : piece.end] for piece in self.pieces])

    def kept(self, mask: Sequence[bool]) -> list[bool]:
        """Which pieces stand as they are: pinned ones, and those that the mask keeps."""
        return [piece.unit is None or mask[piece.unit] for piece in self.pieces]

    def text_at(self, piece: Piece, instead: str | None = None) -> str:
        """What stands at a piece, white space included: its own text, or ``instead`` where it was visible."""
        if instead is None:
            return self.text[piece.start : piece.end]
        return self.text[piece.start : piece.core] + instead + self.text[piece.stop : piece.end]

    def sent(self, text: str) -> Sent:
        """What is sent when the prompt is this text."""
        return text

    def join(self, parts: Sequence[str]) -> Sent:
        """What is sent when these texts stand at the pieces, see `joined`; an empty one was taken away.

        Args:
            parts: one text for each piece, pinned ones included.
        """
        return joined(self.text, zip(self.pieces, parts, strict=True))


def joined(text: str, standing: Iterable[tuple[Piece, str]]) -> str:
    """The parts in a row, kept apart as their pieces were.

    Where two parts stood apart in the prompt by white space, whatever was taken away between them, the strongest of
    that white space stays (a blank line before a line break before a space). Where there was none, a space keeps apart
    what would otherwise become one word that the prompt has not. White space before the first part that is left goes,
    if anything was taken away before it.

    Args:
        text: the text that the pieces cut.
        standing: its pieces in order, each with what stands there; one that shows nothing was taken away.
    """
    rows: list[_Row] = []
    gone: list[str] = []
    for piece, part in standing:
        whole = part == text[piece.start : piece.end]
        if whole and rows and not gone and rows[-1].end == piece.start and text[piece.core : piece.end].strip():
            rows[-1].end = piece.end  # nearly all pieces of a long prompt stand as they did, beside others that do
            continue
        lead = text[piece.start : piece.core]
        own = part.startswith(lead)  # else whoever made the part chose what stands before it
        gap, body = (lead, part[len(lead) :]) if own else ("", part)
        if not body.strip():
            gone.append(lead)
            continue
        if gone and own:
            gap = _strongest([*gone, lead]) if rows else ""
        rows.append(_Row(gap, body, piece.core, piece.end if whole else None, parted=bool(gone)))
        gone = []
    return _written(text, rows)


@dataclass(slots=True)
class _Row:
    """A part that stands, or several in a row that stand as they did.

    Attributes:
        gap: the white space before it.
        body: what the first part shows, with white space after it.
        core: where that stood.
        end: where the last part ended; None for one that does not stand as it did.
        parted: whether something between it and the part before was taken away.
    """

    gap: str
    body: str
    core: int
    end: int | None
    parted: bool

    def shown(self, text: str) -> str:
        """What it shows, with white space after it."""
        return self.body if self.end is None else text[self.core : self.end]


def _strongest(gaps: Sequence[str]) -> str:
    """The white space that parts most; of equal ones the last. What is visible (a line between documents) stays."""
    if gaps[-1].strip() or gaps.count(gaps[-1]) == len(gaps):
        return gaps[-1]
    blank = [gap for gap in dict.fromkeys(reversed(gaps)) if not gap.strip()]
    return max(blank, key=lambda gap: (min(gap.count("\n"), 2), bool(gap)))


def _written(text: str, rows: Sequence[_Row]) -> str:
    bodies = [row.shown(text) for row in rows]
    plain = "".join(row.gap + body for row, body in zip(rows, bodies, strict=True))
    doubtful = [_may_fuse(text, before, after) for before, after in itertools.pairwise(rows)]
    if not any(doubtful):
        return plain
    edges = word_edges(plain) if len(plain) <= _LONG * doubtful.count(True) else None
    written, place = rows[0].gap + bodies[0], len(rows[0].gap + bodies[0])
    for row, body, doubt in zip(rows[1:], bodies[1:], doubtful, strict=True):
        place += len(row.gap)
        written += (" " if doubt and reads_as_one(plain, place, edges=edges) else row.gap) + body
        place += len(body)
    return written


def _may_fuse(text: str, before: _Row, after: _Row) -> bool:
    """Whether two parts in a row could become one word that they were not in the prompt.

    A narrow no-break space counts as a letter here, as it does in UAX 29 (*10 000*).
    """
    if after.gap.strip("\u202f"):
        return False
    changed = before.end is None or after.end is None
    return after.parted or (changed and is_word_edge(text, after.core))


def pieces_of(spans: Sequence[Span], *, within: Span, free: bool = True) -> list[Piece]:
    """Pieces that cover ``within``: what lies between spans goes to the piece after it, what trails to the last."""
    start, end = within
    pieces: list[Piece] = []
    for index, (core, stop) in enumerate(spans):
        last = end if index == len(spans) - 1 else stop
        pieces.append(Piece(start, core, stop, last, 0 if free else None))
        start = last
    return pieces


def laid(text: str, free: Sequence[Span], fixed: Sequence[Span], *, ends: Sequence[int] = ()) -> tuple[Piece, ...]:
    """Pieces without gaps from what is attributed and what is always sent.

    A piece ends with its last character, or at the last of ``ends`` before the next one; what is between two goes with
    the second, whether it is white space or a line that parts them.
    """
    number = {span: place for place, span in enumerate(sorted(free))}
    cores = sorted([*free, *fixed])
    stops = sorted(ends)
    pieces: list[Piece] = []
    start = 0
    for place, (core, stop) in enumerate(cores):
        last = place == len(cores) - 1
        upto = len(text) if last else cores[place + 1][0]
        bound = stops[found - 1] if (found := bisect_right(stops, upto)) else 0
        end = upto if last else max(stop, bound)
        pieces.append(Piece(start, core, stop, end, number.get((core, stop))))
        start = end
    return tuple(pieces)


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


Notices = tuple[tuple[str, str], ...]

_SECTION_OF = {"role": ("message",), "field": ("field",), "part": PART_KINDS}
"""``role:system`` pins messages of a chat, ``field:question`` a field of a template, ``part:document 2`` a part."""


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
        try:
            held |= _named(pin, pieces, sections) if _is_name(pin, sections) else _held(text, pieces, pin)
        except UsageError as error:
            kinds = [kind for kind in ("part", "role", "field") if any(_is_of(each, kind, pin) for each in sections)]
            if not kinds:
                raise
            raise UsageError(f"{error} What has that name is pinned by '{kinds[0]}:{pin}'.") from None
    marked = numbered(replace(piece, unit=None) if piece in held else piece for piece in pieces)
    free = sum(piece.unit is not None for piece in marked)
    if not free:
        raise UsageError(
            f"Everything in the prompt is pinned ({counted(len(held), 'unit')}): leave at least one unit free."
        )
    return marked, _notices(len(held), free)


def _notices(held: int, free: int) -> Notices:
    if held <= free:
        return ()
    text = (
        f"{counted(held, 'unit')} pinned and {free} free: the attributions say nothing about most of the prompt. Pin "
        "less, unless that is what you want."
    )
    return (("more-pinned-than-free", text),)


def _is_of(section: Section, kind: str, name: str) -> bool:
    """Whether a section is of a kind and has this name; of a part, its beginning is enough."""
    named = is_called(section.name, name) if kind == "part" else section.name == name
    return section.kind in _SECTION_OF[kind] and named


def _is_name(pin: str, sections: Sequence[Section]) -> bool:
    kind, colon, _ = pin.partition(":")
    return bool(colon) and any(section.kind in _SECTION_OF.get(kind, ()) for section in sections)


def _named(pin: str, pieces: Sequence[Piece], sections: Sequence[Section]) -> set[Piece]:
    kind, _, name = pin.partition(":")
    known = [section for section in sections if section.kind in _SECTION_OF[kind]]
    places = [each for each in known if (is_called(each.name, name) if kind == "part" else each.name == name)]
    if not places:
        names = ", ".join(dict.fromkeys(f"{kind}:{each.name}" for each in sorted(known, key=lambda each: each.name)))
        raise UsageError(f"pin={pin!r}: the prompt has none such. It has {names}.")
    return {p for p in pieces if p.unit is not None and any(s.start <= p.core and p.stop <= s.end for s in places)}


def is_called(name: str, wanted: str) -> bool:
    """Whether a part is called so, or its name begins with these words: ``tool result`` are all results, ``*`` all."""
    own, asked = name.casefold(), wanted.strip().casefold()
    return asked == EVERY or (bool(asked) and own.startswith(asked) and not own[len(asked) : len(asked) + 1].isalnum())


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
