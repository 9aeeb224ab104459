"""What of `Settings.extra` a diffusers pipeline is told, and what is refused.

A pipeline's settings are the numbers, switches and texts among its own parameters, whatever its class; the few that
whygen names in words of its own come first. What a class would ignore or fail on is refused before anything is drawn.
"""

from __future__ import annotations

import base64
import binascii
import inspect
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

from whygen.errors import DataError
from whygen.media import films, pictures, sounds
from whygen.models.hf.tokens import Refused
from whygen.types import JsonValue, Picture, canonical_json

_OWN_NAMES = {"steps": "num_inference_steps"}
"""Settings that whygen calls otherwise than the pipelines do; the mask is another, see `mask_name`."""

_LEAST = {"num_inference_steps": 1, "height": 8, "width": 8}
_MOST = {"num_inference_steps": 1000, "strength": 1.0, "height": 8192, "width": 8192}
_FREE = 1e6
"""The most of any other number."""

_NO_SETTINGS = re.compile(r"(negative_)?prompt(_\d)?|output_type|return_dict|num_images_per_prompt|callback_.*|_.*")
"""Parameters that are whygen's to fill, or nobody's."""

_NO_SCALARS = re.compile(r"(?i)list|tensor|array|image\b|callable|dict|tuple|generator|sequence")

Parameters = Mapping[str, inspect.Parameter]
"""What the class takes, by name: the parameters of its ``__call__``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSettings:
    """The settings of one call.

    Attributes:
        given: numbers, switches and texts by the pipeline's own names.
        negative: what the picture must not show.
        seed: of the noise; None: 0.
        mask: where to paint, white on black.
        kind: equal for requests that may share a batch.
    """

    given: Mapping[str, int | float | str]
    negative: str | None
    seed: int | None
    mask: pictures.Pixels | None
    kind: str


def picture_text(picture: Picture) -> str:
    """A picture as text, for settings that take one (``extra={"mask": ...}``)."""
    return base64.b64encode(picture.data).decode("ascii")


def read_settings(
    extra: Mapping[str, JsonValue],
    defaults: Mapping[str, JsonValue],
    *,
    takes: Parameters,
    uri: str,
    heard_not: Mapping[str, str] = MappingProxyType({}),
) -> CallSettings:
    """Check settings and translate them.

    Args:
        extra: of the request; wins over the defaults.
        defaults: of the model.
        takes: the pipeline's own parameters.
        uri: of the model, for messages.
        heard_not: what this pipeline ignores, see `ignored`.

    Raises:
        Refused: naming the setting, if the pipeline has none such, would ignore it, or its value cannot work.
    """
    told = with_sides({**defaults, **extra}, takes, uri)
    check_heard(extra, heard_not, uri)
    kinds = scalars(takes)
    known = {name: _OWN_NAMES.get(name, name) for name in (*_OWN_NAMES, "negative_prompt", *sorted(kinds))}
    known["mask"] = mask_name(takes) or ""
    known = {name: own for name, own in known.items() if own in takes}
    for name in told:
        if name not in {*known, "seed"}:
            shown = sorted({*known, "seed"} - {"num_inference_steps"} | ({"size"} if "height" in takes else set()))
            raise Refused(f"{uri} takes no setting {name!r}", f"It takes {', '.join(shown)}.")
    given: dict[str, int | float | str] = {}
    for name, value in told.items():
        own = known.get(name, name)
        if own in kinds and value is not None:
            given[own] = _scalar(name, own, value, kinds[own])
    negative, seed, mask = told.get("negative_prompt"), told.get("seed"), told.get("mask")
    if negative is not None and not isinstance(negative, str):
        raise Refused(f"negative_prompt={negative!r} is no text", "Give a str.")
    if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool) or seed < 0):
        raise Refused(f"seed={seed!r} is no seed", "Give a whole number from 0.")
    check_guidance(given, negative, takes, uri, heard_not)
    _check_strength(given, takes, uri)
    kind = canonical_json({name: value for name, value in told.items() if name not in {"mask", "seed"}})
    return CallSettings(
        given=given, negative=negative, seed=seed, mask=None if mask is None else _mask(mask), kind=kind
    )


def mask_name(takes: Parameters) -> str | None:
    """The parameter that says where to paint: of the picture, or of what the drawing shall follow there."""
    return next((name for name in ("mask_image", "control_mask") if name in takes), None)


def scalars(takes: Parameters) -> dict[str, type]:
    """The parameters that are one number, switch or text each, with their type, told by default or annotation."""
    found: dict[str, type] = {}
    for name, parameter in takes.items():
        if _NO_SETTINGS.fullmatch(name) or parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        default, said = parameter.default, str(parameter.annotation)
        if type(default) in (bool, int, float, str):
            # A class whose default is 4 may well say that it takes a float.
            found[name] = float if type(default) is int and "float" in said else type(default)
        elif default is None and not _NO_SCALARS.search(said):
            kind = next((kind for kind in (float, int, bool, str) if kind.__name__ in said), None)
            if kind is not None:
                found[name] = kind
    return found


def default_of(name: str, takes: Parameters) -> Any:
    """The class's own default of a parameter; None where it has none."""
    default: Any = takes[name].default if name in takes else None
    return None if default is inspect.Parameter.empty else default


def with_sides(told: dict[str, JsonValue], takes: Parameters, uri: str) -> dict[str, JsonValue]:
    """``size="640x480"``, the word of the images endpoints, as width and height.

    Args:
        told: the settings.
        takes: the pipeline's own parameters.
        uri: of the model, for messages.

    Raises:
        Refused: if it is no size, or the class is not told sizes.
    """
    if "size" not in told:
        return told
    size = told.pop("size")
    found = re.fullmatch(r"(\d{1,5})\s*[x×]\s*(\d{1,5})", size.strip()) if isinstance(size, str) else None
    if found is None:
        raise Refused(f"size={size!r} is no size", "Write WIDTHxHEIGHT, such as 640x480.")
    if not {"height", "width"} <= takes.keys():
        way = "give the picture in the size that is wanted" if "image" in takes else "it has one of its own"
        raise Refused(f"{uri} takes no size", f"Leave size (--size) out: {way}.")
    return {**told, "width": int(found[1]), "height": int(found[2])}


def ignored(pipeline: Any) -> dict[str, str]:
    """Settings that a pipeline takes and does nothing with, and why.

    A class says it in its own code: some networks have no place for a scale of guidance (``guidance_embeds``), some are
    distilled so that none is left (``is_distilled``, ``is_turbo``), and a scheduler takes ``eta`` or does not. A class
    that guides by two predictions (``do_classifier_free_guidance``) hears the scale all the same.
    """
    made: Any = cast(Any, type(pipeline))
    call, whole = _source(made.__call__), _source(made)
    guides = "do_classifier_free_guidance" in call
    found: dict[str, str] = {}
    networks = [getattr(pipeline, name, None) for name in ("transformer", "controlnet")]
    embeds = [getattr(getattr(each, "config", None), "guidance_embeds", None) for each in networks]
    if re.search(r"config\.guidance_embeds\b", call) and not guides and not any(embeds):
        found |= dict.fromkeys(("guidance_scale", "distilled_guidance_scale"), "its network has no place for one")
    distilled = getattr(pipeline.config, "is_distilled", None) is True or getattr(pipeline, "is_turbo", None) is True
    if distilled and re.search(r"not self\.(config\.is_distilled|is_turbo)", whole):
        found["guidance_scale"] = "its network is distilled, and needs none"
    step = getattr(getattr(pipeline, "scheduler", None), "step", None)
    if step is not None and "eta" not in inspect.signature(step).parameters and "scheduler.step)" in whole:
        found["eta"] = f"its scheduler ({type(pipeline.scheduler).__name__}) takes none"
    return found


def _source(code: Any) -> str:
    try:
        return inspect.getsource(inspect.unwrap(code))
    except (OSError, TypeError):  # it was made at run time
        return ""


def check_heard(extra: Mapping[str, JsonValue], heard_not: Mapping[str, str], uri: str) -> None:
    """Refuse what a pipeline ignores.

    Raises:
        Refused: naming the setting and why.
    """
    for name in extra:
        if name in heard_not and extra[name] is not None:
            raise Refused(f"{uri} ignores {name}: {heard_not[name]}", f"Leave {name} out.")


def check_guidance(
    given: Mapping[str, JsonValue],
    negative: str | None,
    takes: Parameters,
    uri: str,
    heard_not: Mapping[str, str],
) -> None:
    """Refuse a negative prompt that would not be read, and a scale of it that would scale nothing.

    Args:
        given: settings by the pipeline's own names.
        negative: what must not be shown or heard.
        takes: the pipeline's own parameters.
        uri: of the model, for messages.
        heard_not: what this pipeline ignores.

    Raises:
        Refused: naming the other setting that is needed.
    """
    name = next((name for name in ("true_cfg_scale", "guidance_scale") if name in takes), None)
    if name is None:
        return
    if negative is not None and name in heard_not:
        raise Refused(f"{uri} ignores negative_prompt: {heard_not[name]}", "Leave negative_prompt out.")
    value = given.get(name, default_of(name, takes))
    is_on = not isinstance(value, int | float) or value > 1
    if negative is not None and not is_on:
        raise Refused(
            f"{uri} reads negative_prompt only where {name} is above 1, and it is {value:g}",
            f"Give {name} too, such as {name}=4, or leave negative_prompt out.",
        )
    if name == "true_cfg_scale" and name in given and is_on and negative is None and "negative_prompt" in takes:
        raise Refused(
            f"{uri} reads true_cfg_scale only with a negative_prompt",
            "Give negative_prompt too (a single space will do), or leave true_cfg_scale out.",
        )


def _check_strength(given: Mapping[str, int | float | str], takes: Parameters, uri: str) -> None:
    """Refuse a strength that leaves no step to be taken."""
    strength = given.get("strength", default_of("strength", takes))
    steps = given.get("num_inference_steps", default_of("num_inference_steps", takes))
    if not isinstance(strength, int | float) or not isinstance(steps, int) or int(steps * strength) >= 1:
        return
    said = f"{uri} would take no step: it takes steps x strength of them, and {steps} x {strength:g} is below 1"
    least = math.ceil(1e4 / steps) / 1e4
    while int(steps * least) < 1:  # pragma: no cover - where the product rounds down
        least += 1e-4
    more = "" if strength * 1000 < 1 else f", or steps={_steps_for(strength)} or more"
    raise Refused(said, f"Give strength={least:g} or more{more}.")


def _steps_for(strength: float) -> int:
    steps = math.ceil(1 / strength)
    return steps if int(steps * strength) >= 1 else steps + 1


def _scalar(name: str, own: str, value: Any, kind: type) -> int | float | str:
    if kind in (bool, str):
        if isinstance(value, kind):
            return value
        raise Refused(f"{name}={value!r} cannot work", f"Give {'true or false' if kind is bool else 'a text'}.")
    least, most = _LEAST.get(own, 0), _MOST.get(own, _FREE)
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
_MOST_OF_MEDIA: Mapping[str, float] = {
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
        heard_not: what this pipeline ignores, see `whygen.models.diffusers.settings.ignored`.

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
    most = _MOST_OF_MEDIA.get(
        {"num_inference_steps": "steps", "num_frames": "frames", "video_length": "frames"}.get(name, name)
    )
    if most is None:
        if isinstance(value, bool | str) or (isinstance(value, int | float) and math.isfinite(value)):
            return value
        raise Refused(f"{name}={value!r} cannot work", "Give a number or a text.")
    whole = name in _WHOLE or most == _MOST_OF_MEDIA["frames"]
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
