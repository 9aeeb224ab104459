"""The pictures of a report: what was given and drawn, where each unit changed it, and outputs with and without it.

Every picture stands in the page once and is shown by reference. Files are decoded and written anew, small: nothing that
a model drew gets into a page as it came.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from whygen.errors import DataError
from whygen.media import pictures
from whygen.report.texts import number, shorten, visible
from whygen.results.evidence import Evidence
from whygen.results.media import PictureEvidence
from whygen.results.prompt import PromptExplanation
from whygen.results.summary.passages import MOST_ROWS
from whygen.types import Picture

MOST_SIDE = 256
"""Pixels along the longer side of a picture in the page."""
LARGE = 64 * 2**10
"""Bytes of PNG above which a photograph is written as JPEG."""
MOST_LAYER = 96
"""Pixels along the longer side of a layer that shows what was painted over."""
EXTREMES = 4
LARGE_SIDE = 640
"""Pixels along the longer side of what was given, and of the reference: they are looked at enlarged."""
ALIKE = 0.01
COMPARED = 48
"""Pixels a side, at which pictures are compared to tell whether anybody could see a difference."""
CROP = 72
"""Pixels along the longer side of a region that is cut out."""
TINT, OUTLINE = 110, 70
FAINTEST = 0.15
"""A unit that changes no place by this share of the largest change has no colour in the picture of all units."""
HUES = ((230, 85, 13), (0, 114, 178), (0, 158, 115), (204, 121, 167), (230, 179, 0), (86, 180, 233), (120, 70, 160),
        (110, 110, 110))  # fmt: skip
"""Colours that people who see few of them can tell apart (Okabe and Ito 2008), and two more."""
EXAMPLES = 4
SCANNED = 48
"""Outputs of one side of a unit that are looked through for some that differ."""
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
    small: dict[int, NDArray[np.float64] | None] = field(default_factory=dict[int, "NDArray[np.float64] | None"])

    def take(self, place: int | None, *, side: int = MOST_SIDE) -> int | None:
        """The place itself if the picture can be shown; it is then in the page, at most so many pixels long."""
        if place is None:
            return None
        if place not in self.kept:
            values = self.pixels(place)
            if values is None:
                return None
            self.kept[place] = _shown(values, side)
        return place

    def pixels(self, place: int) -> pictures.Pixels | None:
        """A picture; None where it cannot be read."""
        try:
            return pictures.pixels(self.evidence.files[place])
        except DataError:
            return None

    def alike(self, one: int, other: int) -> bool:
        """Whether nobody could tell two pictures apart: they differ by less than a percent of full scale on average."""
        first, second = self._thumbnail(one), self._thumbnail(other)
        return first is not None and second is not None and float(np.abs(first - second).mean()) < ALIKE

    def _thumbnail(self, place: int) -> NDArray[np.float64] | None:
        if place not in self.small:
            values = self.pixels(place)
            shrunk = None if values is None else pictures.resized(values[..., :3], width=COMPARED, height=COMPARED)
            self.small[place] = None if shrunk is None else shrunk.astype(np.float64) / 255.0
        return self.small[place]


def summarise_pictures(explanation: PromptExplanation, *, decimals: int) -> dict[str, Any] | None:
    """Everything that the page shows as pictures; None where there are none."""
    evidence = explanation.evidence
    if evidence is None or evidence.pictures is None or all(place is None for place in evidence.pictures.samples):
        return None
    drawn, shelf = evidence.pictures, Shelf(evidence.pictures)
    reference = next((drawn.samples[i] for i, s in enumerate(evidence.samples) if s.kind == "reference"), None)
    base = drawn.given if drawn.regions is not None else reference
    given, drawing = shelf.take(drawn.given, side=LARGE_SIDE), shelf.take(reference, side=LARGE_SIDE)
    least, most = _extremes(evidence, shelf, decimals)
    found = {
        "input": given,
        "reference": drawing,
        "slides": given is not None and drawing is not None and not shelf.alike(given, drawing),
        "least": least,
        "most": most,
        "regions": _regions(explanation, drawn),
        "crops": _crops(explanation, shelf),
        "every": _every(explanation, drawn),
        "first": _strongest(explanation),
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
        "base": shelf.take(seen.given, side=LARGE_SIDE),
        "regions": _regions(explanation, seen),
        "crops": _crops(explanation, shelf),
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


def picture_url(picture: Picture) -> str | None:
    """A picture by itself, small, as a data URL; None where it cannot be read."""
    try:
        return str(_shown(pictures.pixels(picture), MOST_SIDE)["url"])
    except DataError:
        return None


def _shown(values: pictures.Pixels, side: int) -> dict[str, Any]:
    height, width = values.shape[:2]
    shrink = min(1.0, side / max(width, height))
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


def _extremes(evidence: Evidence, shelf: Shelf, decimals: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Masked outputs nearest to the reference, and farthest from it: of pictures that differ, none stands in both."""
    rows = sorted(
        (-sample.effect, index)
        for index, sample in enumerate(evidence.samples)
        if sample.kind == "mask" and sample.effect is not None
    )
    order = [index for _, index in rows]
    least, most = (_apart(shelf, each, most=2 * EXTREMES) for each in (order, order[::-1]))
    if len(least) < 2 * EXTREMES:  # these are all that differ: half of them to each side
        half = (len(least) + 1) // 2
        least, most = least[:half], least[half:][::-1]
    near, far = ([_example(evidence, shelf, *pair, decimals) for pair in side[:EXTREMES]] for side in (least, most))
    return near, far


def _apart(shelf: Shelf, order: Sequence[int], *, most: int) -> list[tuple[int, int]]:
    """The first samples whose pictures can be told apart, each with how many look like it."""
    chosen: dict[int, list[int]] = {}
    for index in order:
        place = shelf.evidence.samples[index]
        if place is None:
            continue
        like = next((other for other in chosen if place == other or shelf.alike(place, other)), None)
        if like is not None:
            chosen[like][1] += 1
        elif len(chosen) < most:
            chosen[place] = [index, 1]
    return [(index, number) for index, number in chosen.values()]


def _example(evidence: Evidence, shelf: Shelf, index: int, alike: int, decimals: int) -> dict[str, Any]:
    sample = evidence.samples[index]
    return {
        "picture": shelf.take(shelf.evidence.samples[index]),
        "text": shorten(sample.prompt, 120) if sample.prompt.strip() else "(nothing)",
        "effect_text": number(sample.effect, decimals),
        "refused": sample.finish == "refused",
        "mask": sample.mask,
        "alike": alike,
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
    """Outputs with or without a unit that can be told apart: of prompts that kept most of the other units."""
    masks = evidence.masks
    rows = [
        (-int(masks[sample.mask].sum()), index)
        for index, sample in enumerate(evidence.samples)
        if sample.kind == "mask" and sample.mask is not None and bool(masks[sample.mask, unit]) is kept
    ]
    nearest = [index for _, index in sorted(rows) if shelf.evidence.samples[index] is not None]
    found = _apart(shelf, nearest[:SCANNED], most=EXAMPLES)
    return [_example(evidence, shelf, index, alike, decimals) for index, alike in found]


def _strongest(explanation: PromptExplanation) -> int:
    """The unit whose outputs are open at first: the strongest of those that are shown."""
    shown = explanation.units[:MOST_UNITS]
    return max(range(len(shown)), key=lambda i: abs(shown[i].attribution), default=0)


def _every(explanation: PromptExplanation, drawn: PictureEvidence) -> dict[str, Any] | None:
    """All units in one picture: each place in the colour of the unit that changes it most; None where none does."""
    changes = drawn.changes
    if changes is None or drawn.regions is not None or float(changes.max(initial=0.0)) <= 0.0:
        return None
    peaks = changes.reshape(len(changes), -1).max(axis=1)
    by_size: list[int] = np.argsort(-peaks, kind="stable").tolist()
    order = [i for i in by_size if peaks[i] >= FAINTEST * peaks.max()]
    chosen = order[: len(HUES)]
    if len(chosen) < 2:
        return None
    owner = changes[chosen].argmax(axis=0)
    share = np.asarray(np.clip(changes[chosen].max(axis=0) / peaks.max(), 0.0, 1.0), dtype=np.float64)
    layer = np.empty((*share.shape, 4), dtype=np.uint8)
    layer[..., :3] = np.array(HUES, dtype=np.uint8)[owner]
    layer[..., 3] = np.round(225 * share**0.7).astype(np.uint8)
    legend = [
        {"text": shorten(explanation.units[unit].text, 40), "colour": "#{:02x}{:02x}{:02x}".format(*hue)}
        for unit, hue in zip(chosen, HUES, strict=False)
    ]
    return {"heat": _url(Image.fromarray(layer)), "legend": legend, "more": len(order) - len(chosen)}


def _heat(share: NDArray[np.float32]) -> str:
    """A map between 0 and 1 as a picture that is clear at 0."""
    layer = np.empty((*share.shape, 4), dtype=np.uint8)
    layer[..., :3] = HEAT
    layer[..., 3] = np.round(235 * np.clip(share, 0, 1) ** 0.7).astype(np.uint8)
    return _url(Image.fromarray(layer))


def _regions(explanation: PromptExplanation, drawn: PictureEvidence) -> dict[str, Any] | None:
    """The regions of the input in outline, lightly tinted by their attribution, with a number in each.

    What stands out has an outline of its colour; a stronger tint would hide the picture.
    """
    labels = drawn.regions
    if labels is None:
        return None
    values = np.array([unit.attribution for unit in explanation.units])
    largest = max(float(np.abs(values).max(initial=0.0)), 1e-300)
    layer = np.zeros((*labels.shape, 4), dtype=np.uint8)
    marks: list[dict[str, Any]] = []
    for place, value in enumerate(values.tolist()):
        inside = labels == place
        colour = POSITIVE if value > 0 else NEGATIVE
        layer[inside] = (*colour, round(TINT * abs(value) / largest))
        if not inside.any():
            continue
        depth = _depth(inside)
        if explanation.units[place].significant:
            layer[inside & (depth <= max(1.5, max(labels.shape) / OUTLINE))] = (*colour, 255)
        row, column = np.unravel_index(int(depth.argmax()), depth.shape)  # where most room is around it
        name = visible(explanation.units[place].text).rpartition("region ")[2].removeprefix("image ")
        marks.append({"x": float(column) + 0.5, "y": float(row) + 0.5, "text": name})
    layer[_edges(labels)] = (255, 255, 255, 230)
    return {"heat": _url(Image.fromarray(layer)), "marks": marks, "height": labels.shape[0], "width": labels.shape[1]}


def _crops(explanation: PromptExplanation, shelf: Shelf) -> list[dict[str, Any] | None] | None:
    """For each unit that is a region, what it shows, cut out of the picture with its surroundings dimmed."""
    labels, given = shelf.evidence.regions, shelf.evidence.given
    values = None if given is None or labels is None else shelf.pixels(given)
    if values is None or labels is None or values.shape[:2] != labels.shape:
        return None
    return [_crop(values[..., :3], labels == i) for i in range(len(explanation.units))]


def _crop(values: pictures.Pixels, inside: NDArray[np.bool_]) -> dict[str, Any] | None:
    if not inside.any():
        return None
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    room = max(1, round(0.1 * max(rows[-1] - rows[0], columns[-1] - columns[0])))
    window = (
        slice(max(0, int(rows[0]) - room), int(rows[-1]) + room + 1),
        slice(max(0, int(columns[0]) - room), int(columns[-1]) + room + 1),
    )
    cut, mask = values[window].astype(np.float64), inside[window]
    cut[~mask] = 0.25 * cut[~mask] + 0.75 * 235.0
    cut[_edges(mask.astype(np.int32))] = (20, 20, 20)
    shrink = CROP / max(cut.shape[:2])
    height, width = (max(1, round(side * shrink)) for side in cut.shape[:2])
    small = pictures.resized(cut.astype(np.uint8), width=width, height=height)
    return {"url": _url(Image.fromarray(small)), "width": width, "height": height, "where": _where(inside)}


def _where(inside: NDArray[np.bool_]) -> str:
    """Where in the picture a region lies, in words."""
    rows, columns = np.nonzero(inside)
    down = ("upper", "", "lower")[min(2, int(3.0 * rows.mean() / inside.shape[0]))]
    across = ("left", "", "right")[min(2, int(3.0 * columns.mean() / inside.shape[1]))]
    return " ".join(filter(None, (down, across))) or "middle"


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


def _depth(inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How far each pixel of a region is from its edge, in pixels; 0 outside of it."""
    from scipy import ndimage  # slow to import, and needed for regions alone

    distance = cast("Any", ndimage).distance_transform_edt
    return np.asarray(distance(np.pad(inside, 1)), dtype=np.float64)[1:-1, 1:-1]


def _edges(labels: NDArray[np.int32]) -> NDArray[np.bool_]:
    edges = np.zeros(labels.shape, dtype=bool)
    edges[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    edges[1:] |= labels[1:] != labels[:-1]
    return edges
