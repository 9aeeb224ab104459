"""Finding an operator by name, and refusing options that do not go with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeAlias

from whygen import plugins
from whygen.errors import UnknownNameError, UsageError
from whygen.prompt.operators.base import SCALE, Delete, EmbeddingNoise, Operator, Placeholder, Rewrite
from whygen.prompt.operators.helped import Neutral, Paraphrase
from whygen.prompt.operators.synonyms import Synonym, read_lexicon

OperatorLike: TypeAlias = str | Operator | Callable[[str], str]
"""A name, an operator, or a function from the text of a unit to the text that stands in its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorOptions:
    """What an operator can be told. Each option belongs to one operator; None means: its default.

    Attributes:
        placeholder: for ``placeholder``: the text that stands for a unit; ``...`` unless given.
        lexicon: for ``synonym``: a mapping of words to others, or a file of them (JSON or TSV); without it, the
            encoder's vocabulary.
        infill: for ``neutral``: the model that fills in, as a URI, a callable or an object.
        paraphraser: for ``paraphrase``: the model that says units in other words, as a URI, a callable or an object.
        instruction: for ``neutral`` and ``paraphrase``: what such a model is asked, instead of the wording of their
            own files; with ``{text}`` or ``{left}`` where the prompt's text goes.
        noise: for ``noise``: how long the noise is, in average embeddings.
    """

    placeholder: str | None = None
    lexicon: Mapping[str, str] | Path | str | None = None
    infill: object | None = None
    paraphraser: object | None = None
    instruction: str | None = None
    noise: float | None = None

    def given(self) -> list[str]:
        """Names of the options that are not left at their default."""
        return [each.name for each in fields(self) if getattr(self, each.name) is not None]


def _placeholder(options: OperatorOptions) -> Operator:
    if options.placeholder == "":
        raise UsageError("placeholder is empty: give a text such as '...' or '[MASK]', or use operator='delete'.")
    return Placeholder(options.placeholder or "...")


def _synonym(options: OperatorOptions) -> Operator:
    return Synonym(None if options.lexicon is None else read_lexicon(options.lexicon))


def _neutral(options: OperatorOptions) -> Operator:
    if options.infill is None:
        raise UsageError(
            "operator='neutral' needs a model that fills in: name it with infill=, such as hf/ORG/NAME of a fill-mask "
            "or a causal model, or use operator='synonym', which needs none."
        )
    return Neutral(options.infill, options.instruction)


def _paraphrase(options: OperatorOptions) -> Operator:
    if options.paraphraser is None:
        raise UsageError(
            "operator='paraphrase' needs a model that says things in other words: name it with paraphraser=, as a URI "
            "or a function str -> str, or use operator='synonym', which needs none."
        )
    return Paraphrase(options.paraphraser, options.instruction)


OPERATORS: dict[str, Callable[[OperatorOptions], Operator]] = {
    "delete": lambda _: Delete(),
    "placeholder": _placeholder,
    "synonym": _synonym,
    "neutral": _neutral,
    "paraphrase": _paraphrase,
    "noise": lambda options: EmbeddingNoise(SCALE if options.noise is None else options.noise),
}
"""Operators by name."""

BELONGS: dict[str, tuple[str, ...]] = {
    "placeholder": ("placeholder",),
    "lexicon": ("synonym",),
    "infill": ("neutral",),
    "paraphraser": ("paraphrase",),
    "instruction": ("neutral", "paraphrase"),
    "noise": ("noise",),
}
"""Which operators each option goes with."""


def known_operators() -> list[str]:
    """Names of operators: whygen's own, and those of installed packages."""
    return [*OPERATORS, *plugins.entries(plugins.OPERATORS, OPERATORS)]


def load_operator(
    operator: OperatorLike, options: OperatorOptions | None = None, *, placeholder: str | None = None
) -> Operator:
    """The operator that is meant. Before it renders, ``prepare`` makes it ready for a prompt.

    Args:
        operator: a name of `OPERATORS`; an `Operator` of your own, or a function from the text of a unit to the text
            that stands in its place (see `Rewrite`); ``py/package.module:callable`` for one of these, or a name that
            an installed package brings (entry point group ``whygen.operators``).
        options: what one of whygen's own is told.
        placeholder: the text for ``placeholder``, where no options are given; others leave it aside.

    Raises:
        UnknownNameError: if there is no such operator.
        UsageError: if an option belongs to another operator or cannot work, or the object is no operator.
        MissingError: if there is no such module or attribute, or an installed operator cannot be loaded.
    """
    told = options or OperatorOptions()
    if not isinstance(operator, str):
        return _own(operator, told, name=getattr(operator, "__qualname__", None) or type(operator).__name__)
    if operator not in OPERATORS:
        found = plugins.brought(plugins.OPERATORS, operator, argument="operator")
        if found is None:
            raise UnknownNameError("operator", operator, known_operators())
        return _own(found, told, name=operator)
    strange = [name for name in told.given() if operator not in BELONGS[name]]
    if strange:
        meant = ", ".join(f"{name} goes with operator={' or '.join(map(repr, BELONGS[name]))}" for name in strange)
        raise UsageError(f"operator={operator!r} was given {', '.join(strange)}: {meant}. Leave it out, or change one.")
    if operator == "placeholder" and options is None:
        told = OperatorOptions(placeholder=placeholder)
    return OPERATORS[operator](told)


def _own(operator: object, options: OperatorOptions, *, name: str) -> Operator:
    if options.given():
        raise UsageError(
            f"operator={name!r} is not whygen's own, and takes no options: leave out {', '.join(options.given())}."
        )
    if isinstance(operator, Operator):
        return operator
    if callable(operator):
        return Rewrite(operator, name)
    raise UsageError(
        f"operator is a {type(operator).__name__}: give one of {', '.join(known_operators())}, a function from the "
        "text of a unit to what stands in its place, or an object of a subclass of whygen.prompt.operators.Operator, "
        "which has a name and parts(units, mask)."
    )
