"""What other packages bring: a real package is installed, some of whose entry points cannot be loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from whygen.cli import commands, main

PLUGIN = Path(__file__).parents[1] / "plugin_pkg"


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


ARGUMENTS = ["prompt", "shout/any", "be loud, please, or be quiet", "--no-cache", "--json"]


def test_a_package_adds_a_target_by_name(site: Path) -> None:
    done = whygen(site, *ARGUMENTS, "--target", "loudness")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["target"]["name"] == "score:loudness"
    broken = whygen(site, *ARGUMENTS, "--target", "worst")
    assert broken.returncode == 2
    assert "target='worst' is installed (shout_models:no_such_target) and cannot be loaded" in broken.stderr
    own = whygen(site, *ARGUMENTS, "--target", "tfidf")
    assert json.loads(own.stdout)["target"]["name"] == "tfidf"
    near = whygen(site, *ARGUMENTS, "--target", "loudnes")
    assert near.returncode == 2
    assert "loudness" in near.stderr


def test_a_package_adds_a_criterion_by_name(site: Path, tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(0, 256, (60, 28, 28), dtype=np.uint8)
    np.save(tmp_path / "a.npy", samples)
    given = ["anchors", "demo/digits-vae", "--anchors", str(tmp_path / "a.npy"), "--json", "--quiet", "--criteria"]
    done = whygen(site, *given, "kld,brightness")
    assert done.returncode == 0, done.stderr
    assert [criterion["name"] for criterion in json.loads(done.stdout)["criteria"]] == ["kld", "brightness"]
    near = whygen(site, *given, "kld,brightnes")
    assert near.returncode == 2
    assert "brightness" in near.stderr


CODE = """
import re
from whygen.prompt.targets import load_target

capitals = re.compile("[A-Z]")
wrong = 3

def length(text):
    return len(text)

class Longest:
    record = load_target("exact").record
    verb = "answer"
    def effects(self, outputs, references):
        import numpy as np
        return np.array([max(map(len, output.text.split() or [""])) for output in outputs], dtype=float)

class Needy:
    def __init__(self, more):
        raise AssertionError
"""


@pytest.fixture
def my_targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of one's own in the working directory."""
    (tmp_path / "my_targets.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_targets", raising=False)


@pytest.mark.usefixtures("my_targets")
@pytest.mark.parametrize(
    ("path", "name"), [("length", "score:length"), ("capitals", "regex:[A-Z]"), ("Longest", "exact")]
)
def test_code_of_ones_own_is_a_target(path: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(
            ["prompt", "planted/additive", "a red fox ran", "--target", f"py/my_targets:{path}", "--no-cache", "--json"]
        )
    assert end.value.code == 0
    assert json.loads(capsys.readouterr().out)["target"]["name"] == name


@pytest.mark.usefixtures("my_targets")
@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("py/my_targets:wrong", "is a int: it must be a target"),
        ("py/my_targets:gone", "has no 'gone'"),
        ("py/my_targets", "target='py/my_targets': write py/package.module:callable"),
        ("py/my_targets:Needy", "making one without arguments raised"),
        ("py/no_such_module:x", "cannot be imported"),
    ],
)
def test_code_that_is_no_target_is_told(path: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["prompt", "planted/additive", "a red fox ran", "--target", path, "--no-cache"])
    assert end.value.code in {2, 3}
    assert said in capsys.readouterr().err
