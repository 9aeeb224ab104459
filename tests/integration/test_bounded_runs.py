"""An explanation that ends by a bound: partial, within it, said, and with the contract's exit code."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

import whygen
from faults.server import FaultServer
from whygen.calls import Budget, RunOptions
from whygen.calls.spending import promised
from whygen.cli import main
from whygen.models import ModelOptions
from whygen.types import Limits, Output, Request, Settings

PROMPT = "Tell me about the red fox in the quiet harbour."


def test_a_budget_of_tokens_gives_a_partial_explanation_that_goes_on_later(tmp_path: Path) -> None:
    with FaultServer() as server:
        options, store = ModelOptions(base_url=server.url), tmp_path / "calls.sqlite"
        part = whygen.explain_prompt(
            "openai/test", PROMPT, target="token-set", cache=store, options=options, settings=Settings(max_tokens=20),
            run=RunOptions(spending=Budget(tokens=400)),
        )  # fmt: skip
        sent = len(server.received)
        assert part.ended == "cost"
        assert part.calls.asked < 60
        whole = whygen.explain_prompt(
            "openai/test", PROMPT, target="token-set", cache=store, options=options, settings=Settings(max_tokens=20)
        )
        assert whole.ended is None
        assert len(server.received) - sent == whole.calls.made < whole.calls.asked


def test_the_command_ends_with_code_four_and_the_report_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FaultServer(latency=0.15) as server, pytest.raises(SystemExit) as end:
        main([
            "prompt", "openai/test", PROMPT, "--base-url", server.url, "--target", "token-set", "--json", "--no-cache",
            "--deadline", "2.5", "--requests-per-minute", "900", "-o", str(tmp_path), "--max-tokens", "20",
        ])  # fmt: skip
    assert end.value.code == 4
    found = json.loads(capsys.readouterr().out)
    assert found["warnings"][0]["code"] == "ended-early"
    assert (tmp_path / "report.html").is_file()


@pytest.mark.parametrize("size", [1, 8])
def test_a_model_that_runs_here_ends_at_its_budget_of_calls(size: int) -> None:
    class Here:
        uri = "py/here"
        limits = Limits(max_batch=size)

        def answer(self, requests: Sequence[Request]) -> list[Output]:
            return [Output(text=str(request.prompt).upper()) for request in requests]

    part = whygen.explain_prompt(
        Here(), PROMPT, target="token-set", cache=None, run=RunOptions(spending=Budget(calls=20))
    )
    assert part.ended == "cost"
    assert part.calls.made == 20


def test_money_needs_a_price() -> None:
    with FaultServer() as server, pytest.raises(whygen.errors.UsageError, match="price"):
        whygen.explain_prompt(
            "openai/test", PROMPT, cache=None, options=ModelOptions(base_url=server.url),
            run=RunOptions(spending=Budget(money=1.0)),
        )  # fmt: skip


SENTENCES = "Tell me about the fox. It sat down. The harbour was quiet. It rained. A piano played."


def test_a_helping_model_by_uri_spends_from_the_same_budget() -> None:
    """One server, two models: the calls of both together are within the bound, and the run says what ended it."""
    with FaultServer(text=lambda received: "Mention a crimson animal in a calm port.") as server:
        options = ModelOptions(base_url=server.url)

        def explain(calls: int | None) -> whygen.results.PromptExplanation:
            return whygen.explain_prompt(
                "openai/test", SENTENCES, target="token-set",
                operator="paraphrase", paraphraser="openai/helper", units="sentence", cache=None, options=options,
                run=RunOptions(spending=Budget(calls=calls)),
            )  # fmt: skip

        explain(None)
        asked = Counter(received.json["model"] for received in server.received)
        assert asked["helper"] == 5
        server.received.clear()
        most = asked.total() - 4
        assert explain(most).ended == "cost"
        assert len(server.received) == most
        server.received.clear()
        with pytest.raises(whygen.calls.EndedError, match="budget is spent"):
            explain(2)
        assert Counter(received.json["model"] for received in server.received) == {"helper": 2}


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_what_a_cap_cannot_promise_is_said_before_the_first_call(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []

    def text(_: object) -> str:
        said.append(capsys.readouterr().err)
        return "a fox"

    with FaultServer(text=text) as server:
        line = ["prompt", "openai/test", PROMPT, "--base-url", server.url, "--target", "token-set", "--no-cache",
                "--token-budget", "2000", "--max-tokens", "20", "-o", str(tmp_path / "out"), *flags]  # fmt: skip
        with pytest.raises(SystemExit):
            main([*line, "--dry-run"])
        foreseen = capsys.readouterr().out
        assert server.received == []
        with pytest.raises(SystemExit):
            main(line)
    assert "At most 2,000 tokens" in foreseen
    assert "Not promised" in foreseen
    assert "At most 2,000 tokens" in said[0]
    assert not any("At most" in later for later in said[1:])


def test_a_model_that_counts_for_itself_needs_no_such_word() -> None:
    class Counting:
        uri = "test/counts"
        limits = Limits()
        context_tokens = None

        def count_tokens(self, request: Request) -> int:
            return len(str(request.prompt).split())

        def answer(self, requests: Sequence[Request]) -> list[Output]:
            raise NotImplementedError

    assert promised(Counting(), Budget(tokens=5)) == ""
    assert promised(object(), Budget(calls=5)) == ""  # type: ignore[arg-type]
