"""A plain text cut into units: words, sentences, lines, paragraphs, or spans that the person gives.

Words and sentences follow Unicode's rules (`whygen.texts`): marks stay with their letter, an emoji with its modifiers,
and scripts written without spaces (Han, hiragana, Thai ...) are cut character by character.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from numbers import Integral
from typing import TypeAlias, cast

from whygen.errors import UsageError
from whygen.prompt.units.pieces import Piece, Units, moved, pieces_of, pin_pieces
from whygen.texts import Span, sentence_spans, word_spans

Splitter: TypeAlias = Callable[[str], list[Span]]

_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")


def words(text: str) -> list[Span]:
    """Words, numbers and single punctuation marks, as spans."""
    return word_spans(text)


def _between(text: str, ends: Iterator[int]) -> list[Span]:
    """Stretches between the given ends, without the white space around them."""
    spans: list[Span] = []
    start = 0
    for end in [*ends, len(text)]:
        stretch = text[start:end]
        if stretch.strip():
            lead = len(stretch) - len(stretch.lstrip())
            spans.append((start + lead, start + len(stretch.rstrip())))
        start = end
    return spans


def sentences(text: str) -> list[Span]:
    """Sentences: they end with a mark that ends them in their script, or a line break."""
    return sentence_spans(text)


def lines(text: str) -> list[Span]:
    """Lines that are not blank."""
    return _between(text, (match.end() for match in re.finditer("\n", text)))


def paragraphs(text: str) -> list[Span]:
    """Paragraphs: stretches between blank lines."""
    return _between(text, (match.end() for match in _BLANK_LINE.finditer(text)))


def whitespace(text: str) -> list[Span]:
    """What stands between white space, punctuation included: the published unit."""
    return [match.span() for match in re.finditer(r"\S+", text)]


def whole(text: str) -> list[Span]:
    """All that is visible, as one span."""
    stripped = text.strip()
    start = text.find(stripped)
    return [(start, start + len(stripped))] if stripped else []


SPLITTERS: dict[str, Splitter] = {
    "word": words,
    "whitespace": whitespace,
    "sentence": sentences,
    "line": lines,
    "paragraph": paragraphs,
}
"""The kinds of unit that any text has."""

TOKEN = "token"  # noqa: S105 - a kind of unit
"""The kind of unit that only a model can cut."""


EMPTY = "The prompt is empty: it holds no character to explain. Give a prompt of at least one word."


def split_text(prompt: str, splitter: Splitter, *, pin: Sequence[str] = ()) -> Units:
    """Cut a text by a splitter.

    Raises:
        UsageError: if it holds no unit, or the pins do not fit.
    """
    spans = splitter(prompt)
    if not spans:
        raise UsageError(EMPTY)
    pieces, notices = pin_pieces(prompt, pieces_of(spans, within=(0, len(prompt))), pin)
    return Units(prompt, pieces, notices=notices)


def split_at(prompt: str, spans: Sequence[Span], *, pin: Sequence[str] = ()) -> Units:
    """Cut a text at given spans ``[start, end)``; what lies outside them is always sent.

    Raises:
        UsageError: if a span is out of range or shows nothing, if two overlap, or if the pins do not fit.
    """
    _check(prompt, spans)
    pieces: list[Piece] = []
    place = 0
    for start, end in spans:
        core, stop = moved(whole(prompt[start:end]), start)[0]
        lead = whole(prompt[place:core])
        if lead:
            between = moved(lead, place)
            pieces += pieces_of(between, within=(place, between[0][1]), free=False)
            place = between[0][1]
        pieces += pieces_of([(core, stop)], within=(place, stop))
        place = stop
    rest = moved(whole(prompt[place:]), place)
    if rest:
        pieces += pieces_of(rest, within=(place, len(prompt)), free=False)
    else:
        last = pieces.pop()
        pieces += pieces_of([(last.core, last.stop)], within=(last.start, len(prompt)))
    marked, notices = pin_pieces(prompt, pieces, pin)
    return Units(prompt, marked, notices=notices)


def _check(prompt: str, spans: Sequence[Span]) -> None:
    pairs = isinstance(spans, Sequence) and all(_is_pair(span) for span in spans)  # pyright: ignore[reportUnnecessaryIsInstance]
    if not pairs:
        raise UsageError(
            "units is neither the name of a kind, such as 'word', nor a list of spans (start, end) of whole numbers."
        )
    if not spans:
        raise UsageError("units is an empty list: give at least one span (start, end) of the prompt.")
    for start, end in spans:
        if not 0 <= start < end <= len(prompt):
            raise UsageError(
                f"The unit ({start}, {end}) is not in the prompt, which has {len(prompt)} characters. "
                "Give (start, end) with 0 <= start < end <= that."
            )
        if not prompt[start:end].strip():
            raise UsageError(f"The unit ({start}, {end}) is white space only: there is nothing to attribute.")
    for before, after in itertools.pairwise(spans):
        if after[0] < before[0]:
            raise UsageError(f"The units are not in order: {tuple(after)} comes after {tuple(before)}. Sort them.")
        if after[0] < before[1]:
            both = prompt[after[0] : min(before[1], after[1])]
            raise UsageError(
                f"The units {tuple(before)} and {tuple(after)} overlap in {both!r}: "
                "a character belongs to one unit only. Shorten one of them, or make one unit of both."
            )


def _is_pair(span: object) -> bool:
    if not isinstance(span, Sequence) or isinstance(span, str | bytes):
        return False
    ends = list(cast("Sequence[object]", span))
    return len(ends) == 2 and all(isinstance(end, Integral) for end in ends)
