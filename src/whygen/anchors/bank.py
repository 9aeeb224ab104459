"""Samples that a generator made, which anchors are compared with: drawn once by seed, or all that is known of a model.

Two criteria look into the bank, and so ask any black box at all (METHODS B1): how far the nearest generated sample is,
and how deep an anchor lies in the manifold that generated samples span.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from whygen.anchors.arrays import Points
from whygen.anchors.criteria import Batch, Criterion, Scorer, Way, own, sse
from whygen.anchors.features import FeatureEncoder, features, name_of
from whygen.anchors.representing import distances_between
from whygen.anchors.selection.points import neighbour_distances
from whygen.errors import UsageError
from whygen.models.latent import Floats
from whygen.results.anchors_scores import GeneratedRecord
from whygen.types import JsonValue

NEIGHBOURS = 3
"""k of the manifold: as in Kynkaanniemi et al. 2019."""
FEWEST = 20
"""Generated samples that a manifold takes at least: half of them are left out, and each has k neighbours."""
MOST_BYTES = 512 * 2**20
"""A bank holds no more than this, whatever its size should be."""
BLOCK = 4_000_000
"""So many distances are held at once."""
COMPARED = 500
"""So many samples of each side are compared to see whether the generator has collapsed."""
LEAST_RADIUS = 1e-9
"""Of a ball: that of a generator whose samples are all 0 must be one."""
NEAREST = "nearest generated sample"


@dataclass(frozen=True, slots=True)
class Bank:
    """Generated samples, and their places in the spaces that distances are measured in."""

    samples: Floats
    """Shape ``(m, *shape)``."""
    latents: Floats | None = None
    """What they were decoded from, ``(m, d)``; None where that is not known."""
    _points: dict[str, Points] = field(default_factory=dict[str, "Points"])
    _radii: dict[str, NDArray[np.float64]] = field(default_factory=dict[str, "NDArray[np.float64]"])

    def __len__(self) -> int:
        return len(self.samples)

    def points(self, encoder: FeatureEncoder | None) -> Points:
        """The samples as points ``(m, dim)``: features, or without an encoder their values."""
        name = space_of(encoder)
        if name not in self._points:
            self._points[name] = points_of(self.samples, encoder)
        return self._points[name]

    def radii(self, encoder: FeatureEncoder | None) -> NDArray[np.float64]:
        """The distance of each to its k-th nearest other, ``(m,)``."""
        name = space_of(encoder)
        if name not in self._radii:
            self._radii[name] = neighbour_distances(self.points(encoder), None, neighbours=NEIGHBOURS)
        return self._radii[name]

    def nearest(self, samples: Floats, encoder: FeatureEncoder | None) -> NDArray[np.int64]:
        """The row of the nearest for each of ``samples (b, *shape)``."""
        return _lowest(points_of(samples, encoder), self.points(encoder), np.ones(len(self)))


def space_of(encoder: FeatureEncoder | None) -> str:
    """What distances are measured in, in words."""
    return "values" if encoder is None else f"{name_of(encoder)} features"


def _of_features(encoder: FeatureEncoder | None) -> str:
    return "" if encoder is None else f" of {name_of(encoder)} features"


def points_of(samples: Floats, encoder: FeatureEncoder | None) -> Points:
    """Samples as points ``(b, dim)``."""
    if encoder is None:
        return samples.reshape(len(samples), -1)
    return features(encoder, samples).astype(np.float32)


def _lowest(points: Points, known: Points, radii: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each point the row of ``known`` whose distance is the smallest, measured in its own radius.

    Found by products, which round: the distance itself is then computed by differences.
    """
    centre = known.mean(axis=0, dtype=np.float64).astype(known.dtype)
    # Which is the smallest does not change where all radii are measured in the smallest: nothing overflows so.
    centred, scale = known - centre, np.square(radii.min() / radii).astype(np.float32)
    squares = np.square(centred).sum(axis=1)
    found = np.empty(len(points), np.int64)
    size = max(1, BLOCK // len(known))
    for start in range(0, len(points), size):
        some = points[start : start + size] - centre
        apart = squares - 2 * some @ centred.T + np.square(some).sum(axis=1)[:, None]
        found[start : start + size] = (np.maximum(apart, 0) * scale).argmin(axis=1)
    return found


def nearest_way(encoder: FeatureEncoder | None) -> Way:
    """The nearest sample of the bank."""

    def make(batch: Batch) -> Floats:
        bank = batch.generated
        return bank.samples[bank.nearest(batch.samples, encoder)]

    return Way(NEAREST, "samples", make, key=f"{NEAREST} in {space_of(encoder)}")


def nearest_sample(encoder: FeatureEncoder | None, *, size: int) -> Criterion:
    """Distance to the nearest generated sample.

    Args:
        encoder: features to measure it in; None: the values of the samples.
        size: of the bank, for the unit.
    """
    unit = f"distance{_of_features(encoder)} to the nearest of {size:,} generated samples"
    return Criterion("nearest-sample", "extrinsic", unit, distance_between(encoder),
                     _identity("nearest-sample", encoder), way=nearest_way(encoder))  # fmt: skip


def distance_between(encoder: FeatureEncoder | None) -> Callable[[Batch], Scorer]:
    """The ``begin`` of a criterion that is the distance from a sample to what it is compared with."""

    def begin(batch: Batch) -> Scorer:
        if encoder is None:
            return lambda made: np.sqrt(sse(batch.samples, made))
        wanted = points_of(batch.samples, encoder)

        def scored(made: Floats) -> NDArray[np.float64]:
            same = made.strides[0] == 0  # one sample, broadcast: what stands in for every one
            return distances_between(wanted, points_of(made[:1] if same else made, encoder))

        return scored

    return begin


def realism(encoder: FeatureEncoder | None, *, size: int) -> Criterion:
    """How deep a sample lies in the manifold of generated samples: -log of the realism score.

    min over j of log(|x - g_j| / r_j), where r_j is the distance of the generated sample g_j to its k-th nearest other
    one (k = 3), over those j whose r_j is at most the median: outliers span balls that hold anything. At 0 or below, x
    lies in a ball.
    Source: Kynkaanniemi et al. 2019 (arXiv 1904.06991), equation 3, with generated samples as the manifold.
    """

    def begin(batch: Batch) -> Scorer:
        bank = batch.generated
        known, radii = bank.points(encoder), bank.radii(encoder)
        # Equal samples have radii of 0, and of a constant generator all are: then distances alone are left to compare.
        least = max(float(np.abs(known).max()) * 1e-6, LEAST_RADIUS)
        inner = np.flatnonzero(radii <= np.median(radii))
        reach, points = np.maximum(radii[inner], least), points_of(batch.samples, encoder)
        rows = _lowest(points, known[inner], reach)
        apart = distances_between(points, known[inner][rows])
        values = np.log(np.maximum(apart, least) / reach[rows])
        return lambda _: values

    unit = f"-log realism{_of_features(encoder)} among {size:,} generated samples"
    return Criterion("realism", "intrinsic", unit, begin, _identity("realism", encoder), frozenset({"samples"}))


def _identity(name: str, encoder: FeatureEncoder | None) -> Mapping[str, JsonValue] | None:
    if encoder is None:
        return own(name)
    known: Mapping[str, JsonValue] | None = getattr(encoder, "identity", None)
    return None if known is None else own(name, known)


def bank_size(wanted: int, shape: tuple[int, ...], held: int | None) -> int:
    """How many samples the bank holds: as asked for, as many as there are, and no more than memory should."""
    most = max(FEWEST, MOST_BYTES // (4 * int(np.prod(shape))))
    return min(wanted, most, wanted if held is None else held)


def require_manifold(names: tuple[str, ...], size: int, uri: str, *, is_given: bool) -> None:
    """Refuse a bank that is too small for what looks into it; one of samples that were given cannot be made larger.

    Raises:
        UsageError: says how many samples there are, and how many it takes.
    """
    if "realism" in names and size < FEWEST:
        more = f"Give {FEWEST} samples or more" if is_given else f"Generate more (bank={FEWEST} or above)"
        raise UsageError(
            f"realism looks at the {NEIGHBOURS} nearest neighbours of each generated sample, and of {uri} there are "
            f"only {size}: it takes {FEWEST}. {more}, or criteria='nearest-sample', which takes one."
        )


def survey_bank(bank: Bank, held: Floats, rng: np.random.Generator) -> GeneratedRecord:
    """How much generated samples vary, beside real ones: in all, and from each to its nearest neighbour.

    Args:
        bank: generated samples.
        held: the reference, or the anchors where there is none, ``(n, *shape)``.
        rng: draws equally many of both, since nearest neighbours are nearer where there are more.
    """
    size = min(len(bank), len(held), COMPARED)
    sides = [
        points_of(each, None)[np.sort(rng.permutation(len(each))[:size])].astype(np.float64)
        for each in (bank.samples, held)
    ]
    spreads = [float(np.sqrt(side.var(axis=0).mean())) for side in sides]
    near = [float(np.median(neighbour_distances(side, None, neighbours=1))) if size > 1 else 0.0 for side in sides]
    return GeneratedRecord(
        n=len(bank), compared=size, spread=spreads[0], reference_spread=spreads[1], nearest=near[0],
        reference_nearest=near[1],
    )  # fmt: skip
