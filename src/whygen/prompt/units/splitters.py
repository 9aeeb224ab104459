"""Where a text is cut: words, sentences, lines, paragraphs, as spans of visible characters.

Words and sentences follow Unicode's rules (`whygen.texts`): marks stay with their letter, an emoji with its modifiers,
and scripts written without spaces (Han, hiragana, Thai ...) are cut character by character.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TypeAlias

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
