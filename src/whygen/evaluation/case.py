"""One evaluation, and the model that it asks: through one store, under one budget, as the explanation asked it.

The recipe says how the explanation was made; what was a Python object must be given again. What is opened is compared
with the record before it is believed: the prompts that the operator renders, what the target reads in the recorded
answers, and the model's answer to the whole prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whygen.calls import Progress, Runner, RunOptions, Store, make_runner
from whygen.encoders import AnyEncoder, careful
from whygen.errors import BudgetError, UsageError, WhygenError
from whygen.evaluation.rebuilt import Rebuilt, Shuffled, rebuild
from whygen.evaluation.result import LeftOut, Measure, UnitSpread
from whygen.models import Model, ModelOptions, Randomises, load_model
from whygen.prompt.ask import ask
from whygen.prompt.asker import Asker
from whygen.prompt.assemble import explained
from whygen.prompt.each import Together
from whygen.prompt.edits import EditUnits, RegionUnits
from whygen.prompt.estimands import load_estimand
from whygen.prompt.findings import find
from whygen.prompt.operators import Tools
from whygen.prompt.options import PromptOptions
from whygen.prompt.question import Question, check, encoder_of_texts, prepare_units
from whygen.prompt.recipe import model_options, needed, options_of
from whygen.prompt.saved import OVERHEAD, lacks_images, outputs, recorded, references, settings_of, units_of
from whygen.prompt.units import Units, shown, split
from whygen.results.prompt import Calls, PromptExplanation
from whygen.results.recipe import Recipe
from whygen.types import Floats, Masks, Output, Settings

MOST_READ = 32
"""Recorded answers that are read again, to see that they are read as they were."""

DRAWS = 3
"""Answers to each further prompt where the model's repeats differ."""


@dataclass
class Lab:
    """The model, opened when it is first needed.

    Attributes:
        explanation: what is judged.
        store: where answers are looked up and recorded.
        budget: answers that may be asked for in all; 0 for none.
        model: a URI, a callable or a model object; None: the URI that the explanation names.
        encoder: as in `explain_prompt`.
        choices: what was given besides: options that `evaluate` reads (see `PromptOptions`).
        options: how the model is opened.
        progress: where to report progress.
        run: bounds of all that is asked together.
        metric: what is measured now; messages name it.
    """

    explanation: PromptExplanation
    store: Store
    budget: int
    model: object | None = None
    encoder: AnyEncoder = "auto"
    choices: Mapping[str, Any] = field(default_factory=dict[str, Any])
    options: ModelOptions | None = None
    progress: Progress | None = None
    run: RunOptions | None = None
    metric: str = "evaluate"
    _box: Model | None = None
    _runners: list[Runner] = field(default_factory=list[Runner])
    _opened: Asker | None = None

    @cached_property
    def _bounds(self) -> Together:
        return Together(self.run or RunOptions())

    @cached_property
    def recipe(self) -> Recipe:
        """What the explanation was made with."""
        return recorded(self.explanation)

    @property
    def calls(self) -> Calls:
        """What was asked so far, of every model."""
        tallies = [runner.tally for runner in self._runners]
        return Calls(
            asked=sum(tally.asked for tally in tallies),
            made=sum(tally.made for tally in tallies),
            cached=sum(tally.cached for tally in tallies),
            failed=sum(tally.failed for tally in tallies),
        )

    @property
    def left(self) -> int:
        """Answers that may still be asked for."""
        return self.budget - self.calls.asked

    @property
    def draws(self) -> int:
        """Answers to each further prompt: several where the model's repeats differ."""
        return DRAWS if self.explanation.noise.differs else 1

    def require(self, calls: int, metric: str) -> None:
        """Refuse what the budget does not allow, before anything is asked.

        Raises:
            BudgetError: naming the smallest budget that works.
        """
        if calls > self.left:
            smallest = self.calls.asked + calls
            raise BudgetError(
                f"{metric} asks the model for up to {calls} answers, and budget={self.budget} leaves {self.left}. Give "
                f"a budget of at least {smallest}; answers that are recorded cost nothing.",
                smallest=smallest,
            )

    def known(self) -> dict[bytes, float]:
        """Effects that were recorded, by mask: of a model whose repeats agree they are what it would say again."""
        explanation = self.explanation
        evidence = explanation.evidence
        if evidence is None or explanation.noise.differs or explanation.target.unit.startswith("min-max"):
            return {}
        pairs = zip(evidence.masks, evidence.effects.tolist(), strict=True)
        return {np.ascontiguousarray(mask).tobytes(): effect for mask, effect in pairs}

    def effects(self, masks: Masks) -> Floats:
        """Effects of masks ``(m, n)`` that are asked now, in the target's unit, shape ``(m, draws)``.

        Raises:
            UsageError: if the explanation's prompts or effects cannot be made again; the message says what to give.
            EndedError: if a bound or the server ended the run; a figure of the answers there are would be another.
            KeyboardInterrupt: if a person did.
        """
        asker = self._asker()
        found = asker.effects(masks, draws=self.draws)
        if asker.ended is not None:
            raise asker.ended
        return found

    @property
    def overhead(self) -> int:
        """Answers before any further mask: references and repeats, and one that shows how regions were painted over.

        Raises:
            UsageError: if what was sent cannot be made again from the record.
        """
        check_kept(self.explanation, self.metric)
        evidence = self.explanation.evidence
        drawn = None if evidence is None else evidence.pictures
        regions = drawn is not None and drawn.regions is not None
        return OVERHEAD + self.explanation.reference.n - 1 + regions * self.draws

    def whole_effect(self) -> float:
        """f(1) as asked now."""
        return self._asker().effect

    def explain(
        self, *, seed: int, units: Units | None = None, model: object | None = None, **changes: Any
    ) -> PromptExplanation:
        """Explain again as it was explained, with the changes.

        Args:
            seed: of the masks, and of sampling where the model samples.
            units: another prompt, cut into units.
            model: another model.
            **changes: of the options.

        Raises:
            EndedError: if a bound or the server ended the run.
            KeyboardInterrupt: if a person did.
        """
        chosen = self._choices(other_units=units is not None, **changes)
        box = self.opened_model() if model is None else load_model(model, self.options or ModelOptions())
        cut = self.units() if units is None else units
        question = prepare_units(cut, chosen, model=box, encoder=self._encoder, seed=seed)
        asker = self._ask_by(question, box, seed=seed)
        found = find(ask(asker, question), question.plan, asker.meter, question.seed)
        again = explained(found, asker)
        if asker.ended is not None:
            raise asker.ended
        return again

    def ask_calls(self) -> int:
        """Answers that explaining again asks for at most; fewer where masks were drawn that need none.

        Raises:
            UsageError: if what was sent cannot be made again from the record.
        """
        check_kept(self.explanation, self.metric)
        asked = max(self.explanation.calls.asked, OVERHEAD + 1)
        exact = self.explanation.masks == "enumerated" or not load_estimand(self.explanation.estimand).samples
        return asked if exact and self.explanation.ended is None else max(asked, self.recipe.budget)

    def randomised(self, seed: int) -> Model:
        """A copy of the model that learned nothing.

        Raises:
            UsageError: if the model is not one that runs here and can be copied.
        """
        box = self.opened_model()
        if not isinstance(box, Randomises):
            raise UsageError(
                f"randomised='copy' deals out the weights of {box.uri!r} anew, and this model shows none: only hf/ "
                "models do. Give a model of the same kind with random weights, or leave it out: answers are shuffled "
                "anyway."
            )
        return box.randomised(seed)

    def tools(self, seed: int) -> Tools:
        """What an operator may use to get ready."""
        box = self.opened_model()
        encoder = encoder_of_texts(self._encoder, box)
        return Tools(
            model=box, encoder=encoder, store=self.store, options=self.options, progress=self.progress, seed=seed
        )

    def _asker(self) -> Asker:
        """The explanation's own question, with its own reference."""
        if self._opened is None:
            box, seed = self.opened_model(), self.explanation.seed
            question = prepare_units(self.units(), self._choices(), model=box, encoder=self._encoder, seed=seed)
            asker = self._ask_by(question, box, seed=None)
            self._check_prompts(asker)
            if self.explanation.call is not None and self.explanation.call.recorded:
                asker.recorded = references(self.explanation.evidence)[0]
            asker.whole(self.explanation.reference.n)
            self._check_reference(asker)
            self._check_regions(asker)
            self._opened = asker
        return self._opened

    def _ask_by(self, question: Question, box: Model, *, seed: int | None) -> Asker:
        budget = max(self.left, 0)
        runner = make_runner(box, self.store, budget=budget, progress=self.progress, options=self._bounds.run())
        self._runners.append(runner)
        operator = question.operator.prepare(question.units, self.tools(self.explanation.seed))
        asker = Asker(runner, box, question.units, operator, question.target, self._settings(seed))
        asker.check_target()
        return asker

    def opened_model(self) -> Model:
        """The model that was explained.

        Raises:
            UsageError: if it cannot be opened again.
        """
        if self._box is None:
            given = self.explanation.model if self.model is None else self.model
            how = model_options(self.recipe, self.options) if self.model is None else self.options or ModelOptions()
            try:
                self._box = load_model(given, how)
            except WhygenError as error:
                if self.model is not None:
                    raise
                raise UsageError(
                    f"The model that was explained, {given!r}, cannot be opened again: {error} Give it with model=."
                ) from None
        return self._box

    def units(self) -> Units:
        """The prompt as it was cut, put together again from the record.

        Raises:
            UsageError: if what was sent was not kept.
        """
        check_kept(self.explanation, self.metric)
        return units_of(self.explanation, fill=self._fill)

    @property
    def _fill(self) -> str:
        return self.choices.get("fill", self.recipe.fill)

    @property
    def _encoder(self) -> AnyEncoder:
        if self.encoder == "auto" and "encoder" in self.recipe.again:
            raise needed(self.explanation, "encoder")
        return self.recipe.encoder if self.encoder == "auto" else careful(self.encoder)

    def reworded(self, text: str) -> Units:
        """The prompt in other words, cut as it was cut.

        Raises:
            UsageError: where it is neither a text nor an instruction to an editor.
        """
        units = self.units()
        if type(units) is not Units and not isinstance(units, EditUnits):
            raise UsageError(
                "paraphrases= says a plain text or an instruction in other words, and the explanation is of a chat, a "
                "template or regions of a picture. Give lexicon= or paraphraser=."
            )
        kind = self.recipe.units
        cut = split(text, kind if isinstance(kind, str) and kind in REWORDED else "word")
        return replace(units, text=cut.text, pieces=cut.pieces)

    def _settings(self, seed: int | None) -> Settings:
        settings = settings_of(self.explanation)
        return settings if seed is None else replace(settings, seed=seed)

    def _choices(self, *, other_units: bool = False, **changes: Any) -> PromptOptions:
        """The options of then, with what was given and what changes; only attributions are asked for again."""
        given = {"budget": self.ask_calls(), "sets": None, "suspect": None, "matrix": "none", **self.choices, **changes}
        chosen = options_of(self.explanation, self.recipe, given, other_units=other_units)
        check(self.explanation.prompt, chosen)
        return chosen

    def _check_prompts(self, asker: Asker) -> None:
        """Refuse where the operator renders other prompts than were sent."""
        evidence = self.explanation.evidence
        for sample in () if evidence is None else evidence.samples:
            if sample.kind != "mask" or sample.mask is None or evidence is None:
                continue
            again = shown(asker.operator.render(asker.units, evidence.masks[sample.mask]))
            if again != sample.prompt:
                raise UsageError(
                    f"operator={self.explanation.operator!r} now makes other prompts than the recorded ones: {again!r} "
                    f"instead of {sample.prompt!r}. Give it the settings of then: placeholder=, lexicon=, infill=, "
                    "paraphraser= or an operator of your own."
                )

    def _check_reference(self, asker: Asker) -> None:
        """Compare with the recorded reference; refused where a model that repeated itself gives another one."""
        explanation = self.explanation
        before = references(explanation.evidence) or (Output(text=explanation.reference.text),)
        now, then = asker.references[0], before[0]
        if not explanation.noise.differs and (now.text, now.medium) != (then.text, then.medium):
            what = f" ({now.text!r}, then {then.text!r})" if now.text != then.text else ""
            raise UsageError(
                f"{asker.model.uri} now answers the whole prompt otherwise than when it was explained{what}: it is "
                "another model, or has changed. Explain it again, or give the right one: model=."
            )
        if asker.target.verb != "score":
            self._check_reading(asker, before)
            asker.compare_with(before)

    def _check_regions(self, asker: Asker) -> None:
        """Refuse where a region that was taken away leaves another picture than it did; one mask is asked again."""
        evidence = self.explanation.evidence
        if not isinstance(asker.units, RegionUnits) or evidence is None or self.explanation.noise.differs:
            return
        rows = np.flatnonzero(~evidence.masks.all(axis=1))[:1]
        again = asker.effects(evidence.masks[rows], draws=self.draws)[:, 0]
        if np.abs(again - evidence.effects[rows]).max(initial=0.0) > _rounding(evidence.effects):
            raise UsageError(
                f"fill={self._fill!r} leaves other pictures than were sent. Give what stood for a region that was "
                "taken away: fill='mean', 'blur' or a colour."
            )

    def _check_reading(self, asker: Asker, before: Sequence[Output]) -> None:
        """Refuse where the target reads the recorded answers otherwise than it did."""
        evidence = self.explanation.evidence
        samples = () if evidence is None else evidence.samples
        read = [(s.effect, out) for s, out in zip(samples, outputs(evidence), strict=True) if s.effect is not None]
        if not read or self.recipe.scale != "none":
            return
        then = np.array([effect for effect, _ in read[:MOST_READ]], dtype=np.float64)
        again = asker.target.effects([out for _, out in read[:MOST_READ]], before)
        if np.abs(again - then).max() > _rounding(then):
            raise UsageError(
                f"target={self.explanation.target.name!r} reads the recorded answers otherwise than when they were "
                "explained: another encoder is installed. Give the one that was used: encoder=."
            )


REWORDED = ("word", "whitespace", "sentence", "line", "paragraph")
"""Kinds of unit by which another text can be cut as the prompt was."""


def _rounding(effects: Floats) -> float:
    return 1e-4 * max(1.0, float(np.abs(effects).max(initial=0.0)))


def check_kept(explanation: PromptExplanation, metric: str) -> None:
    """Refuse what cannot be put together from the record.

    Raises:
        UsageError: naming the metric, and what was not kept.
    """
    what = None
    if explanation.inputs:
        what = "a template over many inputs, and what each input made of it was not kept"
    elif explanation.tree is not None:
        what = "a long prompt, part by part, and each level had other units"
    elif lacks_images(explanation):
        what = "a chat with images, which were not kept"
    if what is not None:
        raise UsageError(
            f"{metric} asks the model again, and the explanation is of {what}. The metrics that ask nothing still "
            "work: fidelity, accuracy, randomisation, cost."
        )


@dataclass(slots=True)
class Case:
    """One evaluation.

    Attributes:
        explanation: what is judged.
        lab: asks the model.
        seed: of everything random.
        labels: which units matter, shape ``(n,)``; None where nobody said.
        repeats: explanations by other seeds, and random orders, where metrics need them.
        paraphrases: the prompt in other words.
        others: further models, for consistency across them.
        randomised: a model that has learned nothing, of the same kind; None or ``copy``: a copy of the explained one.
        spreads: filled by ``consistency``: the spread of each unit.
        again: the explanation by other seeds, once it was asked for.
        left: what was not measured, and why.
        known: what the explanation was estimated from, once a figure asked for it.
        chance: the same of shuffled effects.
    """

    explanation: PromptExplanation
    lab: Lab
    seed: int
    labels: NDArray[np.bool_] | None
    repeats: int
    paraphrases: Sequence[str]
    others: Sequence[object]
    randomised: object | None
    spreads: list[UnitSpread] = field(default_factory=list[UnitSpread])
    again: list[PromptExplanation] = field(default_factory=list[PromptExplanation])
    left: list[LeftOut] = field(default_factory=list[LeftOut])
    known: Rebuilt | None = None
    chance: tuple[Shuffled, ...] = ()

    def rebuilt(self, metric: str) -> Rebuilt:
        """What the explanation was estimated from; see `rebuild`."""
        self.known = self.known or rebuild(self.explanation, metric)
        return self.known

    def shuffled(self, metric: str) -> tuple[Shuffled, ...]:
        """The same of shuffled effects, see `Rebuilt.shuffled`."""
        self.chance = self.chance or self.rebuilt(metric).shuffled(self.seed)
        return self.chance


@dataclass(frozen=True, slots=True)
class Metric:
    """A group of figures.

    Attributes:
        name: as it is asked for.
        calls: how many answers it asks the model for at most; cached ones count.
        measure: computes the figures.
    """

    name: str
    calls: Callable[[Case], int]
    measure: Callable[[Case], list[Measure]]


def percentiles(values: Floats) -> tuple[float | None, float | None]:
    """The 2.5th and 97.5th percentile of the finite ones; None where there are fewer than three."""
    finite = values[np.isfinite(values)]
    if len(finite) < 3:
        return None, None
    low, high = np.quantile(finite, [0.025, 0.975])
    return float(low), float(high)


def mean_of(values: Floats) -> float | None:
    """The mean of the finite ones; None where there is none."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else None
