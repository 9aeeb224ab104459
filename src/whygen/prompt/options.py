"""What can be chosen of an explanation: one frozen object. A preset is such an object, not another path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypedDict

from whygen._arguments import check_fields, told
from whygen.calls import RunOptions
from whygen.errors import UnknownNameError, UsageError
from whygen.prompt.designs import Design
from whygen.prompt.edits import REGIONS
from whygen.prompt.kernels import Kernel
from whygen.prompt.operators import Operator, OperatorOptions
from whygen.prompt.targets import TargetLike, brought_target
from whygen.prompt.units import Kind
from whygen.types import Edit, Source


class PromptChoices(TypedDict, total=False):
    """The keywords of `explain_prompt` that say what is asked and how it is read; see `PromptOptions`."""

    budget: int
    units: Kind
    pin: Sequence[str]
    operator: str | Operator
    placeholder: str | None
    lexicon: Mapping[str, str] | Path | str | None
    infill: object | None
    paraphraser: object | None
    instruction: str | None
    noise: float | None
    target: TargetLike
    regions: int
    fill: str
    estimand: str
    keep: float
    kernel: str | Kernel
    design: str | Design
    scale: str
    surrogate: str
    draws: int
    references: int
    model_noise: str
    distribution: str | None
    empty: str
    tolerance: float | None
    stable: int | None
    irrelevant: str
    hierarchy: str | None
    interactions: int
    matrix: str
    sets: int | None


@told
@dataclass(frozen=True, slots=True, kw_only=True)
class PromptOptions:
    """Everything that can be chosen of an explanation.

    Attributes:
        preset: the name of the preset these come from; None for the default.
        budget: answers asked for in all: reference, repeats, masks and redraws. A call that failed on its way and is
            sent again is not one more; ``RunOptions(spending=Budget(calls=))`` bounds what is sent.
        units: ``word``, ``token`` (the model's own), ``whitespace``, ``sentence``, ``line`` or ``paragraph``; for a
            chat also ``message``; for a template also ``field``, ``document`` and ``part``; or spans ``(start, end)``.
        pin: texts that are always sent and never attributed, ``role:system`` of a chat, ``field:NAME`` of a template.
        operator: what happens to a unit that is not kept: ``delete``, ``placeholder``, ``synonym``, ``neutral``,
            ``paraphrase``, ``noise``, or an object of one's own (METHODS A4).
        placeholder: for ``placeholder``: the text that stands for a unit; ``...`` unless given.
        lexicon: for ``synonym``: words and what stands for them, as a mapping or a JSON or TSV file; without it, the
            encoder's own vocabulary.
        infill: for ``neutral``: the model that fills in, fill-mask or causal, as a URI, a callable or an object.
        paraphraser: for ``paraphrase``: the model that says a unit in other words, likewise.
        instruction: for ``neutral`` and ``paraphrase``: what such a model is asked.
        noise: for ``noise``: how long the Gaussian noise on the input embeddings is, in average embeddings.
        target: ``auto``, ``optimal-transport``, ``cosine``, ``tfidf``, ``token-set``, ``edit``, ``exact``, ``logprob``,
            ``logprob:snow`` (a span of the output), ``contains:snow``, ``contrastive:TEXT``, ``json:FIELD``,
            ``label:yes,no``, ``tool``, ``refusal``, ``regex:PATTERN``, a callable that scores an answer, or what
            `load_target` makes. A positive attribution means: keeping the unit pulls the output towards what the
            model said (for a score of one's own: raises it).
        regions: with ``units="region"``: how many superpixels the picture is cut into, about.
        fill: with ``units="region"``: what stands where a region was taken away: ``mean`` (the picture's mean colour),
            ``blur``, or a colour such as ``#808080``.
        estimand: ``banzhaf``, ``shapley``, ``local`` or ``loo``; what an attribution means (METHODS A1).
        keep: probability with which each other unit is kept; for an edit 0.8 unless it is chosen.
        kernel: what ``local`` calls near: ``dropped`` (share of units dropped), ``embedding`` (1 - cosine of the
            prompts in the encoder's space) or ``word-mover`` (the published one; for pictures
            ``letters``).
        design: ``auto``, ``gsmile`` (the published draw), or masks of one's own.
        scale: ``none``, or ``min-max`` (the published similarity, rescaled over the run: values of two runs cannot be
            compared then).
        surrogate: ``auto`` (``adaptive``; for ``local`` the weighted least squares that it is), ``ridge``, ``ols``,
            ``lasso``, ``bayesian-ridge``, ``kernel-ridge``, ``pairs``, ``adaptive`` or ``boosting`` (METHODS A2).
        draws: answers drawn for each mask.
        references: reference answers; effects are averaged over them.
        model_noise: ``measure`` how much the model's answers to one question differ, from calls that are left; or
            ``none``: you state that equal questions get equal answers, and no call is spent on it.
        distribution: None, or how sets of draws are compared: ``energy``, ``mmd``, ``optimal-transport`` or
            ``sinkhorn`` (METHODS A3, distributional mode).
        empty: ``include`` or ``exclude`` the prompt without any unit.
        tolerance: stop as soon as the widest interval is under this, in the target's unit.
        stable: stop once the ``stable`` strongest units keep their order in two consecutive checks; this says nothing
            of how precise their values are.
        interactions: at most so many pairs of units that act together are reported, and only where they raise
            held-out fidelity; 0 for none. With ``banzhaf`` alone.
        irrelevant: ``count`` answers that are as far from the reference as texts about other things are, or ``exclude``
            them: attributions are then those among relevant answers, and what units do to their share is told.
        hierarchy: None, or the levels of a long prompt from coarse to fine, such as ``paragraph>sentence>word``
            (``auto``); a part is then split only where its possible effect exceeds ``tolerance`` (METHODS A4).
        matrix: ``none``, or ``sentence``: attributions to each sentence of the output as well, from the same calls.
        sets: None, or how many calls beside the ``budget`` may look for few units that change the answer, and that
            keep it, and test that none of them can be left out; 0 finds them in the recorded calls. A model that
            samples takes some ten calls for each unit of a set to be sure.
    """

    preset: str | None = None
    budget: int = 64
    units: Kind = "word"
    pin: Sequence[str] = ()
    operator: str | Operator = "delete"
    placeholder: str | None = None
    lexicon: Mapping[str, str] | Path | str | None = None
    infill: object | None = None
    paraphraser: object | None = None
    instruction: str | None = None
    noise: float | None = None
    regions: int = REGIONS
    fill: str = "mean"
    target: TargetLike = "auto"
    estimand: str = "banzhaf"
    keep: float = 0.5
    kernel: str | Kernel = "dropped"
    design: str | Design = "auto"
    scale: str = "none"
    surrogate: str = "auto"
    draws: int = 1
    references: int = 1
    model_noise: str = "measure"
    distribution: str | None = None
    empty: str = "include"
    tolerance: float | None = None
    stable: int | None = None
    irrelevant: str = "count"
    hierarchy: str | None = None
    interactions: int = 5
    matrix: str = "none"
    sets: int | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "target", brought_target(self.target))

    @property
    def operator_options(self) -> OperatorOptions:
        """What is told to the operator."""
        return OperatorOptions(**{field.name: getattr(self, field.name) for field in fields(OperatorOptions)})


DEFAULT = PromptOptions()

GSMILE = PromptOptions(
    preset="gsmile",
    budget=67,  # the 64 published masks, the reference, and the two repeats that every explanation has
    units="whitespace",
    target="optimal-transport",
    estimand="local",
    kernel="word-mover",
    design="gsmile",
    scale="min-max",
    empty="exclude",
)
"""METHODS A6. The encoder must be a file of word vectors: optimal transport between them is the published distance."""

GSMILE_IMAGES = PromptOptions(
    preset="gsmile-images",
    budget=33,  # the 30 published masks, the reference, and the two repeats
    units="whitespace",
    target="coordinate-wasserstein",
    estimand="local",
    kernel="letters",
    design="gsmile",
    scale="min-max",
    empty="exclude",
)
"""METHODS A6, for pictures. Published with encoder='dinov2'. The kernel, as it ran, compared letters of the prompts."""

PRESETS: Mapping[str | None, PromptOptions] = {None: DEFAULT, "gsmile": GSMILE, "gsmile-images": GSMILE_IMAGES}


EDIT_KEEP = 0.8
"""`keep` for an instruction to an editor, unless it is chosen: half of so short an instruction asks for nothing, and
then no mask says much (benchmarks/editing.py)."""


def choose(
    preset: str | PromptOptions | None, choices: Mapping[str, Any], *, prompt: Source | None = None
) -> PromptOptions:
    """A preset with what was chosen otherwise; the default's `keep` depends on what is explained.

    Raises:
        UnknownNameError: if there is no such preset, or no such option.
    """
    if not isinstance(preset, PromptOptions):
        if preset not in PRESETS:
            raise UnknownNameError("preset", str(preset), [name for name in PRESETS if name])
        preset = PRESETS[preset]
    names = {field.name for field in fields(PromptOptions)} - {"preset"}
    for name in choices:
        if name not in names:
            raise UnknownNameError("option of explain_prompt", name, names)
    chosen = replace(preset, **choices)
    by_default = isinstance(prompt, Edit) and chosen.preset is None and chosen.estimand == "banzhaf"
    return replace(chosen, keep=EDIT_KEEP) if by_default and "keep" not in choices else chosen


HIERARCHICAL = frozenset(
    {"preset", "budget", "pin", "operator", "target", "estimand", "surrogate", "references", "tolerance",
     "model_noise", "hierarchy", "interactions", *(field.name for field in fields(OperatorOptions))}
)  # fmt: skip
"""The options that go with a hierarchy."""


def check_hierarchy(options: PromptOptions) -> None:
    """Refuse options that a hierarchy does not know, rather than leave them unread.

    Raises:
        UsageError: naming them.
    """
    changed = [
        field.name
        for field in fields(PromptOptions)
        if field.name not in HIERARCHICAL and getattr(options, field.name) != getattr(DEFAULT, field.name)
    ]
    if changed:
        raise UsageError(
            f"hierarchy={options.hierarchy!r} does not go with {', '.join(changed)}: its levels say what the units are "
            "and how masks are drawn. Leave them out, or leave hierarchy out."
        )


def check_rounds(options: PromptOptions, run: RunOptions | None) -> None:
    """Refuse what asks for one thing after another where each round of calls may take a day.

    A stop rule (``tolerance``, ``stable``) and a hierarchy ask in few rounds, each handed over as a batch of its own.

    Raises:
        UsageError: naming it.
    """
    if run is not None and run.batch is not None and options.sets:
        raise UsageError(
            f"sets={options.sets} asks for one call after another, and each would be a batch of its own. Leave batch "
            "out, or use sets=0, which reads the sets from the calls there are."
        )
