"""FID and KID: how far apart two sets of samples are by their features. Metrics of a model, not of an anchor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whygen.errors import DataError

KERNEL_DEGREE = 3
BLOCK = 4096


def fid(features: ArrayLike, others: ArrayLike) -> float:
    """Frechet distance between the normal distributions that two sets of features have the moments of.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1^1/2 C2 C1^1/2)^1/2), covariances with n - 1. It is biased upwards in small sets;
    with no more samples than dimensions the covariances are singular, and the value says little: use `kid` there.

    Args:
        features: ``(n, dim)``, n at least 2.
        others: ``(m, dim)``, m at least 2.

    Raises:
        DataError: if the shapes do not fit, or a feature is not finite.

    Source: Heusel et al. 2017 (arXiv 1706.08500), equation 6; Bures and Wasserstein's closed form.
    """
    one, other = _pair(features, others)
    root = _root(np.cov(one, rowvar=False).reshape(one.shape[1], -1))
    covariance = np.cov(other, rowvar=False).reshape(one.shape[1], -1)
    crossed = np.linalg.eigvalsh(root @ covariance @ root)
    shift = np.square(one.mean(axis=0) - other.mean(axis=0)).sum()
    spread = np.square(root).sum() + np.trace(covariance) - 2 * np.sqrt(np.clip(crossed, 0, None)).sum()
    return max(0.0, float(shift + spread))


def kid(features: ArrayLike, others: ArrayLike) -> float:
    """Squared maximum mean discrepancy of two sets of features, unbiased: its mean is 0 for equal distributions.

    The kernel is (x . y / dim + 1)^3. The estimate may be negative.

    Args:
        features: ``(n, dim)``, n at least 2.
        others: ``(m, dim)``, m at least 2.

    Raises:
        DataError: if the shapes do not fit, or a feature is not finite.

    Source: Binkowski et al. 2018 (arXiv 1801.01401), section 4; Gretton et al. 2012, lemma 6.
    """
    one, other = _pair(features, others)
    within = _kernel_sum(one, one) - float(_kernel(np.square(one).sum(axis=1), one.shape[1]).sum())
    among = _kernel_sum(other, other) - float(_kernel(np.square(other).sum(axis=1), one.shape[1]).sum())
    n, m = len(one), len(other)
    return within / (n * (n - 1)) + among / (m * (m - 1)) - 2 * _kernel_sum(one, other) / (n * m)


SET_METRICS: Mapping[str, Callable[[ArrayLike, ArrayLike], float]] = MappingProxyType({"fid": fid, "kid": kid})
"""Metrics between two sets of features, by name."""


def _pair(features: ArrayLike, others: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    one, other = np.asarray(features, dtype=np.float64), np.asarray(others, dtype=np.float64)
    for array in (one, other):
        if array.ndim != 2 or len(array) < 2 or array.shape[1] != one.shape[1]:
            raise DataError(
                f"The features have shapes {one.shape} and {other.shape}; give (n, dim) and (m, dim), two samples each "
                "at least, from one encoder."
            )
        if not np.isfinite(array).all():
            raise DataError("A feature is NaN or infinite; look at what the encoder makes of its samples.")
    return one, other


def _root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The symmetric root of a symmetric matrix whose negative eigenvalues are rounding."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T


def _kernel(products: NDArray[np.float64], dim: int) -> NDArray[np.float64]:
    return (products / dim + 1) ** KERNEL_DEGREE


def _kernel_sum(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """The kernel summed over all pairs, in blocks of rows."""
    starts = range(0, len(one), BLOCK)
    return sum(float(_kernel(one[start : start + BLOCK] @ other.T, one.shape[1]).sum()) for start in starts)
