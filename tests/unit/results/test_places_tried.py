"""Whether a result can be written is found out before it is paid for."""

import os
from pathlib import Path

import pytest

from whygen.errors import StoreError
from whygen.files import replaced
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
