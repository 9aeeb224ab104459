"""What each unit changes in a picture or a stretch of time: the one regression behind maps and timelines.

With the other units kept or taken away at random, what unit i changes is the coefficient of z_i in a linear regression
of the outputs on the masks: on a balanced design the mean with the unit less the mean without it. Within complement
pairs the differences are regressed, which cancels interactions of two units. The square of a coefficient is too large
by its own variance, which the residuals give: repeated draws, interactions and the chance of the masks are all in it.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from whygen.types import Masks

Pairs: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Rows of masks and of their complements, each ``(pairs,)``."""


def squared_changes(
    masks: Masks, outputs: NDArray[Any], *, pairs: Pairs | None = None, exhaustive: bool = False
) -> NDArray[Any] | None:
    """Squares of what each unit changes in each coordinate, with the variance of chance subtracted.

    Args:
        masks: shape ``(m, n)``.
        outputs: the output of each mask, shape ``(m, d)``, float32 or float64.
        pairs: the complement pairs, if the design has them.
        exhaustive: whether these are all masks, and the model does not differ: then nothing is chance.

    Returns:
        Shape ``(n, d)``, of the outputs' type, unbiased and so under zero at times; None where there are not more rows
        than unknowns.
    """
    if pairs is None:
        x, y = np.hstack([masks.astype(np.float64), np.ones((len(masks), 1))]), outputs
    else:
        first, second = pairs
        x, y = np.where(masks[first], 1.0, -1.0), outputs[first] - outputs[second]
    n, freedom = masks.shape[1], len(x) - x.shape[1]
    if freedom < 1 or np.linalg.matrix_rank(x) < x.shape[1]:
        return None
    inverse = np.linalg.pinv(x).astype(outputs.dtype)
    found = inverse @ y
    squares = found[:n] ** 2
    if not exhaustive:
        residual = ((y - x.astype(outputs.dtype) @ found) ** 2).sum(axis=0) / freedom
        squares -= (inverse[:n] ** 2).sum(axis=1)[:, None] * residual
    return squares
