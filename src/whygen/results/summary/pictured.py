"""The pictures of a report: what was given and drawn, where each unit changed it, and outputs with and without it.

Every picture stands in the page once and is shown by reference. Files are decoded and written anew, small: nothing that
a model drew gets into a page as it came.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from whygen.errors import DataError
from whygen.media import pictures
from whygen.report.texts import number, shorten, visible
from whygen.results.media import PictureEvidence
from whygen.results.prompt import Evidence, PromptExplanation
from whygen.results.summary.passages import MOST_ROWS
from whygen.types import Picture

MOST_SIDE = 256
"""Pixels along the longer side of a picture in the page."""
LARGE = 64 * 2**10
"""Bytes of PNG above which a photograph is written as JPEG."""
MOST_LAYER = 96
"""Pixels along the longer side of a layer that shows what was painted over."""
EXTREMES = 4
EXAMPLES = 4
MOST_UNITS = 60
HEAT = (230, 60, 20)
TILE = 8
"""Squares along the longer side of a picture where a region was painted over."""
POSITIVE, NEGATIVE = (30, 100, 220), (220, 90, 20)


@dataclass(slots=True)
class Shelf:
    """The pictures of one page, each once: their data URLs and sizes, by place in the evidence."""

    evidence: PictureEvidence
    kept: dict[int, dict[str, Any]] = field(default_factory=dict[int, dict[str, Any]])

    def take(self, place: int | None) -> int | None:
        """The place itself if the picture can be shown; it is then in the page."""
        if place is None:
            return None
        if place not in self.kept:
            try:
                values = pictures.pixels(self.evidence.files[place])
            except DataError:
                return None
            self.kept[place] = _shown(values)
        return place


def summarise_pictures(explanation: PromptExplanation, *, decimals: int) -> dict[str, Any] | None:
    """Everything that the page shows as pictures; None where there are none."""
    evidence = explanation.evidence
    if evidence is None or evidence.pictures is None or all(place is None for place in evidence.pictures.samples):
        return None
    drawn, shelf = evidence.pictures, Shelf(evidence.pictures)
    reference = next((drawn.samples[i] for i, s in enumerate(evidence.samples) if s.kind == "reference"), None)
    base = drawn.given if drawn.regions is not None else reference
    found = {
        "input": shelf.take(drawn.given),
        "reference": shelf.take(reference),
        "least": _extremes(evidence, shelf, decimals, nearest=True),
        "most": _extremes(evidence, shelf, decimals, nearest=False),
        "regions": _regions(explanation, drawn),
        "hidden": {} if drawn.regions is None else _hidden(evidence, drawn.regions),
        "units": _units(explanation, evidence, shelf, decimals),
        "rows": [shelf.take(place) for place in drawn.samples],
        "base": shelf.take(base),
    }
    return {**found, "files": shelf.kept}


def summarise_seen(explanation: PromptExplanation, *, decimals: int) -> dict[str, Any] | None:
    """The pictures that went in as units, tinted by what they do; None where there are none."""
    evidence = explanation.evidence
    if evidence is None or evidence.pictures is None or explanation.chat is None:
        return None
    seen, shelf = evidence.pictures, Shelf(evidence.pictures)
    found = {
        "base": shelf.take(seen.given),
        "regions": _regions(explanation, seen),
        "share": _share(explanation, decimals),
    }
    return {**found, "files": shelf.kept}


def _share(explanation: PromptExplanation, decimals: int) -> str:
    """What the pictures do together, in a sentence; empty where nobody knows."""
    found = explanation.picture_share
    if found is None:
        return ""
    value = f"{number(found.value, decimals)} ({number(found.low, decimals)} to {number(found.high, decimals)})"
    if found.share is None or found.share_low is None or found.share_high is None:
        return f"All units of pictures together: {value}. As a share of all units this means nothing here."
    shares = [f"{100 * share:.0f}%" for share in (found.share, found.share_low, found.share_high)]
    return (
        f"{shares[0]} of what all units do to the answer hangs on the pictures ({shares[1]} to {shares[2]}): all of "
        f"their units together {value}."
    )


def size_of(explanation: PromptExplanation) -> str | None:
    """The reference picture in words; None where the answer is a text."""
    evidence = explanation.evidence
    if evidence is None or evidence.pictures is None:
        return None
    for index, sample in enumerate(evidence.samples):
        if sample.kind == "reference" and (picture := evidence.pictures.of(index)) is not None:
            return f"(a picture{_size(picture)})"
    return None


def _size(picture: Picture) -> str:
    try:
        width, height = pictures.size(picture)
    except DataError:
        return " that cannot be read"
    return f" of {width} x {height} pixels"


def _shown(values: pictures.Pixels) -> dict[str, Any]:
    height, width = values.shape[:2]
    shrink = min(1.0, MOST_SIDE / max(width, height))
    small = pictures.resized(values, width=max(1, round(width * shrink)), height=max(1, round(height * shrink)))
    return {"url": _url(Image.fromarray(small)), "width": width, "height": height, "coarse": max(width, height) <= 96}


def _url(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    kind = "png"
    if buffer.tell() > LARGE and image.mode == "RGB":
        buffer, kind = io.BytesIO(), "jpeg"
        image.save(buffer, "JPEG", quality=88)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _extremes(evidence: Evidence, shelf: Shelf, decimals: int, *, nearest: bool) -> list[dict[str, Any]]:
    """Masked outputs nearest to the reference, or farthest from it, each picture once."""
    rows = [
        (sample.effect, index)
        for index, sample in enumerate(evidence.samples)
        if sample.kind == "mask" and sample.effect is not None
    ]
    rows.sort(key=lambda row: (-row[0] if nearest else row[0], row[1]))
    chosen: dict[int | None, dict[str, Any]] = {}
    for _, index in rows:
        place = shelf.evidence.samples[index]
        if place is not None and place not in chosen and len(chosen) < EXTREMES:
            chosen[place] = _example(evidence, shelf, index, decimals)
    return list(chosen.values())


def _example(evidence: Evidence, shelf: Shelf, index: int, decimals: int) -> dict[str, Any]:
    sample = evidence.samples[index]
    return {
        "picture": shelf.take(shelf.evidence.samples[index]),
        "text": shorten(sample.prompt, 120) if sample.prompt.strip() else "(nothing)",
        "effect_text": number(sample.effect, decimals),
        "refused": sample.finish == "refused",
        "mask": sample.mask,
    }


def _units(explanation: PromptExplanation, evidence: Evidence, shelf: Shelf, decimals: int) -> list[dict[str, Any]]:
    changes = shelf.evidence.changes
    largest = 0.0 if changes is None else float(changes.max(initial=0.0))
    return [
        {
            "text": shorten(unit.text, 40),
            "heat": None if changes is None or largest <= 0 else _heat(changes[i] / largest),
            "most": None if changes is None else f"{100 * float(changes[i].max(initial=0.0)):.0f}%",
            "with": _examples(evidence, shelf, i, decimals, kept=True),
            "without": _examples(evidence, shelf, i, decimals, kept=False),
        }
        for i, unit in enumerate(explanation.units[:MOST_UNITS])
    ]


def _examples(evidence: Evidence, shelf: Shelf, unit: int, decimals: int, *, kept: bool) -> list[dict[str, Any]]:
    """Outputs with or without a unit: those whose prompt kept most of the other units."""
    masks = evidence.masks
    rows = [
        (-int(masks[sample.mask].sum()), index)
        for index, sample in enumerate(evidence.samples)
        if sample.kind == "mask" and sample.mask is not None and bool(masks[sample.mask, unit]) is kept
    ]
    chosen = [index for _, index in sorted(rows) if shelf.evidence.samples[index] is not None]
    return [_example(evidence, shelf, index, decimals) for index in chosen[:EXAMPLES]]


def _heat(share: NDArray[np.float32]) -> str:
    """A map between 0 and 1 as a picture that is clear at 0."""
    layer = np.empty((*share.shape, 4), dtype=np.uint8)
    layer[..., :3] = HEAT
    layer[..., 3] = np.round(235 * np.clip(share, 0, 1) ** 0.7).astype(np.uint8)
    return _url(Image.fromarray(layer))


def _regions(explanation: PromptExplanation, drawn: PictureEvidence) -> dict[str, Any] | None:
    """The regions of the input, tinted by their attribution, with a number in each."""
    labels = drawn.regions
    if labels is None:
        return None
    values = np.array([unit.attribution for unit in explanation.units])
    largest = max(float(np.abs(values).max(initial=0.0)), 1e-300)
    layer = np.zeros((*labels.shape, 4), dtype=np.uint8)
    marks: list[dict[str, Any]] = []
    for place, value in enumerate(values.tolist()):
        inside = labels == place
        layer[inside] = (*(POSITIVE if value > 0 else NEGATIVE), round(200 * abs(value) / largest))
        rows, columns = np.nonzero(inside)
        if len(rows):
            name = visible(explanation.units[place].text).rpartition("region ")[2].removeprefix("image ")
            marks.append({"x": float(columns.mean()) + 0.5, "y": float(rows.mean()) + 0.5, "text": name})
    layer[_edges(labels)] = (255, 255, 255, 170)
    return {"heat": _url(Image.fromarray(layer)), "marks": marks, "height": labels.shape[0], "width": labels.shape[1]}


def _hidden(evidence: Evidence, labels: NDArray[np.int32]) -> dict[int, str]:
    """For each mask that is shown, a layer over the input: squares where regions were painted over, clear elsewhere.

    The layer says where, not with what: colours of the picture itself would hide what is gone.
    """
    shrink = min(1.0, MOST_LAYER / max(labels.shape))
    rows, columns = (np.arange(max(1, round(side * shrink))) / shrink for side in labels.shape)
    small = labels[np.ix_(rows.astype(np.int64), columns.astype(np.int64))]
    down, across = np.ogrid[: small.shape[0], : small.shape[1]]
    tile = max(1, round(max(small.shape) / (2 * TILE)))
    tiles = np.where((down // tile + across // tile) % 2 == 0, 96, 160).astype(np.uint8)
    masks = [s.mask for s in evidence.samples[:MOST_ROWS] if s.mask is not None and s.mask < len(evidence.masks)]
    layers: dict[int, str] = {}
    for row in dict.fromkeys(masks):
        gone = (small >= 0) & ~evidence.masks[row][np.maximum(small, 0)]
        layers[row] = _url(Image.fromarray(np.stack([tiles, np.where(gone, 255, 0)], axis=-1).astype(np.uint8)))
    return layers


def _edges(labels: NDArray[np.int32]) -> NDArray[np.bool_]:
    edges = np.zeros(labels.shape, dtype=bool)
    edges[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    edges[1:] |= labels[1:] != labels[:-1]
    return edges
