# pyright: basic
"""Drawing with a diffusers pipeline: one picture, several at once, and the proof that the two are the same.

Classes of the library differ in what a list of pictures means: a picture for each text, or several references for
every text (Flux2, Qwen-Image-Edit-Plus). No signature says which. So a class is asked one by one until a trial has
shown that a picture in a batch is the picture drawn alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from whygen.media import pictures
from whygen.models.diffusers.settings import CallSettings, Parameters, mask_name

WORTH = 4
"""Pictures from which on a trial is worth its four: fewer are drawn one by one."""

EXACT, HALF = 1.0, 16.0
"""Steps of 255 by which a picture in a batch may differ from the picture alone: by rounding in single precision, and in
half precision, where another size of a batch takes other routines."""

_TELLS = 4
"""The two pictures of a trial must differ by so many times that: where all pictures are alike, nothing is shown."""

_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawingJob:
    """A request ready for the pipeline; jobs of one kind can share a batch."""

    place: int
    text: str
    wanted: CallSettings
    seed: int
    image: pictures.Pixels | None = None
    mask: pictures.Pixels | None = None
    kind: tuple[object, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class DrawnBatch:
    """Values of a picture ``(height, width, 3)``, 0 to 1, and whether a safety checker took it away."""

    values: NDArray[Any]
    flagged: bool


class Brush:
    """Calls a pipeline as its class likes it, and keeps the size of the picture that is changed.

    Args:
        call: the call of a pipeline.
        takes: its parameters.
        multiple: what the sides of a picture must be multiples of, see `multiple_of`.
    """

    def __init__(self, call: Callable[..., Any], takes: Parameters, *, multiple: int) -> None:
        self._call = call
        self._takes = takes
        self._picture = picture_name(takes) or "image"
        self._mask = mask_name(takes) or "mask_image"
        self.multiple = multiple
        self._may_size: bool | None = None  # whether it draws in a size that it is told; None: not tried yet

    def alone(self, job: DrawingJob) -> DrawnBatch:
        """One picture, asked for in the plainest way that there is: one text, one picture, one generator."""
        told: dict[str, Any] = {"prompt": job.text, "generator": _noise(job)}
        if job.wanted.negative is not None:
            told["negative_prompt"] = job.wanted.negative
        if job.image is not None:
            told[self._picture] = self._shown(job.image)
        if job.mask is not None:
            told[self._mask] = Image.fromarray(job.mask).convert("L")
        return self._called(job, told, count=1)[0]

    def together(self, jobs: Sequence[DrawingJob]) -> list[DrawnBatch]:
        """Several pictures in one call. Right only where `agrees` has said so of this kind of job."""
        first = jobs[0]
        told: dict[str, Any] = {"prompt": [job.text for job in jobs], "generator": [_noise(job) for job in jobs]}
        if first.wanted.negative is not None:
            told["negative_prompt"] = [first.wanted.negative] * len(jobs)
        if first.image is not None:
            told[self._picture] = [self._shown(job.image) for job in jobs if job.image is not None]
        if first.mask is not None:
            told[self._mask] = [Image.fromarray(job.mask).convert("L") for job in jobs if job.mask is not None]
        return self._called(first, told, count=len(jobs))

    def agrees(self, jobs: Sequence[DrawingJob], *, exact: bool) -> bool:
        """Whether pictures drawn together are those drawn alone.

        Draws the first job and one that differs from it in everything (text, picture, noise) alone, then both together:
        four pictures more than the answers need.

        Args:
            jobs: of one kind.
            exact: whether the arithmetic is of single precision on a processor.
        """
        one = jobs[0]
        other = _other(one, jobs)
        first, second = self.alone(one), self.alone(other)
        try:
            both = self.together([one, other])
        except Exception:  # of the pipeline, whatever it is: alone it may work
            return False
        bound = EXACT if exact else HALF
        kept = all(
            _apart(a.values, b.values) <= bound and a.flagged == b.flagged
            for a, b in zip((first, second), both, strict=True)
        )
        return kept and _apart(first.values, second.values) > _TELLS * bound

    def _called(self, job: DrawingJob, told: dict[str, Any], *, count: int) -> list[DrawnBatch]:
        """Call it; where the class says of what number the sides must be multiples, believe it; where it draws in its
        own size alone, let it.

        Raises:
            ValueError: as the pipeline does, as do other errors of it.
            TypeError: if what it answers with is no picture.
        """
        for _ in range(_TRIES):
            sides = self._sides(job)
            try:
                drawn = _read(self._call(**told, output_type="np", **job.wanted.given, **sides), count)
            except (ValueError, RuntimeError) as error:
                if not sides or self._may_size is True or "memory" in str(error).lower():
                    raise
                if not self._learned(str(error), job):
                    drawn = _read(self._call(**told, output_type="np", **job.wanted.given), count)
                    self._may_size = False
                    return drawn
            else:
                self._may_size = self._may_size or (True if sides else None)
                return drawn
        raise ValueError("no size of the picture suits it")  # pragma: no cover - three numbers that all differ

    def _shown(self, image: pictures.Pixels) -> Any:
        """The picture as the class takes one: alone, or as its only reference."""
        shown = Image.fromarray(image)
        return [shown] if self._picture == "images" else shown

    def _learned(self, error: str, job: DrawingJob) -> bool:
        """Whether an error names a number that sides must be multiples of, and it is news."""
        found = re.search(r"(?:divisible by|multiples? of) \D{0,3}(\d{1,4})\b", error)
        multiple = math.lcm(self.multiple, int(found[1]) or 1) if found else self.multiple
        if multiple == self.multiple or job.image is None or multiple > min(job.image.shape[:2]):
            return False
        self.multiple = multiple
        return True

    def _sides(self, job: DrawingJob) -> dict[str, int]:
        """The picture's own size, down to a multiple, for classes that would else draw in a size of their own."""
        if job.image is None or self._may_size is False or not {"height", "width"} <= set(self._takes):
            return {}
        given = job.wanted.given
        height, width = (max(side - side % self.multiple, self.multiple) for side in job.image.shape[:2])
        found = {name: side for name, side in (("height", height), ("width", width)) if name not in given}
        if "max_area" in self._takes and "max_area" not in given and len(found) == 2:
            found["max_area"] = height * width  # Flux Kontext scales what it is told to this many pixels
        if "_auto_resize" in self._takes:
            found["_auto_resize"] = False
        return found


def picture_name(takes: Parameters) -> str | None:
    """The parameter that takes the picture: what is changed, or for some classes what the drawing shall follow (edges,
    a pose, a depth); ``images`` takes a list of references. None where a class draws from a text alone.
    """
    return next((name for name in ("image", "images", "control_image") if name in takes), None)


def multiple_of(pipeline: Any) -> int:
    """What the sides of a picture must be multiples of, as far as the pipeline's parts say."""
    scale = int(getattr(pipeline, "vae_scale_factor", 0) or 0) or 8
    processor = getattr(getattr(pipeline, "image_processor", None), "config", None)
    own = getattr(processor, "vae_scale_factor", None)
    patch = getattr(getattr(getattr(pipeline, "transformer", None), "config", None), "patch_size", None)
    of_patch = scale * patch if isinstance(patch, int) and 0 < patch <= 8 else scale
    return math.lcm(own if isinstance(own, int) and own > 0 else scale, of_patch)


def _noise(job: DrawingJob) -> torch.Generator:
    """On the processor, so that the noise is the same on every device."""
    return torch.Generator("cpu").manual_seed(job.seed)


def _other(one: DrawingJob, jobs: Sequence[DrawingJob]) -> DrawingJob:
    """A job that differs from the first in its text, its picture and its noise."""
    job = next((job for job in jobs if job.text != one.text), None)
    job = replace(jobs[-1], text=f"{one.text} a red house by the sea") if job is None else job
    image = job.image
    if image is not None and one.image is not None and np.array_equal(image, one.image):
        image = np.ascontiguousarray(255 - image[::-1])
    return replace(job, image=image, seed=job.seed + 1 if job.seed == one.seed else job.seed)


def _apart(a: NDArray[Any], b: NDArray[Any]) -> float:
    """The largest difference in steps of 255; infinite where the shapes differ or values are no numbers."""
    if a.shape != b.shape or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return math.inf
    whole = [np.round(np.clip(each, 0.0, 1.0).astype(np.float64) * 255.0) for each in (a, b)]
    return float(np.abs(whole[0] - whole[1]).max(initial=0.0))


def _read(answer: Any, count: int) -> list[DrawnBatch]:
    """The pictures in what a pipeline answered, whatever of the usual forms it has."""
    found: Any = getattr(answer, "images", None)
    found = getattr(answer, "rgb", None) if found is None else found  # beside a map of depth
    if found is None:
        raise TypeError(f"it answered with a {type(answer).__name__} without pictures")
    images = [_values(each) for each in found]
    if len(images) != count:
        raise ValueError(f"it drew {len(images)} pictures for {count} texts")
    flags: Any = getattr(answer, "nsfw_content_detected", None) or [False] * count
    return [DrawnBatch(values, bool(flag)) for values, flag in zip(images, flags, strict=True)]


def _values(image: Any) -> NDArray[Any]:
    """One picture as numbers from 0 to 1; of several layers the first, of one channel three."""
    if isinstance(image, list | tuple):
        image = image[0]
    if isinstance(image, Image.Image):
        image = np.asarray(image.convert("RGB"), dtype=np.float32) / 255.0
    values: NDArray[Any] = np.asarray(image)
    while values.ndim > 3:
        values = values[0]
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or values.shape[2] not in (1, 3, 4):
        raise TypeError(f"it answered with an array of shape {values.shape}, which is no picture")
    if values.dtype == np.uint8:
        values = values.astype(np.float32) / 255.0
    if values.shape[2] == 4:
        values = values[..., :3] * values[..., 3:] + (1.0 - values[..., 3:])  # alpha lies on white, as everywhere here
    return np.broadcast_to(values, (*values.shape[:2], 3))
