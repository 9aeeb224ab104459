"""Static word vectors from a file: word2vec or GloVe, as text, binary or safetensors. Needs no torch.

The file is read once to learn where each word is, and mapped; only the vectors of words that are asked for are read. So
three million words cost seconds and their names' memory, not gigabytes. Optimal transport between the words of two
texts is the word mover's distance (Kusner et al. 2015).
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from whygen.errors import FormatError, MissingError, UnknownNameError
from whygen.types import Vectors

Lookup: TypeAlias = Literal["forgiving", "as-written"]
"""Whether a word that is not there is tried in lower case and without the punctuation around it."""

LOOKUPS: tuple[Lookup, ...] = ("forgiving", "as-written")
SUFFIXES = (".bin", ".vec", ".txt", ".w2v", ".glove", ".safetensors")
MOST_DIMENSIONS = 10_000
_EDGES = re.compile(r"^\W+|\W+$")


class WordVectors:
    """A text encoder of whitespace-separated words; each vector is scaled to length one.

    A text without any known word is one point at zero, which is at distance 1 from every word.

    Args:
        name: what is written into the record.
        words: each word's position among the rows.
        row: reads one row, shape ``(d,)``.
        dimensions: d.
        lookup: ``forgiving`` or ``as-written``.
    """

    def __init__(
        self,
        name: str,
        words: dict[str, int],
        *,
        row: Callable[[int], NDArray[np.float32]],
        dimensions: int,
        lookup: Lookup = "forgiving",
    ) -> None:
        if lookup not in LOOKUPS:
            raise UnknownNameError("lookup", lookup, LOOKUPS)
        self._name = name
        self._words = words
        self._row = row
        self._dimensions = dimensions
        self._lookup = lookup
        self._read: dict[int, NDArray[np.float64]] = {}

    def __len__(self) -> int:
        return len(self._words)

    def __contains__(self, word: str) -> bool:
        return self._find(word) is not None

    @property
    def name(self) -> str:
        return self._name

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return self._dimensions

    def tokens(self, texts: Sequence[str]) -> list[Vectors]:
        """Vectors of the known words of each text, in order and as often as they occur, shape ``(t_i, d)``."""
        return [self._known(text) for text in texts]

    def sentences(self, texts: Sequence[str]) -> Vectors:
        """The mean of each text's word vectors, scaled to length one (zero if no word is known), shape ``(n, d)``."""
        means = np.array([points.mean(axis=0) for points in self.tokens(texts)]).reshape(-1, self._dimensions)
        lengths = np.linalg.norm(means, axis=1, keepdims=True)
        return means / np.where(lengths > 0, lengths, 1.0)

    def _known(self, text: str) -> Vectors:
        found = [self._vector(place) for word in text.split() if (place := self._find(word)) is not None]
        return np.array(found) if found else np.zeros((1, self._dimensions))

    def _find(self, word: str) -> int | None:
        tried = [word]
        if self._lookup == "forgiving":
            bare = _EDGES.sub("", word)
            tried += [bare, word.lower(), bare.lower()]
        return next((self._words[each] for each in tried if each in self._words), None)

    def _vector(self, place: int) -> NDArray[np.float64]:
        if place not in self._read:
            vector = self._row(place).astype(np.float64)
            length = float(np.linalg.norm(vector))
            if not np.isfinite(length):
                raise FormatError(f"{self._name!r} holds a vector that is not finite (row {place}). Fetch it again.")
            self._read[place] = vector / length if length > 0 else vector
        return self._read[place]


def open_word_vectors(path: Path | str, *, lookup: Lookup = "forgiving") -> WordVectors:
    """Word vectors from a file; the format is told by the content, not by the name.

    Binary: a line ``words dimensions``, then each word, a space and its float32 numbers (word2vec). Text: each line a
    word and its numbers, with such a first line (word2vec) or without (GloVe). safetensors: a tensor ``vectors``
    ``(words, d)`` and a tensor ``words`` of bytes, UTF-8, a word a line.

    Raises:
        MissingError: if there is no such file.
        FormatError: if it is none of these, or damaged; the message names the place.
    """
    file = Path(path)
    if not file.is_file():
        raise MissingError(
            f"There is no file of word vectors at {str(path)!r}. Give word2vec or GloVe vectors as text, word2vec "
            "binary or safetensors."
        )
    if file.stat().st_size == 0:
        raise FormatError(f"{str(file)!r} is empty: it holds no word vectors.")
    if file.suffix == ".safetensors":
        return _open_safetensors(file, lookup)
    with file.open("rb") as handle:
        data = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
    first, end = _line(data, 0)
    header = _header(first)
    if header is None:
        return _open_text(file, data, start=0, dimensions=len(first.split()) - 1, lookup=lookup)
    words, dimensions = header
    if _looks_like_text(data, end, dimensions):
        return _open_text(file, data, start=end, dimensions=dimensions, lookup=lookup)
    return _open_binary(file, data, start=end, words=words, dimensions=dimensions, lookup=lookup)


def _line(data: mmap.mmap, start: int) -> tuple[bytes, int]:
    """The line that begins at ``start``, without its end, and where the next one begins."""
    end = data.find(b"\n", start)
    return (data[start:], len(data)) if end < 0 else (data[start:end], end + 1)


def _header(line: bytes) -> tuple[int, int] | None:
    parts = line.split()
    if len(parts) != 2 or not all(part.isdigit() for part in parts):
        return None
    return int(parts[0]), int(parts[1])


def _looks_like_text(data: mmap.mmap, start: int, dimensions: int) -> bool:
    line, _ = _line(data, start)
    numbers = line.split()[-dimensions:] if dimensions else []
    try:
        return len(line.split()) > dimensions and all(np.isfinite(float(number)) for number in numbers)
    except ValueError:
        return False


def _check_dimensions(file: Path, dimensions: int) -> None:
    if not 1 <= dimensions <= MOST_DIMENSIONS:
        raise FormatError(
            f"{str(file)!r} holds no word vectors: its first line gives {dimensions} numbers a word, and 1 to "
            f"{MOST_DIMENSIONS} are possible. Give word2vec or GloVe vectors."
        )


def _open_text(file: Path, data: mmap.mmap, *, start: int, dimensions: int, lookup: Lookup) -> WordVectors:
    _check_dimensions(file, dimensions)
    words: dict[str, int] = {}
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        space = data.find(b" ", start, end)
        if space > start:
            words.setdefault(data[start:space].decode("utf-8", "replace"), start)
        start = end + 1

    def row(place: int) -> NDArray[np.float32]:
        numbers = _line(data, place)[0].split()[-dimensions:]
        try:
            return np.array([float(number) for number in numbers], dtype=np.float32).reshape(dimensions)
        except ValueError:
            raise _damaged(file, place, f"not {dimensions} numbers") from None

    row(next(iter(words.values()), 0))
    return WordVectors(file.name, words, row=row, dimensions=dimensions, lookup=lookup)


def _open_binary(
    file: Path, data: mmap.mmap, *, start: int, words: int, dimensions: int, lookup: Lookup
) -> WordVectors:
    _check_dimensions(file, dimensions)
    width = 4 * dimensions
    places: dict[str, int] = {}
    for _ in range(words):
        space = data.find(b" ", start)
        if space < 0 or space + 1 + width > len(data):
            raise _damaged(file, start, f"the file ends after {len(places)} of {words} words")
        word = data[start:space].lstrip(b"\n").decode("utf-8", "replace")
        places.setdefault(word, space + 1)
        start = space + 1 + width

    def row(place: int) -> NDArray[np.float32]:
        return np.frombuffer(data, dtype="<f4", count=dimensions, offset=place)

    return WordVectors(file.name, places, row=row, dimensions=dimensions, lookup=lookup)


def _open_safetensors(file: Path, lookup: Lookup) -> WordVectors:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(file), framework="numpy") as tensors:  # pyright: ignore[reportUnknownVariableType]
            vectors: NDArray[np.float32] = np.asarray(tensors.get_tensor("vectors"), dtype=np.float32)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
            names: NDArray[np.uint8] = np.asarray(tensors.get_tensor("words"), dtype=np.uint8)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    except (SafetensorError, OSError) as error:
        raise FormatError(
            f"{str(file)!r} holds no word vectors ({error}): tensors 'vectors' (words, d) and 'words' (bytes, a word "
            "a line) are expected."
        ) from None
    words = names.tobytes().decode("utf-8", "replace").split("\n")
    if vectors.ndim != 2 or len(words) != len(vectors):
        raise FormatError(
            f"{str(file)!r} has {len(words)} words and vectors of shape {vectors.shape}: one row a word is expected."
        )
    return WordVectors(
        file.name,
        {word: place for place, word in reversed(list(enumerate(words)))},
        row=lambda place: vectors[place],
        dimensions=int(vectors.shape[1]),
        lookup=lookup,
    )


def _damaged(file: Path, place: int, what: str) -> FormatError:
    return FormatError(f"{str(file)!r} is damaged at byte {place}: {what}. Fetch it again.")
