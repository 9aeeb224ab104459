"""Which group each anchor falls in, how sure that is, and what the groups hold.

HIHE: the model knows and reproduces. HILE: confident and wrong ("model delusion"). LIHE: unsure, yet the output is
right ("aligned conception"). LILE: it fails on both. With several criteria of one kind, all must hold (METHODS B3).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whygen.anchors.arrays import Criteria, averaged, drawn, finite_criteria
from whygen.anchors.calibration import Calibration
from whygen.errors import DataError, UsageError
from whygen.stats.wilson import wilson

Kind: TypeAlias = Literal["intrinsic", "extrinsic"]
GroupName: TypeAlias = Literal["HIHE", "HILE", "LIHE", "LILE"]

GROUPS: tuple[GroupName, ...] = ("HIHE", "HILE", "LIHE", "LILE")
"""A group's code is its place here: 2 for low intrinsic affinity, and 1 more for low extrinsic affinity."""

Codes: TypeAlias = NDArray[np.int8]
"""The group of each anchor, as a place in `GROUPS`. Shape ``(n,)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupShare:
    """How much of the anchors a group holds.

    ``low`` and ``high`` are Wilson's interval with the thresholds held fixed: what other anchors of the same kind
    would give. ``bootstrap_low`` and ``bootstrap_high`` hold the anchors fixed: what another calibration would give.
    """

    group: GroupName
    count: int
    share: float
    low: float
    high: float
    bootstrap_low: float
    bootstrap_high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """The verdicts. ``flip_rate (n,)``: share of redraws in which an anchor is not in its group."""

    codes: Codes
    high: NDArray[np.bool_] = field(repr=False)
    """Shape ``(n, c)``: high affinity by each criterion."""
    flip_rate: NDArray[np.float64] = field(repr=False)
    shares: tuple[GroupShare, ...]
    p_values: NDArray[np.float64] | None = field(repr=False)
    """Shape ``(n, c)``; None unless the calibration is conformal."""
    distinct: NDArray[np.int64] = field(repr=False)
    """The anchors that are counted: all but copies of earlier ones."""

    @property
    def mean_flip_rate(self) -> float:
        """Share of the counted anchors that a redraw puts in another group, on average."""
        return float(self.flip_rate[self.distinct].mean())

    def members(self, name: GroupName) -> NDArray[np.int64]:
        """Ascending indices of the anchors in a group."""
        return np.flatnonzero(self.codes == GROUPS.index(name)).astype(np.int64)


def assign(high: NDArray[np.bool_], *, kinds: Sequence[Kind]) -> Codes:
    """Group codes ``(n,)`` from high affinity by criterion ``(n, c)``.

    Raises:
        UsageError: if a kind is missing: then a group's name would say what nothing has measured.
    """
    if len(kinds) != high.shape[1]:
        raise UsageError(f"kinds names {len(kinds)} criteria, but there are {high.shape[1]}; give one kind for each.")
    for kind in ("intrinsic", "extrinsic"):
        if kind not in kinds:
            raise UsageError(f"No criterion is {kind}; groups need at least one intrinsic and one extrinsic criterion.")
    intrinsic = np.array([kind == "intrinsic" for kind in kinds])
    low_intrinsic = ~high[:, intrinsic].all(axis=1)
    low_extrinsic = ~high[:, ~intrinsic].all(axis=1)
    return np.asarray(2 * low_intrinsic + low_extrinsic, dtype=np.int8)


def group(
    values: ArrayLike,
    *,
    kinds: Sequence[Kind],
    calibration: Calibration,
    rng: np.random.Generator,
    replicates: int = 200,
    confidence: float = 0.95,
    distinct: NDArray[np.int64] | None = None,
) -> Grouping:
    """Put each anchor in its group, and see how often a redraw puts it elsewhere.

    A redraw takes one posterior draw of the anchors with the same draw of the reference, and a bootstrap sample of
    that reference (or of the rounds of mean-max) to set the thresholds from. The verdict itself uses the means over
    draws and the reference as it is.

    Args:
        values: criteria of the anchors, ``(n, c)``, or one of each posterior draw, ``(S, n, c)``.
        kinds: "intrinsic" or "extrinsic" for each criterion.
        calibration: thresholds, or p-values and a rule for them.
        rng: draws the bootstrap samples.
        replicates: number of redraws; each posterior draw is used in turn.
        confidence: of the intervals on shares.
        distinct: the anchors that shares count; None: all. Verdicts are for all.

    Raises:
        DataError: if a criterion of an anchor is not finite.
        UsageError: if a kind of criterion is missing, or an argument is out of range.
    """
    if replicates < 1:
        raise UsageError(f"replicates={replicates} gives no flip rate; give at least 1.")
    draws = drawn(finite_criteria(values, calibration.names))
    high = calibration.high(draws)
    codes = assign(high, kinds=kinds)
    counted = np.arange(len(codes), dtype=np.int64) if distinct is None else distinct
    flips, counts = np.zeros(len(codes)), np.empty((replicates, len(GROUPS)))
    for replicate in range(replicates):
        redrawn = _redraw(draws, calibration, kinds, rng, replicate)
        flips += redrawn != codes
        counts[replicate] = np.bincount(redrawn[counted], minlength=len(GROUPS))
    return Grouping(
        codes=codes,
        high=high,
        flip_rate=flips / replicates,
        shares=_shares(codes[counted], counts / len(counted), confidence),
        p_values=calibration.p_values(averaged(draws)),
        distinct=counted,
    )


def _redraw(
    draws: Criteria, calibration: Calibration, kinds: Sequence[Kind], rng: np.random.Generator, replicate: int
) -> Codes:
    basis = calibration.resampled(rng, draw=replicate)
    return assign(calibration.high_given(draws[replicate % len(draws)], basis), kinds=kinds)


def _shares(codes: Codes, redrawn: NDArray[np.float64], confidence: float) -> tuple[GroupShare, ...]:
    counts = np.bincount(codes, minlength=len(GROUPS))
    ends = np.quantile(redrawn, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    shares = list[GroupShare]()
    for place, name in enumerate(GROUPS):
        low, high = wilson(int(counts[place]), len(codes), level=confidence)
        shares.append(
            GroupShare(
                group=name,
                count=int(counts[place]),
                share=float(counts[place] / len(codes)),
                low=low,
                high=high,
                bootstrap_low=float(ends[0, place]),
                bootstrap_high=float(ends[1, place]),
            )
        )
    return tuple(shares)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelTable:
    """How many anchors of each label fell in each group: ``counts (n_labels, 4)``, columns as in `GROUPS`."""

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
    group: GroupName
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
