"""Evaluating explanations of chats, templates and edits: asked again once the prompt is given as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tiny_models
import whygen
from whygen import pictures
from whygen.cli import main
from whygen.errors import UsageError
from whygen.evaluation.evaluate import evaluate
from whygen.evaluation.result import Evaluation
from whygen.models import load_model
from whygen.models.hf_model import shuffled
from whygen.types import Edit, Limits, Output, Picture, Settings, Template

CHAT = whygen.Chat((
    whygen.Message("system", "tell a story with a fox"),
    whygen.Message("user", "about a red harbour in a quiet night"),
))  # fmt: skip
TEMPLATE = Template("tell a story about {hero} in the {place}", {"hero": "a red fox", "place": "quiet harbour"})
ASKING = ["stability", "faithfulness"]


def scene() -> Picture:
    values = np.full((12, 16, 3), 200, dtype=np.uint8)
    values[6:] = (40, 160, 40)
    return pictures.picture_of(values)


def paint(request: Any) -> Picture:
    """Darkens the sky at the word ``night``."""
    edit = request.prompt
    values = pictures.pixels(edit.image)
    if "night" in edit.instruction.split():
        values[:6] //= 4
    return pictures.picture_of(values)


class Painter:
    uri = "test/painter"
    limits = Limits(max_batch=8)
    output_kind = "picture"

    def answer(self, requests: Any) -> list[Output]:
        return [Output(picture=paint(request)) for request in requests]


EDIT = Edit(scene(), "please make it a night now")


@pytest.mark.parametrize(("prompt", "units"), [(CHAT, "word"), (CHAT, "message"), (TEMPLATE, "part")])
def test_a_chat_and_a_template_are_asked_again(prompt: Any, units: str, tmp_path: Path) -> None:
    store = tmp_path / "calls.sqlite"
    options: dict[str, Any] = {"units": units, "target": "token-set"}
    explanation = whygen.explain_prompt("planted/additive", prompt, cache=store, **options)
    explanation.save(tmp_path / "kept")
    with pytest.raises(UsageError, match="prompt="):
        evaluate(tmp_path / "kept", metrics="stability", budget=900, cache=store)
    found = evaluate(tmp_path / "kept", metrics=ASKING, prompt=prompt, units=units, budget=900, cache=store)
    assert found.measure("generalised_jaccard_seed").value == pytest.approx(1.0, abs=0.2)
    assert found.measure("aopc").value is not None
    assert any("suffix" in left.metric for left in found.left_out)
    other = whygen.Chat((*CHAT.messages[:1], whygen.Message("user", "about something else")))
    again: dict[str, Any] = {"prompt": other, "units": "word", "budget": 900, "cache": store}
    with pytest.raises(UsageError, match="not the one that was explained"):
        evaluate(explanation, metrics="stability", **again)


def test_an_edit_is_asked_again_and_its_pictures_are_checked(tmp_path: Path) -> None:
    options: dict[str, Any] = {"encoder": "patches", "cache": None}
    explanation = whygen.explain_prompt(Painter(), EDIT, budget=40, **options)
    with pytest.raises(UsageError, match="model that draws"):
        evaluate(explanation, metrics="faithfulness", model=Painter(), budget=900, **options)
    found = evaluate(explanation, metrics=ASKING, model=Painter(), prompt=EDIT, budget=900, **options)
    assert found.measure("generalised_jaccard_suffix").value == pytest.approx(1.0, abs=0.2)
    assert found.measure("jaccard_top_seed").value == 1.0
    other = Edit(pictures.picture_of(np.zeros((12, 16, 3), dtype=np.uint8)), EDIT.instruction)
    with pytest.raises(UsageError, match="answers the whole prompt otherwise"):
        evaluate(explanation, metrics="faithfulness", model=Deaf(), prompt=other, budget=900, **options)


class Deaf(Painter):
    """Never draws the same picture twice."""

    def __init__(self) -> None:
        self.calls = 0

    def answer(self, requests: Any) -> list[Output]:
        answers = []
        for _ in requests:
            self.calls += 1
            values = np.full((12, 16, 3), 40 * self.calls % 256, dtype=np.uint8)
            answers.append(Output(picture=pictures.picture_of(values)))
        return answers


def test_the_command_takes_the_picture(tmp_path: Path) -> None:
    (tmp_path / "scene.png").write_bytes(scene().data)
    explanation = whygen.explain_prompt("planted/additive", "tell a red story of a fox", target="token-set", cache=None)
    explanation.save(tmp_path / "kept")
    with pytest.raises(SystemExit) as end:
        main(["evaluate", str(tmp_path / "kept"), "--chat", "a.json", "--image", str(tmp_path / "scene.png")])
    assert end.value.code == 2


# A model that learned nothing


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
    assert "dealt out anew" in found.measure("spearman_model").how
    other = whygen.explain_prompt("planted/additive", "a red fox", target="token-set", cache=None)
    with pytest.raises(UsageError, match="only hf/ models"):
        evaluate(other, metrics="randomisation", randomised="copy", budget=200, cache=None)
