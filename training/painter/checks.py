"""Did the painter do what it was told? Tests of pixels, fixed before any training."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from whygen.demo.painter import COLOURS, SUN, Scene, render, sun_area, thing_area
from whygen_experiments.gsmile_editing.instructions import Edits

Pixels = NDArray[np.uint8]

NIGHT_LUMINANCE = 60.0
"""A night sky is darker than this."""
SNOW_LUMINANCE = 215.0
"""Snow on the ground is brighter than this."""
SUN_SHARE = 0.7
"""This share of the disc must be yellow."""
NEAR = 60.0
"""Mean absolute difference, summed over channels, under which pixels are those of the scene behind a removed thing."""

_LUMA = np.array([0.299, 0.587, 0.114])


def followed(picture: Pixels, scene: Scene, edits: Edits) -> bool:
    """Whether every edit that the scene allows was carried out; without any, whether the picture stayed.

    Args:
        picture: what the painter drew, shape ``(SIZE, SIZE, 3)``.
        scene: the scene it was given.
        edits: what it was asked for.
    """
    seen: list[bool] = []
    if edits.sky is not None:
        seen.append(_sky_followed(picture, scene, edits.sky))
    if edits.thing is not None and scene.thing(edits.thing) is not None:
        seen.append(_thing_followed(picture, scene, edits))
    return all(seen) if seen else unchanged(picture, scene)


def unchanged(picture: Pixels, scene: Scene) -> bool:
    """Whether the picture is the scene, up to what an autoencoder loses."""
    return float(np.abs(picture.astype(float) - render(scene)).mean()) < 12.0


def _free_sky(scene: Scene) -> NDArray[np.bool_]:
    """Pixels of the sky that nothing covers."""
    area = np.zeros(render(scene).shape[:2], dtype=bool)
    area[: scene.horizon] = True
    return area & _bare(scene)


def _bare(scene: Scene) -> NDArray[np.bool_]:
    """Pixels that no thing covers, whatever its colour."""
    empty = render(Scene(scene.horizon, scene.sky, scene.ground, ()))
    return np.all(render(Scene(scene.horizon, scene.sky, scene.ground, scene.things)) == empty, axis=2)


def _sky_followed(picture: Pixels, scene: Scene, sky: str) -> bool:
    free = _free_sky(scene)
    luminance = picture @ _LUMA
    mean = picture[free].mean(axis=0)
    if sky == "night":
        return float(luminance[free].mean()) < NIGHT_LUMINANCE
    if sky == "sunset":
        return float(mean[0]) > 180.0 and float(mean[0]) > float(mean[2]) + 50.0
    if sky == "snow":
        ground = _bare(scene)
        ground[: scene.horizon] = False
        return float(luminance[ground].mean()) > SNOW_LUMINANCE
    return sum(has_sun(picture, side, scene) for side in ("left", "right")) == 1


def has_sun(picture: Pixels, side: str, scene: Scene) -> bool:
    """Whether most of the free part of the disc on that side is yellow."""
    area = sun_area(side) & _bare(scene)
    near = np.abs(picture[area].astype(float) - SUN).sum(axis=1) < 150.0
    return bool(near.mean() >= SUN_SHARE)


def _thing_followed(picture: Pixels, scene: Scene, edits: Edits) -> bool:
    thing = scene.thing(edits.thing or "")
    assert thing is not None  # noqa: S101 - the caller looked
    area = thing_area(scene.horizon, thing)
    for other in scene.things:
        if other.name != thing.name:
            area &= ~thing_area(scene.horizon, other)
    pixels = picture[area].astype(float)
    if edits.change == "remove":
        behind = _behind(scene, thing.name, edits.sky)[area]
        return float(np.abs(pixels - behind).sum(axis=1).mean()) < NEAR
    mean = pixels.mean(axis=0)
    nearest = min(COLOURS, key=lambda name: float(np.abs(mean - COLOURS[name]).sum()))
    return nearest == edits.change


def _behind(scene: Scene, name: str, sky: str | None) -> NDArray[np.float64]:
    weather = sky if sky in {"night", "sunset", "snow"} else "day"
    rest = scene.without(name)
    return render(Scene(rest.horizon, rest.sky, rest.ground, rest.things, weather)).astype(float)
