"""What an explanation costs beyond the model, by surrogate: 512 masks of 64 units, in seconds.

The model is a planted game that scores a text at once, so that nothing of it is in the figures; the log-probability
target needs no encoder. ``estimator s`` is the estimate (ten folds and a fit of all) and the chance level (twenty
fits) alone; ``explain s`` is the whole call, store in memory, also in seconds of the processor,
which other work on the machine does not lengthen. Aims: one second with ridge, five with boosting.

``sizes``: the estimate and the chance level with the default surrogate by units and calls, seconds of the processor.
Aims: 128 units at 256 calls under two, 250 units under six.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

import whygen
from benchmarks import record
from whygen import lab
from whygen.lab import SURROGATES, Game, Surrogate
from whygen.types import Limits, Output, Request, TokenScore

UNITS, MASKS, ROUNDS = 64, 512, 3
FAMILIES = ("additive", "saturating")
SIZES = ((28, 256), (128, 256), (250, 256))
SEED = 5


class Scored:
    """A game as a model: the log-probability it gives to any text is the value of the words it was sent."""

    uri = "py/benchmarks:game"
    limits = Limits(max_batch=1024)

    def __init__(self, game: Game) -> None:
        self.game = game
        self.words = [f"w{index}" for index in range(game.n)]

    def answer(self, requests: Sequence[Request]) -> list[Output]:
        return [Output(text="an answer") for _ in requests]

    def score(self, requests: Sequence[Request]) -> list[Output]:
        kept = [set(str(request.prompt).split()) for request in requests]
        masks = np.array([[word in words for word in self.words] for words in kept])
        values = self.game.values(masks) - 100.0
        return [
            Output(text=str(request.continuation), scores=(TokenScore(0, 9, float(value)),))
            for request, value in zip(requests, values, strict=True)
        ]


def estimators_alone(game: Game, surrogate: Surrogate, rng: np.random.Generator, *, masks: int = MASKS) -> None:
    design = lab.draw(game.n, masks, rng)
    observed = lab.effects_of(design.masks, game.values(design.masks), groups=design.groups)
    lab.estimate(observed, rng, surrogate=surrogate)
    lab.chance_level(observed, surrogate, rng)


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Median over rounds by the clock and of the processor; the first call, which pays for imports, is not counted."""
    work()
    taken: list[tuple[float, float]] = []
    for _ in range(ROUNDS):
        clock, processor = time.perf_counter(), time.process_time()
        work()
        taken.append((time.perf_counter() - clock, time.process_time() - processor))
    median = np.median(taken, axis=0)
    return float(median[0]), float(median[1])


def row(family: str, name: str) -> dict[str, object]:
    rng = np.random.default_rng(SEED)
    game = Game(UNITS, family, rng)
    model = Scored(game)
    prompt = " ".join(model.words)
    alone, _ = seconds(lambda: estimators_alone(game, SURROGATES[name], rng))
    whole, processor = seconds(
        lambda: whygen.explain_prompt(model, prompt, surrogate=name, budget=MASKS + 4, target="logprob", cache=None)
    )
    return {
        "family": family, "surrogate": name, "estimator s": alone, "explain s": whole, "explain processor s": processor,
    }  # fmt: skip


def size(family: str, units: int, masks: int) -> dict[str, object]:
    rng = np.random.default_rng(SEED)
    game = Game(units, family, rng)
    _, processor = seconds(lambda: estimators_alone(game, SURROGATES["adaptive"], rng, masks=masks))
    return {"family": family, "units": units, "calls": masks, "processor s": processor}


def main(data: Path | None = None) -> None:
    del data
    rows = [row(family, name) for family in FAMILIES for name in SURROGATES]
    sizes = [size(family, *each) for family in ("saturating", "conjunctions") for each in SIZES]
    print(f"{record.table(rows)}\n\n{record.table(sizes)}")
    record.write("estimator_overhead", {"units": UNITS, "masks": MASKS, "rows": rows, "sizes": sizes}, seed=SEED)


if __name__ == "__main__":
    main()
