"""``synonym``: the nearest word of the encoder's own vocabulary, or the one that a lexicon names.

Near means used alike: the neighbour of "girl" is "boy" and that of "red" is "blue". What is measured is how much
hangs on this word rather than on its like. For true synonyms, give a lexicon.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np

from whygen.encoders import HasVocabulary, TextEncoder, load_text_encoder
from whygen.errors import DataError, UsageError
from whygen.prompt.operators.base import Operator, Tools, Unprepared, substitute
from whygen.prompt.units import Units, words
from whygen.safe import read_json
from whygen.texts import read_text_file

_VOWELS = frozenset("aeiouy")


def same_word(one: str, other: str) -> bool:
    """Whether two words are the same or look like forms of one: castle and castles, write and wrote, happy and happier.

    Spelling decides: one holds the other (from three letters), they part only at the end, or only in their vowels.
    Forms that have little in common (tell, told) pass for two words.
    """
    a, b = sorted((one.casefold(), other.casefold()), key=len)
    if a == b or (len(a) >= 3 and a in b) or b == f"{a}s":
        return True
    common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))
    if common >= max(3, len(a) - 2) and len(b) - common <= 5:
        return True
    bones = sorted((_skeleton(a), _skeleton(b)), key=len)
    return a[:1] == b[:1] and len(bones[0]) > 1 and bones[1] in {bones[0], f"{bones[0]}s"}


def _skeleton(word: str) -> str:
    return "".join(letter for letter in word if letter not in _VOWELS)


def written_like(word: str, model: str) -> str:
    """The word in the capitals of ``model``: all of them, the first one, or none."""
    if len(model) > 1 and model.isupper():
        return word.upper()
    if model[:1].isupper():
        return word[:1].upper() + word[1:]
    return word


Lexicon: TypeAlias = Mapping[str, str]

MAX_LEXICON_BYTES = 64 * 2**20

_NEIGHBOURS = 64
"""Looked at before a word counts as having none: forms of the word itself come first."""


@dataclass(frozen=True)
class Synonym(Unprepared):
    """Put another word in place of each word of the unit.

    A word without one stays as it is: a number, a mark of punctuation, a name or a rare word that is not in the
    vocabulary (or the lexicon). A unit of which nothing changes is told in a notice.

    Attributes:
        lexicon: words and what stands for them; None: the encoder's vocabulary. Capitals play no part.
    """

    lexicon: Lexicon | None = None
    name: str = "synonym"

    def prepare(self, units: Units, tools: Tools) -> Operator:
        """Look the words up.

        Raises:
            UsageError: if no unit changes, or the encoder knows no words.
        """
        texts = [text[a:b] for text in units.texts for a, b in words(text)]
        found = self._from_lexicon(texts) if self.lexicon is not None else neighbours(texts, _opened(tools.encoder))
        where = "the lexicon" if self.lexicon is not None else "the encoder's vocabulary"
        advice = f"They have no other word in {where}: pin them, name a word with lexicon=, or use operator='delete'."
        replaced = tuple(_each_word(text, found) for text in units.texts)
        return substitute(self.name, units, replaced, advice=advice)

    def _from_lexicon(self, texts: Iterable[str]) -> dict[str, str]:
        known = {word.casefold(): other for word, other in (self.lexicon or {}).items()}
        return {text: written_like(known[text.casefold()], text) for text in texts if text.casefold() in known}


def _opened(encoder: str | TextEncoder) -> HasVocabulary:
    opened = load_text_encoder(encoder) if isinstance(encoder, str) else encoder
    if not isinstance(opened, HasVocabulary):
        raise UsageError(
            f"The encoder {opened.name!r} has no vocabulary to find synonyms in. Use encoder='auto', or give lexicon=."
        )
    return opened


def _each_word(text: str, found: Mapping[str, str]) -> str:
    """The text with every word that was found replaced."""
    pieces: list[str] = []
    position = 0
    for a, b in words(text):
        pieces += [text[position:a], found.get(text[a:b], text[a:b])]
        position = b
    return "".join([*pieces, text[position:]])


def neighbours(texts: Iterable[str], encoder: HasVocabulary) -> dict[str, str]:
    """For each text that is in the vocabulary, the nearest word that is no form of it, in its own capitals."""
    vocabulary, vectors = encoder.vocabulary(), encoder.word_vectors()
    rows: dict[str, int] = {}
    for row, word in enumerate(vocabulary):
        rows.setdefault(word.casefold(), row)
        rows[word] = row
    found: dict[str, str] = {}
    for text in dict.fromkeys(texts):
        row = rows.get(text, rows.get(text.casefold()))
        if row is None:
            continue
        order: list[int] = np.argsort(-(vectors @ vectors[row]), kind="stable")[:_NEIGHBOURS].tolist()
        other = next((vocabulary[i] for i in order if not same_word(vocabulary[i], vocabulary[row])), None)
        if other is not None:
            found[text] = written_like(other, text)
    return found


def read_lexicon(given: Lexicon | Path | str) -> Lexicon:
    """A lexicon: a mapping of words to others, or a file: JSON (one object) or TSV (word, tab, other).

    Raises:
        MissingError: if there is no such file.
        DataError: if it cannot be read as a lexicon.
        UsageError: if it is empty.
    """
    lexicon = given if isinstance(given, Mapping) else _read(Path(given).expanduser())
    if not lexicon:
        raise UsageError("lexicon is empty: give at least one word and its synonym, or leave it out.")
    for word, other in cast(Mapping[object, object], lexicon).items():
        if not (isinstance(word, str) and isinstance(other, str) and word.strip() and other.strip()):
            raise DataError(f"lexicon holds {word!r}: {other!r}; give one word and one other text, neither empty.")
    return dict(lexicon)


def _read(path: Path) -> Lexicon:
    readers: dict[str, Callable[[str], Lexicon]] = {".json": _from_json, ".tsv": _from_tsv, ".txt": _from_tsv}
    if path.suffix.lower() not in readers:
        raise DataError(f"lexicon={str(path)!r}: the name must end with .json or .tsv.")
    try:
        return readers[path.suffix.lower()](read_text_file(path, "The lexicon", most=MAX_LEXICON_BYTES))
    except ValueError as error:
        raise DataError(f"lexicon={str(path)!r} cannot be read: {error}.") from error


def _from_json(text: str) -> Lexicon:
    read: object = read_json(text)
    if not isinstance(read, dict):
        raise ValueError(f'it holds a {type(read).__name__}, not one object such as {{"big": "large"}}')  # noqa: TRY004
    return cast(Lexicon, read)


def _from_tsv(text: str) -> Lexicon:
    lexicon: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        word, tab, other = line.partition("\t")
        if not tab:
            raise ValueError(f"line {number} has no tab between a word and its synonym")
        lexicon[word.strip()] = other.strip()
    return lexicon
