"""``paraphrase``: each unit said in other words, by a model or a function that the user names."""

from __future__ import annotations

from dataclasses import dataclass

from whygen.models import Model, load_model
from whygen.prompt.operators.base import Operator, Tools, Unprepared, substitute
from whygen.prompt.operators.helping import Helper, bare, check_template, filled
from whygen.prompt.operators.words import has_word
from whygen.prompt.units import Units
from whygen.types import Output, Request, Settings

INSTRUCTION = (
    "Say the following in other words. Keep what it means, its language and its kind (a word, a sentence, a "
    "paragraph). Answer with the new wording only.\n\n{text}"
)
"""What a model is asked. A function gets the text of the unit alone, unless an instruction is given."""

_SPARE = 64
"""Tokens that an answer may have over one for each character of the unit."""


@dataclass(frozen=True)
class Paraphrase(Unprepared):
    """Put the unit's paraphrase in its place. Equal units are asked for once; marks of punctuation stay as they are.

    Attributes:
        model: a URI, a callable ``str -> str``, or a model object.
        instruction: what it is asked, with ``{text}`` where the unit goes.
    """

    model: object
    instruction: str | None = None
    name: str = "paraphrase"

    def __post_init__(self) -> None:
        if self.instruction is not None:
            check_template(self.instruction, needs="text", operator=self.name)

    def calls(self, units: Units) -> int:
        return len(_asked_for(units))

    def prepare(self, units: Units, tools: Tools) -> Operator:
        """Ask for the paraphrases, at temperature 0.

        Raises:
            ModelError: if the model refuses, answers nothing or does not come to an end.
            UsageError: if no paraphrase differs from its unit.
        """
        plain = callable(self.model) and not isinstance(self.model, Model)
        template = self.instruction or ("{text}" if plain else INSTRUCTION)
        helper = Helper(load_model(self.model, tools.options), tools, operator=self.name, option="paraphraser")
        texts = _asked_for(units)
        answers = helper.ask([_request(template, text) for text in texts])
        outputs = [helper.output(answer, units.texts.index(t), t) for t, answer in zip(texts, answers, strict=True)]
        found = {text: _wording(helper, units, text, output) for text, output in zip(texts, outputs, strict=True)}
        advice = "Name another model with paraphraser=, say in instruction= what may change, or use operator='delete'."
        return substitute(self.name, units, tuple(found.get(text, text) for text in units.texts), advice=advice)


def _asked_for(units: Units) -> list[str]:
    return [text for text in dict.fromkeys(units.texts) if has_word(text)]


def _request(template: str, text: str) -> Request:
    return Request(prompt=filled(template, text=text), settings=Settings(max_tokens=len(text) + _SPARE))


def _wording(helper: Helper, units: Units, text: str, output: Output) -> str:
    if output.finish == "length":
        raise helper.error(units.texts.index(text), text, f"it wrote over {len(text) + _SPARE} tokens without an end")
    return bare(output.text)
