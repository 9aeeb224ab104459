"""Samples that are there twice: exact copies in any type, layout or scale, and near ones (noise, compression, a shift).

A copy adds no information, and a threshold or a share that counts it is surer than it may be. Exact copies are told by
fingerprints: of the grey levels where a row lies on 256 of them (so uint8, floats between 0 and 1 or -1 and 1, and
half precision agree), else of its numbers in single precision. Near copies are told on thumbnails, in which noise and
compression average out, at the best of nine shifts; only for samples of at least `FEWEST` values, as vectors of a few
numbers lie near to each other by chance.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whygen.anchors.arrays import Points
from whygen.anchors.data import SampleSet
from whygen.anchors.samples import Prepared
from whygen.models.latent import Floats
from whygen.results.prompt import Warned
from whygen.stats.seeds import generator

FEWEST = 64
NEAR = 0.15
"""Two samples nearer than this part of their distance to the mean sample are one sample, up to noise."""
THUMBNAIL = 16
"""Largest side of the pictures by which near copies are told."""
WAVES = 5
"""Frequencies, each way, by whose strengths the few that may be near copies are found: a shift leaves them alone."""
CANDIDATES = 4
MOST_PAIRS = 30_000_000
"""More pairs than this are not compared: some of the samples, evenly spaced, then stand for all."""
LEVELS = 255
OFF_LEVEL = 0.1
"""How far from a grey level a value may lie, as a part of the step: half precision stays within .07."""
ROUNDING = 1e-4
"""The same for single precision."""
BY_CHANCE_BITS = 40
"""Whole numbers that can make up fewer different samples than two to this power may coincide by chance."""
MANY = 0.05
"""Near copies are told of from this share of a set on: a few make no interval too narrow."""
EXAMPLES = 3
BLOCK = 4096

Rows = NDArray[np.int64]


def once(samples: Prepared, source: SampleSet) -> tuple[Rows, tuple[Warned, ...]]:
    """Which samples of a set are to be counted, ascending: all but copies of earlier ones; and what was found.

    Samples that may be equal by chance are all counted.
    """
    everything = np.arange(len(samples), dtype=np.int64)
    copies, what = repeated(samples), f"{samples.what}s"
    found: list[Warned] = []
    distinct = everything
    if len(copies):
        counted = "all are counted, as samples of so few whole numbers can be equal by chance"
        if not may_coincide(samples):
            distinct = np.setdiff1d(everything, copies.rows)
            counted = f"each distinct one is counted once, {len(distinct):,} in all"
        text = (
            f"{len(copies):,} of the {len(samples):,} {what} are copies of earlier ones "
            f"({_pairs(copies, source, source, 'equals')}): {counted}."
        )
        found.append(Warned(code=f"duplicate-{_CODES[samples.what]}", text=text))
    near = nearly_repeated(samples, distinct)
    if near.looked and len(near) > MANY * near.looked:
        text = (
            f"{len(near):,} of {near.looked:,} {what} are nearly the same as another "
            f"({_pairs(near, source, source, 'is nearly')}): all are counted as if they were independent, so levels "
            "and intervals hold for fewer than they say. Give one of each."
        )
        found.append(Warned(code=f"near-duplicate-{_CODES[samples.what]}", text=text))
    return distinct, tuple(found)


def check_shared(
    anchors: Prepared, reference: Prepared, anchor_set: SampleSet, reference_set: SampleSet
) -> tuple[Warned, ...]:
    """Warn of anchors that are in the reference too, exactly or nearly: they are compared with themselves."""
    exact = shared(anchors, reference)
    kinds = (
        (exact, "exactly", "is reference sample"),
        (nearly_shared(anchors, reference, but=exact.rows), "nearly", "is nearly reference sample"),
    )
    told = [
        f"{len(found):,} {_verb(len(found))} {how} in the reference too "
        f"({_pairs(found, anchor_set, reference_set, link)})"
        for found, how, link in kinds
        if len(found)
    ]
    if not told:
        return ()
    text = (
        f"Of the {len(anchors):,} anchors {' and '.join(told)}. Their p-values compare them with themselves, and the "
        "level does not hold for them: leave them out of one of the two."
    )
    return (Warned(code="reference-overlap", text=text),)


def _verb(count: int) -> str:
    return "is" if count == 1 else "are"


def _pairs(found: Matches, samples: SampleSet, others: SampleSet, link: str) -> str:
    """A few examples: ``3 equals 0; 4 equals 1``."""
    pairs = list(zip(found.rows[:EXAMPLES].tolist(), found.of[:EXAMPLES].tolist(), strict=True))
    shown = "; ".join(f"{samples.name(row)} {link} {others.name(of)}" for row, of in pairs)
    return f"{shown}; ..." if len(found) > EXAMPLES else shown


_CODES = {"anchor": "anchors", "reference sample": "reference"}


@dataclass(frozen=True, slots=True)
class Matches:
    """Pairs of one sample and the earlier (or the other set's) sample that it repeats, ``rows[i]`` and ``of[i]``."""

    rows: Rows
    of: Rows
    looked: int
    """How many samples were looked at."""

    def __len__(self) -> int:
        return len(self.rows)


def repeated(samples: Prepared) -> Matches:
    """Exact copies within a set: every sample that was there before, and the first one that it equals."""
    seen: dict[bytes, int] = {}
    firsts = np.array([seen.setdefault(key, row) for row, key in enumerate(fingerprints(samples))], dtype=np.int64)
    rows = np.flatnonzero(firsts != np.arange(len(firsts))).astype(np.int64)
    return Matches(rows, firsts[rows], len(samples))


def shared(samples: Prepared, others: Prepared) -> Matches:
    """Samples that are, exactly, among the others, each with the first one that it equals."""
    known: dict[bytes, int] = {}
    for row, key in enumerate(fingerprints(others)):
        known.setdefault(key, row)
    found = np.array([known.get(key, -1) for key in fingerprints(samples)], dtype=np.int64)
    rows = np.flatnonzero(found >= 0).astype(np.int64)
    return Matches(rows, found[rows], len(samples))


def may_coincide(samples: Prepared) -> bool:
    """Whether equal samples may be different ones: short vectors of few whole numbers, such as answers on a scale."""
    raw = samples.raw
    if raw.dtype.kind == "f" and not np.array_equal(raw, np.rint(raw)):
        return False
    levels = 1.0 + float(raw.max()) - float(raw.min())
    return math.log2(levels) * math.prod(samples.shape) < BY_CHANCE_BITS


def fingerprints(samples: Prepared) -> Iterator[bytes]:
    """One for each sample, equal for exact copies in whatever type, layout or range."""
    for _, part in samples.batches(BLOCK):
        rows = part.reshape(len(part), -1)
        levels, on_levels = _grey_levels(rows, samples.value_range)
        plain = rows + np.float32(0)  # turns -0 into 0: equal numbers, equal bytes
        for row, fits in enumerate(on_levels):
            data = b"8" + levels[row].tobytes() if fits else b"f" + plain[row].tobytes()
            yield hashlib.blake2b(data, digest_size=16).digest()


def _grey_levels(rows: Floats, value_range: tuple[float, float]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Rows as grey levels, and which rows are made of these; data without a range may be in any of the usual three."""
    low, high = value_range
    ranges = ((low, high),) if math.isfinite(low) and math.isfinite(high) else ((0.0, 1.0), (0.0, 255.0), (-1.0, 1.0))
    levels, fits = np.zeros(rows.shape, np.uint8), np.zeros(len(rows), np.bool_)
    for bottom, top in ranges:
        scaled = (rows - np.float32(bottom)) * np.float32(LEVELS / (top - bottom))
        rounded = np.clip(np.rint(scaled), 0, LEVELS)
        off, top_level = np.abs(scaled - rounded).max(axis=1, initial=0.0), rounded.max(axis=1, initial=0.0)
        # Numbers far smaller than a step would all round to one level: rows of a single level must lie on it.
        single = top_level - rounded.min(axis=1, initial=LEVELS) < 2
        here = ~fits & (off <= OFF_LEVEL) & (~single | (off <= ROUNDING) & (top_level > 0))
        levels[here] = rounded[here].astype(np.uint8)
        fits |= here
    return levels, fits


# --- near copies ---------------------------------------------------------------------------------------------------


def nearly_repeated(samples: Prepared, distinct: Rows) -> Matches:
    """Near copies among the distinct samples of a set, each with the nearest other one."""
    return _near(samples, distinct, samples, distinct)


def nearly_shared(samples: Prepared, others: Prepared, *, but: Rows) -> Matches:
    """Samples (``but`` for those named) that are nearly among the others."""
    rows = np.setdiff1d(np.arange(len(samples), dtype=np.int64), but)
    return _near(samples, rows, others, np.arange(len(others), dtype=np.int64))


def _near(samples: Prepared, rows: Rows, others: Prepared, among: Rows) -> Matches:
    nothing = np.zeros(0, np.int64)
    if math.prod(samples.shape) < FEWEST or len(rows) == 0 or len(among) < 2:
        return Matches(nothing, nothing, 0)
    looked = rows[:: max(1, -(-len(rows) * len(among) // MOST_PAIRS))]
    candidates = _candidates(samples, looked, others, among)
    mean = np.mean(_thumbnails(others, among[:: max(1, len(among) // BLOCK)]), axis=0)
    found = np.full(len(looked), -1, np.int64)
    for start in range(0, len(looked), BLOCK):
        some = slice(start, start + BLOCK)
        own = _thumbnails(samples, looked[some]) - mean
        best, found[some] = _verified(own, samples, looked[some], others, candidates[some], mean)
        found[some][best > NEAR] = -1
    hit = found >= 0
    return Matches(looked[hit], found[hit], len(looked))


def _candidates(samples: Prepared, rows: Rows, others: Prepared, among: Rows) -> Rows:
    """The few of the others that lie nearest to each sample at a glance, ``(rows, CANDIDATES)``; never itself."""
    known, own = _glances(others, among), _glances(samples, rows)
    count = min(CANDIDATES, len(among) - (samples is others))
    squares = np.square(known).sum(axis=1)
    found = np.empty((len(rows), count), np.int64)
    size = max(1, MOST_PAIRS // 8 // len(among))
    for start in range(0, len(rows), size):
        some = slice(start, start + size)
        apart = squares - 2 * own[some] @ known.T
        if samples is others:
            apart[among == rows[some][:, None]] = np.inf
        found[some] = among[np.argpartition(apart, count - 1, axis=1)[:, :count]]
    return found


def _verified(
    own: Points, samples: Prepared, rows: Rows, others: Prepared, candidates: Rows, mean: Points
) -> tuple[NDArray[np.float64], Rows]:
    """Distance to the nearest candidate at its best shift, relative to that from the mean, and which one that is."""
    size = np.maximum(np.linalg.norm(own, axis=1), np.finfo(np.float32).tiny)
    best, which = np.full(len(rows), np.inf), candidates[:, 0].copy()
    for place in range(candidates.shape[1]):
        for shift in _shifts(others):
            theirs = _thumbnails(others, candidates[:, place], shift=shift) - mean
            apart = np.linalg.norm(own - theirs, axis=1) / size
            nearer = apart < best
            best[nearer], which[nearer] = apart[nearer], candidates[nearer, place]
    return best, which


def _shifts(samples: Prepared) -> tuple[tuple[int, int], ...]:
    """By at most one pixel each way; none for what is no image."""
    if samples.image is None:
        return ((0, 0),)
    return tuple((down, right) for down in (0, -1, 1) for right in (0, -1, 1))


def _thumbnails(samples: Prepared, rows: Rows, *, shift: tuple[int, int] = (0, 0)) -> Points:
    """Images pooled to at most `THUMBNAIL` a side and flattened; other vectors as they are."""
    parts: list[Points] = []
    for start in range(0, len(rows), BLOCK):
        part = samples.rows(rows[start : start + BLOCK])
        if samples.image is not None:
            part = _pooled(np.roll(samples.images(part), shift, axis=(1, 2)))
        parts.append(part.reshape(len(part), -1))
    return np.concatenate(parts)


def _pooled(images: Floats) -> Floats:
    """Means over blocks of whole pixels; a rest that fills no block is a block of its own."""
    for axis in (1, 2):
        size = int(images.shape[axis])
        edges = np.arange(0, size, max(1, -(-size // THUMBNAIL)))
        widths = np.diff(edges, append=size).astype(np.float32)
        sums: Floats = np.add.reduceat(images, edges, axis=axis)
        images = sums / widths.reshape([-1 if place == axis else 1 for place in range(4)])
    return images


def _glances(samples: Prepared, rows: Rows) -> Points:
    """A few numbers a sample that a copy has nearly, too: strengths of low frequencies of images, else a projection.

    A random projection keeps distances roughly (Johnson and Lindenstrauss 1984).
    """
    parts: list[Points] = []
    for start in range(0, len(rows), BLOCK):
        part = samples.rows(rows[start : start + BLOCK])
        if samples.image is not None:
            waves = np.abs(np.fft.rfft2(samples.images(part).mean(axis=3)))[:, :, :WAVES]
            low = np.concatenate([waves[:, :WAVES], waves[:, WAVES:][:, 1 - WAVES :]], axis=1)
            parts.append(low.reshape(len(part), -1).astype(np.float32))
        else:
            parts.append(_projected(part.reshape(len(part), -1)))
    return np.concatenate(parts)


def _projected(rows: Floats) -> Points:
    if rows.shape[1] <= FEWEST:
        return rows
    onto = generator(0, "copies", "projection").standard_normal((rows.shape[1], FEWEST), dtype=np.float32)
    return rows @ onto / np.float32(math.sqrt(FEWEST))
