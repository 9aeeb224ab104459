"""Batches in flight at several workers, each of which holds the same model (`HasWorkers`).

The caller's thread decides and records, as everywhere; a thread for each place at a worker hands a batch over and
waits. Which worker takes it, and what becomes of one that dies, is the model's business (`whygen.models.ray`).
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Sequence
from typing import Final, NamedTuple

from whygen.calls.agenda import Agenda, Answer, Clock, End, InFlight, MonotonicClock, Settled
from whygen.calls.dispatch import GRACE, Send
from whygen.interrupts import interrupts_to
from whygen.models.protocols import HasWorkers
from whygen.types import Limits

LOOK: Final = 0.25
"""Seconds until it is looked again whether more workers are there."""
WORTH: Final = 0.1
"""Seconds that what is handed over at once should take: handing over takes about a hundredth of it."""
MOST: Final = 64
"""Batches of a model that are handed over at once, at most: what a worker that dies has in hand is asked again."""


class _Ended(NamedTuple):
    calls: list[InFlight]
    answers: Sequence[Answer] | BaseException
    seconds: float


class PoolDispatcher:
    """Keeps every place at the workers filled, and hands over more at once where a model answers in no time.

    Ctrl-C (or SIGTERM, SIGHUP) hands nothing more over, and waits for what is in flight; a second interrupts at once.

    Args:
        model: says how many batches its workers take.
        grace: how long batches in flight are waited for once the run has ended, in seconds.
        clock: the time.
    """

    def __init__(self, model: HasWorkers, *, grace: float = GRACE, clock: Clock | None = None) -> None:
        self._model = model
        self._grace = grace
        self._clock = clock or MonotonicClock()
        self._error: BaseException | None = None
        self._each: float | None = None  # seconds that a request takes a worker

    def dispatch(self, send: Send, agenda: Agenda, limits: Limits) -> Generator[Sequence[Settled], None, None]:
        threads = _Threads(send, max(1, limits.max_batch), self._clock)
        ended_at: float | None = None
        self._error = None
        with interrupts_to(lambda: agenda.stop(End("interrupt", "Interrupted."))):
            try:
                while not agenda.done:
                    if agenda.end is not None:
                        ended_at = self._clock.now() if ended_at is None else ended_at
                        if self._clock.now() > ended_at + self._grace:
                            break
                    self._hand_out(threads, agenda, max(1, limits.max_batch))
                    if found := agenda.found():
                        yield found
                    idle = 0.0 if agenda.done else LOOK if threads.in_flight else min(LOOK, max(0.0, agenda.wait()))
                    for ended in threads.collect(idle):
                        if settled := self._settled(ended, agenda):
                            yield settled
            finally:
                threads.dismiss()
        if self._error is not None:
            raise self._error

    def _hand_out(self, threads: _Threads, agenda: Agenda, batch: int) -> None:
        while threads.in_flight < self._model.places:
            calls = agenda.take(self._size(batch, agenda))
            if not calls:
                return
            threads.start(calls)

    def _size(self, batch: int, agenda: Agenda) -> int:
        """Requests to hand over now: whole batches, and near the end so few that every worker has some."""
        worth = 1 if self._each is None else int(WORTH / max(self._each, 1e-9)) // batch
        share = -(-agenda.left // max(1, self._model.places))
        return max(1, min(batch * min(max(worth, 1), MOST), share))

    def _settled(self, ended: _Ended, agenda: Agenda) -> list[Settled]:
        if isinstance(ended.answers, BaseException):
            for _ in ended.calls:
                agenda.abandon()
            agenda.stop(End("error", str(ended.answers)))
            self._error = self._error or ended.answers  # raised once what others have in hand has come
            return []
        each = ended.seconds / len(ended.calls)
        self._each = each if self._each is None else 0.7 * self._each + 0.3 * each
        return agenda.settle(zip(ended.calls, ended.answers, strict=True))


class _Threads:
    """One thread for each batch in flight. They are daemons: a batch that hangs does not keep the process alive."""

    def __init__(self, send: Send, batch: int, clock: Clock) -> None:
        self._send = send
        self._batch = batch
        self._clock = clock
        self._waiting: queue.SimpleQueue[list[InFlight] | None] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[_Ended] = queue.SimpleQueue()
        self._threads = 0
        self.in_flight = 0

    def start(self, calls: list[InFlight]) -> None:
        self.in_flight += 1
        if self.in_flight > self._threads:
            self._threads += 1
            threading.Thread(target=self._work, daemon=True, name=f"whygen-batch-{self._threads}").start()
        self._waiting.put(calls)

    def collect(self, seconds: float) -> list[_Ended]:
        done: list[_Ended] = []
        try:
            done.append(self._ended.get(timeout=seconds) if seconds else self._ended.get_nowait())
            while True:
                done.append(self._ended.get_nowait())
        except queue.Empty:
            self.in_flight -= len(done)
            return done

    def dismiss(self) -> None:
        for _ in range(self._threads):
            self._waiting.put(None)

    def _work(self) -> None:
        while (calls := self._waiting.get()) is not None:
            begun = self._clock.now()
            try:
                answers: Sequence[Answer] | BaseException = self._send([call.request for call in calls])
            except BaseException as error:  # handed to the caller's thread, which raises it there
                answers = error
            self._ended.put(_Ended(calls, answers, self._clock.now() - begun))
