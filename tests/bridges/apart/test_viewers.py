"""Exported anchors in the real FiftyOne and Spotlight: what their readers make of the folder, as the docs use it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.integration.test_export_anchors import HOSTILE, explain

PAGE = Path(__file__).parents[3] / "docs" / "anchors.md"
pytestmark = pytest.mark.filterwarnings("default")


def block() -> list[str]:
    """The lines of the block in the docs."""
    found = re.search(r"```py\n(import fiftyone.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert found is not None
    return found[1].splitlines()


def test_fiftyones_importer_reads_every_column_with_its_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = pytest.importorskip(
        "fiftyone.utils.csv", reason="FiftyOne is not installed here: `make test-large` has it"
    )
    explain().to_fiftyone(tmp_path / "folder")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"json": json}
    exec("\n".join(line for line in block() if line.startswith(("kinds", "fields"))), names)  # noqa: S102 - our docs
    with reader.CSVDatasetImporter(dataset_dir="folder", fields=names["fields"]) as importer:
        samples = list(importer)
    assert len(samples) == 20
    assert {sample["name"].removeprefix("'") for sample in samples} >= set(HOSTILE)
    for sample in samples:
        assert Path(sample.filepath).is_file()
        assert isinstance(sample["kld"], float)
        assert isinstance(sample["selected"], bool)
        assert isinstance(sample["index"], int)
        assert sample["group"] in ("HIHE", "HILE", "LIHE", "LILE")


def test_spotlight_shows_the_pictures_and_reads_numbers_as_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spotlight = pytest.importorskip(
        "renumics.spotlight", reason="Spotlight is not installed here: `make test-large` has it"
    )
    import pandas as pd
    from renumics.spotlight.data_store import DataStore
    from renumics.spotlight_plugins.core.pandas_data_source import PandasDataSource

    explain().to_fiftyone(tmp_path / "folder")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"pd": pd}
    exec("\n".join(line for line in block() if line.startswith("table")), names)  # noqa: S102 - our docs
    shown = DataStore(PandasDataSource(names["table"]), {"picture": spotlight.dtypes.image_dtype})
    kinds = {name: shown.dtypes[name].name for name in shown.column_names}
    assert kinds["picture"] == "Image"
    assert {kinds[name] for name in ("kld", "sse", "flip_rate")} == {"float"}
    assert kinds["selected"] == "bool"
    assert len(shown) == 20
    pictures = shown.get_converted_values("picture", list(range(20)), simple=False)
    assert all(bytes(each).startswith(b"\x89PNG") for each in pictures)
