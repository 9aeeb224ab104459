"""What is on the shelf and is no explanation: comparisons, evaluations, trimmed prompts, lists of many prompts.

Each is read from its document alone, and drawn by the template that its own command uses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pydantic import ConfigDict, ValidationError

from whygen.errors import FormatError, WhygenError
from whygen.evaluation.compare import Comparison
from whygen.evaluation.result import DOCUMENT as EVALUATION
from whygen.evaluation.result import Evaluation
from whygen.report.texts import shorten
from whygen.results import PromptExplanation, load
from whygen.results.anchors_compared import DOCUMENT as COMPARISON
from whygen.results.anchors_compared import SCHEMA as COMPARISON_SCHEMA
from whygen.results.anchors_compared import AnchorComparison
from whygen.results.files import damaged, load_document, read_document
from whygen.results.many import INDEX, Explanations, OneOfMany
from whygen.results.records import Record
from whygen.results.summary.compared import summarise_compared
from whygen.results.summary.evaluated import (
    changes_verdict,
    evaluation_verdict,
    summarise_changes,
    summarise_evaluation,
)
from whygen.results.summary.many import headline_of, summarise_many
from whygen.results.summary.trimmed import headline as trimmed_headline
from whygen.results.summary.trimmed import summarise_trimmed
from whygen.results.trimmed import DOCUMENT as TRIMMED
from whygen.results.trimmed import Trimmed
from whygen.web.state import Shelved, place_id

MOST_OF_MANY = 500
"""Prompts of a list that are read for its page; the figures of the others are on their own."""


@dataclass(frozen=True, slots=True)
class ShelfLine:
    """What the shelf says of a document."""

    kind: str
    headline: str
    model: str = ""
    prompt: str = ""
    calls: int | None = None
    warnings: tuple[str, ...] = ()


class _Listed(Record):
    """An item of an index. What it says of figures is not read: they are in the explanation."""

    model_config = ConfigDict(extra="ignore")

    number: int
    name: str
    folder: str = ""
    error: str = ""
    model: str = ""
    made: int = 0


class _Index(Record):
    """``index.json`` of many prompts."""

    model_config = ConfigDict(extra="ignore")

    given: int
    ended: str = ""
    reason: str = ""
    items: tuple[_Listed, ...]


class _Changes(Record):
    """A comparison of prompts; as in every record, no number of it is NaN."""

    model_config = ConfigDict(extra="ignore")

    comparison: Comparison


def told(place: Shelved) -> ShelfLine:
    """What the shelf says of a document that is no explanation.

    Raises:
        FormatError: if it is damaged.
        MissingError: if it is gone.
    """
    return _TOLD[place.name](place)


def summary_of(place: Shelved, known: Callable[[str], Shelved]) -> dict[str, Any]:
    """Everything that its page shows.

    Args:
        place: of the document.
        known: the place of an id; raises a `MissingError` where the viewer shows none.

    Raises:
        FormatError: if it is damaged.
        MissingError: if it is gone.
    """
    if place.name == EVALUATION:
        return summarise_evaluation(Evaluation.load(place.file).to_dict())
    if place.name == TRIMMED:
        return summarise_trimmed(Trimmed.load(place.file))
    if place.name == INDEX:
        return _many(place, known)
    found = _comparison(place)
    if isinstance(found, AnchorComparison):
        return summarise_compared(found)
    return summarise_changes(found[0].to_dict(), names=found[1])


def _comparison(place: Shelved) -> AnchorComparison | tuple[Comparison, tuple[str, str]]:
    """A comparison of anchors; or of prompts, with what the two were called."""
    document = read_document(place.file)
    if "models" in document:
        return load_document(
            AnchorComparison, place.file, name=COMPARISON, newest=COMPARISON_SCHEMA, what=("comparison", "compare"),
            again="Compare again.",
        )  # fmt: skip
    names = document.pop("names", None)
    try:
        found = _Changes.model_validate({"comparison": document}).comparison
    except ValidationError as error:
        raise damaged(place.file, error, again="Compare again.") from None
    given = cast("list[object]", names) if isinstance(names, list) else []
    first, second = (str(name) for name in given) if len(given) == 2 else ("the first", "the second")
    return found, (first, second)


def _index(place: Shelved) -> _Index:
    return load_document(
        _Index, place.file, name=INDEX, newest=1, what=("list of prompts", "explain_many"),
        again="Explain again; recorded answers cost nothing.",
    )  # fmt: skip


def _many(place: Shelved, known: Callable[[str], Shelved]) -> dict[str, Any]:
    """The page of many prompts: each line leads to its explanation, where the viewer shows that."""
    index = _index(place)
    items = [_item(each, place, known) for each in index.items[:MOST_OF_MANY]]
    found = Explanations(
        items=tuple(item for item, _ in items), given=index.given, ended=index.ended, reason=index.reason
    )
    summary = summarise_many(found)
    for line, (_, address) in zip(summary["lines"], items, strict=False):
        line["href"] = address
    left = len(index.items) - len(items)
    notes = [f"The first {MOST_OF_MANY} of {len(index.items):,} are shown."] if left else []
    return {
        **summary,
        "headline": _headline(index),
        "left_out": summary["left_out"] + left,
        "notes": [*summary["notes"], *notes],
    }


def _item(each: _Listed, place: Shelved, known: Callable[[str], Shelved]) -> tuple[OneOfMany, str]:
    """One prompt, and the address of its page; what its folder is called leads only to what the viewer shows anyway."""
    bare = OneOfMany(number=each.number, name=each.name, error=each.error)
    if not each.folder:
        return bare, ""
    try:
        there = known(place_id(place.folder / each.folder))
        found = load(there.file)
        if not isinstance(found, PromptExplanation):
            raise FormatError(f"{there.shown!r} explains no prompt.")
    except (WhygenError, OSError, ValueError) as error:
        return OneOfMany(number=each.number, name=each.name, error=f"It cannot be shown: {error}"), ""
    return OneOfMany(number=each.number, name=each.name, explanation=found), f"/explanations/{there.id}"


def _headline(index: _Index) -> str:
    failed = sum(not each.folder for each in index.items)
    left, calls = index.given - len(index.items), sum(each.made for each in index.items)
    return headline_of(len(index.items) - failed, failed, left=left, calls=calls)


def _told_many(place: Shelved) -> ShelfLine:
    index = _index(place)
    models = list(dict.fromkeys(each.model for each in index.items if each.model))
    return ShelfLine(
        "many prompts",
        _headline(index),
        _models(models),
        prompt=", ".join(each.name for each in index.items[:20]),
        calls=sum(each.made for each in index.items),
    )


def _told_evaluation(place: Shelved) -> ShelfLine:
    found = Evaluation.load(place.file)
    return ShelfLine("evaluation", evaluation_verdict(found.to_dict()), found.model, found.prompt, found.calls.asked)


def _told_trimmed(place: Shelved) -> ShelfLine:
    found = Trimmed.load(place.file)
    codes = tuple(each.code for each in found.warnings)
    return ShelfLine("trimmed prompt", trimmed_headline(found), found.model, found.before, found.calls.asked, codes)


def _told_comparison(place: Shelved) -> ShelfLine:
    found = _comparison(place)
    if isinstance(found, AnchorComparison):
        return ShelfLine("comparison", found.headline, _models(found.models))
    comparison, names = found
    models = comparison.settings.get("model", ())
    return ShelfLine(
        "comparison", changes_verdict(comparison.to_dict()), _models(models), prompt=f"{names[0]} | {names[1]}"
    )


def _models(names: Sequence[str]) -> str:
    return " | ".join(shorten(name, 60) for name in names[:3])


_TOLD: dict[str, Callable[[Shelved], ShelfLine]] = {
    EVALUATION: _told_evaluation,
    TRIMMED: _told_trimmed,
    COMPARISON: _told_comparison,
    INDEX: _told_many,
}
