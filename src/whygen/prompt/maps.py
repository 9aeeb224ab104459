"""Where a unit changes a picture, and when it changes a sound or a video: maps and timelines, and the media themselves.

With the other units kept or taken away at random, what unit i changes is the coefficient of z_i in a linear regression
of the outputs on the masks: on a balanced design the mean with the unit less the mean without it. Within complement
pairs the differences are regressed, which cancels interactions of two units. The square of a coefficient is too large
by its own variance, which the residuals give: repeated draws, interactions and the chance of the masks are all in it.
What falls under zero is zero.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from whygen.encoders import TimedEncoder, Track
from whygen.encoders.protocols import edges, in_intervals
from whygen.errors import DataError
from whygen.media import pictures
from whygen.prompt.edits import EditUnits, RegionUnits
from whygen.prompt.units import Units
from whygen.results.media import MediaEvidence, PictureEvidence, Timeline
from whygen.types import Edit, Masks, Output, Picture, Request, Sound, Video

MOST_SIDE = 256
"""Pixels along the longer side of a map: 64 pictures then take 50 MB."""


def change_maps(
    masks: Masks, drawn: NDArray[np.float32], *, pairs: Pairs | None = None, exhaustive: bool = False
) -> NDArray[np.float32] | None:
    """How much each pixel changes with each unit.

    Args:
        masks: shape ``(m, n)``.
        drawn: the picture of each mask, between 0 and 1, shape ``(m, rows, columns, 3)``.
        pairs: the complement pairs, if the design has them.
        exhaustive: whether these are all masks, and the model does not differ: then nothing is chance.

    Returns:
        Root mean square over the colours with the variance of chance taken away, shape ``(n, rows, columns)``; None
        where there are not more rows than unknowns.
    """
    squares = squared_changes(masks, drawn.reshape(len(drawn), -1), pairs=pairs, exhaustive=exhaustive)
    if squares is None:
        return None
    means = squares.reshape(-1, *drawn.shape[1:]).mean(axis=-1)
    return np.sqrt(np.maximum(means, 0.0)).astype(np.float32)


def picture_evidence(
    units: Units,
    outputs: Sequence[Output],
    *,
    masks: Masks,
    answers: Sequence[Sequence[Output]],
    pairs: Pairs | None,
    exhaustive: bool,
) -> PictureEvidence | None:
    """The pictures of an explanation; None when no output is one.

    Args:
        units: what was explained.
        outputs: of each sample, in order.
        masks: shape ``(m, n)``.
        answers: outputs of each mask.
        pairs: the complement pairs among the masks.
        exhaustive: see `change_maps`.
    """
    if all(output.picture is None for output in outputs):
        return None
    order: dict[Picture, int] = {}
    image = _image(units)
    given = None if image is None else order.setdefault(image, 0)
    places = tuple(None if o.picture is None else order.setdefault(o.picture, len(order)) for o in outputs)
    drawn = _drawn(answers)
    return PictureEvidence(
        files=tuple(order),
        given=given,
        samples=places,
        changes=None if drawn is None else change_maps(masks, drawn, pairs=pairs, exhaustive=exhaustive),
        regions=units.labels.astype(np.int32) if isinstance(units, RegionUnits) else None,
    )


def _image(units: Units) -> Picture | None:
    if not isinstance(units, EditUnits | RegionUnits):
        return None
    image = units.prompt.image
    return image if isinstance(image, Picture) else None


def _drawn(answers: Sequence[Sequence[Output]]) -> NDArray[np.float32] | None:
    """The mean picture of each mask, ``(m, rows, columns, 3)``; None if one has none."""
    found = [[output.picture for output in each if output.picture is not None] for each in answers]
    if not found or not all(found):
        return None
    width, height = pictures.size(found[0][0])
    shrink = min(1.0, MOST_SIDE / max(width, height))
    width, height = max(1, round(width * shrink)), max(1, round(height * shrink))
    known: dict[Picture, pictures.Pixels] = {}
    drawn = np.empty((len(found), height, width, 3), dtype=np.float32)
    for row, each in enumerate(found):
        for picture in each:
            if picture not in known:
                known[picture] = pictures.resized(pictures.pixels(picture), width=width, height=height)
        drawn[row] = np.mean([known[picture] for picture in each], axis=0) / 255.0
    return drawn


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


Pairs: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Rows of masks and of their complements, each ``(pairs,)``."""


def squared_changes(
    masks: Masks, outputs: NDArray[Any], *, pairs: Pairs | None = None, exhaustive: bool = False
) -> NDArray[Any] | None:
    """Squares of what each unit changes in each coordinate, with the variance of chance subtracted.

    Args:
        masks: shape ``(m, n)``.
        outputs: the output of each mask, shape ``(m, d)``, float32 or float64.
        pairs: the complement pairs, if the design has them.
        exhaustive: whether these are all masks, and the model does not differ: then nothing is chance.

    Returns:
        Shape ``(n, d)``, of the outputs' type, unbiased and so under zero at times; None where there are not more rows
        than unknowns.
    """
    if pairs is None:
        x, y = np.hstack([masks.astype(np.float64), np.ones((len(masks), 1))]), outputs
    else:
        first, second = pairs
        x, y = np.where(masks[first], 1.0, -1.0), outputs[first] - outputs[second]
    n, freedom = masks.shape[1], len(x) - x.shape[1]
    if freedom < 1 or np.linalg.matrix_rank(x) < x.shape[1]:
        return None
    inverse = np.linalg.pinv(x).astype(outputs.dtype)
    found = inverse @ y
    squares = found[:n] ** 2
    if not exhaustive:
        residual = ((y - x.astype(outputs.dtype) @ found) ** 2).sum(axis=0) / freedom
        squares -= (inverse[:n] ** 2).sum(axis=1)[:, None] * residual
    return squares


ROUNDED = 64
"""Pixels by which a side may differ: pipelines round sizes to multiples of up to 64."""

SQUASHED = 0.05
"""The share by which width over height may differ before a picture counts as squashed."""


def _asked_size(request: Request) -> tuple[int, int] | None:
    """Width and height that the settings ask for, if they do."""
    extra = request.settings.extra
    size = extra.get("size")
    found = re.fullmatch(r"(\d{1,5})\s*[x×]\s*(\d{1,5})", size.strip()) if isinstance(size, str) else None
    width, height = (found[1], found[2]) if found else (extra.get("width"), extra.get("height"))
    sides = [int(each) for each in (width, height) if isinstance(each, int | str) and str(each).isdigit()]
    return (sides[0], sides[1]) if len(sides) == 2 and all(sides) else None


def size_notices(uri: str, request: Request, drawn: Picture) -> list[tuple[str, str]]:
    """Whether a model drew in another size than was asked for, or else than the size of the picture that it was given.

    Args:
        uri: the model's.
        request: the whole prompt, with the settings that it was asked with.
        drawn: what it answered.
    """
    wanted = _asked_size(request)
    try:
        image = request.prompt.image if isinstance(request.prompt, Edit) else None
        size = pictures.size(image) if wanted is None and isinstance(image, Picture) else wanted
        if size is None:
            return []
        (width, height), (new_width, new_height) = size, pictures.size(drawn)
    except DataError:  # what cannot be opened is said elsewhere
        return []
    is_squashed = abs(new_width * height / (new_height * width) - 1) > SQUASHED
    is_rounded = max(abs(width - new_width), abs(height - new_height)) < ROUNDED and 0.5 < new_width / width < 2
    if is_rounded and not is_squashed:
        return []
    how = ", in other proportions" if is_squashed else ""
    drew = f"{uri} drew {new_width} x {new_height}{how}"
    text = (
        f"The picture has {width} x {height} pixels, and {drew}. Give the picture in a size that it draws, or ask "
        "for a size (--size WxH, the setting 'size') if it takes one."
        if wanted is None
        else f"A size of {width} x {height} was asked for, and {drew}. Ask for a size that it draws."
    )
    return [("other-size", text)]
