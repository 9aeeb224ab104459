"""Pipelines that are held as objects: with adapters, with parts that lie elsewhere, with a control beside the text."""

from __future__ import annotations

from typing import Any

import diffusers
import numpy as np
import pytest
import torch

import tiny_media
import tiny_pipelines
import whygen
from whygen.errors import UsageError
from whygen.media import pictures
from whygen.models import load_model
from whygen.models.diffusers.drawing import EXACT
from whygen.prompt.maps import size_notices
from whygen.types import Edit, Failure, Output, Picture, Request, Settings

pytestmark = pytest.mark.filterwarnings("ignore")  # of diffusers, of its own parts

TEXTS = ("a fox", "the sea at night", "a dog", "snow")


def picture(seed: int) -> Picture:
    return pictures.picture_of(np.random.default_rng(seed).integers(0, 256, (48, 32, 3), dtype=np.uint8))


def drawn(model: Any, *prompts: Any, **extra: Any) -> list[np.ndarray]:
    told = Settings(extra={"steps": 2, **extra})
    answers = model.answer([Request(prompt=prompt, settings=told) for prompt in prompts])
    assert all(isinstance(answer, Output) for answer in answers), answers
    return [pictures.pixels(answer.picture).astype(int) for answer in answers]


def apart(first: list[np.ndarray], second: list[np.ndarray]) -> int:
    return max(int(np.abs(a - b).max()) for a, b in zip(first, second, strict=True))


class LowRank(torch.nn.Module):
    """What an adapter of low rank is: the layer as it was, and a product of two thin matrices beside it."""

    def __init__(self, inner: torch.nn.Linear, *, scale: float) -> None:
        super().__init__()
        self.inner, self.scale = inner, scale
        self.down = torch.nn.Parameter(torch.randn(2, inner.in_features))
        self.up = torch.nn.Parameter(torch.randn(inner.out_features, 2))

    def forward(self, values: torch.Tensor, *rest: Any) -> torch.Tensor:
        return self.inner(values) + self.scale * (values @ self.down.T @ self.up.T)


def test_an_adapter_acts_alone_and_in_batches_and_is_gone_when_it_is_taken_off() -> None:
    pipeline = tiny_pipelines.build("stable_diffusion", "StableDiffusionPipeline")
    before = drawn(load_model(pipeline), *TEXTS, size="32x32")
    torch.manual_seed(3)
    adapters: list[LowRank] = []
    for module in list(pipeline.unet.modules()):
        if isinstance(getattr(module, "to_q", None), torch.nn.Linear):
            module.to_q = LowRank(module.to_q, scale=1.0)
            adapters.append(module.to_q)
    assert adapters
    model = load_model(pipeline)
    together = drawn(model, *TEXTS, size="32x32")
    assert model._together  # a trial has allowed the batch
    assert apart(together, [drawn(load_model(pipeline), text, size="32x32")[0] for text in TEXTS]) <= EXACT
    assert apart(before, together) > EXACT
    for adapter in adapters:
        adapter.scale = 0.0
    assert apart(before, drawn(model, *TEXTS, size="32x32")) <= EXACT
    assert model.identity is None


@pytest.mark.parametrize("how", ["model", "groups"])
def test_parts_that_are_fetched_when_they_work_draw_the_same(how: str) -> None:
    plain = tiny_pipelines.build("stable_diffusion_xl", "StableDiffusionXLPipeline")
    offloaded = tiny_pipelines.build("stable_diffusion_xl", "StableDiffusionXLPipeline")
    if how == "model":
        offloaded.enable_model_cpu_offload(device="cpu")
    else:
        here = torch.device("cpu")
        offloaded.enable_group_offload(onload_device=here, offload_device=here, offload_type="leaf_level")
    model = load_model(offloaded)
    assert apart(drawn(model, *TEXTS, size="32x32"), drawn(load_model(plain), *TEXTS, size="32x32")) <= EXACT
    found = whygen.explain_prompt(
        offloaded, "a fox at sea", budget=12, settings=Settings(extra={"steps": 1, "size": "32x32"}), cache=None,
        encoder="patches",
    )  # fmt: skip
    assert len(found.units) == 4


@pytest.mark.parametrize("kind", ["picture", "video"])
def test_a_pipeline_in_training_mode_is_asked_without_dropout_and_put_back(kind: str) -> None:
    if kind == "picture":
        pipeline = tiny_pipelines.build("stable_diffusion", "StableDiffusionPipeline")
        told: dict[str, Any] = {"steps": 2, "size": "32x32"}
    else:
        pipeline, told = tiny_media.pipeline("AnimateDiff"), tiny_media.SETTINGS["AnimateDiff"]
    asked = Request(prompt="a fox", settings=Settings(extra=told))
    before = load_model(pipeline).answer([asked])[0]
    drops = [part for part in pipeline.unet.modules() if isinstance(part, torch.nn.Dropout)]
    assert drops
    for part in drops:
        part.p = 0.5
    pipeline.unet.train()
    model = load_model(pipeline)
    first, second = model.answer([asked])[0], model.answer([asked])[0]
    assert isinstance(first, Output)
    assert isinstance(second, Output)
    assert isinstance(before, Output)
    assert first.medium == second.medium == before.medium
    assert pipeline.unet.training
    assert not pipeline.vae.training


def controlled(kind: str) -> Any:
    """A pipeline whose drawing follows a second network, which sees a picture."""
    if kind == "FluxControl":
        parts = tiny_pipelines.FAMILIES["flux"]("FluxControlPipeline")
        network = dict(parts["transformer"].config) | {"in_channels": 8, "out_channels": 4}
        parts["transformer"] = diffusers.FluxTransformer2DModel.from_config(network).eval()
        torch.nn.init.normal_(parts["transformer"].proj_out.weight)
        named = ("transformer", "vae", "scheduler", "text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2")
        return diffusers.FluxControlPipeline(**{name: parts[name] for name in named})
    family = "stable_diffusion_xl" if "XL" in kind else "stable_diffusion"
    base = tiny_pipelines.build(family, kind.replace("ControlNet", "").replace("Img2Img", "") + "Pipeline")
    follows = diffusers.ControlNetModel.from_unet(base.unet, conditioning_embedding_out_channels=(4, 8)).eval()
    torch.manual_seed(1)
    with torch.no_grad():
        for weights in follows.parameters():  # its outputs begin as zeros
            weights.add_(0.1 * torch.randn_like(weights))
    more = {} if "XL" in kind else {"requires_safety_checker": False}
    return getattr(diffusers, f"{kind}Pipeline")(**base.components, controlnet=follows, **more)


@pytest.mark.parametrize("kind", ["StableDiffusionControlNet", "StableDiffusionXLControlNet", "FluxControl"])
def test_the_picture_of_an_edit_is_what_the_drawing_follows(kind: str) -> None:
    pipeline = controlled(kind)
    prompts = [Edit(picture(place), text) for place, text in enumerate(TEXTS)]
    model = load_model(pipeline)
    together = drawn(model, *prompts)
    assert apart(together, [drawn(load_model(pipeline), prompt)[0] for prompt in prompts]) <= EXACT
    assert {each.shape for each in together} == {(48, 32, 3)}
    assert apart(drawn(model, Edit(picture(8), TEXTS[0])), drawn(model, Edit(picture(9), TEXTS[0]))) > 0
    [found] = model.answer([Request(prompt="a fox", settings=Settings(extra={"steps": 2}))])
    assert isinstance(found, Failure)
    assert "given none" in found.message
    assert "whygen edit" in found.advice
    explanation = whygen.explain_prompt(
        pipeline, prompts[0], budget=12, settings=Settings(extra={"steps": 1}), cache=None, encoder="patches"
    )
    assert [unit.text for unit in explanation.units] == ["a", "fox"]


def test_a_class_that_needs_two_pictures_names_the_way_before_it_is_asked() -> None:
    with pytest.raises(UsageError, match=r"needs a control_image beside the picture.*def f\(edit: Edit\)"):
        load_model(controlled("StableDiffusionControlNetImg2Img"))


def test_a_size_that_was_asked_for_and_is_not_drawn_is_said() -> None:
    model = load_model(tiny_pipelines.build("stable_diffusion", "StableDiffusionPipeline"))

    def said(drew: tuple[int, int], **extra: Any) -> str:
        values = np.zeros((drew[1], drew[0], 3), dtype=np.uint8)
        request = Request(prompt="a fox", settings=Settings(extra=extra))
        return dict(size_notices(model.uri, request, pictures.picture_of(values))).get("other-size", "")

    assert said((64, 64), size="64x64") == ""
    assert said((64, 64)) == ""
    assert said((1000, 1000), width=1024, height=1024) == ""
    assert "A size of 256 x 256 was asked for" in said((512, 512), size="256x256")
    assert "in other proportions" in said((32, 48), width=48, height=32)
