"""Plug-ins in another package: a model, a command, a target and a criterion.

``shout/NAME`` answers in capitals, `whygen shout` prints them, the target ``loudness`` counts them, and the criterion
``brightness`` says how much darker or lighter a sample comes back.
"""

from __future__ import annotations

import sys

import numpy as np

from whygen.anchors.criteria import Batch, Criterion, Scorer
from whygen.models import ModelOptions, Provider, load_model


def open_shout(name: str, options: ModelOptions) -> object:
    """Any name will do."""
    del name, options
    return load_model(lambda prompt: prompt.upper())


def provider() -> Provider:
    """``shout/``."""
    return Provider(name="shout", summary="answers in capitals", open=open_shout)


def no_provider() -> str:
    """A mistake: not a provider."""
    return "shout"


def shout(text: str) -> None:
    """Print a text in capitals."""
    sys.stdout.write(text.upper() + "\n")


def loudness(text: str) -> float:
    """A target by a score: the share of capitals."""
    return sum(letter.isupper() for letter in text) / max(1, len(text))


def _begin(batch: Batch) -> Scorer:
    light = batch.samples.mean(axis=tuple(range(1, batch.samples.ndim)))

    def score(reconstructions: np.ndarray) -> np.ndarray:
        return np.abs(reconstructions.mean(axis=tuple(range(1, reconstructions.ndim))) - light)

    return score


BRIGHTNESS = Criterion("brightness", "extrinsic", "difference of mean values", _begin)
