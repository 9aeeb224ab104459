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
from whygen.errors import DataError, ModelError, NoNumberError
from whygen.models.latent import Floats, Generator, answering
from whygen.results.prompt import Warned

IMPOSSIBLE = 1e9
"""Nats of a sample that has no density at all: more than any other has, and a number that can be averaged."""


def _possible(model: Generator, samples: Floats) -> NDArray[np.float64]:
    """Log-densities of foils, which are nobody's samples: one that the model refuses has none."""
    try:
        return _asked(model, samples)
    except ModelError:
        if len(samples) == 1:
            return np.full(1, -np.inf)
        return np.concatenate([_possible(model, each) for each in np.array_split(samples, 2)])


def _asked(model: Generator, samples: Floats) -> NDArray[np.float64]:
    assert model.log_prob is not None  # noqa: S101 - `settled` looked
    with answering(f"log_prob of {model.uri}"):
        return np.asarray(model.log_prob(samples), dtype=np.float64)


def log_densities(batch: Batch) -> NDArray[np.float64]:
    """Negative log of the density of each sample, ``(b,)`` in nats.

    Raises:
        DataError: if ``log_prob`` does not give one number a sample.
        NoNumberError: if one is NaN or infinitely likely.
    """
    model = batch.asked
    values = -(_possible if batch.what == "foil" else _asked)(model, batch.samples)
    if values.shape != (len(batch.samples),):
        raise DataError(
            f"log_prob of {model.uri} gave shape {values.shape} for {len(batch.samples)} samples; it must give "
            f"({len(batch.samples)},): one number for each."
        )
    wrong = np.flatnonzero(np.isnan(values) | np.isneginf(values))
    if wrong.size:
        raise NoNumberError(
            f"log_prob of {model.uri} gave {-values[wrong[0]]} for {batch.what} {batch.first + int(wrong[0])}. Look at "
            "that sample and at the model in evaluation mode; values outside of the range that it was trained on are "
            "the usual cause.",
            what=batch.what, rows=(batch.first + wrong).tolist(),
        )  # fmt: skip
    return np.minimum(values, IMPOSSIBLE)


ASKED = 16
"""So many samples are asked about twice."""
SLACK = (0.01, 1e-3)
"""Differences that rounding may make: parts of the spread over samples, and of a value."""


def check_density(model: Generator, samples: Floats) -> tuple[Warned, ...]:
    """Warn where the density of a sample is another when it is asked for again, beside other samples.

    So it is where ``log_prob`` draws (a bound by samples, noise that spreads whole numbers, a pseudo-likelihood), and
    where it looks at the batch.
    """
    few, cut = samples[:ASKED], len(samples[:ASKED]) // 3
    if cut == 0:
        return ()
    whole = _asked(model, few)
    if np.isneginf(whole).all():
        text = (
            f"By log_prob of {model.uri} none of the first {len(few)} reference samples can be at all (-inf): they lie "
            "outside of what the model makes, such as grey values for a law of black and white ones. So nll says "
            "nothing here. Give anchors and reference as the model was trained on them."
        )
        return (Warned(code="density-nowhere", text=text),)
    parts = np.concatenate([_asked(model, part).ravel() for part in np.split(few, [cut])])
    if whole.shape != parts.shape or not (np.isfinite(whole) & np.isfinite(parts)).all():
        return ()  # said where samples are scored
    apart, spread = np.abs(whole - parts), float(whole.std())
    if (apart <= np.maximum(SLACK[0] * spread, SLACK[1] * np.maximum(1, np.abs(whole)))).all():
        return ()
    text = (
        f"log_prob of {model.uri} gives another number for the same sample when it is asked again, beside other "
        f"samples: up to {apart.max():.3g} nats, where samples differ by {spread:.3g} (standard deviation of "
        f"{len(few)}). It draws at random, or looks at the whole batch. So nll is no property of the sample alone, and "
        "other runs put samples near a threshold elsewhere, which flip rates do not hold. Give a log_prob that is the "
        "same every time, such as the mean of many draws from a fixed seed."
    )
    return (Warned(code="density-varies", text=text),)


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
