from __future__ import annotations

from collections.abc import Sequence

import pytest

from whygen.runs import LocalDispatcher, RetryPolicy
from whygen.runs.dispatch import Answer, Arrival
from whygen.runs.retry import ask_until_answered
from whygen.types import Failure, Limits, Output, Request

BUSY = Failure(kind="rate_limit", message="busy", retry_after=2.0)
SHAKY = Failure(kind="transient", message="shaky")


class Server:
    """Answers each prompt by its script, one entry a time, and the last one for ever."""

    def __init__(self, **scripts: list[Answer]) -> None:
        self.scripts = scripts
        self.batches: list[list[str]] = []
        self.slept: list[float] = []

    def send(self, batch: Sequence[Request]) -> list[Answer]:
        names = [str(request.prompt) for request in batch]
        self.batches.append(names)
        return [self.scripts[name].pop(0) if len(self.scripts[name]) > 1 else self.scripts[name][0] for name in names]

    def run(self, *, attempts: int = 3, max_batch: int = 2) -> list[list[Arrival]]:
        policy = RetryPolicy(attempts=attempts, first_wait=0.5, longest_wait=5.0, sleep=self.slept.append)
        requests = [Request(prompt=name) for name in self.scripts]
        limits = Limits(max_batch=max_batch)
        return list(ask_until_answered(LocalDispatcher(), self.send, requests, limits=limits, policy=policy))


def test_batches_arrive_one_by_one() -> None:
    server = Server(**{name: list[Answer]([Output(text=name)]) for name in "abcde"})
    assert [[place for place, _ in batch] for batch in server.run()] == [[0, 1], [2, 3], [4]]
    assert server.slept == []


def test_only_what_failed_is_asked_again_and_after_the_others() -> None:
    server = Server(a=[Output(text="a")], b=[SHAKY, Output(text="b")], c=[Output(text="c")], d=[BUSY, SHAKY, Output()])
    arrivals = [arrival for batch in server.run() for arrival in batch]
    assert server.batches == [["a", "b"], ["c", "d"], ["b", "d"], ["d"]]
    assert sorted(place for place, _ in arrivals) == [0, 1, 2, 3]
    assert all(isinstance(answer, Output) for _, answer in arrivals)


def test_waits_double_unless_the_server_wishes_for_more_and_have_a_bound() -> None:
    patient = Failure(kind="rate_limit", message="come back tomorrow", retry_after=86_400.0)
    server = Server(a=[SHAKY, SHAKY, BUSY, patient, SHAKY, Output()])
    server.run(attempts=9)
    assert server.slept == [0.5, 1.0, 2.0, 5.0, 5.0]


def test_the_last_failure_is_handed_over() -> None:
    server = Server(a=[BUSY, SHAKY, Failure(kind="transient", message="still"), Output()])
    assert server.run(attempts=3)[-1] == [Arrival(0, Failure(kind="transient", message="still"))]
    assert len(server.slept) == 2


@pytest.mark.parametrize("kind", ["refused", "permanent"])
def test_what_does_not_pass_is_not_asked_again(kind: str) -> None:
    server = Server(a=[Failure(kind=kind, message="no"), Output()])  # pyright: ignore[reportArgumentType]
    server.run()
    assert server.batches == [["a"]]


@pytest.mark.parametrize("attempts", [0, 1])
def test_one_attempt_is_always_made(attempts: int) -> None:
    server = Server(a=[SHAKY])
    assert server.run(attempts=attempts) == [[Arrival(0, SHAKY)]]
    assert server.slept == []
