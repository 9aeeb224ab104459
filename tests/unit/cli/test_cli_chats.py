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
    assert "neither a list of texts nor a list of objects" in " ".join(err.split())


def test_a_text_that_says_input_is_filled_and_other_braces_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "inputs"
    file.write_text("a piano\nthe sea\na castle\na dog\na baker\nsnow", encoding="utf-8")
    text = 'Write about a fox. Answer as {"story": ...}. Add {input} too.'
    code, out, _ = run(capsys, "planted/additive", text, "--inputs", str(file), "--json")
    assert code == 0
    found = json.loads(out)
    assert found["prompt"] == text
    assert "fox" in found["units"][0]["text"]
    assert not any("{input}" in unit["text"] for unit in found["units"])


def test_inputs_that_are_objects_fill_the_fields(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "inputs.json"
    file.write_text(json.dumps([{"what": what, "where": "here"} for what in ("a fox", "the sea", "a dog")]))
    code, out, _ = run(capsys, "planted/additive", "Tell of {what}. Stay {where}.", "--inputs", str(file), "--json")
    assert code == 0
    assert json.loads(out)["prompt"] == "Tell of {what}. Stay {where}."
    chat = tmp_path / "chat.json"
    chat.write_text(json.dumps(CHAT), encoding="utf-8")
    code, _, err = run(capsys, "planted/additive", "--chat", str(chat), "--inputs", str(file))
    assert code == 2
    assert "list of texts, not of objects" in " ".join(err.split())


def test_a_dry_run_over_inputs_sends_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "inputs"
    file.write_text("a piano\nthe sea\na castle\n", encoding="utf-8")
    # A refused connection would be an error: a dry run does not come so far.
    given = ("openai/test", "Write about a fox. Be kind.", "--inputs", str(file), "--base-url", "http://127.0.0.1:9/v1")
    code, out, _ = run(capsys, *given, "--dry-run")
    assert code == 0
    assert "Nothing was sent." in out
    assert "2 units" in out
    assert run(capsys, *given)[0] != 0
