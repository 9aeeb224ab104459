"""Anchors on a page, each with its pictures and figures: the worst first, representatives, all members of a group."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from whygen.report import anchors_svg
from whygen.report.texts import number, shorten, visible
from whygen.results.anchors import AnchorEvidence, AnchorExplanation
from whygen.results.anchors_pictures import AnchorPictures, Pixels, nearest_of, shrunk
from whygen.results.anchors_rows import UNSURE, reasons, worst_first
from whygen.results.anchors_words import meanings, percent, plain_names, returned

SIZE = 64
"""Pixels that a small picture is shown at, at least."""
LARGEST = 192
"""Pixels along the longer side above which pictures are made smaller; of members `SIZE`."""
PHOTO = 96 * 96 * 3
"""Values above which a picture is written as JPEG."""
WORST = 24
"""Anchors in the list of the worst."""
MOST_MEMBERS = 2_000
"""Members of all groups together that a page shows."""
MOST_VALUES = 16 * 2**20
"""Values that their pictures may have."""
ACROSS = 16
"""Members side by side in the one picture that holds all of a group."""


class ShownPictures:
    """Draws anchors as items of a page."""

    def __init__(self, explanation: AnchorExplanation, evidence: AnchorEvidence) -> None:
        self.explanation = explanation
        self.evidence = evidence
        # Both are worked out anew wherever they are asked for, of all anchors: once for all items of a page.
        self._values = evidence.values
        self._plain = {name: visible(words) for name, words in plain_names(explanation).items()}

    def items(
        self, rows: Sequence[int], *, parts: Sequence[str], most: int = LARGEST,
        nearest: NDArray[np.int64] | None = None,
    ) -> Iterator[dict[str, Any]]:  # fmt: skip
        """Those anchors with these pictures of each, as far as they were kept.

        Args:
            rows: which anchors.
            parts: of ``anchor``, ``returned``, ``difference`` and ``nearest``.
            most: pixels along the longer side.
            nearest: for each of them the place of the sample nearest to it; as far as it is known unless given.
        """
        found, beside = nearest_of(self.explanation), nearest
        places = np.array(rows, dtype=np.int64)
        if nearest is None and "nearest" in parts and found.rows is not None:
            beside = found.rows[places]
        names = {
            "anchor": "anchor", "returned": returned(self.explanation)[2], "difference": "difference",
            "nearest": found.words,
        }  # fmt: skip
        strips = AnchorPictures(self.explanation).strips(places, beside)
        for row, strip, why in zip(rows, strips, reasons(self.explanation, rows), strict=True):
            images = [{"name": names[part], **picture(strip[part], most)} for part in parts if part in strip]
            yield {**self.figures(row), "images": images, "why": visible(why)}

    def figures(self, row: int) -> dict[str, Any]:
        """What an anchor is called, its group, and its figures in words."""
        evidence, explanation = self.evidence, self.explanation
        group = explanation.group_names[int(evidence.codes[row])]
        flips = float(evidence.flip_rate[row])
        return {
            "index": row,
            "name": self.called(row),
            "group": group,
            "plain": self._plain[group],
            "key": anchors_svg.key(group),
            "p": self._p(row, group),
            "criteria": [number(float(value)) for value in self._values[row]],
            "values": self._said(self._values[row]),
            "flip": f"{percent(flips)}{': unsure' if flips > UNSURE else ''}",
        }

    def called(self, row: int) -> str:
        """The name of an anchor, with its label."""
        evidence = self.evidence
        label = "" if evidence.labels is None else f", label {shorten(str(evidence.labels[row]), 24)}"
        return visible(f"{shorten(evidence.names[row], 40) if evidence.names else f'anchor {row}'}{label}")

    def _said(self, values: NDArray[np.float64]) -> str:
        """Criteria in words, such as ``kld 2.1, sse 3.4``."""
        names = [visible(each.name) for each in self.explanation.criteria]
        return ", ".join(f"{name} {number(float(value))}" for name, value in zip(names, values, strict=True))

    def _p(self, row: int, group: str) -> str:
        """P-values of the tail that the verdict rests on; criteria themselves where there are none."""
        evidence, names = self.evidence, [visible(each.name) for each in self.explanation.criteria]
        found = evidence.p_high if group == "BELOW" else evidence.p_values
        if found is None:
            return self._said(self._values[row])
        return ", ".join(f"{name} p {_p(float(value))}" for name, value in zip(names, found[row], strict=True))


def worst(shown: ShownPictures) -> list[dict[str, Any]]:
    """The anchors that lie farthest above a threshold, whatever their group."""
    rows = worst_first(shown.explanation, np.flatnonzero(shown.evidence.codes != 0).astype(np.int64))
    return list(shown.items(rows[:WORST].tolist(), parts=("anchor", "returned", "difference", "nearest")))


def galleries(shown: ShownPictures) -> list[dict[str, Any]]:
    """For each group that has members: its representatives, and all of its members, the worst first.

    Members beyond `MOST_MEMBERS` of all groups together, or beyond `MOST_VALUES` of pictures, are counted alone.
    """
    explanation, evidence = shown.explanation, shown.evidence
    plain, found = plain_names(explanation), list[dict[str, Any]]()
    part = min(1.0, _most(explanation) / max(1, len(evidence.codes)))
    for code, name in explanation.group_names.items():
        rows = worst_first(explanation, np.flatnonzero(evidence.codes == code).astype(np.int64))
        if not len(rows):
            continue
        picked = list(shown.items(explanation.selected.get(name, ()), parts=("anchor", "returned", "difference")))
        some = rows[: max(1, round(part * len(rows)))]
        found.append(
            {
                "group": name, "plain": visible(plain[name]), "meaning": visible(meanings(explanation)[name]),
                "key": anchors_svg.key(name), "count": len(rows), "picked": picked,
                "members": list(shown.items(some.tolist(), parts=())), "sheet": sheet(shown, some),
                "left_out": len(rows) - len(some),
            }
        )  # fmt: skip
    return found


def _most(explanation: AnchorExplanation) -> int:
    """How many members are shown, by the size of their pictures."""
    image = None if explanation.scores is None else explanation.scores.facts.image
    if image is None:
        return MOST_MEMBERS
    height, width, channels = image
    factor = max(1, -(-max(height, width) // SIZE))
    return min(MOST_MEMBERS, MOST_VALUES // max(1, 2 * (height // factor) * (width // factor) * channels))


def sheet(shown: ShownPictures, rows: NDArray[np.int64]) -> dict[str, Any] | None:
    """One picture of many anchors, each beside what the model gave back, and where each stands in it.

    Returns:
        The picture as a data URI, its width and height, and ``cells``: of each anchor the text of a view box. None
        where no pictures were kept.
    """
    strips = [[strip[part] for part in ("anchor", "returned") if part in strip]
              for strip in AnchorPictures(shown.explanation).strips(rows)]  # fmt: skip
    if not all(strips):
        return None
    cells = [np.concatenate([_small(part) for part in strip], axis=1) for strip in strips]
    height, width, channels = (max(each.shape[axis] for each in cells) for axis in range(3))
    whole = np.zeros((-(-len(cells) // ACROSS) * height, min(ACROSS, len(cells)) * width, channels), np.uint8)
    boxes = list[str]()
    for place, cell in enumerate(cells):
        y, x = height * (place // ACROSS), width * (place % ACROSS)
        whole[y : y + cell.shape[0], x : x + cell.shape[1]] = cell
        boxes.append(f"{x} {y} {cell.shape[1]} {cell.shape[0]}")
    return {
        "png": encoded(whole, small=height < SIZE // 2), "width": whole.shape[1], "height": whole.shape[0],
        "coarse": height < SIZE, "cells": boxes,
    }  # fmt: skip


def _small(pixels: Pixels) -> Pixels:
    return shrunk(pixels[None], max(1, -(-max(pixels.shape[:2]) // SIZE)))[0]


def glance(shown: ShownPictures) -> dict[str, dict[str, Any]]:
    """For each group the first anchor that stands for it, where pictures were kept."""
    picked = {name: rows[0] for name, rows in shown.explanation.selected.items() if rows}
    items = zip(picked, shown.items(list(picked.values()), parts=("anchor", "returned")), strict=True)
    return {name: item for name, item in items if item["images"]}


def picture(pixels: Pixels, most: int = LARGEST) -> dict[str, Any]:
    """A picture ``(height, width, channels)`` as a data URI with the width it is shown at; ``coarse``: few pixels."""
    pixels = shrunk(pixels[None], max(1, -(-max(pixels.shape[:2]) // most)))[0]
    height, width = pixels.shape[:2]
    return {"png": encoded(pixels), "width": round(width * max(1.0, SIZE / height)), "coarse": height < SIZE}


def steps(picture: NDArray[np.float32]) -> Pixels:
    """A picture between 0 and 1 in 256 steps."""
    return (picture * 255).round().astype(np.uint8)


def encoded(pixels: Pixels, *, small: bool = False) -> str:
    """A picture as a data URI: PNG where it has few values, or is of ``small`` ones; else JPEG."""
    stream, kind = io.BytesIO(), "png" if small or pixels.size <= PHOTO else "jpeg"
    as_image(pixels).save(stream, kind, **({"optimize": not small} if kind == "png" else {"quality": 85}))
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"


def as_image(pixels: Pixels) -> Image.Image:
    """Grey where there are one or two channels, else the first three as colours."""
    return Image.fromarray(pixels[:, :, :3] if pixels.shape[2] >= 3 else pixels[:, :, 0])


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else f"{value:.1g}"
