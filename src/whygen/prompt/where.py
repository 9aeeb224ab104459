"""Where a unit changes the picture: a map for each unit, and the pictures that belong to an explanation.

The regression is that of `whygen.prompt.changes`; what falls under zero is zero.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from whygen.media import pictures
from whygen.prompt.changes import Pairs, squared_changes
from whygen.prompt.edits import EditUnits, RegionUnits
from whygen.prompt.units import Units
from whygen.results.media import PictureEvidence
from whygen.types import Masks, Output, Picture

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
