"""`PromptExplanation`: which units of a prompt drove the output, how sure that is, and how it was found.

Field order is the order of the JSON file. The arrays that the numbers were computed from travel beside the JSON
(safetensors, parquet), so everything after the model calls can be rebuilt offline.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from whygen.types import Effects, JsonValue, Masks

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


@dataclass(frozen=True, slots=True)
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


class PromptExplanation(Record):
    """Which units of a prompt drove the output. Frozen; everything here can be saved and loaded."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    schema_version: int = Field(default=SCHEMA, alias="schema", serialization_alias="schema")
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
