"""`Explanations`: many explained prompts in a row, each kept in a folder of its own, and the page that lists them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, SupportsIndex, cast, overload

from whygen._arguments import typed
from whygen.errors import StoreError, UnknownNameError, UsageError
from whygen.results.files import write_together
from whygen.results.prompt import PromptExplanation
from whygen.results.shown import Paged

LISTED = "explained.jsonl"
"""One line for each prompt that is done, written as it is done: what a run goes on from."""
INDEX, PAGE = "index.json", "index.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOfMany:
    """What became of one prompt.

    Attributes:
        number: its place in what was given, from 1.
        name: what it is called.
        explanation: None where there is none; without its evidence where it was saved.
        error: why there is none.
        folder: where it was saved, inside the folder of all; empty where it was not.
        again: whether it was explained by an earlier run, and only loaded.
    """

    number: int
    name: str
    explanation: PromptExplanation | None = None
    error: str = ""
    folder: str = ""
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanations(Paged):
    """Many explanations, in the order in which their prompts were given.

    Attributes:
        items: one for each prompt that was looked at.
        given: how many there were; more than ``items`` where the run ended early.
        ended: why it ended early, as a sentence; empty if it did not.
        reason: the same in a word: ``interrupt``, ``deadline``, ``cost`` or ``failures``.
    """

    items: tuple[OneOfMany, ...]
    given: int
    ended: str = ""
    reason: str = ""

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[OneOfMany]:
        return iter(self.items)

    def __bool__(self) -> bool:
        return True

    def __contains__(self, name: object) -> bool:
        """Whether a prompt of this name was looked at."""
        return any(each is name or each.name == name for each in self.items)

    @overload
    def __getitem__(self, key: str | SupportsIndex) -> OneOfMany: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[OneOfMany, ...]: ...
    def __getitem__(self, key: str | SupportsIndex | slice) -> OneOfMany | tuple[OneOfMany, ...]:
        """By its name, or by its place from 0; several by a slice.

        Raises:
            UnknownNameError: if none has that name.
            UsageError: if there is none at that place.
        """
        if isinstance(key, slice):
            return self.items[key]
        if isinstance(key, str):
            found = next((each for each in self.items if each.name == key), None)
            if found is None:
                raise UnknownNameError("explained prompt", key, [each.name for each in self.items])
            return found
        number = key.__index__()
        if not -len(self.items) <= number < len(self.items):
            raise UsageError(f"There is no prompt {number}: {len(self.items)} were explained, numbered from 0.")
        return self.items[number]

    @property
    def explanations(self) -> tuple[PromptExplanation, ...]:
        """Those that there are."""
        return tuple(each.explanation for each in self.items if each.explanation is not None)

    @property
    def failed(self) -> tuple[OneOfMany, ...]:
        """Prompts without an explanation."""
        return tuple(each for each in self.items if each.explanation is None)

    def table(self) -> dict[str, list[Any]]:
        """A row for each unit of each prompt, as columns: what ``pandas.DataFrame`` takes."""
        rows = [
            {"prompt": each.name, "model": each.explanation.model, "target": each.explanation.target.name, **row}
            for each in self.items
            if each.explanation is not None
            for row in _rows(each.explanation)
        ]
        return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}

    def to_dict(self) -> dict[str, Any]:
        """What is kept in ``index.json``: a line for each prompt."""
        from whygen.results.summary.many import line_of

        return {
            "schema": 1, "kind": "many", "given": self.given, "ended": self.ended, "reason": self.reason,
            "items": [line_of(each) for each in self.items],
        }  # fmt: skip

    def _summary(self) -> dict[str, Any]:
        from whygen.results.summary.many import summarise_many

        return summarise_many(self)

    @typed()
    def save(self, folder: Path | str) -> Path:
        """Write the index and its page; explanations that have no folder yet get one beside them.

        Raises:
            StoreError: if they cannot be written.
        """
        place = Path(folder)
        kept = tuple(
            each if each.folder or each.explanation is None else kept_in(place, each, each.explanation)
            for each in self.items
        )
        whole = replace(self, items=kept)
        index = json.dumps(whole.to_dict(), ensure_ascii=False, indent=1).encode("utf-8", "replace")
        write_together(place, {INDEX: index, PAGE: whole.to_html().encode("utf-8", "replace")})
        return place

    def __repr__(self) -> str:
        failed = f", {len(self.failed)} failed" if self.failed else ""
        left = f", {self.given - len(self.items)} not reached" if self.given > len(self.items) else ""
        ending = "" if len(self.explanations) == 1 else "s"
        return f"<Explanations of {len(self.explanations)} prompt{ending}{failed}{left}>"


def _rows(explanation: PromptExplanation) -> list[dict[str, Any]]:
    table = explanation.table()
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]


def kept_in(place: Path, item: OneOfMany, explanation: PromptExplanation) -> OneOfMany:
    """The same item, saved with its page in a folder of its own; its evidence stays on disk.

    Raises:
        StoreError: if it cannot be written.
    """
    from whygen.results.summary import write_html

    folder = folder_of(item.number, item.name)
    explanation.save(place / folder)
    write_html(explanation, place / folder / "report.html")
    return replace(item, explanation=light(explanation), folder=folder)


def light(explanation: PromptExplanation) -> PromptExplanation:
    """The same without its evidence, which is on disk."""
    return explanation.model_copy(update={"evidence": None})


def folder_of(number: int, name: str) -> str:
    """The folder of a prompt: its number, and as much of its name as any file system takes."""
    plain = "".join(each if each.isascii() and (each.isalnum() or each in "-_") else "-" for each in name)
    return f"{number:05d}-{plain.strip('-')[:40]}".rstrip("-")


def add_line(place: Path, line: Mapping[str, Any]) -> None:
    """Note in the list that a prompt is done.

    Raises:
        StoreError: if it cannot be written.
    """
    try:
        with (place / LISTED).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=True) + "\n")
    except OSError as error:
        raise StoreError(f"{place / LISTED} cannot be written: {error.strerror or error}.") from error


def read_done(place: Path) -> dict[str, dict[str, Any]]:
    """Prompts that earlier runs explained in a folder, by their key; a line that is cut or foreign says nothing."""
    try:
        text = (place / LISTED).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    found: dict[str, dict[str, Any]] = {}
    for line in text.split("\n"):
        try:
            value: object = json.loads(line)
        except (ValueError, RecursionError):
            continue
        done = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        if isinstance(done.get("key"), str) and isinstance(done.get("folder"), str):
            found[done["key"]] = done
    return found
