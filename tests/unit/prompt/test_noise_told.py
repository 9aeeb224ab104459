"""What a run says of the model's noise: repeats bound it, collapse has two faces, rounding is no finding."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import whygen
from whygen.errors import DataError
from whygen.prompt import designs
from whygen.prompt.effects import Effects
from whygen.prompt.findings import variance_over_references
from whygen.prompt.intervals import enumerated_estimate
from whygen.results.summary.words import noise
from whygen.types import Output, Settings

WORDS = "please judge this short text"
LONG = " ".join(f"w{i}" for i in range(30))


def explain(model: object, prompt: str = WORDS, **options: Any) -> whygen.PromptExplanation:
    options.setdefault("cache", None)
    return whygen.explain_prompt(model, prompt, **options)


def codes(explanation: whygen.PromptExplanation) -> list[str]:
    return [warning.code for warning in explanation.warnings]


def judged(text: str) -> float:
    return float(text == "yes")


def rule(prompt: str) -> str:
    return "yes" if "judge" in prompt else "no"


def test_a_model_that_is_sure_of_the_whole_prompt_alone_is_measured_on_masks() -> None:
    rng = np.random.default_rng(0)

    def model(prompt: str) -> str:
        return "yes" if len(prompt.split()) == 5 or rng.random() < 0.5 else "no"

    found = explain(model, target=judged)
    assert not found.noise.differs
    assert found.noise.source == "measured"
    assert found.calls.asked == 64
    assert all(unit.low < unit.high for unit in found.units)
    assert not any(unit.significant for unit in found.units)
    assert found.fidelity.noise_ceiling < 0.6
    assert found.fidelity.noise_ceiling_low <= found.fidelity.noise_ceiling <= found.fidelity.noise_ceiling_high


def test_a_callable_that_agrees_is_bounded_and_what_matters_still_stands_out() -> None:
    found = explain(rule, target=judged)
    assert found.noise.source == "steady"
    assert found.noise.compared == 30
    assert [unit.text for unit in found.units if unit.significant] == ["judge"]
    assert all(0.0 < unit.high - unit.low < 0.25 for unit in found.units)
    assert all(unit.p_value == 1.0 for unit in found.units if unit.text != "judge")
    assert "no difference in 30 repeats" in found.interval.method


def test_without_a_call_to_spare_there_is_no_interval_and_the_report_says_how_to_get_one() -> None:
    found = explain(rule, target=judged, budget=34)
    assert found.noise.source == "unknown"
    assert all(unit.low is None and unit.p_value is None and unit.significant is None for unit in found.units)
    [warning] = [warning for warning in found.warnings if warning.code == "noise-not-measured"]
    assert "a budget of 65" in warning.text
    again = explain(rule, target=judged, budget=65)
    assert again.noise.compared == 31
    assert all(unit.low is not None for unit in again.units)


@pytest.mark.parametrize("estimand", ["banzhaf", "shapley", "loo"])
def test_who_states_that_answers_are_equal_gets_no_width_and_pays_for_no_repeat(estimand: str) -> None:
    found = explain(rule, target=judged, model_noise="none", estimand=estimand)
    assert found.noise.source == "none"
    assert found.calls.asked <= 35
    assert all(unit.low == unit.high for unit in found.units)
    assert [unit.text for unit in found.units if unit.significant] == ["judge"]


def test_repeats_that_differ_refute_what_was_stated() -> None:
    rng = np.random.default_rng(1)
    found = explain(lambda _: str(rng.random()), target=float, model_noise="none")
    assert found.noise.differs
    assert found.noise.source == "measured"


def test_a_model_is_known_by_its_protocol_and_above_temperature_0_it_is_not() -> None:
    assert explain("planted/additive", "a fox ran", target="token-set").noise.source == "none"
    hot = explain(rule, "a judge ran", target=judged, settings=Settings(temperature=1.0))
    assert hot.noise.source == "steady"


@pytest.mark.parametrize(
    "options", [{}, {"keep": 0.8}, {"estimand": "shapley"}, {"target": "json:a"}, {"target": "label:yes,no"}]
)
def test_every_perturbation_that_loses_the_answer_is_not_nothing_changed(options: dict[str, Any]) -> None:
    def strict(prompt: str) -> str:
        return json.dumps({"a": "yes"}) if prompt == LONG else "sorry: no"

    found = explain(strict, LONG, **{"target": "contains:yes", "interactions": 0, **options})
    assert "all-lost" in codes(found)
    assert "same-output" not in codes(found)
    assert not any(unit.significant for unit in found.units)
    # At keep .8 the prompts that lack one unit or none are known, and the truth, .8 ** 29, is told more narrowly.
    assert all(unit.high - unit.low > (0.005 if "keep" in options else 0.05) for unit in found.units)
    assert "keep" not in options or all(unit.low <= 0.8**29 <= unit.high for unit in found.units)
    [warning] = [warning for warning in found.warnings if warning.code == "all-lost"]
    assert f"keep={options.get('keep', 0.5)}" not in warning.text


def test_one_unit_and_means_that_are_equal_by_chance_have_lost_nothing() -> None:
    rng = np.random.default_rng(1)
    coin = explain(lambda _: "yes" if rng.random() < 0.5 else "no", "judge", target=judged)
    assert coin.noise.source == "measured"
    assert not {"all-lost", "same-output", "low-fidelity"} & set(codes(coin))
    still = explain(lambda _: "1", "judge", target=float)
    assert "The one perturbed prompt never changed" in still.warnings[0].text
    assert still.interval.method.startswith("none: every answer had one effect")  # not "noise was not measured"


def test_no_advice_for_calls_where_all_masks_lost_the_answer_and_none_of_interactions_for_noise() -> None:
    lost = explain(lambda text: str(int(text == LONG)), LONG, target=float, interactions=0)
    assert "all-lost" in codes(lost)
    assert lost.advice is None
    rng = np.random.default_rng(0)
    noisy = explain(lambda _: repr(rng.random()), target=float)
    assert not any("act each by itself" in warning.text for warning in noisy.warnings)
    steady = explain(lambda text: repr(3.0 * ("judge" in text)), "please judge this short text now", target=float)
    assert steady.noise.source == "steady"
    assert "which is the model's own noise" not in (steady.advice or "")


def test_a_short_prompt_whose_masks_were_all_asked_is_told_of_model_noise() -> None:
    asked = explain(lambda text: str(2 * ("judge" in text) + ("weigh" in text)), "judge or weigh", target=float)
    assert asked.noise.source == "steady"
    assert all(unit.high > unit.low for unit in asked.units)
    assert "--model-noise none" in (asked.advice or "")
    still = explain(lambda _: "1", "judge or weigh", target=float)
    assert still.advice is None  # the warning says what to do


def test_nothing_changed_is_bounded_by_the_number_of_prompts() -> None:
    found = explain(lambda _: "yes", LONG, target="contains:yes")
    assert "same-output" in codes(found)
    assert all(unit.low < 0.0 < unit.high for unit in found.units)
    assert "Every answer has the same text" in found.warnings[0].text
    assert "choose another target" not in found.warnings[0].text
    differ = explain(lambda text: f"yes to {len(text)}", LONG, target="contains:yes")
    assert "The answers do differ" in next(each.text for each in differ.warnings if each.code == "same-output")
    own = explain(lambda _: "1", LONG, target=float)
    assert all(unit.low is None for unit in own.units)  # nobody knows how far a score of one's own may be apart


def test_leaving_one_out_of_units_that_stand_in_for_each_other_is_not_nothing_to_explain() -> None:
    either = "please judge or weigh this"
    found = explain(lambda text: str(int("judge" in text or "weigh" in text)), either, target=float, estimand="loo")
    [warning] = [warning for warning in found.warnings if warning.code == "same-output"]
    assert "no unit is needed by itself" in warning.text
    assert "estimand='banzhaf'" in warning.text
    assert "nothing to explain" not in warning.text
    assert all(unit.low is None for unit in found.units)
    told = noise(found, None)
    assert "further answers to masked prompts" in told
    assert "intervals" not in told  # there are none


@pytest.mark.parametrize("prompt", [WORDS, "please judge this short text for me now"])
@pytest.mark.parametrize(("unit", "shift"), [(1e-13, 0.0), (1.0, 1e7), (1e60, 0.0), (1.0, 0.0)])
def test_scores_are_read_in_their_own_scale(prompt: str, unit: float, shift: float) -> None:
    def model(text: str) -> str:
        return repr(shift + unit * (2.0 * ("judge" in text) + ("short" in text)))

    found = explain(model, prompt, target=float, interactions=0)
    assert {unit.text for unit in found.units if unit.significant} <= {"judge", "short"}
    assert "judge" in {unit.text for unit in found.units if unit.significant}
    assert not {"same-output", "all-lost"} & set(codes(found))
    assert found.units[1].attribution == pytest.approx(2.0 * unit, rel=0.02)


def test_scores_too_large_to_be_squared_are_refused() -> None:
    with pytest.raises(DataError, match=r"gave 1e\+300: effects must be finite and under 1e\+100"):
        explain(lambda _: "1e300", target=float)


def test_rounding_is_never_significant() -> None:
    def model(text: str) -> str:
        wobble = 1e-11 * len(text)
        return repr(0.3 * ("judge" in text) + wobble)

    for budget in (64, 40):
        found = explain(model, target=float, budget=budget, model_noise="none")
        assert {unit.text for unit in found.units if unit.significant} <= {"judge"}


def test_shapley_values_of_sets_are_in_one_unit() -> None:
    rng = np.random.default_rng(2)

    def model(text: str) -> str:
        return repr(float(sum(word in text for word in ("w0", "w1", "w2", "w3"))) + 0.1 * rng.normal())

    prompt = " ".join(f"w{i}" for i in range(8))
    found = explain(
        model, prompt, target=Distance(), estimand="shapley", distribution="energy", draws=4, references=4, budget=300
    )
    values = np.array([unit.attribution for unit in found.units])
    # The energy distance of two points 4 apart is 8: it is shared out by those four words.
    assert values[:4].sum() == pytest.approx(8.0, abs=0.8)
    assert np.abs(values[4:]).max() < 0.35


class Distance:
    """How far apart two numbers are."""

    verb = "answer"

    @property
    def record(self) -> Any:
        from whygen.results.prompt import TargetRecord

        return TargetRecord(name="number", distance="absolute difference", unit="as it is")

    def against(self, outputs: Any, references: Any) -> Any:
        there = np.array([float(output.text) for output in references])
        return -np.abs(np.array([float(output.text) for output in outputs])[:, None] - there)

    def effects(self, outputs: Any, references: Any) -> Any:
        return self.against(outputs, references).mean(axis=1)


def test_the_choice_of_references_enters_the_interval() -> None:
    rng = np.random.default_rng(3)

    def model(text: str) -> str:
        return repr(float("judge" in text) + 0.5 * float("short" in text) + 0.5 * rng.normal())

    one = explain(model, target=Distance(), budget=65)
    four = explain(model, target=Distance(), references=4, budget=68)
    assert four.interval.method.endswith("with the spread over 4 references")
    width = [np.mean([unit.high - unit.low for unit in found.units]) for found in (one, four)]
    assert width[1] > 1.2 * width[0]
    assert all(unit.low <= unit.attribution <= unit.high for unit in four.units)
    known = explain("planted/additive", "a fox ran", target="token-set", references=3)
    assert all(unit.low == unit.high for unit in known.units)


def test_attributions_of_each_reference_are_those_of_the_estimand() -> None:
    design = designs.enumerated(3)
    effects = np.random.default_rng(4).normal(size=(8, 5))
    observed = Effects(design.masks, effects.mean(axis=1), design.groups)
    references = [Output(text=str(value)) for value in np.linspace(0.0, 1.0, 5)]
    answers = [[Output(text=str(value))] for value in effects[:, 0]]
    found = variance_over_references(observed, answers, [Output(text="0")], references, Distance())
    each = np.array([Distance().against([draws[0] for draws in answers], [one])[:, 0] for one in references])
    alone = [enumerated_estimate(observed.with_values(row)).attributions for row in each]
    assert found == pytest.approx(np.var(alone, axis=0, ddof=1) / 5)
