"""Samples as programs hold them: data sets, loaders, streams, tensors, lists of pictures and of paths."""

# pyright: basic
from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from whygen.anchors import held
from whygen.anchors.data import load_samples
from whygen.errors import DataError, MissingError

torch = pytest.importorskip("torch")
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset  # noqa: E402

IMAGES = np.random.default_rng(0).random((12, 1, 4, 4)).astype(np.float32)
LABELS = np.arange(12) % 3


class Pairs(Dataset):
    """As torchvision has them: __getitem__ gives (image, label), and there is no __iter__."""

    def __len__(self) -> int:
        return len(IMAGES)

    def __getitem__(self, row: int):
        return torch.from_numpy(IMAGES[row]), int(LABELS[row])


class Endless(IterableDataset):
    def __iter__(self):
        return ((torch.from_numpy(IMAGES[n % 12]), n % 12) for n in itertools.count())


def dicts():
    return [{"pixel_values": torch.from_numpy(image), "label": int(k)} for image, k in zip(IMAGES, LABELS, strict=True)]


@pytest.mark.parametrize(
    "source",
    [
        Pairs(),
        Subset(Pairs(), list(range(12))),
        DataLoader(Pairs(), batch_size=5),
        DataLoader(Pairs(), batch_size=None),
        TensorDataset(torch.from_numpy(IMAGES), torch.from_numpy(LABELS)),
        DataLoader(dicts(), batch_size=5),
        [(k, image) for image, k in Pairs()],
        DataLoader([(k, image) for image, k in Pairs()], batch_size=5),
        [(row, *pair) for row, pair in enumerate(Pairs())],
        DataLoader([(row, *pair) for row, pair in enumerate(Pairs())], batch_size=5),
        dicts(),
        list(Pairs()),
        (pair for pair in list(Pairs())),
        {"x": IMAGES, "y": LABELS},
        (IMAGES, LABELS),
        (torch.from_numpy(IMAGES), torch.from_numpy(LABELS)),
        (torch.from_numpy(IMAGES), LABELS.tolist()),
        (list(IMAGES), LABELS.tolist()),
        DataLoader(Pairs(), batch_size=5, collate_fn=lambda batch: batch),
        DataLoader(Pairs(), batch_size=5, collate_fn=lambda batch: tuple(map(list, zip(*batch, strict=True)))),
    ],
    ids=lambda source: type(source).__name__,
)
def test_images_with_labels_are_found_in_whatever_holds_them(source: object) -> None:
    loaded = load_samples(source)
    np.testing.assert_array_equal(loaded.samples, IMAGES)
    assert loaded.labels == tuple(LABELS.tolist())
    assert loaded.told == ()


@pytest.mark.parametrize(
    "source",
    [
        torch.from_numpy(IMAGES).requires_grad_(),
        list(torch.from_numpy(IMAGES)),
        list(IMAGES),
        TensorDataset(torch.from_numpy(IMAGES)),
        DataLoader(torch.from_numpy(IMAGES), batch_size=7),
        IMAGES.tolist(),
    ],
    ids=lambda source: type(source).__name__,
)
def test_images_alone_are_found_too(source: object) -> None:
    loaded = load_samples(source)
    np.testing.assert_array_equal(loaded.samples.astype(np.float32), IMAGES)
    assert loaded.labels is None


def test_bfloat16_is_read_as_float32() -> None:
    tensor = torch.from_numpy(IMAGES).to(torch.bfloat16)
    np.testing.assert_array_equal(load_samples(tensor).samples, tensor.float().numpy())


@pytest.mark.parametrize("source", [Endless(), DataLoader(Endless(), batch_size=7), iter(itertools.cycle(IMAGES))])
def test_what_does_not_end_is_bounded_and_that_is_said(source: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "MAX_ENDLESS", 30)
    loaded = load_samples(source, argument="reference")
    assert len(loaded.samples) == 30
    assert loaded.told[0].code == "first-samples"
    assert "reference=" in loaded.told[0].text
    assert "first 30" in loaded.told[0].text


def test_more_than_can_be_held_is_refused_early(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    class Huge(Dataset):
        def __len__(self) -> int:
            return 10**9

        def __getitem__(self, row: int):
            asked.append(row)
            return torch.zeros(3, 8, 8), 0

    with pytest.raises(DataError, match=r"1,000,000,000 samples.*Subset\(data, rows\).*at random"):
        load_samples(Huge())
    assert len(asked) < 10
    monkeypatch.setattr(held, "MAX_HELD", 10_000)
    with pytest.raises(DataError, match="more than"):
        load_samples(Endless())


def test_a_picture_a_list_of_pictures_paths_and_a_pattern(tmp_path: Path) -> None:
    pictures = [Image.fromarray((image[0] * 255).astype(np.uint8)) for image in IMAGES]
    wanted = np.stack([np.asarray(picture) for picture in pictures])[..., None]
    np.testing.assert_array_equal(load_samples(pictures).samples, wanted)
    np.testing.assert_array_equal(load_samples(pictures[0]).samples, wanted[:1])
    pairs = load_samples(list(zip(pictures, LABELS.tolist(), strict=True)))
    assert pairs.labels == tuple(LABELS.tolist())
    assert pairs.layout == "NHWC"
    mixed = load_samples([*pictures[:3], pictures[3].convert("RGBA")])
    assert mixed.samples.shape == (4, 4, 4, 1)
    assert mixed.told[0].code == "converted-pictures"
    for place, picture in enumerate(pictures):
        folder = tmp_path / f"class{place % 2}"
        folder.mkdir(exist_ok=True)
        picture.save(folder / f"{place:02}.png")
    paths = sorted(tmp_path.rglob("*.png"))
    for source in (paths, [str(path) for path in paths], f"{tmp_path}/*/*.png"):
        loaded = load_samples(source)
        assert len(loaded.samples) == 12
        assert loaded.labels == ("class0",) * 6 + ("class1",) * 6
    single = load_samples(paths[0])
    np.testing.assert_array_equal(single.samples, wanted[:1])
    with pytest.raises(MissingError, match="matches no picture"):
        load_samples(f"{tmp_path}/*.webp")
    lost = load_samples([*paths, tmp_path / "nowhere.png"])
    assert "nowhere.png" in lost.skipped[0].name


def test_splits_are_named_with_what_to_type() -> None:
    with pytest.raises(DataError, match=r"train, test.*anchors=splits\['train'\]"):
        load_samples({"train": Pairs(), "test": Pairs()})
    datasets = pytest.importorskip("datasets")
    splits = datasets.DatasetDict({"train": datasets.Dataset.from_dict({"image": [1]})})
    with pytest.raises(DataError, match=r"reference=splits\['train'\]"):
        load_samples(splits, argument="reference")


def test_a_hugging_face_stream_and_pictures_kept_as_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    files = []
    for place, image in enumerate(IMAGES):
        files.append(str(tmp_path / f"{place}.png"))
        Image.fromarray((image[0] * 255).astype(np.uint8)).save(files[-1])
    rows = {"image": files, "label": LABELS.tolist()}
    data = datasets.Dataset.from_dict(rows).cast_column("image", datasets.Image())
    for source in (data, data.to_iterable_dataset(), data.with_format("torch")):
        loaded = load_samples(source)
        assert len(loaded.samples) == 12
        assert loaded.labels == tuple(LABELS.tolist())
    monkeypatch.setattr(held, "MAX_ENDLESS", 5)
    assert len(load_samples(data.to_iterable_dataset()).samples) == 5


class Failing(Dataset):
    def __len__(self) -> int:
        return 3

    def __getitem__(self, row: int):
        raise KeyError("no such file")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (Failing(), "Item 0 of anchors=.*KeyError"),
        ([torch.zeros(2, 2), torch.zeros(3, 3), torch.zeros(4, 4)], "3 shapes.*Resize"),
        ([[1, 2], [3]], "array of numbers"),
        (torch.zeros(2, 2, device="meta"), "cannot be read.*load the data"),
        ([{"caption": "a cat"}], "caption.*explain_prompt"),
        ([np.zeros(3), np.zeros(4)], "2 shapes"),
        (Pairs, r"class Pairs itself.*Pairs\(\.\.\.\)"),
        (object(), "holds no samples"),
        (iter(()), "without items"),
        (None, "holds no samples"),
        (Dataset(), "NotImplementedError"),
        ([Image.new("L", (2, 2)), torch.zeros(2, 2)], "mixes"),
    ],
)
def test_what_cannot_be_read_is_said_in_words(source: object, words: str) -> None:
    with pytest.raises(DataError, match=words):
        load_samples(source)


def test_nothing_of_torch_or_datasets_is_imported() -> None:
    code = (
        "import sys, numpy as np; from whygen.anchors.data import load_samples;"
        "load_samples([(np.zeros((2, 2)), 1)] * 3); load_samples({'x': np.zeros((3, 2))});"
        "sys.exit(any(name in sys.modules for name in ('torch', 'datasets')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.filterwarnings("ignore")  # of torch, of its nested tensors
def test_a_tensor_of_several_shapes_is_told_how_to_become_one() -> None:
    with pytest.raises(DataError, match=r"tensor\.unbind\(\)"):
        load_samples(torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]))
