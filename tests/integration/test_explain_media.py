"""Sounds and videos, the whole way, on generators whose causes are known."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import whygen
from whygen import report
from whygen.errors import FormatError, MissingExtraError, UsageError
from whygen.media import films, sounds
from whygen.models import load_model
from whygen.models.planted import causes
from whygen.models.planted.media import SYNTH_RATE as RATE
from whygen.models.planted.media import wave
from whygen.prompt.targets import TemporalConsistency
from whygen.results.prompt import PromptExplanation
from whygen.results.summary import summarise
from whygen.types import Settings, Sound, Video

PROMPTS = {
    "synth": "Please play a fast high bell, and a siren somewhere for my old friend Anna",
    "film": "Show me a red circle that moves left over the desert and a flash for my friend",
}


def explain(name: str, prompt: str | None = None, **options: Any) -> PromptExplanation:
    options = {"budget": 128, "cache": None, **options}
    return whygen.explain_prompt(f"planted/{name}", prompt or PROMPTS[name.partition("-")[0]], **options)


def separated(explanation: PromptExplanation, name: str) -> bool:
    """Whether every word that the model reads has a larger attribution than every other: an AUROC of 1."""
    labels = np.array(causes(name, [unit.text for unit in explanation.units]))
    values = np.array([abs(unit.attribution) for unit in explanation.units])
    return bool(values[labels].min() > values[~labels].max())


def row(explanation: PromptExplanation, word: str) -> np.ndarray:
    assert explanation.evidence is not None
    assert explanation.evidence.media is not None
    assert explanation.evidence.media.timeline is not None
    place = [unit.text for unit in explanation.units].index(word)
    return explanation.evidence.media.timeline.values[place]


@pytest.mark.parametrize("target", ["auto", "energy", "cosine", "euclidean", "in-time"])
def test_the_words_of_a_sound_are_found_and_only_they(target: str) -> None:
    explanation = explain("synth", target=target)
    assert separated(explanation, "synth")
    assert {u.text for u in explanation.units if u.significant} == {"fast", "high", "bell", "siren"}
    assert explanation.warnings == ()


@pytest.mark.parametrize("target", ["auto", "cosine", "in-time", "consistency"])
def test_the_words_of_a_video_are_found_and_only_they(target: str) -> None:
    explanation = explain("film", target=target)
    assert separated(explanation, "film")
    assert {u.text for u in explanation.units if u.significant} == {"red", "circle", "left", "desert", "flash"}


@pytest.mark.parametrize("name", ["synth", "synth-noisy"])
def test_the_timeline_shows_when(name: str) -> None:
    explanation = explain(name)
    siren, high, plain = row(explanation, "siren"), row(explanation, "high"), row(explanation, "old")
    half = round(0.7 * len(siren))
    assert siren[half + 4 :].min() > 10 * siren[:half].max()
    assert high.min() > 0.3 * high.max()
    assert plain.max() < 0.1 * siren.max()


def test_a_flash_is_in_the_last_frames_and_a_move_grows() -> None:
    explanation = explain("film-noisy")
    flash, left = row(explanation, "flash"), row(explanation, "left")
    assert flash[12:].min() > 10 * flash[:12].max()
    assert left[0] < 0.1 * left.max()
    assert (np.diff(left[:12]) > 0).mean() > 0.8


def test_a_score_of_ones_own_reads_the_frames() -> None:
    explanation = explain("film", "A red circle, blinking, moves left", target=TemporalConsistency())
    found = {unit.text: unit.attribution for unit in explanation.units}
    assert found["blinking"] < -0.1
    assert abs(found["A"]) < 0.02
    assert explanation.evidence is not None
    assert explanation.evidence.media is not None
    assert explanation.evidence.media.timeline is not None


def test_draws_and_references_go_the_distributional_way() -> None:
    explanation = explain(
        "synth-noisy", "a high bell for Anna", draws=3, references=3, distribution="energy", budget=160
    )
    assert {u.text for u in explanation.units if u.significant} == {"high", "bell"}


def test_a_second_run_asks_nothing_and_finds_the_same(tmp_path: Path) -> None:
    for name in PROMPTS:
        first = explain(name, cache=tmp_path / "calls.sqlite", budget=40)
        second = explain(name, cache=tmp_path / "calls.sqlite", budget=40)
        assert first.calls.made > 0
        assert second.calls.made == 0
        assert second.units == first.units
        assert second.evidence == first.evidence


def test_what_is_saved_is_loaded_and_damage_is_named(tmp_path: Path) -> None:
    for name in PROMPTS:
        explanation = explain(name, budget=48)
        folder = explanation.save(tmp_path / name)
        assert whygen.load(folder) == explanation
        file = folder / "media.safetensors"
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(bytes(data[:-9]))
        with pytest.raises(FormatError, match=r"media\.safetensors"):
            whygen.load(folder)


@pytest.mark.parametrize(("name", "says"), [("mute", "silence"), ("dark", "black frames")])
def test_silence_and_darkness_are_answers_that_warn(name: str, says: str) -> None:
    explanation = explain(name, "a high bell for Anna", budget=32)
    texts = {warning.code: warning.text for warning in explanation.warnings}
    assert {"nothing-to-hear", "same-output"} <= texts.keys()
    assert says in texts["nothing-to-hear"]
    assert not any(unit.significant for unit in explanation.units)
    assert "no change" in summarise(explanation)["media"]["timeline"]["rows"][0]["label"]


def test_answers_of_other_lengths_warn() -> None:
    def longer(prompt: str) -> Sound:
        return sounds.sound_of(np.tile(wave(["bell"]).astype(np.float32), 1 + prompt.count("more")), RATE)

    explanation = whygen.explain_prompt(longer, "more and more bells please", budget=40, cache=None)
    assert "other-lengths" in {warning.code for warning in explanation.warnings}


def test_one_broken_answer_fails_alone() -> None:
    def sometimes(prompt: str) -> Video:
        if "break" not in prompt and "twice" not in prompt:
            return Video(b"no picture", 3, 8.0)
        frames = np.full((4, 8, 8, 3), 200 if "red" in prompt else 20, dtype=np.uint8)
        return films.video_of(frames, 8.0)

    explanation = whygen.explain_prompt(sometimes, "do not break it, red, twice", budget=64, cache=None)
    assert explanation.calls.failed > 0
    assert "failed-calls" in {warning.code for warning in explanation.warnings}
    assert max(explanation.units, key=lambda unit: unit.attribution).text == "red"


def test_what_does_not_go_together_is_refused_before_a_call() -> None:
    from whygen.encoders import LogMel

    with pytest.raises(UsageError, match="hierarchy"):
        explain("synth", hierarchy="auto")
    with pytest.raises(UsageError, match="log-mel"):
        whygen.explain_prompt("planted/additive", "a fox", encoder=LogMel(), cache=None)
    with pytest.raises(UsageError, match="does not encode videos"):
        whygen.explain_prompt("planted/film", "a red fox", encoder=LogMel(), cache=None)
    with pytest.raises(UsageError, match="here answers are sounds"):
        explain("synth", matrix="sentence")


def test_without_librosa_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "librosa", None)
    with pytest.raises(MissingExtraError, match=r"whygen\[audio\]"):
        explain("synth", budget=32)


def test_the_page_plays_what_came_back_and_escapes_what_was_said() -> None:
    explanation = explain("synth", "a high bell <img src=x onerror=alert(1)> \u202esiren", budget=64)
    page = report.html(summarise(explanation))
    assert page.count("<audio controls") == 7
    assert 'src="data:audio/wav;base64,' in page
    assert "media-src data:" in page
    assert "<img src=x" not in page
    assert "\u202e" not in page
    assert re.search(r'<rect class="cell"[^>]*fill-opacity="1\.000"', page)


def test_a_page_stays_small() -> None:
    from whygen.results.summary import played

    rng = np.random.default_rng(0)

    def long(prompt: str) -> Sound:
        hiss = rng.uniform(-1, 1, size=45 * 8000).astype(np.float32)
        return sounds.sound_of(hiss * (0.5 if "loud" in prompt else 0.1), 8000)

    explanation = whygen.explain_prompt(long, "be loud now", budget=16, cache=None, settings=Settings())
    summary = summarise(explanation)["media"]
    assert summary["reference"]["note"] == "15.0 s cut off"
    page = report.html(summarise(explanation))
    assert len(page) < 1.5 * played.MOST_BYTES + 2**20


def test_espeak_says_what_it_is_given() -> None:
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed")
    from whygen.models import ModelOptions
    from whygen.models.espeak import open_espeak

    explanation = whygen.explain_prompt(
        open_espeak("en-gb", ModelOptions()), "good evening ladies", budget=32, cache=None, keep=0.8
    )
    assert all(unit.attribution > 0 for unit in explanation.units)
    assert np.argmax(row(explanation, "good")) < np.argmax(row(explanation, "ladies"))


def test_load_model_opens_them_by_uri() -> None:
    assert load_model("planted/synth").uri == "planted/synth"
