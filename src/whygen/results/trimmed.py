"""`Trimmed`: a shorter prompt, and what shows that it is not worse. The JSON (`Trimmed.to_dict`) is a contract."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field

from whygen.results.files import REPORT, document_bytes, load_document, write_together
from whygen.results.prompt import Calls, Warned
from whygen.results.records import Figure, Record, TargetRecord, Text
from whygen.texts import counted

SCHEMA = 1
"""Version of the JSON layout."""
DOCUMENT = "trimmed.json"
PROMPT, CHAT = "prompt.txt", "prompt.json"
"""Where the cleaned prompt stands: a text, or the messages of a chat."""


class TrimUnit(Record):
    """A unit of the prompt: whether it stays, and its attribution over the inputs that chose, which only ordered."""

    text: Text
    kept: bool
    attribution: Figure = None


class TrimTest(Record):
    """A shorter prompt that was put to the test.

    Attributes:
        dropped: numbers of the units it does without.
        error: the chance that was allowed of calling it not worse if it is.
        comparisons: pairs of answers, with and without them, that it rests on.
        loss: their mean loss, as a share of what an input can lose.
        bound: what the mean loss is under, but for that chance.
        passed: whether that is the margin or less.
        why: what ended the test.
    """

    dropped: tuple[int, ...]
    error: float
    comparisons: int
    loss: Figure
    bound: Figure
    passed: bool
    why: Literal["shown", "worse", "inputs", "budget"]


class WorseInput(Record):
    """An input that lost half of what it can lose or more: what it was answered before and after."""

    number: int
    text: Text
    loss: float
    before: Text
    after: Text


class Trimmed(Record):
    """The shortest prompt found that is not worse. Frozen; saved as ``trimmed.json`` beside the prompt itself."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_by_name=True)

    schema_version: int = Field(default=SCHEMA, alias="schema")
    """``schema`` in the JSON; either name may be given."""
    kind: Literal["trimmed"] = "trimmed"
    whygen: str
    model: str
    target: TargetRecord
    sides: Literal["one", "two"]
    """``one``: a score, and only a fall of it is a loss; ``two``: any change from what the whole prompt says is."""
    margin: float
    """How much worse, on average over inputs, still counts as not worse: a share of what an input can lose."""
    error: float
    """The chance, at most, that a prompt that is worse by the margin or more is called not worse."""
    over: Literal["like-these", "these"]
    inputs: int
    chosen_on: int
    """Inputs that chose what to try."""
    verified_on: int
    """Inputs of the test: others, where it holds for inputs like these."""
    before: Text
    """The whole prompt, without an input."""
    text: Text
    """The cleaned prompt: the whole one where nothing could be taken away."""
    chat: list[Any] | dict[str, Any] | None = None
    """The same as ``--chat`` reads it, where it is a chat of more than a system message."""
    units: tuple[TrimUnit, ...]
    tests: tuple[TrimTest, ...]
    worse: tuple[WorseInput, ...] = ()
    """Inputs of the test that lost much all the same."""
    unseen: Figure
    """Share of inputs, at most, that may need what was dropped though none of the test did (95%); None for these."""
    tokens: tuple[Figure, Figure] = (None, None)
    """Tokens read in a call, before and after, on average over the inputs of the test."""
    written: tuple[Figure, Figure] = (None, None)
    """Tokens written in a call, before and after."""
    saved: Figure = None
    """Dollars saved by 1,000 calls; None where the price is unknown."""
    cost: Figure = None
    """Dollars that the trimming itself cost."""
    calls: Calls
    ended: Literal["deadline", "cost", "failures", "interrupt"] | None = None
    warnings: tuple[Warned, ...] = ()
    seed: int

    @property
    def dropped(self) -> tuple[TrimUnit, ...]:
        """The units that were taken away."""
        return tuple(unit for unit in self.units if not unit.kept)

    @property
    def test(self) -> TrimTest | None:
        """What shows that the cleaned prompt is not worse; None where nothing was taken away."""
        return next((test for test in self.tests if test.passed), None)

    def to_dict(self) -> dict[str, Any]:
        """The JSON of the contract: plain values only."""
        return self.model_dump(mode="json", by_alias=True)

    @property
    def file(self) -> tuple[str, str]:
        """The name of the file that the cleaned prompt is written to, and what it holds."""
        if self.chat is None:
            return PROMPT, self.text
        return CHAT, json.dumps(self.chat, ensure_ascii=False, indent=1) + "\n"

    def save(self, directory: Path | str) -> Path:
        """Write the document and the cleaned prompt into a folder, which is made if need be; returns the folder.

        Raises:
            StoreError: if the folder cannot be written.
        """
        folder = Path(directory)
        name, content = self.file
        parts = {name: content.encode("utf-8", "replace"), DOCUMENT: document_bytes(self.to_dict())}
        write_together(folder, parts, stale=(DOCUMENT, PROMPT, CHAT, REPORT))
        return folder

    @classmethod
    def load(cls, path: Path | str) -> Trimmed:
        """Read what `save` wrote, from its folder or from the file.

        Raises:
            MissingError: if there is nothing at the path.
            FormatError: if it is damaged, or newer than this version.
        """
        return load_document(
            cls, path, name=DOCUMENT, newest=SCHEMA, what=("trimmed prompt", "trim"), again="Trim again."
        )

    def __repr__(self) -> str:
        return f"<Trimmed: {len(self.dropped)} of {len(self.units)} units dropped, {counted(self.calls.asked, 'call')}>"

    __str__ = __repr__
