"""What a user's own function may return, in every form people hold, and what is refused with the line to type."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import whygen
from whygen.encoders import LogMel, PixelPatches
from whygen.errors import ModelError, UsageError
from whygen.media import films, pictures, sounds
from whygen.models import load_model
from whygen.models.returned import medium_of
from whygen.types import Failure, Output, Picture, Request, Sound, Video

RATE = 8000
RNG = np.random.default_rng(0)
TONE = (0.5 * np.sin(np.arange(4000) / 5)).astype(np.float32)
STEREO = np.stack([TONE, -TONE / 2])
SHOWN = RNG.integers(0, 256, (10, 12, 3), dtype=np.uint8)
MOVED = RNG.integers(0, 256, (5, 10, 12, 3), dtype=np.uint8)


def tensors() -> Any:
    return pytest.importorskip("torch")


def tensor(values: np.ndarray, *, kind: str = "float32") -> Any:
    torch = tensors()
    held = torch.tensor(values).to(getattr(torch, kind))
    return held.requires_grad_() if held.is_floating_point() else held


def saved(*images: np.ndarray, kind: str) -> bytes:
    buffer = io.BytesIO()
    first, *rest = [Image.fromarray(each) for each in images]
    first.save(buffer, kind, save_all=bool(rest), append_images=rest, **({"duration": 100} if rest else {}))
    return buffer.getvalue()


SOUNDS = {
    "samples-rate": lambda: (TONE, RATE),
    "rate-samples": lambda: (RATE, TONE),
    "channels-first": lambda: (STEREO, RATE),
    "channels-last": lambda: (STEREO.T, RATE),
    "batch-of-one": lambda: (STEREO[None], np.int64(RATE)),
    "float-rate": lambda: (TONE, float(RATE)),
    "int16": lambda: (RATE, (TONE * 32767).astype(np.int16)),
    "list": lambda: (TONE.tolist(), RATE),
    "tensor": lambda: (tensor(TONE[None]), RATE),
    "bfloat16": lambda: (tensor(TONE, kind="bfloat16"), tensors().tensor(RATE)),
    "pipeline": lambda: {"audio": TONE[None], "sampling_rate": RATE},
    "data-set": lambda: {"array": TONE, "sampling_rate": RATE, "path": "a.wav"},
    "bytes": lambda: sounds.sound_of(TONE, RATE).data,
    "sound": lambda: sounds.sound_of(TONE, RATE),
}
VIDEOS = {
    "array": lambda: MOVED,
    "tensor": lambda: tensor(np.moveaxis(MOVED, 3, 1) / 255.0, kind="float32"),
    "colours-first": lambda: np.moveaxis(MOVED, 3, 0) / 255.0,
    "batch-of-one": lambda: MOVED[None],
    "frames-rate": lambda: (MOVED, 24),
    "list-of-arrays": lambda: list(MOVED),
    "list-of-images": lambda: [Image.fromarray(each) for each in MOVED],
    "images-rate": lambda: ([Image.fromarray(each) for each in MOVED], 12.5),
    "pipeline": lambda: {"frames": [list(MOVED)]},
    "gif": lambda: saved(*MOVED, kind="GIF"),
    "webp": lambda: saved(*MOVED, kind="WEBP"),
    "video": lambda: films.video_of(MOVED, 8.0),
}
PICTURES = {
    "array": lambda: SHOWN,
    "floats": lambda: SHOWN / 255.0,
    "tensor": lambda: tensor(np.moveaxis(SHOWN, 2, 0) / 255.0),
    "tensor-hwc": lambda: tensor(SHOWN, kind="uint8"),
    "int64": lambda: tensor(SHOWN, kind="int64"),
    "batch-of-one": lambda: SHOWN[None],
    "grey": lambda: SHOWN[:, :, 0],
    "image": lambda: Image.fromarray(SHOWN),
    "pipeline": lambda: {"images": [Image.fromarray(SHOWN)]},
    "bytes": lambda: saved(SHOWN, kind="PNG"),
    "picture": lambda: pictures.picture_of(SHOWN),
}


def answered(value: object, promise: object = None) -> Output:
    def model(prompt: str) -> Any:
        return value

    model.__annotations__["return"] = promise
    box = load_model(model)
    assert not isinstance(box, Failure)
    request = Request(prompt="x")
    box.learn(request)
    [answer] = box.answer([request])
    assert isinstance(answer, Output), answer
    assert box.output_kind == next(k for k in ("picture", "sound", "frames") if getattr(answer, k))
    return answer


@pytest.mark.parametrize("promise", [None, Sound])
@pytest.mark.parametrize("form", SOUNDS)
def test_every_form_of_a_sound_is_that_sound(form: str, promise: object) -> None:
    sound = answered(SOUNDS[form](), promise).sound
    assert sound is not None
    values, rate = sounds.samples(sound)
    assert rate == RATE
    assert len(values) == len(TONE)
    assert values[:, 0] == pytest.approx(TONE, abs=4e-3 if form == "bfloat16" else 1e-4)


@pytest.mark.parametrize("promise", [None, Video])
@pytest.mark.parametrize("form", VIDEOS)
def test_every_form_of_a_video_is_that_video(form: str, promise: object) -> None:
    video = answered(VIDEOS[form](), promise).frames
    assert video is not None
    assert video.count == len(MOVED)
    assert video.rate == {"frames-rate": 24, "images-rate": 12.5, "gif": 10, "webp": 10}.get(form, 8.0)
    if form not in {"gif", "webp"}:  # these lose colours
        assert np.array_equal(films.frames(video), MOVED)


@pytest.mark.parametrize("promise", [None, Picture])
@pytest.mark.parametrize("form", PICTURES)
def test_every_form_of_a_picture_is_that_picture(form: str, promise: object) -> None:
    picture = answered(PICTURES[form](), promise).picture
    assert picture is not None
    expected = np.repeat(SHOWN[:, :, :1], 3, axis=2) if form == "grey" else SHOWN
    assert np.array_equal(pictures.pixels(picture), expected)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (TONE, r"sound_of\(samples, rate\)"),
        (STEREO, "sound_of"),
        (np.zeros((40, 30)), "picture_of"),
        (np.zeros((3, 20, 3), dtype=np.uint8), "both its first and its last axis"),
        (np.zeros((5, 6, 7), dtype=np.uint8), "no axis of it is colours"),
        (SHOWN.astype(float), "floats from 0 to 1"),
        (SHOWN / 127.5 - 1, r"\(values \+ 1\) / 2"),
        (np.full((8, 8, 3), np.nan), "NaN"),
        ((TONE, 7), "samples a second"),
        ((np.array([np.nan, 0.0]), RATE), "NaN"),
        (np.zeros((3000, 4, 4, 3), dtype=np.uint8), "too many"),
        ([Image.new("RGB", (4, 4)), Image.new("RGB", (5, 4))], "different sizes"),
        (b"\0\0\0\x20ftypisom" + b"\0" * 50, "video is damaged"),
        (b"ID3\x04" + b"\0" * 50, "no FLAC, Ogg or MP3"),
        (b"RIFF\xff\xff\xff\xffWAVEfmt ", "no WAV"),
        (b"\xffnothing that anybody knows", "no picture"),
        (b"a text", r"f\(prompt\).decode\(\)"),
        (Path("nowhere/at-all.wav"), "There is no file"),
        (7, "not a str"),
        (None, "not a str"),
        (["a", "b"], "not a str"),
    ],
)
def test_what_is_ambiguous_or_broken_names_the_line_to_type(value: object, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        whygen.explain_prompt(lambda prompt: value, "one two three", budget=16, cache=None)


def test_a_path_is_read_and_a_text_stays_a_text(tmp_path: Path) -> None:
    file = tmp_path / "tone.wav"
    file.write_bytes(sounds.sound_of(TONE, RATE).data)
    assert answered(file).sound == sounds.read_sound(file)
    assert answered(str(file), Sound).sound == sounds.read_sound(file)

    def named(prompt: str):
        return str(file)

    def plain(prompt: str) -> str:
        return str(file)

    [answer] = load_model(named).answer([Request(prompt="x")])
    assert isinstance(answer, Failure)
    assert "pathlib.Path(text)" in answer.advice
    [answer] = load_model(plain).answer([Request(prompt="x")])
    assert isinstance(answer, Output)
    assert answer.text == str(file)


def test_a_function_without_a_promise_is_explained_as_what_it_returns_and_asked_no_more_often() -> None:
    asked: list[str] = []

    def sing(prompt: str):
        asked.append(prompt)
        pitch = 3 if "high" in prompt else 9
        return (0.5 * np.sin(np.arange(4000) / pitch)).astype(np.float32), RATE

    explanation = whygen.explain_prompt(sing, "a high note for me", budget=40, cache=None)
    assert explanation.calls.made == len(asked)
    assert {unit.text for unit in explanation.units if unit.significant} == {"high"}
    assert explanation.evidence is not None
    assert explanation.evidence.media is not None
    assert explanation.evidence.media.timeline is not None


def test_an_answer_of_another_kind_fails_alone() -> None:
    def mostly(prompt: str):
        return MOVED if "red" in prompt else SHOWN

    box = load_model(mostly)
    box.learn(Request(prompt="red"))
    good, bad = box.answer([Request(prompt="red"), Request(prompt="blue")])
    assert isinstance(good, Output)
    assert isinstance(bad, Failure)
    assert "no video" in bad.message


def test_an_object_that_holds_pictures_as_pipelines_do_is_read() -> None:
    image = Image.fromarray(np.full((8, 8, 3), 60, dtype=np.uint8))
    found = medium_of(SimpleNamespace(images=[image], nsfw_content_detected=[False]), None)
    assert found is not None
    assert found.picture == pictures.picture_from(image)
    found = medium_of(SimpleNamespace(frames=[[image, image]]), None)
    assert found is not None
    assert found.frames is not None
    assert medium_of(SimpleNamespace(text="x"), None) is None


@pytest.mark.parametrize("how", ["name", "object"])
@pytest.mark.parametrize("kind", ["picture", "sound"])
def test_an_encoder_of_pictures_or_sounds_is_no_bar_to_a_function_that_does_not_say_what_it_returns(
    kind: str, how: str
) -> None:
    def draws(prompt: str) -> Any:
        values = np.random.default_rng(len(prompt)).random((8, 8, 3))
        return values if kind == "picture" else (values.ravel().astype(np.float32), 8000)

    name, made = ("patches", PixelPatches()) if kind == "picture" else ("log-mel", LogMel())
    found = whygen.explain_prompt(
        draws, "the old castle", budget=12, cache=None, encoder=name if how == "name" else made
    )  # fmt: skip
    assert len(found.units) == 3
    with pytest.raises(UsageError, match=r"encodes no texts|none are compared"):
        whygen.explain_prompt(
            lambda prompt: prompt, "the old castle", budget=12, cache=None, encoder=name if how == "name" else made
        )
