"""The evidence of an explanation of a prompt: masks, effects, and every answer behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from whygen.results.media import MediaEvidence, PictureEvidence
from whygen.types import Floats, Masks, Picture, ToolCall


@dataclass(frozen=True, slots=True)
class Sample:
    """One perturbed prompt and its answer. ``mask`` is its row in `Evidence.masks`, None for what is no mask."""

    kind: Literal["reference", "repeat", "empty", "mask", "redraw", "further"]
    mask: int | None
    draw: int
    prompt: str
    output: str
    finish: str
    effect: float | None
    scores: tuple[tuple[int, int, float], ...] | None = None
    """Where a given text was scored: characters ``[start, end)`` of each token, and its log-probability in nats."""
    extra: dict[str, JsonValue] | None = None
    """What the provider said beside the text; None where it said nothing."""
    calls: tuple[dict[str, JsonValue], ...] | None = None
    """The tools that were called, each with its name and the JSON text of its arguments; None where there were none."""

    @property
    def said(self) -> str:
        """The text, and below it each call as ``name(arguments)``."""
        called = [ToolCall.from_json(call).said for call in self.calls or ()]
        return "\n".join(filter(None, (self.output, *called))) if called else self.output


@dataclass(frozen=True, slots=True, eq=False)
class ProxyEvidence:
    """What a cheap model did, asked beside the one that is explained.

    Attributes:
        masks: of the model that is explained and, last, the whole prompt, shape ``(m + 1, n)``.
        effects: of the proxy there, shape ``(m + 1,)``; NaN where it gave no answer.
        apart: masks that only the proxy was asked, shape ``(k, n)``, pair by pair.
        apart_effects: of the proxy there, shape ``(k,)``.
        attributions: of the proxy by these, shape ``(n,)``.
        standard: their standard errors, shape ``(n,)``.
        keep: the chance that a unit is kept.
        sizes: the chance of each size of a mask, where masks were drawn by size.
        kept: the chance of each number of kept units, where masks were drawn by that number.
        total: f(1) - f(0) of the proxy, where Shapley values share it out.
    """

    masks: Masks
    effects: Floats
    apart: Masks
    apart_effects: Floats
    attributions: Floats
    standard: Floats
    keep: float = 0.5
    sizes: Floats | None = None
    kept: Floats | None = None
    total: float | None = None

    def __eq__(self, other: object) -> bool:
        """Whether every array and every number is the same; missing numbers (NaN) are equal to each other."""
        if not isinstance(other, ProxyEvidence):
            return NotImplemented
        return all(_same(getattr(self, field.name), getattr(other, field.name)) for field in fields(self))

    __hash__ = None  # pyright: ignore[reportAssignmentType] - arrays have no hash


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """The arrays behind an explanation; all of shape ``(m, ...)`` in the same row order."""

    masks: Masks
    """Shape ``(m, n)``."""
    effects: Floats
    """Shape ``(m,)``: mean over draws, in the target's unit."""
    predicted: NDArray[np.float64]
    """Shape ``(m,)``: the surrogate's prediction of each effect, fitted without that row's pair."""
    groups: NDArray[np.int64]
    """Shape ``(m,)``: rows of one group (a complement pair) stand or fall together."""
    samples: tuple[Sample, ...] = field(default=())
    pictures: PictureEvidence | None = None
    """The pictures, where the model drew; they belong to ``samples`` by their order."""
    media: MediaEvidence | None = None
    """Sounds or videos, where the model answered with them; they belong to ``samples`` by their order."""
    answers: NDArray[np.int64] | None = None
    """Shape ``(m, draws)``: which of ``samples`` answered each mask, -1 where it was drawn less often. Masks that were
    sent alike may share one. None in folders of before it was kept, and where several prompts were asked."""
    nearness: NDArray[np.float64] | None = None
    """Shape ``(m,)``: the weight of each mask under the kernel of ``local``; None for other estimands."""
    proxy: ProxyEvidence | None = None
    """What a cheap model did beside; None where none was asked."""
    images: tuple[Picture, ...] = ()
    """The images of the chat that was explained, each once, as they came."""

    def __eq__(self, other: object) -> bool:
        """Whether every array and every sample is the same; missing numbers (NaN) are equal to each other."""
        if not isinstance(other, Evidence):
            return NotImplemented
        return (
            np.array_equal(self.masks, other.masks)
            and np.array_equal(self.groups, other.groups)
            and np.array_equal(self.effects, other.effects, equal_nan=True)
            and np.array_equal(self.predicted, other.predicted, equal_nan=True)
            and self.samples == other.samples
            and self.pictures == other.pictures
            and self.media == other.media
            and _equal(self.answers, other.answers)
            and _equal(self.nearness, other.nearness)
            and self.proxy == other.proxy
            and [each.data for each in self.images] == [each.data for each in other.images]
        )

    __hash__ = None  # pyright: ignore[reportAssignmentType] - arrays have no hash


def _same(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other, equal_nan=np.asarray(one).dtype.kind == "f")


def _equal(one: NDArray[Any] | None, other: NDArray[Any] | None) -> bool:
    return one is other if one is None or other is None else np.array_equal(one, other)


_KINDS = {"f": "f", "g": "f", "i": "iu", "b": "biu"}


def misfit(arrays: Mapping[str, NDArray[Any]], expected: Mapping[str, str], sizes: dict[str, int]) -> str:
    """Which of some arrays is not what it should be, in words; empty if all are.

    What is read from a file may have been cut, changed or made up: whoever computes with it would fail, or take an
    index past the end for another row.

    Args:
        arrays: by name.
        expected: by name a kind and the axes, as ``f m n``: ``f`` for finite numbers, ``g`` for numbers of which some
            may be missing, ``i`` for places (whole numbers), ``b`` for yes or no. A place on an axis is written
            ``i<m``: -1 for none, or below the length of ``m``.
        sizes: lengths of axes that are known; those that are not are learned from the first array that has them.
    """
    for name, told in expected.items():
        if (array := arrays.get(name)) is None:
            continue
        kind, *axes = told.split()
        if array.dtype.kind not in _KINDS[kind[0]]:
            return f"{name} holds values of type {array.dtype}"
        learned = dict(zip(axes, array.shape, strict=False))
        if array.ndim != len(axes) or any(sizes.setdefault(axis, length) != length for axis, length in learned.items()):
            return f"{name} has shape {array.shape}, not {tuple(sizes.get(axis, axis) for axis in axes)}"
        if kind == "f" and not np.isfinite(array).all():
            return f"{name} holds NaN or an infinite value"
        if "<" in kind and array.size and not (array.min() >= -1 and array.max() < sizes[kind[2:]]):
            return f"{name} points past the end"
    return ""
