"""Anchors of diffusion models: the trained one of `tests/data/denoiser` (zeros of 14 x 14), and small wrong ones."""

# pyright: basic
from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

import whygen
from whygen.anchors.denoising import denoising_losses
from whygen.anchors.samples import prepare
from whygen.anchors.scoring import ModelAsked, _batch
from whygen.errors import DataError, ModelError, UnknownNameError, UsageError
from whygen.models.latent.loading import load_latent
from whygen.models.protocols import ModelOptions

TRAINED = Path(__file__).parents[1] / "data" / "denoiser"
URI = f"diffusers/{TRAINED}"


@cache
def digits() -> tuple[Any, Any, Any]:
    """Anchors of all classes, half of them zeros, their labels, and zeros as a reference; uint8 of 14 x 14."""
    with np.load(str(files("whygen.demo.digits") / "model" / "digits.npz")) as data:
        anchors, labels, reference = data["anchors"], data["labels"], data["reference"]
    rows = np.concatenate([np.flatnonzero(labels == 0)[:30], np.flatnonzero(labels != 0)[:30]])
    return _pooled(anchors[rows]), labels[rows], _pooled(reference[:60])


def _pooled(images: Any) -> Any:
    return images.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4)).round().astype(np.uint8)


@cache
def explained() -> Any:
    anchors, labels, reference = digits()
    return whygen.explain_anchors(
        URI, anchors, labels=labels, reference=reference, cache=None, controls="none", select="k-dispersion:2"
    )


def test_zeros_are_known_to_a_model_of_zeros_and_other_digits_are_not() -> None:
    labels = digits()[1]
    high = explained().evidence.codes == 0
    assert high[labels == 0].mean() > 0.8
    assert high[labels != 0].mean() < 0.3


def test_auto_is_the_loss_and_the_sample_denoised_again_and_says_why() -> None:
    found = explained()
    assert [(each.name, each.kind) for each in found.criteria] == [
        ("denoising-loss", "intrinsic"), ("redenoised", "extrinsic")
    ]  # fmt: skip
    assert "the model removes noise" in found.details.criteria_reason
    assert found.given_back == "re-denoised sample"
    assert found.evidence.reconstructions is not None


def test_scores_are_the_same_in_any_batch_up_to_rounding() -> None:
    anchors, _, reference = digits()
    few = {"reference": reference, "cache": None, "controls": "none", "select": "k-dispersion:2"}
    pipeline = diffusers.DDPMPipeline.from_pretrained(TRAINED)
    found = whygen.explain_anchors(pipeline, anchors, options=ModelOptions(batch_size=7), **few)
    assert np.allclose(found.evidence.values, explained().evidence.values, rtol=1e-4)
    other = whygen.explain_anchors(pipeline, anchors[:4], seed=1, **few)
    assert not np.allclose(other.evidence.values, found.evidence.values[:4], rtol=1e-3)


def test_a_network_with_its_scheduler_is_the_model_of_its_pipeline() -> None:
    pipeline = diffusers.DDPMPipeline.from_pretrained(TRAINED)
    noise = np.random.default_rng(0).standard_normal((1, 1, 14, 14)).astype(np.float32)
    samples = np.zeros((2, 1, 14, 14), np.float32)
    doors = (
        URI, pipeline, (pipeline.unet, pipeline.scheduler), {"unet": pipeline.unet, "scheduler": pipeline.scheduler},
        (pipeline.unet, pipeline.scheduler.alphas_cumprod.numpy()),
    )  # fmt: skip
    losses = []
    for door in doors:
        model = load_latent(door)
        assert model.abilities >= {"denoiser", "samples"}
        assert model.denoiser is not None
        losses.append(model.denoiser.loss(samples, model.denoiser.levels[0], noise))
    assert all(np.allclose(each, losses[0], rtol=1e-4) for each in losses)
    with pytest.raises(UsageError, match=r"before the network; give \(network, scheduler\)"):
        load_latent((pipeline.scheduler, pipeline.unet))


def test_generated_samples_look_like_zeros() -> None:
    """Nearer to held-out zeros than other digits are."""
    anchors, labels, reference = digits()
    made = load_latent(URI).sample(8, np.random.default_rng(0)).reshape(8, -1)
    known = (reference.reshape(len(reference), -1) / 127.5 - 1).astype(np.float32)
    others = (anchors[labels != 0].reshape(30, -1) / 127.5 - 1).astype(np.float32)
    near = [np.linalg.norm(each[:, None] - known, axis=2).min(axis=1) for each in (made, others)]
    assert np.median(near[0]) < np.median(near[1])


def test_round_trip_and_other_distances_can_be_asked_for() -> None:
    anchors, _, reference = digits()
    found = whygen.explain_anchors(
        URI, anchors[:6], reference=reference[:40], criteria="denoising-loss,round-trip,sse", cache=None,
        controls="none", select="k-dispersion:2",
    )  # fmt: skip
    assert np.isfinite(found.evidence.values).all()
    with pytest.raises(UsageError, match="take noise out of samples"):
        whygen.explain_anchors("demo/digits-vae", np.zeros((4, 28, 28), np.uint8), criteria="denoising-loss,sse")


def test_the_noise_of_a_level_is_one_for_all_samples_and_loses_what_is_odd_in_it() -> None:
    model = load_latent(URI)
    prepared = prepare(digits()[0][:3], model)
    both = denoising_losses(_batch(ModelAsked(model, seed=3), prepared, prepared.rows(slice(0, 3)), 0))
    alone = denoising_losses(_batch(ModelAsked(model, seed=3), prepared, prepared.rows(slice(2, 3)), 2))
    assert both.shape == (3, 6)
    assert np.allclose(both[2], alone[0], rtol=1e-4)


# --- conditions -------------------------------------------------------------------------------------------------------


def told_network() -> Any:
    torch.manual_seed(0)
    return diffusers.UNet2DModel(
        sample_size=14, in_channels=1, out_channels=1, block_out_channels=(4, 8), layers_per_block=1, norm_num_groups=2,
        down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2, add_attention=False,
        num_class_embeds=10,
    )  # fmt: skip


def explain_told(**more: Any) -> Any:
    anchors, labels, reference = digits()
    given: dict[str, Any] = {"labels": labels, "reference": (reference, np.zeros(len(reference), int)), **more}
    model = given.pop("model", (told_network(), diffusers.DDPMScheduler()))
    return whygen.explain_anchors(model, anchors, cache=None, select="k-dispersion:2", **given)


def test_the_labels_of_anchors_and_reference_are_what_the_model_is_told() -> None:
    found = explain_told(condition="labels", controls="foils")
    other = explain_told(condition="labels", controls="none", labels=np.zeros(60, int))
    assert "unconditioned" not in {each.code for each in found.warnings}
    values, others = found.evidence.values, other.evidence.values
    zeros = digits()[1] == 0
    assert np.allclose(values[zeros], others[zeros])
    assert not np.allclose(values[~zeros], others[~zeros])


def test_conditions_that_are_missing_or_unknown_are_refused_before_anything_is_scored() -> None:
    with pytest.raises(UsageError, match="Give the classes"):
        explain_told()
    with pytest.raises(UsageError, match="the reference have none"):
        explain_told(condition="labels", reference=digits()[2])
    with pytest.raises(DataError, match="'11' is no class of the model"):
        explain_told(condition="labels", labels=np.full(60, 11))
    with pytest.raises(UsageError, match="is told nothing of a sample"):
        explain_told(condition="labels", model=URI)
    with pytest.raises(UnknownNameError, match="condition"):
        explain_told(condition="captions")


# --- what goes wrong --------------------------------------------------------------------------------------------------


class Failing(torch.nn.Module):
    """Finds no number for a sample that is white somewhere."""

    def forward(self, x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        return torch.where(x.amax(dim=(1, 2, 3), keepdim=True) > 50, torch.nan, x)


def test_a_network_without_a_number_names_the_sample() -> None:
    samples = np.zeros((5, 1, 8, 8), np.float32)
    samples[3] = 100.0
    with pytest.raises(ModelError, match="NaN or an infinite value for anchor 3 with noise"):
        whygen.explain_anchors(
            (Failing(), diffusers.DDPMScheduler()), samples, value_range=(-np.inf, np.inf), cache=None,
            reference=np.random.default_rng(0).normal(size=(40, 1, 8, 8)).astype(np.float32),
        )  # fmt: skip


def test_anchors_of_another_size_are_refused() -> None:
    with pytest.raises(DataError, match=r"shape \(28, 28\).*takes \(1, 14, 14\)"):
        whygen.explain_anchors(URI, np.zeros((4, 28, 28), np.uint8), cache=None)


def test_a_scheduler_without_levels_is_refused_at_the_door() -> None:
    class AdaptiveScheduler:
        def step(self) -> None: ...

    with pytest.raises(UsageError, match="no fixed levels of noise"):
        whygen.explain_anchors((Failing(), AdaptiveScheduler()), np.zeros((4, 8, 8), np.uint8), cache=None)


class Own:
    """A denoiser that somebody wrote for whygen: it takes everything for noise."""

    levels = (0.2, 0.5)
    sample_shape = (4,)
    value_range = (-np.inf, np.inf)

    def loss(self, samples: Any, level: float, noise: Any) -> Any:
        return np.square(samples).mean(axis=1) * level

    def redenoise(self, samples: Any, level: float, noise: Any) -> Any:
        return samples * 0

    def round_trip(self, samples: Any) -> Any:
        return samples


def test_an_object_that_removes_noise_is_a_model() -> None:
    rng = np.random.default_rng(0)
    anchors, reference = rng.normal(size=(30, 4)), rng.normal(size=(60, 4))
    found = whygen.explain_anchors(
        Own(), anchors.astype(np.float32), reference=reference.astype(np.float32), cache=None, controls="none"
    )
    wanted = np.column_stack([np.square(anchors).mean(axis=1) * 0.35, np.linalg.norm(anchors, axis=1)])
    assert np.allclose(found.evidence.values, wanted, rtol=1e-4)


@pytest.mark.parametrize("classes", [None, 3])
def test_a_consistency_model_is_known_by_its_samples(classes: int | None, tmp_path: Path) -> None:
    torch.manual_seed(0)
    unet = diffusers.UNet2DModel(
        sample_size=8, in_channels=1, out_channels=1, block_out_channels=(4,), layers_per_block=1, norm_num_groups=2,
        down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",), num_class_embeds=classes, add_attention=False,
    )  # fmt: skip
    pipeline = diffusers.ConsistencyModelPipeline(unet, diffusers.CMStochasticIterativeScheduler())
    pipeline.save_pretrained(tmp_path / "cm")
    model, same = load_latent(pipeline), load_latent(f"diffusers/{tmp_path / 'cm'}")
    made = model.sample(5, np.random.default_rng(1))
    assert made.shape == (5, 1, 8, 8)
    assert same.sample(5, np.random.default_rng(1)) == pytest.approx(made, abs=1e-5)
    assert model.sample(2, np.random.default_rng(1)) == pytest.approx(made[:2], abs=1e-5)  # each from its own seed
    assert model.abilities == {"samples"}
    assert model.untrained is not None
    assert not np.allclose(model.untrained(1).sample(5, np.random.default_rng(1)), made)
    ((code, text),) = model.notices
    assert code == "samples-alone"
    assert ("all 3 classes" in text) == (classes is not None)
    pictures = np.random.default_rng(0).random((90, 8, 8)).astype(np.float32)
    found = whygen.explain_anchors(model, pictures[:20], reference=pictures[20:], bank=40, controls="none", cache=None)
    assert [each.name for each in found.criteria] == ["realism", "nearest-sample"]
