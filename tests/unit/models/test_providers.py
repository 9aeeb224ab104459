"""Finding models: providers, the plugin door, the user's own code, recorded calls."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from whygen.errors import FormatError, MissingError, UnknownNameError, UsageError
from whygen.models import load_model, providers
from whygen.models.replay import ReplayModel, write_replay
from whygen.types import Failure, Output, Request, TokenScore

PLUGIN = Path(__file__).parents[2] / "plugin_pkg"


def test_the_built_in_providers_use_the_entry_points() -> None:
    assert {"demo", "hf", "planted", "py", "replay"} <= set(providers())
    assert "additive" in providers()["planted"].names()


def test_a_third_party_adds_a_provider_by_installing_a_package(tmp_path: Path) -> None:
    target = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*install, "--target", str(target), str(PLUGIN)], check=True, capture_output=True, timeout=120)
    code = (
        "from whygen.models import broken_providers, load_model, providers\n"
        "from whygen.types import Request\n"
        "print(load_model('shout/loud').answer([Request(prompt='hello')])[0].text)\n"
        "print(sorted(broken_providers()), 'planted' in providers())\n"
        "print(load_model('planted/additive').answer([Request(prompt='fox')])[0].text[18:27])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120,
        env={**os.environ, "PYTHONPATH": str(target)},
    )  # fmt: skip
    assert result.stdout.splitlines() == ["HELLO", "['broken', 'careless', 'planted', 'quits'] True", "A red fox"]


@pytest.mark.parametrize(
    ("uri", "line"),
    [
        ("storyteller", "Type demo/storyteller"),
        ("/x", "Type hf//x"),
        ("hf/", "such as hf/NAME"),
        ("", "demo/storyteller"),
    ],
)
def test_what_is_no_uri_is_answered_with_the_line_to_type(uri: str, line: str) -> None:
    with pytest.raises(UsageError, match=line):
        load_model(uri)


def test_an_unknown_demo_model_names_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="storyteller"):
        load_model("demo/storyteler")


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("py/json", "package.module:callable"),
        ("py/json:nothing", "has no 'nothing'. It has dump, "),
        ("py/json.dumps", "such as py/json:dumps"),
        ("py/json/dumps.py", "such as py/dumps:function"),
        ("py/./folder/code.py:f", "names a file. Name its module: py/folder.code:f"),
        ("py/no_such_package_here:f", "cannot be imported"),
    ],
)
def test_code_that_is_not_there(uri: str, message: str) -> None:
    with pytest.raises((UsageError, MissingError), match=message):
        load_model(uri)


def test_a_change_of_the_code_is_another_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "mymodel_for_identity.py"
    file.write_text("def say(prompt):\n    return prompt\n")
    first = load_model("py/mymodel_for_identity:say")
    monkeypatch.delitem(sys.modules, "mymodel_for_identity")
    file.write_text("def say(prompt):\n    return prompt * 2\n")
    second = load_model("py/mymodel_for_identity:say")
    assert first.identity != second.identity
    assert load_model(lambda prompt: prompt).identity is None


def test_a_replay_refuses_what_it_does_not_hold(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    known = Request(prompt="fox")
    write_replay(path, "planted/additive", [(known.to_json(), Output(text="a fox"))])
    model = load_model(f"replay/{path}")
    held, missing = model.answer([known, Request(prompt="fox", draw=1)])
    assert held == Output(text="a fox")
    assert isinstance(missing, Failure)
    assert "draw 1" in missing.message
    assert "planted/additive" in missing.advice


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["not json"], "line 1"),
        (["{}"], "no replay file"),
        (['{"whygen-replay": 99, "model": "x"}'], "version 99"),
        (['{"whygen-replay": 1, "model": "x"}', "{broken"], "line 2"),
        (['{"whygen-replay": 1, "model": "x"}', '{"request": {}, "digest": "0", "output": []}'], "line 2"),
        ([""], "line 1"),
        (['{"whygen-replay": 1, "model": "x"}', '{"request": {"a": 1}, "digest": "0", "output": {}}'], "line 2"),
    ],
)
def test_a_damaged_replay_names_the_line(tmp_path: Path, lines: list[str], message: str) -> None:
    path = tmp_path / "calls.jsonl"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(FormatError, match=message):
        load_model(f"replay/{path}")


def test_a_replay_whose_request_was_changed_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    write_replay(path, "m/x", [(Request(prompt="fox").to_json(), Output(text="a fox"))])
    header, line = path.read_text().splitlines()
    record = json.loads(line)
    record["request"]["prompt"]["text"] = "wolf"
    path.write_text(f"{header}\n{json.dumps(record)}\n")
    with pytest.raises(FormatError, match="changed by hand"):
        load_model(f"replay/{path}")


def test_a_replay_holds_any_text_and_scores(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    asked = [Request(prompt=prompt, continuation="b") for prompt in ("Naïve 東京", "lone \ud800", "\u2028 line", "")]
    told = [Output(text=r.prompt, finish="scored", scores=(TokenScore(0, 1, -0.5),), tokens_out=3) for r in asked]
    assert write_replay(path, "hf/x", [(r.to_json(), o) for r, o in zip(asked, told, strict=True)]) == 4
    model = load_model(f"replay/{path}")
    assert isinstance(model, ReplayModel)
    assert model.score(asked) == told


def test_a_missing_replay_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="nowhere"):
        load_model(f"replay/{tmp_path / 'nowhere.jsonl'}")


def test_an_object_that_is_no_model_is_refused() -> None:
    with pytest.raises(UsageError, match="answer"):
        load_model(3)


def test_a_demo_without_its_packages_names_the_extra_that_brings_them_all() -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['torch', 'transformers', 'diffusers']))\n"
        "from whygen.errors import MissingExtraError; from whygen.models import load_model\n"
        "for name in ('storyteller', 'painter', 'digits-vae'):\n"
        "    try: load_model(f'demo/{name}')\n"
        "    except MissingExtraError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert said.count("pip install 'whygen[demo]'") == 3
    assert said.count("pip install torch --index-url https://download.pytorch.org/whl/cpu") == 3
