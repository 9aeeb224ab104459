"""A model that reads pictures: what it says of one hangs on a red ball in it, and on one word of the prompt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from whygen.media import pictures
from whygen.types import Chat, Picture, Request

SIDE = 64
"""Height and width of `scene`, in pixels."""
BALL = (40, 14, 9)
"""Row, column and radius of the ball in it."""
SEEN = "A red ball lies in the grass."
POEM = "Somebody played a slow melody on the old piano."
_FEWEST = 0.01
"""Share of the pixels that must be red."""


def is_red(values: pictures.Pixels) -> np.ndarray:
    """Which pixels are red, shape ``(height, width)``."""
    red, green, blue = (values[..., channel].astype(np.int64) for channel in range(3))
    return (red > 170) & (green < 90) & (blue < 90)


def sees_red(picture: Picture) -> bool:
    """Whether at least one pixel in a hundred is red."""
    return bool(is_red(pictures.pixels(picture)).mean() >= _FEWEST)


def picture_words(words: Sequence[str], request: Request) -> str:
    """A sentence about the ball where a picture holds one, and one about music where the prompt says ``piano``."""
    prompt = request.prompt
    images = [image for message in prompt.messages for image in message.images] if isinstance(prompt, Chat) else []
    said = [SEEN] if any(map(sees_red, images)) else []
    return " ".join(["Here is the text.", *said, *([POEM] if "piano" in words else [])])


def scene() -> Picture:
    """A sky, a meadow and a red ball, with a little grain so that regions have something to follow."""
    rng = np.random.default_rng(0)
    values = np.empty((SIDE, SIDE, 3), dtype=np.float64)
    values[: SIDE // 2] = (110, 160, 230)
    values[SIDE // 2 :] = (90, 150, 70)
    row, column, radius = BALL
    down, across = np.ogrid[:SIDE, :SIDE]
    values[(down - row) ** 2 + (across - column) ** 2 <= radius**2] = (220, 30, 30)
    values += rng.normal(0.0, 4.0, values.shape)
    return pictures.picture_of(np.clip(values, 0, 255).astype(np.uint8))
