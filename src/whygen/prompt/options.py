"""What can be chosen of an explanation: one frozen object. A preset is such an object, not another path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypedDict

from whygen.errors import UnknownNameError
from whygen.prompt.designs import Design
from whygen.prompt.kernels import Kernel
from whygen.prompt.targets import Target
from whygen.prompt.units import Kind


class PromptChoices(TypedDict, total=False):
    """The keywords of `explain_prompt` that say what is asked and how it is read; see `PromptOptions`."""

    budget: int
    units: Kind
    pin: Sequence[str]
    operator: str
    placeholder: str
    target: str | Target
    estimand: str
    keep: float
    kernel: str | Kernel
    design: str | Design
    scale: str
    surrogate: str
    draws: int
    references: int
    distribution: str | None
    empty: str
    tolerance: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptOptions:
    """Everything that can be chosen of an explanation.

    Attributes:
        preset: the name of the preset these come from; None for the default.
        budget: model calls in all: reference, repeats, masks and redraws.
        units: ``word``, ``whitespace``, ``sentence``, ``line`` or ``paragraph``; for a chat also ``message``; for a
            template also ``field``, ``document`` and ``part``; or spans ``(start, end)`` of a text.
        pin: texts that are always sent and never attributed, ``role:system`` of a chat, ``field:NAME`` of a template.
        operator: ``delete`` or ``placeholder``, what happens to a unit that is not kept.
        placeholder: the text that stands for it, with ``operator="placeholder"``.
        target: ``auto``, ``optimal-transport``, ``cosine``, ``tfidf``, ``token-set``, ``edit``, ``exact`` or
            ``logprob``. A positive attribution means: keeping the unit pulls the output towards what the model said.
        estimand: ``banzhaf``, ``shapley``, ``local`` or ``loo``; what an attribution means (METHODS A1).
        keep: probability with which each other unit is kept.
        kernel: what ``local`` calls near: ``dropped`` (share of units dropped), ``embedding`` (1 - cosine of the
            prompts in the encoder's space) or ``word-mover`` (the published one).
        design: ``auto``, ``gsmile`` (the published draw), or masks of one's own.
        scale: ``none``, or ``min-max`` (the published similarity, rescaled over the run: values of two runs cannot be
            compared then).
        surrogate: ``auto`` (``ridge``; for ``local`` the weighted least squares that it is), or a name.
        draws: answers drawn for each mask.
        references: reference answers; effects are averaged over them.
        distribution: None, or how sets of draws are compared: ``energy``, ``mmd``, ``optimal-transport`` or
            ``sinkhorn`` (METHODS A3, distributional mode).
        empty: ``include`` or ``exclude`` the prompt without any unit.
        tolerance: stop as soon as the widest interval is under this, in the target's unit.
    """

    preset: str | None = None
    budget: int = 64
    units: Kind = "word"
    pin: Sequence[str] = ()
    operator: str = "delete"
    placeholder: str = "..."
    target: str | Target = "auto"
    estimand: str = "banzhaf"
    keep: float = 0.5
    kernel: str | Kernel = "dropped"
    design: str | Design = "auto"
    scale: str = "none"
    surrogate: str = "auto"
    draws: int = 1
    references: int = 1
    distribution: str | None = None
    empty: str = "include"
    tolerance: float | None = None


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

PRESETS: Mapping[str | None, PromptOptions] = {None: DEFAULT, "gsmile": GSMILE}


def choose(preset: str | PromptOptions | None, choices: Mapping[str, Any]) -> PromptOptions:
    """A preset with what was chosen otherwise.

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
    return replace(preset, **choices)
