"""How complete the anchors are, and the signatures of failure: each a stable code and a text that says what to do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whygen.anchors.arrays import Points, as_points, averaged, finite_criteria, require_finite
from whygen.anchors.features import FeatureEncoder, features
from whygen.anchors.groups import Grouping
from whygen.anchors.representing import Space, distances_between
from whygen.anchors.samples import Prepared
from whygen.anchors.selection.points import farthest_first, neighbour_distances
from whygen.errors import UsageError
from whygen.models.latent import Floats
from whygen.results.anchors_scores import (
    FoilRecord,
    GeneratedRecord,
    PowerRecord,
    YardstickRecord,
)
from whygen.results.prompt import Warned

DISAGREE = 0.2
"""Shares of two calibrations that differ by more than this contradict each other."""
UNCOVERED = 0.1
"""The model's samples come near less than this part of the reference: they are of different kinds."""
ACTIVE_VARIANCE = 0.01
"""A latent dimension whose mean varies less than this over samples is not used (Burda et al. 2016, section 5.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Share of reference samples with an anchor among their neighbours.

    ``expected`` is the share if anchors and reference came from one distribution, which is below 1; ``normalised``
    is share / expected, so 1 means "as well covered as by the reference's own kind" and it may exceed 1.
    """

    share: float
    expected: float
    normalised: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CoveringCurve:
    """r(n): the distance within which the first n anchors (farthest-first order) have all the others.

    ``enough`` is the smallest n from which twice as many anchors make the radius less than a ``flat`` part smaller,
    as far as the curve goes; None where it never flattens: more anchors still find something new.
    """

    counts: NDArray[np.int64]
    radii: NDArray[np.float64]
    flat: float
    enough: int | None


def expected_coverage(reference: int, anchors: int, *, neighbours: int = 5) -> float:
    """Coverage of N reference samples by M anchors of the same distribution: 1 - prod_{i=1..k} (N - i) / (N + M - i).

    All k nearest of the N - 1 + M others must belong to the reference for a sample to be uncovered.
    Source: METHODS B6; Naeem et al. 2020 (arXiv 2002.09797), who give 1 - 2^-k for N = M growing large.
    """
    return 1 - math.prod((reference - i) / (reference + anchors - i) for i in range(1, neighbours + 1))


def coverage(reference: ArrayLike, anchors: ArrayLike, *, neighbours: int = 5) -> Coverage:
    """How much of the reference the anchors cover: is an anchor nearer than the k-th nearest other reference sample?

    Args:
        reference: shape ``(N, dim)``, N > neighbours.
        anchors: shape ``(M, dim)``, in the same space.
        neighbours: k.

    Raises:
        UsageError: if there are too few reference samples for that many neighbours.
        DataError: if a point is not finite.

    Source: Naeem et al. 2020 (arXiv 2002.09797).
    """
    known, shown = as_points(reference, argument="reference"), as_points(anchors, argument="anchors")
    if not 1 <= neighbours < len(known):
        raise UsageError(
            f"neighbours={neighbours} with {len(known)} reference samples; give at least 1 and fewer than there are."
        )
    require_finite(known, argument="reference")
    require_finite(shown, argument="anchors")
    reach = neighbour_distances(known, None, neighbours=neighbours)
    nearest = neighbour_distances(shown, known, neighbours=1)
    share = float((nearest <= reach).mean())
    expected = expected_coverage(len(known), len(shown), neighbours=neighbours)
    return Coverage(share=share, expected=expected, normalised=share / expected)


def covering_curve(points: ArrayLike, *, counts: int = 64, flat: float = 0.1) -> CoveringCurve:
    """How the covering radius falls as anchors are added, and how many are enough.

    Args:
        points: the anchors in the space of interest, shape ``(n, dim)``.
        counts: follow the curve this far; O(n counts dim).
        flat: the smallest relative gain from doubling the anchors that still counts as one.

    Raises:
        UsageError: if an argument is out of range.
        DataError: if a point is not finite.
    """
    if counts < 1 or not 0 < flat < 1:
        raise UsageError(f"counts={counts}, flat={flat}; give at least one count, and a part between 0 and 1.")
    array = as_points(points)
    radii = farthest_first(array, min(counts + 1, len(array))).radii[1:]
    if counts >= len(array):
        radii = np.append(radii, 0.0)
    return CoveringCurve(counts=np.arange(1, len(radii) + 1), radii=radii, flat=flat, enough=_enough(radii, flat))


def _enough(radii: NDArray[np.float64], flat: float) -> int | None:
    if radii[-1] == 0:  # every point is covered exactly: as many as there are distinct points
        return int(np.argmax(radii == 0)) + 1
    half = len(radii) // 2
    singles, doubles = radii[:half], radii[1 : 2 * half : 2]
    steep = np.flatnonzero(doubles < (1 - flat) * singles)
    last = int(steep[-1]) + 1 if steep.size else 0
    return last + 1 if last < half else None


def missable_mode(n: int, *, delta: float = 0.05) -> float:
    """The share of samples that a mode may have and still be missed by n anchors with probability delta.

    ln(1/delta) / n, from (1 - p)^n <= exp(-n p); at most 1.
    """
    if n < 1 or not 0 < delta < 1:
        raise UsageError(f"n={n}, delta={delta}; give at least one anchor, and a probability between 0 and 1.")
    return min(1.0, math.log(1 / delta) / n)


def check_groups(grouping: Grouping) -> tuple[Warned, ...]:
    """Warn of groups that say more about the set-up than about the model."""
    alike, found = grouping.alike, list[Warned]()
    if alike.count == 0:
        below = next((share for share in grouping.shares if share.group == "BELOW"), None)
        why = (
            "to this model none looks like what it is compared with. Check first that anchors have the size, channels "
            "and value range of the training data, then look at the thresholds."
        )
        if below is not None and below.share > 0.5:
            why = (
                "most are lower than nearly all of what they are compared with. So are training samples that the model "
                "knows by heart, and blank or simple ones: look whether these anchors are either."
            )
        text = f"No anchor is {alike.group}: {why}"
        found.append(Warned(code=f"empty-{alike.group.lower()}", text=text))
    hile = next((share for share in grouping.shares if share.group == "HILE"), None)
    if hile is not None and hile.share > 0.5:
        text = (
            f"HILE holds {hile.share:.0%} of the anchors: the intrinsic criterion hardly tells them apart. "
            "Foreign anchors do this; test the name with a classifier's readings, and add an intrinsic criterion."
        )
        found.append(Warned(code="hile-majority", text=text))
    return tuple(found)


def active_dimensions(means: ArrayLike) -> int:
    """How many latent dimensions the encoder uses: those whose mean varies over samples by more than 0.01."""
    return int((as_points(means, argument="means").var(axis=0, dtype=np.float64) > ACTIVE_VARIANCE).sum())


def check_latents(means: ArrayLike, reference: ArrayLike | None = None) -> tuple[Warned, ...]:
    """Warn of an encoder that maps everything to one place.

    Args:
        means: posterior means of the anchors, ``(n, d)``.
        reference: those of the reference, if there is one: where these differ, it is the anchors that do not.
    """
    if np.shape(means)[1:] == (0,):  # a model that does not encode
        return ()
    array = as_points(means, argument="means")
    require_finite(array, argument="means")
    if len(array) < 2 or active_dimensions(array) > 0:
        return ()
    if reference is not None and len(np.atleast_2d(reference)) > 1 and active_dimensions(reference) > 0:
        text = (
            f"To the encoder all {len(array)} anchors are nearly one, where samples of the reference are not: by "
            "intrinsic criteria they are one anchor, many times over. Check their value range, or give others."
        )
        return (Warned(code="anchors-of-one-place", text=text),)
    text = (
        f"The encoder maps all {len(array)} anchors to nearly one place (no latent dimension varies by more than "
        f"{ACTIVE_VARIANCE}): its posterior has collapsed or its input is not what it was trained on, and intrinsic "
        "criteria say nothing. Check the value range of the anchors, then train with a smaller weight on the KLD."
    )
    return (Warned(code="encoder-collapse", text=text),)


def check_criteria(values: ArrayLike, names: Sequence[str], *, what: str = "anchor") -> tuple[Warned, ...]:
    """Warn of criteria that have one value for all samples; ``values (n, c)`` or ``(S, n, c)``."""
    criteria = averaged(finite_criteria(values, names, what=what))
    if len(criteria) < 2:
        return ()
    constant = np.ptp(criteria, axis=0) <= 1e-12 * np.abs(criteria).max(axis=0)
    return tuple(
        Warned(
            code="constant-criterion",
            text=f"Criterion {name!r} is {criteria[0, place]:.6g} for every {what}: it separates nothing. "
            "Check that the model's output depends on its input, or leave the criterion out.",
        )
        for place, name in enumerate(names)
        if constant[place]
    )


SPREAD, NEAR = 0.7, 0.3
"""Parts of the reference's figures below which generated samples vary too little, or lie too near to one another."""


def check_generated(made: GeneratedRecord | None, *, beside: str) -> tuple[Warned, ...]:
    """Warn of a generator whose samples vary less than what they are held against: it has collapsed, or knows less.

    Args:
        made: how generated samples and the others vary.
        beside: whose samples the others are.
    """
    if made is None:
        return ()
    if made.anew:
        text = (
            f"{made.anew:,} generated samples held NaN or an infinite value, beside {made.n:,} that did not. Others "
            "were drawn in their place: what is said of generated samples is said of those without such values."
        )
        rest = check_generated(made.model_copy(update={"anew": 0}), beside=beside)
        return (Warned(code="generated-without-value", text=text), *rest)
    if made.reference_spread == 0 or made.compared < 2:
        return ()
    if made.spread == 0:
        text = f"All {made.n:,} samples that the model generated are the same: it says one thing, and knows no more."
        return (Warned(code="generator-collapse", text=text),)
    said: list[str] = []
    if made.spread < SPREAD * made.reference_spread:
        said.append(f"vary {made.spread / made.reference_spread:.0%} as much as {beside}")
    if made.nearest < NEAR * made.reference_nearest:
        said.append(
            f"lie {made.nearest / made.reference_nearest:.0%} as far from their nearest neighbour as in {beside}"
        )
    if not said:
        return ()
    text = (
        f"Generated samples {' and '.join(said)}: the generator has collapsed to a part of what it should make, "
        f"repeats a few samples, or {beside} holds more than it was trained on. What is not made counts as unknown."
    )
    return (Warned(code="generator-collapse", text=text),)


def check_power(power: Sequence[PowerRecord], foils: Sequence[FoilRecord]) -> tuple[Warned, ...]:
    """Warn of criteria that cannot tell foils from the reference: the shares say nothing by them."""
    what = {each.name: each.what for each in foils}
    said: list[str] = []
    for name in dict.fromkeys(record.criterion for record in power):
        blind = [record for record in power if record.criterion == name and not record.tells]
        if blind:
            shown = ", ".join(f"{what[each.foil]} ({each.auroc:.2f})" for each in blind)
            simpler = [each for each in blind if each.size_auroc > max(each.high, 0.5)]
            remark = "; the compressed size alone does" if len(simpler) == len(blind) else ""
            said.append(f"{name} does not tell the reference from {shown}{remark}.")
    if not said:
        return ()
    text = f"{' '.join(said)} In brackets the AUROC: .5 is chance, and below it these look better than the reference."
    return (Warned(code="no-power", text=text),)


def check_yardsticks(yardsticks: Sequence[YardstickRecord], grouping: Grouping) -> tuple[Warned, ...]:
    """Warn where another calibration says something else, and where the reference is unlike the model's own samples."""
    found = list[Warned]()
    alike, name = grouping.alike.share, grouping.alike.group
    for each in yardsticks:
        if not each.groups:
            continue
        held = "" if each.reference is None else f", and {each.reference[name]:.0%} of the reference"
        if abs(each.groups[name] - alike) > DISAGREE:
            text = (
                f"{alike:.0%} of the anchors are {name} by the calibration that is used here, "
                f"{each.groups[name]:.0%} by the other one{held} ({each.provenance}). "
                "The table of calibrations shows both."
            )
            found.append(Warned(code="calibrations-disagree", text=text))
        if each.covered is not None and each.covered < UNCOVERED:
            text = (
                f"The reference is unlike the model's own samples: they come near {each.covered:.0%} of it (100% if "
                "both were of one kind). Is it what the model was trained on, in the same range?"
            )
            found.append(Warned(code="reference-unlike-model", text=text))
    return tuple(found)


NEIGHBOURS = 5
CURVE_COUNTS = 40
MAX_REFERENCE = 40_000
BLOCK = 1024
FEW = 64


@dataclass(frozen=True, slots=True)
class Survey:
    """Coverage of the reference by the anchors, the covering-radius curve, and the mode that anchors can miss."""

    coverage: Coverage | None
    curve: CoveringCurve
    missable: float


def survey(space: Space) -> Survey:
    """Completeness of the anchors in a space; no coverage without enough reference samples."""
    n = len(space.anchors)
    return Survey(_coverage(space), covering_curve(space.anchors, counts=min(CURVE_COUNTS, n)), missable_mode(n))


def _coverage(space: Space) -> Coverage | None:
    """The same as `whygen.anchors.diagnostics.coverage`, without looking on once a reference sample is covered."""
    reference = space.reference
    if reference is None or not NEIGHBOURS < len(reference) <= MAX_REFERENCE:
        return None
    reach = neighbour_distances(reference, None, neighbours=NEIGHBOURS)
    share = float(covered(reference, space.anchors, reach).mean())
    expected = expected_coverage(len(reference), len(space.anchors), neighbours=NEIGHBOURS)
    return Coverage(share=share, expected=expected, normalised=share / expected)


def covered(reference: Points, anchors: Points, reach: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which reference samples have an anchor within their reach; those found are not looked at again."""
    found = np.zeros(len(reference), np.bool_)
    centre = reference.mean(axis=0, dtype=np.float64).astype(reference.dtype)
    for start in range(0, len(anchors), BLOCK):
        open_ = np.flatnonzero(~found)
        if open_.size == 0:
            break
        block, left = anchors[start : start + BLOCK] - centre, reference[open_] - centre
        apart = np.square(block).sum(axis=1)[:, None] - 2 * block @ left.T
        nearest = apart.argmin(axis=0)
        found[open_] = distances_between(left, block[nearest]) <= reach[open_]
    return found


def check_features(encoder: FeatureEncoder | None, anchors: Prepared) -> tuple[Warned, ...]:
    """Warn of a feature encoder that gives one vector for everything: its preprocessing does not fit."""
    if encoder is None or len(anchors) < 2:
        return ()
    vectors = features(encoder, anchors.rows(slice(0, FEW)))
    spread, size = float(np.ptp(vectors, axis=0).max()), float(np.abs(vectors).max())
    if spread > 1e-6 * max(size, np.finfo(np.float64).tiny):
        return ()
    low, high = anchors.value_range
    text = (
        f"The feature encoder gives the same features for all of the first {min(FEW, len(anchors))} anchors. Its "
        f"preprocessing may not fit: it is given samples of shape {anchors.shape} between {low:g} and {high:g}."
    )
    return (Warned(code="encoder-collapse", text=text),)


def check_reconstructions(made: Floats, value_range: tuple[float, float]) -> tuple[Warned, ...]:
    """Warn of reconstructions far outside of the range of the samples: logits instead of pixels, usually."""
    low, high = value_range
    if made.size == 0 or math.isinf(low) or math.isinf(high):
        return ()
    slack = 0.5 * (high - low)
    smallest, largest = float(made.min()), float(made.max())
    if smallest >= low - slack and largest <= high + slack:
        return ()
    text = (
        f"Reconstructions reach from {smallest:.3g} to {largest:.3g}, and samples lie in {low:g}..{high:g}. If decode "
        "gives logits, apply the sigmoid; else state the range of the model."
    )
    return (Warned(code="reconstruction-range", text=text),)
