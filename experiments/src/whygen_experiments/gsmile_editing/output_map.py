# pyright: basic
"""A map of the pictures that an editor drew, and how far apart those with a unit lie from those without it.

The picture of the map is PCA's and t-SNE's; the number is the silhouette in the space of the encoder itself, since a
plane drawn by t-SNE shows clusters whether there are any or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from whygen.types import Masks, Vectors

PERMUTATIONS = 499
PERPLEXITY = 30.0
FEWEST = 5
"""Fewer distinct pictures make no map."""


@dataclass(frozen=True, slots=True)
class Separation:
    """How well the presence of a unit separates the pictures.

    Attributes:
        unit: its text.
        silhouette: mean silhouette of the two groups, -1 to 1; None where a group has fewer than two pictures.
        chance: its mean when presence is shuffled.
        chance_p95: the 95th percentile of that.
        p_value: share of the deals at least as separated, the observed one counted.
    """

    unit: str
    silhouette: float | None
    chance: float | None
    chance_p95: float | None
    p_value: float | None


@dataclass(frozen=True, slots=True)
class OutputMap:
    """Pictures in the plane.

    Attributes:
        pca: shape ``(m, 2)``.
        explained: share of the variance along the two axes of PCA.
        tsne: shape ``(m, 2)``; None where there are too few distinct pictures.
        present: shape ``(m, n)``: the units that were there.
        separations: one a unit.
    """

    pca: NDArray[np.float64]
    explained: tuple[float, float]
    tsne: NDArray[np.float64] | None
    present: Masks
    separations: tuple[Separation, ...]


def map_outputs(
    vectors: Vectors, present: Masks, groups: NDArray[np.int64], *, names: Sequence[str], rng: np.random.Generator
) -> OutputMap | None:
    """The map of pictures and the separation by each unit; None where all pictures are equal.

    Args:
        vectors: embedding of each picture, ``(m, d)``.
        present: which units were there, ``(m, n)``.
        groups: masks that were drawn together, ``(m,)``: presence is shuffled over whole groups.
        names: of the units.
        rng: deals out presence anew.
    """
    apart = np.asarray(cdist(vectors, vectors), dtype=np.float64)
    if len(vectors) < FEWEST or float(apart.max()) <= 1e-12:
        return None
    deals = _deals(groups, rng)
    flat = PCA(n_components=2, svd_solver="full")
    plane = flat.fit_transform(vectors)
    share = [float(value) for value in flat.explained_variance_ratio_]
    return OutputMap(
        pca=plane,
        explained=(share[0], share[1]),
        tsne=_tsne(vectors),
        present=present,
        separations=tuple(_separation(apart, present[:, i], name, deals) for i, name in enumerate(names)),
    )


def _tsne(vectors: Vectors) -> NDArray[np.float64] | None:
    """t-SNE from PCA's start: no chance in it. The perplexity is cut to a third of the pictures, as it must be."""
    if len(np.unique(vectors, axis=0)) < FEWEST:
        return None
    perplexity = min(PERPLEXITY, (len(vectors) - 1) / 3)
    found = TSNE(2, perplexity=perplexity, init="pca", random_state=0).fit_transform(vectors)
    return np.asarray(found, dtype=np.float64)


def _deals(groups: NDArray[np.int64], rng: np.random.Generator) -> list[NDArray[np.intp]]:
    """Orders of the rows that move whole groups; groups of unequal size are moved row by row."""
    order = np.argsort(groups, kind="stable")
    number = len(np.unique(groups))
    blocks = order.reshape(number, -1) if len(order) % number == 0 else order[:, None]
    deals = []
    for _ in range(PERMUTATIONS):
        dealt = np.empty_like(order)
        dealt[blocks] = blocks[rng.permutation(len(blocks))]
        deals.append(dealt)
    return deals


def _separation(
    apart: NDArray[np.float64], there: NDArray[np.bool_], name: str, deals: Sequence[NDArray[np.intp]]
) -> Separation:
    if min(there.sum(), (~there).sum()) < 2:
        return Separation(name, None, None, None, None)
    seen = float(silhouettes(apart, there[:, None])[0])
    dealt = silhouettes(apart, np.column_stack([there[deal] for deal in deals]))
    beyond = 1 + int((dealt >= seen - 1e-12).sum())
    return Separation(name, seen, float(dealt.mean()), float(np.quantile(dealt, 0.95)), beyond / (len(deals) + 1))


def silhouettes(apart: NDArray[np.float64], there: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean silhouette of two groups for many ways to deal them out at once.

    Args:
        apart: distances, ``(m, m)``.
        there: membership of the first group, one column a deal, ``(m, deals)``; two rows at least on either side.

    Returns:
        Shape ``(deals,)``. A row that is as near to its own group as to the other, or at distance 0 of both, counts 0.

    Source: Rousseeuw 1987, "Silhouettes: a graphical aid to the interpretation and validation of cluster analysis".
    """
    one = there.astype(np.float64)
    inside, outside = one.sum(axis=0), (1.0 - one).sum(axis=0)
    to_one, to_other = apart @ one, apart @ (1.0 - one)
    own = np.where(there, to_one / (inside - 1.0), to_other / (outside - 1.0))
    other = np.where(there, to_other / outside, to_one / inside)
    larger = np.maximum(own, other)
    return np.divide(other - own, larger, out=np.zeros_like(larger), where=larger > 0).mean(axis=0)
