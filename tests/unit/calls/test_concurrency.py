"""The law of concurrency against simulated servers: time is virtual, so that the figures are exact."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from clocks import FakeClock

from whygen.calls import Agenda, RemoteDispatcher, RetryPolicy
from whygen.calls.concurrency import START, Concurrency
from whygen.calls.dispatch import EndedCall, SentCall
from whygen.types import Failure, Limits, Output, Request

BUSY = Failure(kind="rate_limit", message="busy")
LATENCY = 0.2
CAPACITY = 16


@dataclass
class Simulated:
    """A server in virtual time, and the workers that talk to it.

    It queues what is above its capacity, or turns it away; and it turns away a share whatever it does.
    """

    clock: FakeClock
    capacity: int = CAPACITY
    rejects: bool = False
    share: float = 0.0
    failure: Failure = BUSY
    latency: Callable[[], float] = lambda: LATENCY
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    events: list[tuple[float, int, EndedCall]] = field(default_factory=list[tuple[float, int, EndedCall]])
    free_at: list[float] = field(default_factory=list[float])
    peak: int = 0
    turned_away: int = 0

    def __post_init__(self) -> None:
        self._numbers = itertools.count()

    def start(self, sent: SentCall) -> None:
        now = self.clock.now()
        self.free_at = [at for at in self.free_at if at > now]
        refused = self.rejects and len(self.free_at) >= self.capacity
        if refused or self.rng.random() < self.share:
            self.turned_away += 1
            self._answer(sent, self.failure, now + 0.002)
            return
        begins = sorted(self.free_at)[-self.capacity] if len(self.free_at) >= self.capacity else now
        ends = max(begins, now) + self.latency()
        self.free_at.append(ends)
        self.peak = max(self.peak, len(self.free_at))
        self._answer(sent, Output(text=str(sent.call.request.prompt)), ends)

    def _answer(self, sent: SentCall, answer: Output | Failure, at: float) -> None:
        heapq.heappush(self.events, (at, next(self._numbers), EndedCall(sent, answer, at)))

    def collect(self, seconds: float) -> list[EndedCall]:
        now = self.clock.now()
        until = min(now + seconds, self.events[0][0] if self.events else np.inf)
        assert until < np.inf, "it would wait for ever"
        self.clock.at = max(now, until)
        done: list[EndedCall] = []
        while self.events and self.events[0][0] <= self.clock.at:
            done.append(heapq.heappop(self.events)[2])
        return done

    def wake(self) -> None: ...

    def dismiss(self) -> None: ...


def run(server: Simulated, calls: int = 256, *, most: int = 64, start: int = START) -> tuple[float, Agenda]:
    """Seconds that it took, and the agenda; every call is answered by its own answer."""
    dispatcher = RemoteDispatcher(start=start, clock=server.clock, workers=lambda _: server)
    requests = [Request(prompt=str(number)) for number in range(calls)]
    agenda = Agenda(requests, clock=server.clock, policy=RetryPolicy(turned_away=50))
    began = server.clock.now()
    answered = [
        each for batch in dispatcher.dispatch(lambda _: [], agenda, Limits(max_in_flight=most)) for each in batch
    ]
    assert sorted(answered) == [(place, Output(text=str(place))) for place in range(calls)]
    return server.clock.now() - began, agenda


IDEAL = 256 * LATENCY / CAPACITY


def test_a_server_that_queues() -> None:
    server = Simulated(FakeClock())
    seconds, agenda = run(server)
    assert seconds / IDEAL <= 1.07
    assert agenda.sent == 256
    assert server.peak <= 2 * CAPACITY  # no more than was needed to see that it queues


def test_a_server_that_turns_away_what_it_cannot_take() -> None:
    server = Simulated(FakeClock(), rejects=True)
    seconds, agenda = run(server)
    assert seconds / IDEAL <= 1.25
    assert agenda.sent == 256 + server.turned_away
    assert server.turned_away < 64


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("rejects", [False, True])
def test_a_fifth_turned_away_at_random_does_not_strangle(rejects: bool, seed: int) -> None:
    server = Simulated(FakeClock(), rejects=rejects, share=0.2, rng=np.random.default_rng(seed))
    seconds, agenda = run(server)
    assert seconds / IDEAL <= (1.75 if rejects else 1.5)
    assert agenda.sent == 256 + server.turned_away


@pytest.mark.parametrize("capacity", [1, 3, 16, 40, 200])
@pytest.mark.parametrize("rejects", [False, True])
def test_any_capacity_is_found(capacity: int, rejects: bool) -> None:
    server = Simulated(FakeClock(), capacity=capacity, rejects=rejects)
    seconds, _ = run(server, 2000)
    assert seconds / (2000 * LATENCY / min(capacity, 64)) <= 1.15


@pytest.mark.parametrize("seed", range(5))
def test_answers_of_very_different_length_do_not_look_like_a_queue(seed: int) -> None:
    rng = np.random.default_rng(seed)
    server = Simulated(FakeClock(), capacity=200, latency=lambda: float(rng.uniform(0.5, 8.0)))
    seconds, _ = run(server, 1000)
    assert seconds / (1000 * 4.25 / 64) <= 1.4


def test_a_bound_is_kept_from_the_first_call() -> None:
    server = Simulated(FakeClock(), capacity=64)
    run(server, most=5)
    assert server.peak == 5


def test_a_server_that_fails_most_calls_is_given_fewer() -> None:
    law = Concurrency(64)
    limits = [law.limit]
    for _ in range(40):
        law.answered(law.load(law.limit), BUSY, seconds=0.01)
        limits.append(law.limit)
    assert limits[0] == START
    assert limits[-1] == 1
    assert sorted(limits, reverse=True) == limits


def test_few_calls_say_nothing_about_many() -> None:
    law = Concurrency(64)
    for _ in range(100):
        law.answered(law.load(2), Output(), seconds=0.2)
    assert law.limit == START


def test_it_grows_by_doubling_and_then_by_one() -> None:
    law = Concurrency(1000, start=4)
    grown: list[int] = []
    for latency in [0.2, 0.2, 0.4, 0.2, 0.2, 0.2]:
        for _ in range(law.limit):
            law.answered(law.load(law.limit), Output(), seconds=latency)
        grown.append(law.limit)
    assert grown == [8, 16, 8, 9, 10, 11]
