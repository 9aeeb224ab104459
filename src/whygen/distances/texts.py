"""Distances between texts that need no encoder. Each depends on the text and the reference alone.

Two texts without words are at 0 from each other; a text without words is at 1, the largest distance, from any other.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from whygen.distances.vectors import Numbers
from whygen.texts import nfc, word_spans

Term: TypeAlias = "str | tuple[str, str]"
"""A word, or two that follow each other."""

RARE = 1 + math.log(3 / 2)
"""Inverse document frequency of a term that only one of two texts has: 1 + ln((1 + 2) / (1 + 1))."""


def words(text: str) -> list[str]:
    """The words of a text in order, in NFC and case folded, cut as `whygen.texts.word_spans` cuts them.

    A mark of punctuation is a word, and so is a character of a script that is written without spaces.
    """
    plain = nfc(nfc(text).casefold())
    return [plain[start:end] for start, end in word_spans(plain)]


def tfidf(texts: Sequence[str], reference: str) -> Numbers:
    """One minus the cosine of TF-IDF vectors over words and pairs of neighbouring words, 0 to 1 (none in common).

    The document frequencies are those of the text and the reference, nothing else: a term that both have weighs 1,
    a term of one alone 1.405. Fitted on all texts of a run instead, the distance of a text would change with every
    further text, and could not be compared between runs. Case does not count. No triangle inequality.

    Args:
        texts: n texts.
        reference: what each is compared with.

    Returns:
        Shape ``(n,)``.

    Source: the smoothed weights of scikit-learn's ``TfidfVectorizer``, with ``ngram_range=(1, 2)``, fitted on
    the two texts.
    """
    target = _terms(reference)
    return np.array([_tfidf(_terms(text), target) for text in texts], dtype=np.float64)


def _terms(text: str) -> Counter[Term]:
    found = words(text)
    return Counter([*found, *itertools.pairwise(found)])


def _tfidf(a: Counter[Term], b: Counter[Term]) -> float:
    if not a or not b:
        return float(a != b)
    x, y = _weighted(a, b), _weighted(b, a)
    # Half the squared distance of unit vectors is one minus their cosine, and exactly 0 where they are equal.
    return min(1.0, 0.5 * math.fsum((x.get(word, 0.0) - y.get(word, 0.0)) ** 2 for word in x.keys() | y.keys()))


def _weighted(counts: Counter[Term], other: Counter[Term]) -> dict[Term, float]:
    weights = {word: count * (1.0 if word in other else RARE) for word, count in counts.items()}
    length = math.hypot(*weights.values())
    return {word: weight / length for word, weight in weights.items()}


def token_set(texts: Sequence[str], reference: str) -> Numbers:
    """Jaccard distance between the sets of words: the share of all their words that only one of them has, 0 to 1.

    Order, repetition and case do not count. A metric between sets of words.

    Args:
        texts: n texts.
        reference: what each is compared with.

    Returns:
        Shape ``(n,)``.
    """
    target = set(words(reference))
    return np.array([_jaccard(set(words(text)), target) for text in texts], dtype=np.float64)


def _jaccard(a: set[str], b: set[str]) -> float:
    return len(a ^ b) / len(a | b) if a or b else 0.0


def edit(texts: Sequence[str], reference: str) -> Numbers:
    """Least number of characters to insert, delete or replace, over the length of the longer text: 0 to 1.

    Characters are compared in NFC, case included. Symmetric, and 0 only between equal texts; divided by the
    longer length it is not quite a metric (``ab`` and ``ba`` are at 1, but each is at 1/3 from ``aba``).

    Args:
        texts: n texts.
        reference: what each is compared with.

    Returns:
        Shape ``(n,)``.

    Source: Levenshtein 1966; computed with whole columns as integers, after Myers 1999 and Hyyrö 2001.
    """
    places: dict[str, int] = {}
    reference = nfc(reference)
    for index, character in enumerate(reference):
        places[character] = places.get(character, 0) | 1 << index
    values = [_edits(text, places, len(reference)) / max(len(text), len(reference), 1) for text in map(nfc, texts)]
    return np.array(values, dtype=np.float64)


def _edits(text: str, places: dict[str, int], size: int) -> int:
    """Levenshtein distance to a pattern of ``size`` characters; ``places`` holds where each of them occurs.

    Bit i of ``plus`` (``minus``) says that the column rises (falls) by 1 from pattern character i - 1 to i.
    """
    if not size:
        return len(text)
    every, last = (1 << size) - 1, 1 << (size - 1)
    plus, minus, edits = every, 0, size
    for character in text:
        match = places.get(character, 0)
        vertical = match | minus
        diagonal = ((((match & plus) + plus) ^ plus) | match) & every
        rise = minus | every & ~(diagonal | plus)
        fall = plus & diagonal
        edits += bool(rise & last) - bool(fall & last)
        rise = (rise << 1 | 1) & every
        fall = fall << 1 & every
        plus = fall | every & ~(vertical | rise)
        minus = rise & vertical
    return edits


def exact(texts: Sequence[str], reference: str) -> Numbers:
    """0 where the text equals the reference character by character (in NFC), else 1. A metric.

    Args:
        texts: n texts.
        reference: what each is compared with.

    Returns:
        Shape ``(n,)``.
    """
    return np.array([nfc(text) != nfc(reference) for text in texts], dtype=np.float64)
