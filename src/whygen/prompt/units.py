"""A prompt cut into the pieces a person would name; joined again they give the prompt back, byte for byte.

Every piece owns the white space before it, so that deleting a piece leaves a readable prompt. Word boundaries
follow the Unicode categories: marks stay with their letter, an emoji with its modifiers, and scripts written
without spaces (Han, Kana) are cut letter by letter.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from whygen.errors import UnknownNameError, UsageError

Span: TypeAlias = tuple[int, int]
Splitter: TypeAlias = Callable[[str], list[Span]]

_ZERO_WIDTH_JOINER = "\u200d"
_INNER = frozenset("'’-‐‑")
"""Characters that hold a word together when letters stand on both sides."""
_INNER_NUMBER = frozenset(".,:")
_LETTER_BY_LETTER = re.compile(r"[\u2e80-\u2fdf\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|[。！？]+|\n+")


@dataclass(frozen=True, slots=True)
class Piece:
    """Characters ``[start, end)`` of the prompt; ``[core, stop)`` are visible. ``unit`` is None when pinned."""

    start: int
    core: int
    stop: int
    end: int
    unit: int | None


@dataclass(frozen=True, slots=True)
class Units:
    """A prompt and its pieces, in order and without gaps."""

    prompt: str
    pieces: tuple[Piece, ...]

    def __len__(self) -> int:
        return sum(piece.unit is not None for piece in self.pieces)

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
        return tuple(self.prompt[start:end] for start, end in self.spans)

    @property
    def pinned(self) -> tuple[Span, ...]:
        return tuple((piece.core, piece.stop) for piece in self.pieces if piece.unit is None)

    def text_at(self, piece: Piece, instead: str | None = None) -> str:
        """What stands at a piece, white space included: its own text, or ``instead`` where it was visible."""
        if instead is None:
            return self.prompt[piece.start : piece.end]
        return self.prompt[piece.start : piece.core] + instead + self.prompt[piece.stop : piece.end]

    def join(self, parts: Sequence[str]) -> str:
        """The prompt in which ``parts`` stand at the pieces; one that lost its beginning begins without white space."""
        text = "".join(parts)
        return text if parts[0] else text.lstrip()


def split(prompt: str, units: str = "word", *, pin: Sequence[str] = (), splitter: Splitter | None = None) -> Units:
    """Cut a prompt into units.

    Args:
        prompt: the text; any Unicode.
        units: ``word`` (punctuation apart), ``sentence``, ``line`` or ``paragraph``; or ``token``, which needs a
            splitter.
        pin: texts that are always sent and never attributed; every occurrence is pinned, and a unit that
            overlaps one is pinned whole.
        splitter: cuts the text instead of the one named by ``units``, into spans in order that leave out nothing but
            white space, such as `whygen.prompt.tokens.token_splitter` of a model.

    Raises:
        UsageError: if the prompt holds no unit, a pinned text does not occur in it, everything is pinned, or there is
            no model to cut it into tokens.
        UnknownNameError: if ``units`` is not a known kind.
    """
    if units not in {*SPLITTERS, TOKEN} and splitter is None:
        raise UnknownNameError("kind of unit", units, [*SPLITTERS, TOKEN])
    if units == TOKEN and splitter is None:
        raise UsageError(
            "units='token' are the tokens of a model, and none was asked how it cuts this prompt. Use a local model "
            "(hf/ORG/NAME, hf/PATH or demo/storyteller), or units='word'."
        )
    spans = (splitter or SPLITTERS[units])(prompt)
    if not spans:
        raise UsageError("The prompt is empty: it holds no character to explain. Give a prompt of at least one word.")
    pieces = _pieces(prompt, spans, pinned=[span for text in pin for span in _occurrences(prompt, text)])
    if all(piece.unit is None for piece in pieces):
        raise UsageError(f"Everything in the prompt is pinned ({len(pieces)} units): leave at least one unit free.")
    return Units(prompt, pieces)


def _occurrences(prompt: str, text: str) -> list[Span]:
    found = [match.span() for match in re.finditer(re.escape(text), prompt)] if text else []
    if not found:
        raise UsageError(f"The pinned text {text!r} does not occur in the prompt. Pin a text just as it stands there.")
    return found


def _pieces(prompt: str, spans: Sequence[Span], *, pinned: Sequence[Span]) -> tuple[Piece, ...]:
    """White space goes to the piece after it; what trails the last piece goes to the last piece."""
    pieces: list[Piece] = []
    start, count = 0, 0
    for index, (core, stop) in enumerate(spans):
        end = len(prompt) if index == len(spans) - 1 else stop
        held = any(core < b and a < stop for a, b in pinned)
        pieces.append(Piece(start, core, stop, end, None if held else count))
        count += not held
        start = end
    return tuple(pieces)


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


SPLITTERS: dict[str, Splitter] = {
    "word": words,
    "whitespace": whitespace,
    "sentence": sentences,
    "line": lines,
    "paragraph": paragraphs,
}

TOKEN = "token"  # noqa: S105 - a kind of unit
"""The kind of unit that only a model can cut."""
