"""The gate for answers about something else: what it counts, what it leaves alone, what leaving them out does."""

from __future__ import annotations

import numpy as np
import pytest

import whygen
from whygen.errors import UnknownNameError, UsageError
from whygen.prompt import designs
from whygen.prompt.effects import Effects
from whygen.prompt.relevance import ELSEWHERE, among_relevant, irrelevant, level, on_relevance
from whygen.prompt.targets import load_target
from whygen.types import Output
from whygen_experiments.gsmile_life import load_run

SUBJECT = "The meaning of life is a question that people ask."
ASIDE = "Bake the cake with flour and sugar for an hour."
PROMPT = "What is the true meaning of life on earth?"


def wander(prompt: str) -> str:
    return SUBJECT if "life" in prompt else ASIDE


@pytest.mark.parametrize("target", ["optimal-transport", "cosine", "tfidf"])
def test_another_subject_is_seen_and_the_same_one_is_not(target: str) -> None:
    measured = load_target(target)
    line = level(measured, [Output(text=SUBJECT)])
    near = "What life means is something that people have always asked."
    effects = measured.effects([Output(text=ASIDE), Output(text=near)], [Output(text=SUBJECT)])
    assert irrelevant(effects, line).tolist() == [True, False]


def test_few_answers_of_a_real_model_are_about_something_else() -> None:
    run, measured = load_run(), load_target()
    line = level(measured, [Output(text=run.reference)])
    effects = measured.effects([Output(text=text) for text in run.outputs], [Output(text=run.reference)])
    assert 0.0 < irrelevant(effects, line).mean() < 0.15


def test_targets_that_do_not_grade_have_no_line() -> None:
    assert level(load_target("exact"), [Output(text=SUBJECT)]) is None
    assert level(load_target("tfidf"), [Output(text=" ")]) is None
    assert not irrelevant(np.array([-1.0, np.nan]), None).any()


@pytest.mark.parametrize(
    "answers", [("1", "0"), ("positive", "negative"), ("0.731", "0.2"), ("正面", "负面"), ("Yes.", "No.")]
)
@pytest.mark.parametrize("target", ["tfidf", "token-set"])
def test_another_label_or_number_is_about_nothing_else(target: str, answers: tuple[str, str]) -> None:
    explanation = whygen.explain_prompt(
        lambda prompt: answers["life" not in prompt], PROMPT, target=target, cache=None, model_noise="none"
    )
    assert not [warning for warning in explanation.warnings if warning.code == "irrelevant-answers"]


def test_texts_about_other_things_differ() -> None:
    assert len(set(ELSEWHERE)) == len(ELSEWHERE)


def test_wandering_is_warned_of_with_a_way_out() -> None:
    explanation = whygen.explain_prompt(wander, PROMPT, cache=None)
    assert any(w.code == "irrelevant-answers" and "exclude" in w.text for w in explanation.warnings)


def test_answers_that_are_left_out_are_told_and_hide_nothing() -> None:
    def seldom(prompt: str) -> str:
        return ASIDE if "earth" not in prompt and "true" not in prompt and "is" not in prompt else prompt

    counted = whygen.explain_prompt(seldom, PROMPT, cache=None)
    excluded = whygen.explain_prompt(seldom, PROMPT, cache=None, irrelevant="exclude")
    assert counted.evidence is not None
    assert excluded.evidence is not None
    assert len(excluded.evidence.masks) == len(counted.evidence.masks)
    assert excluded.interval.method == "among relevant answers"
    [warning] = [warning for warning in excluded.warnings if warning.code == "left-out-answers"]
    assert any(repr(word) in warning.text for word in ("earth", "true", "is"))
    with pytest.raises(UsageError, match="goes with estimand='banzhaf'"):
        whygen.explain_prompt(wander, PROMPT, cache=None, irrelevant="exclude", estimand="shapley")
    with pytest.raises(UsageError, match="leaves no pair"):
        whygen.explain_prompt(wander, PROMPT, cache=None, irrelevant="exclude")
    with pytest.raises(UnknownNameError, match="count, exclude"):
        whygen.explain_prompt(wander, PROMPT, cache=None, irrelevant="drop")


def test_values_among_relevant_answers_and_on_relevance_are_those_of_the_game() -> None:
    rng = np.random.default_rng(0)
    masks = designs.enumerated(4).masks
    draws = rng.normal(size=(16, 2))
    strange = (rng.random((16, 2)) < 0.3) & masks[:, [0, 0]]
    seen = Effects(masks, draws.mean(axis=1), np.arange(16) // 2)
    among, share = among_relevant(seen, draws, strange), on_relevance(seen, draws, strange)
    for unit in range(4):
        inside, outside = masks[:, unit], ~masks[:, unit]
        mean = [draws[rows][~strange[rows]].mean() for rows in (inside, outside)]
        assert among.attributions[unit] == pytest.approx(mean[0] - mean[1])
        assert share.attributions[unit] == pytest.approx(strange[outside].mean() - strange[inside].mean())
    assert among.interval is not None
    assert (among.interval.low < among.attributions).all()


def test_answers_that_agree_among_drawn_masks_have_no_interval_without_width() -> None:
    def answer(prompt: str) -> str:
        return SUBJECT + (" Many do." if "earth" in prompt else "") if "life" in prompt or "true" in prompt else ASIDE

    found = whygen.explain_prompt(answer, PROMPT, target="tfidf", cache=None, irrelevant="exclude", budget=96)
    assert found.interval.method == "among relevant answers"
    assert all(unit.low is not None and unit.high is not None and unit.low < unit.high for unit in found.units)
    assert [unit.text for unit in found.units if unit.significant] == ["earth"]
