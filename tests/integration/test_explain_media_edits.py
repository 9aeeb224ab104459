"""Edits of a person's own sound and clip: as held in Python and from a shell, by functions that change them."""

from __future__ import annotations

import io
import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import whygen
from whygen.cli import main
from whygen.errors import DataError, UsageError
from whygen.media import films, sounds
from whygen.models import medium_from
from whygen.types import Edit, Picture, Sound, Video

RATE = 8_000
WAVE = (0.3 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)).astype(np.float32)
CLIP = np.random.default_rng(2).integers(0, 256, (6, 24, 32, 3)).astype(np.uint8)

pytest.importorskip("librosa")


def quieter(edit: Edit) -> Sound:
    """Changes the sound by one word alone."""
    assert isinstance(edit.image, Sound)
    values, rate = sounds.samples(edit.image)
    return sounds.sound_of(values * (0.05 if "quiet" in edit.instruction.split() else 1.0), rate)


def darker(edit: Any) -> Any:
    """The same for a clip; it returns an array and is not annotated."""
    values = films.frames(edit.image)
    return values // 8 if "dark" in edit.instruction.split() else values


def strongest(explanation: Any) -> str:
    return max(explanation.units, key=lambda unit: abs(unit.attribution)).text


@pytest.mark.parametrize(
    "held",
    [
        (WAVE, RATE),
        (RATE, (WAVE * 32767).astype(np.int16)),
        {"audio": WAVE, "sampling_rate": RATE},
        {"array": WAVE, "sampling_rate": RATE, "path": None},
        (WAVE[None], RATE),
    ],
)
def test_a_sound_of_ones_own_is_changed_by_the_word_that_changes_it(held: Any) -> None:
    edit = Edit(medium_from(held), "please make it quiet now")
    assert edit.kind == "sound"
    found = whygen.explain_prompt(quieter, edit, budget=16, cache=None)
    assert strongest(found) == "quiet"
    assert found.target.name == "optimal-transport"


@pytest.mark.parametrize(
    "held", [list(CLIP), [Image.fromarray(each) for each in CLIP], CLIP, (CLIP, 12), {"frames": [list(CLIP)]}]
)
def test_a_clip_of_ones_own_is_changed_by_the_word_that_changes_it(held: Any) -> None:
    edit = Edit(medium_from(held), "please make it dark now")
    assert edit.kind == "frames"
    assert strongest(whygen.explain_prompt(darker, edit, budget=16, cache=None)) == "dark"


def files(folder: Path) -> dict[str, Path]:
    soundfile = pytest.importorskip("soundfile")
    made = {kind: folder / f"sound.{kind}" for kind in ("wav", "flac", "ogg", "mp3")}
    for path in made.values():
        soundfile.write(path, WAVE, RATE)
    images = [Image.fromarray(each) for each in CLIP]
    images[0].save(folder / "clip.gif", save_all=True, append_images=images[1:], duration=100)
    return {**made, "gif": folder / "clip.gif"}


def test_files_are_told_by_how_they_begin(tmp_path: Path) -> None:
    for kind, path in files(tmp_path).items():
        for held in (path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes())):
            assert isinstance(medium_from(held), Video if kind == "gif" else Sound), kind
    Image.fromarray(CLIP[0]).save(tmp_path / "one.png")
    assert isinstance(medium_from(tmp_path / "one.png"), Picture)


@pytest.mark.parametrize(("kind", "function"), [("ogg", "quieter"), ("gif", "darker")])
def test_the_shell_takes_sounds_and_clips(
    kind: str, function: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(Path(__file__).parent)
    word = "quiet" if function == "quieter" else "dark"
    model = f"py/{Path(__file__).stem}:{function}"
    path = files(tmp_path)[kind]
    given = ["edit", model, str(path), f"make it {word} now", "--budget", "16", "--json", "--no-cache"]
    with pytest.raises(SystemExit) as ended:
        main(given)
    assert ended.value.code == 0
    units = json.loads(capsys.readouterr().out)["units"]
    assert max(units, key=lambda unit: abs(unit["attribution"]))["text"] == word


def test_what_changes_pictures_refuses_a_sound_before_anything_is_paid() -> None:
    class Painter:
        uri = "object/painter"
        limits = whygen.types.Limits()

        def answer(self, requests: Any) -> Any:
            raise AssertionError("nothing may be asked")

    with pytest.raises(UsageError, match=r"changes pictures, and was given sounds.*def f\(edit: Edit\) -> Sound"):
        whygen.explain_prompt(Painter(), Edit(medium_from((WAVE, RATE)), "quieter now"), cache=None)
    with pytest.raises(UsageError, match="units='region' cuts pictures"):
        whygen.explain_prompt(quieter, Edit(medium_from((WAVE, RATE)), "quieter now"), units="region", cache=None)


@pytest.mark.parametrize("held", [WAVE, 5, None, {"a": 1}, "nowhere.wav", [1, 2, 3]])
def test_what_is_none_is_said(held: Any) -> None:
    with pytest.raises((DataError, whygen.errors.MissingError)):
        medium_from(held)
    with pytest.raises(UsageError, match="medium_from"):
        Edit(held, "quieter")


def test_a_stereo_wav_of_16_bits_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.repeat(WAVE[:, None], 2, axis=1) * 32767).astype("<i2").tobytes())
    sound = medium_from(path)
    assert isinstance(sound, Sound)
    assert sounds.samples(sound)[0].shape == (RATE, 2)
