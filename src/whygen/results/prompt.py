"""`PromptExplanation`: which units of a prompt drove the output, how sure that is, and how it was found.

The JSON (`PromptExplanation.to_dict`) is a contract; field order is the order of the file. What a person wants besides
(generation settings, pinned parts, surrogate) travels in ``details.json``, and the arrays that the numbers were
computed from in safetensors and JSON Lines, so everything after the model calls can be rebuilt offline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex, cast, overload

from pydantic import ConfigDict, Field, JsonValue

from whygen._arguments import typed
from whygen.errors import UnknownNameError, UsageError
from whygen.plugins import imported
from whygen.results.evidence import Evidence
from whygen.results.recipe import Recipe
from whygen.results.records import (
    AnswerSets,
    Ended,
    Figure,
    InteractionRecord,
    PictureShare,
    ProxyRecord,
    Record,
    SentenceMatrix,
    TargetRecord,
    Text,
    Tree,
)
from whygen.results.shown import Showable
from whygen.results.why import CallRecord, Why
from whygen.texts import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SCHEMA = 3
"""Version of the layout. Raise it when a field changes meaning, keep the old reader and an old golden file.

2: samples are JSON Lines, which need no further package; they were parquet.
3: ``details.json`` holds the `Recipe`; samples their log-probabilities and what the provider said; the arrays which
samples answered each mask, and the kernel's weights. Since 1.1 ``details.json`` may hold the chat, and sections of
kinds that earlier versions did not know.
"""


class Reference(Record):
    """What the model said to the whole prompt; ``n`` references were drawn.

    ``text`` is the first, with the tools that it calls below it, as ``name(arguments)``.
    """

    text: Text
    n: int


class UnitAttribution(Record):
    """One unit of the prompt: characters ``[start, end)`` and what keeping it does to the output.

    ``low`` and ``high`` are None where no interval exists (the design gives none). They hold for each unit by itself;
    ``band_low`` and ``band_high`` hold for all units at once, and are None where no such band was made.
    ``significant`` is None where nothing was tested; files of earlier versions say False there.
    """

    text: Text
    start: int
    end: int
    attribution: float
    low: Figure
    high: Figure
    p_value: Figure
    significant: bool | None
    band_low: Figure = None
    band_high: Figure = None


PART_KINDS = ("tool", "part", "result", "document", "memory", "example", "block")
"""Kinds of sections that are parts of a recorded call."""


class Section(Record):
    """A stretch of the prompt that has a name: characters ``[start, end)`` of it.

    Of a template a ``field`` or a ``document``. Of a chat a ``message``, whose name is its role; a ``call`` of a tool
    or an ``image`` in one; and the parts that a recorded call was cut into: a ``tool``'s definition, a ``result`` of a
    tool, a ``document``, a ``memory`` or an ``example`` in a text, a ``block`` without text, and any other ``part``.
    """

    kind: Literal[
        "message", "field", "document", "tool", "call", "result", "part", "memory", "example", "block", "image"
    ]
    name: Text
    start: int
    end: int


class ChatRecord(Record):
    """A chat as it was explained.

    Attributes:
        request: as `whygen.types.Chat.to_json` tells it; pictures by their digest (`Evidence.images` has them).
        lists: characters ``[start, end)`` in which passages stand one after another.
        pairs: numbers of messages that are an example together.
    """

    request: dict[str, JsonValue]
    lists: tuple[tuple[int, int], ...] = ()
    pairs: tuple[tuple[int, int], ...] = ()


class InputRecord(Record):
    """One of many inputs that a template was explained over: the input, and the attribution of each unit there."""

    text: Text
    attributions: tuple[float, ...]


class IntervalRecord(Record):
    """How sure: the level (0.95) and the method of the intervals."""

    level: float
    method: str


class Fidelity(Record):
    """How well the surrogate predicts the model.

    ``r2_heldout`` is cross-validated over pairs of masks; ``r2_insample`` is the thesis's figure, ``r2_chance`` its
    mean on permuted effects and ``r2_chance_p95`` (kept in ``details.json``) their 95th percentile;
    ``noise_ceiling`` is the best R2 that the model's own noise allows, with the limits of its 95% interval (kept in
    ``details.json``). None where it cannot be computed.
    """

    r2_heldout: Figure
    r2_insample: Figure
    r2_chance: Figure
    noise_ceiling: Figure
    r2_chance_p95: Figure = Field(default=None, exclude=True)
    noise_ceiling_low: Figure = Field(default=None, exclude=True)
    noise_ceiling_high: Figure = Field(default=None, exclude=True)


class Noise(Record):
    """What asking again showed: ``level`` is the mean distance between repeats of the whole prompt and the reference.

    ``source`` says what is known of the noise of the effects: ``none`` (the model is known to give equal answers to
    equal questions), ``measured`` (answers to one masked prompt gave different effects), ``steady`` (they did not,
    which bounds the noise) or ``unknown``; None in explanations of before it was kept. ``compared`` answers to masked
    prompts were compared with an earlier one to the same prompt, and ``changed`` of them gave another effect.
    """

    repeats: int
    level: Figure
    differs: bool
    source: Literal["none", "measured", "steady", "unknown"] | None = None
    compared: int = 0
    changed: int = 0


class Calls(Record):
    """Model calls: asked for (the budget counts these), made, answered from the store, failed."""

    asked: int
    made: int
    cached: int
    failed: int


class Warned(Record):
    """A failure signature: a stable code, and a text that says what to do."""

    code: str
    text: Text


class ReadFrom(Record):
    """The explanation whose answers another reading was made from: the digest of its JSON, its target and estimand."""

    digest: str
    target: Text
    estimand: str


class PromptExplanation(Showable, Record):
    """Which units of a prompt drove the output. Frozen; everything here can be saved and loaded."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        arbitrary_types_allowed=True,
        validate_by_name=True,
        validate_by_alias=True,
    )

    schema_version: int = Field(default=SCHEMA, alias="schema")
    """``schema`` in the JSON; either name may be given."""
    whygen: str
    preset: str | None = None
    model: str
    prompt: Text
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
    settings: dict[str, JsonValue] = Field(default_factory=dict, exclude=True)
    """How the model generated; kept in ``details.json``."""
    pinned: tuple[tuple[int, int], ...] = Field(default=(), exclude=True)
    """Characters ``[start, end)`` that were always sent and are not attributed; kept in ``details.json``."""
    sections: tuple[Section, ...] = Field(default=(), exclude=True)
    """Messages, fields, documents and parts that the prompt holds; kept in ``details.json``."""
    chat: ChatRecord | None = Field(default=None, exclude=True, repr=False)
    """The chat that was explained; in ``details.json``. None of other prompts, and in folders of before it was kept."""
    inputs: tuple[InputRecord, ...] = Field(default=(), exclude=True)
    """What a template was explained over, one record an input; kept in ``details.json``."""
    surrogate: str = Field(default="", exclude=True)
    """Kept in ``details.json``; empty when only the JSON was loaded."""
    ended: Ended | None = Field(default=None, exclude=True)
    """Why the run ended before its budget, if it did; kept in ``details.json``."""
    stopped: Literal["width", "order"] | None = Field(default=None, exclude=True)
    """What the stop rule ended the run by: narrow intervals, or an order that held; in ``details.json``."""
    advice: str | None = Field(default=None, exclude=True)
    """What more calls would buy, in a sentence; kept in ``details.json``."""
    p_shift: tuple[float, ...] | None = Field(default=None, exclude=True)
    """Distributional mode: permutation p-values of a shift of the output's law, one a unit; in ``details.json``."""
    tree: Tree | None = Field(default=None, exclude=True, repr=False)
    """The levels of a long prompt that was explained part by part; kept in ``details.json``. None for a flat one."""
    interactions: tuple[InteractionRecord, ...] = Field(default=(), exclude=True)
    """Pairs of units that act together, where that raises held-out fidelity; kept in ``details.json``."""
    picture_share: PictureShare | None = Field(default=None, exclude=True)
    """How much of the answer hangs on the pictures of a chat, where they are units; kept in ``details.json``."""
    proxy: ProxyRecord | None = Field(default=None, exclude=True)
    """A cheap model that was asked beside; kept in ``details.json``. None where none had a part."""
    matrix: SentenceMatrix | None = Field(default=None, exclude=True, repr=False)
    """Which unit drove which sentence of the output, where it was asked for; kept in ``details.json``."""
    sets: AnswerSets | None = Field(default=None, exclude=True, repr=False)
    """The fewest units that change the answer, and that keep it; kept in ``details.json``."""
    why: Why | None = Field(default=None, exclude=True, repr=False)
    """What made the model act, where suspects were asked about; in the JSON of such explanations alone."""
    call: CallRecord | None = Field(default=None, exclude=True, repr=False)
    """The record that was explained, if it was one; in the JSON of such explanations alone."""
    recipe: Recipe | None = Field(default=None, exclude=True, repr=False)
    """What it was made with; kept in ``details.json``. None in folders of schema 2 and before."""
    read_from: ReadFrom | None = Field(default=None, exclude=True)
    """Where `read` took the answers from; kept in ``details.json``. None for an explanation that asked itself."""
    evidence: Evidence | None = Field(default=None, exclude=True, repr=False)
    """The arrays and samples; None when only the JSON was loaded."""

    @classmethod
    def _in_some(cls) -> Mapping[str, type[Record]]:
        return {"call": CallRecord, "why": Why}

    def to_dict(self) -> dict[str, Any]:
        """The JSON of the contract: plain values only, in the field order of the format."""
        known = {"call": self.call, "why": self.why}  # of recorded calls alone; others keep the fields they had
        more = {name: record.model_dump(mode="json") for name, record in known.items() if record is not None}
        return {**self.model_dump(mode="json", by_alias=True), **more}

    def details(self) -> dict[str, Any]:
        """What is kept beside the contract's JSON."""
        return {
            "settings": self.settings,
            "pinned": [list(span) for span in self.pinned],
            "surrogate": self.surrogate,
            "ended": self.ended,
            "stopped": self.stopped,
            "advice": self.advice,
            "p_shift": None if self.p_shift is None else list(self.p_shift),
            "sections": [section.model_dump(mode="json") for section in self.sections],
            **({} if self.chat is None else {"chat": self.chat.model_dump(mode="json")}),
            "interactions": [record.model_dump(mode="json") for record in self.interactions],
            "inputs": [record.model_dump(mode="json") for record in self.inputs],
            "r2_chance_p95": self.fidelity.r2_chance_p95,
            "noise_ceiling_low": self.fidelity.noise_ceiling_low,
            "noise_ceiling_high": self.fidelity.noise_ceiling_high,
            **({} if self.tree is None else {"tree": self.tree.model_dump(mode="json")}),
            **({} if self.picture_share is None else {"picture_share": self.picture_share.model_dump(mode="json")}),
            **({} if self.proxy is None else {"proxy": self.proxy.model_dump(mode="json")}),
            **({} if self.matrix is None else {"matrix": self.matrix.model_dump(mode="json")}),
            **({} if self.sets is None else {"sets": self.sets.model_dump(mode="json")}),
            **({} if self.recipe is None else {"recipe": self.recipe.model_dump(mode="json")}),
            **({} if self.read_from is None else {"read_from": self.read_from.model_dump(mode="json")}),
        }

    @typed()
    def save(self, directory: Path | str) -> Path:
        """Write explanation.json, details.json, arrays.safetensors and samples.jsonl; returns the folder.

        Raises:
            StoreError: if the folder cannot be written.
        """
        from whygen.results.prompt_files import save_prompt

        return save_prompt(self, directory)

    @classmethod
    @typed()
    def load(cls, path: Path | str) -> PromptExplanation:
        """Read what `save` wrote; from the JSON file alone come the contract's fields, without evidence.

        Raises:
            MissingError: if there is nothing at the path.
            FormatError: if it is damaged, or newer than this version.
        """
        from whygen.results.prompt_files import load_prompt

        return load_prompt(path)

    def source(self) -> Any:
        """What was explained, to be explained again: a text, a `Chat`, a `Template`, an `Edit` or a recorded `Call`.

        Raises:
            UsageError: if a part of it was not kept; the message says which.
        """
        return cast("Callable[..., Any]", imported("whygen.prompt.saved:source_of"))(self)

    def read(
        self,
        *,
        target: object = None,
        estimand: str | None = None,
        surrogate: str | None = None,
        irrelevant: str | None = None,
        matrix: str | None = None,
        encoder: object = "auto",
    ) -> PromptExplanation:
        """What the same answers say by another target, estimand or surrogate. No model is asked, and nothing is sent.

        Each argument is as `whygen.explain_prompt` has it; those that are None stay as they were. A target of your own
        that is not given again keeps the effects that it measured.

        Args:
            target: another one that reads the same answers, or the same token scores: ``contains:snow``, a callable.
            estimand: another one that the same masks serve.
            surrogate: another model of the model.
            irrelevant: whether answers about something else are counted, or left out.
            matrix: ``sentence``: attributions to each sentence of the output as well.
            encoder: for a target that compares by one, if not the one of then.

        Returns:
            An explanation like any other, with ``read_from``; ``calls`` says that none was made.

        Raises:
            UsageError: if that needs other calls than were made; the message says what to run.
            DataError: if the target cannot be measured on what the model said.
            MissingError: if an encoder is not installed.
        """
        # The wing that reads stands above results, which know it by name alone.
        reader = cast("Callable[..., PromptExplanation]", imported("whygen.prompt.offline:read"))
        return reader(
            self,
            target=target,
            estimand=estimand,
            surrogate=surrogate,
            irrelevant=irrelevant,
            matrix=matrix,
            encoder=encoder,
        )

    def table(self) -> dict[str, list[Any]]:
        """A column for each field of a unit, in the order of the prompt: what ``pandas.DataFrame`` takes."""
        return {name: [getattr(unit, name) for unit in self.units] for name in UnitAttribution.model_fields}

    @typed()
    def top(self, n: int = 5) -> tuple[UnitAttribution, ...]:
        """The ``n`` units of the largest attributions in size, the strongest first.

        Raises:
            UsageError: if ``n`` is under 1.
        """
        if n < 1:
            raise UsageError(f"n is {n}: give at least 1.")
        return tuple(sorted(self.units, key=lambda unit: -abs(unit.attribution))[:n])

    @overload
    def __getitem__(self, key: str | SupportsIndex) -> UnitAttribution: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[UnitAttribution, ...]: ...
    def __getitem__(self, key: str | SupportsIndex | slice) -> UnitAttribution | tuple[UnitAttribution, ...]:
        """A unit by its text, ``explanation["fox"]``, or by its number from 0; several by a slice.

        Raises:
            UnknownNameError: if no unit has that text.
            UsageError: if several have it, naming their numbers; or if there is no unit of that number.
        """
        if isinstance(key, slice):
            return self.units[key]
        if isinstance(key, SupportsIndex) and not isinstance(key, bool):  # numpy's whole numbers as well
            number = key.__index__()
            if -len(self.units) <= number < len(self.units):
                return self.units[number]
            raise UsageError(f"There is no unit {number}: the prompt has {len(self.units)}, numbered from 0.")
        places = [number for number, unit in enumerate(self.units) if unit.text == key]
        if not places:
            raise UnknownNameError("unit", str(key), [unit.text for unit in self.units])
        if len(places) > 1:
            raise UsageError(f"Units {', '.join(map(str, places))} are all {key!r}: give the number of one.")
        return self.units[places[0]]

    def __len__(self) -> int:
        """How many units the prompt has."""
        return len(self.units)

    def __bool__(self) -> bool:
        """True, also of a prompt without units: it is an explanation."""
        return True

    def __iter__(self) -> Iterator[UnitAttribution]:  # type: ignore[override]  # a record would give its fields
        """The units, in the order of the prompt."""
        return iter(self.units)

    def __contains__(self, text: object) -> bool:
        """Whether a unit has this text."""
        return any(unit is text or unit.text == text for unit in self.units)

    @typed()
    def plot_attributions(self, *, ax: Axes | None = None) -> Axes:
        """Bars with intervals, drawn by matplotlib (extra ``plots``)."""
        from whygen.results.plots import plot_attributions

        return plot_attributions(self, ax=ax)

    @typed()
    def plot_fidelity(self, *, ax: Axes | None = None) -> Axes:
        """Held-out predictions against observed effects, drawn by matplotlib (extra ``plots``)."""
        from whygen.results.plots import plot_fidelity

        return plot_fidelity(self, ax=ax)

    def __repr__(self) -> str:
        strongest = max(self.units, key=lambda unit: abs(unit.attribution), default=None)
        words = "" if strongest is None else f", strongest {strongest.text!r} {strongest.attribution:+.3f}"
        return (
            f"<PromptExplanation of {self.model}: {counted(len(self.units), 'unit')}{words}, "
            f"{sum(unit.significant is True for unit in self.units)} significant, {counted(self.calls.asked, 'call')}>"
        )

    __str__ = __repr__
