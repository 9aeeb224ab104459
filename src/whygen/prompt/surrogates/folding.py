"""Folds of whole groups inside a surrogate, and how many terms they prove worth keeping."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FOLDS = 4
"""Folds in which added terms must prove themselves."""

_SEED = 0
"""Folds are dealt by this fixed seed: a surrogate is a function of its data alone."""


def folds_of(groups: NDArray[np.int64], folds: int) -> NDArray[np.int64]:
    """Fold of each row ``(r,)``, with whole groups in one fold; fewer folds where there are fewer groups.

    Shuffled, because enumerated designs count in binary: every fourth group has two units in common.
    """
    names, group_of = np.unique(groups, return_inverse=True)
    dealt = np.random.default_rng(_SEED).permutation(len(names)) % min(folds, len(names))
    return dealt[group_of]


def group_means(values: NDArray[np.float64], groups: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean over the rows of each group, ``(r, k)`` to ``(groups, k)``."""
    _, group_of = np.unique(groups, return_inverse=True)
    sums = np.zeros((int(group_of.max()) + 1, values.shape[1]))
    np.add.at(sums, group_of, values)
    return sums / np.bincount(group_of)[:, None]


class Count(NamedTuple):
    """How many terms to add, and the mean error with them on left-out groups; None where there was no error to tell."""

    terms: int
    error: float | None


def best_count(errors: Iterable[NDArray[np.float64]]) -> Count:
    """The column with the least mean error; the first unless its gain over the first exceeds one standard error.

    Args:
        errors: for each fold, the error of each held-out group with none, one, two .. added terms, ``(groups, k + 1)``.
            Where nothing beats none after half of the folds, the rest is not asked for.

    Returns:
        The number of the column, and its mean error over the folds that were asked for.
    """
    seen: list[NDArray[np.float64]] = []
    for fold in errors:
        seen.append(fold)
        if len(seen) == FOLDS // 2 and int(np.concatenate(seen).mean(axis=0).argmin()) == 0:
            break
    table = np.concatenate(seen)
    best = int(table.mean(axis=0).argmin())
    gain = table[:, 0] - table[:, best]
    kept = best if best and gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain)) else 0
    return Count(kept, float(table[:, kept].mean()))
