"""What other packages bring: a real package is installed, some of whose entry points cannot be loaded."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from whygen import explain_prompt, load, plugins, testing
from whygen.cli import commands, main
from whygen.models import registry
from whygen.results import PromptExplanation

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


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package in this process, which reads entry points once."""
    monkeypatch.syspath_prepend(str(site))
    caches = (plugins._found.cache_clear, registry._found.cache_clear)
    for clear in caches:
        clear()
    yield
    monkeypatch.undo()
    for clear in caches:
        clear()


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """The exit code of a command, and what it writes on either stream."""
    with pytest.raises(SystemExit) as end:
        main(list(words))
    said = capsys.readouterr()
    return int(end.value.code or 0), said.out, said.err


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
    why = "The command 'mute' is installed (shout_models:no_such_command) and cannot be loaded: AttributeError"
    assert why in broken.stderr


@pytest.mark.usefixtures("installed")
def test_no_package_changes_a_command_of_whygen(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = told(capsys, "prompt", "planted/additive", "a red fox", "--dry-run", "--target", "tfidf")
    assert (code, "calls" in out + err) == (0, True)


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


@pytest.mark.usefixtures("installed")
def test_a_package_adds_a_target_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = told(capsys, *ARGUMENTS, "--target", "loudness")
    assert code == 0, err
    assert json.loads(out)["target"]["name"] == "score:loudness"
    code, _, err = told(capsys, *ARGUMENTS, "--target", "worst")
    assert code == 3
    assert "The target 'worst' is installed (shout_models:no_such_target) and cannot be loaded: Attribute" in err
    _, out, _ = told(capsys, *ARGUMENTS, "--target", "tfidf")
    assert json.loads(out)["target"]["name"] == "tfidf"
    code, _, err = told(capsys, *ARGUMENTS, "--target", "loudnes")
    assert (code, "loudness" in err) == (2, True)


@pytest.mark.usefixtures("installed")
def test_a_package_adds_a_criterion_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples = np.random.default_rng(0).integers(0, 256, (60, 28, 28), dtype=np.uint8)
    np.save(tmp_path / "a.npy", samples)
    given = ["anchors", "demo/digits-vae", "--anchors", str(tmp_path / "a.npy"), "--json", "--quiet", "--criteria"]
    code, out, err = told(capsys, *given, "kld,brightness")
    assert code == 0, err
    assert [criterion["name"] for criterion in json.loads(out)["criteria"]] == ["kld", "brightness"]
    code, _, err = told(capsys, *given, "kld,brightnes")
    assert (code, "brightness" in err) == (2, True)


@pytest.mark.usefixtures("installed")
def test_what_is_installed_passes_the_checks_of_its_doors() -> None:
    testing.check_model("shout/loud")
    testing.check_target("loudness")
    testing.check_operator("hush")
    testing.check_encoder("letters")
    testing.check_criterion("brightness")


@pytest.mark.usefixtures("installed")
def test_an_operator_and_an_encoder_of_a_package_are_taken_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = told(capsys, *ARGUMENTS, "--operator", "hush", "--encoder", "letters", "--target", "cosine")
    assert code == 0, err
    found = json.loads(out)
    assert (found["operator"], found["target"]["name"]) == ("hush", "cosine")
    assert "letters" in found["target"]["distance"]
    code, _, err = told(capsys, *ARGUMENTS, "--operator", "hus")
    assert (code, "Did you mean 'hush'?" in err) == (2, True)
    code, _, err = told(capsys, *ARGUMENTS, "--operator", "hush", "--placeholder", "x")
    assert (code, "takes no options: leave out placeholder" in err) == (2, True), err


QUITS = {
    "provider": ["prompt", "quits/any", "a red fox ran", "--no-cache"],
    "command": ["quits", "now"],
    "target": [*ARGUMENTS, "--target", "quits"],
    "operator": [*ARGUMENTS, "--operator", "quits"],
    "encoder": [*ARGUMENTS, "--encoder", "quits", "--target", "cosine"],
    "criterion": ["anchors", "demo/digits-vae", "--anchors", "SAMPLES", "--criteria", "quits"],
}


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("kind", QUITS)
def test_one_that_ends_the_program_says_so_in_one_sentence_at_every_door(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "a.npy", np.zeros((4, 28, 28), np.uint8))
    words = [str(tmp_path / "a.npy") if word == "SAMPLES" else word for word in QUITS[kind]]
    code, _, err = told(capsys, *words)
    assert code == 3, err
    why = f"The {kind} 'quits' is installed (shout_models.quits:any) and cannot be loaded: SystemExit: not today."
    assert f"{why} Install another version of its package, or ask its author." in err


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("group", "name"),
    [
        ("operators", "delete"),
        ("criteria", "sse"),
        ("encoders", "patches"),
        ("targets", "tfidf"),
        ("commands", "prompt"),
    ],
)
def test_no_package_changes_a_name_of_whygen(group: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    if group != "commands":
        _, out, _ = told(capsys, "list", group, "--json")
        assert [row["from"] for row in json.loads(out)[group] if row["name"] == name] == ["whygen"]
    _, out, _ = told(capsys, "doctor", "--json")
    left = [finding["text"] for finding in json.loads(out)["findings"] if not finding["ok"]]
    assert sum(f"{name!r} (shout_models:" in text and "whygen has one of this name" in text for text in left) == 1


@pytest.mark.usefixtures("installed")
def test_a_provider_that_raises_while_it_opens_says_so_and_lists_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = told(capsys, "prompt", "moody/any", "a red fox", "--no-cache")
    why = "The provider 'moody' (shout_models:moody) raised SystemExit: not in the mood when it opened moody/any."
    assert (code, why in err) == (2, True), err
    _, out, _ = told(capsys, "models", "--json")
    assert {"name": "moody", "summary": "opens nothing", "names": []} in json.loads(out)["providers"]


def test_of_two_packages_the_first_by_its_value_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    given = [EntryPoint("dots", value, plugins.OPERATORS) for value in ("zeta:dots", "alpha:dots", "zeta:dots")]
    monkeypatch.setattr(plugins.metadata, "entry_points", lambda group: given)
    plugins._found.cache_clear()
    try:
        assert [plugin.value for plugin in plugins.entries(plugins.OPERATORS).values()] == ["alpha:dots"]
        left = [("dots", "The operator 'dots' (zeta:dots) is left out: alpha:dots is one of this name.")]
        assert list(plugins.left_out(plugins.OPERATORS)) == left
    finally:
        plugins._found.cache_clear()


@pytest.mark.usefixtures("installed")
def test_list_and_doctor_show_what_packages_bring(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = told(capsys, "list", "--json")
    others = {kind: [row["name"] for row in rows if row["from"] != "whygen"] for kind, rows in json.loads(out).items()}
    assert others == {
        "targets": ["loudness", "quits", "worst"], "units": [], "operators": ["hush", "quits"], "estimands": [],
        "criteria": ["brightness", "quits"], "encoders": ["letters", "quits"],
    }  # fmt: skip
    _, out, _ = told(capsys, "doctor", "--json")
    findings = {finding["what"]: finding for finding in json.loads(out)["findings"]}
    for well in ("provider shout", "command shout", "target loudness", "operator hush", "encoder letters"):
        assert findings[well]["ok"], findings[well]
    assert "Capitals of all kinds (shout-models)" in findings["operator hush"]["text"]
    for broken in ("target worst", "command mute", "operator quits"):
        assert not findings[broken]["ok"]
        assert "cannot be loaded" in findings[broken]["text"]


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

def loud(text):
    return text.upper()

def empty(text):
    return ""

def silent(text):
    return None

def torn(text):
    raise LookupError("no such word")

def lengths(texts):
    return [[len(text), 1] for text in texts]

def flat(texts):
    return [len(text) for text in texts]

def greet(name: str):
    print("hello", name)
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


PROMPT = ["prompt", "planted/additive", "a red fox ran", "--no-cache", "--json", "--target", "tfidf"]


@pytest.mark.usefixtures("my_targets")
@pytest.mark.parametrize("operator", ["loud", "empty"])
def test_code_of_ones_own_is_an_operator(operator: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, err = told(capsys, *PROMPT, "--operator", f"py/my_targets:{operator}", "-o", str(tmp_path / "out"))
    assert code == 0, err
    assert json.loads(out)["operator"] == f"py/my_targets:{operator}"
    found = load(tmp_path / "out")
    assert isinstance(found, PromptExplanation)
    assert found.evidence is not None
    sent = {sample.prompt for sample in found.evidence.samples if sample.kind == "mask"}
    assert ("A RED fox ran" if operator == "loud" else "fox ran") in sent


@pytest.mark.usefixtures("my_targets")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--operator", "py/my_targets:silent"], "gave a NoneType for 'a': it must give the text"),
        (["--operator", "py/my_targets:torn"], "raised LookupError: no such word, given 'a'"),
        (["--operator", "py/my_targets:wrong"], "operator is a int"),
        (["--operator", "py/my_targets"], "operator='py/my_targets': write py/package.module:callable"),
        (["--encoder", "py/my_targets:flat", "--target", "cosine"], "gave an array of shape (1,) for 1 texts"),
        (["--encoder", "py/my_targets:wrong", "--target", "cosine"], "is a int, and here it must be one of texts"),
    ],
)
def test_code_that_is_no_operator_or_encoder_is_told(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = told(capsys, *PROMPT, *words)
    assert (code, said in err) == (2, True), err


@pytest.mark.usefixtures("my_targets")
def test_code_of_ones_own_is_an_encoder_and_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = told(capsys, *PROMPT, "--encoder", "py/my_targets:lengths", "--target", "optimal-transport")
    assert code == 0, err
    assert "by py/my_targets:lengths" in json.loads(out)["target"]["distance"]
    assert told(capsys, "py/my_targets:greet", "fox") == (0, "hello fox\n", "")
    code, _, err = told(capsys, "py/my_targets:wrong")
    assert (code, "command='py/my_targets:wrong'" in err) == (2, True), err


MEDIA_CODE = """
import numpy as np
from whygen.encoders import LogMel, PixelPatches
from whygen.media.pictures import picture_of
from whygen.types import Picture

Coarse = PixelPatches(name="coarse")

class Slow(LogMel):
    name = "slow"

def draw(prompt) -> Picture:
    return picture_of(np.full((8, 8, 3), 200 if "red" in prompt else 20, np.uint8))

def light(samples):
    return samples.reshape(len(samples), -1).mean(axis=1, keepdims=True)

def column(samples, made):
    return np.abs(samples - made).reshape(len(samples), -1)
"""


@pytest.fixture
def my_media(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module with encoders of pictures, sounds and samples."""
    (tmp_path / "my_media.py").write_text(MEDIA_CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_media", raising=False)


@pytest.mark.usefixtures("my_media")
@pytest.mark.parametrize(
    ("model", "encoder", "code", "said"),
    [
        ("py/my_media:draw", "Coarse", 0, "coarse"),
        ("planted/synth", "Slow", 0, "slow"),
        ("py/my_media:draw", "Slow", 2, "is a Slow, and here it must be one of pictures"),
        ("planted/synth", "Coarse", 2, "does not encode sounds"),
        ("planted/synth", "light", 2, "does not encode sounds"),
    ],
)
def test_code_of_ones_own_encodes_pictures_and_sounds(
    model: str, encoder: str, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["prompt", model, "a high red bell", "--no-cache", "--json", "--encoder", f"py/my_media:{encoder}"]
    ended, out, err = told(capsys, *words, "--budget", "24")
    assert ended == code, err
    assert said in (json.dumps(json.loads(out)["target"]) if code == 0 else err)


@pytest.mark.usefixtures("my_media")
def test_code_of_ones_own_encodes_samples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "a.npy", np.random.default_rng(0).integers(0, 256, (60, 28, 28), dtype=np.uint8))
    given = ["anchors", "demo/digits-vae", "--anchors", str(tmp_path / "a.npy"), "--json", "--quiet", "--no-cache"]
    code, out, err = told(capsys, *given, "--criteria", "kld,feature-l2", "--encoder", "py/my_media:light")
    assert code == 0, err
    assert "light" in json.dumps(json.loads(out)["criteria"])
    code, _, err = told(capsys, *given, "--criteria", "kld,py/my_media:column")
    assert (code, "it must give" in err) == (2, True), err


def test_a_function_is_an_operator_in_python_too() -> None:
    found = explain_prompt("planted/additive", "a red fox ran", operator=str.upper, target="tfidf", cache=None)
    assert found.operator == "str.upper"


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


def test_a_module_that_another_thread_is_importing_is_not_there_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = "import threading\ngo = threading.Event()\ngo.wait(60)\nclass Kind: ...\n"
    (tmp_path / "slow_library.py").write_text(written)
    monkeypatch.syspath_prepend(tmp_path)
    importing = threading.Thread(target=lambda: importlib.import_module("slow_library"))
    importing.start()
    while not hasattr(sys.modules.get("slow_library"), "go"):
        time.sleep(0.01)
    assert plugins.already_imported("slow_library") is None
    sys.modules["slow_library"].go.set()
    importing.join()
    assert plugins.already_imported("slow_library").Kind
    monkeypatch.delitem(sys.modules, "slow_library")
    assert plugins.already_imported("slow_library") is None
