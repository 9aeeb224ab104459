"""Asking the model of a saved explanation again: the same prompt, units and target, through the recorded answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from whygen.encoders import AnyEncoder
from whygen.errors import BudgetError, DataError, UsageError
from whygen.models import Model, ModelOptions, load_model
from whygen.prompt.asking import REPEATS, Asker
from whygen.prompt.designs import Design
from whygen.prompt.explain import explain_prompt
from whygen.prompt.operators import Tools
from whygen.prompt.options import choose
from whygen.prompt.prepare import encoder_of_texts, prepare
from whygen.results.prompt import PromptExplanation
from whygen.runs import Progress, RunOptions, make_runner, open_store
from whygen.types import Masks, Settings, Source

_NAMED = {"optimal-transport", "cosine", "tfidf", "token-set", "edit", "exact", "tool", "refusal"}
"""Targets whose name says all there is to know of them."""


@dataclass(slots=True)
class Again:
    """The same question put to a model again.

    Attributes:
        explanation: what is evaluated.
        model: the black box: a URI, a callable or a model object.
        prompt: what was explained.
        choices: options of `explain_prompt` that the explanation does not say by itself.
        encoder: as in `explain_prompt`.
        cache: file of recorded answers; None keeps them in memory.
        budget: calls left to the evaluation.
        asked: calls asked for so far; the budget counts these.
        made: calls that the store did not answer.
    """

    explanation: PromptExplanation
    model: object
    prompt: Source
    choices: Mapping[str, Any]
    encoder: AnyEncoder = "auto"
    settings: Settings | None = None
    cache: Path | str | None = None
    options: ModelOptions | None = None
    progress: Progress | None = None
    run: RunOptions | None = None
    budget: int = 512
    asked: int = 0
    made: int = 0
    _opened: Model | None = field(default=None, init=False)

    def box(self) -> Model:
        """The model, opened once."""
        if self._opened is None:
            self._opened = load_model(self.model, self.options or ModelOptions())
        return self._opened

    def afford(self, calls: int, what: str) -> None:
        """Refuse what the budget has no calls for, before any is made.

        Raises:
            BudgetError: naming the smallest budget that does.
        """
        if self.asked + calls > self.budget:
            need = self.asked + calls
            raise BudgetError(
                f"{what} asks for {calls} calls, and {self.budget - self.asked} of max_calls={self.budget} are left. "
                f"Use max_calls={need}; recorded answers cost nothing but count.",
                smallest=need,
            )

    @property
    def each(self) -> int:
        """Calls of one further explanation: as many as the first one asked for."""
        return self.explanation.calls.asked

    def explain(
        self, what: str, *, prompt: Source | None = None, model: object = None, **changes: Any
    ) -> PromptExplanation:
        """The explanation again, with changes; as many calls as the first one asked for.

        Raises:
            BudgetError: if the evaluation's budget has no room for it.
        """
        self.afford(self.each, what)
        chosen = {**self._choices(), **changes}
        found = explain_prompt(
            self.box() if model is None else model,
            self.prompt if prompt is None else prompt,
            seed=chosen.pop("seed", self.explanation.seed),
            encoder=self.encoder,
            settings=self._settings(),
            cache=self.cache,
            options=self.options,
            progress=self.progress,
            run=self.run,
            **chosen,
        )
        self.asked += found.calls.asked
        self.made += found.calls.made
        return found

    def effects(self, masks: Masks, what: str, *, draws: int = 1) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Effects of masks ``(m, n)``, shape ``(m, draws)``, and of the whole prompt, shape ``(repeats,)``.

        Raises:
            BudgetError: if the evaluation's budget has no room for them.
            DataError: if one of them was not answered.
        """
        calls = 1 + REPEATS + draws * len(masks)
        self.afford(calls, what)
        design = Design(name="evaluation", masks=masks, groups=np.arange(len(masks)), keep=self.explanation.keep)
        own = {"budget": calls, "draws": draws, "design": design, "estimand": "banzhaf", "surrogate": "ridge"}
        chosen = replace(choose(None, self._choices()), tolerance=None, sets=None, references=1, **own)
        box = self.box()
        question = prepare(self.prompt, chosen, model=box, encoder=self.encoder, seed=self.explanation.seed)
        with open_store(self.cache) as store:
            runner = make_runner(box, store, budget=calls, progress=self.progress, options=self.run)
            tools = Tools(
                model=box, encoder=encoder_of_texts(self.encoder, box), store=store, options=self.options,
                progress=self.progress, seed=self.explanation.seed,
            )  # fmt: skip
            operator = question.operator.prepare(question.units, tools)
            asker = Asker(runner, box, question.units, operator, question.target, self._settings())
            whole = asker.whole(1)
            prompts = asker.rendered(design)
            values = asker.masks(prompts, asker.is_whole(design, prompts), whole, draws=draws)
            self.asked += runner.tally.asked
            self.made += runner.tally.made
        if np.isnan(values).any():
            raise DataError(f"{what}: {int(np.isnan(values).any(axis=1).sum())} of {len(masks)} masks got no answer.")
        return values, whole.repeats

    def _settings(self) -> Settings:
        """How the model generated: what was given, else what the explanation says."""
        if self.settings is not None:
            return self.settings
        return _settings_of(self.explanation)

    def _choices(self) -> dict[str, Any]:
        """The options of the explanation, as far as it says them, with what the caller said besides."""
        said, explained = dict(self.choices), self.explanation
        if "target" not in said:
            said["target"] = self._target()
        if "units" not in said:
            said["units"] = [(unit.start, unit.end) for unit in explained.units]
        known = {"operator": explained.operator, "estimand": explained.estimand, "keep": explained.keep}
        surrogate = explained.surrogate if explained.estimand != "local" and explained.surrogate else "auto"
        budget = max(explained.calls.asked, 1)
        return {"surrogate": surrogate, "budget": budget, **known, **said}

    def _target(self) -> str:
        name = self.explanation.target.name
        whole = name == "logprob" and self.explanation.target.distance == "log-probability of the reference"
        if name in _NAMED or whole or name.startswith(("json:", "label:")):
            return name
        raise UsageError(
            f"The explanation's target is {name!r} ({self.explanation.target.distance}), and its file does not say all "
            "of it. Give it again: target=..., as explain_prompt was given it."
        )


def _settings_of(explanation: PromptExplanation) -> Settings:
    kept = explanation.settings
    names = {name for name in Settings.__dataclass_fields__ if name in kept}
    values = {name: cast("Any", kept[name]) for name in names}
    if "stop" in values:
        values["stop"] = tuple(values["stop"])
    return Settings(**cast("Any", {"seed": explanation.seed, **values}))


def prompt_of(explanation: PromptExplanation, given: Source | None) -> Source:
    """The prompt to ask about: what was given, else the explanation's own text.

    Raises:
        UsageError: if the explanation is one of a chat, a template or a picture, whose parts its text alone does not
            tell.
    """
    if given is not None:
        return given
    evidence = explanation.evidence
    if explanation.sections or explanation.inputs or (evidence is not None and evidence.pictures is not None):
        raise UsageError(
            "The explanation is one of a chat, a template or a picture: give prompt=... as explain_prompt was given it."
        )
    return explanation.prompt
