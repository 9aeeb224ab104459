"""Advice can help: no budget under the one given, no option that is set already, nothing that a run has no use for."""

from __future__ import annotations

import re
from typing import Any

import pytest

from whygen.prompt.explain import explain_prompt
from whygen.results.prompt import PromptExplanation

PROMPT = "Write me one short and very cheerful story about a red fox who finds a piano near the old stone castle today"

RUNS: list[dict[str, Any]] = [
    {"budget": 16},
    {"budget": 33, "sets": 40},
    {"budget": 64, "sets": 40},
    {"budget": 90, "draws": 4},
    {"budget": 48, "keep": 0.8},
    {"budget": 48, "keep": 0.95, "estimand": "banzhaf"},
    {"budget": 40, "estimand": "shapley"},
    {"budget": 40, "estimand": "local"},
    {"budget": 40, "estimand": "local", "keep": 0.9},
    {"budget": 30, "estimand": "loo"},
    {"budget": 160, "hierarchy": "sentence>word"},
]


def explain(options: dict[str, Any], model: str = "planted/noisy") -> PromptExplanation:
    prompt = f"{PROMPT}. {PROMPT}." if "hierarchy" in options else PROMPT
    return explain_prompt(model, prompt, target="token-set", cache=None, **options)


@pytest.mark.parametrize("options", RUNS, ids=str)
def test_no_advice_names_a_budget_or_a_keep_that_was_given(options: dict[str, Any]) -> None:
    explanation = explain(options)
    texts = [warning.text for warning in explanation.warnings]
    for text in texts:
        named = [int(number.replace(",", "")) for number in re.findall(r"budget of (?:about|at least) ([\d,]+)", text)]
        assert all(number > options["budget"] for number in named), text
        keeps = [float(keep) for keep in re.findall(r"keep[ =(]+(0?\.\d+)", text)]
        assert all(keep > options.get("keep", 0.5) for keep in keeps), text
        if options.get("estimand") == "shapley" or "hierarchy" in options:
            assert "keep" not in text
    assert explanation.calls.asked <= options["budget"] + (options.get("sets") or 0)


def test_some_of_these_runs_are_advised_at_all() -> None:
    codes = {warning.code for options in RUNS[:5] for warning in explain(options).warnings}
    assert {"few-masks", "low-fidelity"} & codes


def test_a_larger_budget_is_no_remedy_where_every_mask_was_asked() -> None:
    explanation = explain_prompt(
        lambda text: text, "one two three four", target=lambda text: float(len(text.split()) % 2), cache=None, budget=64
    )
    assert explanation.masks == "enumerated"
    assert not any("budget" in warning.text.lower() for warning in explanation.warnings)


def test_a_pair_that_acts_together_is_named_where_single_units_do_not_predict() -> None:
    words = [f"w{number}" for number in range(12)]
    explanation = explain_prompt(
        lambda text: text, " ".join(words), target=lambda text: float(("w2" in text.split()) != ("w7" in text.split())),
        cache=None, budget=128, surrogate="ridge",
    )  # fmt: skip
    texts = [warning.text for warning in explanation.warnings if warning.code == "low-fidelity"]
    assert len(texts) == 1
    assert "'w2' and 'w7' act together" in texts[0]
