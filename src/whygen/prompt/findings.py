"""Findings: what one reading of the answers says. Free, and offline.

`find` reads answers by a target, and makes no call.

With several references every attribution would be another one by each, and no spread over masks or draws of one run
shows it. Each reference gives attributions of its own from the same answers; their spread is the variance of a mean
over references (for sets, the jackknife over references). METHODS A3.

Pairs of units that act together are reported where they raise held-out fidelity. A pair's value is its Banzhaf
interaction index, the mean of ``f(both) - f(one) - f(other) + f(none)`` over the others: at keep one half four times
the degree-two Fourier coefficient. Half of the groups choose the pairs, the other half estimates them, so that no pair
is measured on masks that chose it. Estimation is by cross-fitted scores,

    psi_ij = coefficient_ij(surrogate) + mean over the group's rows of w_i(z) w_j(z) (f(z) - surrogate(z)),

unbiased whatever the surrogate, as those of `intervals` are. METHODS A2, A3.

Where every mask was asked, each pair's value is a contrast of all effects, with the noise of the model alone; those
that are significant among all pairs are reported. Intervals of pairs that were chosen so hold where their level rises
with the share that was not chosen (Benjamini and Yekutieli 2005, JASA 100:71-81). Where masks were drawn and the
surrogate met each that was held out, one more that it misses is added, as for attributions
(docs/decisions/0051-claims.md).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from whygen.errors import BudgetError, ModelError
from whygen.prompt.answers import Answers
from whygen.prompt.asker import Asker
from whygen.prompt.crossfit import doubt_of
from whygen.prompt.designs import Design
from whygen.prompt.distributions import Sets
from whygen.prompt.effects import Effects
from whygen.prompt.failing import cause
from whygen.prompt.intervals import Estimate
from whygen.prompt.noise import resolution
from whygen.prompt.plan import Plan
from whygen.prompt.proxy import ProxyAnswers
from whygen.prompt.reading import Meter, read
from whygen.prompt.sets import Ask, SetCall, answer_sets
from whygen.prompt.surrogates import LINEAR, Linear, Ridge, Surrogate, one_thread
from whygen.prompt.surrogates.base import Support, group_means
from whygen.prompt.surrogates.products import fit_both, leftover, pursue
from whygen.prompt.targets import Compares, Target
from whygen.results.records import AnswerSets, InteractionRecord
from whygen.stats.intervals import Interval, score_error, student_half_width
from whygen.stats.multiplicity import benjamini_hochberg
from whygen.stats.seeds import generator
from whygen.stats.signs import sign_flip_p
from whygen.types import Floats, Masks, Output


@dataclass(frozen=True, slots=True)
class Findings:
    """What one reading of the answers says.

    Attributes:
        answers: what was read.
        meter: by which target.
        plan: as what.
        seed: of folds and flips.
        effects: of the masks.
        estimate: the attributions.
        proxy: what a cheap model did beside, if one had a part.
    """

    answers: Answers
    meter: Meter
    plan: Plan
    seed: int
    effects: Effects
    estimate: Estimate
    proxy: ProxyAnswers | None = None

    @property
    def design(self) -> Design:
        """The masks that were asked for."""
        return self.answers.design

    @property
    def target(self) -> Target:
        """What was measured."""
        return self.meter.target


def find(
    answers: Answers, plan: Plan, meter: Meter, seed: int, *, proxy: ProxyAnswers | None = None
) -> Findings:  # fmt: skip
    """Read answers by a target; with what a cheap model did beside, where its answers were read by the same.

    Raises:
        BudgetError, ModelError, EndedError, KeyboardInterrupt: if too little was answered, by what was the reason.
    """
    effects = read(answers, plan, meter)
    with one_thread():
        estimate = _estimate(answers, effects, meter, plan, seed)
    own = plan if estimate.weight else plan.without_proxy  # sums of attributions are fitted as these were
    return Findings(answers, meter, own, seed, effects, estimate, proxy)


def _estimate(answers: Answers, effects: Effects, meter: Meter, plan: Plan, seed: int) -> Estimate:
    """Attributions of the plan's estimand, with the doubt that the choice of several references leaves."""
    try:
        estimate = plan.estimand.estimate(effects, plan.fitting(seed))
    except BudgetError as error:  # a run that ended before it had enough for one ends as it did
        if answers.ended is not None:
            raise answers.ended from None
        if answers.failures:
            raise ModelError(f"{error} {cause(answers.failures)}{_without_units(answers, effects, plan)}") from None
        raise
    options = plan.options
    if options.references < 2 or options.scale != "none":
        return estimate
    variance = variance_over_references(
        effects, [answers.of(row) for row in effects.rows], answers.repeats, answers.references, meter.target,
        distribution=options.distribution,
    )  # fmt: skip
    return estimate if variance is None else over_references(estimate, variance, options.references)


def _without_units(answers: Answers, effects: Effects, plan: Plan) -> str:
    """What helps where the prompt without any unit got no answer: many models take none that is empty."""
    asked, answered = ((~masks.any(axis=1)).any() for masks in (answers.design.masks, effects.masks))
    if not asked or answered or plan.estimand.shares_total:  # it cannot do without f(0)
        return ""
    return " The prompt without any unit is among them: leave it out with empty='exclude' (--empty exclude)."


def interactions(found: Findings) -> tuple[InteractionRecord, ...]:
    """Pairs of units that act together. Only masks whose units were kept independently of each other tell."""
    options = found.plan.options
    if not found.plan.estimand.pairs or found.design.sizes is not None or options.interactions < 1:
        return ()
    rng = generator(found.seed, "interactions")
    pairs = strongest_pairs(found.effects, found.plan.surrogate, rng, most=options.interactions)
    return tuple(InteractionRecord(**asdict(pair)) for pair in pairs)


def estimate_of(found: Findings, meter: Meter) -> Estimate:
    """The estimate of the same answers by another meter; which draws are left out as irrelevant stays as it was."""
    effects = replace(read(found.answers, found.plan, meter), strange=found.effects.strange)
    return _estimate(found.answers, effects, meter, found.plan.without_proxy, found.seed)


def sets(found: Findings, asker: Asker | None, *, further: int) -> AnswerSets:
    """Few units whose removal changes the answer, and few that keep it.

    Args:
        found: the findings.
        asker: of further masks; None where only what was answered is read.
        further: calls that may be made to shrink sets of units.
    """
    answers, effects = found.answers, found.effects
    asks = asker is not None and further > 0 and answers.ended is None
    return answer_sets(
        effects.masks,
        [_calls(found, place, row) for place, row in enumerate(effects.rows)],
        effects.whole,
        texts=answers.units.texts,
        strength=found.estimate.attributions,
        steady="differs" if answers.steadiness == "so far" and effects.noise.odd else answers.steadiness,
        ask=_asking(asker) if asker is not None and asks else None,
        budget=further if asks else 0,
    )


def _calls(found: Findings, place: int, row: int) -> list[SetCall]:
    """The draws of one mask: what was sent, what came back, and the effect."""
    draws = found.effects.values[place : place + 1] if found.effects.draws is None else found.effects.draws[place]
    outputs = found.answers.of(row)
    known = [effect for effect in draws.tolist() if not np.isnan(effect)]
    return [
        SetCall(effect, found.answers.prompts[row], outputs[min(draw, len(outputs) - 1)].said, place)
        for draw, effect in enumerate(known)
    ]


def _asking(asker: Asker) -> Ask:
    def ask(masks: Masks) -> list[SetCall]:
        answered = [asker.further(mask) for mask in masks]
        return [
            SetCall(np.nan, "", "")
            if one is None
            else SetCall(float(asker.meter([one.output])[0]), one.prompt, one.output.said)
            for one in answered
        ]

    return ask


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
    own: Floats = (interval.high - interval.low) / 2.0
    more = student_half_width(variance, references - 1.0)
    half: Floats = np.hypot(own, more)
    p_values = estimate.p_values
    if p_values is not None:
        shrunk = np.divide(own, half, out=np.ones_like(own), where=half > 0.0)
        p_values = np.maximum(p_values, 2.0 * ndtr(-ndtri(1.0 - p_values / 2.0) * shrunk))
    return replace(
        estimate,
        interval=_wider(interval, more),
        p_values=p_values,
        method=f"{estimate.method}; with the spread over {references} references",
        without=None if estimate.without is None else _wider(estimate.without, more),
    )


def _wider(interval: Interval, more: Floats) -> Interval:
    """The same with half widths ``more`` ``(n,)`` of an independent error."""
    middle: Floats = (interval.low + interval.high) / 2.0
    half: Floats = np.hypot((interval.high - interval.low) / 2.0, more)
    return Interval(interval.estimate, middle - half, middle + half)


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


FEWEST_GROUPS = 16
"""With fewer groups no pair is looked for: eight to choose and eight to estimate, and 2^-8 bounds the p-value."""

ROUNDING = 1e-8
"""A pair that stays below this share of the largest effect is what the fit of the others rounded."""

_FOLDS = 4


@dataclass(frozen=True, slots=True)
class Interaction:
    """Two units that act together.

    Attributes:
        first: number of the one unit.
        second: number of the other, larger than ``first``.
        value: Banzhaf interaction index, in the target's unit: positive where both do more together than apart.
        low: lower limit of the 95% interval.
        high: upper limit.
        p_value: of no interaction: the larger one of sign flips and of the standard error that the interval has.
        significant: after false-discovery control at 5% over the pairs that were reported together.
    """

    first: int
    second: int
    value: float
    low: float
    high: float
    p_value: float
    significant: bool


class _PairScores(NamedTuple):
    """Scores of the pairs ``(groups, k)`` and the gain in squared error over main effects alone ``(groups,)``.

    Beside them, of the rows that were scored, what the surrogate missed ``(rows,)`` and the weights ``(rows, k)``.
    """

    scores: NDArray[np.float64]
    gains: NDArray[np.float64]
    left: NDArray[np.float64]
    weights: NDArray[np.float64]


def strongest_pairs(
    observed: Effects, surrogate: Surrogate, rng: np.random.Generator, *, most: int = 5
) -> tuple[Interaction, ...]:
    """The pairs of units that act together most, by absolute value; none where they do not raise held-out fidelity.

    Args:
        observed: masks whose units were kept independently of each other.
        surrogate: fits the main effects, if it is linear; ridge does otherwise.
        rng: halves the groups, deals the folds and flips the signs.
        most: as many pairs at most.

    Raises:
        ValueError: for masks drawn by size, whose weights for this index have no bound.
    """
    if observed.sizes is not None:
        raise ValueError("strongest_pairs needs units that were kept independently: masks by size give other weights")
    names, group_of = np.unique(observed.groups, return_inverse=True)
    if observed.n < 2 or most < 1 or np.ptp(observed.values) <= resolution(observed.values):
        return ()
    if observed.is_complete():
        return _of_all(observed, most)
    if len(names) < FEWEST_GROUPS:
        return ()
    choosing = (rng.permutation(len(names)) % 2 == 0)[group_of]
    support = _chosen(observed.take(choosing), surrogate, most)
    if not len(support):
        return ()
    scored = _scored(observed, ~choosing, surrogate, support, rng)
    if scored.gains.mean() <= scored.gains.std(ddof=1) / np.sqrt(len(scored.gains)):
        return ()
    error = score_error(scored.scores, folds=_FOLDS)
    error = error.at_least(doubt_of(observed, scored.left, scored.weights) * 2.0 * float(np.std(observed.values)))
    flips = sign_flip_p(scored.scores, rng, rounding=4.0 * resolution(observed.values))
    found = _report(support, error.interval(), np.maximum(flips, error.p_values()))
    rounding = ROUNDING * float(np.abs(observed.values).max())
    return tuple(pair for pair in found if max(abs(pair.low), abs(pair.high)) > rounding)


def _of_all(observed: Effects, most: int) -> tuple[Interaction, ...]:
    """The pairs that are significant among all, at most so many, where every mask was asked."""
    population = observed.population()
    support = np.array(list(itertools.combinations(range(observed.n), 2)))
    if population is None:
        return ()
    weights = observed.weights()
    both: Floats = (
        weights[:, support[:, 0]] * weights[:, support[:, 1]] * (population.chance / observed.ratio())[:, None]
    )
    values: Floats = both.T @ (observed.values - observed.values.mean())
    if (limits := observed.noise.limits(both, values)) is None:
        return ()
    p_values = np.where(np.abs(values) <= 4.0 * resolution(observed.values), 1.0, limits.p_values)
    sure = np.flatnonzero(benjamini_hochberg(p_values, level=0.05))
    chosen = sure[np.argsort(-np.abs(values[sure]), kind="stable")[:most]]
    if not len(chosen):
        return ()
    limits = observed.noise.limits(both, values, level=1.0 - 0.05 * len(chosen) / len(support)) or limits
    interval = Interval(values, values - limits.half, values + limits.half)
    return _report(support[chosen], Interval(*(each[chosen] for each in interval)), p_values[chosen])


def _chosen(observed: Effects, surrogate: Surrogate, most: int) -> Support:
    """The first ``most`` pairs of a pursuit on what the main effects leave over."""
    return pursue(leftover(observed, _main(observed, surrogate)), most).support


def _main(observed: Effects, surrogate: Surrogate) -> Linear:
    return (surrogate if isinstance(surrogate, LINEAR) else Ridge()).fit(observed)


def _scored(
    observed: Effects, estimating: NDArray[np.bool_], surrogate: Surrogate, support: Support, rng: np.random.Generator
) -> _PairScores:
    """Scores of the estimating half. Every fold of it is scored by a fit to all the other masks of both halves."""
    weights, ratio = observed.weights(), observed.ratio()
    names, group_of = np.unique(observed.groups, return_inverse=True)
    fold_of = (rng.permutation(len(names)) % _FOLDS)[group_of]
    scores: list[NDArray[np.float64]] = []
    gains: list[NDArray[np.float64]] = []
    missed, counted = np.zeros(len(observed)), np.zeros((len(observed), len(support)))
    for fold in range(_FOLDS):
        held = estimating & (fold_of == fold)
        if not held.any():  # of few groups, chance may leave a fold without any of this half
            continue
        rest, seen = observed.take(~held), observed.take(held)
        main, pairs = fit_both(rest, support)
        left = seen.values - main.predict(seen.masks) - pairs.predict(seen.masks)
        # The weights of both units hold the ratio of the two laws, which counts once.
        own = weights[held][:, support[:, 0]] * weights[held][:, support[:, 1]] / ratio[held, None]
        scores.append(pairs.coefficients + group_means(own * left[:, None], seen.groups))
        alone = seen.values - _main(rest, surrogate).predict(seen.masks)
        gains.append(group_means((alone**2 - left**2)[:, None], seen.groups)[:, 0])
        missed[held], counted[held] = left, own
    return _PairScores(np.concatenate(scores), np.concatenate(gains), missed[estimating], counted[estimating])


def _report(support: Support, interval: Interval, p_values: Floats) -> tuple[Interaction, ...]:
    significant = benjamini_hochberg(p_values, level=0.05)
    columns = zip(support.tolist(), *interval, p_values, significant, strict=True)
    found = [
        Interaction(first, second, float(value), float(low), float(high), float(p), bool(sure))
        for (first, second), value, low, high, p, sure in columns
    ]
    return tuple(sorted(found, key=lambda pair: -abs(pair.value)))
