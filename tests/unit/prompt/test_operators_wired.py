"""Every operator and the model's tokens through the one call."""

from __future__ import annotations

from pathlib import Path

import pytest

import whygen
from whygen.errors import UsageError

PROMPT = "tell a short story about the old house"


def test_synonyms_of_a_lexicon_and_what_stays_as_it_is(tmp_path: Path) -> None:
    lexicon = tmp_path / "words.tsv"
    lexicon.write_text("short\tlong\nold\tnew\n", encoding="utf-8")
    explanation = whygen.explain_prompt(
        "planted/additive", PROMPT, operator="synonym", lexicon=lexicon, target="edit", cache=None
    )
    assert explanation.operator == "synonym"
    assert "replacement-unchanged" in {warning.code for warning in explanation.warnings}
    assert explanation.evidence is not None
    assert any("new house" in sample.prompt for sample in explanation.evidence.samples)


def test_paraphrases_are_asked_of_the_model_that_is_named_and_counted_beforehand() -> None:
    asked: list[str] = []

    def otherwise(question: str) -> str:
        asked.append(question)
        return "in other words"

    choices = {"operator": "paraphrase", "paraphraser": otherwise, "units": "sentence", "target": "edit"}
    text = "The fox ran. The boat sank. It rained."
    assert whygen.forecast("planted/additive", text, **choices).helping_calls == 3  # type: ignore[arg-type]
    assert asked == []
    explanation = whygen.explain_prompt("planted/additive", text, cache=None, **choices)  # type: ignore[arg-type]
    assert len(asked) == 3
    assert explanation.operator == "paraphrase"


def test_the_model_s_own_tokens_are_units() -> None:
    explanation = whygen.explain_prompt("demo/storyteller", "Tell a story.", units="token", budget=24, cache=None)
    assert "".join(unit.text for unit in explanation.units) == "Tellastory."
    with pytest.raises(UsageError, match="tells its tokens"):
        whygen.explain_prompt("planted/additive", PROMPT, units="token", cache=None)


def test_noise_on_a_model_without_embeddings_is_refused_before_anything_is_paid() -> None:
    with pytest.raises(UsageError, match="noise"):
        whygen.explain_prompt("planted/additive", PROMPT, operator="noise", cache=None)
    explanation = whygen.explain_prompt("demo/storyteller", "Tell a story about a fox.", operator="noise", cache=None)
    assert explanation.operator == "noise"
    assert explanation.evidence is not None
    assert {sample.prompt for sample in explanation.evidence.samples} == {"Tell a story about a fox."}


def test_an_option_of_another_operator_is_refused() -> None:
    with pytest.raises(UsageError, match="noise goes with operator='noise'"):
        whygen.explain_prompt("planted/additive", PROMPT, noise=2.0, cache=None)
