"""What whygen asks of an encoder, and what an encoder of sounds or videos gives: one point a stretch of time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from whygen.types import Picture, Sound, Vectors, Video


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """Points at equal steps of time.

    Attributes:
        points: shape ``(t, d)``, at least one.
        step: seconds from one point to the next; the first stands for ``[0, step)``.
    """

    points: Vectors
    step: float

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.points) * self.step


def edges(tracks: Sequence[Track], width: float, *, most: int | None = None) -> NDArray[np.float64]:
    """Ends of equal intervals that cover the longest track, in seconds, shape ``(k + 1,)``.

    Args:
        tracks: at least one.
        width: seconds of an interval.
        most: at most so many intervals; wider ones are made if need be, of a whole number of widths.
    """
    wanted = max(1, math.ceil(max(track.seconds for track in tracks) / width - 1e-6))
    factor = 1 if most is None else math.ceil(wanted / most)
    return width * factor * np.arange(math.ceil(wanted / factor) + 1, dtype=np.float64)


def in_intervals(track: Track, ends: NDArray[np.float64], nothing: NDArray[np.float64]) -> Vectors:
    """The mean point of each interval, shape ``(k, d)``.

    A point belongs to the interval that its middle lies in. An interval without one has the point that lasts there;
    after the end of the track there is ``nothing`` ``(d,)``.
    """
    middles = (np.arange(len(track.points)) + 0.5) * track.step
    place = np.searchsorted(ends, middles, side="right") - 1
    count = len(ends) - 1
    inside = (place >= 0) & (place < count)
    sums = np.zeros((count, track.points.shape[1]))
    np.add.at(sums, place[inside], track.points[inside])
    members = np.bincount(place[inside], minlength=count)
    means = sums / np.maximum(members, 1)[:, None]
    centres = (ends[:-1] + ends[1:]) / 2
    lasting = np.minimum(np.floor(centres / track.step + 1e-9).astype(np.int64), len(track.points) - 1)
    filled = np.where((members > 0)[:, None], means, track.points[lasting])
    over = (members == 0) & (centres >= track.seconds)
    return np.where(over[:, None], nothing, filled)


@runtime_checkable
class TextEncoder(Protocol):
    """Texts to vectors. What a text is encoded to does not depend on the texts beside it (to 1e-6)."""

    @property
    def name(self) -> str:
        """What is written into the record, such as ``sentence-transformers/all-MiniLM-L6-v2``."""
        ...

    def sentences(self, texts: Sequence[str]) -> Vectors:
        """One vector of length one for each text, shape ``(n, d)``."""
        ...

    def tokens(self, texts: Sequence[str]) -> list[Vectors]:
        """Contextual token embeddings of length one, shape ``(t_i, d)``; special tokens are left out.

        Every token of the text is there, however long it is. A text without tokens (empty, or only spaces) has one
        row, made of its special tokens: a set must not be empty. The arrays may be read-only.
        """
        ...


@runtime_checkable
class HasVocabulary(Protocol):
    """An encoder that knows words by themselves: those its tokenizer does not cut."""

    def vocabulary(self) -> tuple[str, ...]:
        """Words of at least two letters, as the tokenizer writes them, in its order."""
        ...

    def word_vectors(self) -> Vectors:
        """One vector of length one for each word of `vocabulary`, shape ``(n, d)``; near ones are used alike."""
        ...


@runtime_checkable
class ImageEncoder(Protocol):
    """Pictures to vectors. What a picture is encoded to does not depend on those beside it (to 1e-5)."""

    @property
    def name(self) -> str:
        """What is written into the record, such as ``facebook/dinov2-base``."""
        ...

    def images(self, given: Sequence[Picture]) -> Vectors:
        """One vector for each picture, shape ``(n, d)``: what the encoder itself takes for the whole picture."""
        ...

    def patches(self, given: Sequence[Picture]) -> list[Vectors]:
        """Points for the parts of each picture, shape ``(p_i, d)``, at least one; tokens that are no part are left out.

        The arrays may be read-only.
        """
        ...

    def means(self, given: Sequence[Picture]) -> Vectors:
        """The plain mean over all that a picture is encoded to, special tokens included, shape ``(n, d)``."""
        ...


@runtime_checkable
class TimedEncoder(Protocol):
    """Sounds or videos to one point for each short stretch of time.

    What one is encoded to does not depend on those beside it. The Euclidean distance of two points is in ``unit``.
    """

    @property
    def name(self) -> str:
        """What is written into the record, such as ``log-mel``."""
        ...

    @property
    def kind(self) -> Literal["sound", "frames"]:
        """Which field of an `Output` it reads."""
        ...

    @property
    def unit(self) -> str:
        """What a distance of 1 between two points is."""
        ...

    def tracks(self, media: Sequence[Sound | Video]) -> list[Track]:
        """The points of each, in the order of time."""
        ...

    def nothing(self) -> NDArray[np.float64]:
        """The point of silence, or of a black frame, shape ``(d,)``."""
        ...


AnyEncoder: TypeAlias = str | TextEncoder | ImageEncoder | TimedEncoder
"""An encoder of whatever a model answers with, or its name."""
