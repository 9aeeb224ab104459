"""What a person sees who types `--help`, `list` or the tab key."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from whygen.cli import main
from whygen.cli.app import app
from whygen.cli.commands import OWN
from whygen.cli.names import KINDS, complete_model, completing, rows
from whygen.prompt.estimands import ESTIMANDS
from whygen.prompt.options import PromptOptions


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(list(words))
    assert end.value.code == 0
    return capsys.readouterr().out


def test_the_help_of_prompt_fits_on_one_screen_and_says_where_the_rest_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    short = told(capsys, "prompt", "--help")
    assert 24 <= len(short.splitlines()) <= 40
    assert told(capsys, "prompt", "-h") == short
    full = told(capsys, "prompt", "--help-all")
    named = re.findall(r"(?<![\w`])--[a-z][a-z-]+", full)
    options = typer.main.get_command(app).get_command(None, "prompt").params
    assert {each.opts[0] for each in options if each.opts[0].startswith("--")} <= set(named)
    assert set(re.findall(r"│ +(--[a-z-]+)", short)) < set(named)
    left = int(re.search(r"(\d+) more options, for experts: .+ prompt --help-all", short)[1])  # type: ignore[index]
    assert left == len(options) - len(re.findall(r"│ +--[a-z-]+", short)) - 2  # the model and the text


def test_a_command_with_few_options_shows_all_of_them_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    shown = told(capsys, "report", "--help")
    assert "--debug" in shown
    assert "--help-all" not in shown


@pytest.mark.parametrize("kind", KINDS)
def test_the_list_says_of_each_name_what_it_is(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    listed = json.loads(told(capsys, "list", kind, "--json"))[kind]
    assert listed
    assert all(row["says"] for row in listed if row["from"] == "whygen")
    assert {row["name"] for row in listed} == {name for name, _, _ in rows(kind)}


def test_a_shell_is_given_the_names_that_begin_so_with_what_they_are() -> None:
    complete = completing("target")
    assert complete is not None
    assert complete("opt") == [
        ("optimal-transport", "how far the words of the answer are from those of the reference, by meaning")
    ]
    criteria = completing("criteria")
    assert criteria is not None
    assert [value for value, _ in criteria("kld,s")] == ["kld,sse"]
    assert completing("budget") is None
    assert [uri for uri, _ in complete_model("demo/st")] == ["demo/storyteller"]
    assert "hf/" in [uri for uri, _ in complete_model("")]


def test_every_option_of_a_prompt_that_takes_names_completes_them() -> None:
    from whygen._arguments import declared, names_of

    command = typer.main.get_command(app).get_command(None, "prompt")
    context = typer.Context(command, info_name="prompt")
    for each in declared(PromptOptions).values():
        offered = next((p for p in command.params if p.name == each.name), None)
        if offered is not None and names_of(each.hint):
            found = {item.value for item in offered.shell_complete(context, "")}
            assert set(names_of(each.hint)) <= found, each.name


@pytest.mark.parametrize("name", sorted(OWN))
def test_every_command_that_takes_a_model_completes_it(name: str) -> None:
    command = typer.main.get_command(app).get_command(None, name)
    context = typer.Context(command, info_name=name)
    for each in command.params:
        if each.name in ("model", "live"):
            assert "demo/storyteller" in {item.value for item in each.shell_complete(context, "demo/s")}, each.name


@pytest.fixture
def bash(tmp_path: Path) -> Iterator[Bash]:
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    command = tmp_path / "whygen"  # the one that is tested, whatever else is installed
    command.write_text(f"#!{sys.executable}\nfrom whygen.cli import main\nmain()\n")
    command.chmod(0o755)
    shell = Bash(tmp_path)
    yield shell
    shell.end()


class Bash:
    """A shell at a terminal of its own, as a person has one."""

    def __init__(self, folder: Path) -> None:
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            path = f"{folder}{os.pathsep}{os.environ['PATH']}"
            given = {**os.environ, "PATH": path, "PS1": "$ ", "TERM": "dumb", "HOME": str(folder)}
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], given)  # noqa: S606 - the shell of the test
        self.typed("bind 'set enable-bracketed-paste off'\n", "$ ")
        self.typed('eval "$(_WHYGEN_COMPLETE=source_bash whygen)"; echo rea""dy\n', "ready")

    def typed(self, keys: str, until: str) -> str:
        """What the terminal shows after these keys, up to a text that must come."""
        os.write(self.terminal, keys.encode())
        shown, end = "", time.monotonic() + 60
        while until not in shown and time.monotonic() < end:
            if select.select([self.terminal], [], [], 1.0)[0]:
                shown += os.read(self.terminal, 4096).decode(errors="replace")
        assert until in shown, shown
        return shown

    def end(self) -> None:
        os.close(self.terminal)
        os.waitpid(self.pid, 0)


def test_the_tab_key_completes_models_and_targets_in_a_real_bash(bash: Bash) -> None:
    shown = bash.typed("whygen prompt demo/st\t", "demo/storyteller ")
    assert "Error" not in shown
    shown = bash.typed("'A fox.' --target opt\t", "--target optimal-transport ")
    assert "Error" not in shown


@pytest.mark.parametrize("shell", ["fish", "zsh"])
def test_no_description_goes_on_in_a_line_that_a_shell_takes_for_a_name(shell: str) -> None:
    asked = {
        "_WHYGEN_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_ARGS": "whygen prompt 'A fox.' --estimand ",
    }
    code = "import sys; sys.argv[0] = 'whygen'; from whygen.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **asked}, check=True, capture_output=True, text=True
    )
    lines = done.stdout.replace("_arguments '*: :((", "").strip().splitlines()
    assert len(lines) == 4
    assert {re.split(r"[\t:]", line.strip('"'))[0].strip('"') for line in lines} == set(ESTIMANDS)
