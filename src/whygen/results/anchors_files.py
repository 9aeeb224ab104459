# pyright: basic
"""An `AnchorExplanation` in a folder: JSON for people and programs, parquet for tables, safetensors for arrays."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from whygen.errors import FormatError, MissingError
from whygen.results.anchors import SCHEMA, AnchorEvidence, AnchorExplanation, Details

EXPLANATION = "explanation.json"
DETAILS = "details.json"
ANCHORS = "anchors.parquet"
ARRAYS = "arrays.safetensors"
LOOK_AT = "look_at.csv"
OPTIONAL_ARRAYS = ("p_values", "basis", "neighbour", "neighbour_distance", "originals", "reconstructions")


def save(explanation: AnchorExplanation, folder: Path) -> Path:
    """Write an explanation into a folder, which is made if need be; files of an earlier one are replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / EXPLANATION, explanation.to_dict())
    if explanation.details is not None:
        _write_json(folder / DETAILS, explanation.details.model_dump(mode="json"))
    if explanation.evidence is not None:
        pq.write_table(pa.table(explanation.table()), folder / ANCHORS)
        save_file(_arrays(explanation.evidence), folder / ARRAYS)
        _write_csv(folder / LOOK_AT, explanation.look_at())
    return folder


def load(path: Path) -> AnchorExplanation:
    """Read an explanation from its folder, or from its JSON alone.

    Raises:
        MissingError: if there is no explanation at the path.
        FormatError: if it is damaged, or newer than this version.
    """
    file = path / EXPLANATION if path.is_dir() else path
    if not file.is_file():
        raise MissingError(f"There is no explanation at {str(path)!r}; give a folder that save has written.")
    fields = _read_json(file)
    if not isinstance(fields.get("schema"), int) or fields["schema"] > SCHEMA:
        raise FormatError(
            f"{str(file)!r} has the schema {fields.get('schema')!r}; this version reads up to "
            f"{SCHEMA}. Install a newer whygen."
        )
    folder = file.parent if path.is_dir() else None
    try:
        details = None if folder is None else _load_details(folder)
        evidence = None if folder is None else _load_evidence(folder)
        return AnchorExplanation.model_validate({**fields, "details": details, "evidence": evidence})
    except ValidationError as error:
        raise FormatError(f"{str(file)!r} is no explanation of anchors: {error}") from error


def _write_json(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _read_json(file: Path) -> dict[str, Any]:
    try:
        value: Any = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FormatError(f"{str(file)!r} cannot be read as JSON: {error}") from error
    if not isinstance(value, dict):
        raise FormatError(f"{str(file)!r} holds no JSON object.")
    return value  # pyright: ignore[reportUnknownVariableType]


def _write_csv(file: Path, rows: list[dict[str, Any]]) -> None:
    """Cells that a spreadsheet would run as a formula are quoted with an apostrophe: names come from users' files."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        if rows:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t") else value


def _arrays(evidence: AnchorEvidence) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {
        "draws": evidence.draws,
        "codes": evidence.codes,
        "flip_rate": evidence.flip_rate,
        "shown": evidence.shown,
    }
    for name in OPTIONAL_ARRAYS:
        if (array := getattr(evidence, name)) is not None:
            arrays[name] = array
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def _load_details(folder: Path) -> Details | None:
    file = folder / DETAILS
    return Details.model_validate(_read_json(file)) if file.is_file() else None


def _load_evidence(folder: Path) -> AnchorEvidence | None:
    if not (folder / ARRAYS).is_file():
        return None
    try:
        arrays: dict[str, Any] = load_file(folder / ARRAYS)
        table = pq.read_table(folder / ANCHORS)
        stored: dict[str, Any] = {
            name: table.column(name).to_pylist() for name in ("name", "label") if name in table.column_names
        }
        labels = stored.get("label")
        return AnchorEvidence(
            **arrays, names=tuple(stored.get("name", ())), labels=None if labels is None else tuple(labels)
        )
    except (OSError, SafetensorError, pa.ArrowException, TypeError) as error:
        raise FormatError(f"The arrays in {str(folder)!r} cannot be read: {error}") from error
