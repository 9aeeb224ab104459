"""What a picture pipeline is told, what it refuses before it draws, and pipelines that are held as objects."""

from __future__ import annotations

import io
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import tiny_models
import whygen
from whygen.cli import main
from whygen.errors import DataError, UsageError
from whygen.media import pictures
from whygen.models import ModelOptions, draws_pictures, load_model
from whygen.models.diffusers.drawing import Brush, DrawingJob
from whygen.models.diffusers.settings import read_settings
from whygen.models.hf.tokens import Refused
from whygen.types import Edit, Failure, Output, Picture, Request, Settings


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.painter(tmp_path_factory.mktemp("held") / "painter", kind="Img2Img", half=False)


@pytest.fixture
def pipeline(folder: Path) -> Any:
    import diffusers

    return diffusers.StableDiffusionImg2ImgPipeline.from_pretrained(folder)


def picture(seed: int = 0, *, width: int = 16, height: int = 16) -> Picture:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return pictures.picture_of(values)


def ask(model: Any, **extra: Any) -> Output | Failure:
    told = Settings(extra={"steps": 2, "strength": 1.0, **extra})
    return model.answer([Request(prompt=Edit(picture(), "make it night"), settings=told)])[0]


def test_a_pipeline_that_is_held_is_the_model_with_what_was_changed_in_it(pipeline: Any, folder: Path) -> None:
    import diffusers

    saved, held = load_model(f"diffusers/{folder}", ModelOptions(device="cpu")), load_model(pipeline)
    assert draws_pictures(held)
    assert held.identity is None  # what it was loaded from says nothing of its weights now
    before = ask(held, steps=3)
    assert isinstance(before, Output)
    assert before.picture == ask(saved, steps=3).picture
    pipeline.scheduler = diffusers.DDIMScheduler.from_config(pipeline.scheduler.config, prediction_type="epsilon")
    assert ask(held, steps=3).picture != before.picture


def test_a_held_pipeline_is_explained(pipeline: Any) -> None:
    told = Settings(extra={"steps": 2, "strength": 1.0})
    explanation = whygen.explain_prompt(
        pipeline, Edit(picture(), "make it night"), budget=12, settings=told, cache=None, encoder="patches"
    )
    assert [unit.text for unit in explanation.units] == ["make", "it", "night"]
    assert explanation.model.startswith("diffusers/")


def test_a_held_pipeline_is_neither_moved_nor_converted(pipeline: Any) -> None:
    with pytest.raises(UsageError, match="move it yourself"):
        load_model(pipeline, ModelOptions(dtype="float16"))


def parameters(call: Any) -> Any:
    import inspect

    return inspect.signature(call).parameters


def flux(
    *, prompt: str = "", negative_prompt: str = "", true_cfg_scale: float = 1.0, guidance_scale: float = 3.5,
    num_inference_steps: int = 28, strength: float = 0.6, height: int | None = None, width: int | None = None,
    num_images_per_prompt: int = 1, max_sequence_length: int = 512, sigmas: list[float] | None = None,
) -> None: ...  # fmt: skip


def plain(
    *, prompt: str = "", negative_prompt: str = "", guidance_scale: float = 0.0, num_inference_steps: int = 4,
    eta: float | None = None, clean_caption: bool = True,
) -> None: ...  # fmt: skip


@pytest.mark.parametrize(
    ("call", "extra", "advice"),
    [
        (flux, {"negative_prompt": "fog"}, "true_cfg_scale=4"),
        (flux, {"true_cfg_scale": 4.0}, "Give negative_prompt too"),
        (plain, {"negative_prompt": "fog"}, "guidance_scale=4"),
        (flux, {"steps": 2, "strength": 0.4}, "strength=0.5 or more, or steps=3 or more"),
        (flux, {"strength": 0.01}, "strength=0.0358 or more, or steps=100 or more"),
        (flux, {"strength": 0.0}, "strength=0.0358 or more."),
        (flux, {"size": "large"}, "WIDTHxHEIGHT"),
        (flux, {"sigmas": [1.0]}, "It takes "),
        (flux, {"num_images_per_prompt": 2}, "It takes "),
        (plain, {"clean_caption": 1}, "true or false"),
        (plain, {"steps": 1.5}, "whole number"),
        (plain, {"eta": float("inf")}, "number from 0"),
        (plain, {"size": "32x32"}, "Leave size (--size) out: it has one of its own"),
    ],
)
def test_what_would_be_ignored_or_fail_is_refused_with_the_way_out(call: Any, extra: Any, advice: str) -> None:
    with pytest.raises(Refused) as refused:
        read_settings(extra, {}, takes=parameters(call), uri="m")
    assert advice in refused.value.failure.advice


@pytest.mark.parametrize(
    ("call", "extra", "given"),
    [
        (flux, {"negative_prompt": "fog", "true_cfg_scale": 4}, {"true_cfg_scale": 4.0}),
        (flux, {"size": "64x32"}, {"width": 64, "height": 32}),
        (flux, {"max_sequence_length": 128}, {"max_sequence_length": 128}),
        (flux, {"true_cfg_scale": 1.0}, {"true_cfg_scale": 1.0}),
        (plain, {"eta": 0.5, "clean_caption": False}, {"eta": 0.5, "clean_caption": False}),
        (plain, {"num_inference_steps": 3}, {"num_inference_steps": 3}),
    ],
)
def test_a_class_takes_its_own_settings(call: Any, extra: Any, given: Any) -> None:
    assert read_settings(extra, {}, takes=parameters(call), uri="m").given == given


@given(steps=st.integers(1, 200), strength=st.floats(1e-3, 1.0))
def test_the_strength_and_the_steps_that_are_advised_work(steps: int, strength: float) -> None:
    takes = parameters(flux)
    try:
        read_settings({"steps": steps, "strength": strength}, {}, takes=takes, uri="m")
        assert int(steps * strength) >= 1
    except Refused as refused:
        assert int(steps * strength) < 1
        words = refused.failure.advice.replace(",", "").replace(".\n", "").rstrip(".").split()
        told = dict(word.split("=") for word in words if "=" in word)
        read_settings({"steps": steps, "strength": float(told["strength"])}, {}, takes=takes, uri="m")
        read_settings({"steps": int(told["steps"]), "strength": strength}, {}, takes=takes, uri="m")


def test_no_step_is_refused_before_the_pipeline_is_called(pipeline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    held = load_model(pipeline)
    monkeypatch.setattr(held, "pipeline", None)
    answer = ask(held, strength=0.1)
    assert isinstance(answer, Failure)
    assert "take no step" in answer.message


def frames(kind: str, count: int = 2) -> bytes:
    """A file of several frames, grey upon grey."""
    images = [Image.new("RGB", (8, 6), (40 * i + 10, 90, 200)) for i in range(count)]
    buffer = io.BytesIO()
    images[0].save(buffer, kind, save_all=True, append_images=images[1:])
    return buffer.getvalue()


def test_a_phones_mpo_is_its_first_frame() -> None:
    read = pictures.read_picture(frames("MPO"))
    assert pictures.size(read) == (8, 6)
    assert np.abs(pictures.pixels(read).astype(int) - [10, 90, 200]).max() <= 3
    assert (pictures.pixels(read) == pictures.pixels(Picture(frames("MPO"), "image/jpeg"))).all()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animated_picture_is_still_refused(kind: str) -> None:
    with pytest.raises(DataError, match="animated"):
        pictures.read_picture(frames(kind))


def told(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    """The exit code of a command, and what it says on its standard error."""
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    return int(end.value.code or 0), capsys.readouterr().err


@pytest.fixture
def shot(tmp_path: Path) -> Path:
    (tmp_path / "in.png").write_bytes(picture().data)
    return tmp_path / "in.png"


REST = ["--budget", "12", "--encoder", "patches", "--no-cache", "--quiet", "--device", "cpu"]


@pytest.mark.parametrize("way", [[], ["--dry-run"]])
def test_a_setting_that_cannot_work_is_a_usage_error_before_anything_is_drawn(
    folder: Path, shot: Path, capsys: pytest.CaptureFixture[str], way: list[str]
) -> None:
    edit = ["edit", f"diffusers/{folder}", shot, "make it night", *REST, *way]
    for wrong, advice in (
        (["--steps", 2, "--strength", 0.1], "strength=0.5 or more"),
        (["--true-cfg-scale", 4], "takes no setting 'true_cfg_scale'"),
        (["--steps", 2, "--strength", 1, "--guidance-scale", 1, "--negative-prompt", "fog"], "guidance_scale"),
        (["--size", "large"], "WIDTHxHEIGHT"),
        (["--size", "32x32"], "takes no size. Leave size .--size. out: give the picture in the size that is wanted"),
    ):
        code, said = told(capsys, *edit, *wrong)
        assert code == 2, said
        assert re.search(advice, said), said


def test_both_commands_say_to_the_pipeline_what_they_are_told(
    folder: Path, shot: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[dict[str, Any]] = []

    def explained(model: object, prompt: object, *, settings: Settings, **rest: object) -> None:
        heard.append(dict(settings.extra))
        raise UsageError("enough")

    monkeypatch.setattr(whygen, "explain_prompt", explained)
    words = [
        "--steps", 2, "--guidance-scale", 3, "--true-cfg-scale", 4, "--negative-prompt", "fog", "--size", "32x16",
        "--noise-seed", 7, "--setting", "eta=0.5",
    ]  # fmt: skip
    expected = {
        "steps": 2, "guidance_scale": 3.0, "true_cfg_scale": 4.0, "negative_prompt": "fog", "size": "32x16", "seed": 7,
        "eta": 0.5,
    }  # fmt: skip
    told(capsys, "prompt", f"diffusers/{folder}", "a fox", *words)
    told(capsys, "edit", f"diffusers/{folder}", shot, "a fox", *words, "--strength", 0.9)
    assert heard == [expected, {**expected, "strength": 0.9}]


def test_an_option_and_the_setting_of_its_name_are_not_both_taken(
    folder: Path, shot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = told(capsys, "edit", f"diffusers/{folder}", shot, "a fox", "--noise-seed", 1, "--setting", "seed=2")
    assert (code, "--noise-seed and --setting seed" in said) == (2, True)


@pytest.mark.parametrize(
    ("model", "words", "way"),
    [
        ("hf/any", "--size goes with models that draw, and hf/any is asked for texts or sounds", "leave it out."),
        ("anthropic/any", "--size, --noise-seed go with models that draw", "leave them out."),
        ("openai/any", "--size, --noise-seed go with models that draw", "--endpoint images"),
        ("together/any", "--size, --noise-seed go with models that draw", "--endpoint images"),
    ],
)
def test_a_model_that_writes_takes_no_settings_of_pictures(
    model: str, words: str, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = told(capsys, "prompt", model, "a fox", "--size", "32x16", "--noise-seed", 1)
    assert (code, words in said, way in said) == (2, True, True), said


def test_a_network_that_writes_says_what_it_does_not_take(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = tiny_models.save("gpt2", tmp_path / "writer")
    for way in ([], ["--dry-run"]):
        code, said = told(capsys, "prompt", f"hf/{made}", "a fox", "--guidance-scale", 3, "--no-cache", *way)
        assert (code, "writes texts" in said, "not guidance_scale" in said) == (2, True, True), said


def test_a_picture_is_explained_by_command_in_the_size_that_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tiny_models.painter(tmp_path / "drawer", kind="", half=False)
    code, said = told(
        capsys, "prompt", f"diffusers/{made}", "a fox at sea", "--steps", 1, "--size", "32x16", "-o", tmp_path / "out",
        "--guidance-scale", 2, "--negative-prompt", "fog", "--noise-seed", 3, *REST,
    )  # fmt: skip
    assert code == 0, said
    found = whygen.load(tmp_path / "out")
    assert {pictures.size(each) for each in found.evidence.pictures.files} == {(32, 16)}


def test_a_class_that_takes_a_list_of_references_is_given_the_picture_in_one() -> None:
    seen: list[Any] = []

    def call(
        *, prompt: Any = None, images: list[Any] | None = None, generator: Any = None, output_type: str = ""
    ) -> Any:
        seen.append(images)
        count = len(prompt) if isinstance(prompt, list) else 1
        return SimpleNamespace(images=np.zeros((count, 16, 16, 3)))

    brush = Brush(call, parameters(call), multiple=8)
    wanted = read_settings({}, {}, takes=parameters(call), uri="m")
    jobs = [
        DrawingJob(place=i, text="a fox", wanted=wanted, seed=i, image=pictures.pixels(picture(i))) for i in range(2)
    ]
    assert brush.alone(jobs[0]).values.shape == (16, 16, 3)
    brush.together(jobs)
    assert [type(each).__name__ for each in seen[0]] == ["Image"]
    assert [[type(each).__name__ for each in row] for row in seen[1]] == [["Image"], ["Image"]]
