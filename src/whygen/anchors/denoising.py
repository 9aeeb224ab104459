"""Criteria of models that remove noise: how well they find it in a sample, and what they make of the sample then.

They are asked with noise about as strong as the sample. With much more of it every sample is gone, and what comes back
is of the kind that the model makes; with much less a simple sample is well known to any model (decision 35). Noise is
drawn from the seed, once for each level: all samples share it, anchors as reference, so that a score is a fixed
function of the sample and scores of exchangeable samples are exchangeable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from whygen.anchors.bank import distance_between
from whygen.anchors.criteria import Batch, Criterion, Numbers, Scorer, Way, own
from whygen.anchors.features import FeatureEncoder, name_of
from whygen.errors import DataError, NoNumberError
from whygen.models.latent import Floats
from whygen.types import JsonValue

BACK_FROM = 0.9
"""Noise that samples are given before it is taken out again: this part of the highest share of the grid, or below."""
REDENOISED, ROUND_TRIP = "re-denoised sample", "round trip to noise"


def levels_of(batch: Batch) -> Sequence[float]:
    """The noise that the model is asked at."""
    found = batch.asked.denoiser
    assert found is not None  # noqa: S101 - `settled` looked
    return found.levels


def asking(batch: Batch, method: str) -> Callable[..., Any]:
    """A method of the denoiser, which is told the conditions of the samples where they have any."""
    call: Callable[..., Any] = getattr(batch.asked.denoiser, method)
    return call if batch.conditions is None else partial(call, conditions=batch.conditions)


def noises(batch: Batch, place: int) -> tuple[Floats, Floats]:
    """The noise of one level, ``(1, *shape)``, and its opposite.

    An opposite pair costs what two draws do, and what is odd in the noise leaves the mean over it.
    """
    noise = batch.rng("denoising", place).standard_normal((1, *batch.samples.shape[1:]), dtype=np.float32)
    return noise, -noise


def denoising_losses(batch: Batch) -> Numbers:
    """The loss of each sample at each level of noise, ``(b, levels)``, averaged over the noise of that level.

    Raises:
        DataError: if the model does not give a number a sample.
        NoNumberError: if one is NaN or infinite; the message names the sample.
    """
    loss = asking(batch, "loss")
    columns: list[Numbers] = []
    for place, level in enumerate(levels_of(batch)):
        parts = [np.asarray(loss(batch.samples, level, noise), dtype=np.float64) for noise in noises(batch, place)]
        for part in parts:
            if part.shape != (len(batch.samples),):
                raise DataError(
                    f"loss of {batch.asked.uri} gave shape {part.shape} for {len(batch.samples)} samples; it must give "
                    f"({len(batch.samples)},): one number for each."
                )
        columns.append(np.mean(parts, axis=0))
    found = np.column_stack(columns)
    wrong = np.flatnonzero(~np.isfinite(found).all(axis=1))
    if wrong.size:
        raise NoNumberError(
            f"The network of {batch.asked.uri} gave NaN or an infinite value for {batch.what} "
            f"{batch.first + int(wrong[0])} with noise added. Look at that sample, and at the precision that the model "
            "works in: half precision overflows where single does not (dtype='float32').",
            what=batch.what, rows=(batch.first + wrong).tolist(),
        )  # fmt: skip
    return found


def _begin_loss(batch: Batch) -> Scorer:
    values = denoising_losses(batch).mean(axis=1)
    return lambda _: values


LOSS = Criterion(
    "denoising-loss", "intrinsic", "squared noise not found, of 1", _begin_loss, own("denoising-loss"),
    frozenset({"denoiser"}),
)  # fmt: skip
"""The mean over a fixed grid of noise of |noise - noise found|^2, averaged over the values of a sample."""


def _redenoise(batch: Batch) -> Floats:
    levels = levels_of(batch)
    place = max(i for i, level in enumerate(levels) if level <= BACK_FROM * max(levels) or i == 0)
    redenoise = asking(batch, "redenoise")
    one, other = (redenoise(batch.samples, levels[place], noise) for noise in noises(batch, place))
    return (one + other) / 2


def _round_trip(batch: Batch) -> Floats:
    return asking(batch, "round_trip")(batch.samples)


REDENOISE = Way(REDENOISED, "denoiser", _redenoise, method="redenoise")
"""A sample with some noise, which the model takes out again: the mean of what it makes of noise and of its opposite.

One draw of noise alone is as telling as it happens to be: areas of .88 to .99, and of .99 for the mean (decision 35).
"""
_TRIP = Way(ROUND_TRIP, "denoiser", _round_trip, method="round_trip")


def _compared(name: str, way: Way, what: str) -> Callable[..., Criterion]:
    def criterion(encoder: FeatureEncoder | None) -> Criterion:
        known: Mapping[str, JsonValue] | None = {} if encoder is None else getattr(encoder, "identity", None)
        identity = None if known is None else own(name, known or None)
        unit = f"distance {'' if encoder is None else f'of {name_of(encoder)} features '}to {what}"
        return Criterion(name, "extrinsic", unit, distance_between(encoder), identity, way=way)

    return criterion


COMPARED: Mapping[str, Callable[[FeatureEncoder | None], Criterion]] = {
    "redenoised": _compared("redenoised", REDENOISE, "the sample with a little noise and denoised"),
    "round-trip": _compared("round-trip", _TRIP, "the sample taken to noise and back"),
}
"""Distances from a sample to what a denoiser makes of it, by name."""
