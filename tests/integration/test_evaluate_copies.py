"""A local model that learned nothing: a copy with the values within every weight shuffled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import tiny_models
import whygen
from whygen.errors import BudgetError, UsageError
from whygen.evaluation.evaluate import evaluate
from whygen.evaluation.result import Evaluation
from whygen.models import load_model
from whygen.models.hf.model import shuffled
from whygen.types import Settings


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_a_copy_keeps_every_weight_s_numbers_and_nothing_that_was_learned(kind: str, tmp_path: Path) -> None:
    model: Any = load_model(f"hf/{tiny_models.save(kind, tmp_path / kind)}")
    before = {name: weight.clone() for name, weight in model.network.named_parameters()}
    copy = model.randomised(3)
    again = dict(model.randomised(3).network.named_parameters())
    moved = 0
    for name, weight in copy.network.named_parameters():
        assert torch.equal(weight.flatten().sort().values, before[name].flatten().sort().values)
        assert torch.equal(weight, again[name])
        moved += not torch.equal(weight, before[name])
    assert moved > len(before) / 3
    assert all(torch.equal(weight, before[name]) for name, weight in model.network.named_parameters())
    assert copy.uri != model.uri
    assert copy.identity != model.identity


def test_shared_weights_stay_shared() -> None:
    network = tiny_models.network("gpt2", 64)
    copy = shuffled(network, 0)
    tied = network.get_input_embeddings().weight is network.get_output_embeddings().weight
    assert (copy.get_input_embeddings().weight is copy.get_output_embeddings().weight) == tied


def test_an_explanation_of_the_copy_is_beside_chance(tmp_path: Path) -> None:
    folder = tiny_models.save("llama", tmp_path / "llama")
    settings = Settings(max_tokens=8)
    explanation = whygen.explain_prompt(f"hf/{folder}", "red fox", target="logprob", settings=settings, cache=None)
    found = evaluate(explanation, metrics="randomisation", randomised="copy", budget=200, cache=None)
    assert isinstance(found, Evaluation)
    assert "shuffled" in found.measure("spearman_model").how
    other = whygen.explain_prompt("planted/additive", "a red fox", target="token-set", cache=None)
    left = evaluate(other, metrics="randomisation", budget=200, cache=None).left_out
    assert [each.metric for each in left] == ["randomisation of weights"]
    assert "only hf/ models" in left[0].reason
    with pytest.raises(BudgetError):
        evaluate(explanation, metrics="randomisation", randomised="copy", cache=None)
    with pytest.raises(UsageError, match="only hf/ models"):
        evaluate(other, metrics="randomisation", randomised="copy", budget=200, cache=None)


def test_a_model_that_runs_here_is_copied_unasked_where_the_budget_allows_it(tmp_path: Path) -> None:
    folder, store = tiny_models.save("llama", tmp_path / "llama"), tmp_path / "calls.sqlite"
    settings = Settings(max_tokens=8)
    explanation = whygen.explain_prompt(
        f"hf/{folder}", "Paris is the capital of France", target="logprob", settings=settings, cache=store
    )
    unasked = evaluate(explanation, metrics="randomisation", cache=store)
    assert unasked.calls.asked == 0
    assert [left.metric for left in unasked.left_out] == ["randomisation of weights"]
    assert "budget of at least" in unasked.left_out[0].reason
    found = evaluate(explanation, metrics="randomisation", budget=200, cache=store)
    likeness = found.measure("generalised_jaccard_model")
    assert likeness.value is not None
    assert likeness.chance_high is not None
    assert likeness.value <= likeness.chance_high
    assert evaluate(explanation, metrics="randomisation", budget=200, cache=store).calls.made == 0
