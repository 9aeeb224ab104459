# pyright: basic
"""Tables of Arrow: parquet files, saved data sets of Hugging Face, and what hands its columns over as Arrow does.

Needs pyarrow (the extra ``tables``); `whygen.anchors.batches.arrow_tables` loads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import compute

from whygen.anchors.batches import Columns
from whygen.anchors.files import MAX_BYTES, require_regular
from whygen.anchors.items import ITEM_KEYS, LABEL_COLUMNS, MAX_HELD, first_line, named
from whygen.errors import DataError
from whygen.safe import read_json
from whygen.tables import read_parquet

_COMPUTE: Any = compute
"""Its functions are made when it is imported: no type checker sees them."""


def parquet(path: Path) -> pa.Table:
    """The table of a parquet file, unpacked within a bound.

    Raises:
        DataError: if it cannot be read.
    """
    try:
        return read_parquet(path, most=MAX_BYTES)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError(f"The file {str(path)!r} is no parquet file that can be read: {error}") from error


def saved_dataset(folder: Path, key: str | None) -> tuple[pa.Table, str | None, Path]:
    """What ``Dataset.save_to_disk`` or ``DatasetDict.save_to_disk`` wrote; read with pyarrow alone.

    Returns:
        The table, the column that is still asked for, and the folder of the split.

    Raises:
        DataError: if it is damaged, or ``key`` is no split of it.
    """
    if (folder / "dataset_dict.json").is_file():
        splits = _stated(folder / "dataset_dict.json", "splits")
        if key not in splits:
            raise DataError(
                f"The data set {str(folder)!r} has the splits {', '.join(splits)}; name one: {folder}#{splits[0]}."
            )
        return saved_dataset(folder / str(key), None)
    listed = _stated(folder / "state.json", "_data_files")
    names = [each.get("filename") if isinstance(each, dict) else each for each in listed]
    parts = [_arrow(folder / Path(str(name)).name) for name in names]
    try:
        table = pa.concat_tables(parts)
    except pa.ArrowException as error:
        raise DataError(f"The parts of the data set {str(folder)!r} do not belong together: {error}") from error
    return table, key, folder


def _stated(file: Path, name: str) -> list[Any]:
    """A list that a file of the data set states under that name."""
    try:
        found = read_json(file.read_text(encoding="utf-8"))[name]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(_damaged(file, error)) from error
    if not isinstance(found, list) or not found:
        raise DataError(_damaged(file, f"it lists no {name.strip('_')}"))
    return found


def _arrow(file: Path) -> pa.Table:
    try:
        require_regular(file)
        with pa.memory_map(str(file)) as source:
            return pa.ipc.open_stream(source).read_all()
    except (OSError, pa.ArrowException) as error:
        raise DataError(_damaged(file, error)) from error


def _damaged(file: Path, why: object) -> str:
    reason = f"{type(why).__name__}: {why}" if isinstance(why, Exception) else str(why)
    return f"The saved data set is damaged at {str(file)!r} ({reason}). Save it again: Dataset.save_to_disk(path)."


def as_table(thing: Any, argument: str) -> pa.Table:
    """A table of Arrow; one column alone is called ``sample``.

    Raises:
        DataError: if Arrow cannot hold it.
    """
    try:
        if isinstance(thing, pa.Array | pa.ChunkedArray):
            return pa.table({"sample": thing})
        if isinstance(thing, pa.RecordBatch):
            return pa.Table.from_batches([thing])
        if hasattr(thing, "columns") or hasattr(thing, "column_names"):
            return pa.table(thing)
        return pa.table({"sample": pa.chunked_array(thing)})
    except Exception as error:  # foreign code: columns of Python objects, broken streams
        raise DataError(
            f"{argument}= of type {type(thing).__name__} cannot be read as a table: {first_line(error)}. Give an array "
            f"of its numbers, or its pictures as a list."
        ) from error


def of_arrow(table: pa.Table, key: str | None, *, where: str) -> Columns:
    """The samples and labels of a table.

    Args:
        table: of Arrow.
        key: the column of samples; None: found by its name, or by being the only one.
        where: what the messages call it.

    Raises:
        DataError: if there is no such column, several can be it, or cells have several lengths.
    """
    names = table.column_names
    if key is not None and key not in names:
        raise DataError(f"{where} has the columns {', '.join(names)}, and none is {key!r}. Name one: PATH#COLUMN.")
    pictures = [name for name in names if _of_pictures(table.schema.field(name).type)]
    lists = [name for name in names if _of_lists(table.schema.field(name).type)]
    labels = named([name for name in names if name != key], LABEL_COLUMNS)
    able = [name for name in (pictures or lists) if name != labels]
    column = key or named(able, ITEM_KEYS) or (able[0] if len(able) == 1 else None)
    told = None if labels is None or labels == column else table.column(labels).to_pylist()
    if column is None and able:
        raise DataError(
            f"{where} has {len(able)} columns that can be the samples: {', '.join(able)}. Name one: PATH#{able[0]}, or "
            f"of a table in Python table.select([{able[0]!r}])."
        )
    if column is None:
        return Columns(_numbers(table, [name for name in names if name != labels], where), told)
    others = tuple(name for name in able if name != column)
    if column in pictures:
        return Columns(table.column(column).to_pylist(), told, column, others)
    if column in lists:
        return Columns(_unrolled(table.column(column), column, where), told, column, others)
    kind = table.schema.field(column).type
    raise DataError(f"The column {column!r} of {where} holds {kind}, and no pictures or lists of numbers.")


def _of_pictures(kind: Any) -> bool:
    """Bytes, or the struct of bytes and path that data sets of Hugging Face have."""
    binary = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)
    return any(test(kind) for test in binary) or (pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0)


def _of_lists(kind: Any) -> bool:
    tests = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return isinstance(kind, pa.FixedShapeTensorType) or any(test(kind) for test in tests)


def _numbers(table: pa.Table, names: Sequence[str], where: str) -> np.ndarray:
    """Columns of numbers side by side, ``(n, columns)``."""
    odd = [
        name
        for name in names
        for kind in [table.schema.field(name).type]
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))
    ]
    if odd or not names:
        raise DataError(
            f"{where} has the columns {', '.join(table.column_names)}, and none of pictures (bytes) or lists of "
            f"numbers; {odd[0] if odd else 'nothing'} is no column of numbers. Name the column: PATH#COLUMN, or give "
            "table.select([...]) of the numbers."
        )
    if table.num_rows * len(names) * 8 > MAX_HELD:
        raise DataError(
            f"{where} has {table.num_rows:,} rows, over {MAX_HELD // 2**30} GiB. Give some: table.take(rows)."
        )
    return np.column_stack([table.column(name).to_numpy() for name in names])


def _unrolled(column: Any, name: str, where: str) -> np.ndarray:
    """A column of lists (of lists ...) of numbers of one length as an array ``(n, ...)``."""
    shape = [len(column)]
    values = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    values = pa.concat_arrays(values.chunks) if isinstance(values, pa.ChunkedArray) else values
    if isinstance(values.type, pa.FixedShapeTensorType):
        return values.to_numpy_ndarray()
    while _of_lists(values.type):
        lengths = _COMPUTE.unique(_COMPUTE.list_value_length(values))
        if len(lengths) != 1 or not lengths[0].is_valid:
            raise DataError(
                f"The column {name!r} of {where} holds lists of several lengths, and samples have one shape. Leave the "
                "odd ones out, or give pictures as bytes with size=."
            )
        shape.append(lengths[0].as_py())
        values = _COMPUTE.list_flatten(values)
    if values.nbytes > MAX_HELD:
        raise DataError(f"The column {name!r} of {where} holds over {MAX_HELD // 2**30} GiB. Give some of its rows.")
    return np.asarray(values.to_numpy(zero_copy_only=False)).reshape(shape)
