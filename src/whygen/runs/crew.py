"""Who carries calls to a server: threads, that do nothing but call the model and wait."""

from __future__ import annotations

import queue
import threading
from typing import NamedTuple, Protocol

from whygen.runs.agenda import Job
from whygen.runs.clock import Clock, MonotonicClock
from whygen.runs.concurrency import Ticket
from whygen.runs.dispatch import Send
from whygen.runs.retry import Answer

_LONGEST = 3600.0


class Sent(NamedTuple):
    """A call in flight: the job it is for, its ticket, and when it was sent."""

    job: Job
    ticket: Ticket
    at: float


class Done(NamedTuple):
    """A call that ended at a time, with an answer or with what the model raised."""

    sent: Sent
    answer: Answer | BaseException
    at: float


class Crew(Protocol):
    """Carries calls out beside the caller's thread."""

    def start(self, sent: Sent) -> None:
        """Begin a call and return at once."""
        ...

    def collect(self, seconds: float) -> list[Done]:
        """Wait until a call has ended, `wake` was called, or so many seconds are over; all calls that ended since."""
        ...

    def wake(self) -> None:
        """End the waiting of `collect`; safe in a signal handler."""
        ...

    def dismiss(self) -> None:
        """Take on no more calls; those under way are left to themselves."""
        ...


class Threads:
    """One thread for each call under way. They are daemons: a call that hangs does not keep the process alive."""

    def __init__(self, send: Send, clock: Clock | None = None) -> None:
        self._send = send
        self._clock = clock or MonotonicClock()
        self._calls: queue.SimpleQueue[Sent | None] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[Done | None] = queue.SimpleQueue()
        self._threads = 0
        self._under_way = 0

    def start(self, sent: Sent) -> None:
        self._under_way += 1
        if self._under_way > self._threads:
            self._threads += 1
            threading.Thread(target=self._work, daemon=True, name=f"whygen-call-{self._threads}").start()
        self._calls.put(sent)

    def collect(self, seconds: float) -> list[Done]:
        done: list[Done] = []
        try:
            first = self._ended.get(timeout=min(max(seconds, 0.0), _LONGEST))
            done += [] if first is None else [first]
            while True:
                following = self._ended.get_nowait()
                done += [] if following is None else [following]
        except queue.Empty:
            self._under_way -= len(done)
            return done

    def wake(self) -> None:
        self._ended.put(None)

    def dismiss(self) -> None:
        for _ in range(self._threads):
            self._calls.put(None)

    def _work(self) -> None:
        while (sent := self._calls.get()) is not None:
            try:
                answer: Answer | BaseException = self._send([sent.job.request])[0]
            except BaseException as error:  # handed to the caller's thread, which raises it there
                answer = error
            self._ended.put(Done(sent, answer, self._clock.now()))
