"""What log-probabilities of a text say: how likely it is by several yardsticks, and what drawing it would take."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np

from whygen.types import TokenScore

MIN_K = 0.2
"""Share of the least likely tokens that min-k% is the mean of (Shi et al. 2024, arXiv 2310.16789)."""
LONGEST_SIDE = 50
"""Tokens of the given beginning and of the continuation that is to be drawn, at most (arXiv 2410.19482)."""
WORDS_ENOUGH = 3
"""A continuation of fewer words is compared character by character."""


@dataclass(frozen=True, slots=True)
class Likelihood:
    """A text under a model; everything in nats, low where the model finds it likely.

    Attributes:
        nats: minus the log-probability of the whole text.
        tokens: that were scored.
        zlib: nats for each byte that the text takes under zlib.
        min_k: mean over the least likely fifth of the tokens.
        beginning: characters that the continuation starts after; 0 where the text is too short to be cut.
        end: characters where the continuation ends.
        drawn: minus the log-probability of drawing the continuation after the beginning.
        drawn_tokens: how many tokens that are.
    """

    nats: float
    tokens: int
    zlib: float
    min_k: float
    beginning: int
    end: int
    drawn: float
    drawn_tokens: int

    @property
    def per_token(self) -> float:
        return self.nats / self.tokens


def likelihood(text: str, scores: Sequence[TokenScore]) -> Likelihood:
    """What the scores of a text come to. At least one token."""
    nats = -np.array([score.logprob for score in scores])
    worst = np.sort(nats)[::-1][: max(1, round(MIN_K * len(nats)))]
    packed = len(zlib.compress(text.encode("utf-8", "surrogatepass"), 9))
    half = min(LONGEST_SIDE, len(scores) // 2)
    last = min(len(scores), half + LONGEST_SIDE)
    return Likelihood(
        nats=float(nats.sum()),
        tokens=len(nats),
        zlib=float(nats.sum()) / packed,
        min_k=float(worst.mean()),
        beginning=scores[half].start if half else 0,
        end=scores[last - 1].end,
        drawn=float(nats[half:last].sum()),
        drawn_tokens=last - half if half else 0,
    )


def draws_for(nats: float, p: float) -> float:
    """How many samples hold a continuation at least once with probability p, at temperature 1.

    n = log(1 - p) / log(1 - p_z), with p_z = exp(-nats) for one sample; at least 1.

    Source: Hayes et al. 2024 (arXiv 2410.19482), (n, p)-discoverable extraction.
    """
    once = math.exp(-nats) if nats < 700 else 0.0
    if once >= p:
        return 1.0
    log_n = math.log(-math.log1p(-p)) + nats if once < 1e-8 else math.log(math.log1p(-p) / math.log1p(-once))
    return math.exp(log_n) if log_n < 700 else math.inf


def match(text: str, written: str) -> float:
    """How much of a text a continuation holds in its order, 0 to 1: words, or characters where there are few words."""
    wanted: Sequence[str] = text.split()
    found: Sequence[str] = written.split()
    if len(wanted) < WORDS_ENOUGH:
        wanted, found = "".join(wanted), "".join(found)
    if not wanted:
        return 1.0
    blocks = SequenceMatcher(None, wanted, found, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks) / len(wanted)


def is_verbatim(text: str, written: str) -> bool:
    """Whether a continuation begins with the text word for word."""
    return " ".join(written.split()).startswith(" ".join(text.split()))
