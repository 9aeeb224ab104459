"""Where words and characters end, by Unicode's rules (UAX 29), and finding a text in another whatever its form.

The rules and tables are those of the package ``regex``, which passes all 1,944 cases of Unicode 17's WordBreakTest
(docs/decisions/0017-texts.md). Three tailorings, which UAX 29 leaves open: a hyphen between letters or digits holds
them together (*well-known*), a colon does not (*answer:yes*, as in CLDR), and no boundary parts what is seen as one
character.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Container, Iterator
from functools import cache
from typing import TypeAlias

import regex

Span: TypeAlias = tuple[int, int]

_WORD_EDGE = regex.compile(r"(?w)\b")
_CHARACTER = regex.compile(r"\X")
_HELD = regex.compile(
    r"(?<=[\p{WB=ALetter}\p{WB=Hebrew_Letter}\p{WB=Numeric}\p{WB=Katakana}_]"
    r"[\p{WB=Extend}\p{WB=Format}\p{WB=ZWJ}]*)"
    r"[-\u2010\u2011]"
    r"(?=[\p{WB=ALetter}\p{WB=Hebrew_Letter}\p{WB=Numeric}\p{WB=Katakana}])"
)
"""A hyphen inside a word."""
_COLON = regex.compile("[:\ufe55\uff1a]")
_HIDDEN = regex.compile(r"\p{Default_Ignorable_Code_Point}+")
"""What shows nothing: soft hyphens, joiners, zero-width spaces, marks of direction, tags."""
_BEYOND = regex.compile(r"[^\x00-\u02ff]")
"""Where characters of several code points can stand."""
_ALIKE = 256
"""A text of so many characters is always looked at as a whole."""
_AROUND = 64
"""Characters on each side that decide whether a place is a boundary, in a long text."""

_UNSPACED = regex.compile(r"\p{Lao}|\p{Thai}|\p{Khmer}|\p{Myanmar}|\p{Tibetan}|\p{Han}|\p{Hiragana}")
_SCRIPT_NAMES = {
    "LAO": "Lao", "THAI": "Thai", "KHMER": "Khmer", "MYANMAR": "Burmese", "TIBETAN": "Tibetan",
    "CJK": "Chinese or kanji", "HIRAGANA": "hiragana",
}  # fmt: skip


def nfc(text: str) -> str:
    """The text in Unicode's composed form, in which texts that look the same are the same."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def character_edges(text: str) -> frozenset[int]:
    """Where what is seen as one character begins or ends: grapheme clusters, 0 and the length included."""
    if _BEYOND.search(text) is None and "\r\n" not in text:
        return frozenset(range(len(text) + 1))
    return frozenset({0, *(match.end() for match in _CHARACTER.finditer(text))})


def word_edges(text: str) -> frozenset[int]:
    """Word boundaries, 0 and the length included."""
    edges = {match.start() for match in _WORD_EDGE.finditer(text)}
    for colon in _COLON.finditer(text):
        edges |= {colon.start(), _past_marks(text, colon.end())}
    for hyphen in _HELD.finditer(text):
        edges -= {hyphen.start(), hyphen.end()}
    if _BEYOND.search(text) is not None:
        edges &= character_edges(text)
    return frozenset(edges | {0, len(text)})


def _past_marks(text: str, place: int) -> int:
    while place < len(text) and unicodedata.category(text[place]) in {"Mn", "Me", "Mc", "Cf"}:
        place += 1
    return place


def has_word(text: str) -> bool:
    """Whether there is a letter or a digit: a space or a full stop alone is nothing that texts share."""
    return any(map(str.isalnum, text))


def is_word_edge(text: str, place: int) -> bool:
    """Whether a place is a word boundary; of a long text, only what stands around it is looked at."""
    if len(text) <= _ALIKE:
        return place in word_edges(text)
    start = max(0, place - _AROUND)
    return place - start in word_edges(text[start : place + _AROUND])


def word_spans(text: str) -> list[Span]:
    """Words and single marks, as spans: everything that is not white space, cut at word boundaries.

    What shows nothing belongs to what it touches: to the word before it, else to the one after it. Scripts that are
    written without spaces have no word boundaries of their own in UAX 29, and are cut character by character (katakana
    and hangul are not).
    """
    edges = sorted(word_edges(text))
    spans: list[Span] = []
    waiting: Span | None = None
    for start, end in itertools.pairwise(edges):
        visible = text[start:end].strip()
        if not visible:
            continue
        core = text.index(visible, start)
        span = (core, core + len(visible))
        if waiting is not None:
            span = (waiting[0], span[1]) if waiting[1] == span[0] else span
            spans += [waiting] if span[0] != waiting[0] else []
            waiting = None
        if _HIDDEN.fullmatch(visible):
            if spans and spans[-1][1] == span[0]:
                spans[-1] = (spans[-1][0], span[1])
            else:
                waiting = span
        else:
            spans.append(span)
    return [*spans, waiting] if waiting is not None else spans


def unspaced_scripts(text: str) -> list[str]:
    """Names of the scripts in a text that are written without spaces between words, in order of appearance."""
    return list(dict.fromkeys(_unspaced(match[0]) for match in _UNSPACED.finditer(text)))


@cache
def _unspaced(letter: str) -> str:
    return _SCRIPT_NAMES.get(unicodedata.name(letter, "CJK").partition(" ")[0], "Chinese or kanji")


def reads_as_one(text: str, place: int, *, edges: Container[int] | None = None) -> bool:
    """Whether what a place parts reads as one word: no boundary, or one between letters of two kinds of script.

    Between a Latin and a Chinese letter UAX 29 has a boundary, but the word boundary of regular expressions is none.

    Args:
        text: the text.
        place: between its characters.
        edges: all its word boundaries, where they are known.
    """
    if not (is_word_edge(text, place) if edges is None else place in edges):
        return True
    sides = text[place - 1 : place], text[place : place + 1]
    return all(map(_OF_WORD.match, sides)) and not all(map(_UNSPACED.match, sides))


_OF_WORD = regex.compile(r"\w")
"""Letters, digits, and the marks on them, with which many Khmer and Thai words end."""


def find_all(text: str, wanted: str) -> Iterator[Span]:
    """Where a text stands in another, as spans of that other, composed or decomposed, without overlaps.

    Args:
        text: what is looked through.
        wanted: what is looked for, of at least one character.
    """
    start = text.find(wanted)
    if start >= 0 or text.isascii():
        while start >= 0:
            yield start, start + len(wanted)
            start = text.find(wanted, start + len(wanted))
        return
    composed, places = _composed(text)
    sought = nfc(wanted)
    start = composed.find(sought)
    while start >= 0:
        end = start + len(sought)
        if start in places and end in places:
            yield places[start], places[end]
        start = composed.find(sought, end)


def _composed(text: str) -> tuple[str, dict[int, int]]:
    """The text in NFC, and for each edge of a character in it the place in the text."""
    composed = ""
    places = {0: 0}
    for match in _CHARACTER.finditer(text):
        composed += nfc(match[0])
        places[len(composed)] = match.end()
    return composed, places
