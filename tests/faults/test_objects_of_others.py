"""Operators, targets, encoders and kernels of somebody else that raise, or give what they must not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import whygen
from whygen.anchors.criteria import Criterion
from whygen.errors import UsageError, WhygenError
from whygen.prompt.operators import Operator
from whygen.results.prompt import TargetRecord


def echo(text: str) -> str:
    return text


class Parts(Operator):
    """Gives these parts, or raises."""

    name = "mine"

    def __init__(self, parts: list[str] | Exception, ready: Exception | None = None) -> None:
        self.given, self.ready = parts, ready

    def prepare(self, units: Any, tools: Any) -> Operator:
        if self.ready is not None:
            raise self.ready
        return self

    def parts(self, units: Any, mask: Any) -> list[str]:
        if isinstance(self.given, Exception):
            raise self.given
        return self.given


class Effects:
    """Gives these effects, or raises."""

    record = TargetRecord(name="mine", distance="d", unit="u")
    verb = "answer"

    def __init__(self, found: object) -> None:
        self.found = found

    def effects(self, outputs: Sequence[Any], references: Sequence[Any]) -> Any:
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


class Vectors:
    """Gives these vectors, or raises."""

    name = "mine"

    def __init__(self, found: object) -> None:
        self.found = found

    def sentences(self, texts: Sequence[str]) -> Any:
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    tokens = sentences


class Weights:
    name = "mine"

    def weights(self, masks: Any, prompts: Any, whole: str) -> Any:
        raise IndexError("out of range")


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "operator raises": ({"operator": Parts(KeyError("boo"))}, "operator='mine' raised KeyError: 'boo'"),
    "operator is never ready": ({"operator": Parts([], ValueError("no"))}, "operator='mine' raised ValueError: no"),
    "operator gives too few": ({"operator": Parts(["x"])}, "operator='mine' gave 1 texts for 4 pieces"),
    "target raises": ({"target": Effects(ZeroDivisionError("by 0"))}, "target='mine' raised ZeroDivisionError: by 0"),
    "target gives too few": ({"target": Effects([1.0])}, r"target='mine' gave effects of shape \(1,\) for"),
    "target gives words": ({"target": Effects(["a"])}, "target='mine' raised ValueError"),
    "encoder raises": ({"target": "cosine", "encoder": Vectors(OSError("off"))}, "encoder='mine' raised OSError: off"),
    "encoder gives too few": ({"target": "cosine", "encoder": Vectors(np.zeros((1, 3)))}, "encoder='mine' gave .*item"),
    "encoder gives NaN": ({"target": "cosine", "encoder": Vectors([[np.nan]])}, "encoder='mine' gave .*all finite"),
    "encoder gives flat sets": (
        {"target": "optimal-transport", "encoder": Vectors(np.zeros((1, 3)))}, "encoder='mine' gave .*points, dim",
    ),
    "kernel raises": ({"kernel": Weights(), "estimand": "local"}, "kernel='mine' raised IndexError: out of range"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_they_do_is_said_of_them_in_one_sentence(case: str) -> None:
    options, said = CASES[case]
    with pytest.raises(UsageError, match=said):
        whygen.explain_prompt(echo, "a b c d", **{"target": "token-set", "budget": 20, "cache": None, **options})


def test_an_interrupt_inside_them_is_an_interrupt() -> None:
    class Stops(Effects):
        def effects(self, outputs: Sequence[Any], references: Sequence[Any]) -> Any:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        whygen.explain_prompt(echo, "a b c d", target=Stops(0), budget=20, cache=None)


class Half:
    """Encodes to two numbers, and fails as it is told."""

    def __init__(self, fails: str = "") -> None:
        self.fails = fails

    def encode(self, samples: Any) -> Any:
        if self.fails == "encode" and len(samples) > 5:
            raise KeyError("layer")
        mean = samples.reshape(len(samples), -1)[:, :2].astype(np.float64)
        return mean, np.full_like(mean, -4.0)

    def decode(self, latents: Any) -> Any:
        if self.fails == "decode" and len(latents) > 5:
            raise KeyError("layer")
        return np.clip(np.broadcast_to(latents[:, :1, None], (len(latents), 4, 4)), 0, 1)


def boom(*_: object) -> Any:
    raise IndexError("out of range")


ANCHORS: dict[str, tuple[dict[str, Any], str, str]] = {
    "criterion": ({"criteria": ["kld", boom]}, "", "The criterion 'boom' raised IndexError: out of range"),
    "criterion as an object": (
        {"criteria": [Criterion("own", "intrinsic", "u", boom), "sse"]}, "", "The criterion 'own' raised IndexError",
    ),
    "encoder": ({"encoder": boom, "criteria": "kld,feature-l2"}, "", "The encoder boom raised IndexError"),
    "classifier": ({"classifier": boom, "trained": [0]}, "", "classifier raised IndexError: out of range"),
    "labels that are none": ({"trained": [[0, 1]]}, "", "trained= holds a list: give labels"),
    "model, at once": ({}, "encode", "encode of object/Half raised KeyError: 'layer'"),
    "model, later": ({}, "decode", "decode of object/Half raised KeyError: 'layer'"),
}  # fmt: skip


@pytest.mark.parametrize("case", ANCHORS)
def test_what_is_said_of_them_among_anchors(case: str) -> None:
    options, fails, said = ANCHORS[case]
    samples = np.random.default_rng(0).random((60, 4, 4))
    with pytest.raises(WhygenError, match=said):
        whygen.explain_anchors(
            Half(fails), samples[:30], reference=samples[30:], alpha=0.1, cache=None, controls="none", **options
        )


def test_a_width_without_end_is_no_width() -> None:
    with pytest.raises(UsageError, match="tolerance=inf: give a positive width"):
        whygen.explain_prompt(echo, "a b c", target="exact", cache=None, tolerance=float("inf"))
