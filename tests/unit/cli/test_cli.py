"""The command line as a program sees it: exit codes, stdout, stderr."""

from __future__ import annotations

import contextlib
import inspect
import json
import signal
import sqlite3
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import pytest

from faults.signals import hear_signals

PROMPT = "Write about a fox and a piano near the castle, please."
FAST = ("--target", "token-set", "--budget", "40")


def whygen(*arguments: str, given: bytes | None = None, cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", "from whygen.cli import main; main()", *arguments]
    return subprocess.run(command, input=given, capture_output=True, cwd=cwd, timeout=120, check=False)


def paragraph(result: subprocess.CompletedProcess[bytes]) -> str:
    text = " ".join(result.stderr.decode().split())
    assert "Traceback" not in text
    return text


def test_json_is_one_document_with_the_keys_of_the_contract(tmp_path: Path) -> None:
    result = whygen("prompt", "planted/additive", PROMPT, *FAST, "--json", "-o", str(tmp_path / "out"))
    assert result.returncode == 0, result.stderr.decode()
    document = json.loads(result.stdout)
    assert list(document) == [
        "schema", "whygen", "preset", "model", "prompt", "reference", "units", "estimand", "keep", "target", "operator",
        "design", "masks", "interval", "fidelity", "noise", "calls", "seed", "versions", "warnings",
    ]  # fmt: skip
    assert list(document["units"][0]) == [
        "text", "start", "end", "attribution", "low", "high", "p_value", "significant", "band_low", "band_high",
    ]  # fmt: skip
    assert set(document["fidelity"]) == {"r2_heldout", "r2_insample", "r2_chance", "noise_ceiling"}
    assert (tmp_path / "out/report.html").is_file()
    again = whygen("report", str(tmp_path / "out"), "--json")
    assert json.loads(again.stdout) == document


def test_a_second_run_makes_no_call_and_says_so() -> None:
    first = json.loads(whygen("prompt", "planted/additive", PROMPT, *FAST, "--json").stdout)
    second = json.loads(whygen("prompt", "planted/additive", PROMPT, *FAST, "--json").stdout)
    assert first["calls"]["made"] > 0
    assert second["calls"]["made"] == 0
    assert second["units"] == first["units"]
    assert b"No call was made" in whygen("prompt", "planted/additive", PROMPT, *FAST).stdout


def test_the_terminal_shows_words_figures_and_marks() -> None:
    result = whygen("prompt", "planted/additive", PROMPT, "--target", "token-set", "--budget", "128")
    text = result.stdout.decode()
    assert "fox" in text
    assert "▲" in text
    assert "\x1b[" not in text


@pytest.mark.parametrize(
    ("arguments", "given", "code", "message"),
    [
        (("prompt", "planted/additive", "", *FAST), None, 2, "prompt is empty"),
        (("prompt", "planted/additive"), None, 2, "Give the prompt once"),
        (("prompt", "Tell a story"), None, 2, "Type: whygen prompt MODEL 'Tell a story'"),
        (("prompt", "Tell a story", "demo/storyteller"), None, 2, "the model comes first"),
        (("prompt", "gpt-4o-mini", PROMPT), None, 2, "Type openai/gpt-4o-mini."),
        (("prompt", "./vae.pt", PROMPT), None, 2, "py/mymodel:load"),
        (("prompt", "openrouter/x", PROMPT), None, 3, "OPENROUTER_API_KEY"),
        (("prompt", "planted/additive", PROMPT, "--setting", "steps"), None, 2, "NAME=VALUE"),
        (("prompt", "planted/additive", PROMPT, "--over", "these"), None, 2, "--over goes with --inputs"),
        (("prompt", "planted/additive", "-", *FAST), b"\xff bad", 2, "not UTF-8"),
        (("prompt", "planted/additive", "-", *FAST), b"\xff\xfebad", 2, "begins as UTF-16"),
        (("prompt", "planted/additive", "@missing.txt"), None, 3, "not there"),
        (("prompt", "planted/additive", PROMPT, "--budget", "4"), None, 2, "smallest budget that works"),
        (("prompt", "planted/additive", PROMPT, "--budget", "many"), None, 2, "--budget takes a whole number"),
        (("explain", PROMPT), None, 2, "For one prompt: `whygen prompt MODEL PROMPT`"),
        (("explain", "--help"), None, 2, "for a generative model: anchors"),
        (("prompt", "planted/additive", PROMPT, "--units", "wrd"), None, 2, "Did you mean 'word'"),
        (("prompt", "planted/additive", PROMPT, "--target", "cosin"), None, 2, "Did you mean 'cosine'"),
        (("prompt", "plantd/additive", PROMPT, *FAST), None, 2, "Did you mean planted/additive?"),
        (("prompt", "hf/no/such/model", PROMPT, *FAST), None, 3, "hf/ORG/NAME"),
        (("prompt", "py/no_such_module:f", PROMPT, *FAST), None, 3, "cannot be imported"),
        (("prompt", "replay/no.jsonl", PROMPT, *FAST), None, 3, "not there"),
        (("prompt", "planted/broken", PROMPT, *FAST), None, 4, "broken on purpose"),
        (("report", "no-such-folder"), None, 3, "no explanation"),
        (("cache", "prune"), None, 2, "Say what to forget"),
        (("nonsense",), None, 2, "nonsense"),
    ],
)
def test_errors_are_one_paragraph_and_a_code(
    arguments: tuple[str, ...], given: bytes | None, code: int, message: str
) -> None:
    result = whygen(*arguments, given=given)
    assert message in paragraph(result)
    assert result.returncode == code
    assert result.stdout == b""


def test_debug_shows_where() -> None:
    result = whygen("prompt", "planted/additive", PROMPT, "--budget", "4", "--debug")
    assert b"Traceback" in result.stderr
    assert result.returncode == 2


def test_a_prompt_from_a_file_and_from_stdin_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "prompt.txt").write_text(PROMPT, encoding="utf-8")
    one = whygen("prompt", "planted/additive", f"@{tmp_path / 'prompt.txt'}", *FAST, "--json")
    two = whygen("prompt", "planted/additive", "-", *FAST, "--json", given=PROMPT.encode())
    three = whygen("prompt", "planted/additive", "--text", PROMPT, *FAST, "--json")
    assert json.loads(one.stdout)["units"] == json.loads(two.stdout)["units"] == json.loads(three.stdout)["units"]


def test_my_own_code_is_a_model(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def answer(prompt):\n    return 'yes' if 'fox' in prompt else 'no'\n")
    result = whygen("prompt", "py/mine:answer", PROMPT, "--target", "exact", "--budget", "80", "--json", cwd=tmp_path)
    document = json.loads(result.stdout)
    assert [unit["text"] for unit in document["units"] if unit["significant"]] == ["fox"]


def test_cache_commands() -> None:
    whygen("prompt", "planted/additive", PROMPT, *FAST, "--quiet")
    size = json.loads(whygen("cache", "size", "--json").stdout)
    assert size["calls"] > 0
    assert json.loads(whygen("cache", "path", "--json").stdout)["path"] == size["path"]
    gone = json.loads(whygen("cache", "prune", "--model", "planted/additive", "--json").stdout)
    assert gone["removed"] == size["calls"]


def test_an_export_that_cannot_be_says_why(tmp_path: Path) -> None:
    whygen("prompt", "planted/additive", PROMPT, *FAST, "--quiet")
    unknown = whygen("cache", "export", str(tmp_path / "calls.jsonl"), "--model", "planted/additiv")
    assert unknown.returncode == 2
    assert "There is: planted/additive." in paragraph(unknown)
    assert not (tmp_path / "calls.jsonl").exists()
    nowhere = whygen("cache", "export", str(tmp_path / "no" / "calls.jsonl"), "--model", "planted/additive")
    assert nowhere.returncode == 1
    assert "Name another file; the store is as it was." in paragraph(nowhere)


def test_no_cache_records_nothing() -> None:
    whygen("prompt", "planted/additive", PROMPT, *FAST, "--quiet", "--no-cache")
    assert json.loads(whygen("cache", "size", "--json").stdout)["calls"] == 0


def test_models_and_doctor_speak_json() -> None:
    names = [provider["name"] for provider in json.loads(whygen("models", "--json").stdout)["providers"]]
    assert {"demo", "hf", "planted", "py", "replay"} <= set(names)
    found = json.loads(whygen("doctor", "--json").stdout)["findings"]
    extras = set(metadata.metadata("whygen").get_all("Provides-Extra")) - {"all", "demo", "dev"}
    assert {each["what"].removeprefix("extra ") for each in found if each["what"].startswith("extra ")} == extras
    assert any(finding["what"] == "store" and finding["ok"] for finding in found)


def test_version() -> None:
    assert whygen("--version").stdout.startswith(b"whygen 0.")


def test_a_dry_run_counts_and_sends_nothing() -> None:
    forecast = json.loads(whygen("prompt", "planted/additive", PROMPT, "--budget", "40", "--dry-run", "--json").stdout)
    assert forecast["units"] == 13
    assert forecast["calls"] == 39
    assert json.loads(whygen("cache", "size", "--json").stdout)["calls"] == 0
    real = json.loads(whygen("prompt", "planted/additive", PROMPT, *FAST, "--json").stdout)
    assert real["calls"]["asked"] == forecast["calls"]
    assert b"Nothing was sent" in whygen("prompt", "planted/additive", PROMPT, "--dry-run").stdout


def test_exported_calls_are_played_back_without_the_model(tmp_path: Path) -> None:
    first = json.loads(whygen("prompt", "planted/additive", PROMPT, *FAST, "--json").stdout)
    file = tmp_path / "calls.jsonl"
    count = json.loads(whygen("cache", "export", str(file), "--model", "planted/additive", "--json").stdout)["calls"]
    assert count == first["calls"]["made"]
    # A recording does not know that its model answers alike, so that is said.
    known = ("--no-cache", "--model-noise", "none", "--json")
    again = json.loads(whygen("prompt", f"replay/{file}", PROMPT, *FAST, *known).stdout)
    assert again["units"] == first["units"]


def test_an_interrupt_keeps_what_was_answered_and_says_so(tmp_path: Path) -> None:
    log = tmp_path / "asked"
    (tmp_path / "slow.py").write_text(
        "import time\n"
        "def answer(prompt):\n"
        "    time.sleep(0.02)\n"
        f"    open({str(log)!r}, 'a').write('x')\n"
        "    return prompt[::-1]\n"
    )
    arguments = ["prompt", "py/slow:answer", PROMPT, "--target", "exact", "--budget", "400", "--json"]
    command = [sys.executable, "-c", "from whygen.cli import main; main()", *arguments]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path,
        preexec_fn=hear_signals,  # noqa: PLW1509 - the child starts its program at once
    )  # fmt: skip
    while not (log.exists() and len(log.read_text()) > 150) and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    folder = next(tmp_path.glob("whygen-partial-*"))
    assert (folder / "report.html").is_file()
    kept = json.loads((folder / "explanation.json").read_text())
    assert set(kept.pop("parts")) >= {"details.json"}
    assert kept == json.loads(printed)
    assert "To go on: whygen prompt" in " ".join(errors.decode().split())
    assert "Answers are recorded" in " ".join(errors.decode().split())
    again = json.loads(whygen(*arguments, cwd=tmp_path).stdout)
    assert again["calls"]["cached"] > 60
    assert again["calls"]["asked"] == again["calls"]["made"] + again["calls"]["cached"]


def test_what_the_python_call_takes_the_command_line_takes() -> None:
    """The options of the calls, their settings and how the model is opened; what is an object has no name to type."""
    from dataclasses import fields

    from whygen import explain_anchors
    from whygen.cli.anchors import anchors
    from whygen.cli.edit import edit
    from whygen.cli.prompt import prompt
    from whygen.models import ModelOptions
    from whygen.prompt.options import PromptOptions
    from whygen.types import Settings

    taken = {command: set(inspect.signature(command).parameters) for command in (prompt, edit, anchors)}
    options, opening = ({each.name for each in fields(kind)} for kind in (PromptOptions, ModelOptions))
    opening -= {"purpose"}  # --dry-run says it
    own = {"model", "anchors", "options", "progress"}
    settings = {each.name for each in fields(Settings)}
    assert (options | opening | settings) - taken[prompt] == {"extra", "regions", "fill"}  # --setting; for pictures
    of_texts = {"lexicon", "infill", "paraphraser", "instruction", "noise", "hierarchy", "matrix"}
    of_texts |= {"within", "passages", "suspect"}  # of recorded calls
    of_texts |= {"proxy", "proxy_budget"}  # which answers with texts
    assert (options | opening) - taken[edit] == of_texts
    assert (set(inspect.signature(explain_anchors).parameters) | opening) - taken[anchors] - own == {"roles"}  # --role


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--shape", "a,b", "whole numbers between commas"),
        ("--value-range", "1", "two numbers"),
        ("--encoder", "py/json", "write py/package.module:callable"),
        ("--classifier", "json:loads", "is no function"),
        ("--labels", "none.txt", "is not there"),
        ("--multiplicity", "bonferroni", "bonferroni"),
        ("--draws", "many", "many"),
    ],
)
def test_options_of_anchors_are_read_before_a_model_is_opened(
    option: str, value: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from whygen.cli import main

    with pytest.raises(SystemExit) as end:
        main(["anchors", "demo/digits-vae", "--anchors", "none.npz", option, value])
    assert end.value.code in {2, 3}
    assert says in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("model", ["openai/gpt-4o-mini", "anthropic/claude-3-5-haiku-latest", "openrouter/some/model"])
@pytest.mark.parametrize(
    "compared", [[], ["--target", "token-set"], ["--target", "cosine", "--encoder", "openai/text-embedding-3-small"]]
)
def test_what_a_run_takes_is_told_without_a_key(
    model: str, compared: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from whygen.cli import main

    pytest.importorskip(model.partition("/")[0].replace("openrouter", "openai"))
    # As on a machine without a sentence encoder, where OpenAI's embeddings compare the answers of its models.
    for place in ("prompt.question", "prompt.targets.registry"):
        monkeypatch.setattr(f"whygen.{place}.has_text_encoder", lambda: False)
    for name in ("OPENAI", "ANTHROPIC", "OPENROUTER"):
        monkeypatch.delenv(f"{name}_API_KEY", raising=False)
    for more, code, says in ((["--dry-run"], 0, "Nothing was sent."), ([], 3, "_API_KEY")):
        with pytest.raises(SystemExit) as end:
            main(["prompt", model, "Tell a fox story", *compared, *more])
        assert end.value.code == code
        said = capsys.readouterr()
        assert says in " ".join((said.out + said.err).split())


def test_an_export_takes_no_file_of_the_store_whether_it_is_there_or_not(tmp_path: Path) -> None:
    store = tmp_path / "calls.sqlite"
    ask = ["prompt", "planted/additive", "a b c", "--target", "exact", "-q", "--budget", "16"]
    assert whygen(*ask, "--cache", str(store)).returncode == 0
    for name in ("calls.sqlite", "calls.sqlite-wal", "calls.sqlite-batches", ""):
        file = str(tmp_path / name) if name else ""
        done = whygen("cache", "export", file, "--model", "planted/additive", "--cache", str(store))
        assert done.returncode == 2, name
    assert not (tmp_path / "calls.sqlite-wal").exists()


def test_an_export_of_damaged_answers_alone_writes_nothing(tmp_path: Path) -> None:
    store, file = tmp_path / "calls.sqlite", tmp_path / "out.jsonl"
    file.write_text("kept\n", encoding="utf-8")
    ask = ["prompt", "planted/additive", "a b c", "--target", "exact", "-q", "--budget", "16"]
    assert whygen(*ask, "--cache", str(store)).returncode == 0
    with contextlib.closing(sqlite3.connect(store)) as opened:
        opened.execute("UPDATE calls SET request = '[]'")
        opened.commit()
    done = whygen("cache", "export", str(file), "--model", "planted/additive", "--cache", str(store))
    assert done.returncode == 1
    assert "are damaged. Nothing was written" in " ".join(str(done.stderr, "utf-8").split())
    assert file.read_text(encoding="utf-8") == "kept\n"


def test_rules_stand_after_the_folder_or_behind_their_flag(tmp_path: Path) -> None:
    ask = ["prompt", "planted/additive", "a b c", "--target", "exact", "-q", "--budget", "16", "--no-cache"]
    assert whygen(*ask, "-o", str(tmp_path)).returncode == 0
    done = whygen("check", str(tmp_path), "calls <= 200", "--rule", "calls <= 1", "--json")
    assert done.returncode == 1
    assert [each["verdict"] for each in json.loads(done.stdout)["rules"]] == ["pass", "fail"]
