"""Targets of pictures, sounds and videos: ``f(z) = -D(out(z), reference)`` in the distance's own unit (METHODS A5).

Transport and energy between sets of points forget place and time, and so do cosine and Euclidean distance of mean
points; ``in-time`` compares moment by moment, and ``consistency`` how much changes from frame to frame.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from whygen import distances
from whygen._arguments import typed
from whygen.encoders import ImageEncoder, TimedEncoder, Track, load_image_encoder, load_timed_encoder
from whygen.encoders.protocols import edges, in_intervals
from whygen.errors import DataError, UnknownNameError, UsageError
from whygen.media import pictures
from whygen.prompt import gsmile
from whygen.prompt.targets.protocol import Target, Verb
from whygen.results.prompt import TargetRecord
from whygen.types import Floats, Output, Picture, Sound, Vectors, Video

Kind: TypeAlias = Literal["sound", "frames"]
Apart: TypeAlias = Callable[[Sequence[Track], Track], Floats]
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

    def against(self, outputs: Sequence[Output], references: Sequence[Output]) -> Floats:
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

    def apart(given: Sequence[Track], one: Track) -> Floats:
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


def inconsistency(given: Sequence[Track], one: Track) -> Floats:
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


def _sets(distance: Callable[[Sequence[Vectors], Vectors], Floats]) -> Apart:
    return lambda given, one: distance([each.points for each in given], one.points)


def _pooled(distance: Callable[[Vectors, Floats], Floats]) -> Apart:
    return lambda given, one: distance(np.array([each.points.mean(axis=0) for each in given]), one.points.mean(axis=0))


_TIMED_SETS: Mapping[str, tuple[str, Apart]] = {
    "optimal-transport": ("exact optimal transport", _sets(distances.optimal_transport)),
    "sinkhorn": ("Sinkhorn divergence", _sets(distances.sinkhorn)),
    "energy": ("energy distance", _sets(distances.energy)),
}
_TIMED_POOLED: Mapping[str, tuple[str, Apart]] = {
    "cosine": ("cosine distance", _pooled(distances.cosine)),
    "euclidean": ("Euclidean distance", _pooled(distances.euclidean)),
}
TIMED_TARGETS = (*_TIMED_SETS, *_TIMED_POOLED, "in-time", "consistency")
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
    if name in _TIMED_SETS:
        title, apart = _TIMED_SETS[name]
        unit = f"{opened.unit}; {title} between sets of {points}, as {opened.name}"
    elif name in _TIMED_POOLED:
        title, apart = _TIMED_POOLED[name]
        unit = f"{'1 - cosine (0 to 2)' if name == 'cosine' else opened.unit}; of mean points, as {opened.name}"
    elif name == "in-time":
        title, apart = "mean distance at the same moment", in_time(opened)
        unit = f"{opened.unit}; {title}, as {opened.name}"
    else:
        title, apart = "temporal consistency", inconsistency
        unit = f"share of the reference's change in a second, as {opened.name}"
    return Timed(TargetRecord(name=name, distance=title, unit=unit), opened, apart, moves=name == "consistency")


@dataclass(frozen=True, slots=True)
class Pictured:
    """A distance between pictures. A refusal without a picture counts as a black one.

    Attributes:
        record: what is measured.
        apart: distances of pictures to one, ``(n,)``.
    """

    record: TargetRecord
    apart: Callable[[Sequence[Picture], Picture], Floats]
    verb: Verb = "answer"

    def check(self, reference: Output) -> None:
        """Refuse an answer without a picture before any mask is paid for."""
        _drawn(reference)

    def effects(self, outputs: Sequence[Output], references: Sequence[Output]) -> Floats:
        return self.against(outputs, references).mean(axis=1)

    def against(self, outputs: Sequence[Output], references: Sequence[Output]) -> Floats:
        wanted = [_drawn(reference) for reference in references]
        black = _black(wanted[0])
        order: dict[Picture, int] = {}
        given = [black if output.picture is None else output.picture for output in outputs]
        back = [order.setdefault(picture, len(order)) for picture in given]
        return -np.column_stack([self.apart(list(order), reference) for reference in wanted])[back]


def _drawn(reference: Output) -> Picture:
    if reference.picture is None:
        said = f" It said: {reference.text[:100]!r}." if reference.text.strip() else ""
        raise DataError(
            f"The model drew no picture for the whole prompt, so there is none to compare with.{said} Use a model that "
            "draws, or a target for texts."
        )
    return reference.picture


def _black(like: Picture) -> Picture:
    width, height = pictures.size(like)
    return pictures.picture_of(np.zeros((height, width, 3), dtype=np.uint8))


def sets_apart(
    encoder: ImageEncoder, distance: distances.SetDistance
) -> Callable[[Sequence[Picture], Picture], Floats]:
    """A distance between the sets of patches of pictures."""
    return lambda given, one: distance(encoder.patches(given), encoder.patches([one])[0])


def pooled_apart(
    encoder: ImageEncoder, distance: distances.VectorDistance
) -> Callable[[Sequence[Picture], Picture], Floats]:
    """A distance between one vector a picture."""
    return lambda given, one: distance(encoder.images(given), encoder.images([one])[0])


def pixels_apart(given: Sequence[Picture], one: Picture) -> Floats:
    """Root of the mean squared difference of pixels, 0 to 1, shape ``(n,)``, in the size of the reference."""
    reference = pictures.pixels(one)
    height, width = reference.shape[:2]
    values = [pictures.resized(pictures.pixels(each), width=width, height=height) for each in given]
    return np.array([_root_mean_square(each, reference) for each in values])


def _root_mean_square(a: pictures.Pixels, b: pictures.Pixels) -> float:
    return float(np.sqrt(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2)) / 255.0)


def coordinates_apart(encoder: ImageEncoder) -> Callable[[Sequence[Picture], Picture], Floats]:
    """The published distance: 1-D Wasserstein between the coordinate values of two mean-pooled vectors (METHODS A6)."""

    def apart(given: Sequence[Picture], one: Picture) -> Floats:
        reference: Vectors = encoder.means([one])[0]
        return np.array([gsmile.coordinate_wasserstein(row, reference) for row in encoder.means(given)])

    return apart


_PICTURE_SETS: Mapping[str, tuple[str, distances.SetDistance]] = {
    "optimal-transport": ("exact optimal transport", distances.optimal_transport),
    "sinkhorn": ("Sinkhorn divergence", distances.sinkhorn),
    "energy": ("energy distance", distances.energy),
}
_PICTURE_POOLED: Mapping[str, tuple[str, distances.VectorDistance]] = {
    "cosine": ("cosine distance", distances.cosine),
    "euclidean": ("Euclidean distance", distances.euclidean),
}
PICTURE_TARGETS = (*_PICTURE_SETS, *_PICTURE_POOLED, "pixel", "coordinate-wasserstein")
"""Names of targets for pictures."""


@typed()
def load_picture_target(name: str = "auto", *, encoder: str | ImageEncoder = "auto") -> Target:
    """The target for pictures of that name; ``auto`` is exact optimal transport between sets of patches.

    Args:
        name: ``auto``, or one of `PICTURE_TARGETS`.
        encoder: ``auto`` (dinov2 if its weights are on this machine, else ``patches``), what `load_image_encoder`
            takes, or an open encoder.

    Raises:
        UnknownNameError: if there is no such target.
        UsageError: if an encoder is named for a target that uses none, or one of texts is given.
        MissingError: if the encoder is not there.
    """
    name = "optimal-transport" if name == "auto" else name
    if name not in PICTURE_TARGETS:
        raise UnknownNameError("target for pictures", name, [*PICTURE_TARGETS, "auto"])
    if name == "pixel":
        if encoder != "auto":
            raise UsageError(
                f"encoder={encoder!r} is given, but target='pixel' uses none. Leave it out, or use 'cosine'."
            )
        record = TargetRecord(name=name, distance="root mean square of pixels", unit="share of full scale (0 to 1)")
        return Pictured(record, pixels_apart)
    opened = load_image_encoder(encoder) if isinstance(encoder, str) else encoder
    if not isinstance(opened, ImageEncoder):  # pyright: ignore[reportUnnecessaryIsInstance] - user code
        raise UsageError(f"encoder is a {type(opened).__name__}, which sees no pictures. Use 'patches' or 'dinov2'.")
    return _encoded(name, opened)


def _encoded(name: str, encoder: ImageEncoder) -> Target:
    if name in _PICTURE_SETS:
        title, sets = _PICTURE_SETS[name]
        unit = f"{title} between sets of patches, as {encoder.name} sees them"
        return Pictured(TargetRecord(name=name, distance=title, unit=unit), sets_apart(encoder, sets))
    if name in _PICTURE_POOLED:
        title, pooled = _PICTURE_POOLED[name]
        unit = f"{title} of pictures, as {encoder.name} sees them"
        return Pictured(TargetRecord(name=name, distance=title, unit=unit), pooled_apart(encoder, pooled))
    title = "1-D Wasserstein over the coordinates of the mean token, as published"
    unit = f"that distance, in the numbers of {encoder.name}"
    return Pictured(TargetRecord(name=name, distance=title, unit=unit), coordinates_apart(encoder))
