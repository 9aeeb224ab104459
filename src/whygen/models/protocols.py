"""What whygen asks of a model: one required method, and small optional capabilities.

Ask for a capability by protocol (``isinstance(model, ScoresText)``), never by class name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from whygen._arguments import Option, check_fields, documented, told
from whygen.errors import UnknownNameError, UsageError, meant
from whygen.types import Failure, JsonValue, Limits, Output, OutputKind, Request, Settings


@runtime_checkable
class Model(Protocol):
    """A black box. ``answer`` keeps the order and never raises for one item: it returns a `Failure`."""

    @property
    def uri(self) -> str: ...

    @property
    def limits(self) -> Limits: ...

    def answer(self, requests: Sequence[Request]) -> Sequence[Output | Failure]: ...


@runtime_checkable
class HasIdentity(Protocol):
    """A model that knows what, besides the request, can change its answers (weights, base URL, dtype).

    ``None`` means "cannot know": such a model's answers are kept in memory for the run, never in the store.
    A model without this protocol is identified by its URI alone.
    """

    @property
    def identity(self) -> Mapping[str, JsonValue] | None: ...


@runtime_checkable
class HasWorkers(Protocol):
    """A model that several workers hold, on one machine or many: threads may call ``answer`` at the same time."""

    @property
    def places(self) -> int:
        """Batches that the workers take now, those in hand included: it grows while more of them load the model."""
        ...


@runtime_checkable
class AnswersAlike(Protocol):
    """A model that says whether it gives equal answers to equal requests by the way it is built (greedy decoding in
    single precision, a rule). Without this protocol nobody knows: a model whose answers agreed so far is no such model.
    """

    def answers_alike(self, settings: Settings) -> bool:
        """Whether equal requests with these settings get equal answers, whatever their ``draw``."""
        ...


@runtime_checkable
class ScoresText(Protocol):
    """Log-probabilities of a given output (`Request.continuation`), one `Output.scores` for each request."""

    def score(self, requests: Sequence[Request]) -> Sequence[Output | Failure]: ...


@runtime_checkable
class Randomises(Protocol):
    """A model that runs here and can give a copy of itself that has learned nothing: the same network, with the values
    within every weight shuffled. An explanation of the copy must be unrelated (METHODS A7).
    """

    def randomised(self, seed: int) -> Model: ...


@runtime_checkable
class HasContext(Protocol):
    """A model that can count a prompt's tokens, and knows how many it takes (``None``: no limit known)."""

    @property
    def context_tokens(self) -> int | None: ...

    def count_tokens(self, request: Request) -> int: ...


CUT = "cut"
"""The code of the notice that no part of a model reads the whole prompt: such a prompt is refused."""


@runtime_checkable
class GivesNotices(Protocol):
    """A model that has something to say of how it reads a request, such as that a part of it reads only its beginning:
    a code and a text each, which become warnings of the explanation (`CUT`: it cannot be explained).
    """

    def notices(self, request: Request) -> Sequence[tuple[str, str]]: ...


@runtime_checkable
class ChecksRequests(Protocol):
    """A model that can tell beforehand that it will not take a request."""

    def check(self, request: Request) -> None:
        """Nothing is run.

        Raises:
            UsageError: if a setting or the prompt cannot work, with what to give instead.
        """
        ...


@runtime_checkable
class Tokenizes(Protocol):
    """A model that can tell how it cuts a text."""

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Characters ``[start, end)`` of each token, in order and without gaps; tokens inside one character are one.

        Raises:
            DataError: if the text cannot be cut, or its tokens cannot be found in it.
        """
        ...


@runtime_checkable
class MarksUnknown(Protocol):
    """A model whose tokenizer has no token for some texts, and reads one token for all that is unknown."""

    def unknown_tokens(self, text: str) -> int:
        """How many tokens of a text stand for what the tokenizer does not know."""
        ...


@runtime_checkable
class ContinuesText(Protocol):
    """A model that knows whether it goes on with a prompt as it is written, rather than answering it as a turn."""

    @property
    def continues_text(self) -> bool: ...


@runtime_checkable
class FillsMask(Protocol):
    """A model whose prompts hold one `mask`: it answers with the likeliest text there.

    ``Output.extra["fillers"]`` lists ``[text, probability]``, the likeliest first; ``text`` is the first of them.
    """

    @property
    def mask(self) -> str: ...


@runtime_checkable
class AddsNoise(Protocol):
    """A model that adds noise to its input embeddings, in `answer` and in `score`, by ``Settings.extra``.

    ``{"embedding_noise": {"spans": [[start, end], ...], "scale": s, "seed": k}}``: every token that shares a character
    with a span of the prompt gets Gaussian noise, as long as ``scale`` average embeddings on average. A token's noise
    depends on the seed and on its place among the tokens, and on nothing else.
    """

    def noisy_tokens(self, request: Request) -> list[int]:
        """Places, among the tokens of the prompt, that the request's noise reaches."""
        ...


@runtime_checkable
class HasOutputKind(Protocol):
    """A model that says what its answers are. Without this protocol they are texts."""

    @property
    def output_kind(self) -> OutputKind: ...


@runtime_checkable
class EditsMedia(Protocol):
    """A model that says what it can change, where that is more than pictures: ``Edit`` of a sound or a video."""

    @property
    def edits(self) -> Collection[OutputKind]: ...


@runtime_checkable
class LearnsKind(HasOutputKind, Protocol):
    """A model that may find out only by answering what its answers are, such as a function without an annotation."""

    def learn(self, request: Request) -> OutputKind:
        """What it answers with, after one answer, which is kept: the request is not asked twice."""
        ...


def output_kind(model: object) -> OutputKind:
    """What a model answers with."""
    return model.output_kind if isinstance(model, HasOutputKind) else "text"


def draws_pictures(model: object) -> bool:
    """Whether a model answers with pictures (`Output.picture`)."""
    return output_kind(model) == "picture"


def timed_kind(model: object) -> Literal["sound", "frames"] | None:
    """Whether a model answers with sounds or videos; None where it does with neither."""
    kind = output_kind(model)
    if kind == "sound":
        return kind
    return kind if kind == "frames" else None


@runtime_checkable
class Encodes(Protocol):
    """Samples ``(n, ...)`` to the mean and log-variance of their posterior, each ``(n, d)``."""

    def encode(self, samples: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]: ...


@runtime_checkable
class Decodes(Protocol):
    """Latents ``(n, d)`` to samples ``(n, ...)``."""

    def decode(self, latents: NDArray[np.float32]) -> NDArray[np.float32]: ...


@runtime_checkable
class Samples(Protocol):
    """``n`` generated samples ``(n, ...)``; randomness comes from the generator alone."""

    def sample(self, n: int, rng: np.random.Generator) -> NDArray[np.float32]: ...


@runtime_checkable
class HasDensity(Protocol):
    """Samples ``(n, ...)`` to the log of their density, or of their probability: ``(n,)``, in nats."""

    def log_prob(self, samples: NDArray[np.float32]) -> NDArray[np.floating]: ...


@runtime_checkable
class Denoises(Protocol):
    """A model that was trained to take noise out of samples, asked at a fixed grid of noise levels.

    ``levels`` are shares of noise between 0 (none) and 1 (nothing else), ascending. ``noise`` is standard normal, of
    the shape of one sample with a first axis of 1 or n: who asks fixes it, so that a sample's number does not depend
    on its batch. A model that works on latents of its own makes noise of their shape from ``noise``.
    """

    @property
    def levels(self) -> Sequence[float]: ...

    def loss(self, samples: NDArray[np.float32], level: float, noise: NDArray[np.float32]) -> NDArray[np.floating]:
        """Mean squared error of the noise that the model finds in each noisy sample, ``(n,)``."""
        ...

    def redenoise(self, samples: NDArray[np.float32], level: float, noise: NDArray[np.float32]) -> NDArray[np.float32]:
        """Samples with that much noise added, and taken out again by the model: ``(n, ...)``."""
        ...

    def round_trip(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Samples taken to noise without randomness (DDIM inversion) and back: ``(n, ...)``."""
        ...


@runtime_checkable
class Conditioned(Denoises, Protocol):
    """A denoiser whose methods take ``conditions=`` too: a class or a caption for each sample.

    ``takes`` says which: "classes", "captions", or None for a model that is told nothing.
    """

    @property
    def takes(self) -> str | None: ...

    def require(self, conditions: Sequence[int | str] | None) -> None:
        """Look at conditions before anything is asked.

        Raises:
            DataError: if one is not known to the model.
            UsageError: if there are none, and it cannot do without.
        """
        ...


@runtime_checkable
class Inverts(Protocol):
    """A generator that can look for the latent whose sample is nearest to a given one."""

    def invert(self, samples: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """For each of the samples ``(n, ...)`` the nearest that was found, of the same shape; NaN where none was."""
        ...


_DEVICE = re.compile(r"(?:cpu|cuda|mps|xpu|hpu|mtia|xla|vulkan|meta|privateuseone)(?::\d{1,3})?")
"""Devices as torch names them; checked before torch is imported or a model opened."""


DTYPES = ("float32", "float16", "bfloat16", "float64")
"""Precisions of local models, as torch names them."""

ENDPOINTS = ("chat", "responses", "completions", "images", "chat-images")
"""What a server that speaks OpenAI's protocol can be asked by."""

EXECUTORS = ("ray", "vllm")
"""Where a model can run besides this process."""


@documented
@told
@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """How to open a model. None means: choose by what is there.

    A model that is opened for the ``purpose`` to ``foresee`` needs no key: calls are counted, and none can be made.
    """

    device: Annotated[
        str | None, Option("cpu, cuda, mps ...; chosen automatically.", panel="For experts: the model")
    ] = None
    dtype: Annotated[
        str | None, Option("Of a local model: float32, float16 or bfloat16.", panel="For experts: the model")
    ] = None
    batch_size: Annotated[
        int | None, Option("Prompts in one batch of a local model.", panel="For experts: the model")
    ] = None
    base_url: Annotated[
        str | None, Option("Address of an OpenAI-compatible server.", panel="For experts: the model")
    ] = None
    endpoint: Annotated[
        str | None,
        Option(
            "Of a remote model: chat, responses, completions, images or chat-images.",
            "Base models have completions; models that answer with pictures by chat have chat-images.",
            panel="For experts: the model",
        ),
    ] = None
    timeout: Annotated[
        float | None,
        Option("Seconds that a server may be silent.", "Then the answer is given up.", panel="For experts: the model"),
    ] = None
    executor: Annotated[
        Literal["ray", "vllm"] | None,
        Option(
            "ray: the model runs on a Ray cluster, at several workers; vllm: there, by vLLM's engine.",
            "A model of weights is loaded once by each worker; a remote one is called from the cluster. Seeds and "
            "numbers are those of one process; vLLM's are its own.",
            panel="For experts: the model",
        ),
    ] = None
    address: Annotated[
        str | None,
        Option(
            "For ray: HOST:PORT of the cluster, or auto for the one on this machine.",
            "Without it, one is started on this machine for as long as this process lives.",
            panel="For experts: the model",
        ),
    ] = None
    workers: Annotated[
        int | None,
        Option(
            "For ray: how many workers.",
            "Unless given, one for each GPU that is free, or for each processor where there is no GPU.",
            panel="For experts: the model",
        ),
    ] = None
    purpose: Literal["ask", "foresee"] = "ask"

    def __post_init__(self) -> None:
        check_fields(self)
        if self.device is not None and not _DEVICE.fullmatch(self.device):
            raise UsageError(
                f"device={self.device!r} is no device. Write cpu, cuda, cuda:0 or mps, or leave it out."
                f"{meant(self.device, ('cpu', 'cuda', 'mps'))}"
            )
        for name, known in (("dtype", DTYPES), ("endpoint", ENDPOINTS), ("executor", EXECUTORS)):
            given = getattr(self, name)
            if given is not None and given not in known:
                raise UnknownNameError(name, given, known)
        if self.executor is None and (self.address is not None or self.workers is not None):
            named = "address" if self.address is not None else "workers"
            raise UsageError(f"{named} says where a model runs on a cluster: give executor='ray' with it.")
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"workers={self.workers}: give a number of at least 1, or leave it out.")

    @property
    def here(self) -> ModelOptions:
        """The same, in the process that opens it."""
        return replace(self, executor=None, address=None, workers=None)


def _no_names() -> Sequence[str]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A kind of model.

    Attributes:
        name: what stands before the slash.
        summary: one line for `whygen models`.
        open: opens ``provider/NAME``; imports what is heavy only now.
        names: the names it knows, if they can be listed.
    """

    name: str
    summary: str
    open: Callable[[str, ModelOptions], object]
    names: Callable[[], Sequence[str]] = _no_names
