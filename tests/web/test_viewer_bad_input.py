"""What a viewer meets: damaged and huge explanations, folders without rights, a taken port, another viewer."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from example_explanations import prompt_explanation
from viewers import Viewer
from whygen.errors import MissingError, UsageError
from whygen.web import serving, state
from whygen.web.state import State


def only(folder: Path) -> str:
    """The address of the only explanation below a folder."""
    (place,) = State((folder,), "").look().places
    return f"/explanations/{place.id}"


@pytest.mark.parametrize(
    ("part", "harm"),
    [("samples.jsonl", "cut"), ("samples.jsonl", "gone"), ("arrays.safetensors", "other"), ("details.json", "cut")],
)
def test_figures_are_shown_where_the_answers_cannot_be_read(
    serve: Callable[..., Viewer], tmp_path: Path, part: str, harm: str
) -> None:
    prompt_explanation(pairs=8).save(tmp_path / "one")
    file = tmp_path / "one" / part
    if harm == "gone":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:20] if harm == "cut" else b"{}\n")
    viewer = serve(tmp_path)
    status, _, body = viewer.ask(only(tmp_path))
    assert status == 200
    assert "drove this output" in body.decode()
    assert "The figures are shown without the answers." in body.decode()
    assert viewer.ask(only(tmp_path) + "/sentences")[0] in (400, 422)
    status, _, saved = viewer.ask(only(tmp_path) + "/report.html")
    assert status == 200
    assert "drove this output" in saved.decode()


def test_a_page_whose_explanation_was_replaced_is_told_to_load_anew(
    serve: Callable[..., Viewer], tmp_path: Path
) -> None:
    prompt_explanation(pairs=8).save(tmp_path / "one")
    viewer, here = serve(tmp_path), only(tmp_path)
    (of,) = re.findall(r'data-of="(\w+)"', viewer.ask(here)[2].decode())
    parts = (f"{here}/units/1?&of={of}", f"{here}/sentences?&of={of}")
    assert viewer.ask(parts[0])[0] == 200
    prompt_explanation(pairs=8, seed=8).save(tmp_path / "one")
    for part in parts:
        status, _, told = viewer.ask(part)
        assert status == 400
        assert "Load the page anew" in told.decode()
    (of,) = re.findall(r'data-of="(\w+)"', viewer.ask(here)[2].decode())
    assert viewer.ask(f"{here}/units/1?&of={of}")[0] == 200


@pytest.mark.parametrize(
    ("name", "saved"),
    [("狐 ไทย", "filename*=UTF-8''%E7%8B%90-%E0%B9%84%E0%B8%97%E0%B8%A2.html"), ("\u202egpj", 'filename="gpj.html"')],
)
def test_a_saved_page_has_the_name_of_its_folder_in_any_script(
    serve: Callable[..., Viewer], tmp_path: Path, name: str, saved: str
) -> None:
    prompt_explanation(pairs=8).save(tmp_path / name)
    told = serve(tmp_path).ask(only(tmp_path) + "/report.html")[1]["content-disposition"]
    assert told.endswith(saved)


def test_answers_that_would_fill_the_memory_are_not_read(
    serve: Callable[..., Viewer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt_explanation(pairs=8).save(tmp_path / "one")
    monkeypatch.setattr(state, "MOST_ANSWERS", 100)
    text = serve(tmp_path).ask(only(tmp_path))[2].decode()
    assert "that the viewer reads. In Python: whygen.load(" in text


def test_a_huge_document_is_refused_and_the_others_are_listed(serve: Callable[..., Viewer], tmp_path: Path) -> None:
    prompt_explanation(pairs=8).save(tmp_path / "one")
    (tmp_path / "huge").mkdir()
    with (tmp_path / "huge" / "explanation.json").open("wb") as file:
        file.truncate(2**33)
    text = serve(tmp_path).ask("/")[2].decode()
    assert "no explanation is so large" in text
    assert "drove this output" in text


@pytest.mark.parametrize(
    "document", ["[]", "{}", "null", '{"units": 1, "schema": 3}', "[" * 200, '{"schema": 1e999}', "\x00"]
)
def test_what_is_no_explanation_is_said_to_be_none(serve: Callable[..., Viewer], tmp_path: Path, document: str) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "explanation.json").write_text(document)
    viewer = serve(tmp_path)
    assert "cannot be shown" in viewer.ask("/")[2].decode()
    status, _, body = viewer.ask(only(tmp_path), headers={"Accept": "text/html"})
    assert status == 422
    assert "This cannot be shown" in body.decode()


def test_links_and_pipes_lead_nowhere(serve: Callable[..., Viewer], tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    prompt_explanation(pairs=8).save(outside / "secret")
    shown = tmp_path / "shown"
    (shown / "pipe").mkdir(parents=True)
    os.mkfifo(shown / "pipe" / "explanation.json")
    (shown / "linked").symlink_to(outside)
    viewer = serve(shown)
    text = viewer.ask("/")[2].decode()
    assert "secret" not in text
    assert "cannot be shown" in text
    (secret,) = State((outside,), "").look().places
    assert viewer.ask(f"/explanations/{secret.id}")[0] == 404


def test_a_folder_without_rights_is_said(
    serve: Callable[..., Viewer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt_explanation(pairs=8).save(tmp_path / "one")
    (tmp_path / "closed").mkdir()
    real = os.scandir

    def refusing(path: Any) -> Any:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refusing)
    text = serve(tmp_path).ask("/")[2].decode()
    assert "cannot be looked through (Permission denied)" in text
    assert "drove this output" in text


def test_a_name_that_is_no_text_is_shown(serve: Callable[..., Viewer], tmp_path: Path) -> None:
    place = Path(os.fsdecode(os.fsencode(tmp_path) + b"/strange\xff\x1b"))
    prompt_explanation(pairs=8).save(place)
    viewer = serve(tmp_path)
    assert "strange⟨U+DCFF⟩⟨U+001B⟩" in viewer.ask("/")[2].decode()
    assert viewer.ask(only(tmp_path))[0] == 200


def test_a_shelf_without_end_stops_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(6):
        (tmp_path / str(i)).mkdir()
        (tmp_path / str(i) / "explanation.json").write_text("{}")
    monkeypatch.setattr(state, "MOST_PLACES", 4)
    found = State((tmp_path,), "").look()
    assert len(found.places) == 4
    assert "more below" in found.troubles[0]


def test_two_viewers_on_a_folder_do_not_disturb_each_other(serve: Callable[..., Viewer], tmp_path: Path) -> None:
    prompt_explanation(pairs=8).save(tmp_path / "one")
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}
    one, other = serve(tmp_path), serve([tmp_path, tmp_path])
    for viewer in (one, other):
        assert viewer.ask(only(tmp_path))[0] == 200
    assert other.ask("/")[2].decode().count("<tr data-searched") == 1
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")} == before


def test_a_taken_port_is_said() -> None:
    with serving.listen(0) as first:
        port = first.getsockname()[1]
        with pytest.raises(UsageError, match=f"Port {port} cannot be used .*Leave out --port"):
            serving.listen(port)


def test_a_folder_has_its_port_unless_that_is_taken(tmp_path: Path) -> None:
    with serving.listen_for(tmp_path) as first, serving.listen_for(tmp_path) as second:
        ports = [each.getsockname()[1] for each in (first, second)]
    assert ports[0] == serving.usual_port(tmp_path) != ports[1]
    assert serving.usual_port(tmp_path / "another") != ports[0]


def test_folders_that_cannot_be_shown(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(MissingError, match="There is no folder"):
        serving.open_folders([tmp_path / "nowhere"])
    with pytest.raises(UsageError, match="is a file"):
        serving.open_folders([tmp_path / "file"])
    assert serving.open_folders([tmp_path, tmp_path / "."]) == (tmp_path.resolve(),)


def test_help_imports_no_server() -> None:
    code = (
        "import sys, whygen.cli\n"
        "try: whygen.cli.main(['view', '--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert not {'fastapi', 'uvicorn', 'starlette'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "--no-browser" in done.stdout
