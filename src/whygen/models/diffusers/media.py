# pyright: basic
"""A diffusers pipeline that answers with a sound or a video, as a black box.

One request at a time: many of these pipelines take one text, or share noise inside a batch. The noise depends on the
seed and the draw, never on the text: all masks of an explanation begin with the same.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, cast

import numpy as np
import torch
from PIL import Image

from whygen.errors import DataError, UsageError
from whygen.media import films, pictures, sounds
from whygen.models.diffusers.kinds import changes_video
from whygen.models.diffusers.pictures import noise_seed, quiet
from whygen.models.diffusers.settings import MediaSettings, ignored, read_media_settings
from whygen.models.diffusers.tokens import readers
from whygen.models.hf.tokens import Refused
from whygen.models.one_by_one import OneByOne, evaluating, lacking_package, networks_of, out_of_memory, seeded
from whygen.models.returned import medium_of
from whygen.types import (
    Edit,
    Failure,
    JsonValue,
    Output,
    OutputKind,
    Picture,
    Request,
    Settings,
    Sound,
    Video,
)

RATE = 10.0
"""Frames a second of a video whose pipeline has no rate: what diffusers' own ``export_to_video`` takes."""

STEP = 16
"""Height and width of a changed clip are whole numbers of these, at most 15 pixels less than what was given."""

_WAVES = "initial_audio_waveforms"
_NOUNS: Mapping[OutputKind, str] = {"picture": "picture", "sound": "sound", "frames": "video"}
_SPEEDS = ("frame_rate", "fps")
_PLACES = ("vae", "vocoder", "audio_vae", "feature_extractor")
_RATES = ("sampling_rate", "sample_rate", "audio_sample_rate")


class MediaModel(OneByOne):
    """A pipeline of the diffusers library whose answers are sounds or videos.

    Args:
        pipeline: on the device and in the precision it shall work in.
        kind: what it answers with.
        uri: what it is called.
        identity: what makes it answer as it does; without it, answers are kept for the run only.
        defaults: settings that apply unless a request gives others.

    Raises:
        UsageError: if it makes sounds and nothing in it says their rate.
    """

    def __init__(
        self,
        pipeline: Any,
        *,
        kind: Literal["sound", "frames"],
        uri: str,
        identity: Mapping[str, JsonValue] | None = None,
        defaults: Mapping[str, JsonValue] | None = None,
    ) -> None:
        pipeline.set_progress_bar_config(disable=True)
        self.pipeline = pipeline
        self._kind: Literal["sound", "frames"] = kind
        self._defaults = dict(defaults or {})
        super().__init__(uri=uri, identity=None if identity is None else {**identity, "defaults": self._defaults})
        self._takes = inspect.signature(pipeline.__call__).parameters
        self._ignored = ignored(pipeline)
        self._takes_video = changes_video(type(pipeline), self._takes)
        self._readers = readers(pipeline, self._takes)
        self._rate = _sound_rate(pipeline) if kind == "sound" else None
        if kind == "sound" and self._rate is None:
            raise UsageError(
                f"{uri} ({type(pipeline).__name__}) does not say its samples a second. Explain a function that calls "
                "it: def f(prompt: str) -> Sound, with whygen.media.sounds.sound_of(samples, rate) as its answer."
            )

    @property
    def output_kind(self) -> Literal["sound", "frames"]:
        return self._kind

    @property
    def takes_picture(self) -> bool:
        """Whether it can begin with a picture."""
        return "image" in self._takes

    @property
    def needs_picture(self) -> bool:
        """Whether it cannot begin without one; some classes say so in their name alone."""
        name = type(self.pipeline).__name__
        return self.takes_picture and (
            self._takes["image"].default is inspect.Parameter.empty or "ImageToVideo" in name or "I2V" in name
        )

    @property
    def edits(self) -> frozenset[OutputKind]:
        """What an `Edit` may hold."""
        able = {"picture": self.takes_picture, "frames": self._takes_video, "sound": _WAVES in self._takes}
        return frozenset(cast("OutputKind", kind) for kind, can in able.items() if can)

    def answers_alike(self, settings: Settings) -> bool:
        """One seed of the noise, in single precision on a processor."""
        exact = self.pipeline.dtype in (torch.float32, torch.float64) and self.pipeline.device.type == "cpu"
        return settings.temperature == 0.0 and exact

    @property
    def context_tokens(self) -> int | None:
        """Tokens that the text encoder which reads least reads, the rest is cut off; None when there is no limit."""
        return min((reader.most for reader in self._readers), default=None)

    def count_tokens(self, request: Request) -> int:
        """Tokens of the text, without the mark of its end, so that a text that just fits is under the limit."""
        if not self._readers:
            raise DataError(f"{self._uri} has no tokenizer to count with.")
        return min(self._readers, key=lambda reader: reader.most).count(_text(request))

    def _one(self, request: Request) -> Output | Failure:
        begun = time.perf_counter()
        try:
            wanted, given = self._read(request)
            image = request.prompt.image if isinstance(request.prompt, Edit) else None
            speed = image.rate if isinstance(image, Video) else None
            made = self._made(given, noise_seed(request, wanted.seed), wanted, speed=speed)
        except Refused as refused:
            return refused.failure
        except DataError as error:
            return self._failure(f"made what cannot be played: {error}", "Use dtype='float32', or other settings.")
        except NameError as error:  # diffusers imports some helpers only where they are installed
            return self._failure(*lacking_package(error))
        except Exception as error:  # of the pipeline and its parts, which may do anything
            if out_of_memory(error):
                return self._failure("ran out of memory", "Ask for fewer frames, or a smaller or shorter one.")
            message = f"raised {type(error).__name__}: {str(error).strip()[:200]}"
            return self._failure(message, "If it does so for every prompt, call it in a function and explain that.")
        return made if isinstance(made, Failure) else replace(made, seconds=time.perf_counter() - begun)

    def _read(self, request: Request) -> tuple[MediaSettings, dict[str, Any]]:
        wanted = read_media_settings(
            request.settings.extra, self._defaults, takes=self._takes, uri=self._uri, heard_not=self._ignored
        )
        return wanted, {"prompt": _text(request), **self._begun(request), **wanted.given}

    def _begun(self, request: Request) -> dict[str, Any]:
        """What the pipeline begins with besides the text."""
        prompt = request.prompt
        if isinstance(prompt, Edit):
            if prompt.kind not in self.edits:
                able = " or ".join(sorted(_NOUNS[kind] for kind in self.edits))
                raise Refused(
                    f"{self._uri} begins with {f'{able} and a text' if able else 'a text alone'}",
                    f"Give Edit({able}, text)." if able else "Give a str (whygen prompt).",
                )
            return self._changed(prompt.image)
        if self.needs_picture or self._takes_video:
            noun = "video" if self._takes_video else "picture"
            raise Refused(
                f"{self._uri} begins with a {noun}, and was given none", f"Give Edit({noun}, text) (whygen edit)."
            )
        return {}

    def _changed(self, medium: Picture | Sound | Video) -> dict[str, Any]:
        if isinstance(medium, Picture):
            return {"image": Image.fromarray(pictures.pixels(medium))}
        if isinstance(medium, Sound):
            waves = torch.from_numpy(sounds.resampled(medium, self._rate or 0).T.copy())[None]
            return {_WAVES: waves.to(self.pipeline.dtype), "initial_audio_sampling_rate": self._rate}
        shown = films.frames(medium)
        sides = {"height": shown.shape[1], "width": shown.shape[2]}
        kept = {name: max(STEP, side - side % STEP) for name, side in sides.items() if name in self._takes}
        return {"video": [Image.fromarray(each) for each in shown], **kept}

    def _made(
        self, given: dict[str, Any], seed: int, wanted: MediaSettings, *, speed: float | None
    ) -> Output | Failure:
        """One answer; ``speed`` is the rate of the clip that is changed."""
        if "generator" in self._takes:
            given["generator"] = torch.Generator("cpu").manual_seed(seed)  # the same noise on every device
        if "output_type" in self._takes:
            given["output_type"] = "np"
        with quiet(), evaluating(*networks_of(self.pipeline)), seeded(self.pipeline.device, seed):
            returned = self.pipeline(**given)
        if self._kind == "sound":
            return _sound(returned, self._rate or 0)
        blank = getattr(returned, "nsfw_content_detected", None)
        told = next((self._default(name) for name in _SPEEDS if self._default(name)), None)
        rate = wanted.rate or told or speed or RATE
        video = medium_of((_first_video(returned), rate), "frames")
        if video is None or video.frames is None:
            return self._failure(f"returned a {type(returned).__name__} without frames", "Call it in a function.")
        flagged = bool(blank) and any(bool(each) for each in np.ravel(np.asarray(blank)))
        return Output(frames=video.frames, finish="refused" if flagged else "stop")

    def _default(self, name: str) -> float | None:
        told = self._takes.get(name)
        return float(told.default) if told is not None and isinstance(told.default, int | float) else None


def _first_video(returned: Any) -> Any:
    """The frames of the one video; older classes call them images and have no axis of videos."""
    for name in ("frames", "video"):
        held = getattr(returned, name, None)
        if held is not None:
            return held[0] if isinstance(held, list | tuple) or getattr(held, "ndim", 0) == 5 else held
    return np.asarray(returned.images)


def _sound(returned: Any, rate: int) -> Output:
    held = returned.audios[0]
    values = np.asarray(held.detach().float().cpu().numpy() if hasattr(held, "detach") else held)
    if values.ndim == 2 and values.shape[0] < values.shape[1]:
        values = values.T
    return Output(sound=sounds.sound_of(values, rate))


def _sound_rate(pipeline: Any) -> int | None:
    """Samples a second, as the pipeline or one of its parts says."""
    for place in (pipeline, *(getattr(pipeline, name, None) for name in _PLACES)):
        for held in (place, getattr(place, "config", None)):
            for name in _RATES:
                rate = getattr(held, name, None)
                if isinstance(rate, int | float) and not isinstance(rate, bool) and rate > 0:
                    return int(rate)
    return None


def _text(request: Request) -> str:
    prompt = request.prompt
    text = prompt.instruction if isinstance(prompt, Edit) else prompt
    if not isinstance(text, str):
        raise Refused("a pipeline takes no chat", "Give a str, or Edit(picture, text).")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refused("the text is not valid Unicode", "Send valid Unicode.") from None
    return text
