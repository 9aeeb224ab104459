# pyright: basic
"""Tables taken apart: which column holds the samples, which the labels, or whether a row of numbers is a sample.

Tables of pandas are known by ``iloc``, those of Arrow and of what hands its columns over as Arrow does (polars, duckdb)
by ``__arrow_c_stream__``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from whygen.anchors.items import ITEM_KEYS, LABEL_COLUMNS, PATH_KEYS, axes, may_be_sample, named
from whygen.anchors.numeric import as_array
from whygen.errors import DataError, MissingExtraError


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
    if hasattr(thing, "__arrow_c_stream__"):
        return True
    return type(thing).__module__.startswith("pyarrow.") and hasattr(thing, "__arrow_c_array__")


def arrow_tables() -> Any:
    """The module `whygen.anchors.arrow`, loaded where a table of Arrow is at hand and not before.

    Raises:
        MissingExtraError: if pyarrow is not installed.
    """
    try:
        from whygen.anchors import arrow
    except ImportError as error:
        raise MissingExtraError("Reading tables of Arrow or parquet", extra="tables", package="pyarrow") from error
    return arrow


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
