"""Criteria: one number an anchor, low = high affinity, each intrinsic or extrinsic (METHODS B1).

A criterion says what it needs of a generator, and an extrinsic one what it compares a sample with: its `Way`. It looks
at a batch once, and then scores each of the things that the sample is compared with: what does not change from one
posterior draw to the next is computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

from whygen import plugins
from whygen.anchors.features import FeatureEncoder, features, name_of
from whygen.errors import DataError
from whygen.models.latent import Ability, Floats, Generator
from whygen.stats.seeds import generator
from whygen.types import JsonValue

if TYPE_CHECKING:
    from whygen.anchors.bank import Bank

Kind: TypeAlias = Literal["intrinsic", "extrinsic"]
Numbers: TypeAlias = NDArray[np.float64]
Condition: TypeAlias = int | str
"""What a model is told of a sample beside it: a class, or a caption."""
Scorer: TypeAlias = Callable[[Floats], Numbers]
"""What samples are compared with (reconstructions of one posterior draw ...), ``(b, *shape)``, to scores ``(b,)``."""

SSIM_WINDOW = 7
SSIM_CONSTANTS = (0.01, 0.03)


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of samples, with the posterior that the model gives them and whatever else can be asked of it."""

    samples: Floats
    """Shape ``(b, *shape)``."""
    mean: Floats
    """Shape ``(b, d)``; d is 0 where the model does not encode."""
    logvar: Floats
    """Shape ``(b, d)``."""
    images: Callable[[Floats], Floats]
    """Samples as images ``(b, height, width, channels)``; raises a UsageError where they are none."""
    span: float
    """Highest minus lowest value of a sample."""
    model: Generator | None = None
    """Who is asked: the model, or its untrained copy."""
    bank: Bank | None = None
    """Samples that it generated; None where no criterion needs any."""
    seed: int = 0
    value_range: tuple[float, float] = (0.0, 1.0)
    first: int = 0
    """The number of its first sample, for messages,"""
    what: str = "anchor"
    """and what a sample is called."""
    conditions: Sequence[Condition] | None = None
    """The class or caption of each sample, where the model is told of it."""
    made: dict[str, Floats] = field(default_factory=dict[str, "Floats"])
    """What samples were compared with so far, by the name of the way."""
    failed: dict[str, NDArray[np.bool_]] = field(default_factory=dict[str, "NDArray[np.bool_]"])
    """Samples for which a way did not find what it looks for, ``(b,)`` by its name; something stands in for it."""

    def rng(self, *path: str | int) -> np.random.Generator:
        """Random numbers that are the same for every batch, and so for every sample: scores stay exchangeable."""
        return generator(self.seed, *path)

    @property
    def asked(self) -> Generator:
        """The model, for criteria that need more of it than its posterior and reconstructions."""
        if self.model is None:
            raise DataError("This batch has no model: score it through explain_anchors.")
        return self.model

    @property
    def generated(self) -> Bank:
        """The bank, for criteria that need ``samples``."""
        if self.bank is None:
            raise DataError("This batch has no generated samples: the criterion must say needs={'samples'}.")
        return self.bank

    def compared(self, way: Way) -> Floats:
        """What the samples are compared with that way; made once for a batch."""
        if way.key not in self.made:
            self.made[way.key] = way.make(self)
        return self.made[way.key]


@dataclass(frozen=True, slots=True)
class Way:
    """What an extrinsic criterion compares a sample with.

    Attributes:
        name: in words, as reports say it: "reconstruction", "nearest generated sample" ...
        needs: of the model.
        make: from a batch to what its samples are compared with, ``(b, *shape)``.
        key: tells it from other ways of that name; the name unless given.
        method: of the model, for messages; the name unless given.
    """

    name: str
    needs: Ability
    make: Callable[[Batch], Floats]
    key: str = ""
    method: str = ""

    def __post_init__(self) -> None:
        for name in ("key", "method"):
            if not getattr(self, name):
                object.__setattr__(self, name, self.name)


def _decoded_mean(batch: Batch) -> Floats:
    return batch.asked.decoded(batch.mean)


RECONSTRUCTION = Way("reconstruction", "reconstruction", _decoded_mean, method="decode")
"""The decoded posterior: each draw of it is compared, and the decoded mean is what is shown."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """A criterion by name.

    Attributes:
        name: as in reports and tables.
        kind: ``intrinsic`` (of the sample's place in the model) or ``extrinsic`` (of what the model makes of it).
        unit: of a value.
        begin: takes a batch, and returns what scores whatever its samples are compared with.
        identity: what tells its numbers from those of others; None: nobody can know, and they are kept for the run.
        needs: what the model must be able to do, besides what the way needs.
        way: what an extrinsic criterion compares a sample with; None: what this model gives back.
    """

    name: str
    kind: Kind
    unit: str
    begin: Callable[[Batch], Scorer]
    identity: Mapping[str, JsonValue] | None = None
    needs: frozenset[Ability] = frozenset()
    way: Way | None = None

    def scorer(self, batch: Batch) -> Scorer:
        """What scores whatever the samples of a batch are compared with, one finite or infinite number for each.

        Raises:
            UsageError: if somebody's own criterion raises.
            DataError: if it gives other than one number for each sample.
        """
        what = f"The criterion {self.name!r}"
        with plugins.said_of(self.begin, what, advice=SCORED):
            score = self.begin(batch)

        def scored(made: Floats) -> Numbers:
            with plugins.said_of(score, what, advice=SCORED):
                return one_each(score(made), len(batch.samples), self.name)

        return scored


SCORED = "What was scored before is recorded: mend it and run again."
"""What to say where somebody's own code failed on samples that the model was run for."""
CriterionLike: TypeAlias = str | Criterion | Callable[[Floats, Floats], Any]


def kld(mean: NDArray[np.floating[Any]], logvar: NDArray[np.floating[Any]]) -> Numbers:
    """Divergence of N(mean, exp(logvar)) from N(0, 1), in nats, summed over the latent.

    -1/2 sum_j (1 + logvar_j - mean_j^2 - exp(logvar_j)) (METHODS B1; Kingma and Welling 2014, appendix B).

    Args:
        mean: shape ``(b, d)``.
        logvar: shape ``(b, d)``.
    """
    mean64, logvar64 = mean.astype(np.float64), logvar.astype(np.float64)
    with np.errstate(over="ignore"):  # an infinite variance is reported with the name of its sample
        return 0.5 * (np.square(mean64) + np.exp(logvar64) - 1 - logvar64).sum(axis=1)


def sse(samples: Floats, reconstructions: Floats) -> Numbers:
    """Sum of squared differences over all values of a sample: the paper's "MSE"."""
    difference = np.subtract(samples, reconstructions).reshape(len(samples), -1)
    return np.einsum("bv,bv->b", difference, difference).astype(np.float64)


def mse(samples: Floats, reconstructions: Floats) -> Numbers:
    """Mean of squared differences over all values of a sample."""
    return sse(samples, reconstructions) / (samples.size // len(samples))


def dssim(images: NDArray[Any], others: NDArray[Any], *, span: float) -> Numbers:
    """(1 - SSIM) / 2 of images ``(b, height, width, channels)``, SSIM averaged over pixels and channels.

    SSIM as in Wang et al. 2004 with a uniform window of 7 pixels, sample covariances, and the border of half a window
    left out: what ``skimage.metrics.structural_similarity`` computes by default.

    Args:
        images: first images.
        others: second images, of the same shape.
        span: highest minus lowest possible value.

    Raises:
        DataError: if an image is smaller than 3 pixels.
    """
    smallest = min(images.shape[1:3])
    window = min(SSIM_WINDOW, smallest - (smallest + 1) % 2)
    if window < 3:
        raise DataError(f"dssim needs images of at least 3 x 3 pixels; these have {images.shape[1:3]}. Use sse.")
    return (1 - _structural_similarity(images, others, window=window, span=span)) / 2


def _structural_similarity(images: NDArray[Any], others: NDArray[Any], *, window: int, span: float) -> Numbers:
    x, y = images.astype(np.float64), others.astype(np.float64)
    mean_x, mean_y = _windowed(x, window), _windowed(y, window)
    unbiased = window**2 / (window**2 - 1)
    var_x = unbiased * (_windowed(x * x, window) - mean_x * mean_x)
    var_y = unbiased * (_windowed(y * y, window) - mean_y * mean_y)
    cov = unbiased * (_windowed(x * y, window) - mean_x * mean_y)
    c1, c2 = ((constant * span) ** 2 for constant in SSIM_CONSTANTS)
    similar = (2 * mean_x * mean_y + c1) * (2 * cov + c2)
    similar /= (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    return similar.mean(axis=(1, 2, 3))


def _windowed(images: Numbers, window: int) -> Numbers:
    """Means over windows, without the border where the window leaves the image."""
    edge = window // 2
    means = cast("Numbers", uniform_filter(images, size=(1, window, window, 1)))  # pyright: ignore[reportArgumentType]
    return means[:, edge : images.shape[1] - edge, edge : images.shape[2] - edge]


def _begin_kld(batch: Batch) -> Scorer:
    values = kld(batch.mean, batch.logvar)
    return lambda _: values


def _begin_dssim(batch: Batch) -> Scorer:
    images = batch.images(batch.samples)
    return lambda made: dssim(images, batch.images(made), span=batch.span)


def begin_pair(score: Callable[[Floats, Floats], Any], name: str) -> Callable[[Batch], Scorer]:
    """The ``begin`` of a criterion that is a function of samples and what they are compared with."""

    def scored(batch: Batch, made: Floats) -> Numbers:
        with plugins.said_of(score, f"The criterion {name!r}", advice=SCORED):
            return one_each(score(batch.samples, made), len(made), name)

    return lambda batch: partial(scored, batch)


def one_each(values: Any, n: int, name: str) -> Numbers:
    """What a criterion gave, if it is one number a sample.

    Raises:
        DataError: if it is not.
    """
    scores = np.asarray(values, dtype=np.float64)
    if scores.shape != (n,):
        raise DataError(f"The criterion {name!r} gave shape {scores.shape} for {n} samples; it must give ({n},).")
    return scores


def feature_criterion(name: str, encoder: FeatureEncoder) -> Criterion:
    """Distance between the features of a sample and of its reconstruction; ``fid-pair`` is its square."""
    power = {"feature-l2": 0.5, "fid-pair": 1.0}[name]

    def begin(batch: Batch) -> Scorer:
        wanted = features(encoder, batch.samples)

        def scored(made: Floats) -> Numbers:
            same = made.strides[0] == 0  # one sample, broadcast: what stands in for every reconstruction
            return np.square(wanted - features(encoder, made[:1] if same else made)).sum(axis=1) ** power

        return scored

    unit = f"{'squared ' if name == 'fid-pair' else ''}distance of {name_of(encoder)} features"
    known: Mapping[str, JsonValue] | None = getattr(encoder, "identity", None)
    return Criterion(name, "extrinsic", unit, begin, None if known is None else own(name, known))


def own(name: str, encoder: Mapping[str, JsonValue] | None = None) -> dict[str, JsonValue]:
    """The identity of a criterion of whygen's own, and of the encoder that it looks through."""
    return {"whygen": name} if encoder is None else {"whygen": name, "encoder": encoder}


def _plain(
    name: str, kind: Kind, unit: str, begin: Callable[[Batch], Scorer], needs: frozenset[Ability] = frozenset()
) -> Criterion:
    return Criterion(name, kind, unit, begin, own(name), needs)


PLAIN: Mapping[str, Criterion] = {
    "kld": _plain("kld", "intrinsic", "nats", _begin_kld, frozenset({"posterior"})),
    "sse": _plain("sse", "extrinsic", "squared values, summed over the sample", begin_pair(sse, "sse")),
    "mse": _plain("mse", "extrinsic", "squared values, averaged over the sample", begin_pair(mse, "mse")),
    "dssim": _plain("dssim", "extrinsic", "(1 - SSIM) / 2", _begin_dssim),
}
"""Criteria that need no encoder of features."""
BY_FEATURES = ("feature-l2", "fid-pair")
