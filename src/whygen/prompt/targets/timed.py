"""What is measured of a sound or a video: ``f(z) = -D(out(z), reference)`` in the distance's own unit (METHODS A5).

Transport and energy between sets of points forget time, and so do cosine and Euclidean distance of mean points;
``in-time`` compares moment by moment, and ``consistency`` how much changes from frame to frame.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from whygen import distances
from whygen._arguments import typed
from whygen.encoders import TimedEncoder, Track, load_timed_encoder
from whygen.encoders.tracks import edges, in_intervals
from whygen.errors import DataError, UnknownNameError
from whygen.prompt.targets.protocol import Target, Verb
from whygen.results.prompt import TargetRecord
from whygen.types import Floats, Output, Sound, Vectors, Video

Numbers: TypeAlias = NDArray[np.float64]
Kind: TypeAlias = Literal["sound", "frames"]
Apart: TypeAlias = Callable[[Sequence[Track], Track], Numbers]
"""Distances of tracks to one, shape ``(n,)``."""

STRETCH = 0.1
"""Seconds of a stretch of sound, for ``in-time``."""
NOUNS: Mapping[Kind, str] = {"sound": "sound", "frames": "video"}


@dataclass(frozen=True, slots=True)
class Timed:
    """A distance between sounds, or between videos. A refusal without one counts as silence, or as a black frame.

    Attributes:
        record: what is measured.
        encoder: what makes tracks of them.
        apart: distances of tracks to one.
        moves: whether a reference in which nothing changes has no such distance.
    """

    record: TargetRecord
    encoder: TimedEncoder
    apart: Apart
    moves: bool = False
    verb: Verb = "answer"

    def check(self, reference: Output) -> None:
        """Refuse, before any mask is paid for, an answer that is no such medium, cannot be read, or does not move."""
        [track] = self.encoder.tracks([_medium(reference, self.encoder.kind)])
        if self.moves and temporal_change(track) <= 0:
            raise DataError(
                f"target={self.record.name!r} compares with how much the reference changes from moment to moment, and "
                "in this one nothing does. Use target='in-time' or 'optimal-transport'."
            )

    def effects(self, outputs: Sequence[Output], references: Sequence[Output]) -> Floats:
        """Mean over references of minus the distance, shape ``(n,)``."""
        return self.against(outputs, references).mean(axis=1)

    def against(self, outputs: Sequence[Output], references: Sequence[Output]) -> Numbers:
        """Minus each distance, shape ``(n, references)``; equal outputs are compared once."""
        order: dict[Sound | Video | None, int] = {}
        kind = self.encoder.kind
        media = [None if output.medium is None else _medium(output, kind) for output in outputs]
        back = [order.setdefault(medium, len(order)) for medium in media]
        given = self._tracks(list(order))
        wanted = self.encoder.tracks([_medium(reference, kind) for reference in references])
        return -np.column_stack([self.apart(given, one) for one in wanted])[back]

    def _tracks(self, media: Sequence[Sound | Video | None]) -> list[Track]:
        found = iter(self.encoder.tracks([medium for medium in media if medium is not None]))
        return [Track(self.encoder.nothing()[None], STRETCH) if medium is None else next(found) for medium in media]


def _medium(output: Output, kind: Kind) -> Sound | Video:
    medium = output.sound if kind == "sound" else output.frames
    if medium is None:
        said = f" It said: {output.text[:100]!r}." if output.text.strip() else ""
        raise DataError(
            f"The model answered with no {NOUNS[kind]}, so there is none to compare with.{said} Use a model that makes "
            f"one, or a target for what it answers with."
        )
    return medium


def in_time(encoder: TimedEncoder) -> Apart:
    """The mean over time of the distance between points of the same moment; past its end a track is silent, or black.

    Sounds are compared in stretches of `STRETCH` seconds (the mean point of each), videos by the frames shown at the
    middle of each frame of the quicker one. No alignment: what comes later is somewhere else.
    """

    def apart(given: Sequence[Track], one: Track) -> Numbers:
        return np.array([_in_time(each, one, encoder) for each in given], dtype=np.float64)

    return apart


def _in_time(a: Track, b: Track, encoder: TimedEncoder) -> float:
    ends = edges([a, b], STRETCH if encoder.kind == "sound" else min(a.step, b.step))
    left, right = (in_intervals(track, ends, encoder.nothing()) for track in (a, b))
    return float(np.linalg.norm(left - right, axis=1).mean())


def temporal_change(track: Track) -> float:
    """How much changes in a second: ``1 / (t - 1) sum_k |x_(k+1) - x_k| / step``, in the encoder's unit a second.

    x_k are the points of consecutive frames (or stretches of sound). 0 for a still picture; flicker and jerks raise it.
    One point has nothing to change to: 0.
    """
    if len(track.points) < 2:
        return 0.0
    return float(np.linalg.norm(np.diff(track.points, axis=0), axis=1).mean() / track.step)


def inconsistency(given: Sequence[Track], one: Track) -> Numbers:
    """Temporal consistency with the reference, as a distance: ``|C(out) - C(ref)| / C(ref)``, shape ``(n,)``.

    C is `temporal_change`. 0 where the output changes from frame to frame as much as the reference does; 1 where it
    stands still, or changes twice as much.
    """
    own = temporal_change(one)
    return np.array([abs(temporal_change(each) - own) / own for each in given], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class TemporalConsistency:
    """A score of an output by itself, to be used as ``target=TemporalConsistency()``: minus its change in a second.

    Higher is steadier: 0 is a still picture. A positive attribution then means: keeping the unit makes the output
    steadier, whatever the reference was. With ``encoder`` the change is measured as that encoder sees frames.
    """

    encoder: object = "auto"
    kind: Kind = "frames"

    def __call__(self, output: Output) -> float:
        """Minus `temporal_change`, in the encoder's unit a second.

        Raises:
            DataError: if the output is no such medium.
        """
        [track] = load_timed_encoder(self.kind, self.encoder).tracks([_medium(output, self.kind)])
        return -temporal_change(track)


def _sets(distance: Callable[[Sequence[Vectors], Vectors], Numbers]) -> Apart:
    return lambda given, one: distance([each.points for each in given], one.points)


def _pooled(distance: Callable[[Vectors, Numbers], Numbers]) -> Apart:
    return lambda given, one: distance(np.array([each.points.mean(axis=0) for each in given]), one.points.mean(axis=0))


_SETS: Mapping[str, tuple[str, Apart]] = {
    "optimal-transport": ("exact optimal transport", _sets(distances.optimal_transport)),
    "sinkhorn": ("Sinkhorn divergence", _sets(distances.sinkhorn)),
    "energy": ("energy distance", _sets(distances.energy)),
}
_POOLED: Mapping[str, tuple[str, Apart]] = {
    "cosine": ("cosine distance", _pooled(distances.cosine)),
    "euclidean": ("Euclidean distance", _pooled(distances.euclidean)),
}
TIMED_TARGETS = (*_SETS, *_POOLED, "in-time", "consistency")
"""Names of targets for sounds and videos."""


@typed()
def load_timed_target(name: str = "auto", *, kind: Kind, encoder: object = "auto") -> Target:
    """The target of that name for sounds or videos; ``auto`` is exact optimal transport between sets of points.

    Args:
        name: ``auto``, or one of `TIMED_TARGETS`.
        kind: what the model answers with.
        encoder: what `load_timed_encoder` takes.

    Raises:
        UnknownNameError: if there is no such target.
        UsageError: if the encoder is for something else.
    """
    if kind not in NOUNS:
        raise UnknownNameError("kind", kind, NOUNS)
    name = "optimal-transport" if name == "auto" else name
    if name not in TIMED_TARGETS:
        raise UnknownNameError(f"target for {NOUNS[kind]}s", name, [*TIMED_TARGETS, "auto"])
    opened = load_timed_encoder(kind, encoder)
    points = "frames" if kind == "frames" else "stretches of 32 ms" if opened.name == "log-mel" else "points"
    if name in _SETS:
        title, apart = _SETS[name]
        unit = f"{opened.unit}; {title} between sets of {points}, as {opened.name}"
    elif name in _POOLED:
        title, apart = _POOLED[name]
        unit = f"{'1 - cosine (0 to 2)' if name == 'cosine' else opened.unit}; of mean points, as {opened.name}"
    elif name == "in-time":
        title, apart = "mean distance at the same moment", in_time(opened)
        unit = f"{opened.unit}; {title}, as {opened.name}"
    else:
        title, apart = "temporal consistency", inconsistency
        unit = f"share of the reference's change in a second, as {opened.name}"
    return Timed(TargetRecord(name=name, distance=title, unit=unit), opened, apart, moves=name == "consistency")
