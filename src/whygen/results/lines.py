# pyright: basic
"""Rows of an explanation on disk: JSON Lines, and the parquet of earlier schemas."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from whygen.errors import MissingExtraError
from whygen.safe import read_json

MAX_ROWS_BYTES = 2**30
"""What the rows of one explanation may take on disk, or unpacked from parquet: no explanation is so large."""


def to_lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Rows as JSON Lines. A number that is NaN or infinite becomes null: JSON has none."""
    lines = (json.dumps({name: _plain(cell) for name, cell in row.items()}, ensure_ascii=False) for row in rows)
    return "".join(f"{line}\n" for line in lines).encode()


def _plain(cell: Any) -> Any:
    if isinstance(cell, dict):
        return {_plain(name): _plain(value) for name, value in cell.items()}
    if isinstance(cell, list | tuple):
        return [_plain(value) for value in cell]
    if isinstance(cell, float) and not math.isfinite(cell):
        return None
    # Half a surrogate pair cannot be encoded, in an answer or in the name of a file: it is spelled out.
    return cell.encode("utf-8", "backslashreplace").decode() if isinstance(cell, str) else cell


def read_lines(file: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file of JSON Lines, read as they are asked for.

    Raises:
        ValueError: if the file is larger than `MAX_ROWS_BYTES`, or a line is no JSON object; names the line.
        OSError: if it cannot be read.
    """
    if file.stat().st_size > MAX_ROWS_BYTES:
        raise ValueError(f"it is over {MAX_ROWS_BYTES // 2**30} GiB")
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            row: object = read_json(line)
            if not isinstance(row, dict):
                raise ValueError(f"line {number} is no object")  # noqa: TRY004 - the file is wrong, not the call
            yield row


def read_earlier(file: Path) -> list[dict[str, Any]]:
    """The rows of a parquet file, as earlier schemas had them.

    Raises:
        MissingExtraError: if pyarrow is not installed.
        ValueError: if it is damaged, or unpacks to more than `MAX_ROWS_BYTES`.
        OSError: if it cannot be read.
    """
    try:
        from whygen.tables import read_rows
    except ImportError as error:
        raise MissingExtraError("Reading this earlier explanation", extra="tables", package="pyarrow") from error
    return read_rows(file, most=MAX_ROWS_BYTES)
