"""Distances between vectors: one number for each row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from whygen.types import Vectors


def cosine(items: Vectors, reference: NDArray[np.float64]) -> NDArray[np.float64]:
    """``1 - cos``, from 0 (same direction) to 2 (opposite). A zero vector is at 1 from all but another zero vector.

    Args:
        items: shape ``(n, d)``.
        reference: shape ``(d,)``.

    Returns:
        Shape ``(n,)``.
    """
    lengths = np.linalg.norm(items, axis=1)
    length = float(np.linalg.norm(reference))
    product = lengths * length
    cosines = np.divide(items @ reference, product, out=np.zeros(len(items)), where=product > 0)
    both_zero = (lengths == 0) & (length == 0)
    return np.where(both_zero, 0.0, np.clip(1.0 - cosines, 0.0, 2.0))


def euclidean(items: Vectors, reference: NDArray[np.float64]) -> NDArray[np.float64]:
    """Straight-line distance, shape ``(n,)``, of rows ``(n, d)`` from ``(d,)``."""
    return np.linalg.norm(items - reference, axis=1)
