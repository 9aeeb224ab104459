"""Long prompts in which a few known words matter, and a model that scores text by them alone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from whygen.types import Chat, Edit, JsonValue, Limits, Output, Request, Settings, TokenScore

_WORD = re.compile(r"\w+")
_SYLLABLES = ("ba", "do", "fi", "ku", "le", "mo", "na", "pi", "ru", "sa", "te", "vo")


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
        known = set(_WORD.findall(prompt))
        return [word for word in self._weights if word in known]

    def _score(self, request: Request) -> Output:
        value = self.CONSTANT + sum(self._weights[word] for word in self._present(request))
        return Output(finish="scored", scores=(TokenScore(0, len(request.continuation or ""), value),))


def long_prompt(
    words: int, planted: Sequence[Sequence[str]], rng: np.random.Generator, *, punctuated: bool = True
) -> str:
    """Made-up words with planted ones among them.

    Args:
        words: how many, planted ones included, punctuation not.
        planted: words that go into one paragraph together; each group into another paragraph, as far as there are.
        rng: draws words, lengths and places.
        punctuated: whether there are sentences of 8 to 20 words and paragraphs of 1 to 6 sentences, or one endless one.
    """
    text = ["".join(rng.choice(_SYLLABLES, size=int(rng.integers(2, 4)))) for _ in range(words)]
    ends = _sentence_ends(words, rng)
    breaks = _paragraph_breaks(ends, rng)
    edges = [0, *breaks, words]
    order: list[int] = rng.permutation(len(edges) - 1).tolist()
    taken: set[int] = set()
    for i, together in enumerate(planted):
        place = order[i % len(order)]
        free = [spot for spot in range(edges[place], edges[place + 1]) if spot not in taken]
        spots: list[int] = rng.choice(free, size=len(together), replace=False).tolist()
        taken.update(spots)
        for spot, word in zip(spots, together, strict=True):
            text[spot] = word
    if not punctuated:
        return " ".join(text)
    for end in ends:
        text[end - 1] += "."
    after = dict.fromkeys(breaks, "\n\n")
    return "".join(word + after.get(i, " " if i < words else "") for i, word in enumerate(text, start=1))


def _sentence_ends(words: int, rng: np.random.Generator) -> list[int]:
    """Numbers of words after which a sentence ends; the last is ``words``."""
    ends: list[int] = []
    while not ends or ends[-1] < words:
        ends.append(min(words, (ends[-1] if ends else 0) + int(rng.integers(8, 21))))
    return ends


def _paragraph_breaks(ends: Sequence[int], rng: np.random.Generator) -> list[int]:
    """Numbers of words after which a paragraph ends, the last paragraph aside."""
    breaks: list[int] = []
    sentence = int(rng.integers(1, 7))
    while sentence < len(ends):
        breaks.append(ends[sentence - 1])
        sentence += int(rng.integers(1, 7))
    return breaks
