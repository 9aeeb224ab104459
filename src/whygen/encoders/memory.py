"""What an encoder remembers, so that no text is encoded twice."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whygen.types import Vectors

CAPACITY = 512 * 1024**2
"""Bytes. A story of 60 tokens by 384 numbers takes 0.18 MB, so some 2,800 of them are kept."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """One text: its sentence vector ``(d,)`` and its token embeddings ``(t, d)``, unit length, read-only."""

    sentence: NDArray[np.float64]
    tokens: Vectors

    def __post_init__(self) -> None:
        self.sentence.setflags(write=False)
        self.tokens.setflags(write=False)

    @property
    def nbytes(self) -> int:
        return self.sentence.nbytes + self.tokens.nbytes


class Memory:
    """The most recently used texts, as many as fit into ``capacity`` bytes of arrays."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._held = 0
        self._texts: OrderedDict[str, Encoded] = OrderedDict()

    @property
    def held(self) -> int:
        """Bytes of arrays held."""
        return self._held

    def look_up(self, texts: Iterable[str]) -> dict[str, Encoded]:
        """Those of the texts that are remembered; each counts as used."""
        found = {text: self._texts[text] for text in texts if text in self._texts}
        for text in found:
            self._texts.move_to_end(text)
        return found

    def add(self, encoded: dict[str, Encoded]) -> None:
        """Remember texts that are not remembered yet; the longest unused ones give way."""
        for text, each in encoded.items():
            self._texts[text] = each
            self._held += each.nbytes
        while self._held > self._capacity:
            _, oldest = self._texts.popitem(last=False)
            self._held -= oldest.nbytes
