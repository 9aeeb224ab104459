"""Targets that read log-probabilities of given texts: of what the model said, of a part, or beside an alternative.

The scores of a text are recorded per token, so every span of it is answered by the same calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from whygen.errors import DataError, ModelError
from whygen.prompt.targets.protocol import Verb
from whygen.prompt.targets.spans import Span, find_span, log_probability
from whygen.results.prompt import TargetRecord
from whygen.texts import nfc
from whygen.types import Failure, Floats, Output, TokenScore


@dataclass(frozen=True, slots=True)
class LogProbability:
    """log p(reference | prompt), in nats: how likely the model still finds what it said."""

    record: TargetRecord
    verb: Verb = "score"

    def effects(self, outputs: Sequence[Output], references: Sequence[Output]) -> Floats:
        """Sum over all tokens of the reference, shape ``(n,)``."""
        end = len(references[0].text)
        return np.array([log_probability(scores_of(output), 0, end) for output in outputs], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class SpanLogProbability:
    """log p(span | prompt, what stands before it), in nats: the tokens that touch a span of the reference."""

    record: TargetRecord
    span: Span
    verb: Verb = "score"

    def check(self, reference: Output) -> None:
        """Raise `DataError` if the span is not in the reference."""
        find_span(reference.text, self.span)

    def effects(self, outputs: Sequence[Output], references: Sequence[Output]) -> Floats:
        """Sum over the span's tokens, shape ``(n,)``."""
        start, end = find_span(references[0].text, self.span)
        return np.array([log_probability(scores_of(output), start, end) for output in outputs], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Contains:
    """Whether the answer still holds a span of the reference word for word: 1 or 0. Needs no log-probabilities."""

    record: TargetRecord
    span: Span
    verb: Verb = "answer"

    def check(self, reference: Output) -> None:
        """Raise `DataError` if the span is not in the reference."""
        find_span(reference.text, self.span)

    def effects(self, outputs: Sequence[Output], references: Sequence[Output]) -> Floats:
        """1 where the span's text occurs, else 0, shape ``(n,)``."""
        start, end = find_span(references[0].text, self.span)
        wanted = nfc(references[0].text[start:end])
        return np.array([wanted in nfc(output.text) for output in outputs], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class ContrastiveLogProbability:
    """log p(reference | prompt) - log p(alternative | prompt), in nats: two calls for each prompt."""

    record: TargetRecord
    alternative: str
    texts: int = 2
    verb: Verb = "score"

    def check(self, reference: Output) -> None:
        """Raise `DataError` if the alternative is what the model said."""
        check_alternative(self.alternative, reference)

    def continuations(self, reference: Output) -> tuple[str, ...]:
        """The reference, then the alternative."""
        return reference.text, self.alternative

    def effects(self, outputs: Sequence[Output], references: Sequence[Output]) -> Floats:
        """Difference of the two sums, shape ``(n,)``; the outputs are those of `join_scores`."""
        cut = len(references[0].text)
        end = cut + len(self.alternative)
        pairs = [
            (log_probability(scores, 0, cut), log_probability(scores, cut, end)) for scores in map(scores_of, outputs)
        ]
        return np.array([said - other for said, other in pairs], dtype=np.float64)


def check_alternative(alternative: str, reference: Output) -> None:
    """Refuse to contrast a text with itself.

    Raises:
        DataError: if both are the same.
    """
    if nfc(alternative) == nfc(reference.text):
        raise DataError(
            f"alternative={alternative[:80]!r} is what the model said: there is nothing to contrast. Give a text that "
            "it did not say."
        )


def scores_of(output: Output) -> tuple[TokenScore, ...]:
    """The scores of an output.

    Raises:
        ModelError: if it has none; nothing is a log-probability of zero.
    """
    if output.scores is None:
        raise ModelError(
            "An answer holds no log-probabilities, though the model was asked for them. Use another target."
        )
    return output.scores


def join_scores(answers: Sequence[Output | Failure], texts: Sequence[str]) -> Output | Failure:
    """One output of the scores of several texts of one prompt, as if the texts had been scored end to end.

    Args:
        answers: one for each text.
        texts: what was scored, see `Continues`.

    Returns:
        The joined output, or the first failure if any text got none.
    """
    scores: list[TokenScore] = []
    place = 0
    for answer, text in zip(answers, texts, strict=True):
        if isinstance(answer, Failure):
            return answer
        scores += [TokenScore(place + s.start, place + s.end, s.logprob) for s in scores_of(answer)]
        place += len(text)
    return Output(finish="scored", scores=tuple(scores))
