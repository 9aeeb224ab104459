"""Prompts that fail for good: a refusal is an answer, and a unit without which nothing works ends the run early."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import whygen
from faults.answers import FAULTS, Reply, as_json
from faults.scripts import after, without
from faults.server import FaultServer
from whygen.calls import EndedError
from whygen.calls.concurrency import START
from whygen.errors import ModelError, UsageError
from whygen.models import ModelOptions
from whygen.prompt.failing import HOPELESS, Failing
from whygen.prompt.units import split
from whygen.types import Failure, Output, Request

PROMPT = "Tell me about the red fox in the quiet harbour."
BROKEN = Failure(kind="permanent", message="it is broken")


def explain(model: object, *, budget: int = 200, server: FaultServer | None = None, **choices: object):
    options = ModelOptions() if server is None else ModelOptions(base_url=server.url)
    return whygen.explain_prompt(
        model, PROMPT, target="token-set", cache=None, budget=budget, options=options, **choices
    )  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("fault", ["policy", "moderation", "filtered-prompt"])
def test_a_prompt_that_the_service_refuses_is_an_answer(fault: str) -> None:
    with FaultServer(without("fox", fault)) as server:
        explanation = explain("openai/test", budget=64, server=server)
    strongest = max(explanation.units, key=lambda unit: unit.attribution)
    assert strongest.text == "fox"
    assert explanation.ended is None
    assert explanation.calls.failed == 0
    assert any("refusals" in warning.text for warning in explanation.warnings)


@pytest.mark.parametrize("fault", ["400", "empty-choices", "firewall"])
def test_a_word_without_which_calls_fail_ends_the_run_early_and_is_named(fault: str) -> None:
    with FaultServer(without("fox", fault)) as server:
        with pytest.raises(EndedError, match="All of them lack 'fox'") as ended:
            explain("openai/test", server=server)
        prompts = {received.json["messages"][0]["content"] for received in server.received}
    assert len(prompts) < 60
    assert "run again" not in str(ended.value).lower()
    assert "--pin" in str(ended.value)


def _body(status: int, **found: object) -> Reply:
    return as_json(found, status=status)


OTHERS: dict[str, Reply] = {
    "azure": _body(400, error={"code": None, "message": "x", "innererror": {"code": "ResponsibleAIPolicyViolation"}}),
    "gemini-prompt": _body(200, promptFeedback={"blockReason": "OTHER"}, choices=None),
    "gemini-answer": _body(200, choices=[{"finish_reason": "content_filter: PROHIBITED_CONTENT", "index": 0}]),
    "gemini-null": _body(200, choices=[{"finish_reason": "SAFETY", "message": None}]),
    "bedrock": _body(400, message="Output blocked by content filtering policy"),
    "mistral": _body(403, object="error", message="Input blocked by moderation", code="3051"),
    "deepseek": _body(400, error={"message": "Content Exists Risk", "type": "invalid_request_error"}),
    "zhipu": _body(400, error={"code": "1301", "message": "系统检测到输入或生成内容可能包含不安全或敏感内容"}),
    "moonshot": _body(400, error={"message": "The request was rejected because it was considered high risk"}),
    "grok": _body(403, error="Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO"),
    "router": _body(
        403, error={"code": 403, "message": "Provider returned error", "metadata": {"raw": "content_filter"}}
    ),
}
"""How other services say that they stop a prompt."""


@pytest.mark.parametrize("service", OTHERS)
def test_a_refusal_in_the_words_of_another_service_is_an_answer(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAULTS, service, lambda _: OTHERS[service])
    with FaultServer(without("fox", service)) as server:
        explanation = explain("openai/test", budget=64, server=server)
    assert max(explanation.units, key=lambda unit: unit.attribution).text == "fox"
    assert (explanation.ended, explanation.calls.failed) == (None, 0)


class _ShapelessError(BaseException):
    """No `Exception`, and without a text that can be had; cancelled tasks and failed tests are no `Exception` too."""

    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    "error", [_ShapelessError(), asyncio.CancelledError(), GeneratorExit(), BaseExceptionGroup("two", [SystemExit(1)])]
)
def test_whatever_a_callable_ends_with_but_an_interrupt_is_its_failure(error: BaseException) -> None:
    def model(prompt: str) -> str:
        if "fox" not in prompt:
            raise error
        return prompt.upper()

    def score(answer: str) -> float:
        raise error

    with pytest.raises(EndedError, match=f"raised {type(error).__name__}.* lack 'fox'"):
        explain(model)
    with pytest.raises(UsageError, match=f"raised {type(error).__name__}"):
        whygen.explain_prompt(str.upper, PROMPT, target=score, cache=None)


def test_an_interrupt_in_a_group_of_errors_ends_the_run() -> None:
    def model(prompt: str) -> str:
        raise BaseExceptionGroup("two", [ValueError(), KeyboardInterrupt()])

    with pytest.raises(BaseExceptionGroup):
        explain(model)


def test_an_error_that_quotes_all_it_was_given_is_cut() -> None:
    def model(prompt: str) -> str:
        raise ValueError("x" * 10**6)

    with pytest.raises(ModelError) as raised:
        explain(model)
    assert len(str(raised.value)) < 2000


@pytest.mark.parametrize("error", [ValueError("no fox"), RuntimeError("gone"), SystemExit(0), SystemExit("stop")])
def test_a_callable_that_raises_without_a_word_names_it(error: BaseException) -> None:
    asked: list[str] = []

    def model(prompt: str) -> str:
        asked.append(prompt)
        if "fox" not in prompt:
            raise error
        return prompt.upper()

    with pytest.raises(EndedError, match="lack 'fox'") as ended:
        explain(model)
    assert len(asked) < 40
    assert type(error).__name__ in str(ended.value).partition(". ")[0]


def test_prompts_that_fail_for_having_a_word_without_another_are_told_apart() -> None:
    def model(prompt: str) -> str:
        if "fox" in prompt and prompt != PROMPT:
            raise ValueError("a fox alone")
        return prompt.upper()

    with pytest.raises(EndedError, match="have 'fox'"):
        explain(model)


def test_when_two_words_are_needed_the_run_ends_before_its_budget() -> None:
    asked: list[str] = []

    def model(prompt: str) -> str:
        asked.append(prompt)
        if not {"fox", "harbour."} <= set(prompt.split()):
            raise ValueError("incomplete")
        return prompt.upper()

    with pytest.raises(EndedError, match="perturbed prompts failed"):
        explain(model)
    assert len(asked) < 3 * HOPELESS


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_failures_that_strike_by_chance_end_no_run(rate: float) -> None:
    import zlib

    def model(prompt: str) -> str:
        if prompt != PROMPT and zlib.crc32(prompt.encode()) % 1000 < 1000 * rate:
            raise ValueError("by chance")
        return prompt.upper()

    assert explain(model).ended is None


def test_a_unit_is_blamed_only_where_chance_is_ruled_out() -> None:
    failing = Failing(split("one two three four five six seven eight", "word"))
    for number in range(5):
        assert failing(Request(prompt=f"two three four {number}"), BROKEN) is None
    assert failing(Request(prompt="one two"), Output(text="fine")) is None


def test_a_leave_one_out_run_says_what_failed_and_does_not_send_people_round_again() -> None:
    def model(prompt: str) -> str:
        if "fox" not in prompt:
            raise ValueError("no fox")
        return prompt.upper()

    with pytest.raises(ModelError) as raised:
        explain(model, estimand="loo")
    assert "no fox" in str(raised.value)
    assert "run again" not in str(raised.value).lower()


def test_a_key_revoked_midway_leaves_a_partial_explanation(tmp_path: Path) -> None:
    with FaultServer(after(20, "401")) as server:
        part = whygen.explain_prompt(
            "openai/test", PROMPT, target="token-set", cache=tmp_path / "calls.sqlite", budget=300,
            options=ModelOptions(base_url=server.url),
        )  # fmt: skip
        assert part.ended == "failures"
        assert "answered 401" in part.warnings[0].text
        # What was under way when the key went: 8 calls at first, and each doubling takes as many answers.
        assert 20 < len(server.received) <= 20 + 2 * START


def test_a_model_that_takes_no_empty_prompt_is_told_how_to_leave_it_out() -> None:
    def answer(prompt: str) -> str:
        if not prompt.strip():
            raise ValueError("empty prompt")
        return "a fox" if "fox" in prompt else "nothing"

    with pytest.raises(ModelError, match="empty='exclude'"):
        whygen.explain_prompt(answer, "tell the fox", target="token-set", cache=None, budget=64)
    found = whygen.explain_prompt(answer, "tell the fox", target="token-set", cache=None, budget=64, empty="exclude")
    assert [unit.attribution for unit in found.units] == pytest.approx([0.0, 0.0, 1.0], abs=0.01)


def test_shapley_values_do_without_the_answer_to_a_mask_but_not_to_the_empty_prompt() -> None:
    def answer(prompt: str, fails: str) -> str:
        if prompt.split() == fails.split():
            raise ValueError("no answer to this")
        return prompt

    def values(fails: str):
        return whygen.explain_prompt(
            lambda prompt: answer(prompt, fails), "one two three four", target="token-set", cache=None, budget=64,
            estimand="shapley",
        )  # fmt: skip

    found = values("two three")
    assert (found.masks, found.calls.failed) == ("enumerated", 1)
    assert [unit.attribution for unit in found.units] == pytest.approx([0.25] * 4, abs=0.01)
    assert sum(unit.attribution for unit in found.units) == pytest.approx(1.0, abs=1e-9)
    assert found.read().units == found.units
    with pytest.raises(ModelError, match=r"without any unit was not answered.*no answer to this") as told:
        values("")
    assert "estimand='banzhaf' with empty='exclude'" in str(told.value)
    assert "leave it out" not in str(told.value)


def test_a_larger_budget_is_no_advice_where_calls_fail_for_good() -> None:
    asked: list[str] = []

    def model(prompt: str) -> str:
        asked.append(prompt)
        if len(asked) > 6:
            raise ValueError("closed")
        return "a fox" if "fox" in prompt else "nothing"

    prompt = "Tell me a short story about a red fox that lives near the harbour"
    explanation = whygen.explain_prompt(model, prompt, target="token-set", budget=16, cache=None)
    (told,) = [warned.text for warned in explanation.warnings if warned.code == "few-pairs"]
    assert "First mend what made" in told
    assert "Raise the budget" not in told
