"""Checks at the door of the anchor wing's numbers: shapes and finiteness, with errors that name the culprit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whygen.errors import DataError

Criteria: TypeAlias = NDArray[np.float64]
"""Criteria of samples, shape ``(n, c)``, or of each posterior draw, ``(S, n, c)``; low means high affinity."""

Points: TypeAlias = NDArray[np.floating[Any]]
"""Where samples lie in the space that distances are measured in: float32 or float64, shape ``(n, dim)``."""


def finite_criteria(values: ArrayLike, names: Sequence[str], *, what: str = "anchor") -> Criteria:
    """Criteria as float64, shape ``(n, c)`` or ``(S, n, c)`` as given.

    Raises:
        DataError: if the shape does not fit the names, nothing is there, or a value is NaN or infinite;
            the message names the sample and the criterion.
    """
    criteria = np.asarray(values, dtype=np.float64)
    if criteria.ndim not in (2, 3) or criteria.shape[-1] != len(names):
        raise DataError(
            f"Criteria of the {what}s have shape {criteria.shape}; give (n, {len(names)}) or (draws, n, {len(names)}), "
            f"one column for each of {', '.join(names)}."
        )
    if 0 in criteria.shape:
        raise DataError(f"There are no {what}s: criteria have shape {criteria.shape}. Give at least one.")
    if not np.isfinite(criteria).all():
        place = np.argwhere(~np.isfinite(criteria))[0]
        raise DataError(
            f"Criterion {names[place[-1]]!r} of {what} {place[-2]} is {criteria[tuple(place)]}. "
            f"Every criterion must be finite: look at that {what} and at what the model makes of it, or leave it out."
        )
    return criteria


def averaged(criteria: Criteria) -> Criteria:
    """The mean over posterior draws, shape ``(n, c)``; criteria without draws are returned as they are."""
    return criteria.mean(axis=0) if criteria.ndim == 3 else criteria


def drawn(criteria: Criteria) -> Criteria:
    """The same with an axis of draws, shape ``(S, n, c)``; one draw where there was no such axis."""
    return criteria if criteria.ndim == 3 else criteria[None]


def as_points(points: ArrayLike, *, argument: str = "points") -> Points:
    """Points as float32 or float64, shape ``(n, dim)``, not copied where they are that already.

    Small integers and float16 become float32, in which they are exact; other types become float64.
    Finiteness is left to whoever walks over the array.

    Raises:
        DataError: if there are no points, or they are not numbers.
    """
    array = np.asarray(points)
    if array.size and array.ndim != 2:
        array = array.reshape(len(np.atleast_1d(array)), -1)
    if array.ndim != 2 or array.size == 0 or array.dtype.kind not in "fiub":
        raise DataError(
            f"{argument} has shape {array.shape} and type {array.dtype}; give real numbers of shape (n, dim), "
            "with at least one row and one column."
        )
    if array.dtype in (np.dtype(np.float32), np.dtype(np.float64)):
        return array
    exact = np.can_cast(array.dtype, np.float32, casting="safe")
    return array.astype(np.float32 if exact else np.float64)


def require_finite(points: Points, *, argument: str = "points", block: int = 16384) -> None:
    """Raise a DataError that names the first row with a NaN or an infinite value."""
    for start in range(0, len(points), block):
        wrong = np.flatnonzero(~np.isfinite(points[start : start + block]).all(axis=1))
        if wrong.size:
            raise DataError(
                f"{argument}[{start + int(wrong[0])}] holds NaN or an infinite value; distances to it do not exist. "
                "Leave that row out, or mend what made it."
            )
