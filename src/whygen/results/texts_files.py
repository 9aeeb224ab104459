"""A `TextAnchorExplanation` in a folder: its JSON, a table for spreadsheets, and what was scored."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from pydantic import ValidationError

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
from whygen.results.texts import SCHEMA, TextAnchorExplanation
from whygen.results.texts_scores import TextScores

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
