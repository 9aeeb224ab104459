"""When a unit changes a sound or a video: a timeline for each unit, and the media that belong to an explanation.

The regression is that of `whygen.prompt.changes`; what falls under zero is zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from whygen.encoders import TimedEncoder, Track
from whygen.encoders.protocols import edges, in_intervals
from whygen.prompt.changes import Pairs, squared_changes
from whygen.results.media import MediaEvidence, Timeline
from whygen.types import Masks, Output, Sound, Video

MOST_INTERVALS = 48
WIDTH = 0.05
"""Seconds of the shortest interval of a sound."""

Numbers: TypeAlias = NDArray[np.float64]


def changes(masks: Masks, points: Numbers, *, pairs: Pairs | None = None, exhaustive: bool = False) -> Numbers | None:
    """How far the point of each interval moves with each unit.

    Args:
        masks: shape ``(m, n)``.
        points: the point of each interval for each mask, shape ``(m, k, d)``.
        pairs: the complement pairs, if the design has them.
        exhaustive: whether these are all masks, and the model does not differ: then nothing is chance.

    Returns:
        Euclidean length with the variance of chance taken away, shape ``(n, k)``; None where there are not more rows
        than unknowns.
    """
    squares = squared_changes(masks, points.reshape(len(points), -1), pairs=pairs, exhaustive=exhaustive)
    if squares is None:
        return None
    return np.sqrt(np.maximum(squares.reshape(-1, *points.shape[1:]).sum(axis=-1), 0.0))


def media_evidence(
    outputs: Sequence[Output],
    *,
    encoder: TimedEncoder | None,
    masks: Masks,
    answers: Sequence[Sequence[Output]],
    pairs: Pairs | None,
    exhaustive: bool,
) -> MediaEvidence | None:
    """The sounds or videos of an explanation; None when no output is one.

    Args:
        outputs: of each sample, in order.
        encoder: what the timeline is made with; None where there is none to be.
        masks: shape ``(m, n)``.
        answers: outputs of each mask.
        pairs: the complement pairs among the masks.
        exhaustive: see `changes`.
    """
    order: dict[Sound | Video, int] = {}
    places = tuple(
        order.setdefault(output.medium, len(order)) if isinstance(output.medium, Sound | Video) else None
        for output in outputs
    )
    if not order:
        return None
    line = None if encoder is None else _timeline(encoder, masks, answers, pairs, exhaustive=exhaustive)
    return MediaEvidence(files=tuple(order), samples=places, timeline=line)


def _timeline(
    encoder: TimedEncoder,
    masks: Masks,
    answers: Sequence[Sequence[Output]],
    pairs: Pairs | None,
    *,
    exhaustive: bool,
) -> Timeline | None:
    """None if a mask has no answer of the kind that the encoder takes, or there are too few masks."""
    given = [[medium for output in each if (medium := _of_kind(output, encoder)) is not None] for each in answers]
    if not given or not all(given):
        return None
    tracks = [encoder.tracks(each) for each in given]
    flat = [track for each in tracks for track in each]
    width = WIDTH if encoder.kind == "sound" else min(track.step for track in flat)
    ends = edges(flat, width, most=MOST_INTERVALS)
    points = np.stack([_mean(each, ends, encoder) for each in tracks])
    values = changes(masks, points, pairs=pairs, exhaustive=exhaustive)
    if values is None:
        return None
    return Timeline(values=values, edges=ends, kind=encoder.kind, unit=encoder.unit, encoder=encoder.name)


def _of_kind(output: Output, encoder: TimedEncoder) -> Sound | Video | None:
    return output.sound if encoder.kind == "sound" else output.frames


def _mean(tracks: Sequence[Track], ends: Numbers, encoder: TimedEncoder) -> Numbers:
    """The mean over draws of the points in intervals, shape ``(k, d)``."""
    return np.mean([in_intervals(track, ends, encoder.nothing()) for track in tracks], axis=0)
