"""Many tests at once: the step-up procedure of Benjamini and Hochberg, which bounds the false discovery rate."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whygen.errors import DataError, UsageError


def benjamini_hochberg(p_values: ArrayLike, *, level: float) -> NDArray[np.bool_]:
    """Which tests are called when the expected share of false ones among the called is to be at most ``level``.

    Args:
        p_values: shape (m,), each within [0, 1].
        level: the false discovery rate to keep, within (0, 1).

    Raises:
        DataError: if a value is not a p-value.
        UsageError: if the level is outside (0, 1).

    Source: Benjamini and Hochberg 1995, JRSS B 57:289-300. Holds for independent or positively dependent tests;
    conformal p-values that share one reference are positively dependent (Bates et al. 2023, Theorem 2).
    """
    if not 0 < level < 1:
        raise UsageError(f"level={level} is not a level; give a number between 0 and 1, such as 0.05.")
    p = _checked(p_values)
    ranked = np.sort(p)
    # p_(i) m <= level i, with room for the rounding of a p-value that is k / (n + 1) in exact arithmetic.
    met = np.flatnonzero(ranked * p.size <= level * np.arange(1, p.size + 1) * (1 + 1e-12))
    return p <= ranked[met[-1]] if met.size else np.zeros(p.size, dtype=np.bool_)


def _checked(p_values: ArrayLike) -> NDArray[np.float64]:
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1:
        raise DataError(f"p_values has shape {p.shape}; give one dimension, one p-value for each test.")
    wrong = np.flatnonzero(~((p >= 0) & (p <= 1)))
    if wrong.size:
        raise DataError(f"p_values[{wrong[0]}] is {p[wrong[0]]}, which is not a p-value; give numbers within [0, 1].")
    return p
