"""The small frozen types that every room shares, and the names of array shapes.

A prompt goes in (`str`, `Chat` or `Edit`), a `Request` carries it with its `Settings` to a model,
an `Output` or a `Failure` comes back. Nothing here does any work beyond describing itself as JSON.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from whygen._arguments import Option, check_fields, told
from whygen.chats import Block, Chat, Message, Part, Role, Tool, ToolCall
from whygen.errors import DataError, UsageError
from whygen.safe import clean, without_keys
from whygen.values import JsonValue, Medium, OutputKind, Picture, Sound, Video, canonical_json, digest

__all__ = [
    "Block", "Chat", "Edit", "Failure", "FailureKind", "FinishReason", "Floats", "JsonValue", "Limits", "Masks",
    "Medium", "Message", "Output", "OutputKind", "Part", "Picture", "Prompt", "Request", "Role", "Settings", "Sound",
    "Source", "Template", "TokenScore", "Tool", "ToolCall", "Vectors", "Video", "canonical_json", "digest",
    "output_from_json", "output_json", "prompt_json",
]  # fmt: skip

Masks: TypeAlias = NDArray[np.bool_]
"""Which units are kept. Shape ``(n_masks, n_units)``; ``True`` means kept."""

Floats: TypeAlias = NDArray[np.float64]
"""Effect of each mask, in the target's own unit. Shape ``(n_masks,)``; higher is nearer to the reference."""

Vectors: TypeAlias = NDArray[np.float64]
"""Embeddings. Shape ``(n_items, dim)``."""


@told
@dataclass(frozen=True, slots=True)
class Edit:
    """A picture, a sound or a video, and the instruction that says how to change it.

    Raises:
        UsageError: if the image is none of these, which `whygen.models.medium_from` makes of whatever holds one.
    """

    image: Picture | Sound | Video
    instruction: str

    def __post_init__(self) -> None:
        if not isinstance(self.image, Picture | Sound | Video):  # pyright: ignore[reportUnnecessaryIsInstance] - user code
            raise UsageError(
                f"image holds a {type(self.image).__name__}: give whygen.media.pictures.picture_from(...) of a path, "
                "the bytes of a file, a Pillow image or an array; of a sound or a video whygen.models.medium_from(...)."
            )
        check_fields(self)

    @property
    def kind(self) -> OutputKind:
        """What is to be changed, as models name what they answer with."""
        if isinstance(self.image, Picture):
            return "picture"
        return "sound" if isinstance(self.image, Sound) else "frames"

    @property
    def picture(self) -> Picture:
        """The picture.

        Raises:
            DataError: if it is a sound or a video.
        """
        if not isinstance(self.image, Picture):
            raise DataError(f"A {type(self.image).__name__} is to be changed, and a picture is needed here.")
        return self.image

    def to_json(self) -> dict[str, JsonValue]:
        return {"edit": {"image": self.image.to_json(), "instruction": self.instruction}}


Prompt: TypeAlias = str | Chat | Edit


@told
@dataclass(frozen=True, slots=True)
class Template:
    """A text with named fields, such as ``"Answer from these passages: {passages} Question: {question}"``.

    Braces that are no field are doubled, as in `str.format`. A field that holds several texts is a list of documents
    (retrieved passages, few-shot examples), sent with ``between`` from one to the next.
    """

    text: str
    fields: Mapping[str, str | Sequence[str]] = field(default_factory=dict[str, "str | Sequence[str]"])
    between: str = "\n\n"

    def __post_init__(self) -> None:
        check_fields(self)

    def to_json(self) -> dict[str, JsonValue]:
        return {"template": {"text": self.text, "fields": dict(self.fields), "between": self.between}}


Source: TypeAlias = str | Chat | Template | Edit
"""What can be explained. A template is sent as the text that it renders to."""


def prompt_json(prompt: Prompt) -> dict[str, JsonValue]:
    """A prompt as JSON; images appear by digest only."""
    return {"text": prompt} if isinstance(prompt, str) else prompt.to_json()


@told
@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to generate. Temperature 0 is greedy decoding, and then the seed plays no part."""

    temperature: Annotated[
        float,
        Option(
            "0 is greedy decoding; a model that draws begins with one noise for all.", panel="For experts: the answers"
        ),
    ] = 0.0
    max_tokens: Annotated[int, Option("Length limit of an answer; 256.", panel="For experts: the answers")] = 256
    top_p: Annotated[
        float | None,
        Option("Sampling: from the likeliest tokens of this mass.", panel="For experts: the answers"),
    ] = None
    stop: Annotated[
        tuple[str, ...],
        Option("A text that ends the answer; may be given again.", panel="For experts: the answers"),
    ] = ()
    seed: int = 0
    extra: Mapping[str, JsonValue] = field(default_factory=dict[str, "JsonValue"])
    """Provider-specific parameters that change the answer (image guidance, number of steps ...)."""

    def __post_init__(self) -> None:
        check_fields(self)
        if not 0 <= self.temperature < math.inf:
            raise UsageError(f"temperature={self.temperature}: give a number of 0 or more; 0 is greedy decoding.")
        if self.top_p is not None and not 0 <= self.top_p <= 1:
            raise UsageError(f"top_p={self.top_p}: give a share within 0 to 1.")

    def to_json(self) -> dict[str, JsonValue]:
        """Only what can change the answer: unset fields, the seed of a greedy call, and keys are left out."""
        settings: dict[str, JsonValue] = {"temperature": float(self.temperature), "max_tokens": self.max_tokens}
        if self.temperature > 0:
            settings["seed"] = self.seed
        if self.top_p is not None:
            settings["top_p"] = float(self.top_p)
        if self.stop:
            settings["stop"] = list(self.stop)
        if self.extra:
            settings["extra"] = without_keys(self.extra)
        return settings


@told
@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One thing to ask of a model.

    ``draw`` numbers repeated askings of the same prompt: two draws are two calls, even at temperature 0.
    ``continuation`` asks for the log-probability of that given text instead of a generation.
    """

    prompt: Prompt
    settings: Settings = field(default_factory=Settings)
    draw: int = 0
    continuation: str | None = None

    def to_json(self) -> dict[str, JsonValue]:
        request: dict[str, JsonValue] = {"prompt": prompt_json(self.prompt), "draw": self.draw}
        if self.continuation is None:
            request["settings"] = self.settings.to_json()
        else:
            request["continuation"] = self.continuation
            if self.settings.extra:  # how to generate plays no part in scoring; what is done to the prompt does
                request["settings"] = {"extra": without_keys(self.settings.extra)}
        return request

    @property
    def digest(self) -> str:
        """sha256 over the canonical JSON of everything that can change the answer, and nothing else."""
        return digest(self.to_json())

    @property
    def sampling_seed(self) -> int:
        """A 63-bit seed for this very call: it depends on the request alone, never on its batch."""
        return int(self.digest[:16], 16) >> 1


@dataclass(frozen=True, slots=True)
class TokenScore:
    """One token of a text the model scored: its characters ``[start, end)`` and log-probability in nats."""

    start: int
    end: int
    logprob: float

    def to_json(self) -> list[JsonValue]:
        return [self.start, self.end, self.logprob]


FinishReason: TypeAlias = Literal["stop", "length", "refused", "scored"]


@told
@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What came back. ``text`` may be empty: an empty answer is an answer, and is shown as one.

    At most one of ``picture``, ``sound`` and ``frames`` is there. ``calls`` are the tools that the model called.
    """

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    picture: Picture | None = None
    sound: Sound | None = None
    frames: Video | None = None
    finish: FinishReason = "stop"
    tokens_in: int | None = None
    tokens_out: int | None = None
    seconds: float = 0.0
    scores: tuple[TokenScore, ...] | None = None
    """Log-probabilities of the request's continuation, in order; they cover it without gaps."""
    extra: Mapping[str, JsonValue] = field(default_factory=dict[str, "JsonValue"])
    """What the provider says of itself (fingerprint, seed used ...). Never a key or a header."""

    def __post_init__(self) -> None:
        if sum(medium is not None for medium in (self.picture, self.sound, self.frames)) > 1:
            raise DataError("An output holds a picture, a sound or frames, not two of them. Return one.")

    @property
    def medium(self) -> Medium | None:
        """The picture, the sound or the frames; None where the answer is a text."""
        return self.picture or self.sound or self.frames

    @property
    def said(self) -> str:
        """The text, and below it each call as ``name(arguments)``, in JSON of one form: what there is to compare."""
        return "\n".join(filter(None, (self.text, *(call.said for call in self.calls)))) if self.calls else self.text


FailureKind: TypeAlias = Literal["rate_limit", "transient", "refused", "permanent", "fatal"]
"""Turned away for now; failed on the way; refused as a prompt; failed for good, this request alone; and failed as every
later request would (a revoked key, a spent quota, a model that is gone), which ends a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why one request got no answer. Adapters classify; `whygen.calls` alone decides what to do.

    ``advice`` says what the person should do next; ``retry_after`` is in seconds. Both texts may quote a server or a
    function: keys are taken out, and control characters shown by name.
    """

    kind: FailureKind
    message: str
    advice: str = ""
    retry_after: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", clean(self.message))
        object.__setattr__(self, "advice", clean(self.advice))

    @property
    def said(self) -> str:
        """What went wrong, as a sentence; one that ends in a full stop gets no second one."""
        message = self.message.rstrip()
        return message if message.endswith((".", "!", "?", "…")) else f"{message}."

    @property
    def sentence(self) -> str:
        """What went wrong and what to do next."""
        return f"{self.said} {self.advice}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an adapter can take at once: requests in one ``answer`` call, and calls in flight."""

    max_batch: int = 1
    max_in_flight: int = 1


def output_json(output: Output) -> dict[str, Any]:
    """An output as JSON, for the store and for ``replay/`` files; pictures, sounds and frames by digest only."""
    record: dict[str, Any] = {"text": output.text, "finish": output.finish, "seconds": output.seconds}
    for name in _MEDIA:
        if (medium := getattr(output, name)) is not None:
            record[name] = medium.to_json()
    for name in ("tokens_in", "tokens_out"):
        if (count := getattr(output, name)) is not None:
            record[name] = count
    if output.scores is not None:
        record["scores"] = [score.to_json() for score in output.scores]
    if output.calls:
        record["calls"] = [call.to_json() for call in output.calls]
    if output.extra:
        record["extra"] = dict(output.extra)
    return record


_MEDIA = ("picture", "sound", "frames")


def output_from_json(record: Mapping[str, Any], *, data: bytes | None = None) -> Output:
    """The inverse of `output_json`; the bytes of a picture, sound or frames are handed in by whoever keeps them."""
    scores = record.get("scores")
    medium = None if data is None else _medium(record, data)
    return Output(
        text=record["text"],
        calls=tuple(ToolCall.from_json(call) for call in record.get("calls", ())),
        picture=medium if isinstance(medium, Picture) else None,
        sound=medium if isinstance(medium, Sound) else None,
        frames=medium if isinstance(medium, Video) else None,
        finish=record["finish"],
        tokens_in=record.get("tokens_in"),
        tokens_out=record.get("tokens_out"),
        seconds=record["seconds"],
        scores=None if scores is None else tuple(TokenScore(int(a), int(b), float(c)) for a, b, c in scores),
        extra=record.get("extra", {}),
    )


def _medium(record: Mapping[str, Any], data: bytes) -> Medium:
    if "frames" in record:
        kept = record["frames"]
        return Video(data, int(kept["count"]), float(kept["rate"]), kept["media_type"])
    if "sound" in record:
        return Sound(data, record["sound"]["media_type"])
    return Picture(data, record["picture"]["media_type"])
