"""`evaluate`: closed forms of the measures, what it asks of the model, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, r2_score
from tests.example_anchors import anchor_explanation

import whygen
from whygen.cli import main
from whygen.errors import BudgetError, DataError, FormatError, UnknownNameError, UsageError
from whygen.evaluation import Evaluation
from whygen.evaluation.measures import accuracy, faithfulness, fidelity, randomisation, stability
from whygen.evaluation.measures.faithfulness import along, points
from whygen.results import PromptExplanation

PROMPT = "tell me a story about a red fox in the quiet harbour"


def explained(model: str = "planted/additive", **choices: object) -> PromptExplanation:
    given_ = {"target": "edit", "cache": None, "surrogate": "ridge", **choices}
    return whygen.explain_prompt(model, PROMPT, **given_)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def explanation() -> PromptExplanation:
    return explained()


def test_the_nine_figures_are_their_formulas() -> None:
    rng = np.random.default_rng(1)
    f, w, n = rng.normal(size=40), rng.uniform(0.1, 1.0, 40), 5
    g = f + rng.normal(size=40)
    found = fidelity.figures(f, g, w, np.ones(40), n=n)
    assert found["R2"] == pytest.approx(r2_score(f, g))
    assert found["weighted R2"] == pytest.approx(r2_score(f, g, sample_weight=w))
    assert found["adjusted R2"] == pytest.approx(1 - (1 - r2_score(f, g)) * 39 / 34)
    assert found["weighted MSE"] == pytest.approx(np.average((f - g) ** 2, weights=w))
    assert found["weighted L2"] == pytest.approx(np.mean(w * (f - g) ** 2))
    assert found["weighted L1"] == pytest.approx(np.mean(w * np.abs(f - g)))
    assert found["MAE"] == pytest.approx(np.abs(f - g).mean())
    assert found["mean loss"] == pytest.approx(abs(f.mean() - g.mean()))


@given(st.lists(st.integers(0, 3), min_size=4, max_size=12).filter(lambda times: sum(times) > 2))
def test_a_row_that_counts_twice_is_two_rows(times: list[int]) -> None:
    rng = np.random.default_rng(0)
    f, g, w = rng.normal(size=(3, len(times)))
    w = np.abs(w) + 0.1
    rows = np.repeat(np.arange(len(times)), times)
    one = fidelity.figures(f, g, w, np.array(times, dtype=float), n=2)
    other = fidelity.figures(f[rows], g[rows], w[rows], np.ones(len(rows)), n=2)
    for name, value in one.items():
        assert value == pytest.approx(other[name], nan_ok=True)


def test_held_out_r2_is_the_explanations_own(explanation: PromptExplanation) -> None:
    found = whygen.evaluate(explanation, metrics="fidelity")
    assert found["R2, held out"].value == pytest.approx(explanation.fidelity.r2_heldout)
    assert found["R2, in sample"].value == pytest.approx(explanation.fidelity.r2_insample)
    assert found["R2, held out"].chance == 0.0
    for measure in found.measures:
        assert measure.low is None or measure.low <= measure.high


def test_in_sample_figures_rise_with_the_units_and_held_out_ones_do_not() -> None:
    def noise(prompt: str) -> str:
        return f"{hash_of(prompt)}"

    found = whygen.evaluate(explained(noise, surrogate="ols", budget=64), metrics="fidelity")  # type: ignore[arg-type]
    inside, held = found["R2, in sample"], found["R2, held out"]
    assert inside.value is not None
    assert held.value is not None
    assert inside.chance is not None
    assert inside.value > 0.05 > held.value
    assert abs(inside.value - inside.chance) < 0.25  # no better than effects that were dealt out


def about_the_harbour(prompt: str) -> str:
    return "a long story about boats" if "harbour" in prompt else "no"


def hash_of(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()


@given(st.integers(2, 30), st.data())
def test_marking_at_random_comes_to_the_closed_form(n: int, data: st.DataObject) -> None:
    labelled, marked = data.draw(st.integers(1, n)), data.draw(st.integers(1, n))
    rng = np.random.default_rng(0)
    truth = np.arange(n) < labelled
    right, f1 = [], []
    for _ in range(300):
        chosen = np.zeros(n, dtype=bool)
        chosen[rng.permutation(n)[:marked]] = True
        right.append(accuracy_score(truth, chosen))
        f1.append(f1_score(truth, chosen, zero_division=0.0))
        assert accuracy.f1_score(truth, chosen) == pytest.approx(f1[-1])
    expected = accuracy.by_chance(n, labelled, marked)
    assert np.mean(right) == pytest.approx(expected[0], abs=0.1)
    assert np.mean(f1) == pytest.approx(expected[1], abs=0.1)


def test_accuracy_of_attributions_that_are_the_labels(explanation: PromptExplanation) -> None:
    values = [unit.attribution for unit in explanation.units]
    order = np.argsort(values)
    labels = np.zeros(len(values), dtype=int)
    labels[order[-3:]] = 1
    found = whygen.evaluate(explanation, metrics="accuracy", labels=labels.tolist())
    assert found["AUROC"].value == 1.0
    assert found["F1, k strongest"].value == 1.0
    assert found["ATT ACC, k strongest"].value == 1.0
    turned = whygen.evaluate(explanation, metrics="accuracy", labels=(1 - labels).tolist())
    assert turned["AUROC"].value == 0.0


def test_labels_that_do_not_fit(explanation: PromptExplanation) -> None:
    with pytest.raises(UsageError, match="12 units"):
        whygen.evaluate(explanation, metrics="accuracy", labels=[1, 0])
    with pytest.raises(UsageError, match="label is 1"):
        whygen.evaluate(explanation, metrics="accuracy", labels=[2] + [0] * 11)
    with pytest.raises(DataError, match="nothing can be told apart"):
        whygen.evaluate(explanation, metrics="accuracy", labels=[0] * 12)
    with pytest.raises(DataError, match="No labels"):
        whygen.evaluate(explanation, metrics="accuracy")


@given(st.integers(1, 200))
def test_the_curve_ends_where_every_unit_is_gone(n: int) -> None:
    counts = points(n)
    assert counts[-1] == n
    assert counts[0] >= 1
    assert len(counts) <= 10
    without, alone = along(np.random.default_rng(n).permutation(n), counts)
    assert (~without).sum(axis=1).tolist() == counts.tolist()
    assert np.array_equal(without, ~alone)
    assert (without[:-1] >= without[1:]).all()  # what is gone stays gone


def test_the_best_order_is_more_faithful_than_chance_and_its_reverse_is_less(explanation: PromptExplanation) -> None:
    found = whygen.evaluate(explanation, metrics="faithfulness", cache=None)
    for name, sign in (("deletion", -1), ("insertion", 1), ("normalised AOPC", 1), ("comprehensiveness", 1)):
        measure = found[name]
        assert measure.value is not None
        assert measure.chance is not None
        assert sign * (measure.value - measure.chance) > 0, name
    units = tuple(unit.model_copy(update={"attribution": -unit.attribution}) for unit in explanation.units)
    turned = whygen.evaluate(explanation.model_copy(update={"units": units}), metrics="faithfulness", cache=None)
    assert turned["normalised AOPC"].value < found["normalised AOPC"].value  # type: ignore[operator]
    assert found.asked > 0


def test_nothing_to_be_faithful_to() -> None:
    deaf = explained(lambda prompt: "always the same")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="nothing to be faithful to"):
        whygen.evaluate(deaf, model=lambda prompt: "always the same", metrics="faithfulness", cache=None)


def test_a_deterministic_model_is_stable(tmp_path: Path, explanation: PromptExplanation) -> None:
    store = tmp_path / "calls.sqlite"
    found = whygen.evaluate(explanation, metrics=["stability", "consistency"], cache=store, paraphrase=PROMPT)
    assert found["generalised Jaccard, in other words"].value == pytest.approx(1.0)
    for name in ("generalised Jaccard, another seed", "generalised Jaccard, over 4 seeds"):
        measure = found[name]
        assert measure.value is not None
        assert measure.chance is not None
        assert measure.value > 0.8 > measure.chance
    again = whygen.evaluate(explanation, metrics=["stability", "consistency"], cache=store, paraphrase=PROMPT)
    assert again.made == 0
    assert again.asked == found.asked
    assert again.measures == found.measures


def test_another_model_is_another_explanation(explanation: PromptExplanation) -> None:
    found = whygen.evaluate(
        explanation, metrics=["consistency", "randomisation"], models=[about_the_harbour],
        untrained=hash_of, cache=None,
    )  # fmt: skip
    beside = found["generalised Jaccard, beside about_the_harbour"]
    seeds = found["generalised Jaccard, over 4 seeds"]
    assert beside.value < seeds.value  # type: ignore[operator]
    assert found["generalised Jaccard, a model with random weights"].value < seeds.value  # type: ignore[operator]


def test_answers_dealt_out_explain_nothing(explanation: PromptExplanation) -> None:
    found = {measure.name: measure for measure in randomisation.dealt_out(explanation, seed=0)}
    cosine = found["cosine, answers dealt out"]
    assert cosine.low < 0.0 < cosine.high  # type: ignore[operator]


def test_operators_are_compared(explanation: PromptExplanation) -> None:
    found = whygen.evaluate(explanation, metrics="agreement", cache=None)
    assert found["rank correlation, operator placeholder"].value > 0.5  # type: ignore[operator]
    with pytest.raises(UnknownNameError, match="paraphrase"):
        whygen.evaluate(explanation, metrics="agreement", operators=["shuffle"])
    assert stability.SEEDS > 1


def test_auto_makes_no_call_and_says_what_it_left_out(explanation: PromptExplanation) -> None:
    found = whygen.evaluate(explanation)
    assert found.asked == 0
    assert {left.metric for left in found.left_out} == {
        "accuracy", "faithfulness", "stability", "consistency", "agreement",
    }  # fmt: skip
    assert found["calls asked for"].value == explanation.calls.asked


def test_the_budget_is_never_exceeded(explanation: PromptExplanation) -> None:
    with pytest.raises(BudgetError, match="max_calls="):
        whygen.evaluate(explanation, metrics="faithfulness", max_calls=20, cache=None)
    found = whygen.evaluate(explanation, metrics="all", max_calls=130, cache=None)
    assert found.asked <= 130
    assert any("max_calls" in left.why for left in found.left_out)
    assert faithfulness.ORDERS > 1


def test_a_target_with_a_span_must_be_given_again() -> None:
    spanned = explained(target="contains:fox")
    with pytest.raises(UsageError, match="Give it again"):
        whygen.evaluate(spanned, metrics="faithfulness", cache=None)


def test_without_evidence_there_is_no_fidelity(tmp_path: Path, explanation: PromptExplanation) -> None:
    explanation.save(tmp_path)
    bare = whygen.load(tmp_path / "explanation.json")
    with pytest.raises(DataError, match="no recorded masks"):
        whygen.evaluate(bare, metrics="fidelity")
    assert "fidelity" in {left.metric for left in whygen.evaluate(bare).left_out}
    with pytest.raises(UnknownNameError, match="fidelity"):
        whygen.evaluate(bare, metrics="fidelty")


def test_anchors_are_evaluated_by_what_was_recorded() -> None:
    anchors = anchor_explanation()
    found = whygen.evaluate(anchors, labels=[1, 0] * 20)
    assert found["coverage of the reference"].value == 0.8
    assert found["seconds, criteria"].value == 0.5
    for name in ("AUROC, kld", "AUROC, sse", "share right, HIHE = known", "same group in two draws"):
        measure = found[name]
        assert measure.low <= measure.value <= measure.high  # type: ignore[operator]
    assert anchors.evidence is not None
    same = np.broadcast_to(anchors.evidence.draws[:1], (3, *anchors.evidence.draws.shape[1:]))
    steady = anchors.model_copy(update={"evidence": replace(anchors.evidence, draws=same)})
    assert whygen.evaluate(steady)["adjusted Rand index between draws"].value == 1.0
    with pytest.raises(UsageError, match="40 anchors"):
        whygen.evaluate(anchors, metrics="accuracy", labels=[1])
    with pytest.raises(UnknownNameError, match="fidelity"):
        whygen.evaluate(anchors, metrics="fidelity")
    single = anchors.model_copy(update={"evidence": replace(anchors.evidence, draws=same[:1])})
    with pytest.raises(DataError, match="one posterior draw"):
        whygen.evaluate(single, metrics="stability")


def test_an_evaluation_is_saved_and_another_layout_is_refused(tmp_path: Path, explanation: PromptExplanation) -> None:
    found = whygen.evaluate(explanation, metrics=["fidelity", "cost"])
    place = found.save(tmp_path)
    assert Evaluation.load(tmp_path) == found
    assert "| calls made |" in found.to_markdown()
    document = json.loads(place.read_text())
    assert document["schema"] == 1
    assert set(document["measures"][0]) == {
        "metric",
        "name",
        "value",
        "low",
        "high",
        "chance",
        "unit",
        "how",
    }
    place.write_text(json.dumps({**document, "schema": 9}))
    with pytest.raises(FormatError, match="layout 9"):
        Evaluation.load(tmp_path)
    place.write_text("{")
    with pytest.raises(FormatError, match="damaged"):
        Evaluation.load(tmp_path)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], explanation: PromptExplanation) -> None:
    explanation.save(tmp_path)
    labels = tmp_path / "labels.txt"
    labels.write_text("1 " + "0 " * 11)
    with pytest.raises(SystemExit) as end:
        main(["evaluate", str(tmp_path), "--labels", str(labels), "--json", "--no-cache"])
    assert end.value.code == 0
    document = json.loads(capsys.readouterr().out)
    assert "accuracy" in {measure["metric"] for measure in document["measures"]}
    assert (tmp_path / "evaluation.json").is_file()
    labels.write_text("1 maybe")
    with pytest.raises(SystemExit) as end:
        main(["evaluate", str(tmp_path), "--labels", str(labels)])
    assert end.value.code == 2
    assert "labels" in capsys.readouterr().err
