"""The two stages: choosing what to try on some inputs, and testing it on others, or on new draws. METHODS of trim.

The test bets that the mean loss is under the margin (`whygen.stats.betting`). Over inputs like these, each input of
the test counts once, and none of them chose. Over these inputs alone each round asks all of them again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from whygen.prompt.noise import ROUNDING
from whygen.prompt.trim.panel import Mask, Panel, Told
from whygen.prompt.trim.plan import MOST_TIMES, WEIGHTS, TrimPlan
from whygen.results.trimmed import TrimTest
from whygen.stats.betting import evidence_below, fewest, upper_bound
from whygen.stats.seeds import generator
from whygen.types import Floats

BROKEN: Final = 0.5
"""An input that loses half of what it can lose is broken: a prompt that breaks one that chooses is not tried."""
_AGAIN: Final = 4
"""Draws that must confirm it, where a model samples."""
_FIRST: Final = 6
"""Choosing inputs that are asked before the others: a prompt that is bad shows it at once."""
_MOST_ROUNDS: Final = 3
"""How often the choosing inputs are asked about one prompt while noise leaves it open."""
_SURE: Final = 2.0
"""Standard errors by which a prompt must miss the mark to be given up early."""
_STEP: Final = 8
"""Inputs between two looks of a test."""


@dataclass(slots=True)
class Stages:
    """Chooses and tests, within the calls that are left.

    Attributes:
        panel: who is asked.
        plan: how.
        seed: of everything random.
        order: attributions of the units over the choosing inputs; None until they are there.
        tests: what was tested.
        choosing: inputs that choose what to try.
        testing: inputs that test it.
        spread: variance of the losses of the last prompt that passed on the choosing inputs.
        lost: mean loss of each input of the last test.
        answered: answers of the last test, before and after, by input.
    """

    panel: Panel
    plan: TrimPlan
    seed: int
    order: Floats | None = None
    tests: list[TrimTest] = field(default_factory=list[TrimTest])
    choosing: list[int] = field(default_factory=list[int])
    testing: list[int] = field(default_factory=list[int])
    spread: float = 0.0
    lost: dict[int, float] = field(default_factory=dict[int, float])
    answered: dict[int, tuple[Told, Told]] = field(default_factory=dict[int, tuple[Told, Told]])
    _before: dict[tuple[int, int], Told] = field(default_factory=dict[tuple[int, int], Told])
    """Answers to the whole prompt, by round of the test and input."""
    _standing: dict[int, Told] = field(default_factory=dict[int, Told])
    """Answers to the whole prompt that choosing compares with."""

    @property
    def left(self) -> int:
        return self.plan.budget - self.panel.runner.tally.asked

    def choose(self) -> list[Mask]:
        """Prompts to be tested, the boldest first."""
        inputs = generator(self.seed, "trim", "inputs").permutation(len(self.panel.cut.each)).tolist()
        self.choosing = self.panel.begin(inputs[: self.plan.choosing])
        self.testing = list(self.choosing) if self.plan.over == "these" else inputs[self.plan.choosing :]
        self.order = self._attributions()
        self._standing = self._whole(self.choosing)
        chain = shortened(np.argsort(self.order, kind="stable").tolist(), self._passes)
        return candidates(chain, most=len(WEIGHTS))

    def verify(self, tried: Sequence[Mask]) -> Mask | None:
        """The first of these prompts that is shown not to be worse."""
        weights = np.array(WEIGHTS[: len(tried)])
        for mask, error in zip(tried, self.plan.error * weights / weights.sum(), strict=True):
            test = self._test(mask, float(error))
            self.tests.append(test)
            if test.passed:
                return mask
        return None

    def broken(self, mask: Mask) -> list[int]:
        """Inputs of the last test that lost half of what they can lose, in answers drawn again as well."""
        return self._confirmed(mask, [each for each, loss in self.lost.items() if loss >= BROKEN], keep=0)

    def _attributions(self) -> Floats:
        """Banzhaf values over the choosing inputs: each pair of masks is asked of one of them, in turn."""
        n, pairs = self.plan.units, self.plan.pairs
        if not pairs:
            return np.zeros(n)
        masks = generator(self.seed, "trim", "masks").random((pairs, n)) < 0.5
        owners = [self.choosing[pair % len(self.choosing)] for pair in range(pairs)]
        told = self.panel.told([(owner, m) for owner, mask in zip(owners, masks, strict=True) for m in (mask, ~mask)])
        spread = [each for owner in owners for each in (owner, owner)]
        return attributions(masks, self.panel.shares(spread, told).reshape(pairs, 2))

    def _whole(self, inputs: Sequence[int], *, times: int = 1) -> dict[int, Told]:
        told = self.panel.told([(each, self.panel.whole) for each in inputs], times=times)
        return dict(zip(inputs, told, strict=True))

    def _passes(self, mask: Mask) -> bool | None:
        """Whether a prompt loses less than half the margin on the choosing inputs and breaks none of them.

        A model that samples is asked again while its noise leaves that open.
        """
        aim, rounds = self.plan.margin / 2.0, 1 if self.panel.steady else _MOST_ROUNDS
        found: list[Floats] = []
        for number in range(rounds):
            losses = self._round(mask, aim, again=number > 0)
            if losses is None:
                return None
            if len(losses) < len(self.choosing):
                return False
            found.append(losses)
            each = np.mean(found, axis=0)
            mean, error = float(each.mean()), _error(each)
            if mean - _SURE * error > aim:
                return False
            if mean <= aim and mean + error <= self.plan.margin:
                break
        each = np.mean(found, axis=0)
        if float(each.mean()) > aim:
            return False
        flagged = [one for one, loss in zip(self.choosing, each, strict=True) if loss >= BROKEN]
        if self._confirmed(mask, flagged, keep=self.plan.test_calls):
            return False
        self.spread = float(found[0].var())
        return True

    def _round(self, mask: Mask, aim: float, *, again: bool) -> Floats | None:
        """Losses of the choosing inputs; of the first few alone, where these show enough; None without calls left."""
        found = np.zeros(0)
        for inputs in (self.choosing[:_FIRST], self.choosing[_FIRST:]):
            if not inputs:
                continue
            if self.left - self.plan.test_calls < len(inputs) * self.plan.draws * (2 if again else 1):
                return None
            before = self._whole(inputs) if again else self._standing
            after = self.panel.told([(each, mask) for each in inputs])
            losses = self.panel.losses(inputs, [before[each] for each in inputs], after)
            found = np.concatenate([found, losses])
            if self.panel.steady and (found >= BROKEN).any():
                return found[:-1]
            if len(found) < len(self.choosing) and float(found.mean()) - _SURE * _error(found) > aim:
                return found
        return found

    def _confirmed(self, mask: Mask, flagged: Sequence[int], *, keep: int) -> list[int]:
        """Those of these inputs that new draws show to be broken too; all of them where there is no call for it."""
        if self.panel.steady or not flagged or self.left - keep < 2 * _AGAIN * len(flagged) * self.plan.draws:
            return list(flagged)
        repeated = [each for each in flagged for _ in range(_AGAIN)]
        before = self.panel.told([(each, self.panel.whole) for each in repeated])
        losses = self.panel.losses(repeated, before, self.panel.told([(each, mask) for each in repeated]))
        means = losses.reshape(-1, _AGAIN).mean(axis=1)
        return [each for each, mean in zip(flagged, means, strict=True) if mean >= BROKEN]

    def _test(self, mask: Mask, error: float) -> TrimTest:
        """Ask until the evidence is there, or cannot come any more."""
        losses, counted, times = np.zeros(0), 0, self._times()
        why: Literal["shown", "worse", "inputs", "budget"] = "inputs"
        self.lost, self.answered = {}, {}
        each: dict[int, list[float]] = {}
        for number, inputs in self._looks(error):
            fresh = [one for one in inputs if (number, one) not in self._before]
            if self.left < self.plan.draws * times * (len(inputs) + len(fresh)) + len(fresh):
                why = "budget"
                break
            new = self._compared(mask, number, inputs, times=times)
            for one, loss in new.items():
                each.setdefault(one, []).append(loss)
            self.lost = {one: float(np.mean(found)) for one, found in each.items()}
            losses, counted = np.concatenate([losses, list(new.values())]), counted + len(inputs)
            if self._is_shown(losses, error):
                why = "shown"
                break
            if self._is_futile(losses, error, most=self.plan.testing * self.plan.rounds - counted):
                why = "worse"
                break
        exact = self.plan.over == "these" and self.panel.steady
        return TrimTest(
            dropped=tuple(np.flatnonzero(~mask).tolist()),
            error=error,
            comparisons=len(losses),
            loss=float(losses.mean()) if len(losses) else None,
            bound=float(losses.mean()) if exact and len(losses) else upper_bound(losses, error),
            passed=why == "shown",
            why=why,
        )

    def _times(self) -> int:
        """How many draws count together: as many as give inputs like these evidence enough, by the noise that was seen.

        A bet on n losses of variance s2 / times and mean 0 gains about n margin^2 times / (2 s2) in its logarithm, and
        a single odd answer may not cost a loss of 1.
        """
        if self.plan.over == "these" or self.spread == 0.0:
            return 1
        needed = 3.0 * math.log(1.0 / (self.plan.error * WEIGHTS[0]))
        fitting = needed * self.spread / (len(self.testing) * self.plan.margin**2)
        return min(
            MOST_TIMES, 1 + math.ceil(fitting), max(1, self.left // (2 * len(self.testing) * self.plan.draws) - 1)
        )

    def _looks(self, error: float) -> Iterator[tuple[int, list[int]]]:
        """Which inputs are asked before each look, and in which round."""
        if self.plan.over == "these":
            yield from ((number, self.testing) for number in range(self.plan.rounds))
            return
        first = min(fewest(self.plan.margin, error), len(self.testing))
        yield 0, self.testing[:first]
        for start in range(first, len(self.testing), _STEP):
            yield 0, self.testing[start : start + _STEP]

    def _compared(self, mask: Mask, number: int, inputs: Sequence[int], *, times: int) -> dict[int, float]:
        """Losses of these inputs; those that the whole prompt does not answer are left out."""
        alive = self.panel.begin(inputs)
        fresh = [each for each in alive if (number, each) not in self._before]
        self._before |= {(number, each): told for each, told in self._whole(fresh, times=times).items()}
        before = [self._before[number, each] for each in alive]
        after = self.panel.told([(each, mask) for each in alive], times=times)
        self.answered |= dict(zip(alive, zip(before, after, strict=True), strict=True))
        return dict(zip(alive, self.panel.losses(alive, before, after).tolist(), strict=True))

    def _is_shown(self, losses: Floats, error: float) -> bool:
        if self.plan.over == "these" and self.panel.steady:
            return bool(losses.mean() < self.plan.margin - ROUNDING)
        return evidence_below(losses, self.plan.margin) >= 1.0 / error

    def _is_futile(self, losses: Floats, error: float, *, most: int) -> bool:
        """Whether not even a loss of 0 in all that is left would show it."""
        return not self._is_shown(np.concatenate([losses, np.zeros(most)]), error)


def _error(losses: Floats) -> float:
    """Standard error of a mean; 0 of a single one."""
    return float(losses.std(ddof=1)) / len(losses) ** 0.5 if len(losses) > 1 else 0.0


Passes = Callable[[Mask], bool | None]
"""Whether a prompt does as well as the whole one, as far as the choosing inputs say; None where no call is left."""


def shortened(order: Sequence[int], passes: Passes) -> list[Mask]:
    """The chain of prompts that passed, each a part of the one before; the first is the whole prompt.

    Units are tried from the weakest attribution on, a group at a time: a group that may not go is halved (group
    testing). What is tried is always the whole remaining prompt, so of two units that say the same one stays. No error
    rate is claimed.

    Args:
        order: all units, those that may go first.
        passes: tries a prompt.
    """
    chain = [np.ones(len(order), dtype=bool)]
    waiting = [list(order)]
    while waiting:
        group = waiting.pop(0)
        less = chain[-1].copy()
        less[group] = False
        passed = passes(less)
        if passed is None:
            break
        if passed:
            chain.append(less)
        elif len(group) > 1:
            half = len(group) // 2
            waiting[:0] = [group[:half], group[half:]]
    return chain


def attributions(masks: NDArray[np.bool_], effects: Floats) -> Floats:
    """Banzhaf values ``(n,)`` from complement pairs: ridge of half their differences on the signs. METHODS A2.

    Args:
        masks: the first of each pair, shape ``(pairs, n)``.
        effects: of both, shape ``(pairs, 2)``; pairs with NaN are left out. Each pair is of one input.
    """
    known = ~np.isnan(effects).any(axis=1)
    signs: Floats = 2.0 * masks[known].astype(np.float64) - 1.0
    differences: Floats = (effects[known, 0] - effects[known, 1]) / 2.0
    gram: Floats = signs.T @ signs + np.eye(masks.shape[1])
    return np.asarray(2.0 * np.linalg.solve(gram, signs.T @ differences), dtype=np.float64)


def candidates(chain: Sequence[Mask], *, most: int) -> list[Mask]:
    """What is put to the test, boldest first: the end of the chain, and prompts half and a quarter of the way to it."""
    steps = len(chain) - 1
    places = dict.fromkeys(steps // 2**k for k in range(most))
    return [chain[place] for place in places if place > 0]
