"""A saved chat with images: they are kept, so that whoever loads the folder can have it judged by further calls."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import whygen
from whygen import Chat, Message
from whygen.errors import FormatError, UsageError
from whygen.results.prompt import PromptExplanation
from whygen.types import Picture, Request


def picture(*colour: int) -> Picture:
    """Green above, another colour below."""
    values = np.full((48, 48, 3), colour, dtype=np.uint8)
    values[:24] = (0, 200, 0)
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    return Picture(file.getvalue(), "image/png")


SHOWN = (picture(200, 30, 30), picture(10, 10, 200))
CHAT = Chat(
    (
        Message("system", "Be brief and kind."),
        Message("user", "", (), ("Qué es rojo aquí?", SHOWN[0], "And here?", SHOWN[1])),
    )
)


def model(request: Request) -> str:
    """Says how bright what it was shown is, how many pictures there were, and a word of the text."""
    chat = request.prompt
    assert isinstance(chat, Chat)
    images = [np.asarray(Image.open(io.BytesIO(each.data))) for turn in chat.messages for each in turn.images]
    light = sum(int(each.mean()) // 20 for each in images)
    text = " ".join(turn.text for turn in chat.messages)
    return f"{len(images)} pictures, {light} bright, {'kind' if 'kind' in text else 'rude'}"


def explained(**choices: Any) -> PromptExplanation:
    return whygen.explain_prompt(
        model, CHAT, **{"target": "tfidf", "budget": 48, "cache": None, "surrogate": "ridge", **choices}
    )


@pytest.mark.parametrize(
    "choices",
    [{"units": "word"}, {"units": "sentence+image", "pin": ["image 2"]}, {"units": "part"},
     {"units": "sentence+region", "regions": 3}],
    ids=lambda given: str(given["units"]),
)  # fmt: skip
def test_a_chat_with_images_is_saved_with_them_and_asked_again(choices: dict[str, Any], tmp_path: Path) -> None:
    made = explained(**choices)
    loaded = PromptExplanation.load(made.save(tmp_path))
    assert loaded == made
    assert loaded.evidence is not None
    assert [each.data for each in loaded.evidence.images] == [each.data for each in SHOWN]
    assert loaded.read().units == made.units
    own, again = (
        whygen.evaluate(each, metrics="stability", model=model, budget=400, cache=None) for each in (made, loaded)
    )
    assert again.calls.asked > 0
    assert [(one.name, one.value) for one in own.measures] == [(one.name, one.value) for one in again.measures]


def test_a_folder_without_images_says_so_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    made = explained(units="part")
    assert made.evidence is not None
    earlier = made.model_copy(update={"evidence": replace(made.evidence, images=())})
    with pytest.raises(UsageError, match="images, which were not kept"):
        whygen.evaluate(earlier, metrics="stability", model=model, budget=400, cache=None)
    place = made.save(tmp_path) / "images.safetensors"
    place.write_bytes(place.read_bytes()[:-7] + b"changed")
    with pytest.raises(FormatError, match=r"images\.safetensors"):
        PromptExplanation.load(tmp_path)
