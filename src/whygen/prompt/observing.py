"""Observing: masks are asked for, at the looks of the stop rule or all at once, and their effects come back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from whygen.errors import ModelError
from whygen.prompt import designs, relevance, stopping
from whygen.prompt.asking import MOST_DRAWS, Asker, Whole
from whygen.prompt.designs import Design
from whygen.prompt.distributions import Sets
from whygen.prompt.effects import Seen, Stopped
from whygen.prompt.estimating import interval_from
from whygen.prompt.failing import cause
from whygen.prompt.kernels import Kernel
from whygen.prompt.noise import MeasuredNoise, given, measure
from whygen.prompt.plan import Plan
from whygen.prompt.scales import reach, rescale
from whygen.prompt.units import Sent, shown
from whygen.stats.seeds import generator
from whygen.types import Floats, Output


def observe(asker: Asker, design: Design, whole: Whole, plan: Plan, seed: int) -> tuple[Seen, Whole]:
    """Ask for the masks, at the looks of the stop rule or all at once; groups with a failed call are left out.

    Returns what they showed, and what the whole prompt gave with the answers that were asked for beside redraws.

    A run that is interrupted, or ends early, leaves what was answered so far; ``asker.ended`` says why.

    Raises:
        ModelError: if a mask of ``loo`` was not answered: no other says what that unit does.
        KeyboardInterrupt, EndedError: if that is why.
    """
    if plan.options.distribution is not None:
        whole = replace(whole, repeats=_set_effects(asker, [whole.fresh], whole, plan))
    total = _total(asker, design, whole, plan)
    prompts = asker.rendered(design)
    read = _reader(asker, whole, plan)
    rule = _StopRule(design, whole, plan, total, seed, reach(asker.target, whole.references, plan.options.scale))
    effects, irrelevant, stopped = _collect(asker, prompts, read, rule)
    alive = _alive(effects, design.groups)
    if plan.options.estimand == "loo" and not alive.all():
        raise _unanswered(asker, int((~alive).sum()), len(alive))
    again, whole = _again(asker, prompts, alive, rule)
    known = asker.is_known(design, prompts, whole, draws=plan.options.draws)
    sets = plan.options.distribution is not None  # a set is one effect: single draws have none in its unit
    drawn = np.hstack([effects if sets else _with_repeats(effects, known, whole), again])
    noise = _noise(asker, drawn, alive, replace(rule, whole=whole))
    near = None if plan.kernel is None else _nearness(asker, design, prompts, plan.kernel)
    everything = design.observed(read(drawn), total=total, nearness=near)
    rows = tuple(np.flatnonzero(alive).tolist())
    kept = None if sets else drawn[alive]
    strange = None
    if plan.options.irrelevant == "exclude" and kept is not None:
        strange = relevance.irrelevant(kept, relevance.level(asker.target, whole.references))
    return Seen(everything.take(alive), noise, rows, irrelevant, kept, stopped, rule.reach, strange), whole


def _unanswered(asker: Asker, missing: int, asked: int) -> BaseException:
    if asker.ended is not None:
        return asker.ended
    failure = asker.failures[0]
    return ModelError(
        f"{asker.model.uri} did not answer {missing} of {asked} prompts that lack a unit ({failure.kind}): "
        f"{failure.message}. estimand='loo' needs them all: pin what keeps the prompt valid, or use "
        f"estimand='banzhaf', which does without some. {cause(asker.failures)}"
    )


def _collect(
    asker: Asker, prompts: Sequence[Sent], read: Callable[[NDArray[np.float64]], Floats], rule: _StopRule
) -> tuple[NDArray[np.float64], int, Stopped | None]:
    """Floats of masks and draws ``(m, draws)``, NaN where there is none; irrelevant answers; what stopped the run."""
    design, whole, plan = rule.design, rule.whole, rule.plan
    draws = plan.options.draws
    full = asker.is_known(design, prompts, whole, draws=draws)
    effects = np.full((len(design.masks), draws), np.nan)
    line = relevance.level(asker.target, whole.references)
    asked = irrelevant = 0
    for rows in _looks(design, plan):
        effects[asked:rows] = asker.masks(prompts[asked:rows], full[asked:rows], whole, draws=draws, first_row=asked)
        strange = relevance.irrelevant(effects[asked:rows], line)
        irrelevant += int(strange.sum())
        asked = rows
        if asker.ended is not None or asked == len(design.masks):
            break
        if (stopped := rule.met(read(effects[:asked]))) is not None:
            return effects, irrelevant, stopped
    return effects, irrelevant, None


def _nearness(asker: Asker, design: Design, prompts: Sequence[Sent], kernel: Kernel) -> NDArray[np.float64]:
    """Weight of each mask; a chat is compared as its transcript."""
    return kernel.weights(design.masks, [shown(sent) for sent in prompts], asker.units.text)


def _reader(asker: Asker, whole: Whole, plan: Plan) -> Callable[[NDArray[np.float64]], Floats]:
    """From effects of draws ``(m, draws)`` to one effect a mask ``(m,)``: their mean, or that of the set they form."""
    options = plan.options
    if options.distribution is None:
        return lambda effects: rescale(options.scale, mean_of_draws(effects))
    sets = Sets(options.distribution, asker.target, whole.references)
    known: dict[int, float] = {}

    def of(row: int) -> float:
        if row not in known:
            known[row] = sets.effect(asker.answers[row])
        return known[row]

    def read(effects: NDArray[np.float64]) -> Floats:
        alive: NDArray[np.bool_] = np.asarray(~np.isnan(effects[:, : options.draws]).any(axis=1))
        return np.array([of(row) if alive[row] else np.nan for row in range(len(effects))])

    return read


def _total(asker: Asker, design: Design, whole: Whole, plan: Plan) -> float | None:
    """f(1) - f(0), which sampled Shapley values share out; None where it is not needed. In the unit of the effects."""
    if plan.options.estimand != "shapley" or design.enumerated:
        return None
    effects, answers = asker.empty(whole, draws=plan.options.draws)
    if plan.options.distribution is not None:
        effects = _set_effects(asker, [answers], whole, plan)
    return whole.effect - float(effects.mean())


def _set_effects(asker: Asker, sets: Sequence[Sequence[Output]], whole: Whole, plan: Plan) -> NDArray[np.float64]:
    """Floats of sets of answers, shape ``(sets,)``: minus their distance from the set of references."""
    assert plan.options.distribution is not None  # noqa: S101 - the caller looked
    measured = Sets(plan.options.distribution, asker.target, whole.references)
    return np.array([measured.effect(answers) for answers in sets])


def _looks(design: Design, plan: Plan) -> list[int]:
    """Row counts at which the stop rule looks; the last is the whole design."""
    rows, options = len(design.masks), plan.options
    rule = options.tolerance is not None or options.stable is not None
    if not rule or design.enumerated or plan.fixed is not None or options.estimand not in {"banzhaf", "shapley"}:
        return [rows]
    found = [2 * pairs for pairs in stopping.looks(rows // 2, designs.turning_point(design.masks.shape[1], rows))]
    # Before the layers that are asked whole are complete, and some masks beside them, there is nothing to look at.
    first = int(np.count_nonzero(design.groups < design.whole)) + 2 * stopping.FIRST_LOOK
    return [*(look for look in found if first <= look < rows), rows]


@dataclass(slots=True)
class _StopRule:
    """Looks at the effects so far ``(m,)`` and says whether the run may stop, and why."""

    design: Design
    whole: Whole
    plan: Plan
    total: float | None
    seed: int
    reach: float
    history: list[NDArray[np.float64]] = field(default_factory=list[NDArray[np.float64]])

    def met(self, effects: Floats) -> Stopped | None:
        """``width`` when every interval is narrow enough, ``order`` when the first units no longer change places."""
        options, design, rows = self.plan.options, self.design, len(effects)
        alive = _alive(effects[:, None], design.groups)[:rows]
        everything = design.observed(effects, total=self.total)
        # Noise is in the spread of the scores already.
        observed = everything.take(alive)
        interval = interval_from(observed, self.whole, self.plan, self.seed, reach=self.reach)
        if interval is None:  # all effects are one: nothing says how sure that is
            return None
        self.history.append(interval.estimate)
        if options.tolerance is not None and stopping.is_sharp(interval, options.tolerance):
            return "width"
        return "order" if options.stable is not None and stopping.is_stable(self.history, options.stable) else None


_WHOLE = -1
"""Stands for the whole prompt among rows."""


def _alive(effects: NDArray[np.float64], groups: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Rows of groups in which every call was answered, shape ``(m,)``."""
    failed = np.isnan(effects).any(axis=1)
    dead = set(groups[: len(effects)][failed].tolist())
    alive = np.zeros(len(groups), dtype=bool)
    alive[: len(effects)] = [group not in dead for group in groups[: len(effects)].tolist()]
    return alive


def mean_of_draws(effects: NDArray[np.float64]) -> Floats:
    """Mean effect of each mask ``(m,)`` over its draws ``(m, draws)``; NaN where the first was not answered."""
    drawn = ~np.isnan(effects)
    mean = np.where(drawn, effects, 0.0).sum(axis=1) / np.maximum(drawn.sum(axis=1), 1)
    return np.where(drawn[:, 0], mean, np.nan)


def _again(
    asker: Asker, prompts: Sequence[Sent], alive: NDArray[np.bool_], rule: _StopRule
) -> tuple[NDArray[np.float64], Whole]:
    """Ask masks again: effects ``(m, redraws of one mask at most)``, NaN where there is none, and the whole prompt's.

    The masks are drawn at random: the first of a binary count would vary a few units only, and say nothing of the noise
    that others make. All are asked once more before one is asked twice more, and the whole prompt, which was repeated
    before any mask, joins them then.
    """
    design, whole = rule.design, rule.whole
    number = 0 if asker.ended is not None else rule.plan.redraws(design, whole.steadiness)
    masked = np.flatnonzero(alive & ~asker.is_known(design, prompts, whole, draws=1))
    if not number or not len(masked):
        return np.empty((len(alive), 0)), whole
    number = min(number, (MOST_DRAWS - 1) * (len(masked) + 1))
    rng = generator(rule.seed, "redraws")
    order = rng.permutation(masked)
    while len(order) < number:
        order = np.concatenate([order, rng.permutation(np.append(masked, _WHOLE))])
    rows = order[:number]
    asked = [None if row == _WHOLE else row for row in rows.tolist()]
    texts: list[Sent] = [asker.units.prompt if row is None else prompts[row] for row in asked]
    effects, whole = asker.redraws(texts, asked, whole)
    place = np.array([int((rows[:at] == row).sum()) for at, row in enumerate(rows)])
    found = np.full((len(alive), int(place.max()) + 1), np.nan)
    lacking = rows != _WHOLE
    found[rows[lacking], place[lacking]] = effects[lacking]
    return found, whole


def _with_repeats(effects: NDArray[np.float64], known: NDArray[np.bool_], whole: Whole) -> NDArray[np.float64]:
    """Floats of draws ``(m, draws)``, with those of the whole prompt for masks it stands for, ``known`` ``(m,)``."""
    if not known.any():
        return effects
    every = np.full((len(effects), max(effects.shape[1], len(whole.repeats))), np.nan)
    every[:, : effects.shape[1]] = effects
    every[known] = np.nan
    every[known, : len(whole.repeats)] = whole.repeats
    return every


def _noise(asker: Asker, drawn: NDArray[np.float64], alive: NDArray[np.bool_], rule: _StopRule) -> MeasuredNoise:
    """What is known of the noise of the answered masks (``alive`` ``(m,)``), from all draws ``(m, d)``. METHODS A3."""
    options, masks, known = rule.plan.options, rule.design.masks[alive], rule.whole.known
    if options.distribution is not None:
        return _noise_of_sets(asker, np.flatnonzero(alive).tolist(), rule.whole, rule.plan)
    if options.scale != "none":  # effects are rescaled over the run: those of single draws are in another unit
        drawn = drawn[:, :1]
    # The whole prompt, where a model is surest, speaks for no other.
    share = masks.mean(axis=1)
    return measure(drawn[alive], known=known, speaks=share < 1.0, reach=rule.reach, kept=share)


def _noise_of_sets(asker: Asker, rows: Sequence[int], whole: Whole, plan: Plan) -> MeasuredNoise:
    """The same for effects of sets: the jackknife over the draws of each; not known under three draws."""
    name, draws = plan.options.distribution, plan.options.draws
    assert name is not None  # noqa: S101 - the caller looked
    sets = Sets(name, asker.target, whole.references)
    effects = np.array([sets.effect(asker.answers[row]) for row in rows])
    variances = np.array([sets.jackknife(asker.answers[row]) for row in rows])
    return given(variances, degrees=draws - 1, effects=effects, known=whole.known)
