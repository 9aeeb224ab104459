# pyright: basic
"""Sounds as log-mel spectra: how loud each of 64 bands is, in decibels, every 32 milliseconds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from whygen.encoders.tracks import Track
from whygen.errors import MissingExtraError, UsageError
from whygen.media import sounds
from whygen.types import Sound, Vectors, Video

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
