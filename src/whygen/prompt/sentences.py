"""Units by output sentences: which unit drove which sentence, all read from the same outputs. METHODS A1, A2.

With log-probabilities, a sentence's effect is the sum over its tokens; every token belongs to exactly one sentence, so
the sentences add up to the whole. With answers alone it is minus the distance of the sentence to the *nearest*
sentence of the output, in the target's own distance: 0 where the output still says it word for word, wherever it does,
and whatever else it says. (Transport to the whole output would charge a sentence for everything said besides.)

Every column is an explanation of its own, by the estimator of the run: the sentence's effects on the same masks give
attributions with intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from whygen.errors import DataError, UsageError
from whygen.prompt.answers import Answers
from whygen.prompt.intervals import Estimate
from whygen.prompt.reading import Meter
from whygen.prompt.targets import Compares, Target
from whygen.prompt.targets.scored import scores_of
from whygen.prompt.units import Span, sentences
from whygen.results.records import OutputSentence, SentenceMatrix, TargetRecord
from whygen.stats.multiplicity import benjamini_hochberg
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
        parts = {output.said: _parts(output.said) for output in outputs}
        every = list(dict.fromkeys(part for found in parts.values() for part in found))
        effects = base.against([Output(text=text) for text in every], [Output(text=text) for text, _ in self.columns])
        place = {text: row for row, text in enumerate(every)}
        best = {text: effects[[place[part] for part in found]].max(axis=0) for text, found in parts.items()}
        return np.stack([best[output.said] for output in outputs])


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
    text = reference.text if target.verb == "score" else reference.said
    spans = tuple(sentences(text))
    if not spans:
        raise DataError("The model answered the whole prompt with no text: there is no sentence to explain.")
    check_sentences(target)
    return SentenceEffects(target, text, spans[:most], left_out=len(spans) - len(spans[:most]))


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


FALSE_DISCOVERY = 0.05
"""Expected share of false cells among those that are called significant."""

_NORMAL = 1.96
"""Half a 95% interval in standard errors."""

Estimator: TypeAlias = Callable[[Meter], Estimate]
"""The estimate of one sentence, by the run's own estimand and seed."""


def sentence_matrix(
    answers: Answers, target: Target, estimate: Estimator, *, most: int | None = None
) -> SentenceMatrix:
    """Attributions of every unit to every sentence of the first reference.

    Args:
        answers: of the run.
        target: what the run measured; its distance or its log-probabilities are used for the sentences.
        estimate: how the run estimates.
        most: sentences at most, from the first; None for all.

    Raises:
        DataError: if the reference holds no sentence.
        UsageError: if the target compares no texts.
    """
    measure = sentence_effects(target, answers.references[0], most=most)
    outputs = list(answers.outputs())
    columns = measure(outputs).T.tolist()
    names = [id(output) for output in outputs]
    found = [estimate(Meter(target, answers.references, dict(zip(names, column, strict=True)))) for column in columns]
    intervals = [each.interval for each in found]
    limits = [interval for interval in intervals if interval is not None]
    known = len(limits) == len(found)
    return SentenceMatrix(
        sentences=tuple(OutputSentence(text=text, start=start, end=end) for text, (start, end) in measure.columns),
        target=_record(target),
        attributions=_by_unit([each.attributions for each in found]),
        low=_by_unit([interval.low for interval in limits]) if known else None,
        high=_by_unit([interval.high for interval in limits]) if known else None,
        significant=_significant(found),
        left_out=measure.left_out,
    )


def _significant(found: Sequence[Estimate]) -> tuple[tuple[bool, ...], ...] | None:
    """Benjamini-Hochberg at 5% over all cells at once; None where the design gives no intervals.

    Columns share their masks, so their cells depend on each other positively, which the procedure bears.
    """
    p_values = [_p_values(one) for one in found]
    known = [each for each in p_values if each is not None]
    if len(known) < len(p_values):
        return None
    cells: NDArray[np.float64] = np.stack(known, axis=1)
    called = benjamini_hochberg(cells.ravel(), level=FALSE_DISCOVERY).reshape(cells.shape)
    return tuple(tuple(bool(cell) for cell in row) for row in called)


def _p_values(one: Estimate) -> Floats | None:
    """p-values of a column ``(n,)``; by the interval where the design gives that alone."""
    if one.p_values is not None or one.interval is None:
        return one.p_values
    half = (one.interval.high - one.interval.low) / 2.0
    size, rounding = np.abs(one.attributions), 1e-9 * max(float(np.abs(one.attributions).max(initial=0.0)), 1e-300)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(half > 0.0, size / half, np.where(size > rounding, np.inf, 0.0))
    return np.asarray(2.0 * ndtr(-_NORMAL * ratio), dtype=np.float64)


def _by_unit(columns: Sequence[Floats]) -> tuple[tuple[float, ...], ...]:
    rows: list[list[float]] = np.stack(columns, axis=1).tolist()
    return tuple(tuple(row) for row in rows)


def _record(target: Target) -> TargetRecord:
    if target.verb == "score":
        return TargetRecord(name="logprob", distance="log-probability of each sentence", unit="nats")
    record = target.record
    return record.model_copy(update={"distance": f"{record.distance} to the nearest sentence of the output"})
