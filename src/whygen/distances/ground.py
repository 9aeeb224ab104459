"""The Euclidean distances between all points of two sets, from which every distance between sets is made."""

from __future__ import annotations

import numpy as np

from whygen.distances.checks import Numbers
from whygen.types import Vectors

CLOSE = 1e-6
"""Squared distances under this share of the squared lengths lose digits in a matrix product and are computed anew."""

PAIRS_AT_ONCE = 8192


def ground(a: Vectors, b: Vectors) -> Numbers:
    """Euclidean distances between the rows of two sets, ``(t_a, t_b)``; exactly 0 between equal points.

    One matrix product gives |x|^2 + |y|^2 - 2 xy. Where that cancels, the difference itself is taken: without this,
    equal points would be some 1e-8 apart and a text not quite at 0 from itself.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1)
        squares = lengths - 2 * (a @ b.T)
        close = np.argwhere(squares <= CLOSE * lengths)
        if len(close) > PAIRS_AT_ONCE and (repeated := _repeated(a, b)) is not None:
            return repeated
        distances = np.sqrt(np.maximum(squares, 0.0))
        for start in range(0, len(close), PAIRS_AT_ONCE):
            left, right = close[start : start + PAIRS_AT_ONCE].T
            distances[left, right] = np.linalg.norm(a[left] - b[right], axis=1)
    return distances


def _repeated(a: Vectors, b: Vectors) -> Numbers | None:
    """The same by way of the distinct points, where points are repeated, as in the patches of a flat sky; else None."""
    first, row = distinct(a)
    second, column = distinct(b)
    if len(first) == len(a) and len(second) == len(b):
        return None
    return ground(a[first], b[second])[np.ix_(row, column)]


def distinct(points: Vectors) -> tuple[list[int], list[int]]:
    """Where each distinct point stands first, and for each point which of these it equals."""
    known: dict[bytes, int] = {}
    back = [known.setdefault(point.tobytes(), len(known)) for point in points]
    first = [0] * len(known)
    for place, number in reversed(list(enumerate(back))):
        first[number] = place
    return first, back
