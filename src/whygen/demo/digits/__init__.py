"""``demo/digits-vae``: a VAE that has learned one digit from real scans, trained on the spot in about two seconds.

The scans are the 8 x 8 handwritten digits that scikit-learn ships (Alpaydin and Kaynak 1998). Of the images of the
trained class one part trains the model, one is the reference that it has not seen, and the rest are anchors, together
with all images of the other nine classes: no anchor is in the reference, and none was trained on.
"""

from __future__ import annotations

from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

from whygen.anchors.data import SampleSet
from whygen.errors import MissingExtraError
from whygen.models.latent import LatentModel
from whygen.models.options import ModelOptions
from whygen.stats.seeds import generator

URI = "demo/digits-vae"
TRAINED_CLASS = 0
TRAINING = 60
REFERENCE = 79
"""At alpha .025 conformal needs 39; 79 put the threshold at the second largest value instead of the largest."""
WHITE = 16
SEED = 0

Part = Literal["training", "reference", "anchors"]


def open_digits_vae(options: ModelOptions | None = None) -> LatentModel:
    """The VAE, trained now: 64-64-64-(4, 4)-64-64-64, summed cross-entropy and KLD, 200 epochs over 60 images.

    Raises:
        MissingExtraError: if torch is not installed.
    """
    try:
        from whygen.models.latent_mlp import Schedule, Sizes, train_mlp_vae
        from whygen.models.latent_torch import torch_latent
    except ImportError as error:
        raise MissingExtraError(f"The model {URI}", extra="torch", package="torch") from error
    images = digits("training").samples
    module = train_mlp_vae(
        images.reshape(len(images), -1),
        seed=SEED,
        sizes=Sizes(values=64, hidden=64, latent=4),
        schedule=Schedule(epochs=200, batch=20, rate=2e-3),
        uri=URI,
    )
    return torch_latent(module, options=options, uri=URI)


def digits(part: Part) -> SampleSet:
    """Images ``(n, 8, 8)`` between 0 and 1 with their labels: what trains the model, its reference, or the anchors."""
    images, labels = _scans()
    inside = generator(SEED, "digits", "split").permutation(np.flatnonzero(labels == TRAINED_CLASS))
    rows = {
        "training": inside[:TRAINING],
        "reference": inside[TRAINING : TRAINING + REFERENCE],
        "anchors": np.concatenate([inside[TRAINING + REFERENCE :], np.flatnonzero(labels != TRAINED_CLASS)]),
    }[part]
    return SampleSet(
        samples=images[rows],
        layout="NHW",
        labels=tuple(int(label) for label in labels[rows]),
        source=f"scikit-learn digits, {part}",
    )


def _scans() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    scans = cast("Any", load_digits())  # pyright: ignore[reportUnknownArgumentType]
    return (scans.images / WHITE).astype(np.float32), scans.target.astype(np.int64)
