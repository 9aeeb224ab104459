# pyright: basic
"""Samples as programs hold them: tensors, data sets and loaders of torch, streams, lists of pictures, pairs, dicts.

Neither torch nor datasets nor anything else is imported: what is of a library is told by what it can do. What others
wrote runs here (``__getitem__``, transforms, generators): whatever it raises comes back as a sentence.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from whygen.anchors import batches
from whygen.anchors.items import (
    ITEM_KEYS,
    LABEL_COLUMNS,
    MAX_HELD,
    Item,
    as_array,
    axes,
    fields,
    first_line,
    is_picture,
    is_sparse,
    label_of,
    length,
    may_be_sample,
    named,
    of_hugging_face,
    opened,
    parts,
    refuse_second,
    same_kind,
    sample_first,
)
from whygen.errors import DataError
from whygen.results.prompt import Warned

MAX_ENDLESS = 10_000
"""So many samples are taken of what does not say how many it has: streams, generators, iterable data sets."""
PEEKED = 8
"""So many items are looked at to see whether they are batches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What was found, one by one: arrays, or pictures (PIL, or the bytes or path of a file)."""

    samples: tuple[Any, ...]
    labels: tuple[str | int, ...] | None
    told: tuple[Warned, ...]
    source: str

    @property
    def pictures(self) -> bool:
        """Whether they are pictures rather than arrays."""
        return all(is_picture(sample) for sample in self.samples)


def gather(source: Any, *, argument: str) -> Gathered | None:
    """Samples and labels of whatever gives them one by one or in batches; None where it is an array by itself.

    Raises:
        DataError: if it holds several data sets, an item cannot be read, or there is more than can be held.
    """
    if isinstance(source, type):
        raise DataError(
            f"{argument}= is the class {source.__name__} itself; give one of its objects, {source.__name__}(...)."
        )
    decodes = callable(getattr(source, "decode", None)) and not hasattr(source, "__iter__")  # data sets may decode too
    if decodes or hasattr(source, "named_parameters"):
        raise DataError(f"{argument}= is a model ({type(source).__name__}): the model comes first, then its samples.")
    source = opened(source)
    if isinstance(source, Image.Image | bytes):
        _require_no_array(source, argument)
        return Gathered(samples=(source,), labels=None, told=(), source="picture")
    if (mapping := _as_mapping(source)) is not None:
        return _of_mapping(mapping, argument)
    if hasattr(source, "iloc"):
        return _of_table(batches.of_pandas(source), len(source), argument)
    if batches.is_arrow(source):
        arrow = batches.arrow_tables()
        table = arrow.as_table(source, argument)
        return _of_table(arrow.of_arrow(table, None, where=f"{argument}="), len(table), argument)
    batches.refuse_sets(source, argument)
    if batches.is_pair(source):
        return _of_mapping({"samples": source[0], "labels": source[1]}, argument)
    if isinstance(source, Sequence) and (not source or not _is_item(source[0])):
        return None
    if (hasattr(source, "__array__") or hasattr(source, "__dlpack__")) and not _holds_objects(source):
        return None
    return None if is_sparse(source) else _one_by_one(source, argument)


def _one_by_one(source: Any, argument: str) -> Gathered:
    kind = type(source).__name__
    if callable(getattr(source, "as_numpy_iterator", None)):  # tf.data: arrays rather than tensors of tensorflow
        return _collect(source.as_numpy_iterator(), length(source), kind, argument)
    batched = hasattr(source, "collate_fn") and getattr(source, "batch_size", None) is not None
    if batched or getattr(source, "_auto_collation", False):  # a loader, or what iter() of one gives
        return _collect(batches.items_of(source, argument), length(source), kind, argument)
    if (line := _first_step(source)) is not None:
        raise DataError(f"{argument}= is of type {kind}, which has not computed its rows yet. Give {argument}={line}.")
    if hasattr(source, "__iter__") or hasattr(source, "__getitem__"):
        ends = [source[0], source[-1]] if isinstance(source, Sequence) else []
        return _collect(_items(source), length(source), kind, argument, ends=ends)
    if callable(source):
        raise DataError(f"{argument}= is a function, or is called as one. Give what it returns: {argument}=data().")
    record = fields(source)
    if record is not None and named(record, ITEM_KEYS) is not None:
        return _of_mapping(record, argument) or Gathered(samples=(), labels=None, told=(), source=kind)
    raise DataError(
        f"{argument}= is of type {kind}, which holds no samples. Give a folder of pictures, a file, an array, a "
        "data set, or a list of pictures."
    )


def _first_step(source: Any) -> str | None:
    """What to call first on a table that has not been computed: of polars, Spark, pyarrow, dask."""
    steps = (("collect", "columns"), ("toPandas", "columns"), ("to_table", "schema"), ("compute", "dask"))
    found = (step for step, sign in steps if hasattr(source, step) and hasattr(type(source), sign))
    return next((f"data.{step}()" for step in found), None)


def _require_no_array(source: Any, argument: str) -> None:
    """An open file of arrays or a table is read by those who wrote it."""
    doors = {
        b"\x93NUMPY": "numpy.load(file)",
        b"PK\x03\x04": "numpy.load(file)['NAME']",
        b"PAR1": "pandas.read_parquet(file)",
        b"\x89HDF": "h5py.File(file)['NAME'][:]",
    }
    start = source[:6] if isinstance(source, bytes) else b""
    line = next((door for sign, door in doors.items() if start.startswith(sign)), None)
    if line is not None:
        raise DataError(f"{argument}= is an open file, or the bytes of one, and no picture. Give {argument}={line}.")


def _as_mapping(source: Any) -> Mapping[Any, Any] | None:
    """What holds arrays by name: dicts, npz and HDF5 files, groups of zarr, structured arrays, named tuples."""
    if isinstance(source, Mapping):
        return source
    kinds = getattr(getattr(source, "dtype", None), "names", None)
    if isinstance(source, np.ndarray) and kinds:
        return {name: source[name] for name in kinds}
    if isinstance(source, tuple):
        return fields(source)
    keys = getattr(source, "keys", None)
    if not callable(keys) or hasattr(source, "iloc") or hasattr(source, "features"):
        return None
    names: Any = keys()
    return {name: source[name] for name in names} if hasattr(source, "__getitem__") else None


def _of_mapping(source: Mapping[Any, Any], argument: str) -> Gathered | None:
    label = named(source, LABEL_COLUMNS)
    able = [name for name, value in source.items() if name != label and _holds_rows(value)]
    key = named([name for name in source if name != label], ITEM_KEYS)
    if key is None and len(able) == 1:
        key = able[0]
    if key is None:
        raise DataError(_several(source, able, argument))
    samples = source[key]
    if is_picture(samples):
        return _collect(iter([source]), 1, "item", argument)
    if axes(samples) == 0 and not isinstance(samples, list | tuple):
        raise DataError(_several(source, able, argument))
    rows = samples if isinstance(samples, list | tuple) else as_array(samples, what=f"{argument}[{key!r}]")
    labels, told = classes([] if label is None else _rows_of_labels(source[label]), argument)
    others = tuple(name for name in able if name != key and axes(source[name]) > 2)
    taken = tuple(_sample(row, argument) for row in rows)
    return Gathered(samples=taken, labels=labels, told=(*told, *left(key, others, argument)), source=str(key))


def _holds_rows(value: Any) -> bool:
    """Whether a value can be the samples of a set: an array of two or more axes, a list of pictures or of arrays."""
    if isinstance(value, list | tuple) and value:
        return may_be_sample(value[0])
    return is_sparse(value) or axes(value) > 1


def _several(source: Mapping[Any, Any], able: Sequence[Any], argument: str) -> str:
    shown = ", ".join(map(str, list(source)[:10])) or "nothing"
    if not source:
        return f"{argument}= holds several data sets or arrays by name: {shown}."
    first = (able or list(source))[0]
    whole = ""
    if len(able) > 2 and len({tuple(getattr(source[name], "shape", ())) for name in able}) == 1:
        whole = f" If each of them is a sample: {argument}=list(splits.values())."
    door = f"Give one: {argument}=splits[{first!r}].{whole}"
    return f"{argument}= holds several data sets or arrays by name: {shown}. {door}"


def _rows_of_labels(labels: Any) -> list[Any]:
    return list(labels) if isinstance(labels, list | tuple) else list(as_array(labels, what="The labels"))


def _of_table(found: batches.Columns | None, n: int, argument: str) -> Gathered | None:
    if found is None:
        return None
    items = found.samples if found.labels is None else zip(found.samples, found.labels, strict=True)
    gathered = _collect(iter(items), n, "table", argument)
    told = (*gathered.told, *left(found.name, found.others, argument))
    return Gathered(samples=gathered.samples, labels=gathered.labels, told=told, source="table")


def _is_item(first: Any) -> bool:
    """Whether a list that begins so is a list of samples, and not of numbers."""
    if is_picture(first) or may_be_sample(first) or isinstance(first, memoryview):
        return True
    return fields(first) is not None or _holds_sample(first)


def _holds_sample(first: Any) -> bool:
    """Whether it is an item of several parts, the first or second of which is a sample."""
    if not isinstance(first, tuple | list) or not first:
        return False
    sample = sample_first(first, 0)[0]
    return is_picture(sample) or hasattr(sample, "shape") or may_be_sample(sample) or fields(sample) is not None


def _holds_objects(source: Any) -> bool:
    """Whether it is an array of objects in a row; one of more axes may be numbers."""
    return isinstance(source, np.ndarray) and source.dtype.kind in "OU" and source.ndim < 2


def _items(source: Any) -> Iterator[Any]:
    """Item by item; by number where there is no other way, or where iterating would not end at the last one."""
    size = length(source)
    if not hasattr(source, "__iter__"):
        numbers: Iterable[int] = itertools.count() if size is None else range(size)
        for number in numbers:
            try:
                item = source[number]
            except IndexError:
                return
            yield item
        return
    yield from source


def _sample(thing: Any, argument: str) -> Any:
    thing = opened(thing)
    if isinstance(thing, Mapping) and (data := of_hugging_face(thing)) is not None:
        return data
    return thing if is_picture(thing) else as_array(thing, what=f"An item of {argument}=")


def classes(found: Sequence[Any], argument: str) -> tuple[tuple[str | int, ...] | None, tuple[Warned, ...]]:
    """Labels of one kind; None where there are none, or some are no classes, which is said."""
    if not found or all(each is None for each in found):
        return None, ()
    known = [label_of(each) for each in found]
    odd = next((each for each, label in zip(found, known, strict=True) if label is None), None)
    if None not in known:
        return same_kind([label for label in known if label is not None]), ()
    what = "missing for some" if odd is None else f"of type {type(odd).__name__}, such as {str(odd)[:60]!r}"
    text = (
        f"The labels found in {argument}= are {what}: no classes, and left out. labels= takes a class for each anchor."
    )
    return None, (Warned(code="labels-left-out", text=text),)


def left(name: Any, others: Sequence[Any], argument: str) -> tuple[Warned, ...]:
    """That other parts can be samples too."""
    if not others:
        return ()
    text = (
        f"The samples of {argument}= are {str(name)!r}; {', '.join(map(str, others))} can be samples as well, and was "
        f"not read. To explain it: {argument}=[item[{others[0]!r}] for item in data]."
    )
    return (Warned(code="other-samples", text=text),)


def _collect(items: Iterator[Any], size: int | None, kind: str, argument: str, *, ends: Sequence[Any] = ()) -> Gathered:
    """The samples and labels of items, or of batches of them; ``ends`` are the first and last item of a list."""
    guarded = _guarded(items, kind, argument)
    few = list(itertools.islice(guarded, PEEKED))
    last = [*few, ends[-1]] if len(ends) > 0 and (size or 0) > PEEKED else few
    whole = itertools.chain(few, guarded)
    if batches.are_batches(last):
        whole = batches.items_of(whole, argument)
    return _kept(whole, size, kind, argument, listed=len(ends) > 0)


def _kept(items: Iterator[Any], size: int | None, kind: str, argument: str, *, listed: bool) -> Gathered:
    samples: list[Any] = []
    labels: list[Any] = []
    held = 0
    told: tuple[Warned, ...] = ()
    for number, item in enumerate(items):
        if size is None and number >= MAX_ENDLESS:
            told = (*told, _taken(number, kind, argument))
            break
        one = _taken_apart(item, argument)
        if not samples:
            told = left(one.name, one.others, argument)
        samples.append(_sample(one.sample, argument))
        labels.append(one.label)
        held += _bytes(samples[-1])
        _require_room(held, len(samples), size, kind, argument)
    if not samples:
        raise DataError(f"{argument}= is a {kind} without items. Give at least one sample.")
    if size is not None and _mixed(samples):
        raise DataError(f"{argument}= mixes pictures and arrays; give one kind.")
    known, said = classes(labels, argument)
    if listed and known is None and not said:
        batches.refuse_arrays_of_many(samples, argument)
    return Gathered(samples=tuple(samples), labels=known, told=(*told, *said), source=kind)


def _taken_apart(item: Any, argument: str) -> Item:
    item = sample_first(item, 0)
    one = parts(item, argument)
    refuse_second(item, one.label, argument)
    return one


def _mixed(samples: Sequence[Any]) -> bool:
    return len({is_picture(sample) for sample in samples}) > 1


def _guarded(items: Iterator[Any], kind: str, argument: str) -> Iterator[Any]:
    for number in itertools.count():
        try:
            item = next(items)
        except StopIteration:
            return
        except DataError:
            raise
        except Exception as error:  # data sets are foreign code
            raise DataError(
                f"Item {number} of {argument}= ({kind}) cannot be read: it raised {type(error).__name__}: "
                f"{first_line(error)}. Mend the data set, or leave that item out."
            ) from error
        yield item


def _bytes(sample: Any) -> int:
    if isinstance(sample, Image.Image):
        return sample.width * sample.height * len(sample.getbands())
    return len(sample) if isinstance(sample, bytes) else getattr(sample, "nbytes", 0)


def _require_room(held: int, n: int, size: int | None, kind: str, argument: str) -> None:
    """Stop before memory does: as soon as what came, or what is sure to come, is more than can be held."""
    foreseen = held / n * max(n, size or 0) if n >= 8 else held
    if foreseen <= MAX_HELD:
        return
    many = f"{size:,} samples" if size is not None else f"more than {n:,} samples"
    raise DataError(
        f"{argument}= ({kind}) holds {many} of about {held / n / 2**20:.3g} MB each, more than the {MAX_HELD // 2**30} "
        f"GiB that are held. Give some of them: torch.utils.data.Subset(data, rows), data.select(rows), or smaller "
        "ones; choose rows at random, since the first are often of one class."
    )


def _taken(n: int, kind: str, argument: str) -> Warned:
    text = (
        f"The {kind} given as {argument}= does not say how many samples it has: the first {n:,} were taken, and no "
        "more. If it is sorted, shuffle it first."
    )
    return Warned(code="first-samples", text=text)
