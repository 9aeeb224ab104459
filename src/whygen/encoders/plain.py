# pyright: basic
"""Encoders that need no weights: patches of pixels and colours, frames as pictures, sounds as log-mel spectra."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from whygen.encoders.protocols import Track
from whygen.errors import MissingExtraError, UsageError
from whygen.media import films, pictures, sounds
from whygen.media.films import Frames
from whygen.media.pictures import Pixels, picture_of
from whygen.types import Picture, Sound, Vectors, Video

GRID = 16
"""Patches along the longer side."""
FINE = 2
"""Pixels along a side of a patch, after the picture was brought to that size."""
PLACE = 0.5
"""What a patch's place weighs: a move across the longer side costs as much as half the way from black to white."""
POOLED = 8
"""Cells along a side of the pooled vector."""


@dataclass(frozen=True, slots=True)
class PixelPatches:
    """Small patches of pixels, each with its place in the picture.

    A point holds the patch's colours (black and white are 1 apart) and its place times `PLACE`. Transport between such
    sets costs what has to be repainted, or moved where that is cheaper. The pooled vector is the picture in 8 x 8.
    """

    name: str = "patches"

    def images(self, given: Sequence[Picture]) -> Vectors:
        """The colours of 8 x 8 cells, shape ``(n, 192)``, black and white 1 apart; not scaled to length one."""
        rows = [_small(each, POOLED, POOLED).reshape(-1) / np.sqrt(3 * POOLED * POOLED) for each in given]
        return np.array(rows, dtype=np.float64).reshape(len(rows), 3 * POOLED * POOLED)

    def patches(self, given: Sequence[Picture]) -> list[Vectors]:
        """Points ``(p, 14)`` of each picture: 2 x 2 colours and the place, for a grid of 16 along the longer side."""
        return [_patches(pictures.pixels(each)) for each in given]

    def means(self, given: Sequence[Picture]) -> Vectors:
        """The mean point of each picture, shape ``(n, 14)``."""
        return np.array([points.mean(axis=0) for points in self.patches(given)], dtype=np.float64).reshape(-1, 14)


@dataclass(frozen=True, slots=True)
class Colours:
    """Which colours a picture has, wherever they are: a set of 256 mean colours, and a histogram of 4 x 4 x 4 boxes."""

    name: str = "colour"

    def images(self, given: Sequence[Picture]) -> Vectors:
        """Share of pixels in each of 64 boxes of colour, shape ``(n, 64)``."""
        return np.array([_histogram(pictures.pixels(each)) for each in given], dtype=np.float64).reshape(-1, 64)

    def patches(self, given: Sequence[Picture]) -> list[Vectors]:
        """The mean colours of a grid of 16 x 16, shape ``(256, 3)``; black and white are 1 apart."""
        return [_small(each, GRID, GRID).reshape(-1, 3) / np.sqrt(3) for each in given]

    def means(self, given: Sequence[Picture]) -> Vectors:
        """The mean colour of each picture, shape ``(n, 3)``."""
        return np.array([points.mean(axis=0) for points in self.patches(given)], dtype=np.float64).reshape(-1, 3)


def _small(picture: Picture, width: int, height: int) -> NDArray[np.float64]:
    """The picture in that size, shape ``(height, width, 3)``, 0 to 1."""
    return pictures.resized(pictures.pixels(picture), width=width, height=height).astype(np.float64) / 255.0


def _patches(values: Pixels) -> Vectors:
    height, width = values.shape[:2]
    longer = max(height, width)
    rows, columns = max(1, round(GRID * height / longer)), max(1, round(GRID * width / longer))
    fine = pictures.resized(values, width=columns * FINE, height=rows * FINE).astype(np.float64) / 255.0
    cells = fine.reshape(rows, FINE, columns, FINE, 3).swapaxes(1, 2).reshape(rows * columns, -1)
    down, across = np.mgrid[:rows, :columns].reshape(2, -1) / GRID
    return np.column_stack([cells / np.sqrt(cells.shape[1]), PLACE * down, PLACE * across])


def _histogram(values: Pixels) -> NDArray[np.float64]:
    boxes = (values.reshape(-1, 3) // 64).astype(np.int64) @ np.array([16, 4, 1])
    return np.bincount(boxes, minlength=64) / len(boxes)


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


RATE = 16_000
"""Every sound is brought to this rate, so that two of different rates can be compared."""
WINDOW = 1024
HOP = 512
BANDS = 64
REMEMBERED = 200_000
"""Points that are kept (100 MB): the distance and the timeline of an explanation ask for the same sounds."""
FLOOR = 80.0
"""Decibels under full scale at which silence begins: what is softer is not heard."""


class LogMel:
    """The mean of the channels, in bands of equal width on the mel scale.

    A coordinate is the power of a band in decibels over the floor, divided by 8, the root of the number of bands: the
    Euclidean distance of two points is the root mean square difference of their bands in decibels. Silence is zero.
    A sine of full scale is at about 80.
    """

    name = "log-mel"
    kind: Literal["sound", "frames"] = "sound"
    unit = "dB"

    def __init__(self) -> None:
        self._known: OrderedDict[Sound | Video, Track] = OrderedDict()

    def tracks(self, media: Sequence[Sound | Video]) -> list[Track]:
        """One track for each sound, points ``(t_i, 64)``; equal sounds are encoded once.

        Raises:
            MissingExtraError: if the extra ``audio`` is not installed.
            UsageError: if one is no sound.
            DataError: if one cannot be read.
        """
        librosa = _librosa()
        found: dict[Sound | Video, Track] = {}
        for medium in media:
            if not isinstance(medium, Sound):
                raise UsageError(f"The encoder {self.name!r} hears sounds, and was given a {type(medium).__name__}.")
            if medium not in found:
                found[medium] = self._known.get(medium) or Track(_points(librosa, medium), HOP / RATE)
        self._known.update(found)
        while sum(len(track.points) for track in self._known.values()) > REMEMBERED:
            self._known.popitem(last=False)
        return [found[medium] for medium in media]

    def nothing(self) -> NDArray[np.float64]:
        return np.zeros(BANDS)


def _librosa() -> Any:
    try:
        import librosa
    except ImportError:
        raise MissingExtraError("The encoder 'log-mel'", extra="audio", package="librosa") from None
    return librosa


def _points(librosa: Any, sound: Sound) -> Vectors:
    values, rate = sounds.mono(sound)
    if rate != RATE:
        values = librosa.resample(values, orig_sr=rate, target_sr=RATE, res_type="soxr_hq")
    count = max(1, round(len(values) / HOP))
    # Windows centred on the middle of each step: a point is about the stretch of time that it stands for.
    padded = np.pad(values, (WINDOW // 2 - HOP // 2, WINDOW + HOP * count))[: WINDOW + HOP * (count - 1)]
    power = librosa.feature.melspectrogram(
        y=padded, sr=RATE, n_fft=WINDOW, hop_length=HOP, center=False, window="hann", n_mels=BANDS, norm=None, power=2.0
    )
    full_scale = (WINDOW / 4) ** 2  # of a sine in a Hann window: half its sum, squared
    decibels = 10.0 * np.log10(np.maximum(power.T.astype(np.float64) / full_scale, 10 ** (-FLOOR / 10))) + FLOOR
    return np.maximum(decibels, 0.0) / np.sqrt(BANDS)
