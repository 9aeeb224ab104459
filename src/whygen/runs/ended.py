"""How a run says that it ended before everything was answered. Both signals carry what is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from whygen.errors import WhygenError
from whygen.runs.agenda import End
from whygen.runs.dispatch import Answer
from whygen.types import Failure

RESUME: Final = "Answers so far are recorded: the same command goes on from here."


class EndedEarly(WhygenError):  # noqa: N818 - not an error: a run that ended, with what it has
    """A deadline, a budget or the server ended the run. What was answered is recorded, and handed over in `answers`.

    Attributes:
        reason: ``deadline``, ``budget`` or ``server``.
        answers: one for each request, in order; a `Failure` of kind ``unasked`` where there is none.
    """

    exit_code = 4

    def __init__(self, end: End, answers: Sequence[Answer]) -> None:
        super().__init__(f"{end.text} {_count(answers)} {RESUME}")
        self.reason = end.reason
        self.answers = list(answers)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C. What was answered, or still arrived within the grace, is recorded, and handed over in `answers`.

    Attributes:
        answers: one for each request, in order; a `Failure` of kind ``unasked`` where there is none.
    """

    def __init__(self, answers: Sequence[Answer]) -> None:
        super().__init__(f"Interrupted. {_count(answers)} {RESUME}")
        self.answers = list(answers)


def unasked(end: End) -> Failure:
    """Stands for the answer of a request that was not sent, or whose answer nobody waited for."""
    return Failure(kind="unasked", message=end.text, advice=RESUME)


def _count(answers: Sequence[Answer]) -> str:
    missing = sum(isinstance(answer, Failure) and answer.kind == "unasked" for answer in answers)
    return f"{len(answers) - missing} of {len(answers)} requests were answered."
