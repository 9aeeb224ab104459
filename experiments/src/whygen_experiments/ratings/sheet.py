"""A blind rating sheet: people rate explanations without knowing which method made them. METHODS A7.

`blind` gives every explanation a random code and an order that says nothing; the key stays apart from what raters get.
`read_ratings` checks each filled sheet against the key, and `score` reads means, differences and agreement from all.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from whygen.errors import DataError, FormatError, UsageError
from whygen.results.prompt import PromptExplanation
from whygen.safe import read_json

Floats: TypeAlias = NDArray[np.float64]

QUESTIONS: Mapping[str, str] = {
    "clear": "I see at once which words matter.",
    "plausible": "The words marked are those that I would expect to drive this answer.",
    "complete": "No word that drives this answer is left unmarked.",
    "useful": "With this I would know what to change in the prompt to change the answer.",
}
"""Statements that a rater agrees with, from 1 (not at all) to 5 (fully)."""

LOWEST, HIGHEST = 1, 5
ITEM, COMMENT = "item", "comment"
SCHEMA = 1

_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
"""Without vowels a code is no word; without digits no spreadsheet takes it for a number."""
_LENGTH = 4


class Item(BaseModel):
    """What a code stands for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    prompt: int
    """Number of the prompt, in the order of the prompts' first explanations."""
    method: str


class Key(BaseModel):
    """Which method made which item. Never shown to a rater."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = Field(default=SCHEMA, le=SCHEMA)
    questions: dict[str, str]
    items: tuple[Item, ...] = Field(min_length=1)

    @property
    def methods(self) -> list[str]:
        """By name: the order of the items would say nothing either."""
        return sorted({item.method for item in self.items})


def describe(explanation: PromptExplanation) -> str:
    """A name for the method of an explanation: its preset, or what was chosen."""
    chosen = f"{explanation.estimand}, {explanation.operator}, {explanation.target.distance}"
    return explanation.preset or chosen


def blind(
    explanations: Sequence[tuple[str, PromptExplanation]],
    rng: np.random.Generator,
    *,
    questions: Mapping[str, str] = QUESTIONS,
) -> tuple[Key, list[tuple[str, PromptExplanation]]]:
    """Codes and a random order: prompt by prompt, the methods of each shuffled anew.

    Args:
        explanations: names of methods with what they explained; every method explains every prompt once.
        rng: of codes and order.
        questions: short names, the columns of the sheet, with the statements that raters judge.

    Returns:
        The key, and code and explanation in the order that raters see.

    Raises:
        UsageError: if a method explains a prompt twice or not at all, or there is nothing to ask.
    """
    _check_questions(questions)
    prompts = list(dict.fromkeys(explanation.prompt for _, explanation in explanations))
    _check_crossed(explanations, prompts)
    places = {prompt: int(place) for prompt, place in zip(prompts, rng.permutation(len(prompts)), strict=True)}
    keys = rng.random(len(explanations))
    order = sorted(range(len(explanations)), key=lambda i: (places[explanations[i][1].prompt], keys[i]))
    codes = _codes(len(explanations), rng)
    shown = [explanations[i] for i in order]
    items = tuple(
        Item(code=code, prompt=prompts.index(explanation.prompt), method=method)
        for code, (method, explanation) in zip(codes, shown, strict=True)
    )
    return Key(questions=dict(questions), items=items), [
        (code, explanation) for code, (_, explanation) in zip(codes, shown, strict=True)
    ]


def _codes(many: int, rng: np.random.Generator) -> list[str]:
    drawn: dict[str, None] = {}
    while len(drawn) < many:
        drawn["".join(rng.choice(list(_LETTERS), size=_LENGTH))] = None
    return list(drawn)


def _check_questions(questions: Mapping[str, str]) -> None:
    if not questions:
        raise UsageError("There is no question to rate by: give at least one, such as clear='I see what matters.'.")
    wrong = [name for name in questions if not name.isidentifier() or name in (ITEM, COMMENT)]
    if wrong:
        raise UsageError(
            f"{wrong[0]!r} cannot name a question: it is a column of the sheet, so letters, digits and underscores, "
            f"and neither {ITEM!r} nor {COMMENT!r}."
        )


def _check_crossed(explanations: Sequence[tuple[str, PromptExplanation]], prompts: Sequence[str]) -> None:
    times = Counter((method, explanation.prompt) for method, explanation in explanations)
    methods = list(dict.fromkeys(method for method, _ in explanations))
    if len(methods) < 2:
        raise UsageError(
            f"All explanations are of one method, {', '.join(methods) or 'none'}, and raters compare methods. Give "
            "explanations of two methods or more; METHOD=DIR names a method that its settings do not tell apart."
        )
    for method in methods:
        for prompt in prompts:
            if times[method, prompt] != 1:
                raise UsageError(
                    f"{method!r} explains {prompt[:60]!r} {times[method, prompt]} times. Each method must explain each "
                    "prompt once, or their means are over different prompts; METHOD=DIR names the method of a folder."
                )


def write_csv(key: Key) -> str:
    """The sheet to fill in: a line for each item, in the order that raters see; nothing else is in it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([ITEM, *key.questions, COMMENT])
    writer.writerows([item.code, *[""] * len(key.questions), ""] for item in key.items)
    return text.getvalue()


def read_key(text: str, *, source: str) -> Key:
    """The key that `blind` made, from its JSON.

    Raises:
        FormatError: if it is none, or is newer than this version.
    """
    try:
        key = Key.model_validate(read_json(text))
    except (ValueError, ValidationError) as error:
        raise FormatError(
            f"{source} is no key of a rating sheet ({str(error).splitlines()[0]}). Give the file that `whygen ratings "
            "export` wrote beside the sheet."
        ) from None
    if len({item.code for item in key.items}) < len(key.items):
        raise FormatError(f"{source} gives one code to two items: it is damaged. Export the sheet again.")
    return key


def read_ratings(text: str, key: Key, *, source: str) -> Floats:
    """One rater's filled sheet, shape ``(items, questions)`` in the key's order; NaN where nothing was said.

    Commas, semicolons and tabs may part the cells: spreadsheets write what their country writes.

    Raises:
        DataError: naming line and column, if a cell is no whole number from 1 to 5, a line has too many or too few
            cells, an item is unknown or comes twice, or the columns are not those of the sheet.
    """
    rows = _rows(text, source)
    head = rows[0][1] if rows else []
    columns = _columns(head, key, source)
    places = {item.code: place for place, item in enumerate(key.items)}
    ratings = np.full((len(key.items), len(key.questions)), np.nan)
    seen: set[str] = set()
    for line, row in rows[1:]:
        if len(row) != len(head):
            raise DataError(
                f"{source}, line {line} has {len(row)} cells where the first line has {len(head)}. A comment with a "
                "comma must stand in quotes; a spreadsheet program does that."
            )
        code = row[columns[ITEM]].strip().upper()
        if code not in places or code in seen:
            what = "comes twice" if code in seen else "is not on this sheet"
            raise DataError(f"{source}, line {line}: item {code[:20]!r} {what}. Keep the lines as they were exported.")
        seen.add(code)
        for question, name in enumerate(key.questions):
            ratings[places[code], question] = _rating(row[columns[name]], f"{source}, line {line}, column {name!r}")
    return ratings


def _rows(text: str, source: str) -> list[tuple[int, list[str]]]:
    """Lines that hold anything, with their numbers."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    try:
        return [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise DataError(f"{source}, line {reader.line_num}: {error}. Save it again as CSV.") from None


def _delimiter(text: str) -> str:
    first = text.split("\n", 1)[0]
    return max(",;\t", key=first.count)


def _columns(head: Sequence[str], key: Key, source: str) -> dict[str, int]:
    names = [name.strip() for name in head]
    wanted = [ITEM, *key.questions]
    missing = [name for name in wanted if names.count(name) != 1]
    unknown = [name for name in names if name not in (*wanted, COMMENT)]
    if missing or unknown:
        raise DataError(
            f"{source}: the first line must name the columns {', '.join(wanted)} once each, and perhaps {COMMENT}; it "
            f"has {', '.join(names) or 'nothing'}. Fill in the file that was exported, with the key that belongs to it."
        )
    return {name: names.index(name) for name in wanted}


def _rating(cell: str, place: str) -> float:
    text = cell.strip()
    if not text:
        return np.nan
    if text not in {str(number) for number in range(LOWEST, HIGHEST + 1)}:
        raise DataError(
            f"{place}: {text[:20]!r} is no rating. Write a whole number from {LOWEST} to {HIGHEST}, or leave it empty."
        )
    return float(text)
