"""Sign-flip tests: is the mean of symmetric scores zero?"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

ENUMERATED_GROUPS = 12
"""Up to 2^12 sign patterns all are tried; beyond, a random sample of them."""

_ROWS_AT_ONCE = 2048

_ROUNDING = 1e-12
"""Share of the largest score up to which another one is rounding."""


def sign_flip_p(
    scores: NDArray[np.float64], rng: np.random.Generator, *, flips: int = 9999, rounding: float = 0.0
) -> NDArray[np.float64]:
    """Two-sided p-values of "the scores are symmetric about zero", one a column. METHODS A3.

    Args:
        scores: shape ``(groups, n)``.
        rng: used when there are more than 12 groups.
        flips: random sign patterns; the resolution is 1 / (flips + 1), or 2^-groups when all are tried.
        rounding: scores up to this size carry no sign: the difference up to which the effects behind them are equal
            (`whygen.prompt.noise.resolution`), for scores alone do not tell a small effect from the last digits.

    Returns:
        Shape ``(n,)``, in (0, 1]. A column of zeros has p = 1.
    """
    groups = len(scores)
    least = max(rounding, _ROUNDING * float(np.abs(scores).max(initial=0.0)))
    clean = np.where(np.abs(scores) <= least, 0.0, scores)
    observed = np.abs(clean.sum(axis=0))
    slack = 1e-9 * np.abs(clean).sum(axis=0)
    if groups <= ENUMERATED_GROUPS:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=groups)))
        return (np.abs(signs @ clean) >= observed - slack).mean(axis=0)
    reached = np.ones(scores.shape[1])
    for start in range(0, flips, _ROWS_AT_ONCE):
        rows = min(_ROWS_AT_ONCE, flips - start)
        # One random bit a sign: drawing a whole integer for each took longer than the test.
        bits = np.frombuffer(rng.bytes(-(-rows * groups // 8)), dtype=np.uint8)
        signs = np.unpackbits(bits, count=rows * groups).reshape(rows, groups) * 2.0 - 1.0
        reached += (np.abs(signs @ clean) >= observed - slack).sum(axis=0)
    return reached / (flips + 1)
