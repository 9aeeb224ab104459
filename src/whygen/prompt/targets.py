"""What is measured of an output: ``f(z) = -D(out(z), reference)`` in the distance's own unit, or a log-probability.

Nothing is rescaled over a run, so attributions can be compared between prompts, runs and models (METHODS A1, A5).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from whygen import distances
from whygen.encoders import TextEncoder, has_text_encoder, load_text_encoder
from whygen.errors import UnknownNameError, UsageError
from whygen.results.prompt import TargetRecord
from whygen.types import Effects, Output, Vectors

Verb: TypeAlias = Literal["answer", "score"]
"""Whether the model is asked to write (and the answer is compared) or to score the reference it gave."""


class Target(Protocol):
    """Turns outputs into effects."""

    @property
    def record(self) -> TargetRecord: ...

    @property
    def verb(self) -> Verb: ...

    def effects(self, outputs: Sequence[Output], references: Sequence[Output]) -> Effects:
        """Effect of each output ``(n,)``: the mean over references of minus the distance."""
        ...


def _mean_over(references: Sequence[Output], one: Callable[[Output], NDArray[np.float64]]) -> Effects:
    return -np.mean([one(reference) for reference in references], axis=0)


@dataclass(frozen=True, slots=True)
class TokenSets:
    """A distance between sets of contextual token embeddings."""

    record: TargetRecord
    encoder: TextEncoder
    distance: Callable[[Sequence[Vectors], Vectors], NDArray[np.float64]]
    verb: Verb = "answer"

    def effects(self, outputs: Sequence[Output], references: Sequence[Output]) -> Effects:
        texts, back = _distinct(outputs)
        sets = self.encoder.tokens(texts)
        return _mean_over(references, lambda r: self.distance(sets, self.encoder.tokens([r.text])[0]))[back]


@dataclass(frozen=True, slots=True)
class SentenceVectors:
    """A distance between sentence embeddings."""

    record: TargetRecord
    encoder: TextEncoder
    distance: Callable[[Vectors, NDArray[np.float64]], NDArray[np.float64]]
    verb: Verb = "answer"

    def effects(self, outputs: Sequence[Output], references: Sequence[Output]) -> Effects:
        texts, back = _distinct(outputs)
        vectors = self.encoder.sentences(texts)
        return _mean_over(references, lambda r: self.distance(vectors, self.encoder.sentences([r.text])[0]))[back]


@dataclass(frozen=True, slots=True)
class Texts:
    """A distance between texts that needs no encoder."""

    record: TargetRecord
    distance: Callable[[Sequence[str], str], NDArray[np.float64]]
    verb: Verb = "answer"

    def effects(self, outputs: Sequence[Output], references: Sequence[Output]) -> Effects:
        texts, back = _distinct(outputs)
        return _mean_over(references, lambda r: self.distance(texts, r.text))[back]


@dataclass(frozen=True, slots=True)
class LogProbability:
    """log p(reference | prompt), in nats: how likely the model still finds what it said."""

    record: TargetRecord
    verb: Verb = "score"

    def effects(self, outputs: Sequence[Output], references: Sequence[Output]) -> Effects:
        del references  # each output already holds the scores of the reference
        return np.array([sum(score.logprob for score in output.scores or ()) for output in outputs], dtype=np.float64)


def _distinct(outputs: Sequence[Output]) -> tuple[list[str], NDArray[np.int64]]:
    """Distinct texts, and for each output the position of its own."""
    order: dict[str, int] = {}
    back = [order.setdefault(output.text, len(order)) for output in outputs]
    return list(order), np.array(back, dtype=np.int64)


def _opened(encoder: str | TextEncoder) -> TextEncoder:
    return load_text_encoder(encoder) if isinstance(encoder, str) else encoder


def _optimal_transport(encoder: str | TextEncoder) -> Target:
    unit = "optimal transport between token embeddings (0 to 2)"
    record = TargetRecord(name="optimal-transport", distance="exact optimal transport", unit=unit)
    return TokenSets(record, _opened(encoder), distances.optimal_transport)


def _cosine(encoder: str | TextEncoder) -> Target:
    record = TargetRecord(name="cosine", distance="cosine of sentence embeddings", unit="1 - cosine (0 to 2)")
    return SentenceVectors(record, _opened(encoder), distances.cosine)


def _texts(name: str, unit: str, distance: Callable[[Sequence[str], str], NDArray[np.float64]]) -> Target:
    return Texts(TargetRecord(name=name, distance=name, unit=unit), distance)


def _logprob(encoder: str | TextEncoder) -> Target:
    del encoder
    return LogProbability(TargetRecord(name="logprob", distance="log-probability of the reference", unit="nats"))


TARGETS: dict[str, Callable[[str | TextEncoder], Target]] = {
    "optimal-transport": _optimal_transport,
    "cosine": _cosine,
    "tfidf": lambda _: _texts("tfidf", "1 - cosine of TF-IDF (0 to 1)", distances.tfidf),
    "token-set": lambda _: _texts("token-set", "Jaccard distance of words (0 to 1)", distances.token_set),
    "edit": lambda _: _texts("edit", "edits over the longer length (0 to 1)", distances.edit),
    "exact": lambda _: _texts("exact", "0 if equal, else 1", distances.exact),
    "logprob": _logprob,
}


def load_target(name: str = "auto", *, encoder: str | TextEncoder = "auto") -> Target:
    """The target of that name; ``auto`` is optimal transport with the installed encoder, else TF-IDF (METHODS A5).

    Args:
        name: ``auto`` or a key of `TARGETS`.
        encoder: name or folder of a sentence encoder, or an open one, for the targets that need it.

    Raises:
        UnknownNameError: if there is no such target.
        UsageError: if an encoder is named for a target that uses none.
    """
    if name == "auto":
        name = "optimal-transport" if encoder != "auto" or has_text_encoder() else "tfidf"
    if name not in TARGETS:
        raise UnknownNameError("target", name, [*TARGETS, "auto"])
    if encoder != "auto" and name not in {"optimal-transport", "cosine"}:
        raise UsageError(f"encoder={encoder!r} is given, but target={name!r} uses none. Leave it out, or use 'cosine'.")
    return TARGETS[name](encoder)
