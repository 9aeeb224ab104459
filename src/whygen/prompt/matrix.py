"""Units by output sentences: which unit drove which sentence, from one set of calls. METHODS A1, A2.

Every column is an explanation of its own, by the estimator of the run: the sentence's effects on the same masks give
attributions with intervals. With log-probabilities the columns add up to the attributions of the whole reference,
since every estimator but the penalty of a surrogate is linear in the effects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from whygen.prompt.answers import Answers
from whygen.prompt.intervals import Estimate
from whygen.prompt.reading import Meter
from whygen.prompt.sentences import sentence_effects
from whygen.prompt.targets import Target
from whygen.results.records import OutputSentence, SentenceMatrix, TargetRecord
from whygen.stats.multiplicity import benjamini_hochberg
from whygen.types import Floats

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
