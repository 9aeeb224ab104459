# pyright: basic
"""Anchors and reference from where people keep them: folders, arrays, parquet, data sets, idx files.

Nothing is ever unpickled. A file or row that cannot be read is listed by name and skipped; nothing else is lost.
"""

from __future__ import annotations

import glob
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whygen._arguments import typed
from whygen.anchors.batches import arrow_tables
from whygen.anchors.files import (
    MODES,
    READERS,
    SOUNDS_DOOR,
    SUFFIXES,
    Arrays,
    Labels,
    Skipped,
    Stacked,
    as_labels,
    require_regular,
    stack_pictures,
)
from whygen.anchors.held import Gathered, classes, gather, left
from whygen.anchors.items import ADDRESSES, IMAGE_COLUMNS, as_array, named, same_kind
from whygen.anchors.samples import Raw
from whygen.errors import DataError, MissingError, UsageError, none_of
from whygen.files import is_there
from whygen.models.latent import Layout
from whygen.results.prompt import Warned
from whygen.texts import counted

SPLITS = ("train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval")
"""Names of folders that are parts of a data set rather than classes."""
MAX_SIDE = 8000
"""Height and width of a resized picture: no more values than `MAX_PIXELS` lets a file have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSet:
    """Samples with what is known of them.

    Attributes:
        samples: ``(n, ...)``, as stored.
        layout: where the source tells it.
        labels: one for each sample, or None.
        roles: one of "training", "held-out", "foreign" for each sample, or None.
        names: of files or rows, one for each sample, or empty.
        skipped: what could not be read, and why.
        source: for the report.
        told: what is to be said of how they were read.
        pictures: whether they were pictures, which ``size`` and ``mode`` are for.
    """

    samples: Raw
    layout: Layout | None = None
    labels: Labels | None = None
    roles: tuple[str, ...] | None = None
    names: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    source: str = "array"
    told: tuple[Warned, ...] = ()
    pictures: bool = False

    def __len__(self) -> int:
        """How many samples there are."""
        return len(self.samples)

    def __getitem__(self, rows: int | slice | Sequence[int] | NDArray[Any]) -> SampleSet:
        """Some of the samples, chosen as numpy chooses rows: ``anchors[:400]``, by places, or by a mask."""
        return self.only(np.atleast_1d(np.arange(len(self))[rows]))

    def only(self, rows: NDArray[np.int64]) -> SampleSet:
        """Those samples alone, in that order, with their labels and names."""
        kept = rows.tolist()
        return replace(
            self,
            samples=self.samples[rows],
            labels=None if self.labels is None else tuple(self.labels[row] for row in kept),
            roles=None if self.roles is None else tuple(self.roles[row] for row in kept),
            names=tuple(self.names[row] for row in kept) if self.names else (),
        )

    def name(self, row: int) -> str:
        """What to call that sample: its file or row where it has one, else its place from 0 on."""
        return self.names[row] if self.names else str(row)


def joined(parts: Mapping[str, SampleSet]) -> SampleSet:
    """Sets of samples by role as one, in the order given, each sample with its role.

    Raises:
        DataError: if they do not fit each other.
    """
    sets = list(parts.values())
    shapes = {role: (each.samples.shape[1:], each.samples.dtype) for role, each in parts.items()}
    if len(set(shapes.values())) > 1:
        told = "; ".join(f"{role}: shape {shape}, type {dtype}" for role, (shape, dtype) in shapes.items())
        raise DataError(f"The anchors of the roles differ ({told}). Give all alike: size= and mode= make pictures so.")
    if len({each.layout for each in sets}) > 1:
        raise DataError(
            "The anchors of the roles have different layouts; give layout=, or all from one kind of source."
        )
    names = [
        name
        for role, each in parts.items()
        for name in (each.names or [f"{role} {row}" for row in range(len(each.samples))])
    ]
    labelled = all(each.labels is not None for each in sets)
    return replace(
        sets[0],
        samples=np.concatenate([each.samples for each in sets]),
        labels=tuple(label for each in sets for label in each.labels or ()) if labelled else None,
        roles=tuple(role for role, each in parts.items() for _ in range(len(each.samples))),
        names=tuple(names),
        skipped=tuple(skipped for each in sets for skipped in each.skipped),
        source="; ".join(f"{role}: {each.source}" for role, each in parts.items()),
        told=tuple(told for each in sets for told in each.told),
    )


@typed()
def load_samples(
    source: object,
    *,
    labels: Sequence[str | int] | NDArray[Any] | None = None,
    layout: Layout | None = None,
    size: tuple[int, int] | None = None,
    mode: str | None = None,
    argument: str = "anchors",
) -> SampleSet:
    """Samples from an array, a `SampleSet`, a data set, a loader, a list of pictures, or a path.

    A path is a folder of images (labels from sub-folders), one image, a pattern such as ``faces/*.png``, a folder
    written by ``Dataset.save_to_disk``, a ``.npy``, ``.npz``, ``.parquet`` or idx file. ``PATH#KEY`` names an array of
    an npz, a column of images, or a split. Data sets and loaders (of torch, of Hugging Face, generators) give
    samples, ``(sample, label)`` or dicts; of those that do not say how many they have, the first
    `whygen.anchors.held.MAX_ENDLESS` are taken, and that is said.

    Args:
        source: where the samples are.
        labels: overrides labels found in the source.
        layout: overrides the layout that the source tells.
        size: (height, width) that pictures are resized to; without it, those of another size than most are skipped.
        mode: ``L`` or ``RGB``: what pictures are converted to; without it, what most of them are.
        argument: what messages call it.

    Raises:
        MissingError: if there is nothing at the path.
        UsageError: if ``size`` or ``mode`` cannot be.
        DataError: if it cannot be read as samples, or the labels are not as many as the samples.
    """
    require_size_and_mode(size, mode)
    loaded = _load(source, size, mode, argument)
    if layout is not None:
        loaded = replace(loaded, layout=layout)
    if np.ndim(loaded.samples) == 0:
        raise DataError(f"{argument} is a single number; give samples, one along the first axis for each.")
    if labels is not None:
        loaded = replace(loaded, labels=_given_labels(labels))
    if loaded.labels is not None and len(loaded.labels) != len(loaded.samples):
        raise DataError(
            f"labels holds {counted(len(loaded.labels), 'label')} for {counted(len(loaded.samples), 'sample')}: "
            "give one for each."
        )
    return loaded


def _given_labels(labels: Any) -> Any:
    """The labels that override those of the source; numpy cannot make an array of a list that holds itself."""
    try:
        return as_labels(np.asarray(labels))
    except (ValueError, RecursionError):
        raise DataError("labels cannot be read; give one number or text for each sample.") from None


def require_size_and_mode(size: tuple[int, int] | None, mode: str | None) -> None:
    """Refuse sizes and modes of pictures that cannot be.

    Raises:
        UsageError: naming what can.
    """
    if mode is not None and mode not in MODES:
        raise none_of("mode", mode, MODES)
    if size is not None and (len(size) != 2 or min(size) < 1 or math.prod(size) > MAX_SIDE**2):
        raise UsageError(f"size is {size}; give (height, width) in pixels, such as (28, 28), {MAX_SIDE} at most.")


def _load(source: object, size: tuple[int, int] | None, mode: str | None, argument: str) -> SampleSet:
    if isinstance(source, SampleSet):
        return source
    if type(source) is np.ndarray and source.ndim > 1 and source.dtype.kind in "fiub":
        return SampleSet(samples=source)
    if isinstance(source, str | Path):
        return _from_path(str(source), size, mode)
    if hasattr(source, "with_format") and hasattr(source, "features") and hasattr(source, "__len__"):
        table = _table_of(source)
        if table is not None:
            return _from_table(table, None, size, mode, source="data set")
    gathered = gather(source, argument=argument)
    if gathered is not None:
        return _from_gathered(gathered, size, mode)
    return SampleSet(samples=as_array(source, what=f"{argument}="))


def _table_of(source: Any) -> Any:
    """A data set of Hugging Face as a table; None where its items must be asked for (pictures kept as files)."""
    if not hasattr(source, "column_names") or isinstance(source.column_names, dict):
        return None
    held = [name for name, kind in (source.features or {}).items() if type(kind).__name__ == "Image"]
    column = named(source.column_names, IMAGE_COLUMNS) or (held[0] if len(held) == 1 else None)
    if column is None or len(source) == 0:
        return None
    first = source.with_format("arrow")[:1].column(column)[0].as_py()
    data = first.get("bytes") if isinstance(first, dict) else first
    return source.with_format("arrow")[:] if isinstance(data, bytes) else None


def _from_gathered(gathered: Gathered, size: tuple[int, int] | None, mode: str | None) -> SampleSet:
    if not gathered.pictures:
        return _of_one_shape(gathered)
    given = gathered.samples
    paths = isinstance(given[0], str | Path)
    if paths and all(isinstance(each, str) and each.startswith(ADDRESSES) for each in given):
        raise DataError(
            f"What was given are addresses ({counted(len(given), 'text')}, such as {str(given[0])[:60]!r}), and whygen "
            "downloads no samples: download the files, and give their folder, or a list of their paths."
        )
    if paths and all(isinstance(each, str) and not is_there(each) for each in given):
        raise DataError(
            f"What was given are paths of no file ({counted(len(given), 'text')}, such as {str(given[0])[:60]!r}). "
            "Anchors are pictures or arrays here. Texts are anchors of a language model: hf/PATH, an object with "
            "score, or a function def f(text: str) -> list[float] of the log-probability of each token. What a model "
            "says to a text is for whygen.explain_prompt."
        )
    called = [(str(each) if is_path(each) else f"item {place}", _opener(each)) for place, each in enumerate(given)]
    stacked = stack_pictures(called, size=size, mode=mode)
    labels = gathered.labels
    if labels is None and paths:
        labels = _parents([Path(str(each)) for each in given])
    return _of_pictures(
        stacked,
        labels=None if labels is None else same_kind([labels[row] for row in stacked.kept]),
        names=tuple(called[row][0] for row in stacked.kept),
        source=gathered.source,
        told=gathered.told,
    )


def _of_one_shape(gathered: Gathered) -> SampleSet:
    """Arrays of the most frequent shape; others are skipped, and named."""
    shapes = [each.shape for each in gathered.samples]
    usual, count = Counter(shapes).most_common(1)[0]
    if (len(set(shapes)) > 1 and 2 * count <= len(shapes)) or usual == ():
        raise DataError(
            f"The {len(shapes)} samples are arrays of {len(set(shapes))} shapes, such as "
            f"{', '.join(map(str, list(dict.fromkeys(shapes))[:3]))}; whygen needs one. Resize them in the data set "
            "(its transform), or give the pictures as files or PIL images with size=."
        )
    kept = [place for place, shape in enumerate(shapes) if shape == usual]
    skipped = tuple(
        Skipped(f"item {place}", f"has shape {shape}, most have {usual}")
        for place, shape in enumerate(shapes)
        if shape != usual
    )
    labels = gathered.labels
    return SampleSet(
        samples=np.stack([gathered.samples[place] for place in kept]),
        labels=None if labels is None else same_kind([labels[place] for place in kept]),
        skipped=skipped,
        source=gathered.source,
        told=gathered.told,
    )


def is_path(thing: object) -> bool:
    """Whether a picture is given by its path."""
    return isinstance(thing, str | Path)


def _opener(thing: Any) -> Callable[[], Any]:
    return _reading(Path(thing)) if is_path(thing) else lambda: thing


def _parents(files: Sequence[Path]) -> tuple[str, ...] | None:
    """The folder of each file as its label, where there are several."""
    folders = tuple(file.parent.name for file in files)
    return folders if len(set(folders)) > 1 else None


def _of_pictures(
    stacked: Stacked, *, labels: Labels | None, names: tuple[str, ...], source: str, told: tuple[Warned, ...] = ()
) -> SampleSet:
    """Pictures that were read, with a word on those that were converted."""
    converted = stacked.converted
    if converted:
        kinds = ("grey", "colours") if stacked.mode == "RGB" else ("colours", "grey")
        shown = ", ".join(converted[:5]) + (f" and {len(converted) - 5} more" if len(converted) > 5 else "")
        text = (
            f"{len(converted)} of {len(stacked.kept)} pictures were converted from {kinds[0]} to {kinds[1]}, which "
            f"most of them or the model have: {shown}. mode= (L or RGB) decides for all."
        )
        told = (*told, Warned(code="converted-pictures", text=text))
    return SampleSet(
        samples=stacked.samples, layout="NHWC", labels=labels, names=names, skipped=stacked.skipped, source=source,
        told=told, pictures=True,
    )  # fmt: skip


def _from_path(text: str, size: tuple[int, int] | None, mode: str | None) -> SampleSet:
    path, key = _split_key(text)
    if not is_there(str(path)):
        if any(sign in text for sign in "*?["):
            return _from_pattern(text, size, mode)
        raise MissingError(f"There is nothing at {text!r}. {_elsewhere(text)}")
    if path.is_dir():
        if (path / "zarr.json").is_file() or (path / ".zarray").is_file() or (path / ".zgroup").is_file():
            raise DataError(f"{str(path)!r} is a store of zarr. Open it, and give the array: zarr.open(path)[:].")
        if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
            table, column, split = arrow_tables().saved_dataset(path, key)
            return _from_table(table, column, size, mode, source=str(split))
        return _from_folder(path, size, mode)
    require_regular(path)
    for endings, reader in READERS:
        if path.name.lower().endswith(endings):
            return _of_arrays(reader(path, key), text)
    if path.suffix.lower() == ".parquet":
        return _from_table(arrow_tables().parquet(path), key, size, mode, source=text)
    if path.suffix.lower() in SUFFIXES:
        return _from_gathered(Gathered(samples=(path,), labels=None, told=(), source=text), size, mode)
    suffix = ".nii" if path.name.lower().endswith(".nii.gz") else path.suffix.lower()
    door = _OTHER_DOORS.get(suffix, f"Give a folder of images, or a file: {_KNOWN}.")
    raise DataError(f"The file {str(path)!r} is of a kind that is not read here. {door}")


def _elsewhere(text: str) -> str:
    """What to do where a path leads nowhere: it may be an address, or the name of a data set of a hub."""
    if "://" in text:
        return "whygen downloads no samples: download the file, and give its path."
    if re.fullmatch(r"(hf[:/])?[\w-]+/[\w.-]+|hf[:/][\w.-]+", text) and not Path(text).suffix:
        name = re.sub(r"^hf[:/]", "", text)
        return (
            f"For a data set of the Hugging Face hub: give datasets.load_dataset({name!r}, split='test') from Python. "
            f"Else give a folder of images, or a file: {_KNOWN}."
        )
    return f"Give a folder of images, or a file: {_KNOWN}."


def _of_arrays(read: Arrays, source: str) -> SampleSet:
    return SampleSet(samples=read.samples, labels=read.labels, source=source)


def _from_pattern(text: str, size: tuple[int, int] | None, mode: str | None) -> SampleSet:
    """The pictures that a pattern such as ``faces/**/*.png`` matches, in the order of their names."""
    matches = sorted(Path(each) for each in glob.iglob(text, recursive=True))
    files = tuple(each for each in matches if each.suffix.lower() in SUFFIXES and each.is_file())
    if not files:
        raise MissingError(
            f"The pattern {text!r} matches no picture ({', '.join(SUFFIXES)}); it matches {len(matches)} others."
        )
    return _from_gathered(Gathered(samples=files, labels=None, told=(), source=text), size, mode)


def _split_key(text: str) -> tuple[Path, str | None]:
    if is_there(text) or "#" not in text:
        return Path(text), None
    path, _, key = text.rpartition("#")
    return Path(path), key


# --- folders -----------------------------------------------------------------------------------------------------


_OF_SOUND = (".wav", ".flac", ".mp3", ".ogg", ".m4a")


def _what_else(folder: Path) -> str:
    """What a folder without a picture holds, and the door for that."""
    other = next((file for file in sorted(folder.rglob("*")) if file.is_file()), None)
    if other is None:
        return ""
    if other.suffix.lower() in _OF_SOUND:
        return f" It holds sounds, such as {other.name!r}. {SOUNDS_DOOR}"
    return f" It holds {other.name!r}: if that is a picture without an ending, give a list of paths, which needs none."


def _from_folder(folder: Path, size: tuple[int, int] | None, mode: str | None) -> SampleSet:
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    if not files:
        raise DataError(
            f"The folder {str(folder)!r} holds no image ({', '.join(SUFFIXES)}), nor do its sub-folders."
            f"{_what_else(folder)}"
        )
    _require_no_splits(folder, files)
    called = ((file.relative_to(folder).as_posix(), _reading(file)) for file in files)
    stacked = stack_pictures(called, size=size, mode=mode)
    parents = [files[index].relative_to(folder).parts[:-1] for index in stacked.kept]
    labels = as_labels(np.array([parts[0] if parts else "" for parts in parents])) if any(parents) else None
    names = tuple(files[index].relative_to(folder).as_posix() for index in stacked.kept)
    return _of_pictures(stacked, labels=labels, names=names, source=str(folder))


def _require_no_splits(folder: Path, files: Sequence[Path]) -> None:
    """A root above train and test is no set: its parts would be taken for classes, or mixed."""
    tops = sorted({file.relative_to(folder).parts[0] for file in files if len(file.relative_to(folder).parts) > 1})
    if len(tops) > 1 and all(top.lower() in SPLITS for top in tops):
        raise DataError(
            f"The folder {str(folder)!r} holds the splits {', '.join(tops)}; give one of them: {folder / tops[0]}."
        )


def _reading(file: Path) -> Callable[[], bytes]:
    return file.read_bytes


# --- tables ------------------------------------------------------------------------------------------------------


def _from_table(
    table: Any, key: str | None, size: tuple[int, int] | None, mode: str | None, *, source: str
) -> SampleSet:
    found = arrow_tables().of_arrow(table, key, where="The table")
    labels, told = classes(found.labels or [], argument="the table")
    told = (*told, *left(found.name, found.others, "the table"))
    if not found.pictures:
        return SampleSet(samples=found.samples, labels=labels, source=source, told=told)
    named_cells = ((f"row {row}", _cell_reader(cell)) for row, cell in enumerate(found.samples))
    stacked = stack_pictures(named_cells, size=size, mode=mode)
    kept = None if labels is None else same_kind([labels[row] for row in stacked.kept])
    names = tuple(f"row {row}" for row in stacked.kept)
    return _of_pictures(stacked, labels=kept, names=names, source=source, told=told)


def _cell_reader(cell: Any) -> Callable[[], bytes]:
    """The bytes of an image: the cell itself, or the ``bytes`` of a Hugging Face image. Paths are not followed."""

    def read() -> bytes:
        data = cell.get("bytes") if isinstance(cell, dict) else cell  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        if not isinstance(data, bytes):
            raise ValueError("the cell holds no bytes of an image")  # noqa: TRY004 - listed as skipped, like any damage
        return data

    return read


_KNOWN = (
    ".npy, .npz, .safetensors, .parquet with image bytes, idx (-ubyte, -ubyte.gz), or a saved Hugging Face data set"
)
_OTHER_DOORS = {
    ".pt": "Load it and give the tensor: torch.load(path, weights_only=True).",
    ".pth": "Load it and give the tensor: torch.load(path, weights_only=True).",
    ".zip": "Unpack it, and give the folder.",
    ".tar": "Unpack it, and give the folder.",
    ".gz": "Unpack it, and give the folder or the file.",
    ".tgz": "Unpack it, and give the folder.",
    ".7z": "Unpack it, and give the folder.",
    ".csv": (
        "Load it and give what it holds: numpy.loadtxt(path, delimiter=',') of numbers, or "
        "pandas.read_csv(path)['COLUMN'] of paths."
    ),
    ".tsv": "Load it and give the numbers: pandas.read_csv(path, sep='\\t').",
    ".h5": "Load it and give the array: h5py.File(path)['NAME'][:].",
    ".hdf5": "Load it and give the array: h5py.File(path)['NAME'][:].",
    ".mat": "Load it and give the array: scipy.io.loadmat(path)['NAME'].",
    ".pkl": "Pickled objects may hold code and are never read. Save the array with numpy.save.",
    ".feather": "Load it and give the table: pandas.read_feather(path).",
    ".dcm": "Load it and give the array: pydicom.dcmread(path).pixel_array[None].",
    ".nii": "Load it and give its slices as an array: nibabel.load(path).get_fdata().",
    ".tfrecord": "Open it with tf.data.TFRecordDataset, decode its pictures with map, and give that data set.",
    ".svg": "Draw it as a PNG first, for example with rsvg-convert.",
    ".wav": "Load the samples of all sounds and give them as an array (n, ...): soundfile.read(path)[0].",
    ".mp4": "Write its frames as pictures (ffmpeg -i FILE frames/%05d.png), and give the folder.",
    ".arrow": "Give the folder of the saved data set, or datasets.Dataset.from_file(path).",
    ".jsonl": "Anchors are pictures or arrays; what a model says to a text is for whygen.explain_prompt.",
    ".json": "Anchors are pictures or arrays; what a model says to a text is for whygen.explain_prompt.",
    ".txt": "Anchors are pictures or arrays; what a model says to a text is for whygen.explain_prompt.",
}
"""What people hold samples in that is not read here, and what to do with it."""
