"""Options are one object: the keywords are its fields, and a preset is data."""

from __future__ import annotations

from dataclasses import replace

import pytest

import whygen
from whygen.errors import BudgetError, UnknownNameError, UsageError
from whygen.prompt.options import GSMILE, PromptOptions, choose


def test_a_preset_can_be_changed_and_keeps_its_name() -> None:
    assert choose("gsmile", {"budget": 10}) == replace(GSMILE, budget=10)
    mine = PromptOptions(preset="mine", draws=3)
    assert choose(mine, {}) is not GSMILE
    assert whygen.explain_prompt("planted/additive", "a fox ran far away", preset=mine, cache=None).preset == "mine"


def test_an_unknown_keyword_or_preset_says_what_there_is() -> None:
    with pytest.raises(UsageError, match="Did you mean budget=3"):
        whygen.explain_prompt("planted/additive", "a fox", buget=3, cache=None)  # type: ignore[call-arg]
    with pytest.raises(UnknownNameError, match="gsmile"):
        whygen.explain_prompt("planted/additive", "a fox", preset="smile", cache=None)


def test_a_scale_over_the_run_is_for_local_alone() -> None:
    with pytest.raises(UsageError, match="scale='min-max' goes with estimand='local'"):
        whygen.explain_prompt("planted/additive", "a fox", scale="min-max", cache=None)


def test_the_forecast_of_a_preset_counts_its_masks() -> None:
    forecast = whygen.forecast(
        "planted/additive", "a fox ran far away from here", preset="gsmile", target="edit", kernel="dropped"
    )
    assert forecast.calls == 66  # the full mask was drawn, and costs nothing beyond the repeats


def test_a_hierarchy_is_one_option_and_refuses_what_it_cannot_read() -> None:
    text = "The fox ran to the harbour. It was late.\n\nA boat came in. Nobody saw it."
    explanation = whygen.explain_prompt("planted/additive", text, hierarchy="auto", budget=256, cache=None)
    assert explanation.tree is not None
    with pytest.raises(UsageError, match="does not go with keep, draws"):
        whygen.explain_prompt("planted/additive", text, hierarchy="auto", draws=2, keep=0.8, cache=None)
    assert whygen.forecast("planted/additive", text, hierarchy="auto", budget=256).calls == 256


@pytest.mark.parametrize("keep", [0.5, 0.9])
@pytest.mark.parametrize("estimand", ["banzhaf", "shapley", "local", "loo"])
@pytest.mark.parametrize("draws", [1, 2])
def test_a_dry_run_counts_the_calls_that_are_made(estimand: str, draws: int, keep: float) -> None:
    if estimand == "shapley" and keep != 0.5:
        pytest.skip("Shapley values have no keep probability")
    text = "one two please three four five"
    choices = {"estimand": estimand, "draws": draws, "keep": keep, "budget": 60, "target": "token-set"}
    forecast = whygen.forecast(str.upper, text, **choices)  # type: ignore[arg-type]
    found = whygen.explain_prompt(str.upper, text, cache=None, **choices)  # type: ignore[arg-type]
    assert forecast.calls == found.calls.made


def test_a_kernel_without_weights_is_refused_before_anything_is_asked() -> None:
    asked: list[str] = []
    with pytest.raises(UsageError, match=r"kernel is .*give a str or a Kernel"):
        whygen.explain_prompt(asked.append, "a b c d", estimand="local", kernel=print, cache=None)  # type: ignore[arg-type]
    assert asked == []


def test_a_target_that_cannot_be_compared_is_refused_in_a_sentence() -> None:
    class Hostile:
        def __eq__(self, other: object) -> bool:
            raise RuntimeError

        __hash__ = None  # type: ignore[assignment]

    with pytest.raises(UsageError, match="target"):
        whygen.explain_prompt(str.upper, "a b c d", target=Hostile(), cache=None)  # type: ignore[arg-type]


@pytest.mark.parametrize("words", [5, 20, 60])
@pytest.mark.parametrize("choices", [{}, {"estimand": "loo"}, {"estimand": "shapley"}, {"units": "sentence"}])
@pytest.mark.parametrize("budget", [40, 130])
def test_that_masks_are_few_is_said_before_as_it_is_after(words: int, choices: dict[str, str], budget: int) -> None:
    text = " ".join(f"word{number}{'.' if number % 3 == 2 else ''}" for number in range(words))
    given = {"budget": budget, "target": "token-set", "model_noise": "none", **choices}
    try:
        found = whygen.explain_prompt("planted/additive", text, cache=None, **given)
    except BudgetError:
        return
    after = "few-masks" in {warning.code for warning in found.warnings}
    before = whygen.forecast("planted/additive", text, **given).doubt
    assert bool(before) == after
    assert "pairs of masks for" in before or not after
