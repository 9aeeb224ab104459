"""Whether a part had any say in a choice of yes or no: a test that is exact however the model mixes its parts.

The masks were drawn by whygen, so their law is known. If a part changes nothing, then what it was in each mask, kept or
left out, could as well have been dealt out anew, given all other parts and the answers: a conditional randomisation
test (Candès, Fan, Janson and Lv 2018, JRSS B 80:551, section 4) with a known law, which supposes nothing of the model
and nothing of its noise. Any statistic gives a valid p-value; the one here has power where few parts decide, also two
that can stand in for each other or that need each other: the likelihood of the best rule "the action is taken where
this part is kept", "where this part or another is", "where this part and another are", with one chance of the action
where the rule holds and a smaller one where it does not. docs/decisions/0033-why.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from whygen.types import Floats, Masks

DEALS = ((200, 0.2), (800, 0.06), (3000, 1.0))
"""Deals, and the p-value over which no more of them are needed: no step of the false-discovery control is so high."""

BESIDE = 0.01
"""p-value that a named part may have beside the other named ones: true ones are far below, chance is mostly above."""
DEALT_BESIDE = 2000

MOST_KEPT = 1 << 20
"""Values of a rule that are kept at most."""

ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Answered:
    """How often the action was taken, mask by mask.

    Attributes:
        masks: distinct masks of units that were kept with probability one half, shape ``(m, n)``.
        groups: shape ``(m,)``; two rows of one group that are complements of each other were drawn as one.
        taken: answers to each mask that took the action, shape ``(m,)``.
        drawn: answers to each mask, shape ``(m,)``.
    """

    masks: Masks
    groups: NDArray[np.int64]
    taken: Floats
    drawn: Floats


def p_values(answered: Answered, rng: np.random.Generator) -> Floats:
    """One-sided p-values of each part having no say, shape ``(n,)``; small: keeping it leads to the action.

    Args:
        answered: the answers to masks.
        rng: deals.
    """
    n: int = answered.masks.shape[1]
    if not 0.0 < float(answered.taken.sum()) < float(answered.drawn.sum()):
        return np.ones(n, dtype=np.float64)
    rule = _Rule(answered)
    found = [_p_value(answered, unit, rule, stream) for unit, stream in enumerate(rng.spawn(n))]
    return np.array(found, dtype=np.float64)


def _p_value(answered: Answered, unit: int, rule: _Rule, rng: np.random.Generator) -> float:
    likelihood, dealer = _Likelihood(answered, unit, rule), _Dealer(answered, unit, rng)
    seen = likelihood(answered.masks[None, :, unit], answered.taken[None, :])[0] - ROUNDING
    above, dealt = 0, 0
    for deals, enough in DEALS:
        above += int((likelihood(*dealer(deals)) >= seen).sum())
        dealt += deals
        if (1 + above) / (1 + dealt) > enough:
            break
    return (1 + above) / (1 + dealt)


def beside_others(answered: Answered, named: Sequence[int], rng: np.random.Generator) -> list[int]:
    """Of parts that were found to have a say, those that have one beside the others too; the rest go, weakest first.

    The same deals, and a statistic that looks only inside of answers whose other named parts are alike. What a part
    without a say seems to explain is mostly chance in what the true ones leave unexplained, which is little once they
    are known; two that stand in for each other, or need each other, are told apart from chance all the better. It only
    takes names away, so that nothing is accused more often for it.

    Args:
        answered: the answers to masks.
        named: units.
        rng: deals.
    """
    kept = list(named)
    while len(kept) > 1:
        found = [_p_beside(answered, unit, [other for other in kept if other != unit], rng) for unit in kept]
        worst = int(np.argmax(found))
        if found[worst] <= BESIDE:
            break
        kept.pop(worst)
    return kept


def _p_beside(answered: Answered, unit: int, others: Sequence[int], rng: np.random.Generator) -> float:
    """The one-sided p-value of a part having no say among answers whose other named parts are alike."""
    alike = np.unique(answered.masks[:, list(others)], axis=0, return_inverse=True)[1].reshape(-1)
    strata = (alike[:, None] == np.arange(int(alike.max()) + 1)).astype(np.float64)

    def gain(own: NDArray[np.bool_], taken: Floats) -> Floats:
        drawn, acted = (own * answered.drawn) @ strata, (own * taken) @ strata
        of, all_acted = answered.drawn @ strata, taken @ strata
        more = _entropy(acted, drawn) + _entropy(all_acted - acted, of - drawn) - _entropy(all_acted, of)
        return np.where(acted * (of - drawn) > (all_acted - acted) * drawn, more, 0.0).sum(axis=1)

    seen = gain(answered.masks[None, :, unit], answered.taken[None, :])[0] - ROUNDING
    dealt = gain(*_Dealer(answered, unit, rng)(DEALT_BESIDE))
    return (1 + int((dealt >= seen).sum())) / (1 + DEALT_BESIDE)


class _Dealer:
    """Deals a unit out anew, given all others and the answers.

    Where two masks differ in this unit alone, their answers are dealt out among both: no mask comes twice, so that of
    such two one has the unit and the other lacks it. Elsewhere a coin says whether a mask had it; one coin for a mask
    and its complement, which were one draw.
    """

    def __init__(self, answered: Answered, unit: int, rng: np.random.Generator) -> None:
        self._answered, self._rng, self._own = answered, rng, answered.masks[:, unit]
        rest = np.delete(answered.masks, unit, axis=1)
        _, pattern, often = np.unique(rest, axis=0, return_inverse=True, return_counts=True)
        order = np.argsort(pattern.reshape(-1), kind="stable")
        twins = order[(often == 2)[pattern.reshape(-1)[order]]].reshape(-1, 2)
        self._first, self._second = twins.T
        self._single = np.setdiff1d(np.arange(len(rest)), twins.ravel())
        coins = answered.groups.copy()
        coins[~_halves(answered)] = -1 - np.flatnonzero(~_halves(answered))
        self._coins = np.unique(coins[self._single], return_inverse=True)[1].reshape(-1)

    def __call__(self, deals: int) -> tuple[NDArray[np.bool_], Floats]:
        """Which masks have the unit, and how many of their answers took the action, each of shape ``(deals, m)``."""
        own, taken = np.tile(self._own, (deals, 1)), np.tile(self._answered.taken, (deals, 1))
        if len(self._single):
            flips = self._rng.random((deals, int(self._coins.max()) + 1)) < 0.5
            own[:, self._single] ^= flips[:, self._coins]
        if len(self._first):
            drawn, told = self._answered.drawn, self._answered.taken
            both = told[self._first] + told[self._second]
            rest = drawn[self._first] + drawn[self._second] - both
            size = (deals, len(self._first))
            dealt = self._rng.hypergeometric(both.astype(int), rest.astype(int), drawn[self._first].astype(int), size)
            taken[:, self._first], taken[:, self._second] = dealt, both - dealt
        return own, taken


def _halves(answered: Answered) -> NDArray[np.bool_]:
    """Which rows ``(m,)`` were drawn with their complement."""
    _, group, sizes = np.unique(answered.groups, return_inverse=True, return_counts=True)
    total = np.zeros((len(sizes), answered.masks.shape[1]))
    np.add.at(total, group.reshape(-1), answered.masks.astype(np.float64))
    return ((sizes == 2) & (total == 1.0).all(axis=1))[group.reshape(-1)]


class _Rule:
    """Log-likelihood of a rule by how many answers it holds for, and how many of these took the action.

    Both are counts, and a test deals them out by the hundred thousand: of few answers all values are kept.
    """

    def __init__(self, answered: Answered) -> None:
        self._all, self._acted = int(answered.drawn.sum()), int(answered.taken.sum())
        self._least = float(_entropy(np.array(float(self._acted)), np.array(float(self._all))))
        self._kept: Floats | None = None
        if (self._acted + 1) * (self._all + 1) <= MOST_KEPT:
            acted, drawn = np.indices((self._acted + 1, self._all + 1), dtype=np.float64)
            with np.errstate(invalid="ignore"):  # where more act than were drawn
                self._kept = self._of(acted, drawn).ravel()

    def __call__(self, acted: Floats, drawn: Floats) -> Floats:
        """Of counts of one shape; no rule at all where the action is no likelier inside than outside."""
        if self._kept is None:
            return self._of(acted, drawn)
        return self._kept[(acted * (self._all + 1) + drawn).astype(np.intp)]

    def _of(self, acted: Floats, drawn: Floats) -> Floats:
        rest, rest_acted = self._all - drawn, self._acted - acted
        found = _entropy(acted, drawn) + _entropy(rest_acted, rest)
        return np.where(acted * rest > rest_acted * drawn, found, self._least)


class _Likelihood:
    """Log-likelihood of the best rule with a unit."""

    def __init__(self, answered: Answered, unit: int, rule: _Rule) -> None:
        self._drawn, self._rule = answered.drawn, rule
        self._others = np.delete(answered.masks, unit, axis=1).astype(np.float64)
        self._where, self._acted = answered.drawn @ self._others, answered.taken @ self._others

    def __call__(self, own: NDArray[np.bool_], taken: Floats) -> Floats:
        """Of each deal ``(d, m)``, shape ``(d,)``."""
        drawn, acted = own * self._drawn, own * taken
        found = self._rule(acted.sum(axis=1), drawn.sum(axis=1))
        if not self._others.shape[1]:
            return found
        alone_drawn, alone_acted = drawn.sum(axis=1, keepdims=True), acted.sum(axis=1, keepdims=True)
        both_drawn, both_acted = drawn @ self._others, acted @ self._others
        both = self._rule(both_acted, both_drawn).max(axis=1)
        either = self._rule(alone_acted + self._acted - both_acted, alone_drawn + self._where - both_drawn)
        return np.maximum(np.maximum(found, both), either.max(axis=1))


def _entropy(taken: Floats, drawn: Floats) -> Floats:
    """Log-likelihood of so many of so many at their own share."""
    rest = drawn - taken
    return np.asarray(xlogy(taken, taken) + xlogy(rest, rest) - xlogy(drawn, drawn), dtype=np.float64)
