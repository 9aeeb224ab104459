"""Distances between one vector an item and a reference vector, and what every distance asks of its arguments."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from whygen.errors import DataError
from whygen.types import Vectors

Numbers = NDArray[np.float64]


def checked(items: Vectors, reference: Numbers) -> tuple[Vectors, Numbers]:
    """``items (n, d)`` and ``reference (d,)`` as float64.

    Raises:
        DataError: if the shapes do not fit or a value is NaN or infinite.
    """
    points, one = np.asarray(items, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if points.ndim != 2 or one.ndim != 1 or points.shape[1] != len(one):
        raise DataError(
            f"items of shape {points.shape} cannot be compared with a reference of shape {one.shape}; "
            f"give (n, d) and (d,), both from the same encoder."
        )
    _require_finite(points, "items")
    _require_finite(one, "reference")
    return points, one


def point_sets(sets: Sequence[Vectors], reference: Vectors) -> tuple[list[Vectors], Vectors]:
    """Each set ``(t_i, d)`` and the reference ``(t, d)`` as float64, C-contiguous.

    Raises:
        DataError: if a set is empty, the dimensions differ, or a value is NaN or infinite.
    """
    target = _point_set(reference, "reference")
    points = [_point_set(each, f"sets[{index}]") for index, each in enumerate(sets)]
    for index, each in enumerate(points):
        if each.shape[1] != target.shape[1]:
            raise DataError(
                f"sets[{index}] has {each.shape[1]} dimensions and the reference {target.shape[1]}; "
                f"encode both with the same encoder."
            )
    return points, target


def _point_set(points: Vectors, argument: str) -> Vectors:
    array = np.ascontiguousarray(points, dtype=np.float64)
    if array.ndim != 2 or 0 in array.shape:
        raise DataError(
            f"{argument} has shape {array.shape}; a set of points has shape (t, d) with at least one point. "
            f"Give an empty text one point of its own, as whygen.encoders does."
        )
    _require_finite(array, argument)
    return array


def _require_finite(array: Numbers, argument: str) -> None:
    if not np.isfinite(array).all():
        raise DataError(f"{argument} holds NaN or an infinite value; distances to it do not exist. Leave it out.")


def distances(values: Numbers) -> Numbers:
    """The values, with rounding below 0 taken away.

    Raises:
        DataError: if a distance overflowed.
    """
    if not np.isfinite(values).all():
        raise DataError("the coordinates are so large that distances overflow; divide them by their largest value.")
    return np.maximum(values, 0.0)


def cosine(items: Vectors, reference: Numbers) -> Numbers:
    """One minus the cosine, 0 (same direction) to 2 (opposite). Symmetric; no triangle inequality.

    Computed as half the squared distance of the unit vectors, which is the same number and is exactly 0 for equal
    vectors. A zero vector has no direction: it is at 0 from a zero vector and at 1 from any other.

    Args:
        items: shape ``(n, d)``.
        reference: shape ``(d,)``.

    Returns:
        Shape ``(n,)``.

    Raises:
        DataError: if the shapes do not fit or a value is not finite.
    """
    points, one = checked(items, reference)
    directions, direction = unit_rows(points), unit_rows(one[None])[0]
    values = 0.5 * np.square(directions - direction).sum(axis=1)
    either_is_zero = ~directions.any(axis=1) ^ ~direction.any()
    return np.where(either_is_zero, 1.0, np.minimum(values, 2.0))


def euclidean(items: Vectors, reference: Numbers) -> Numbers:
    """Euclidean distance, in the unit of the vectors (0 to 2 between unit vectors). A metric.

    Args:
        items: shape ``(n, d)``.
        reference: shape ``(d,)``.

    Returns:
        Shape ``(n,)``.

    Raises:
        DataError: if the shapes do not fit, a value is not finite or a distance overflows.
    """
    points, one = checked(items, reference)
    with np.errstate(over="ignore"):
        return distances(np.sqrt(np.square(points - one).sum(axis=1)))


def unit_rows(points: Vectors) -> Vectors:
    """Rows scaled to length 1; zero rows stay zero. The largest entry is divided out first, against overflow."""
    largest = np.abs(points).max(axis=1, keepdims=True, initial=0.0)
    scaled = points / np.where(largest > 0, largest, 1.0)
    lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
    return scaled / np.where(lengths > 0, lengths, 1.0)
