# pyright: basic
"""Samples as programs hold them: tensors, data sets and loaders of torch, streams, lists of pictures, pairs, dicts.

Neither torch nor datasets nor anything else is imported: what is of a library is told by what it can do. What others
wrote runs here (``__getitem__``, transforms, generators): whatever it raises comes back as a sentence.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from whygen.errors import DataError
from whygen.results.prompt import Warned

MAX_ENDLESS = 10_000
"""So many samples are taken of what does not say how many it has: streams, generators, iterable data sets."""
MAX_HELD = 2 * 2**30
"""Bytes that may be gathered item by item."""
IMAGE_COLUMNS = ("image", "img", "picture", "png", "jpg")
ITEM_KEYS = (*IMAGE_COLUMNS, "images", "pixel_values", "sample", "samples", "data", "x", "input", "inputs", "features")
LABEL_COLUMNS = ("label", "labels", "class", "target", "y")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What was found, one by one: arrays, or pictures (PIL, or the bytes or path of a file)."""

    samples: tuple[Any, ...]
    labels: tuple[Any, ...] | None
    told: tuple[Warned, ...]
    source: str

    @property
    def pictures(self) -> bool:
        """Whether they are pictures rather than arrays."""
        return all(is_picture(sample) for sample in self.samples)


def is_picture(thing: object) -> bool:
    """A picture of PIL, the bytes of a file, or a path."""
    return isinstance(thing, Image.Image | bytes | str | Path)


def as_array(thing: Any, *, what: str) -> np.ndarray:
    """Numbers as numpy has them: of a tensor on any device, with or without gradients, bfloat16 as float32.

    Raises:
        DataError: if there is no array of numbers in it.
    """
    if np.ma.is_masked(thing):
        raise DataError(
            f"Some values of {what} are masked. Fill them (array.filled(value)), or leave those samples out."
        )
    try:
        if callable(getattr(thing, "detach", None)) and callable(getattr(thing, "cpu", None)):
            thing = thing.detach().cpu()
            if str(thing.dtype) in ("torch.bfloat16", "torch.float8_e4m3fn", "torch.float8_e5m2"):
                thing = thing.float()
            if "sparse" in str(getattr(thing, "layout", "")):
                thing = thing.to_dense()
            thing = thing.resolve_conj().resolve_neg() if hasattr(thing, "resolve_neg") else thing
        array = np.asarray(thing)
        if array.dtype.name == "bfloat16":  # of jax or ml_dtypes: numpy knows no such kind
            array = array.astype(np.float32)
    except Exception as error:  # foreign types: meta tensors, ragged lists, failing __array__ ...
        raise DataError(
            f"{what} of type {type(thing).__name__} cannot be read as an array of numbers: {_first_line(error)}. "
            "Give arrays of one shape, (n, ...) with the samples along the first axis."
        ) from error
    if array.dtype == np.object_:
        raise DataError(
            f"{what} of type {type(thing).__name__} is no array of numbers. Give an array (n, ...) of one shape, "
            "pictures, paths of pictures, or a data set of (picture, label)."
        )
    return array


def gather(source: Any, *, argument: str) -> Gathered | None:
    """Samples and labels of whatever gives them one by one or in batches; None where it is an array by itself.

    Raises:
        DataError: if it holds several data sets, an item cannot be read, or there is more than can be held.
    """
    kind = type(source).__name__
    if isinstance(source, Image.Image | bytes):
        return Gathered(samples=(source,), labels=None, told=(), source="picture")
    if isinstance(source, Mapping):
        return _of_mapping(source, argument)
    if isinstance(source, type):
        raise DataError(
            f"{argument}= is the class {source.__name__} itself; give one of its objects, {source.__name__}(...)."
        )
    if hasattr(source, "iloc"):
        return _of_table(source, argument)
    if isinstance(source, tuple) and _is_pair(source):
        return _of_mapping({"samples": source[0], "labels": source[1]}, argument)
    if isinstance(source, Sequence) and (not source or not _is_item(source[0])):
        return None
    if hasattr(source, "__array__") and not _holds_objects(source):
        return None
    batched = hasattr(source, "collate_fn") and getattr(source, "batch_size", None) is not None
    if batched or getattr(source, "_auto_collation", False):  # a loader, or what iter() of one gives
        return _collect(_of_batches(source, argument), _known_size(source), kind, argument)
    if hasattr(source, "__iter__") or hasattr(source, "__getitem__"):
        return _collect(_items(source), _known_size(source), kind, argument)
    raise DataError(
        f"{argument}= is of type {kind}, which holds no samples. Give a folder of pictures, a file, an array, a "
        "data set, or a list of pictures."
    )


def _of_mapping(source: Mapping[Any, Any], argument: str) -> Gathered | None:
    key = next((name for name in ITEM_KEYS if name in source), None)
    names = [str(name) for name in source]
    if key is None:
        shown = ", ".join(names[:10]) or "nothing"
        advice = f" Give one: {argument}=splits[{names[0]!r}]." if names else ""
        raise DataError(f"{argument}= holds several data sets or arrays by name: {shown}.{advice}")
    label = next((name for name in LABEL_COLUMNS if name in source and name != key), None)
    samples = source[key]
    rows = samples if isinstance(samples, list | tuple) else as_array(samples, what=f"{argument}[{key!r}]")
    labels = None if label is None else tuple(as_array(source[label], what="The labels").ravel().tolist())
    return Gathered(samples=tuple(_sample(row, argument) for row in rows), labels=labels, told=(), source=str(key))


def _of_table(table: Any, argument: str) -> Gathered | None:
    """A column of pandas, or a table: with a column of pictures or arrays, or with a number a column.

    A column of labels is taken out, so that a table of numbers is not explained by its own labels.
    """
    if not hasattr(table, "columns"):
        return None if str(table.dtype) != "object" else _collect(iter(list(table)), len(table), "column", argument)
    names = list(table.columns)
    label = next((name for name in LABEL_COLUMNS if name in names), None)
    column = next((name for name in ITEM_KEYS if name in names and str(table[name].dtype) == "object"), None)
    if column is None and label is None:
        return None
    rows = list(table[column]) if column is not None else list(as_array(table.drop(columns=[label]), what="The table"))
    items = rows if label is None else zip(rows, table[label].tolist(), strict=True)
    return _collect(iter(items), len(rows), "table", argument)


def _is_pair(source: Any) -> bool:
    """``(images, labels)``: as many labels as samples, each a number or a text."""
    if not isinstance(source, tuple | list) or len(source) != 2:
        return False
    samples, labels = source
    several = len(getattr(samples, "shape", ())) >= 2 or (
        isinstance(samples, list | tuple) and len(samples) > 0 and _is_item(samples[0])
    )
    if not several or not hasattr(labels, "__len__") or len(getattr(labels, "shape", (0,))) != 1:
        return False
    return len(labels) == len(samples) and (
        hasattr(labels, "shape") or all(_label(each) is not None for each in labels)
    )


def _is_item(first: Any) -> bool:
    """Whether a list that begins so is a list of samples, and not of numbers."""
    if is_picture(first) or isinstance(first, Mapping) or len(getattr(first, "shape", ())) > 0:
        return True
    return _holds_sample(first)


def _holds_sample(first: Any) -> bool:
    """Whether it is an item of several parts, the first or second of which is a sample."""
    if not isinstance(first, tuple | list) or not first:
        return False
    sample = _sample_first(first, 0)[0]
    return is_picture(sample) or hasattr(sample, "shape")


def _holds_objects(source: Any) -> bool:
    return isinstance(source, np.ndarray) and source.dtype.kind in "OU"


def _known_size(source: Any) -> int | None:
    try:
        return len(source)
    except (TypeError, NotImplementedError, AttributeError):
        return None


def _items(source: Any) -> Iterator[Any]:
    """Item by item; by number where there is no other way, or where iterating would not end at the last one."""
    size = _known_size(source)
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


def _of_batches(loader: Any, argument: str) -> Iterator[Any]:
    """The items of a loader that gives batches: a batch, (batch, labels), or a dict of batches."""
    for batch in loader:
        if isinstance(batch, list | tuple) and batch and not _is_pair(batch) and _is_row(batch[0]):
            yield from batch
            continue
        samples, labels = batch if _is_pair(batch) else _parts(_sample_first(batch, 1), argument)
        rows = list(samples) if isinstance(samples, list | tuple) else as_array(samples, what="A batch")
        told = None if labels is None else _labels_of_batch(labels, len(rows))
        for place, row in enumerate(rows):
            yield (row, told[place]) if told is not None else (row,)


def _is_row(first: Any) -> bool:
    """Whether a batch that begins so is a list of items that nobody has put together."""
    return isinstance(first, tuple | Mapping) or is_picture(first)


def _labels_of_batch(labels: Any, n: int) -> list[Any] | None:
    found = list(labels) if isinstance(labels, list | tuple) else as_array(labels, what="The labels").tolist()
    return found if isinstance(found, list) and len(found) == n else None


def _sample_first(item: Any, axes: int) -> Any:
    """The item with its sample in front, where a number or a label stands before it: ``(label, picture)``.

    What stands before has at most so many axes (none for an item, one for a batch), and the sample more.
    """
    if not isinstance(item, tuple | list) or len(item) not in (2, 3):
        return item
    before, sample, *behind = item
    number = isinstance(before, int | float) or (hasattr(before, "shape") and len(before.shape) <= axes)
    if not number or not (isinstance(sample, Image.Image | bytes) or len(getattr(sample, "shape", ())) > axes):
        return item
    return sample, *(behind or [before])


def _parts(item: Any, argument: str) -> tuple[Any, Any]:
    """Sample and label (None: there is none) of an item or of a batch."""
    if isinstance(item, Mapping):
        if isinstance(item.get("bytes"), bytes):
            return item["bytes"], None
        key = next((name for name in ITEM_KEYS if name in item), None)
        if key is None:
            raise DataError(
                f"The items of {argument}= are dicts with {', '.join(map(str, item))}, none of which is known to hold "
                f"samples ({', '.join(IMAGE_COLUMNS)} ...). Give them alone: [item['NAME'] for item in data]."
            )
        return item[key], next((item[name] for name in LABEL_COLUMNS if name in item and name != key), None)
    if isinstance(item, tuple | list) and item and (is_picture(item[0]) or hasattr(item[0], "shape")):
        return item[0], item[1] if len(item) > 1 else None
    return item, None


def _refuse_second(item: Any, label: Any, argument: str) -> None:
    """Refuse an item whose second part is a sample as well, such as two pictures: none may be dropped unsaid.

    Raises:
        DataError: naming the line to type.
    """
    if (
        isinstance(item, tuple | list)
        and not isinstance(label, str)
        and (is_picture(label) or len(getattr(label, "shape", ())) > 1)
    ):
        raise DataError(
            f"The items of {argument}= hold {len(item)} samples each, and an item is a sample, or a sample and "
            f"its label. Give one: {argument}=[item[0] for item in data]; or all: [x for item in data for x in item]."
        )


def _sample(thing: Any, argument: str) -> Any:
    if isinstance(thing, Mapping) and isinstance(thing.get("bytes"), bytes):
        return thing["bytes"]
    return thing if is_picture(thing) else as_array(thing, what=f"An item of {argument}=")


def _label(thing: Any) -> str | int | None:
    """A label where it is a single one: a number or a text, also as a tensor."""
    if isinstance(thing, str | int | bool | np.integer | np.str_):
        return thing if isinstance(thing, str) else int(thing)
    if (
        getattr(thing, "shape", None) is not None
        and tuple(thing.shape) in ((), (1,))
        and "float" not in str(thing.dtype)
    ):
        return thing.item()
    return None


def _collect(items: Iterator[Any], size: int | None, kind: str, argument: str) -> Gathered:
    samples: list[Any] = []
    labels: list[Any] = []
    held = 0
    told: tuple[Warned, ...] = ()
    for number, item in enumerate(_guarded(items, kind, argument)):
        if size is None and number >= MAX_ENDLESS:
            told = (_taken(number, kind, argument),)
            break
        given, label = _parts(_sample_first(item, 0), argument)
        _refuse_second(item, label, argument)
        samples.append(_sample(given, argument))
        labels.append(_label(label))
        held += _bytes(samples[-1])
        _require_room(held, len(samples), size, kind, argument)
    if not samples:
        raise DataError(f"{argument}= is a {kind} without items. Give at least one sample.")
    if size is not None and _mixed(samples):
        raise DataError(f"{argument}= mixes pictures and arrays; give one kind.")
    known = tuple(labels) if all(label is not None for label in labels) else None
    return Gathered(samples=tuple(samples), labels=known, told=told, source=kind)


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
                f"{_first_line(error)}. Mend the data set, or leave that item out."
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


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
