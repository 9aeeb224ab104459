"""Pipelines of diffusers that answer with videos and sounds: as objects and from folders, as what they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import whygen
from tiny_media import SETTINGS, SOUNDS, VIDEOS, pipeline
from whygen.cli import main
from whygen.errors import UsageError
from whygen.media import films, pictures, sounds
from whygen.models import HasContext, load_model, output_kind
from whygen.models.diffusers.kinds import answers_with, check_class
from whygen.types import Edit, Failure, Output, Request, Settings

KINDS = [*(k for k in VIDEOS if k != "WanImageToVideo"), *SOUNDS]
START = pictures.picture_of(np.full((16, 16, 3), 90, dtype=np.uint8))


def asked(kind: str, text: str, **changes: Any) -> Request:
    prompt = Edit(START, text) if "Image" in kind else text
    return Request(prompt=prompt, settings=Settings(extra={**SETTINGS[kind], **changes}))


def answer(model: Any, request: Request) -> Output:
    [found] = model.answer([request])
    assert isinstance(found, Output), found
    return found


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def held(kind: str) -> Any:
    return pipeline(kind)


def test_it_answers_as_what_it_is_and_the_same_alone_and_in_any_order(kind: str, held: Any) -> None:
    model = load_model(held)
    wanted = "sound" if kind in SOUNDS else "frames"
    assert output_kind(model) == wanted
    assert isinstance(model, HasContext)
    texts = ["a red dog", "the old castle"]
    together = model.answer([asked(kind, text) for text in texts])
    backwards = model.answer([asked(kind, text) for text in texts[::-1]])[::-1]
    assert [each.medium for each in together] == [each.medium for each in backwards]  # type: ignore[union-attr]
    first = answer(model, asked(kind, texts[0]))
    if first.sound is not None:
        values, rate = sounds.samples(first.sound)
        assert rate == held.vae.sampling_rate if kind == "StableAudio" else held.vocoder.config.sampling_rate
        assert len(values) == pytest.approx(0.1 * rate, rel=0.02)
    else:
        assert first.frames is not None
        assert first.frames.count == SETTINGS[kind]["frames"]
        assert films.frames(first.frames).shape[1:3] == (SETTINGS[kind]["height"], SETTINGS[kind]["width"])
    other = answer(model, asked(kind, texts[0], seed=1))
    assert other.medium != first.medium


def test_the_settings_of_its_class_are_taken_and_others_named(kind: str, held: Any) -> None:
    model = load_model(held)
    plain = answer(model, asked(kind, "a red dog")).medium
    assert answer(model, asked(kind, "a red dog", steps=4)).medium != plain
    for changes, says in (
        ({"stepz": 3}, "no setting 'stepz'"),
        ({"steps": 0}, "steps=0"),
        ({"steps": "many"}, "whole number"),
        ({"seed": -1}, "no seed"),
    ):
        [found] = model.answer([asked(kind, "a red dog", **changes)])
        assert isinstance(found, Failure)
        assert says in found.message + found.advice
    if kind in VIDEOS:
        quick = answer(model, asked(kind, "a red dog", fps=24)).frames
        assert quick is not None
        assert quick.rate == 24
        [found] = model.answer([asked(kind, "a red dog", frames=2000, height=1024, width=1024)])
        assert isinstance(found, Failure)
        assert "fewer or smaller frames" in found.advice
    else:
        longer = answer(model, asked(kind, "a red dog", seconds=0.2)).sound
        assert longer is not None
        assert sounds.seconds(longer) == pytest.approx(0.2, rel=0.02)


@pytest.mark.parametrize("kind", ["Wan", "AnimateDiff", "AudioLDM"])
def test_from_its_folder_it_is_the_same_model(kind: str, tmp_path: Path) -> None:
    made = pipeline(kind)
    made.save_pretrained(tmp_path)
    model = load_model(f"diffusers/{tmp_path}")
    assert output_kind(model) == ("sound" if kind in SOUNDS else "frames")
    saved, kept = (answer(each, asked(kind, "a red dog")) for each in (model, load_model(made)))
    if saved.frames is not None and kept.frames is not None:
        assert np.abs(films.frames(saved.frames).astype(int) - films.frames(kept.frames)).max() <= 1
    else:
        assert saved.sound is not None
        assert kept.sound is not None
        heard = sounds.samples(kept.sound)[0]
        assert sounds.samples(saved.sound)[0] == pytest.approx(heard, abs=1e-4 * float(np.abs(heard).max()))


@pytest.mark.parametrize("kind", ["Wan", "AudioLDM"])
def test_it_is_explained_with_the_target_and_the_timeline_of_its_kind(kind: str) -> None:
    explanation = whygen.explain_prompt(
        pipeline(kind), "a red dog", budget=16, cache=None, settings=Settings(extra=SETTINGS[kind])
    )
    assert explanation.evidence is not None
    assert explanation.evidence.media is not None
    assert explanation.evidence.media.timeline is not None
    assert explanation.target.name == "optimal-transport"
    assert ("frames" in explanation.target.unit) == (kind == "Wan")


def test_a_video_that_begins_with_a_picture_is_explained_by_its_words() -> None:
    explanation = whygen.explain_prompt(
        pipeline("LTXImageToVideo"), Edit(START, "a red dog"), budget=16, cache=None,
        settings=Settings(extra=SETTINGS["LTXImageToVideo"]),
    )  # fmt: skip
    assert [unit.text for unit in explanation.units] == ["a", "red", "dog"]
    assert explanation.evidence is not None
    assert explanation.evidence.media is not None
    with pytest.raises(UsageError, match=r"begins with a picture.*whygen edit"):
        whygen.explain_prompt(pipeline("LTXImageToVideo"), "a red dog", budget=16, cache=None)
    with pytest.raises(UsageError, match=r"begins with a text alone.*whygen prompt"):
        whygen.explain_prompt(pipeline("LTX"), Edit(START, "a red dog"), budget=16, cache=None)


COMMANDS: list[tuple[str, list[str], str]] = [
    ("Wan", ["--steps", "0"], "steps=0 cannot work"),
    ("Wan", ["--size", "big"], "WIDTHxHEIGHT"),
    ("Wan", ["--true-cfg-scale", "3"], "It takes frames"),
    ("Wan", ["--guidance-scale", "1", "--negative-prompt", "fog"], "guidance_scale is above 1"),
    ("Wan", ["--setting", "framez=3"], "no setting 'framez'"),
    ("StableAudio", ["--size", "16x16"], "no setting 'size'"),
    ("StableAudio", ["--setting", "eta=0.5"], "ignores eta: its scheduler"),
    ("AudioLDM", ["--setting", "seconds=long"], "seconds='long' cannot work"),
]


@pytest.mark.parametrize(("kind", "words", "says"), COMMANDS)
def test_a_setting_that_cannot_work_is_a_usage_error_before_anything_is_computed(
    kind: str, words: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline(kind).save_pretrained(tmp_path)
    for way in ([], ["--dry-run"]):
        with pytest.raises(SystemExit) as end:
            main(["prompt", f"diffusers/{tmp_path}", "a red dog", *words, "--no-cache", "--device", "cpu", *way])
        assert end.value.code == 2
        assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("Wan", ["--steps", "2", "--size", "32x16", "--setting", "frames=5", "--guidance-scale", "3",
                 "--negative-prompt", "fog"]),
        ("AudioLDM", ["--steps", "2", "--setting", "seconds=0.1", "--guidance-scale", "2", "--negative-prompt", "fog"]),
        ("LTXImageToVideo", ["--steps", "2", "--size", "32x32", "--setting", "frames=9"]),
    ],
)  # fmt: skip
def test_the_options_of_both_commands_reach_sounds_and_videos(
    kind: str, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline(kind).save_pretrained(tmp_path / "m")
    (tmp_path / "in.png").write_bytes(START.data)
    given = ["edit", str(tmp_path / "in.png")] if "Image" in kind else ["prompt"]
    given.insert(1, f"diffusers/{tmp_path / 'm'}")
    rest = ["--budget", "12", "--no-cache", "--quiet", "--device", "cpu", "-o", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as end:
        main([*given, "a red dog", *words, "--noise-seed", "3", *rest])
    assert end.value.code == 0, capsys.readouterr().err
    found = whygen.load(tmp_path / "out")
    assert [unit.text for unit in found.units] == ["a", "red", "dog"]
    if kind == "Wan":
        assert {films.frames(each).shape for each in found.evidence.media.files} == {(5, 16, 32, 3)}


@pytest.mark.parametrize("kind", ["CogVideoXVideoToVideo", "AnimateDiffVideoToVideo"])
def test_a_clip_is_changed_and_keeps_its_size_and_its_rate(kind: str) -> None:
    model = load_model(pipeline(kind))
    rng = np.random.default_rng(0)
    clips = [films.video_of(rng.integers(0, 256, (9, 16, 16, 3)).astype(np.uint8), 7) for _ in range(2)]
    settings = Settings(extra=SETTINGS[kind])
    made = [answer(model, Request(prompt=Edit(clip, "a red dog"), settings=settings)).frames for clip in clips]
    assert [(each.count, each.rate) for each in made if each is not None] == [(9, 7.0)] * 2
    assert made[0] != made[1], "the clip reaches the answer"
    again = answer(model, Request(prompt=Edit(clips[0], "a red dog"), settings=settings)).frames
    assert again == made[0]
    other = answer(model, Request(prompt=Edit(clips[0], "the old castle"), settings=settings)).frames
    assert other != made[0], "and so do the words"
    [refused] = model.answer([Request(prompt="a red dog", settings=settings)])
    assert isinstance(refused, Failure)
    assert "begins with a video" in refused.message
    with pytest.raises(UsageError, match=r"begins with video and a text.*Edit\(video, text\)"):
        whygen.explain_prompt(model, Edit(START, "a red dog"), budget=16, cache=None)


def test_a_sound_is_changed_at_the_rate_of_the_model() -> None:
    model = load_model(pipeline("StableAudio"))
    sound = sounds.sound_of(np.sin(np.arange(1600) / 5), 16_000)
    made = answer(model, Request(prompt=Edit(sound, "a red dog"), settings=Settings(extra=SETTINGS["StableAudio"])))
    plain = answer(model, asked("StableAudio", "a red dog"))
    assert made.sound is not None
    assert made.sound != plain.sound
    assert sounds.samples(made.sound)[1] == 2000


def test_a_helper_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import diffusers.pipelines.wan.pipeline_wan_i2v as module

    monkeypatch.delattr(module, "ftfy", raising=False)
    [found] = load_model(pipeline("WanImageToVideo")).answer([asked("WanImageToVideo", "a red dog")])
    assert isinstance(found, Failure)
    assert "pip install ftfy" in found.advice


def test_every_class_of_the_library_has_a_kind_or_a_refusal_that_names_the_way() -> None:
    import diffusers

    expected = {
        "WanPipeline": "frames", "MochiPipeline": "frames", "HunyuanVideoPipeline": "frames", "LTX2Pipeline": "frames",
        "SanaVideoPipeline": "frames", "TextToVideoZeroPipeline": "frames", "AudioLDM2Pipeline": "sound",
        "MusicLDMPipeline": "sound", "StableAudioPipeline": "sound", "FluxPipeline": "picture",
        "StableDiffusionControlNetPipeline": "picture", "StableDiffusionXLInpaintPipeline": "picture",
    }  # fmt: skip
    for name, kind in expected.items():
        assert check_class(getattr(diffusers, name), name) == kind
    for name in ("WanVideoToVideoPipeline", "CogVideoXVideoToVideoPipeline", "AnimateDiffVideoToVideoPipeline"):
        assert check_class(getattr(diffusers, name), name) == "frames"  # they change the clip of an Edit
    for name in ("AnimateDiffVideoToVideoControlNetPipeline", "AnimateDiffControlNetPipeline"):
        with pytest.raises(UsageError, match=r"def f\(prompt: str\) -> Video"):
            check_class(getattr(diffusers, name), name)
    for name, lacks in (
        ("StableDiffusionGLIGENPipeline", "gligen_phrases"), ("StableDiffusionGLIGENTextImagePipeline", "gligen"),
        ("StableDiffusionDiffEditPipeline", "a mask and latents"), ("StableDiffusionPix2PixZeroPipeline", "source_em"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=rf"needs .*{lacks}.*Explain a function that calls it"):
            check_class(getattr(diffusers, name), name)
    with pytest.raises(UsageError, match="takes no text"):
        check_class(diffusers.StableVideoDiffusionPipeline, "x")
    with pytest.raises(UsageError, match="image_embed"):
        answers_with(diffusers.KandinskyPriorPipeline)


def test_what_cannot_be_asked_is_refused_before_its_weights_are_read(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "AnimateDiffControlNetPipeline"}))
    with pytest.raises(UsageError, match="a clip or a sound to change"):
        load_model(f"diffusers/{tmp_path}")


def test_numbers_that_are_none_are_a_failure_and_not_a_video(monkeypatch: pytest.MonkeyPatch) -> None:
    made = pipeline("LTX")
    decode = made.vae.decode
    monkeypatch.setattr(made.vae, "decode", lambda *args, **rest: [each * np.nan for each in decode(*args, **rest)])
    [found] = load_model(made).answer([asked("LTX", "a red dog")])
    assert isinstance(found, Failure)
    assert "NaN" in found.message
