"""What the bench shows of an explanation: words, answers with and without one, sentences, two runs, rules. No calls."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any, Final

import numpy as np

from whygen.errors import UsageError
from whygen.evaluation.check import check
from whygen.evaluation.compare import Comparison, UnitPair
from whygen.evaluation.rules import read_rule
from whygen.prompt.edits import RegionUnits
from whygen.prompt.offline import read
from whygen.prompt.operators.base import Delete, Placeholder
from whygen.prompt.saved import units_of
from whygen.prompt.units import Sent
from whygen.report.texts import counted, decimals_for, shorten, signed, visible
from whygen.results.evidence import Evidence
from whygen.results.many import Explanations
from whygen.results.prompt import PromptExplanation
from whygen.results.summary import summarise
from whygen.results.summary.many import summarise_many
from whygen.results.summary.pictured import picture_url
from whygen.texts import Stretch, differences
from whygen.types import Output
from whygen.web.bench_runs import LONGEST_ANSWER, LiveRun, pieces
from whygen.web.state import place_id

MOST_ANSWERS: Final = 5
"""Recorded answers without a word that are shown."""
LONGEST: Final = 6_000
"""Characters of an answer that are shown beside another."""
COMPARED: Final = frozenset({"optimal-transport", "cosine", "tfidf", "token-set", "edit", "logprob"})
"""Targets that say something of each sentence; of answers to any other, `auto` does."""
RULES: Final = "rules.txt"
_SHOWN = ("headline", "facts", "warnings", "noun", "unit", "level", "meaning", "tested", "units")


def found(explanation: PromptExplanation) -> dict[str, Any]:
    """The end of a run: words with what a report says of each, and the answer."""
    summary = summarise(explanation)
    return {name: summary[name] for name in _SHOWN} | {
        "pieces": pieces(explanation.prompt, [(unit.start, unit.end) for unit in explanation.units]),
        "answer": summary["reference"]["text"],
        "calls": explanation.calls.model_dump(),
        "ended": explanation.ended,
        "stopped": explanation.stopped,
        "picture": reference_picture(explanation),
        "one": not explanation.inputs,
        "target": explanation.target.name,
    }


def stretches(parts: tuple[Stretch, ...]) -> list[dict[str, Any]]:
    """A text beside another, as the page marks it."""
    return [{"text": visible(part.text), "own": part.own} for part in parts]


def picture_of(answer: Output) -> str | None:
    """What was drawn, as a data URL; None where the answer is a text."""
    return None if answer.picture is None else picture_url(answer.picture)


def reference_picture(explanation: PromptExplanation) -> str | None:
    """What was drawn for the whole prompt, as a data URL; None where the answer is a text."""
    evidence = explanation.evidence
    rows = [] if evidence is None else [i for i, each in enumerate(evidence.samples) if each.kind == "reference"]
    return None if evidence is None or not rows else _drawn(evidence, rows[0])


def _drawn(evidence: Evidence, sample: int) -> str | None:
    found = None if evidence.pictures is None else evidence.pictures.of(sample)
    return None if found is None else picture_url(found)


def many(listed: Explanations, folder: Path) -> dict[str, Any]:
    """The end of a run of many prompts: a line for each, and where it is shown."""
    summary = summarise_many(listed)
    return {
        "headline": summary["headline"],
        "notes": summary["notes"],
        "lines": [
            {
                "prompt": visible(shorten(item.name if item.explanation is None else item.explanation.prompt, 120)),
                "said": line["headline"] or line["error"],
                "failed": item.explanation is None,
                "shelf": f"/explanations/{place_id(folder / item.folder)}" if item.folder else None,
            }
            for item, line in zip(listed.items, summary["lines"], strict=False)
        ],
    }


def side_by_side(with_it: str, without_it: str) -> dict[str, Any]:
    """Two answers, with what each has alone."""
    one, other = differences(with_it[:LONGEST], without_it[:LONGEST])
    cut = max(len(with_it), len(without_it)) > LONGEST
    return {"with": stretches(one), "without": stretches(other), "same": with_it == without_it, "cut": cut}


def prompt_without(explanation: PromptExplanation, unit: int, put: str) -> Sent:
    """The prompt without a unit, as a mask leaves it out; or with another text in its place.

    Raises:
        UsageError: if there is no such unit.
    """
    _check_unit(explanation, unit)
    one = explanation.units[unit]
    if explanation.inputs:
        raise UsageError("These are many inputs, and one prompt would answer for one of them. Explain that one.")
    units = units_of(explanation)
    if put and isinstance(units, RegionUnits):
        raise UsageError("A part of a picture has no text in its place. Leave it out.")
    if put and explanation.chat is None:
        return units.sent(explanation.prompt[: one.start] + put + explanation.prompt[one.end :])
    mask = np.ones(len(units), dtype=bool)
    mask[unit] = False
    return (Placeholder(put) if put else Delete()).render(units, mask)


def recorded_without(explanation: PromptExplanation, unit: int) -> list[dict[str, Any]]:
    """The recorded answers to prompts without a unit, those that lack least else first, each beside the answer.

    Raises:
        UsageError: if there is no such unit.
    """
    _check_unit(explanation, unit)
    evidence = explanation.evidence
    if evidence is None:
        return []
    lacks = ~evidence.masks[:, unit]
    order = np.flatnonzero(lacks)[np.argsort(-evidence.masks[lacks].sum(axis=1), kind="stable")]
    answers = [(row, place) for row in order.tolist() if (place := _answer(evidence, row)) is not None]
    whole = reference_picture(explanation)
    return [
        side_by_side(explanation.reference.text, (sample := evidence.samples[place]).output)
        | {
            "pictures": {"with": whole, "without": _drawn(evidence, place)},
            "prompt": visible(sample.prompt),
            "also": [visible(explanation.units[i].text) for i in np.flatnonzero(~evidence.masks[row]) if i != unit],
        }
        for row, place in answers[:MOST_ANSWERS]
    ]


def _answer(evidence: Evidence, row: int) -> int | None:
    """The sample that is the first answer to a mask; None where a given text was scored, so that nothing was said."""
    place = -1 if evidence.answers is None else int(evidence.answers[row, 0])
    return None if place < 0 or evidence.samples[place].finish == "scored" else place


def sentences(explanation: PromptExplanation) -> dict[str, Any]:
    """What drove each sentence of the answer, read from the answers there are.

    Raises:
        UsageError: if the answers cannot be read by sentences.
        DataError: if the answer has no sentence.
    """
    if reference_picture(explanation) is not None:
        raise UsageError("A picture has no sentences.")
    own = explanation.target.name in COMPARED
    matrix = read(explanation, target=None if own else "auto", matrix="sentence").matrix
    if matrix is None:
        raise UsageError("The answers of this run cannot be read sentence by sentence.")
    spans = [(sentence.start, sentence.end) for sentence in matrix.sentences]
    return {
        "pieces": pieces(explanation.reference.text[:LONGEST_ANSWER], spans),
        "values": matrix.attributions,
        "low": matrix.low,
        "high": matrix.high,
        "sure": matrix.significant,
        "by": visible(matrix.target.name),
    }


def compared(comparison: Comparison) -> dict[str, Any]:
    """Two runs beside each other, with how many words changed in a sentence.

    A difference is the middle of its interval: where the two answers differ, both runs are read against both, and the
    values that each of them shows, against its own, are no two sides of it.
    """
    largest = max((abs(value) for pair in comparison.units for value in (pair.first, pair.second)), default=0.0)
    decimals = decimals_for(largest)
    changed, many = sum(pair.changed for pair in comparison.units), len(comparison.units)
    said = (
        f"{changed} of {many} words that both have changed (5% false-discovery rate)."
        if changed
        else f"Of {counted(many, 'word')} that both have, none changed beyond what chance does."
    )
    return {
        "said": said,
        "notes": [visible(note) for note in comparison.notes],
        "only_first": [visible(text) for text in comparison.only_first],
        "only_second": [visible(text) for text in comparison.only_second],
        "units": [_pair(pair, decimals) for pair in comparison.units],
    }


def _pair(pair: UnitPair, decimals: int) -> dict[str, Any]:
    known = pair.low is not None and pair.high is not None
    low, high = (pair.low or 0.0, pair.high or 0.0)
    return {
        "text": visible(pair.text),
        "first": signed(pair.first, decimals),
        "second": signed(pair.second, decimals),
        "difference": signed(pair.difference, decimals),
        "interval": f"{signed(low, decimals)} to {signed(high, decimals)}" if known else None,
        "changed": pair.changed,
    }


def rules_for(explanation: PromptExplanation, unit: int) -> list[str]:
    """Rules of `whygen check` that a unit's finding makes.

    Raises:
        UsageError: if there is no such unit.
    """
    _check_unit(explanation, unit)
    one = explanation.units[unit]
    quote = "'" if "'" not in one.text else '"'
    # A rule is read by people: a text with hidden characters would show another one than it holds.
    if quote in one.text or not one.text.strip() or re.search(r"[\r\n]", one.text) or visible(one.text) != one.text:
        return []
    twins = [i for i, each in enumerate(explanation.units) if each.text == one.text]
    which = f" #{twins.index(unit) + 1}" if len(twins) > 1 else ""
    named = f"unit {quote}{one.text}{quote}{which}"
    if not one.significant:
        return [f"{named} not significant"]
    sign, side = (">", one.low) if one.attribution > 0 else ("<", one.high)
    limits = [] if side is None or side * one.attribution <= 0 else [f"{named} attribution {sign} {side / 2:.3g}"]
    return [f"{named} significant", *limits]


def write_rule(run: LiveRun, unit: int, rule: str) -> dict[str, Any]:
    """Write a rule beside the saved explanation, and hold the explanation against it.

    Raises:
        UsageError: if it is none of the rules that were offered, or the run is not on the shelf.
        StoreError: if the file cannot be written.
    """
    if rule not in rules_for(run.found(), unit):
        raise UsageError("That is none of the rules that this word offers.")
    if run.folder is None:
        raise UsageError("The rule has no place: the explanation was not saved. Start the viewer on a folder of yours.")
    file = run.folder / RULES
    kept = file.read_text(encoding="utf-8") if file.is_file() else ""
    if rule not in kept.split("\n"):
        end = "\n" if kept and not kept.endswith("\n") else ""  # a person may have written the last line
        file.write_text(f"{kept}{end}{rule}\n", encoding="utf-8")
    [judged] = check(run.folder, [read_rule(rule)])
    return {
        "file": visible(str(file)),
        "command": f"whygen check {shlex.quote(str(run.folder))} --rules {shlex.quote(str(file))}",
        "verdict": judged.verdict,
        "observed": visible(judged.observed),
    }


def _check_unit(explanation: PromptExplanation, unit: int) -> None:
    if not 0 <= unit < len(explanation.units):
        raise UsageError(f"There is no word number {unit}: the prompt has {len(explanation.units)}.")
