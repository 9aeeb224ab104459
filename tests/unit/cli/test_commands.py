"""Commands of other packages: a real package is installed, one of whose commands cannot be loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from whygen.cli import commands, main

PLUGIN = Path(__file__).parents[2] / "plugin_pkg"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*install, "--target", str(target), str(PLUGIN)], check=True, capture_output=True, timeout=120)
    return target


def whygen(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from whygen.cli import main; main()", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)


def test_a_package_adds_a_command(site: Path) -> None:
    done = whygen(site, "shout", "hello")
    assert (done.returncode, done.stdout) == (0, "HELLO\n")
    asked = whygen(site, "shout", "--help")
    assert asked.returncode == 0
    assert "Print a text in capitals." in asked.stdout
    wrong = whygen(site, "shout")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("Error: Missing argument")


def test_one_that_cannot_be_loaded_says_so_and_harms_no_other(site: Path) -> None:
    listed = whygen(site, "--help")
    assert listed.returncode == 0
    assert {"shout", "mute", "prompt", "reproduce"} <= set(listed.stdout.split())
    broken = whygen(site, "mute", "--any", "thing")
    assert broken.returncode == 3
    assert "'mute' is installed (shout_models:no_such_command) and cannot be loaded: AttributeError" in broken.stderr


def test_no_package_changes_a_command_of_whygen(site: Path) -> None:
    done = whygen(site, "prompt", "planted/additive", "a red fox", "--dry-run")
    assert done.returncode == 0
    assert "calls" in done.stdout + done.stderr


def test_a_command_kept_apart_names_the_package_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(commands, "_entries", dict)
    with pytest.raises(SystemExit) as end:
        main(["reproduce", "gsmile-life", "-o", "x"])
    assert end.value.code == 3
    assert "pip install whygen-experiments" in capsys.readouterr().err
    with pytest.raises(SystemExit) as end:
        main(["promt"])
    assert end.value.code == 2
    assert "Did you mean 'prompt'?" in capsys.readouterr().err


@pytest.mark.parametrize("name", commands.OWN)
def test_the_list_says_of_a_command_what_it_says_of_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    assert "".join(commands.OWN[name].split()) in "".join(capsys.readouterr().out.split())


def test_listing_the_commands_loads_none_of_them() -> None:
    code = (
        "import sys\nfrom whygen.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = ('numpy', 'pydantic', 'whygen.cli.prompt', 'whygen_experiments')\n"
        "sys.exit(any(name in sys.modules for name in heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=60)
    assert done.returncode == 0
