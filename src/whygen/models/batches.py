"""A provider's batch endpoint: many requests handed over at once, answered within a day, at a lower price.

`whygen.calls.batches` decides what is handed over and when to look again. What stands here is all that it needs of a
provider; adapters offer it as `AnswersLater.batches`, each on its official client.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from whygen.remote import Malformed, Service, Unacceptable, dig, document, trusted, unexpected
from whygen.types import Failure, Output, Request

Answer: TypeAlias = Output | Failure
ABSENT = frozenset({404, 405, 501})
"""Statuses that say that a server has no such endpoint."""
_NAME = re.compile(r"[\w.:-]{1,200}")


class BatchLimits(NamedTuple):
    """The most requests, and the most bytes, that one batch takes."""

    requests: int
    bytes: int


@dataclass(frozen=True, slots=True)
class InDoubt:
    """The provider did not confirm a batch that was handed over: it may have taken it all the same."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class NoBatches:
    """The server has no batch endpoint."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Sought:
    """A batch that was handed over, and whose name never came back.

    Attributes:
        tag: what it was handed over with.
        names: of its requests.
        since: when, in seconds since the epoch.
        known: names of other batches, which cannot be it.
    """

    tag: str
    names: frozenset[str]
    since: float
    known: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchState:
    """How far a batch is. ``over``: what there is can be collected; ``refused``: nothing was or will be answered.

    Attributes:
        status: where it stands.
        word: the provider's own word for that.
        done: requests that were answered or failed, where the provider says so.
        total: requests in the batch, where the provider says so.
        failure: why it was refused.
    """

    status: Literal["under way", "over", "refused"]
    word: str
    done: int | None = None
    total: int | None = None
    failure: Failure | None = None

    def __str__(self) -> str:
        return self.word if self.done is None or self.total is None else f"{self.word}, {self.done}/{self.total}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What came back.

    Attributes:
        answers: by the names of the requests. What was never asked for here is among them.
        cancelled: names of requests that were not answered because somebody cancelled the batch.
        whole: False if a part could not be read, so that it is worth asking for them again.
    """

    answers: Mapping[str, Answer]
    cancelled: frozenset[str] = field(default_factory=frozenset[str])
    whole: bool = True


class Batches(Protocol):
    """The batch endpoint of one model. Nothing here raises for what the provider does: it returns a `Failure`."""

    @property
    def limits(self) -> BatchLimits: ...

    def line(self, name: str, request: Request) -> bytes | Failure:
        """A request as it is handed over, under a name (64 letters and digits at most)."""
        ...

    def submit(self, lines: Sequence[bytes], *, tag: str) -> str | Failure | InDoubt | NoBatches:
        """Hand a batch over; the name that the provider gives it. ``tag`` helps to find it again."""
        ...

    def find(self, sought: Sought) -> str | Failure | None:
        """The name of a batch that is `InDoubt`; None if the provider does not have it."""
        ...

    def poll(self, batch: str) -> BatchState | Failure:
        """How far it is."""
        ...

    def collect(self, batch: str, asked: Mapping[str, Request]) -> Results | Failure:
        """What came back. ``asked``: the requests by name, as far as they are known; it may know others too."""
        ...

    def cancel(self, batch: str) -> Failure | None:
        """Ask for no more answers; those there are can be collected still."""
        ...


@runtime_checkable
class AnswersLater(Protocol):
    """A model whose provider takes batches."""

    @property
    def batches(self) -> Batches: ...


def batch_name(found: object) -> str:
    """A name that a provider gave, fit to be stored, shown and asked with.

    Raises:
        Malformed: if it is none.
    """
    if not isinstance(found, str) or not _NAME.fullmatch(found):
        raise Malformed("JSON without the name of a batch in it")
    return found


def read_lines(
    contents: Iterable[bytes], read: Callable[[str, Mapping[str, Any]], Answer | None], service: Service
) -> Results:
    """Results from JSON lines in any order. ``read`` gives None for a request that was cancelled.

    A line that cannot be read is left out; of two about one request the first that is an answer is believed.
    """
    answers: dict[str, Answer] = {}
    cancelled: set[str] = set()
    whole = True
    for line in (line for content in contents for line in content.split(b"\n") if line.strip()):
        try:
            found = document(line)
        except Malformed:
            whole = False
            continue
        name = dig(found, "custom_id")
        if not isinstance(name, str) or isinstance(answers.get(name), Output):
            continue
        answer = _read(name, found, read, service)
        if answer is None:
            cancelled.add(name)
        else:
            answers[name] = answer
    return Results(answers=answers, cancelled=frozenset(cancelled - answers.keys()), whole=whole)


def _read(
    name: str, found: Mapping[str, Any], read: Callable[[str, Mapping[str, Any]], Answer | None], service: Service
) -> Answer | None:
    try:
        answer = read(name, found)
    except (Malformed, Unacceptable) as error:
        return unexpected(error, service)
    return None if answer is None else trusted(answer, service)
