# pyright: reportUnnecessaryIsInstance=false
# What a plug-in gives may be of any kind, whatever it promises.
"""Whether a target turns outputs into effects, and an operator masks into prompts, as whygen asks them to."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from whygen.errors import UsageError
from whygen.prompt.operators import Operator, OperatorLike, Tools, load_operator
from whygen.prompt.targets import (
    Compares,
    Continues,
    Counts,
    HearsRefusals,
    ReadsReference,
    Target,
    TargetLike,
    load_target,
)  # fmt: skip
from whygen.prompt.units import Units, split
from whygen.testing.clauses import does, near, numbers, require
from whygen.types import Failure, Output, Prompt, Settings, TokenScore

ANSWERS: Final = ("A red fox ran.", "A red fox ran.", "", "A fox sat by the river.", "Naïve café 東京!", "RED\n\nfox")
TEXTS: Final = (
    "Tell a long story about a red fox, please.", "one two two one", "Naïve café 東京!\n\nA second line.", "x, y;  z",
)  # fmt: skip


def check_target(
    target: TargetLike, *, outputs: Sequence[Output] | None = None, references: Sequence[Output] | None = None,
    seed: int = 0,
) -> None:  # fmt: skip
    """That a target turns outputs into effects, each by itself.

    Args:
        target: what `load_target` takes.
        outputs: answers to measure; texts unless given, scored ones for a target that reads log-probabilities.
        references: what the model said to the whole prompt, one or more; the first output unless given.
        seed: of the scores that a target of log-probabilities is given.

    Raises:
        AssertionError: with what is wrong, and what is asked.
    """
    found, rng = load_target(target), np.random.default_rng(seed)
    record = found.record
    require(
        record.name and record.distance and record.unit, f"record is {record}", "It has a name, a distance, a unit."
    )
    require(found.verb in {"answer", "score"}, f"verb is {found.verb!r}", "It is 'answer' or 'score'.")
    references = list(references or [outputs[0] if outputs else Output(text=ANSWERS[0])])
    given = list(outputs or _default_outputs(found, references[0], rng))
    if isinstance(found, ReadsReference):
        does("check", "It raises DataError only for a reference that cannot be measured.", found.check, references[0])
    asked = "effects(outputs, references) gives one finite number for each output, higher where it is nearer."
    effects = _effects(found, given, references, asked)
    require(near(effects, _effects(found, given, references, asked)), "The same outputs got other effects", asked)
    pure = "The effect of an output depends on it and on the references alone, so that answers can be read again."
    alone = np.concatenate([_effects(found, [one], references, asked) for one in given])
    require(near(effects, alone), "An effect depends on the outputs beside it", pure)
    turned = _effects(found, given[::-1], references, asked)[::-1]
    require(near(effects, turned), "An effect depends on the order of the outputs", pure)
    if isinstance(found, Compares):
        _check_compares(found, given, references, effects)
    _check_readings(found, given, references)


def _effects(found: Target, given: Sequence[Output], references: Sequence[Output], asked: str) -> NDArray[np.float64]:
    return numbers("effects", does("effects", asked, found.effects, given, references), (len(given),), asked)


def _default_outputs(found: Target, reference: Output, rng: np.random.Generator) -> list[Output]:
    """Texts; for a target that reads log-probabilities the texts that it wants scored, as five models would."""
    if found.verb == "answer":
        return [reference, *(Output(text=text) for text in ANSWERS)]
    asked = "continuations(reference) gives as many texts as `texts` says."
    texts = (reference.text,)
    if isinstance(found, Continues):
        texts = does("continuations", asked, found.continuations, reference)
        right = len(texts) == found.texts >= 1 and all(isinstance(text, str) for text in texts)
        require(right, f"texts is {found.texts}, and continuations gives {texts!r}", asked)
    ends = len("".join(texts))
    starts = [*range(0, ends, 3), ends]

    def scored() -> tuple[TokenScore, ...]:
        return tuple(TokenScore(a, b, float(-rng.exponential())) for a, b in itertools.pairwise(starts))

    return [Output(finish="scored", scores=scored()) for _ in range(5)]


def _check_compares(
    found: Compares, given: Sequence[Output], references: Sequence[Output], effects: NDArray[np.float64]
) -> None:
    asked = "against gives minus the distance of each output to each reference: 0 for an equal one, else less."
    apart = does("against", asked, found.against, given, references)
    apart = numbers("against", apart, (len(given), len(references)), asked)
    require(apart.max() <= 1e-9, f"against holds {apart.max():g}", asked)
    own = numbers("against", found.against(references, references), (len(references),) * 2, asked).diagonal()
    require(np.abs(own).max() <= 1e-6, f"A reference is {-own.min():g} away from itself", asked)
    require(near(apart.mean(axis=1), effects), "effects are not the means of against over the references", asked)


def _check_readings(found: Target, given: Sequence[Output], references: Sequence[Output]) -> None:
    if isinstance(found, Counts):
        told, unread = found.outcomes(given, references), found.unread(given)
        asked = "outcomes says of each output what was read; unread says why some cannot be, once for each of these."
        right = len(told) == len(given) and all(isinstance(each, str) for each in told)
        require(right, f"{len(given)} outputs have the outcomes {told!r}", asked)
        require(len(unread) <= len(given), f"{len(given)} outputs have {len(unread)} reasons", asked)
    if isinstance(found, HearsRefusals):
        other = Failure(kind="transient", message="the line went dead", advice="Ask again.")
        asked = "heard gives an Output for a refused request, and any other failure as it is."
        require(found.heard(other) is other, "A failure that is no refusal was heard as an answer", asked)
        heard = found.heard(Failure(kind="refused", message="no", advice="Ask for something else."))
        require(isinstance(heard, Output), "A refusal was not heard", asked)


def check_operator(
    operator: OperatorLike, *, prompts: Sequence[Prompt] = TEXTS, tools: Tools | None = None, seed: int = 0
) -> None:
    """That an operator makes one prompt of one mask, and leaves alone what is kept.

    Args:
        operator: what `load_operator` takes.
        prompts: texts or chats of at least one unit.
        tools: what it may use to get ready; nothing unless given.
        seed: of the masks.

    Raises:
        AssertionError: with what is wrong, and what is asked.
    """
    found, rng = load_operator(operator), np.random.default_rng(seed)
    require(isinstance(found.name, str) and found.name, f"name is {found.name!r}", "It is what records call it.")
    refused: list[str] = []
    for prompt in prompts:
        units = split(cast("str", prompt), "word")
        count = does("calls", "calls(units) is a whole number.", found.calls, units)
        require(isinstance(count, int) and count >= 0, f"calls(units) is {count!r}", "It is a whole number, 0 or more.")
        ready = _ready(found, units, tools or Tools(), refused)
        if ready is not None:
            masks = [np.ones(len(units), bool), np.zeros(len(units), bool)]
            masks += [rng.random(len(units)) < 0.5 for _ in range(4)]
            _check_parts(ready, units, masks)
            _check_rendered(ready, units, masks)
    require(
        len(refused) < len(prompts), f"Every prompt was refused: {refused[:1]}", "Give a prompt that it can change."
    )


def _ready(found: Operator, units: Units, tools: Tools, refused: list[str]) -> Operator | None:
    """The operator ready for a prompt; None where it has nothing to put in place of any unit, and says so."""
    asked = "prepare(units, tools) gives the operator, ready; it refuses a prompt with a UsageError."
    try:
        ready = does("prepare", asked, found.prepare, units, tools)
    except AssertionError as error:
        if not isinstance(error.__cause__, UsageError):
            raise
        refused.append(str(error.__cause__))
        return None
    require(isinstance(ready, Operator), f"prepare gives a {type(ready).__name__}", asked)
    return ready


def _check_parts(ready: Operator, units: Units, masks: Sequence[NDArray[np.bool_]]) -> None:
    asked = "parts(units, mask) gives the text at each of units.pieces; a piece that is kept or pinned stands as it is."
    for mask in masks:
        before = mask.copy()
        parts = does("parts", asked, ready.parts, units, mask)
        require(np.array_equal(mask, before), "parts changed the mask", asked)
        right = len(parts) == len(units.pieces) and all(isinstance(part, str) for part in parts)
        require(right, f"{len(units.pieces)} pieces have the parts {parts!r}", asked)
        for piece, part in zip(units.pieces, parts, strict=True):
            kept = piece.unit is None or mask[piece.unit]
            own = units.text_at(piece)
            require(not kept or part == own, f"The kept piece {own!r} became {part!r}", asked)


def _check_rendered(ready: Operator, units: Units, masks: Sequence[NDArray[np.bool_]]) -> None:
    asked = "One mask gives one prompt and one set of settings, whatever was rendered before."
    base = Settings(max_tokens=8)
    first = [(ready.render(units, mask), ready.settings(units, mask, base)) for mask in masks]
    again = [(ready.render(units, mask), ready.settings(units, mask, base)) for mask in reversed(masks)][::-1]
    require(first == again, "A mask was rendered in two ways", asked)
    (whole, settings), (nothing, others) = first[:2]
    require(whole == units.prompt, f"With every unit kept {units.prompt!r} became {whole!r}", "It stays as it is.")
    require(settings == base, "With every unit kept the settings are others", "They stay as they are.")
    asked = "by_settings says whether the settings, and not the text, tell masks apart; one of them must."
    require((others != base) == ready.by_settings, f"by_settings is {ready.by_settings}", asked)
    require(ready.by_settings or nothing != whole, f"Without any unit {units.prompt!r} stays as it is", asked)
