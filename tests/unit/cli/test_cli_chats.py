"""Chats and many inputs from files, on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from whygen.cli import main

CHAT = [{"role": "system", "content": "Write about a fox. Be kind."}, {"role": "user", "content": "Add a piano."}]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main(["prompt", *arguments, "--no-cache", "--target", "token-set"])
    printed = capsys.readouterr()
    return int(end.value.code or 0), printed.out, printed.err


def test_a_chat_file_is_explained_by_its_messages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "chat.json"
    file.write_text(json.dumps(CHAT), encoding="utf-8")
    code, out, _ = run(capsys, "planted/additive", "--chat", str(file), "--units", "message", "--json")
    assert code == 0
    assert [unit["text"] for unit in json.loads(out)["units"]] == [turn["content"] for turn in CHAT]
    assert run(capsys, "planted/additive", "a text", "--chat", str(file))[0] == 2


@pytest.mark.parametrize("as_json", [True, False])
def test_a_system_prompt_is_explained_over_inputs(
    as_json: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    messages = ["Add a piano.", "Hello.", "What of the sea?", "A castle!", "Go on.", "And then?"]
    file = tmp_path / "inputs"
    file.write_text(json.dumps(messages) if as_json else "\n\n".join(messages), encoding="utf-8")
    system = "Write about a fox. Be kind. Use short words."
    code, out, _ = run(capsys, "planted/additive", system, "--inputs", str(file), "--json", "-o", str(tmp_path / "x"))
    assert code == 0
    found = json.loads(out)
    assert [unit["text"] for unit in found["units"]] == ["Write about a fox.", "Be kind.", "Use short words."]
    assert len(json.loads((tmp_path / "x/details.json").read_text())["inputs"]) == len(messages)


def test_inputs_that_are_no_texts_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "inputs.json"
    file.write_text("[1, 2]")
    code, _, err = run(capsys, "planted/additive", "Be kind.", "--inputs", str(file))
    assert code == 2
    assert "no list of texts" in " ".join(err.split())
