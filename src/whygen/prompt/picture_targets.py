"""What is measured of a picture: ``f(z) = -D(picture(z), reference)`` in the distance's own unit (METHODS A5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from whygen import distances
from whygen._arguments import typed
from whygen.encoders import ImageEncoder, load_image_encoder
from whygen.errors import DataError, UnknownNameError, UsageError
from whygen.media import pictures
from whygen.prompt import gsmile
from whygen.prompt.targets import Target, Verb
from whygen.results.prompt import TargetRecord
from whygen.types import Floats, Output, Picture, Vectors

Numbers: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pictured:
    """A distance between pictures. A refusal without a picture counts as a black one.

    Attributes:
        record: what is measured.
        apart: distances of pictures to one, ``(n,)``.
    """

    record: TargetRecord
    apart: Callable[[Sequence[Picture], Picture], Numbers]
    verb: Verb = "answer"

    def check(self, reference: Output) -> None:
        """Refuse an answer without a picture before any mask is paid for."""
        _drawn(reference)

    def effects(self, outputs: Sequence[Output], references: Sequence[Output]) -> Floats:
        return self.against(outputs, references).mean(axis=1)

    def against(self, outputs: Sequence[Output], references: Sequence[Output]) -> Numbers:
        wanted = [_drawn(reference) for reference in references]
        black = _black(wanted[0])
        order: dict[Picture, int] = {}
        given = [black if output.picture is None else output.picture for output in outputs]
        back = [order.setdefault(picture, len(order)) for picture in given]
        return -np.column_stack([self.apart(list(order), reference) for reference in wanted])[back]


def _drawn(reference: Output) -> Picture:
    if reference.picture is None:
        said = f" It said: {reference.text[:100]!r}." if reference.text.strip() else ""
        raise DataError(
            f"The model drew no picture for the whole prompt, so there is none to compare with.{said} Use a model that "
            "draws, or a target for texts."
        )
    return reference.picture


def _black(like: Picture) -> Picture:
    width, height = pictures.size(like)
    return pictures.picture_of(np.zeros((height, width, 3), dtype=np.uint8))


def sets_apart(
    encoder: ImageEncoder, distance: distances.SetDistance
) -> Callable[[Sequence[Picture], Picture], Numbers]:
    """A distance between the sets of patches of pictures."""
    return lambda given, one: distance(encoder.patches(given), encoder.patches([one])[0])


def pooled_apart(
    encoder: ImageEncoder, distance: distances.VectorDistance
) -> Callable[[Sequence[Picture], Picture], Numbers]:
    """A distance between one vector a picture."""
    return lambda given, one: distance(encoder.images(given), encoder.images([one])[0])


def pixels_apart(given: Sequence[Picture], one: Picture) -> Numbers:
    """Root of the mean squared difference of pixels, 0 to 1, shape ``(n,)``, in the size of the reference."""
    reference = pictures.pixels(one)
    height, width = reference.shape[:2]
    values = [pictures.resized(pictures.pixels(each), width=width, height=height) for each in given]
    return np.array([_root_mean_square(each, reference) for each in values])


def _root_mean_square(a: pictures.Pixels, b: pictures.Pixels) -> float:
    return float(np.sqrt(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2)) / 255.0)


def coordinates_apart(encoder: ImageEncoder) -> Callable[[Sequence[Picture], Picture], Numbers]:
    """The published distance: 1-D Wasserstein between the coordinate values of two mean-pooled vectors (METHODS A6)."""

    def apart(given: Sequence[Picture], one: Picture) -> Numbers:
        reference: Vectors = encoder.means([one])[0]
        return np.array([gsmile.coordinate_wasserstein(row, reference) for row in encoder.means(given)])

    return apart


_SETS: Mapping[str, tuple[str, distances.SetDistance]] = {
    "optimal-transport": ("exact optimal transport", distances.optimal_transport),
    "sinkhorn": ("Sinkhorn divergence", distances.sinkhorn),
    "energy": ("energy distance", distances.energy),
}
_POOLED: Mapping[str, tuple[str, distances.VectorDistance]] = {
    "cosine": ("cosine distance", distances.cosine),
    "euclidean": ("Euclidean distance", distances.euclidean),
}
PICTURE_TARGETS = (*_SETS, *_POOLED, "pixel", "coordinate-wasserstein")
"""Names of targets for pictures."""


@typed()
def load_picture_target(name: str = "auto", *, encoder: str | ImageEncoder = "auto") -> Target:
    """The target for pictures of that name; ``auto`` is exact optimal transport between sets of patches.

    Args:
        name: ``auto``, or one of `PICTURE_TARGETS`.
        encoder: ``auto`` (dinov2 if its weights are on this machine, else ``patches``), what `load_image_encoder`
            takes, or an open encoder.

    Raises:
        UnknownNameError: if there is no such target.
        UsageError: if an encoder is named for a target that uses none, or one of texts is given.
        MissingError: if the encoder is not there.
    """
    name = "optimal-transport" if name == "auto" else name
    if name not in PICTURE_TARGETS:
        raise UnknownNameError("target for pictures", name, [*PICTURE_TARGETS, "auto"])
    if name == "pixel":
        if encoder != "auto":
            raise UsageError(
                f"encoder={encoder!r} is given, but target='pixel' uses none. Leave it out, or use 'cosine'."
            )
        record = TargetRecord(name=name, distance="root mean square of pixels", unit="share of full scale (0 to 1)")
        return Pictured(record, pixels_apart)
    opened = load_image_encoder(encoder) if isinstance(encoder, str) else encoder
    if not isinstance(opened, ImageEncoder):  # pyright: ignore[reportUnnecessaryIsInstance] - user code
        raise UsageError(f"encoder is a {type(opened).__name__}, which sees no pictures. Use 'patches' or 'dinov2'.")
    return _encoded(name, opened)


def _encoded(name: str, encoder: ImageEncoder) -> Target:
    if name in _SETS:
        title, sets = _SETS[name]
        unit = f"{title} between sets of patches, as {encoder.name} sees them"
        return Pictured(TargetRecord(name=name, distance=title, unit=unit), sets_apart(encoder, sets))
    if name in _POOLED:
        title, pooled = _POOLED[name]
        unit = f"{title} of pictures, as {encoder.name} sees them"
        return Pictured(TargetRecord(name=name, distance=title, unit=unit), pooled_apart(encoder, pooled))
    title = "1-D Wasserstein over the coordinates of the mean token, as published"
    unit = f"that distance, in the numbers of {encoder.name}"
    return Pictured(TargetRecord(name=name, distance=title, unit=unit), coordinates_apart(encoder))
