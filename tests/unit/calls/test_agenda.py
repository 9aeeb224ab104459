from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from clocks import FakeClock
from hypothesis import given
from hypothesis import strategies as st

from whygen.calls import Agenda, LocalDispatcher, RetryPolicy
from whygen.calls.agenda import Answer, End, Settled
from whygen.types import Failure, Limits, Output, Request

BUSY = Failure(kind="rate_limit", message="busy")
LATER = Failure(kind="rate_limit", message="come back", retry_after=20.0)
SHAKY = Failure(kind="transient", message="shaky")


class Server:
    """Answers each prompt by its script, one entry a time, and the last one for ever."""

    def __init__(self, **scripts: list[Answer]) -> None:
        self.scripts = scripts
        self.batches: list[list[str]] = []
        self.times: list[float] = []
        self.clock = FakeClock()
        self.agenda = Agenda([])

    def send(self, batch: Sequence[Request]) -> list[Answer]:
        names = [str(request.prompt) for request in batch]
        self.batches.append(names)
        self.times.append(self.clock.at - 1000)
        return [self.scripts[name].pop(0) if len(self.scripts[name]) > 1 else self.scripts[name][0] for name in names]

    def run(self, *, max_batch: int = 2, deadline: float = math.inf, **policy: float) -> list[list[Settled]]:
        requests = [Request(prompt=name) for name in self.scripts]
        rules = RetryPolicy(**policy)  # pyright: ignore[reportArgumentType]
        self.agenda = Agenda(requests, policy=rules, clock=self.clock, until=1000 + deadline)
        return [
            list(batch) for batch in LocalDispatcher().dispatch(self.send, self.agenda, Limits(max_batch=max_batch))
        ]


def flat(batches: list[list[Settled]]) -> list[Settled]:
    return [arrival for batch in batches for arrival in batch]


def test_batches_arrive_one_by_one() -> None:
    server = Server(**{name: list[Answer]([Output(text=name)]) for name in "abcde"})
    assert [[place for place, _ in batch] for batch in server.run()] == [[0, 1], [2, 3], [4]]
    assert server.clock.slept == []


def test_what_failed_is_asked_again_without_holding_back_the_others() -> None:
    server = Server(
        a=[Output(text="a")],
        b=[SHAKY, Output(text="b")],
        c=[Output(text="c")],
        d=[LATER, SHAKY, Output()],
        e=[Output()],
    )
    answered = flat(server.run(first_wait=0.0))
    assert server.batches == [["a", "b"], ["b", "c"], ["d", "e"], ["d"], ["d"]]
    assert sorted(place for place, _ in answered) == [0, 1, 2, 3, 4]
    assert all(isinstance(answer, Output) for _, answer in answered)
    assert server.times == [0, 0, 0, 20, 20]
    assert (server.agenda.sent, server.agenda.retried) == (8, 3)


@given(place=st.integers(0, 10**6), failed=st.integers(1, 2000), seed=st.integers(0, 9))
def test_waits_are_drawn_below_a_doubling_bound_and_depend_on_nothing_else(place: int, failed: int, seed: int) -> None:
    wait = RetryPolicy(first_wait=0.5, longest_wait=5.0, seed=seed).wait(place, failed)
    assert 0 <= wait <= min(5.0, 0.5 * 2.0 ** min(failed - 1, 99))
    assert wait == RetryPolicy(first_wait=0.5, longest_wait=5.0, seed=seed).wait(place, failed)


def test_requests_that_failed_together_do_not_come_back_together() -> None:
    assert len({RetryPolicy().wait(place, 1) for place in range(100)}) == 100


def test_the_last_failure_is_handed_over_after_so_many_attempts() -> None:
    server = Server(a=[SHAKY, SHAKY, Failure(kind="transient", message="still"), Output()])
    assert server.run(attempts=3)[-1] == [Settled(0, Failure(kind="transient", message="still"))]
    assert len(server.batches) == 3


@pytest.mark.parametrize("kind", ["refused", "permanent"])
def test_what_does_not_pass_is_not_asked_again(kind: str) -> None:
    server = Server(a=[Failure(kind=kind, message="no"), Output()])  # pyright: ignore[reportArgumentType]
    server.run()
    assert server.batches == [["a"]]


@pytest.mark.parametrize("attempts", [0, 1])
def test_one_attempt_is_always_made(attempts: int) -> None:
    server = Server(a=[SHAKY])
    assert flat(server.run(attempts=attempts)) == [Settled(0, SHAKY)]
    assert server.clock.slept == []


class TestAServerThatTurnsCallsAway:
    def test_that_is_no_attempt(self) -> None:
        server = Server(a=[BUSY, LATER, SHAKY, BUSY, LATER, SHAKY, LATER, Output()])
        assert flat(server.run(attempts=3)) == [Settled(0, Output())]

    def test_however_often_it_says_when_to_come_back(self) -> None:
        server = Server(a=[*[LATER] * 14, Output()], b=[Output()])
        assert len([arrival for arrival in flat(server.run(max_batch=1)) if isinstance(arrival.answer, Output)]) == 2
        assert server.times == [20.0 * number for number in range(15)] + [280.0]

    def test_all_wait_as_long_as_it_asks(self) -> None:
        server = Server(a=[LATER, Output()], b=[Output()], c=[Output()])
        server.run(max_batch=1)
        assert server.batches == [["a"], ["a"], ["b"], ["c"]]
        assert server.times == [0, 20, 20, 20]

    @pytest.mark.parametrize("told", [0.0, 0.001])
    def test_a_server_that_says_at_once_is_not_asked_without_end(self, told: float) -> None:
        server = Server(a=[Failure(kind="rate_limit", message="busy", retry_after=told)] * 100_000)
        server.run(patience=100.0, turned_away=1000, max_batch=1)
        assert server.agenda.end is not None
        assert "turned every call away for 100 s: busy" in server.agenda.end.text
        assert server.agenda.sent < 20

    def test_one_request_that_is_always_turned_away_is_given_up(self) -> None:
        fine = {f"x{number}": list[Answer]([Output()]) for number in range(5)}
        server = Server(a=[BUSY], **fine)
        answered = flat(server.run(turned_away=4))
        assert Settled(0, BUSY) in answered
        assert len(answered) == 6
        assert sum(batch.count("a") for batch in server.batches) == 4
        assert server.agenda.end is None

    def test_one_that_answers_nothing_is_left_alone_longer_and_longer_until_the_run_ends(self) -> None:
        server = Server(**{str(number): list[Answer]([BUSY]) for number in range(40)})
        server.run(patience=100.0, turned_away=1000, max_batch=1)
        assert server.agenda.end is not None
        assert server.agenda.end.reason == "failures"
        assert "turned every call away for 100 s: busy" in server.agenda.end.text
        assert 100 < server.times[-1] < 260
        assert len(server.batches) < math.log2(100 / 0.5) + 3

    def test_one_that_asks_for_more_than_patience_ends_the_run_at_once(self) -> None:
        server = Server(a=[Failure(kind="rate_limit", message="daily limit", retry_after=86_400.0)], b=[Output()])
        assert flat(server.run(max_batch=1)) == [Settled(0, server.scripts["a"][0])]
        assert server.agenda.end is not None
        assert "86400 s: daily limit" in server.agenda.end.text
        assert server.batches == [["a"]]


class TestDeadline:
    def test_nothing_is_sent_after_it(self) -> None:
        server = Server(a=[LATER, Output()], b=[Output()])
        server.run(max_batch=1, deadline=15)
        assert server.batches == [["a"]]
        assert server.agenda.end == End("deadline", "The deadline of this run is over.")
        assert server.clock.slept == [15.0]

    def test_a_run_that_is_done_before_ends_as_usual(self) -> None:
        server = Server(a=[LATER, Output()])
        assert flat(server.run(deadline=25)) == [Settled(0, Output())]
        assert server.agenda.end is None


def test_a_clock_that_jumps_back_neither_hurries_nor_blocks() -> None:
    clock = FakeClock(1000.0)
    agenda = Agenda([Request(prompt="a")], clock=clock)
    agenda.settle([(agenda.take(1)[0], LATER)])
    clock.at = 10.0
    assert agenda.take(1) == []
    assert agenda.wait() == 20.0
    clock.at = 1020.0
    assert len(agenda.take(1)) == 1


def test_the_first_reason_to_end_stays() -> None:
    agenda = Agenda([Request(prompt="a")])
    agenda.stop(End("cost", "first"))
    agenda.stop(End("deadline", "second"))
    assert agenda.end == End("cost", "first")
    assert agenda.take(1) == []
    assert agenda.done


def test_what_fails_on_its_way_is_repeated_within_a_bound_of_the_whole_run() -> None:
    """Sixty requests that all fail twice would be sent 120 times more: a run sends half as many again at most."""
    server = Server(**{f"r{number}": list[Answer]([SHAKY, SHAKY, Output(text="late")]) for number in range(60)})
    requests = [Request(prompt=name) for name in server.scripts]
    server.agenda = Agenda(requests, policy=RetryPolicy(), clock=server.clock, repeats=RetryPolicy().repeats(60))
    answered = flat([list(batch) for batch in LocalDispatcher().dispatch(server.send, server.agenda, Limits())])
    assert len(answered) == 60
    assert server.agenda.sent == 60 + 30
    assert server.agenda.repeated == 30


def test_no_new_request_is_sent_while_many_wait_to_be_sent_again() -> None:
    server = Server(**{f"r{number}": list[Answer]([SHAKY]) for number in range(40)})
    first: list[str] = []

    def stop_after(batch: Sequence[Request]) -> list[Answer]:
        first.extend(str(request.prompt) for request in batch)
        return server.send(batch)

    agenda = server.agenda = Agenda([Request(prompt=name) for name in server.scripts], clock=server.clock)
    answered = LocalDispatcher().dispatch(stop_after, agenda, Limits())
    while not next(answered):
        pass
    assert len(set(first)) <= 8


def test_a_fatal_failure_sends_nothing_more() -> None:
    fatal = Failure(kind="fatal", message="the key is revoked", advice="Get another")
    server = Server(a=[Output(text="a")], b=[fatal], **{f"r{n}": list[Answer]([SHAKY]) for n in range(9)})
    assert [arrival.place for arrival in flat(server.run(max_batch=1))] == [0, 1]
    assert server.agenda.end == End("failures", "the key is revoked. Get another")
