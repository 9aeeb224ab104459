"""`Effects`: masks, what each did, how the masks were drawn, and what is known of the noise. The one input of every
estimator.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from whygen.prompt.noise import UNMEASURED, MeasuredNoise
from whygen.types import Floats, Masks


def members_by_size(n: int) -> NDArray[np.float64]:
    """How many masks of ``n`` units there are of each size 0 .. n, shape ``(n + 1,)``."""
    return np.array([float(min(math.comb(n, size), 10**300)) for size in range(n + 1)])


def law_of_number(n: int, keep: float) -> NDArray[np.float64]:
    """The chance of each number 0 .. n of kept units, each kept by itself: the binomial law, shape ``(n + 1,)``."""
    size = np.arange(n + 1, dtype=np.float64)
    ways = gammaln(n + 1.0) - gammaln(size + 1.0) - gammaln(n - size + 1.0)
    return np.asarray(np.exp(ways + size * np.log(keep) + (n - size) * np.log1p(-keep)), dtype=np.float64)


class Population(NamedTuple):
    """What masks were drawn from without replacement, cut into strata of masks that were equally probable.

    Attributes:
        stratum: of each row, shape ``(m,)``.
        members: how many masks each stratum has, shape ``(strata,)``.
        chance: that a draw of the design is this very mask, shape ``(m,)``.
    """

    stratum: NDArray[np.int64]
    members: NDArray[np.float64]
    chance: NDArray[np.float64]

    def asked(self, rows: NDArray[np.bool_]) -> NDArray[np.float64]:
        """How many masks of each stratum are among ``rows`` ``(m,)``, shape ``(strata,)``."""
        return np.bincount(self.stratum[rows], minlength=len(self.members)).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Effects:
    """Masks with their effects.

    Attributes:
        masks: shape ``(m, n)``.
        values: the effect of each mask, its mean over draws, in the target's unit, shape ``(m,)``.
        groups: shape ``(m,)``; rows of one group were drawn together.
        keep: the probability with which each unit was kept.
        sizes: the chance of each size 1 .. n - 1 of a mask, shape ``(n - 1,)``, where the design draws by size.
        total: f(1) - f(0), which Shapley values share out; None for other estimands.
        nearness: weight of each row under the kernel of `local`, shape ``(m,)``; None for other estimands.
        kept: the chance of each number of kept units 0 .. n, shape ``(n + 1,)``, where masks for Banzhaf values were
            drawn by that number; None where units were kept independently.
        drawn_from: how many masks there were to draw from without replacement; infinite where a mask may come again.
        whole: effects of the repeats of the whole prompt, shape ``(r,)``; their mean is f(1).
        noise: what is known of how the values would differ if the model were asked again.
        draws: effects of each draw of each mask, redraws included, shape ``(m, d)``; NaN where a mask was drawn less
            often. None where only the means are at hand, or a mask's draws have one effect together.
        rows: row of the design that each mask was.
        known: whether equal questions are known to get equal answers.
        reach: how far the target lets two effects be apart; 0 where nobody knows.
        strange: which draws are left out as irrelevant, shape ``(m, d)``; None where they are counted.
        irrelevant: answers to masks that were as far from the reference as texts about other things are.
    """

    masks: Masks
    values: Floats
    groups: NDArray[np.int64]
    keep: float = 0.5
    sizes: NDArray[np.float64] | None = None
    total: float | None = None
    nearness: NDArray[np.float64] | None = None
    kept: NDArray[np.float64] | None = None
    drawn_from: float = math.inf
    whole: Floats = field(default_factory=lambda: np.zeros(0))
    noise: MeasuredNoise = UNMEASURED
    draws: Floats | None = None
    rows: tuple[int, ...] = ()
    known: bool = False
    reach: float = 0.0
    strange: NDArray[np.bool_] | None = None
    irrelevant: int = 0

    def __len__(self) -> int:
        return len(self.values)

    @property
    def at_whole(self) -> float:
        """f(1), in the target's unit."""
        return float(self.whole.mean())

    @property
    def n(self) -> int:
        """Number of units."""
        return int(self.masks.shape[1])

    def take(self, rows: NDArray[np.bool_]) -> Effects:
        """The rows where ``rows`` ``(m,)`` is True."""
        return replace(
            self,
            masks=self.masks[rows],
            values=self.values[rows],
            groups=self.groups[rows],
            nearness=None if self.nearness is None else self.nearness[rows],
            noise=self.noise.take(rows) if len(self.noise.counts) else self.noise,
            draws=None if self.draws is None else self.draws[rows],
            strange=None if self.strange is None else self.strange[rows],
            rows=tuple(np.array(self.rows, dtype=np.int64)[rows].tolist()) if self.rows else (),
        )

    def with_values(self, values: Floats) -> Effects:
        """The same masks with other values ``(m,)``."""
        return replace(self, values=values)

    def centred(self) -> NDArray[np.float64]:
        """Masks minus the keep probability, shape ``(m, n)``: the mean of each column is zero by design."""
        return self.masks.astype(np.float64) - self.keep

    def weights(self) -> NDArray[np.float64]:
        """Horvitz-Thompson weights, shape ``(m, n)``: the mean of weight times effect is the estimand. METHODS A2.

        Banzhaf: ``w_i = z_i / p - (1 - z_i) / (1 - p)``. Shapley, with q the chance of a mask and
        ``p_n(s) = s! (n - s - 1)! / n!``: ``w_i = [z_i p_n(|z| - 1) - (1 - z_i) p_n(|z|)] / q(z)``.
        """
        if self.sizes is None:
            own: NDArray[np.float64] = np.where(self.masks, 1.0 / self.keep, -1.0 / (1.0 - self.keep))
            return own if self.kept is None else own * self.ratio()[:, None]
        size: NDArray[np.int64] = self.masks.sum(axis=1)
        # p_n(s) / q(z) with q(z) = sizes[|z|] / C(n, |z|): the factorials cancel to one over the number of members.
        chance = self.sizes[size - 1]
        present: NDArray[np.float64] = 1.0 / (size * chance)
        absent: NDArray[np.float64] = -1.0 / ((self.n - size) * chance)
        return np.where(self.masks, present[:, None], absent[:, None])

    def ratio(self) -> NDArray[np.float64]:
        """How much more probable each mask is where units are kept independently than in the design, ``(m,)``."""
        if self.kept is None:
            return np.ones(len(self))
        size: NDArray[np.int64] = self.masks.sum(axis=1)
        return law_of_number(self.n, self.keep)[size] / self.kept[size]

    def population(self) -> Population | None:
        """What the masks were drawn from; None where they were drawn with replacement, or all were as good as new."""
        if not math.isfinite(self.drawn_from):
            return None
        n, by_size = self.n, self.kept
        if self.sizes is not None:
            by_size = np.concatenate([[0.0], self.sizes, [0.0]])
        if by_size is None:
            stratum = np.zeros(len(self), dtype=np.int64)
            members, chance = np.array([self.drawn_from]), np.ones(1)
        else:
            stratum = self.masks.sum(axis=1)
            members, chance = members_by_size(n), by_size
        members = np.where(chance > 0.0, members, 0.0)  # a design by size draws no mask of some sizes
        return Population(stratum, members, chance[stratum] / members[stratum])

    def is_complete(self) -> bool:
        """Whether the masks are all that the design draws from."""
        population = self.population()
        everything = np.ones(len(self), dtype=bool)
        return population is not None and bool((population.asked(everything) >= population.members).all())

    def importance(self) -> NDArray[np.float64]:
        """Weight of each row in a least-squares fit, shape ``(m,)``, mean one.

        Under a kernel its weight. Else one, but by size for Shapley values: ``1 / (|z| (n - |z|))`` over the chance of
        the size, since the regression of Charnes et al. (1988) has its minimum there.
        """
        if self.nearness is not None:
            return self.nearness / self.nearness.mean()
        if self.sizes is None:
            ratio = self.ratio()
            return ratio / ratio.mean()
        size: NDArray[np.int64] = self.masks.sum(axis=1)
        weight: NDArray[np.float64] = 1.0 / (size * (self.n - size) * self.sizes[size - 1])
        return weight / weight.mean()

    def complement_pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        """Row numbers of the first and second half of every pair, or None if the groups are not complement pairs."""
        order = np.argsort(self.groups, kind="stable")
        if len(order) % 2:
            return None
        first, second = order[0::2], order[1::2]
        paired = np.array_equal(self.groups[first], self.groups[second])
        if paired and np.array_equal(self.masks[first], ~self.masks[second]):
            return first, second
        return None


FAR = 1e3
"""Effects whose middle is so many times their range from zero are read from there: else their digits are lost."""


def near_zero(observed: Effects) -> tuple[Effects, float]:
    """The same with the middle of effects that are far from zero taken off, which no estimand asks for."""
    effects = observed.values
    if not len(effects):  # nothing was answered: how many are needed is said where they are fitted
        return observed, 0.0
    middle = float(effects.max() + effects.min()) / 2.0
    if abs(middle) <= FAR * float(np.ptp(effects)):
        return observed, 0.0
    return observed.with_values(effects - middle), middle
