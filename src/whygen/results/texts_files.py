"""A `TextAnchorExplanation` in a folder: its JSON, and a table for spreadsheets."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from whygen.results.files import (
    ARRAYS,
    DETAILS,
    DOCUMENT,
    document_bytes,
    load_document,
    write_together,
)
from whygen.results.texts import SCHEMA, TextAnchorExplanation

TABLE = "texts.csv"
STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins so is run as a formula by a spreadsheet."""


def save(explanation: TextAnchorExplanation, folder: Path) -> Path:
    """Write an explanation into a folder, which is made if need be; an earlier one there is replaced.

    Raises:
        StoreError: if the folder cannot be written.
    """
    parts = {TABLE: _csv(explanation), DOCUMENT: document_bytes(explanation.to_dict())}
    write_together(folder, parts, stale=(DOCUMENT, TABLE, DETAILS, ARRAYS))
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
    return load_document(
        TextAnchorExplanation, path, name=DOCUMENT, newest=SCHEMA, what=("explanation", "-o or save()"),
        again="Explain again.",
    )  # fmt: skip
