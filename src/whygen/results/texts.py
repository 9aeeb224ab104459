"""`TextAnchorExplanation`: which texts a language model knows by heart, and what that was told by.

All of it is in one JSON document: a record a text, the groups, the contrast, and the estimated share. Its folder holds
a table for spreadsheets too, and all that was scored: what `read`, `compare` and `evaluate` read again without the
model.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import Field, ValidationError

from whygen._arguments import typed
from whygen.plugins import imported
from whygen.results.anchors_memorised import MemorisationRecord, RoleName, RoleRecord
from whygen.results.files import (
    ARRAYS,
    DETAILS,
    DOCUMENT,
    MAX_DOCUMENT_BYTES,
    damaged,
    document_bytes,
    load_document,
    part_of,
    read_document,
    write_together,
)
from whygen.results.prompt import Warned
from whygen.results.recipe import AskedRecord
from whygen.results.records import Ended, Figure, Lists, Record, Text
from whygen.results.shown import Showable
from whygen.texts import counted


class KeptLikelihood(Record):
    """A text under the model, in nats: the fields of `whygen.anchors.texts.criteria.Likelihood`."""

    nats: float
    tokens: int
    zlib: float
    min_k: float
    beginning: int
    end: int
    drawn: float
    drawn_tokens: int


class KeptContinuation(Record):
    """How the model goes on after the beginning of a text."""

    written: Text
    match: float
    verbatim: bool


class KeptText(Record):
    """A text with its twins, as it was made ready and scored.

    Attributes:
        state: "" where it could be scored, else why not.
        failed: why it was not scored though it could have been; "" otherwise.
        likelihood: under the model; None where it was not scored.
        other: nats under the baseline.
        twins: each with its nats under the model and under the baseline.
    """

    text: Text
    prompt: Text = ""
    state: str = ""
    notes: tuple[Text, ...] = ()
    copy_of: int | None = None
    is_cut: bool = False
    role: RoleName | None = None
    label: int | Text | None = None
    failed: Text = ""
    likelihood: KeptLikelihood | None = None
    other: Figure = None
    twins: tuple[tuple[Text, Figure, Figure], ...] = ()
    continued: KeptContinuation | None = None


class TextScores(Record):
    """Anchors and reference as they were scored, and what does not follow from that.

    Attributes:
        reference: held-out texts; None without.
        automatic: whether twins were made here, so that those of anchors and reference are alike.
        has_baseline: whether a baseline scored them, too.
        said: warnings of what was found while the texts were read.
        noticed: warnings of the run.
        asked: what it was asked with, and by which levels it was read since; None where it was saved before.
    """

    anchors: tuple[KeptText, ...]
    reference: tuple[KeptText, ...] | None = None
    automatic: bool
    has_baseline: bool
    said: tuple[Warned, ...] = ()
    noticed: tuple[Warned, ...] = ()
    asked: AskedRecord | None = None


SCHEMA = 1
"""Version of the JSON layout. Raise it when a field changes meaning, keep the old reader and an old golden file."""

KNOWS_BY_HEART = "knows by heart"
KNOWS_THE_KIND = "knows the kind"
INVENTS = "invents"
DOES_NOT_KNOW = "does not know"
CANNOT_BE_TOLD = "cannot be told"
GROUPS = (KNOWS_BY_HEART, KNOWS_THE_KIND, INVENTS, DOES_NOT_KNOW, CANNOT_BE_TOLD)
"""What the model does with a text, as far as it was measured."""


class TextRecord(Record):
    """A text with what was measured of it. Likelihoods are in nats; a low one is a likely text.

    Attributes:
        text: as it was scored, cut after 1,000 characters.
        state: ``scored``, or why not: ``empty``, ``too short``, ``unreadable``, ``copy``, ``failed``, ``not reached``.
        nll: minus the log-probability of a token, on average.
        minus_baseline: the same less the baseline's.
        p_unlike: small where hardly a text of the reference is so unlikely.
        p_too_well: small where hardly a text of the reference is so likely.
        contrast: how much likelier it is than it should be, in nats.
        strength: what p rests on: with twins, the contrast over their spread; else the contrast.
        p: of the contrast, of this text alone.
        q: the smallest false discovery rate at which it is called known by heart.
        nearest_twin: the twin that the model finds likeliest.
        match: how much of the text's continuation the model writes, greedily.
        drawn_nats: minus the log-probability of drawing the continuation.
        draws_half: samples that hold the continuation with probability .5; None where that is over 1e15.
        draws_ninety: with probability .9.
        role: what it is to the model: ``training``, ``held-out`` or ``foreign``; None where nothing was said.
        p_memorised: where there are training and held-out texts: small where hardly a held-out text is so well known,
            over all criteria.
        memorised: whether it is called so.
    """

    index: int
    text: Text
    prompt: Text = ""
    state: str
    group: str | None
    reason: Text
    notes: tuple[Text, ...] = ()
    copy_of: int | None = None
    tokens: int | None = None
    nats: Figure = None
    nll: Figure = None
    minus_baseline: Figure = None
    zlib: Figure = None
    min_k: Figure = None
    p_unlike: Figure = None
    p_too_well: Figure = None
    told_by: str | None = None
    contrast: Figure = None
    strength: Figure = None
    p: Figure = None
    q: Figure = None
    twins: int = 0
    nearest_twin: Text | None = None
    nearest_twin_nats: Figure = None
    written: Text | None = None
    match: Figure = None
    verbatim: bool | None = None
    p_match: Figure = None
    drawn_nats: Figure = None
    drawn_tokens: int | None = None
    draws_half: Figure = None
    draws_ninety: Figure = None
    label: int | Text | None = None
    role: RoleName | None = None
    p_memorised: Figure = None
    memorised: bool | None = None


class TextGroupRecord(Record):
    """How many texts a group holds; the interval is Wilson's. ``measured``: whether anything could put a text there."""

    count: int
    share: float
    low: float
    high: float
    measured: bool
    meaning: str


class ContrastRecord(Record):
    """One way in which it was told what is known by heart, and what came of it.

    ``estimate`` is the estimated share of these texts that are known by heart, called or not; ``low`` holds whatever
    they look like, ``high`` only if nearly all of them stand out.
    """

    kind: str
    n: int
    called: int
    estimate: float
    low: float
    high: float
    measured_by: int


class ReferenceRecord(Record):
    """Held-out texts of the same kind: how many were scored, their usual likelihood, and their role."""

    n: int
    nll: float
    role: str
    continued: int


class TextLabels(Lists):
    """How many counted texts of each label every group holds: a row a label, a column a group in their order."""

    columns = ("labels", "counts")
    rows = (("counts",), "groups")
    labels: tuple[int | Text, ...]
    groups: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


class TextAnchorExplanation(Showable, Record):
    """What a language model has learned, told by texts. Frozen; everything here can be saved and loaded."""

    schema_version: int = Field(default=SCHEMA, alias="schema", serialization_alias="schema")
    whygen: str
    model: str
    baseline: str | None
    n_texts: int
    counted: int
    """Texts that shares are of: scored, and no copies."""
    groups: dict[str, TextGroupRecord]
    contrasts: tuple[ContrastRecord, ...]
    reference: ReferenceRecord | None
    alpha: float
    fdr: float
    twins: str
    """How twins were made: ``automatic``, ``given`` or ``none``."""
    source: str
    texts: tuple[TextRecord, ...]
    seed: int
    versions: dict[str, str]
    calls: str = ""
    warnings: tuple[Warned, ...] = ()
    ended: Ended | None = None
    """Why fewer was scored than asked for, if so."""
    false_positives: float = 0.05
    """Share of held-out texts that may be called memorised, where anchors have roles."""
    memorisation: MemorisationRecord | None = None
    """Training against held-out texts; None without roles."""
    roles: tuple[RoleRecord, ...] = ()
    labels: TextLabels | None = None
    scores: TextScores | None = Field(default=None, exclude=True, repr=False)
    """All that was scored, which `read` reads again. None when only the JSON was loaded, or it was saved before."""

    def to_dict(self) -> dict[str, Any]:
        """The JSON of the contract: plain values only."""
        return self.model_dump(mode="json", by_alias=True)

    @typed()
    def save(self, folder: str | Path) -> Path:
        """Write explanation.json, texts.csv and scores.json into a folder."""
        return save(self, Path(folder))

    @classmethod
    @typed()
    def load(cls, path: str | Path) -> TextAnchorExplanation:
        """Read what `save` wrote; from the JSON file alone come the contract's fields, without scores.

        Raises:
            MissingError: if there is nothing at the path.
            FormatError: if it is damaged, or newer than this version.
        """
        return load(Path(path))

    @typed()
    def read(
        self,
        *,
        alpha: float | None = None,
        fdr: float | None = None,
        false_positives: float | None = None,
        reference_role: Literal["held-out", "training"] | None = None,
    ) -> TextAnchorExplanation:
        """What the same scores say by other levels. No model is asked.

        Each argument is as `whygen.explain_anchors` has it; those that are None stay as they were.

        Args:
            alpha: chance that a text of the reference's kind is called unlike it.
            fdr: expected share of false ones among the texts that are called known by heart.
            false_positives: share of held-out texts that may be called memorised, where anchors have roles.
            reference_role: what the reference is to the model.

        Raises:
            MissingError: if the explanation holds no scores.
            UsageError: if a level is none.
        """
        again = cast("Callable[..., TextAnchorExplanation]", imported("whygen.anchors.texts.telling:read"))
        given = {"alpha": alpha, "fdr": fdr, "false_positives": false_positives, "role": reference_role}
        return again(self, {name: each for name, each in given.items() if each is not None})

    def members(self, group: str) -> tuple[TextRecord, ...]:
        """The texts of a group.

        Raises:
            UnknownNameError: if there is no such group.
        """
        from whygen.errors import UnknownNameError

        if group not in GROUPS:
            raise UnknownNameError("group", group, GROUPS)
        return tuple(text for text in self.texts if text.group == group)

    def table(self) -> dict[str, list[Any]]:
        """One row a text as columns: every field of `TextRecord`."""
        rows = [text.model_dump(mode="json") for text in self.texts]
        return {name: [row[name] for row in rows] for name in TextRecord.model_fields}

    def look_at(self) -> list[dict[str, Any]]:
        """The texts to look at, most telling first: known by heart, then not known, then invented."""
        order = (KNOWS_BY_HEART, DOES_NOT_KNOW, INVENTS)
        found = [text for name in order for text in sorted(self.members(name), key=lambda each: -(each.strength or 0))]
        return [text.model_dump(mode="json") for text in found]

    def __repr__(self) -> str:
        shares = ", ".join(f"{name} {group.count}" for name, group in self.groups.items() if group.count)
        return f"<TextAnchorExplanation of {self.model}: {counted(self.n_texts, 'text')}, {shares or 'none scored'}>"

    __str__ = __repr__


TABLE = "texts.csv"
SCORES = "scores.json"
STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins so is run as a formula by a spreadsheet."""


def save(explanation: TextAnchorExplanation, folder: Path) -> Path:
    """Write an explanation into a folder, which is made if need be; an earlier one there is replaced.

    Raises:
        StoreError: if the folder cannot be written.
    """
    parts = {TABLE: _csv(explanation)}
    if explanation.scores is not None:
        scores = document_bytes(explanation.scores.model_dump(mode="json"))
        if len(scores) <= MAX_DOCUMENT_BYTES:  # texts of many megabytes are not read again, but explained again
            parts[SCORES] = scores
    parts[DOCUMENT] = document_bytes(explanation.to_dict())
    write_together(folder, parts, stale=(DOCUMENT, TABLE, SCORES, DETAILS, ARRAYS))
    return folder


def _csv(explanation: TextAnchorExplanation) -> bytes:
    table = explanation.table()
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(table)
    for row in zip(*table.values(), strict=True):
        writer.writerow([_cell(value) for value in row])
    return stream.getvalue().encode("utf-8", "backslashreplace")


def _cell(value: object) -> object:
    if isinstance(value, list | tuple):
        value = " ".join(map(str, value))  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return f"'{value}" if isinstance(value, str) and value.startswith(STARTS) else value


def load(path: Path) -> TextAnchorExplanation:
    """Read an explanation from its folder or its JSON.

    Raises:
        MissingError: if there is no explanation at the path.
        FormatError: if it is damaged, or newer than this version.
    """
    found = load_document(
        TextAnchorExplanation, path, name=DOCUMENT, newest=SCHEMA, what=("explanation", "-o or save()"),
        again="Explain again.",
    )  # fmt: skip
    if not path.is_dir():
        return found
    place = part_of(path, SCORES, read_document(path))
    if not place.is_file():
        return found
    try:
        return found.model_copy(update={"scores": TextScores.model_validate_json(place.read_bytes())})
    except ValidationError as error:
        raise damaged(place, error, again="Explain again.") from None
