"""A part of what the model said, chosen by the person: "why did it say *snow*?"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias

from whygen.errors import DataError, UsageError
from whygen.texts import find_all
from whygen.types import TokenScore

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
