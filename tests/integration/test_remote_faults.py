"""Remote models against a server that misbehaves: no answer is lost or wrong, and each failure says what to do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from faults.answers import EDGES
from faults.scripts import after, at_first, mixed
from faults.server import FaultServer
from whygen.calls import EndedError, Runner, Store
from whygen.calls.agenda import RetryPolicy
from whygen.models import Model, ModelOptions, load_model
from whygen.types import Failure, Output, Request, Settings

PASSING = [
    "408", "409", "429", "429-ms", "500", "502", "503", "504", "529", "reset", "hang", "half", "html", "not-json",
    "bad-utf8", "empty-body", "list", "empty-choices",
]  # fmt: skip
LASTING = {"400": "temperature", "context": "shorten", "firewall": "firewall's page"}
FATAL = {
    "401": "API_KEY", "403": "may not", "404": "name", "410": "name", "402": "credit", "quota": "credit",
    "low-balance": "credit", "bad-key": "API_KEY", "quota-inside": "credit", "key-inside": "API_KEY",
    "code-inside": "credit", "choice-inside": "credit",
}  # fmt: skip
HARMLESS: Mapping[str, str] = {
    "slow": "You said: {}", "wrong-type": "You said: {}", "no-usage": "You said: {}", "other": "You said: {} (0)",
    "null-content": "", "empty-text": "", "unicode": EDGES, "surrogate": "half \ud800 pair",
}  # fmt: skip
PROMPTS = [f"story number {number}" for number in range(12)]
PROVIDERS = ["openai", "anthropic"]


SHORT, LONG = 0.8, 20.0
"""Seconds of silence that a client bears: the short for servers that hang, the long where a busy machine would too."""


def remote(server: FaultServer, provider: str = "openai", *, timeout: float = LONG) -> Model:
    address = server.url if provider == "openai" else server.root
    return load_model(f"{provider}/test", ModelOptions(base_url=address, timeout=timeout))


def borne(fault: str) -> float:
    return SHORT if fault in {"hang", "half"} else LONG


def asked(model: Model, prompts: list[str], *, attempts: int, store: Store | None = None) -> list[Output | Failure]:
    policy = RetryPolicy(attempts=attempts, turned_away=attempts, first_wait=0.005, longest_wait=0.02)
    runner = Runner(model, store=Store(None) if store is None else store, retry=policy)
    return list(runner.ask([Request(prompt=prompt) for prompt in prompts]))


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("rate", [0.0, 0.05, 0.3])
@pytest.mark.parametrize("fault", PASSING)
def test_what_passes_costs_no_answer(fault: str, rate: float, provider: str) -> None:
    with FaultServer(mixed({fault: rate}, seed=3)) as server:
        answers = asked(remote(server, provider, timeout=borne(fault)), PROMPTS, attempts=14)
    texts = [answer.text for answer in answers if isinstance(answer, Output)]
    assert texts == [f"You said: {prompt}" for prompt in PROMPTS], answers
    assert len(server.received) == len(PROMPTS) + server.actions[fault]
    assert (server.actions[fault] > 0) == (rate > 0.1) or rate == 0.05


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("fault", [fault for fault in PASSING if fault != "429-ms"])
def test_what_never_passes_is_a_clear_failure_after_the_last_attempt(fault: str, provider: str) -> None:
    with FaultServer(fault) as server:
        answers = asked(remote(server, provider, timeout=borne(fault)), PROMPTS[:2], attempts=3)
        address = server.root
    assert len(server.received) == 6
    for answer in answers:
        assert isinstance(answer, Failure)
        assert answer.kind == ("rate_limit" if fault.startswith("429") else "transient")
        assert address in answer.message
        assert answer.advice


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_server_that_always_says_when_to_come_back_ends_the_run_when_patience_does(provider: str) -> None:
    with FaultServer("429-ms") as server:
        runner = Runner(remote(server, provider), store=Store(None), retry=RetryPolicy(patience=0.3))
        with pytest.raises(EndedError, match="turned every call away") as ended:
            runner.ask([Request(prompt=prompt) for prompt in PROMPTS])
    assert ended.value.reason == "failures"
    assert 2 <= len(server.received) <= 12 + 0.5 / 0.02 * 8


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("rate", [0.0, 0.05, 0.3, 1.0])
@pytest.mark.parametrize("fault", LASTING)
def test_what_lasts_is_not_asked_again_and_says_what_to_do(fault: str, rate: float, provider: str) -> None:
    with FaultServer(mixed({fault: rate}, seed=4)) as server:
        answers = asked(remote(server, provider), PROMPTS, attempts=5)
    assert len(server.received) == len(PROMPTS)
    failures = [answer for answer in answers if isinstance(answer, Failure)]
    assert len(failures) == server.actions[fault]
    assert rate not in {0.0, 0.3, 1.0} or (len(failures) > 0) == (rate > 0)
    assert rate < 1.0 or len(failures) == len(PROMPTS)
    assert all(failure.kind == "permanent" and LASTING[fault] in failure.advice for failure in failures)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("fault", FATAL)
def test_what_would_strike_every_later_call_ends_the_run_at_once(fault: str, provider: str, tmp_path: Path) -> None:
    """The key is revoked, the quota spent, the model gone, after ten good answers: a handful is sent besides."""
    prompts = [f"story number {number}" for number in range(200)]
    with FaultServer(after(10, fault), latency=0.01) as server, Store(tmp_path / "calls.sqlite") as store:
        with pytest.raises(EndedError, match=FATAL[fault]) as ended:
            asked(remote(server, provider), prompts, attempts=5, store=store)
        assert 10 < len(server.received) <= 10 + 16
        assert server.root in str(ended.value).partition(". ")[0]
        assert ended.value.exit_code == 4
        assert store.count() == 10


@pytest.mark.parametrize(("fault", "kind"), [("trouble-inside", "transient"), ("rate-inside", "rate_limit")])
def test_an_error_with_status_200_that_may_pass_is_asked_again(fault: str, kind: str) -> None:
    with FaultServer(at_first(fault)) as server:
        [answer] = remote(server).answer([Request(prompt="x")])
        assert isinstance(answer, Failure)
        assert answer.kind == kind
        [again] = asked(remote(server), ["x"], attempts=3)
    assert isinstance(again, Output)


@pytest.mark.parametrize("fault", ["policy", "moderation", "filtered-prompt", "safety-words"])
def test_a_prompt_that_is_refused_is_no_reason_to_end_a_run(fault: str) -> None:
    with FaultServer(fault) as server:
        answers = asked(remote(server), PROMPTS, attempts=3)
    assert len(server.received) == len(PROMPTS)
    assert all(
        answer.finish == "refused" if isinstance(answer, Output) else answer.kind == "refused" for answer in answers
    )


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("rate", [0.0, 0.05, 0.3, 1.0])
@pytest.mark.parametrize("oddity", HARMLESS)
def test_odd_answers_are_answers_as_they_are(oddity: str, rate: float, provider: str) -> None:
    with FaultServer(mixed({oddity: rate}, seed=5)) as server:
        answers = asked(remote(server, provider), PROMPTS, attempts=2)
    struck = {received.json["messages"][0]["content"] for received in server.received if received.action == oddity}
    expected = [HARMLESS[oddity].format(p) if p in struck else f"You said: {p}" for p in PROMPTS]
    assert [answer.text for answer in answers if isinstance(answer, Output)] == expected
    assert len(server.received) == len(PROMPTS)


def test_the_first_answer_is_believed_when_a_server_answers_otherwise_later(tmp_path: Path) -> None:
    with FaultServer("other") as server, Store(tmp_path / "calls.sqlite") as store:
        first = asked(remote(server), PROMPTS[:3], attempts=1, store=store)
        again = asked(remote(server), PROMPTS[:3], attempts=1, store=store)
    assert first == again
    assert len(server.received) == 3


def test_how_long_to_wait_is_read_as_it_is_said() -> None:
    with FaultServer(at_first("429-after", "429-date", "429-ms", "429", "503")) as server:
        waits = [remote(server).answer([Request(prompt="x")])[0] for _ in range(5)]
    after, date, ms, unsaid, busy = [answer.retry_after for answer in waits if isinstance(answer, Failure)]
    assert after == 1.0
    assert date is not None
    assert 0.5 < date <= 2.5
    assert (ms, unsaid, busy) == (pytest.approx(0.02), None, pytest.approx(0.02))


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(("action", "text"), [("refusal", None), ("filtered", "You said: x")])
def test_a_refusal_is_recorded_as_one(action: str, text: str | None, provider: str) -> None:
    with FaultServer(action) as server:
        (answer,) = remote(server, provider).answer([Request(prompt="x")])
    assert isinstance(answer, Output)
    assert answer.finish == "refused"
    if provider == "openai":
        assert answer.text == (text or "I cannot help with that.")


def test_a_blocked_prompt_is_refused() -> None:
    with FaultServer("policy") as server:
        (answer,) = remote(server).answer([Request(prompt="x")])
    assert isinstance(answer, Failure)
    assert answer.kind == "refused"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_cut_answer_is_recorded_as_one(provider: str) -> None:
    with FaultServer() as server:
        request = Request(prompt="one two three", settings=Settings(max_tokens=3))
        (answer,) = remote(server, provider).answer([request])
    assert isinstance(answer, Output)
    assert (answer.text, answer.finish, answer.tokens_out) == ("You said: one", "length", 3)


def test_addresses_without_a_server(unused_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-some-key-of-a-person")
    with FaultServer() as plain:
        found = {
            "nothing answers": f"http://127.0.0.1:{unused_port}/v1",
            "is not found": "http://no-such-host.invalid/v1",
            "no secure connection": f"https://127.0.0.1:{plain.port}/v1",
            "answered 404": f"{plain.root}/nowhere",
        }
        for message, address in found.items():
            model = load_model("openai/test", ModelOptions(base_url=address, timeout=5))
            (answer,) = model.answer([Request(prompt="x")])
            assert isinstance(answer, Failure)
            assert message in answer.message
            assert "address" in answer.advice


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])
