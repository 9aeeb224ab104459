"""The same forty pictures of 8 x 8 as people hold them: data sets, loaders, files, folders; and what is none."""

# pyright: basic
from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils import data as loading

N, SIDE = 40, 8
BYTES = np.random.default_rng(7).integers(0, 256, (N, SIDE, SIDE)).astype(np.uint8)
UNIT = BYTES.astype(np.float32) / 255.0
LABELS = [place % 3 for place in range(N)]


class Pairs(loading.Dataset):
    """(image, label), as torchvision has it."""

    def __init__(
        self, transform: Callable[[np.ndarray], Any] = lambda picture: torch.from_numpy(picture)[None]
    ) -> None:
        self.transform = transform

    def __len__(self) -> int:
        return N

    def __getitem__(self, place: int) -> Any:
        return self.transform(UNIT[place]), LABELS[place]


class Dicts(Pairs):
    """Items with names."""

    def __getitem__(self, place: int) -> Any:
        return {"image": torch.from_numpy(UNIT[place])[None], "label": LABELS[place]}


class Stream(loading.IterableDataset):
    """No length, no places."""

    def __iter__(self) -> Iterator[Any]:
        return (Pairs()[place] for place in range(N))


class Rows:
    """``__getitem__`` until IndexError, and nothing else."""

    def __getitem__(self, place: int) -> Any:
        if place >= N:
            raise IndexError(place)
        return UNIT[place]


def pictures() -> list[Image.Image]:
    return [Image.fromarray(each) for each in BYTES]


def hugging_face(**more: Any) -> Any:
    import datasets

    return datasets.Dataset.from_dict(
        {"image": pictures(), "label": LABELS, **more},
        features=datasets.Features(
            {
                "image": datasets.Image(),
                "label": datasets.ClassLabel(names=["a", "b", "c"]),
                **{name: datasets.Value("string") for name in more},
            }
        ),
    )


def splits() -> Any:
    import datasets

    return datasets.DatasetDict({"train": hugging_face(), "test": hugging_face()})


def frame() -> Any:
    import pandas

    return pandas.DataFrame(UNIT.reshape(N, -1))


def folder(where: Path, *, suffix: str = ".png") -> Path:
    """Pictures in folders of classes."""
    for place, picture in enumerate(pictures()):
        into = where / f"class{LABELS[place]}"
        into.mkdir(parents=True, exist_ok=True)
        picture.save(into / f"{place:03d}{suffix}")
    return where


def flat_folder(where: Path) -> Path:
    where.mkdir()
    for place, picture in enumerate(pictures()):
        picture.save(where / f"{place:03d}.png")
    return where


def saved(where: Path, name: str) -> Path:
    """The pictures in a file of that kind."""
    path = where / name
    flat = UNIT.reshape(N, -1)
    if path.suffix == ".npy":
        np.save(path, UNIT)
    elif path.suffix == ".npz":
        np.savez(path, images=BYTES, labels=np.asarray(LABELS))
    elif path.suffix == ".pt":
        torch.save(torch.from_numpy(UNIT), path)
    elif path.suffix == ".safetensors":
        from safetensors.numpy import save_file

        save_file({"images": UNIT}, path)
    elif path.suffix == ".parquet":
        hugging_face().to_parquet(path)
    elif path.suffix == ".csv":
        np.savetxt(path, flat, delimiter=",")
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps({"text": "a sentence", "n": place}) for place in range(N)))
    elif path.suffix == ".h5":
        path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(64))
    else:
        packed(path)
    return path


def packed(path: Path) -> None:
    """A zip of pictures, or a tar as webdataset has them."""
    encoded = []
    for picture in pictures():
        held = io.BytesIO()
        picture.save(held, "PNG")
        encoded.append(held.getvalue())
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for place, each in enumerate(encoded):
                archive.writestr(f"{place:03d}.png", each)
        return
    with tarfile.open(path, "w") as archive:
        for place, each in enumerate(encoded):
            member = tarfile.TarInfo(f"{place:03d}.png")
            member.size = len(each)
            archive.addfile(member, io.BytesIO(each))


def readme_inside(where: Path) -> Path:
    """An npz with a text among its arrays."""
    path = saved(where, "with-readme.npz")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("README.md", "Digits of ours.")
    return path


def damaged(where: Path) -> Path:
    """A data set of Hugging Face, saved, then cut short."""
    path = where / "damaged"
    hugging_face().save_to_disk(path)
    arrow = next(path.glob("*.arrow"))
    arrow.write_bytes(arrow.read_bytes()[: arrow.stat().st_size // 2])
    return path


def one_of_colours(where: Path) -> Path:
    """A folder of grey pictures with one in colours."""
    path = flat_folder(where / "grey")
    Image.new("RGB", (SIDE, SIDE), (200, 30, 30)).save(path / "999.png")
    return path


def of_sizes(where: Path) -> Path:
    """A folder where one picture has another size."""
    path = flat_folder(where / "sizes")
    Image.new("L", (5, 11), 90).save(path / "999.png")
    return path
