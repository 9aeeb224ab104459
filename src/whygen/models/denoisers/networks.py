# pyright: basic
"""Networks that remove noise and are called as they are: ``network(x, time)``, with the number of a class or without.

A walk asks the network at one level of noise after the other; what it answers decides where the next one begins.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import torch

from whygen.errors import DataError, UsageError
from whygen.models.denoisers.schedules import NoiseLevel, NoiseSchedule
from whygen.models.one_by_one import evaluating as in_evaluation

Follow: TypeAlias = Callable[[int, torch.Tensor, torch.Tensor], torch.Tensor]
"""From the place in the walk, the network's answer and what it was asked of, to what it is asked of next."""
Condition: TypeAlias = int | str
"""What a sample is to show: a class, or a caption."""

CLASS_WORDS = ("class_labels", "y", "labels", "label")
"""Names under which networks take the numbers of classes."""


class Network(Protocol):
    """What a `Denoiser` needs of a model; tensors ``(n, ...)`` of single precision."""

    @property
    def parts(self) -> Mapping[str, torch.nn.Module]:
        """Modules whose weights decide what it answers."""
        ...

    @property
    def takes(self) -> str | None:
        """What it is told of a sample beside the sample: "classes", "captions", or nothing."""
        ...

    @property
    def without(self) -> str:
        """What it is told where a sample has no condition, in words; "" where it must have one."""
        ...

    def require(self, conditions: Sequence[Condition] | None) -> None:
        """Look at conditions before anything is asked.

        Raises:
            DataError: if one is not known.
            UsageError: if there are none, and it cannot do without.
        """
        ...

    def enter(self, samples: torch.Tensor) -> torch.Tensor:
        """Samples as the network sees them: themselves, or latents."""
        ...

    def walk(
        self, start: torch.Tensor, levels: Sequence[NoiseLevel], follow: Follow, conditions: Sequence[Condition] | None
    ) -> torch.Tensor:
        """Ask at each level in turn; gives what ``follow`` gave last."""
        ...

    def paint(
        self, start: torch.Tensor, levels: Sequence[NoiseLevel], follow: Follow, conditions: Sequence[Condition] | None
    ) -> torch.Tensor:
        """The same, and the way back to samples."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentSpace:
    """Where a network adds and removes noise, and the way there and back; the samples themselves by default."""

    enter: Callable[[torch.Tensor], torch.Tensor] = lambda samples: samples
    leave: Callable[[torch.Tensor], torch.Tensor] = lambda latents: latents
    parts: Mapping[str, torch.nn.Module] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Classes:
    """The classes of a network.

    Attributes:
        word: under which it takes them.
        count: how many there are.
        empty: the number that stands for none; None: there is none.
        names: by name, where they have names.
    """

    word: str
    count: int
    empty: int | None = None
    names: Mapping[str, int] = field(default_factory=dict)

    def number(self, condition: Condition) -> int:
        """The number of a class by number or name.

        Raises:
            DataError: if there is no such class.
        """
        text = str(condition).strip()
        if text in self.names:
            return self.names[text]
        if text.isascii() and text.isdigit() and int(text) < self.count:
            return int(text)
        known = f", or one of {', '.join(sorted(self.names)[:5])} ..." if self.names else ""
        raise DataError(
            f"The condition {text[:60]!r} is no class of the model. Give whole numbers from 0 to "
            f"{self.count - 1}{known}."
        )


class PlainNetwork:
    """A module, or any callable, that is called as ``f(x, time)``."""

    def __init__(
        self, network: Any, schedule: NoiseSchedule, *, classes: Classes | None = None, space: LatentSpace | None = None
    ) -> None:
        self._network = network
        self._schedule = schedule
        self._classes = classes
        self._space = space or LatentSpace()
        self.takes = None if classes is None else "classes"
        self.without = "" if classes is None or classes.empty is None else "the class that stands for none"

    @property
    def parts(self) -> Mapping[str, torch.nn.Module]:
        own = {"network": self._network} if isinstance(self._network, torch.nn.Module) else {}
        return {**own, **self._space.parts}

    def replaced(self, network: torch.nn.Module) -> PlainNetwork:
        """The same with another network."""
        return PlainNetwork(network, self._schedule, classes=self._classes, space=self._space)

    def enter(self, samples: torch.Tensor) -> torch.Tensor:
        return self._space.enter(samples)

    def walk(
        self, start: torch.Tensor, levels: Sequence[NoiseLevel], follow: Follow, conditions: Sequence[Condition] | None
    ) -> torch.Tensor:
        more = self._told(conditions, len(start), start.device)
        x = start
        with evaluating(self.parts.values()):
            for place, level in enumerate(levels):
                x = follow(place, self._ask(self._schedule.scale(x, level), level, more), x)
        return x

    def paint(
        self, start: torch.Tensor, levels: Sequence[NoiseLevel], follow: Follow, conditions: Sequence[Condition] | None
    ) -> torch.Tensor:
        return self._space.leave(self.walk(start, levels, follow, conditions))

    def require(self, conditions: Sequence[Condition] | None) -> None:
        if self._classes is not None:
            self.numbers(conditions, len(conditions or ()))

    def numbers(self, conditions: Sequence[Condition] | None, n: int) -> list[int]:
        """The numbers of n classes.

        Raises:
            UsageError: if none were given, and the network knows no class that stands for none.
        """
        classes = self._classes
        assert classes is not None  # noqa: S101 - asked of networks that take classes
        if conditions is not None:
            return [classes.number(each) for each in conditions]
        if classes.empty is None:
            raise UsageError(
                "The network is told a class with every sample, and knows none that stands for no class. Give the "
                "classes of the anchors: condition='labels', or condition= with one for each."
            )
        return [classes.empty] * n

    def _told(self, conditions: Sequence[Condition] | None, n: int, device: torch.device) -> dict[str, torch.Tensor]:
        if self._classes is None:
            return {}
        return {self._classes.word: torch.tensor(self.numbers(conditions, n), device=device)}

    def _ask(self, x: torch.Tensor, level: NoiseLevel, more: Mapping[str, torch.Tensor]) -> torch.Tensor:
        dtype = torch.int64 if self._schedule.known is not None else torch.float32
        times = torch.full((len(x),), level.time, dtype=dtype, device=x.device)
        found = self._network(x.to(dtype_of(self._network)), times, **more)
        return answered(found, x)


def answered(found: Any, x: torch.Tensor) -> torch.Tensor:
    """The network's answer, whatever it is wrapped in; of twice the channels (learned variances) the first half.

    Raises:
        UsageError: if it is no tensor of the shape of what was given.
    """
    answer = getattr(found, "sample", found)
    if isinstance(answer, tuple | list) and answer:
        answer = answer[0]
    if not torch.is_tensor(answer):
        raise UsageError(f"The network returned a {type(found).__name__}; it must return a tensor like its input.")
    if answer.ndim == x.ndim and answer.ndim > 1 and answer.shape[1] == 2 * x.shape[1]:
        answer = answer[:, : x.shape[1]]
    if answer.shape != x.shape:
        raise UsageError(
            f"The network was given {tuple(x.shape)} and returned {tuple(answer.shape)}: whygen asks for what is to be "
            "removed, value by value. Give a network f(x, time) whose answer has the shape of x."
        )
    return answer.to(torch.float32)


def dtype_of(network: Any) -> torch.dtype:
    """The type of its weights; single precision where it has none."""
    weights = network.parameters() if isinstance(network, torch.nn.Module) else ()
    return next((each.dtype for each in weights if each.is_floating_point()), torch.float32)


def device_of(parts: Mapping[str, torch.nn.Module]) -> torch.device:
    """Where the weights lie."""
    return next((each.device for part in parts.values() for each in part.parameters()), torch.device("cpu"))


def classes_of(network: Any, names: Mapping[str, int] | None = None) -> Classes | None:
    """The classes that a network is told; None where it is told none.

    Raises:
        UsageError: if it must be told something that is no class.
    """
    config = getattr(network, "config", None)
    kind = type(network).__name__
    if kind.startswith("DiT"):
        count = int(getattr(config, "num_embeds_ada_norm", 1000))
        return Classes(word="class_labels", count=count, empty=count, names=names or {})
    count = getattr(config, "num_class_embeds", None)
    if count is not None:
        return Classes(word="class_labels", count=int(count), names=names or {})
    needed = _needed(network)
    if not needed:
        return None
    word = next((word for word in CLASS_WORDS if word in needed), None)
    if word is None or len(needed) > 1:
        raise UsageError(
            f"The network {kind} must be told {', '.join(needed)} beside x and time. Give the pipeline that it belongs "
            "to, which knows what to tell it, or a function f(x, time) that does."
        )
    embedding = next((part for part in network.modules() if isinstance(part, torch.nn.Embedding)), None)
    return Classes(word=word, count=10**6 if embedding is None else embedding.num_embeddings)


def _needed(network: Any) -> list[str]:
    """Parameters beside the first two that a network must be given."""
    call = network.forward if isinstance(network, torch.nn.Module) else network
    try:
        parameters = list(inspect.signature(call).parameters.values())
    except (TypeError, ValueError):  # compiled code tells nothing of its arguments
        return []
    fixed = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [each.name for each in parameters[2:] if each.default is each.empty and each.kind not in fixed]


@contextmanager
def evaluating(parts: Any) -> Generator[None]:
    """Dropout off and no gradients; afterwards every part as it was."""
    with in_evaluation(*parts), torch.inference_mode():
        yield
