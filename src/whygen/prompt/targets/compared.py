"""Targets that compare answers: ``f(z) = -D(out(z), reference)``, or with another text beside the reference.

An answer that calls tools is compared as its text with the calls below it, ``name(arguments)`` (`Output.said`).
Nothing is rescaled over a run, so attributions can be compared between prompts, runs and models (METHODS A1, A5).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whygen.encoders import TextEncoder
from whygen.prompt.targets.protocol import Compares, Verb
from whygen.prompt.targets.scored import check_alternative
from whygen.results.prompt import TargetRecord
from whygen.types import Floats, Output, Vectors


@dataclass(frozen=True, slots=True)
class TokenSets:
    """A distance between sets of contextual token embeddings."""

    record: TargetRecord
    encoder: TextEncoder
    distance: Callable[[Sequence[Vectors], Vectors], NDArray[np.float64]]
    verb: Verb = "answer"

    def against(self, outputs: Sequence[Output], references: Sequence[Output]) -> NDArray[np.float64]:
        """Minus each distance, shape ``(n, references)``."""
        texts, back = distinct(outputs)
        sets = self.encoder.tokens(texts)
        others = self.encoder.tokens([reference.said for reference in references])
        return -np.stack([self.distance(sets, other) for other in others], axis=1)[back]

    def effects(self, outputs: Sequence[Output], references: Sequence[Output]) -> Floats:
        """Mean over references of minus the distance, shape ``(n,)``."""
        return self.against(outputs, references).mean(axis=1)


@dataclass(frozen=True, slots=True)
class SentenceVectors:
    """A distance between sentence embeddings."""

    record: TargetRecord
    encoder: TextEncoder
    distance: Callable[[Vectors, NDArray[np.float64]], NDArray[np.float64]]
    verb: Verb = "answer"

    def against(self, outputs: Sequence[Output], references: Sequence[Output]) -> NDArray[np.float64]:
        """Minus each distance, shape ``(n, references)``."""
        texts, back = distinct(outputs)
        vectors = self.encoder.sentences(texts)
        others = self.encoder.sentences([reference.said for reference in references])
        return -np.stack([self.distance(vectors, other) for other in others], axis=1)[back]

    def effects(self, outputs: Sequence[Output], references: Sequence[Output]) -> Floats:
        """Mean over references of minus the distance, shape ``(n,)``."""
        return self.against(outputs, references).mean(axis=1)


@dataclass(frozen=True, slots=True)
class PlainTexts:
    """A distance between texts that needs no encoder."""

    record: TargetRecord
    distance: Callable[[Sequence[str], str], NDArray[np.float64]]
    verb: Verb = "answer"

    def against(self, outputs: Sequence[Output], references: Sequence[Output]) -> NDArray[np.float64]:
        """Minus each distance, shape ``(n, references)``."""
        texts, back = distinct(outputs)
        return -np.stack([self.distance(texts, reference.said) for reference in references], axis=1)[back]

    def effects(self, outputs: Sequence[Output], references: Sequence[Output]) -> Floats:
        """Mean over references of minus the distance, shape ``(n,)``."""
        return self.against(outputs, references).mean(axis=1)


def distinct(outputs: Sequence[Output]) -> tuple[list[str], NDArray[np.int64]]:
    """Distinct texts, and for each output the position of its own."""
    order: dict[str, int] = {}
    back = [order.setdefault(output.said, len(order)) for output in outputs]
    return list(order), np.array(back, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class ContrastiveDistance:
    """``D(out, alternative) - D(out, reference)``, in the unit of the distance; swapping the two turns the sign."""

    record: TargetRecord
    base: Compares
    alternative: str
    verb: Verb = "answer"

    def check(self, reference: Output) -> None:
        """Raise `DataError` if the alternative is what the model said."""
        check_alternative(self.alternative, reference)

    def effects(self, outputs: Sequence[Output], references: Sequence[Output]) -> Floats:
        """Difference of the distances, mean over references, shape ``(n,)``."""
        both = self.base.against(outputs, [*references, Output(text=self.alternative)])
        return both[:, :-1].mean(axis=1) - both[:, -1]
