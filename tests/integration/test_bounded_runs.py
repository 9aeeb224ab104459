"""An explanation that ends by a bound: partial, within it, said, and with the contract's exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import whygen
from faults.server import FaultServer
from whygen.cli import main
from whygen.models import ModelOptions
from whygen.runs import Budget, RunOptions
from whygen.types import Settings

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


def test_money_needs_a_price() -> None:
    with FaultServer() as server, pytest.raises(whygen.errors.UsageError, match="price"):
        whygen.explain_prompt(
            "openai/test", PROMPT, cache=None, options=ModelOptions(base_url=server.url),
            run=RunOptions(spending=Budget(money=1.0)),
        )  # fmt: skip
