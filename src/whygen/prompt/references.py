"""What the choice of references adds to intervals that hold for the model's law, not for the answers that were drawn.

Answers are compared with a few drawn references. With others every attribution would be another one, and no spread
over masks or draws of one run shows it. Each reference gives attributions of its own from the same answers, at no call;
their spread is the variance of a mean over references (for sets, the jackknife over references). METHODS A3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.special import ndtr, ndtri

from whygen.prompt.distributions import Sets
from whygen.prompt.effects import Effects
from whygen.prompt.intervals import Estimate
from whygen.prompt.targets import Compares, Target
from whygen.stats.intervals import Interval, student_half_width
from whygen.types import Floats, Output

FEWEST_OF_SETS = 3
"""A set of references less one must be a set."""


def over_references(estimate: Estimate, variance: Floats, references: int) -> Estimate:
    """The estimate with the variance ``(n,)`` that the choice of so many references adds.

    Half widths join as the errors are independent; p-values follow the intervals: a distance that was so many standard
    errors long is fewer now.
    """
    interval = estimate.interval
    if interval is None or not variance.any():
        return estimate
    middle: Floats = (interval.low + interval.high) / 2.0
    own: Floats = (interval.high - interval.low) / 2.0
    half: Floats = np.hypot(own, student_half_width(variance, references - 1.0))
    p_values = estimate.p_values
    if p_values is not None:
        shrunk = np.divide(own, half, out=np.ones_like(own), where=half > 0.0)
        p_values = np.maximum(p_values, 2.0 * ndtr(-ndtri(1.0 - p_values / 2.0) * shrunk))
    return replace(
        estimate,
        interval=Interval(interval.estimate, middle - half, middle + half),
        p_values=p_values,
        method=f"{estimate.method}; with the spread over {references} references",
    )


def variance_over_references(
    observed: Effects,
    answers: Sequence[Sequence[Output]],
    repeats: Sequence[Output],
    references: Sequence[Output],
    target: Target,
    *,
    distribution: str | None = None,
) -> Floats | None:
    """Variance of each attribution by the choice of references, shape ``(n,)``; None where it cannot be told.

    Args:
        observed: the masks, in the order of ``answers``.
        answers: the draws of each mask.
        repeats: answers to the whole prompt, for ``loo``.
        references: the references.
        target: must compare answers.
        distribution: how sets are compared, in distributional mode.
    """
    count = len(references)
    if count < 2 or not isinstance(target, Compares):
        return None
    if distribution is None:
        each = _by_answer(answers, references, target)
        whole: Floats = np.asarray(target.against(list(repeats), list(references)).mean(axis=0))
        found = _attributions(observed, each, whole)
        return np.asarray(found.var(axis=1, ddof=1) / count)
    if count < FEWEST_OF_SETS:
        return None
    sets = [Sets(distribution, target, [*references[:i], *references[i + 1 :]]) for i in range(count)]
    each = np.array([[one.effect(draws) for one in sets] for draws in answers])
    whole = np.array([one.effect(repeats) for one in sets])
    found = _attributions(observed, each, whole)
    return np.asarray((count - 1) * found.var(axis=1))


def _by_answer(answers: Sequence[Sequence[Output]], references: Sequence[Output], target: Compares) -> Floats:
    """Mean effect of each mask against each reference, shape ``(m, references)``."""
    against = target.against([output for draws in answers for output in draws], list(references))
    rows = np.split(against, np.cumsum([len(draws) for draws in answers])[:-1])
    return np.array([row.mean(axis=0) for row in rows], dtype=np.float64)


def _attributions(observed: Effects, effects: Floats, whole: Floats) -> Floats:
    """Attributions by weighted least squares for each column of ``effects`` ``(m, k)``, shape ``(n, k)``.

    A fit without folds or penalty does: only how attributions differ between references is read from it.
    """
    if observed.keep == 1.0:  # leave-one-out
        return whole - effects
    x = np.hstack([np.ones((len(observed), 1)), observed.centred()])
    root = np.sqrt(observed.importance())[:, None]
    solution = np.asarray(np.linalg.lstsq(root * x, root * effects, rcond=None)[0], dtype=np.float64)
    return solution[1:]
