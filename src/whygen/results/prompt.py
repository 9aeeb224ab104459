"""`PromptExplanation`: which units of a prompt drove the output, how sure that is, and how it was found.

Field order is the order of the JSON file. The arrays that the numbers were computed from travel beside the JSON
(safetensors, parquet), so everything after the model calls can be rebuilt offline.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from whygen.types import Effects, Masks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SCHEMA = 1
"""Version of the JSON layout. Raise it when a field changes meaning, keep the old reader and an old golden file."""


class Record(BaseModel):
    """A part of an explanation: frozen, and strict about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Reference(Record):
    """What the model said to the whole prompt; ``n`` references were drawn, ``text`` is the first."""

    text: str
    n: int


class UnitAttribution(Record):
    """One unit of the prompt: characters ``[start, end)`` and what keeping it does to the output.

    ``low`` and ``high`` are None where no interval exists (the design gives none).
    """

    text: str
    start: int
    end: int
    attribution: float
    low: float | None
    high: float | None
    p_value: float | None
    significant: bool


class TargetRecord(Record):
    """What was measured: the target's name, its distance, and the unit of every effect and attribution."""

    name: str
    distance: str
    unit: str


class IntervalRecord(Record):
    """How sure: the level (0.95) and the method of the intervals."""

    level: float
    method: str


class Fidelity(Record):
    """How well the surrogate predicts the model.

    ``r2_heldout`` is cross-validated over pairs of masks; ``r2_insample`` is the thesis's figure and
    ``r2_chance`` its mean on permuted effects; ``noise_ceiling`` is the best R2 that the model's own noise allows.
    None where it cannot be computed.
    """

    r2_heldout: float | None
    r2_insample: float | None
    r2_chance: float | None
    noise_ceiling: float | None
    r2_chance_p95: float | None = None


class Noise(Record):
    """What repeating the whole prompt showed: ``level`` is the mean distance between repeats and reference."""

    repeats: int
    level: float | None
    differs: bool


class Calls(Record):
    """Model calls: asked for (the budget counts these), made, answered from the store, failed."""

    asked: int
    made: int
    cached: int
    failed: int


class Warned(Record):
    """A failure signature: a stable code, and a text that says what to do."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One perturbed prompt and its answer. ``mask`` is its row in `Evidence.masks`, None for f(1) and f(0) repeats."""

    kind: Literal["reference", "repeat", "empty", "mask", "redraw"]
    mask: int | None
    draw: int
    prompt: str
    output: str
    finish: str
    effect: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """The arrays behind an explanation; all of shape ``(m, ...)`` in the same row order."""

    masks: Masks
    """Shape ``(m, n)``."""
    effects: Effects
    """Shape ``(m,)``: mean over draws, in the target's unit."""
    predicted: NDArray[np.float64]
    """Shape ``(m,)``: the surrogate's prediction of each effect, fitted without that row's pair."""
    groups: NDArray[np.int64]
    """Shape ``(m,)``: rows of one group (a complement pair) stand or fall together."""
    samples: tuple[Sample, ...] = field(default=())

    def __eq__(self, other: object) -> bool:
        """Whether every array and every sample is the same; missing numbers (NaN) are equal to each other."""
        if not isinstance(other, Evidence):
            return NotImplemented
        return (
            np.array_equal(self.masks, other.masks)
            and np.array_equal(self.groups, other.groups)
            and np.array_equal(self.effects, other.effects, equal_nan=True)
            and np.array_equal(self.predicted, other.predicted, equal_nan=True)
            and self.samples == other.samples
        )

    __hash__ = None  # pyright: ignore[reportAssignmentType] - arrays have no hash


class PromptExplanation(Record):
    """Which units of a prompt drove the output. Frozen; everything here can be saved and loaded."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    schema_version: int = Field(default=SCHEMA, alias="schema")
    whygen: str
    preset: str | None = None
    model: str
    prompt: str
    reference: Reference
    units: tuple[UnitAttribution, ...]
    estimand: str
    keep: float
    target: TargetRecord
    operator: str
    design: str
    masks: Literal["enumerated", "sampled"]
    interval: IntervalRecord
    fidelity: Fidelity
    noise: Noise
    calls: Calls
    seed: int
    versions: dict[str, str]
    warnings: tuple[Warned, ...] = ()
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    pinned: tuple[tuple[int, int], ...] = ()
    """Characters ``[start, end)`` that were always sent and are not attributed."""
    surrogate: str = "ridge"
    evidence: Evidence | None = Field(default=None, exclude=True, repr=False)
    """The arrays and samples; None when only the JSON was loaded."""

    def to_dict(self) -> dict[str, Any]:
        """The explanation as JSON, in the field order of the format."""
        return self.model_dump(mode="json", by_alias=True)

    def save(self, directory: Path | str) -> Path:
        """Write ``explanation.json``, ``arrays.safetensors`` and ``samples.parquet``; returns the folder."""
        from whygen.results.files import save_prompt

        return save_prompt(self, directory)

    def to_html(self) -> str:
        """The report as one self-contained page."""
        from whygen import report

        return report.html(report.summarise(self))

    def _repr_html_(self) -> str:
        return self.to_html()

    def plot_attributions(self, *, ax: Axes | None = None) -> Axes:
        """Bars with intervals, drawn by matplotlib (extra ``plots``)."""
        from whygen import report

        return report.plot_attributions(self, ax=ax)

    def plot_fidelity(self, *, ax: Axes | None = None) -> Axes:
        """Held-out predictions against observed effects, drawn by matplotlib (extra ``plots``)."""
        from whygen import report

        return report.plot_fidelity(self, ax=ax)

    def __repr__(self) -> str:
        strongest = max(self.units, key=lambda unit: abs(unit.attribution))
        return (
            f"<PromptExplanation of {self.model}: {len(self.units)} units, strongest {strongest.text!r} "
            f"{strongest.attribution:+.3f}, {sum(unit.significant for unit in self.units)} significant, "
            f"{self.calls.asked} calls>"
        )

    __str__ = __repr__
