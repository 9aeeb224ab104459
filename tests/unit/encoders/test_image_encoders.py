"""Encoders of pictures: shapes, independence of neighbours, and preprocessing by two roads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tiny_models
from whygen import distances
from whygen.encoders import ImageEncoder, load_image_encoder
from whygen.errors import MissingError
from whygen.media import pictures
from whygen.testing import check_encoder
from whygen.types import Picture


def noise(seed: int, *, width: int = 40, height: int = 30) -> Picture:
    return pictures.picture_of(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.fixture(scope="module", params=["patches", "colour", "vision"])
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ImageEncoder:
    if request.param == "vision":
        return load_image_encoder(str(tiny_models.vision(tmp_path_factory.mktemp("vision"))), device="cpu")
    return load_image_encoder(request.param)


def test_it_is_an_encoder_of_pictures(encoder: ImageEncoder) -> None:
    check_encoder(encoder, media="picture")


def test_another_picture_is_elsewhere_and_the_same_is_at_zero(encoder: ImageEncoder) -> None:
    sets = encoder.patches([noise(0), noise(1)])
    same, other = distances.optimal_transport(sets, sets[0])
    assert same == pytest.approx(0.0, abs=1e-9)
    assert other > 1e-3


def test_a_vision_model_sees_the_whole_picture_as_its_processor_prepares_it(tmp_path: Path) -> None:
    encoder = load_image_encoder(str(tiny_models.vision(tmp_path)), device="cpu")
    picture = noise(0, width=50, height=20)
    small = Image.fromarray(pictures.pixels(picture)).resize((28, 28), Image.Resampling.BICUBIC)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    own = ((np.asarray(small) / 255.0 - mean) / std).transpose(2, 0, 1)
    assert encoder.preprocessed([picture]).numpy()[0] == pytest.approx(own, abs=1e-5)
    assert encoder.patches([picture])[0].shape == (16, 16)  # the class token is left out


def test_colour_does_not_see_places_and_patches_do() -> None:
    values = pictures.pixels(noise(0, width=32, height=32))
    mirrored = pictures.picture_of(values[:, ::-1])
    for name, sees in (("colour", False), ("patches", True)):
        a, b = load_image_encoder(name).patches([pictures.picture_of(values), mirrored])
        assert bool(distances.optimal_transport([b], a)[0] > 1e-3) is sees


def test_what_is_no_vision_model_says_so(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="vision model"):
        load_image_encoder(str(tmp_path))
