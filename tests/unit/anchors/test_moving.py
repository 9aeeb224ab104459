"""Intervals of shares by thresholds at levels that differ from criterion to criterion."""

# pyright: basic
from __future__ import annotations

import numpy as np
from scipy.stats import norm

from whygen.anchors.calibration import conformal
from whygen.anchors.groups import assign, shares_by
from whygen.anchors.moving import at_levels
from whygen.stats.seeds import generator

KINDS = ("intrinsic", "extrinsic")
LEVELS, FLOOR = (0.2, 0.05), 0.025


def groups_of(values: np.ndarray, limits: np.ndarray, floors: np.ndarray) -> np.ndarray:
    codes = assign(values <= limits, kinds=KINDS, below=values < floors)
    return np.bincount(codes, minlength=5) / len(codes)


def test_intervals_hold_the_shares_that_an_endless_reference_would_give() -> None:
    rng, runs = generator(3, "moved"), 80
    every = rng.normal(0.4, 1.2, size=(200_000, 2))
    truth = groups_of(every, norm.isf(LEVELS), np.full(2, norm.ppf(FLOOR)))
    held = np.zeros(5)
    for run in range(runs):
        reference, anchors = rng.normal(size=(239, 2)), rng.normal(0.4, 1.2, size=(300, 2))
        moved = at_levels(conformal(reference, names=("a", "b"), alpha=FLOOR), LEVELS)
        limits = np.array([each.value for each in moved.thresholds])
        codes = assign(anchors <= limits, kinds=KINDS, below=anchors < np.array(moved.floors))
        shares = shares_by(codes, anchors, moved, KINDS, generator(run, "interval"))
        held += [each.low <= share <= each.high for each, share in zip(shares, truth, strict=True)]
    assert (held / runs >= 0.9).all(), dict(zip(("HIHE", "HILE", "LIHE", "LILE", "BELOW"), held / runs, strict=True))
