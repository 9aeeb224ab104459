"""Operators that a helping model gives the replacements for: ``neutral`` and ``paraphrase``.

What it answers is recorded like every other call, and an error names the unit. ``neutral`` puts something else that
fits the place, so that the prompt stays grammatical and the unit's meaning goes. Three kinds of models can fill it. One
made to fill masks is shown the text with the unit masked. One that continues texts writes what could follow the left
context, and the candidate that makes the rest of the text likeliest is taken. One that answers is asked, in words, for
what could stand there. ``paraphrase`` says each unit in other words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from whygen.calls import Runner
from whygen.errors import ModelError, UsageError
from whygen.models import ContinuesText, FillsMask, Model, ScoresText, load_model
from whygen.prompt.operators.base import Operator, Tools, Unprepared, shown, substitute
from whygen.prompt.operators.synonyms import same_word, written_like
from whygen.prompt.units import Piece, Units, sentences, words
from whygen.stats.seeds import generator
from whygen.texts import has_word
from whygen.types import Failure, Output, Request, Settings

_QUOTES = {'"': '"', "'": "'", "“": "”", "«": "»", "„": "“"}


class Helper:
    """A model that is asked for replacements. What it answered before, in this run or an earlier one, costs nothing."""

    def __init__(self, model: Model, tools: Tools, *, operator: str, option: str) -> None:
        self.model = model
        asker = tools.runner
        here = Runner(model, store=tools.store, progress=tools.progress) if asker is None else asker.beside(model)
        self._runner = here
        self._operator = operator
        self._option = option

    def ask(self, requests: Sequence[Request]) -> list[Output | Failure]:
        return self._runner.ask(requests, label=f"Asking for operator={self._operator!r}")

    def score(self, requests: Sequence[Request]) -> list[Output | Failure]:
        return self._runner.score(requests, label=f"Scoring for operator={self._operator!r}")

    def output(self, answer: Output | Failure, place: int, unit: str) -> Output:
        """The answer for one unit.

        Raises:
            ModelError: if there is none, it was refused or cut short, or it is empty; names the unit and the model.
        """
        if isinstance(answer, Failure):
            raise self.error(place, unit, f"{answer.kind}: {answer.sentence}")
        if answer.finish == "refused":
            raise self.error(place, unit, f"it refused: {answer.text.strip()[:200]!r}")
        if not answer.text.strip():
            raise self.error(place, unit, "its answer is empty")
        return answer

    def error(self, place: int, unit: str, why: str) -> ModelError:
        """That the model gave no replacement for a unit, and what to do."""
        return ModelError(
            f"{self.model.uri} gave no replacement for unit {place + 1}, {shown([unit])} ({why}). Name another model "
            f"with {self._option}=, pin this unit, or use operator='delete'. What was answered is recorded."
        )


def bare(answer: str) -> str:
    """An answer without white space and quotation marks around it."""
    text = answer.strip()
    if len(text) > 2 and _QUOTES.get(text[0]) == text[-1] and text[0] not in text[1:-1]:
        return text[1:-1].strip() or text
    return text


def filled(template: str, **parts: str) -> str:
    """A template with its ``{names}`` filled in, at once: what is filled in may hold braces of its own."""
    pieces: list[str] = []
    rest = template
    while rest:
        found = [(at, name) for name in parts if (at := rest.find(f"{{{name}}}")) >= 0]
        if not found:
            break
        at, name = min(found)
        pieces += [rest[:at], parts[name]]
        rest = rest[at + len(name) + 2 :]
    return "".join([*pieces, rest])


def check_template(template: str, *, needs: str, operator: str) -> None:
    """Refuse an instruction that does not say where the text goes.

    Raises:
        UsageError: naming what is missing.
    """
    if f"{{{needs}}}" not in template:
        raise UsageError(f"instruction={template[:60]!r} for operator={operator!r} must hold {{{needs}}}.")


INFILL = (
    "A piece of this text is missing, at the mark ___.\n\n{left}___{right}\n\nWrite something ordinary that could "
    'stand there, about as long as "{text}" and of the same grammatical kind, but with another meaning. Answer with it '
    "only."
)
"""What a model that answers is asked; ``{left}``, ``{right}`` and ``{text}`` are filled in."""

DRAWS = 8
"""Continuations drawn beside the likeliest one, for a model that continues."""

_RIGHT = 200
"""Characters of the right context by which candidates are compared: what is farther away hardly tells them apart."""

_LONGEST = 5
"""Words that may stand for one; more is no filler but an answer to something else."""


@dataclass(frozen=True)
class Neutral(Unprepared):
    """Put a filler in place of the unit: the likeliest that is neither the unit nor a form of it.

    Attributes:
        model: a URI (``hf/`` with a fill-mask or a causal model, any other model that answers), a callable or a model.
        instruction: what a model that answers is asked.
    """

    model: object
    instruction: str | None = None
    name: str = "neutral"

    def __post_init__(self) -> None:
        if self.instruction is not None:
            check_template(self.instruction, needs="left", operator=self.name)

    def calls(self, units: Units) -> int:
        """At most: a model that continues is asked, and scores what it wrote; the others take one call a unit."""
        return len(units) * 2 * (1 + DRAWS)

    def prepare(self, units: Units, tools: Tools) -> Operator:
        """Ask for the fillers.

        Raises:
            ModelError: if the model refuses, or answers nothing, for a unit.
            UsageError: if no filler differs from its unit, or a fill-mask model is given units of several words.
        """
        model = load_model(self.model, tools.options)
        helper = Helper(model, tools, operator=self.name, option="infill")
        if isinstance(model, FillsMask):
            found = _by_mask(helper, model.mask, units)
        elif isinstance(model, ContinuesText) and model.continues_text and self.instruction is None:
            found = _by_continuing(helper, model, units, seed=int(generator(tools.seed, "infill").integers(2**31)))
        else:
            found = _by_asking(helper, self.instruction or INFILL, units)
        advice = "The model had no other filler: name another with infill=, or use operator='delete'."
        return substitute(self.name, units, tuple(found), advice=advice)


def _around(units: Units, piece: Piece) -> tuple[str, str]:
    """The text before and after a unit."""
    place = units.pieces.index(piece)
    whole = [units.text_at(each) for each in units.pieces]
    hole = units.text_at(piece, "\0")
    left, _, right = hole.partition("\0")
    return "".join(whole[:place]) + left, right + "".join(whole[place + 1 :])


def _likeliest(fillers: Iterable[str], unit: str) -> str:
    """The first filler that is no form of the unit and of its kind (a word, or a mark); else the unit itself."""
    fits = (each for each in fillers if has_word(each) == has_word(unit) and not same_word(each, unit))
    other = next(fits, None)
    return unit if other is None else written_like(other, unit)


def _by_mask(helper: Helper, mask: str, units: Units) -> list[str]:
    long = [text for text in units.texts if len(words(text)) > 1]
    if long:
        raise UsageError(
            f"{helper.model.uri} fills in one word, and some units hold several: {shown(long, most=3)}. Use "
            "units='word', a causal model for infill=, or operator='paraphrase'."
        )
    prompts = [mask.join(_around(units, piece)) for piece in units.free]
    answers = helper.ask([Request(prompt=prompt) for prompt in prompts])
    fillers: list[str] = []
    for place, (unit, answer) in enumerate(zip(units.texts, answers, strict=True)):
        listed = cast(Sequence[tuple[str, float]], helper.output(answer, place, unit).extra["fillers"])
        fillers.append(_likeliest((text for text, _ in listed), unit))
    return fillers


def _by_asking(helper: Helper, template: str, units: Units) -> list[str]:
    requests: list[Request] = []
    for piece, unit in zip(units.free, units.texts, strict=True):
        left, right = _around(units, piece)
        settings = Settings(max_tokens=len(unit) + 32)
        requests.append(Request(prompt=filled(template, left=left, right=right, text=unit), settings=settings))
    fillers: list[str] = []
    for place, (unit, answer) in enumerate(zip(units.texts, helper.ask(requests), strict=True)):
        filler = bare(helper.output(answer, place, unit).text)
        if len(words(filler)) > _LONGEST * len(words(unit)):
            raise helper.error(place, unit, f"it answered at length: {filler[:60]!r}")
        fillers.append(unit if filler.casefold() == unit.casefold() else written_like(filler, unit))
    return fillers


def _by_continuing(helper: Helper, model: Model, units: Units, *, seed: int) -> list[str]:
    """Each unit's candidates are the beginnings of one greedy and `DRAWS` drawn continuations of its left context."""
    around = [_around(units, piece) for piece in units.free]
    requests: list[Request] = []
    for (left, _), unit in zip(around, units.texts, strict=True):
        longest = len(unit) + 8
        ways = [Settings(max_tokens=longest), *[Settings(max_tokens=longest, temperature=1.0, seed=seed)] * DRAWS]
        requests += [Request(prompt=left.rstrip(), settings=how, draw=draw) for draw, how in enumerate(ways)]
    answers = helper.ask(requests)
    candidates: list[list[str]] = []
    for place, unit in enumerate(units.texts):
        own = answers[place * (1 + DRAWS) : (place + 1) * (1 + DRAWS)]
        helper.output(own[0], place, unit)
        texts = [_beginning(answer.text, unit) for answer in own if isinstance(answer, Output)]
        candidates.append([text for each in texts if (text := _likeliest([each], unit)) != unit])
    if isinstance(model, ScoresText):
        return _best_scored(helper, units, around, candidates)
    return [
        max(texts, key=Counter(texts).__getitem__, default=u) for u, texts in zip(units.texts, candidates, strict=True)
    ]


def _beginning(answer: str, unit: str) -> str:
    """As much of a continuation as would stand for the unit: a word or a mark for one, else a sentence."""
    spans = words(answer) if len(words(unit)) == 1 else sentences(answer)
    return answer[slice(*spans[0])] if spans else ""


def _best_scored(
    helper: Helper, units: Units, around: Sequence[tuple[str, str]], candidates: Sequence[Sequence[str]]
) -> list[str]:
    """The candidate under which it and what follows are likeliest together, given what stands before."""
    asked: list[tuple[int, str]] = []
    requests: list[Request] = []
    for place, ((left, right), texts) in enumerate(zip(around, candidates, strict=True)):
        before = left.rstrip()
        for text in dict.fromkeys(texts):
            asked.append((place, text))
            follows = left[len(before) :] + text + right[:_RIGHT]
            requests.append(Request(prompt=before, continuation=follows))
    best: dict[int, tuple[float, str]] = {}
    for (place, text), answer in zip(asked, helper.score(requests), strict=True):
        if isinstance(answer, Output) and answer.scores is not None:
            likely = sum(score.logprob for score in answer.scores)
            if place not in best or likely > best[place][0]:
                best[place] = likely, text
    return [best[place][1] if place in best else unit for place, unit in enumerate(units.texts)]


PARAPHRASE = (
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
        template = self.instruction or ("{text}" if plain else PARAPHRASE)
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
