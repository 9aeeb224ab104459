"""Anchors from real files of each kind; damaged ones are named, and nothing else is lost."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from whygen.anchors.data import SampleSet, load_samples
from whygen.encoders import load_image_encoder, load_text_encoder
from whygen.errors import DataError, MissingError, UsageError
from whygen.models import LatentModel, load_latent, load_model
from whygen.stats.seeds import generator


def images(*shape: int, seed: int = 0) -> np.ndarray:
    return generator(seed, "files").integers(0, 256, size=shape, dtype=np.uint8)


def png(image: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", **options)
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for label in ("3", "7"):
        (tmp_path / "digits" / label).mkdir(parents=True)
        for place, image in enumerate(images(3, 8, 6, seed=int(label))):
            (tmp_path / "digits" / label / f"{place}.png").write_bytes(png(image))
    return tmp_path / "digits"


def test_a_folder_gives_images_labels_and_names(folder: Path) -> None:
    loaded = load_samples(folder)
    assert loaded.samples.shape == (6, 8, 6, 1)
    assert loaded.labels == (3, 3, 3, 7, 7, 7)
    assert loaded.names[0] == "3/0.png"
    np.testing.assert_array_equal(loaded.samples[:3, :, :, 0], images(3, 8, 6, seed=3))


def test_corrupt_files_are_listed_by_name_and_nothing_else_is_lost(folder: Path) -> None:
    whole = (folder / "3" / "0.png").read_bytes()
    (folder / "3" / "broken.png").write_bytes(b"not an image")
    (folder / "7" / "0a.png").write_bytes(whole[: len(whole) // 2])
    (folder / "7" / "empty.jpg").write_bytes(b"")
    (folder / "7" / "notes.txt").write_text("no image, and nobody said so")
    loaded = load_samples(folder)
    assert len(loaded.samples) == len(loaded.names) == len(loaded.labels or ()) == 6
    assert [each.name for each in loaded.skipped] == ["3/broken.png", "7/0a.png", "7/empty.jpg"]
    assert all(each.reason for each in loaded.skipped)


def test_a_decompression_bomb_is_skipped_unread(folder: Path) -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    chunk = b"IHDR" + header
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    data = zlib.compress(bytes(1000))
    bomb += struct.pack(">I", len(data)) + b"IDAT" + data + struct.pack(">I", zlib.crc32(b"IDAT" + data))
    (folder / "3" / "bomb.png").write_bytes(bomb)
    middling = png(np.zeros((9_000, 9_000), np.uint8))
    (folder / "3" / "large.png").write_bytes(middling)
    skipped = load_samples(folder).skipped
    assert [each.name for each in skipped] == ["3/bomb.png", "3/large.png"]
    assert all("too large" in each.reason for each in skipped)


def test_images_of_another_size_are_listed_or_resized(folder: Path) -> None:
    (folder / "7" / "wide.png").write_bytes(png(images(8, 9)))
    loaded = load_samples(folder)
    assert loaded.skipped[0].name == "7/wide.png"
    assert "size=" in loaded.skipped[0].reason
    assert load_samples(folder, size=(4, 4)).samples.shape == (7, 4, 4, 1)


def test_one_coloured_image_among_grey_ones_becomes_grey_and_is_named(folder: Path) -> None:
    (folder / "7" / "colour.png").write_bytes(png(images(8, 6, 3)))
    loaded = load_samples(folder)
    assert loaded.samples.shape == (7, 8, 6, 1)
    assert [each.code for each in loaded.told] == ["converted-pictures"]
    assert "7/colour.png" in loaded.told[0].text
    assert load_samples(folder, mode="L").samples.tobytes() == loaded.samples.tobytes()
    asked = load_samples(folder, mode="RGB")
    assert asked.samples.shape == (7, 8, 6, 3)
    np.testing.assert_array_equal(asked.samples[0, :, :, 0], asked.samples[0, :, :, 2])
    assert "6 of 7" in asked.told[0].text


def test_most_decide_and_colours_do_where_both_are_as_many(tmp_path: Path) -> None:
    for place in range(2):
        (tmp_path / f"grey{place}.png").write_bytes(png(images(4, 4)))
        (tmp_path / f"colour{place}.png").write_bytes(png(images(4, 4, 3)))
    assert load_samples(tmp_path).samples.shape == (4, 4, 4, 3)
    (tmp_path / "grey2.png").write_bytes(png(images(4, 4)))
    assert load_samples(tmp_path).samples.shape == (5, 4, 4, 1)
    for wrong in ({"mode": "CMYK"}, {"size": (0, 4)}, {"size": (10**6, 10**6)}):
        with pytest.raises(UsageError, match="give"):
            load_samples(tmp_path, **wrong)


def test_a_folder_without_images_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no image"):
        load_samples(tmp_path)
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"None of 1 images.*a\.png"):
        load_samples(tmp_path)


def test_what_is_no_picture_names_its_door(tmp_path: Path) -> None:
    (tmp_path / "scan").write_bytes(png(images(4, 4)))
    with pytest.raises(DataError, match=r"'scan'.*without an ending, give a list of paths"):
        load_samples(tmp_path)
    assert load_samples([tmp_path / "scan", tmp_path / "scan"]).samples.shape == (2, 4, 4, 1)
    sounds = tmp_path / "of sound"
    sounds.mkdir()
    heads = {"a.wav": b"RIFF0000WAVEfmt ", "b.flac": b"fLaC00", "c.ogg": b"OggS00", "d.mp3": b"ID3000"}
    for name, data in heads.items():
        (sounds / name).write_bytes(data)
        with pytest.raises(DataError, match=r"is a sound.*one array of shape"):
            load_samples([sounds / name])
    with pytest.raises(DataError, match=r"holds sounds, such as 'a.wav'.*one array of shape"):
        load_samples(sounds)


def test_npy_and_arrays(tmp_path: Path) -> None:
    data = images(5, 8, 8)
    np.save(tmp_path / "x.npy", data)
    np.testing.assert_array_equal(load_samples(tmp_path / "x.npy").samples, data)
    assert load_samples(data, labels=["a", "b", "c", "d", "e"]).labels == ("a", "b", "c", "d", "e")
    with pytest.raises(DataError, match="4 labels for 5"):
        load_samples(data, labels=[1, 2, 3, 4])


def test_npz_finds_labels_and_asks_which_array(tmp_path: Path) -> None:
    test, train = images(4, 8, 8), images(6, 8, 8)
    file = tmp_path / "mnist.npz"
    np.savez_compressed(file, test_images=test, train_images=train, test_labels=np.arange(4), train_labels=np.arange(6))
    with pytest.raises(DataError, match="which are the samples"):
        load_samples(file)
    loaded = load_samples(f"{file}#test_images")
    np.testing.assert_array_equal(loaded.samples, test)
    assert loaded.labels == (0, 1, 2, 3)
    with pytest.raises(DataError, match="has no array 'images'"):
        load_samples(f"{file}#images")
    np.savez(tmp_path / "one.npz", x=test, y=np.array(["a", "b", "c", "d"]))
    assert load_samples(tmp_path / "one.npz").labels == ("a", "b", "c", "d")


def test_pickled_objects_are_never_read(tmp_path: Path) -> None:
    objects = np.array([{"a": 1}, None], dtype=object)
    np.save(tmp_path / "x.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "x.npz", images=objects)
    for name in ("x.npy", "x.npz"):
        with pytest.raises(DataError, match="never read"):
            load_samples(tmp_path / name)


@pytest.mark.parametrize("packed", [False, True])
def test_idx_files_with_labels_beside_them(tmp_path: Path, packed: bool) -> None:
    data, ending = images(4, 5, 6), ".gz" if packed else ""
    opener = gzip.open if packed else open
    with opener(tmp_path / f"t10k-images-idx3-ubyte{ending}", "wb") as file:
        file.write(bytes([0, 0, 8, 3]) + struct.pack(">III", 4, 5, 6) + data.tobytes())
    with opener(tmp_path / f"t10k-labels-idx1-ubyte{ending}", "wb") as file:
        file.write(bytes([0, 0, 8, 1]) + struct.pack(">I", 4) + bytes([7, 2, 1, 0]))
    loaded = load_samples(tmp_path / f"t10k-images-idx3-ubyte{ending}")
    np.testing.assert_array_equal(loaded.samples, data)
    assert loaded.labels == (7, 2, 1, 0)


def test_a_short_idx_file_says_how_short(tmp_path: Path) -> None:
    file = tmp_path / "images-idx3-ubyte"
    file.write_bytes(bytes([0, 0, 8, 3]) + struct.pack(">III", 4, 5, 6) + bytes(100))
    with pytest.raises(DataError, match="100 of 120 bytes"):
        load_samples(file)
    file.write_bytes(b"PK\3\4 nothing")
    with pytest.raises(DataError, match="no idx file"):
        load_samples(file)
    file.write_bytes(bytes([0, 0, 8, 3]) + struct.pack(">III", 2**31, 2**31, 6))
    with pytest.raises(DataError, match="claims"):
        load_samples(file)


def test_parquet_with_image_bytes_names_damaged_rows(tmp_path: Path) -> None:
    cells = [{"bytes": png(image), "path": None} for image in images(4, 7, 7)]
    cells[2] = {"bytes": b"damaged", "path": None}
    pq.write_table(pa.table({"image": cells, "label": [5, 6, 7, 8]}), tmp_path / "x.parquet")
    loaded = load_samples(tmp_path / "x.parquet")
    assert loaded.samples.shape == (3, 7, 7, 1)
    assert loaded.labels == (5, 6, 8)
    assert [each.name for each in loaded.skipped] == ["row 2"]
    pq.write_table(pa.table({"raw": [png(images(7, 7))]}), tmp_path / "y.parquet")
    assert load_samples(f"{tmp_path / 'y.parquet'}#raw").samples.shape == (1, 7, 7, 1)
    assert load_samples(tmp_path / "y.parquet").samples.shape == (1, 7, 7, 1), "the only column of bytes"
    pq.write_table(pa.table({"left": [png(images(7, 7))], "right": [png(images(7, 7))]}), tmp_path / "z.parquet")
    with pytest.raises(DataError, match=r"2 columns that can be the samples: left, right. Name one: PATH#left"):
        load_samples(tmp_path / "z.parquet")


def test_parquet_cells_that_are_paths_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(png(images(4, 4)))
    pq.write_table(pa.table({"image": [{"bytes": None, "path": str(tmp_path / "secret.png")}]}), tmp_path / "x.parquet")
    with pytest.raises(DataError, match="holds no bytes"):
        load_samples(tmp_path / "x.parquet")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_hugging_face_data_set_saved_or_at_hand(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    rows = {"image": [{"bytes": png(image), "path": None} for image in images(3, 6, 6)], "label": [0, 1, 1]}
    at_hand = datasets.Dataset.from_dict(rows, features=features)
    at_hand.save_to_disk(str(tmp_path / "one"))
    datasets.DatasetDict({"test": at_hand}).save_to_disk(str(tmp_path / "many"))
    for source in (at_hand, tmp_path / "one", f"{tmp_path / 'many'}#test"):
        loaded = load_samples(source)
        np.testing.assert_array_equal(loaded.samples[..., 0], images(3, 6, 6))
        assert loaded.labels == (0, 1, 1)
    with pytest.raises(DataError, match="splits test"):
        load_samples(tmp_path / "many")


def test_what_is_not_there_or_of_no_known_kind(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="nothing at"):
        load_samples(tmp_path / "nowhere")
    (tmp_path / "x.json").write_text(json.dumps([1, 2]))
    with pytest.raises(DataError, match="not read here"):
        load_samples(tmp_path / "x.json")
    (tmp_path / "x.npz").write_bytes(b"no archive")
    (tmp_path / "x.parquet").write_bytes(b"no table")
    for name in ("x.npz", "x.parquet"):
        with pytest.raises(DataError, match="no "):
            load_samples(tmp_path / name)


def test_a_sample_set_passes_through() -> None:
    given = SampleSet(samples=images(2, 3, 3))
    assert load_samples(given) is given


@pytest.mark.parametrize(
    "call", [load_samples, load_latent, LatentModel, load_model, load_image_encoder, load_text_encoder]
)
def test_a_misspelt_argument_of_the_doors_is_told_in_words(call: Callable[..., object]) -> None:
    with pytest.raises(UsageError, match="takes no argument 'shpe'"):
        call(shpe=(3,))


def test_what_macos_puts_into_an_archive_is_passed_over(tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((5, 4, 4))
    np.savez(tmp_path / "a.npz", images=images)
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        archive.writestr("README.txt", "read me")
        archive.writestr("__MACOSX/._images.npy", "no array")
    np.testing.assert_array_equal(load_samples(tmp_path / "a.npz").samples, images)


def test_a_name_that_is_too_long_for_a_file_is_a_file_that_is_not_there() -> None:
    with pytest.raises(MissingError, match="There is nothing at"):
        load_samples("x" * 300 + ".npy")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("https://host.example/a.png", r"nothing at 'https://host.example/a.png'. whygen downloads no samples"),
        ("ylecun/mnist", r"load_dataset\('ylecun/mnist', split='test'\)"),
        ("hf:mnist", r"load_dataset\('mnist'"),
        ("no/folder.npy", "Give a folder of images"),
    ],
)
def test_a_path_that_leads_nowhere_is_told_its_door(given: str, words: str) -> None:
    with pytest.raises(MissingError, match=words):
        load_samples(given)


def test_pictures_of_many_sizes_are_not_thinned_out_to_one() -> None:
    pictures = [Image.new("L", (8 + place, 8)) for place in range(5)]
    with pytest.raises(DataError, match=r"5 sizes.*size=\(8, 8\)"):
        load_samples(pictures)
    assert load_samples(pictures, size=(8, 8)).samples.shape == (5, 8, 8, 1)


def test_a_number_is_no_set_of_samples_and_a_list_that_holds_itself_no_labels() -> None:
    with pytest.raises(DataError, match="anchors is a single number"):
        load_samples(np.float64(0.5))
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(DataError, match="labels cannot be read"):
        load_samples(np.zeros((2, 3)), labels=[endless])  # type: ignore[list-item]


def test_a_set_is_cut_as_an_array_is() -> None:
    samples = np.arange(12.0).reshape(6, 2)
    whole = SampleSet(samples=samples, labels=tuple("abcdef"), names=tuple("uvwxyz"))
    assert len(whole) == 6
    for rows in (slice(4), slice(None, None, -2), [5, 0], samples[:, 0] > 3, np.int64(2), -1):
        part = whole[rows]
        kept = np.atleast_1d(np.arange(6)[rows])
        assert np.array_equal(part.samples, samples[kept])
        assert part.labels == tuple("abcdef"[row] for row in kept)
        assert part.names == tuple("uvwxyz"[row] for row in kept)
        assert len(part) == len(kept)
    with pytest.raises(IndexError):
        whole[6]
