"""The audit's figures of gSMILE: closed forms, and two roads to what they say."""

# pyright: basic
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from benchmarks.audit import prompts
from sklearn.linear_model import LinearRegression

from whygen.results.prompt import PromptExplanation
from whygen_experiments.gsmile_life import RecordedDistance, RecordedRun, by_default, load_run


@pytest.fixture(scope="module")
def run() -> RecordedRun:
    return load_run()


@pytest.fixture(scope="module")
def default(run: RecordedRun) -> PromptExplanation:
    known = dict(zip(run.outputs, run.output_distances.tolist(), strict=True))
    return by_default(run, target=RecordedDistance({run.reference: 0.0, **known}))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_the_published_coefficients_come_out(run: RecordedRun) -> None:
    assert prompts.observed(run).coefficients() == pytest.approx(run.published, abs=1e-6)


def test_left_out_r2_is_that_of_refitting_by_another_library(run: RecordedRun) -> None:
    data = prompts.observed(run)
    predicted = np.empty(len(data.target))
    for row, mask in enumerate(data.masks):
        others = (data.masks != mask).any(axis=1)
        model = LinearRegression().fit(data.masks[others], data.target[others], sample_weight=data.weights[others])
        predicted[row] = model.predict(mask[None])[0]
    assert prompts.left_out(data) == pytest.approx(prompts.weighted_r2(data, predicted))


def test_a_linear_model_is_predicted_on_masks_left_out(run: RecordedRun) -> None:
    data = prompts.observed(run)
    linear = replace(data, target=data.masks @ np.arange(1.0, 7.0))
    assert prompts.left_out(linear) == pytest.approx(1.0)


def test_fidelity_left_out_is_below_in_sample_and_chance_is_not_zero(
    run: RecordedRun, default: PromptExplanation, rng: np.random.Generator
) -> None:
    inside, outside = prompts.fidelity(run, default, rng, replicates=50)
    assert inside["gSMILE"] == pytest.approx(0.5628, abs=1e-4)
    assert outside["gSMILE"]["mean"] < inside["gSMILE"]
    assert outside["on dealt-out effects"]["mean"] < 0 < inside["on dealt-out effects"]["mean"]


def test_intervals_of_coefficients_hold_the_coefficient(
    run: RecordedRun, default: PromptExplanation, rng: np.random.Generator
) -> None:
    rows = prompts.coefficients(run, default, rng, replicates=200)
    assert all(row["coefficient"]["low"] < row["coefficient"]["mean"] < row["coefficient"]["high"] for row in rows)
    assert [row["word"] for row in rows if row["excludes zero"] == "yes"] == ["life?"]


def test_explanations_from_some_pairs_are_near_that_from_all(run: RecordedRun, rng: np.random.Generator) -> None:
    row = prompts.budgeted(run, rng, repeats=5)
    assert row["pairs of"] == "20 of 31"
    assert row["intervals that hold the value of all pairs"]["mean"] > 0.6
    assert 0.3 < row["Ruzicka with all pairs"]["mean"] < 1


def test_stability_of_nothing_is_chance(run: RecordedRun, rng: np.random.Generator) -> None:
    rows = {row["explanations"]: row for row in prompts.stability(run, rng, splits=300, defaults=2)}
    chance = rows["two random vectors"]
    assert chance["Ruzicka"]["mean"] == pytest.approx(0.42, abs=0.03)
    assert chance["top-2 Jaccard"]["mean"] == pytest.approx(1 / 15 + 8 / 15 / 3, abs=0.05)


@pytest.mark.parametrize(("other", "expected"), [([1.0, -2.0], 1.0), ([2.0, 4.0], 0.5), ([0.0, 0.0], 0.0)])
def test_ruzicka(other: list[float], expected: float) -> None:
    assert prompts.ruzicka(np.array([1.0, 2.0]), np.array(other)) == pytest.approx(expected)


def test_every_prompt_sent_is_counted_once(run: RecordedRun) -> None:
    counts = {row["what"]: row["of the run"] for row in prompts.sent(run)}
    assert counts["prompts sent"] == 64
    assert counts["masks that repeat another"] == 1
    parts = [count for name, count in counts.items() if "words" in name and "removed" not in name]
    assert sum(parts) == 64
    assert 1 <= counts["effective sample size of the weights"] <= 64


class Letters:
    """An encoder made of counts, so that no weights are needed."""

    name = "letters"

    def sentences(self, texts: Sequence[str]) -> np.ndarray:
        counts = np.array([[1.0 + text.count(chr(97 + i)) for i in range(26)] for text in texts])
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)

    def tokens(self, texts: Sequence[str]) -> list[np.ndarray]:
        return [self.sentences(text.split() or [""]) for text in texts]


def test_shuffled_coordinates_are_at_distance_zero(run: RecordedRun, rng: np.random.Generator) -> None:
    rows = {row["compared with"]: row for row in prompts.coordinates(run, Letters(), rng)}
    shuffled = rows["its own coordinates, shuffled"]
    assert shuffled["coordinate Wasserstein (thousandths)"] == pytest.approx(0, abs=1e-9)
    assert shuffled["cosine distance"] > 0
    assert rows["the opposite vector"]["cosine distance"] == pytest.approx(2)


def test_ranks_are_correlations_with_their_interval(run: RecordedRun, rng: np.random.Generator) -> None:
    for row in prompts.ranking(run, Letters(), rng):
        found = row["rank correlation with transport"]
        assert -1 <= found["low"] <= found["mean"] <= found["high"] <= 1


def test_anagrams_are_at_distance_zero_between_characters() -> None:
    *anagrams, other = prompts.characters(None)
    assert [row["between characters"] for row in anagrams] == [0, 0, 0]
    assert other["between characters"] == pytest.approx(3 / 12)
