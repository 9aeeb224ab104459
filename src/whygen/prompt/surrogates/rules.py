"""Conjunctions of units that are present or absent, taken one after the other: what a few rules say of a game.

"These three words and not that one" is a single rule, but sixteen products of units: where few rules make a game, far
fewer masks tell them than tell their products. Each step looks for the rule that agrees best with what is left over
(orthogonal matching pursuit: Pati, Rezaiifar and Krishnaprasad 1993, Asilomar), by a beam: the best literals, the best
pairs that hold one of them, and so on up to four. All fits of a cross-fit go in step. METHODS A2.
"""

from __future__ import annotations

from itertools import product
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from whygen.prompt.surrogates.base import SEED, Support, distinct_terms
from whygen.prompt.surrogates.trees import Singles, of_others
from whygen.types import Floats, Masks

SIZE = 4
"""Most units of a rule."""

MOST = 30
"""Most rules."""

PATIENCE = 6
"""Steps without less left-out error after which a fit needs no further rule."""

BEAM = 32
"""Rules of each size that are carried on to the next; twice as many find no more."""

HOPELESS, LOOK = 2.0, 8
"""A fit has enough, too, if its left-out error is so many times that of what rules compete with after so many rules."""

HOLD = 1.0
"""Rows without effect that each rule is given, so that a few rows are not taken at their word."""

APART = 0.7
"""Rules that share units hang together: of the logarithm of their number this share counts as so many apart."""

LITTLE = 1e-20
"""A share of the squares that is rounding."""

FEWEST = 2.0
"""Rows that a rule must hold in, each weighted as it is."""

MOST_ROWS = 1024
"""Rows that the search looks at, drawn anew at each step where there are more; coefficients rest on all."""


class Rules(NamedTuple):
    """Rules in the order they were taken, and least squares on none, the first, the first two ..

    Attributes:
        literals: shape ``(k, SIZE)``: ``i`` where unit i is present, ``n + i`` where it is absent, ``2 n`` for none.
        coefficients: shape ``(k, k + 1)``.
        levels: the constant beside them, shape ``(k + 1,)``.
    """

    literals: NDArray[np.int64]
    coefficients: Floats
    levels: Floats

    def terms(self, n: int) -> tuple[Support, Floats, Floats]:
        """As sums of products of units that count as -1 and 1: terms, coefficients of each step, and levels."""
        sign = np.select([self.literals < n, self.literals < 2 * n], [1.0, -1.0], 0.0)
        unit = np.where(sign == 0.0, n, self.literals % n)
        used = np.array(list(product([False, True], repeat=SIZE)))
        rest = np.where(sign == 0.0, 1.0, 0.5)  # a literal is (1 + sign x) / 2
        each: Floats = np.where(used, sign[:, None] / 2.0, rest[:, None]).prod(axis=2)
        support = np.sort(np.where(used, unit[:, None], n), axis=2).reshape(-1, SIZE)
        alive = each.ravel() != 0.0
        support = np.vstack([support[alive], np.full((1, SIZE), n)])
        terms, place = distinct_terms(support, n)
        summed = np.zeros((len(terms), self.coefficients.shape[1]))
        rule = np.repeat(np.arange(len(each)), used.shape[0])[alive]
        np.add.at(summed, place[:-1], each.ravel()[alive, None] * self.coefficients[rule])
        return terms[:-1], summed[:-1], self.levels + summed[-1]


def conjoin(
    masks: Masks, effects: Floats, weights: Floats, held: Floats, rival: Floats | float = np.inf
) -> list[Rules]:
    """The rules of each of ``s`` fits on the same masks.

    Args:
        masks: shape ``(m, n)``.
        effects: what each is fitted to, shape ``(s, m)``.
        weights: of each row in each fit, shape ``(s, m)``; zero for a row that it must not see.
        held: weights of the rows that judge each fit, shape ``(s, m)``: those of the others say when it has enough.
        rival: the squares that something else leaves of the rows that the others judge, shape ``(s,)``.
    """
    search, literals = _RuleSearch(masks), np.full((len(effects), MOST, SIZE), 2 * masks.shape[1])
    ladder = _Ladder(effects, weights)
    least, errors = LITTLE * ladder.squares(), [of_others(held, ladder.left)]
    sizes = np.full(len(effects), MOST)
    for step in range(MOST):
        going = np.flatnonzero(sizes > step)
        if not len(going):
            break
        literals[going, step] = search.best(ladder.left[going], weights[going])
        # One that stopped adds no rule, and judges the others by those it has.
        ladder.add(search.columns(literals[:, step]))
        errors.append(of_others(held, ladder.left))
        # What others leave out decides: what a fit leaves out itself is to judge it, and may not choose its size.
        since = len(errors) - 1 - np.argmin(errors, axis=0)
        enough = (since >= PATIENCE) | (ladder.squares() <= least)
        if step + 1 >= LOOK:
            enough |= np.min(errors, axis=0) > HOPELESS * rival
        sizes[enough] = np.minimum(sizes[enough], step + 1)
    return [Rules(literals[fit, :size], *ladder.solved(fit, int(size))) for fit, size in enumerate(sizes)]


class _Ladder:
    """Least squares on growing sets of columns, in ``s`` fits in step: orthogonal columns by Gram and Schmidt.

    Columns are orthogonal under the weights of a fit, yet known at all rows: what is left over of the rows that a fit
    must not see is its left-out error.

    Attributes:
        left: what is left over, shape ``(s, m)``.
        size: columns so far, the constant among them.
    """

    def __init__(self, effects: Floats, weights: Floats) -> None:
        count, rows = effects.shape
        self.weights = weights
        self.basis = np.zeros((count, MOST + 1, rows))
        self.triangle = np.zeros((count, MOST + 1, MOST + 1))
        self.along = np.zeros((count, MOST + 1))
        self.left, self.size = effects, 0
        self.add(np.ones_like(effects))

    def squares(self) -> Floats:
        found: Floats = (self.weights * self.left**2).sum(axis=1)
        return found

    def add(self, columns: Floats) -> None:
        """A column ``(s, m)`` for each fit; one that those before it make up changes nothing."""
        before, rest = self.basis[:, : self.size], columns
        for _ in range(2):  # twice, for the rounding
            share: Floats = before @ (self.weights * rest)[:, :, None]
            self.triangle[:, : self.size, self.size] += share[:, :, 0]
            rest = rest - (share.transpose(0, 2, 1) @ before)[:, 0]
        length = np.sqrt((self.weights * rest**2).sum(axis=1))
        whole = np.sqrt((self.weights * columns**2).sum(axis=1))
        # A column that those before make up has no direction of its own left but rounding: it stands as zeros.
        new = length > 1e-7 * whole
        self.triangle[:, self.size, self.size] = np.where(new, length, 1.0)
        self.basis[:, self.size] = np.where(new, 1.0 / np.where(new, length, 1.0), 0.0)[:, None] * rest
        unit = self.basis[:, self.size]
        self.along[:, self.size] = (self.weights * unit * self.left).sum(axis=1)
        self.left = self.left - self.along[:, self.size, None] * unit
        self.size += 1

    def solved(self, fit: int, columns: int) -> tuple[Floats, Floats]:
        """Coefficients ``(k, k + 1)`` of the first ``k`` columns beside the constant after every step, and its own."""
        size = columns + 1
        reached = np.triu(np.ones((size, size))) * self.along[fit, :size, None]
        found = np.asarray(np.linalg.solve(self.triangle[fit, :size, :size], reached), dtype=np.float64)
        return found[1:], found[0]


class _Beam(NamedTuple):
    """Rules of one size in each fit, best first: literals ``(s, b, size)`` with their columns ``(s, b, m)``."""

    literals: NDArray[np.int64]
    columns: Singles


class _Rows(NamedTuple):
    """What the search looks at: weights and weighted rests ``(2, s, m)``, and the columns of all literals ``(2 n, m)``.

    Rests are of mean zero and variance one.
    """

    both: Singles
    literals: Singles


class _RuleSearch:
    """Looks for the rule that agrees best with what is left over, in all fits at once."""

    def __init__(self, masks: Masks) -> None:
        units = masks.T.astype(np.float64)
        self.n = len(units)
        self.literals = np.vstack([units, 1.0 - units, np.ones((1, len(masks)))])
        self.singles = self.literals[:-1].astype(np.float32)
        self.rng = np.random.default_rng(SEED)
        # Without this every fit would take rules of four, of which there are most.
        # The best of N rules explains 2 log N squared errors by chance alone (risk inflation: Foster and George 1994).
        self.by_chance = [
            APART * 2.0 * np.log(comb(self.n, size) * 2.0**size) for size in range(1, min(SIZE, self.n) + 1)
        ]

    def columns(self, rules: NDArray[np.int64]) -> Floats:
        """The column of a rule ``(s, SIZE)`` of each fit, shape ``(s, m)``."""
        found: Floats = self.literals[rules].prod(axis=1)
        return found

    def best(self, left: Floats, weights: Floats) -> NDArray[np.int64]:
        """The rule of each fit that explains most beyond chance, shape ``(s, SIZE)``."""
        rows = self._rows(left, weights)
        fits, nothing = len(left), 2 * self.n
        beam = _Beam(np.zeros((fits, 1, 0), dtype=np.int64), np.ones((fits, 1, rows.both.shape[2]), dtype=np.float32))
        chosen, most = np.full((fits, SIZE), nothing), np.full(fits, -np.inf)
        for size, by_chance in enumerate(self.by_chance, start=1):
            beam, gain = _longer(beam, rows)
            better = gain - by_chance > most
            most[better] = (gain - by_chance)[better]
            chosen[better, :size] = beam.literals[better, 0]
            chosen[better, size:] = nothing
        return chosen

    def _rows(self, left: Floats, weights: Floats) -> _Rows:
        count = left.shape[1]
        drawn = np.arange(count, dtype=np.int64)
        if count > MOST_ROWS:
            drawn = np.asarray(self.rng.permutation(count), dtype=np.int64)[:MOST_ROWS]
        weights, left = weights[:, drawn], left[:, drawn]
        share = weights / weights.sum(axis=1, keepdims=True)
        rest = left - (share * left).sum(axis=1, keepdims=True)
        spread = np.sqrt((share * rest**2).sum(axis=1, keepdims=True))
        rest = rest / np.where(spread > 0.0, spread, 1.0)
        return _Rows(np.stack([weights, weights * rest]).astype(np.float32), self.singles[:, drawn])


def _longer(beam: _Beam, rows: _Rows) -> tuple[_Beam, Floats]:
    """The best rules of one literal more, and how much the first of each fit would explain, in squared errors."""
    size, nothing = beam.literals.shape[2] + 1, len(rows.literals)
    gain = _gain(rows, beam)
    flat, fit = gain.reshape(len(gain), -1), np.arange(len(gain))[:, None]
    # Each rule may come from any of its parts, so up to `size` of the best are one rule.
    most = min(BEAM * size, flat.shape[1])
    some = np.argpartition(-flat, most - 1, axis=1)[:, :most]
    order = some[fit, np.argsort(-flat[fit, some], axis=1, kind="stable")]
    old, new = np.divmod(order, nothing)
    literals = np.concatenate([beam.literals[fit, old], new[..., None]], axis=2)
    literals = np.sort(literals, axis=2)
    # Literals in order as digits of one number: the same rule has the same key whichever way it was reached.
    power = np.array([nothing**place for place in range(size)], dtype=np.int64)
    keys: NDArray[np.int64] = literals @ power
    keys[flat[fit, order] < 0.0] = -1
    literals = literals[fit, _first_of_each(keys)]
    columns = rows.literals[literals[..., 0]]
    for place in range(1, size):
        columns = columns * rows.literals[literals[..., place]]
    return _Beam(literals, columns), flat.max(axis=1).astype(np.float64)


def _first_of_each(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """The places at which keys ``(s, k)`` come first in their row, in order, up to `BEAM`; -1 is no key.

    Of every row as many as of the one that has the fewest, shape ``(s, places)``.
    """
    order = np.argsort(keys, axis=1, kind="stable")
    row = np.arange(len(keys))[:, None]
    inside = keys[row, order]
    first = np.ones(keys.shape, dtype=bool)
    first[:, 1:] = inside[:, 1:] != inside[:, :-1]
    new = np.zeros(keys.shape, dtype=bool)
    new[row, order] = first & (inside >= 0)
    few = min(int(new.sum(axis=1).min()), BEAM)
    return np.argsort(~new, axis=1, kind="stable")[:, :few]


def _gain(rows: _Rows, beam: _Beam) -> Singles:
    """How much each rule with one more literal would explain, shape ``(s, b, 2 n)``; -1 where the rule has its unit."""
    n, total = len(rows.literals) // 2, rows.both[0].sum(axis=1)[:, None, None]
    # Weights and rests of the rows of each rule with one more literal, (2, s, b, 2 n): one product for all units that
    # are present; those of absent units are what it leaves.
    weighted = rows.both[:, :, None] * beam.columns
    present = (weighted.reshape(-1, weighted.shape[3]) @ rows.literals[:n].T).reshape(*weighted.shape[:3], n)
    absent = weighted.sum(axis=3, dtype=np.float32)[..., None] - present
    held, agreed = np.concatenate([present, absent], axis=3).astype(np.float32)
    gain: Singles = agreed**2 / (np.maximum(held * (1.0 - held / total), 0.0) + np.float32(HOLD))
    gain[held < FEWEST] = 0.0
    unit = beam.literals % n
    fit, rule = np.ogrid[: gain.shape[0], : gain.shape[1]]
    gain[fit[..., None], rule[..., None], np.concatenate([unit, unit + n], axis=2)] = -1.0
    return gain
