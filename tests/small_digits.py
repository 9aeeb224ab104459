"""A VAE that has learned one digit from real scans of 8 x 8, trained on the spot in about two seconds.

The scans are those that scikit-learn ships (Alpaydin and Kaynak 1998). One part of the zeros trains the model, one is
its reference, the rest are anchors, together with all images of the other nine classes.
"""

# pyright: basic
from __future__ import annotations

from typing import Literal

import numpy as np
from sklearn.datasets import load_digits

from whygen.anchors.data import SampleSet
from whygen.models.latent import LatentModel
from whygen.stats.seeds import generator

TRAINED_CLASS = 0
TRAINING = 60
REFERENCE = 79
"""At alpha .025 conformal needs 39; 79 put the threshold at the second largest value instead of the largest."""
WHITE = 16
SEED = 0


def small_vae() -> LatentModel:
    """64-64-64-(4, 4)-64-64-64, summed cross-entropy and KLD, 200 epochs over 60 images."""
    from whygen.models.latent.torch_modules import torch_latent
    from whygen_experiments.mlp_vae import Schedule, Sizes, train_mlp_vae

    images = small_digits("training").samples
    module = train_mlp_vae(
        images.reshape(len(images), -1),
        seed=SEED,
        sizes=Sizes(values=64, hidden=64, latent=4),
        schedule=Schedule(epochs=200, batch=20, rate=2e-3),
        uri="small-digits-vae",
    )
    return torch_latent(module)


def small_digits(part: Literal["training", "reference", "anchors"]) -> SampleSet:
    """Images ``(n, 8, 8)`` between 0 and 1 with their labels."""
    scans = load_digits()
    images, labels = (scans.images / WHITE).astype(np.float32), scans.target.astype(np.int64)
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
