"""One suite over the adapters that answer with sounds or videos: what `whygen.calls` may rely on."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from whygen.calls.rows import RecordedCall
from whygen.calls.store import Store
from whygen.media import films, sounds
from whygen.models import HasIdentity, Model, ModelOptions, batched, load_model, timed_kind
from whygen.models.planted import MEDIA
from whygen.testing import check_model
from whygen.types import Failure, Output, Request, Sound, Video, output_from_json, output_json

PROMPTS = ["a high bell", "", "low then fast, a red circle to the left", "Naïve café 東京!", "nothing at all"]


def beep(prompt: str) -> Sound:
    return sounds.sound_of(np.sin(np.arange(800 + 80 * len(prompt)) / 4.0).astype(np.float32), 8000)


@batched
def flashes(prompts: list[str]) -> list[Video]:
    return [films.video_of(np.full((3, 4, 5, 3), len(prompt) % 256, dtype=np.uint8), 4.0) for prompt in prompts]


@pytest.fixture(params=[*(f"planted/{name}" for name in MEDIA), "callable", "batched", "espeak"])
def model(request: pytest.FixtureRequest) -> Model:
    if request.param == "callable":
        return load_model(beep)
    if request.param == "batched":
        return load_model(flashes)
    if request.param == "espeak":
        if shutil.which("espeak-ng") is None:
            pytest.skip("espeak-ng is not installed")
        from whygen.models.espeak import open_espeak

        return open_espeak("en-gb", ModelOptions())
    return load_model(request.param)


def answers(model: Model, prompts: list[str], draw: int = 0) -> list[Output]:
    found = model.answer([Request(prompt=prompt, draw=draw) for prompt in prompts])
    assert all(isinstance(each, Output) for each in found)
    return [each for each in found if isinstance(each, Output)]


def test_each_answer_is_what_the_model_promises_and_can_be_read(model: Model) -> None:
    kind = timed_kind(model)
    assert kind is not None
    for output in answers(model, PROMPTS):
        assert output.medium is getattr(output, kind)
        if isinstance(output.medium, Sound):
            values, rate = sounds.samples(output.medium)
            assert len(values) > 0
            assert rate > 0
        else:
            assert isinstance(output.medium, Video)
            assert films.frames(output.medium).shape[0] == output.medium.count


def test_it_is_a_model(model: Model) -> None:
    check_model(model, prompts=PROMPTS)


@pytest.mark.parametrize("name", ["synth-noisy", "film-noisy"])
def test_noisy_doubles_differ_from_draw_to_draw(name: str) -> None:
    model = load_model(f"planted/{name}")
    assert answers(model, ["a bell"])[0].medium != answers(model, ["a bell"], draw=1)[0].medium


def test_a_recorded_answer_comes_back_byte_for_byte(model: Model, tmp_path: Path) -> None:
    identity = model.identity if isinstance(model, HasIdentity) else None
    outputs = answers(model, PROMPTS)
    calls = [
        RecordedCall(key=f"{i:064x}", uri=model.uri, identity=identity or {"uri": model.uri}, request={}, output=output)
        for i, output in enumerate(outputs)
    ]
    with Store(tmp_path / "calls.sqlite") as store:
        assert store.put_many(calls) == len(calls)
        assert store.notices == ()
    with Store(tmp_path / "calls.sqlite") as store:
        found = store.get_many([call.key for call in calls])
    assert [found[call.key] for call in calls] == outputs


def test_json_names_the_medium_by_digest_and_takes_its_bytes_back(model: Model) -> None:
    for output in answers(model, PROMPTS):
        medium = output.medium
        assert medium is not None
        record = output_json(output)
        assert "data" not in str(record)
        assert output_from_json(record, data=medium.data) == output
        assert output_from_json(record).medium is None


def test_a_callable_that_breaks_its_promise_fails_that_one_request() -> None:
    def silent(prompt: str) -> Sound:
        return Sound(b"RIFF of nothing") if prompt else beep(prompt)

    def unpromised(prompt: str):
        return beep(prompt)

    broken, good = load_model(silent).answer([Request(prompt="x"), Request(prompt="")])
    assert isinstance(broken, Failure)
    assert "cannot be played" in broken.message
    assert isinstance(good, Output)
    [failure] = load_model(unpromised).answer([Request(prompt="x")])
    assert isinstance(failure, Failure)
    assert "-> Sound" in failure.advice
