"""How a run can end before everything was asked: what was answered is recorded, and can be read back."""

from __future__ import annotations

from typing import Literal, TypeAlias

from whygen.errors import ModelError

Reason: TypeAlias = Literal["deadline", "cost", "failures"]


class EndedError(ModelError):
    """A run that ended before its budget: by a deadline, a cap on cost, or a model that answers no more.

    Whoever holds enough answers can go on with `Runner.recall`; whoever does not lets it through (exit code 4).
    """

    def __init__(self, message: str, *, reason: Reason) -> None:
        super().__init__(message)
        self.reason: Reason = reason
