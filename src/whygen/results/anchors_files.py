# pyright: basic
"""An `AnchorExplanation` in a folder: JSON for people and programs, JSON Lines for its table, safetensors."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file
from safetensors.numpy import save as tensors

from whygen.errors import FormatError
from whygen.results import lines
from whygen.results.anchors import GROUPS, SCHEMA, AnchorEvidence, AnchorExplanation, Details
from whygen.results.anchors_pictures import small_of
from whygen.results.anchors_scores import Scores, ScoresRecord
from whygen.results.evidence import misfit
from whygen.results.files import (
    ARRAYS,
    DETAILS,
    DOCUMENT,
    PARTS,
    check_schema,
    damaged,
    document_bytes,
    part_of,
    read_document,
    write_together,
)

ANCHORS = "anchors.jsonl"
EARLIER_ANCHORS = "anchors.parquet"
"""As schemas 1 and 2 wrote them."""
SCORES = "scores.json"
SCORE_ARRAYS = "scores.safetensors"
LOOK_AT = "look_at.csv"
_SHAPES = {
    "draws": "f S n c", "codes": "i<groups n", "flip_rate": "g n", "p_values": "g n c", "p_high": "g n c",
    "gain": "g n c", "comes_back": "b n", "basis": "f R r c", "neighbour": "i n", "neighbour_distance": "g n",
    "shown": "i<n g", "originals": "g g y x k", "reconstructions": "g g y2 x2 k2", "p_memorised": "g n c",
    "memorised": "b n", "nearest_training": "i<n n", "nearest_training_distance": "g n", "traced": "i<n t",
    "traced_pictures": "g t three y3 x3 k3",
}  # fmt: skip
"""What `misfit` expects of the evidence."""
_SCORE_SHAPES = {"draws": "f S{0} {0} c", "means": "g {0} d{0}", "overlap": "i<{0} o{0}"}
"""The same of the scores of a set of samples, by the end of a name."""


def save(explanation: AnchorExplanation, folder: Path) -> Path:
    """Write an explanation into a folder, which is made if need be; an earlier one there is replaced.

    Raises:
        StoreError: if the folder cannot be written.
    """
    parts: dict[str, bytes] = {}
    if explanation.details is not None:
        parts[DETAILS] = document_bytes(explanation.details.model_dump(mode="json"))
    if explanation.evidence is not None:
        parts[ANCHORS] = _lines(explanation.table())
        parts[ARRAYS] = tensors(_arrays(explanation.evidence))
        parts[LOOK_AT] = _csv(explanation.look_at())
    if explanation.scores is not None:
        parts[SCORES] = document_bytes(explanation.scores.facts.model_dump(mode="json"))
        parts[SCORE_ARRAYS] = tensors(_kept(explanation.scores))
    parts[DOCUMENT] = document_bytes(explanation.to_dict())
    stale = (DOCUMENT, DETAILS, ANCHORS, EARLIER_ANCHORS, ARRAYS, LOOK_AT, SCORES, SCORE_ARRAYS)
    write_together(folder, parts, stale=stale)
    return folder


def load(path: Path) -> AnchorExplanation:
    """Read an explanation from its folder, or from its JSON alone.

    Raises:
        MissingError: if there is no explanation at the path.
        FormatError: if it is damaged, or newer than this version.
    """
    document = read_document(path)
    file = path / DOCUMENT if path.is_dir() else path
    check_schema(document, file, newest=SCHEMA)
    names = (DETAILS, ARRAYS, ANCHORS, EARLIER_ANCHORS, SCORES, SCORE_ARRAYS) if path.is_dir() else ()
    where = {name: part_of(path, name, document) for name in names}
    document = {name: value for name, value in document.items() if name != PARTS}
    try:
        if not path.is_dir():
            return AnchorExplanation.model_validate(document)
        details = _load_details(where)
        return AnchorExplanation.model_validate(
            {
                **document,
                "ended": None if details is None else details.ended,
                "details": details,
                "evidence": _load_evidence(where, document.get("n_anchors")),
                "scores": _load_scores(where),
            }
        )
    except ValidationError as error:
        raise damaged(file, error, again="Explain again.") from None


def _kept(scores: Scores) -> dict[str, NDArray[Any]]:
    """What is saved of the scores: of samples that are too large to be kept, smaller pictures."""
    kept = scores.kept()
    for which in ("anchors", "reference"):
        if f"{which}/raw" in scores.arrays and f"{which}/raw" not in kept:
            small = small_of(scores, which)
            if small is not None:
                kept[f"{which}/small"] = small
    return kept


def _lines(table: dict[str, list[Any]]) -> bytes:
    return lines.to_lines(dict(zip(table, cells, strict=True)) for cells in zip(*table.values(), strict=True))


def _csv(listed: list[dict[str, Any]]) -> bytes:
    """Cells that a spreadsheet would run as a formula get an apostrophe: names come from users' files."""
    stream = io.StringIO(newline="")
    if listed:
        writer = csv.DictWriter(stream, list(listed[0]))
        writer.writeheader()
        writer.writerows({name: cell(value) for name, value in row.items()} for row in listed)
    return stream.getvalue().encode("utf-8", "backslashreplace")


def table_csv(table: Mapping[str, list[Any]]) -> str:
    """A table by columns as CSV, cells as `cell` has them."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow([cell(name) for name in table])
    writer.writerows([cell(value) for value in row] for row in zip(*table.values(), strict=True))
    return stream.getvalue()


def cell(value: Any) -> Any:
    """A cell of a CSV, with an apostrophe before what a spreadsheet would run as a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t") else value


def _arrays(evidence: AnchorEvidence) -> dict[str, NDArray[Any]]:
    arrays = {name: getattr(evidence, name) for name in _SHAPES}
    return {name: np.ascontiguousarray(array) for name, array in arrays.items() if array is not None}


def _load_details(where: Mapping[str, Path]) -> Details | None:
    file = where[DETAILS]
    return Details.model_validate(read_document(file)) if file.is_file() else None


def _load_evidence(where: Mapping[str, Path], n: object) -> AnchorEvidence | None:
    if not where[ARRAYS].is_file():
        return None
    try:
        arrays: dict[str, Any] = load_file(where[ARRAYS])
        names, labels, roles = _names(where)
        sizes = {"n": n if isinstance(n, int) else 0, "groups": len(GROUPS), "three": 3}
        _require(misfit(arrays, _SHAPES, sizes))
        told = {"names": names, "labels": labels, "roles": roles}
        _require(next((f"{each} are {len(rows)}" for each, rows in told.items() if rows and len(rows) != n), ""))
        return AnchorEvidence(**arrays, names=names, labels=labels, roles=roles)
    except (OSError, SafetensorError, TypeError, ValueError) as error:
        raise FormatError(f"The arrays in {str(where[ARRAYS].parent)!r} cannot be read: {error}") from error


def _load_scores(where: Mapping[str, Path]) -> Scores | None:
    if not (where[SCORES].is_file() and where[SCORE_ARRAYS].is_file()):
        return None
    facts = ScoresRecord.model_validate(read_document(where[SCORES]))
    try:
        arrays = load_file(where[SCORE_ARRAYS])
        sizes = {"anchors": facts.anchors.n, "c": len(facts.criteria)}
        sizes |= {} if facts.reference is None else {"reference": facts.reference.n}
        expected = {
            name: _SCORE_SHAPES[end].format(which) for name in arrays for which, _, end in [name.rpartition("/")]
            if which in sizes and end in _SCORE_SHAPES
        }  # fmt: skip
        for name in ("anchors/draws", "anchors/means", "distinct"):
            _require("" if name in arrays else f"{name} is missing")
        for which, record in (("anchors", facts.anchors), ("reference", facts.reference)):
            raw = arrays.get(f"{which}/raw")
            if raw is not None and record is not None:
                fits = raw.size == record.n * math.prod(facts.shape) and sorted(record.order) == list(range(raw.ndim))
                _require("" if fits else f"{which}/raw is cut")
        _require(misfit(arrays, {"distinct": "i<anchors u", **expected}, sizes))
        return Scores(facts, arrays)
    except (OSError, SafetensorError, TypeError, ValueError) as error:
        raise FormatError(f"The scores in {str(where[SCORES].parent)!r} cannot be read: {error}") from error


def _require(wrong: str) -> None:
    if wrong:
        raise ValueError(wrong)


def _names(where: Mapping[str, Path]) -> tuple[tuple[Any, ...], tuple[Any, ...] | None, tuple[str, ...] | None]:
    """Names, labels and roles of the anchors, from the table."""
    if where[EARLIER_ANCHORS].is_file():
        found = lines.read_earlier(where[EARLIER_ANCHORS])
    else:
        found = lines.read_lines(where[ANCHORS])
    kept = [(row.get("name"), row.get("label"), "label" in row, row.get("role")) for row in found]
    names = tuple(each[0] for each in kept if each[0] is not None)
    labels = tuple(each[1] for each in kept) if kept and kept[0][2] else None
    roles = tuple(str(each[3]) for each in kept) if kept and kept[0][3] else None
    return names, labels, roles
