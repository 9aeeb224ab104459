"""Stability: what is left of an explanation when something changes that should not matter. METHODS A7.

``###``: it is appended to the prompt, always sent, never attributed; same seed. ``seed``: other masks (and other
samples, where the model samples). ``paraphrase``: the prompts that the person gives in other words; units are matched
by their text. ``reworded``: every unit that a lexicon or a paraphraser knows is said otherwise, units matched by place.

``operators``: the same prompt, seed and masks under another operator (METHODS A4, A8): ``delete`` and ``placeholder``
always; ``synonym``, ``neutral`` and ``paraphrase`` where what they need was given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

import numpy as np

from whygen.errors import MissingError, UsageError
from whygen.evaluation.case import Case, Metric
from whygen.evaluation.measures import agreement
from whygen.evaluation.result import LeftOut, Measure
from whygen.prompt.edits import RegionUnits
from whygen.prompt.operators import Operator, OperatorOptions, load_operator
from whygen.prompt.units import ChatUnits, Piece, Slot, TemplateUnits, Units, saying
from whygen.results.prompt import PromptExplanation, Section
from whygen.types import Chat

SUFFIX = " ###"

HELP = "Give paraphrases=[...] (the prompt in other words), lexicon= (words and others for them) or paraphraser=."


def seeds(case: Case) -> list[int]:
    """Seeds of further explanations, none of which is the explanation's own."""
    first = max(case.seed, case.explanation.seed) + 1
    return list(range(first, first + case.repeats))


def again(case: Case) -> list[PromptExplanation]:
    """The explanation by other seeds, which is asked for once in an evaluation."""
    if not case.again:
        case.again[:] = [case.lab.explain(seed=seed) for seed in seeds(case)]
    return case.again


def calls_again(case: Case) -> int:
    """Answers that the explanations by other seeds ask for, if that is still to be done."""
    return 0 if case.again else case.lab.ask_calls() * case.repeats


def calls(case: Case) -> int:
    """Explanations: by other seeds, with the suffix by each seed, and reworded."""
    reworded = len(case.paraphrases) + ("lexicon" in case.lab.choices) + ("paraphraser" in case.lab.choices)
    return case.lab.ask_calls() * (case.repeats + 1 + reworded) + calls_again(case)


def measure(case: Case) -> list[Measure]:
    """Agreement under each change."""
    own, others = case.explanation, again(case)
    by_seed = [agreement.pair(own, other) for other in others]
    rows = agreement.rows(
        "stability", "seed", by_seed, seed=case.seed, how=f"explained again by {case.repeats} other seeds"
    )
    rows += _suffixed(case, others)
    changed, what = _paraphrased(case)
    if changed:
        rows += agreement.rows("stability", "paraphrase", changed, seed=case.seed, how=what)
    else:
        case.left.append(LeftOut(metric="stability under paraphrase", reason=what))
    return rows


def _suffixed(case: Case, others: Sequence[PromptExplanation]) -> list[Measure]:
    units = suffixed(case.lab.units(), SUFFIX)
    found = [case.lab.explain(seed=seed, units=units) for seed in (case.explanation.seed, *seeds(case))]
    pairs = [agreement.pair(one, two) for one, two in zip((case.explanation, *others), found, strict=True)]
    how = f"'###' appended to the prompt, by the same seed, over {len(pairs)} seeds"
    return agreement.rows("stability", "suffix", pairs, seed=case.seed, how=how)


def _paraphrased(case: Case) -> tuple[list[agreement.Pair], str]:
    """Pairs with each paraphrase, and how they came about; no pair: why there is none."""
    explanation, lab = case.explanation, case.lab
    pairs = _given(case)
    ways = ["the given paraphrases"] if pairs else []
    for name, option in (("synonym", "lexicon"), ("paraphrase", "paraphraser")):
        if option not in lab.choices:
            continue
        try:
            operator = load_operator(name, OperatorOptions(**{option: lab.choices[option]}))
            pairs.append(agreement.pair(explanation, _reworded(case, operator)))
            ways.append(f"every unit that the {option} knows said otherwise")
        except (UsageError, MissingError) as error:
            case.left.append(LeftOut(metric=f"stability under {option}", reason=str(error)))
    return pairs, f"the prompt in other words: {', '.join(ways)}" if pairs else f"No paraphrase was given. {HELP}"


def _given(case: Case) -> list[agreement.Pair]:
    """Pairs with the prompts that the person gave; those that cannot be cut as it was are told."""
    explanation, lab = case.explanation, case.lab
    pairs: list[agreement.Pair] = []
    for text in case.paraphrases:
        try:
            other = lab.explain(seed=explanation.seed, units=lab.reworded(text))
            pairs.append(agreement.pair(explanation, other))
        except UsageError as error:
            case.left.append(LeftOut(metric=f"stability under {text!r}", reason=str(error)))
    return pairs


def _reworded(case: Case, operator: Operator) -> PromptExplanation:
    """The explanation of the prompt in which every unit is said otherwise, at the same places."""
    units = case.lab.units()
    ready = operator.prepare(units, case.lab.tools(case.seed))
    other = said(units, ready.parts(units, np.zeros(len(units), dtype=bool)))
    return case.lab.explain(seed=case.explanation.seed, units=other)


def suffixed(units: Units, suffix: str) -> Units:
    """The same units with a text behind them that is always sent: behind the last message of a chat."""
    if isinstance(units, RegionUnits):
        instruction = units.edit.instruction + suffix
        shown = [instruction, *units.parts[1:]]
        return replace(said(units, shown), edit=replace(units.edit, instruction=instruction))
    place = _last(units).end if isinstance(units, ChatUnits) else len(units.text)
    lead = len(suffix) - len(suffix.lstrip())
    held = Piece(place, place + lead, place + len(suffix), place + len(suffix), None)
    before = [piece for piece in units.pieces if piece.end <= place]
    after = [_moved(piece, len(suffix)) for piece in units.pieces if piece.end > place]
    text = units.text[:place] + suffix + units.text[place:]
    pieces = (*before, held, *after)
    if not isinstance(units, ChatUnits):
        return replace(units, text=text, pieces=pieces)
    last = _last(units)
    longer = replace(last, end=place + len(suffix), inner=(last.inner[0], place + len(suffix)))
    slots = tuple(longer if slot == last else _slot_moved(slot, place, len(suffix)) for slot in units.slots)
    sections = tuple(
        section.model_copy(
            update={
                "start": section.start + len(suffix) * (section.start >= place),
                "end": section.end + len(suffix) * (section.end >= place),
            }
        )
        for section in units.sections
    )
    return replace(units, text=text, pieces=pieces, slots=slots, sections=sections, chat=_said_in(units, slots, text))


def _last(units: ChatUnits) -> Slot:
    """The last text of a chat that can be said otherwise."""
    return next(slot for slot in reversed(units.slots) if slot.tool is None and slot.inner == (slot.start, slot.end))


def _slot_moved(slot: Slot, place: int, by: int) -> Slot:
    return (
        slot
        if slot.start < place
        else replace(slot, start=slot.start + by, end=slot.end + by, inner=(slot.inner[0] + by, slot.inner[1] + by))
    )


def _said_in(units: ChatUnits, slots: Sequence[Slot], text: str) -> Chat:
    """The chat when its texts are what stands at these places of another transcript."""
    texts = [text[slot.start : slot.end] for slot in slots]
    messages = [message for message in saying(units.chat, units.slots, texts) if message is not None]
    return replace(units.chat, messages=messages)


def said(units: Units, parts: Sequence[str]) -> Units:
    """The same units in other words, at the same places: one text for each piece, white space around it as it was."""
    grown = [len(part) - (piece.end - piece.start) for piece, part in zip(units.pieces, parts, strict=True)]
    before = [0, *accumulate(grown)]

    def place(old: int) -> int:
        """Where a place is now: what stands between two pieces moves by all that grew before."""
        return old + sum(more for more, piece in zip(grown, units.pieces, strict=True) if piece.stop <= old)

    pieces = tuple(
        Piece(piece.start + by, piece.core + by, piece.stop + by + more, piece.end + by + more, piece.unit)
        for piece, by, more in zip(units.pieces, before, grown, strict=False)
    )
    told: dict[str, Any] = {"text": "".join(parts), "pieces": pieces, "sections": _all_moved(units.sections, place)}
    if isinstance(units, TemplateUnits):
        told["lists"] = tuple((place(start), place(end)) for start, end in units.lists)
    if isinstance(units, ChatUnits):
        slots = tuple(
            replace(
                slot, start=place(slot.start), end=place(slot.end), inner=(place(slot.inner[0]), place(slot.inner[1]))
            )
            for slot in units.slots
        )
        told |= {"slots": slots, "lists": tuple((place(start), place(end)) for start, end in units.lists)}
        told["chat"] = _said_in(units, slots, told["text"])
    return replace(units, **told)


def _all_moved(sections: Sequence[Section], place: Callable[[int], int]) -> tuple[Section, ...]:
    return tuple(
        section.model_copy(update={"start": place(section.start), "end": place(section.end)}) for section in sections
    )


def _moved(piece: Piece, by: int) -> Piece:
    return Piece(piece.start + by, piece.core + by, piece.stop + by, piece.end + by, piece.unit)


METRIC = Metric("stability", calls, measure)


NEEDS = {"synonym": "lexicon", "neutral": "infill", "paraphrase": "paraphraser"}
"""Operators that are compared where this was given."""


def _others(case: Case) -> list[str]:
    """Operators to compare with."""
    given = [name for name, option in NEEDS.items() if option in case.lab.choices]
    return [name for name in ("delete", "placeholder", *given) if name != case.explanation.operator]


def calls_by_operators(case: Case) -> int:
    """One explanation for each operator."""
    return case.lab.ask_calls() * len(_others(case))


def measure_operators(case: Case) -> list[Measure]:
    """Agreement of the explanation with that under each other operator."""
    rows: list[Measure] = []
    for name in _others(case):
        try:
            told = case.lab.explain(seed=case.explanation.seed, operator=name)
        except (UsageError, MissingError) as error:
            case.left.append(LeftOut(metric=f"operators: {name}", reason=str(error)))
            continue
        how = f"{case.explanation.operator} beside {name}, same masks"
        pairs = [agreement.pair(case.explanation, told)]
        rows += agreement.rows("operators", name, pairs, seed=case.seed, how=how)
    return rows


OPERATORS = Metric("operators", calls_by_operators, measure_operators)
