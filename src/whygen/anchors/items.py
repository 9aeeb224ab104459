# pyright: basic
"""An item of a data set taken apart into its sample and its label, and numbers of whatever holds some.

Items are samples, ``(sample, label)``, ``(label, sample)``, ``(key, sample, label)``, dicts, named tuples, dataclasses
and objects with attributes. A part is told by its name where that is a usual one, else by being the only one that can
be a sample. Where two can be, nothing is guessed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Number
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from whygen.errors import DataError
from whygen.models.latent.returned import columns_of_texts

MAX_HELD = 2 * 2**30
"""Bytes that may be gathered item by item, or unpacked from a sparse matrix."""


_WAYS = {
    "is_nested": "It holds tensors of several shapes: cut or pad them to one, torch.stack(tensor.unbind()).",
    "is_meta": "It holds no numbers, only a shape: load the data first.",
}
"""Tensors that are no arrays, by the attribute that says so."""


def _way_of(thing: Any) -> str:
    """What to do with a thing that is no array of numbers."""
    told = next((way for name, way in _WAYS.items() if getattr(thing, name, False) is True), None)
    return told or "Give arrays of one shape, (n, ...) with the samples along the first axis."


def as_array(thing: Any, *, what: str) -> np.ndarray:
    """Numbers as numpy has them: of a tensor on any device, with or without gradients, bfloat16 as float32.

    Raises:
        DataError: if there is no array of numbers in it.
    """
    if np.ma.is_masked(thing):
        raise DataError(
            f"Some values of {what} are masked. Fill them (array.filled(value)), or leave those samples out."
        )
    _require_room(thing, what)
    try:
        array = np.asarray(_on_this_machine(thing))
        if array.dtype.name == "bfloat16":  # of jax or ml_dtypes: numpy knows no such kind
            array = array.astype(np.float32)
        if array.dtype == np.object_ and array.ndim >= 2:
            array = array.astype(np.float64)
    except Exception as error:  # foreign types: meta tensors, ragged lists, failing __array__ ...
        if texts := columns_of_texts(thing):
            raise DataError(
                f"{what} is a table whose columns {', '.join(texts)} are no numbers. Leave them out, or turn them into "
                "numbers (pandas.get_dummies), in anchors and reference alike. Texts are anchors of a language model "
                "(hf/, openai/ or demo/storyteller): give it that column."
            ) from error
        raise DataError(
            f"{what} of type {type(thing).__name__} cannot be read as an array of numbers: {first_line(error)}. "
            f"{_way_of(thing)}"
        ) from error
    if array.dtype == np.object_:
        raise DataError(
            f"{what} of type {type(thing).__name__} is no array of numbers. Give an array (n, ...) of one shape, "
            "pictures, paths of pictures, or a data set of (picture, label)."
        )
    return array


def _on_this_machine(thing: Any) -> Any:
    if is_sparse(thing):
        return thing.toarray()
    if hasattr(thing, "__dlpack__") and not hasattr(thing, "__array__"):
        return np.from_dlpack(thing)
    if not (callable(getattr(thing, "detach", None)) and callable(getattr(thing, "cpu", None))):
        return thing
    thing = thing.detach().cpu()
    if str(thing.dtype) in ("torch.bfloat16", "torch.float8_e4m3fn", "torch.float8_e5m2"):
        thing = thing.float()
    if "sparse" in str(getattr(thing, "layout", "")):
        thing = thing.to_dense()
    return thing.resolve_conj().resolve_neg() if hasattr(thing, "resolve_neg") else thing


def is_sparse(thing: Any) -> bool:
    """A sparse matrix or array of scipy, or of what is like it."""
    return callable(getattr(thing, "toarray", None)) and hasattr(thing, "nnz") and hasattr(thing, "shape")


def _require_room(thing: Any, what: str) -> None:
    """Refuse a sparse matrix that is too large when it is written out."""
    if not is_sparse(thing):
        return
    wanted = math.prod(thing.shape) * np.dtype(thing.dtype).itemsize
    if wanted > MAX_HELD:
        raise DataError(
            f"{what} is a sparse matrix of shape {tuple(thing.shape)}, which takes {wanted / 2**30:,.1f} GiB when it "
            f"is written out, more than {MAX_HELD // 2**30}. Give some of its rows: data[rows], chosen at random."
        )


def length(thing: Any) -> int | None:
    """How many there are; None where that is not said."""
    if is_sparse(thing):
        return int(thing.shape[0])
    try:
        return len(thing)
    except (TypeError, NotImplementedError, AttributeError):
        return None


def first_line(error: Exception) -> str:
    """The first line of what an error says, or its name."""
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__


IMAGE_COLUMNS = ("image", "img", "picture", "png", "jpg", "jpeg", "webp")
ITEM_KEYS = (*IMAGE_COLUMNS, "images", "pixel_values", "sample", "samples", "data", "x", "input", "inputs", "features")
PATH_KEYS = ("path", "paths", "file", "files", "filename", "file_name", "filepath", "image_path", "img_path")
"""Names of what is a sample only where nothing else is one."""
LABEL_COLUMNS = ("label", "labels", "class", "cls", "target", "targets", "y", "fine_label", "coarse_label")
ADDRESSES = ("http://", "https://", "s3://", "gs://", "hf://", "ftp://", "abfs://")
MOST_READ = 256 * 2**20
"""Bytes of a picture that are read from an open file."""
LONGEST_LABEL = 256


@dataclass(frozen=True, slots=True)
class Item:
    """Sample and label of an item.

    Attributes:
        sample: as it was found.
        label: as it was found; None: there is none.
        name: of the part that is the sample, where parts have names.
        others: names of parts that can be samples as well.
    """

    sample: Any
    label: Any = None
    name: Any = None
    others: tuple[Any, ...] = ()


def is_picture(thing: object) -> bool:
    """A picture of PIL, the bytes of a file, or a path."""
    return isinstance(thing, Image.Image | bytes | str | Path)


def of_hugging_face(thing: Mapping[Any, Any]) -> bytes | str | None:
    """A picture that a data set has not decoded: its bytes, or else its path."""
    if not {"bytes", "path"} >= set(thing):
        return None
    found = thing.get("bytes") or (thing.get("path") if "bytes" in thing else None)
    return found if isinstance(found, bytes | str) else None


def axes(thing: Any) -> int:
    """How many axes an array has; 0 for a single number, and for what is no array (a data set states a shape too)."""
    shape = None if hasattr(thing, "column_names") else getattr(thing, "shape", None)
    try:
        return len(shape) if shape is not None else 0
    except TypeError:
        return 0


def opened(thing: Any) -> Any:
    """What a file that is open for reading holds, bytes for what is like them, and anything else as it is.

    Raises:
        DataError: if it is closed, too long, or holds text.
    """
    if isinstance(thing, bytearray | memoryview):
        return bytes(thing)
    if not (callable(getattr(thing, "read", None)) and callable(getattr(thing, "seek", None))):
        return thing
    if isinstance(thing, Image.Image):
        return thing
    try:
        thing.seek(0)
        data = thing.read(MOST_READ + 1)
    except (OSError, ValueError) as error:
        raise DataError(f"An open file cannot be read ({error}). Give its path, or open(path, 'rb').") from error
    if not isinstance(data, bytes):
        raise DataError("A file is open as text. Give its path, or open it with open(path, 'rb').")
    if len(data) > MOST_READ:
        raise DataError(f"An open file holds over {MOST_READ // 2**20} MiB, more than a picture. Give its path.")
    return data


def named(names: Iterable[Any], usual: Sequence[str]) -> Any | None:
    """The name that is one of the usual ones, the first of these first: ``X``, ``b'data'``, ``input.png`` count."""
    plain = {}
    for name in names:
        plain.setdefault(_plain(name), name)
    return next((plain[each] for each in usual if each in plain), None)


def _plain(name: Any) -> str:
    text = name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
    return text.lower().rpartition(".")[2]


def fields(item: Any) -> dict[Any, Any] | None:
    """The parts of an item by their names; None where it has no names."""
    if isinstance(item, Mapping):
        return dict(item)
    if isinstance(item, tuple) and (names := getattr(item, "_fields", None)):
        return dict(zip(names, item, strict=False))
    if _is_plain(item):
        return None
    found = {name: value for name, value in getattr(item, "__dict__", {}).items() if not name.startswith("_")}
    slots = [name for base in type(item).__mro__ for name in _slots(base)]
    for name in (*slots, *ITEM_KEYS, *LABEL_COLUMNS):
        if name not in found and not name.startswith("_") and hasattr(item, name):
            found[name] = getattr(item, name)
    return {name: value for name, value in found.items() if not callable(value)} or None


def _is_plain(item: Any) -> bool:
    """Whether it is a value, a sequence or a function rather than a record of parts."""
    if item is None or isinstance(item, str | bytes | bytearray | memoryview | Path | Number | Image.Image | type):
        return True
    arrays = hasattr(item, "shape") or hasattr(item, "__array__") or hasattr(item, "__dlpack__")
    return arrays or callable(item) or hasattr(item, "read") or hasattr(item, "__len__") or hasattr(item, "__iter__")


def _slots(base: type) -> tuple[str, ...]:
    slots = base.__dict__.get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def may_be_sample(thing: Any) -> bool:
    """Whether a part can be a sample by what it is: a picture that is no text, or an array that is no single number."""
    if isinstance(thing, Mapping):
        return of_hugging_face(thing) is not None
    if isinstance(thing, bytes | bytearray):
        return as_text(bytes(thing)) is None
    if isinstance(thing, Image.Image | Path | memoryview):
        return True
    return axes(thing) > 0 or callable(getattr(thing, "read", None))


def parts(item: Any, argument: str) -> Item:
    """Sample and label of an item, or of a batch.

    Raises:
        DataError: if no part of it, or more than one, can be the sample.
    """
    found = fields(item)
    if found is not None:
        return _of_fields(found, argument)
    if isinstance(item, tuple | list) and item and (is_picture(item[0]) or axes(item[0]) or may_be_sample(item[0])):
        return Item(item[0], item[1] if len(item) > 1 else None)
    return Item(item)


def _of_fields(found: Mapping[Any, Any], argument: str) -> Item:
    if (data := of_hugging_face(found)) is not None:
        return Item(data)
    able = [name for name, value in found.items() if may_be_sample(value)]
    pictures = [name for name in able if axes(found[name]) != 1] or able
    usual = named(found, ITEM_KEYS)
    if usual is None and not pictures:
        usual = named([name for name, value in found.items() if _is_path(value)], PATH_KEYS)
    if usual is None and len(pictures) != 1:
        raise DataError(_untold(found, pictures, argument))
    name = pictures[0] if usual is None else usual
    label = named([each for each in found if each != name], LABEL_COLUMNS)
    others = tuple(each for each in pictures if each not in (name, label) and each in able)
    return Item(found[name], None if label is None else found[label], name, others)


def _is_path(value: Any) -> bool:
    return isinstance(value, Path) or (isinstance(value, str) and not value.startswith(ADDRESSES))


def _untold(found: Mapping[Any, Any], able: Sequence[Any], argument: str) -> str:
    """That it cannot be told which part is the sample, and the line to type."""
    names = ", ".join(map(str, found))
    address = next((str(each) for each in found.values() if isinstance(each, str) and each.startswith(ADDRESSES)), None)
    if not able and address is not None:
        return (
            f"The items of {argument}= hold {names}, and addresses such as {address[:60]!r} in the place of pictures. "
            f"whygen downloads no samples: download the files, and give their folder or {argument}=[paths]."
        )
    if found and all(isinstance(each, str) for each in found.values()):
        return (
            f"The items of {argument}= hold texts ({names}), and anchors are pictures or arrays; what a model says to "
            "a text is for whygen.explain_prompt."
        )
    if able:
        return (
            f"The items of {argument}= hold {names}: {' and '.join(map(str, able))} can each be the sample. Give one: "
            f"{argument}=[item[{able[0]!r}] for item in data]; of objects item.{able[0]}."
        )
    return (
        f"The items of {argument}= hold {names}, none of which is a picture or an array. Give the samples alone: "
        f"{argument}=[item[{next(iter(found), 'NAME')!r}] for item in data], with arrays or pictures in it."
    )


def sample_first(item: Any, outer: int) -> Any:
    """The item with its sample in front, where a number, a label or a key stands before it.

    ``(label, picture)`` and ``(key, picture, label)``, as webdataset has it. What stands before has at most so many
    axes (none for an item, one for a batch), and the sample more.
    """
    if not isinstance(item, tuple | list) or hasattr(item, "_fields") or len(item) not in (2, 3):
        return item
    before, sample, *behind = item
    text = isinstance(before, str) and not isinstance(sample, str)
    number = isinstance(before, int | float) or (hasattr(before, "shape") and axes(before) <= outer)
    if not (text or number) or not (may_be_sample(sample) and (axes(sample) > outer or axes(sample) == 0)):
        return item
    return sample, *(behind or [before])


def refuse_second(item: Any, label: Any, argument: str) -> None:
    """Refuse an item whose second part is a sample as well, such as two pictures: none may be dropped unsaid.

    Raises:
        DataError: naming the line to type.
    """
    if not isinstance(item, tuple | list) or hasattr(item, "_fields") or isinstance(label, str):
        return
    if (
        isinstance(label, Image.Image | Path)
        or axes(label) > 1
        or (isinstance(label, bytes) and as_text(label) is None)
    ):
        raise DataError(
            f"The items of {argument}= hold {len(item)} samples each, and an item is a sample, or a sample and "
            f"its label. Give one: {argument}=[item[0] for item in data]; or all: [x for item in data for x in item]."
        )


# --- labels ------------------------------------------------------------------------------------------------------


def as_text(data: bytes) -> str | None:
    """Bytes that are a short text, as webdataset and h5py give labels; None where they are of a file."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return text if len(text) <= LONGEST_LABEL and text.isprintable() else None


def label_of(thing: Any) -> str | int | None:
    """A class as a number or a text; None where it is none: a number with a fraction, several at once, a dict.

    Texts as bytes are read, whole floats are numbers, of an array with a single 1 among zeros (one-hot) the place.
    """
    if isinstance(thing, np.ndarray | np.generic) or hasattr(thing, "tolist"):
        try:
            thing = thing.tolist()
        except Exception:  # a foreign type, such as a tensor without data: it is no label then
            return None
    if isinstance(thing, list | tuple):
        return label_of(thing[0]) if len(thing) == 1 else one_hot(thing)
    if isinstance(thing, bytes):
        return as_text(thing)
    if isinstance(thing, str):
        return thing
    if isinstance(thing, float):
        return int(thing) if thing.is_integer() else None
    return int(thing) if isinstance(thing, int) else None


def one_hot(values: Sequence[Any]) -> int | None:
    """The place of the only 1 among zeros."""
    if not all(isinstance(value, int | float) and value in (0, 1) for value in values) or sum(values) != 1:
        return None
    return list(values).index(1)


def same_kind(labels: Iterable[str | int]) -> tuple[str | int, ...]:
    """Labels as whole numbers where all of them are, else as texts."""
    known = tuple(labels)
    if all(isinstance(label, int) for label in known):
        return known
    texts = [str(label) for label in known]
    if all(text.isascii() and text.isdigit() and str(int(text)) == text for text in texts):
        return tuple(int(text) for text in texts)
    return tuple(texts)
