"""Any score of the answer: a classifier, a judge, a regular expression."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np

from whygen._arguments import short
from whygen.errors import UsageError
from whygen.prompt.targets.protocol import KEPT, Verb
from whygen.prompt.targets.scored import shown
from whygen.results.prompt import TargetRecord
from whygen.safe import is_stop, says
from whygen.texts import nfc
from whygen.types import Floats, Output

Score: TypeAlias = Callable[[str], float] | Callable[[Output], float]
"""Text of the answer (with its calls below it, see `Output.said`) to a number; or the whole `Output`, where the first
parameter is annotated with it."""


@dataclass(frozen=True, slots=True)
class TextScore:
    """``f(z) = score(out(z))``, as the score gives it; a positive attribution means: keeping the unit raises it."""

    record: TargetRecord
    score: Callable[[str], object]
    verb: Verb = "answer"

    def effects(self, outputs: Sequence[Output], references: Sequence[Output]) -> Floats:
        """The score of each text, shape ``(n,)``; equal texts are scored once, so a judge is paid once for each.

        Raises:
            UsageError: if the score raises, or gives no finite number; the message holds the text it was given.
        """
        del references
        found = {text: _number(self.score, text, text) for text in dict.fromkeys(output.said for output in outputs)}
        return np.array([found[output.said] for output in outputs], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class OutputScore:
    """As `TextScore`, of the whole `Output`: its picture, how it ended, what the provider said of it."""

    record: TargetRecord
    score: Callable[[Output], object]
    verb: Verb = "answer"

    def effects(self, outputs: Sequence[Output], references: Sequence[Output]) -> Floats:
        """The score of each output, shape ``(n,)``.

        Raises:
            UsageError: if the score raises, or gives no finite number; the message holds the text it was given.
        """
        del references
        return np.array([_number(self.score, output, output.said) for output in outputs], dtype=np.float64)


def _number(score: Callable[[Any], object], item: object, text: str) -> float:
    name = name_of(score)
    try:
        value = score(item)
    except BaseException as error:
        if is_stop(error):
            raise
        raise UsageError(f"target {name} raised {says(error)}, given {shown(text)}. {KEPT}") from error
    try:
        number = float(cast(Any, value))
    except Exception:  # whatever a stranger's object raises when it is asked for its number
        raise UsageError(f"target {name} gave {short(value)}, no number, for {shown(text)}. {KEPT}") from None
    if not math.isfinite(number):
        raise UsageError(f"target {name} gave {number}, which is no finite number, for {shown(text)}. {KEPT}")
    return number


def name_of(score: object) -> str:
    """The name of a callable, for records and errors."""
    return str(getattr(score, "__qualname__", None) or type(score).__qualname__)


def score_target(score: Score) -> TextScore | OutputScore:
    """A target from a callable."""
    name = name_of(score)
    record = TargetRecord(name=f"score:{name}", distance=f"score of the answer by {name}", unit=f"as {name} gives it")
    if _takes_output(score):
        return OutputScore(record, cast("Callable[[Output], object]", score))
    return TextScore(record, cast("Callable[[str], object]", score))


def _takes_output(score: Callable[..., object]) -> bool:
    try:
        parameters = list(inspect.signature(score).parameters.values())
    except (TypeError, ValueError):  # some built-in callables have no signature
        return False
    annotation = parameters[0].annotation if parameters else None
    return annotation is Output or str(annotation).rpartition(".")[2].strip("'\"") == "Output"


def pattern_target(pattern: re.Pattern[str]) -> TextScore:
    """1 where the pattern is found in the answer, else 0."""
    record = TargetRecord(
        name=f"regex:{pattern.pattern}", distance=f"whether /{pattern.pattern}/ is found", unit="1 if found, else 0"
    )
    return TextScore(record, lambda text: float(any(pattern.search(each) for each in {text, nfc(text)})))


def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern of ``regex:PATTERN``.

    Raises:
        UsageError: if it is no regular expression; the message says where it breaks.
    """
    try:
        return re.compile(nfc(pattern))
    except re.error as error:
        raise UsageError(f"target='regex:{pattern}' is no regular expression: {error}.") from None
