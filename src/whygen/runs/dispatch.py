"""How requests reach a model. This is the seam between the decisions (`whygen.runs.agenda`) and the executors.

A dispatcher takes what the agenda gives, carries it to the model, and settles what came back. When to ask, how often
and in which order, and what it may cost, is the agenda's business: it is the same for every executor.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Final, Protocol, TypeAlias

from whygen.interrupts import interrupts_to
from whygen.runs.agenda import Agenda, Arrival, End
from whygen.runs.retry import Answer
from whygen.types import Limits, Request

GRACE: Final = 10.0
"""Seconds that answers under way are waited for once a run has ended: they are paid for."""
Send: TypeAlias = Callable[[Sequence[Request]], Sequence[Answer]]
"""Asks the model once: as many answers as requests, in their order. Threads may call it at the same time."""


class Dispatcher(Protocol):
    """Sends what the agenda gives until it is done, and hands final answers over as they arrive, in any order."""

    def dispatch(self, send: Send, agenda: Agenda, limits: Limits) -> Generator[Sequence[Arrival], None, None]: ...


class LocalDispatcher:
    """One batch of ``limits.max_batch`` requests after another.

    Ctrl-C (or SIGTERM, SIGHUP) lets the batch come to its end, so that what was computed or paid for is recorded; a
    second one, or `GRACE` seconds, interrupts it.
    """

    def dispatch(self, send: Send, agenda: Agenda, limits: Limits) -> Generator[Sequence[Arrival], None, None]:
        with interrupts_to(lambda: agenda.stop(End("interrupt", "Interrupted.")), within=GRACE):
            while not agenda.done:
                jobs = agenda.take(max(1, limits.max_batch))
                if found := agenda.found():
                    yield found
                if jobs:
                    answers = send([job.request for job in jobs])
                    yield agenda.settle(zip(jobs, answers, strict=True))
                elif not agenda.done:  # a budget may have ended it just now
                    agenda.sleep()
