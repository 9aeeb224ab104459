"""One's own function as a model that draws: a picture, a Pillow image or an array comes back."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import whygen
from whygen.media import pictures, sounds
from whygen.models import Model, batched, draws_pictures, load_model
from whygen.types import Edit, Failure, Output, Picture, Request


def sky(prompt: str) -> NDArray[np.uint8]:
    """Dark at the word ``night``; nothing else counts."""
    values = np.full((12, 16, 3), 200, dtype=np.uint8)
    values[6:] = (40, 160, 40)
    if "night" in prompt.split():
        values[:6] //= 4
    return values


def as_picture(prompt: str) -> Picture:
    return pictures.picture_of(sky(prompt))


def as_image(prompt: str) -> Image.Image:
    return Image.fromarray(sky(prompt))


def with_alpha(prompt: str) -> Image.Image:
    return Image.fromarray(sky(prompt)).convert("RGBA")


def as_array(prompt: str) -> np.ndarray:
    return sky(prompt)


@batched
def many(prompts: list[str]) -> list[Picture]:
    return [as_picture(prompt) for prompt in prompts]


@batched
def stacked(prompts: list[str]) -> NDArray[np.uint8]:
    return np.stack([sky(prompt) for prompt in prompts])


DRAWERS = [as_picture, as_image, with_alpha, as_array, sky, many, stacked]


@pytest.mark.parametrize("function", DRAWERS)
def test_it_draws_and_every_form_is_the_same_picture(function: object) -> None:
    model = load_model(function)
    assert isinstance(model, Model)
    assert draws_pictures(model)
    found = model.answer([Request(prompt=text) for text in ("a calm night", "", "a calm day")])
    assert all(isinstance(each, Output) for each in found), found
    for text, each in zip(("a calm night", "", "a calm day"), found, strict=True):
        assert isinstance(each, Output)
        assert each.picture is not None
        assert (pictures.pixels(each.picture) == sky(text)).all()


@pytest.mark.parametrize("function", [as_picture, as_array, stacked])
def test_a_text_to_a_picture_is_explained(function: object) -> None:
    found = whygen.explain_prompt(function, "a calm night at sea", encoder="patches", cache=None, budget=40)
    assert max(found.units, key=lambda unit: unit.attribution).text == "night"
    assert found.evidence is not None
    assert found.evidence.pictures is not None
    assert found.evidence.pictures.changes is not None
    assert found.evidence.pictures.changes[2, :6].min() > 0.1
    assert "picture-0" in found.to_html()


def test_what_answers_an_edit_is_a_picture_promised_or_not() -> None:
    def darker(edit):
        values = pictures.pixels(edit.image)
        return values // 4 if "night" in edit.instruction else Image.fromarray(values)

    given = Edit(pictures.picture_of(sky("")), "make it night now please")
    found = whygen.explain_prompt(darker, given, encoder="patches", cache=None, budget=40)
    assert max(found.units, key=lambda unit: unit.attribution).text == "night"


def test_behind_py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_painter.py").write_text(
        "import numpy as np\n"
        "from PIL import Image\n"
        "def draw(prompt) -> Image.Image:\n"
        "    return Image.new('RGB', (8, 8), 'black' if 'night' in prompt else 'white')\n"
    )
    monkeypatch.chdir(tmp_path)
    model = load_model("py/my_painter:draw")
    assert draws_pictures(model)
    [answer] = model.answer([Request(prompt="night")])
    assert isinstance(answer, Output)
    assert answer.picture is not None


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (Picture(b"no picture"), "no picture"),
        (Picture(pictures.picture_of(sky("")).data[:60]), "cut short"),
        (np.full((4, 4, 3), 9.0), "float64"),
        (np.zeros((5, 4, 6), dtype=np.uint8), r"\(5, 4, 6\)"),
        (np.zeros(4, dtype=np.uint8), r"\(4,\)"),
        (np.zeros((0, 4, 3), dtype=np.uint8), r"\(0, 4, 3\)"),
        (Image.new("F", (4, 4)), "floating-point"),
        (sounds.sound_of(np.zeros(9), 8000), "did not promise"),
    ],
)
def test_what_is_no_picture_fails_that_one_request(returned: object, said: str) -> None:
    def draw(prompt: str) -> Picture:
        return returned if prompt else as_picture(prompt)  # type: ignore[return-value]

    failed, good = load_model(draw).answer([Request(prompt="x"), Request(prompt="")])
    assert isinstance(failed, Failure)
    assert isinstance(good, Output)
    assert re.search(said, failed.message), failed.message


def test_a_picture_that_was_not_promised_says_what_to_write() -> None:
    def draw(prompt: str):
        return sky(prompt)

    [failure] = load_model(draw).answer([Request(prompt="x")])
    assert isinstance(failure, Failure)
    assert "did not promise" in failure.message
    assert "-> Picture" in failure.advice
