"""What the gallery shows of an explanation by anchors: numbers of all of them at once, any few with their pictures."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from whygen.anchors.moving import Movable
from whygen.anchors.options import AnchorOptions
from whygen.anchors.representing import Space, neighbours, settled_space
from whygen.errors import MissingError, UsageError
from whygen.report import anchors_svg
from whygen.report.texts import shorten, visible
from whygen.results.anchors import AnchorEvidence, AnchorExplanation
from whygen.results.anchors_pictures import nearest_of, pixels, shrunk
from whygen.results.anchors_rows import columns
from whygen.results.anchors_scores import Scores
from whygen.results.anchors_words import headline, percent, plain_names
from whygen.results.summary.anchors import COLUMNS, notes
from whygen.results.summary.anchors_pictures import ShownPictures
from whygen.web.packing import packed

MOST_LABELS = 1_000
"""Labels above which the page cannot filter by them."""
MOST_ROWS = 120
"""Anchors that are asked for with their pictures at once."""
MOST_COMPARED = 64 * 2**20
"""Values of the reference above which nobody looks for nearest samples on request."""
SETS: tuple[Literal["anchors", "reference"], ...] = ("anchors", "reference")
PARTS = ("anchor", "returned", "difference", "nearest")


@dataclass(slots=True)
class Gallery:
    """An explanation opened for the gallery."""

    explanation: AnchorExplanation
    evidence: AnchorEvidence
    values: NDArray[np.float64]
    movable: Movable | None
    shown: ShownPictures
    mark: str
    """Tells these anchors from others that may be saved into the same folder later."""
    _known: dict[str, NDArray[np.float32]] = field(default_factory=dict[str, "NDArray[np.float32]"])

    @classmethod
    def of(cls, explanation: AnchorExplanation) -> Gallery:
        """Open one.

        Raises:
            MissingError: if it holds no values of its anchors.
        """
        if explanation.evidence is None:
            raise MissingError(
                "This explanation holds no values of its anchors: its folder lacks arrays.safetensors. Explain the "
                "anchors again, and save the explanation into a folder."
            )
        movable = None if explanation.scores is None or explanation.details is None else Movable(explanation)
        evidence = explanation.evidence
        mark = mark_of(evidence.values.tobytes(), repr(evidence.labels).encode("utf-8", "backslashreplace"))
        return cls(explanation, evidence, evidence.values, movable, ShownPictures(explanation, evidence), mark)

    # --- numbers -----------------------------------------------------------------------------------------------------

    def points(self) -> bytes:
        """The numbers of all anchors; see `packed`."""
        evidence, explanation, n = self.evidence, self.explanation, len(self.values)
        arrays: dict[str, NDArray[Any]] = {"codes": evidence.codes.astype(np.uint8)}
        for place, criterion in enumerate(explanation.criteria):
            arrays[f"value {criterion.name}"] = self.values[:, place]
        arrays["flip rate"] = evidence.flip_rate.astype(np.float64)
        for title, p in (("p", evidence.p_values), ("p of the low tail", evidence.p_high),
                         ("p memorised", evidence.p_memorised)):  # fmt: skip
            if p is not None:
                arrays[title] = p.min(axis=1)
        labels, places = coded(evidence.labels)
        if labels:
            arrays["labels"] = places
        roles, places = coded(evidence.roles)
        if roles:
            arrays["roles"] = places
        arrays["copies"] = self._copies(n)
        if evidence.comes_back is not None:
            arrays["comes back"] = evidence.comes_back.astype(np.uint8)
        if self.movable is not None and self.movable.steps is not None:
            for place, criterion in enumerate(explanation.criteria):
                arrays[f"steps {criterion.name}"] = self.movable.steps[:, place]
        return packed({**self._head(), "n": n, "labels": labels, "roles": roles}, arrays)

    def _copies(self, n: int) -> NDArray[np.uint8]:
        """1 for each anchor that is a copy of an earlier one."""
        marks = np.zeros(n, np.uint8)
        if self.explanation.scores is not None:
            marks[:] = 1
            marks[self.explanation.scores.arrays["distinct"]] = 0
        return marks

    def _head(self) -> dict[str, Any]:
        """What the page must know besides the numbers."""
        explanation = self.explanation
        plain, details = plain_names(explanation), explanation.details
        strict = {} if details is None else {each.criterion: each.comparison == "<" for each in details.thresholds}
        floors = {} if explanation.tails is None else explanation.tails.floors
        return {
            "kind": "anchors",
            "of": self.mark,
            "headline": visible(headline(explanation)),
            "groups": [
                {"code": code, "name": name, "plain": visible(plain[name]), "colour": anchors_svg.colour(name)}
                for code, name in explanation.group_names.items()
            ],
            "criteria": [
                {
                    "name": each.name, "kind": each.kind, "unit": visible(each.unit),
                    "threshold": explanation.thresholds[each.name], "floor": floors.get(each.name),
                    "strict": strict.get(each.name, False),
                }
                for each in explanation.criteria
            ],
            "movable": self.movable is not None,
            "by_rule": explanation.details is not None and explanation.details.multiplicity != "none",
            "missing": self.missing(),
        }  # fmt: skip

    def missing(self) -> list[str]:
        """What this explanation does not keep, and what would make it."""
        said: list[str] = []
        scores = self.explanation.scores
        if scores is None:
            said.append("Scores were not kept: thresholds cannot be moved. Explain the anchors again to have them.")
        elif scores.facts.image is not None and scores.facts.value_range is not None:  # else they are no pictures
            kept, (height, width, _) = pixels(scores, "anchors", np.zeros(1, np.int64)), scores.facts.image
            if kept is None:
                said.append("Pictures of the anchors were not kept: there are too many for the bound of 64 MiB.")
            elif kept.shape[1] < height:
                said.append(
                    f"Pictures are kept at {kept.shape[2]} by {kept.shape[1]} pixels, of {width} by {height}: there "
                    "are too many for the bound of 64 MiB. Representatives are kept as they are."
                )
        return said

    # --- shares by other thresholds ----------------------------------------------------------------------------------

    def shares(self, thresholds: Mapping[str, float]) -> dict[str, Any]:
        """Groups by these thresholds, as numbers and in words, beside the controls.

        Raises:
            MissingError: if the explanation holds no scores, which other thresholds are read by.
            UsageError: if a threshold cannot be.
        """
        explanation = self.explanation
        if thresholds:
            if self.movable is None:
                raise MissingError(self.missing()[0])
            moved = self.movable.move(thresholds)
            groups, controls, levels, at = moved.groups, moved.controls, moved.levels, moved.thresholds
        else:
            groups, at = explanation.groups, explanation.thresholds
            controls = {each.name: {name: share.share for name, share in each.groups.items()}
                        for each in explanation.controls if each.groups}  # fmt: skip
            levels = None
        return {
            "thresholds": at,
            "levels": None if levels is None else {name: f"{100 * level:.2g}%" for name, level in levels.items()},
            "law": "both" if not thresholds or (self.movable and self.movable.has_levels) else "anchors",
            "groups": {
                name: {
                    "count": each.count, "part": each.share, "low": each.low, "high": each.high,
                    "share": percent(each.share), "interval": f"{percent(each.low)} to {percent(each.high)}",
                }
                for name, each in groups.items()
            },
            "controls": [
                {"name": COLUMNS[name], "groups": {group: [part, percent(part)] for group, part in parts.items()}}
                for name, parts in controls.items() if name in COLUMNS
            ],
            "notes": notes(explanation),
        }  # fmt: skip

    # --- a few anchors -----------------------------------------------------------------------------------------------

    def items(self, rows: Sequence[int], *, near: bool) -> list[dict[str, Any]]:
        """Those anchors with their pictures and figures; ``near``: and the nearest sample to each.

        Raises:
            UsageError: if there is no such anchor, or too many are asked for.
        """
        self._require(rows)
        if len(rows) > MOST_ROWS:
            raise UsageError(f"{len(rows)} anchors were asked for at once; at most {MOST_ROWS}.")
        parts = PARTS if near else PARTS[:2]
        nearest = self._nearest(np.array(rows, dtype=np.int64)) if near else None
        return list(self.shown.items(rows, parts=parts, nearest=nearest))

    def listed(self, rows: Sequence[int], tags: Mapping[int, str]) -> dict[str, list[Any]]:
        """Rows of the table of anchors with their tags, as columns.

        Raises:
            UsageError: if there is no such anchor.
        """
        self._require(rows)
        table = {name: [column[row] for row in rows] for name, column in columns(self.explanation).items()}
        return {"tag": [tags.get(row, "") for row in rows], **table}

    def _require(self, rows: Sequence[int]) -> None:
        n = len(self.values)
        wrong = next((row for row in rows if not 0 <= row < n), None)
        if wrong is not None:
            raise UsageError(f"There is no anchor {wrong}: there are {n:,}, numbered from 0.")

    def _nearest(self, rows: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """The place of the nearest sample to each; looked for now where the explanation does not know it."""
        found, scores = nearest_of(self.explanation), self.explanation.scores
        if found.rows is None:
            return None
        places = found.rows[rows].copy()
        unknown = np.flatnonzero(places < 0)
        if found.among == "reference" and scores is not None and len(unknown):
            known = self._reference(scores)
            own = None if known is None else self._points(scores, "anchors", rows[unknown])
            if known is not None and own is not None:
                looked = neighbours(Space("", own, known), np.arange(len(own), dtype=np.int64))
                places[unknown] = looked.index
        return places

    def _reference(self, scores: Scores) -> NDArray[np.float32] | None:
        if "reference" not in self._known:
            n = 0 if scores.facts.reference is None else len(scores.arrays["reference/draws"][0])
            size = int(np.prod(scores.facts.shape))
            points = self._points(scores, "reference", np.arange(n)) if 0 < n * size <= MOST_COMPARED else None
            if points is None:
                return None
            self._known["reference"] = points
        return self._known["reference"]

    def _points(self, scores: Scores, which: Any, rows: NDArray[np.int64]) -> NDArray[np.float32] | None:
        """Samples as points of the space that the selection measures in; pictures stand for pixels."""
        name = settled_space(
            AnchorOptions(**scores.facts.plan).space, scores.facts.shape,
            has_features="anchors/features" in scores.arrays, has_latent=scores.anchors.means.shape[1] > 0,
        )  # fmt: skip
        kept = {"latent": "means", "features": "features"}.get(name)
        if kept is not None:
            return scores.arrays[f"{which}/{kept}"][rows].astype(np.float32)
        found = pixels(scores, which, rows)
        if found is None:
            return None
        # One set may be kept smaller than the other: both are compared at the size of the smaller.
        kept = [pixels(scores, each, np.zeros(1, np.int64)) for each in SETS]
        least = min(each.shape[1] for each in kept if each is not None)
        found = shrunk(found, max(1, found.shape[1] // least))
        return found.reshape(len(rows), -1).astype(np.float32)


def mark_of(*parts: bytes) -> str:
    """A digest that fits into an address."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def coded(values: Sequence[str | int] | None) -> tuple[list[str], NDArray[np.uint16]]:
    """Distinct values as text, and the place of each; none where there are too many to choose among."""
    if values is None:
        return [], np.zeros(0, np.uint16)
    known = sorted(set(values), key=lambda value: (isinstance(value, str), value))
    if len(known) > MOST_LABELS:
        return [], np.zeros(0, np.uint16)
    place = {value: at for at, value in enumerate(known)}
    return _apart([shorten(str(value), 40) for value in known]), np.array([place[value] for value in values], np.uint16)


def _apart(names: Sequence[str]) -> list[str]:
    """The names, those that read alike numbered: a filter is chosen by its name."""
    seen = Counter[str]()
    told: list[str] = []
    for name in names:
        seen[name] += 1
        told.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return told
