"""Criteria: one number an anchor, low = high affinity, each intrinsic or extrinsic (METHODS B1); and features for them.

A criterion looks at a batch and its posterior once, and then scores each reconstruction of it: what does not change
from one posterior draw to the next is computed once.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

from whygen import plugins
from whygen.anchors.samples import Prepared
from whygen.encoders import Colours, ImageEncoder, PixelPatches, brought_encoder, load_image_encoder
from whygen.errors import DataError, UnknownNameError, UsageError
from whygen.media.pictures import picture_of
from whygen.models.latent import Floats
from whygen.results.prompt import Warned
from whygen.types import JsonValue

CELLS = 8
"""Cells along a side, of the encoder that needs no weights."""


@dataclass(frozen=True, slots=True)
class PictureFeatures:
    """An encoder of pictures as a callable that takes samples as the model does."""

    encoder: ImageEncoder
    prepared: Prepared = field(repr=False)

    @property
    def name(self) -> str:
        return self.encoder.name

    @property
    def identity(self) -> Mapping[str, JsonValue] | None:
        """What tells its features from those of other encoders; None for one of somebody's own."""
        return getattr(self.encoder, "identity", None) if self.learned else {"encoder": self.name}

    @property
    def learned(self) -> bool:
        """Whether the encoder has weights; without, features are colours."""
        return not isinstance(self.encoder, PixelPatches | Colours)

    def __call__(self, samples: Floats) -> NDArray[Any]:
        """Features ``(n, dim)`` of samples ``(n, *shape)``."""
        images = self.prepared.pictures(samples)
        if isinstance(self.encoder, PixelPatches) and min(images.shape[1:3]) >= CELLS:
            return _cells(images)
        colours = images if images.shape[3] == 3 else np.repeat(images[..., :1], 3, axis=3)
        return self.encoder.images([picture_of((one * 255).round().astype(np.uint8)) for one in colours])


def _cells(images: Floats) -> NDArray[np.float64]:
    """Mean colours of 8 x 8 cells, ``(n, 64 channels)``; black and white are 1 apart.

    What `PixelPatches.images` gives of one picture, for a batch at once.
    """
    height, width, channels = images.shape[1:]
    rows, columns = ([side * cell // CELLS for cell in range(CELLS + 1)] for side in (height, width))
    sums = np.add.reduceat(np.add.reduceat(images.astype(np.float64), rows[:-1], axis=1), columns[:-1], axis=2)
    heights, widths = ([after - before for before, after in itertools.pairwise(edges)] for edges in (rows, columns))
    sizes = np.array([[[float(high * wide)] for wide in widths] for high in heights])
    return (sums / sizes).reshape(len(images), -1) / np.sqrt(CELLS * CELLS * channels)


def open_encoder(
    encoder: str | ImageEncoder | Callable[[Floats], NDArray[Any]] | None,
) -> ImageEncoder | Callable[[Floats], NDArray[Any]] | None:
    """An encoder of pictures by name is opened; anything else is as given.

    What an installed package, or ``py/package.module:callable``, brings is taken as if it had been given.

    Raises:
        UsageError: if it is no encoder, or none of that name is known.
    """
    if isinstance(encoder, str):
        found = brought_encoder(encoder)
        if found is None:
            return load_image_encoder(encoder)
        if callable(found) and not isinstance(found, ImageEncoder):
            known = plugins.identity(plugins.ENCODERS, encoder)
            return plugins.NamedFunction(cast("Callable[..., Any]", found), encoder, known)
        encoder = cast("ImageEncoder", found)  # or whatever it is: told below
    if encoder is None or callable(encoder) or isinstance(encoder, ImageEncoder):  # pyright: ignore[reportUnnecessaryIsInstance] - users are not typed
        return encoder
    raise UsageError(
        f"encoder is a {type(encoder).__name__}; give a callable (samples (n, ...) -> features (n, dim)), the name "
        "of an encoder of pictures such as 'patches' or 'dinov2', or an open one."
    )


def open_features(
    encoder: str | ImageEncoder | Callable[[Floats], NDArray[Any]] | None, prepared: Prepared
) -> Callable[[Floats], NDArray[Any]] | None:
    """A callable from samples to features: as given, or of an image encoder by name or open.

    Raises:
        UsageError: if an encoder of pictures was given for samples that are none, or it is none of these.
    """
    opened = open_encoder(encoder)
    if not isinstance(opened, ImageEncoder):
        return opened
    if prepared.image is None:
        raise UsageError("encoder= encodes pictures, and the samples are none; give a callable that takes samples.")
    return PictureFeatures(opened, prepared)


def installed_features(prepared: Prepared) -> PictureFeatures | None:
    """Features of colour pictures by the best encoder that is here already; None for other samples."""
    if prepared.image is None or prepared.image[2] != 3 or not np.isfinite(prepared.value_range).all():
        return None
    return PictureFeatures(load_image_encoder("auto"), prepared)


Kind: TypeAlias = Literal["intrinsic", "extrinsic"]
Numbers: TypeAlias = NDArray[np.float64]
FeatureEncoder: TypeAlias = Callable[[Floats], NDArray[Any]]
"""Samples as the model takes them, ``(b, *shape)``, to features ``(b, dim)``."""
Scorer: TypeAlias = Callable[[Floats], Numbers]
"""Reconstructions ``(b, *shape)`` of one posterior draw to scores ``(b,)``."""

SMALL = 4096
"""Values up to which a one-channel image counts as small and simple, for ``criteria="auto"``: 64 x 64."""
SSIM_WINDOW = 7
SSIM_CONSTANTS = (0.01, 0.03)


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of samples with the posterior that the model gives them."""

    samples: Floats
    """Shape ``(b, *shape)``."""
    mean: Floats
    """Shape ``(b, d)``."""
    logvar: Floats
    """Shape ``(b, d)``."""
    images: Callable[[Floats], Floats]
    """Samples as images ``(b, height, width, channels)``; raises a UsageError where they are none."""
    span: float
    """Highest minus lowest value of a sample."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """A criterion by name.

    Attributes:
        name: as in reports and tables.
        kind: ``intrinsic`` (of the sample's place in the model) or ``extrinsic`` (of what the model makes of it).
        unit: of a value.
        begin: takes a batch, and returns what scores its reconstructions.
        identity: what tells its numbers from those of others; None: nobody can know, and they are kept for the run.
    """

    name: str
    kind: Kind
    unit: str
    begin: Callable[[Batch], Scorer]
    identity: Mapping[str, JsonValue] | None = None


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


def _begin_pair(score: Callable[[Floats, Floats], Any], name: str) -> Callable[[Batch], Scorer]:
    def begin(batch: Batch) -> Scorer:
        return lambda made: _one_each(score(batch.samples, made), len(made), name)

    return begin


def _one_each(values: Any, n: int, name: str) -> Numbers:
    scores = np.asarray(values, dtype=np.float64)
    if scores.shape != (n,):
        raise DataError(f"The criterion {name!r} gave shape {scores.shape} for {n} samples; it must give ({n},).")
    return scores


def _feature_criterion(name: str, encoder: FeatureEncoder) -> Criterion:
    """Distance between the features of a sample and of its reconstruction; ``fid-pair`` is its square."""
    power = {"feature-l2": 0.5, "fid-pair": 1.0}[name]

    def begin(batch: Batch) -> Scorer:
        wanted = features(encoder, batch.samples)

        def scored(made: Floats) -> Numbers:
            same = made.strides[0] == 0  # one sample, broadcast: what stands in for every reconstruction
            return np.square(wanted - features(encoder, made[:1] if same else made)).sum(axis=1) ** power

        return scored

    unit = f"{'squared ' if name == 'fid-pair' else ''}distance of {_name_of(encoder)} features"
    known: Mapping[str, JsonValue] | None = getattr(encoder, "identity", None)
    return Criterion(name, "extrinsic", unit, begin, None if known is None else _own(name, known))


def features(encoder: FeatureEncoder, samples: Floats) -> Numbers:
    """What the encoder makes of samples: float64 of shape ``(n, dim)``.

    Raises:
        DataError: if it is not one finite vector a sample.
    """
    vectors = np.asarray(encoder(samples), dtype=np.float64)
    if vectors.ndim != 2 or len(vectors) != len(samples):
        raise DataError(
            f"The encoder {_name_of(encoder)} gave shape {vectors.shape} for {len(samples)} samples; it must give "
            f"({len(samples)}, dim): one vector for each."
        )
    if not np.isfinite(vectors).all():
        raise DataError(
            f"The encoder {_name_of(encoder)} gave NaN or infinite features; its preprocessing may not fit samples of "
            f"shape {samples.shape[1:]} between {samples.min():.3g} and {samples.max():.3g}."
        )
    return vectors


def _name_of(thing: object) -> str:
    return str(getattr(thing, "name", None) or getattr(thing, "__name__", None) or type(thing).__name__)


def _own(name: str, encoder: Mapping[str, JsonValue] | None = None) -> dict[str, JsonValue]:
    return {"whygen": name} if encoder is None else {"whygen": name, "encoder": encoder}


def _plain(name: str, kind: Kind, unit: str, begin: Callable[[Batch], Scorer]) -> Criterion:
    return Criterion(name, kind, unit, begin, _own(name))


_PLAIN: Mapping[str, Criterion] = {
    "kld": _plain("kld", "intrinsic", "nats", _begin_kld),
    "sse": _plain("sse", "extrinsic", "squared values, summed over the sample", _begin_pair(sse, "sse")),
    "mse": _plain("mse", "extrinsic", "squared values, averaged over the sample", _begin_pair(mse, "mse")),
    "dssim": _plain("dssim", "extrinsic", "(1 - SSIM) / 2", _begin_dssim),
}
_BY_FEATURES = ("feature-l2", "fid-pair")
CRITERIA: tuple[str, ...] = (*_PLAIN, *_BY_FEATURES)
"""Names of the criteria for models with an encoder and a decoder."""


@dataclass(frozen=True, slots=True)
class ChosenCriteria:
    """The criteria of a run, why these, and what they cannot do."""

    criteria: tuple[Criterion, ...]
    reason: str
    warnings: tuple[Warned, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(criterion.name for criterion in self.criteria)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        return tuple(criterion.kind for criterion in self.criteria)


def choose(
    criteria: str | Sequence[CriterionLike], prepared: Prepared, *, encoder: FeatureEncoder | None = None
) -> ChosenCriteria:
    """Criteria by name, as objects, or ``"auto"``: kld with sse for small simple images, with features for others.

    Args:
        criteria: ``"auto"``, names separated by commas, or a sequence of names, `Criterion` objects and callables
            ``(samples, reconstructions) -> (b,)``, which count as extrinsic.
        prepared: the anchors.
        encoder: for the criteria on features.

    Raises:
        UnknownNameError: if nobody registered a name.
        UsageError: if a criterion needs an encoder and there is none, or two have one name.
    """
    if criteria == "auto":
        names, reason, used = _automatic(prepared, encoder)
        told = _pixels_only(used) if encoder is None else ()
        return ChosenCriteria(tuple(_resolve(name, used) for name in names), reason, told)
    chosen = by_name(criteria, encoder)
    if "dssim" in chosen.names and criteria != "auto":
        _require_images(prepared)
    return chosen


def _require_images(prepared: Prepared) -> None:
    """Refuse dssim before anything is encoded, where it cannot be had."""
    blank = prepared.images(np.zeros((1, *prepared.shape), np.float32))
    dssim(blank, blank, span=1.0)


def by_name(
    criteria: str | Sequence[CriterionLike], encoder: FeatureEncoder | None, *, given: bool | None = None
) -> ChosenCriteria:
    """Criteria that were asked for, other than ``"auto"``.

    Args:
        criteria: as `choose` takes them.
        encoder: for the criteria on features.
        given: whether there will be an encoder, where it is not open yet.

    Raises:
        UnknownNameError: if nobody registered a name.
        UsageError: if a criterion needs an encoder and there is none, or two have one name.
    """
    if encoder is None and given:
        encoder = _not_yet_open
    wanted = criteria.split(",") if isinstance(criteria, str) else list(criteria)
    resolved = tuple(_resolve(each.strip() if isinstance(each, str) else each, encoder) for each in wanted)
    names = [criterion.name for criterion in resolved]
    if not names or len(set(names)) < len(names):
        raise UsageError(f"criteria are {names}; give one or more, each once: {', '.join(CRITERIA)} or a callable.")
    return ChosenCriteria(resolved, "as asked for")


def _not_yet_open(samples: Floats) -> NDArray[Any]:
    raise AssertionError(f"{len(samples)} samples came before the encoder was open")


def _automatic(
    prepared: Prepared, encoder: FeatureEncoder | None
) -> tuple[tuple[str, str], str, FeatureEncoder | None]:
    """Names, why these, and the encoder for them: as given, or for colour pictures the best that is here already."""
    shown = " x ".join(str(size) for size in prepared.image or prepared.shape)
    simple = prepared.image is not None and prepared.image[2] == 1 and int(np.prod(prepared.shape)) <= SMALL
    if simple:
        reason = f"kld and sse: {shown} is a small image of one channel, where pixels can be compared"
        return ("kld", "sse"), reason, encoder
    used = encoder or installed_features(prepared)
    if used is not None:
        whose = "" if encoder is not None else ", which is installed; encoder= takes another"
        reason = (
            f"kld and feature-l2: {shown} is no small image of one channel, where pixels mislead; features by "
            f"{_name_of(used)}{whose}"
        )
        return ("kld", "feature-l2"), reason, used
    open_ended = prepared.image is not None and not np.isfinite(prepared.value_range).all()
    why = (
        "no range of values is known: give value_range=, or encoder="
        if open_ended
        else "there is no encoder: give encoder="
    )
    reason = (
        f"kld and sse: {shown} is no small image of one channel, where features are better than pixels, but {why} "
        "for feature-l2"
    )
    return ("kld", "sse"), reason, None


def _pixels_only(used: FeatureEncoder | None) -> tuple[Warned, ...]:
    """Say where features of colour pictures are colours alone, as no encoder with weights is here."""
    if getattr(used, "learned", True):
        return ()
    text = (
        "No encoder that has learned to see is installed: feature-l2 compares the mean colours of 8 x 8 cells, which "
        "hardly tells what a picture shows. Fetch the weights of facebook/dinov2-base once (encoder='dinov2' does, "
        "with pip install 'whygen[diffusion]'), or give encoder= a callable (samples (n, ...) -> features (n, dim))."
    )
    return (Warned(code="no-encoder", text=text),)


def known_criteria() -> list[str]:
    """Names of criteria: whygen's own, and those of installed packages."""
    return [*CRITERIA, *plugins.entries(plugins.CRITERIA, CRITERIA)]


def _brought(name: str) -> Criterion:
    """The criterion that an installed package or ``py/package.module:callable`` brings."""
    found = plugins.brought(plugins.CRITERIA, name, argument="criteria")
    if found is None:
        raise UnknownNameError("criterion", name, known_criteria())
    if isinstance(found, Criterion) or callable(found):
        made = _resolve(cast("CriterionLike", found), None)
        return made if made.identity is not None else replace(made, identity=plugins.identity(plugins.CRITERIA, name))
    raise UsageError(
        f"criteria={name!r} is a {type(found).__name__}: it must be a Criterion, or a callable "
        "(samples, reconstructions) -> a number for each."
    )


def _resolve(wanted: CriterionLike, encoder: FeatureEncoder | None) -> Criterion:
    if isinstance(wanted, Criterion):
        return wanted
    if callable(wanted):
        name = _name_of(wanted)
        return Criterion(name, "extrinsic", "as the callable gives it", _begin_pair(wanted, name))
    if wanted in _PLAIN:
        return _PLAIN[wanted]
    if wanted not in _BY_FEATURES:
        return _brought(wanted)
    if encoder is None:
        raise UsageError(
            f"The criterion {wanted!r} compares features, and no encoder was given. Give encoder='patches', "
            "'dinov2' or a callable (samples (n, ...) -> features (n, dim)), or use sse."
        )
    return _feature_criterion(wanted, encoder)
