"""Reading a saved explanation again: other targets, estimands and surrogates from its answers. No model is asked.

`answers_of` makes of a folder what `whygen.prompt.ask` makes of a model; from there on the line is the same: answers,
effects, findings, explanation. What would need other calls is refused, with the call that makes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from whygen.encoders import AnyEncoder, TextEncoder, careful
from whygen.errors import FormatError, UsageError
from whygen.prompt.answers import Answers, Draws, Exchange
from whygen.prompt.assemble import explained, without_calls
from whygen.prompt.designs import leave_one_out
from whygen.prompt.estimands import load_estimand
from whygen.prompt.findings import find
from whygen.prompt.intervals import Estimate
from whygen.prompt.operators.base import Delete, Substitute
from whygen.prompt.options import PromptOptions
from whygen.prompt.plan import Plan, check_choices
from whygen.prompt.proxy import ProxyAnswers, with_proxy
from whygen.prompt.question import check_target, plan_for
from whygen.prompt.reading import Meter
from whygen.prompt.reading import read as read_effects
from whygen.prompt.recipe import needed, opened_target, options_of
from whygen.prompt.relevance import check_choice
from whygen.prompt.saved import design_of, outputs, recorded, settings_of, units_of
from whygen.prompt.targets import Continues, ReadsReference, Target, TargetLike, Verb, load_target
from whygen.prompt.units import Units, shown
from whygen.prompt.warnings import CODES
from whygen.results.evidence import Evidence, Sample
from whygen.results.files import digest_of
from whygen.results.prompt import PromptExplanation, ReadFrom, TargetRecord, Warned
from whygen.results.recipe import Recipe, TargetRecipe
from whygen.types import Floats, Masks, Output, OutputKind, Sound

_ANSWER_MASKS = frozenset({"mask", "redraw", "repeat"})

FAILED = "failed-calls"
"""The warning that failures make: they are not kept, so it is carried over."""


def read(
    explanation: PromptExplanation,
    *,
    target: TargetLike | None = None,
    estimand: str | None = None,
    surrogate: str | None = None,
    irrelevant: str | None = None,
    matrix: str | None = None,
    encoder: AnyEncoder = "auto",
) -> PromptExplanation:
    """What the same answers say by another target, estimand or surrogate; see `PromptExplanation.read`.

    Raises:
        UsageError: if what it takes was not asked, or not kept; the message says what to run.
        DataError: if the target cannot be measured on what the model said.
        MissingError: if an encoder or a package is missing.
    """
    _check_kept(explanation)
    recipe, whole = recorded(explanation), answers_of(explanation)
    goal = _target(explanation, recipe, whole, target, encoder)
    # What cannot be read is refused before anything is fitted, each with the call that makes it.
    answers = _for_estimand(whole, recipe, estimand or recipe.estimand)
    options = _options(
        explanation, recipe, estimand=estimand, surrogate=surrogate, irrelevant=irrelevant, matrix=matrix
    )
    if isinstance(goal, _Measured):
        options = replace(options, matrix="none")
    check_choices(options)
    check_choice(options.irrelevant)
    check_target(goal, options, answers=answers.answers_with)
    by = recipe.encoder if isinstance(encoder, str) and encoder == "auto" else encoder
    options = replace(options, target=recipe.target.name if target is None else target)
    plan = _plan(explanation, recipe, options, goal, by)
    beside = _beside(explanation, answers_of_then=target is None and answers is whole)
    if beside is not None:
        plan = replace(plan, surrogate=with_proxy(plan.surrogate, beside.evidence))
    found = explained(find(answers, plan, Meter(goal, answers.references), explanation.seed, proxy=beside))
    return _told(explanation, recipe, without_calls(found), same=target is None and answers is whole)


def _beside(explanation: PromptExplanation, *, answers_of_then: bool) -> ProxyAnswers | None:
    """What a cheap model did, where the same masks are read by the same target as then."""
    told, evidence = explanation.proxy, cast("Evidence", explanation.evidence).proxy
    if not answers_of_then or told is None or evidence is None:
        return None
    return ProxyAnswers(told.model, told.calls, evidence)


def read_against(explanation: PromptExplanation, references: Sequence[Sequence[Output]], target: Target) -> Estimate:
    """The explanation's estimate, its effects measured against all of these references alike.

    Args:
        explanation: whose answers are read.
        references: sets of reference answers; each set weighs the same.
        target: reads them.

    Raises:
        UsageError: if the answers were not kept.
    """
    _check_kept(explanation)
    recipe, answers = recorded(explanation), answers_of(explanation)
    goal = _OnAverage(target, references)
    plan = _plan(explanation, recipe, _options(explanation, recipe), goal, recipe.encoder)
    effects = read_effects(answers, plan, Meter(goal, answers.references))
    return plan.estimand.estimate(effects, plan.fitting(explanation.seed))


def _plan(explanation: PromptExplanation, recipe: Recipe, options: PromptOptions, goal: Target, by: AnyEncoder) -> Plan:
    """How the answers are read; with the weights that a kernel gave the masks, where these are kept."""
    kept = cast("Evidence", explanation.evidence).nearness if options.estimand == recipe.estimand else None
    texts = by if isinstance(by, str | TextEncoder) else "auto"
    return plan_for(options, goal, encoder=by, texts=texts, kernel=None if kept is None else _Kept(kept))


def _check_kept(explanation: PromptExplanation) -> None:
    """Refuse what cannot be read again.

    Raises:
        UsageError: saying what to run instead.
    """
    what = None
    if explanation.tree is not None:
        what = "a long prompt, part by part: which parts were opened depends on the target"
    elif explanation.inputs:
        what = "a template over many inputs, whose answers were not kept input by input"
    if what is not None:
        raise UsageError(
            f"This explanation is of {what}. Explain again with the other target or estimand; answers on record cost "
            "nothing."
        )
    if explanation.evidence is None or not explanation.evidence.samples:
        raise UsageError(
            "There are no answers to read: the explanation was loaded from its JSON file alone. Load the folder that "
            "-o or save() wrote."
        )


def answers_of(explanation: PromptExplanation) -> Answers:
    """The answers of a saved explanation, as its run left them.

    Masks of a pair that lost a call are not among them, as they were in no estimate. Failures were not kept.
    """
    recipe, evidence = recorded(explanation), cast("Evidence", explanation.evidence)
    units, every = units_of(explanation, fill=recipe.fill), outputs(evidence)
    kinds = [sample.kind for sample in evidence.samples]
    places = _places(explanation, units)
    # A mask that sends the whole prompt was not asked where its repeats say the same: those stand for it, and all of
    # them count, also the ones that came after the masks.
    stands = np.array([bool(row) and all(kinds[place] == "repeat" for place in row) for row in places], dtype=bool)
    first = [tuple(every[place] for place in row if kinds[place] == "mask") for row in places]
    again = [tuple(every[place] for place in row if kinds[place] == "redraw") for row in places]
    widest = max(map(len, again), default=0)
    # What was sent is on record as a text: a chat as its transcript. Nothing is sent again, so that this will do.
    pairs = zip(places, stands, strict=True)
    sent = [units.prompt if whole else evidence.samples[row[0]].prompt for row, whole in pairs]

    def of(kind: str) -> tuple[Output, ...]:
        return tuple(output for output, own in zip(every, kinds, strict=True) if own == kind)

    return Answers(
        model=recipe.model,
        units=units,
        operator=Substitute(recipe.operator.name, recipe.operator.replacements or ()),
        design=design_of(explanation),
        prompts=sent,
        references=of("reference"),
        repeats=of("repeat"),
        first=tuple(first),
        again=tuple((*row, *(None,) * (widest - len(row))) for row in again) if widest else (),
        stands=stands,
        empty=of("empty"),
        log=tuple(_answered(sample, output) for sample, output in zip(evidence.samples, every, strict=True)),
        steadiness=recipe.steadiness,
        differs=explanation.noise.differs,
        stopped=explanation.stopped,
        answers_with=_kind(evidence),
        settings=settings_of(explanation),
        calls=explanation.calls,
    )


def _answered(sample: Sample, output: Output) -> Exchange:
    return Exchange(sample.kind, sample.mask, sample.draw, sample.prompt, output)


def _kind(evidence: Evidence) -> OutputKind:
    """What the model answered with."""
    if evidence.media is not None and evidence.media.files:
        return "sound" if isinstance(evidence.media.files[0], Sound) else "frames"
    return "text" if evidence.pictures is None else "picture"


def _places(explanation: PromptExplanation, units: Units) -> list[list[int]]:
    """Which samples answered each mask. Folders of schema 2 do not say: masks that left one text shared an answer.

    Raises:
        UsageError: if a mask has no answer on record.
        FormatError: if answers are said to be of masks that are not.
    """
    evidence = cast("Evidence", explanation.evidence)
    if evidence.answers is not None:
        rows = [[place for place in row if place >= 0] for row in evidence.answers.tolist()]
        answering = {place for place, sample in enumerate(evidence.samples) if sample.kind in _ANSWER_MASKS}
        if not all(row and answering.issuperset(row) for row in rows):
            raise FormatError(
                "The answers of this explanation do not belong to its masks: a file of its folder was changed. Explain "
                "again; answers on record cost nothing."
            )
        return rows
    by_mask: dict[bytes, list[int]] = {}
    by_text: dict[str, list[int]] = {}
    ends: dict[str, list[int]] = {"repeat": [], "empty": []}
    for place, sample in enumerate(evidence.samples):
        if sample.kind in {"mask", "redraw"} and sample.mask is not None:
            by_mask.setdefault(evidence.masks[sample.mask].tobytes(), []).append(place)
            by_text.setdefault(sample.prompt, []).append(place)
        elif sample.kind in ends:
            ends[sample.kind].append(place)
    found: list[list[int]] = []
    for mask in evidence.masks:
        # Equal masks shared an answer, and so did masks of one text, which deletion alone lets us tell. The mask that
        # keeps everything was not asked: the repeats of the whole prompt stand for it.
        text = shown(Delete().render(units, mask)) if explanation.operator == "delete" else ""
        row = by_mask.get(mask.tobytes()) or by_text.get(text) or (ends["repeat"] if mask.all() else [])
        if not row:
            raise UsageError(
                "This explanation was saved by an earlier version, which did not keep the answer to every mask. "
                "Explain again; answers on record cost nothing."
            )
        found.append(row)
    return found


@dataclass(frozen=True, slots=True)
class _Kept:
    """The weights that a kernel gave the masks, as they were kept."""

    kept: Floats
    name: str = "kept"

    def weights(self, masks: Masks, prompts: Sequence[str], whole: str) -> Floats:
        del masks, prompts, whole
        return self.kept


@dataclass(frozen=True, slots=True)
class _Measured:
    """A target of one's own that was not given again: the effects that it measured then, by their outputs."""

    record: TargetRecord
    known: Mapping[int, float]
    verb: Verb = "answer"

    def effects(self, outputs: Sequence[Output], references: Sequence[Output]) -> Floats:
        del references
        return np.array([self.known[id(output)] for output in outputs], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _OnAverage:
    """The mean effect against several sets of references, whatever the run's own were."""

    target: Target
    sets: Sequence[Sequence[Output]]

    @property
    def record(self) -> TargetRecord:
        return self.target.record

    @property
    def verb(self) -> Verb:
        return self.target.verb

    def effects(self, outputs: Sequence[Output], references: Sequence[Output]) -> Floats:
        del references
        return np.mean([self.target.effects(outputs, each) for each in self.sets], axis=0)


def _target(
    explanation: PromptExplanation, recipe: Recipe, answers: Answers, given: TargetLike | None, encoder: AnyEncoder
) -> Target:
    """What is measured: the target that is given, or the explanation's own.

    Raises:
        UsageError: if it needs other calls than were made.
    """
    if given is None and "target" in recipe.again:
        pairs = zip(cast("Evidence", explanation.evidence).samples, answers.log, strict=True)
        known = {id(one.output): sample.effect for sample, one in pairs if sample.effect is not None}
        return _Measured(explanation.target, known, recipe.target.verb)
    if isinstance(encoder, str) and encoder == "auto" and "encoder" in recipe.again:
        raise needed(explanation, "encoder")
    if given is None or isinstance(given, str):
        told = recipe if given is None else recipe.model_copy(update={"target": TargetRecipe(name=given)})
        goal = opened_target(told, encoder=careful(encoder), kind=answers.answers_with)
    else:
        goal = load_target(given)
    if given is not None:
        _check_calls(recipe, answers, goal)
    if isinstance(goal, ReadsReference):
        goal.check(answers.references[0])
    return goal


def _check_calls(recipe: Recipe, answers: Answers, goal: Target) -> None:
    """Refuse a target that needs other calls than were made, or log-probabilities that were not kept.

    Raises:
        UsageError: naming the call to make.
    """
    name = goal.record.name
    # A contrast scores a text of its own; spans of the reference can be read from its answers, not it from theirs.
    other = isinstance(goal, Continues) and recipe.target.alternative != getattr(goal, "alternative", "")
    kept = goal.verb == "answer" or all(output.scores for output in answers.repeats)
    if goal.verb == recipe.target.verb and not other and kept:
        return
    raise UsageError(
        f"target={name!r} cannot be read from the answers to target={recipe.target.name!r}: it needs other calls. Run "
        f"explain_prompt(..., target={name!r}), or whygen prompt --target {name}; answers on record cost nothing."
    )


def _for_estimand(answers: Answers, recipe: Recipe, estimand: str) -> Answers:
    """The answers that an estimand is read from: all of them, or those to the prompts that lack one unit.

    Raises:
        UsageError: if it needs other masks than were asked for.
    """
    wanted = load_estimand(estimand)
    if estimand == recipe.estimand:
        return answers
    rows = wanted.rows_of(answers.design)
    if rows is not None:
        return answers if wanted.samples else _rows_of(answers, rows)
    raise UsageError(
        f"estimand={estimand!r} cannot be read from the masks of estimand={recipe.estimand!r}: it needs others. Run "
        f"explain_prompt(..., estimand={estimand!r}), or whygen prompt --estimand {estimand}; answers on record cost "
        "nothing."
    )


def _rows_of(answers: Answers, rows: Sequence[int]) -> Answers:
    """The answers to the masks that lack one unit, in the order of the units."""

    def taken(draws: Sequence[Draws]) -> tuple[Draws, ...]:
        return tuple(draws[row] for row in rows) if draws else ()

    place = {row: place for place, row in enumerate(rows)}
    return replace(
        answers,
        design=leave_one_out(len(rows)),
        prompts=[answers.prompts[row] for row in rows],
        first=taken(answers.first),
        again=taken(answers.again),
        stands=answers.stands[list(rows)],
        log=tuple(replace(one, row=None if one.row is None else place.get(one.row)) for one in answers.log),
    )


def _options(
    explanation: PromptExplanation,
    recipe: Recipe,
    *,
    estimand: str | None = None,
    surrogate: str | None = None,
    irrelevant: str | None = None,
    matrix: str | None = None,
) -> PromptOptions:
    """The options of then with what is read otherwise; what only asking needs is left aside."""
    given: dict[str, Any] = {
        "estimand": estimand, "surrogate": surrogate, "irrelevant": irrelevant, "matrix": matrix,
    }  # fmt: skip
    changes = {name: value for name, value in given.items() if value is not None}
    other = estimand is not None and estimand != recipe.estimand
    if other:
        changes |= {"scale": "none", "surrogate": surrogate or "auto"}
    # Nothing is rendered or drawn any more: whatever the operator and the design needed need not be opened.
    changes |= {"operator": Substitute(recipe.operator.name, ()), "target": recipe.target.name, "design": "auto"}
    changes["sets"] = None if recipe.sets is None else 0
    kernel = {"kernel"} if other and load_estimand(estimand or recipe.estimand).weighted else set[str]()
    asked = recipe.model_copy(update={"again": tuple(kernel & set(recipe.again))})
    return options_of(explanation, asked, changes)


def _told(explanation: PromptExplanation, recipe: Recipe, found: PromptExplanation, *, same: bool) -> PromptExplanation:
    """What was read, with what only the run itself could tell, and where it was read from.

    Args:
        explanation: whose answers were read.
        recipe: of the explanation.
        found: what was read.
        same: whether the target and the masks are those of the explanation: what further calls found holds then.
    """
    read_as = cast("Recipe", found.recipe)
    again = (set(recipe.again) - {"target"} if not same else set(recipe.again)) | ({"target"} & set(read_as.again))
    named = {
        "target": recipe.target if same else read_as.target,
        "design": read_as.design.model_copy(update={"name": recipe.design.name}),
        **{name: getattr(read_as, name) for name in ("estimand", "surrogate", "irrelevant", "scale", "encoder")},
        "again": tuple(sorted(again)),
    }
    origin = explanation.read_from or ReadFrom(
        digest=digest_of(explanation), target=explanation.target.name, estimand=explanation.estimand
    )
    update: dict[str, Any] = {
        "recipe": recipe.model_copy(update=named), "read_from": origin, "warnings": _warnings(explanation, found),
        "ended": explanation.ended, "preset": explanation.preset, "call": explanation.call,
    }  # fmt: skip
    if explanation.chat is not None and found.evidence is not None and explanation.evidence is not None:
        update["evidence"] = replace(found.evidence, pictures=explanation.evidence.pictures)  # what the model was shown
    if same:
        update |= {
            "sets": explanation.sets,
            "why": explanation.why,
            "matrix": explanation.matrix if found.matrix is None else found.matrix,
        }
    return found.model_copy(update=update)


def _warnings(explanation: PromptExplanation, found: PromptExplanation) -> tuple[Warned, ...]:
    """What the run itself warned of, then what this reading shows, the gravest first."""
    before = [one for one in explanation.warnings if one.code not in CODES]
    failed = [one for one in explanation.warnings if one.code == FAILED]
    now = [one for one in found.warnings if one.code in CODES]
    return (*before, *sorted([*failed, *now], key=lambda one: CODES.index(one.code)))
