"""From a prompt and options to a question: units, operator, target and plan, checked before anything is paid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from whygen.encoders import TextEncoder
from whygen.errors import UnknownNameError, UsageError
from whygen.prompt import gsmile
from whygen.prompt.designs import Design
from whygen.prompt.distributions import check_distribution
from whygen.prompt.kernels import Kernel, load_kernel
from whygen.prompt.operators import Operator, load_operator
from whygen.prompt.options import PromptOptions
from whygen.prompt.plan import Plan, check_choices, design_for
from whygen.prompt.scales import check_scale
from whygen.prompt.surrogates import Surrogate, load_surrogate
from whygen.prompt.targets import Target, load_target
from whygen.prompt.units import Units, split
from whygen.prompt.weighted import WeightedLeastSquares
from whygen.stats.seeds import generator
from whygen.types import Source


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: how the prompt is cut and rendered, what is measured, and which masks are paid for."""

    units: Units
    operator: Operator
    target: Target
    plan: Plan
    seed: int

    def design(self, *, differs: bool) -> Design:
        """The masks; ``differs`` says whether repeats of the whole prompt differed."""
        return design_for(len(self.units), self.plan, generator(self.seed, "masks"), differs=differs)


def prepare(prompt: Source, options: PromptOptions, *, encoder: str | TextEncoder, seed: int) -> Question:
    """Cut the prompt, check the options and open what they name, but the model.

    Raises:
        UsageError: for a choice that cannot work; `BudgetError` names the smallest budget that does.
        MissingError: if an encoder or an extra is missing.
    """
    check_choices(options)
    return prepare_units(split(prompt, options.units, pin=options.pin), options, encoder=encoder, seed=seed)


def prepare_units(units: Units, options: PromptOptions, *, encoder: str | TextEncoder, seed: int) -> Question:
    """The same for a prompt that is cut already."""
    check_choices(options)
    check_scale(options.scale)
    check_distribution(options.distribution, draws=options.draws, references=options.references)
    encoder = _encoder(options, encoder)
    target = load_target(options.target, encoder=encoder) if isinstance(options.target, str) else options.target
    if options.distribution is not None and target.verb == "score":
        raise UsageError(
            f"distribution={options.distribution!r} compares answers, and target={target.record.name!r} asks for none. "
            "Use target='cosine' or 'optimal-transport'."
        )
    plan = Plan(
        options=options,
        surrogate=_surrogate(options),
        kernel=_kernel(options, encoder),
        fixed=_fixed(options, units),
        verb=target.verb,
    )
    operator = load_operator(options.operator, placeholder=options.placeholder)
    question = Question(units, operator, target, plan, seed)
    question.design(differs=False)  # refuse a budget before anything is paid
    return question


def _encoder(options: PromptOptions, encoder: str | TextEncoder) -> str | TextEncoder:
    """The published distance needs static word vectors, and looks words up as they are written."""
    if options.preset != "gsmile" or options.kernel != "word-mover" or not isinstance(encoder, str):
        return encoder
    if encoder == "auto":
        raise UsageError(
            "preset='gsmile' measures the word mover's distance between static word vectors: give encoder=PATH, a "
            "word2vec or GloVe file (text, binary or safetensors). The published run used GoogleNews word2vec."
        )
    from whygen.encoders import open_word_vectors

    return open_word_vectors(encoder, lookup="as-written")


def _kernel(options: PromptOptions, encoder: str | TextEncoder) -> Kernel | None:
    if options.estimand != "local":
        return None
    return load_kernel(options.kernel, encoder=encoder) if isinstance(options.kernel, str) else options.kernel


def _surrogate(options: PromptOptions) -> Surrogate:
    if options.surrogate == "auto":
        return WeightedLeastSquares() if options.estimand == "local" else load_surrogate("ridge")
    return load_surrogate(options.surrogate)


def _fixed(options: PromptOptions, units: Units) -> Design | partial[Design] | None:
    if isinstance(options.design, Design):
        if options.design.masks.shape[1] != len(units):
            raise UsageError(
                f"design has masks of {options.design.masks.shape[1]} units, and the prompt has {len(units)} of kind "
                f"{options.units!r}. Give a column for each unit."
            )
        return options.design
    if options.design == "auto":
        return None
    if options.design == "gsmile":
        return partial(gsmile.design, list(units.texts))
    raise UnknownNameError("design", options.design, ["auto", "gsmile"])
