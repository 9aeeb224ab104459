"""The model's own tokens as units, and masks that are asked with settings of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import whygen
from whygen.errors import UsageError
from whygen.models import load_model
from whygen.prompt.operators import OperatorOptions, Tools, load_operator
from whygen.prompt.question import token_splitter
from whygen.prompt.units import split
from whygen.types import Settings

PROMPT = "Tell a story about a dog near the castle."


@pytest.fixture(scope="module")
def storyteller():
    return load_model("demo/storyteller")


def test_tokens_are_the_model_s_and_characters_stay_whole(storyteller) -> None:
    units = split("Tell naïve 東京 👩‍👩‍👧\n\nEnd ", "token", splitter=token_splitter(storyteller), pin=["End"])
    assert "".join(units.texts).replace(" ", "") == "Tellnaïve東京👩‍👩‍👧"
    assert {"東", "京", "👩‍👩‍👧"} <= set(units.texts)
    assert units.pinned


def test_tokens_without_a_model_that_tells_them_name_what_works() -> None:
    with pytest.raises(UsageError, match=r"needs a model that shows its tokenizer.*units='word'"):
        split(PROMPT, "token")
    with pytest.raises(UsageError, match=r"py/.* does not.*units='word'"):
        token_splitter(load_model(str.upper))


def test_masks_that_differ_in_their_noise_alone_are_different_questions(storyteller, tmp_path: Path) -> None:
    units = split(PROMPT)
    operator = load_operator("noise", OperatorOptions(noise=4.0)).prepare(units, Tools(model=storyteller))
    for target, values in (("token-set", 1), ("logprob", 30)):
        found = whygen.explain_prompt(
            storyteller, PROMPT, operator=operator, target=target, budget=64, cache=tmp_path / "calls.sqlite",
            settings=Settings(max_tokens=60),
        )  # type: ignore[arg-type]  # fmt: skip
        assert found.evidence is not None
        assert len(np.unique(found.evidence.effects)) > values
        assert {sample.prompt for sample in found.evidence.samples} == {PROMPT}
        assert max(found.units, key=lambda unit: unit.attribution).text == "castle"


def test_noise_is_refused_where_only_texts_are_sent(storyteller) -> None:
    from whygen.prompt.designs import Design

    units = split(PROMPT)
    operator = load_operator("noise").prepare(units, Tools(model=storyteller))
    masks = np.vstack([np.eye(len(units), dtype=bool), ~np.eye(len(units), dtype=bool)])
    groups = np.tile(np.arange(len(units)), 2)
    design = Design(name="mine", masks=masks, groups=groups, prompts=("a",) * len(masks))
    with pytest.raises(UsageError, match="says in the settings what is dropped"):
        whygen.explain_prompt(
            storyteller, PROMPT, operator=operator, design=design, budget=64, cache=None, target="token-set"
        )  # type: ignore[arg-type]
