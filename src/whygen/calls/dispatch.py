"""How requests reach a model: one batch after another, or many in flight at once, as many as a server is found to take.

This is the seam between the decisions (`whygen.calls.agenda`) and the executors. A dispatcher takes what the agenda
gives, carries it to the model, and settles what came back. When to ask, how often, in which order and at what cost is
the agenda's business: it is the same for every executor. With many calls in flight, the caller's thread decides and
records; other threads do nothing but call the model and wait.
"""

from __future__ import annotations

import heapq
import math
import queue
import threading
from collections.abc import Callable, Generator, Sequence
from typing import Final, NamedTuple, Protocol, TypeAlias

from whygen.calls.agenda import Agenda, Answer, Clock, End, InFlight, MonotonicClock, Settled
from whygen.calls.concurrency import START, Concurrency, Load
from whygen.interrupts import interrupts_to
from whygen.types import Failure, Limits, Request

GRACE: Final = 10.0
"""Seconds that answers in flight are waited for once a run has ended: they are paid for."""
Send: TypeAlias = Callable[[Sequence[Request]], Sequence[Answer]]
"""Asks the model once: as many answers as requests, in their order. Threads may call it at the same time."""


class Dispatcher(Protocol):
    """Sends what the agenda gives until it is done, and hands final answers over as they arrive, in any order."""

    def dispatch(self, send: Send, agenda: Agenda, limits: Limits) -> Generator[Sequence[Settled], None, None]: ...


class LocalDispatcher:
    """One batch of ``limits.max_batch`` requests after another.

    Ctrl-C (or SIGTERM, SIGHUP) lets the batch come to its end, so that what was computed or paid for is recorded; a
    second one, or `GRACE` seconds, interrupts it.
    """

    def dispatch(self, send: Send, agenda: Agenda, limits: Limits) -> Generator[Sequence[Settled], None, None]:
        with interrupts_to(lambda: agenda.stop(End("interrupt", "Interrupted.")), within=GRACE):
            while not agenda.done:
                calls = agenda.take(max(1, limits.max_batch))
                if found := agenda.found():
                    yield found
                if calls:
                    answers = send([call.request for call in calls])
                    yield agenda.settle(zip(calls, answers, strict=True))
                elif not agenda.done:  # a budget may have ended it just now
                    agenda.sleep()


_LONGEST = 3600.0


class SentCall(NamedTuple):
    """A call in flight: its request, how busy the server was, and when it was sent."""

    call: InFlight
    load: Load
    at: float


class EndedCall(NamedTuple):
    """A call that ended at a time, with an answer or with what the model raised."""

    sent: SentCall
    answer: Answer | BaseException
    at: float


class Workers(Protocol):
    """Carries calls out beside the caller's thread."""

    def start(self, sent: SentCall) -> None:
        """Begin a call and return at once."""
        ...

    def collect(self, seconds: float) -> list[EndedCall]:
        """Wait until a call has ended, `wake` was called, or so many seconds are over; all calls that ended since."""
        ...

    def wake(self) -> None:
        """End the waiting of `collect`; safe in a signal handler."""
        ...

    def dismiss(self) -> None:
        """Take on no more calls; those in flight are left to themselves."""
        ...


class Threads:
    """One thread for each call in flight. They are daemons: a call that hangs does not keep the process alive."""

    def __init__(self, send: Send, clock: Clock | None = None) -> None:
        self._send = send
        self._clock = clock or MonotonicClock()
        self._calls: queue.SimpleQueue[SentCall | None] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[EndedCall | None] = queue.SimpleQueue()
        self._threads = 0
        self._in_flight = 0

    def start(self, sent: SentCall) -> None:
        # The counts are touched by the caller's thread alone, so that they need no lock; the queues are the only thing
        # that threads share. A thread is made where all others may be busy: nobody knows which of them hangs.
        self._in_flight += 1
        if self._in_flight > self._threads:
            self._threads += 1
            threading.Thread(target=self._work, daemon=True, name=f"whygen-call-{self._threads}").start()
        self._calls.put(sent)

    def collect(self, seconds: float) -> list[EndedCall]:
        done: list[EndedCall] = []
        try:
            # The first is waited for; the others are taken as far as they have come, so that one look at the agenda
            # serves them all.
            first = self._ended.get(timeout=min(max(seconds, 0.0), _LONGEST))
            done += [] if first is None else [first]
            while True:
                following = self._ended.get_nowait()
                done += [] if following is None else [following]
        except queue.Empty:
            self._in_flight -= len(done)
            return done

    def wake(self) -> None:
        # A `SimpleQueue` may be put to while the same thread waits for it: a handler interrupts just that wait.
        self._ended.put(None)

    def dismiss(self) -> None:
        for _ in range(self._threads):
            self._calls.put(None)

    def _work(self) -> None:
        while (sent := self._calls.get()) is not None:
            try:
                answer: Answer | BaseException = self._send([sent.call.request])[0]
            except BaseException as error:  # handed to the caller's thread, which raises it there
                answer = error
            self._ended.put(EndedCall(sent, answer, self._clock.now()))


HOLD: Final = 0.5
"""Seconds that the place of a call that was turned away stays empty, as long as no answer has shown how long one takes.
"""


class RemoteDispatcher:
    """Finds out how many calls a server takes (`Concurrency`), and keeps so many in flight.

    Ctrl-C (or SIGTERM, SIGHUP) sends nothing more, and waits for what is in flight; a second interrupts at once.

    Args:
        start: calls in flight in the first stage.
        most: bound of them; a model's own `Limits.max_in_flight` bounds them as well.
        grace: how long answers in flight are waited for once the run has ended, in seconds.
        clock: the time.
        workers: makes those who call the model.
    """

    def __init__(
        self,
        *,
        start: int = START,
        most: int | None = None,
        grace: float = GRACE,
        clock: Clock | None = None,
        workers: Callable[[Send], Workers] = Threads,
    ) -> None:
        self._start = start
        self._most = most
        self._grace = grace
        self._clock = clock or MonotonicClock()
        self._workers = workers
        self._concurrency: Concurrency | None = None

    def dispatch(self, send: Send, agenda: Agenda, limits: Limits) -> Generator[Sequence[Settled], None, None]:
        if self._concurrency is None:  # what was found out is kept from one call to the next
            most = limits.max_in_flight if self._most is None else min(limits.max_in_flight, self._most)
            self._concurrency = Concurrency(most, start=self._start)
        workers = self._workers(send)
        calls = _Calls(agenda, self._concurrency, workers, clock=self._clock, grace=self._grace)
        with interrupts_to(calls.interrupt):
            try:
                while calls.go_on():
                    calls.hand_out()
                    if found := agenda.found():
                        yield found
                    if answered := calls.settle(workers.collect(calls.wait())):
                        yield answered
            finally:
                workers.dismiss()
        if calls.error is not None:
            raise calls.error


class _Calls:
    """The calls of one agenda."""

    def __init__(
        self, agenda: Agenda, concurrency: Concurrency, workers: Workers, *, clock: Clock, grace: float
    ) -> None:
        self._agenda = agenda
        self._concurrency = concurrency
        self._workers = workers
        self._clock = clock
        self._grace = grace
        self._held: list[float] = []  # a heap: until when a place stays empty
        self._ended_at: float | None = None
        self.error: BaseException | None = None

    def interrupt(self) -> None:
        """End the run; called from a signal handler."""
        self._agenda.stop(End("interrupt", "Interrupted."))
        self._workers.wake()

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
        level = self._agenda.in_flight
        for call in self._agenda.take(max(0, self._concurrency.limit - level - len(self._held))):
            level += 1
            self._workers.start(SentCall(call, self._concurrency.load(level, held=len(self._held)), now))

    def wait(self) -> float:
        """Seconds until something may be done without an answer."""
        now = self._clock.now()
        if self._agenda.done:
            return 0.0
        if self._agenda.end is not None:
            return self._grace if self._ended_at is None else self._ended_at + self._grace - now
        if self._agenda.in_flight + len(self._held) < self._concurrency.limit:
            return self._agenda.wait()
        free = self._held[0] - now if self._held else math.inf
        return min(max(free, 0.0), self._agenda.time_left)

    def settle(self, ended: Sequence[EndedCall]) -> list[Settled]:
        """Learn from the calls that ended, and pass their answers on."""
        answered: list[Settled] = []
        for sent, answer, at in ended:
            if isinstance(answer, BaseException):
                self._agenda.abandon()
                self._agenda.stop(End("error", str(answer)))
                self.error = self.error or answer
                continue
            self._concurrency.answered(sent.load, answer, seconds=at - sent.at)
            # A place that was turned away stays empty for about an answer: filled at once, it would be turned away
            # again, and the server counts such calls too.
            if isinstance(answer, Failure) and answer.kind == "rate_limit":
                heapq.heappush(self._held, at + (self._concurrency.seconds or HOLD))
            answered += self._agenda.settle([(sent.call, answer)])
        return answered
