# pyright: basic
"""What models that make sounds and videos share: one request at a time, and noise that depends on a seed alone."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from whygen.models.turns import Refused
from whygen.types import Failure, JsonValue, Limits, Output, Request


class OneByOne(ABC):
    """A model that is asked one request at a time; a subclass reads it in ``_read``, and answers it in ``_one``.

    Args:
        uri: what it is called.
        identity: what makes it answer as it does; without it, answers are kept for the run only.
    """

    def __init__(self, *, uri: str, identity: Mapping[str, JsonValue] | None) -> None:
        self._uri = uri
        self._identity = None if identity is None else {"uri": uri, **identity}

    @property
    def uri(self) -> str:
        return self._uri

    @property
    def limits(self) -> Limits:
        return Limits(max_batch=1)

    @property
    def identity(self) -> Mapping[str, JsonValue] | None:
        """URI, digest of the files, precision and defaults; None if nobody told."""
        return self._identity

    def answer(self, requests: Sequence[Request]) -> list[Output | Failure]:
        return [self._one(request) for request in requests]

    def check(self, request: Request) -> None:
        """Say before anything is computed that the settings, or the prompt, will be refused.

        Raises:
            UsageError: naming the setting and what works.
        """
        try:
            self._read(request)
        except Refused as refused:
            raise refused.beforehand() from None

    @abstractmethod
    def _read(self, request: Request) -> Any:
        """What the request says, checked.

        Raises:
            Refused: if it cannot be answered.
        """

    @abstractmethod
    def _one(self, request: Request) -> Output | Failure:
        """The answer to a request, or why there is none."""

    def _failure(self, what: str, advice: str) -> Failure:
        return Failure(kind="permanent", message=f"{self._uri} {what}", advice=advice)


def out_of_memory(error: Exception) -> bool:
    """Whether a pipeline failed for want of memory, of a device or of the machine."""
    return "memory" in str(error).lower() or isinstance(error, MemoryError)


def lacking_package(error: NameError) -> tuple[str, str]:
    """What a pipeline that uses a package which is not there is told as, and what to do: diffusers imports some helpers
    only where they are installed.
    """
    return f"needs the package {error.name!r}, which is not installed", f"Install it: pip install {error.name}"


@contextmanager
def evaluating(*parts: torch.nn.Module) -> Generator[None]:
    """Dropout and batch norm off in networks that somebody holds, and afterwards every part of them as it was."""
    training = [each for part in parts for each in part.modules() if each.training]
    for part in parts:
        part.eval()
    try:
        yield
    finally:
        for each in training:
            each.training = True


def networks_of(pipeline: Any) -> list[torch.nn.Module]:
    """The networks among the parts of a pipeline of diffusers, as it holds them now."""
    return [part for part in getattr(pipeline, "components", {}).values() if isinstance(part, torch.nn.Module)]


@contextmanager
def seeded(device: torch.device, seed: int) -> Generator[None]:
    """Torch's own generators begin with ``seed`` and are put back afterwards; no advice to authors is shown.

    Some parts draw without the generator that they are given, such as the noise of a decoder.
    """
    with torch.random.fork_rng([device] if device.type == "cuda" else []), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        yield
