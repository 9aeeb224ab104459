# pyright: basic
"""A text-to-audio pipeline of transformers as a black box: MusicGen, VITS, Bark, SpeechT5 with its vocoder.

One request at a time. What is drawn (the noise of VITS, the samples of MusicGen) is drawn with one seed, which depends
on the settings and the draw, never on the text.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal

import torch

from whygen.errors import DataError, UsageError
from whygen.models.hf.model import quiet
from whygen.models.one_by_one import OneByOne, evaluating, out_of_memory, seeded
from whygen.models.returned import medium_of
from whygen.models.turns import Refused
from whygen.types import Failure, JsonValue, Output, Request, Settings, digest

MOST_NEW_TOKENS = 30_000
"""MusicGen writes 50 a second: ten minutes."""


class SoundModel(OneByOne):
    """A ``transformers.pipeline("text-to-audio")``; it stays where it is, in the precision it is in.

    ``Settings.extra`` takes ``seed``, ``max_new_tokens`` (how long, for models that generate) and what else the model's
    ``generate`` takes, such as ``guidance_scale``, ``do_sample`` or ``top_k``.

    Args:
        pipeline: for ``text-to-audio`` or ``text-to-speech``.
        uri: what it is called.
        identity: what makes it answer as it does; without it, answers are kept for the run only.

    Raises:
        UsageError: if nothing says its samples a second.
    """

    def __init__(self, pipeline: Any, *, uri: str, identity: Mapping[str, JsonValue] | None = None) -> None:
        self.pipeline = pipeline
        super().__init__(uri=uri, identity=identity)
        if not pipeline.sampling_rate:
            raise UsageError(
                f"{uri} does not say its samples a second. Open it with pipeline('text-to-audio', ..., "
                "sampling_rate=16000), and give that pipeline."
            )

    @property
    def output_kind(self) -> Literal["sound"]:
        return "sound"

    def answers_alike(self, settings: Settings) -> bool:
        """One seed, in single precision on a processor."""
        model = self.pipeline.model
        return settings.temperature == 0.0 and model.dtype == torch.float32 and model.device.type == "cpu"

    def _one(self, request: Request) -> Output | Failure:
        begun = time.perf_counter()
        try:
            text, options, seed = self._read(request)
            model = self.pipeline.model
            with quiet(), evaluating(model), seeded(model.device, seed), torch.inference_mode():
                returned = self.pipeline(text, **options)
            made = medium_of(dict(returned), "sound")
        except Refused as refused:
            return refused.failure
        except DataError as error:
            return self._failure(f"made what cannot be played: {error}", "Use dtype='float32', or other settings.")
        except Exception as error:  # of the model and its parts, which may do anything
            if out_of_memory(error):
                return self._failure("ran out of memory", "Ask for a shorter sound: max_new_tokens.")
            message = f"raised {type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:200]}"
            return self._failure(message, "If it does so for every prompt, call it in a function and explain that.")
        if made is None or made.sound is None:
            return self._failure("returned no samples", "Call it in a function, and explain that.")
        return Output(sound=made.sound, seconds=time.perf_counter() - begun)

    def _read(self, request: Request) -> tuple[str, dict[str, Any], int]:
        """The text, what the pipeline is told, and the seed.

        Raises:
            Refused: if the prompt is no text, or a setting cannot work.
        """
        if not isinstance(request.prompt, str):
            raise Refused(f"{self._uri} speaks a text alone, and was given a chat or a picture", "Give a str.")
        if not request.prompt.strip():
            raise Refused("there is nothing to speak: the text is empty", "Give a text, or choose empty='exclude'.")
        told = dict(request.settings.extra)
        seed = told.pop("seed", 0)
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            raise Refused(f"seed={seed!r} is no seed", "Give a whole number from 0.")
        self._check(told)
        parts: list[JsonValue] = [seed]
        if request.settings.temperature > 0:
            parts += [request.settings.seed, request.draw]
        name = "generate_kwargs" if self.pipeline.model.can_generate() else "forward_params"
        return request.prompt, {name: told} if told else {}, int(digest(parts)[:15], 16)

    def _check(self, told: Mapping[str, JsonValue]) -> None:
        known = vars(self.pipeline.model.generation_config) if self.pipeline.model.can_generate() else {}
        for name, value in told.items():
            if not self.pipeline.model.can_generate() or name not in known:
                most = "seed, max_new_tokens and the options of generate()" if known else "seed alone"
                raise Refused(f"{self._uri} takes no setting {name!r}", f"It takes {most}.")
            if value is not None and not isinstance(value, bool | int | float | str):
                raise Refused(f"{name}={value!r} cannot work", "Give a number or a text.")
        wanted = told.get("max_new_tokens")
        if wanted is not None and (isinstance(wanted, bool) or not isinstance(wanted, int) or wanted < 1):
            raise Refused(f"max_new_tokens={wanted!r} cannot work", "Give a whole number from 1.")
        if isinstance(wanted, int) and wanted > MOST_NEW_TOKENS:
            raise Refused(f"max_new_tokens={wanted} is too long", f"Give at most {MOST_NEW_TOKENS}.")
