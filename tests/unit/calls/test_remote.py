"""Many calls at once, by real threads: order, ends and errors. Models sleep for milliseconds."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whygen.calls import (
    Budget,
    EndedError,
    LocalDispatcher,
    RemoteDispatcher,
    RetryPolicy,
    Runner,
    Spent,
    Store,
    Tally,
)
from whygen.calls.runner import dispatcher_for
from whygen.errors import ModelError
from whygen.types import Failure, Limits, Output, Request, Settings

BUSY = Failure(kind="rate_limit", message="busy")
SHAKY = Failure(kind="transient", message="shaky")
QUICK = RetryPolicy(share=10, first_wait=0.001, attempts=30)


class Server:
    """A remote model: one request a call, many calls at once; counts what it is asked."""

    uri = "test/remote"

    def __init__(
        self, rule: Callable[[Request, int], Output | Failure] | None = None, *, seconds: float = 0.002, most: int = 16
    ) -> None:
        self.limits = Limits(max_in_flight=most)
        self.asked: list[str] = []
        self.in_flight = self.peak = 0
        self._seconds = seconds
        self._rule = rule or (lambda request, _: Output(text=f"to {request.prompt}", tokens_in=3, tokens_out=2))
        self._lock = threading.Lock()

    def answer(self, requests: Sequence[Request]) -> list[Output | Failure]:
        (request,) = requests
        name = str(request.prompt)
        with self._lock:
            self.asked.append(name)
            times = self.asked.count(name)
            self.in_flight += 1
            self.peak = max(self.peak, self.in_flight)
        time.sleep(self._seconds)
        with self._lock:
            self.in_flight -= 1
        return [self._rule(request, times)]


def requests(n: int, **options: Any) -> list[Request]:
    return [Request(prompt=str(number), settings=Settings(**options)) for number in range(n)]


def texts(answers: Sequence[Output | Failure | None]) -> list[str]:
    return [answer.text if isinstance(answer, Output) else str(answer) for answer in answers]


ALL = [f"to {number}" for number in range(60)]


def test_the_dispatcher_follows_from_the_models_limits() -> None:
    assert isinstance(dispatcher_for(Server()), RemoteDispatcher)
    assert isinstance(dispatcher_for(Server(most=1)), LocalDispatcher)


def test_many_are_under_way_at_once_and_never_too_many() -> None:
    model = Server(seconds=0.02, most=12)
    runner = Runner(model, store=Store(None))
    assert texts(runner.ask(requests(60))) == ALL
    assert 8 <= model.peak <= 12
    assert runner.tally == Tally(asked=60, made=60)
    assert runner.spent == Spent(calls=60, tokens_in=180, tokens_out=120)


@settings(max_examples=8)
@given(
    delays=st.lists(st.integers(0, 4), min_size=20, max_size=20),
    failures=st.lists(st.integers(0, 3), min_size=20, max_size=20),
    start=st.integers(1, 20),
    seed=st.integers(0, 3),
)
def test_neither_executor_nor_order_of_arrival_changes_an_answer(
    delays: list[int], failures: list[int], start: int, seed: int
) -> None:
    def rule(request: Request, times: int) -> Output | Failure:
        place = int(str(request.prompt))
        time.sleep(delays[place] / 1000)
        if times <= failures[place]:
            return (BUSY, SHAKY)[times % 2]
        return Output(text=f"{request.sampling_seed} at attempt {times}")

    asked = requests(20, temperature=1.0, seed=seed)
    remote = Runner(Server(rule), store=Store(None), retry=QUICK, dispatcher=RemoteDispatcher(start=start))
    local = Runner(Server(rule), store=Store(None), retry=QUICK, dispatcher=LocalDispatcher())
    assert remote.ask(asked) == local.ask(asked)
    assert remote.tally == local.tally == Tally(asked=20, made=20 + sum(failures), retried=sum(failures))


def test_what_waits_holds_back_no_other() -> None:
    def rule(request: Request, times: int) -> Output | Failure:
        return SHAKY if request.prompt == "0" and times == 1 else Output(text=f"to {request.prompt}")

    model = Server(rule)
    runner = Runner(model, store=Store(None), retry=RetryPolicy(first_wait=0.2, seed=1))
    assert texts(runner.ask(requests(60))) == ALL
    assert model.asked[-1] == "0"


def test_every_answer_is_recorded_before_it_is_handed_over(tmp_path: Path) -> None:
    seen: list[int] = []
    with Store(tmp_path / "calls.sqlite") as store, Store(tmp_path / "calls.sqlite") as onlooker:

        class Noted:
            def begin(self, total: int, label: str) -> None: ...
            def advance(self, n: int, *, cached: bool) -> None:
                seen.append(0 if cached else onlooker.count())

            def spend(self, text: str) -> None:
                assert text.endswith("tokens")

            def end(self) -> None: ...

        Runner(Server(), store=store, progress=Noted()).ask(requests(60))
    assert seen[0] == 0
    assert seen[1:] == sorted(seen[1:])
    assert seen[1] > 0
    assert seen[-1] == 60


class TestEnds:
    def test_an_error_of_the_model_loses_nothing_that_was_under_way(self, tmp_path: Path) -> None:
        def rule(request: Request, times: int) -> Output | Failure:
            del times
            if request.prompt == "5":
                raise ZeroDivisionError("division by zero")
            return Output(text=f"to {request.prompt}")

        model = Server(rule, seconds=0.01)
        with Store(tmp_path / "calls.sqlite") as store:
            runner = Runner(model, store=store)
            with pytest.raises(ModelError, match="test/remote raised ZeroDivisionError"):
                runner.ask(requests(60))
            assert store.count() == len(model.asked) - 1
            assert runner.tally.made == len(model.asked) < 60
            again = Server()
            assert texts(Runner(again, store=store).ask(requests(60))) == ALL
        assert sorted(model.asked + again.asked, key=int) == sorted(["5", *map(str, range(60))], key=int)

    def test_a_deadline_ends_with_what_there_is(self, tmp_path: Path) -> None:
        model = Server(seconds=0.05, most=4)
        with Store(tmp_path / "calls.sqlite") as store:
            runner = Runner(model, store=store, deadline=0.2)
            with pytest.raises(EndedError, match=r"deadline.*of 60 requests were answered.*same command") as ended:
                runner.ask(requests(60))
            assert (ended.value.exit_code, ended.value.reason) == (4, "deadline")
            recalled = runner.recall(requests(60))
            got = [answer for answer in recalled if answer is not None]
            assert 0 < len(got) == store.count() == len(model.asked) == runner.tally.asked < 60
            assert texts(recalled) == ALL[: len(got)] + ["None"] * (60 - len(got))
            assert texts(runner.ask(requests(2))) == ALL[:2]
            with pytest.raises(EndedError):
                runner.ask([Request(prompt="new")])
        assert "new" not in model.asked

    def test_a_call_that_hangs_is_not_waited_for_beyond_the_grace(self) -> None:
        release = threading.Event()

        def rule(request: Request, times: int) -> Output:
            del times
            if request.prompt == "3":
                release.wait(20)
            return Output(text=f"to {request.prompt}")

        runner = Runner(Server(rule), store=Store(None), deadline=0.1, dispatcher=RemoteDispatcher(grace=0.1))
        with pytest.raises(EndedError, match="7 of 8 requests were answered"):
            runner.ask(requests(8))
        release.set()
        assert texts(runner.recall(requests(8))) == [*ALL[:3], "None", *ALL[4:8]]

    def test_a_request_that_failed_is_not_one_that_was_answered(self) -> None:
        def rule(request: Request, times: int) -> Output | Failure:
            del times
            if request.prompt in {"0", "1"}:
                return Output(text="here")
            time.sleep(0.05)
            return Failure(kind="fatal", message="The key was revoked.")

        runner = Runner(Server(rule), store=Store(None), dispatcher=RemoteDispatcher())
        with pytest.raises(EndedError, match=r"revoked\. 2 of 60 requests were answered"):
            runner.ask(requests(60))

    def test_a_server_that_turns_everything_away_ends_the_run(self) -> None:
        model = Server(lambda request, times: BUSY)
        runner = Runner(model, store=Store(None), retry=RetryPolicy(first_wait=0.01, patience=0.2, turned_away=10**6))
        with pytest.raises(EndedError, match=r"turned every call away for 0 s: busy"):
            runner.ask(requests(60))
        assert len(model.asked) < 60

    def test_an_interrupt_records_what_is_under_way(self, tmp_path: Path) -> None:
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:

            def rule(request: Request, times: int) -> Output:
                del times
                if request.prompt == "20":
                    os.kill(os.getpid(), signal.SIGINT)
                return Output(text=f"to {request.prompt}")

            model = Server(rule, seconds=0.01)
            with Store(tmp_path / "calls.sqlite") as store:
                runner = Runner(model, store=store)
                with pytest.raises(KeyboardInterrupt, match="of 60 requests were answered"):
                    runner.ask(requests(60))
                assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
                assert store.count() == len(model.asked) < 60
                assert [text for text in texts(runner.recall(requests(60))) if text != "None"] == sorted(
                    (f"to {name}" for name in model.asked), key=lambda text: int(text[3:])
                )
        finally:
            signal.signal(signal.SIGINT, before)

    def test_a_second_interrupt_waits_for_nothing(self) -> None:
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        release = threading.Event()
        try:

            def rule(request: Request, times: int) -> Output:
                del times
                if request.prompt == "7":
                    for _ in range(2):
                        time.sleep(0.05)
                        os.kill(os.getpid(), signal.SIGINT)
                release.wait(20)
                return Output(text="late")

            runner = Runner(Server(rule), store=Store(None))
            with pytest.raises(KeyboardInterrupt):
                runner.ask(requests(8))
            assert runner.recall(requests(8)) == [None] * 8
        finally:
            release.set()
            signal.signal(signal.SIGINT, before)


class TestBudgets:
    def test_calls(self) -> None:
        model = Server()
        runner = Runner(model, store=Store(None), spending=Budget(calls=25))
        with pytest.raises(EndedError, match=r"calls=26, and calls=25 is allowed") as ended:
            runner.ask(requests(60))
        assert len(model.asked) == 25
        assert texts(runner.recall(requests(60))) == ALL[:25] + ["None"] * 35
        assert ended.value.reason == "cost"

    def test_what_is_recorded_costs_nothing(self, tmp_path: Path) -> None:
        with Store(tmp_path / "calls.sqlite") as store:
            Runner(Server(), store=store).ask(requests(30))
            again = Runner(Server(), store=store, spending=Budget(calls=30))
            assert texts(again.ask(requests(60))) == ALL
        assert again.spent.calls == 30
