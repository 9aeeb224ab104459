"""What whygen asks of an encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from whygen.types import Vectors


@runtime_checkable
class TextEncoder(Protocol):
    """Texts to vectors. What a text is encoded to does not depend on the texts beside it (to 1e-5)."""

    @property
    def name(self) -> str: ...

    def sentences(self, texts: Sequence[str]) -> Vectors:
        """One vector of length one for each text, shape ``(n, d)``."""
        ...

    def tokens(self, texts: Sequence[str]) -> list[Vectors]:
        """Contextual token embeddings of length one, shape ``(t_i, d)``; special tokens are left out.

        An empty text has one row, its sentence vector: a set must not be empty.
        """
        ...
