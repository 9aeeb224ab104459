"""Text generators with a known cause: each writes sentences by a rule over the words of the prompt."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from whygen.media import pictures
from whygen.types import Chat, Edit, Failure, JsonValue, Limits, Output, Picture, Request, Settings, TokenScore

SENTENCES: dict[str, str] = {
    "fox": "A red fox trotted across the snowy field.",
    "piano": "Somebody played a slow melody on the old piano.",
    "volcano": "Lava poured down the side of the volcano.",
    "lawyer": "The lawyer signed the contract with black ink.",
    "soup": "A pot of onion soup simmered on the stove.",
    "rocket": "The rocket lifted off with a deafening roar.",
    "castle": "Ivy covered the walls of the ruined castle.",
    "tennis": "They finished the tennis match in three sets.",
}
"""What each trigger word makes the additive model write."""

_START = "Here is the text."
_WORD = re.compile(r"[\w'-]+")

Rule: TypeAlias = Callable[[list[str], Request], "str | Failure"]
SIDE = 64
"""Height and width of `scene`, in pixels."""
BALL = (40, 14, 9)
"""Row, column and radius of the ball in it."""
SEEN = "A red ball lies in the grass."
POEM = "Somebody played a slow melody on the old piano."
_FEWEST = 0.01
"""Share of the pixels that must be red."""


def words_of(request: Request) -> list[str]:
    """The words of the prompt, in lower case."""
    prompt = request.prompt
    if isinstance(prompt, Chat):
        text = " ".join(message.text for message in prompt.messages)
    else:
        text = prompt.instruction if isinstance(prompt, Edit) else prompt
    return [word.lower() for word in _WORD.findall(text)]


def _tell(triggers: Sequence[str]) -> str:
    return " ".join([_START, *(SENTENCES[word] for word in SENTENCES if word in triggers)])


def _additive(words: list[str], request: Request) -> str:
    """One sentence for each trigger word, whatever the others are."""
    del request
    return _tell(words)


def _interacting(words: list[str], request: Request) -> str:
    """A sentence about the fox only when ``fox`` and ``castle`` are both there."""
    del request
    return _tell(["fox"] if {"fox", "castle"} <= set(words) else [])


def _redundant(words: list[str], request: Request) -> str:
    """A sentence about the fox when ``fox`` or ``vixen`` is there: either will do."""
    del request
    return _tell(["fox"] if {"fox", "vixen"} & set(words) else [])


def _negated(words: list[str], request: Request) -> str:
    """``not`` right before a trigger word silences it."""
    del request
    silenced = {after for before, after in pairwise(words) if before == "not"}
    return _tell([word for word in words if word not in silenced])


def _order(words: list[str], request: Request) -> str:
    """A sentence for whichever of ``fox`` and ``piano`` comes first."""
    del request
    first = next((word for word in words if word in {"fox", "piano"}), None)
    return _tell([] if first is None else [first])


def _noisy(words: list[str], request: Request) -> str:
    """The additive model, which forgets each sentence with probability one in four, anew for every draw."""
    rng = np.random.default_rng(request.sampling_seed)
    return _tell([word for word in SENTENCES if word in words and rng.random() >= 0.25])


def _constant(words: list[str], request: Request) -> str:
    """The same answer to everything."""
    del words, request
    return _START


def _silent(words: list[str], request: Request) -> str:
    """An empty answer to everything."""
    del words, request
    return ""


def _echo(words: list[str], request: Request) -> str:
    """The words of the prompt."""
    del request
    return " ".join(words)


def _timid(words: list[str], request: Request) -> str | Failure:
    """Refuses a prompt that says ``volcano``, else additive."""
    if "volcano" in words:
        return Failure(kind="refused", message="I cannot talk about that", advice="Leave out the dangerous word.")
    return _additive(words, request)


def _picky(words: list[str], request: Request) -> str | Failure:
    """Fails, for good, on a prompt of fewer than three words, else additive."""
    if len(words) < 3:
        return Failure(kind="permanent", message="the prompt is too short", advice="Send at least three words.")
    return _additive(words, request)


def _broken(words: list[str], request: Request) -> Failure:
    """Fails on everything."""
    del words, request
    return Failure(kind="permanent", message="this model is broken on purpose", advice="Use another planted model.")


def is_red(values: pictures.Pixels) -> np.ndarray:
    """Which pixels are red, shape ``(height, width)``."""
    red, green, blue = (values[..., channel].astype(np.int64) for channel in range(3))
    return (red > 170) & (green < 90) & (blue < 90)


def sees_red(picture: Picture) -> bool:
    """Whether at least one pixel in a hundred is red."""
    return bool(is_red(pictures.pixels(picture)).mean() >= _FEWEST)


def picture_words(words: Sequence[str], request: Request) -> str:
    """A sentence about the ball where a picture holds one, and one about music where the prompt says ``piano``."""
    prompt = request.prompt
    images = [image for message in prompt.messages for image in message.images] if isinstance(prompt, Chat) else []
    said = [SEEN] if any(map(sees_red, images)) else []
    return " ".join(["Here is the text.", *said, *([POEM] if "piano" in words else [])])


def scene() -> Picture:
    """A sky, a meadow and a red ball, with a little grain so that regions have something to follow."""
    rng = np.random.default_rng(0)
    values = np.empty((SIDE, SIDE, 3), dtype=np.float64)
    values[: SIDE // 2] = (110, 160, 230)
    values[SIDE // 2 :] = (90, 150, 70)
    row, column, radius = BALL
    down, across = np.ogrid[:SIDE, :SIDE]
    values[(down - row) ** 2 + (across - column) ** 2 <= radius**2] = (220, 30, 30)
    values += rng.normal(0.0, 4.0, values.shape)
    return pictures.picture_of(np.clip(values, 0, 255).astype(np.uint8))


MODELS: dict[str, Rule] = {
    "additive": _additive,
    "interacting": _interacting,
    "redundant": _redundant,
    "negated": _negated,
    "order": _order,
    "noisy": _noisy,
    "constant": _constant,
    "silent": _silent,
    "echo": _echo,
    "timid": _timid,
    "picky": _picky,
    "broken": _broken,
    "picture-words": picture_words,
}

_CAUSES: dict[str, frozenset[str]] = {
    "additive": frozenset(SENTENCES),
    "noisy": frozenset(SENTENCES),
    "timid": frozenset(SENTENCES),
    "picky": frozenset(SENTENCES),
    "interacting": frozenset({"fox", "castle"}),
    "redundant": frozenset({"fox", "vixen"}),
    "negated": frozenset(SENTENCES) | {"not"},
    "order": frozenset({"fox", "piano"}),
    "picture-words": frozenset({"piano"}),
}


def causes(name: str, words: Sequence[str]) -> tuple[bool, ...]:
    """For each word of a prompt, whether the model of that name can react to it at all."""
    known = _CAUSES.get(name, frozenset())
    return tuple(word.lower() in known for word in words)


class PlantedModel:
    """A rule as a model. It also scores text: each sentence it would write is probable, any other is not."""

    WRITTEN = -0.1
    """Log-probability of a word that the rule writes."""
    UNWRITTEN = -3.0
    """Log-probability of any other word."""

    def __init__(self, name: str, *, batch: int = 32) -> None:
        self._name, self._rule, self._batch = name, MODELS[name], batch

    @property
    def uri(self) -> str:
        return f"planted/{self._name}"

    def answers_alike(self, settings: Settings) -> bool:
        """A rule gives equal answers at any temperature, unless it throws dice."""
        del settings
        return self._name != "noisy"

    @property
    def limits(self) -> Limits:
        return Limits(max_batch=self._batch)

    @property
    def identity(self) -> Mapping[str, JsonValue]:
        return {"uri": self.uri, "rule": 1}

    def answer(self, requests: Sequence[Request]) -> list[Output | Failure]:
        return [self._one(request) for request in requests]

    def score(self, requests: Sequence[Request]) -> list[Output | Failure]:
        return [self._score(request) for request in requests]

    def _one(self, request: Request) -> Output | Failure:
        words = words_of(request)
        text = self._rule(words, request)
        if isinstance(text, Failure):
            return text
        return Output(text=text, tokens_in=len(words), tokens_out=len(text.split()))

    def _score(self, request: Request) -> Output | Failure:
        """Sentence by sentence: the characters of one include the white space before it, so they cover the text."""
        own = self._one(request)
        if isinstance(own, Failure):
            return own
        text, written = request.continuation or "", set(_sentences(own.text))
        scores: list[TokenScore] = []
        for sentence, start in _with_starts(text):
            value = self.WRITTEN if sentence.strip() in written else self.UNWRITTEN
            scores.append(TokenScore(start, start + len(sentence), value * len(sentence.split())))
        return Output(finish="scored", scores=tuple(scores))


def _sentences(text: str) -> list[str]:
    return [sentence.strip() for sentence, _ in _with_starts(text)]


def _with_starts(text: str) -> list[tuple[str, int]]:
    """Sentences with the white space before them, and where each begins; joined they are the text."""
    pieces = re.findall(r"\s*[^.]*\.|[^.]+$", text)
    starts = np.cumsum([0, *map(len, pieces)]).tolist()
    return list(zip(pieces, starts, strict=False))


class WeighedWords:
    """Scores any text by the words of the prompt: a constant plus the weight of each distinct word that is there.

    Additive in its words, so every value that this package knows is the word's weight. It writes the words it knows.
    """

    CONSTANT = -20.0

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._weights = dict(weights)

    @property
    def uri(self) -> str:
        return "planted/weighed-words"

    def answers_alike(self, settings: Settings) -> bool:
        """A rule gives equal answers at any temperature."""
        del settings
        return True

    @property
    def limits(self) -> Limits:
        return Limits(max_batch=256)

    @property
    def identity(self) -> Mapping[str, JsonValue]:
        return {"uri": self.uri, "weights": dict(self._weights)}

    def answer(self, requests: Sequence[Request]) -> list[Output]:
        return [Output(text=" ".join(["I saw:", *self._present(request)])) for request in requests]

    def score(self, requests: Sequence[Request]) -> list[Output]:
        return [self._score(request) for request in requests]

    def _present(self, request: Request) -> list[str]:
        prompt = request.prompt
        if isinstance(prompt, Chat | Edit):
            raise TypeError("this model takes plain text")
        known = set(re.findall(r"\w+", prompt))
        return [word for word in self._weights if word in known]

    def _score(self, request: Request) -> Output:
        value = self.CONSTANT + sum(self._weights[word] for word in self._present(request))
        return Output(finish="scored", scores=(TokenScore(0, len(request.continuation or ""), value),))
