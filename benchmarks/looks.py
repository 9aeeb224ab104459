"""How often the intervals that are shown while a run is under way miss the truth at any look.

    python -m benchmarks.looks

Planted games of 12 and 24 words: a few words count alone, some in pairs, and one trio; every other word is idle. The
true Banzhaf values are known. A unit is missed where any of a run's intervals (nine, in a run of 64 calls) leaves its
value out. With shares of the 5% (Bonferroni, as shown) and, for comparison, with 95% at each look.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

import whygen
from whygen.calls import Silent
from whygen.prompt import watching
from whygen.prompt.units import Units
from whygen.types import Output

RUNS, BUDGET, SEED = 30, 64, 18


class Game:
    """A function of which words are there, and its Banzhaf values."""

    def __init__(self, n: int, rng: np.random.Generator, noise: float) -> None:
        self.n, self.noise, self._rng = n, noise, rng
        self.alone = np.where(rng.random(n) < 0.3, rng.normal(size=n), 0.0)
        order = rng.permutation(n)
        self.sets = [(tuple(order[k : k + size]), float(rng.normal())) for k, size in ((0, 2), (2, 2), (4, 3))]

    @property
    def values(self) -> NDArray[np.float64]:
        found = self.alone.copy()
        for members, weight in self.sets:
            found[list(members)] += weight * 0.5 ** (len(members) - 1)
        return found

    def __call__(self, prompt: str) -> str:
        kept = np.zeros(self.n)
        kept[[int(word[1:]) for word in prompt.split()]] = 1.0
        value = float(self.alone @ kept) + sum(w * float(kept[list(m)].prod()) for m, w in self.sets)
        return repr(value + (self.noise * float(self._rng.normal()) if self.noise else 0.0))


class Kept(Silent):
    """Keeps the looks."""

    def __init__(self) -> None:
        self.looks: list[watching.Look] = []

    def began(self, units: Units, reference: Output, *, masks: int, looks: int) -> None:
        pass

    def look(self, look: watching.Look) -> None:
        self.looks.append(look)


def missed(n: int, noise: float, rng: np.random.Generator) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which words were missed at any look, and by the end."""
    game = Game(n, rng, noise)
    kept = Kept()
    found = whygen.explain_prompt(
        game, " ".join(f"w{i}" for i in range(n)), units="whitespace", target=float, budget=BUDGET, cache=None,
        seed=int(rng.integers(2**31)), progress=kept, interactions=0,
    )  # fmt: skip
    truth = game.values
    each = [
        (truth < look.interval.low - 1e-9) | (truth > look.interval.high + 1e-9)
        for look in kept.looks
        if look.interval is not None
    ]
    low, high = (np.array([getattr(unit, name) for unit in found.units], dtype=float) for name in ("low", "high"))
    return np.any(each, axis=0), (truth < low - 1e-9) | (truth > high + 1e-9)


def main() -> None:
    shared = watching.level_of_each
    print(f"{RUNS} runs of {BUDGET} calls a cell; share of words whose true value an interval left out")
    for n, noise in ((12, 0.0), (24, 0.5)):
        for name, level in (("5% shared", shared), ("95% each", lambda looks: 0.95)):
            watching.level_of_each = level
            rng = np.random.default_rng(SEED)
            both = [missed(n, noise, rng) for _ in range(RUNS)]
            any_look, end = (np.concatenate([each[k] for each in both]) for k in (0, 1))
            error = math.sqrt(any_look.mean() * (1 - any_look.mean()) / RUNS)  # words of one run share their masks
            at_any = f"{any_look.mean():6.1%} (+- {1.96 * error:.1%})"
            print(f"{n:>3} words, noise {noise:.1f}, {name}: at any look {at_any}, at the end {end.mean():6.1%}")
    watching.level_of_each = shared


if __name__ == "__main__":
    main()
