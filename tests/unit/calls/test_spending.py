from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest
from clocks import FakeClock
from hypothesis import given, settings
from hypothesis import strategies as st

from whygen.calls import Budget, EndedError, Rates, RemoteDispatcher, RetryPolicy, Runner, Store
from whygen.calls.spending import Bucket, BudgetGate, Spent, worst_case
from whygen.errors import UsageError
from whygen.models.prices import Price
from whygen.types import Chat, Edit, Failure, Limits, Message, Output, Picture, Request, Settings, Tool, ToolCall

PRICE = Price(input=2.0, output=8.0)
BUSY = Failure(kind="rate_limit", message="busy")
SHAKY = Failure(kind="transient", message="shaky")


class Metered:
    """Writes as many tokens as it likes below the limit, may fail, and keeps the bill as a provider would."""

    uri = "test/metered"
    limits = Limits(max_in_flight=8)

    def __init__(self, lengths: Sequence[int], failures: Sequence[int] = (), *, tells: bool = True) -> None:
        self.tokens = 0
        self.worst = 0
        self.calls = 0
        self._lengths = lengths
        self._failures = list(failures) or [0] * len(lengths)
        self._tells = tells
        self._lock = threading.Lock()

    def answer(self, requests: Sequence[Request]) -> list[Output | Failure]:
        place = int(str(requests[0].prompt))
        time.sleep(0.001 * (place % 3))
        with self._lock:
            self.calls += 1
            if self._failures[place]:
                self._failures[place] -= 1
                return [BUSY]
            self.tokens += 1 + self._lengths[place]
        told = {"tokens_in": 1, "tokens_out": self._lengths[place]} if self._tells else {}
        return [Output(text=f"answer {place}", **told)]


def asked(lengths: Sequence[int]) -> list[Request]:
    return [Request(prompt=str(place), settings=Settings(max_tokens=50)) for place in range(len(lengths))]


def run(model: Any, lengths: Sequence[int], budget: Budget, **options: Any) -> list[Output | Failure | None]:
    runner = Runner(
        model, store=Store(None), spending=budget, price=PRICE, retry=RetryPolicy(first_wait=0.001), **options
    )
    try:
        return list(runner.ask(asked(lengths)))
    except EndedError:
        return runner.recall(asked(lengths))


LENGTHS = st.lists(st.integers(0, 50), min_size=1, max_size=30)


@settings(max_examples=25)
@given(LENGTHS, st.integers(0, 1500), st.booleans())
def test_tokens_are_never_exceeded_whatever_is_under_way(lengths: list[int], bound: int, tells: bool) -> None:
    model = Metered(lengths, [place % 2 for place in range(len(lengths))], tells=tells)
    answers = run(model, lengths, Budget(tokens=bound))
    assert model.tokens <= bound
    if sum(lengths) + len(lengths) + 50 + 18 <= bound and tells and all(lengths):  # a text of 0 tokens is not believed
        assert all(isinstance(answer, Output) for answer in answers)


@settings(max_examples=15)
@given(LENGTHS, st.floats(0, 0.01))
def test_money_is_never_exceeded(lengths: list[int], bound: float) -> None:
    model = Metered(lengths)
    answers = run(model, lengths, Budget(money=bound))
    written = sum(length for length, answer in zip(lengths, answers, strict=True) if isinstance(answer, Output))
    assert PRICE.cost(model.calls, written) <= bound


@settings(max_examples=15)
@given(LENGTHS, st.integers(0, 1500))
def test_where_a_budget_ends_a_run_does_not_depend_on_the_executor(lengths: list[int], bound: int) -> None:
    one = run(Metered(lengths), lengths, Budget(tokens=bound), dispatcher=RemoteDispatcher(start=1, most=1))
    many = run(Metered(lengths), lengths, Budget(tokens=bound), dispatcher=RemoteDispatcher(start=8))
    assert one == many


def test_tools_and_calls_of_tools_count_as_what_is_read() -> None:
    tool = Tool("send", "Sends an e-mail. " * 20, {"type": "object"})
    plain = (Message("user", "Send it."), Message("assistant", ""))
    called = (plain[0], Message("assistant", "", calls=(ToolCall("send", '{"to": "somebody"}', "1"),)))
    counts = [
        worst_case(Metered([0]), Request(prompt=chat)).read
        for chat in (Chat(plain), Chat(called), Chat(called, tools=(tool,)))
    ]
    assert counts[0] < counts[1] < counts[2]
    assert counts[2] - counts[1] > len(tool.description)


def test_a_failure_that_may_have_been_charged_for_stays_counted() -> None:
    request = asked([0])[0]
    gate = BudgetGate(Metered([0]), Budget(tokens=100))
    for answer, fits in ((BUSY, True), (SHAKY, False)):
        assert gate.wait(request, 0.0) == 0
        gate.reserve(request)
        gate.settle(request, answer)
        assert (gate.wait(request, 0.0) == 0) == fits


def test_money_without_a_price_is_refused() -> None:
    with pytest.raises(UsageError, match=r"price of test/metered, which is not known.*WHYGEN_PRICES"):
        Runner(Metered([0]), store=Store(None), spending=Budget(money=1.0))


@pytest.mark.parametrize("bad", [{"calls": -1}, {"tokens": float("nan")}, {"money": float("inf")}])
def test_a_budget_that_is_none_is_refused(bad: Any) -> None:
    with pytest.raises(UsageError, match=r"\w+=.* \(--.*number of 0 or more|tokens is nan, of type float"):
        Budget(**bad)


@pytest.mark.parametrize("bad", [{"requests_per_minute": 0}, {"tokens_per_minute": float("inf")}])
def test_a_rate_that_is_none_is_refused(bad: Any) -> None:
    with pytest.raises(UsageError, match=r"Rates\(\w+=.*above 0"):
        Rates(**bad)


class TestTheWorstCase:
    def tokens(self, *, prompt: Any = "héllo", continuation: str | None = None, **options: Any) -> tuple[int, int]:
        request = Request(prompt=prompt, settings=Settings(**options), continuation=continuation)
        return worst_case(Metered([0]), request)

    def test_no_token_is_shorter_than_a_byte(self) -> None:
        assert self.tokens() == (6 + 16, 256)
        assert self.tokens(prompt=Chat((Message("system", "a"), Message("user", "b")))) == (34, 256)
        assert self.tokens(continuation="xyz") == (25, 1)

    def test_a_model_that_counts_is_believed(self) -> None:
        class Counting(Metered):
            context_tokens = None

            def count_tokens(self, request: Request) -> int:
                del request
                return 7

        assert worst_case(Counting([0]), Request(prompt="anything")) == (7, 256)

    def test_the_providers_own_names_count(self) -> None:
        assert self.tokens(extra={"max_completion_tokens": 900})[1] == 900
        assert self.tokens(extra={"max_tokens": None, "max_completion_tokens": 90})[1] == 90
        assert self.tokens(extra={"n": 3}, max_tokens=10)[1] == 30

    def test_what_nobody_can_say_is_refused(self) -> None:
        with pytest.raises(UsageError, match=r"takes it away.*--max-tokens.*budget in calls \(--max-calls\)"):
            self.tokens(extra={"max_tokens": None})
        for prompt in (Edit(Picture(b""), "x"), Chat((Message("user", "x", (Picture(b""),)),))):
            with pytest.raises(UsageError, match="how many tokens a picture takes"):
                self.tokens(prompt=prompt)


@pytest.mark.parametrize(
    ("spent", "text"),
    [
        (Spent(), ""),
        (Spent(calls=3, untold=3), ""),
        (Spent(calls=3, tokens_in=1000, tokens_out=234), "1,234 tokens"),
        (Spent(calls=3, tokens_in=1000, tokens_out=234, money=0.01), "1,234 tokens · $0.0100"),
        (Spent(calls=3, tokens_in=1, money=0.01, untold=2), "1 tokens · $0.0100 · 2 without a count"),
    ],
)
def test_what_was_spent_reads(spent: Spent, text: str) -> None:
    assert str(spent) == text


class TestRates:
    def times(self, rates: Rates, n: int, *, tokens: int = 10, batch: int = 1) -> list[float]:
        clock = FakeClock()
        times: list[float] = []

        class Local:
            uri = "test/local"
            limits = Limits(max_batch=batch)

            def answer(self, requests: Sequence[Request]) -> list[Output]:
                times.extend([clock.at - 1000] * len(requests))
                return [Output(tokens_in=tokens, tokens_out=0) for _ in requests]

        runner = Runner(Local(), store=Store(None), rates=rates, clock=clock)
        runner.ask([Request(prompt=f"{number:04d}", settings=Settings(max_tokens=80)) for number in range(n)])
        return times

    def test_calls_a_minute(self) -> None:
        assert self.times(Rates(requests_per_minute=30), 5) == pytest.approx([0, 2, 4, 6, 8])
        assert self.times(Rates(requests_per_minute=600), 31, batch=64)[-1] == pytest.approx(2.1, abs=0.11)

    def test_tokens_a_minute_count_what_was_used(self) -> None:
        times = self.times(Rates(tokens_per_minute=600), 30, tokens=10)
        assert times[-1] == pytest.approx(29, abs=2)

    def test_no_minute_sees_more(self) -> None:
        times = self.times(Rates(requests_per_minute=100), 400)
        for start in times:
            assert sum(start <= time < start + 60 for time in times) <= 102


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0, 5)), max_size=40))
def test_a_clock_that_jumps_fills_a_bucket_at_most_once(steps: list[tuple[float, float]]) -> None:
    bucket, now, latest, taken = Bucket(60.0), 0.0, 0.0, 0.0
    assert bucket.wait(1.0, now) == 0
    for jump, amount in steps:
        now += jump
        latest = max(latest, now)
        if bucket.wait(amount, now) == 0:
            bucket.take(amount)
            taken += amount
    assert taken <= 1 + latest + 5
    assert 0 <= bucket.wait(1.0, latest) < 10


@settings(max_examples=30, deadline=None)
@given(
    shares=st.lists(st.booleans(), min_size=4, max_size=12),
    tokens=st.integers(0, 400),
    money=st.one_of(st.none(), st.floats(0.0, 0.01)),
    calls=st.one_of(st.none(), st.integers(0, 20)),
)
def test_models_that_share_a_budget_never_exceed_it_together(
    shares: list[bool], tokens: int, money: float | None, calls: int | None
) -> None:
    """In turns, with what is under way: the provider's own bill of both stays within each bound."""
    lengths = [7 * place % 50 for place in range(6)]
    first, second = Metered(lengths), Metered(lengths)
    budget = Budget(tokens=tokens, money=money, calls=calls)
    runner = Runner(first, store=Store(None), spending=budget, price=PRICE)
    other = runner.beside(second) if money is None else None
    asking = [runner, other or Runner(second, store=Store(None), spending=runner.shared_budget, price=PRICE)]
    for place, share in enumerate(shares):
        with contextlib.suppress(EndedError):
            asking[share].ask(asked(lengths)[: place % 6 + 1])
    assert first.tokens + second.tokens <= tokens
    assert calls is None or first.calls + second.calls <= calls
    assert money is None or 2e-6 * (first.calls + second.calls) <= money
    assert runner.shared_budget.total.tokens_in == first.calls + second.calls


def test_a_helping_model_that_runs_here_costs_no_money_and_a_remote_one_needs_a_price() -> None:
    class Here(Metered):
        limits = Limits()

    runner = Runner(Metered([1]), store=Store(None), spending=Budget(money=0.001), price=PRICE)
    beside = runner.beside(Here([40]))
    beside.ask(asked([40]))
    assert beside.spent.money == 0.0
    assert runner.shared_budget.used.money == 0.0
    with pytest.raises(UsageError, match="price of test/metered"):
        runner.beside(Metered([1]))


def test_a_helping_model_ends_by_the_deadline_of_the_run() -> None:
    clock = FakeClock()
    runner = Runner(Metered([1]), store=Store(None), deadline=5.0, clock=clock)
    clock.sleep(6.0)
    with pytest.raises(EndedError, match="deadline"):
        runner.beside(Metered([1])).ask(asked([1]))
