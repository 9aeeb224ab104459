"""Targets that read log-probabilities of given texts: of what the model said, of a part, or beside an alternative.

The scores of a text are recorded per token, so every span of it is answered by the same calls. A span is a part of what
the model said, chosen by the person: "why did it say *snow*?".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from whygen.errors import DataError, ModelError, UsageError
from whygen.prompt.targets.protocol import Verb
from whygen.results.prompt import TargetRecord
from whygen.texts import find_all, nfc
from whygen.types import Failure, Floats, Output, TokenScore

Span: TypeAlias = str | tuple[int, int]
"""A text of the reference (``snow``, or ``snow#2`` for its second occurrence), or its characters ``[start, end)``."""

_OCCURRENCE = re.compile(r"(.+)#([1-9]\d*)", re.DOTALL)
_SHOWN = 400
"""Characters of an output that an error shows."""


def shown(text: str) -> str:
    """An output as an error shows it: quoted, and cut where it is long."""
    return repr(text) if len(text) <= _SHOWN else f"{text[:_SHOWN]!r} (and {len(text) - _SHOWN} more characters)"


def check_span(span: Span) -> None:
    """Refuse what is no span at all, before anything is paid.

    Raises:
        UsageError: for an empty text, or characters that are no range.
    """
    if span == "":
        raise UsageError("span is empty: give a text of the output, such as span='snow', or (start, end).")
    if not isinstance(span, str) and not (len(span) == 2 and 0 <= span[0] < span[1]):
        raise UsageError(f"span={span!r}: give characters (start, end) with 0 <= start < end, or a text.")


def find_span(reference: str, span: Span) -> tuple[int, int]:
    """Characters ``[start, end)`` of a span. A text that stands in the reference as it is wins over ``text#number``.

    Raises:
        DataError: if it is not there; the message shows the output.
    """
    if not isinstance(span, str):
        if span[1] > len(reference):
            raise DataError(
                f"span={span!r} ends after the {len(reference)} characters of the output {shown(reference)}."
            )
        return span
    if (found := next(find_all(reference, span), None)) is not None:
        return found
    if match := _OCCURRENCE.fullmatch(span):
        return _occurrence(reference, match[1], int(match[2]))
    raise DataError(
        f"span={span!r} is not in the output, which is {shown(reference)}. Give a text that stands in it, upper and "
        "lower case as there, or (start, end)."
    )


def _occurrence(reference: str, text: str, number: int) -> tuple[int, int]:
    places = list(find_all(reference, text))
    if number <= len(places):
        return places[number - 1]
    raise DataError(
        f"span='{text}#{number}': {text!r} occurs {len(places)} times in the output, which is {shown(reference)}."
    )


def span_name(span: Span) -> str:
    """As a record names it."""
    return repr(span) if isinstance(span, str) else f"characters {span[0]} to {span[1]}"


def touches(score: TokenScore, start: int, end: int) -> bool:
    """Whether a token has a character of ``[start, end)``; a token of no width belongs to the character after it."""
    return start < max(score.end, score.start + 1) and score.start < end


def log_probability(scores: Sequence[TokenScore], start: int, end: int) -> float:
    """Sum over the tokens that touch ``[start, end)``, in nats; one that is partly in counts wholly."""
    return sum(score.logprob for score in scores if touches(score, start, end))


@dataclass(frozen=True, slots=True)
class LogProbability:
    """log p(reference | prompt), in nats: how likely the model still finds what it said."""

    record: TargetRecord
    verb: Verb = "score"

    def check(self, reference: Output) -> None:
        """Raise `DataError` if the reference calls tools and says nothing: calls cannot be scored."""
        if reference.calls and not reference.text:
            raise DataError(
                f"The answer is a call of a tool, {shown(reference.said)}, and log-probabilities are of texts. Use "
                "target='tool', or 'tool:NAME.ARGUMENT' for what it was called with."
            )

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
        find_span(reference.said, self.span)

    def effects(self, outputs: Sequence[Output], references: Sequence[Output]) -> Floats:
        """1 where the span's text occurs, else 0, shape ``(n,)``."""
        start, end = find_span(references[0].said, self.span)
        wanted = nfc(references[0].said[start:end])
        return np.array([wanted in nfc(output.said) for output in outputs], dtype=np.float64)


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
