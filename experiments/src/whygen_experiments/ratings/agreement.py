"""Do raters agree? Krippendorff's alpha, from the coincidences of their ratings.

K. Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), sections C to E: any number of raters, missing
ratings, and a distance that fits the scale. The library of that name is under the GPL, which whygen's own licence
cannot take in; the tests check these few lines against the published examples and against the definition by pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from whygen.errors import UnknownNameError

Floats: TypeAlias = NDArray[np.float64]
Scale: TypeAlias = Literal["nominal", "ordinal", "interval"]

DRAWS = 2000


def krippendorff_alpha(ratings: Floats, scale: Scale = "ordinal") -> float | None:
    """1 where raters always agree, 0 where they agree as chance would have it, below 0 where they disagree on purpose.

    Args:
        ratings: shape ``(raters, items)``; NaN where a rater said nothing. Items with one rating do not count.
        scale: of the ratings.

    Returns:
        None where no two raters rated one item, or all ratings are the same: nothing there could disagree.

    Raises:
        UnknownNameError: if the scale is none of those.
    """
    coincidences, values = coincidences_of(ratings)
    return _alpha(coincidences.sum(axis=0), values, _distances(scale))


def alpha_interval(
    ratings: Floats, rng: np.random.Generator, *, scale: Scale = "ordinal", level: float = 0.95
) -> tuple[float, float] | None:
    """Percentile interval of alpha when items are drawn with replacement; None where fewer than two items count."""
    coincidences, values = coincidences_of(ratings)
    if len(coincidences) < 2 or len(values) < 2:
        return None
    distances, many = _distances(scale), len(coincidences)
    weights = rng.multinomial(many, np.full(many, 1.0 / many), size=DRAWS)
    sums = np.einsum("bu,ucd->bcd", weights, coincidences)
    found = [alpha for each in sums if (alpha := _alpha(each, values, distances)) is not None]
    low, high = np.quantile(found, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return float(low), float(high)


def coincidences_of(ratings: Floats) -> tuple[Floats, Floats]:
    """How often two values met in each item ``(items, values, values)``, and the values; only items rated twice."""
    paired = ratings[:, (~np.isnan(ratings)).sum(axis=0) >= 2]
    values = np.unique(paired[~np.isnan(paired)])
    counts = (paired[:, :, None] == values).sum(axis=0).astype(np.float64)
    met = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(len(values))
    return met / (counts.sum(axis=1) - 1.0)[:, None, None], values


def _alpha(coincidences: Floats, values: Floats, distances: Callable[[Floats, Floats], Floats]) -> float | None:
    totals = coincidences.sum(axis=0)
    apart = distances(values, totals)
    expected = float((np.outer(totals, totals) * apart).sum())
    if expected == 0.0:
        return None
    return 1.0 - (float(totals.sum()) - 1.0) * float((coincidences * apart).sum()) / expected


def _nominal(values: Floats, totals: Floats) -> Floats:
    del totals
    return np.not_equal.outer(values, values).astype(np.float64)


def _interval(values: Floats, totals: Floats) -> Floats:
    del totals
    return np.subtract.outer(values, values) ** 2


def _ordinal(values: Floats, totals: Floats) -> Floats:
    """``(sum of n_g from c to k, less (n_c + n_k) / 2)^2``: the squared difference of mid-ranks."""
    del values
    middles = np.cumsum(totals) - totals / 2.0
    return np.subtract.outer(middles, middles) ** 2


_SCALES: Mapping[str, Callable[[Floats, Floats], Floats]] = {
    "nominal": _nominal,
    "ordinal": _ordinal,
    "interval": _interval,
}


def _distances(scale: str) -> Callable[[Floats, Floats], Floats]:
    if scale not in _SCALES:
        raise UnknownNameError("scale of ratings", scale, _SCALES)
    return _SCALES[scale]
