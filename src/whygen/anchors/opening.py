"""What the person gave as the model, as a `Generator`: also where it is samples, which are read as anchors are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from whygen.anchors.data import SampleSet
from whygen.errors import UsageError
from whygen.models.latent import Generator
from whygen.models.latent.loading import load_latent
from whygen.models.protocols import ModelOptions

SAMPLES = "samples/"
"""What stands before a path to samples that a model made."""


def open_generator(model: object, options: ModelOptions | None, **stated: Any) -> Generator:
    """The model, with what is ``stated`` of it (see `load_latent`).

    An array, a `SampleSet`, a `Path` and the URI ``samples/PATH`` are samples that a model made.

    Raises:
        UsageError: if it is no generator.
    """
    if isinstance(model, str) and model.startswith(SAMPLES):
        path = model.removeprefix(SAMPLES)
        if not path:
            raise UsageError("samples/ names no samples; give samples/PATH: a folder of images, .npz, .npy ...")
        return load_latent(Generator(samples=path, uri=model), options, **stated)
    if isinstance(model, Path):
        return load_latent(Generator(samples=model, uri=f"{SAMPLES}{model}"), options, **stated)
    if isinstance(model, np.ndarray | SampleSet):
        n = len(model.samples if isinstance(model, SampleSet) else cast("Sequence[object]", model))
        return load_latent(Generator(samples=cast("object", model), uri=f"samples/{n:,} given"), options, **stated)
    return load_latent(model, options, **stated)
