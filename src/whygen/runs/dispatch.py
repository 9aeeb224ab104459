"""How requests reach a model. This is the seam between the decisions (`whygen.runs.agenda`) and the executors.

A dispatcher takes what the agenda gives, carries it to the model, and settles what came back. When to ask, how often
and in which order, and what it may cost, is the agenda's business: it is the same for every executor.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Protocol, TypeAlias

from whygen.runs.agenda import Agenda, Arrival
from whygen.runs.retry import Answer
from whygen.types import Limits, Request

Send: TypeAlias = Callable[[Sequence[Request]], Sequence[Answer]]
"""Asks the model once: as many answers as requests, in their order. Threads may call it at the same time."""


class Dispatcher(Protocol):
    """Sends what the agenda gives until it is done, and hands final answers over as they arrive, in any order."""

    def dispatch(self, send: Send, agenda: Agenda, limits: Limits) -> Generator[Sequence[Arrival], None, None]: ...


class LocalDispatcher:
    """One batch of ``limits.max_batch`` requests after another."""

    def dispatch(self, send: Send, agenda: Agenda, limits: Limits) -> Generator[Sequence[Arrival], None, None]:
        while not agenda.done:
            jobs = agenda.take(max(1, limits.max_batch))
            if jobs:
                answers = send([job.request for job in jobs])
                yield agenda.settle(zip(jobs, answers, strict=True))
            elif not agenda.done:  # a budget may have ended it just now
                agenda.sleep()
