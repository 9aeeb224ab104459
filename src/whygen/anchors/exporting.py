"""Anchors as a folder of pictures with a table, for viewers of data sets: FiftyOne, Spotlight, a spreadsheet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from whygen.anchors.representing import samples_of
from whygen.errors import MissingError, StoreError, UsageError
from whygen.models.latent import Floats
from whygen.results.anchors import AnchorExplanation
from whygen.results.anchors_files import table_csv

TABLE = "labels.csv"
FIELDS = "fields.json"
DATA, MADE = "data", "reconstructions"
BLOCK = 512


def export(explanation: AnchorExplanation, folder: Path) -> Path:
    """Write ``labels.csv`` and ``data/`` as FiftyOne's ``CSVDataset`` has them; see `AnchorExplanation.to_fiftyone`.

    Raises:
        MissingError: if the samples were not kept.
        UsageError: if they are no pictures, or the folder holds something else.
        StoreError: if it cannot be written.
    """
    samples = None if explanation.scores is None else samples_of(explanation.scores)[0]
    if explanation.scores is None or samples is None:
        raise MissingError(
            "This explanation holds no samples: it was loaded from its JSON alone, or they were above 64 MiB. Export "
            "the explanation as explain_anchors returned it."
        )
    if samples.image is None or not np.isfinite(samples.value_range).all():
        raise UsageError("The anchors are no pictures; explanation.table() has all columns, for any table of yours.")
    made = explanation.scores.arrays.get("anchors/made")
    names = [f"{row:0{max(5, len(str(len(samples))))}d}.png" for row in range(len(samples))]
    table = {"filepath": names, **explanation.table()}
    if made is not None:
        table["reconstruction"] = [f"{MADE}/{name}" for name in names]
    table = {_field(name): column for name, column in table.items()}
    _require_own(folder)
    try:
        (folder / DATA).mkdir(parents=True, exist_ok=True)
        for start in range(0, len(samples), BLOCK):
            rows = np.arange(start, min(start + BLOCK, len(samples)))
            _write(samples.pictures(samples.rows(rows)), folder / DATA, names[start : start + BLOCK])
            if made is not None:
                (folder / MADE).mkdir(exist_ok=True)
                _write(made[rows].astype(np.float32) / np.float32(255), folder / MADE, names[start : start + BLOCK])
        (folder / FIELDS).write_text(json.dumps({name: _kind(column) for name, column in table.items()}, indent=1))
        (folder / TABLE).write_text(table_csv(table), encoding="utf-8", errors="backslashreplace", newline="")
    except OSError as error:
        raise StoreError(f"{str(folder)!r} cannot be written ({error.strerror}). Give another folder.") from error
    return folder


def _require_own(folder: Path) -> None:
    """Refuse a folder that holds something else than an earlier export.

    Raises:
        UsageError: if it does.
    """
    if folder.is_dir() and any(folder.iterdir()) and not (folder / FIELDS).is_file():
        raise UsageError(f"{str(folder)!r} holds something else: give a new or an empty folder.")


def _field(name: str) -> str:
    """The name of a column as viewers take it: no hyphen, no dot, no underscore in front."""
    return name.replace("-", "_").replace(".", "_").lstrip("_") or "column"


def _kind(column: list[Any]) -> str:
    """The type of a column's values, as Python calls it; gaps aside."""
    kinds = {type(value).__name__ for value in column if value is not None}
    return "float" if kinds == {"int", "float"} else kinds.pop() if len(kinds) == 1 else "str"


def _write(pictures: Floats, folder: Path, names: list[str]) -> None:
    """Pictures ``(b, height, width, channels)`` between 0 and 1 as PNG."""
    pixels = (pictures[..., :3] * 255).round().astype(np.uint8)
    for one, name in zip(pixels, names, strict=True):
        Image.fromarray(one if one.shape[2] == 3 else one[..., 0]).save(folder / name)
