"""The importance-weighted bound against the integral that it bounds, and against its limits."""

# pyright: basic
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import whygen
from whygen.anchors import bounds
from whygen.anchors.bounds import iw_elbo
from whygen.anchors.criteria import Batch, kld
from whygen.anchors.options import AnchorOptions
from whygen.errors import UsageError
from whygen.models.latent import Generator
from whygen.stats.seeds import generator

WEIGHTS = np.array([[1.5, -1.0, 0.4, 2.0]], np.float32)


def decode(z: np.ndarray) -> np.ndarray:
    return (1 / (1 + np.exp(-z @ WEIGHTS))).astype(np.float32)


def constant(z: np.ndarray) -> np.ndarray:
    return np.full((len(z), 4), 0.3, np.float32)


def batch(samples: np.ndarray, mean: np.ndarray, logvar: np.ndarray, *, seed: int = 0, decode=decode) -> Batch:
    model = Generator(encode=lambda x: (mean, logvar), decode=decode, latent_dim=mean.shape[1], scale="logvar")
    return Batch(samples, mean, logvar, images=lambda x: x, span=1.0, model=model, seed=seed)


def exact(samples: np.ndarray) -> np.ndarray:
    """-log of the integral over one latent, by the trapezoid rule."""
    grid = np.linspace(-8, 8, 4001)
    made = decode(grid[:, None].astype(np.float32)).astype(np.float64)
    each = np.exp(samples @ np.log(made).T + (1 - samples) @ np.log1p(-made).T - grid**2 / 2) / np.sqrt(2 * np.pi)
    return -np.log(np.trapezoid(each, grid, axis=1))


SAMPLES = generator(0, "samples").random((12, 4)).astype(np.float32)
MEAN = (0.5 * (SAMPLES - 0.5) @ WEIGHTS.T).astype(np.float32)
LOGVAR = np.full((12, 1), -0.3, np.float32)


def test_it_lies_between_the_integral_and_the_elbo(monkeypatch: pytest.MonkeyPatch) -> None:
    def mean_over_seeds(weighted: int) -> np.ndarray:
        monkeypatch.setattr(bounds, "WEIGHTED", weighted)
        return np.mean([iw_elbo(batch(SAMPLES, MEAN, LOGVAR, seed=seed)) for seed in range(600)], axis=0)

    one, many, truth = mean_over_seeds(1), mean_over_seeds(16), exact(SAMPLES)
    assert (many >= truth - 0.005).all()
    assert (one >= many).all()
    np.testing.assert_allclose(many, truth, atol=0.02)


def test_a_decoder_that_ignores_its_latent_costs_the_cross_entropy_alone() -> None:
    prior = np.zeros((12, 3), np.float32), np.zeros((12, 3), np.float32)
    expected = -(SAMPLES * np.log(0.3) + (1 - SAMPLES) * np.log(0.7)).sum(axis=1)
    np.testing.assert_allclose(iw_elbo(batch(SAMPLES, *prior, decode=constant)), expected, rtol=1e-5)
    far = np.full((12, 3), 1.5, np.float32), np.full((12, 3), -0.5, np.float32)
    found = [iw_elbo(batch(SAMPLES, *far, decode=constant, seed=seed)).mean() for seed in range(300)]
    assert expected.mean() <= np.mean(found) <= expected.mean() + kld(*far)[0]


def test_a_sample_scores_the_same_in_any_batch() -> None:
    whole = iw_elbo(batch(SAMPLES, MEAN, LOGVAR))
    part = iw_elbo(batch(SAMPLES[5:7], MEAN[5:7], LOGVAR[5:7]))
    np.testing.assert_allclose(part, whole[5:7], rtol=1e-6)


def test_a_certain_pixel_that_is_wrong_is_a_finite_cost() -> None:
    wrong = iw_elbo(batch(SAMPLES, MEAN, LOGVAR, decode=lambda z: np.zeros((len(z), 4), np.float32)))
    assert np.isfinite(wrong).all()


def test_it_is_a_criterion_by_name_and_only_for_values_between_0_and_1() -> None:
    model = Generator(
        encode=lambda x: (x @ WEIGHTS.T, np.full((len(x), 1), -0.3, np.float32)), decode=decode, shape=(4,),
        value_range=(0.0, 1.0), scale="logvar", latent_dim=1,
    )  # fmt: skip
    reference = generator(1, "reference").random((60, 4)).astype(np.float32)
    options = {"reference": reference, "criteria": "iw-elbo,sse", "cache": None,
               "preset": AnchorOptions(replicates=5, controls="none")}  # fmt: skip
    found = whygen.explain_anchors(model, SAMPLES, **options)
    assert [each.name for each in found.criteria] == ["iw-elbo", "sse"]
    assert not whygen.compare(found, whygen.explain_anchors(model, SAMPLES, seed=1, **options)).tested
    with pytest.raises(UsageError, match="values between 0 and 1"):
        whygen.explain_anchors(replace(model, value_range=(-1.0, 1.0)), SAMPLES, **options)
