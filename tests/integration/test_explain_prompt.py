"""One prompt, the whole way, on models whose causes are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import whygen
from whygen.calls import Budget, RunOptions
from whygen.errors import BudgetError, DataError, ModelError, UsageError
from whygen.models.planted import causes
from whygen.types import Limits, Output, Request, Settings

PROMPT = "Write about a fox and a piano near the castle, please."


def explain(model: object = "planted/additive", prompt: str = PROMPT, **options):
    options.setdefault("target", "token-set")
    options.setdefault("cache", None)
    return whygen.explain_prompt(model, prompt, **options)


def significant(explanation) -> list[str]:
    return [unit.text for unit in explanation.units if unit.significant]


def codes(explanation) -> list[str]:
    return [warning.code for warning in explanation.warnings]


def test_the_words_that_matter_are_found_and_only_they() -> None:
    explanation = explain(budget=128)
    assert significant(explanation) == ["fox", "piano", "castle"]
    assert all(unit.attribution > 0 for unit in explanation.units if unit.significant)
    assert explanation.fidelity.r2_heldout is not None
    assert explanation.fidelity.r2_heldout > 0.9
    assert explanation.fidelity.noise_ceiling == 1.0
    assert not explanation.noise.differs
    assert explanation.warnings == ()


def test_spans_point_at_the_units() -> None:
    explanation = explain()
    assert [explanation.prompt[unit.start : unit.end] for unit in explanation.units] == [
        u.text for u in explanation.units
    ]
    assert all(causes("additive", [u.text]) == (u.text in {"fox", "piano", "castle"},) for u in explanation.units)


@pytest.mark.parametrize("budget", [12, 33, 64, 200])
@pytest.mark.parametrize("options", [{}, {"estimand": "shapley"}, {"keep": 0.8}, {"draws": 2}, {"references": 2}])
def test_the_budget_is_never_exceeded(budget: int, options: dict[str, object]) -> None:
    asked: list[Request] = []

    class Counting:
        uri = "py/counting"
        limits = Limits(max_batch=8)

        def answer(self, requests):
            asked.extend(requests)
            return [Output(text=f"{request.prompt} {request.sampling_seed % 3}") for request in requests]

    if budget == 12 and "draws" in options:
        with pytest.raises(BudgetError) as refused:
            explain(Counting(), budget=budget, **options)
        assert asked == []
        budget = refused.value.smallest
    explanation = explain(Counting(), budget=budget, **options)
    assert len(asked) <= explanation.calls.asked <= budget


def test_a_budget_without_room_for_redraws_says_that_the_noise_is_unknown() -> None:
    explanation = explain("planted/noisy", settings=Settings(temperature=1.0), budget=12, seed=3)
    assert explanation.noise.differs
    assert explanation.fidelity.noise_ceiling is None
    assert "noise-not-measured" in codes(explanation)


@pytest.mark.parametrize("estimand", ["banzhaf", "shapley", "loo", "local"])
def test_a_seed_gives_the_same_explanation(estimand: str) -> None:
    one, two = (
        explain("planted/noisy", estimand=estimand, seed=5, settings=Settings(temperature=1.0)) for _ in range(2)
    )
    assert one == two
    assert explain("planted/noisy", estimand=estimand, seed=6, settings=Settings(temperature=1.0)) != one


def test_short_prompts_are_enumerated_and_exact() -> None:
    explanation = explain(prompt="fox and castle", budget=64)
    assert explanation.masks == "enumerated"
    assert explanation.calls.asked == 3 + 7
    fox, word, castle = explanation.units
    assert word.attribution == pytest.approx(0.0, abs=1e-12)
    assert not word.significant
    assert fox.significant
    assert fox.low == fox.high == fox.attribution
    assert castle.significant


def test_one_word_is_enough() -> None:
    explanation = explain(prompt="fox")
    assert explanation.units[0].attribution > 0
    assert explanation.fidelity.r2_heldout is None


def test_shapley_values_share_out_the_whole_effect() -> None:
    explanation = explain(estimand="shapley", budget=120)
    enumerated = explain(estimand="shapley", prompt="a fox by a castle", budget=64)
    assert enumerated.masks == "enumerated"
    start = next(s for s in explanation.evidence.samples if s.prompt == "")
    assert sum(u.attribution for u in explanation.units) == pytest.approx(0.0 - start.effect, abs=1e-9)
    start = next(s for s in enumerated.evidence.samples if s.prompt == "")
    assert sum(u.attribution for u in enumerated.units) == pytest.approx(0.0 - start.effect, abs=1e-9)


def test_redundant_words_hide_from_leave_one_out_and_not_from_banzhaf() -> None:
    prompt = "a fox or a vixen ran away"
    loo = explain("planted/redundant", prompt, estimand="loo")
    banzhaf = explain("planted/redundant", prompt, budget=200)
    assert all(unit.attribution == 0 for unit in loo.units)
    assert all(unit.low == unit.high == 0.0 and not unit.significant for unit in loo.units)  # the model is a rule
    assert significant(banzhaf) == ["fox", "vixen"]


def test_a_negation_pushes_away() -> None:
    explanation = explain("planted/negated", "do not fox me but play piano", budget=200)
    assert next(unit for unit in explanation.units if unit.text == "not").attribution > 0
    assert next(unit for unit in explanation.units if unit.text == "fox").attribution < 0


def test_pinned_text_is_in_every_prompt_that_was_sent() -> None:
    explanation = explain(pin=["near the castle"])
    assert "castle" not in [unit.text for unit in explanation.units]
    assert all("near the castle" in sample.prompt for sample in explanation.evidence.samples)
    assert len(explanation.pinned) == 3


def test_logprob_needs_no_text_distance() -> None:
    explanation = explain(target="logprob", budget=128)
    assert explanation.target.unit == "nats"
    assert significant(explanation) == ["fox", "piano", "castle"]


def test_noise_is_measured_on_masked_prompts() -> None:
    explanation = explain("planted/noisy", settings=Settings(temperature=1.0), budget=160, seed=3)
    assert explanation.noise.differs
    assert explanation.noise.source == "measured"
    assert explanation.fidelity.noise_ceiling is None  # eight repeats of which some agreed do not say how much it is
    assert sum(sample.kind == "redraw" for sample in explanation.evidence.samples) == 8


@pytest.mark.parametrize("prompt", ["Fox, piano!", "A fox and a piano, please, beside an old volcano in the rain"])
@pytest.mark.parametrize("options", [{}, {"estimand": "shapley"}, {"keep": 0.8}, {"estimand": "loo"}, {"draws": 2}])
def test_a_dry_run_foresees_what_a_model_that_samples_is_asked(prompt: str, options: dict[str, Any]) -> None:
    told: dict[str, Any] = {"budget": 64, "target": "edit", **options}
    differed = 0
    for seed in range(8):
        settings = Settings(temperature=1.0, seed=seed)
        foreseen = whygen.forecast("planted/noisy", prompt, settings=settings, **told)
        explanation = whygen.explain_prompt("planted/noisy", prompt, settings=settings, cache=None, **told)
        assert foreseen.calls >= explanation.calls.asked
        if explanation.noise.differs:
            differed += 1
            assert foreseen.calls == explanation.calls.asked
    assert differed


def test_the_reference_is_never_its_own_observation() -> None:
    explanation = explain("planted/noisy", settings=Settings(temperature=1.0), references=2, budget=100)
    draws = [(s.kind, s.draw) for s in explanation.evidence.samples if s.prompt == PROMPT and s.kind != "mask"]
    assert draws[:4] == [("reference", 0), ("reference", 1), ("repeat", 2), ("repeat", 3)]
    numbers = [draw for _, draw in draws]
    assert len(set(numbers)) == len(numbers)


def test_a_tolerance_stops_early() -> None:
    loose = explain(prompt=PROMPT + " " + PROMPT, budget=400, tolerance=0.5)
    assert loose.calls.asked < 100


def test_failed_calls_take_their_pair_with_them_and_are_told() -> None:
    explanation = explain("planted/picky", "a fox, a castle or tennis now?", budget=60, estimand="banzhaf")
    assert "failed-calls" in codes(explanation)
    assert explanation.calls.failed > 0


def test_leave_one_out_says_when_a_prompt_it_needs_was_not_answered() -> None:
    def shy(prompt: str) -> str:
        if "piano" not in prompt:
            raise ValueError("no piano, no answer")
        return prompt.upper()

    with pytest.raises(ModelError, match=r"did not answer 1 of \d+ prompts .*no piano.*estimand='banzhaf'"):
        explain(shy, "A fox and a piano in the snow", estimand="loo", budget=20)
    with pytest.raises(ModelError, match="budget is spent"):
        explain(str.upper, "A fox and a cat", estimand="loo", budget=20, run=RunOptions(spending=Budget(calls=6)))


def test_a_model_that_fails_on_the_whole_prompt_is_an_error_with_advice() -> None:
    with pytest.raises(ModelError, match="Leave out the dangerous word"):
        explain("planted/timid", "a volcano near the sea")
    with pytest.raises(ModelError, match="broken on purpose"):
        explain("planted/broken")


@pytest.mark.parametrize(
    ("model", "code"), [("planted/constant", "same-output"), ("planted/silent", "empty-reference")]
)
def test_nothing_to_explain_is_said(model: str, code: str) -> None:
    explanation = explain(model)
    assert code in codes(explanation)
    assert not significant(explanation)


def test_few_calls_for_many_words_are_told() -> None:
    explanation = explain(prompt=" ".join(f"word{i}" for i in range(60)), budget=40)
    assert "few-masks" in codes(explanation)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompt": "  "}, "prompt is empty"),
        ({"budget": 5}, "smallest budget that works is 11"),
        ({"budget": -3}, "smallest budget"),
        ({"keep": 1.0}, "keep=1.0"),
        ({"draws": 0}, "draws=0"),
        ({"tolerance": 0.0}, "tolerance=0.0"),
        ({"estimand": "shapley", "empty": "exclude"}, "the empty one included"),
        ({"target": "edit", "encoder": "some/model"}, "uses none"),
        ({"prompt": "bad \ud800 half"}, "not valid Unicode"),
        ({"model": object()}, "give a URI, a callable"),
        ({"model": "storyteller"}, "Type demo/storyteller"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_paid(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        explain(**options)


@pytest.mark.parametrize(
    ("options", "near"),
    [
        ({"units": "wrds"}, "'word'"),
        ({"target": "tfid"}, "'tfidf'"),
        ({"estimand": "banzaf"}, "'banzhaf'"),
        ({"model": "plantd/additive"}, "planted/additive"),
        ({"model": "planted/aditive"}, "'additive'"),
        ({"operator": "delet"}, "'delete'"),
    ],
)
def test_an_unknown_name_names_the_nearest(options: dict[str, object], near: str) -> None:
    with pytest.raises(UsageError, match=f"Did you mean {near}"):
        explain(**options)


def test_a_prompt_is_a_str() -> None:
    with pytest.raises(UsageError, match="bytes"):
        explain(prompt=b"hello")


def test_log_probabilities_of_a_model_without_them() -> None:
    with pytest.raises(DataError, match="gives none"):
        explain(lambda prompt: prompt, target="logprob")


def test_a_callable_is_a_model_and_its_exceptions_are_told() -> None:
    def shouting(prompt: str) -> str:
        if "loud" not in prompt:
            raise ValueError("say it louder")
        return prompt.upper()

    explanation = explain(shouting, "be loud in the morning and in the evening too", pin=["loud"])
    assert explanation.model.endswith("shouting")
    with pytest.raises(ModelError, match="ValueError: say it louder"):
        explain(shouting, "be quiet")


def test_held_out_predictions_belong_to_their_rows() -> None:
    evidence = explain(budget=128).evidence
    residual = evidence.effects - evidence.predicted
    assert np.var(residual) < 0.1 * np.var(evidence.effects)
    assert len(evidence.masks) == len(evidence.effects) == len(evidence.groups)


def test_one_thing_is_counted_as_one() -> None:
    explanation = whygen.explain_prompt("planted/additive", "fox", target="exact", cache=None)
    assert "1 unit," in repr(explanation)
    assert " units" not in repr(explanation)
