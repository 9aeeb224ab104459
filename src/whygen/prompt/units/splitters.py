"""Where a text is cut: words, sentences, lines, paragraphs, as spans of visible characters.

Word boundaries follow the Unicode categories: marks stay with their letter, an emoji with its modifiers, and scripts
written without spaces (Han, Kana) are cut letter by letter.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import TypeAlias

Span: TypeAlias = tuple[int, int]
Splitter: TypeAlias = Callable[[str], list[Span]]

_ZERO_WIDTH_JOINER = "\u200d"
_INNER = frozenset("'’-‐‑")
"""Characters that hold a word together when letters stand on both sides."""
_INNER_NUMBER = frozenset(".,:")
_LETTER_BY_LETTER = re.compile(r"[\u2e80-\u2fdf\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|[。！？]+|\n+")


def words(text: str) -> list[Span]:
    """Words, numbers and single punctuation marks, as spans."""
    spans: list[Span] = []
    position = 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        end = _word_end(text, position) if _in_word(text[position]) else _cluster_end(text, position)
        spans.append((position, end))
        position = end
    return spans


def _in_word(character: str) -> bool:
    return character == "_" or (character.isalnum() and not _LETTER_BY_LETTER.match(character))


def _extends(character: str) -> bool:
    """Marks, variation selectors and skin tones: they belong to the character before them."""
    return unicodedata.category(character) in {"Mn", "Mc", "Me"} or "\U0001f3fb" <= character <= "\U0001f3ff"


def _cluster_end(text: str, start: int) -> int:
    """End of the single visible character at ``start``: with its marks, joined emoji, or the second half of a flag."""
    end = start + 1
    if _is_flag_half(text, start) and _is_flag_half(text, end):
        end += 1
    while end < len(text):
        if text[end] == _ZERO_WIDTH_JOINER and end + 1 < len(text) and not text[end + 1].isspace():
            end += 2
        elif text[end] == _ZERO_WIDTH_JOINER or _extends(text[end]):
            end += 1
        else:
            break
    return end


def inside_character(text: str, index: int) -> bool:
    """Whether a cut before ``index`` would part what is seen as one character: a mark, joined emoji, half a flag."""
    if not 0 < index < len(text) or text[index - 1].isspace():
        return False
    joined = _ZERO_WIDTH_JOINER in text[index - 1 : index + 1]
    return joined or _extends(text[index]) or (_is_flag_half(text, index - 1) and _is_flag_half(text, index))


def _is_flag_half(text: str, index: int) -> bool:
    return index < len(text) and "\U0001f1e6" <= text[index] <= "\U0001f1ff"


def _word_end(text: str, start: int) -> int:
    end = start + 1
    while end < len(text):
        here = text[end]
        if not (_in_word(here) or _extends(here) or here == _ZERO_WIDTH_JOINER or _joins(text, end)):
            break
        end += 1
    return end


def _joins(text: str, index: int) -> bool:
    """Whether an apostrophe, a hyphen, or a point inside a number holds both sides together."""
    if not 0 < index < len(text) - 1:
        return False
    before, here, after = text[index - 1], text[index], text[index + 1]
    if here in _INNER:
        return (_in_word(before) or _extends(before)) and _in_word(after)
    return here in _INNER_NUMBER and before.isdigit() and after.isdigit()


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
    """Sentences: they end with a full stop, a mark of question or exclamation, or a line break."""
    return _between(text, (match.end() for match in _SENTENCE_END.finditer(text)))


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
