# pyright: basic
"""Saving and loading an explanation: JSON beside safetensors and parquet; never pickle.

A folder holds ``explanation.json``, ``arrays.safetensors`` and ``samples.parquet``. Each file is written beside its
place and then moved there, so a folder never holds half a file.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from whygen.errors import FormatError, MissingError, StoreError
from whygen.results.prompt import SCHEMA, Evidence, PromptExplanation, Sample

DOCUMENT = "explanation.json"
ARRAYS = "arrays.safetensors"
SAMPLES = "samples.parquet"
MAX_DOCUMENT_BYTES = 64 * 2**20
"""A document larger than this was not written by whygen."""


def write_atomically(path: Path, data: bytes) -> None:
    """Write beside the place, then move: a reader sees the old file or the new one.

    Raises:
        StoreError: if the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StoreError(
            f"{str(path)!r} cannot be written ({error.strerror}). Give another folder with -o, or make room; the "
            "recorded answers are kept, so running again costs nothing."
        ) from None


def save_prompt(explanation: PromptExplanation, directory: Path | str) -> Path:
    """Write a prompt explanation into a folder; returns the folder."""
    folder = Path(directory)
    evidence = explanation.evidence
    if evidence is not None:
        arrays: dict[str, NDArray[Any]] = {
            "masks": evidence.masks,
            "effects": evidence.effects,
            "predicted": evidence.predicted,
            "groups": evidence.groups,
        }
        write_atomically(folder / ARRAYS, save({name: np.ascontiguousarray(a) for name, a in arrays.items()}))
        write_atomically(folder / SAMPLES, _parquet(evidence.samples))
    write_atomically(folder / DOCUMENT, document_bytes(explanation.to_dict()))
    return folder


def document_bytes(document: Mapping[str, Any]) -> bytes:
    """The JSON document as it lies on disk. Half surrogates, which JSON text cannot hold, are escaped."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
    return text.encode("utf-8", "backslashreplace")


def _parquet(samples: tuple[Sample, ...]) -> bytes:
    columns: dict[str, list[Any]] = {name: [getattr(sample, name) for sample in samples] for name in _SCHEMA.names}
    for name in ("prompt", "output"):
        columns[name] = [text.encode("utf-8", "replace").decode() for text in columns[name]]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns, schema=_SCHEMA), sink)
    return sink.getvalue().to_pybytes()


_SCHEMA = pa.schema(
    [
        ("kind", pa.string()),
        ("mask", pa.int64()),
        ("draw", pa.int64()),
        ("prompt", pa.string()),
        ("output", pa.string()),
        ("finish", pa.string()),
        ("effect", pa.float64()),
    ]
)


def read_document(path: Path) -> dict[str, Any]:
    """The JSON document of a saved explanation.

    Args:
        path: a folder, or the document itself.

    Raises:
        MissingError: if it is not there.
        FormatError: if it is damaged, too large, or from a newer version.
    """
    file = path / DOCUMENT if path.is_dir() else path
    if not file.is_file():
        raise MissingError(f"There is no explanation at {str(path)!r}: give a folder that -o or save() wrote.")
    if file.stat().st_size > MAX_DOCUMENT_BYTES:
        raise FormatError(f"{file} is over {MAX_DOCUMENT_BYTES // 2**20} MiB: no explanation is so large.")
    try:
        document = json.loads(file.read_bytes())
    except ValueError as error:
        raise FormatError(f"{file} is damaged: {error}. Explain again; recorded answers cost nothing.") from None
    if not isinstance(document, dict):
        raise FormatError(f"{file} is no explanation: it holds a {type(document).__name__}.")
    found = cast("dict[str, Any]", document)
    schema = found.get("schema")
    if not isinstance(schema, int):
        raise FormatError(f"{file} is no explanation: it names no schema version.")
    if schema > SCHEMA:
        raise FormatError(
            f"{file} has schema {schema}, written by whygen {found.get('whygen')}; this whygen reads up to {SCHEMA}. "
            "Upgrade whygen."
        )
    return found


def load_prompt(path: Path | str) -> PromptExplanation:
    """A saved prompt explanation, with its evidence if it lies beside the document.

    Raises:
        MissingError: if there is none.
        FormatError: naming the damaged file.
    """
    place = Path(path)
    document = read_document(place)
    folder = place if place.is_dir() else place.parent
    try:
        return PromptExplanation(**document, evidence=_evidence(folder))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise FormatError(f"{folder / DOCUMENT} is damaged at {where!r}: {first['msg']}.") from None


def _evidence(folder: Path) -> Evidence | None:
    if not (folder / ARRAYS).is_file():
        return None
    try:
        arrays = load_file(folder / ARRAYS)
        samples = _samples(folder / SAMPLES) if (folder / SAMPLES).is_file() else ()
        return Evidence(
            masks=arrays["masks"].astype(bool),
            effects=arrays["effects"],
            predicted=arrays["predicted"],
            groups=arrays["groups"],
            samples=samples,
        )
    except (SafetensorError, KeyError, pa.ArrowInvalid) as error:
        raise FormatError(f"{folder}: {ARRAYS} or {SAMPLES} is damaged ({error}).") from None


def _samples(path: Path) -> tuple[Sample, ...]:
    rows: list[dict[str, Any]] = pq.read_table(path, schema=_SCHEMA).to_pylist()
    return tuple(Sample(**row) for row in rows)
