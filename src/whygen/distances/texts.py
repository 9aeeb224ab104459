"""Distances between texts that need no encoder, each from 0 (equal) to 1."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

_WORD = re.compile(r"\w+|[^\w\s]")


def _tokens(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def tfidf(texts: Sequence[str], reference: str) -> NDArray[np.float64]:
    """``1 - cosine`` of TF-IDF vectors over words and pairs of words, the weights taken from these very texts.

    Being fitted to the texts of a run, it is for comparisons within a run. A text without words is at 1 from any other.

    Returns:
        Shape ``(n,)``.
    """
    make = cast(Any, TfidfVectorizer)  # scikit-learn has no types
    vectorizer = make(tokenizer=_tokens, token_pattern=None, ngram_range=(1, 2), lowercase=False)
    both = [*texts, reference]
    if not any(_tokens(text) for text in both):
        return exact(texts, reference)
    matrix: NDArray[np.float64] = vectorizer.fit_transform(both).toarray()
    similar = matrix[:-1] @ matrix[-1]
    empty_pair = (~matrix[:-1].any(axis=1)) & (not matrix[-1].any())
    return np.where(empty_pair, 0.0, np.clip(1.0 - similar, 0.0, 1.0))


def token_set(texts: Sequence[str], reference: str) -> NDArray[np.float64]:
    """Jaccard distance of the sets of words: one minus the share of common words. Shape ``(n,)``."""
    target = set(_tokens(reference))
    found: list[float] = []
    for text in texts:
        words = set(_tokens(text))
        union = len(words | target)
        found.append(1.0 - len(words & target) / union if union else 0.0)
    return np.array(found, dtype=np.float64)


def edit(texts: Sequence[str], reference: str) -> NDArray[np.float64]:
    """Levenshtein distance over words, divided by the length of the longer text in words. Shape ``(n,)``."""
    target = _tokens(reference)
    return np.array([_edits(_tokens(text), target) for text in texts], dtype=np.float64)


def _edits(words: list[str], target: list[str]) -> float:
    """Row by row; insertions along a row are a running minimum, so each row is one numpy expression."""
    longer = max(len(words), len(target))
    if longer == 0:
        return 0.0
    numbers = {word: index for index, word in enumerate(dict.fromkeys([*words, *target]))}
    columns = np.array([numbers[word] for word in target])
    steps = np.arange(len(target) + 1)
    row = steps.copy()
    for count, word in enumerate(words, start=1):
        deleted_or_changed = np.minimum(row[1:] + 1, row[:-1] + (columns != numbers[word]))
        row = np.minimum.accumulate(np.concatenate([[count], deleted_or_changed]) - steps) + steps
    return float(row[-1]) / longer


def exact(texts: Sequence[str], reference: str) -> NDArray[np.float64]:
    """0 where the texts are equal, else 1. Shape ``(n,)``."""
    return np.array([float(text != reference) for text in texts], dtype=np.float64)
