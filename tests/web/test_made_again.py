"""The command and the Python of an explanation make it again: run, they give the same figures."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

import whygen
from example_explanations import prompt_explanation
from unit.report.test_conversation_report import agent
from unit.report.test_conversation_report import explained as recorded_call
from viewers import teller
from whygen.cli import main
from whygen.demo.digits import digits
from whygen.media import pictures
from whygen.models import ModelOptions
from whygen.results.files import digest_of
from whygen.types import Edit, Output, Picture, Request, Settings
from whygen.web.copying import again, again_by_anchors

MODEL = "py/viewers:teller"
PROMPT = "Tell a story about a curious fox in a foggy harbor. Let it end well."
SEPARATE = "told() { printf '%s\\0' \"$@\"; }; told "
"""A real shell says what words it reads in a line."""


def made_by_python(text: str) -> whygen.PromptExplanation:
    names: dict[str, Any] = {}
    exec(text, names)  # noqa: S102 - that is what it is copied for
    return names["explanation"]


def made_by_command(line: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> whygen.PromptExplanation:
    monkeypatch.chdir(folder)
    *before, last = re.split(r"\n(?=whygen )", line)
    for each in before:
        subprocess.run(["bash", "-c", each], check=True, cwd=folder)
    words = subprocess.run(["bash", "-c", SEPARATE + last], check=True, capture_output=True).stdout.decode()
    with pytest.raises(SystemExit) as ended:
        main([*words.split("\0")[1:-1], "-q", "-o", str(folder / "out")])
    assert ended.value.code == 0
    return whygen.load(folder / "out")  # pyright: ignore[reportReturnType]


@pytest.mark.parametrize(
    ("prompt", "choices"),
    [
        (PROMPT, {"budget": 40, "target": "tfidf"}),
        (PROMPT, {"budget": 30, "target": "contains:The fog", "estimand": "shapley", "units": "sentence", "seed": 3}),
        (PROMPT, {"budget": 40, "target": "regex:(?i)FOG|sun", "operator": "placeholder", "placeholder": "-- '...'"}),
        (PROMPT, {"budget": 48, "target": "edit", "pin": ["Tell", "it end"], "interactions": 0, "matrix": "sentence"}),
        (PROMPT, {"budget": 60, "target": "tfidf", "draws": 2, "references": 2, "surrogate": "ridge", "keep": 0.7}),
        ("@fox it's \x1b[201~ \u202e \\ $HOME\n`ls` foggy", {"budget": 24, "target": "tfidf"}),
        ("-- fox", {"budget": 12, "target": "exact", "settings": Settings(temperature=0.7, stop=("- x", "y"), seed=0)}),
        ("fox foggy", {"budget": 12, "target": "exact", "settings": Settings(extra={"n_probs": 3, "mode": "a=b"})}),
    ],
)
def test_both_make_it_again(
    prompt: str, choices: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = whygen.explain_prompt(MODEL, prompt, **choices)
    told = again(found)
    assert told.note == ""
    assert digest_of(made_by_python(told.python)) == digest_of(found)
    assert digest_of(made_by_command(told.command, tmp_path, monkeypatch)) == digest_of(found)
    assert told.command.isprintable()
    assert told.python.replace("\n", "").isprintable()


def test_a_chat_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chat = whygen.Chat([whygen.Message("system", "It's foggy: \x07"), whygen.Message("user", "A fox ends well.")])
    found = whygen.explain_prompt("py/test_made_again:heard", chat, budget=24, target="tfidf")
    told = again(found)
    assert digest_of(made_by_python(told.python)) == digest_of(found)
    assert digest_of(made_by_command(told.command, tmp_path, monkeypatch)) == digest_of(found)


def heard(request: Request) -> str:
    assert isinstance(request.prompt, whygen.Chat)
    return teller(" ".join(message.text for message in request.prompt.messages))


@pytest.mark.parametrize(
    ("choices", "says"),
    [
        ({"target": len}, "object of your own"),
        ({"units": [(0, 4), (5, 12)], "target": "tfidf"}, "No command: units"),
        ({"settings": Settings(temperature=0.5, seed=9), "target": "tfidf"}, "No command: the seed of sampling"),
    ],
)
def test_what_cannot_be_written_down_is_said(choices: dict[str, Any], says: str) -> None:
    found = whygen.explain_prompt(MODEL, PROMPT, budget=24, **choices)
    told = again(found)
    assert says in told.note
    assert told.command == ""
    if told.python:
        assert digest_of(made_by_python(told.python)) == digest_of(found)


def test_a_function_of_a_session_must_be_put_in() -> None:
    def own(prompt: str) -> str:
        return teller(prompt)

    told = again(whygen.explain_prompt(own, PROMPT, budget=24, target="tfidf"))
    assert "put it in" in told.note
    assert "your_model," in told.python
    assert told.command == ""


def test_what_kept_no_recipe_says_so() -> None:
    assert "kept no recipe" in again(prompt_explanation(pairs=4)).note


def test_a_picture_of_a_chat_that_was_not_kept_is_not_made_up() -> None:
    chat = whygen.Chat([whygen.Message("user", "A fox")])
    found = whygen.explain_prompt("py/test_made_again:heard", chat, budget=8, target="exact")
    assert found.chat is not None
    request = json.loads(json.dumps(found.chat.request))
    request["chat"][0]["images"] = [{"sha256": "0" * 64, "media_type": "image/png"}]
    shown = found.model_copy(update={"chat": found.chat.model_copy(update={"request": request})})
    told = again(shown)
    assert "images of the chat were not kept" in told.note
    assert told.command == told.python == ""


def values(found: whygen.PromptExplanation) -> list[Any]:
    return [(unit.text, unit.attribution, unit.low, unit.high) for unit in found.units]


def drawn(edit: Edit) -> Picture:
    pixels = pictures.pixels(edit.picture)
    pixels[:12] //= 4 if "night" in edit.instruction else 1
    return pictures.picture_of(pixels)


@pytest.mark.parametrize("units", ["word", "region"])
def test_an_edit_is_made_again_from_its_picture(units: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = pictures.picture_of((np.indices((24, 24)).sum(axis=0)[..., None] * np.array([2, 3, 5])).astype(np.uint8))
    found = whygen.explain_prompt(
        f"py/{__name__}:drawn",
        Edit(given, "please make it's night now"),
        budget=24,
        target="pixel",
        units=units,
        regions=6,
    )
    folder = found.save(tmp_path / "was")
    told = again(found, folder)
    assert "keep the picture as given.png" in told.note
    assert digest_of(made_by_python(told.python)) == digest_of(found)
    (tmp_path / "given.png").write_bytes(given.data)
    assert digest_of(made_by_command(told.command, tmp_path, monkeypatch)) == digest_of(found)


@pytest.mark.parametrize("units", ["part", "word", "field", "document"])
def test_a_template_is_made_again_with_its_fields(units: str) -> None:
    fields = {"where": "a {foggy} harbor", "who": ["a fox", "a \x07 {dog}", "a fox"]}
    template = whygen.Template("In {where}{{}} tell of {who}. Let it end well in {where}.", fields, between="; ")
    found = whygen.explain_prompt(f"py/{__name__}:told_of", template, budget=24, target="tfidf", units=units)
    told = again(found)
    assert digest_of(made_by_python(told.python)) == digest_of(found)
    source = found.source()
    assert source.text == template.text
    assert source.fields["where"] == fields["where"]


def told_of(prompt: str) -> str:
    return teller(prompt)


@pytest.mark.parametrize("chosen", [{}, {"units": "word", "within": ["user message 1"]}, {"units": "sentence"}])
def test_a_call_is_cut_again_as_it_was(chosen: dict[str, Any], tmp_path: Path) -> None:
    chat = whygen.Chat([whygen.Message("user", "Tell of a fox. It is foggy. All ends well.")])
    call = whygen.Call(chat=chat, answer=Output(text=heard(Request(prompt=chat))), model="openai/gpt-x")
    found = whygen.explain_prompt(f"py/{__name__}:heard", call, budget=24, **chosen)
    folder = found.save(tmp_path / "was")
    told = again(whygen.PromptExplanation.load(folder), folder)
    assert digest_of(made_by_python(told.python)) == digest_of(found)


def test_a_recorded_call_is_made_again_with_its_answer(tmp_path: Path) -> None:
    found = recorded_call().model_copy(update={"model": "py/unit.report.test_conversation_report:agent"})
    call = whygen.Call(chat=found.source(), answer=agent(Request(prompt=found.source())), model="openai/gpt-x")
    found = whygen.explain_prompt("py/unit.report.test_conversation_report:agent", call, budget=48)
    folder = found.save(tmp_path / "was")
    told = again(whygen.PromptExplanation.load(folder), folder)
    made = made_by_python(told.python)
    assert values(made) == values(found)
    assert made.why == found.why
    assert made.call == found.call
    assert made.target == found.target
    assert "whygen why FILE" in told.note


def files_of_samples(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for name, count in (("made", 60), ("anchors", 30), ("seen", 20), ("real", 60)):
        np.save(folder / f"{name}.npy", rng.random((count, 6, 6)).astype(np.float32))
    shutil.copy(folder / "anchors.npy", folder / "-it's $HOME\u202e.npy")


@pytest.mark.parametrize(
    ("anchors", "choices"),
    [
        ("anchors.npy", {"seed": 3, "select": "k-center:4", "value_range": (0.0, 1.0)}),
        ("anchors.npy", {"alpha": 0.1, "criteria": "nearest-sample", "controls": "none", "layout": "NHW"}),
        (Path("anchors.npy"), {"criteria": ["nearest-sample", "realism"], "multiplicity": "benjamini-hochberg"}),
        ({"training": "seen.npy", "held-out": "anchors.npy"}, {"false_positives": 0.1}),
        ("-it's $HOME\u202e.npy", {"trained": [1, 2], "shape": (6, 6)}),
        ("anchors.npy", {"roles": "foreign", "options": ModelOptions(batch_size=7), "preset": None}),
    ],
    ids=["seeded", "named", "listed", "by role", "a strange name", "options"],
)
def test_an_explanation_by_anchors_is_made_again(
    anchors: Any, choices: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files_of_samples(tmp_path)
    monkeypatch.chdir(tmp_path)
    found = whygen.explain_anchors("samples/made.npy", anchors, reference="real.npy", cache=None, **choices)
    told = again_by_anchors(whygen.AnchorExplanation.load(found.save(tmp_path / "saved")))
    assert told.note == ""
    assert figures(made_by_python(told.python)) == figures(found)
    assert figures(made_by_command(told.command, tmp_path, monkeypatch)) == figures(found)


@pytest.mark.parametrize(
    ("asked", "read"),
    [
        ({}, {"alpha": 0.2, "select": "k-center:4"}),
        ({"alpha": 0.2, "trained": ["a"]}, {"calibration": "std", "controls": "none"}),
        ({"alpha": 0.1, "seed": 3}, {"criteria": "realism", "alpha": 0.05}),
    ],
)
def test_what_was_read_by_other_options_is_made_again(
    asked: dict[str, Any], read: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files_of_samples(tmp_path)
    monkeypatch.chdir(tmp_path)
    found = whygen.explain_anchors("samples/made.npy", "anchors.npy", reference="real.npy", cache=None, **asked)
    again_read = whygen.AnchorExplanation.load(found.save(tmp_path / "saved")).read(**read)
    told = again_by_anchors(again_read)
    assert figures(made_by_python(told.python)) == figures(again_read)
    if "criteria" in read:
        assert told.note == "No command: what was read by some criteria cannot be typed in a line."
        return
    assert told.note == ""
    assert figures(made_by_command(told.command, tmp_path, monkeypatch)) == figures(again_read)


def figures(found: Any) -> dict[str, Any]:
    return {name: value for name, value in found.to_dict().items() if name not in {"versions", "calls"}}


def test_the_demo_brings_its_own_anchors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choices = {"seed": 2, "controls": "none", "select": "k-center:3", "cache": None}
    found = whygen.explain_anchors("demo/digits-vae", digits("anchors"), **choices)
    told = again_by_anchors(found)
    assert 'digits("anchors")' in told.python
    assert "--anchors" not in told.command
    assert figures(made_by_command(told.command, tmp_path, monkeypatch)) == figures(found)


@pytest.mark.parametrize(
    ("anchors", "choices"),
    [
        ("told.txt", {"seed": 4, "fdr": 0.2, "reference": "held.txt"}),
        ({"training": "told.txt", "held-out": "held.txt"}, {"twins": 3}),
    ],
    ids=["with a reference", "by role"],
)
def test_an_explanation_by_texts_is_made_again(
    anchors: Any, choices: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, animal in (("told.txt", "fox"), ("held.txt", "girl")):
        lines = [f"tell a story about a {animal} and {number} apples." for number in range(12, 18)]
        (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    found = whygen.explain_anchors("demo/storyteller", anchors, **choices)
    told = again_by_anchors(whygen.TextAnchorExplanation.load(found.save(tmp_path / "saved")))
    assert told.note == ""
    assert figures(made_by_python(told.python)) == figures(found)
    assert figures(made_by_command(told.command, tmp_path, monkeypatch)) == figures(found)
    read = found.read(alpha=0.2)
    assert figures(made_by_python(again_by_anchors(read).python)) == figures(read)


def test_what_was_an_object_is_named_and_not_made_up(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    found = whygen.explain_anchors(
        rng.random((60, 5)), rng.random((20, 5)), reference=rng.random((50, 5)), trained=[1, 2], cache=None,
        labels=["a", "b"] * 10,
    )  # fmt: skip
    told = again_by_anchors(found)
    assert told.command == ""
    assert "your_model,\n    your_anchors,\n" in told.python
    assert "reference=your_reference" in told.python
    assert told.note.startswith("Put in what was an object of your own: model, anchors and reference. No command:")
    np.save(tmp_path / "one.npy", rng.random((50, 5)))
    samples = rng.random((9, 5)).tolist()  # numbers, of which none is a name
    several = whygen.explain_anchors(
        rng.random((60, 5)), samples, reference=str(tmp_path / "one.npy"), trained=list(range(3000)), cache=None
    )
    assert again_by_anchors(several).note.startswith(
        "Put in what was an object of your own: model, anchors and trained."
    )
    bare = found.model_copy(update={"details": None})
    assert "was not kept" in again_by_anchors(bare).note


def test_several_files_make_a_program_and_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    monkeypatch.chdir(tmp_path)
    for number in range(3):
        PIL.Image.fromarray(rng.integers(0, 255, (8, 8), dtype=np.uint8)).save(f"{number}.png")
    np.save("made.npy", rng.random((60, 8, 8)).astype(np.float32))
    np.save("real.npy", rng.random((60, 8, 8)).astype(np.float32))
    found = whygen.explain_anchors("samples/made.npy", ["0.png", "1.png", "2.png"], reference="real.npy", cache=None)
    told = again_by_anchors(found)
    assert (told.command, told.note) == ("", "No command: anchors cannot be typed in a line.")
    assert figures(made_by_python(told.python)) == figures(found)


def test_no_key_is_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "correct-horse-battery")
    files_of_samples(tmp_path)
    place = tmp_path / "correct-horse-battery.npy"
    (tmp_path / "anchors.npy").rename(place)
    found = whygen.explain_anchors("samples/" + str(tmp_path / "made.npy"), place, reference=str(tmp_path / "real.npy"))
    told = again_by_anchors(found)
    assert "correct-horse" not in told.python + told.command + told.note
    assert "your_anchors" in told.python
