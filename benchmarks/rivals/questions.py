"""What is asked: prompts with a black box behind them, and what is known of the truth."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import whygen
from benchmarks.rivals.protocol import Bools, Floats, Found, mask_of, words
from whygen import lab
from whygen.lab import FAMILIES, Game
from whygen.results.prompt import PromptExplanation

SEED = 91
TESTED = {"planted games": 512, "storyteller": 192}
"""Fresh masks that predictions are judged on."""

UNITS = (10, 24, 60)


@dataclass(slots=True)
class Question:
    """One prompt.

    Attributes:
        part: the family of models it belongs to.
        name: of the question.
        n: number of units.
        values: effects of masks, remembered: it is the box that counts calls, not this.
        new: fresh masks ``(k, n)``, each unit kept with chance one half.
        explain: what `explain_prompt` finds of it, given the estimand, the calls in all and a seed.
        shapley: Shapley values, where they are known.
        relevant: which units matter, shape ``(n,)``, where that is known.
        signed: relevant units have positive attributions; otherwise their size is what counts.
    """

    part: str
    name: str
    n: int
    values: Callable[[Bools], Floats]
    new: Bools
    explain: Callable[[str, int, int], PromptExplanation]
    shapley: Floats | None = None
    relevant: Bools | None = None
    signed: bool = False
    truth: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.truth = self.values(self.new)


def planted(games: int, units: tuple[int, ...] = UNITS) -> Iterator[Question]:
    """Games of every family and size; their closed forms are the truth."""
    for n in units:
        for family in FAMILIES:
            for number in range(games):
                game = Game(n, family, np.random.default_rng((SEED, n, number)))
                new = np.random.default_rng((SEED, n, number, 1)).random((TESTED["planted games"], n)) < 0.5
                relevant = ~np.isin(np.arange(n), game.dummies)
                yield Question(
                    "planted games", f"{family}, {n} units, game {number}", n, game.values, new, _told(game),
                    shapley=game.shapley(), relevant=relevant,
                )  # fmt: skip


def _told(game: Game) -> Callable[[str, int, int], PromptExplanation]:
    """`explain_prompt` on a model that reads which words are left and says what they are worth."""

    def model(prompt: str) -> str:
        return repr(float(game.values(mask_of(prompt, game.n)[None])[0]))

    def explain(estimand: str, calls: int, seed: int) -> PromptExplanation:
        return whygen.explain_prompt(
            model, " ".join(words(game.n)), target=float, estimand=estimand, budget=calls, seed=seed, cache=None
        )

    return explain


def storyteller(prompts: int, target: str) -> Iterator[Question]:
    """Labelled prompts of the storyteller; what was once answered is remembered for all who ask."""
    from training.storyteller.labelled import labelled_prompts

    from whygen.models import load_model
    from whygen.prompt.as_game import as_game
    from whygen.types import Settings

    model, settings = load_model("demo/storyteller"), Settings(max_tokens=120)
    for number, item in enumerate(labelled_prompts(prompts, np.random.default_rng(SEED))):
        with tempfile.TemporaryDirectory() as folder:
            store, n = Path(folder) / "calls.sqlite", len(item.labels)

            def explain(
                estimand: str, calls: int, seed: int, text: str = item.text, store: Path = store
            ) -> PromptExplanation:
                return whygen.explain_prompt(
                    model, text, target=target, estimand=estimand, budget=calls, seed=seed, cache=store,
                    settings=settings,
                )  # fmt: skip

            with as_game(model, item.text, target=target, cache=store, settings=settings) as game:
                new = np.random.default_rng((SEED, number, 1)).random((TESTED["storyteller"], n)) < 0.5
                yield Question(
                    f"storyteller, {target}", f"prompt {number}, {n} units", n, game.value_function, new, explain,
                    relevant=np.array(item.labels), signed=True,
                )  # fmt: skip


def ours(question: Question, estimand: str, calls: int, seed: int) -> tuple[Found, int]:
    """What `explain_prompt` finds with its defaults, and the calls that it says it asked for.

    Its predictions are those of the surrogate that the explanation names, fitted to the masks that it asked for.
    """
    explanation = question.explain(estimand, calls, seed)
    return read(explanation, question.new, predicts=estimand == "banzhaf"), explanation.calls.asked


def read(explanation: PromptExplanation, new: Bools, *, predicts: bool) -> Found:
    """What an explanation found; its surrogate's predictions of new masks, if it predicts."""
    seen = explanation.evidence
    assert seen is not None
    observed = lab.effects_of(seen.masks, seen.effects, groups=seen.groups)
    predictions = None
    if predicts:
        predictions = lab.SURROGATES[explanation.surrogate or "pairs"].fit(observed).predict(new)
    return Found(np.array([unit.attribution for unit in explanation.units]), predictions)
