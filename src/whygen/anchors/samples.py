"""Samples on their way to the model: shape, layout and value range checked once, converted batch by batch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from whygen.errors import DataError, UsageError, none_of
from whygen.models.latent import LAYOUTS, UNBOUNDED, UNIT_RANGE, Floats, Generator, LatentModel, Layout
from whygen.results.prompt import Warned

Raw: TypeAlias = NDArray[Any]
"""Samples as they were loaded: uint8, bool, other integers or floats, shape ``(n, ...)``."""

CHANNELS = (1, 3, 4)
"""Numbers of channels by which the layout of a four-dimensional array is told where nobody states it."""
TOLERANCE = 1e-3
"""How far outside of its range a value may lie, as a part of the range: rounding of a resize, for instance."""
BATCH_BYTES = 16 * 2**20
BATCH_LIMITS = (1, 1024)
BLOCK = 4096
_PROBED = 32
"""So many samples of a model are drawn to see what range they have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Samples that fit a model: the raw array, and how a row of it becomes what the model takes.

    Attributes:
        raw: as loaded, ``(n, ...)``.
        shape: of one sample as the model takes it.
        order: axes of the raw array in the order of the model's, before reshaping.
        scale: what a raw value is multiplied with,
        offset: and what is added then.
        layout: how a sample in the model's shape is read as an image; None: it is no image.
        image: height, width and channels of that image.
        value_range: of the model.
        what: "anchor" or "reference sample", for messages.
        warnings: about ranges that look wrong but need not be.
        conditions: the class or caption of each sample, where the model is told of it.
    """

    raw: Raw
    shape: tuple[int, ...]
    order: tuple[int, ...]
    scale: float
    offset: float
    layout: Layout | None
    image: tuple[int, int, int] | None
    value_range: tuple[float, float]
    what: str = "anchor"
    warnings: tuple[Warned, ...] = ()
    conditions: tuple[int | str, ...] | None = None

    def __len__(self) -> int:
        return len(self.raw)

    def conditions_of(self, rows: NDArray[np.int64]) -> tuple[int | str, ...] | None:
        """What the model is told of those samples."""
        return None if self.conditions is None else tuple(self.conditions[int(row)] for row in rows)

    def only(self, rows: NDArray[np.int64]) -> Prepared:
        """Those samples alone, in that order."""
        return replace(self, raw=self.raw[rows], conditions=self.conditions_of(rows))

    def rows(self, rows: slice | NDArray[np.int64]) -> Floats:
        """Those samples as the model takes them: float32, ``(b, *shape)``."""
        part = np.transpose(self.raw[rows], self.order)
        values = np.multiply(part, np.float32(self.scale), dtype=np.float32, casting="unsafe")
        if self.offset != 0.0:
            values += np.float32(self.offset)
        return values.reshape(len(values), *self.shape)

    def batches(self, size: int, within: slice | None = None) -> Iterator[tuple[slice, Floats]]:
        """All samples in order (or those of a part), ``size`` at a time, each with its place."""
        first, last = (0, len(self)) if within is None else (within.start, within.stop)
        for start in range(first, last, size):
            place = slice(start, min(start + size, last))
            yield place, self.rows(place)

    def images(self, samples: Floats) -> Floats:
        """Samples in the model's shape as images ``(b, height, width, channels)``, still in the model's range.

        Raises:
            UsageError: if they are no images, as far as anyone said.
        """
        if self.image is None:
            raise UsageError(
                f"Samples of shape {self.shape} cannot be read as images. Give the anchors as images (NHW, NHWC or "
                "NCHW), or state the layout of the model: Generator(layout=...)."
            )
        height, width, channels = self.image
        if self.layout == "NCHW":
            return samples.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
        return samples.reshape(-1, height, width, channels)

    def pictures(self, samples: Floats) -> Floats:
        """Images for looking at: ``(b, height, width, channels)`` between 0 and 1."""
        low, high = self.value_range
        return np.clip((self.images(samples) - low) / (high - low), 0, 1).astype(np.float32)

    @property
    def batch_size(self) -> int:
        """How many samples a call should take, by the size of one."""
        lowest, highest = BATCH_LIMITS
        return min(max(BATCH_BYTES // (4 * math.prod(self.shape)), lowest), highest)


def prepare(samples: Raw, model: LatentModel, *, layout: Layout | None = None, what: str = "anchor") -> Prepared:
    """Samples checked against what the model expects.

    Args:
        samples: ``(n, ...)``; uint8 is taken as 0..255 and scaled, floats must be in the model's own range.
        model: states shape, layout and range.
        layout: of ``samples``, where the shape leaves it open.
        what: what to call a sample in messages.

    Raises:
        DataError: if there are none, or shape, layout, range or type do not fit, or a value is NaN or infinite.
    """
    raw = _array(samples, what)
    known = layout or _told_layout(raw.shape, model)
    order, shape, told = _placed(raw.shape, known, model, what)
    scale, offset, warnings = _scaling(raw, model.value_range, what)
    return Prepared(
        raw=raw,
        shape=shape,
        order=order,
        scale=scale,
        offset=offset,
        layout=told,
        image=_image(shape, told, raw.shape, known),
        value_range=model.value_range,
        what=what,
        warnings=warnings,
    )


def require_rows(samples: Raw, model: LatentModel, *, what: str = "anchor") -> None:
    """Refuse one sample that was given as if it were several.

    Raises:
        DataError: if the whole array has the values of one sample of the model.
    """
    shape = np.shape(samples)
    if model.shape is not None and shape and shape[0] > 1 and _same_size(shape, model.shape):
        raise DataError(
            f"The {what}s are an array of shape {shape}, as many values as one sample of the model {model.uri} has "
            f"({_shape_text(model)}). If it is one sample, give array[None]: {what}s lie along the first axis."
        )


def saturated(prepared: Prepared) -> Prepared:
    """Every value above the lowest becomes the highest, as the loader of the authors' code does (METHODS B5)."""
    low, high = prepared.value_range
    whole = np.concatenate([part for _, part in prepared.batches(BLOCK)])
    marked = np.where(whole > low, high, low).astype(np.float32)
    return replace(prepared, raw=marked, order=tuple(range(marked.ndim)), scale=1.0, offset=0.0)


def _array(samples: Raw, what: str) -> Raw:
    raw = np.asarray(samples)
    if raw.dtype.kind not in "fiub":
        raise DataError(f"The {what}s are an array of type {raw.dtype}; give numbers: uint8 or floats.")
    if raw.ndim == 1 and len(raw) > 0:
        raise DataError(
            f"The {what}s are {len(raw):,} single numbers, as labels are. Give an array (n, ...) with a sample in each "
            f"row; a single sample is array[None]."
        )
    if raw.ndim < 2 or len(raw) == 0:
        raise DataError(
            f"There are no {what}s: the array has shape {raw.shape}. Give at least one, as (n, ...) with the "
            f"{what}s along the first axis."
        )
    return raw


def _told_layout(shape: Sequence[int], model: LatentModel) -> Layout | None:
    """The layout that a raw array's shape tells; None where it is not an image by its shape."""
    if model.shape is not None and model.layout is not None and _fits(shape[1:], model.shape):
        return model.layout
    if len(shape) == 2:
        return "flat"
    if len(shape) == 3:
        return "NHW"
    if len(shape) != 4:
        return None
    first, last = shape[1] in CHANNELS, shape[3] in CHANNELS
    if first == last:
        return None
    return "NCHW" if first else "NHWC"


def _fits(shape: Sequence[int], stated: Sequence[int | None]) -> bool:
    return len(shape) == len(stated) and all(want in (None, have) for have, want in zip(shape, stated, strict=True))


def _placed(
    shape: Sequence[int], layout: Layout | None, model: LatentModel, what: str
) -> tuple[tuple[int, ...], tuple[int, ...], Layout | None]:
    """Order of axes, shape of one sample, and layout, as the model takes it."""
    _require_layout(shape, layout, what)
    given, same = tuple(shape[1:]), tuple(range(len(shape)))
    wanted = model.layout or _layout_of_model(model.shape)
    if model.shape is None and (wanted is None or wanted == layout):
        return same, given, layout
    if layout in ("NHWC", "NHW", "NCHW"):
        order, placed = _as_layout(shape, layout, wanted if wanted != "flat" else "NCHW")
        one_channel = _size(shape, layout)[2] == 1
        if model.shape is None and (wanted != "flat" or one_channel):
            return order, placed if wanted != "flat" else (math.prod(placed),), wanted
        if model.shape is not None and _fits(placed, model.shape):
            return order, placed, wanted
        if model.shape is not None and one_channel and _same_size(given, model.shape):
            return same, _whole(model.shape), wanted
    elif model.shape is not None and _fits(given, model.shape):
        return same, given, wanted or layout
    elif model.shape is not None and layout == "flat" and _same_size(given, model.shape):
        return same, _whole(model.shape), wanted
    raise DataError(
        f"The {what}s have shape {given} each{f' ({layout})' if layout else ''}, and the model {model.uri} takes "
        f"{_shape_text(model)}. Give {what}s of that shape{_of_pictures(given, layout, model)}; if the model takes "
        "others, state its shape."
    )


def _of_pictures(given: Sequence[int], layout: Layout | None, model: LatentModel) -> str:
    """What makes pictures fit: their size, their channels; "" where they are none, or the model does not say."""
    shape, wanted = model.shape, model.layout or _layout_of_model(model.shape)
    pictures = ("NHW", "NHWC", "NCHW")
    if layout not in pictures or wanted not in pictures or shape is None or None in shape:
        return ""
    one, other = _size((1, *given), layout), _size((1, *_whole(shape)), wanted)
    told = [f"size=({other[0]}, {other[1]})"] if one[:2] != other[:2] else []
    told += [f"mode='{'L' if other[2] == 1 else 'RGB'}'"] if one[2] != other[2] and other[2] in (1, 3) else []
    return f" (pictures become so by {' and '.join(told)}; convert arrays yourself)" if told else ""


def _require_layout(shape: Sequence[int], layout: Layout | None, what: str) -> None:
    axes = {"flat": 2, "NHW": 3, "NHWC": 4, "NCHW": 4}
    if layout is not None and layout not in axes:
        raise none_of("layout", layout, LAYOUTS)
    if layout is not None and axes[layout] != len(shape):
        raise DataError(
            f"The {what}s have shape {tuple(shape)}, which cannot be {layout}: that has {axes[layout]} axes."
        )


def _layout_of_model(shape: tuple[int | None, ...] | None) -> Layout | None:
    """The layout that a stated shape tells; a model's four-dimensional input is NCHW unless its last axis says else."""
    if shape is None or len(shape) not in (1, 2, 3):
        return None
    if len(shape) < 3:
        return "flat" if len(shape) == 1 else "NHW"
    return "NHWC" if shape[2] in CHANNELS and shape[0] not in CHANNELS else "NCHW"


def _size(shape: Sequence[int], layout: Layout) -> tuple[int, int, int]:
    """Height, width, channels."""
    if layout == "NHW":
        return shape[1], shape[2], 1
    return (shape[2], shape[3], shape[1]) if layout == "NCHW" else (shape[1], shape[2], shape[3])


def _as_layout(shape: Sequence[int], layout: Layout, wanted: Layout | None) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The order of axes that turns ``layout`` into ``wanted``, and the shape of one sample then."""
    height, width, channels = _size(shape, layout)
    places = {"NCHW": (channels, height, width), "NHWC": (height, width, channels), "NHW": (height, width)}
    same = tuple(range(len(shape)))
    if wanted is None or wanted == layout or wanted not in places:
        return same, tuple(shape[1:])
    if wanted == "NHW" and channels != 1:
        return same, tuple(shape[1:])
    if "NHW" in (layout, wanted):
        return same, places[wanted]  # one channel: the same numbers in the same order
    return ((0, 3, 1, 2) if wanted == "NCHW" else (0, 2, 3, 1)), places[wanted]


def _same_size(given: Sequence[int], stated: Sequence[int | None]) -> bool:
    return None not in stated and math.prod(given) == math.prod(_whole(stated))


def _whole(stated: Sequence[int | None]) -> tuple[int, ...]:
    return tuple(size for size in stated if size is not None)


def _shape_text(model: LatentModel) -> str:
    if model.shape is None:
        return f"the layout {model.layout}"
    sizes = ", ".join("any" if size is None else str(size) for size in model.shape)
    return f"({sizes}){f' ({model.layout})' if model.layout else ''}"


def _image(
    shape: Sequence[int], layout: Layout | None, raw: Sequence[int], raw_layout: Layout | None
) -> tuple[int, int, int] | None:
    """Height, width and channels of a sample in the model's shape, from whoever knows them."""
    if layout in ("NHW", "NHWC", "NCHW"):
        return _size((0, *shape), layout)
    if raw_layout in ("NHW", "NHWC", "NCHW"):
        return _size(raw, raw_layout)
    side = math.isqrt(math.prod(shape))
    return (side, side, 1) if side * side == math.prod(shape) and side > 1 else None


_RANGES = (UNIT_RANGE, (-1.0, 1.0), (0.0, 255.0))
"""Ranges that pictures are trained on."""


def in_range(model: Generator, anchors: Raw, reference: Raw | None = None) -> Generator:
    """The model with the range of values that its samples, anchors and reference tell, where nobody stated one."""
    if model.range_found:
        return _as_generated(model, np.asarray(anchors))
    if model.range_assumed:
        return _open_ended(model, [np.asarray(each) for each in (anchors, reference) if each is not None])
    return model


def _as_generated(model: Generator, raw: Raw) -> Generator:
    """The range of a few samples that the model made, which the anchors may be of or go beyond."""
    if raw.dtype.kind not in "fub":
        return model
    if raw.dtype.kind != "f":
        low, high = _nearest_range(model, raw / np.float32(255 if raw.dtype == np.uint8 else 1))
        text = (
            f"Nobody stated the range of values of {model.uri}: pictures are given to it as {low:g} to {high:g}. State "
            "value_range= if it was trained on another."
        )
        return replace(model, value_range=(low, high), notices=(*model.notices, ("range-found", text)))
    if raw.ndim > 2 and (raw >= 0).all() and (raw <= 1).all():
        return replace(model, value_range=_nearest_range(model, raw))
    inside = bool((raw >= model.value_range[0]).all() and (raw <= model.value_range[1]).all())
    return model if inside or raw.ndim > 2 else replace(model, value_range=UNBOUNDED)


def _open_ended(model: Generator, given: Sequence[Raw]) -> Generator:
    """No range where 0 to 1 was our guess, and rows of numbers that are no pictures go beyond it."""
    if any(rows.ndim != _ROWS or not rows.size or _like_bytes(rows) for rows in given):
        return model
    if all(rows.min() >= 0 and rows.max() <= 1 for rows in given):
        return model
    text = (
        f"Nobody stated the range of values of {model.uri}, and rows of numbers go beyond 0..1: they are given to it "
        "as they are, as numbers of any size. State value_range= if the rows are flattened pictures."
    )
    return replace(model, value_range=UNBOUNDED, range_assumed=False, notices=(*model.notices, ("range-open", text)))


_ROWS = 2
"""Dimensions of a table: a row of numbers for each sample."""


def _like_bytes(rows: Raw) -> bool:
    """Whether these are a flattened picture's values from 0 to 255, which a model of 0 to 1 must not get."""
    if rows.dtype.kind not in "fi":  # uint8 and masks, which have a scale of their own
        return True
    square = math.isqrt(rows.shape[-1]) ** 2 == rows.shape[-1] and rows.shape[-1] >= _LEAST_PICTURE
    return square and bool((rows >= 0).all()) and 1 < rows.max() <= 255


_LEAST_PICTURE = 36
"""Numbers in a row from which a square number of them may be a picture of 6 x 6."""


def _nearest_range(model: Generator, unit: NDArray[np.floating[Any]]) -> tuple[float, float]:
    """The range in which pictures, given between 0 and 1, have the mean and the spread that generated samples have."""
    if "samples" not in model.abilities or model.samples is not None:
        return UNIT_RANGE
    made, part = np.ma.masked_invalid(model.sample(_PROBED, np.random.default_rng(0))), unit[:_PROBED]
    middle, spread = (float(np.ma.filled(each, 0)) for each in (np.mean(made), np.std(made)))
    apart = [
        abs(low + (high - low) * float(part.mean()) - middle) + abs((high - low) * float(part.std()) - spread)
        for low, high in _RANGES
    ]
    return _RANGES[int(np.argmin(apart))]


def _scaling(raw: Raw, value_range: tuple[float, float], what: str) -> tuple[float, float, tuple[Warned, ...]]:
    """Scale and offset from raw values to the model's range, and warnings about ranges that look wrong."""
    low, high = value_range
    if math.isinf(low) or math.isinf(high):
        _require_finite(raw, what)
        return 1.0, 0.0, ()
    if raw.dtype == np.bool_:
        return high - low, low, ()
    if raw.dtype == np.uint8:
        if raw.max() == 1:
            raise DataError(
                f"The {what}s are uint8 with values of 0 and 1 only; uint8 is taken as 0..255. Give bool or floats for "
                "masks, or multiply by 255."
            )
        return (high - low) / 255, low, ()
    _require_finite(raw, what)
    smallest, largest = float(raw.min()), float(raw.max())
    slack = TOLERANCE * (high - low)
    if smallest < low - slack or largest > high + slack:
        raise DataError(_range_text(smallest, largest, value_range, what))
    return 1.0, 0.0, _suspicious(smallest, largest, value_range, what)


_OVERSHOT = 0.25
"""Values that lie beyond the range by no more than this share of it are of that range, and overshot it."""


def _range_text(smallest: float, largest: float, value_range: tuple[float, float], what: str) -> str:
    low, high = value_range
    text = f"The {what}s have values from {smallest:.6g} to {largest:.6g}, and the model takes {low:g}..{high:g}. "
    beyond = max(low - smallest, largest - high)
    if beyond <= _OVERSHOT * (high - low):
        return text + (
            f"A few values lie just beyond it, as resizing leaves them: clip them (numpy.clip(x, {low:g}, {high:g})), "
            "or state the range that the model takes (value_range)."
        )
    if smallest >= 0 and 1 < largest <= 255:
        return text + f"They look like 0..255: divide them by 255 (and map them to {low:g}..{high:g}), or give uint8."
    return text + "Scale them as the training data were, or state the range that the model takes (value_range)."


def _suspicious(smallest: float, largest: float, value_range: tuple[float, float], what: str) -> tuple[Warned, ...]:
    low, high = value_range
    if low < 0 <= smallest and largest > 0.5 * high:
        text = (
            f"The {what}s lie in {smallest:.3g}..{largest:.3g}, and the model takes {low:g}..{high:g}: map 0..1 to it."
        )
        return (Warned(code="range-suspect", text=text),)
    if largest - low < 0.05 * (high - low):
        text = f"The {what}s reach {largest:.3g} only, of {low:g}..{high:g}: were they divided by 255 twice?"
        return (Warned(code="range-suspect", text=text),)
    return ()


def _require_finite(raw: Raw, what: str) -> None:
    if raw.dtype.kind != "f":
        return
    for start in range(0, len(raw), BLOCK):
        part = raw[start : start + BLOCK]
        wrong = np.flatnonzero(~np.isfinite(part.reshape(len(part), -1)).all(axis=1))
        if wrong.size:
            raise DataError(
                f"The {what} {start + int(wrong[0])} holds NaN or an infinite value. Leave it out, or mend the data."
            )
