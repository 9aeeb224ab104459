"""Generators: one object with whatever a model can do (encode, decode, sample, tell a density), however it is spelled.

A `Generator` is the black box that the anchor wing talks to, with what it must know of it: the shape, the layout and
the value range of its samples. `whygen.models.load_latent` makes one of whatever a user has.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from collections.abc import Generator as Yields
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from whygen._arguments import told
from whygen.errors import DataError, ModelError, UsageError, WhygenError, none_of
from whygen.models.latent.refusals import OWN, SIDE_BY_SIDE
from whygen.models.protocols import Denoises
from whygen.safe import says
from whygen.types import JsonValue

Floats: TypeAlias = NDArray[np.float32]
Layout: TypeAlias = Literal["flat", "NHW", "NHWC", "NCHW"]
Encode: TypeAlias = Callable[[Floats], tuple[Floats, Floats]]
Decode: TypeAlias = Callable[[Floats], Floats]
Sampling: TypeAlias = Callable[[Floats, np.random.Generator], Floats]
Sampler: TypeAlias = Callable[[int, np.random.Generator], Floats]
LogProb: TypeAlias = Callable[[Floats], NDArray[np.floating[Any]]]
Ability: TypeAlias = Literal["posterior", "reconstruction", "samples", "latents", "density", "denoiser"]
"""What a criterion may need of a generator: see `Generator.abilities`."""

Scale: TypeAlias = Literal["logvar", "std", "var"]

LAYOUTS: tuple[Layout, ...] = ("flat", "NHW", "NHWC", "NCHW")
SCALES: tuple[Scale, ...] = ("logvar", "std", "var")
UNIT_RANGE = (0.0, 1.0)
UNBOUNDED = (-math.inf, math.inf)
"""The value range of samples that are not images: nothing is checked and nothing is scaled."""


class Posterior(NamedTuple):
    """What `encode` returns where nobody need guess: the second part is the log-variance. Each ``(n, d)``."""

    mean: Floats
    logvar: Floats


@told
@dataclass(frozen=True, slots=True, kw_only=True)
class Generator:
    """A generative model, as numpy callables: any of them may be None, and not all.

    Attributes:
        encode: samples ``(n, *shape)`` to mean and log-variance of the posterior, each ``(n, d)``; a `Posterior`, or
            a pair whose second part is what ``scale`` says.
        decode: latents ``(n, d)`` to samples ``(n, *shape)``.
        sampler: n generated samples; None: standard normal latents, decoded.
        log_prob: samples ``(n, *shape)`` to the log of their density or probability, ``(n,)``, in nats.
        denoiser: what takes noise out of samples, as `Denoises` says.
        invert: samples to the nearest that the model can make, ``(n, *shape)``, NaN where none was found; None: it is
            looked for among latents, where there is ``decode`` alone.
        samples: all that is known of the model, as `whygen.anchors.data.load_samples` takes it: samples that it made.
        uri: what the model is called in reports.
        shape: of one sample; None in a place means "any size"; None alone means "not known".
        layout: how a sample is to be read as an image; needed only where the shape leaves it open.
        value_range: lowest and highest value of a sample; `UNBOUNDED` for data that are not images.
        scale: what the second part of a pair is: ``logvar``, ``std`` (a standard deviation) or ``var``; None: a
            log-variance, unless `require_log_variance` finds that it may be another.
        latent_dim: d, where it is known before anything was encoded.
        batch_size: samples in one call; None: chosen by the size of a sample.
        prefers: the layout to try first where neither shape nor layout is stated.
        reference: samples that the model has not seen and that come with it, as `whygen.anchors.data.load_samples`
            takes them: the reference wherever none is given.
        untrained: from a seed to a copy of the model with new random weights; None: it cannot be had.
        identify: what makes the model answer as it does, asked for when scores are recorded: a torch module gives the
            digest of its weights. None: nobody can know, and scores are kept for the run alone.
        notices: what is to be said of how the model was opened, a code and a text each: they become warnings.
        range_found: whether ``value_range`` is that of a few generated samples, and nobody stated it.
        range_assumed: whether nobody stated ``value_range``, and 0 to 1 is taken for what pictures are trained on.
        trained_on: what the model was trained on, in words, for reports.
    """

    encode: Encode | None = None
    decode: Decode | None = None
    sampler: Sampler | None = None
    log_prob: LogProb | None = None
    denoiser: Denoises | None = None
    invert: Sampling | None = None
    samples: object | None = None
    uri: str = "latent"
    shape: tuple[int | None, ...] | None = None
    layout: Layout | None = None
    value_range: tuple[float, float] = UNIT_RANGE
    scale: Scale | None = None
    latent_dim: int | None = None
    batch_size: int | None = None
    prefers: Layout | None = None
    reference: object | None = None
    untrained: Callable[[int], Generator] | None = None
    identify: Callable[[], Mapping[str, Any] | None] | None = None
    notices: tuple[tuple[str, str], ...] = ()
    range_found: bool = False
    range_assumed: bool = False
    trained_on: str = ""

    def __post_init__(self) -> None:
        low, high = self.value_range
        if not low < high:
            raise UsageError(f"value_range is {self.value_range}; give (lowest, highest), such as (0, 1).")
        if self.layout is not None and self.layout not in LAYOUTS:
            raise none_of("layout", self.layout, LAYOUTS)
        if self.scale is not None and self.scale not in SCALES:
            raise none_of("scale", self.scale, SCALES)
        if self.batch_size is not None and self.batch_size < 1:
            raise UsageError(f"batch_size is {self.batch_size}; give at least 1, or None to have it chosen.")
        if not self.abilities:
            raise UsageError(
                f"The generator {self.uri} can do nothing that anchors could be scored by. Give encode= and decode=, "
                "decode= with latent_dim=, sampler=, log_prob=, denoiser= or samples=."
            )

    @property
    def abilities(self) -> frozenset[Ability]:
        """What can be asked of the model.

        ``posterior``: `encode`; ``reconstruction``: `encode` and `decode`; ``samples``: it generates, or its samples
        are given; ``latents``: `decode` without `encode`, or `invert`; ``density``: `log_prob`; ``denoiser``.
        """
        draws = self.sampler is not None or self.samples is not None
        found: dict[Ability, bool] = {
            "posterior": self.encode is not None,
            "reconstruction": self.encode is not None and self.decode is not None,
            "samples": draws or self.decode is not None,
            "latents": self.invert is not None or (self.decode is not None and self.encode is None),
            "density": self.log_prob is not None,
            "denoiser": self.denoiser is not None,
        }
        return frozenset(name for name, can in found.items() if can)

    @property
    def identity(self) -> Mapping[str, JsonValue] | None:
        """What tells this model's scores from those of any other; None where nobody can know."""
        return None if self.identify is None else self.identify()

    def encoded(self, samples: Floats) -> tuple[Any, Any]:
        """What `encode` gives, once it is sure to be a pair: two rows of latents would pass for one.

        Raises:
            UsageError: if it gives latents alone, as a plain autoencoder does, or cannot encode.
        """
        if self.encode is None:
            raise UsageError(f"The generator {self.uri} does not encode: it has no posterior.")
        told: Any = self.encode(samples)
        if isinstance(told, tuple | list):
            parts = cast("tuple[Any, ...] | list[Any]", told)
            if len(parts) == 2 and parts[1] is not None:
                return parts if isinstance(parts, Posterior) else (parts[0], parts[1])
            what = f"a {type(parts).__name__} of {len([part for part in parts if part is not None])}"
        elif np.ndim(told) == 3 and len(told) == 2:
            return told[0], told[1]
        else:
            what = f"one {type(told).__name__} of shape {np.shape(told)}"
        raise UsageError(
            f"encode of {self.uri} returned {what}, and no posterior: it is a plain autoencoder, or a quantised one. "
            f"{OWN} {SIDE_BY_SIDE}"
        )

    def posterior(self, samples: Floats) -> Posterior:
        """Mean and log-variance, whatever `encode` gives as its second part.

        Raises:
            DataError: if what should be standard deviations or variances is not above 0.
        """
        told = self.encoded(samples)
        mean, second = (np.asarray(part, dtype=np.float32) for part in told)
        if isinstance(told, Posterior) or self.scale in (None, "logvar"):
            return Posterior(mean, second)
        if (second <= 0).any():
            raise DataError(
                f"scale={self.scale!r}, and encode of {self.uri} returned {float(second.min()):.4g}, which is not "
                "above 0. Give scale='logvar' if these are log-variances."
            )
        return Posterior(mean, np.log(second) * np.float32(2 if self.scale == "std" else 1))

    def require_log_variance(self, samples: Floats) -> None:
        """Refuse a pair whose second part may be a standard deviation, where nobody said what it is.

        A log-variance is below 0 wherever the encoder is surer than the prior, so one that is nowhere below 0 (and
        not 0 throughout, the log of the prior's own variance) is hardly one. What else it is cannot be told for sure:
        the latents of a trained model have the prior's variance in all (Makhzani et al. 2015, arXiv 1511.05644),
        whether standard deviations or variances are what is added to the variance of the means.

        Raises:
            UsageError: if it may be another; says how to tell whygen.
        """
        told = self.encoded(samples)
        if self.scale is not None or isinstance(told, Posterior):
            return
        mean, second = (np.asarray(part, dtype=np.float64) for part in told)
        if second.size == 0 or mean.shape != second.shape or not np.isfinite(second).all():
            return
        if second.min() < 0 or second.max() == 0:
            return
        with np.errstate(over="ignore"):
            readings = (second**2, np.exp(second))
        as_std, as_logvar = (float(np.median(mean.var(axis=0) + part.mean(axis=0))) for part in readings)
        raise UsageError(
            f"encode of {self.uri} returns a pair whose second part is nowhere below 0 ({second.min():.3g} to "
            f"{second.max():.3g} over {len(mean)} samples). whygen takes it for a log-variance, which is below 0 "
            "wherever the encoder is surer than the prior: these look like standard deviations (read so, latents have "
            f"a variance of {as_std:.3g}, and read as log-variances of {as_logvar:.3g}; the prior has 1). Say what "
            "they are: scale='std' (or 'var', or 'logvar'); or return whygen.models.Posterior(mean, logvar)."
        )

    def decoded(self, latents: Floats) -> Floats:
        """What `decode` makes of latents.

        Raises:
            UsageError: if the model does not decode.
        """
        if self.decode is None:
            raise UsageError(f"The generator {self.uri} does not decode: it has no latents.")
        return self.decode(latents)

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """``n`` samples ``(n, *shape)`` from the model's own sampler, or from standard normal latents.

        Raises:
            UsageError: if the model cannot sample, or the number of latent dimensions is not known.
            ModelError: if its sampler raises.
        """
        if self.sampler is not None:
            with answering(f"sample({n}) of {self.uri}"):
                return self.sampler(n, rng)
        if self.samples is not None:
            raise UsageError(f"{self.uri} is all that is known of the model: nothing more can be generated.")
        if self.decode is None:
            raise UsageError(f"The generator {self.uri} does not sample. Give Generator(sampler=...).")
        if self.latent_dim is None:
            raise UsageError("latent_dim of the model is not known; give Generator(latent_dim=...) to sample from it.")
        return self.decode(rng.standard_normal((n, self.latent_dim), dtype=np.float32))


@contextmanager
def answering(what: str, where: str = "") -> Yields[None]:
    """Inside, a model of somebody else is asked: what it raises is said of it, in one sentence.

    Args:
        what: is asked, such as "encode of mine".
        where: about which samples.

    Raises:
        ModelError: if it raises anything but an error of whygen's own.
    """
    try:
        yield
    except WhygenError:
        raise
    except Exception as error:  # foreign code: whatever it raises is its answer
        raise ModelError(f"{what} raised {says(error).rstrip('.')}{where}.") from error


LatentModel = Generator
"""The public name."""


def stated(model: object, *, uri: str | None) -> dict[str, Any]:
    """What a model says of itself by attributes, as fields of a `Generator`."""
    said: dict[str, Any] = {"uri": uri or str(getattr(model, "uri", "") or f"object/{type(model).__name__}")}
    names = {
        "sample_shape": "shape",
        "layout": "layout",
        "value_range": "value_range",
        "latent_dim": "latent_dim",
        "posterior_scale": "scale",
    }
    for attribute, name in names.items():
        if (value := getattr(model, attribute, None)) is not None:
            said[name] = tuple(value) if name in {"shape", "value_range"} else value
    if isinstance(words := getattr(model, "trained_on", None), str):
        said["trained_on"] = words
    return said
