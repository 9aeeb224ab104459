"""VAE-TracIn: which training samples moved a VAE's loss on a sample, traced through checkpoints of its training.

The baseline that PXGen names (METHODS B7), computed exactly and in batches, so that it can be compared at its best.
`self_influence` ranks training samples, `influence` gives the matrix of training samples and queries; the functions
with ``looped`` in their names go sample by sample and draw by draw as the published code does, and are there to
check the others and to take their time.

Source: Kong and Chaudhuri 2021 (arXiv 2105.14203); Pruthi et al. 2020 (arXiv 2002.08484) for checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whygen.errors import DataError, MissingExtraError, ModelError, UnknownNameError, UsageError

if TYPE_CHECKING:
    from whygen_experiments.influence_gradients import Elbo, Tensor

LossName: TypeAlias = Literal["cross-entropy", "squared-error"]
Way: TypeAlias = Literal["auto", "layers", "vmap"]
Numbers: TypeAlias = NDArray[np.float64]

LOSSES: tuple[LossName, ...] = ("cross-entropy", "squared-error")
WAYS: tuple[Way, ...] = ("auto", "layers", "vmap")
DRAWS = 16
"""Posterior draws that the published code averages a loss over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A VAE as it was at some point of its training, and how far training went with it.

    Args:
        module: a torch module with ``encode`` and ``decode``, as `whygen.models.load_latent` takes. It is copied
            before use and stays as it is.
        rate: learning rate.
        batch: samples in a training batch.
        interval: optimizer steps since the checkpoint before, or since the start.
        training: number of training samples.

    Raises:
        UsageError: if a number is not positive and finite, or the module cannot encode and decode.
    """

    module: Any
    rate: float
    batch: int
    interval: int
    training: int

    def __post_init__(self) -> None:
        for name in ("rate", "batch", "interval", "training"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise UsageError(f"{name} of a checkpoint is {value!r}; give a number above 0.")
        for method in ("encode", "decode"):
            if not callable(getattr(self.module, method, None)):
                raise UsageError(
                    f"A checkpoint's module is a {type(self.module).__name__} without {method}; give a torch module "
                    "with encode (mean and log-variance) and decode."
                )

    @property
    def weight(self) -> float:
        """``rate * batch * interval / training``: what a product of two gradients counts here (METHODS B7)."""
        return self.rate * self.batch * self.interval / self.training


def self_influence(
    checkpoints: Sequence[Checkpoint],
    samples: ArrayLike,
    *,
    rng: np.random.Generator,
    draws: int = DRAWS,
    loss: LossName = "cross-entropy",
    weight: float = 1.0,
    way: Way = "auto",
    chunk: int | None = None,
) -> Numbers:
    """How much each sample, had it been trained on, lowered the loss on itself: its weighted squared gradient norms.

    The sum over checkpoints of ``rate * batch * interval / training * |gradient of the loss|^2``, the gradient being
    that of the loss averaged over posterior draws, with respect to all parameters. The random numbers of a draw are
    shared by all samples, so the value of a sample does not depend on the others, nor on their order.

    Args:
        checkpoints: of one training.
        samples: ``(n, ...)``, as the module takes them.
        rng: draws the noise of the posterior, ``draws`` times the size of a latent.
        draws: posterior draws; the published code takes 16.
        loss: reconstruction part of the negative ELBO, summed over values: "cross-entropy" (samples within [0, 1]) or
            "squared-error" (what the published code scores with).
        weight: of the KLD.
        way: "layers" takes the norms layer by layer without forming a gradient, and needs a module all of whose
            parameters are those of fully connected layers; "vmap" forms every gradient (`torch.func`), for any
            module; "auto" takes layers where a trial on the first sample agrees with autograd.
        chunk: samples at once; without one, as many as a moderate memory holds.

    Returns:
        Shape ``(n,)``, none below 0.

    Raises:
        UsageError: if an argument is out of range, or ``way="layers"`` does not fit the module.
        DataError: if samples do not fit the module or the loss.
        ModelError: if the loss of a sample is not finite.
        MissingExtraError: if torch is not installed.

    Source: METHODS B7; Kong and Chaudhuri 2021, section 3; norms by layer as in Goodfellow 2015 (arXiv 1510.01799).
    """
    kernels, way, chunk = _kernels(), _way(way), _chunk(chunk)

    def norms(elbo: Elbo, rows: Sequence[Tensor], noise: Tensor) -> Numbers:
        settled = kernels.settle_way(elbo, rows[0], noise, way)
        return kernels.squared_norms(elbo, rows[0], noise, way=settled, chunk=chunk)

    return _summed(norms, checkpoints, [samples], rng=rng, draws=draws, loss=loss, weight=weight)


def influence(
    checkpoints: Sequence[Checkpoint],
    training: ArrayLike,
    queries: ArrayLike,
    *,
    rng: np.random.Generator,
    draws: int = DRAWS,
    loss: LossName = "cross-entropy",
    weight: float = 1.0,
    way: Way = "auto",
    chunk: int | None = None,
) -> Numbers:
    """How much training on each sample lowered the loss on each query: above 0 a proponent, below 0 an opponent.

    Arguments and errors are those of `self_influence`, which is the diagonal of this for equal sets and equal noise.
    The gradients of a chunk of queries are held at once: ``chunk`` times the parameters of the module.

    Args:
        checkpoints: of one training.
        training: ``(n, ...)``.
        queries: ``(m, ...)``.
        rng: draws the noise of the posterior, shared by training samples and queries.
        draws: posterior draws.
        loss: reconstruction part of the loss.
        weight: of the KLD.
        way: how gradients are formed.
        chunk: samples at once.

    Returns:
        Shape ``(n, m)``.
    """
    kernels, way, chunk = _kernels(), _way(way), _chunk(chunk)

    def products(elbo: Elbo, rows: Sequence[Tensor], noise: Tensor) -> Numbers:
        settled = kernels.settle_way(elbo, rows[0], noise, way)
        return kernels.products(elbo, *rows, noise, way=settled, chunk=chunk)

    return _summed(products, checkpoints, [training, queries], rng=rng, draws=draws, loss=loss, weight=weight)


def looped_self_influence(
    checkpoints: Sequence[Checkpoint],
    samples: ArrayLike,
    *,
    rng: np.random.Generator,
    draws: int = DRAWS,
    loss: LossName = "cross-entropy",
    weight: float = 1.0,
) -> Numbers:
    """`self_influence` sample by sample and draw by draw with autograd, as the published code goes about it."""
    kernels = _kernels()

    def norms(elbo: Elbo, rows: Sequence[Tensor], noise: Tensor) -> Numbers:
        return np.array([float(each @ each) for each in kernels.looped(elbo, rows[0], noise)])

    return _summed(norms, checkpoints, [samples], rng=rng, draws=draws, loss=loss, weight=weight)


def looped_influence(
    checkpoints: Sequence[Checkpoint],
    training: ArrayLike,
    queries: ArrayLike,
    *,
    rng: np.random.Generator,
    draws: int = DRAWS,
    loss: LossName = "cross-entropy",
    weight: float = 1.0,
) -> Numbers:
    """`influence` sample by sample and draw by draw with autograd; for small sets."""
    kernels = _kernels()

    def products(elbo: Elbo, rows: Sequence[Tensor], noise: Tensor) -> Numbers:
        asked = list(kernels.looped(elbo, rows[1], noise))
        return np.array([[float(each @ other) for other in asked] for each in kernels.looped(elbo, rows[0], noise)])

    return _summed(products, checkpoints, [training, queries], rng=rng, draws=draws, loss=loss, weight=weight)


def negative_elbo(
    module: Any,
    samples: ArrayLike,
    *,
    rng: np.random.Generator,
    draws: int = DRAWS,
    loss: LossName = "cross-entropy",
    weight: float = 1.0,
    chunk: int | None = None,
) -> Numbers:
    """The loss whose gradients `self_influence` compares, of each sample, in nats for the cross-entropy.

    Arguments and errors are those of `self_influence`. Shape ``(n,)``.
    """
    kernels, chunk = _kernels(), _chunk(chunk)
    only = Checkpoint(module=module, rate=1.0, batch=1, interval=1, training=1)

    def losses(elbo: Elbo, rows: Sequence[Tensor], noise: Tensor) -> Numbers:
        return kernels.losses(elbo, rows[0], noise, chunk=chunk)

    return _summed(losses, [only], [samples], rng=rng, draws=draws, loss=loss, weight=weight)


def _summed(
    compute: Callable[[Elbo, Sequence[Tensor], Tensor], Numbers],
    checkpoints: Sequence[Checkpoint],
    sets: Sequence[ArrayLike],
    *,
    rng: np.random.Generator,
    draws: int,
    loss: LossName,
    weight: float,
) -> Numbers:
    """The weighted sum over checkpoints of what ``compute`` makes of the loss, the sets and the noise, one for all."""
    if not checkpoints:
        raise UsageError("No checkpoints were given; VAE-TracIn needs at least the trained model.")
    if isinstance(draws, bool) or draws < 1:
        raise UsageError(f"draws is {draws!r}; give a whole number of posterior draws, at least 1.")
    if loss not in LOSSES:
        raise UnknownNameError("loss", loss, LOSSES)
    arrays, parts = [_samples(each, loss) for each in sets], list[Numbers]()
    noise: NDArray[np.float64] | None = None
    for checkpoint in checkpoints:
        elbo: Elbo = _kernels().Elbo(checkpoint.module, loss=loss, weight=weight)
        rows = [elbo.tensor(array) for array in arrays]
        shape = _latent_shape(elbo, rows)
        noise = rng.standard_normal((draws, *shape)) if noise is None else noise
        if noise.shape[1:] != shape:
            raise UsageError(
                f"The checkpoints have latents of shapes {noise.shape[1:]} and {shape}; give those of one training."
            )
        parts.append(checkpoint.weight * compute(elbo, rows, elbo.tensor(noise)))
    return np.sum(parts, axis=0)


def _samples(samples: ArrayLike, loss: LossName) -> NDArray[Any]:
    array = np.asarray(samples)
    if array.ndim < 2 or len(array) == 0 or array.dtype.kind not in "fiub":
        raise DataError(f"Samples have shape {array.shape} and type {array.dtype}; give numbers of shape (n, ...).")
    if not np.isfinite(array).all():
        first = int(np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(axis=1))[0])
        raise DataError(f"Sample {first} holds NaN or an infinite value; leave it out or mend it.")
    if loss == "cross-entropy" and (array.min() < 0 or array.max() > 1):
        raise DataError(
            f"Samples run from {array.min():g} to {array.max():g}, and the cross-entropy is that of values within "
            "[0, 1]. Scale them as in training, or give loss='squared-error'."
        )
    return array


def _latent_shape(elbo: Elbo, rows: Sequence[Tensor]) -> tuple[int, ...]:
    """Try one sample of each set: the shape of its latent, and an early answer on whether the module takes them."""
    shape: tuple[int, ...] = ()
    for each in rows:
        try:
            shape = elbo.latent_shape(each[:1])
        except (RuntimeError, ValueError) as error:
            if isinstance(error, (UsageError, ModelError)):
                raise
            raise DataError(
                f"The module does not encode and decode samples of shape {tuple(each.shape[1:])}: {error}. "
                "Give samples as the module takes them."
            ) from error
    return shape


def _way(way: Way) -> Way:
    if way not in WAYS:
        raise UnknownNameError("way", way, WAYS)
    return way


def _chunk(chunk: int | None) -> int | None:
    if chunk is not None and chunk < 1:
        raise UsageError(f"chunk={chunk} leaves nothing to compute; give at least 1.")
    return chunk


def _kernels() -> Any:
    try:
        from whygen_experiments import influence_gradients
    except ImportError as error:
        raise MissingExtraError("VAE-TracIn", extra="torch", package="torch") from error
    return influence_gradients
