"""Models that are wrong on purpose: each clause of the checks that are shipped can fail, and says what is asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from whygen.testing import check_latent, check_model
from whygen.testing.models import PROMPTS
from whygen.types import Failure, Limits, Output, Request, TokenScore

FOUR = Limits(max_batch=4)


@dataclass
class Box:
    """A model that can be wrong in every way."""

    uri: str = "py/box"
    limits: Limits = FOUR
    say: Callable[[Sequence[Request]], Any] = lambda requests: [Output(text=f"{r.prompt}!") for r in requests]

    def answer(self, requests: Sequence[Request]) -> Any:
        return self.say(requests)


def good(requests: Sequence[Request]) -> list[Any]:
    return [Output(text=f"{r.prompt}!") for r in requests]


def raising(requests: Sequence[Request]) -> list[Any]:
    if any("\ud800" in str(r.prompt) for r in requests):
        raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")
    return good(requests)


def bad_answer(failure: Any) -> Callable[[Sequence[Request]], list[Any]]:
    return lambda requests: [failure if "\ud800" in str(r.prompt) else Output(text=f"{r.prompt}!") for r in requests]


def greedy(requests: Sequence[Request]) -> list[Any]:
    """It spoils the neighbours of a request that it cannot answer."""
    spoilt = any("\ud800" in str(r.prompt) for r in requests)
    return [Output(text="") for _ in requests] if spoilt else good(requests)


def leading(requests: Sequence[Request]) -> list[Any]:
    """It reads what leads a batch of several."""
    led = len(requests) > 1 and requests[0].prompt == PROMPTS[-1]
    return [Output(text=f"{r.prompt}{led}") for r in requests]


class Counting:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self, requests: Sequence[Request]) -> list[Any]:
        self.count += 1
        return [Output(text=f"{r.prompt}{self.count}") for r in requests]


class Later(Counting):
    """The first three rounds agree, the fourth does not."""

    def __call__(self, requests: Sequence[Request]) -> list[Any]:
        self.count += len(requests)
        return [Output(text=f"{r.prompt}{self.count > 18}") for r in requests]


@dataclass
class Picturing(Box):
    output_kind: str = "picture"


@dataclass
class Named(Box):
    identity: Any = None


class Changing(Box):
    calls = 0

    @property
    def identity(self) -> dict[str, int]:
        self.calls += 1
        return {"calls": self.calls}


WRONG_MODELS: dict[str, tuple[object, str]] = {
    "uri": (Box(uri="box"), "uri is 'box'"),
    "limits": (Box(limits=Limits(max_batch=0)), "Both are 1 or more"),
    "empty": (Box(say=lambda requests: good(requests) or [Output()]), "answer([]) gives 1 answers"),
    "count": (Box(say=lambda requests: good(requests)[:1]), "6 requests got 1 answers"),
    "kind": (Box(say=lambda requests: [r.prompt for r in requests]), "An answer is a str"),
    "failing": (Box(say=lambda rs: [Failure(kind="permanent", message="no") for _ in rs]), "failed: no"),
    "beside": (
        Box(say=lambda rs: [Output(text=f"{r.prompt}{len(rs)}") for r in rs]),
        "depends on what is asked",
    ),
    "order": (Box(say=leading), "depends on the order of the requests"),
    "reversed": (Box(say=lambda rs: good(rs)[::-1]), "depends on"),
    "again": (Box(say=Later()), "other answers"),
    "draws": (Box(say=Counting()), "depends on"),
    "raises": (Box(say=raising), "answer of 3 requests raised UnicodeEncodeError"),
    "neighbours": (Box(say=greedy), "A request before one that cannot be answered got another answer"),
    "advice": (Box(say=bad_answer(Failure(kind="permanent", message="no"))), "A failure says 'no.'"),
    "passing": (Box(say=bad_answer(Failure(kind="transient", message="no", advice="Wait."))), "'transient'"),
    "media": (Picturing(), "is no picture"),
    "identity": (Named(identity={"x": {1, 2}}), "identity raised TypeError"),
    "identities": (Changing(), "then"),
}


@pytest.mark.parametrize("wrong", WRONG_MODELS)
def test_a_wrong_model_is_told_what_is_asked(wrong: str) -> None:
    model, said = WRONG_MODELS[wrong]
    with pytest.raises(AssertionError, match=re.escape(said)):
        check_model(model)


def test_more_than_the_limit_must_be_answered() -> None:
    def say(requests: Sequence[Request]) -> list[Any]:
        return good(requests) if len(requests) < 7 else good(requests)[:6]

    with pytest.raises(AssertionError, match="7 requests got 6 answers"):
        check_model(Box(say=say))


class Scoring(Box):
    """Scores that can be wrong."""

    def __init__(self, scores: Callable[[Request, int], Any]) -> None:
        super().__init__()
        self.scores = scores

    def score(self, requests: Sequence[Request]) -> list[Any]:
        return [Output(scores=self.scores(request, len(requests))) for request in requests]


def token_scores(request: Request, *ends: int, by: float = -1.0) -> tuple[Any, ...]:
    return tuple(TokenScore(a, b, by) for a, b in zip((0, *ends), ends, strict=False))


ALL = len(" so it is in Naïve 東京.")


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        (lambda request, n: token_scores(request, 3, ALL - 1), "cover it without gaps"),
        (lambda request, n: token_scores(request, ALL, by=0.5), "A log-probability is 0.5"),
        (lambda request, n: token_scores(request, ALL, by=-float(n)), "Scores depend on what is scored beside them"),
        (lambda request, n: None, "has no scores"),
    ],
)
def test_wrong_scores_are_told(scores: Callable[[Request, int], Any], said: str) -> None:
    check_model(Scoring(lambda request, n: token_scores(request, 3, ALL)))
    with pytest.raises(AssertionError, match=said):
        check_model(Scoring(scores))


@dataclass
class Capable(Box):
    spans: Any = None
    count: Any = 1
    alike: Any = True

    def token_spans(self, text: str) -> Any:
        return [(0, len(text))] if self.spans is None else self.spans

    def count_tokens(self, request: Request) -> Any:
        return self.count

    def answers_alike(self, settings: object) -> Any:
        return self.alike

    context_tokens = None


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Capable(spans=[(0, 1)]), "without gaps"),
        (Capable(count=-1), "count_tokens of"),
        (Capable(alike="yes"), "answers_alike gives 'yes'"),
    ],
)
def test_wrong_capabilities_are_told(model: object, said: str) -> None:
    check_model(Capable())
    with pytest.raises(AssertionError, match=said):
        check_model(model)


def latent(**changes: Any) -> Any:
    weights = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)
    given = {
        "encode": lambda x: (x @ weights, np.zeros((len(x), 3), np.float32)),
        "decode": lambda z: z @ weights.T,
        "sample": lambda n, rng: (rng.normal(size=(n, 3)) @ weights.T).astype(np.float32),
    } | changes
    return type("Latent", (), {name: staticmethod(function) for name, function in given.items()})()


def batch_mean(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (x[:, :3] - x[:, :3].mean(axis=0)).astype(np.float32), np.zeros((len(x), 3), np.float32)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"encode": lambda x: (x[:, :3], x[:, :2])}, "The log-variance has shape"),
        ({"encode": lambda x: (x[:1, :3], x[:, :3])}, "The mean has shape (1, 3), not (5, any)"),
        ({"encode": lambda x: (x[:, :3].astype(float), x[:, :3])}, "encode gives float64"),
        ({"encode": batch_mean}, "A posterior depends on the samples beside it"),
        ({"decode": lambda z: z}, "What decode gives has shape"),
        ({"decode": lambda z: np.full((len(z), 9), np.nan, np.float32)}, "NaN or infinite"),
        ({"decode": lambda z: np.zeros((len(z), 9))}, "decode gives float64"),
        ({"decode": lambda z: np.full((len(z), 9), len(z), np.float32)}, "A decoded sample depends on"),
        ({"sample": lambda n, rng: np.zeros((n, 9), np.float32)}, "Different generators drew equal samples"),
        ({"sample": lambda n, rng: np.random.default_rng().normal(size=(n, 9))}, "Equal generators drew different"),
    ],
)
def test_a_wrong_latent_generator_is_told(changes: dict[str, Any], said: str) -> None:
    samples = np.random.default_rng(1).random((5, 9)).astype(np.float32)
    check_latent(latent(), samples)
    with pytest.raises(AssertionError, match=re.escape(said)):
        check_latent(latent(**changes), samples)


def test_what_encodes_nothing_is_told() -> None:
    with pytest.raises(AssertionError, match="A function has no encode and decode"):
        check_latent(good, np.zeros((2, 3), np.float32))
