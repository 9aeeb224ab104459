"""A model that looks for one word: the word gets everything, whatever marks stand around it."""

from __future__ import annotations

import re

import pytest

import whygen


@pytest.mark.parametrize(
    "prompt",
    [
        'Please tell "fox" story now',
        "Please tell (fox) story now.",
        "Please tell `fox` story now",
        "Use *fox* now: #x $5",
        "Please tell @fox/story now",
        "Bitte „fox“ jetzt sagen",
        "Dis « fox » puis pars",
        "请说“fox”吧",
        "قل «fox» الآن",
        "- [fox]\n- {cat}",
    ],
)
def test_the_word_gets_everything_and_its_marks_nothing(prompt: str) -> None:
    found = whygen.explain_prompt(
        lambda text: "yes" if re.search(r"\bfox\b", text) else "no", prompt, cache=None, interactions=0,
        target=lambda answer: float(answer == "yes"),
    )  # fmt: skip
    told = {unit.text: unit.attribution for unit in found.units if unit.significant or abs(unit.attribution) > 1e-9}
    assert told == {"fox": pytest.approx(1.0)}


def test_a_model_that_looks_between_spaces_sees_no_word_that_was_not_there() -> None:
    found = whygen.explain_prompt(
        lambda text: "yes" if "me" in text.split() else "no", "Tell me now, please.", cache=None, interactions=0,
        target=lambda answer: float(answer == "yes"),
    )  # fmt: skip
    assert {unit.text for unit in found.units if abs(unit.attribution) > 1e-9} == {"me"}
