"""Encoders of pictures that need no weights: patches of pixels with their place, and colours without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whygen.media import pictures
from whygen.media.pictures import Pixels
from whygen.types import Picture, Vectors

GRID = 16
"""Patches along the longer side."""
FINE = 2
"""Pixels along a side of a patch, after the picture was brought to that size."""
PLACE = 0.5
"""What a patch's place weighs: a move across the longer side costs as much as half the way from black to white."""
POOLED = 8
"""Cells along a side of the pooled vector."""


@dataclass(frozen=True, slots=True)
class PixelPatches:
    """Small patches of pixels, each with its place in the picture.

    A point holds the patch's colours (black and white are 1 apart) and its place times `PLACE`. Transport between such
    sets costs what has to be repainted, or moved where that is cheaper. The pooled vector is the picture in 8 x 8.
    """

    name: str = "patches"

    def images(self, given: Sequence[Picture]) -> Vectors:
        """The colours of 8 x 8 cells, shape ``(n, 192)``, black and white 1 apart; not scaled to length one."""
        rows = [_small(each, POOLED, POOLED).reshape(-1) / np.sqrt(3 * POOLED * POOLED) for each in given]
        return np.array(rows, dtype=np.float64).reshape(len(rows), 3 * POOLED * POOLED)

    def patches(self, given: Sequence[Picture]) -> list[Vectors]:
        """Points ``(p, 14)`` of each picture: 2 x 2 colours and the place, for a grid of 16 along the longer side."""
        return [_patches(pictures.pixels(each)) for each in given]

    def means(self, given: Sequence[Picture]) -> Vectors:
        """The mean point of each picture, shape ``(n, 14)``."""
        return np.array([points.mean(axis=0) for points in self.patches(given)], dtype=np.float64).reshape(-1, 14)


@dataclass(frozen=True, slots=True)
class Colours:
    """Which colours a picture has, wherever they are: a set of 256 mean colours, and a histogram of 4 x 4 x 4 boxes."""

    name: str = "colour"

    def images(self, given: Sequence[Picture]) -> Vectors:
        """Share of pixels in each of 64 boxes of colour, shape ``(n, 64)``."""
        return np.array([_histogram(pictures.pixels(each)) for each in given], dtype=np.float64).reshape(-1, 64)

    def patches(self, given: Sequence[Picture]) -> list[Vectors]:
        """The mean colours of a grid of 16 x 16, shape ``(256, 3)``; black and white are 1 apart."""
        return [_small(each, GRID, GRID).reshape(-1, 3) / np.sqrt(3) for each in given]

    def means(self, given: Sequence[Picture]) -> Vectors:
        """The mean colour of each picture, shape ``(n, 3)``."""
        return np.array([points.mean(axis=0) for points in self.patches(given)], dtype=np.float64).reshape(-1, 3)


def _small(picture: Picture, width: int, height: int) -> NDArray[np.float64]:
    """The picture in that size, shape ``(height, width, 3)``, 0 to 1."""
    return pictures.resized(pictures.pixels(picture), width=width, height=height).astype(np.float64) / 255.0


def _patches(values: Pixels) -> Vectors:
    height, width = values.shape[:2]
    longer = max(height, width)
    rows, columns = max(1, round(GRID * height / longer)), max(1, round(GRID * width / longer))
    fine = pictures.resized(values, width=columns * FINE, height=rows * FINE).astype(np.float64) / 255.0
    cells = fine.reshape(rows, FINE, columns, FINE, 3).swapaxes(1, 2).reshape(rows * columns, -1)
    down, across = np.mgrid[:rows, :columns].reshape(2, -1) / GRID
    return np.column_stack([cells / np.sqrt(cells.shape[1]), PLACE * down, PLACE * across])


def _histogram(values: Pixels) -> NDArray[np.float64]:
    boxes = (values.reshape(-1, 3) // 64).astype(np.int64) @ np.array([16, 4, 1])
    return np.bincount(boxes, minlength=64) / len(boxes)
