"""A review as a comment on GitHub: Markdown, in which the texts of prompts and models are quoted and nothing else.

Whoever opens a pull request writes its prompts, and a model writes its answers. Such text stands in ``<code>``, where
GitHub links nothing and mentions nobody, with every character that Markdown or HTML could read as its own written as
an entity; hidden characters are shown by name.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from whygen.bridges.review.explaining import Review, ReviewedPrompt
from whygen.evaluation.compare import Comparison
from whygen.report.texts import clip, counted, listed, number, p_value, signed
from whygen.results.prompt import PromptExplanation, UnitAttribution
from whygen.results.summary.words import strongest
from whygen.safe import clean
from whygen.version import __version__

MARK: Final = "<!-- whygen-review -->"
"""By which the comment is found again; nobody sees it."""
MOST_CHARACTERS: Final = 60_000
"""GitHub takes 65,536."""
MOST_ROWS: Final = 30
LONGEST: Final = 120
LONGEST_ANSWER: Final = 300


def comment(found: Review) -> str:
    """The comment: which units of which prompts do something else than before, with intervals."""
    parts = [MARK, f"### {_headline(found)}"]
    parts += [_prompt(each) for each in found.prompts]
    if found.left_out:
        were = "was" if found.left_out == 1 else "were"
        parts.append(f"{counted(found.left_out, 'more prompt')} changed and {were} not explained.")
    if found.ended:
        parts.append(f"The review ended early: {quoted(found.ended, LONGEST_ANSWER)}")
    commits = f"{found.base[:12]} against {found.head[:12]}"
    answers = f"{counted(found.asked, 'answer')}, of which {number(found.made, 0)} had to be asked for"
    parts.append(
        f"<sub>whygen {__version__}, {commits}: {answers}; the others were recorded. Intervals are 95%; changes are "
        "called at 5% false discovery over the parts of a prompt.</sub>"
    )
    return _fit(parts)


def _fit(parts: list[str]) -> str:
    """As many prompts as a comment has room for, whole, and the last lines."""
    head, last = parts[:2], parts[-1]
    left = MOST_CHARACTERS - sum(len(each) + 2 for each in (*head, last)) - 100
    kept: list[str] = []
    for each in parts[2:-1]:
        if len(each) + 2 > left:
            kept.append("The rest has no room in a comment.")
            break
        kept.append(each)
        left -= len(each) + 2
    return "\n\n".join([*head, *kept, last]) + "\n"


def quoted(text: str, most: int = LONGEST) -> str:
    """A text of a stranger in one line that nothing in it can leave."""
    kept, left = clip(" ".join(clean(text).split()), most)
    shown = "".join(each if each.isalnum() or each == " " else f"&#{ord(each)};" for each in kept)
    return f"<code>{shown or '&#8203;'}</code>{'…' if left else ''}"


def _headline(found: Review) -> str:
    """How many parts do something else, are new and matter, or mattered and are gone."""
    if not found.prompts:
        return "No prompt changed."
    both = [each for each in found.prompts if each.comparison is not None]
    changed = sum(each.comparison.changed for each in both if each.comparison is not None)
    new = sum(_sure(each.after, each.comparison.only_second) for each in both if each.comparison is not None)
    gone = sum(_sure(each.before, each.comparison.only_first) for each in both if each.comparison is not None)
    told = (
        [f"{counted(changed, 'part')} {'does' if changed == 1 else 'do'} something else than before"] if changed else []
    )
    told += [f"{counted(new, 'new part')} {'matters' if new == 1 else 'matter'}"] if new else []
    told += [f"{counted(gone, 'part')} that mattered {'is' if gone == 1 else 'are'} gone"] if gone else []
    return f"{counted(len(found.prompts), 'changed prompt')}: {listed(told) or 'no part surely does something else'}."


def _sure(explanation: PromptExplanation | None, texts: tuple[str, ...]) -> int:
    """How many of the parts of one side alone are significant."""
    return sum(unit.significant is True for unit in _of(explanation, texts))


def _prompt(found: ReviewedPrompt) -> str:
    """A prompt's part of the comment."""
    told = {"added": "is new", "changed": "changed", "gone": "is gone"}[found.change.state]
    moved = f" (was {quoted(found.change.before)})" if found.change.before != found.change.path else ""
    title = f"#### {quoted(found.change.path)} {told}{moved}"
    if found.error:
        return f"{title}\n\nIt could not be explained: {quoted(found.error, LONGEST_ANSWER)}"
    rows: list[str] = []
    if found.comparison is not None:
        rows = _compared(found.comparison, found)
    elif (one := found.after or found.before) is not None:
        both = found.before is not None and found.after is not None
        note = "It shares no part with what it was before.\n\n" if both else ""
        return f"{title}\n\n{note}{_answers(found)}\n\n" + "\n".join(
            [_HEAD, *(_row(unit, "") for unit in strongest(one.units, significant=False)[:MOST_ROWS])]
        )
    notes = "".join(f"\n\n{quoted(each, 400)}" for each in (found.comparison.notes if found.comparison else ()))
    pairs = () if found.comparison is None else found.comparison.units
    if any(abs(each.difference - (each.second - each.first)) >= 0.005 for each in pairs):
        notes = f"\n\nDifferences are measured against both answers; before and after, each against its own.{notes}"
    return f"{title}\n\n{_answers(found)}\n\n" + "\n".join([_HEAD, *rows]) + notes


_HEAD: Final = "| part | before | after | difference | |\n|---|--:|--:|--:|---|"


def _compared(comparison: Comparison, found: ReviewedPrompt) -> list[str]:
    """The parts that changed first, then new ones, those that are gone, and the strongest of the rest."""
    pairs = sorted(comparison.units, key=lambda each: (not each.changed, -abs(each.difference)))
    rows: list[str] = []
    for pair in pairs[:MOST_ROWS]:
        limits = "" if pair.low is None else f" ({signed(pair.low, 2)} to {signed(pair.high, 2)})"
        what = f"**changed**, p {p_value(pair.p_value)}" if pair.changed else ""
        difference = f"{signed(pair.difference, 2)}{limits}" if comparison.same_unit else "–"
        rows.append(
            f"| {quoted(pair.text)} | {number(pair.first, 2)} | {number(pair.second, 2)} | {difference} | {what} |"
        )
    new = _of(found.after, comparison.only_second)
    gone = _of(found.before, comparison.only_first)
    left = len(pairs) - MOST_ROWS
    rows[0:0] = [_row(unit, "new") for unit in new[:MOST_ROWS]]
    rows += [_row(unit, "gone") for unit in gone[:MOST_ROWS]]
    return rows + ([f"| {counted(left, 'more part')} | | | | |"] if left > 0 else [])


def _of(explanation: PromptExplanation | None, texts: tuple[str, ...]) -> list[UnitAttribution]:
    """The units of these texts, one for each time that a text is named."""
    wanted, found = Counter(texts), list[UnitAttribution]()
    for unit in explanation.units if explanation is not None else ():
        if wanted[unit.text]:
            wanted[unit.text] -= 1
            found.append(unit)
    return found


def _row(unit: UnitAttribution, state: str) -> str:
    """A unit that stands on one side alone: ``new``, ``gone``, or of a prompt that is not compared."""
    limits = "" if unit.low is None else f" ({signed(unit.low, 2)} to {signed(unit.high, 2)})"
    value = f"{number(unit.attribution, 2)}{limits}"
    before, after = (value, "") if state == "gone" else ("", value)
    told = ", ".join(filter(None, (state, "significant" if unit.significant else "")))
    return f"| {quoted(unit.text)} | {before} | {after} | | {told} |"


def _answers(found: ReviewedPrompt) -> str:
    """What the model says, before and after; of prompts over many inputs there is no one answer."""
    said = [
        quoted(each.reference.text, LONGEST_ANSWER) if each is not None and not each.inputs else ""
        for each in (found.before, found.after)
    ]
    if not any(said):
        return ""
    if said[0] == said[1]:
        return f"The answer is the same: {said[0]}"
    lines = [f"{when}: {text}" for when, text in zip(("Answer before", "Answer after"), said, strict=True) if text]
    return "\\\n".join(lines)
