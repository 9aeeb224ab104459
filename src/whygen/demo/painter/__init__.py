"""The painter: a small editor of pictures, in ``model/``, with its card, and the scenes that it edits.

A scene is a sky, a ground and up to three things, drawn without anti-aliasing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

SIZE = 32
"""Side of a picture in pixels."""

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (208, 44, 40),
    "blue": (48, 84, 208),
    "green": (24, 112, 52),
    "yellow": (240, 208, 48),
    "purple": (140, 60, 172),
}
THINGS = ("house", "tree", "ball")
SIDES = ("left", "right")

NIGHT_SKY = (16, 20, 56)
SNOW_SKY = (176, 184, 192)
SUNSET = ((200, 88, 104), (248, 156, 80))
"""Top and bottom of the sky at sunset."""
SNOW_GROUND = (238, 242, 246)
SUN = (252, 224, 64)
SUN_RADIUS = 4
SUN_CENTRES = {"left": (5, 6), "right": (5, SIZE - 7)}
"""Row and column."""

_SLOTS = (6, 16, 26)
_DARK = (72, 48, 40)


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing: its name, the column of its middle, its size in pixels and its colour by name."""

    name: str
    column: int
    size: int
    colour: str


@dataclass(frozen=True, slots=True)
class Scene:
    """What a picture shows. ``weather`` is ``day``, ``night``, ``sunset`` or ``snow``."""

    horizon: int
    sky: tuple[int, int, int]
    ground: tuple[int, int, int]
    things: tuple[Thing, ...]
    weather: str = "day"
    sun: str | None = None

    def thing(self, name: str) -> Thing | None:
        """The thing of that name, if it is there."""
        return next((thing for thing in self.things if thing.name == name), None)

    def without(self, name: str) -> Scene:
        """The same scene without a thing."""
        return replace(self, things=tuple(thing for thing in self.things if thing.name != name))

    def recoloured(self, name: str, colour: str) -> Scene:
        """The same scene with a thing in another colour."""
        things = (replace(thing, colour=colour) if thing.name == name else thing for thing in self.things)
        return replace(self, things=tuple(things))


def draw_scene(rng: np.random.Generator) -> Scene:
    """A scene by day, with one to three things side by side."""
    names = rng.permutation(THINGS)[: rng.integers(1, 4)].tolist()
    slots = rng.permutation(_SLOTS).tolist()
    things = tuple(
        Thing(name, slot + int(rng.integers(-1, 2)), int(rng.integers(7, 10)), str(rng.choice(list(COLOURS))))
        for name, slot in zip(names, slots, strict=False)
    )
    light = int(rng.integers(-14, 15))
    sky = (136 + light, 188 + light, 236 + light // 2)
    ground = (104 + int(rng.integers(-14, 15)), 172 + int(rng.integers(-14, 15)), 84)
    return Scene(int(rng.integers(17, 21)), sky, ground, things)


def render(scene: Scene) -> NDArray[np.uint8]:
    """The picture, shape ``(SIZE, SIZE, 3)``."""
    picture = np.empty((SIZE, SIZE, 3), dtype=np.uint8)
    picture[: scene.horizon] = _sky(scene)
    picture[scene.horizon :] = SNOW_GROUND if scene.weather == "snow" else scene.ground
    if scene.sun is not None:
        picture[sun_area(scene.sun)] = SUN
    for thing in scene.things:
        _PAINTERS[thing.name](picture, scene.horizon, thing)
    return picture


def _sky(scene: Scene) -> NDArray[np.float64]:
    if scene.weather == "sunset":
        top, bottom = (np.array(colour, dtype=np.float64) for colour in SUNSET)
        share = np.linspace(0.0, 1.0, scene.horizon)[:, None, None]
        return np.broadcast_to((1 - share) * top + share * bottom, (scene.horizon, SIZE, 3))
    colour = {"night": NIGHT_SKY, "snow": SNOW_SKY}.get(scene.weather, scene.sky)
    return np.broadcast_to(np.array(colour, dtype=np.float64), (scene.horizon, SIZE, 3))


def _disc(row: float, column: float, radius: float) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[:SIZE, :SIZE]
    return np.asarray((rows - row) ** 2 + (columns - column) ** 2 <= radius**2)


def sun_area(side: str) -> NDArray[np.bool_]:
    """Where the sun stands, shape ``(SIZE, SIZE)``."""
    return _disc(*SUN_CENTRES[side], SUN_RADIUS)


def _house(picture: NDArray[np.uint8], horizon: int, thing: Thing) -> None:
    area = thing_area(horizon, thing)
    picture[area] = COLOURS[thing.colour]
    base, half = horizon + 5, thing.size // 2
    for step in range(half + 1):  # the roof
        row = base - thing.size - step
        picture[row, max(0, thing.column - half + step) : thing.column + half - step + 1] = _DARK
    picture[base - 3 : base, thing.column - 1 : thing.column + 1] = _DARK


def _tree(picture: NDArray[np.uint8], horizon: int, thing: Thing) -> None:
    picture[horizon + 1 : horizon + 6, thing.column : thing.column + 2] = _DARK
    picture[thing_area(horizon, thing)] = COLOURS[thing.colour]


def _ball(picture: NDArray[np.uint8], horizon: int, thing: Thing) -> None:
    picture[thing_area(horizon, thing)] = COLOURS[thing.colour]


_PAINTERS = {"house": _house, "tree": _tree, "ball": _ball}


def thing_area(horizon: int, thing: Thing) -> NDArray[np.bool_]:
    """The coloured pixels of a thing, shape ``(SIZE, SIZE)``: walls, crown or ball."""
    if thing.name == "tree":
        return _disc(horizon - 2, thing.column + 0.5, thing.size / 2.0)
    if thing.name == "ball":
        return _disc(horizon + 5, thing.column, thing.size / 2.1)
    base, half = horizon + 5, thing.size // 2
    area = np.zeros((SIZE, SIZE), dtype=bool)
    area[base - thing.size : base, max(0, thing.column - half) : thing.column + half + 1] = True
    area[base - 3 : base, thing.column - 1 : thing.column + 1] = False  # the door
    return area
