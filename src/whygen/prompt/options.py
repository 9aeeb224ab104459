"""What can be chosen of an explanation: one frozen object. A preset is such an object, not another path.

Each option is declared here and nowhere else: its name, type and default, what it says, where the command line's help
shows it, and who reads it. `explain_prompt` and its kin, ``whygen prompt`` and ``whygen edit``, the documentation and
the lists of what goes with a hierarchy, a template or a game are made from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from whygen._arguments import Option, check_fields, documented, read_by, told
from whygen.calls import RunOptions
from whygen.errors import UnknownNameError, UsageError
from whygen.prompt.designs import Design
from whygen.prompt.edits import REGIONS
from whygen.prompt.kernels import Kernel
from whygen.prompt.operators import OperatorLike, OperatorOptions
from whygen.prompt.targets import TargetLike, brought_target
from whygen.prompt.units import Kind
from whygen.results.estimands import EstimandName
from whygen.types import Edit, Source

UnitsName: TypeAlias = Literal[
    "word",
    "token",
    "whitespace",
    "sentence",
    "line",
    "paragraph",
    "message",
    "field",
    "document",
    "part",
    "image",
    "region",
]
OperatorName: TypeAlias = Literal["delete", "placeholder", "synonym", "neutral", "paraphrase", "noise"]
TargetName: TypeAlias = Literal[
    "auto", "optimal-transport", "cosine", "tfidf", "token-set", "edit", "exact", "logprob", "contains", "contrastive",
    "json", "label", "tool", "refusal", "regex",
]  # fmt: skip
"""Targets of texts; pictures, sounds and videos have others."""
KernelName: TypeAlias = Literal["dropped", "embedding", "word-mover", "letters"]
SurrogateName: TypeAlias = Literal[
    "auto", "ridge", "ols", "lasso", "bayesian-ridge", "kernel-ridge", "pairs", "adaptive", "boosting"
]
Over: TypeAlias = Literal["like-these", "these"]
"""What intervals over many inputs hold for: inputs like the given ones, or these and no others."""
DistributionName: TypeAlias = Literal["energy", "mmd", "optimal-transport", "sinkhorn"]

TEXT, EDIT, HIERARCHY, TEMPLATE, GAME, EVALUATE = "text", "edit", "hierarchy", "template", "game", "evaluate"
READ, TRIM = "read", "trim"
"""Doors that read options: ``whygen prompt``, ``whygen edit``, a hierarchy, a template, `as_game`, `evaluate`,
`PromptExplanation.read`, and `trim`."""
_BOTH = frozenset({TEXT, EDIT})
_ASKED = _BOTH | {HIERARCHY, TEMPLATE}
_EVERYWHERE = _ASKED | {GAME}
_OPERATORS = frozenset({TEXT, HIERARCHY, TEMPLATE, GAME, EVALUATE})


@documented
@told
@dataclass(frozen=True, slots=True, kw_only=True)
class PromptOptions:
    """Everything that can be chosen of an explanation of a prompt. A positive attribution means: keeping the unit
    pulls the output towards what the model said (for a score of your own: raises it).
    """

    preset: Annotated[
        str | None,
        Option(
            "gsmile: the published procedure; gsmile-images: that for pictures.",
            "The name of the preset that these options come from; None for the default.",
            panel="For experts: the question",
            read_by=_EVERYWHERE,
        ),
    ] = None
    budget: Annotated[
        int,
        Option(
            "Answers asked for in all; 64 unless a preset says so.",
            "They are the reference, repeats, masks and redraws. A call that failed on its way and is sent again is "
            "not one more; RunOptions(spending=Budget(calls=)) bounds what is sent.",
            panel="How much to spend",
            read_by=_EVERYWHERE,
        ),
    ] = 64
    units: Annotated[
        UnitsName | Kind,
        Option(
            "What the prompt is cut into: word, sentence, message ... (`whygen list units`). One of {names}.",
            "Tokens are the model's own. Messages and parts are for a chat: parts are what a recorded call is made of "
            "(definitions and results of tools, messages, documents and memories in them). Fields, documents and parts "
            "are for a template; regions for the picture of an edit. In a chat, image and region are its pictures "
            "beside its words; sentence+region says beside what. Or spans (start, end).",
            panel="What to explain",
            read_by=_BOTH | {TEMPLATE, GAME, TRIM},
        ),
    ] = "word"
    pin: Annotated[
        Sequence[str],
        Option(
            "A text that is always sent and never attributed; may be given again.",
            "Also role:system and part:NAME of a chat, and field:NAME of a template.",
            panel="For experts: the question",
            read_by=_EVERYWHERE | {TRIM},
        ),
    ] = ()
    within: Annotated[
        Sequence[str],
        Option(
            "A part of a chat, such as 'tool result 3' or 'document', that alone is cut by units; may be given again.",
            "The rest of the chat is cut into parts.",
            panel="For experts: the question",
            read_by=frozenset({TEXT, GAME}),
        ),
    ] = ()
    passages: Annotated[
        str | None,
        Option(
            "A regular expression: each match in a text of a chat is a part of its own.",
            "Unless given, documents, memories and examples are found by their marks (docs/prompt.md).",
            panel="For experts: the question",
            read_by=frozenset({TEXT, GAME}),
        ),
    ] = None
    operator: Annotated[
        OperatorName | OperatorLike,
        Option(
            "{names}: what happens to a unit that is not kept.",
            "Or py/package.module:callable, or a function or an object of your own (METHODS A4).",
            panel="For experts: the question",
            read_by=_EVERYWHERE | {EVALUATE},
        ),
    ] = "delete"
    placeholder: Annotated[
        str | None,
        Option(
            "For placeholder: what stands for a missing unit; '...' unless given.",
            panel="For experts: the question",
            read_by=_OPERATORS | {EDIT},
        ),
    ] = None
    lexicon: Annotated[
        Mapping[str, str] | Path | str | None,
        Option(
            "For synonym: a JSON or TSV file of words.",
            "Or a mapping from words to what stands for them; without either, the encoder's own vocabulary.",
            panel="For experts: the question",
            read_by=_OPERATORS,
        ),
    ] = None
    infill: Annotated[
        object | None,
        Option(
            "For neutral: the model that fills in.",
            "A fill-mask or a causal one, as a URI, a callable or an object.",
            panel="For experts: the question",
            read_by=_OPERATORS,
        ),
    ] = None
    paraphraser: Annotated[
        object | None,
        Option(
            "For paraphrase: the model that says a unit in other words.",
            "As a URI, a callable or an object.",
            panel="For experts: the question",
            read_by=_OPERATORS,
        ),
    ] = None
    instruction: Annotated[
        str | None,
        Option(
            "For neutral and paraphrase: what that model is asked, with {text} in it.",
            panel="For experts: the question",
            read_by=_OPERATORS,
        ),
    ] = None
    noise: Annotated[
        float | None,
        Option(
            "For noise: how long the Gaussian noise on the input embeddings is, in average embeddings.",
            panel="For experts: the question",
            read_by=_OPERATORS,
        ),
    ] = None
    regions: Annotated[
        int,
        Option(
            "For regions: about how many parts (superpixels) the picture is cut into; 12.",
            panel="For experts: the question",
            read_by=frozenset({EDIT, TEMPLATE}),
        ),
    ] = REGIONS
    fill: Annotated[
        Literal["mean", "blur"] | str,
        Option(
            "For regions: what stands where a region was taken away: mean (the picture's mean colour), blur, or "
            "a colour such as #808080.",
            panel="For experts: the question",
            read_by=frozenset({EDIT, TEMPLATE, EVALUATE}),
        ),
    ] = "mean"
    target: Annotated[
        TargetName | TargetLike,
        Option(
            "What is measured of an answer: cosine, contains:SPAN, tool ... (`whygen list targets`). One of {names}; "
            "some take an argument, such as contains:SPAN, contrastive:TEXT, json:FIELD, label:A,B, tool:NAME, "
            "tool:NAME.ARGUMENT or regex:PATTERN. Pictures, sounds and videos have others.",
            "Or a callable that scores an answer, or what `load_target` makes.",
            panel="What to measure",
            read_by=_EVERYWHERE | {EVALUATE, READ, TRIM},
        ),
    ] = "auto"
    estimand: Annotated[
        EstimandName,
        Option("{names}: what an attribution means (METHODS A1).", read_by=_ASKED | {READ}),
    ] = "banzhaf"
    keep: Annotated[
        float,
        Option(
            "Probability with which each other unit is kept; 0.5, for an edit 0.8.",
            read_by=_BOTH | {TEMPLATE},
        ),
    ] = 0.5
    kernel: Annotated[
        KernelName | str | Kernel,
        Option(
            "For local, what is near: {names}.",
            "dropped: the share of units dropped; embedding: 1 - cosine of the prompts in the encoder's space; "
            "word-mover: the published one, for pictures letters.",
            read_by=_BOTH | {TEMPLATE, EVALUATE},
        ),
    ] = "dropped"
    design: Annotated[
        Literal["auto", "gsmile"] | str | Design,
        Option("auto, or gsmile: the published draw of masks.", "Or masks of your own.", read_by=_BOTH),
    ] = "auto"
    scale: Annotated[
        Literal["none", "min-max"],
        Option(
            "For local: none, or min-max as published.",
            "That is the similarity rescaled over the run: values of two runs cannot be compared then.",
            read_by=_BOTH,
        ),
    ] = "none"
    surrogate: Annotated[
        SurrogateName,
        Option(
            "{names}: what is fitted to the answers (METHODS A2).",
            "auto is adaptive; for local it is the weighted least squares of that estimand.",
            read_by=_ASKED | {READ},
        ),
    ] = "auto"
    draws: Annotated[
        int,
        Option(
            "Answers drawn for each mask; 1.",
            panel="For experts: the answers",
            read_by=_BOTH | {TEMPLATE, GAME, EVALUATE, TRIM},
        ),
    ] = 1
    references: Annotated[
        int,
        Option(
            "Reference answers; 1.",
            "Effects are averaged over them.",
            panel="For experts: the answers",
            read_by=_EVERYWHERE | {EVALUATE},
        ),
    ] = 1
    model_noise: Annotated[
        Literal["measure", "none"],
        Option(
            "measure, or none: you state that equal questions get equal answers, so none is asked twice.",
            "measure finds from calls that are left how much the model's answers to one question differ.",
            panel="For experts: the answers",
            read_by=_EVERYWHERE | {TRIM},
        ),
    ] = "measure"
    distribution: Annotated[
        DistributionName | None,
        Option(
            "Compare sets of draws: {names} (METHODS A3, distributional mode).",
            panel="For experts: the answers",
            read_by=_BOTH | {EVALUATE},
        ),
    ] = None
    empty: Annotated[
        Literal["include", "exclude"],
        Option("{names} the prompt without any unit.", read_by=_BOTH | {TEMPLATE, EVALUATE}),
    ] = "include"
    tolerance: Annotated[
        float | None,
        Option(
            "Stop as soon as the widest interval is under this, in the target's unit.",
            "With a hierarchy, a part is then split only where its possible effect exceeds it.",
            panel="For experts: the run",
            read_by=_BOTH | {HIERARCHY},
        ),
    ] = None
    stable: Annotated[
        int | None,
        Option(
            "Stop once this many of the strongest units keep their order in two consecutive checks.",
            "This says nothing of how precise their values are.",
            panel="For experts: the run",
            read_by=_BOTH,
        ),
    ] = None
    irrelevant: Annotated[
        Literal["count", "exclude"],
        Option(
            "{names} answers that are as far from the reference as texts about other things are.",
            "Attributions are then those among relevant answers, and what units do to their share is told.",
            panel="For experts: the answers",
            read_by=_BOTH | {EVALUATE, READ},
        ),
    ] = "count"
    hierarchy: Annotated[
        Literal["auto"] | str | None,
        Option(
            "For long prompts: auto, or levels such as paragraph>sentence>word.",
            "Levels go from coarse to fine (METHODS A4).",
            panel="For experts: the question",
            read_by=frozenset({TEXT, HIERARCHY}),
        ),
    ] = None
    interactions: Annotated[
        int,
        Option(
            "At most so many pairs of units that act together; 5.",
            "They are reported only where they raise held-out fidelity; 0 for none. With banzhaf alone.",
            read_by=_ASKED,
        ),
    ] = 5
    matrix: Annotated[
        Literal["none", "sentence"],
        Option(
            "sentence: attributions to each sentence of the output as well, from the same calls.",
            panel="For experts: the answers",
            read_by=frozenset({TEXT, READ}),
        ),
    ] = "none"
    sets: Annotated[
        int | None,
        Option(
            "Few units that change the answer, and that keep it, with so many calls beside the budget.",
            "The calls test that none of them can be left out; 0 finds sets in the recorded calls. A model that "
            "samples takes some ten calls for each unit of a set to be sure.",
            panel="For experts: the answers",
            read_by=_BOTH,
        ),
    ] = None
    proxy: Annotated[
        object | None,
        Option(
            "A cheap model that is asked the same masks and many more: intervals narrow as far as it does alike.",
            "As a URI, a callable or an object. Its answers are no answers of the model: they only say what to expect, "
            "and the intervals hold whatever it says (METHODS A3).",
            panel="For experts: the run",
            read_by=frozenset({TEXT}),
        ),
    ] = None
    proxy_budget: Annotated[
        int,
        Option(
            "Answers asked of the proxy beside those to the model's own masks; 1024.",
            panel="For experts: the run",
            read_by=frozenset({TEXT}),
        ),
    ] = 1024
    suspect: Annotated[
        Sequence[str] | None,
        Option(
            "A part of a chat that is asked whether the action comes from it; may be given again.",
            "Results of tools, documents and memories are suspects by themselves: () asks about them alone. It needs a "
            "target of yes or no, such as tool or refusal. `whygen why` always asks.",
            panel="For experts: the question",
            read_by=frozenset({TEXT}),
        ),
    ] = None

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
    by_default = isinstance(prompt, Edit) and chosen.preset is None and chosen.estimand == DEFAULT.estimand
    return replace(chosen, keep=EDIT_KEEP) if by_default and "keep" not in choices else chosen


def unread(options: PromptOptions, door: str) -> list[str]:
    """Options that were chosen, and that a door would leave unread."""
    read = read_by(PromptOptions, door)
    names = (field.name for field in fields(PromptOptions) if field.name not in read)
    return [name for name in names if getattr(options, name) != getattr(DEFAULT, name)]


def check_hierarchy(options: PromptOptions) -> None:
    """Refuse options that a hierarchy does not know, rather than leave them unread.

    Raises:
        UsageError: naming them.
    """
    if changed := unread(options, HIERARCHY):
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
