"""Pictures of anchors, of what the model gave back for them, and of the samples nearest to them, as far as kept.

An explanation keeps its samples as they were given, up to `MAX_KEPT` bytes a set. Of a larger set it keeps pictures in
256 steps, made smaller by a whole factor until they fit; where that would leave less than `LEAST_SIDE` pixels, none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from whygen.results.anchors_scores import MAX_KEPT, SamplesRecord, Scores, ScoresRecord

if TYPE_CHECKING:
    from whygen.results.anchors import AnchorExplanation

LEAST_SIDE = 8
"""Pixels along the shorter side below which a picture shows nothing."""
Pixels = NDArray[np.uint8]
"""Pictures ``(k, height, width, channels)`` in 256 steps."""


def shrinking(n: int, image: Sequence[int], *, most: int = MAX_KEPT) -> int:
    """The whole factor by which ``n`` pictures are made smaller to fit ``most`` bytes; 0: they cannot be."""
    height, width, channels = image
    factor = 1
    while min(height, width) // factor >= LEAST_SIDE or factor == 1:
        if n * (height // factor) * (width // factor) * channels <= most:
            return factor
        factor += 1
    return 0


def shrunk(pictures: NDArray[Any], factor: int) -> NDArray[Any]:
    """Pictures ``(k, height, width, channels)`` made smaller by a whole factor: the mean of each block of pixels."""
    if factor <= 1:
        return pictures
    k, height, width, channels = pictures.shape
    high, wide = height // factor, width // factor
    blocks = pictures[:, : high * factor, : wide * factor].reshape(k, high, factor, wide, factor, channels)
    means = blocks.mean(axis=(2, 4), dtype=np.float32)
    return means.round().astype(np.uint8) if pictures.dtype == np.uint8 else means.astype(pictures.dtype)


def pixels_of(raw: NDArray[Any], facts: ScoresRecord, samples: SamplesRecord) -> Pixels | None:
    """Raw samples ``(k, ...)`` as pictures; None where they are none, as far as anyone said."""
    if facts.image is None or facts.value_range is None:
        return None
    height, width, channels = facts.image
    values = np.multiply(
        np.transpose(raw, samples.order), np.float32(samples.scale), dtype=np.float32, casting="unsafe"
    ) + np.float32(samples.offset)
    nested = facts.layout == "NCHW"
    images = (
        values.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
        if nested
        else values.reshape(-1, height, width, channels)
    )
    low, high = facts.value_range
    return (np.clip((images - low) / (high - low), 0, 1) * 255).round().astype(np.uint8)


def pixels(scores: Scores, which: Literal["anchors", "reference"], rows: NDArray[np.int64]) -> Pixels | None:
    """Those samples of a set as pictures, smaller ones where these alone were kept; None where none were."""
    record = scores.facts.anchors if which == "anchors" else scores.facts.reference
    if record is not None and f"{which}/raw" in scores.arrays:
        return pixels_of(scores.arrays[f"{which}/raw"][rows], scores.facts, record)
    return scores.arrays[f"{which}/small"][rows] if f"{which}/small" in scores.arrays else None


def small_of(scores: Scores, which: Literal["anchors", "reference"], *, block: int = 4096) -> Pixels | None:
    """Pictures of a set that is too large to be kept as it was given; None where they are none, or would not fit."""
    facts, raw = scores.facts, scores.arrays[f"{which}/raw"]
    record = facts.anchors if which == "anchors" else facts.reference
    factor = 0 if record is None or facts.image is None else shrinking(len(raw), facts.image)
    if record is None or factor == 0:
        return None
    parts = [pixels_of(raw[start : start + block], facts, record) for start in range(0, len(raw), block)]
    kept = [shrunk(part, factor) for part in parts if part is not None]
    return np.concatenate(kept) if kept else None


@dataclass(frozen=True, slots=True)
class AnchorPictures:
    """The pictures that an explanation keeps."""

    explanation: AnchorExplanation

    def strips(self, rows: NDArray[np.int64], nearest: NDArray[np.int64] | None = None) -> list[dict[str, Pixels]]:
        """For each anchor its pictures by name, all of one size; an empty one where the anchor itself was not kept.

        Args:
            rows: which anchors.
            nearest: for each of them the sample to show beside it, a place in the training anchors or the reference as
                `nearest_of` has it; -1: none.

        Returns:
            ``anchor``, ``returned`` and ``difference`` where the model gave something back, ``nearest``.
        """
        found: list[dict[str, Pixels]] = []
        for place, row in enumerate(rows.tolist()):
            anchor, made = self._pair(row)
            parts = {} if anchor is None else {"anchor": anchor}
            if anchor is not None and made is not None:
                anchor, made = _alike(anchor, made)
                gap = np.abs(anchor.astype(np.int16) - made.astype(np.int16)).astype(np.uint8)
                parts = {"anchor": anchor, "returned": made, "difference": gap}
            beside = None if nearest is None or nearest[place] < 0 else self.nearest(int(nearest[place]))
            if anchor is not None and beside is not None:
                parts["nearest"] = _alike(beside, anchor)[0]
            found.append(parts)
        return found

    def nearest(self, place: int) -> Pixels | None:
        """The sample that stands for the nearest one; see `nearest_of`."""
        which = "anchors" if nearest_of(self.explanation).among == "anchors" else "reference"
        return self._sample(which, place)

    def _pair(self, row: int) -> tuple[Pixels | None, Pixels | None]:
        anchor, made = self._sample("anchors", row), self._kept("anchors/made", row)
        evidence = self.explanation.evidence
        places = [] if evidence is None else np.flatnonzero(evidence.shown == row).tolist()
        if evidence is None or evidence.originals is None or not places:
            return anchor, made
        # Of representatives the pictures themselves are kept, which the arrays may hold smaller or not at all.
        anchor = _steps(evidence.originals[places[0]])
        return anchor, made if evidence.reconstructions is None else _steps(evidence.reconstructions[places[0]])

    def _sample(self, which: Literal["anchors", "reference"], row: int) -> Pixels | None:
        scores = self.explanation.scores
        found = None if scores is None else pixels(scores, which, np.array([row], dtype=np.int64))
        return None if found is None else found[0]

    def _kept(self, name: str, row: int) -> Pixels | None:
        scores = self.explanation.scores
        return None if scores is None or name not in scores.arrays else scores.arrays[name][row]


@dataclass(frozen=True, slots=True)
class Nearest:
    """The nearest sample to each anchor, of those that were looked for; -1 elsewhere."""

    among: Literal["anchors", "reference", "nothing"]
    """Where the places point: other training anchors or anchors, or the reference; nothing was looked for."""
    words: str
    """What it is, such as "nearest training sample"."""
    rows: NDArray[np.int64] | None
    distances: NDArray[np.float64] | None


def nearest_of(explanation: AnchorExplanation) -> Nearest:
    """The nearest training sample where anchors say which were trained on; else the nearest reference sample."""
    evidence = explanation.evidence
    if evidence is None:
        return Nearest("nothing", "", None, None)
    if evidence.nearest_training is not None:
        words = "nearest other training anchor"
        return Nearest("anchors", words, evidence.nearest_training, evidence.nearest_training_distance)
    if evidence.neighbour is None:
        return Nearest("nothing", "", None, None)
    details = explanation.details
    if details is None or details.reference_role is None or details.space == "criteria":
        return Nearest("anchors", "nearest other anchor", evidence.neighbour, evidence.neighbour_distance)
    words = "nearest training sample" if details.reference_role == "training" else "nearest reference sample"
    return Nearest("reference", words, _among_kept(explanation, evidence.neighbour), evidence.neighbour_distance)


def _among_kept(explanation: AnchorExplanation, neighbour: NDArray[np.int64]) -> NDArray[np.int64]:
    """Places in the reference as it was kept (without copies), where `neighbour` has those it was given in."""
    scores = explanation.scores
    if scores is None or "reference/rows" not in scores.arrays:
        return neighbour
    given = scores.arrays["reference/rows"]
    places = np.searchsorted(given, np.maximum(neighbour, 0))
    return np.where(neighbour < 0, -1, np.minimum(places, len(given) - 1)).astype(np.int64)


def _steps(picture: NDArray[np.float32]) -> Pixels:
    return (picture * 255).round().astype(np.uint8)


def _alike(one: Pixels, other: Pixels) -> tuple[Pixels, Pixels]:
    """Both at the size of the smaller one, where one was kept smaller by a whole factor."""
    factor = max(1, one.shape[0] // max(1, other.shape[0])), max(1, other.shape[0] // max(1, one.shape[0]))
    one, other = shrunk(one[None], factor[0])[0], shrunk(other[None], factor[1])[0]
    high, wide = min(one.shape[0], other.shape[0]), min(one.shape[1], other.shape[1])
    return one[:high, :wide], other[:high, :wide]
