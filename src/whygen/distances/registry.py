"""Every distance by name: what it compares, and in which unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

from whygen.distances.sets import energy, optimal_transport, sinkhorn
from whygen.distances.texts import edit, exact, tfidf, token_set
from whygen.distances.vectors import Numbers, cosine, euclidean
from whygen.errors import UnknownNameError
from whygen.types import Vectors

VectorDistance: TypeAlias = Callable[[Vectors, Numbers], Numbers]
"""``(n, d)`` and ``(d,)`` to ``(n,)``."""

SetDistance: TypeAlias = Callable[[Sequence[Vectors], Vectors], Numbers]
"""n arrays ``(t_i, d)`` and ``(t, d)`` to ``(n,)``."""

TextDistance: TypeAlias = Callable[[Sequence[str], str], Numbers]
"""n texts and a text to ``(n,)``."""

Needs: TypeAlias = Literal["vectors", "sets", "texts"]
"""What is compared: one vector an item, a set of vectors an item, or the texts themselves."""


@dataclass(frozen=True, slots=True)
class Distance:
    """A distance for people and records; ``function`` takes items and a reference and gives ``(n,)`` numbers >= 0."""

    name: str
    function: VectorDistance | SetDistance | TextDistance
    needs: Needs
    title: str
    unit: str
    """With the range it has on unit vectors."""
    metric: bool
    """Whether the triangle inequality holds."""


VECTORS: Mapping[str, VectorDistance] = MappingProxyType({"cosine": cosine, "euclidean": euclidean})

SETS: Mapping[str, SetDistance] = MappingProxyType(
    {"optimal-transport": optimal_transport, "sinkhorn": sinkhorn, "energy": energy}
)

TEXTS: Mapping[str, TextDistance] = MappingProxyType(
    {"tfidf": tfidf, "token-set": token_set, "edit": edit, "exact": exact}
)

_ALL = (
    Distance("cosine", cosine, "vectors", "cosine distance", "1 - cosine (0 to 2)", metric=False),
    Distance(
        "euclidean", euclidean, "vectors", "Euclidean distance", "distance on the unit sphere (0 to 2)", metric=True
    ),
    Distance(
        "optimal-transport",
        optimal_transport,
        "sets",
        "exact optimal transport",
        "transport distance on the unit sphere (0 to 2)",
        metric=True,
    ),
    Distance(
        "sinkhorn",
        sinkhorn,
        "sets",
        "Sinkhorn divergence, epsilon 0.1",
        "debiased transport cost on the unit sphere (0 to 2)",
        metric=False,
    ),
    Distance("energy", energy, "sets", "energy distance", "energy on the unit sphere (0 to 4)", metric=False),
    Distance("tfidf", tfidf, "texts", "TF-IDF cosine distance of words", "1 - cosine of TF-IDF (0 to 1)", metric=False),
    Distance("token-set", token_set, "texts", "Jaccard distance of words", "share of words (0 to 1)", metric=True),
    Distance("edit", edit, "texts", "edit distance", "edits over the longer length (0 to 1)", metric=False),
    Distance("exact", exact, "texts", "exact match", "0 if equal, else 1", metric=True),
)

DISTANCES: Mapping[str, Distance] = MappingProxyType({each.name: each for each in _ALL})


def find(name: str) -> Distance:
    """The distance of that name.

    Raises:
        UnknownNameError: if there is none; the message lists the known ones.
    """
    if name not in DISTANCES:
        raise UnknownNameError("distance", name, DISTANCES)
    return DISTANCES[name]
