"""The figures of the studies: closed forms, and laws."""

# pyright: basic
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from benchmarks import record
from benchmarks.agreeing import GENERALISED, RANKS, TOP, between, chance, measures, with_interval, within
from benchmarks.distance_ablation import holm, rank_biserial, verdict, wilcoxon
from benchmarks.fitting import weighted_error
from benchmarks.prompt_length import exponent
from benchmarks.prompt_length_worker import WEIGHTS, calls_for, measure, prompt_of
from benchmarks.stochastic import verdict as expectation
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

CASES = ((0.9, 0.1, 0.0), (0.9, 0.2, 0.0), (0.5, 0.1, 0.0))
P_VALUES = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=9)


@given(P_VALUES)
def test_holm_lies_between_the_p_values_and_bonferroni_and_keeps_their_order(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert np.all(adjusted >= np.array(p_values) - 1e-15)
    assert np.all(adjusted <= np.minimum(1.0, np.array(p_values) * len(p_values)) + 1e-15)
    assert np.all(np.diff(adjusted[np.argsort(p_values)]) >= 0.0)


def test_holm_steps_down_as_in_his_paper() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


@given(st.lists(st.integers(-20, 20).map(float), min_size=3, max_size=20))
def test_the_effect_is_that_of_the_ranks_of_the_test(values: list[float]) -> None:
    difference = np.array(values)
    told = difference[difference != 0]
    if not len(told):
        assert (rank_biserial(difference), wilcoxon(difference)) == (0.0, 1.0)
        return
    smaller = float(stats.wilcoxon(told, method="approx").statistic)
    total = len(told) * (len(told) + 1) / 2
    assert abs(rank_biserial(difference)) == pytest.approx(1.0 - 2.0 * smaller / total)


def test_better_and_worse_are_said_only_of_differences_that_are_shown() -> None:
    assert [verdict(0.9, 0.01), verdict(-0.9, 0.01), verdict(0.9, 0.2)] == ["better", "worse", "no difference shown"]


@given(st.floats(0.01, 100.0), st.floats(-50.0, 50.0))
def test_the_weighted_error_knows_no_unit_of_measure(scale: float, shift: float) -> None:
    rng = np.random.default_rng(0)
    masks, effects, predicted = rng.random((20, 6)) < 0.5, rng.normal(size=20), rng.normal(size=20)
    expected = weighted_error(masks, effects, predicted)
    assert weighted_error(masks, scale * effects + shift, scale * predicted + shift) == pytest.approx(expected)


def test_masks_that_keep_most_weigh_most_in_the_error() -> None:
    masks = np.array([[True, True, True, True], [False, False, False, True]])
    effects = np.array([0.0, 1.0])
    near, far = (weighted_error(masks, effects, effects + wrong) for wrong in ([0.5, 0.0], [0.0, 0.5]))
    assert near > far
    assert weighted_error(masks, np.ones(2), np.zeros(2)) == 0.0


def test_pairs_within_are_all_and_pairs_between_share_no_seed() -> None:
    values = [np.full(4, float(i)) for i in range(3)]
    assert len(within(values)) == 3
    assert sorted((a[0], b[0]) for a, b in between(values, values)) == [
        (a, b) for a in range(3) for b in range(3) if a != b
    ]


def test_agreement_and_its_chance_level_meet_where_there_is_nothing_to_tell() -> None:
    alike = np.ones(5)
    found, by_chance = measures([(alike, alike)], 2), chance([(alike, alike)], 2, np.random.default_rng(0))
    assert found[GENERALISED][0] == by_chance[GENERALISED] == 1.0
    assert found[RANKS][0] == by_chance[RANKS] == 0.0
    assert found[TOP][0] == 1.0 > by_chance[TOP]


def test_an_interval_over_prompts_is_student_s() -> None:
    values = [1.0, 2.0, 4.0, 7.0]
    found = with_interval(values)
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert (found["low"], found["high"]) == pytest.approx((low, high))
    assert np.isnan(with_interval([1.0])["low"])


def test_a_power_law_has_its_exponent() -> None:
    found = exponent([(n, 3e-4 * n**1.7) for n in (10, 50, 100, 1000)])
    assert found["mean"] == pytest.approx(1.7)
    assert found["low"] <= 1.7 + 1e-9
    assert found["high"] >= 1.7 - 1e-9


@pytest.mark.parametrize("units", [10, 50])
def test_the_measured_explainer_finds_the_words_that_matter_at_the_stated_calls(units: int) -> None:
    assert set(WEIGHTS) <= set(prompt_of(units).split())
    assert len(set(prompt_of(units).split())) == units
    found = measure("whygen, ridge", units, 0, trace=True)
    assert found["found"] == 1.0
    assert 0.9 * calls_for(units) <= found["calls"] <= calls_for(units)
    assert found["MiB traced"] > 0.0


def test_the_thesis_s_expectation_is_judged_by_the_interval() -> None:
    def row(mean: float, half: float, variance: float) -> dict[str, object]:
        limits = {"mean": mean, "low": mean - half, "high": mean + half}
        return {"method": "m", "temperature": 1.0} | {
            name: value
            for measure_ in (GENERALISED, TOP)
            for name, value in ((measure_, limits), (f"variance of {measure_}", variance))
        }

    said = [expectation(row(*case))[f"{GENERALISED} over .75"] for case in CASES]
    assert said == ["holds", "open", "does not hold"]
    assert expectation(row(0.9, 0.1, 0.2))[f"variance of {TOP} under .1"] == "does not hold"


def test_rows_are_kept_and_replaced_by_their_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    record.add_rows("trial", [{"method": "a", "x": 1}, {"method": "b", "x": 2}], key=("method",))
    record.add_rows("trial", [{"method": "a", "x": 3}], key=("method",))
    assert [(row["method"], row["x"]) for row in record.rows("trial")] == [("a", 3), ("b", 2)]
    assert {"commit"} <= set(record.rows("trial")[0])
    assert json.loads((tmp_path / "trial.json").read_text())["benchmark"] == "trial"
    assert record.rows("another") == []
