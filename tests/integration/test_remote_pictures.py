"""Pictures of a model behind an API: drawn and changed, explained by the same calls, and played back without a key."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pytest

import whygen
from faults.server import FaultServer
from whygen.cli import main
from whygen.errors import FormatError
from whygen.media.pictures import picture_of
from whygen.models import ModelOptions, load_model, output_kind
from whygen.results import PromptExplanation
from whygen.types import Edit, Prompt

KEY = "sk-planted-4f1c9e77ab20"
TEXT = "draw a red fox near the old harbour"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def explain(uri: str, prompt: Prompt, store: Path | None, server: FaultServer | None = None) -> PromptExplanation:
    options = ModelOptions(
        base_url=None if server is None else server.url, endpoint=None if server is None else "images"
    )
    return whygen.explain_prompt(uri, prompt, encoder="patches", budget=40, cache=store, options=options)


@pytest.mark.parametrize("given", ["text", "edit"])
def test_an_explanation_of_pictures_plays_back_without_a_key(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    image = picture_of(np.full((16, 16, 3), 90, dtype=np.uint8))
    prompt: Prompt = TEXT if given == "text" else Edit(image, TEXT)
    store, file = tmp_path / "calls.sqlite", tmp_path / "pictures.jsonl"
    with FaultServer("drawn") as server:
        assert output_kind(load_model("openai/test", ModelOptions(base_url=server.url, endpoint="images"))) == "picture"
        found = explain("openai/test", prompt, store, server)
    assert found.evidence is not None
    assert found.evidence.pictures is not None
    assert any(unit.attribution for unit in found.units)
    with pytest.raises(SystemExit) as end:
        main(["cache", "export", str(file), "--model", "openai/test", "--cache", str(store)])
    assert end.value.code == 0
    monkeypatch.delenv("OPENAI_API_KEY")
    assert KEY not in file.read_text()
    again = explain(f"replay/{file}", prompt, None)
    assert [unit.attribution for unit in again.units] == [unit.attribution for unit in found.units]
    assert again.evidence == found.evidence


def test_bytes_that_are_not_those_that_were_recorded_are_noticed(tmp_path: Path) -> None:
    store, file = tmp_path / "calls.sqlite", tmp_path / "pictures.jsonl"
    with FaultServer("drawn") as server:
        explain("openai/test", TEXT, store, server)
    with pytest.raises(SystemExit):
        main(["cache", "export", str(file), "--model", "openai/test", "--cache", str(store)])
    lines = file.read_text().splitlines()
    record = json.loads(lines[1])
    for data in (base64.b64encode(b"another picture").decode(), "not base64 !"):
        file.write_text("\n".join([lines[0], json.dumps(record | {"data": data}), *lines[2:]]))
        with pytest.raises(FormatError, match="line 2"):
            load_model(f"replay/{file}")


def test_an_edit_by_command_ends_at_its_deadline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the partial explanation is saved where the command runs
    image = tmp_path / "in.png"
    image.write_bytes(picture_of(np.full((16, 16, 3), 90, dtype=np.uint8)).data)
    with FaultServer("drawn", latency=0.1) as server, pytest.raises(SystemExit) as end:
        main([
            "edit", "openai/test", str(image), TEXT, "--base-url", server.url, "--encoder", "patches", "--json",
            "--deadline", "4.5", "--requests-per-minute", "600", "--budget", "64", "--no-cache",
        ])  # fmt: skip
    assert end.value.code == 4
    assert json.loads(capsys.readouterr().out)["warnings"][0]["code"] == "ended-early"
