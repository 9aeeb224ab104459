"""Videos as one point a frame: small colours without weights, or any encoder of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from whygen.encoders.tracks import Track
from whygen.errors import UsageError
from whygen.media import films
from whygen.media.films import Frames
from whygen.media.pictures import picture_of
from whygen.types import Picture, Sound, Vectors, Video

CELLS = 8
"""Cells along a side of a frame."""


@runtime_checkable
class SeesPictures(Protocol):
    """Any encoder of pictures: what is asked of one here."""

    @property
    def name(self) -> str: ...

    def images(self, given: Sequence[Picture]) -> Vectors:
        """One vector for each picture, shape ``(n, d)``."""
        ...


class FrameColours:
    """The mean colours of 8 x 8 cells of each frame: what has which colour where.

    The Euclidean distance of two points is the root mean square difference of the cells' colours; black and white are 1
    apart. A small shape that moves by a cell is a small distance.
    """

    name = "frame-colours"
    kind: Literal["sound", "frames"] = "frames"
    unit = "share of full scale"

    def tracks(self, media: Sequence[Sound | Video]) -> list[Track]:
        """One track for each video, points ``(t_i, 192)``; equal videos are encoded once.

        Raises:
            UsageError: if one is no video.
            DataError: if one cannot be read.
        """
        return _each(media, self.name, _cells)

    def nothing(self) -> NDArray[np.float64]:
        return np.zeros(3 * CELLS * CELLS)


@dataclass(frozen=True, slots=True)
class ByPicture:
    """Each frame as an encoder of pictures sees it."""

    encoder: SeesPictures
    kind: Literal["sound", "frames"] = "frames"

    @property
    def name(self) -> str:
        return f"frames by {self.encoder.name}"

    @property
    def unit(self) -> str:
        return f"as {self.encoder.name} sees them"

    def tracks(self, media: Sequence[Sound | Video]) -> list[Track]:
        """One track for each video, points ``(t_i, d)``; equal videos are encoded once.

        Raises:
            UsageError: if one is no video.
            DataError: if one cannot be read.
        """
        return _each(media, self.name, self._seen)

    def nothing(self) -> NDArray[np.float64]:
        return self._seen(np.zeros((1, 64, 64, 3), dtype=np.uint8))[0]

    def _seen(self, frames: Frames) -> Vectors:
        return np.asarray(self.encoder.images([picture_of(frame) for frame in frames]), dtype=np.float64)


class _Encode(Protocol):
    def __call__(self, frames: Frames, /) -> Vectors: ...


def _each(media: Sequence[Sound | Video], name: str, encode: _Encode) -> list[Track]:
    known: dict[Sound | Video, Track] = {}
    for medium in media:
        if not isinstance(medium, Video):
            raise UsageError(f"The encoder {name!r} sees videos, and was given a {type(medium).__name__}.")
        if medium not in known:
            known[medium] = Track(encode(films.frames(medium)), 1.0 / medium.rate)
    return [known[medium] for medium in media]


def _cells(frames: Frames, /) -> Vectors:
    small = films.shrunk(frames, height=CELLS, width=CELLS).astype(np.float64) / 255.0
    return small.reshape(len(frames), -1) / np.sqrt(3 * CELLS * CELLS)
