"""What labels say of the groups: how many anchors of each fell where, and what a classifier reads (METHODS B3)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whygen.anchors.groups import Codes
from whygen.errors import DataError
from whygen.results.anchors import GROUPS
from whygen.stats.wilson import wilson


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelTable:
    """How many anchors of each label fell in each group: ``counts (n_labels, 5)``, columns as in `GROUPS`."""

    labels: tuple[Hashable, ...]
    counts: NDArray[np.int64]

    @property
    def shares(self) -> NDArray[np.float64]:
        """Each row divided by its sum."""
        return self.counts / self.counts.sum(axis=1, keepdims=True)


def label_table(codes: Codes, labels: ArrayLike) -> LabelTable:
    """Count anchors by label and group; labels in sorted order.

    Raises:
        DataError: if there is not one label for each anchor.
    """
    known, places = np.unique(_labels(labels, len(codes), "labels"), return_inverse=True)
    counts = np.zeros((len(known), len(GROUPS)), dtype=np.int64)
    np.add.at(counts, (places, codes), 1)
    return LabelTable(labels=tuple(known.tolist()), counts=counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Of ``count`` anchors of a label (None: of all) in a group, ``read`` came out as the trained class."""

    label: Hashable | None
    group: str
    count: int
    read: int
    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Delusion:
    """Whether HILE earns its name: does a classifier read what comes out as the class the model was trained on?

    ``rows`` holds every group, for all labels together (label None, foreign anchors only if labels are known) and
    for each label; cells without anchors are left out. ``of_hile`` is the row that matters, None if HILE is empty.
    """

    rows: tuple[Reading, ...]
    of_hile: Reading | None


def delusion(
    codes: Codes,
    readings: ArrayLike,
    *,
    trained: Sequence[Hashable],
    labels: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Delusion:
    """Test the name "model delusion" on a classifier's readings of the reconstructions (METHODS B3).

    Args:
        codes: group of each anchor.
        readings: the label that a classifier gives to each anchor's reconstruction, ``(n,)``.
        trained: the labels that the model was trained on.
        labels: the anchors' own labels; then anchors of the trained classes do not count as deluded: what comes out
            as the trained class is right for them. They keep rows of their own.
        confidence: of Wilson's intervals.

    Raises:
        DataError: if there is not one reading, or label, for each anchor.
    """
    seen = _labels(readings, len(codes), "readings")
    read = np.isin(seen, np.asarray(trained))
    own = None if labels is None else _labels(labels, len(codes), "labels")
    foreign = np.ones(len(codes), dtype=np.bool_) if own is None else ~np.isin(own, np.asarray(trained))
    rows = _readings(None, foreign, codes, read, confidence)
    of_hile = next((row for row in rows if row.group == "HILE"), None)
    if own is not None:
        for label in np.unique(own):
            rows += _readings(label.item(), np.asarray(own == label), codes, read, confidence)
    return Delusion(rows=tuple(rows), of_hile=of_hile)


def _readings(
    label: Hashable | None, among: NDArray[np.bool_], codes: Codes, read: NDArray[np.bool_], confidence: float
) -> list[Reading]:
    rows = list[Reading]()
    for place, name in enumerate(GROUPS):
        here = among & (codes == place)
        count, hits = int(here.sum()), int((here & read).sum())
        if count:
            low, high = wilson(hits, count, level=confidence)
            rows.append(
                Reading(label=label, group=name, count=count, read=hits, share=hits / count, low=low, high=high)
            )
    return rows


def _labels(labels: ArrayLike, n: int, argument: str) -> NDArray[Any]:
    array = np.asarray(labels)
    if array.shape != (n,):
        raise DataError(f"{argument} has shape {array.shape}; give one for each of the {n} anchors.")
    return array
