"""The same forty pictures of `benchmarks.foreign_sets` in what holds records, arrays and tables; and what holds none.

Libraries that whygen does not depend on (polars, xarray, zarr, tensorflow, cupy) are stood in for by objects with the
same methods; the real ones were tried when this list was made.
"""

# pyright: basic
from __future__ import annotations

import collections
import dataclasses
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from PIL import Image, ImageSequence
from scipy import sparse
from torch.utils import data as loading

from benchmarks import foreign_sets as sets
from benchmarks.foreign_sets import BYTES, LABELS, UNIT, N
from whygen.anchors.data import load_samples

Open = Callable[[], Any]
FLAT = UNIT.reshape(N, -1)
ONE_HOT = np.eye(3, dtype=np.float32)[LABELS]


@dataclasses.dataclass
class Record:
    """Items as dataclasses, with names of one's own."""

    scan: Any
    diagnosis: str


class Slotted:
    """Items as plain objects."""

    __slots__ = ("img", "target")

    def __init__(self, img: Any, target: Any) -> None:
        self.img, self.target = img, target


class Arrays:
    """An array of another library: dask, jax, xarray."""

    dims = ("n", "y", "x")
    shape = UNIT.shape

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return UNIT


class OnlyDlpack:
    """An array that only exports itself by DLPack."""

    def __dlpack__(self, **options: Any) -> Any:
        return UNIT.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return UNIT.__dlpack_device__()


class OnGpu:
    """An array of cupy: it refuses to become one of numpy."""

    shape = UNIT.shape

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`.")

    def get(self) -> np.ndarray:
        return UNIT


class Group:
    """A group of zarr: arrays by name, and no Mapping."""

    def __init__(self) -> None:
        self.arrays = {"images": UNIT, "labels": np.asarray(LABELS)}

    def keys(self) -> Any:
        return self.arrays.keys()

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __getitem__(self, name: str) -> Any:
        return self.arrays[name]


class Streamed:
    """A table of polars or duckdb: columns handed over as Arrow does."""

    def __init__(self, table: pa.Table) -> None:
        self.table, self.columns = table, table.column_names

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.table.__arrow_c_stream__(requested_schema)


class Lazy:
    """A table of polars that has not been computed."""

    columns = ("image", "label")

    def collect(self) -> Any:
        return Streamed(encoded_table())

    def __getitem__(self, place: Any) -> Any:
        raise TypeError("LazyFrame is not subscriptable")


class Flow:
    """A data set of tensorflow."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def as_numpy_iterator(self) -> Iterator[Any]:
        return iter(self.items)


def png(picture: Image.Image) -> bytes:
    held = io.BytesIO()
    picture.save(held, "PNG")
    return held.getvalue()


def files() -> list[io.BytesIO]:
    return [io.BytesIO(png(each)) for each in sets.pictures()]


def open_files(folder: Path) -> list[Any]:
    return [path.open("rb") for path in sorted(sets.flat_folder(folder / "open").glob("*.png"))]


def objects(items: list[Any]) -> np.ndarray:
    """An array of objects in a row."""
    held = np.empty(len(items), object)
    for place, item in enumerate(items):
        held[place] = item
    return held


def structured() -> np.ndarray:
    return np.array(list(zip(UNIT, LABELS, strict=True)), dtype=[("image", "f4", (8, 8)), ("label", "i4")])


def encoded_table(**more: Any) -> pa.Table:
    return pa.table({"image": [png(each) for each in sets.pictures()], "label": LABELS, **more})


def numbers_table() -> pa.Table:
    return pa.table({**{f"pixel{place}": FLAT[:, place] for place in range(64)}, "label": LABELS})


def features(**columns: Any) -> Any:
    """A data set of Hugging Face with these columns of pictures, and labels of two kinds."""
    import datasets

    kinds = {name: datasets.Image() for name in columns}
    labels = {"fine_label": datasets.Value("int64"), "coarse_label": datasets.Value("int64")}
    return datasets.Dataset.from_dict(
        {**columns, "fine_label": LABELS, "coarse_label": LABELS}, features=datasets.Features({**kinds, **labels})
    )


def batches(size: int, **options: Any) -> list[Any]:
    return list(loading.DataLoader(sets.Pairs(), batch_size=size, **options))


def archive(folder: Path, name: str, **arrays: Any) -> Path:
    np.savez(folder / name, **arrays)
    return folder / name


def animated() -> Image.Image:
    held = io.BytesIO()
    first, *others = sets.pictures()
    first.save(held, "GIF", save_all=True, append_images=others)
    return Image.open(held)


def written(folder: Path, suffix: str, **options: Any) -> Path:
    """A folder of pictures of that kind."""
    (folder / suffix).mkdir()
    for place, picture in enumerate(sets.pictures()):
        picture.save(folder / suffix / f"{place:03d}.{suffix}", **options)
    return folder / suffix


def heic(folder: Path) -> Path:
    (folder / "heic").mkdir()
    (folder / "heic" / "IMG_0001.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(64))
    return folder / "heic"


def samples_with(labels: Any) -> list[Any]:
    return list(zip(UNIT, labels, strict=True))


def webdataset(encode: Callable[[Image.Image], Any], key: str = "png", label: str = "cls") -> list[Any]:
    return [
        {"__key__": f"{place:06d}", key: encode(picture), label: LABELS[place]}
        for place, picture in enumerate(sets.pictures())
    ]


def works(folder: Path) -> dict[str, Open]:
    """What is read as it stands."""
    pictures = sets.pictures()
    named = collections.namedtuple("Named", "label image")
    tiles = [(UNIT[at : at + 7, ..., None], np.asarray(LABELS[at : at + 7])) for at in range(0, N, 7)]
    return {
        "items as dataclasses": lambda: [Record(x, "a") for x in UNIT],
        "items as named tuples, label first": lambda: [named(y, x) for x, y in samples_with(LABELS)],
        "items as objects with slots": lambda: [Slotted(x, y) for x, y in zip(pictures, LABELS, strict=True)],
        "items as dicts with odd names": lambda: [{"scan": x, "id": "7"} for x in UNIT],
        "list(DataLoader)": lambda: batches(7),
        "list(DataLoader), all batches alike": lambda: batches(8),
        "list(DataLoader) of dicts": lambda: list(loading.DataLoader(sets.Dicts(), batch_size=7)),
        "list(DataLoader) without labels": lambda: list(loading.DataLoader(torch.from_numpy(UNIT[:, None]), 7)),
        "one batch of a loader": lambda: batches(40)[0],
        "files in memory": files,
        "files in memory with labels": lambda: list(zip(files(), LABELS, strict=True)),
        "open files": lambda: open_files(folder),
        "bytearrays": lambda: [bytearray(png(each)) for each in pictures],
        "list of sparse matrices": lambda: [sparse.csr_matrix(each) for each in UNIT],
        "one-hot labels": lambda: (UNIT, ONE_HOT),
        "items with one-hot labels": lambda: samples_with(ONE_HOT),
        "float labels": lambda: samples_with([float(each) for each in LABELS]),
        "labels that are measurements": lambda: samples_with([each + 0.5 for each in LABELS]),
        "text labels": lambda: (UNIT, np.asarray([f"class {each}" for each in LABELS])),
        "labels as bytes": lambda: samples_with([f"c{each}".encode() for each in LABELS]),
        "items without a label": lambda: samples_with([None] * N),
        "fine and coarse labels": lambda: features(img=pictures),
        "a column of pictures with an odd name": lambda: features(scan=pictures),
        "image and mask": lambda: features(image=pictures, mask=pictures),
        "webdataset, decoded": lambda: webdataset(lambda picture: picture),
        "webdataset, as files": lambda: webdataset(png),
        "webdataset, dotted names": lambda: webdataset(png, "input.png", "target.cls"),
        "webdataset, to_tuple": lambda: [(f"{at}", png(x), b"1") for at, x in enumerate(pictures)],
        "tf.data": lambda: Flow(samples_with(LABELS)),
        "tf.data in batches": lambda: Flow(tiles),
        "object array of arrays": lambda: objects(list(UNIT)),
        "object array of pairs": lambda: objects(samples_with(LABELS)),
        "structured array": structured,
        "record array": lambda: structured().view(np.recarray),
        "table of Arrow": encoded_table,
        "batch of records of Arrow": lambda: encoded_table().to_batches()[0],
        "chunked array of Arrow": lambda: encoded_table().column("image"),
        "table of polars": lambda: Streamed(encoded_table()),
        "array of xarray, dask or jax": Arrays,
        "group of zarr": Group,
        "array by DLPack": OnlyDlpack,
        "parquet with an odd column": lambda: parquet(
            folder / "odd.parquet", encoded_table().rename_columns(["scan", "label"])
        ),
        "16-bit pictures": lambda: [Image.fromarray(each.astype(np.uint16) * 257) for each in BYTES],
        "pictures with grey and alpha": lambda: [each.convert("LA") for each in pictures],
        "AVIF": lambda: written(folder, "avif", quality=100),
        "JPEG 2000": lambda: written(folder, "jp2"),
        "PGM": lambda: written(folder, "pgm"),
    }


def flat(folder: Path) -> dict[str, Open]:
    """What is read as rows of numbers, which a model of pictures takes by the shape that its refusal names."""
    return {
        "sparse matrix": lambda: sparse.csr_matrix(FLAT),
        "sparse array, COO": lambda: sparse.coo_array(FLAT),
        "(sparse matrix, labels)": lambda: (sparse.csr_matrix(FLAT), LABELS),
        "dict of X and y": lambda: {"X": sparse.csr_matrix(FLAT), "y": LABELS},
        "a batch file of CIFAR": lambda: {b"data": BYTES.reshape(N, -1), b"labels": LABELS},
        "object array of numbers": lambda: FLAT.astype(object),
        "table of Arrow with numbers": numbers_table,
        "table of Arrow with lists": lambda: pa.table({"pixels": FLAT.tolist(), "label": LABELS}),
        "table of polars with numbers": lambda: Streamed(numbers_table()),
        "parquet of numbers": lambda: parquet(folder / "numbers.parquet", numbers_table()),
    }


def parquet(path: Path, table: pa.Table) -> Path:
    from pyarrow.parquet import write_table

    write_table(table, path)
    return path


def refused(folder: Path) -> dict[str, tuple[Open, str, Open]]:
    """What is refused: words of the refusal, and the way that they name."""
    pictures = sets.pictures()
    npy = io.BytesIO()
    np.save(npy, UNIT)
    pair = (UNIT, np.asarray(LABELS))
    doubled = {"left": UNIT, "right": UNIT}
    many = {f"picture{place}": each for place, each in enumerate(UNIT)}
    labels = archive(folder, "labels.npz", labels=np.asarray(LABELS))
    keras = archive(folder, "mnist.npz", x_train=BYTES, y_train=LABELS, x_test=BYTES, y_test=LABELS)
    gif = animated()
    return {
        "an npy file in memory": (lambda: npy, "numpy.load(file)", lambda: np.load(io.BytesIO(npy.getvalue()))),
        "two pictures with odd names": (
            lambda: [{"left": x, "right": x} for x in UNIT], "item['left'] for item in data", lambda: list(UNIT)
        ),
        "dict of two arrays": (lambda: doubled, "anchors=splits['left']", lambda: doubled["left"]),
        "dict of a picture a name": (lambda: many, "list(splits.values())", lambda: list(many.values())),
        "npz of labels alone": (lambda: labels, "no samples", lambda: archive(folder, "both.npz", images=BYTES)),
        "npz of one-hot labels alone": (
            lambda: archive(folder, "onehot.npz", labels=ONE_HOT), "no samples", lambda: keras_of(keras)
        ),
        "npz of Keras": (lambda: keras, f"{keras}#x_test", lambda: keras_of(keras)),
        "load_data() of Keras": (lambda: (pair, pair), "anchors=data[1]", lambda: pair),
        "train_test_split": (
            lambda: [UNIT, UNIT, pair[1], pair[1]], "anchors=(data[1], data[3])", lambda: (UNIT, pair[1])
        ),
        "two arrays": (
            lambda: (UNIT[:20], UNIT[20:]), "numpy.concatenate(list(data))",
            lambda: np.concatenate([UNIT[:20], UNIT[20:]]),
        ),
        "addresses": (lambda: ["https://a.example/1.png", "https://a.example/2.png"], "download", lambda: pictures),
        "items with addresses": (lambda: [{"url": "https://a.example/1.png"}], "download", lambda: pictures),
        "data set of texts": (lambda: [{"text": "a fox"}], "whygen.explain_prompt", lambda: pictures),
        "table of polars, not computed": (Lazy, "data.collect()", Lazy().collect),
        "array on a device": (OnGpu, ".get()", OnGpu().get),
        "sparse matrix too large": (
            lambda: sparse.csr_matrix((10**6, 10**5), dtype=np.float32), "data[rows]",
            lambda: sparse.csr_matrix(FLAT)[:20].toarray().reshape(-1, 8, 8),
        ),
        "a function": (lambda: lambda: UNIT, "anchors=data()", lambda: UNIT),
        "pictures of floats": (
            lambda: [Image.fromarray(each) for each in UNIT], "numpy.asarray(picture)",
            lambda: [np.asarray(Image.fromarray(each)) for each in UNIT],
        ),
        "an animation": (
            lambda: gif, "frame.copy() for frame in",
            lambda: load_samples([frame.copy() for frame in ImageSequence.Iterator(gif)], mode="L"),
        ),
        "HEIC": (lambda: heic(folder), "convert it to PNG", lambda: pictures),
        "store of zarr": (lambda: zarr_store(folder), "zarr.open(path)[:]", lambda: UNIT),
        "CMYK pictures": (
            lambda: [each.convert("RGB").convert("CMYK") for each in pictures], "give mode='L'",
            lambda: load_samples([each.convert("RGB").convert("CMYK") for each in pictures], mode="L"),
        ),
        "a film": (lambda: empty(folder / "a.mp4"), "ffmpeg", lambda: pictures),
    }  # fmt: skip


def keras_of(path: Path) -> str:
    return f"{path}#x_test"


def zarr_store(folder: Path) -> Path:
    (folder / "store.zarr").mkdir()
    (folder / "store.zarr" / "zarr.json").write_text("{}")
    return folder / "store.zarr"


def empty(path: Path) -> Path:
    path.write_bytes(b"\0\0\0\x18ftypisom")
    return path
