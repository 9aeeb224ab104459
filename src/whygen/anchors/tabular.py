# pyright: basic
"""Tables taken apart: which column holds the samples, which the labels, or whether a row of numbers is a sample.

Tables of pandas are known by ``iloc``, those of Arrow and of what hands its columns over as Arrow does (polars, duckdb)
by ``__arrow_c_stream__``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import compute

from whygen.anchors.items import ITEM_KEYS, LABEL_COLUMNS, PATH_KEYS, axes, may_be_sample, named
from whygen.anchors.numeric import MAX_HELD, as_array, first_line
from whygen.errors import DataError

_COMPUTE: Any = compute
"""Its functions are made when it is imported: no type checker sees them."""


@dataclass(frozen=True, slots=True)
class Columns:
    """What a table holds.

    Attributes:
        samples: cells with pictures (bytes, or a dict with bytes), or arrays; an array ``(n, ...)`` of numbers.
        labels: one for each row; None: there is no column of labels.
        name: of the column; None: the columns of numbers together.
        others: columns that can be samples as well.
    """

    samples: Any
    labels: list[Any] | None
    name: str | None = None
    others: tuple[str, ...] = ()

    @property
    def pictures(self) -> bool:
        """Whether the cells are files of pictures."""
        return not isinstance(self.samples, np.ndarray)


def is_arrow(thing: Any) -> bool:
    """Whether it hands its columns over as Arrow does, and is none of pandas, of xarray or a data set."""
    if hasattr(thing, "iloc") or hasattr(thing, "with_format") or hasattr(thing, "dims"):
        return False
    return hasattr(thing, "__arrow_c_stream__") or isinstance(thing, pa.RecordBatch | pa.Array)


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
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


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


def of_pandas(table: Any) -> Columns | None:
    """A table with a column of pictures or arrays, or with a number a column; None where it is an array by itself.

    A column of labels is taken out, so that a table of numbers is not explained by its own labels.
    """
    if not hasattr(table, "columns"):
        return Columns(list(table), None) if str(table.dtype) == "object" else None
    names = list(table.columns)
    label = named([name for name in names if isinstance(name, str)], LABEL_COLUMNS)
    labels = None if label is None else table[label].tolist()
    able = [name for name in names if name != label and len(table) and _holds_samples(table[name])]
    texts = [name for name in names if str(table[name].dtype) in ("object", "str", "string") and name != label]
    known = named(able, ITEM_KEYS) or named(texts, ITEM_KEYS)
    column = known or (able[0] if len(able) == 1 else None if able else named(texts, PATH_KEYS))
    if column is None and len(able) > 1:
        raise DataError(
            f"The table has {len(able)} columns that can be the samples: {', '.join(map(str, able))}. Give one: "
            f"table[{[able[0]]!r}]."
        )
    if column is not None:
        others = tuple(str(name) for name in able if name != column)
        return Columns(list(table[column]), labels, str(column), others)
    return None if label is None else Columns(as_array(table.drop(columns=[label]), what="The table"), labels)


def _holds_samples(column: Any) -> bool:
    if not (str(column.dtype) == "object" or "binary" in str(column.dtype)):
        return False
    first = column.iloc[0]
    return may_be_sample(first) or (isinstance(first, list | tuple) and axes(np.asarray(first, dtype=object)) > 0)
