"""The suite over adapters that draw: what `whygen.calls` may rely on, and what a picture needs besides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import tiny_models
from whygen.media import pictures
from whygen.models import HasContext, HasIdentity, Model, ModelOptions, draws_pictures, load_model
from whygen.models.diffusers.settings import picture_text
from whygen.types import Chat, Edit, Failure, Message, Output, Picture, Request, Settings

TEXTS = ["make it night", "", "paint the river", "Naïve café 東京!", "make"]
KINDS = ["InstructPix2Pix", "Img2Img", "Inpaint", ""]


def scene(seed: int = 0, *, width: int = 16, height: int = 16) -> Picture:
    rng = np.random.default_rng(seed)
    return pictures.picture_of(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


MASK = picture_text(pictures.picture_of(np.full((16, 16, 3), 255, dtype=np.uint8)))


def settings(kind: str, **changes: object) -> Settings:
    extra: dict[str, object] = {"steps": 2, "guidance_scale": 1.0}
    if kind == "Inpaint":
        extra["mask"] = MASK
    if not kind:
        extra |= {"height": 16, "width": 16}
    return Settings(extra={**extra, **changes.pop("extra", {})}, **changes)


def prompts(kind: str) -> list[str | Edit]:
    return [Edit(scene(), text) if kind else text for text in TEXTS]


def requests(kind: str, **changes: object) -> list[Request]:
    return [Request(prompt=prompt, settings=settings(kind, **changes)) for prompt in prompts(kind)]


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def folder(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.painter(tmp_path_factory.mktemp("models") / "painter", kind=kind)


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return load_model(f"diffusers/{folder}", ModelOptions(device="cpu"))


def how_many(prompt: str | list[str]) -> int:
    return 1 if isinstance(prompt, str) else len(prompt)


def drawn(answers: object) -> list[np.ndarray]:
    assert all(isinstance(answer, Output) and answer.picture for answer in answers), answers
    return [pictures.pixels(answer.picture).astype(int) for answer in answers]


def test_it_is_a_model_that_draws(model: Model) -> None:
    assert isinstance(model, Model)
    assert isinstance(model, HasIdentity)
    assert draws_pictures(model)
    assert model.limits.max_batch >= 1
    assert list(model.answer([])) == []


def test_order_is_kept_and_the_batch_matters_by_rounding_at_most(model: Model, kind: str) -> None:
    together = drawn(model.answer(requests(kind)))
    alone = [drawn(model.answer([one]))[0] for one in requests(kind)]
    for a, b in zip(together, alone, strict=True):
        assert np.abs(a - b).max() <= 1
    assert np.abs(together[0] - together[2]).max() > 1  # the text is read


def test_all_texts_begin_with_one_noise_and_draws_only_above_temperature_0(model: Model, kind: str) -> None:
    prompt = prompts(kind)[0]

    def ask(draw: int, **changes: object) -> np.ndarray:
        return drawn(model.answer([Request(prompt=prompt, settings=settings(kind, **changes), draw=draw)]))[0]

    assert (ask(0) == ask(1)).all()
    assert (ask(0, temperature=1.0) == ask(0, temperature=1.0)).all()
    assert (ask(0, temperature=1.0) != ask(1, temperature=1.0)).any()
    assert (ask(0, temperature=1.0) != ask(0, temperature=1.0, seed=1)).any()
    assert (ask(0) != ask(0, extra={"seed": 9})).any()


def test_opened_again_it_draws_the_same(folder: Path, model: Model, kind: str) -> None:
    again = load_model(f"diffusers/{folder}", ModelOptions(device="cpu"))
    assert isinstance(again, HasIdentity)
    assert isinstance(model, HasIdentity)
    assert again.identity == model.identity
    assert all(
        (a == b).all()
        for a, b in zip(drawn(model.answer(requests(kind))), drawn(again.answer(requests(kind))), strict=True)
    )


def test_a_bad_request_fails_alone_and_says_what_to_do(model: Model, kind: str) -> None:
    good = requests(kind)[0]
    wrong = "a text" if kind else Edit(scene(), "a picture")
    bad = [
        Request(prompt=wrong, settings=good.settings),
        Request(prompt=Chat((Message("user", "hello"),)), settings=good.settings),
        Request(prompt=good.prompt, settings=Settings(extra={"colour": 1})),
        Request(prompt=good.prompt, settings=Settings(extra={"steps": 0})),
        Request(prompt=good.prompt, settings=Settings(extra={"steps": True})),
        Request(prompt=good.prompt, settings=Settings(extra={"seed": -1})),
    ]
    if kind:
        bad.append(Request(prompt=Edit(Picture(b"no picture"), "x"), settings=good.settings))
        bad.append(Request(prompt=Edit(scene(width=1, height=1), "x"), settings=good.settings))
    if kind == "Inpaint":
        bad.append(Request(prompt=good.prompt, settings=Settings(extra={"mask": "!!"})))
        bad.append(Request(prompt=good.prompt))
    first, *failures, last = model.answer([good, *bad, good])
    for failure in failures:
        assert isinstance(failure, Failure), failure
        assert failure.message
        assert failure.advice
    assert (drawn([first])[0] == drawn([last])[0]).all()


def test_pictures_of_odd_and_mixed_sizes(model: Model, kind: str) -> None:
    if not kind:
        pytest.skip("draws from a text alone")
    sizes = [(17, 15), (16, 16), (17, 15), (24, 10)]
    asked = [Request(prompt=Edit(scene(width=w, height=h), "make it night"), settings=settings(kind)) for w, h in sizes]
    assert [image.shape[:2] for image in drawn(model.answer(asked))] == [(14, 16), (16, 16), (14, 16), (10, 24)]


SHORT = [
    RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), torch.OutOfMemoryError("HIP out of memory"),
    MemoryError(),
]  # fmt: skip


@pytest.mark.parametrize("error", SHORT, ids=lambda error: type(error).__name__)
def test_out_of_memory_halves_the_batch_and_goes_on(
    folder: Path, kind: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(f"diffusers/{folder}", ModelOptions(device="cpu", batch_size=4))
    expected = drawn(model.answer(requests(kind)))
    own, sizes = model.pipeline, []

    def short(*, prompt: str | list[str], **rest: object) -> object:
        sizes.append(how_many(prompt))
        if how_many(prompt) > 1:
            raise error
        return own(prompt=prompt, **rest)

    short.vae_scale_factor = own.vae_scale_factor
    monkeypatch.setattr(model, "pipeline", short)
    model._together.add(model._prepared(0, requests(kind)[0]).kind)
    for a, b in zip(drawn(model.answer(requests(kind))), expected, strict=True):
        assert np.abs(a - b).max() <= 1
    assert max(sizes) == 4
    assert model.limits.max_batch == 1


def test_out_of_memory_on_one_picture_fails_that_one(folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(f"diffusers/{folder}", ModelOptions(device="cpu"))
    own = model.pipeline

    def short(*, prompt: str | list[str], **rest: object) -> object:
        if TEXTS[2] in ([prompt] if isinstance(prompt, str) else prompt):
            raise MemoryError
        return own(prompt=prompt, **rest)

    short.vae_scale_factor = own.vae_scale_factor
    monkeypatch.setattr(model, "pipeline", short)
    answers = list(model.answer(requests(kind)))
    assert [isinstance(answer, Failure) for answer in answers] == [False, False, True, False, False]
    assert isinstance(answers[2], Failure)
    assert "out of memory" in answers[2].message
    assert "smaller picture" in answers[2].advice


def test_large_pictures_share_no_batch_on_a_processor(folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from whygen.models.diffusers import pictures as diffusers_pictures

    monkeypatch.setattr(diffusers_pictures, "PIXELS", 2 * 16 * 16)
    sizes: list[int] = []

    def drawn_in_batches(**options: object) -> list[int]:
        model = load_model(f"diffusers/{folder}", ModelOptions(device="cpu", **options))
        own = model.pipeline
        sizes.clear()

        def seen(*, prompt: str | list[str], **rest: object) -> object:
            sizes.append(how_many(prompt))
            return own(prompt=prompt, **rest)

        seen.vae_scale_factor = own.vae_scale_factor
        monkeypatch.setattr(model, "pipeline", seen)
        drawn(model.answer(requests(kind)))
        return sizes

    trial = [1, 1, 2]
    assert drawn_in_batches() == [1] * 5  # too few share a batch for a trial
    assert drawn_in_batches(batch_size=4) == [*trial, 4, 1]  # what was chosen is done


def test_blank_frames_are_refusals_and_overflow_is_a_failure(
    folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from types import SimpleNamespace

    model = load_model(f"diffusers/{folder}", ModelOptions(device="cpu"))
    frames = np.full((5, 16, 16, 3), 0.5)
    frames[1], frames[2], frames[3, 0, 0, 0] = 0.0, 0.25, np.nan
    flags = [False, False, True, False, False]

    def blank(**_: object) -> object:
        return SimpleNamespace(images=frames, nsfw_content_detected=flags)

    model._together.add(model._prepared(0, requests(kind)[0]).kind)

    blank.vae_scale_factor, blank.dtype = 2, "float16"
    monkeypatch.setattr(model, "pipeline", blank)
    answers = list(model.answer(requests(kind)))
    assert [getattr(answer, "finish", "failed") for answer in answers] == [
        "stop",
        "refused",
        "refused",
        "failed",
        "stop",
    ]
    assert isinstance(answers[3], Failure)
    assert "float32" in answers[3].advice


def test_it_counts_the_tokens_that_would_be_cut(model: Model, kind: str) -> None:
    assert isinstance(model, HasContext)
    assert model.context_tokens == 64
    short, long = (Request(prompt=Edit(scene(), t) if kind else t) for t in ("make it night", "night " * 100))
    assert model.count_tokens(short) < 64 <= model.count_tokens(long)
