"""Targets, operators, criteria and encoders that are wrong on purpose: each clause of their checks can fail."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from whygen.anchors.criteria import Batch, Criterion
from whygen.encoders import FrameColours, LogMel, PixelPatches, Track
from whygen.prompt.operators import Delete, Operator
from whygen.prompt.targets import LogProbability, Target, load_target
from whygen.testing import check_criterion, check_encoder, check_operator, check_target
from whygen.types import Failure, Output

BASE = load_target("tfidf")


@dataclass
class Aim:
    """A target that can be wrong."""

    values: Callable[[Sequence[Output], Sequence[Output]], Any]
    record: Any = BASE.record
    verb: Any = "answer"

    def effects(self, outputs: Sequence[Output], references: Sequence[Output]) -> Any:
        return self.values(outputs, references)


class Apart(Aim):
    """One that compares."""

    def __init__(self, apart: Callable[[Sequence[Output], Sequence[Output]], Any], *, mean: float = 1.0) -> None:
        super().__init__(lambda outputs, references: mean * np.asarray(apart(outputs, references)).mean(axis=1))
        self.apart = apart

    def against(self, outputs: Sequence[Output], references: Sequence[Output]) -> Any:
        return self.apart(outputs, references)


def lengths(outputs: Sequence[Output], references: Sequence[Output]) -> np.ndarray:
    return np.array([len(output.text) for output in outputs], dtype=float)


def gaps(outputs: Sequence[Output], references: Sequence[Output]) -> np.ndarray:
    return -np.array([[abs(len(o.text) - len(r.text)) for r in references] for o in outputs], dtype=float)


RNG = np.random.default_rng(0)
WRONG_TARGETS: dict[str, tuple[Any, str]] = {
    "record": (Aim(lengths, record=BASE.record.model_copy(update={"name": ""})), "It has a name, a distance, a unit"),
    "verb": (Aim(lengths, verb="guess"), "verb is 'guess'"),
    "shape": (Aim(lambda o, r: lengths(o, r)[:1]), "effects has shape (1,), not (7,)"),
    "numbers": (Aim(lambda o, r: ["far"] * len(o)), "no numbers"),
    "finite": (Aim(lambda o, r: lengths(o, r) / 0.0 if len(o) else o), "NaN or infinite"),
    "raises": (Aim(lambda o, r: lengths(o, r) + {}["x"]), "effects raised KeyError: 'x'"),
    "again": (Aim(lambda o, r: RNG.normal(size=len(o))), "The same outputs got other effects"),
    "scaled": (Aim(lambda o, r: lengths(o, r) / max(lengths(o, r).max(), 1)), "depends on the outputs beside it"),
    "ranks": (Aim(lambda o, r: np.arange(len(o), dtype=float)), "depends on the outputs beside it"),
    "order": (Aim(lambda o, r: lengths(o, r) + (len(o) > 1 and o[0] != r[0])), "depends on the order of the outputs"),
    "positive": (Apart(lambda o, r: -gaps(o, r)), "against holds"),
    "own": (Apart(lambda o, r: gaps(o, r) - 1), "A reference is 1 away from itself"),
    "mean": (Apart(gaps, mean=2.0), "not the means of against"),
    "table": (Apart(lambda o, r: np.zeros((len(o), 3))), "against has shape (7, 3), not (7, 1)"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
@pytest.mark.parametrize("wrong", WRONG_TARGETS)
def test_a_wrong_target_is_told_what_is_asked(wrong: str) -> None:
    target, said = WRONG_TARGETS[wrong]
    check_target(Aim(lengths))
    check_target(Apart(gaps))
    with pytest.raises(AssertionError, match=re.escape(said)):
        check_target(target)


class Told(Aim):
    """One that reads answers as data, and hears refusals."""

    def __init__(self, told: int, reasons: int, heard: Callable[[Failure], Any]) -> None:
        super().__init__(lengths)
        self.told, self.reasons, self.heard = told, reasons, heard

    def outcomes(self, outputs: Sequence[Output], references: Sequence[Output]) -> Any:
        return ("yes",) * (len(outputs) + self.told)

    def unread(self, outputs: Sequence[Output]) -> Any:
        return ("no JSON",) * self.reasons


def hears(failure: Failure) -> Output | Failure:
    return Output(finish="refused") if failure.kind == "refused" else failure


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (Told(1, 0, hears), "7 outputs have the outcomes"),
        (Told(0, 8, hears), "7 outputs have 8 reasons"),
        (Told(0, 0, lambda failure: Output()), "A failure that is no refusal was heard"),
        (Told(0, 0, lambda failure: failure), "A refusal was not heard"),
    ],
)
def test_wrong_readings_are_told(target: Target, said: str) -> None:
    check_target(Told(0, 7, hears))
    with pytest.raises(AssertionError, match=said):
        check_target(target)


@dataclass(frozen=True)
class Wanting(LogProbability):
    """One that wants texts scored, and miscounts them."""

    texts: int = 2

    def continuations(self, reference: Output) -> tuple[str, ...]:
        return (reference.text,)


class Unfit(Aim):
    def check(self, reference: Output) -> None:
        raise LookupError("nothing there")


def test_wrong_wishes_and_wrong_checks_are_told() -> None:
    with pytest.raises(AssertionError, match="texts is 2, and continuations gives"):
        check_target(Wanting(BASE.record))
    with pytest.raises(AssertionError, match="check raised LookupError: nothing there"):
        check_target(Unfit(lengths))


class Op(Delete):
    """An operator that can be wrong."""

    def __init__(self, **changes: Any) -> None:
        for name, change in changes.items():
            object.__setattr__(self, name, change)


DELETE = Delete()


def as_parts(change: Callable[[list[str], np.ndarray], Any]) -> Callable[..., Any]:
    return lambda units, mask: change(DELETE.parts(units, mask), mask)


def spoil(parts: list[str], mask: np.ndarray) -> list[str]:
    mask[:] = True
    return parts


def drawn(parts: list[str], mask: np.ndarray) -> list[str]:
    return [part or f" {RNG.integers(9)}{RNG.integers(9)}{RNG.integers(9)}" for part in parts]


def counted(units: Any, mask: np.ndarray, settings: Any) -> Any:
    return replace(settings, max_tokens=int(mask.sum()) + 9)


def nothing_changes(units: Any, mask: np.ndarray) -> list[str]:
    return DELETE.parts(units, np.ones_like(mask))


WRONG_OPERATORS: dict[str, tuple[Any, str]] = {
    "name": (Op(name=""), "name is ''"),
    "calls": (Op(calls=lambda units: -1), "calls(units) is -1"),
    "prepare": (Op(prepare=lambda units, tools: None), "prepare gives a NoneType"),
    "raises": (Op(prepare=lambda units, tools: {}["x"]), "prepare raised KeyError"),
    "mask": (Op(parts=as_parts(spoil)), "parts changed the mask"),
    "count": (Op(parts=as_parts(lambda parts, mask: parts[:-1])), "pieces have the parts"),
    "kept": (Op(parts=as_parts(lambda parts, mask: [part.upper() for part in parts])), "became"),
    "again": (Op(parts=as_parts(drawn)), "A mask was rendered in two ways"),
    "whole": (Op(render=lambda units, mask: "x"), "With every unit kept"),
    "settings": (Op(settings=counted, by_settings=True), "With every unit kept the settings are others"),
    "by_settings": (Op(by_settings=True), "by_settings is True"),
    "unchanged": (Op(parts=nothing_changes), "stays as it is"),
    "refusing": (lambda text: text, "Every prompt was refused"),
}


@pytest.mark.parametrize("wrong", WRONG_OPERATORS)
def test_a_wrong_operator_is_told_what_is_asked(wrong: str) -> None:
    operator, said = WRONG_OPERATORS[wrong]
    check_operator(Op())
    assert isinstance(Op(), Operator)
    with pytest.raises(AssertionError, match=re.escape(said)):
        check_operator(operator)


def scoring(score: Callable[[Batch, np.ndarray], Any], *, kind: Any = "extrinsic", name: str = "x") -> Criterion:
    return Criterion(name, kind, "units", lambda batch: lambda made: score(batch, made))


def apart(batch: Batch, made: np.ndarray) -> np.ndarray:
    return np.abs(batch.samples - made).reshape(len(made), -1).mean(axis=1).astype(float)


def written(batch: Batch, made: np.ndarray) -> np.ndarray:
    made -= batch.samples
    return apart(batch, made)


def begin_wrong(batch: Batch) -> Any:
    raise LookupError("no batch")


WRONG_CRITERIA: dict[str, tuple[Any, str]] = {
    "name": (scoring(apart, name="a,b"), "a name without commas"),
    "kind": (scoring(apart, kind="both"), "'intrinsic' or 'extrinsic'"),
    "begin": (Criterion("x", "extrinsic", "u", begin_wrong), "begin raised LookupError: no batch"),
    "shape": (scoring(lambda batch, made: apart(batch, made)[:, None]), "has shape (6, 1), not (6,)"),
    "finite": (scoring(lambda batch, made: apart(batch, made) * np.nan), "NaN or infinite"),
    "again": (scoring(lambda batch, made: RNG.random(len(made))), "The same samples got other scores"),
    "ranks": (scoring(lambda batch, made: apart(batch, made) - apart(batch, made).mean()), "the samples beside it"),
    "written": (scoring(written), "It changed what it scored"),
    "likeness": (scoring(lambda batch, made: -apart(batch, made)), "Exact reconstructions score higher"),
    "intrinsic": (scoring(apart, kind="intrinsic"), "An intrinsic criterion depends on the reconstructions"),
}


@pytest.mark.parametrize("wrong", WRONG_CRITERIA)
def test_a_wrong_criterion_is_told_what_is_asked(wrong: str) -> None:
    criterion, said = WRONG_CRITERIA[wrong]
    check_criterion(scoring(apart))
    check_criterion(lambda samples, made: ((samples - made) ** 2).reshape(len(samples), -1).sum(axis=1))
    with pytest.raises(AssertionError, match=re.escape(said)):
        check_criterion(criterion)


class Texts:
    """An encoder of texts that can be wrong."""

    def __init__(self, *, name: Any = "texts", sentences: Any = None, tokens: Any = None) -> None:
        self.name = name
        self._sentences, self._tokens = sentences or self.right, tokens or self.sets

    @staticmethod
    def right(texts: Sequence[str]) -> np.ndarray:
        rows = np.array([[1.0, len(text), text.count("a")] for text in texts])
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def sets(self, texts: Sequence[str]) -> Any:
        return [self.right([text, text]) for text in texts]

    def sentences(self, texts: Sequence[str]) -> Any:
        return self._sentences(texts)

    def tokens(self, texts: Sequence[str]) -> Any:
        return self._tokens(texts)


def centred(texts: Sequence[str]) -> np.ndarray:
    rows = Texts.right(texts)
    return rows / np.linalg.norm(rows + len(texts), axis=1, keepdims=True)


class Vocabulary(Texts):
    def vocabulary(self) -> tuple[str, ...]:
        return ("one", "two")

    def word_vectors(self) -> np.ndarray:
        return np.eye(3)


WRONG_ENCODERS: dict[str, tuple[Any, Any, str]] = {
    "none": (7, "text", "A int encodes no texts"),
    "name": (Texts(name=""), "text", "name is ''"),
    "shape": (Texts(sentences=lambda texts: np.ones(len(texts))), "text", "sentences has shape"),
    "length": (Texts(sentences=lambda texts: 2 * Texts.right(texts)), "text", "a vector has length 2"),
    "beside": (Texts(sentences=centred), "text", "depends on what is encoded beside it"),
    "order": (Texts(sentences=lambda t: np.roll(Texts.right(t), len(t) > 1 and t[0] == "a", 1)), "text", "the order"),
    "finite": (Texts(sentences=lambda texts: Texts.right(texts) * np.inf), "text", "NaN or infinite"),
    "sets": (Texts(tokens=lambda texts: Texts().sets(texts)[:1]), "text", "tokens gives 1 sets for 6"),
    "empty": (Texts(tokens=lambda texts: [np.zeros((0, 3)) for _ in texts]), "text", "tokens has shape (0, 3)"),
    "sizes": (Texts(tokens=lambda t: [np.eye(2 + (not x)) for x in t]), "text", "points of different sizes"),
    "raises": (Texts(tokens=lambda texts: {}["x"]), "text", "tokens raised KeyError"),
    "points": (Texts(tokens=lambda texts: [np.eye(3) * 2 for _ in texts]), "text", "a vector has length 2"),
    "set beside": (Texts(tokens=lambda t: [np.roll(np.eye(3), len(t), 1) for _ in t]), "text", "a set depends on"),
    "words": (Vocabulary(), "text", "word_vectors has shape (3, 3), not (2, any)"),
    "media": (Texts(), "smell", "It is one of text, picture"),
    "picture": (Texts(), "picture", "A Texts encodes no pictures"),
}


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("wrong", WRONG_ENCODERS)
def test_a_wrong_encoder_is_told_what_is_asked(wrong: str) -> None:
    encoder, media, said = WRONG_ENCODERS[wrong]
    check_encoder(Texts())
    check_encoder(Texts.right)
    with pytest.raises(AssertionError, match=re.escape(said)):
        check_encoder(encoder, media=media)


class Seeing(PixelPatches):
    """Pictures: the mean is wrong."""

    def means(self, given: Sequence[Any]) -> Any:
        return super().means(given) + len(given)


class Silent(LogMel):
    def nothing(self) -> Any:
        return np.zeros(2)


class Nameless(FrameColours):
    unit = ""  # type: ignore[assignment]


class Hurried(LogMel):
    def tracks(self, media: Sequence[Any]) -> list[Track]:
        return super().tracks(media)[:1]


@pytest.mark.parametrize(
    ("encoder", "media", "said"),
    [
        (Seeing(), "picture", "means: a vector depends on what is encoded beside it"),
        (Silent(), "sound", "nothing() has 2 numbers, and a point"),
        (Hurried(), "sound", "tracks gives 1 sets for 2"),
        (Nameless(), "frames", "unit is empty"),
    ],
)
def test_wrong_encoders_of_media_are_told(encoder: object, media: Any, said: str) -> None:
    with pytest.raises(AssertionError, match=re.escape(said)):
        check_encoder(encoder, media=media)
