"""Whether a result can be written is found out before it is paid for."""

import errno
import json
import os
import tempfile
from pathlib import Path

import pytest

import whygen
from whygen import files
from whygen.cli import common, main
from whygen.errors import StoreError
from whygen.files import replaced
from whygen.results import files as result_files
from whygen.results.files import DOCUMENT, MEDIA, REPORT, SAMPLES, try_folder, write_together


@pytest.mark.parametrize("name", [DOCUMENT, SAMPLES, MEDIA, REPORT])
def test_a_folder_in_the_place_of_a_file_is_told_before_anything_is_paid(tmp_path: Path, name: str) -> None:
    try_folder(tmp_path)
    (tmp_path / name).mkdir()
    with pytest.raises(StoreError, match=f"{name} is a folder there"):
        try_folder(tmp_path)


def test_no_file_takes_the_place_of_a_pipe_or_a_device(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "page.html")
    with pytest.raises(StoreError, match=r"page\.html is a pipe or a device there"):
        write_together(tmp_path, {"page.html": b"x"})
    with pytest.raises(OSError, match="is a pipe or a device there"), replaced(tmp_path / "page.html"):
        pass
    assert (tmp_path / "page.html").is_fifo()
    assert [each.name for each in tmp_path.iterdir()] == ["page.html"]


ASK = ["prompt", "planted/additive", "tell me of a fox", "--target", "token-set", "--no-cache", "--budget", "24"]


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Folders, and files in any folder, for which there is no room."""
    found: set[str] = set()

    def write(place: Path, data: bytes) -> Path:
        if place.name in found or place.parent.name in found or str(place.parent) in found:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(place))
        return files.write_beside(place, data)

    monkeypatch.setattr(result_files, "write_beside", write)
    return found


def run(*more: str) -> int:
    with pytest.raises(SystemExit) as end:
        main([*ASK, *more])
    assert isinstance(end.value.code, int)
    return end.value.code


@pytest.mark.parametrize("kind", ["elsewhere", "figures", "nowhere"])
def test_what_was_paid_for_is_saved_elsewhere_where_there_is_no_room(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def make(path: Path) -> Path:
        if path.exists():  # the places were tried
            full.update({"out", "report.html"} if kind == "elsewhere" else {"samples.jsonl", "arrays.safetensors"})
            full.update({"explanation.json"} if kind == "nowhere" else set())
        path.mkdir(exist_ok=True)
        return path

    monkeypatch.setattr(common, "make_folder", make)
    assert run("-o", "out", "--json") == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["units"]
    assert "No space left" in err
    found = {path.parent for path in tmp_path.glob("*/explanation.json")}
    if kind == "nowhere":
        assert not found
        assert "nowhere else" in err
        return
    [folder] = found
    assert folder.name in err
    again = whygen.load(folder if kind == "elsewhere" else folder / "explanation.json")
    assert again.to_dict() == json.loads(out)
    assert ("without the evidence" in err) == (kind == "figures")


def test_a_report_that_cannot_be_written_leaves_no_earlier_one(
    tmp_path: Path, full: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("-o", str(tmp_path)) == 0
    assert (tmp_path / REPORT).is_file()
    full.add(REPORT)
    assert run("-o", str(tmp_path), "--seed", "3") == 1
    assert "without its report" in capsys.readouterr().err
    assert not (tmp_path / REPORT).exists()
    full.clear()
    (tmp_path / REPORT).write_text("<p>of somebody else</p>")
    whygen.load(tmp_path).save(tmp_path)
    assert (tmp_path / REPORT).read_text() == "<p>of somebody else</p>"


@pytest.mark.parametrize("damage", [b"{", b"", b"[1]", b'{"parts": [1]}', b"\xff\xfe"])
def test_a_damaged_explanation_is_replaced(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / DOCUMENT).write_bytes(damage)
    assert run("-o", str(tmp_path), "-q") == 0
    assert whygen.load(tmp_path)
