"""Which few points stand for a group: four named objectives, each saying what was run and how good it is.

`k_dispersion` shows variety, `k_center` leaves nobody out, `facility_location` shows the bulk, `k_medoids` is the
published "k-center". The space that distances are measured in is the caller's choice of points.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike

from whygen.anchors.selection.bulk import facility_location, k_medoids
from whygen.anchors.selection.points import (
    Metric,
    Selection,
    SelectionName,
    Solver,
    Traversal,
    diversity,
    farthest_first,
    nearest_pick,
)
from whygen.anchors.selection.spread import k_center, k_dispersion
from whygen.errors import UnknownNameError

SELECTIONS: Mapping[str, Callable[..., Selection]] = MappingProxyType(
    {
        "k-dispersion": k_dispersion,
        "k-center": k_center,
        "k-medoids": k_medoids,
        "facility-location": facility_location,
    }
)


def select(
    name: SelectionName | str, points: ArrayLike, *, k: int, rng: np.random.Generator, first: int | None = None
) -> Selection:
    """Run the selection called ``name``; ``rng`` and ``first`` reach those that use them.

    Raises:
        UnknownNameError: if no selection has that name.
    """
    if name not in SELECTIONS:
        raise UnknownNameError("selection", name, SELECTIONS)
    if name == "k-medoids":
        return k_medoids(points, k, rng=rng)
    if name == "facility-location":
        return facility_location(points, k)
    return SELECTIONS[name](points, k, first=first)


__all__ = [
    "SELECTIONS",
    "Metric",
    "Selection",
    "SelectionName",
    "Solver",
    "Traversal",
    "diversity",
    "facility_location",
    "farthest_first",
    "k_center",
    "k_dispersion",
    "k_medoids",
    "nearest_pick",
    "select",
]
