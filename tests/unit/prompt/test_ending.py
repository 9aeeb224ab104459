"""A run that ends early keeps what it had: by a person, by a deadline, and when it had nothing yet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

import whygen
from whygen.calls import EndedError, Interrupted
from whygen.types import Failure, Limits, Output, Request

PROMPT = "tell me a story about a red fox in the quiet harbour"
N = len(PROMPT.split())


class Stopping:
    """Answers with the prompt's words, and raises at the given call; every answer is a call of its own."""

    uri = "py/tests:stopping"
    limits = Limits(max_batch=1)

    @property
    def identity(self) -> dict[str, str]:
        return {"uri": self.uri}

    def __init__(self, at: int, error: BaseException) -> None:
        self.calls, self.at, self.error = 0, at, error

    def answer(self, requests: Sequence[Request]) -> list[Output | Failure]:
        self.calls += 1
        if self.calls == self.at:
            raise self.error
        return [Output(text=" ".join(sorted(str(request.prompt).split()))) for request in requests]


def explained(model: object, store: Path) -> whygen.PromptExplanation:
    return whygen.explain_prompt(model, PROMPT, target="token-set", cache=store)


def test_an_interruption_leaves_a_partial_explanation_and_the_rest_is_asked_once(tmp_path: Path) -> None:
    store = tmp_path / "calls.sqlite"
    first = Stopping(30, KeyboardInterrupt())
    with pytest.raises(Interrupted) as stop:
        explained(first, store)
    part = stop.value.explanation
    assert (part.ended, part.warnings[0].code, part.calls.asked) == ("interrupt", "ended-early", 29)
    assert part.evidence is not None
    assert 8 <= len(part.evidence.masks) <= 27
    second = Stopping(0, KeyboardInterrupt())
    whole = explained(second, store)
    assert whole.ended is None
    undisturbed = explained(Stopping(0, KeyboardInterrupt()), tmp_path / "other.sqlite")
    assert whole.units == undisturbed.units
    assert first.calls - 1 + second.calls == undisturbed.calls.made


def test_a_deadline_gives_what_there_is_and_says_so(tmp_path: Path) -> None:
    stop = EndedError("The deadline of 3 s has passed.", reason="deadline")
    part = explained(Stopping(40, stop), tmp_path / "calls.sqlite")
    assert part.ended == "deadline"
    assert "deadline of 3 s" in part.warnings[0].text
    part.save(tmp_path / "saved")
    assert whygen.load(tmp_path / "saved") == part


@pytest.mark.parametrize("error", [KeyboardInterrupt(), EndedError("No money is left.", reason="cost")])
@pytest.mark.parametrize("at", [1, 3, 6])
def test_too_little_for_an_estimate_ends_as_it_ended(at: int, error: BaseException, tmp_path: Path) -> None:
    with pytest.raises(type(error)) as stop:
        explained(Stopping(at, error), tmp_path / "calls.sqlite")
    assert not isinstance(stop.value, Interrupted)


LONG = "tell me a story about a red fox in the quiet harbour and a piano near the castle by the sea"


def test_a_run_that_ended_early_is_not_told_to_have_had_too_small_a_budget(tmp_path: Path) -> None:
    stop = EndedError("The deadline of 3 s has passed.", reason="deadline")
    part = whygen.explain_prompt(Stopping(24, stop), LONG, budget=200, target="token-set", cache=tmp_path / "calls")
    [few] = [warning.text for warning in part.warnings if warning.code == "few-masks"]
    assert "Let it run to its end." in few
    assert "budget" not in few


@pytest.mark.parametrize("at", [12, 16, 20, 30])
def test_no_advice_after_an_early_end_is_to_raise_the_budget(at: int, tmp_path: Path) -> None:
    stop = EndedError("No money is left.", reason="cost")
    part = whygen.explain_prompt(Stopping(at, stop), LONG, budget=200, target="token-set", cache=tmp_path / "calls")
    told = [each.text for each in part.warnings if "budget" in each.text.casefold()]
    assert not told, told


def test_a_rule_that_ends_a_run_is_named_and_advice_is_given() -> None:
    narrow = whygen.explain_prompt("planted/additive", LONG, tolerance=5.0, budget=300, cache=None)
    assert (narrow.stopped, narrow.calls.asked) == ("width", 35)
    assert narrow.advice is not None
    assert "more calls would halve" in narrow.advice or "no width" in narrow.advice
    ordered = whygen.explain_prompt("planted/additive", LONG, stable=2, budget=300, cache=None)
    assert ordered.stopped == "order"
    assert ordered.calls.asked < 300
    assert "says nothing of precision" in ordered.to_html()
    assert whygen.explain_prompt("planted/additive", LONG, budget=64, cache=None).stopped is None


def test_leaving_one_out_has_intervals_where_masks_were_asked_twice() -> None:
    once = whygen.explain_prompt("planted/noisy", PROMPT, estimand="loo", budget=3 + N, cache=None)
    assert all(unit.low is None for unit in once.units)
    assert not any(unit.significant for unit in once.units)
    [warned] = [warning for warning in once.warnings if warning.code == "noise-not-measured"]
    assert f"a budget of {3 + 2 * N}" in warned.text
    plain = whygen.explain_prompt("planted/noisy", PROMPT, estimand="loo", budget=3 + 2 * N, cache=None)
    assert all(unit.low is not None for unit in plain.units)
    assert plain.calls.asked == 3 + 2 * N
    drawn = whygen.explain_prompt("planted/noisy", PROMPT, estimand="loo", draws=4, budget=60, cache=None)
    assert all(unit.low is not None and unit.high is not None for unit in drawn.units)
    assert drawn.noise.source == "measured"
