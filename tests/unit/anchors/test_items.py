"""Items taken apart: records of every kind, labels of every form, batches, tables."""

from __future__ import annotations

import collections
import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from whygen.anchors.data import load_samples
from whygen.anchors.items import label_of, parts
from whygen.errors import DataError

RNG = np.random.default_rng(5)
PICTURES = RNG.random((12, 6, 6)).astype(np.float32)


@dataclasses.dataclass
class Scan:
    image: Any
    label: Any


class Slotted:
    __slots__ = ("img", "target")

    def __init__(self, img: Any, target: Any) -> None:
        self.img, self.target = img, target


Named = collections.namedtuple("Named", "cls jpg")


@pytest.mark.parametrize(
    "make",
    [
        lambda x, y: (x, y),
        lambda x, y: [x, y],
        lambda x, y: (y, x),
        lambda x, y: ("a key", x, y),
        lambda x, y: {"scan": x, "label": y},
        lambda x, y: {"__key__": "k", "input.png": x, "target.cls": y},
        Scan,
        Slotted,
        lambda x, y: Named(cls=y, jpg=x),
    ],
)
def test_a_record_of_any_kind_is_its_sample_and_its_label(make: Any) -> None:
    found = load_samples([make(x, place % 3) for place, x in enumerate(PICTURES)])
    np.testing.assert_array_equal(found.samples, PICTURES)
    assert found.labels == tuple(place % 3 for place in range(12))
    assert not found.told


@given(st.integers(2, 9), st.integers(0, 8), st.sampled_from([np.float32, np.int64, bool, list]))
def test_the_place_of_the_only_one_is_the_label(width: int, place: int, kind: Any) -> None:
    row = [int(at == place % width) for at in range(width)]
    given_row = row if kind is list else np.asarray(row, kind)
    assert label_of(given_row) == place % width
    two = np.asarray(row)
    two[(place + 1) % width] = 1
    assert label_of(two) is None, "several classes at once are no class"


@pytest.mark.parametrize(
    ("given_label", "label"),
    [
        (3, 3),
        (3.0, 3),
        (3.5, None),
        ("a", "a"),
        (b"a", "a"),
        ([7], 7),
        (np.int64(2), 2),
        (None, None),
        ({"a": 1}, None),
    ],
)
def test_a_label_is_a_class_or_nothing(given_label: Any, label: Any) -> None:
    assert label_of(given_label) == label


def test_labels_that_are_no_classes_are_left_out_and_said() -> None:
    found = load_samples([(x, 0.5 + place) for place, x in enumerate(PICTURES)])
    assert found.labels is None
    assert [each.code for each in found.told] == ["labels-left-out"]


@given(st.integers(1, 30), st.integers(2, 11), st.booleans())
def test_a_list_of_batches_is_the_items_in_them(n: int, size: int, named: bool) -> None:
    samples = np.arange(n * 4, dtype=np.float32).reshape(n, 1, 2, 2)
    labels = np.arange(n) % 3
    batches: list[Any] = [(samples[at : at + size], labels[at : at + size]) for at in range(0, n, size)]
    if named:
        batches = [{"image": x, "label": y} for x, y in batches]
    found = load_samples(batches)
    np.testing.assert_array_equal(found.samples, samples)
    assert found.labels == tuple(labels.tolist())


def test_a_picture_with_a_vector_for_a_label_is_no_batch() -> None:
    colours = RNG.random((6, 3, 8, 8)).astype(np.float32)
    one_hot = np.eye(3, dtype=np.float32)[np.arange(6) % 3]
    found = load_samples(list(zip(colours, one_hot, strict=True)))
    assert found.samples.shape == (6, 3, 8, 8)
    assert found.labels == (0, 1, 2, 0, 1, 2)


def test_what_may_be_batches_or_samples_is_refused_with_a_line_for_each() -> None:
    data = [PICTURES, PICTURES]
    with pytest.raises(DataError, match=r"numpy\.concatenate\(list\(data\)\) for batches, or numpy\.stack"):
        load_samples(data)
    assert load_samples(np.concatenate(list(data))).samples.shape == (24, 6, 6)
    assert load_samples(np.stack(list(data))).samples.shape == (2, 12, 6, 6)


def test_another_part_that_can_be_the_sample_is_said_or_asked_for() -> None:
    found = load_samples([{"image": x, "mask": x > 0.5} for x in PICTURES])
    assert [each.code for each in found.told] == ["other-samples"]
    assert "item['mask'] for item in data" in found.told[0].text
    with pytest.raises(DataError, match="left and right can each be the sample"):
        parts({"left": PICTURES[0], "right": PICTURES[1]}, "anchors")


@given(st.integers(1, 6), st.integers(1, 4), st.integers(1, 4))
def test_lists_of_numbers_in_a_table_are_arrays(n: int, height: int, width: int) -> None:
    values = np.arange(n * height * width, dtype=np.float64).reshape(n, height, width)
    table = pa.table({"pixels": values.tolist(), "label": list(range(n))})
    np.testing.assert_array_equal(load_samples(table).samples, values)
    chunked = pa.concat_tables([table, table])
    np.testing.assert_array_equal(load_samples(chunked).samples, np.concatenate([values, values]))


def test_lists_of_several_lengths_are_refused() -> None:
    with pytest.raises(DataError, match="several lengths"):
        load_samples(pa.table({"pixels": [[1.0, 2.0], [1.0]]}))


def test_a_table_of_numbers_is_not_explained_by_its_labels() -> None:
    table = pa.table({"a": [0.1, 0.2], "b": [0.3, 0.4], "class": ["x", "y"]})
    found = load_samples(table)
    np.testing.assert_array_equal(found.samples, [[0.1, 0.3], [0.2, 0.4]])
    assert found.labels == ("x", "y")


def test_an_open_file_is_read_from_its_start_and_a_closed_one_is_refused(tmp_path: Path) -> None:
    held = io.BytesIO()
    Image.fromarray((PICTURES[0] * 255).astype(np.uint8)).save(held, "PNG")
    assert load_samples([held, held]).samples.shape == (2, 6, 6, 1)
    held.close()
    with pytest.raises(DataError, match="cannot be read"):
        load_samples([held])
    path = tmp_path / "a.txt"
    path.write_text("a fox")
    with path.open() as text, pytest.raises(DataError, match="open as text"):
        load_samples(text)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pictures_of_unknown_range_are_refused(mode: str) -> None:
    """Pillow's own conversion cuts everything over 255 off: such pictures used to become white without a word."""
    picture = Image.fromarray(np.full((4, 4), 40_000, np.int32)).convert(mode)
    with pytest.raises(DataError, match=r"numpy\.asarray\(picture\) / 65535"):
        load_samples([picture])


def test_an_animation_is_no_sample() -> None:
    held = io.BytesIO()
    frames = [Image.fromarray((each * 255).astype(np.uint8)) for each in PICTURES]
    frames[0].save(held, "GIF", save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match="has 12 frames"):
        load_samples(held.getvalue())


@pytest.mark.parametrize("dtype", [object, "string", "category"])
def test_a_table_with_columns_of_texts_names_them_and_what_to_do(dtype: Any) -> None:
    table = pandas.DataFrame({"age": [1.0, 2.0], "job": pandas.Series(["a", "b"], dtype=dtype)})
    with pytest.raises(DataError, match=r"columns job are no numbers.*get_dummies.*language model"):
        load_samples(table)
    assert load_samples(table[["age"]]).samples.shape == (2, 1)
