from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from whygen.types import Failure, JsonValue, Limits, Output, Request, TokenScore


def echo(request: Request) -> Output | Failure:
    return Output(text=f"{request.prompt} #{request.draw} at {request.settings.temperature}", tokens_out=3)


@dataclass
class Logged:
    """A model that writes down every batch it was asked."""

    rule: Callable[[Request], Output | Failure] = echo
    uri: str = "test/logged"
    max_batch: int = 4
    batches: list[list[Request]] = field(default_factory=list[list[Request]])

    @property
    def limits(self) -> Limits:
        return Limits(max_batch=self.max_batch)

    @property
    def asked(self) -> list[Request]:
        return [request for batch in self.batches for request in batch]

    def answer(self, requests: Sequence[Request]) -> Sequence[Output | Failure]:
        self.batches.append(list(requests))
        return [self.rule(request) for request in requests]


@dataclass
class Known(Logged):
    """Says itself what can change its answers; ``None`` says that it cannot know."""

    known: Mapping[str, JsonValue] | None = None

    @property
    def identity(self) -> Mapping[str, JsonValue] | None:
        return self.known


@dataclass
class Scorer(Logged):
    """Scores a continuation: one token of each character."""

    def score(self, requests: Sequence[Request]) -> Sequence[Output | Failure]:
        self.batches.append(list(requests))
        return [self._score(request.continuation or "") for request in requests]

    def _score(self, text: str) -> Output:
        return Output(finish="scored", scores=tuple(TokenScore(at, at + 1, -1.5 * at) for at in range(len(text))))


@pytest.fixture(scope="session", name="logged")
def logged_model() -> type[Logged]:
    return Logged


@pytest.fixture(scope="session", name="known")
def known_model() -> type[Known]:
    return Known


@pytest.fixture(scope="session", name="scorer")
def scoring_model() -> type[Scorer]:
    return Scorer


@pytest.fixture
def guarded() -> Iterator[Path]:
    """A folder in which rights count: root sheds its own for the length of the test."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        user = os.geteuid()
        if user == 0:
            os.chown(folder, 65534, 65534)
            os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(user)
            for place in (folder, *folder.rglob("*")):
                place.chmod(0o700)
