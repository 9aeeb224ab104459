"""An edit cut into units: the words of its instruction, or the regions of its picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from whygen.errors import MissingExtraError, UsageError
from whygen.media import films, pictures, sounds
from whygen.prompt.units import Kind, Piece, Units, split
from whygen.types import Edit, Picture, Sound, Video

REGION = "region"
"""The kind of unit that is a part of the picture."""

REGIONS = 12
"""How many superpixels are asked for: at 64 calls some two and a half pairs of masks for each."""

BLUR = 0.1
"""Of ``blur``: the radius, as a share of the longer side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EditUnits(Units):
    """An instruction cut into units; the picture, sound or video is sent with whatever is left of it."""

    image: Picture | Sound | Video

    @property
    def prompt(self) -> Edit:
        return Edit(self.image, self.text)

    def sent(self, text: str) -> Edit:
        return Edit(self.image, text)

    def join(self, parts: Sequence[str]) -> Edit:
        return self.sent(str(Units.join(self, parts)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegionUnits(Units):
    """A picture cut into regions; the instruction is always sent.

    ``text`` lists the regions under the instruction, so that each has a place to be shown at. A piece that lost its
    text has its region painted over.

    Attributes:
        edit: what was given.
        labels: region of each pixel, counted from 0, shape ``(height, width)``.
        fill: what stands where a region was taken away: the whole picture painted over, shape ``(height, width, 3)``.
    """

    edit: Edit
    labels: NDArray[np.int64]
    fill: pictures.Pixels

    @property
    def prompt(self) -> Edit:
        return self.edit

    def sent(self, text: str) -> Edit:
        raise UsageError("The published masks change words, and units='region' has none. Use units='whitespace'.")

    def join(self, parts: Sequence[str]) -> Edit:
        gone = [
            piece.unit
            for piece, part in zip(self.pieces, parts, strict=True)
            if piece.unit is not None and part != self.text_at(piece)
        ]
        if not gone:
            return self.edit
        image = pictures.pixels(self.edit.picture)
        hidden = np.isin(self.labels, gone)
        image[hidden] = self.fill[hidden]
        return Edit(pictures.picture_of(image), self.edit.instruction)


def split_edit(
    edit: Edit, units: Kind = "word", *, pin: Sequence[str] = (), fill: str = "mean", regions: int = REGIONS
) -> EditUnits | RegionUnits:
    """Cut an edit into units.

    Args:
        edit: a picture and an instruction.
        units: a kind of unit of the instruction (``word``, ``whitespace``, ``sentence`` ...), or ``region``:
            superpixels of the picture (SLIC).
        pin: texts of the instruction that are always sent; for regions ``region 3``.
        fill: for regions: ``mean`` (the picture's mean colour), ``blur``, or a colour such as ``#808080``.
        regions: how many superpixels to ask for; there can be fewer.

    Raises:
        UsageError: if the instruction is empty or everything is pinned.
        DataError: if the picture cannot be read.
        MissingExtraError: for regions, if scikit-image is not installed.
    """
    check_edit(edit)
    if units == REGION and not isinstance(edit.image, Picture):
        raise UsageError("units='region' cuts pictures, and this is a sound or a video. Use units='word'.")
    if units == REGION:
        return _regions(edit, pin, fill=fill, regions=regions)
    cut = split(edit.instruction, units, pin=pin)
    return EditUnits(cut.text, cut.pieces, image=edit.image)


def check_edit(edit: Edit) -> None:
    """Refuse an edit that cannot be explained, before a model is opened.

    Raises:
        UsageError: if the instruction is empty.
        DataError: if the picture, sound or video cannot be read.
    """
    if not edit.instruction.strip():
        raise UsageError("The instruction is empty: say what to change, such as 'make it night'.")
    if isinstance(edit.image, Picture):
        pictures.pixels(edit.image)
    elif isinstance(edit.image, Sound):
        sounds.samples(edit.image)
    else:
        films.frames(edit.image)


def no_levels(hierarchy: str) -> UsageError:
    """That a hierarchy was asked of an edit."""
    return UsageError(f"hierarchy={hierarchy!r} is for long texts: leave it out where pictures are explained.")


def _regions(edit: Edit, pin: Sequence[str], *, fill: str, regions: int) -> RegionUnits:
    image = pictures.pixels(edit.picture)
    labels = superpixels(image, regions)
    names = [f"region {number + 1}" for number in range(int(labels.max()) + 1)]
    strange = [text for text in pin if text not in names]
    if strange:
        raise UsageError(
            f"pin={strange[0]!r}: with units='region' only regions can be pinned, 'region 1' to {names[-1]!r}."
        )
    if len(names) == len(set(pin)):
        raise UsageError(f"Everything in the picture is pinned ({len(names)} regions): leave at least one free.")
    text = edit.instruction
    pieces = [Piece(0, 0, len(text), len(text), None)]
    free = 0
    order = np.full(len(names), -1)
    for number, name in enumerate(names):
        start, gap = len(text), "  " if number else "\n"
        text += gap + name
        held = name in pin
        pieces.append(Piece(start, start + len(gap), len(text), len(text), None if held else free))
        if not held:
            order[number] = free
            free += 1
    return RegionUnits(text, tuple(pieces), edit=edit, labels=order[labels], fill=filled(image, fill))


def superpixels(image: pictures.Pixels, regions: int) -> NDArray[np.int64]:
    """Regions of like colour, counted from 0 without gaps, shape ``(height, width)``.

    Raises:
        UsageError: if fewer than two regions are asked for, or the picture has but one.
        MissingExtraError: if scikit-image is not installed.

    Source: Achanta et al. 2012, "SLIC superpixels compared to state-of-the-art superpixel methods".
    """
    if regions < 2:
        raise UsageError(f"regions={regions}: give at least two.")
    try:
        from skimage.segmentation import slic  # pyright: ignore[reportUnknownVariableType]
    except ImportError:
        raise MissingExtraError("Regions of a picture", extra="regions", package="scikit-image") from None
    found: NDArray[np.int64] = np.asarray(
        slic(image, n_segments=regions, compactness=10.0, start_label=0, channel_axis=-1), dtype=np.int64
    )
    _, labels = np.unique(found, return_inverse=True)
    if labels.max() < 1:
        raise UsageError("The picture has but one region: it is too small to be cut. Use units='word'.")
    return labels.reshape(found.shape)


def filled(image: pictures.Pixels, fill: str) -> pictures.Pixels:
    """The picture painted over: what stands where a region was taken away.

    Raises:
        UsageError: if ``fill`` is neither ``mean`` nor ``blur`` nor a colour.
    """
    if fill == "mean":
        return np.broadcast_to(image.reshape(-1, 3).mean(axis=0).round().astype(np.uint8), image.shape)
    if fill == "blur":
        radius = max(1.0, BLUR * max(image.shape[:2]))
        return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(radius)), dtype=np.uint8)
    digits = fill.removeprefix("#")
    if fill.startswith("#") and len(digits) == 6 and all(digit in "0123456789abcdefABCDEF" for digit in digits):
        return np.broadcast_to(np.array(list(bytes.fromhex(digits)), dtype=np.uint8), image.shape)
    raise UsageError(f"fill={fill!r}: give 'mean', 'blur', or a colour such as '#808080'.")
