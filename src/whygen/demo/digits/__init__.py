"""``demo/digits-vae``: a small convolutional VAE that has seen zeros only, with the digits to try it by.

The experiment of the PXGen paper (arXiv 2501.11827): a VAE trained on the zeros of MNIST. 1,000 zeros that it has not
seen are its reference, and 1,500 test digits, 150 of each class, are anchors. Weights and images lie in ``model/``,
with their card and their licences (the images: CC BY-SA 3.0, Yann LeCun and Corinna Cortes);
``training/digits/train.py`` makes both from MNIST.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Literal, cast

import numpy as np

from whygen.anchors.data import SampleSet
from whygen.errors import MissingError, MissingExtraError
from whygen.models.latent import LatentModel
from whygen.models.protocols import ModelOptions

URI = "demo/digits-vae"
TRAINED_CLASS = 0
WIDTH = 16
LATENT = 10
"""Of the network whose weights are shipped; chosen on zeros that are neither trained on nor shipped."""

WEIGHTS = "model.safetensors"
IMAGES = "digits.npz"

Part = Literal["reference", "anchors"]
SOURCES = {
    "reference": "MNIST zeros that the model has not seen",
    "anchors": "MNIST test digits, 150 of each class",
}
TRAINED_ON = "4,923 zeros of MNIST's training set, and no other digit"


def digits_path() -> Path:
    """The folder of weights, images, card and licences."""
    return Path(str(resources.files("whygen.demo.digits") / "model"))


def open_digits_vae(options: ModelOptions | None = None) -> LatentModel:
    """The VAE, in single precision, with the reference that it brings.

    Raises:
        MissingExtraError: if torch is not installed.
        MissingError: if the weights are not in the package.
        FormatError: if they are damaged.
    """
    try:
        from whygen.demo.digits.vae import load_vae
        from whygen.models.latent.torch_modules import torch_latent
    except ImportError as error:
        raise MissingExtraError(f"The model {URI}", extra="torch", package="torch") from error
    module = load_vae(_file(WEIGHTS), width=WIDTH, latent=LATENT)
    return torch_latent(module, options=options, uri=URI, reference=digits("reference"), trained_on=TRAINED_ON)


def digits(part: Part) -> SampleSet:
    """Images ``(n, 28, 28)`` as uint8 with their labels: the model's reference, or anchors to try it by.

    Raises:
        MissingError: if the images are not in the package.
    """
    with np.load(_file(IMAGES), allow_pickle=False) as held:
        images = held[part]
        labels = held["labels"] if part == "anchors" else np.full(len(images), TRAINED_CLASS)
    return SampleSet(
        samples=images,
        layout="NHW",
        labels=tuple(int(label) for label in cast("list[int]", labels.tolist())),
        source=SOURCES[part],
    )


def _file(name: str) -> Path:
    file = digits_path() / name
    if not file.is_file():
        raise MissingError(
            f"The digits are not in {str(file)!r}. Install whygen from a wheel, which has them, or make them from "
            "MNIST: python -m training.digits.train --data mnist.npz."
        )
    return file
