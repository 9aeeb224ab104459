"""What an evaluation says: measures, each beside its chance level and with its interval, and what was left out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from pydantic import ConfigDict, Field, ValidationError

from whygen.errors import FormatError, MissingError, UnknownNameError
from whygen.results.files import document_bytes, write_together
from whygen.results.records import Figure, Record, Text

SCHEMA = 1
"""Version of the JSON layout."""

DOCUMENT = "evaluation.json"


class Measure(Record):
    """One number.

    Attributes:
        metric: the family it belongs to, as `whygen.evaluate` takes it.
        name: what it is.
        value: None where it cannot be computed.
        low: lower limit of its 95% interval; None where there is none.
        high: upper limit.
        chance: what an explanation that knows nothing gets.
        unit: of all five numbers; empty for a plain number.
        how: formula, source of the interval and of the chance level.
    """

    metric: str
    name: str
    value: Figure
    low: Figure = None
    high: Figure = None
    chance: Figure = None
    unit: str = ""
    how: str


class LeftOut(Record):
    """A metric that was not computed, and why."""

    metric: str
    why: Text


class Evaluation(Record):
    """Whether an explanation is any good. Frozen; ``asked`` and ``made`` count the model calls of the evaluation."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, validate_by_name=True, validate_by_alias=True
    )

    schema_version: int = Field(default=SCHEMA, alias="schema")
    whygen: str
    model: str
    prompt: Text
    seed: int
    asked: int
    made: int
    measures: tuple[Measure, ...]
    left_out: tuple[LeftOut, ...] = ()

    def __getitem__(self, name: str) -> Measure:
        """The measure of that name.

        Raises:
            UnknownNameError: if there is none.
        """
        for measure in self.measures:
            if measure.name == name:
                return measure
        raise UnknownNameError("measure", name, [measure.name for measure in self.measures])

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return self.model_dump(mode="json", by_alias=True)

    def save(self, directory: Path | str) -> Path:
        """Write ``evaluation.json`` into a folder, beside the explanation where it is one of those; returns the file.

        Raises:
            StoreError: if it cannot be written.
        """
        folder = Path(directory)
        write_together(folder, {DOCUMENT: document_bytes(self.to_dict())})
        return folder / DOCUMENT

    @classmethod
    def load(cls, path: Path | str) -> Evaluation:
        """Read what `save` wrote, from the file or its folder.

        Raises:
            MissingError: if there is nothing at the path.
            FormatError: if it is damaged, or of another version.
        """
        place = Path(path) / DOCUMENT if Path(path).is_dir() else Path(path)
        if not place.is_file():
            raise MissingError(f"{str(place)!r} is not there. Make one with: whygen evaluate DIR.")
        try:
            document: object = json.loads(place.read_text(encoding="utf-8"))
            version = cast("dict[str, Any]", document).get("schema") if isinstance(document, dict) else None
            if version != SCHEMA:
                raise FormatError(
                    f"{str(place)!r} is an evaluation of layout {version!r}, and this version reads {SCHEMA}. "
                    "Evaluate again, or use the version of whygen that wrote it."
                )
            return cls.model_validate(document)
        except (ValueError, ValidationError) as error:
            raise FormatError(f"{str(place)!r} is damaged ({error}). Evaluate again.") from None

    def to_markdown(self) -> str:
        """A table, one row a measure."""
        head = ["measure", "value", "95% interval", "chance", "unit"]
        rows = [[m.name, *shown(m), m.unit] for m in self.measures]
        lines = [head, ["---"] * len(head), *rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def shown(measure: Measure) -> tuple[str, str, str]:
    """Value, interval and chance level as people read them; empty where there is none."""

    def one(value: float | None) -> str:
        if value is None:
            return ""
        return f"{value:.0f}" if float(value).is_integer() and abs(value) >= 10 else f"{value:.3g}"

    limits = "" if measure.low is None or measure.high is None else f"[{one(measure.low)}, {one(measure.high)}]"
    return one(measure.value) or "none", limits, one(measure.chance)


def leave_out(metric: str, why: str) -> LeftOut:
    """A metric that is left out, and why."""
    return LeftOut(metric=metric, why=why)


Found = Sequence[Measure]
"""What a family of measures gives."""
