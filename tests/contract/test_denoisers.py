"""Diffusion models of every kind, asked how well they remove noise from a sample."""

# pyright: basic
from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

import tiny_pipelines
from tiny_parts import vae
from whygen.errors import DataError, UsageError
from whygen.models.denoisers.denoiser import Denoiser
from whygen.models.denoisers.loading import of_network, of_pipeline
from whygen.models.denoisers.schedules import read_schedule

ROUNDING = 1e-5


def small_unet(**more: Any) -> Any:
    torch.manual_seed(0)
    return diffusers.UNet2DModel(
        sample_size=8, in_channels=1, out_channels=1, block_out_channels=(4, 8), layers_per_block=1, norm_num_groups=2,
        down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2, add_attention=False, **more,
    )  # fmt: skip


def built(name: str, parts: dict[str, Any]) -> Any:
    made = getattr(diffusers, name)
    known = inspect.signature(made.__init__).parameters
    return made(**{key: part for key, part in parts.items() if key in known})


def dit() -> Any:
    torch.manual_seed(0)
    network = diffusers.DiTTransformer2DModel(
        sample_size=8, num_layers=1, patch_size=2, attention_head_dim=8, num_attention_heads=2, in_channels=4,
        out_channels=8, num_embeds_ada_norm=1000,
    )  # fmt: skip
    with torch.no_grad():
        network.proj_out_2.weight.normal_(std=0.2)
    scheduler = diffusers.DDIMScheduler(clip_sample=False)
    return diffusers.DiTPipeline(network, vae(4, blocks=2), scheduler, id2label={0: "tench", 7: "cock, rooster"})


def latent_ddpm() -> Any:
    coder = diffusers.VQModel(block_out_channels=(4,), latent_channels=3, norm_num_groups=1, num_vq_embeddings=16)
    torch.manual_seed(0)
    network = diffusers.UNet2DModel(
        sample_size=8, in_channels=3, out_channels=3, block_out_channels=(4, 8), layers_per_block=1, norm_num_groups=2,
        down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2, add_attention=False,
    )  # fmt: skip
    return diffusers.LDMPipeline(coder, network, diffusers.DDIMScheduler(clip_sample=False))


def of_text(name: str, family: str) -> Callable[[], Any]:
    def make() -> Any:
        torch.manual_seed(0)
        return built(name, getattr(tiny_pipelines, family)(name))

    return make


PIPELINES: dict[str, Callable[[], Any]] = {
    "ddpm": lambda: diffusers.DDPMPipeline(small_unet(), diffusers.DDPMScheduler(clip_sample=False)),
    "ddim": lambda: diffusers.DDIMPipeline(small_unet(), diffusers.DDIMScheduler(clip_sample=False)),
    "latent": latent_ddpm,
    "dit": dit,
    "sd": of_text("StableDiffusionPipeline", "stable_diffusion"),
    "sdxl": of_text("StableDiffusionXLPipeline", "stable_diffusion_xl"),
    "flux": of_text("FluxPipeline", "flux"),
    "pixart": of_text("PixArtAlphaPipeline", "pixart"),
    "lcm": of_text("LatentConsistencyModelPipeline", "stable_diffusion"),
}
TOLD = {"dit": ["7", "rooster"], "sd": ["a cat", "a red dog"], "sdxl": ["a cat", "a red dog"]}
SIDES = {"flux": (32, 32)}


@cache
def opened(kind: str) -> Denoiser:
    return of_pipeline(PIPELINES[kind](), uri=kind, shape=(3, *SIDES[kind]) if kind in SIDES else None)


def samples_of(model: Denoiser, n: int) -> Any:
    rng = np.random.default_rng(3)
    return rng.uniform(-1, 1, (n, *(side or 8 for side in model.shape or (1, 8, 8)))).astype(np.float32)


def noise_of(samples: Any, seed: int = 5) -> Any:
    return np.random.default_rng(seed).standard_normal((1, *samples.shape[1:])).astype(np.float32)


# --- every kind of pipeline -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PIPELINES)
def test_a_pipeline_tells_losses_and_gives_samples_back_the_same_in_any_batch(kind: str) -> None:
    model = opened(kind)
    samples = samples_of(model, 2)
    noise = noise_of(samples)
    loss = model.loss(samples, model.levels[1], noise)
    again = model.redenoise(samples, model.levels[3], noise)
    assert loss.shape == (2,)
    assert np.isfinite(loss).all()
    assert (loss > 0).all()
    assert again.shape == samples.shape
    alone = samples[1:]
    assert np.allclose(model.loss(alone, model.levels[1], noise), loss[1:], atol=ROUNDING)
    assert np.allclose(model.redenoise(alone, model.levels[3], noise), again[1:], atol=20 * ROUNDING)
    assert not np.allclose(model.loss(samples, model.levels[1], noise_of(samples, 6)), loss)


@pytest.mark.parametrize("kind", ["ddpm", "dit", "sd"])
def test_a_sample_drawn_depends_on_its_seed_and_not_on_its_batch(kind: str) -> None:
    model = opened(kind)
    rng = np.random.default_rng(1)
    together, alone = model.sample(2, np.random.default_rng(1)), [model.sample(1, rng)[0] for _ in range(2)]
    assert together.shape == (2, *(model.shape or ()))
    assert together.min() >= -1
    assert together.max() <= 1
    assert np.allclose(together, alone, atol=2e-3)
    assert not np.allclose(together[0], together[1], atol=1e-2)


@pytest.mark.parametrize("kind", ["latent", "sd"])
def test_a_sample_goes_to_noise_and_back(kind: str) -> None:
    model = opened(kind)
    samples = samples_of(model, 1)
    assert np.array_equal(model.round_trip(samples), model.round_trip(samples))


@pytest.mark.parametrize("kind", TOLD)
def test_a_condition_changes_what_the_network_says_and_its_order_follows_the_samples(kind: str) -> None:
    model = opened(kind)
    assert "unconditioned" in dict(model.notices)
    samples, told = samples_of(model, 2), TOLD[kind]
    noise, level = noise_of(samples), model.levels[4]
    plain = model.loss(samples, level, noise)
    conditioned = model.loss(samples, level, noise, conditions=told)
    assert not np.allclose(conditioned, plain, atol=1e-7)
    turned = model.loss(samples[::-1].copy(), level, noise, conditions=told[::-1])
    assert np.allclose(turned[::-1], conditioned, atol=ROUNDING)


def test_stable_diffusion_asked_through_its_pipeline_says_what_its_network_says_when_it_is_called() -> None:
    pipeline = PIPELINES["sd"]()
    model = of_pipeline(pipeline, uri="sd")
    samples = samples_of(model, 2)
    noise, at = noise_of(samples), model.grid[4]
    with torch.no_grad():
        latents = pipeline.vae.encode(torch.from_numpy(samples)).latent_dist.mode() * pipeline.vae.config.scaling_factor
        given = torch.from_numpy(noise.reshape(-1)[: latents[0].numel()].reshape(1, *latents.shape[1:]))
        words = pipeline.tokenizer(["a cat"] * 2, padding="max_length", max_length=77, return_tensors="pt").input_ids
        x = at.alpha * latents + at.sigma * given
        said = pipeline.unet(x, int(at.time), encoder_hidden_states=pipeline.text_encoder(words)[0]).sample
    wanted = (said - given).double().square().mean(dim=(1, 2, 3)).numpy()
    found = model.loss(samples, model.levels[4], noise, conditions=["a cat", "a cat"])
    assert np.allclose(found, wanted, rtol=1e-4)


def test_the_pipeline_of_a_person_stays_as_it_is() -> None:
    pipeline = PIPELINES["sd"]()
    before = (pipeline.scheduler, type(pipeline.scheduler), pipeline.unet.training, dict(pipeline.config))
    pipeline.unet.train()
    model = of_pipeline(pipeline, uri="sd")
    samples = samples_of(model, 1)
    model.loss(samples, model.levels[0], noise_of(samples))
    model.sample(1, np.random.default_rng(0))
    assert pipeline.unet.training
    assert (pipeline.scheduler, type(pipeline.scheduler)) == before[:2]
    assert dict(pipeline.config) == before[3]


@pytest.mark.parametrize("kind", ["ddpm", "dit", "sd"])
def test_an_untrained_copy_answers_otherwise_and_the_model_as_before(kind: str) -> None:
    model = opened(kind)
    assert model.untrained is not None
    samples = samples_of(model, 1)
    noise, level = noise_of(samples), model.levels[2]
    before = model.loss(samples, level, noise)
    assert not np.allclose(model.untrained(4).loss(samples, level, noise), before)
    assert np.array_equal(model.loss(samples, level, noise), before)


def test_weights_and_schedule_identify_a_model() -> None:
    network = small_unet()
    first, same, other = (
        of_network(network, diffusers.DDPMScheduler(beta_end=end)).identity for end in (0.02, 0.02, 0.03)
    )
    assert first == same
    assert first != other
    assert of_network(lambda x, time: x, diffusers.DDPMScheduler()).identity is None


def test_a_pipeline_is_the_same_before_and_after_it_was_asked() -> None:
    """transformers puts hooks into text encoders when they are first called."""
    model = of_pipeline(PIPELINES["sdxl"](), uri="sdxl")
    before, samples = model.identity, samples_of(model, 1)
    model.loss(samples, model.levels[0], noise_of(samples))
    assert before is not None
    assert model.identity == before


# --- closed forms -----------------------------------------------------------------------------------------------------


def knowing(clean: Any, scheduler: Any) -> Denoiser:
    """A network that knows one sample, and takes everything else for noise on top of it."""
    schedule = read_schedule(scheduler)
    one = torch.from_numpy(clean)

    def network(x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        share = float(time[0]) / 1000
        if schedule.prediction == "flow":
            return (x - one) / share
        level = next(each for each in schedule.known or () if each.time == float(time[0]))
        return level.noise_of(x, one)

    return of_network(network, scheduler, shape=clean.shape[1:])


@pytest.mark.parametrize("name", ["DDPMScheduler", "EulerDiscreteScheduler", "FlowMatchEulerDiscreteScheduler"])
def test_the_loss_under_a_network_that_knows_one_sample_is_the_distance_from_it(name: str) -> None:
    """Its answer is off by alpha (x - known) / sigma."""
    rng = np.random.default_rng(0)
    clean = rng.uniform(-1, 1, (1, 1, 4, 4)).astype(np.float32)
    model = knowing(clean, getattr(diffusers, name)())
    others = np.concatenate([clean, clean + 0.3, rng.uniform(-1, 1, (3, 1, 4, 4)).astype(np.float32)])
    noise = noise_of(clean)
    for at, level in zip(model.grid, model.levels, strict=True):
        wanted = np.square((others - clean) / at.ratio).mean(axis=(1, 2, 3))
        assert np.allclose(model.loss(others, level, noise), wanted, rtol=1e-3, atol=1e-6)
        assert np.allclose(model.redenoise(others, level, noise), clean, atol=1e-3)
    assert np.allclose(model.round_trip(others), clean, atol=1e-3)


def test_a_round_trip_under_the_best_network_of_standard_normal_samples_changes_nothing_but_by_its_steps() -> None:
    """The flow of x = alpha s + sigma e with s and e standard normal stands still (Song et al. 2021)."""
    shares = np.cos(np.linspace(0.02, 0.99, 400) * np.pi / 2) ** 2

    def network(x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        return x * float(np.sqrt(1 - shares[int(time[0])]))

    model = of_network(network, shares, shape=(16,), value_range=(-np.inf, np.inf))
    samples = np.random.default_rng(0).standard_normal((5, 16)).astype(np.float32)
    found = model.round_trip(samples)
    ratio = np.linalg.norm(found) / np.linalg.norm(samples)
    assert np.allclose(found / ratio, samples, atol=1e-4)
    assert 0.85 < ratio < 1.0


def test_levels_are_those_of_the_range_of_values() -> None:
    pixels = of_network(small_unet(), diffusers.FlowMatchEulerDiscreteScheduler())
    bytes_ = of_network(small_unet(), diffusers.FlowMatchEulerDiscreteScheduler(), value_range=(0.0, 1.0))
    halves = [at.ratio / 2 for at in pixels.grid]
    assert [at.ratio for at in bytes_.grid] == pytest.approx(halves)


# --- what cannot work -------------------------------------------------------------------------------------------------


def test_a_network_that_must_be_told_a_class_is_not_asked_without() -> None:
    model = of_network(small_unet(num_class_embeds=3), diffusers.DDPMScheduler())
    samples = samples_of(model, 2)
    noise = noise_of(samples)
    with pytest.raises(UsageError, match="condition='labels'"):
        model.loss(samples, model.levels[0], noise)
    assert np.isfinite(model.loss(samples, model.levels[0], noise, conditions=[0, "2"])).all()
    with pytest.raises(DataError, match="from 0 to 2"):
        model.loss(samples, model.levels[0], noise, conditions=[0, 3])
    with pytest.raises(DataError, match="1 conditions for 2 samples"):
        model.loss(samples, model.levels[0], noise, conditions=[0])


def test_conditions_that_nobody_hears_are_refused() -> None:
    model = opened("ddpm")
    samples = samples_of(model, 1)
    with pytest.raises(UsageError, match="leave the conditions out"):
        model.loss(samples, model.levels[0], noise_of(samples), conditions=["a cat"])


def test_classes_that_the_model_does_not_have_are_refused_with_names_that_it_has() -> None:
    model = opened("dit")
    samples = samples_of(model, 1)
    with pytest.raises(DataError, match=r"0 to 999, or one of cock"):
        model.loss(samples, model.levels[0], noise_of(samples), conditions=["unicorn"])


def test_levels_outside_of_the_grid_are_refused() -> None:
    model = opened("ddpm")
    samples = samples_of(model, 1)
    with pytest.raises(UsageError, match=r"level is 0.99; give one of 0\.428"):
        model.loss(samples, 0.99, noise_of(samples))


def test_networks_that_answer_something_else_are_refused() -> None:
    scheduler = diffusers.DDPMScheduler()
    samples = np.zeros((1, 1, 4, 4), np.float32)
    wrong = of_network(lambda x, time: x.mean(), scheduler, shape=(1, 4, 4))
    with pytest.raises(UsageError, match=r"was given \(1, 1, 4, 4\) and returned \(\)"):
        wrong.loss(samples, wrong.levels[0], samples)
    words = of_network(lambda x, time: "noise", scheduler, shape=(1, 4, 4))
    with pytest.raises(UsageError, match="returned a str"):
        words.loss(samples, words.levels[0], samples)
    with pytest.raises(UsageError, match="must be told text, mask"):
        of_network(lambda x, time, text, mask: x, scheduler)
    with pytest.raises(UsageError, match="give a module or a function"):
        of_network("unet", scheduler)


def test_pipelines_that_make_no_samples_from_noise_are_refused() -> None:
    upscaler = diffusers.LDMSuperResolutionPipeline
    with pytest.raises(UsageError, match="no fixed levels"):
        of_pipeline(object.__new__(upscaler), uri="x")
    parts = tiny_pipelines.stable_diffusion("StableDiffusionInstructPix2PixPipeline")
    with pytest.raises(UsageError, match=r"changes what it is given \(image\)|takes no latents"):
        of_pipeline(built("StableDiffusionDepth2ImgPipeline", {**parts, "depth_estimator": None}), uri="x")


def test_a_pipeline_that_cannot_be_asked_is_refused_in_words() -> None:
    model = of_pipeline(of_text("Flux2KleinPipeline", "flux2_klein")(), uri="x", shape=(3, 32, 32))
    samples = samples_of(model, 1)
    with pytest.raises(UsageError, match=r"Flux2KleinPipeline cannot be asked about latents.*\(f, scheduler\)"):
        model.loss(samples, model.levels[0], noise_of(samples))


def test_a_pipeline_that_begins_from_other_latents_than_given_is_refused() -> None:
    pipeline = PIPELINES["sd"]()

    class Wilful(type(pipeline)):
        def prepare_latents(self, *given: Any, **more: Any) -> Any:
            return super().prepare_latents(*given, **more) + 1.0

    pipeline.__class__ = Wilful
    model = of_pipeline(pipeline, uri="x")
    samples = samples_of(model, 1)
    with pytest.raises(UsageError, match="does not begin from the latents"):
        model.loss(samples, model.levels[0], noise_of(samples))
