"""Foils: samples that are not what the reference is. A criterion that cannot tell them apart says nothing of a model.

Three are made of the reference: its pixels shuffled, noise with its spectrum, blends of two samples; a fourth is found
among the anchors: those of labels that the reference does not have. Each is scored as anchors are.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from whygen.anchors.arrays import Criteria
from whygen.anchors.samples import Prepared
from whygen.anchors.trivial import as_samples
from whygen.models.latent import Floats
from whygen.results.anchors_controls import PowerRecord
from whygen.stats.auroc import auroc

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
        samples = make(base.rows(rng.integers(len(base), size=n)))
        low, high = base.value_range
        made.append(Foil(name, _as_prepared(base, np.clip(samples, low, high).astype(np.float32))))
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
