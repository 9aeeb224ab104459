"""Anchors as a folder of pictures with a table: FiftyOne's documented CSVDataset, read as its importer reads it."""

# pyright: basic
from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import whygen
from whygen.anchors.data import SampleSet
from whygen.anchors.options import AnchorOptions
from whygen.cli import main
from whygen.errors import MissingError, UsageError
from whygen.models.latent import Generator
from whygen.results.anchors import AnchorExplanation
from whygen.stats.seeds import generator

KINDS = {"int": int, "float": float, "bool": lambda text: text == "True", "str": str}
FEWER = AnchorOptions(replicates=5, controls="trivial")
HOSTILE = ("=cmd()", "a,b\n.png", 'quote".png', "../up.png")


def model(shape: tuple[int, ...]) -> Generator:
    values = int(np.prod(shape))
    return Generator(
        encode=lambda x: (x.reshape(len(x), values), np.full((len(x), values), -6.0, np.float32)),
        decode=lambda z: np.clip(z, 0, 1).astype(np.float32).reshape(-1, *shape),
        shape=shape, value_range=(0.0, 1.0) if len(shape) > 1 else (-np.inf, np.inf), scale="logvar",
        layout="NCHW" if len(shape) == 3 else None,
    )  # fmt: skip


def samples(n: int, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return generator(seed, "export").random((n, *shape)).astype(np.float32)


def explain(shape: tuple[int, ...] = (6, 5), **options) -> AnchorExplanation:
    anchors = SampleSet(
        samples=samples(20, shape), layout={1: "flat", 2: "NHW", 3: "NCHW"}[len(shape)], labels=tuple(range(20)),
        names=(*HOSTILE, *(f"file{row}.png" for row in range(4, 20))), roles=("training",) * 20,
    )  # fmt: skip
    reference = samples(90, shape, 1)
    return whygen.explain_anchors(model(shape), anchors, reference=reference, cache=None, preset=FEWER, **options)


def imported(folder: Path) -> tuple[dict[str, dict[str, object]], dict[str, str]]:
    """As FiftyOne's CSVDatasetImporter does: the files below data/ by name, and a row for each ``filepath``."""
    fields = json.loads((folder / "fields.json").read_text())
    media = {
        str(file.relative_to(folder / "data")): str(file) for file in (folder / "data").rglob("*") if file.is_file()
    }
    rows: dict[str, dict[str, object]] = {}
    with (folder / "labels.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            path = media[row.pop("filepath")]
            rows[path] = {name: KINDS[fields[name]](value) for name, value in row.items() if value}
    return rows, media


@pytest.mark.parametrize("shape", [(6, 5), (3, 6, 5)])
def test_every_anchor_is_a_picture_and_a_row_with_all_columns(shape: tuple[int, ...], tmp_path: Path) -> None:
    found = explain(shape)
    assert found.to_fiftyone(tmp_path / "out") == tmp_path / "out"
    rows, media = imported(tmp_path / "out")
    assert len(rows) == len(media) == 20
    table, first = found.table(), rows[media["00003.png"]]
    assert set(json.loads((tmp_path / "out" / "fields.json").read_text())) >= {name.replace("-", "_") for name in table}
    criterion = found.criteria[1].name.replace("-", "_")
    assert first[criterion] == pytest.approx(table[found.criteria[1].name][3])
    assert (first["group"], first["label"], first["role"]) == (table["group"][3], 3, "training")
    with Image.open(media["00003.png"]) as picture:
        pixels = np.asarray(picture, dtype=np.float64) / 255
    wanted = samples(20, shape)[3]
    np.testing.assert_allclose(pixels, np.moveaxis(wanted, 0, -1) if len(shape) == 3 else wanted, atol=0.51 / 255)
    made = tmp_path / "out" / str(first["reconstruction"])
    assert made.is_file()
    found.to_fiftyone(tmp_path / "out")  # again, over the earlier one


def test_names_from_files_neither_leave_the_folder_nor_run_in_a_spreadsheet(tmp_path: Path) -> None:
    explain().to_fiftyone(tmp_path / "out")
    rows, media = imported(tmp_path / "out")
    assert rows[media["00000.png"]]["name"] == "'=cmd()"
    assert rows[media["00001.png"]]["name"] == HOSTILE[1]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out"]


def test_what_cannot_be_exported_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no pictures"):
        explain((30,)).to_fiftyone(tmp_path / "vectors")
    found = explain()
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(UsageError, match="holds something else"):
        found.to_fiftyone(tmp_path)
    arrays = {name: each for name, each in found.scores.arrays.items() if name != "anchors/raw"}
    large = found.model_copy(update={"scores": replace(found.scores, arrays=arrays)})
    with pytest.raises(MissingError, match="above 64 MiB"):
        large.to_fiftyone(tmp_path / "large")


def test_a_saved_explanation_is_exported_by_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    explain().save(tmp_path / "saved")
    with pytest.raises(SystemExit) as stop:
        main(["report", str(tmp_path / "saved"), "--export", str(tmp_path / "out")])
    assert not stop.value.code
    assert "Pictures and table" in capsys.readouterr().err
    assert len(imported(tmp_path / "out")[0]) == 20
