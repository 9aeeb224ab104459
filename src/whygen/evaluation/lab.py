"""Asks the model what an evaluation needs: through one store, under one budget, as the explanation asked it.

A saved explanation holds its units, settings and choices, but not the objects behind them. What is opened again is
therefore checked against the record before it is believed: the prompts that the operator renders, what the target
reads in the recorded answers, and the model's answer to the whole prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypedDict, cast

import numpy as np

from whygen.calls import Progress, Runner, RunOptions, Store, make_runner
from whygen.encoders import AnyEncoder
from whygen.errors import BudgetError, UsageError, WhygenError
from whygen.evaluation.reopened import check_kept, outputs, reopened
from whygen.models import Model, ModelOptions, Randomises, load_model
from whygen.prompt.asking import Asker, Whole
from whygen.prompt.designs import Design
from whygen.prompt.edits import EditUnits, RegionUnits
from whygen.prompt.kernels import Kernel
from whygen.prompt.operators import Operator, Tools
from whygen.prompt.operators.loading import BELONGS
from whygen.prompt.options import PRESETS, PromptOptions, choose
from whygen.prompt.prepare import Question, check, encoder_of_texts, prepare_units
from whygen.prompt.running import explained, make_run
from whygen.prompt.targets import TargetLike
from whygen.prompt.units import Units, shown, split
from whygen.results.prompt import Calls, PromptExplanation
from whygen.types import Floats, Masks, Output, Settings

NAMED = frozenset({"json", "label", "regex"})
"""Targets whose argument is in their name."""

SIMPLE = frozenset({"optimal-transport", "cosine", "tfidf", "token-set", "edit", "exact", "tool", "refusal"})
"""Targets that their name says wholly."""

OVERHEAD = 3
"""Calls before any mask: the reference and two repeats."""

MOST_READ = 32
"""Recorded answers that are read again, to see that they are read as they were."""

DRAWS = 3
"""Answers to each further prompt where the model's repeats differ."""


class Told(TypedDict, total=False):
    """What an explanation does not record and its prompts or effects may depend on; see `PromptOptions`."""

    target: TargetLike
    operator: Operator
    placeholder: str
    fill: str
    lexicon: Mapping[str, str] | Path | str
    infill: object
    paraphraser: object
    instruction: str
    noise: float
    kernel: str | Kernel
    draws: int
    references: int
    distribution: str
    empty: str
    irrelevant: str


@dataclass(slots=True)
class Lab:
    """The model, opened when it is first needed.

    Attributes:
        explanation: what is judged.
        store: where answers are looked up and recorded.
        budget: answers that may be asked for in all; 0 for none.
        model: a URI, a callable or a model object; None: the URI that the explanation names.
        encoder: as in `explain_prompt`.
        choices: what the record does not hold, see `Told`.
        options: how the model is opened.
        progress: where to report progress.
        run: bounds of the run.
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
    _opened: tuple[Asker, Whole] | None = None

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
        """
        return self._ask(*self._asker(), masks)

    def _ask(self, asker: Asker, whole: Whole, masks: Masks) -> Floats:
        groups = np.arange(len(masks), dtype=np.int64)
        design = Design(name="evaluation", masks=masks, groups=groups)
        prompts = asker.rendered(design)
        return asker.masks(prompts, asker.is_whole(design, prompts), whole, draws=self.draws, first_row=0)

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
        return self._asker()[1].effect

    def explain(
        self, *, seed: int, units: Units | None = None, model: object | None = None, **changes: Any
    ) -> PromptExplanation:
        """Explain again as it was explained, with the changes.

        Args:
            seed: of the masks, and of sampling where the model samples.
            units: another prompt, cut into units.
            model: another model.
            **changes: of the options.
        """
        chosen = self._choices(**changes)
        box = self.opened_model() if model is None else load_model(model, self.options or ModelOptions())
        cut = self.units() if units is None else units
        question = prepare_units(cut, chosen, model=box, encoder=self.encoder, seed=seed)
        asker = self._ask_by(question, box, seed=seed)
        return explained(make_run(question, asker))

    def ask_calls(self) -> int:
        """Answers that explaining again asks for at most; fewer where masks were drawn that need none.

        Raises:
            UsageError: if what was sent cannot be made again from the record.
        """
        check_kept(self.explanation, self.metric)
        evidence = self.explanation.evidence
        if evidence is None:
            return max(self.explanation.calls.asked, OVERHEAD + 1)
        redraws = sum(sample.kind == "redraw" for sample in evidence.samples)
        drawn = _draws(self.explanation) * _paid(self.explanation, evidence.masks)
        return max(self.explanation.calls.asked, OVERHEAD + self.explanation.reference.n - 1 + redraws + drawn)

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
        encoder = encoder_of_texts(self.encoder, box)
        return Tools(
            model=box, encoder=encoder, store=self.store, options=self.options, progress=self.progress, seed=seed
        )

    def _asker(self) -> tuple[Asker, Whole]:
        """The explanation's own question, with its own reference."""
        if self._opened is None:
            box, seed = self.opened_model(), self.explanation.seed
            question = prepare_units(self.units(), self._choices(), model=box, encoder=self.encoder, seed=seed)
            asker = self._ask_by(question, box, seed=None)
            self._check_prompts(asker)
            whole = asker.whole(self.explanation.reference.n)
            self._opened = asker, self._check_reference(asker, whole)
            self._check_regions(*self._opened)
        return self._opened

    def _ask_by(self, question: Question, box: Model, *, seed: int | None) -> Asker:
        runner = make_runner(box, self.store, budget=max(self.left, 0), progress=self.progress, options=self.run)
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
            try:
                self._box = load_model(given, self.options or ModelOptions())
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
        return reopened(self.explanation, fill=self._fill)

    @property
    def _fill(self) -> str:
        return self.choices.get("fill", PRESETS[None].fill)

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
        cut = split(text, self._kind())
        return replace(units, text=cut.text, pieces=cut.pieces)

    def _kind(self) -> Any:
        """The kind of units that cuts the prompt as it was cut; words where it was cut at spans of one's own."""
        wanted = [(unit.start, unit.end) for unit in self.explanation.units]
        for kind in ("word", "whitespace", "sentence", "line", "paragraph"):
            if list(split(self.explanation.prompt, kind).spans) == wanted:
                return kind
        return "word"

    def _settings(self, seed: int | None) -> Settings:
        kept = dict(self.explanation.settings)
        if not kept:
            raise UsageError(
                "The explanation does not say how the model generated (details.json): load its folder, not the JSON "
                "file alone."
            )
        stop = tuple(cast("list[str]", kept.pop("stop", [])))
        settings = Settings(stop=stop, **cast("dict[str, Any]", kept))
        return settings if seed is None else replace(settings, seed=seed)

    def _choices(self, **changes: Any) -> PromptOptions:
        explanation = self.explanation
        recorded: dict[str, Any] = {
            "budget": self.ask_calls(), "operator": explanation.operator, "estimand": explanation.estimand,
            "references": explanation.reference.n, "draws": _draws(explanation),
            "surrogate": "auto" if explanation.surrogate == "wls" else explanation.surrogate,
        }  # fmt: skip
        if "target" not in self.choices:
            recorded["target"] = _target(explanation)
        if explanation.estimand == "banzhaf":
            recorded["keep"] = explanation.keep
        if explanation.target.unit.startswith("min-max"):
            recorded["scale"] = "min-max"
        if " between sets of " in explanation.target.distance and "distribution" not in self.choices:
            raise UsageError(
                "The explanation compared sets of answers: give distribution= (energy, mmd, optimal-transport or "
                "sinkhorn), draws= and references= as it had them."
            )
        preset = explanation.preset if explanation.preset in PRESETS else None
        wanted: dict[str, Any] = {**recorded, **self.choices, **changes}
        strange = [name for name, ways in BELONGS.items() if wanted["operator"] not in ways]
        chosen = choose(preset, {name: value for name, value in wanted.items() if name not in strange})
        check(explanation.prompt, chosen)
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

    def _check_reference(self, asker: Asker, whole: Whole) -> Whole:
        """The recorded reference in place of the new one; refused where a model that repeated itself no longer does."""
        explanation = self.explanation
        references = tuple(outputs(explanation.evidence, "reference")) or (Output(text=explanation.reference.text),)
        now, then = whole.references[0], references[0]
        if not explanation.noise.differs and (now.text, now.medium) != (then.text, then.medium):
            what = f" ({now.text!r}, then {then.text!r})" if now.text != then.text else ""
            raise UsageError(
                f"{asker.model.uri} now answers the whole prompt otherwise than when it was explained{what}: it is "
                "another model, or has changed. Explain it again, or give the right one: model=."
            )
        if asker.target.verb == "score":
            return whole
        self._check_reading(asker, references)
        return replace(whole, references=references, repeats=asker.target.effects(whole.fresh, references))

    def _check_regions(self, asker: Asker, whole: Whole) -> None:
        """Refuse where a region that was taken away leaves another picture than it did; one mask is asked again."""
        evidence = self.explanation.evidence
        if not isinstance(asker.units, RegionUnits) or evidence is None or self.explanation.noise.differs:
            return
        rows = np.flatnonzero(~evidence.masks.all(axis=1))[:1]
        again = self._ask(asker, whole, evidence.masks[rows])[:, 0]
        if np.abs(again - evidence.effects[rows]).max(initial=0.0) > _rounding(evidence.effects):
            raise UsageError(
                f"fill={self._fill!r} leaves other pictures than were sent. Give what stood for a region that was "
                "taken away: fill='mean', 'blur' or a colour."
            )

    def _check_reading(self, asker: Asker, references: Sequence[Output]) -> None:
        """Refuse where the target reads the recorded answers otherwise than it did."""
        evidence = self.explanation.evidence
        samples = [s for s in (() if evidence is None else evidence.samples) if s.effect is not None][:MOST_READ]
        if not samples or self.explanation.target.unit.startswith("min-max"):
            return
        again = asker.target.effects(outputs(evidence, "measured")[:MOST_READ], references)
        then = np.array([s.effect for s in samples], dtype=np.float64)
        if np.abs(again - then).max() > _rounding(then):
            raise UsageError(
                f"target={self.explanation.target.name!r} reads the recorded answers otherwise than when they were "
                "explained: another encoder is installed. Give the one that was used: encoder=."
            )


def _paid(explanation: PromptExplanation, masks: Masks) -> int:
    """How many masks a budget must pay for to draw these; see `whygen.prompt.designs.bernoulli`."""
    if explanation.noise.differs or "antithetic" not in explanation.design:
        return len(masks)
    distinct = len(np.unique(masks[~masks.all(axis=1)], axis=0))
    return max(distinct, -(-len(masks) // 4))


def _draws(explanation: PromptExplanation) -> int:
    """Answers that were drawn for each mask."""
    evidence = explanation.evidence
    samples = () if evidence is None else evidence.samples
    rows = [sample.mask for sample in samples if sample.kind == "mask" and sample.mask is not None]
    return max((rows.count(row) for row in set(rows)), default=1)


def _rounding(effects: Floats) -> float:
    return 1e-4 * max(1.0, float(np.abs(effects).max(initial=0.0)))


def _target(explanation: PromptExplanation) -> str:
    target, evidence = explanation.target, explanation.evidence
    drawn = evidence is not None and (evidence.pictures is not None or evidence.media is not None)
    if drawn and ":" not in target.name:
        return target.name
    if target.name in SIMPLE or target.distance == "log-probability of the reference":
        return target.name
    if target.name.partition(":")[0] in NAMED and ":" in target.name:
        return target.name
    raise UsageError(
        f"The explanation's target, {target.distance!r}, had an argument or was one of your own: give it again with "
        "target=, such as target='logprob:snow'."
    )
