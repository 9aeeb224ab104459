from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whygen.calls import Notice, RetryPolicy, Runner, Store, Tally
from whygen.errors import BudgetError, MissingError, ModelError, UsageError
from whygen.types import Failure, Limits, Output, Request, Settings

AT_ONCE = RetryPolicy(first_wait=0.0)


def ask(*prompts: str) -> list[Request]:
    return [Request(prompt=prompt) for prompt in prompts]


class Noted:
    """A progress bar that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def begin(self, total: int, label: str) -> None:
        self.told.append((label, total))

    def advance(self, n: int, *, cached: bool) -> None:
        self.told.append(("cached" if cached else "made", n))

    def end(self) -> None:
        self.told.append("end")


@given(
    prompts=st.lists(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 1)), max_size=12), max_size=3),
    max_batch=st.integers(1, 5),
)
def test_order_is_kept_and_nothing_is_asked_twice(
    logged: Any, prompts: list[list[tuple[str, int]]], max_batch: int
) -> None:
    model = logged(max_batch=max_batch)
    runner = Runner(model, store=Store(None))
    rounds = [[Request(prompt=prompt, draw=draw) for prompt, draw in round_] for round_ in prompts]
    for requests in rounds:
        assert runner.ask(requests) == [model.rule(request) for request in requests]
    every = [request for requests in rounds for request in requests]
    assert [request.digest for request in model.asked] == list(dict.fromkeys(request.digest for request in every))
    assert all(0 < len(batch) <= max_batch for batch in model.batches)
    made = len({request.digest for request in every})
    assert runner.tally == Tally(asked=len(every), made=made, cached=len(every) - made)


def test_a_second_run_makes_no_call_and_says_so(logged: Any, tmp_path: Path) -> None:
    requests = ask(*"abcab")
    with Store(tmp_path / "calls.sqlite") as store:
        first = Runner(logged(), store=store)
        answers = first.ask(requests)
    model = logged()
    with Store(tmp_path / "calls.sqlite") as store:
        second = Runner(model, store=store)
        assert second.ask(requests) == answers
    assert model.batches == []
    assert second.tally == Tally(asked=5, cached=5)
    assert str(second.tally) == "No call was made: all 5 answers were recorded before."
    assert str(first.tally) == "5 answers asked for, 3 calls made, 2 answers cached."


def test_another_model_is_another_matter(logged: Any, known: Any, tmp_path: Path) -> None:
    with Store(tmp_path / "calls.sqlite") as store:
        for model in (logged(), logged(uri="test/other"), known(known={"weights": "1"}), known(known={"weights": "2"})):
            Runner(model, store=store).ask(ask("a"))
            assert len(model.asked) == 1
        renamed = known(uri="test/renamed", known={"weights": "1"})
        Runner(renamed, store=store).ask(ask("a"))
        assert renamed.asked == []


def test_a_model_nobody_can_know_is_remembered_by_the_runner_alone(known: Any, tmp_path: Path) -> None:
    model = known(known=None)
    with Store(tmp_path / "calls.sqlite") as store:
        runner = Runner(model, store=store)
        runner.ask(ask("a", "a"))
        runner.ask(ask("a"))
        assert runner.tally == Tally(asked=3, made=1, cached=2)
        assert (store.count(), runner.notices) == (0, ())
        Runner(model, store=store).ask(ask("a"))
    assert len(model.asked) == 2


def test_every_batch_is_recorded_before_the_next_is_asked(logged: Any, tmp_path: Path) -> None:
    counts: list[int] = []
    with Store(tmp_path / "calls.sqlite") as store, Store(tmp_path / "calls.sqlite") as onlooker:

        def rule(request: Request) -> Output:
            counts.append(onlooker.count())
            return Output(text=str(request.prompt))

        Runner(logged(rule, max_batch=2), store=store).ask(ask(*"abcdef"))
    assert counts == [0, 0, 2, 2, 4, 4]


class TestBudget:
    def test_nothing_is_sent_beyond_it(self, logged: Any) -> None:
        model = logged()
        runner = Runner(model, store=Store(None), budget=3)
        runner.ask(ask("a", "a"))
        with pytest.raises(BudgetError, match=r"budget=3 does not allow 2 more requests after 2.*at least 4") as caught:
            runner.ask(ask("b", "c"))
        assert caught.value.smallest == 4
        assert len(model.asked) == 1
        runner.ask(ask("b"))
        assert runner.tally.asked == 3

    def test_it_counts_alike_whatever_is_recorded(self, logged: Any, tmp_path: Path) -> None:
        with Store(tmp_path / "calls.sqlite") as store:
            Runner(logged(), store=store).ask(ask("a", "b"))
            with pytest.raises(BudgetError):
                Runner(logged(), store=store, budget=1).ask(ask("a", "b"))


class TestFailures:
    def test_they_stay_in_their_place_and_out_of_the_store(self, logged: Any, tmp_path: Path) -> None:
        broken = Failure(kind="permanent", message="no such image")
        model = logged(lambda request: broken if request.prompt == "b" else Output(text="fine"))
        with Store(tmp_path / "calls.sqlite") as store:
            runner = Runner(model, store=store)
            assert runner.ask(ask("a", "b", "c", "b")) == [Output(text="fine"), broken, Output(text="fine"), broken]
            assert runner.tally == Tally(asked=4, made=3, cached=1, failed=2)
            assert store.count() == 2
            runner.ask(ask("a", "b"))
        assert [request.prompt for request in model.asked] == ["a", "b", "c", "b"]
        assert str(runner.tally).endswith("3 failed.")

    def test_what_may_pass_is_asked_again(self, logged: Any) -> None:
        hiccups = [Failure(kind="transient", message="hiccup")] * 2
        model = logged(lambda request: hiccups.pop() if request.prompt == "b" and hiccups else Output(text="fine"))
        runner = Runner(model, store=Store(None), retry=AT_ONCE)
        assert runner.ask(ask("a", "b")) == [Output(text="fine")] * 2
        assert runner.tally == Tally(asked=2, made=4, retried=2)

    def test_a_refusal_is_an_outcome_of_this_run_only(self, logged: Any, tmp_path: Path) -> None:
        model = logged(lambda _: Output(text="I cannot help with that.", finish="refused"))
        with Store(tmp_path / "calls.sqlite") as store:
            runner = Runner(model, store=store)
            assert runner.ask(ask("a")) == runner.ask(ask("a"))
            assert (len(model.asked), store.count()) == (1, 0)
            Runner(model, store=store).ask(ask("a"))
        assert len(model.asked) == 2

    @pytest.mark.parametrize("output", [Output(), Output(text="cut sho", finish="length")])
    def test_empty_and_cut_answers_are_answers(self, logged: Any, tmp_path: Path, output: Output) -> None:
        model = logged(lambda _: output)
        with Store(tmp_path / "calls.sqlite") as store:
            Runner(model, store=store).ask(ask("a"))
            assert Runner(model, store=store).ask(ask("a")) == [output]
        assert len(model.asked) == 1


class TestBrokenContracts:
    def fails(self, model: Any, match: str, *, error: type[Exception] = ModelError) -> None:
        store = Store(None)
        with pytest.raises(error, match=match):
            Runner(model, store=store).ask(ask(*"abcdef"))
        assert store.count() == 4

    def after_a_batch(self, logged: Any, then: Callable[[Sequence[Request]], Any]) -> Any:
        class Broken(logged):
            def answer(self, requests: Sequence[Request]) -> Any:
                return super().answer(requests) if not self.batches else then(requests)

        return Broken()

    def test_raising(self, logged: Any) -> None:
        def explode(_: Sequence[Request]) -> None:
            raise ZeroDivisionError("division by zero")

        model = self.after_a_batch(logged, explode)
        self.fails(model, r"test/logged raised ZeroDivisionError: division by zero.*batch of 2.*recorded")

    def test_an_error_of_ours_passes_unchanged(self, logged: Any) -> None:
        def stop(_: Sequence[Request]) -> None:
            raise MissingError("No key in DEMO_API_KEY.")

        self.fails(self.after_a_batch(logged, stop), "^No key in DEMO_API_KEY.$", error=MissingError)

    def test_too_few_answers(self, logged: Any) -> None:
        self.fails(self.after_a_batch(logged, lambda _: [Output()]), r"test/logged gave 1 answers to 2 requests")

    def test_answers_of_another_kind(self, logged: Any) -> None:
        self.fails(self.after_a_batch(logged, lambda _: ["yes", "no"]), r"test/logged answered with str")

    def test_no_answers_at_all(self, logged: Any) -> None:
        self.fails(self.after_a_batch(logged, lambda _: None), r"test/logged raised TypeError")


def test_an_interrupt_keeps_what_was_answered(logged: Any, tmp_path: Path) -> None:
    class Stopped(logged):
        def answer(self, requests: Sequence[Request]) -> Any:
            if len(self.batches) == 2:
                self.batches.append([])
                raise KeyboardInterrupt
            return super().answer(requests)

    model, progress = Stopped(lambda request: Output(text=str(request.prompt)), max_batch=2), Noted()
    with Store(tmp_path / "calls.sqlite") as store:
        runner = Runner(model, store=store, budget=10, progress=progress)
        with pytest.raises(KeyboardInterrupt):
            runner.ask(ask(*"abcdef"))
        assert progress.told[-1] == "end"
        assert (store.count(), runner.tally) == (4, Tally(made=6))
        assert runner.recall(ask(*"abcdef")) == [*(Output(text=text) for text in "abcd"), None, None]
        assert len(runner.ask(ask(*"abcdef"))) == 6
    assert [request.prompt for request in model.asked] == list("abcdef")


def test_the_first_of_two_processes_to_record_is_believed(
    logged: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Store, "leases", property(lambda _: None))  # as if the lease of the first had run out
    with Store(tmp_path / "calls.sqlite") as mine, Store(tmp_path / "calls.sqlite") as theirs:

        def slow(_: Request) -> Output:
            Runner(logged(lambda _: Output(text="theirs")), store=theirs).ask(ask("a"))
            return Output(text="mine")

        assert Runner(logged(slow), store=mine).ask(ask("a")) == [Output(text="theirs")]


def test_scores(scorer: Any, tmp_path: Path) -> None:
    requests = [Request(prompt=prompt, continuation="ab") for prompt in "xyx"]
    with Store(tmp_path / "calls.sqlite") as store:
        answers = Runner(scorer(), store=store).score(requests)
        again = scorer()
        assert Runner(again, store=store).score(requests) == answers
    assert again.asked == []
    assert all(isinstance(answer, Output) and answer.finish == "scored" for answer in answers)


def test_asking_and_scoring_are_told_apart(scorer: Any, logged: Any) -> None:
    scored, asked = Request(prompt="p", continuation="c"), Request(prompt="p")
    runner = Runner(scorer(), store=Store(None))
    with pytest.raises(UsageError, match="give those to score"):
        runner.ask([asked, scored])
    with pytest.raises(UsageError, match="give the others to ask"):
        runner.score([asked, scored])
    with pytest.raises(UsageError, match="test/logged gives no log-probabilities"):
        Runner(logged(), store=Store(None)).score([scored])


def test_progress_is_told_of_everything_once(logged: Any) -> None:
    progress = Noted()
    runner = Runner(logged(max_batch=2), store=Store(None), progress=progress)
    runner.ask(ask(*"abcaa"), label="Masks")
    runner.ask(ask(*"ad"))
    assert progress.told[:5] == [("Masks", 5), ("cached", 2), ("made", 2), ("made", 1), "end"]
    assert progress.told[5:] == [("Asking", 2), ("cached", 1), ("made", 1), "end"]


def test_notices_are_those_of_the_store(logged: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with Store(tmp_path / "file" / "calls.sqlite") as store:
        runner = Runner(logged(), store=store)
        runner.ask(ask("a"))
        (notice,) = runner.notices
    assert isinstance(notice, Notice)
    assert notice.code == "store-not-written"
    assert "1 answer is kept in memory only" in notice.text


def test_nothing_to_ask(logged: Any) -> None:
    runner = Runner(logged(), store=Store(None), budget=0)
    assert runner.ask([]) == []
    assert runner.tally == Tally()


def test_a_batch_of_no_size_is_one(logged: Any) -> None:
    model = logged(max_batch=0)
    Runner(model, store=Store(None)).ask([Request(prompt="a", settings=Settings(max_tokens=1)), *ask("b")])
    assert [len(batch) for batch in model.batches] == [1, 1]


def test_an_interrupt_in_the_middle_of_a_batch_says_what_was_answered(tmp_path: Path) -> None:
    class Interrupting:
        uri = "test/interrupting"
        limits = Limits(max_batch=1)

        def answer(self, requests: Sequence[Request]) -> list[Output]:
            if requests[0].prompt == "c":
                raise KeyboardInterrupt
            return [Output(text="x") for _ in requests]

    with Store(tmp_path / "calls.sqlite") as store, pytest.raises(KeyboardInterrupt, match="2 of 3 requests were answ"):
        Runner(Interrupting(), store=store).ask([Request(prompt=text) for text in "abc"])


def test_one_answer_is_told_as_one() -> None:
    assert str(Tally(asked=1, made=1, cached=0)) == "1 answer asked for, 1 call made, 0 answers cached."
    assert str(Tally(asked=1, made=0, cached=1)) == "No call was made: the answer was recorded before."
