"""What the gallery shows of an explanation by texts: the same numbers and lists as of other anchors, with the texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whygen.errors import UsageError
from whygen.report.anchors_svg import colour
from whygen.report.texts import number, shorten, visible
from whygen.results.anchors_words import percent
from whygen.results.summary.texts import headline
from whygen.results.texts import GROUPS, TextAnchorExplanation, TextRecord
from whygen.web.gallery_data import coded, mark_of
from whygen.web.packing import packed

NOT_COUNTED = "not counted"
PALE = "#b5b0a4"
"""The colour of what was not counted."""
FIGURES = {
    "figure nats a token": "nll", "figure contrast (nats)": "contrast", "p": "p", "figure q": "q",
    "figure p of so unlikely a text": "p_unlike", "figure written again": "match",
}  # fmt: skip
"""Columns of the map, and where a text has them."""
MOST_SHOWN = 2_000
"""Characters of a text that a card shows."""


@dataclass(frozen=True, slots=True)
class TextGallery:
    """An explanation by texts opened for the gallery."""

    explanation: TextAnchorExplanation

    def points(self) -> bytes:
        """The numbers of all texts; see `packed`."""
        texts = self.explanation.texts
        arrays: dict[str, NDArray[Any]] = {"codes": np.array([_code(text) for text in texts], np.uint8)}
        for title, name in FIGURES.items():
            column = np.array([_figure(getattr(text, name)) for text in texts])
            if np.isfinite(column).any():
                arrays[title] = column
        arrays["order"] = np.array([-np.inf if text.strength is None else text.strength for text in texts])
        arrays["copies"] = np.array([text.group is None for text in texts], np.uint8)
        kept: dict[str, list[str]] = {}
        for name, values in (("labels", [text.label for text in texts]), ("roles", [text.role for text in texts])):
            told = None if not any(values) else ["none" if value is None else value for value in values]
            kept[name], places = coded(told)
            if kept[name]:
                arrays[name] = places
        names = [*GROUPS, *([NOT_COUNTED] if arrays["copies"].any() else [])]
        head = {
            "kind": "texts",
            "of": self.mark,
            "n": len(texts),
            "headline": headline(self.explanation),
            "groups": [{"code": code, "name": name, "plain": name,
                        "colour": PALE if name == NOT_COUNTED else colour(name)} for code, name in enumerate(names)],
            "criteria": [], "movable": False, "by_rule": False, "missing": [], **kept,
        }  # fmt: skip
        return packed(head, arrays)

    @property
    def mark(self) -> str:
        """Tells these texts from others that may be saved into the same folder later."""
        return mark_of(*(text.text.encode() for text in self.explanation.texts))

    def shares(self, thresholds: Mapping[str, float]) -> dict[str, Any]:
        """The groups with their shares.

        Raises:
            UsageError: if a threshold is given: texts have none that could be moved.
        """
        if thresholds:
            raise UsageError("Texts are called by a false discovery rate, and have no threshold that could be moved.")
        return {
            "thresholds": {}, "levels": None, "controls": [], "notes": [],
            "law": f"Called known by heart at a false discovery rate of {self.explanation.fdr:g}. Copies, and texts "
            "that were not scored, are not counted.",
            "groups": {
                name: {
                    "count": each.count, "part": each.share, "low": each.low, "high": each.high,
                    "share": percent(each.share) if each.measured or each.count else "not measured",
                    "interval": f"{percent(each.low)} to {percent(each.high)}" if each.measured or each.count else "",
                }
                for name, each in self.explanation.groups.items()
            },
        }  # fmt: skip

    def items(self, rows: Sequence[int], *, near: bool) -> list[dict[str, Any]]:
        """Those texts with their figures; ``near``: and the likeliest twin of each.

        Raises:
            UsageError: if there is no such text.
        """
        return [_item(text, near=near) for text in self._texts(rows)]

    def listed(self, rows: Sequence[int], tags: Mapping[int, str]) -> dict[str, list[Any]]:
        """Rows of the table of texts with their tags, as columns.

        Raises:
            UsageError: if there is no such text.
        """
        kept = [text.model_dump(mode="json") for text in self._texts(rows)]
        table = {name: [row[name] for row in kept] for name in TextRecord.model_fields}
        return {"tag": [tags.get(row, "") for row in rows], **table}

    def _texts(self, rows: Sequence[int]) -> list[TextRecord]:
        texts = self.explanation.texts
        wrong = next((row for row in rows if not 0 <= row < len(texts)), None)
        if wrong is not None:
            raise UsageError(f"There is no text {wrong}: there are {len(texts):,}, numbered from 0.")
        return [texts[row] for row in rows]


def _code(text: TextRecord) -> int:
    return len(GROUPS) if text.group is None else GROUPS.index(text.group)


def _figure(value: float | None) -> float:
    return np.nan if value is None else float(value)


def _item(text: TextRecord, *, near: bool) -> dict[str, Any]:
    group = text.group or NOT_COUNTED
    figures = [f"{number(text.nll, 2)} nats a token"]
    figures += [] if text.contrast is None else [f"contrast {number(text.contrast, 2)}"]
    figures += [] if text.p is None else [f"p {text.p:.3g}"]
    figures += [] if text.q is None else [f"q {text.q:.3g}"]
    twin = [f"Nearest twin: {shorten(text.nearest_twin, MOST_SHOWN)}"] if near and text.nearest_twin else []
    return {
        "index": text.index, "name": f"text {text.index}", "group": group, "plain": group,
        "text": visible(text.text[:MOST_SHOWN]), "prompt": visible(text.prompt[:MOST_SHOWN]), "images": [],
        "p": ", ".join(figures), "flip": "", "criteria": [],
        "why": " ".join(filter(None, (visible(text.reason), *map(visible, text.notes), *twin))),
    }  # fmt: skip
