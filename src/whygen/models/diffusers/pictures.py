# pyright: basic
"""A diffusers pipeline as a black box that draws: from a text, or from a picture and an instruction.

The noise that a picture begins with depends on the seed and the draw, never on the text and never on the batch: all
masks of an explanation begin with the same noise, on every device. What a request is answered does not depend on its
batch but for rounding: pictures are drawn one by one until a trial has shown this of the class (`Brush.agrees`).
"""

from __future__ import annotations

import hashlib
import inspect
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import torch
from diffusers.utils import logging

from whygen.errors import DataError
from whygen.media import pictures
from whygen.models.diffusers.drawing import WORTH, Brush, DrawingJob, DrawnBatch, multiple_of, picture_name
from whygen.models.diffusers.settings import Parameters, ignored, mask_name, read_settings
from whygen.models.diffusers.tokens import readers, said_of_cuts
from whygen.models.hf.model import quiet as quiet_library
from whygen.models.hf.tokens import Refused
from whygen.models.one_by_one import evaluating, lacking_package, networks_of, out_of_memory, seeded
from whygen.types import Edit, Failure, JsonValue, Limits, Output, Request, Settings

CALLS = 2
"""Part of the identity: raised when equal requests are answered with other pictures than before (2: the picture's own
size is kept)."""

SMALL = 50_000_000
"""Parameters under which a pipeline counts as small: then overhead, not memory, decides the size of a batch."""

PIXELS = 2**20
"""Pixels of a batch on a processor, unless a size was chosen: a picture of 1,024 by 1,024 fills one. Larger batches are
no faster there (benchmarks/editing_sizes.py), and a process that runs out of memory is ended without a word, where an
accelerator says so and the batch is halved."""


class PictureModel:
    """A pipeline of the diffusers library, told apart by what it takes: a text, a picture, a mask.

    Args:
        pipeline: on the device and in the precision it shall work in.
        uri: what it is called.
        identity: what makes it draw as it does (digest of the weights, precision); without it, answers are kept for
            the run only.
        batch_size: pictures in a batch; None: chosen by the size of the pipeline. Out of memory, it is halved.
        defaults: settings that apply unless a request gives others, such as ``steps``.
    """

    def __init__(
        self,
        pipeline: Any,
        *,
        uri: str,
        identity: Mapping[str, JsonValue] | None = None,
        batch_size: int | None = None,
        defaults: Mapping[str, JsonValue] | None = None,
    ) -> None:
        pipeline.set_progress_bar_config(disable=True)
        self.pipeline = pipeline
        self._uri = uri
        self._defaults = dict(defaults or {})
        told = {"uri": uri, **(identity or {}), "defaults": self._defaults, "calls": CALLS}
        self._identity = None if identity is None else told
        self._takes = _parameters(pipeline)
        self._ignored = ignored(pipeline)
        self._brush = Brush(self._call, self._takes, multiple=multiple_of(pipeline))
        self._place = torch.device(_place(pipeline))
        self._exact = pipeline.dtype in (torch.float32, torch.float64) and self._place.type == "cpu"
        self._together: set[tuple[object, ...]] = set()  # kinds of jobs of which a trial has shown it
        self._readers = readers(pipeline, self._takes)
        self._batch = batch_size or _batch_for(pipeline)
        self._pixels = PIXELS if batch_size is None and self._place.type == "cpu" else None

    def _call(self, *, generator: Any, **told: Any) -> Any:
        """Call it. Torch's own generators begin with the first seed: some classes draw from them as well."""
        first = generator[0] if isinstance(generator, list) else generator
        with evaluating(*networks_of(self.pipeline)), seeded(self._place, first.initial_seed()):
            return self.pipeline(generator=generator, **told)

    @property
    def uri(self) -> str:
        return self._uri

    @property
    def limits(self) -> Limits:
        return Limits(max_batch=self._batch)

    @property
    def identity(self) -> Mapping[str, JsonValue] | None:
        """URI, digest of the files, precision and defaults; None if nobody told."""
        return self._identity

    def answers_alike(self, settings: Settings) -> bool:
        """One seed of the noise, in single precision on a processor: elsewhere a batch may move the last digits."""
        return settings.temperature == 0.0 and self._exact

    @property
    def output_kind(self) -> Literal["picture"]:
        return "picture"

    @property
    def takes_picture(self) -> bool:
        """Whether it takes a picture to change; if not, it draws from a text alone."""
        return picture_name(self._takes) is not None

    @property
    def context_tokens(self) -> int | None:
        """Tokens that the text encoder which reads most reads, the rest is cut off; None when there is no limit."""
        return max((reader.most for reader in self._readers), default=None)

    def count_tokens(self, request: Request) -> int:
        """Tokens of the text, counted without the mark of its end, so that a text that just fits is under the limit.

        Of several encoders, the one that reads most counts; a text that another one reads whole is under the limit.
        """
        if not self._readers:
            raise DataError(f"{self._uri} has no tokenizer to count with.")
        text = _text(request)
        widest = max(self._readers, key=lambda reader: reader.most)
        count = widest.count(text)
        if count >= widest.most and any(reader.count(text) < reader.most for reader in self._readers):
            return widest.most - 1
        return count

    def notices(self, request: Request) -> list[tuple[str, str]]:
        """What a person should know of how this request is read: encoders that do not read all of it."""
        return said_of_cuts(self._readers, _text(request), self._uri)

    def check(self, request: Request) -> None:
        """Say before anything is drawn that the settings, or the prompt, will be refused.

        Raises:
            UsageError: naming the setting and what works.
        """
        try:
            self._prepared(0, request)
        except Refused as refused:
            raise refused.beforehand() from None

    def answer(self, requests: Sequence[Request]) -> list[Output | Failure]:
        answers: dict[int, Output | Failure] = {}
        jobs: list[DrawingJob] = []
        for place, request in enumerate(requests):
            try:
                jobs.append(self._prepared(place, request))
            except Refused as refused:
                answers[place] = refused.failure
        jobs.sort(key=lambda job: repr(job.kind))
        while jobs:
            batch = [job for job in jobs[: self._most(jobs[0])] if job.kind == jobs[0].kind]
            del jobs[: len(batch)]
            for job, answer in zip(batch, self._halving(batch), strict=True):
                answers[job.place] = answer
        return [answers[place] for place in range(len(requests))]

    def _most(self, job: DrawingJob) -> int:
        """How many jobs like this one go into a batch."""
        given: dict[str, Any] = dict(job.wanted.given)
        height, width = given.get("height"), given.get("width")
        if job.image is not None:
            height, width = job.image.shape[:2]
        if self._pixels is None or height is None or width is None:
            return self._batch
        return max(1, min(self._batch, int(self._pixels // (height * width))))

    def _prepared(self, place: int, request: Request) -> DrawingJob:
        wanted = read_settings(
            request.settings.extra, self._defaults, takes=self._takes, uri=self._uri, heard_not=self._ignored
        )
        text = _text(request)
        if not _is_unicode(text):
            raise Refused("the text is not valid Unicode", "Send valid Unicode.")
        seed = noise_seed(request, wanted.seed)
        image = self._image(request)
        if image is None:
            return DrawingJob(place=place, text=text, wanted=wanted, seed=seed, kind=(wanted.kind,))
        mask = None
        if mask_name(self._takes) is not None:
            if wanted.mask is None:
                raise Refused(
                    f"{self._uri} paints where a mask says, and was given none",
                    "Give one: Settings(extra={'mask': picture_text(picture)}), or --mask FILE.",
                )
            mask = pictures.resized(wanted.mask, width=image.shape[1], height=image.shape[0])
        kind = (wanted.kind, image.shape)
        return DrawingJob(place=place, text=text, wanted=wanted, seed=seed, image=image, mask=mask, kind=kind)

    def _image(self, request: Request) -> pictures.Pixels | None:
        prompt = request.prompt
        if not self.takes_picture:
            if isinstance(prompt, str):
                return None
            raise Refused(
                f"{self._uri} draws from a text alone",
                "Give a str (whygen prompt), or use a pipeline that edits pictures.",
            )
        if not isinstance(prompt, Edit):
            # Some classes change a picture or draw without one (Flux2, Kontext); others fail, and are told apart there.
            # One that follows a control draws nothing without, and one that is told how near to stay changes it.
            name = picture_name(self._takes)
            may_lack = name in ("image", "images") and self._takes[name].default is None
            may_lack &= "image_guidance_scale" not in self._takes
            if isinstance(prompt, str) and mask_name(self._takes) is None and may_lack:
                return None
            raise Refused(
                f"{self._uri} changes a picture, and was given none", "Give Edit(picture, instruction) (whygen edit)."
            )
        try:
            image = pictures.pixels(prompt.picture)
        except DataError as error:
            raise Refused(str(error), "Give a PNG, JPEG or WebP picture.") from None
        least = int(getattr(self.pipeline, "vae_scale_factor", 8))
        if min(image.shape[:2]) < least:
            raise Refused(
                f"the picture has {image.shape[1]} x {image.shape[0]} pixels, and {self._uri} needs {least} on a side",
                "Give a larger picture.",
            )
        return image

    def _halving(self, batch: Sequence[DrawingJob]) -> list[Output | Failure]:
        """Draw; where that fails do it in two halves, so that one bad request fails alone."""
        if len(batch) > 1 and not self._may_share(batch):
            return [answer for job in batch for answer in self._halving([job])]
        try:
            return self._draw(batch)
        except Exception as error:  # of the pipeline and its parts, which may do anything
            short_of_memory = out_of_memory(error)
            if len(batch) == 1:
                return [self._failed(error, batch[0], short_of_memory=short_of_memory)]
        half = len(batch) // 2
        if short_of_memory:
            self._batch = min(self._batch, half)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        return self._halving(batch[:half]) + self._halving(batch[half:])

    def _may_share(self, batch: Sequence[DrawingJob]) -> bool:
        """Whether these may be drawn in one call: only where a trial has shown it of their kind. One that shows the
        contrary holds for good.
        """
        kind = batch[0].kind
        if kind in self._together or len(batch) < min(WORTH, self._batch):
            return kind in self._together
        try:
            with quiet():
                agree = self._brush.agrees(batch, exact=self._exact)
        except Exception:  # a bad request, which will say so when it is drawn
            return False
        if agree:
            self._together.add(kind)
        else:
            self._batch = 1
        return agree

    def _failed(self, error: Exception, job: DrawingJob, *, short_of_memory: bool) -> Failure:
        if short_of_memory:
            message = f"{self._uri} ran out of memory on a single picture"
            return Failure(kind="permanent", message=message, advice="Use a smaller picture, or dtype='float16'.")
        if isinstance(error, NameError):
            message, advice = lacking_package(error)
            return Failure(kind="permanent", message=f"{self._uri} {message}", advice=advice)
        message = f"{self._uri} raised {type(error).__name__}: {str(error).strip()[:200]}"
        if self.takes_picture and job.image is None:
            message = f"{self._uri} changes a picture, and was given none ({type(error).__name__})"
            return Failure(kind="permanent", message=message, advice="Give Edit(picture, instruction) (whygen edit).")
        advice = (
            "If it does so for every prompt, the pipeline wants more than a text and a picture, or does not fit this "
            "version of diffusers. Explain a function that calls it: def f(prompt: str) -> Picture."
        )
        return Failure(kind="permanent", message=message, advice=advice)

    def _draw(self, batch: Sequence[DrawingJob]) -> list[Output | Failure]:
        begun = time.perf_counter()
        with quiet():
            drawn = [self._brush.alone(batch[0])] if len(batch) == 1 else self._brush.together(batch)
        seconds = (time.perf_counter() - begun) / len(batch)
        return [self._output(each, seconds=seconds) for each in drawn]

    def _output(self, picture: DrawnBatch, *, seconds: float) -> Output | Failure:
        """A safety checker answers with a black picture: that is a refusal, and not a dark picture."""
        values = picture.values
        if not np.isfinite(values).all():
            message = f"{self._uri} drew values that are no numbers (overflow in {self.pipeline.dtype})"
            return Failure(kind="permanent", message=message, advice="Use dtype='float32' or 'bfloat16'.")
        drawn = np.round(np.clip(values, 0.0, 1.0) * 255.0).astype(np.uint8)
        refused = picture.flagged or not drawn.any()
        return Output(picture=pictures.picture_of(drawn), finish="refused" if refused else "stop", seconds=seconds)


def _parameters(pipeline: Any) -> Parameters:
    """What its class takes, but for pictures that it has no encoder for."""
    blind = any(part is None and "image_encoder" in name for name, part in pipeline.components.items())
    takes = inspect.signature(pipeline.__call__).parameters
    return {name: each for name, each in takes.items() if not (blind and name == "images")}


def noise_seed(request: Request, seed: int | None) -> int:
    """The seed of the noise: of ``extra`` (or 0), and above temperature 0 of the settings' seed and the draw."""
    settings = request.settings
    parts = [0 if seed is None else seed]
    if settings.temperature > 0:
        parts += [settings.seed, request.draw]
    return int(hashlib.sha256(repr(parts).encode()).hexdigest()[:15], 16)


def _text(request: Request) -> str:
    prompt = request.prompt
    if isinstance(prompt, str):
        return prompt
    if isinstance(prompt, Edit):
        return prompt.instruction
    raise Refused("a pipeline takes no chat", "Give a str, or Edit(picture, instruction).")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _batch_for(pipeline: Any) -> int:
    parts: Iterator[Any] = (part for part in pipeline.components.values() if isinstance(part, torch.nn.Module))
    parameters = sum(p.numel() for part in parts for p in part.parameters())
    if parameters < SMALL:
        return 16 if _place(pipeline) == "cpu" else 64
    return 1 if _place(pipeline) == "cpu" else 8


def _place(pipeline: Any) -> str:
    """Where it draws: parts that are offloaded lie on the processor and work elsewhere."""
    return torch.device(getattr(pipeline, "_execution_device", pipeline.device)).type


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and no advice of diffusers and transformers inside, such as of texts that are cut."""
    with quiet_library(logging), quiet_library():
        yield
