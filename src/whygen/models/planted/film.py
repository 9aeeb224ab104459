"""A moving shape driven by words: which word colours it, moves it or makes it blink is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from whygen.media.films import Frames, video_of
from whygen.types import Request, Video

SIDE = 48
COUNT = 16
RATE = 8.0
HALF = 7
"""Half the width of the shape, in pixels."""

COLOURS = {"red": (220, 40, 40), "green": (40, 180, 70), "blue": (50, 80, 230), "yellow": (240, 210, 40)}
PLAIN = (120, 120, 120)
SHAPES = {"circle", "diamond"}
MOVES = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}
SPEED = {"quickly": 2.0, "slowly": 0.5}
"""What a word does to the one pixel a frame."""
BACKGROUNDS = {"night": (25, 25, 60), "desert": (235, 205, 150)}
DAY = (245, 245, 245)
BLINKS, FLASHES = "blinking", "flash"
"""The shape is gone in every second frame; the last four frames are white."""

WORDS = frozenset(COLOURS) | SHAPES | frozenset(MOVES) | frozenset(SPEED) | frozenset(BACKGROUNDS) | {BLINKS, FLASHES}
"""Everything the generator reads."""


def film(words: Sequence[str], request: Request) -> Video:
    """Two seconds of a shape on a ground, as the words say."""
    del request
    return video_of(draw(words), RATE)


def noisy_film(words: Sequence[str], request: Request) -> Video:
    """The same with a brightness and a grain that differ with every draw."""
    rng = np.random.default_rng(request.sampling_seed)
    shown = draw(words) * rng.uniform(0.85, 1.0) + rng.normal(scale=6.0, size=(COUNT, SIDE, SIDE, 1))
    return video_of(np.round(shown.clip(0, 255)).astype(np.uint8), RATE)


def draw(words: Sequence[str]) -> Frames:
    """The frames, shape ``(16, 48, 48, 3)``; of two words of one kind the first counts, but moves add up."""
    said = [word.lower() for word in words]
    ground = next((BACKGROUNDS[word] for word in said if word in BACKGROUNDS), DAY)
    colour = next((COLOURS[word] for word in said if word in COLOURS), PLAIN)
    shape = next((word for word in said if word in SHAPES), "square")
    frames = np.empty((COUNT, SIDE, SIDE, 3), dtype=np.uint8)
    frames[:] = ground
    for place, centre in enumerate(_path(said)):
        if BLINKS not in said or place % 2 == 0:
            frames[place][_inside(shape, centre)] = colour
    if FLASHES in said:
        frames[-4:] = 255
    return frames


def _path(said: Sequence[str]) -> NDArray[np.float64]:
    """Row and column of the shape's middle in each frame, shape ``(16, 2)``; the sides of the picture meet."""
    step = sum((np.array(MOVES[word], dtype=np.float64) for word in MOVES if word in said), np.zeros(2))
    speed = float(np.prod([factor for word, factor in SPEED.items() if word in said]))
    return (SIDE / 2 + np.arange(COUNT)[:, None] * step * speed) % SIDE


def _inside(shape: str, centre: NDArray[np.float64]) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[:SIDE, :SIDE]
    down = (rows - centre[0] + SIDE / 2) % SIDE - SIDE / 2
    across = (columns - centre[1] + SIDE / 2) % SIDE - SIDE / 2
    if shape == "circle":
        return down**2 + across**2 <= HALF**2
    if shape == "diamond":
        return np.abs(down) + np.abs(across) <= HALF
    return (np.abs(down) <= HALF) & (np.abs(across) <= HALF)
