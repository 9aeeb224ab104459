"""Effects of each sentence of what the model said, all read from the same outputs.

With log-probabilities, a sentence's effect is the sum over its tokens; every token belongs to exactly one sentence, so
the sentences add up to the whole. With answers alone it is minus the distance of the sentence to the *nearest*
sentence of the output, in the target's own distance: 0 where the output still says it word for word, wherever it does,
and whatever else it says. (Transport to the whole output would charge a sentence for everything said besides.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from whygen.errors import DataError, UsageError
from whygen.prompt.targets import Compares, Target
from whygen.prompt.targets.scored import scores_of
from whygen.prompt.units import Span, sentences
from whygen.types import Floats, Output


@dataclass(frozen=True, slots=True)
class SentenceEffects:
    """A measure of outputs with one column for each sentence of the reference."""

    target: Target
    reference: str
    spans: tuple[Span, ...]
    left_out: int = 0
    """Sentences after these."""

    def __call__(self, outputs: Sequence[Output]) -> Floats:
        """Effects ``(n, sentences)``."""
        if self.target.verb == "score":
            return np.array([self._scored(output) for output in outputs], dtype=np.float64)
        return self._nearest(outputs)

    @property
    def columns(self) -> tuple[tuple[str, Span], ...]:
        """The sentences, and where they stand in the reference."""
        return tuple((self.reference[start:end], (start, end)) for start, end in self.spans)

    def _scored(self, output: Output) -> Floats:
        """A token belongs to the sentence of its first visible character; white space, to the sentence after it."""
        ends = [end for _, end in self.spans]
        sums = np.zeros(len(self.spans))
        for score in scores_of(output):
            if score.start < len(self.reference):  # what is scored beyond it is another text, see `join_scores`
                token = self.reference[score.start : score.end]
                visible = score.start + len(token) - len(token.lstrip())
                place = int(np.searchsorted(ends, visible, side="right"))
                if place < len(ends) or not self.left_out:
                    sums[min(place, len(ends) - 1)] += score.logprob
        return sums

    def _nearest(self, outputs: Sequence[Output]) -> Floats:
        base = self.target
        assert isinstance(base, Compares)  # noqa: S101 - `sentence_effects` looked
        parts = {output.text: _parts(output.text) for output in outputs}
        every = list(dict.fromkeys(part for found in parts.values() for part in found))
        effects = base.against([Output(text=text) for text in every], [Output(text=text) for text, _ in self.columns])
        place = {text: row for row, text in enumerate(every)}
        best = {text: effects[[place[part] for part in found]].max(axis=0) for text, found in parts.items()}
        return np.stack([best[output.text] for output in outputs])


def _parts(text: str) -> list[str]:
    """The sentences of an output; an empty one is its own only part."""
    return [text[start:end] for start, end in sentences(text)] or [text]


def sentence_effects(target: Target, reference: Output, *, most: int | None = None) -> SentenceEffects:
    """The effects of each sentence of a reference.

    Args:
        target: its distance, or its log-probabilities, are used.
        reference: what the model said.
        most: sentences at most, from the first; None for all.

    Raises:
        DataError: if the reference holds no sentence.
        UsageError: if the target compares no texts, so that it says nothing of a part.
    """
    spans = tuple(sentences(reference.text))
    if not spans:
        raise DataError("The model answered the whole prompt with no text: there is no sentence to explain.")
    check_sentences(target)
    return SentenceEffects(target, reference.text, spans[:most], left_out=len(spans) - len(spans[:most]))


def check_sentences(target: Target) -> None:
    """Refuse a target that says nothing of a sentence.

    Raises:
        UsageError: if it compares no texts, and scores none.
    """
    if target.verb != "score" and not isinstance(target, Compares):
        raise UsageError(
            f"target={target.record.name!r} reads the answer as one: it says nothing of its sentences. Use 'logprob', "
            "'optimal-transport', 'cosine', 'tfidf', 'token-set' or 'edit'."
        )
