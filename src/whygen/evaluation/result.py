"""`Evaluation`: how good an explanation is, one row a figure, each beside what chance gives. METHODS A7.

The JSON (`Evaluation.to_dict`) is a contract, as that of an explanation is: field order is the order of the file.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field

from whygen.errors import MissingError
from whygen.results.files import document_bytes, load_document, write_together
from whygen.results.prompt import Calls
from whygen.results.records import Ended, Figure, Record, Text
from whygen.results.shown import Paged
from whygen.texts import counted

SCHEMA = 1
"""Version of the JSON layout."""

DOCUMENT = "evaluation.json"


class Measure(Record):
    """One figure.

    Attributes:
        metric: the group it belongs to, such as ``fidelity``.
        name: of the figure.
        value: None where it cannot be computed on what there is; ``how`` says why.
        low: lower limit of the value's 95% interval; None where there is none.
        high: upper limit.
        chance: what it comes to where the explanation says nothing; None where nobody knows.
        chance_low: 2.5th percentile by chance, where chance was drawn.
        chance_high: 97.5th percentile by chance.
        n: how many masks, units, runs or calls it rests on.
        better: which way is better.
        how: what was computed, where the interval and the chance level come from.
    """

    metric: str
    name: str
    value: Figure
    low: Figure = None
    high: Figure = None
    chance: Figure = None
    chance_low: Figure = None
    chance_high: Figure = None
    n: int
    better: Literal["higher", "lower", "neither"]
    how: str


class LeftOut(Record):
    """A metric that was not computed, and why, with what would help."""

    metric: str
    reason: Text


class UnitSpread(Record):
    """A unit over repeated explanations: the mean and the standard deviation of its attribution."""

    text: Text
    mean: float
    sd: float


class Evaluation(Paged, Record):
    """How good an explanation is. Frozen; saved as ``evaluation.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_by_name=True)

    schema_version: int = Field(default=SCHEMA, alias="schema")
    """``schema`` in the JSON; either name may be given."""
    kind: Literal["evaluation"] = "evaluation"
    whygen: str
    explains: Literal["prompt", "anchors"]
    model: str
    prompt: Text
    digest: str
    """Of the explanation's JSON, see `digest_of`: figures of another explanation are not taken for its own."""
    measures: tuple[Measure, ...]
    left_out: tuple[LeftOut, ...]
    units: tuple[UnitSpread, ...] = ()
    """Spread of each attribution over repeats; empty unless ``consistency`` was measured."""
    calls: Calls
    """What the evaluation asked of the model, beyond what the explanation had."""
    seed: int
    versions: dict[str, str]
    ended: Ended | None = Field(default=None, exclude=True)
    """Why it ended early, if it did; what was not measured is in ``left_out``. Not saved."""

    def to_dict(self) -> dict[str, Any]:
        """The JSON of the contract: plain values only."""
        return self.model_dump(mode="json", by_alias=True)

    def table(self) -> dict[str, list[Any]]:
        """A column for each field of a measure: what ``pandas.DataFrame`` takes."""
        return {name: [getattr(measure, name) for measure in self.measures] for name in Measure.model_fields}

    def _summary(self) -> dict[str, Any]:
        from whygen.results.summary.evaluated import summarise_evaluation

        return summarise_evaluation(self.to_dict())

    def measure(self, name: str) -> Measure:
        """The figure of that name, or of ``metric.name`` where two metrics have one.

        Raises:
            MissingError: naming what there is.
        """
        for found in self.measures:
            if name in {found.name, f"{found.metric}.{found.name}"}:
                return found
        known = ", ".join(found.name for found in self.measures) or "none"
        raise MissingError(f"The evaluation holds no {name!r}. It holds: {known}.")

    def save(self, directory: Path | str) -> Path:
        """Write evaluation.json into a folder, which is made if need be; returns the folder.

        Raises:
            StoreError: if the folder cannot be written.
        """
        folder = Path(directory)
        write_together(folder, {DOCUMENT: document_bytes(self.to_dict())}, stale=(DOCUMENT,))
        return folder

    @classmethod
    def load(cls, path: Path | str) -> Evaluation:
        """Read what `save` wrote, from its folder or from the file.

        Raises:
            MissingError: if there is nothing at the path.
            FormatError: if it is damaged, or newer than this version.
        """
        return load_document(
            cls, path, name=DOCUMENT, newest=SCHEMA, what=("evaluation", "evaluate"), again="Evaluate again."
        )

    def to_markdown(self) -> str:
        """The figures as a Markdown table, and what was left out as a list."""
        head = ["| metric | figure | value | 95% interval | by chance | n |", "| --- | --- | ---: | --- | --- | ---: |"]
        rows = [f"| {' | '.join(cells)} |" for cells in table(self.measures)]
        left = [f"- left out: {each.metric}. {each.reason}" for each in self.left_out]
        return "\n".join([*head, *rows, *([""] if left else []), *left]) + "\n"

    def _repr_markdown_(self) -> str:
        return self.to_markdown()

    def __repr__(self) -> str:
        metrics = ", ".join(dict.fromkeys(found.metric for found in self.measures)) or "nothing"
        figures = counted(len(self.measures), "figure")
        return f"<Evaluation of {self.model}: {figures} ({metrics}), {counted(self.calls.asked, 'call')}>"

    __str__ = __repr__


def table(measures: Iterable[Measure]) -> list[tuple[str, ...]]:
    """Cells to show: metric, figure with the direction that is better, value, interval, chance, n."""
    arrows = {"higher": " ↑", "lower": " ↓", "neither": ""}
    return [
        (
            found.metric,
            found.name + arrows[found.better],
            number(found.value),
            between(found.low, found.high),
            " ".join(filter(None, [number(found.chance), between(found.chance_low, found.chance_high)])),
            str(found.n),
        )
        for found in measures
    ]


def number(value: float | None) -> str:
    """A figure as text; empty for None."""
    if value is None:
        return ""
    return f"{value:.0f}" if value == int(value) and abs(value) >= 10 else f"{value:.3g}"


def between(low: float | None, high: float | None) -> str:
    """Two limits as text; empty where one is missing."""
    return "" if low is None or high is None else f"[{number(low)}, {number(high)}]"
