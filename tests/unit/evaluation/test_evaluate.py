"""Evaluating an explanation: closed forms, laws of the figures, and what is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from itertools import pairwise, permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, mean_absolute_error, mean_squared_error, r2_score, roc_auc_score

import whygen
from example_explanations import prompt_explanation
from whygen.calls import open_store
from whygen.cli import main
from whygen.errors import BudgetError, DataError, FormatError, MissingError, UnknownNameError, UsageError
from whygen.evaluation.case import Case, Lab
from whygen.evaluation.evaluate import METRICS, check_labels, evaluate
from whygen.evaluation.measures import accuracy, consistency, fidelity, randomisation
from whygen.evaluation.measures.faithfulness import extreme_mean, path
from whygen.evaluation.measures.fidelity import MOST_FOLDS
from whygen.evaluation.rebuilt import ROUNDS, attributions, rebuild
from whygen.evaluation.result import Evaluation
from whygen.models.planted import WeighedWords, causes
from whygen.prompt import designs
from whygen.prompt.effects import Effects
from whygen.prompt.intervals import folds_for
from whygen.prompt.surrogates import Adaptive, Fitted, Ridge
from whygen.types import Settings

PROMPT = "tell me a story about a red fox in the quiet harbour"
LABELS = [int(cause) for cause in causes("additive", PROMPT.split())]
SHORT = "tell red fox harbour quiet"
BEFORE = Path(__file__).parents[2] / "data" / "golden" / "prompt-v2"


def explained(prompt: str = PROMPT, model: object = "planted/additive", **choices: object) -> whygen.PromptExplanation:
    choices = {"target": "token-set", "cache": None, **choices}
    return whygen.explain_prompt(model, prompt, **choices)  # type: ignore[arg-type]


# Figures against other roads to them


@given(st.integers(0, 2**32 - 1))
def test_figures_are_those_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y, predicted, weights = rng.normal(size=30), rng.normal(size=30), rng.random(30) + 0.01
    found = {name: float(value[0]) for name, value in fidelity.figures(y, predicted, weights, units=5).items()}
    assert found["mse"] == pytest.approx(mean_squared_error(y, predicted))
    assert found["wmse"] == pytest.approx(mean_squared_error(y, predicted, sample_weight=weights))
    assert found["mae"] == pytest.approx(mean_absolute_error(y, predicted))
    assert found["wmae"] == pytest.approx(mean_absolute_error(y, predicted, sample_weight=weights))
    assert found["r2"] == pytest.approx(r2_score(y, predicted))
    assert found["wr2"] == pytest.approx(r2_score(y, predicted, sample_weight=weights))
    assert found["adjusted_r2"] == pytest.approx(1 - (1 - r2_score(y, predicted)) * 29 / 24)
    assert found["mean_loss"] == pytest.approx(abs(y.mean() - predicted.mean()))
    assert found["weighted_l1"] == pytest.approx((weights * np.abs(y - predicted)).mean())
    assert found["weighted_l2"] == pytest.approx((weights * (y - predicted) ** 2).mean())


@given(st.integers(0, 2**32 - 1))
def test_counts_of_a_resampling_do_what_repeated_rows_do(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y, predicted, weights = rng.normal(size=12), rng.normal(size=12), rng.random(12) + 0.01
    rows = rng.integers(12, size=12)
    counts = np.bincount(rows, minlength=12).astype(float)[None, :]
    counted = fidelity.figures(y, predicted, weights, units=3, counts=counts)
    repeated = fidelity.figures(y[rows], predicted[rows], weights[rows], units=3)
    for name, value in counted.items():
        assert value[0] == pytest.approx(repeated[name][0], nan_ok=True), name


def test_groups_are_drawn_whole() -> None:
    groups = np.array([3, 3, 1, 1, 2, 2])
    counts = fidelity.resampled_groups(groups, np.random.default_rng(0), 50)
    assert (counts[:, 0::2] == counts[:, 1::2]).all()
    assert (counts.sum(axis=1) == 6).all()


@given(st.lists(st.booleans(), min_size=2, max_size=9), st.integers(0, 2**32 - 1))
def test_accuracy_is_that_of_scikit_learn(labels: list[bool], seed: int) -> None:
    truth = np.array(labels)
    rng = np.random.default_rng(seed)
    called, strength = rng.random(len(truth)) < 0.5, rng.integers(0, 4, len(truth)).astype(float)
    found = accuracy.scored(truth, called, strength)
    assert found.f1 == pytest.approx(f1_score(truth, called, zero_division=0.0))
    if truth.any() and not truth.all():
        assert found.auroc == pytest.approx(roc_auc_score(truth, strength))
    else:
        assert np.isnan(found.auroc)


@pytest.mark.parametrize("called", [(1, 0, 0, 0, 0), (1, 1, 1, 0, 0), (1, 1, 1, 1, 1)])
def test_chance_is_the_mean_over_all_ways_to_deal_calls_out(called: tuple[int, ...]) -> None:
    truth = np.array([True, False, True, False, False])
    strength = np.array([5.0, 4.0, 3.0, 2.0, 1.0])
    every = [
        accuracy.scored(truth, np.array(called, dtype=bool)[list(order)], strength[list(order)])
        for order in permutations(range(5))
    ]
    chance = accuracy.by_chance(truth, np.array(called, dtype=bool))
    assert chance.acc == pytest.approx(np.mean([each.acc for each in every]))
    assert chance.f1 == pytest.approx(np.mean([each.f1 for each in every]))
    assert chance.auroc == pytest.approx(np.mean([each.auroc for each in every]))


@given(st.permutations(range(6)))
def test_a_path_takes_away_one_unit_at_a_time_in_order(order: list[int]) -> None:
    masks = path(np.array(order))
    assert masks[0].all()
    assert not masks[-1].any()
    gone = [int(np.flatnonzero(before & ~after)[0]) for before, after in pairwise(masks)]
    assert gone == order


@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_the_extreme_order_is_the_extreme_of_all_orders(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    masks = ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).astype(bool)
    effect = {mask.tobytes(): float(value) for mask, value in zip(masks, rng.normal(size=2**n), strict=True)}
    every = [
        np.mean([effect[mask.tobytes()] for mask in path(np.array(order))[1:]]) for order in permutations(range(n))
    ]
    assert extreme_mean(effect, n, max) == pytest.approx(max(every))
    assert extreme_mean(effect, n, min) == pytest.approx(min(every))


def test_runs_that_agree_are_repeatable_and_units_dealt_out_are_not() -> None:
    rng = np.random.default_rng(0)
    own = rng.normal(size=200)
    assert consistency.spread(np.array([own, own, own])) == pytest.approx((0.0, 1.0))
    assert consistency.spread(rng.permuted(np.tile(own, (3, 1)), axis=1))[1] == pytest.approx(0.0, abs=0.15)


# The estimate made again


@pytest.mark.parametrize(
    "choices",
    [{}, {"estimand": "shapley"}, {"estimand": "local"}, {"estimand": "loo"}, {"keep": 0.8}, {"surrogate": "lasso"},
     {"prompt": SHORT}, {"prompt": SHORT, "estimand": "shapley"}],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("kept", [True, False], ids=["recipe", "schema 2"])
def test_the_estimate_is_the_recorded_one(choices: dict[str, object], kept: bool) -> None:
    explanation = explained(**choices)  # type: ignore[arg-type]
    if not kept:
        explanation = explanation.model_copy(update={"recipe": None, "schema_version": 2})
    rebuilt = rebuild(explanation, "test")
    again = rebuilt.estimate(rebuilt.observed, explanation.seed).attributions
    assert np.abs(again - attributions(explanation)).max() < 1e-9


def test_a_kernel_that_read_the_prompts_is_found_out() -> None:
    explanation = explained(estimand="local").model_copy(update={"recipe": None})
    units = tuple(unit.model_copy(update={"attribution": unit.attribution + 0.1}) for unit in explanation.units)
    with pytest.raises(UsageError, match="kernel='dropped' alone"):
        rebuild(explanation.model_copy(update={"units": units}), "fidelity")


# evaluate


def test_every_figure_of_a_model_with_a_known_cause(tmp_path: Path) -> None:
    store = tmp_path / "calls.sqlite"
    explanation = explained(cache=store)
    found = evaluate(
        explanation, labels=LABELS, budget=2000, cache=store, paraphrases="write a story about a red fox in the harbour"
    )
    assert {measure.metric for measure in found.measures} == set(METRICS)
    assert [left.metric for left in found.left_out] == ["randomisation of weights"]
    assert found.measure("auroc").value == 1.0
    assert found.measure("auroc").chance == 0.5
    assert found.measure("r2_heldout").value == pytest.approx(1.0)
    assert found.measure("r2_heldout").chance_high < 0.5  # type: ignore[operator]
    assert found.measure("sufficiency").value == pytest.approx(0.0)
    assert found.measure("deletion_auc").value < found.measure("deletion_auc").chance - 0.3  # type: ignore[operator]
    assert found.measure("lds_fresh").value == pytest.approx(1.0)
    assert found.measure("repeatability").value == pytest.approx(1.0)
    assert found.measure("jaccard_top_suffix").value == 1.0
    assert len(found.units) == len(explanation.units)
    for measure in found.measures:
        if measure.value is not None and measure.low is not None and measure.high is not None:
            assert measure.low <= measure.high, measure.name


def test_a_second_evaluation_makes_no_call(tmp_path: Path) -> None:
    store = tmp_path / "calls.sqlite"
    explanation = explained(cache=store)
    first = evaluate(explanation, metrics="faithfulness", budget=500, cache=store)
    again = evaluate(explanation, metrics="faithfulness", budget=500, cache=store)
    assert first.calls.made > 0
    assert again.calls.made == 0
    assert again.measures == first.measures


def test_masks_on_record_are_not_asked_again() -> None:
    found = evaluate(explained(SHORT), metrics="faithfulness", cache=None)
    assert found.calls.asked == 0
    assert found.measure("normalised_aopc").value == 1.0


def test_without_a_budget_the_model_is_not_asked_and_the_reason_is_told() -> None:
    found = evaluate(explained(surrogate="ridge"), cache=None)
    assert found.calls.asked == 0
    left = {each.metric: each.reason for each in found.left_out}
    assert set(left) == {
        "accuracy", "faithfulness", "stability", "consistency", "operators", "randomisation of weights",
    }  # fmt: skip
    assert "labels=" in left["accuracy"]
    assert "budget of at least" in left["stability"]


def test_the_budget_named_is_enough_and_one_less_is_not() -> None:
    explanation = explained()
    with pytest.raises(BudgetError) as refused:
        evaluate(explanation, metrics="faithfulness", cache=None)
    smallest = refused.value.smallest
    assert evaluate(explanation, metrics="faithfulness", budget=smallest, cache=None).calls.asked <= smallest
    with pytest.raises(BudgetError):
        evaluate(explanation, metrics="faithfulness", budget=smallest - 1, cache=None)


def test_a_model_that_differs_gets_intervals_from_its_draws() -> None:
    explanation = explained(model="planted/noisy", settings=Settings(temperature=0.7), seed=3)
    assert explanation.noise.differs
    found = evaluate(explanation, metrics="faithfulness", budget=2000, cache=None)
    assert found.measure("comprehensiveness").low is not None


def test_a_saved_explanation_gives_the_same_figures(tmp_path: Path) -> None:
    explanation = explained(surrogate="ridge", cache=tmp_path / "calls.sqlite")
    folder = explanation.save(tmp_path / "saved")
    how = {"labels": LABELS, "budget": 500, "metrics": ["fidelity", "accuracy", "faithfulness"]}
    one = evaluate(explanation, cache=tmp_path / "calls.sqlite", **how)  # type: ignore[arg-type]
    two = evaluate(folder, cache=tmp_path / "calls.sqlite", **how)  # type: ignore[arg-type]
    assert one.measures == two.measures


def test_shuffled_answers_give_an_unrelated_explanation() -> None:
    found = evaluate(explained(), metrics="randomisation", cache=None).measure("spearman_answers")
    assert found.low is not None
    assert found.low < 0.3
    assert found.value is not None
    assert abs(found.value) < 0.5


@dataclass(frozen=True)
class Counting:
    """Ridge that counts how often it is fitted."""

    name: str = "ridge"
    fits: list[int] = field(default_factory=list)

    def smallest_pairs(self, n: int) -> int:
        return Ridge().smallest_pairs(n)

    def fit(self, observed: Effects) -> Fitted:
        self.fits.append(len(observed))
        return Ridge().fit(observed)


def test_what_chance_does_is_fitted_once_for_all_figures() -> None:
    """Twenty shuffles, each fitted to all rows and without each fold; beside them the own fits and nested folds."""
    counting, explanation = Counting(), explained()
    case = Case(explanation, Lab(explanation, open_store(None), 0), 0, None, 3, (), (), None)
    case.known = replace(rebuild(explanation, "test"), surrogate=counting)
    for room in (fidelity, randomisation):
        assert room.measure(case)
    folds = folds_for(len(np.unique(explanation.evidence.groups)), 12)  # type: ignore[union-attr]
    assert len(counting.fits) <= ROUNDS * (folds + 1) + ROUNDS + 1 + MOST_FOLDS * (MOST_FOLDS + 1) // 2


def test_kernels_of_the_same_masks_are_worked_out_once() -> None:
    explanation = explained()
    first = rebuild(explanation, "test")
    surrogate = first.surrogate
    assert isinstance(surrogate, Adaptive)
    shuffled = first.shuffled(0)
    folds = folds_for(len(np.unique(first.observed.groups)), first.observed.n)
    assert surrogate.kept is not None
    assert 0 < len(surrogate.kept) <= folds + 1
    plain = replace(first, surrogate=Adaptive()).shuffled(0)
    for one, two in zip(shuffled, plain, strict=True):
        assert np.array_equal(one.estimate.attributions, two.estimate.attributions)


def test_a_randomised_model_and_other_models_are_explained_for(tmp_path: Path) -> None:
    found = evaluate(
        explained(), metrics=["randomisation", "consistency"], randomised="planted/constant",
        models=["planted/redundant"], budget=2000, cache=tmp_path / "c.sqlite",
    )  # fmt: skip
    assert found.measure("generalised_jaccard_model").value == 0.0
    assert found.measure("jaccard_top_models").n == 1


def test_a_lexicon_gives_paraphrases() -> None:
    found = evaluate(explained(), metrics="stability", lexicon={"story": "tale"}, budget=2000, repeats=2, cache=None)
    assert found.measure("jaccard_top_paraphrase").value == 1.0


# What is told once


@pytest.mark.parametrize(
    "choices",
    [{"target": "logprob:red"}, {"target": "contains:red"}, {"operator": "placeholder", "placeholder": "[...]"},
     {"operator": "synonym", "lexicon": {"red": "blue", "fox": "hen", "story": "tale"}}, {"keep": 0.8, "draws": 2},
     {"target": "tfidf", "distribution": "energy", "draws": 3, "references": 2, "budget": 120},
     {"design": designs.complement_pairs(12, 20, np.random.default_rng(5)), "budget": 60}],
    ids=", ".join,
)  # fmt: skip
def test_nothing_is_told_twice(choices: dict[str, object], tmp_path: Path) -> None:
    """From its folder alone: by its own seed the very same explanation, and no call that is not on record."""
    store = tmp_path / "calls.sqlite"
    made = explained(cache=store, **choices)  # type: ignore[arg-type]
    lab = Lab(whygen.load(made.save(tmp_path / "saved")), open_store(store), 3000)  # type: ignore[arg-type]
    again = lab.explain(seed=made.seed)
    assert again.units == made.units
    assert lab.calls.made == 0


def test_a_score_of_ones_own_is_asked_for_by_name(tmp_path: Path) -> None:
    def words(text: str) -> float:
        return float(len(text.split()))

    folder = explained(target=words).save(tmp_path / "saved")
    with pytest.raises(UsageError, match=r"words' was an object of your own.*Give it again: target="):
        evaluate(folder, metrics="consistency", budget=500, cache=None)
    assert evaluate(folder, metrics="consistency", budget=500, cache=None, target=words).measures


def test_a_folder_of_before_recipes_is_evaluated_as_it_was() -> None:
    with pytest.raises(UsageError, match=r"makes other prompts than the recorded ones.*placeholder="):
        evaluate(BEFORE, metrics="faithfulness", budget=900, cache=None)
    told = {"placeholder": "[...]", "budget": 900, "cache": None}
    found = evaluate(BEFORE, metrics=["fidelity", "faithfulness"], **told)  # type: ignore[arg-type]
    assert found.measure("aopc").value is not None


# What is refused


@pytest.mark.parametrize(
    ("labels", "message"),
    [([1, 0], r"shape \(2,\).*12 units"), ([[1] * 12], "shape"), ([2] + [0] * 11, "holds 2")],
)
def test_labels_that_do_not_fit_are_refused(labels: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_labels(labels, 12)  # type: ignore[arg-type]


def test_labels_of_one_kind_are_refused_by_name() -> None:
    with pytest.raises(UsageError, match="some of each"):
        evaluate(explained(), metrics="accuracy", labels=[0] * 12, cache=None)


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ({"metrics": "speed"}, UnknownNameError, "fidelity"),
        ({"metrics": []}, UsageError, "empty"),
        ({"metrics": "accuracy"}, UsageError, "labels="),
        ({"budget": -1}, BudgetError, "0"),
        ({"repeats": 1}, UsageError, "at least 2"),
    ],
)
def test_arguments_that_cannot_work_are_refused(how: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        evaluate(explained(), cache=None, **how)  # type: ignore[arg-type]


def test_a_metric_that_the_model_cannot_support_is_left_out_by_name() -> None:
    explanation = explained(target="logprob", model=WeighedWords({"red": 2.0, "fox": -1.0}))

    def silent(prompt: str) -> str:
        return explanation.reference.text

    found = evaluate(explanation, model=silent, budget=3000, cache=None)
    assert {row.metric for row in found.measures} == {"fidelity", "randomisation", "cost"}
    reasons = {left.metric: left.reason for left in found.left_out}
    for metric in ("faithfulness", "stability", "consistency"):
        assert "needs log-probabilities" in reasons[metric]
    with pytest.raises(DataError, match="needs log-probabilities"):
        evaluate(explanation, metrics="faithfulness", model=silent, budget=3000, cache=None)


def test_another_schema_is_refused() -> None:
    with pytest.raises(FormatError, match="schema 7"):
        evaluate(explained().model_copy(update={"schema_version": 7}), cache=None)


def test_without_evidence_only_what_needs_none_is_left() -> None:
    bare = explained().model_copy(update={"evidence": None})
    found = evaluate(bare, labels=LABELS, cache=None)
    assert {measure.metric for measure in found.measures} == {"accuracy", "cost"}
    with pytest.raises(UsageError, match="Load the folder"):
        evaluate(bare, metrics="fidelity", cache=None)


@pytest.mark.parametrize(
    ("update", "message"),
    [
        ({"operator": "placeholder", "recipe": None}, "makes other prompts"),
        ({"model": "py/nowhere:f"}, "cannot be opened again"),
        ({"settings": {}}, "details.json"),
    ],
)
def test_what_cannot_be_asked_again_is_refused(update: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        evaluate(explained().model_copy(update=update), metrics="faithfulness", budget=900, cache=None)


def test_a_target_with_an_argument_must_be_given_again() -> None:
    explanation = explained(target="contains:fox").model_copy(update={"recipe": None})
    with pytest.raises(UsageError, match="target="):
        evaluate(explanation, metrics="faithfulness", budget=900, cache=None)
    found = evaluate(explanation, metrics="faithfulness", target="contains:fox", budget=900, cache=None)
    assert found.measure("aopc").value is not None


@pytest.mark.parametrize("target", ["regex:fo+x", "label:FOX,DOG"])
def test_a_target_that_its_name_says_wholly_is_asked_again(target: str) -> None:
    found = evaluate(explained(target=target), metrics="faithfulness", budget=900, cache=None)
    assert found.measure("deletion_auc").value is not None


def test_another_model_and_another_reading_are_found_out() -> None:
    explanation = explained()
    with pytest.raises(UsageError, match="answers the whole prompt otherwise"):
        evaluate(explanation, metrics="faithfulness", model="planted/constant", budget=900, cache=None)
    with pytest.raises(UsageError, match="reads the recorded answers otherwise"):
        evaluate(explanation, metrics="faithfulness", target="edit", budget=900, cache=None)


def test_an_explanation_that_was_not_asked_by_a_hair_is_the_one_asked_again() -> None:
    """What the lab asks is what was asked: the recorded effects come back, by both roads to the units."""
    explanation = explained(model="planted/interacting")
    assert explanation.evidence is not None
    with open_store(None) as store:
        lab = Lab(explanation, store, 500)
        again = lab.effects(explanation.evidence.masks[:10])[:, 0]
    assert again == pytest.approx(explanation.evidence.effects[:10])


# The file and the command


def test_an_evaluation_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    found = evaluate(explained(surrogate="ridge"), labels=LABELS, cache=None)
    found.save(tmp_path)
    assert Evaluation.load(tmp_path) == found
    with pytest.raises(MissingError, match="no 'speed'"):
        found.measure("speed")
    assert "| accuracy | auroc ↑ | 1 |" in found.to_markdown()


def test_a_damaged_or_newer_evaluation_is_refused(tmp_path: Path) -> None:
    file = evaluate(explained(), metrics="cost", cache=None).save(tmp_path) / "evaluation.json"
    document = json.loads(file.read_text())
    for change, message in (({"schema": 99}, "schema 99"), ({"measures": 3}, "damaged at 'measures'")):
        file.write_text(json.dumps({**document, **change}))
        with pytest.raises(FormatError, match=message):
            Evaluation.load(tmp_path)
    with pytest.raises(MissingError, match="no evaluation"):
        Evaluation.load(tmp_path / "nowhere")


GOLDEN = Path(__file__).parents[2] / "data" / "golden" / "evaluation-v1.json"


def test_the_golden_file_is_still_read_and_still_made() -> None:
    golden = Evaluation.load(GOLDEN)
    made = evaluate(prompt_explanation(), metrics=["fidelity", "accuracy", "cost"], labels=[1, 0] * 12, cache=None)
    assert [measure.name for measure in made.measures] == [measure.name for measure in golden.measures]
    for new, old in zip(made.measures, golden.measures, strict=True):
        assert new.value == pytest.approx(old.value, rel=1e-6, abs=1e-9), new.name
        assert new.how == old.how


def test_the_command_writes_the_file_and_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    explained(surrogate="ridge").save(tmp_path / "a")
    (tmp_path / "labels").write_text(" ".join(map(str, LABELS)))
    for flags in ([], ["--json"]):
        with pytest.raises(SystemExit) as end:
            main([
                "evaluate", str(tmp_path / "a"), "--labels", str(tmp_path / "labels"), "--no-cache", "--markdown",
                str(tmp_path / "table.md"), *flags,
            ])  # fmt: skip
        assert end.value.code == 0
        printed = capsys.readouterr().out
        assert "auroc" in printed
        if flags:
            assert json.loads(printed) == Evaluation.load(tmp_path / "a").to_dict()
        else:
            assert "Left out: stability" in printed
    assert (tmp_path / "table.md").read_text().startswith("| metric |")


@pytest.mark.parametrize("content", ["1 0 x", "[1, 0", '["1"]', "1 2"])
def test_labels_in_a_file_that_are_none_are_refused(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    explained(surrogate="ridge").save(tmp_path / "a")
    (tmp_path / "labels").write_text(content)
    with pytest.raises(SystemExit) as end:
        main(["evaluate", str(tmp_path / "a"), "--labels", str(tmp_path / "labels"), "--no-cache"])
    assert end.value.code == 2
    assert "no list of 0 and 1" in " ".join(capsys.readouterr().err.split())
