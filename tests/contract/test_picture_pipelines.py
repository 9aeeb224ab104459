"""Every picture pipeline of diffusers that tiny parts can build: alone is as in a batch, and sizes stay."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny_pipelines
from whygen.media import pictures
from whygen.models import CUT, ModelOptions, load_model
from whygen.models.diffusers.drawing import EXACT, multiple_of
from whygen.models.diffusers.pictures import PictureModel, quiet
from whygen.models.diffusers.settings import default_of, mask_name, picture_text, scalars
from whygen.prompt.maps import size_notices
from whygen.types import Edit, Failure, Output, Picture, Request, Settings

pytestmark = pytest.mark.filterwarnings("ignore")  # of diffusers, of its own parts

BROKEN = {
    "ChromaInpaintPipeline": "asks its transformer for guidance_embeds, which that one does not have",
    "StableDiffusionLatentUpscalePipeline": "asks for a network of its own kind",
    "PRXPipeline": "cleans texts with ftfy, which is not installed here",
    "PRXPixelPipeline": "cleans texts with ftfy, which is not installed here",
    "StableDiffusionParadigmsPipeline": "asks for a scheduler of its own kind",
    "ZImageOmniPipeline": "takes pictures in bfloat16 whatever its networks are in",
}
"""Classes that fail in the installed diffusers whatever they are told, or with the parts of their family."""

SWAPS = ("KandinskyImg2ImgCombinedPipeline",)
"""Classes that take width for height: they draw square pictures in their size, others at 512 x 512, which is said."""

ROUNDS = ("StableCascadeCombinedPipeline", "WuerstchenCombinedPipeline")
"""Classes that round a size up to a multiple of 42.67, which for pictures of real sizes is little."""

MIXES = ("Flux2Pipeline", "Flux2KleinPipeline", "Flux2KleinKVPipeline", "QwenImageEditPlusPipeline")
"""Classes known to take a list of pictures as references for every text. Nothing in the product names them."""

CLASSES = tiny_pipelines.classes()


def marked(named: list[tuple[str, str]]) -> list[Any]:
    """As parameters; the long tail of classes that few use is slow in sum."""
    rare = {each.__name__ for each in tiny_pipelines.REST}
    slow = [family in rare or re.search("Control|Adapter", name) is not None for family, name in named]
    return [
        pytest.param(*each, id=each[1], marks=[pytest.mark.slow] if is_slow else [])
        for each, is_slow in zip(named, slow, strict=True)
    ]


TELLING = (
    "StableDiffusionPipeline", "StableDiffusionXLPipeline", "StableDiffusion3Pipeline", "FluxPipeline",
    "FluxKontextPipeline", "FluxFillPipeline", "ChromaPipeline", "Flux2KleinPipeline",
    "LatentConsistencyModelPipeline", "SanaSprintPipeline", "ZImagePipeline", "QwenImagePipeline",
    "PixArtAlphaPipeline",
)  # fmt: skip
"""Classes that hear a scale of guidance in one way each, or not at all."""


def picture(seed: int, *, width: int, height: int) -> Picture:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return pictures.picture_of(values)


def requests(model: PictureModel, *, side: int) -> list[Request]:
    """Two requests that differ in text and picture, with the cheapest settings of the class."""
    wide, high = side, side if type(model.pipeline).__name__ in SWAPS else side + side // 2
    mask = picture_text(pictures.picture_of(np.full((high, wide, 3), 255, dtype=np.uint8)))
    wanted: dict[str, Any] = {
        "num_inference_steps": 2, "strength": 1.0, "max_sequence_length": 16, "use_resolution_binning": False,
        "prior_num_inference_steps": 2, "decoder_num_inference_steps": 2, "super_res_num_inference_steps": 2,
    }  # fmt: skip
    if not model.takes_picture:
        wanted |= {"height": side, "width": side}
    extra = {name: value for name, value in wanted.items() if name in scalars(model._takes)}
    if mask_name(model._takes) is not None:
        extra["mask"] = mask
    texts = ("make it night", "a dog by the sea, in the rain")
    prompts = [Edit(picture(i, width=wide, height=high), text) if model.takes_picture else text
               for i, text in enumerate(texts)]  # fmt: skip
    return [Request(prompt=prompt, settings=Settings(extra=extra)) for prompt in prompts]


@pytest.fixture(autouse=True)
def _small_references(monkeypatch: pytest.MonkeyPatch) -> None:
    """Qwen-Image-Edit looks at its pictures with a million pixels, whatever their size: minutes, for tiny networks."""
    for module in ("edit", "edit_inpaint", "edit_plus"):
        place = importlib.import_module(f"diffusers.pipelines.qwenimage.pipeline_qwenimage_{module}")
        own = place.calculate_dimensions
        monkeypatch.setattr(place, "calculate_dimensions", lambda area, ratio, own=own: own(min(area, 64 * 64), ratio))


def drawn(answers: Any) -> list[np.ndarray]:
    assert all(isinstance(answer, Output) and answer.picture for answer in answers), answers
    return [pictures.pixels(answer.picture).astype(int) for answer in answers]


@pytest.mark.parametrize(("family", "name"), marked(CLASSES))
def test_a_picture_in_a_batch_is_the_picture_alone_in_the_size_that_it_had(family: str, name: str) -> None:
    pipeline = tiny_pipelines.build(family, name)
    model = PictureModel(pipeline, uri=name, batch_size=2)
    side = 64 if "Flux2" in name or "Omni" in name else 32
    asked = requests(model, side=side)
    answers = model.answer(asked)
    if name in BROKEN:
        assert all(isinstance(answer, Failure) for answer in answers), "it works now: take it out of BROKEN"
        return
    together = drawn(answers)
    single = PictureModel(pipeline, uri=name, batch_size=1)
    for a, b in zip(together, [drawn(single.answer([one]))[0] for one in asked], strict=True):
        assert np.abs(a - b).max() <= EXACT
    assert name not in MIXES or not model._together
    width, height = pictures.size(asked[0].prompt.image) if isinstance(asked[0].prompt, Edit) else (side, side)
    step = multiple_of(pipeline)
    kept = together[0].shape[:2] == (height - height % step, width - width % step)
    has_size = isinstance(asked[0].prompt, Edit) or "height" in model._takes
    assert (
        kept
        or not has_size
        or name in ROUNDS
        or "other-size" in dict(size_notices(model.uri, asked[0], answers[0].picture))
    )


UNSAVED = (
    "qwen_image",  # whose processor here is no class of transformers
    "hidream",  # which is told here, and not by its files, to draw small
    "alt_diffusion", "stable_cascade", "unclip", "vq_diffusion", "wuerstchen",  # diffusers does not find their parts
)  # fmt: skip
SAVED = [
    each for each in {family: (family, name) for family, name in CLASSES if name not in BROKEN}.values()
    if each[0] not in UNSAVED
]  # fmt: skip
"""One class of each family."""


@pytest.mark.slow
@pytest.mark.parametrize(("family", "name"), SAVED, ids=[name for _, name in SAVED])
def test_by_its_folder_it_draws_as_the_object_does_and_takes_the_settings_of_its_class(
    family: str, name: str, tmp_path: Path
) -> None:
    held = tiny_pipelines.build(family, name)
    held.save_pretrained(tmp_path)
    model = load_model(f"diffusers/{tmp_path}", ModelOptions(device="cpu"))
    assert isinstance(model, PictureModel)
    asked = requests(model, side=64 if "Flux2" in name else 32)[0]
    expected = drawn(load_model(held).answer([asked]))[0]
    assert np.abs(drawn(model.answer([asked]))[0] - expected).max() <= EXACT
    own = {each: default_of(each, model._takes) for each in scalars(model._takes)}
    told = {each: value for each, value in own.items() if value is not None and each not in model._ignored}
    told = {each: value for each, value in told.items() if each not in ("height", "width")}  # of its own size
    told.pop("true_cfg_scale", None)  # which is refused without a negative prompt
    spelled = Request(prompt=asked.prompt, settings=Settings(extra={**told, **asked.settings.extra}))
    model.check(spelled)
    assert np.abs(drawn(model.answer([spelled]))[0] - expected).max() <= EXACT


SCALES = [(family, name) for family, name in CLASSES if name in TELLING]


@pytest.mark.parametrize(("family", "name"), SCALES, ids=[name for _, name in SCALES])
def test_a_scale_is_refused_where_and_only_where_it_changes_nothing(family: str, name: str) -> None:
    """The refusal stands on what the class's code says; here on what it draws."""
    model = PictureModel(tiny_pipelines.build(family, name), uri=name, batch_size=1)
    asked = requests(model, side=64 if "Flux2" in name else 32)[0]

    def scaled(value: float) -> Any:
        told = Settings(extra={**asked.settings.extra, "guidance_scale": value})
        return model.answer([Request(prompt=asked.prompt, settings=told)])

    refused = [answer.message for answer in scaled(9.0) if isinstance(answer, Failure)]
    assert bool(refused) == ("guidance_scale" in model._ignored), refused
    model._ignored = {}
    low, high = drawn(scaled(1.5))[0], drawn(scaled(9.0))[0]
    assert bool(refused) == (low == high).all()


def test_the_suite_covers_the_families_and_nearly_all_may_share_a_batch() -> None:
    names = {name for _, name in CLASSES}
    assert {family for family, _ in CLASSES} == set(tiny_pipelines.FAMILIES)
    assert len(names) >= 110
    assert set(MIXES) & names == set(MIXES) - {"Flux2Pipeline"}


def test_what_mixes_in_a_batch_is_seen_by_the_trial_and_asked_one_by_one() -> None:
    """A class never seen before, that uses the first picture for every text."""
    pipeline = tiny_pipelines.build("stable_diffusion", "StableDiffusionImg2ImgPipeline")
    model = PictureModel(pipeline, uri="m", batch_size=2)
    asked = requests(model, side=32)
    expected = [drawn(model.answer([one]))[0] for one in asked]
    sizes: list[int] = []

    class Mixing:
        def __getattr__(self, name: str) -> Any:
            return getattr(pipeline, name)

        def __call__(self, *, image: Any, prompt: Any, **told: Any) -> Any:
            sizes.append(len(prompt) if isinstance(prompt, list) else 1)
            if isinstance(image, list):
                image = [image[0]] * len(image)
            return pipeline(image=image, prompt=prompt, **told)

    model.pipeline = Mixing()
    for a, b in zip(drawn(model.answer(asked * 2)), expected * 2, strict=True):
        assert (a == b).all()
    assert sizes == [1, 1, 2, 1, 1, 1, 1]  # one trial, then never again
    assert model.limits.max_batch == 1


def test_a_long_prompt_is_refused_only_where_every_encoder_cuts_it() -> None:
    model = PictureModel(tiny_pipelines.build("flux", "FluxPipeline"), uri="flux", batch_size=1)
    short, long, endless = (Request(prompt="snow " * count) for count in (3, 100, 1200))
    assert model.context_tokens == 512
    assert model.notices(short) == []
    assert model.count_tokens(long) < 512 <= model.count_tokens(endless)
    said = dict(model.notices(long))["cut-for-some"]
    assert "tokenizer reads 76 of its" in said
    assert "tokenizer_2" not in said
    assert "up to" in said
    assert CUT in dict(model.notices(endless))


def test_a_class_that_draws_one_size_alone_is_let_and_it_is_said() -> None:
    pipeline = tiny_pipelines.build("stable_diffusion_xl", "StableDiffusionXLInstructPix2PixPipeline")

    def stubborn(*, height: int = 32, width: int = 32, **told: Any) -> Any:
        if (height, width) != (32, 32):
            raise ValueError("it knows one size")
        return pipeline(height=32, width=32, **told)

    model = PictureModel(pipeline, uri="m", batch_size=1)
    asked = requests(model, side=32)[0]
    model.pipeline = stubborn
    answers = model.answer([asked])
    assert drawn(answers)[0].shape == (32, 32, 3)
    said = dict(size_notices(model.uri, asked, answers[0].picture))["other-size"]
    assert "32 x 48" in said
    assert "32 x 32, in other proportions" in said


def test_the_multiple_that_an_error_names_is_learned() -> None:
    pipeline = tiny_pipelines.build("stable_diffusion_xl", "StableDiffusionXLInstructPix2PixPipeline")
    sizes: list[tuple[int, int]] = []

    def strict(*, height: int, width: int, **told: Any) -> Any:
        sizes.append((height, width))
        if height % 32 or width % 32:
            raise ValueError(f"`height` and `width` have to be divisible by 32 but are {height} and {width}.")
        return pipeline(height=height, width=width, **told)

    model = PictureModel(pipeline, uri="m", batch_size=1)
    asked = requests(model, side=32)[0]
    model.pipeline = strict
    with quiet():
        assert drawn(model.answer([asked]))[0].shape == (32, 32, 3)
    assert sizes == [(48, 32), (32, 32)]
