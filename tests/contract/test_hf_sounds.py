"""Models of transformers that speak and play: by pipeline and by folder, as sounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers

import whygen
from tiny_media import musicgen, vits
from whygen.cli import main
from whygen.errors import UsageError
from whygen.media import sounds
from whygen.models import load_model, output_kind
from whygen.types import Failure, Output, Request, Settings

pytestmark = pytest.mark.filterwarnings("ignore")


def parts(kind: str, folder: Path) -> tuple[Any, Any]:
    return musicgen() if kind == "musicgen" else vits(folder)


def heard(model: Any, text: str, **extra: Any) -> np.ndarray:
    [found] = model.answer([Request(prompt=text, settings=Settings(extra=extra))])
    assert isinstance(found, Output), found
    assert found.sound is not None
    return sounds.samples(found.sound)[0]


@pytest.mark.parametrize("kind", ["musicgen", "vits"])
def test_a_pipeline_and_its_folder_answer_with_the_same_sound(kind: str, tmp_path: Path) -> None:
    network, words = parts(kind, tmp_path)
    held = load_model(transformers.pipeline("text-to-audio", model=network, tokenizer=words))
    assert output_kind(held) == "sound"
    network.save_pretrained(tmp_path)
    words.save_pretrained(tmp_path)
    saved = load_model(f"hf/{tmp_path}")
    assert output_kind(saved) == "sound"
    first = heard(held, "a red dog")
    assert np.array_equal(first, heard(held, "a red dog"))
    assert first == pytest.approx(heard(saved, "a red dog"), abs=1e-4 * float(np.abs(first).max()))
    assert not np.array_equal(first, heard(held, "a red dog", seed=1))
    for request, says in (
        (Request(prompt=" "), "nothing to speak"),
        (Request(prompt="x", settings=Settings(extra={"steps": 3})), "no setting 'steps'"),
        (Request(prompt="x", settings=Settings(extra={"seed": -3})), "no seed"),
    ):
        [found] = held.answer([request])
        assert isinstance(found, Failure)
        assert says in found.message


def test_music_takes_a_length_and_how_it_is_drawn(tmp_path: Path) -> None:
    network, words = musicgen()
    model = load_model(transformers.pipeline("text-to-audio", model=network, tokenizer=words))
    assert len(heard(model, "a red dog", max_new_tokens=40)) > 1.8 * len(heard(model, "a red dog"))
    assert not np.array_equal(heard(model, "a red dog", do_sample=False), heard(model, "a red dog"))
    [found] = model.answer([Request(prompt="x", settings=Settings(extra={"max_new_tokens": 10**9}))])
    assert isinstance(found, Failure)
    assert "at most" in found.advice


def test_the_options_of_the_command_reach_a_model_that_plays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for made in musicgen():
        made.save_pretrained(tmp_path / "music")
    (tmp_path / "speech").mkdir()
    for made in vits(tmp_path / "speech"):
        made.save_pretrained(tmp_path / "speech")
    rest = ["--budget", "12", "--no-cache", "--quiet", "--device", "cpu", "--empty", "exclude"]

    def said(kind: str, *words: str) -> tuple[object, str]:
        with pytest.raises(SystemExit) as end:
            main(["prompt", f"hf/{tmp_path / kind}", "a red dog", *rest, *words])
        return end.value.code or 0, capsys.readouterr().err

    code, words = said("music", "--guidance-scale", "2", "--noise-seed", "3", "--setting", "max_new_tokens=10")
    assert code == 0, words
    assert said("speech", "--noise-seed", "3")[0] == 0
    code, words = said("speech", "--guidance-scale", "2")
    assert (code, "no setting 'guidance_scale'. It takes seed alone" in words) == (2, True)
    code, words = said("music", "--steps", "2")
    assert (code, "texts or sounds" in words) == (2, True)


def test_speech_is_explained_as_a_sound(tmp_path: Path) -> None:
    network, words = vits(tmp_path)
    speaks = transformers.pipeline("text-to-speech", model=network, tokenizer=words)
    explanation = whygen.explain_prompt(speaks, "red dog runs home", budget=20, cache=None, empty="exclude")
    assert explanation.evidence is not None
    assert explanation.evidence.media is not None
    assert explanation.evidence.media.timeline is not None


def test_parts_of_a_model_that_makes_sounds_name_the_pipeline(tmp_path: Path) -> None:
    network, words = vits(tmp_path)
    for given in (network, (network, words)):
        with pytest.raises(UsageError, match="text-to-audio"):
            load_model(given)
    config = transformers.SpeechT5Config(hidden_size=8)
    config.save_pretrained(tmp_path / "spectra")
    with pytest.raises(UsageError, match="vocoder="):
        load_model(f"hf/{tmp_path / 'spectra'}")
