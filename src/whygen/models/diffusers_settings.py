"""What of `Settings.extra` a diffusers pipeline is told, and what is refused."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from whygen import pictures
from whygen.errors import DataError
from whygen.models.hf_tokens import Refused
from whygen.types import JsonValue, Picture, canonical_json

_NUMBERS: Mapping[str, tuple[str, type, float]] = {
    "steps": ("num_inference_steps", int, 1),
    "guidance_scale": ("guidance_scale", float, 0),
    "image_guidance_scale": ("image_guidance_scale", float, 0),
    "strength": ("strength", float, 0),
    "eta": ("eta", float, 0),
    "height": ("height", int, 8),
    "width": ("width", int, 8),
}
"""The setting, the pipeline's name of it, its type, and the least that makes sense."""

MOST_SIDE = 8192
MOST_STEPS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The settings of one call.

    Attributes:
        given: numbers by the pipeline's own names.
        negative: what the picture must not show.
        seed: of the noise; None: 0.
        mask: where to paint, white on black.
        kind: equal for requests that may share a batch.
    """

    given: Mapping[str, int | float]
    negative: str | None
    seed: int | None
    mask: pictures.Pixels | None
    kind: str


def picture_text(picture: Picture) -> str:
    """A picture as text, for settings that take one (``extra={"mask": ...}``)."""
    return base64.b64encode(picture.data).decode("ascii")


def read_settings(
    extra: Mapping[str, JsonValue], defaults: Mapping[str, JsonValue], *, takes: Collection[str], uri: str
) -> Wanted:
    """Check settings and translate them.

    Args:
        extra: of the request; wins over the defaults.
        defaults: of the model.
        takes: names of the pipeline's own parameters.
        uri: of the model, for messages.

    Raises:
        Refused: naming the setting, if the pipeline has none such or its value cannot work.
    """
    told = {**defaults, **extra}
    known = [name for name, (own, _, _) in _NUMBERS.items() if own in takes]
    known += [name for name, own in (("negative_prompt",) * 2, ("mask", "mask_image")) if own in takes]
    for name in told:
        if name not in {*known, "seed"}:
            names = ", ".join(sorted([*known, "seed"]))
            raise Refused(f"{uri} takes no setting {name!r}", f"It takes {names}.")
    given = {_NUMBERS[name][0]: _number(name, value) for name, value in told.items() if name in _NUMBERS}
    negative, seed, mask = told.get("negative_prompt"), told.get("seed"), told.get("mask")
    if negative is not None and not isinstance(negative, str):
        raise Refused(f"negative_prompt={negative!r} is no text", "Give a str.")
    if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool) or seed < 0):
        raise Refused(f"seed={seed!r} is no seed", "Give a whole number from 0.")
    kind = canonical_json({name: value for name, value in told.items() if name not in {"mask", "seed"}})
    return Wanted(given=given, negative=negative, seed=seed, mask=None if mask is None else _mask(mask), kind=kind)


def _number(name: str, value: Any) -> int | float:
    _, kind, least = _NUMBERS[name]
    most = {"steps": MOST_STEPS, "strength": 1.0, "height": MOST_SIDE, "width": MOST_SIDE}.get(name, 1e6)
    fits = isinstance(value, int) or (kind is float and isinstance(value, float))
    if isinstance(value, bool) or not fits or not least <= value <= most:
        what = "a whole number" if kind is int else "a number"
        raise Refused(f"{name}={value!r} cannot work", f"Give {what} from {least:g} to {most:g}.")
    return kind(value)


def _mask(value: JsonValue) -> pictures.Pixels:
    advice = "Give picture_text(picture): white where to paint, black elsewhere."
    if not isinstance(value, str):
        raise Refused("mask is no text", advice)
    try:
        return pictures.pixels(Picture(base64.b64decode(value, validate=True)))
    except (binascii.Error, ValueError, DataError) as error:
        raise Refused(f"mask is no picture ({error})", advice) from None
