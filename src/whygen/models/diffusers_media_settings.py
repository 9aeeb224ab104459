"""What of `Settings.extra` a pipeline of sounds or videos is told, and what is refused before anything is computed."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from whygen import films, sounds
from whygen.models.diffusers_settings import check_guidance, check_heard, with_sides
from whygen.models.hf_tokens import Refused
from whygen.types import JsonValue

_NAMES: Mapping[str, tuple[str, ...]] = {
    "steps": ("num_inference_steps",),
    "frames": ("num_frames", "video_length", "frames"),
    "seconds": ("audio_end_in_s", "audio_length_in_s", "audio_duration_s", "audio_duration", "duration"),
    "fps": ("frame_rate", "fps"),
}
"""One word for what classes call differently; the first of these parameters that a class has is meant."""

_NOT_SETTINGS = re.compile(
    r"^(self|prompt|image|generator|output_type|return_dict|latents|kwargs|args|timesteps|sigmas|callback.*)$"
    r"|^num_\w+_per_prompt$|embeds|_latents$|_mask$|_image$|attention_kwargs|^video$|waveforms$|_audio$"
)
_MOST: Mapping[str, float] = {
    "steps": 1000, "frames": films.MOST_FRAMES, "seconds": sounds.MOST_SECONDS, "fps": films.MOST_RATE,
    "height": 8192, "width": 8192,
}  # fmt: skip
_WHOLE = {"steps", "frames", "height", "width"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSettings:
    """The settings of one call.

    Attributes:
        given: by the pipeline's own names.
        seed: of the noise; None: 0.
        rate: frames a second, where it was said.
    """

    given: Mapping[str, JsonValue]
    seed: int | None
    rate: float | None


def read_media_settings(
    extra: Mapping[str, JsonValue],
    defaults: Mapping[str, JsonValue],
    *,
    takes: Mapping[str, inspect.Parameter],
    uri: str,
    heard_not: Mapping[str, str] = MappingProxyType({}),
) -> MediaSettings:
    """Check settings and translate them.

    Args:
        extra: of the request; wins over the defaults. ``steps``, ``frames``, ``seconds``, ``fps``, ``size``, ``seed``,
            and any number or text that the class takes, by its own name.
        defaults: of the model.
        takes: the pipeline's own parameters.
        uri: of the model, for messages.
        heard_not: what this pipeline ignores, see `whygen.models.diffusers_settings.ignored`.

    Raises:
        Refused: naming the setting, if the pipeline has none such, would ignore it, or its value cannot work.
    """
    told = {**defaults, **extra}
    if "height" in takes:
        told = with_sides(told, takes, uri)
    check_heard(extra, heard_not, uri)
    own = {name: name for name in takes if not _NOT_SETTINGS.search(name)}
    common = {name: known for name, each in _NAMES.items() if (known := next((o for o in each if o in takes), None))}
    names = {**own, **common}
    given: dict[str, JsonValue] = {}
    for name, value in told.items():
        if name in names:
            given[names[name]] = _checked(name, value)
        elif name not in {"seed", "fps"}:
            size = {"size"} if "height" in takes else set[str]()
            shown = ", ".join(sorted({*common, *size, "seed", *(o for o in own if o not in common.values())}))
            raise Refused(f"{uri} takes no setting {name!r}", f"It takes {shown}.")
    _check_size(told, uri)
    negative = given.get("negative_prompt")
    check_guidance(given, negative if isinstance(negative, str) else None, takes, uri, heard_not)
    seed, rate = told.get("seed"), told.get("fps")
    if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool) or seed < 0):
        raise Refused(f"seed={seed!r} is no seed", "Give a whole number from 0.")
    if rate is None:
        rate = next((given[name] for name in _NAMES["fps"] if name in given), None)
    return MediaSettings(given=given, seed=seed, rate=None if rate is None else float(str(_checked("fps", rate))))


def _checked(name: str, value: JsonValue) -> JsonValue:
    """The value, if it is a number or a text, and within what makes sense."""
    most = _MOST.get({"num_inference_steps": "steps", "num_frames": "frames", "video_length": "frames"}.get(name, name))
    if most is None:
        if isinstance(value, bool | str) or (isinstance(value, int | float) and math.isfinite(value)):
            return value
        raise Refused(f"{name}={value!r} cannot work", "Give a number or a text.")
    whole = name in _WHOLE or most == _MOST["frames"]
    fits = isinstance(value, int) or (isinstance(value, float) and not whole)
    if isinstance(value, bool) or not fits or not 0 < float(str(value)) <= most:
        what = "a whole number" if whole else "a number above 0"
        raise Refused(f"{name}={value!r} cannot work", f"Give {what}, up to {most:g}.")
    return value


def _check_size(told: Mapping[str, JsonValue], uri: str) -> None:
    """Refuse a video that could not be kept once it was made."""
    count = next((told[name] for name in ("frames", *_NAMES["frames"]) if name in told), 1)
    sides = [side for side in (told.get("height"), told.get("width")) if isinstance(side, int)]
    pixels = math.prod(sides) if len(sides) == 2 else 1
    if isinstance(count, int) and count * pixels > films.MOST_PIXELS:
        raise Refused(
            f"{uri} is asked for {count} frames of {pixels:,} pixels, over {films.MOST_PIXELS:,} in all",
            "Ask for fewer or smaller frames.",
        )
