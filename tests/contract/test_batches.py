"""The batch endpoints of both providers, by their official clients, against a server that misbehaves by script."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from faults.batches import FOREIGN, BatchPlan
from faults.scripts import Received, Script, always, at_first, in_turn
from faults.server import FaultServer
from unit.calls.clocks import FakeClock
from whygen.calls import BatchDispatcher, Budget, EndedError, Runner, Store
from whygen.errors import UsageError
from whygen.models import Model, ModelOptions, load_model
from whygen.types import Failure, Output, Request, Settings

PROVIDERS = ["openai", "anthropic"]
REQUESTS = [Request(prompt=f"word {number}") for number in range(12)]


def open_model(server: FaultServer, provider: str) -> Model:
    return load_model(f"{provider}/test", ModelOptions(base_url=server.root if provider == "anthropic" else server.url))


def runner(server: FaultServer, provider: str, store: Store, **options: Any) -> Runner:
    clock = options.pop("clock", None) or FakeClock()
    model = open_model(server, provider)
    return Runner(model, store=store, dispatcher=BatchDispatcher(model, store, clock=clock), clock=clock, **options)


@pytest.fixture(name="store")
def store_on_disk(tmp_path: Path) -> Store:
    return Store(tmp_path / "calls.sqlite")


def texts(answers: Sequence[Output | Failure | None]) -> list[str]:
    return [answer.text if isinstance(answer, Output) else str(answer) for answer in answers]


EXPECTED = [f"You said: word {number}" for number in range(12)]


def creations(server: FaultServer) -> int:
    return len(server.desk.batches)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_answers_are_those_of_single_calls_and_nothing_is_left_over(provider: str, store: Store) -> None:
    with FaultServer(batches=BatchPlan(polls=3, scrambled=True, foreign=True)) as server:
        answers = runner(server, provider, store).ask(REQUESTS)
        single = open_model(server, provider).answer(REQUESTS)
    assert texts(answers) == texts(single) == EXPECTED
    for late, now in zip(answers, single, strict=True):
        assert isinstance(late, Output)
        assert isinstance(now, Output)
        assert (late.extra, late.tokens_in, late.tokens_out) == (now.extra, now.tokens_in, now.tokens_out)
    assert creations(server) == 1
    assert store.ledger.entries() == []
    assert store.count() == 12
    assert FOREIGN not in {call.key for call in store.calls()}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_is_sent_is_what_single_calls_send(provider: str, store: Store) -> None:
    warm = Request(prompt="x", settings=Settings(temperature=0.7, top_p=0.9, stop=("END",), max_tokens=9))
    with FaultServer(batches=BatchPlan()) as server:
        (late,) = runner(server, provider, store).ask([warm])
        (now,) = open_model(server, provider).answer([warm])
    assert isinstance(late, Output)
    assert isinstance(now, Output)
    assert late.extra == now.extra
    single = server.received[-1].json
    assert server.desk.batches[0].lines[0]["body"] == single


MENDED: dict[str, Script] = {
    **{name: at_first(name) for name in ("missing", "expired", "broken", "odd", "429", "500")},
    "twice": always("twice"),
}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("action", MENDED)
def test_what_may_pass_is_asked_again_and_nothing_else(provider: str, action: str, store: Store) -> None:
    odd = {f"word {number}" for number in range(0, 12, 3)}

    def line(received: Received) -> str:
        struck = received.json["messages"][0]["content"] in odd
        return MENDED[action](received) if struck else "ok"

    with FaultServer(batches=BatchPlan(line=line)) as server:
        answers = runner(server, provider, store).ask(REQUESTS)
    assert texts(answers) == EXPECTED
    assert len(server.desk.handed_over) == (12 if action == "twice" else 16)
    assert creations(server) == (1 if action == "twice" else 2)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("action", "kind"), [("400", "permanent"), ("context", "permanent"), ("policy", "refused"), ("404", "fatal")]
)
def test_what_stays_is_the_failure_of_its_request_alone(provider: str, action: str, kind: str, store: Store) -> None:
    def line(received: Received) -> str:
        return action if received.json["messages"][0]["content"] == "word 3" else "ok"

    with FaultServer(batches=BatchPlan(line=line)) as server:
        answers = runner(server, provider, store).ask(REQUESTS)
    failure = answers.pop(3)
    assert isinstance(failure, Failure)
    if provider == "openai" or action in {"context", "404"}:  # the other provider has its own words for the rest
        assert failure.kind == kind
    assert failure.advice
    assert texts(answers) == EXPECTED[:3] + EXPECTED[4:]
    assert creations(server) == 1


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("cut", [1, 2])
def test_results_that_are_cut_short_are_read_again(provider: str, cut: int, store: Store) -> None:
    with FaultServer(batches=BatchPlan(cut=cut)) as server:
        answers = runner(server, provider, store).ask(REQUESTS)
    assert texts(answers) == EXPECTED
    assert creations(server) == 1


@pytest.mark.parametrize("provider", PROVIDERS)
def test_results_that_stay_short_cost_what_they_lack_and_nothing_more(provider: str, store: Store) -> None:
    with FaultServer(batches=BatchPlan(cut=9)) as server:
        answers = runner(server, provider, store).ask(REQUESTS)
    lost = [answer for answer in answers if isinstance(answer, Failure)]
    assert all(text == expected for text, expected in zip(texts(answers), EXPECTED, strict=True) if "You" in text)
    assert all("lack this request" in failure.message for failure in lost)
    assert 0 < len(lost) < 4
    sizes = [len(batch.lines) for batch in server.desk.batches]
    assert sizes[0] == 12
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) == 3


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("hidden", [0, 3])
def test_a_batch_of_which_no_word_came_back_is_found_again(provider: str, hidden: int, store: Store) -> None:
    script = lost_once("batches")
    with FaultServer(script, batches=BatchPlan(hidden=hidden)) as server:
        answers = runner(server, provider, store).ask(REQUESTS)
    assert texts(answers) == EXPECTED
    assert creations(server) == 1


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_batch_that_was_never_taken_is_handed_over_again(provider: str, store: Store) -> None:
    first = in_turn("500")
    with FaultServer(
        lambda received: first(received) if received.path.endswith("batches") and received.method == "POST" else "ok",
        batches=BatchPlan(),
    ) as server:
        answers = runner(server, provider, store).ask(REQUESTS)
    assert texts(answers) == EXPECTED
    assert creations(server) == 1


def lost_once(path: str) -> Script:
    turn = in_turn("lost")
    return lambda received: turn(received) if received.path.endswith(path) and received.method == "POST" else "ok"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_server_without_batches_says_so_and_names_the_other_way(provider: str, store: Store) -> None:
    with FaultServer() as server, pytest.raises(UsageError, match="Leave batch out"):
        runner(server, provider, store).ask(REQUESTS)
    assert store.ledger.entries() == []


def test_a_batch_that_is_refused_says_why(store: Store) -> None:
    with FaultServer(batches=BatchPlan(end="failed")) as server:
        answers = runner(server, "openai", store).ask(REQUESTS)
    assert all(isinstance(answer, Failure) and "invalid_json_line" in answer.message for answer in answers)
    assert creations(server) == 1
    assert store.ledger.entries() == []


def test_a_full_queue_is_tried_again_later_and_then_ends_the_run(store: Store) -> None:
    with FaultServer(batches=BatchPlan(end="failed", code="token_limit_exceeded")) as server:
        asked = runner(server, "openai", store)
        answers = asked.ask(REQUESTS)
        assert all(isinstance(answer, Failure) and answer.kind == "rate_limit" for answer in answers)
        assert 1 < creations(server) < 20
        with pytest.raises(EndedError, match="token_limit_exceeded"):
            asked.ask([Request(prompt="another")])
    assert store.ledger.entries() == []


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_batch_that_somebody_cancelled_ends_the_run_and_keeps_what_there_is(provider: str, store: Store) -> None:
    def line(received: Received) -> str:
        return "cancelled" if int(received.json["messages"][0]["content"].split()[1]) >= 7 else "ok"

    with FaultServer(batches=BatchPlan(line=line)) as server:
        with pytest.raises(EndedError, match="cancelled at the provider"):
            runner(server, provider, store).ask(REQUESTS)
        assert store.count() == 7
        assert store.ledger.entries() == []
        server.desk.plan = BatchPlan()
        assert texts(runner(server, provider, store).ask(REQUESTS)) == EXPECTED
    assert len(server.desk.handed_over) == 12 + 5


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_deadline_leaves_the_batch_and_the_next_run_collects_it(provider: str, store: Store) -> None:
    with FaultServer(batches=BatchPlan(polls=6)) as server:
        with pytest.raises(EndedError, match=r"batch_0 goes on .* `whygen batch cancel batch_0`"):
            runner(server, provider, store, deadline=12.0).ask(REQUESTS)
        assert texts(runner(server, provider, store).ask(REQUESTS)) == EXPECTED
    assert creations(server) == 1


@pytest.mark.parametrize("provider", PROVIDERS)
def test_another_question_collects_what_it_shares_and_records_the_rest(provider: str, store: Store) -> None:
    with FaultServer(batches=BatchPlan(polls=6)) as server:
        with pytest.raises(EndedError):
            runner(server, provider, store, deadline=12.0).ask(REQUESTS)
        new = Request(prompt="word 99")
        answers = runner(server, provider, store).ask([REQUESTS[2], new])
        assert texts(answers) == ["You said: word 2", "You said: word 99"]
        assert store.count() == 13
        assert runner(server, provider, store).ask(REQUESTS)
    assert len(server.desk.handed_over) == 13


@pytest.mark.parametrize("status", ["500", "429", "reset", "html", "half"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_trouble_while_looking_is_sat_out(provider: str, status: str, store: Store) -> None:
    turn = in_turn(*[status] * 4)
    with FaultServer(
        lambda received: turn(received) if received.method == "GET" else "ok", batches=BatchPlan()
    ) as server:
        answers = runner(server, provider, store).ask(REQUESTS)
    assert texts(answers) == EXPECTED
    assert creations(server) == 1


@pytest.mark.parametrize("status", ["500", "401", "404"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_provider_that_never_says_how_it_is_ends_the_run(provider: str, status: str, store: Store) -> None:
    with (
        FaultServer(lambda received: status if received.method == "GET" else "ok", batches=BatchPlan()) as server,
        pytest.raises(EndedError, match="whygen batch forget batch_0"),
    ):
        runner(server, provider, store).ask(REQUESTS)
    assert len(store.ledger.entries()) == 1
    assert creations(server) == 1


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_budget_bounds_what_is_handed_over_at_once(provider: str, store: Store) -> None:
    requests = [Request(prompt=f"word {number}", settings=Settings(max_tokens=10)) for number in range(12)]
    with FaultServer(batches=BatchPlan()) as server:
        asked = runner(server, provider, store, spending=Budget(tokens=75))
        with pytest.raises(EndedError, match="budget is spent"):
            asked.ask(requests)
    assert asked.spent.tokens_in + asked.spent.tokens_out <= 75
    assert 1 < creations(server) < len(server.desk.handed_over) < 12


def test_a_batch_needs_a_store_that_can_be_written() -> None:
    with FaultServer(batches=BatchPlan()) as server, pytest.raises(Exception, match="store on disk"):
        runner(server, "openai", Store(None))
    assert not server.received


def test_limits_of_a_provider_split_what_is_handed_over(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from whygen.models.batches import BatchLimits
    from whygen.models.openai import batches as openai_batches

    monkeypatch.setattr(openai_batches, "LIMITS", BatchLimits(requests=5, bytes=10**6))
    with FaultServer(batches=BatchPlan()) as server:
        assert texts(runner(server, "openai", store).ask(REQUESTS)) == EXPECTED
        assert [len(batch.lines) for batch in server.desk.batches] == [5, 5, 2]
        monkeypatch.setattr(openai_batches, "LIMITS", BatchLimits(requests=5, bytes=500))
        new = [Request(prompt=text) for text in ("a", "b", "c", "long" * 100)]
        *short, long = runner(server, "openai", store).ask(new)
        assert texts(short) == ["You said: a", "You said: b", "You said: c"]
        assert isinstance(long, Failure)
        assert "a batch takes 500" in long.message
    assert [len(batch.lines) for batch in server.desk.batches[3:]] == [2, 1]
