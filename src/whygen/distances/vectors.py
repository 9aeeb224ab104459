"""Distances between one vector an item and a reference vector."""

from __future__ import annotations

import numpy as np

from whygen.distances import checks
from whygen.distances.checks import Numbers
from whygen.types import Vectors


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
    points, one = checks.vectors(items, reference)
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
    points, one = checks.vectors(items, reference)
    with np.errstate(over="ignore"):
        return checks.distances(np.sqrt(np.square(points - one).sum(axis=1)))


def unit_rows(points: Vectors) -> Vectors:
    """Rows scaled to length 1; zero rows stay zero. The largest entry is divided out first, against overflow."""
    largest = np.abs(points).max(axis=1, keepdims=True, initial=0.0)
    scaled = points / np.where(largest > 0, largest, 1.0)
    lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
    return scaled / np.where(lengths > 0, lengths, 1.0)
