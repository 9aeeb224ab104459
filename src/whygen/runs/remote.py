"""How requests reach a server: one a call, as many under way as it is found to take.

The caller's thread decides, records and hands over; a crew of threads does nothing but call the model and wait.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Generator, Sequence
from typing import Final

from whygen.interrupts import interrupts_to
from whygen.runs.agenda import Agenda, Arrival, End
from whygen.runs.clock import Clock, MonotonicClock
from whygen.runs.concurrency import START, Concurrency
from whygen.runs.crew import Crew, Done, Sent, Threads
from whygen.runs.dispatch import GRACE, Send
from whygen.types import Failure, Limits

HOLD: Final = 0.5
"""Seconds that the place of a call that was turned away stays empty, as long as no answer has shown how long one takes.
"""


class RemoteDispatcher:
    """Finds out how many calls a server takes (`Concurrency`), and keeps so many under way.

    Ctrl-C (or SIGTERM, SIGHUP) sends nothing more, and waits for what is under way; a second interrupts at once.

    Args:
        start: calls under way in the first stage.
        most: bound of them; a model's own `Limits.max_in_flight` bounds them as well.
        grace: how long answers under way are waited for once the run has ended, in seconds.
        clock: the time.
        crew: makes those who call the model.
    """

    def __init__(
        self,
        *,
        start: int = START,
        most: int | None = None,
        grace: float = GRACE,
        clock: Clock | None = None,
        crew: Callable[[Send], Crew] = Threads,
    ) -> None:
        self._start = start
        self._most = most
        self._grace = grace
        self._clock = clock or MonotonicClock()
        self._crew = crew
        self._concurrency: Concurrency | None = None

    def dispatch(self, send: Send, agenda: Agenda, limits: Limits) -> Generator[Sequence[Arrival], None, None]:
        if self._concurrency is None:  # what was found out is kept from one call to the next
            most = limits.max_in_flight if self._most is None else min(limits.max_in_flight, self._most)
            self._concurrency = Concurrency(most, start=self._start)
        crew = self._crew(send)
        calls = _Calls(agenda, self._concurrency, crew, clock=self._clock, grace=self._grace)
        with interrupts_to(calls.interrupt):
            try:
                while calls.go_on():
                    calls.hand_out()
                    if found := agenda.found():
                        yield found
                    if arrivals := calls.settle(crew.collect(calls.wait())):
                        yield arrivals
            finally:
                crew.dismiss()
        if calls.error is not None:
            raise calls.error


class _Calls:
    """The calls of one agenda."""

    def __init__(self, agenda: Agenda, concurrency: Concurrency, crew: Crew, *, clock: Clock, grace: float) -> None:
        self._agenda = agenda
        self._concurrency = concurrency
        self._crew = crew
        self._clock = clock
        self._grace = grace
        self._held: list[float] = []  # a heap: until when a place stays empty
        self._ended_at: float | None = None
        self.error: BaseException | None = None

    def interrupt(self) -> None:
        """End the run; called from a signal handler."""
        self._agenda.stop(End("interrupt", "Interrupted."))
        self._crew.wake()

    def go_on(self) -> bool:
        """Whether there is anything to send, or to wait for."""
        if self._agenda.done:
            return False
        if self._agenda.end is not None and self._ended_at is None:
            self._ended_at = self._clock.now()
        return self._ended_at is None or self._clock.now() < self._ended_at + self._grace

    def hand_out(self) -> None:
        """Fill the places that are free."""
        now = self._clock.now()
        while self._held and self._held[0] <= now:
            heapq.heappop(self._held)
        level = self._agenda.under_way
        for job in self._agenda.take(max(0, self._concurrency.limit - level - len(self._held))):
            level += 1
            self._crew.start(Sent(job, self._concurrency.ticket(level, held=len(self._held)), now))

    def wait(self) -> float:
        """Seconds until something may be done without an answer."""
        now = self._clock.now()
        if self._agenda.done:
            return 0.0
        if self._agenda.end is not None:
            return self._grace if self._ended_at is None else self._ended_at + self._grace - now
        if self._agenda.under_way + len(self._held) < self._concurrency.limit:
            return self._agenda.wait()
        free = self._held[0] - now if self._held else math.inf
        return min(max(free, 0.0), self._agenda.time_left)

    def settle(self, ended: Sequence[Done]) -> list[Arrival]:
        """Learn from the calls that ended, and pass their answers on."""
        arrivals: list[Arrival] = []
        for sent, answer, at in ended:
            if isinstance(answer, BaseException):
                self._agenda.abandon()
                self._agenda.stop(End("error", str(answer)))
                self.error = self.error or answer
                continue
            self._concurrency.answered(sent.ticket, answer, seconds=at - sent.at)
            if isinstance(answer, Failure) and answer.kind == "rate_limit":
                heapq.heappush(self._held, at + (self._concurrency.seconds or HOLD))
            arrivals += self._agenda.settle([(sent.job, answer)])
        return arrivals
