"""`whygen trim` on the command line: it writes the prompt, foresees, and refuses in words."""

import json

import pytest

from whygen.cli import main

BOT = '''
def bot(text: str) -> str:
    """Says one sentence for each instruction that it follows."""
    return " ".join(word for word in ("Bonjour" * ("French" in text), "Otto" * ("Otto" in text)) if word)
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "trimmed_bots.py").write_text(BOT)
    (tmp_path / "system.txt").write_text("Be brief. Write in French. Never <b>swear</b>. Sign as Otto. Q: {input}")
    (tmp_path / "inputs.txt").write_text("".join(f"question {number}\n" for number in range(60)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.fixture
def run(folder, capsys):
    def called(*arguments):
        with pytest.raises(SystemExit) as end:
            main([
                "trim", "py/trimmed_bots:bot", "@system.txt", "--inputs", "inputs.txt", "--target", "token-set",
                "--no-cache", *arguments,
            ])  # fmt: skip
        printed = capsys.readouterr()
        return int(end.value.code or 0), printed.out, printed.err

    return called


def test_the_cleaned_prompt_is_written_and_alone_on_stdout_when_quiet(folder, run):
    code, out, err = run("--model-noise", "none", "-o", "out", "--quiet")
    assert (code, err) == (0, "")
    assert out == "Write in French. Sign as Otto. {input}\n"
    assert (folder / "out" / "prompt.txt").read_text() == out[:-1]
    page = (folder / "out" / "report.html").read_text()
    assert "<script>" not in page
    assert "<b>swear" not in page
    assert "can go" in page


def test_json_is_one_document_and_a_forecast_sends_nothing(run):
    found = json.loads(run("--model-noise", "none", "--json")[1])
    assert found["kind"] == "trimmed"
    assert [unit["kept"] for unit in found["units"]] == [False, True, False, True, False]
    foreseen = json.loads(run("--model-noise", "none", "--dry-run", "--json")[1])
    assert foreseen["calls"] >= found["calls"]["asked"]


def test_too_few_inputs_are_refused_before_anything_is_asked(folder, run):
    (folder / "inputs.txt").write_text("one question\n")
    code, _, err = run()
    assert code == 2
    assert "1 input cannot show margin=0.1" in " ".join(err.split())
