"""The nearest sample that a generator without an encoder can make: a search among its latents, as a second opinion.

The nearest of a bank of generated samples is found at a hundredth of the cost; the search says how much nearer the
model could have come. Where a model has no search of its own, Powell's method looks for the latent (no derivatives).
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

from whygen.anchors.bank import Bank
from whygen.anchors.criteria import Batch, Criterion, Scorer, Way, own, sse
from whygen.models.latent import Floats, Generator

NAME = "inversion"
CALLS = 400
"""Samples that Powell's method may have decoded for one anchor."""


def _found(batch: Batch) -> Floats:
    """The nearest sample that was found; where the search failed, the nearest of the bank stands in, and that is said.

    A search fails where it ends in no finite sample, or in one that is farther away than where it began.
    """
    model, bank = batch.asked, batch.generated
    nearest = bank.samples[bank.nearest(batch.samples, None)]
    if model.invert is not None:
        made = np.asarray(model.invert(batch.samples, batch.rng(NAME)), dtype=np.float32).reshape(nearest.shape)
    else:
        made = _searched(model, batch.samples, bank)
    finite: NDArray[np.bool_] = np.asarray(np.isfinite(made.reshape(len(made), -1)).all(axis=1))
    failed = ~finite | (sse(batch.samples, np.where(_rows(finite, made), made, 0)) > sse(batch.samples, nearest))
    batch.failed[NAME] = ~finite
    return np.where(_rows(np.asarray(~failed), made), made, nearest)


def _rows(marks: NDArray[np.bool_], like: Floats) -> NDArray[np.bool_]:
    return marks.reshape(-1, *[1] * (like.ndim - 1))


def _searched(model: Generator, samples: Floats, bank: Bank) -> Floats:
    """Powell's method from the latent of the nearest sample of the bank, for each sample; NaN where none is known."""
    if bank.latents is None:
        return np.full_like(samples, np.nan)
    starts = bank.latents[bank.nearest(samples, None)]
    return np.concatenate([_one(model, one, start) for one, start in zip(samples, starts, strict=True)])


def _one(model: Generator, sample: Floats, start: Floats) -> Floats:
    def error(latent: NDArray[np.float64]) -> float:
        made = model.decoded(latent[None].astype(np.float32))
        value = float(np.square(made[0] - sample, dtype=np.float64).sum())
        return value if np.isfinite(value) else np.inf

    found = cast("Any", minimize(error, start.astype(np.float64), method="Powell", options={"maxfev": CALLS}))
    return model.decoded(np.asarray(found.x, dtype=np.float32)[None])


def _begin(batch: Batch) -> Scorer:
    return lambda made: np.sqrt(sse(batch.samples, made))


INVERSION = Criterion(
    NAME, "extrinsic", "distance to the nearest sample that a search among latents found", _begin, own(NAME),
    frozenset({"samples"}), Way("nearest sample found among its latents", "latents", _found),
)  # fmt: skip
"""Distance to the nearest sample that the model was found to be able to make."""
