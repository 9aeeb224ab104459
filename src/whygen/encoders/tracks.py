"""Points in the order of time: what a sound or a video is encoded to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whygen.types import Vectors


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
