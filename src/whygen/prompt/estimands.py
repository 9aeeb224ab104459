"""Estimands: what an attribution means, and all that follows from it. METHODS A1, A2, A3.

One object each for `banzhaf`, `shapley`, `local` and `loo`: which masks it draws, how few suffice, whether it needs
f(0), which options go with it, how effects become attributions. Nobody else compares their names: to add an estimand,
write its class here and its words in `whygen.results.estimands`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Final

import numpy as np

from whygen.errors import BudgetError, UnknownNameError, UsageError
from whygen.prompt import designs, intervals, relevance
from whygen.prompt.crossfit import FEWEST_GROUPS, CrossFit, completed, cross_fit
from whygen.prompt.designs import Design, Halves, Repeats
from whygen.prompt.effects import Effects, near_zero
from whygen.prompt.intervals import LEVEL, Estimate, collapsed_estimate, narrowest, one_effect
from whygen.prompt.kernels import WeightedLeastSquares
from whygen.prompt.noise import MeasuredNoise, resolution
from whygen.prompt.options import PromptOptions
from whygen.prompt.surrogates import Surrogate, load_surrogate
from whygen.results.estimands import WORDS, EstimandName, EstimandWords
from whygen.stats.intervals import Error, Interval
from whygen.stats.seeds import generator
from whygen.types import Floats

MUCH: Final = 0.25
"""Share of all pairs of masks from which the intervals are narrower where the model's noise is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitting:
    """What effects are estimated with.

    Attributes:
        surrogate: fitted to masks that were drawn by chance.
        seed: of folds and flips.
        level: of the intervals.
        draws: how many answers the effect of a mask is the mean of; 1 where it is that of a set.
        budget: the calls that were paid for, which an error names.
    """

    surrogate: Surrogate
    seed: int
    level: float = LEVEL
    draws: int = 1
    budget: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskDraw:
    """How masks are drawn where not all can be asked.

    Attributes:
        keep: the probability that a unit is kept.
        empty: whether the prompt without any unit may be drawn.
        repeats: whether a mask that is drawn again shares its answer.
        halves: how the two masks of a group hang together; None for what so many masks of so many units do best with.
    """

    keep: float = 0.5
    empty: bool = True
    repeats: Repeats = "shared"
    halves: Halves | None = None


class Estimand(ABC):
    """What an attribution means.

    Attributes:
        name: as it is chosen by.
        samples: whether masks are drawn by chance where not all can be asked. Without, each mask is needed.
        shares_total: whether attributions sum to f(1) - f(0), so that f(0) is asked for and masks are drawn by size.
        scored: whether masks that were drawn give cross-fitted scores. A run may then stop early, and more calls narrow
            its intervals.
        weighted: whether a kernel weighs masks by how near to the whole prompt they are.
        averages: whether it goes over many inputs: attributions of the mean effect are the mean of attributions.
        pairs: whether pairs of units can be read from its masks, whose units are kept independently of each other.
        own: options that go with no other estimand.
    """

    name: ClassVar[EstimandName]
    samples: ClassVar[bool] = True
    shares_total: ClassVar[bool] = False
    scored: ClassVar[bool] = False
    weighted: ClassVar[bool] = False
    averages: ClassVar[bool] = True
    pairs: ClassVar[bool] = False
    own: ClassVar[frozenset[str]] = frozenset()

    @property
    def words(self) -> EstimandWords:
        """How reports say what it means."""
        return WORDS[self.name]

    @property
    def nested(self) -> bool:
        """Whether it has a value for the parts of a hierarchy."""
        return self.words.nested is not None

    def check(self, options: PromptOptions) -> None:
        """Refuse options that do not go with it.

        Raises:
            UsageError: saying what to leave out.
        """
        if options.design != "auto" and not self.takes(options.design):
            raise self._other_masks(options.design)
        if options.scale != "none" and "scale" not in self.own:
            alone = "goes with estimand='local' alone: other attributions are in the target's unit."
            raise UsageError(f"scale={options.scale!r} {alone}")
        if options.irrelevant == "exclude" and ("irrelevant" not in self.own or options.distribution is not None):
            raise UsageError(
                "irrelevant='exclude' compares relevant answers with a unit and without it: it goes with "
                "estimand='banzhaf' and without distribution. Leave it out, or them."
            )

    def _other_masks(self, design: Design | str) -> UsageError:
        name = design if isinstance(design, str) else design.name
        able = " or ".join(repr(each.name) for each in ESTIMANDS.values() if each.takes(design))
        instead = f", or use estimand={able}" if able else ""
        return UsageError(
            f"design={name!r} draws other masks than estimand={self.name!r} is read from. Leave design out{instead}."
        )

    def surrogate(self) -> Surrogate:
        """What is fitted unless another surrogate was chosen."""
        return load_surrogate("adaptive")

    def takes(self, design: Design | str) -> bool:
        """Whether it can be read from the masks of a design that was given; by name, of units kept by a coin each."""
        return isinstance(design, str) or (design.sizes is None and 0.0 < design.keep < 1.0)

    def smallest(self, n: int, surrogate: Surrogate, *, keep: float) -> int:
        """The fewest masks that work for ``n`` units; all masks always do, and the whole prompt is free."""
        masks = 2 * max(FEWEST_GROUPS, surrogate.smallest_pairs(n))
        return min(masks, 2**n - 1) if keep == 0.5 and n < designs.MAX_ENUMERATED else masks

    def needed_by(self, surrogate: Surrogate) -> str:
        """What needs so many masks, as an error names it."""
        return f"surrogate={surrogate.name!r}"

    def rests_on_noise(self, share: float) -> bool:
        """Whether intervals change with the model's noise, where this ``share`` of all pairs of masks is asked."""
        del share
        return False

    @abstractmethod
    def design(self, n: int, masks: int, rng: np.random.Generator, how: MaskDraw) -> Design:
        """Masks, where not all of them can be asked.

        Args:
            n: number of units.
            masks: how many are paid for.
            rng: the only source of chance.
            how: they are drawn.
        """

    def rows_of(self, design: Design) -> list[int] | None:
        """Rows of a design for another estimand that tell this one too; None where other masks are needed."""
        masks, n = design.masks, design.masks.shape[1]
        every = n <= designs.MAX_ENUMERATED and len(np.unique(masks, axis=0)) == 2**n
        # Masks whose units were kept independently of each other serve several; a law of sizes serves its own estimand.
        independent = design.keep < 1.0 and design.sizes is None and design.kept is None
        return list(range(len(masks))) if every or (independent and not self.shares_total) else None

    @abstractmethod
    def weights(self, effects: Effects) -> Floats:
        """What each effect counts in the attributions where all masks were asked, shape ``(m, n)``.

        Args:
            effects: of every mask; `loo` has a last row more, for f(1).
        """

    @abstractmethod
    def from_all(self, effects: Effects, noise: MeasuredNoise | None = None) -> Estimate:
        """The estimate where every mask was asked: what is uncertain is the model's own noise.

        Args:
            effects: of every mask that its design draws from.
            noise: of the effects; None where nothing is known of it, and there is no interval.
        """

    def from_most(
        self, effects: Effects, surrogate: Surrogate, rng: np.random.Generator, *, level: float = LEVEL
    ) -> Estimate:
        """The estimate where some of all masks, but not the empty one, have no answer."""
        found = completed(effects, surrogate, rng, self.weights)
        return intervals.completed_estimate(found, effects.noise, level=level)

    def from_drawn(self, effects: Effects, surrogate: Surrogate, rng: np.random.Generator) -> Estimate:
        """The estimate from masks that were drawn, with answers taken for exact."""
        del surrogate, rng  # only scores take one
        return self.from_all(effects)

    def estimate(self, effects: Effects, fitting: Fitting) -> Estimate:
        """Attributions, intervals and p-values; what is rounding has a p-value of one.

        Raises:
            BudgetError: if too few masks were answered.
        """
        estimate = self._estimate(effects, fitting)
        if estimate.p_values is None:
            return estimate
        rounding = 4.0 * resolution(effects.values)
        return replace(estimate, p_values=np.where(np.abs(estimate.attributions) <= rounding, 1.0, estimate.p_values))

    def _estimate(self, effects: Effects, fitting: Fitting) -> Estimate:
        del fitting
        return self.from_all(effects, effects.noise)

    def interval(self, effects: Effects, fitting: Fitting) -> Interval | None:
        """The interval alone, for looks of the stop rule: no band, and no mask counts as exact. None without scores."""
        del effects, fitting
        return None

    def together(self, effects: Effects, fitting: Fitting, parts: Floats) -> Interval | None:
        """Limits of sums of attributions, weighted by the columns of ``parts`` ``(n, k)``; None without scores."""
        del effects, fitting, parts
        return None

    def chances(self, rows: int, rng: np.random.Generator) -> Floats:
        """With what chance neighbours of a part are kept in each mask, shape ``(rows, 1)``: by a fair coin."""
        del rng
        return np.full((rows, 1), 0.5)


class _Scored(Estimand):
    """Means over all masks. Masks that were drawn give cross-fitted scores, whose mean is the estimate."""

    scored = True

    def from_all(self, effects: Effects, noise: MeasuredNoise | None = None) -> Estimate:
        population = effects.population()
        if population is None or (effects.kept is None and effects.sizes is None):
            return intervals.contrast(self.weights(effects), effects.values, noise)
        return intervals.stratified_estimate(effects, population, noise)

    def _estimate(self, effects: Effects, fitting: Fitting) -> Estimate:
        if effects.is_complete():
            return self.from_all(effects, effects.noise)
        if (collapse := one_effect(effects)) is not None:
            return collapsed_estimate(effects, collapse)
        effects, middle = _enough(effects, fitting)
        if effects.noise.variance is None:  # known masks would carry a noise that nobody knows: none counts as exact
            effects = replace(effects, drawn_from=math.inf)

        def of(surrogate: Surrogate) -> Estimate:
            rng = generator(fitting.seed, "folds")
            return self._scores(cross_fit(effects, surrogate, rng), effects, middle, fitting, rng)

        estimate = narrowest(fitting.surrogate, of)
        if estimate.predicted is None or estimate.fitted is None:
            return estimate
        return replace(estimate, predicted=estimate.predicted + middle, fitted=estimate.fitted + middle)

    def interval(self, effects: Effects, fitting: Fitting) -> Interval | None:
        if (collapse := one_effect(effects)) is not None:
            return collapsed_estimate(effects, collapse).interval
        effects, middle = near_zero(replace(effects, drawn_from=math.inf))
        return self._error(_folded(effects, fitting), effects, middle).interval(fitting.level)

    def together(self, effects: Effects, fitting: Fitting, parts: Floats) -> Interval | None:
        if effects.is_complete() and effects.kept is None and effects.sizes is None:
            return intervals.contrast(self.weights(effects) @ parts, effects.values, effects.noise).interval
        if one_effect(effects) is not None:
            return None
        effects, middle = _enough(replace(effects, drawn_from=math.inf), fitting)
        fit, whole = _folded(effects, fitting), effects.at_whole - middle
        error = fit.combined(parts).error(noise=effects.noise.variance or 0.0, span=_span(effects, whole))
        least: Floats = fit.least_error(whole) * np.sqrt((parts**2).sum(axis=0))
        return error.at_least(least).interval(fitting.level)

    @abstractmethod
    def _scores(
        self, fit: CrossFit, effects: Effects, middle: float, fitting: Fitting, rng: np.random.Generator
    ) -> Estimate:
        """The estimate of scores, with the model's noise; ``middle`` was taken off the effects of masks."""

    @abstractmethod
    def _error(self, fit: CrossFit, effects: Effects, middle: float) -> Error:
        """How far the mean of the scores may be off, noise being in their spread already."""


class Banzhaf(_Scored):
    """Mean effect of a unit over masks that keep each other unit with one chance, ``keep``."""

    name = "banzhaf"
    pairs = True
    own = frozenset({"irrelevant"})

    def rests_on_noise(self, share: float) -> bool:
        return share >= MUCH

    def design(self, n: int, masks: int, rng: np.random.Generator, how: MaskDraw) -> Design:
        if how.keep != 0.5:
            return designs.by_number(n, masks, rng, keep=how.keep, empty=how.empty)
        pairs = (
            designs.complement_pairs
            if (how.halves or designs.halves_for(n, masks)) == "complement"
            else designs.independent
        )
        return pairs(n, masks // 2, rng, empty=how.empty)

    def weights(self, effects: Effects) -> Floats:
        return intervals.banzhaf_weights(effects)

    def from_drawn(self, effects: Effects, surrogate: Surrogate, rng: np.random.Generator) -> Estimate:
        return intervals.sampled_estimate(cross_fit(effects, surrogate, rng), rng)

    def _estimate(self, effects: Effects, fitting: Fitting) -> Estimate:
        if effects.draws is not None and effects.strange is not None and effects.strange.any():
            return relevance.among_relevant(effects, effects.draws, effects.strange)
        return super()._estimate(effects, fitting)

    def _scores(
        self, fit: CrossFit, effects: Effects, middle: float, fitting: Fitting, rng: np.random.Generator
    ) -> Estimate:
        whole, noise = effects.at_whole - middle, effects.noise
        return intervals.sampled_estimate(
            fit, rng, noise=noise.variance or 0.0, most=noise.most, span=_span(effects, whole), whole=whole,
            level=fitting.level,
        )  # fmt: skip

    def _error(self, fit: CrossFit, effects: Effects, middle: float) -> Error:
        whole = effects.at_whole - middle
        return intervals.sampled_error(fit, span=_span(effects, whole), whole=whole)


class Shapley(_Scored):
    """Mean effect of a unit over all orders of adding the others; attributions sum to f(1) - f(0)."""

    name = "shapley"
    shares_total = True

    def check(self, options: PromptOptions) -> None:
        if options.keep != 0.5 or options.empty == "exclude":
            raise UsageError(
                f"estimand='shapley' averages over all sizes of masks, the empty one included: keep={options.keep} and "
                f"empty={options.empty!r} do not go with it. Leave them out, or use estimand='banzhaf'."
            )
        super().check(options)

    def takes(self, design: Design | str) -> bool:
        return not isinstance(design, str) and (design.sizes is not None or self.rows_of(design) is not None)

    def rests_on_noise(self, share: float) -> bool:
        del share  # the total that is shared out rests on few calls
        return True

    def design(self, n: int, masks: int, rng: np.random.Generator, how: MaskDraw) -> Design:
        if (halves := how.halves or designs.halves_for(n, masks)) == "complement":
            return designs.by_layers(n, masks, rng)
        return designs.by_size(n, masks, rng, repeats=how.repeats, halves=halves)

    def weights(self, effects: Effects) -> Floats:
        return intervals.shapley_weights(effects)

    def from_drawn(self, effects: Effects, surrogate: Surrogate, rng: np.random.Generator) -> Estimate:
        return intervals.shapley_estimate(cross_fit(effects, surrogate, rng), effects, rng)

    def _estimate(self, effects: Effects, fitting: Fitting) -> Estimate:
        if effects.sizes is not None or effects.is_complete():
            return super()._estimate(effects, fitting)
        # All masks were to be asked, and some have no answer.
        if effects.masks.any(axis=1).all():
            raise BudgetError(
                "The prompt without any unit was not answered, and estimand='shapley' shares out what all units change "
                "together. Use estimand='banzhaf' with empty='exclude'.",
                smallest=fitting.budget,
            )
        effects, _ = _enough(effects, fitting)
        rng = generator(fitting.seed, "folds")
        return self.from_most(effects, fitting.surrogate, rng, level=fitting.level)

    def chances(self, rows: int, rng: np.random.Generator) -> Floats:
        """As before a random place in a random order: with one chance u each, u uniform."""
        return rng.random((rows, 1))

    def _scores(
        self, fit: CrossFit, effects: Effects, middle: float, fitting: Fitting, rng: np.random.Generator
    ) -> Estimate:
        del middle  # differences of f(1) and f(0) have none
        noise = effects.noise
        # f(0) is the mean of as many answers as a mask has, f(1) that of the repeats.
        shared = noise.bound * (1.0 + fitting.draws / len(effects.whole))
        return intervals.shapley_estimate(
            fit, effects, rng, noise=noise.variance or 0.0, most=noise.most, shared=shared, level=fitting.level
        )

    def _error(self, fit: CrossFit, effects: Effects, middle: float) -> Error:
        del middle
        return intervals.shapley_error(fit, effects)


class Local(Estimand):
    """Slope of the line that meets masks best, those near to the whole prompt before others."""

    name = "local"
    weighted = True
    averages = False  # nearness is that of one prompt
    own = frozenset({"scale"})

    def surrogate(self) -> Surrogate:
        return WeightedLeastSquares()

    def design(self, n: int, masks: int, rng: np.random.Generator, how: MaskDraw) -> Design:
        return designs.bernoulli(n, masks, rng, keep=how.keep, repeats=how.repeats, empty=how.empty)

    def weights(self, effects: Effects) -> Floats:
        return intervals.local_weights(effects)

    def from_all(self, effects: Effects, noise: MeasuredNoise | None = None) -> Estimate:
        return intervals.local_estimate(effects, noise)

    def _estimate(self, effects: Effects, fitting: Fitting) -> Estimate:
        del fitting
        if (collapse := one_effect(effects)) is not None:
            return collapsed_estimate(effects, collapse)
        effects, _ = near_zero(effects)
        return self.from_all(effects, effects.noise if effects.is_complete() else None)


class LeaveOneOut(Estimand):
    """What the effect loses with one unit alone left out: ``f(1) - f(1 without i)``."""

    name = "loo"
    samples = False

    def takes(self, design: Design | str) -> bool:
        return not isinstance(design, str) and np.array_equal(design.masks, ~np.eye(design.masks.shape[1], dtype=bool))

    def smallest(self, n: int, surrogate: Surrogate, *, keep: float) -> int:
        del surrogate, keep
        return n

    def needed_by(self, surrogate: Surrogate) -> str:
        del surrogate
        return "leave-one-out"

    def design(self, n: int, masks: int, rng: np.random.Generator, how: MaskDraw) -> Design:
        del masks, rng, how
        return designs.leave_one_out(n)

    def rows_of(self, design: Design) -> list[int] | None:
        masks, n = design.masks, design.masks.shape[1]
        lacking = {int(np.flatnonzero(~mask)[0]): row for row, mask in enumerate(masks) if mask.sum() == n - 1}
        return [lacking[unit] for unit in range(n)] if len(lacking) == n else None

    def weights(self, effects: Effects) -> Floats:
        return intervals.leave_one_out_weights(effects.n)

    def from_all(self, effects: Effects, noise: MeasuredNoise | None = None) -> Estimate:
        del noise  # it is measured anew, with the repeats of the whole prompt among the masks
        return intervals.leave_one_out_estimate(
            effects, effects.whole, draws=effects.draws, known=effects.known, reach=effects.reach
        )


ESTIMANDS: Final[Mapping[str, Estimand]] = {each.name: each for each in (Banzhaf(), Shapley(), Local(), LeaveOneOut())}
"""All there are, by name, the default first."""


def load_estimand(name: str) -> Estimand:
    """The estimand of that name.

    Raises:
        UnknownNameError: if there is none.
    """
    if name not in ESTIMANDS:
        raise UnknownNameError("estimand", name, ESTIMANDS)
    return ESTIMANDS[name]


def _folded(effects: Effects, fitting: Fitting) -> CrossFit:
    return cross_fit(effects, fitting.surrogate, generator(fitting.seed, "folds"))


def _span(effects: Effects, at_whole: float) -> float:
    """How far effects may be apart: as far as the target lets them, else as far as they were."""
    return max(effects.reach, float(np.ptp(np.append(effects.values, at_whole))))


def _enough(effects: Effects, fitting: Fitting) -> tuple[Effects, float]:
    """The same as `near_zero`, of enough groups for folds.

    Raises:
        BudgetError: if they are too few.
    """
    if (groups := len(np.unique(effects.groups))) < FEWEST_GROUPS:
        found = "1 pair of masks was" if groups == 1 else f"{groups} pairs of masks were"
        raise BudgetError(f"Only {found} answered: at least {FEWEST_GROUPS} are needed.", smallest=fitting.budget)
    return near_zero(effects)
