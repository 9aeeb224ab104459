"""Criteria of models that tell how likely a sample is: flows, autoregressive models, mixtures, kernels.

Low means likely. Their lower tail is of its own interest: samples that a model has memorised are unusually likely, and
centring NLL (a typicality, |NLL - entropy|) would put them beside what is unusually unlikely (decision 34).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from whygen.anchors.criteria import Batch, Criterion, Scorer, own
from whygen.anchors.foils import sizes
from whygen.errors import DataError, ModelError

IMPOSSIBLE = 1e9
"""Nats of a sample that has no density at all: more than any other has, and a number that can be averaged."""


def log_densities(batch: Batch) -> NDArray[np.float64]:
    """Negative log of the density of each sample, ``(b,)`` in nats.

    Raises:
        DataError: if ``log_prob`` does not give one number a sample.
        ModelError: if one is NaN or infinitely likely.
    """
    model = batch.asked
    assert model.log_prob is not None  # noqa: S101 - `settled` looked
    values = -np.asarray(model.log_prob(batch.samples), dtype=np.float64)
    if values.shape != (len(batch.samples),):
        raise DataError(
            f"log_prob of {model.uri} gave shape {values.shape} for {len(batch.samples)} samples; it must give "
            f"({len(batch.samples)},): one number for each."
        )
    wrong = np.flatnonzero(np.isnan(values) | np.isneginf(values))
    if wrong.size:
        raise ModelError(
            f"log_prob of {model.uri} gave {-values[wrong[0]]} for {batch.what} {batch.first + int(wrong[0])}. Look at "
            "that sample and at the model in evaluation mode; values outside of the range that it was trained on are "
            "the usual cause."
        )
    return np.minimum(values, IMPOSSIBLE)


def _begin_nll(batch: Batch) -> Scorer:
    values = log_densities(batch)
    return lambda _: values


def _begin_complexity(batch: Batch) -> Scorer:
    packed = 8.0 * sizes(batch.samples, like=np.array(batch.value_range, np.float32))
    values = log_densities(batch) / math.log(2) - packed
    return lambda _: values


NLL = Criterion("nll", "intrinsic", "nats", _begin_nll, own("nll"), frozenset({"density"}))
"""-log p(x)."""
COMPLEXITY = Criterion(
    "nll-complexity", "intrinsic", "bits", _begin_complexity, own("nll-complexity"), frozenset({"density"})
)
"""-log2 p(x) minus the bits of the sample compressed by zlib: what the model needs beyond what any compressor does.

Source: Serra et al. 2020 (arXiv 1909.11480), whose score is the same with PNG and its like.
"""
DENSITIES = {each.name: each for each in (NLL, COMPLEXITY)}
