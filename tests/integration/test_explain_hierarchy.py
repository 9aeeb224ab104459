"""Long prompts, the whole way, on a model whose causes are known."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from benchmarks.long_prompts import TOGETHER, WEIGHTS, long_prompt

import whygen
from whygen.errors import BudgetError, ModelError, UnknownNameError, UsageError
from whygen.models.planted import WeighedWords
from whygen.prompt.long.levels import cost_of_opening
from whygen.results.prompt import PromptExplanation
from whygen.results.summary import summarise
from whygen.types import Failure, Limits, Output, Request


def prompt_of(words: int, seed: int = 0, *, punctuated: bool = True) -> str:
    return long_prompt(words, TOGETHER, np.random.default_rng([words, seed]), punctuated=punctuated)


def explain(prompt: str, model: object = None, **options) -> PromptExplanation:
    options = {"hierarchy": "auto", "budget": 4000, "target": "logprob", "cache": None, **options}
    return whygen.explain_prompt(WeighedWords(WEIGHTS) if model is None else model, prompt, **options)


def found(explanation: PromptExplanation) -> dict[str, float]:
    return {unit.text: unit.attribution for unit in explanation.units if unit.significant}


@pytest.mark.parametrize("estimand", ["banzhaf", "shapley"])
@pytest.mark.parametrize(("words", "punctuated"), [(100, True), (500, True), (500, False), (5000, True), (5000, False)])
def test_the_words_that_matter_are_found_in_prompts_of_any_length(words: int, punctuated: bool, estimand: str) -> None:
    explanation = explain(prompt_of(words, punctuated=punctuated), estimand=estimand)
    assert found(explanation) == pytest.approx(WEIGHTS, abs=1e-6)
    tree = explanation.tree
    assert tree is not None
    opened = sum(node.opened for node in tree.nodes) + 1
    branching = max(len(node.children) for node in tree.nodes)
    assert branching <= 16
    depth = 1 + max(node.level for node in tree.nodes)
    assert depth <= 3 + math.ceil(math.log(words, 16))
    looks = 2 * math.ceil(math.log2(words)) + 4 * 16
    assert explanation.calls.asked <= 8 + opened * (cost_of_opening(16) + looks)
    assert [warning.code for warning in explanation.warnings if warning.code == "closed-parts"] == []


def test_children_sum_to_the_value_their_parent_has_by_its_own_masks() -> None:
    tree = explain(prompt_of(500)).tree
    assert tree is not None
    for node in tree.nodes:
        if node.opened:
            assert node.total == pytest.approx(sum(tree.nodes[child].value for child in node.children), abs=1e-8)
            assert node.total == pytest.approx(node.value, abs=1e-6)  # this model is additive


def test_units_are_the_leaves_and_cover_the_prompt() -> None:
    prompt = prompt_of(500)
    explanation = explain(prompt)
    assert explanation.tree is not None
    leaves = [explanation.tree.nodes[place] for place in explanation.tree.leaves]
    assert [(unit.start, unit.end) for unit in explanation.units] == [(leaf.start, leaf.end) for leaf in leaves]
    place = 0
    for unit in explanation.units:
        assert not prompt[place : unit.start].strip()
        place = unit.end
    assert not prompt[place:].strip()


def test_opposite_words_are_found_though_their_paragraph_is_worth_nothing() -> None:
    tree = explain(prompt_of(1000)).tree
    assert tree is not None
    hiding = [node for node in tree.nodes if node.hidden]
    assert hiding
    assert any(node.opened and abs(node.value) < 1e-6 for node in hiding)


def test_a_small_budget_opens_the_strongest_first_and_says_what_it_left() -> None:
    prompt = prompt_of(1000)
    explanation = explain(prompt, budget=330)
    assert explanation.calls.asked <= 330
    assert explanation.tree is not None
    opened = [node for node in explanation.tree.nodes if node.opened]
    assert any(prompt.index("Alpha") in range(node.start, node.end) for node in opened)
    assert "closed-parts" in [warning.code for warning in explanation.warnings]


def test_a_budget_below_the_first_level_names_the_smallest_that_works() -> None:
    prompt = prompt_of(1000)
    with pytest.raises(BudgetError, match="smallest budget that works") as caught:
        explain(prompt, budget=20)
    assert explain(prompt, budget=caught.value.smallest).calls.asked <= caught.value.smallest
    with pytest.raises(BudgetError):
        explain(prompt, budget=caught.value.smallest - 1)


def test_a_tolerance_keeps_small_parts_closed() -> None:
    everything = explain(prompt_of(500))
    coarse = explain(prompt_of(500), tolerance=2.5)
    assert coarse.calls.asked < everything.calls.asked
    assert "Gamma" not in found(coarse)
    assert "Alpha" in found(coarse)


def test_a_seed_decides_everything() -> None:
    prompt = prompt_of(100)
    assert explain(prompt, seed=3).to_dict() == explain(prompt, seed=3).to_dict()


def test_noise_and_interactions_are_lived_with() -> None:
    prompt = prompt_of(300, seed=5).replace("Alpha", "fox").replace("Beta", "piano").replace("Gamma", "castle")
    explanation = explain(prompt, "planted/noisy", target="token-set", budget=900)
    assert {"fox", "piano", "castle"} & set(found(explanation))
    assert explanation.noise.differs
    assert explanation.fidelity.noise_ceiling is not None
    assert explanation.calls.asked <= 900


def test_pinned_text_is_always_sent() -> None:
    class Watched(WeighedWords):
        prompts: list[str] = []  # noqa: RUF012

        def score(self, requests):
            self.prompts.extend(request.prompt for request in requests)
            return super().score(requests)

    explanation = explain(prompt_of(100), Watched(WEIGHTS), pin=["Beta"])
    assert all("Beta" in prompt for prompt in Watched.prompts)
    assert "Beta" not in {unit.text for unit in explanation.units}
    assert [explanation.prompt[a:b] for a, b in explanation.pinned] == ["Beta"]


class Failing:
    """Answers nothing that lacks ``must``, and every tenth prompt not at all."""

    def __init__(self, must: str) -> None:
        self.must, self.uri, self.limits, self.count = must, "test/failing", Limits(max_batch=64), 0

    def answer(self, requests: list[Request]) -> list[Output | Failure]:
        return [self._one(request) for request in requests]

    def _one(self, request: Request) -> Output | Failure:
        self.count += 1
        if self.must not in str(request.prompt) or self.count % 10 == 0:
            return Failure(kind="permanent", message="no answer")
        return Output(text=" ".join(word for word in WEIGHTS if word in str(request.prompt)))


def test_failed_calls_leave_their_pairs_out() -> None:
    explanation = explain(prompt_of(100), Failing(""), target="token-set", budget=600)
    assert explanation.calls.failed > 0
    assert "failed-calls" in [warning.code for warning in explanation.warnings]
    assert explanation.evidence is not None
    assert np.isfinite(explanation.evidence.effects).all()
    assert (np.bincount(explanation.evidence.groups) == 2).all()


def test_a_model_that_answers_too_little_is_an_error() -> None:
    prompt = prompt_of(1000)
    with pytest.raises(ModelError):
        explain(prompt, Failing(prompt[:50]), target="token-set")


def test_choices_that_cannot_work_are_refused() -> None:
    prompt = prompt_of(100)
    with pytest.raises(UnknownNameError):
        explain(prompt, hierarchy="chapter>word")
    with pytest.raises(UsageError, match="coarse to fine"):
        explain(prompt, hierarchy="word>paragraph")
    with pytest.raises(UnknownNameError):
        explain(prompt, estimand="loo")
    with pytest.raises(UsageError, match="one unit"):
        explain("Alpha")
    with pytest.raises(UsageError, match="tolerance"):
        explain(prompt, tolerance=0.0)


def test_the_tree_is_saved_and_loaded(tmp_path: Path) -> None:
    explanation = explain(prompt_of(100))
    again = PromptExplanation.load(explanation.save(tmp_path / "run"))
    assert again.tree == explanation.tree
    assert again == explanation
    assert "tree" not in explanation.to_dict()
    assert PromptExplanation.load(tmp_path / "run" / "explanation.json").tree is None


def test_the_page_folds_without_a_script_and_escapes_the_prompt() -> None:
    evil = "<script>alert(1)</script> </details></summary> & more."
    page = explain(prompt_of(300) + "\n\n" + evil).to_html()
    assert "<script>alert" not in page
    assert page.count("<details") == page.count("</details>")
    summary = summarise(explain(prompt_of(300)))
    assert summary["tree"]["opened"] > 0
