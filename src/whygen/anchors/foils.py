"""What a model is held against: reconstructions that know nothing of the sample, and samples unlike the reference.

Whoever returns the mean picture, whatever it was given, "reproduces" by the standard of a reference that it returned
the mean picture for, too. So an anchor *comes back* only where its reconstruction is better than the trivial ones, and
none of the model's reconstructions of other samples is nearer to it: by luck alone, the reconstruction of a model that
does not look at its sample is the nearest of 20 in one case of 20 (METHODS, corrections to B2 and B3; decision 13).

A criterion that cannot tell foils from the reference says nothing of a model. Three are made of the reference: its
pixels shuffled, noise with its spectrum, blends of two samples; a fourth is found among the anchors: those of labels
that the reference does not have. Each is scored as anchors are.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from whygen.anchors.arrays import Criteria
from whygen.anchors.criteria import RECONSTRUCTION, Criterion, Way
from whygen.anchors.samples import Prepared
from whygen.anchors.scoring import POSTERIOR_MEAN, ModelAsked, StandIn, StandIns, give_back
from whygen.models.latent import Floats, Generator
from whygen.results.anchors_scores import CriterionRecord, PowerRecord, Scored
from whygen.stats.auroc import auroc

MEAN, CONSTANT, OWN, NEAREST, OTHERS = "mean", "constant", "own", "nearest", "others"
BARS = (MEAN, CONSTANT, OWN, NEAREST)
"""What a reconstruction must be better than."""
MOST_BASE = 200
"""So many samples give the mean of the model's reconstructions,"""
MOST_OTHERS = 19
"""and so many of them stand in for reconstructions of others: to be nearer than these has a chance of .05."""
MOST_KNOWN = 1_000
"""So many reference samples are looked through for the nearest one."""
LEAST_GAIN = 0.02
"""Saving less than this part of the trivial error is no reconstruction, however sure it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The samples that trivial reconstructions are made of: the reference, or the anchors where there is none.

    Attributes:
        prepared: those samples.
        is_reference: whether they are the reference.
        mean: their mean, in the model's shape, float64.
        typical: the mean of the model's reconstructions of a few of them, in the model's shape.
        known: rows that the nearest sample is looked for among.
        others: some of these reconstructions, ``(k, *shape)``.
    """

    prepared: Prepared
    is_reference: bool
    mean: NDArray[np.float64]
    typical: Floats
    known: NDArray[np.int64]
    others: Floats

    @property
    def what(self) -> str:
        return "reference" if self.is_reference else "anchors"


def reconstructions(
    model: Generator | ModelAsked, prepared: Prepared, rng: np.random.Generator, way: Way = RECONSTRUCTION
) -> tuple[Floats, Floats]:
    """The mean of what the model gives back for at most `MOST_BASE` samples, and some of what it gives back."""
    rows = np.sort(rng.permutation(len(prepared)).astype(np.int64)[:MOST_BASE])
    _, made = give_back(model, prepared, rows, way)
    typical = made.mean(axis=0, dtype=np.float64).astype(np.float32)
    return typical, made[rng.permutation(len(made))[:MOST_OTHERS]]


def base_of(prepared: Prepared, made: tuple[Floats, Floats], rng: np.random.Generator, *, is_reference: bool) -> Base:
    """The base for trivial reconstructions.

    Args:
        prepared: its samples.
        made: what `reconstructions` gave for them.
        rng: of the same seed as there.
        is_reference: whether they are the reference.
    """
    parts = (part.sum(axis=0, dtype=np.float64) for _, part in prepared.batches(prepared.batch_size))
    return Base(
        prepared=prepared,
        is_reference=is_reference,
        mean=np.asarray(sum(parts, start=np.float64(0)) / len(prepared)),
        typical=made[0],
        known=np.sort(rng.permutation(len(prepared)).astype(np.int64)[:MOST_KNOWN]),
        others=made[1],
    )


def stand_ins(base: Base, *, own: bool) -> StandIns:
    """What stands in for the reconstructions of a set of samples.

    Args:
        base: what they are made of.
        own: whether the set *is* the base: then no sample takes part in its mean, and none is its own neighbour.
    """
    return {
        MEAN: [_mean(base, own=own)],
        CONSTANT: [lambda _, samples: _flat(base.prepared, samples)],
        OWN: [_always(base.typical)],
        NEAREST: [_nearest(base, own=own)],
        OTHERS: [_always(each) for each in base.others],
    }


def _always(one: Floats) -> StandIn:
    """That one, for every sample; not copied, so that whoever encodes it need not do so for each of a batch."""
    return lambda _, samples: np.broadcast_to(one, samples.shape)


def _mean(base: Base, *, own: bool) -> StandIn:
    n = len(base.prepared)
    mean = base.mean.astype(np.float32)
    if not own or n < 2:
        return _always(mean)
    return lambda _, samples: ((n * base.mean - samples) / (n - 1)).astype(np.float32)


def _flat(prepared: Prepared, samples: Floats) -> Floats:
    """Each sample in its own mean value, for each channel of an image."""
    if prepared.image is None:
        return np.broadcast_to(samples.reshape(len(samples), -1).mean(axis=1).reshape(-1, *[1] * (samples.ndim - 1)),
                               samples.shape)  # fmt: skip
    images = prepared.images(samples)
    return as_samples(prepared, np.broadcast_to(images.mean(axis=(1, 2), keepdims=True), images.shape))


def as_samples(prepared: Prepared, images: Floats) -> Floats:
    """Images ``(b, height, width, channels)`` in the model's shape: the way back from `Prepared.images`."""
    ordered = images.transpose(0, 3, 1, 2) if prepared.layout == "NCHW" else images
    return np.ascontiguousarray(ordered).reshape(len(images), *prepared.shape)


def _nearest(base: Base, *, own: bool) -> StandIn:
    known = base.prepared.rows(base.known)
    points = known.reshape(len(known), -1)
    centre = points.mean(axis=0)
    centred = points - centre
    squares = np.square(centred).sum(axis=1)

    def stand_in(place: slice, samples: Floats) -> Floats:
        apart = squares - 2 * (samples.reshape(len(samples), -1) - centre) @ centred.T
        if own:
            apart[base.known == np.arange(place.start, place.start + len(samples))[:, None]] = np.inf
        return known[apart.argmin(axis=1)]

    return stand_in


def gains(scores: Scored, criteria: Sequence[Criterion | CriterionRecord]) -> NDArray[np.float64]:
    """Part of the best trivial reconstruction's error that the model saves, ``(n, c)``; NaN for intrinsic criteria."""
    values, bars = scores.stand_ins[POSTERIOR_MEAN], np.min([scores.stand_ins[name] for name in BARS], axis=0)
    saved = np.divide(bars - values, np.abs(bars), out=np.zeros_like(values), where=bars != 0)
    saved[:, [criterion.kind == "intrinsic" for criterion in criteria]] = np.nan
    return saved


def coming_back(scores: Scored, gain: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which samples come back, ``(n,)``: by every extrinsic criterion, better than what is trivial and than others."""
    intrinsic = np.isnan(gain)
    nearest = scores.stand_ins[POSTERIOR_MEAN] <= scores.stand_ins[OTHERS]
    return np.asarray((intrinsic | ((gain > LEAST_GAIN) & nearest)).all(axis=1))


FEWEST, MOST = 32, 250
"""Foils of each kind: a sixteenth of the samples scored, within these."""
FEWEST_LABELLED = 10
MOST_COMPARED = 1_000
WHAT: Mapping[str, str] = {
    "shuffled": "shuffled copies",
    "noise": "noise of the same spectrum",
    "blends": "blends of two samples",
    "other labels": "anchors of other labels",
}
"""Each foil in words."""


@dataclass(frozen=True, slots=True)
class Foil:
    """One kind of foil, ready for the model."""

    name: str
    prepared: Prepared


def foils_each(scored: int) -> int:
    """How many foils of each kind, where so many samples are scored anyway."""
    return min(max(scored // 16, FEWEST), MOST)


def make_foils(base: Prepared, n: int, rng: np.random.Generator) -> list[Foil]:
    """Foils of three kinds, ``n`` of each, made of samples drawn from the base."""
    makers: dict[str, Callable[[Floats], Floats]] = {
        "shuffled": lambda samples: _shuffled(base, samples, rng),
        "noise": lambda samples: _noise(base, samples, rng),
        "blends": lambda samples: _blended(base, samples, rng),
    }
    made: list[Foil] = []
    for name, make in makers.items():
        rows = rng.integers(len(base), size=n)
        samples = make(base.rows(rows))
        low, high = base.value_range
        prepared = _as_prepared(base, np.clip(samples, low, high).astype(np.float32))
        made.append(Foil(name, replace(prepared, conditions=base.conditions_of(rows))))
    return made


def _as_prepared(like: Prepared, samples: Floats) -> Prepared:
    order = tuple(range(samples.ndim))
    return replace(like, raw=samples, order=order, scale=1.0, offset=0.0, what="foil", warnings=())


def _shuffled(base: Prepared, samples: Floats, rng: np.random.Generator) -> Floats:
    """The pixels of each sample in an order of its own, all channels of a pixel together."""
    images = _pixels(base, samples)
    flat = images.reshape(len(images), -1, images.shape[-1])
    order = rng.permuted(np.tile(np.arange(flat.shape[1]), (len(flat), 1)), axis=1)
    return _back(base, np.take_along_axis(flat, order[:, :, None], axis=1).reshape(images.shape))


def _noise(base: Prepared, samples: Floats, rng: np.random.Generator) -> Floats:
    """Each sample with the phases of white noise: the same spectrum and mean, nothing else of it.

    All channels take the same phases, so that colours stay as related as they are.
    """
    images = _pixels(base, samples).astype(np.float64)
    axes = (1, 2) if base.image is not None else (1,)
    white = np.fft.rfftn(rng.standard_normal((*images.shape[:-1], 1)), axes=axes)
    turn = white / np.maximum(np.abs(white), np.finfo(np.float64).tiny)
    turn[(slice(None), *(0,) * len(axes))] = 1.0  # the mean stays
    spectrum = np.fft.rfftn(images, axes=axes) * turn
    sizes = [images.shape[axis] for axis in axes]
    return _back(base, np.fft.irfftn(spectrum, s=sizes, axes=axes).astype(np.float32))


def _blended(base: Prepared, samples: Floats, rng: np.random.Generator) -> Floats:
    return np.float32(0.5) * (samples + base.rows(rng.integers(len(base), size=len(samples))))


def _pixels(base: Prepared, samples: Floats) -> Floats:
    """Images ``(b, height, width, channels)``; samples that are no images as ``(b, values, 1)``."""
    return samples.reshape(len(samples), -1, 1) if base.image is None else base.images(samples)


def _back(base: Prepared, images: Floats) -> Floats:
    return images.reshape(len(images), *base.shape) if base.image is None else as_samples(base, images)


def power(
    names: Sequence[str],
    foil: str,
    base: tuple[Criteria, NDArray[np.int64]],
    others: tuple[Criteria, NDArray[np.int64]],
) -> list[PowerRecord]:
    """For each criterion, whether it tells the base from a foil.

    Args:
        names: of the c criteria.
        foil: its name.
        base: criteria ``(m, c)`` of samples, and the compressed sizes of some of them.
        others: the same of the foils.
    """
    of_size = auroc(base[1], others[1])[0]
    records: list[PowerRecord] = []
    for place, name in enumerate(names):
        area, low, high = auroc(base[0][:, place], others[0][:, place])
        records.append(
            PowerRecord(
                criterion=name, foil=foil, auroc=area, low=low, high=high, size_auroc=max(of_size, 1 - of_size),
                tells=low > 0.5,
            )
        )  # fmt: skip
    return records


def sizes(samples: Floats, *, like: Floats) -> NDArray[np.int64]:
    """Bytes of each sample compressed by zlib, its values in 256 steps between the lowest and highest of ``like``."""
    low, high = float(like.min()), float(like.max())
    steps = np.clip((samples - low) / ((high - low) or 1.0), 0, 1) * 255
    return np.array([len(zlib.compress(row.tobytes(), 6)) for row in steps.round().astype(np.uint8)], dtype=np.int64)
