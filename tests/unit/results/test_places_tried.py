"""Whether a result can be written is found out before it is paid for."""

from pathlib import Path

import pytest

from whygen.errors import StoreError
from whygen.results.files import DOCUMENT, MEDIA, REPORT, SAMPLES, try_folder


@pytest.mark.parametrize("name", [DOCUMENT, SAMPLES, MEDIA, REPORT])
def test_a_folder_in_the_place_of_a_file_is_told_before_anything_is_paid(tmp_path: Path, name: str) -> None:
    try_folder(tmp_path)
    (tmp_path / name).mkdir()
    with pytest.raises(StoreError, match=f"{name} is a folder there"):
        try_folder(tmp_path)
