"""How complete the anchors are, and whether encoder and decoder give what they should."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whygen.anchors.arrays import Points
from whygen.anchors.criteria import FeatureEncoder, features
from whygen.anchors.diagnostics import Coverage, CoveringCurve, covering_curve, expected_coverage, missable_mode
from whygen.anchors.representing import Space, distances_between
from whygen.anchors.samples import Prepared
from whygen.anchors.selection.kinds import neighbour_distances
from whygen.models.latent import Floats
from whygen.results.prompt import Warned

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
