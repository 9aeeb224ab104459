"""How requests reach a model: in batches, one after another, for a local model.

A dispatcher for remote servers, with many calls in flight, takes the same place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from whygen.types import Failure, Limits, Output, Request

Answer: TypeAlias = Output | Failure
Send: TypeAlias = Callable[[Sequence[Request]], Sequence[Answer]]
"""Asks the model once: as many answers as requests, in their order."""


class Arrival(NamedTuple):
    """An answer, and the place of its request among those that were handed over."""

    place: int
    answer: Answer


class Dispatcher(Protocol):
    """Sends every request once and hands answers over as they arrive, in any order."""

    def dispatch(self, send: Send, requests: Sequence[Request], limits: Limits) -> Iterator[Sequence[Arrival]]: ...


class LocalDispatcher:
    """One batch of ``limits.max_batch`` requests after another."""

    def dispatch(self, send: Send, requests: Sequence[Request], limits: Limits) -> Iterator[Sequence[Arrival]]:
        size = max(1, limits.max_batch)
        for start in range(0, len(requests), size):
            answers = send(requests[start : start + size])
            yield [Arrival(place, answer) for place, answer in enumerate(answers, start)]
