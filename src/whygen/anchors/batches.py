# pyright: basic
"""Batches and tables taken apart into items.

A batch is told by what every item of it shares, since a list says nothing of itself. Tables of pandas are known by
``iloc``, those of Arrow and of what hands its columns over as Arrow does (polars, duckdb) by ``__arrow_c_stream__``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from whygen.anchors.items import (
    ITEM_KEYS,
    LABEL_COLUMNS,
    PATH_KEYS,
    as_array,
    axes,
    fields,
    is_picture,
    label_of,
    length,
    may_be_sample,
    named,
    parts,
    sample_first,
)
from whygen.errors import DataError, MissingExtraError

PICTURE_AXES = 3
"""A picture has two axes, or three with its colours: what has more, and as many labels as it is long, is a batch."""
CHANNELS = (1, 3, 4)


def is_pair(source: Any) -> bool:
    """``(images, labels)``: as many labels as samples, each a number or a text, or a row with a single 1 (one-hot)."""
    if not isinstance(source, tuple | list) or len(source) != 2:
        return False
    samples, labels = source
    listed = isinstance(samples, list | tuple) and len(samples) > 0 and (is_picture(samples[0]) or axes(samples[0]) > 0)
    if not (listed or axes(samples) >= 2) or is_picture(labels):
        return False
    n = length(labels)
    if n is None or n != length(samples) or axes(labels) > 2:
        return False
    if axes(labels) == 2:
        return axes(samples) > 2 and all(label_of(row) is not None for row in labels)
    return axes(labels) == 1 or (
        isinstance(labels, list | tuple) and all(label_of(each) is not None for each in labels)
    )


def refuse_sets(source: Any, argument: str) -> None:
    """Refuse several sets in one tuple, as loaders of Keras and `train_test_split` return them.

    Raises:
        DataError: naming the set to give.
    """
    pairs = isinstance(source, tuple) and len(source) in (2, 3) and all(isinstance(each, tuple) for each in source)
    if pairs and all(is_pair(each) for each in source):
        raise DataError(
            f"{argument}= holds {len(source)} sets of (samples, labels), such as training and test. Give one: "
            f"{argument}=data[{len(source) - 1}]."
        )
    if not isinstance(source, tuple | list) or len(source) != 4:
        return
    for one in ((2, 3), (1, 3)):
        other = tuple({0, 1, 2, 3} - set(one))
        if all(is_pair((source[i], source[j])) for i, j in (one, sorted(other))):
            raise DataError(
                f"{argument}= holds two sets of samples and their labels, one after the other. Give one: "
                f"{argument}=(data[{one[0]}], data[{one[1]}])."
            )


def are_batches(few: Sequence[Any]) -> bool:
    """Whether the items of a list or a stream are batches of samples with their labels, as ``list(loader)`` gives them.

    Labels must be as many as each batch is long. A picture with a vector for a label can look so too: batches are
    longer than pictures have axes, of several lengths, or have labels that are numbers of classes.
    """
    told = [_labelled(item) for item in few]
    if not told or any(each is None for each in told):
        return _last_is_short(few)
    pairs = [each for each in told if each is not None]
    if any(axes(sample) > PICTURE_AXES for sample, _ in pairs) or len({len(labels) for _, labels in pairs}) > 1:
        return True
    return any(_numbers_of_classes(labels) for _, labels in pairs)


def _labelled(item: Any) -> tuple[Any, list[Any]] | None:
    """Samples and labels of what may be a batch; None where there are not as many labels as samples."""
    item = sample_first(item, 1)
    found = fields(item)
    if found is None and not (isinstance(item, tuple | list) and len(item) >= 2):
        return None
    if found is not None and named(found, ITEM_KEYS) is None:
        return None
    one = parts(item, "")
    n = length(one.sample)
    if axes(one.sample) < 2 or one.label is None or is_picture(one.label):
        return None
    if n is None or length(one.label) != n or axes(one.label) > 1:
        return None
    labels = as_array(one.label, what="The labels").tolist() if axes(one.label) else list(one.label)
    return (one.sample, labels) if n > 1 or axes(one.sample) > PICTURE_AXES else None


def _numbers_of_classes(labels: Sequence[Any]) -> bool:
    return all(isinstance(each, int | str) for each in labels) and any(each not in (0, 1) for each in labels)


def _last_is_short(few: Sequence[Any]) -> bool:
    """Batches without labels: arrays of more axes than pictures have, all alike but a shorter last one."""
    if len(few) < 2 or any(axes(each) <= PICTURE_AXES for each in few) or len({each.shape[1:] for each in few}) > 1:
        return False
    *whole, last = [len(each) for each in few]
    return len(set(whole)) == 1 and last < whole[0]


def refuse_arrays_of_many(samples: Sequence[Any], argument: str) -> None:
    """Refuse items that may be batches or sets, where it cannot be told.

    Raises:
        DataError: with a line for either.
    """
    shape: tuple[int, ...] = tuple(getattr(samples[0], "shape", ()))
    if len(shape) < PICTURE_AXES or (len(shape) == PICTURE_AXES and {shape[0], shape[-1]}.intersection(CHANNELS)):
        return
    raise DataError(
        f"The {len(samples)} items of {argument}= are arrays of shape {shape}: batches, or samples of that "
        f"shape? Give {argument}=numpy.concatenate(list(data)) for batches, or numpy.stack(list(data)) for samples."
    )


def items_of(batches: Iterator[Any], argument: str) -> Iterator[Any]:
    """The items of what gives batches: a batch, (batch, labels), or a dict of batches."""
    for batch in batches:
        if isinstance(batch, list | tuple) and batch and not is_pair(batch) and _is_row(batch[0]):
            yield from batch
            continue
        one = parts(sample_first(batch, 1), argument)
        samples, labels = batch if is_pair(batch) else (one.sample, one.label)
        rows = list(samples) if isinstance(samples, list | tuple) else as_array(samples, what="A batch")
        told = None if labels is None else _labels(labels, len(rows))
        for place, row in enumerate(rows):
            yield (row, told[place]) if told is not None else (row,)


def _is_row(first: Any) -> bool:
    """Whether a batch that begins so is a list of items that nobody has put together."""
    return isinstance(first, tuple | Mapping) or is_picture(first)


def _labels(labels: Any, n: int) -> list[Any] | None:
    found = list(labels) if isinstance(labels, list | tuple) else as_array(labels, what="The labels").tolist()
    return found if isinstance(found, list) and len(found) == n else None


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
