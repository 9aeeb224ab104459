"""What an explanation was made with: enough to read, evaluate, check and compare it again without being told twice.

A recipe is plain data. What cannot be written down (a callable of one's own, an open encoder) is named instead, and
`Recipe.again` lists the arguments that must then be given again. No key is in a recipe: an address comes without user,
password and query, and every text passes through `whygen.safe.without_secrets`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from pydantic import JsonValue

from whygen.results.records import Figure, Record, Text

Span: TypeAlias = tuple[int, int]


class ModelRecipe(Record):
    """The model that was asked.

    Attributes:
        uri: as in `PromptExplanation.model`.
        server: the server's address, without user, password and query; None for a model that runs here.
        endpoint: of the server, where the model has more than one.
        dtype: the precision of a local model, where it says so.
        identity: sha256 of all that makes the model answer as it does (files, commit, address); None where nobody can
            know, such as for a function.
    """

    uri: str
    server: str | None = None
    endpoint: str | None = None
    dtype: str | None = None
    identity: str | None = None


class OperatorRecipe(Record):
    """What stood in the place of a unit that was not kept.

    Attributes:
        name: of the operator.
        placeholder: the text, for ``placeholder``.
        lexicon: for ``synonym``: the words and their substitutes, or the file that held them.
        infill: for ``neutral``: the model that filled in, by its URI.
        paraphraser: for ``paraphrase``: the model that said units in other words, by its URI.
        instruction: what such a model was asked, where it was chosen.
        noise: for ``noise``: its length in average embeddings.
        replacements: what stood for each unit, in order, where the operator has one text for each. With it the prompts
            can be made again without any model.
    """

    name: str
    placeholder: Text | None = None
    lexicon: Mapping[str, str] | str | None = None
    infill: str | None = None
    paraphraser: str | None = None
    instruction: Text | None = None
    noise: float | None = None
    replacements: tuple[Text, ...] | None = None


class TargetRecipe(Record):
    """What was measured, as `load_target` takes it.

    Attributes:
        name: with its argument after a colon, such as ``logprob:snow``; or ``py/module:callable``; or the name of a
            callable of one's own, which must be given again.
        span: of ``logprob`` and ``contains``, where the name does not hold it: a text of the output, or characters
            ``[start, end)``.
        alternative: of ``contrastive``: the text that the model did not say.
        distance: of ``contrastive``: what compares the answers; None for log-probabilities.
        verb: whether the model was asked to ``answer``, or to ``score`` a given text.
    """

    name: Text
    span: Text | Span | None = None
    alternative: Text | None = None
    distance: str | None = None
    verb: Literal["answer", "score"] = "answer"


class DesignRecipe(Record):
    """How the masks were drawn. The masks themselves are in the evidence.

    Attributes:
        name: ``auto``, ``gsmile``, or ``own`` for masks that a person gave.
        keep: the probability with which each unit was kept.
        sizes: the chance of each size 1 .. n - 1 of a mask, where masks were drawn by size.
        kept: the chance of each number 0 .. n of kept units, where masks were drawn by that number.
        drawn_from: how many masks there were to draw from without replacement; None where a mask could come again.
        population: how many groups of masks there were to draw from; None where that is too many to matter.
    """

    name: str = "auto"
    keep: float
    sizes: tuple[float, ...] | None = None
    kept: tuple[float, ...] | None = None
    drawn_from: Figure = None
    population: int | None = None


class Recipe(Record):
    """Everything that was chosen for one explanation. Seed, settings, prompt and versions stand in the explanation.

    Attributes:
        source: what was explained: a ``text``, a ``chat``, a ``template`` or an ``edit``; or a template over many
            ``inputs``.
        model: the model that was asked.
        budget: answers that could be asked for in all.
        units: the kind of unit, such as ``word``; or spans of one's own.
        pin: what was always sent, as it was given.
        within: of a chat, the parts that alone were cut by ``units``; the rest was cut into parts.
        passages: of a chat, the regular expression by which parts of texts were found; None for the usual marks.
        operator: what stood in the place of a unit.
        regions: of an edit: how many superpixels the picture was cut into, about.
        fill: of an edit: what stood where a region was taken away.
        target: what was measured.
        estimand: what an attribution means.
        design: how the masks were drawn.
        kernel: what ``local`` calls near; the name of one of your own must be given again.
        scale: whether effects were rescaled over the run.
        surrogate: as it was chosen; ``auto`` for the default.
        draws: answers to each mask.
        references: reference answers.
        model_noise: whether the model's noise was measured, or stated to be none.
        steadiness: what was known of equal questions getting equal answers.
        distribution: how sets of draws were compared; None where single answers were.
        empty: whether the prompt without any unit was included.
        tolerance: the width of intervals at which the run could stop.
        stable: how many units had to keep their order for the run to stop.
        irrelevant: whether answers about something else were counted, or left out.
        hierarchy: the levels of a long prompt; None for one level.
        interactions: the most pairs of units that were reported.
        matrix: whether sentences of the output were explained as well.
        sets: further calls to find few units that change the answer; None where they were not looked for.
        suspect: names of parts that were asked whether the action comes from them, beside those from outside; None
            where nobody was asked about.
        encoder: as it was given: a name that opens it, or ``auto``.
        again: arguments that cannot be written down and must be given again, such as ``target`` for a callable of
            one's own.
    """

    source: Literal["text", "chat", "template", "edit", "inputs"] = "text"
    model: ModelRecipe
    budget: int
    units: str | tuple[Span, ...] = "word"
    pin: tuple[Text, ...] = ()
    within: tuple[Text, ...] = ()
    passages: Text | None = None
    operator: OperatorRecipe
    regions: int = 0
    fill: str = "mean"
    target: TargetRecipe
    estimand: str
    design: DesignRecipe
    kernel: str = "dropped"
    scale: str = "none"
    surrogate: str = "auto"
    draws: int = 1
    references: int = 1
    model_noise: str = "measure"
    steadiness: Literal["known", "so far", "differs"] = "so far"
    distribution: str | None = None
    empty: str = "include"
    tolerance: float | None = None
    stable: int | None = None
    irrelevant: str = "count"
    hierarchy: str | None = None
    interactions: int = 0
    matrix: str = "none"
    sets: int | None = None
    suspect: tuple[Text, ...] | None = None
    proxy: str | None = None
    proxy_budget: int | None = None
    encoder: str = "auto"
    again: tuple[str, ...] = ()

    def to_json(self) -> dict[str, JsonValue]:
        """Plain values, in the order of the fields."""
        return self.model_dump(mode="json")


class AskedRecord(Record):
    """What `explain_anchors` was asked with, as far as it can be written down.

    Attributes:
        given: ``model``, ``anchors`` and every argument that was no default: texts, numbers, paths, and lists of these.
        by_hand: names of the arguments that were objects (arrays, open models, functions), and must be given again.
        only: the criteria that were read since, where these are not all that were scored.
    """

    given: dict[str, JsonValue]
    by_hand: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
