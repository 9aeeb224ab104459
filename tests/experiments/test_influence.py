"""VAE-TracIn: the vectorised ways against the loop, its laws, and its errors."""

# pyright: basic
from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whygen.errors import DataError, MissingExtraError, ModelError, UnknownNameError, UsageError
from whygen.stats.seeds import generator
from whygen_experiments.influence import (
    Checkpoint,
    influence,
    looped_influence,
    looped_self_influence,
    negative_elbo,
    self_influence,
)

pytest.importorskip("torch")
import torch
from torch import nn

from whygen_experiments.mlp_vae import MlpVae, Sizes

SETTINGS = {"rate": 1.0, "batch": 1, "interval": 1, "training": 1}
SIZES = (
    Sizes(values=12, hidden=7, latent=3),
    Sizes(values=30, hidden=16, latent=1),
    Sizes(values=5, hidden=4, latent=9),
)


class ConvVae(nn.Module):
    """Convolutions and a batch norm with running statistics: nothing that layers alone can do."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(1, 3, 3, stride=2, padding=1), nn.BatchNorm2d(3), nn.ELU(), nn.Flatten())
        self.stats = nn.Linear(3 * 16, 2 * 2)
        self.up = nn.Sequential(nn.Linear(2, 3 * 16), nn.ELU(), nn.Unflatten(1, (3, 4, 4)))
        self.out = nn.ConvTranspose2d(3, 1, 4, stride=2, padding=1)

    def encode(self, samples):
        return self.stats(self.down(samples)).chunk(2, dim=1)

    def decode(self, latents):
        return torch.sigmoid(self.out(self.up(latents)))


class TiedVae(nn.Module):
    """One layer used twice, one without a bias, one never used."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.again = nn.Linear(6, 6, bias=False), nn.Linear(6, 6)
        self.stats, self.idle = nn.Linear(6, 4), nn.Linear(3, 3)
        self.out = nn.Linear(2, 6, bias=False)

    def encode(self, samples):
        return self.stats(torch.tanh(self.again(torch.tanh(self.again(self.first(samples)))))).chunk(2, dim=1)

    def decode(self, latents):
        return torch.sigmoid(self.again(self.out(latents)))


class TransposedVae(TiedVae):
    """Uses a layer's weight behind its back: layers would miss that part of the gradient."""

    def decode(self, latents):
        return torch.sigmoid(super().decode(latents) @ self.first.weight)


def checkpoints(module_of, *, count: int = 2, seed: int = 0) -> list[Checkpoint]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return [
            Checkpoint(module=module_of().eval(), rate=1e-2, batch=8, interval=5 + i, training=40) for i in range(count)
        ]


def samples(n: int, *shape: int, seed: int = 0) -> np.ndarray:
    return generator(seed, "samples").random((n, *shape), dtype=np.float32)


def rng(seed: int = 3) -> np.random.Generator:
    return generator(seed, "noise")


def worst(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


MODELS = {
    **{
        f"mlp {size.values}-{size.hidden}-{size.latent}": (lambda size=size: MlpVae(size), (size.values,))
        for size in SIZES
    },
    "conv": (ConvVae, (1, 8, 8)),
    "tied": (TiedVae, (6,)),
    "transposed": (TransposedVae, (6,)),
}


@pytest.mark.parametrize("loss", ["cross-entropy", "squared-error"])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_vectorised_value_is_the_looped_one(name: str, loss: str, seed: int) -> None:
    module_of, shape = MODELS[name]
    known, data = checkpoints(module_of, seed=seed), samples(7, *shape, seed=seed)
    expected = looped_self_influence(known, data, rng=rng(), draws=4, loss=loss, weight=2.0)
    for way in ("auto", "vmap"):
        found = self_influence(known, data, rng=rng(), draws=4, loss=loss, weight=2.0, way=way, chunk=3)
        np.testing.assert_allclose(found, expected, rtol=1e-4)
        pairs = influence(known, data[:4], data[4:], rng=rng(), draws=4, loss=loss, weight=2.0, way=way, chunk=2)
        assert (
            worst(pairs, looped_influence(known, data[:4], data[4:], rng=rng(), draws=4, loss=loss, weight=2.0)) < 1e-4
        )


def test_layers_are_taken_only_where_they_are_right() -> None:
    data = samples(3, 6)
    found = self_influence(checkpoints(TiedVae), data, rng=rng(), way="layers")
    np.testing.assert_allclose(found, self_influence(checkpoints(TiedVae), data, rng=rng(), way="vmap"), rtol=1e-4)
    for module_of, shape in ((TransposedVae, (6,)), (ConvVae, (1, 8, 8))):
        with pytest.raises(UsageError, match="way='vmap'"):
            self_influence(checkpoints(module_of), samples(3, *shape), rng=rng(), way="layers")


def test_a_frozen_training_module_counts_in_full_and_stays_as_it_is() -> None:
    (known,) = checkpoints(lambda: MlpVae(SIZES[0]), count=1)
    expected = self_influence([known], samples(3, 12), rng=rng())
    known.module.train().requires_grad_(False)
    np.testing.assert_array_equal(self_influence([known], samples(3, 12), rng=rng()), expected)
    assert known.module.training
    assert not any(each.requires_grad or each.grad is not None for each in known.module.parameters())


def test_closed_form_of_one_linear_layer() -> None:
    """With no latent to speak of (its noise cancels), made = b: the gradient of |b - x|^2 is 2 (b - x)."""

    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.shift = nn.Parameter(torch.tensor([0.25, 0.5]))

        def encode(self, samples):
            return torch.zeros(len(samples), 1), torch.zeros(len(samples), 1)

        def decode(self, latents):
            return self.shift.expand(len(latents), 2)

    data = samples(5, 2)
    known = [Checkpoint(module=Constant(), rate=0.5, batch=4, interval=3, training=6)]
    residual = 2 * (np.array([0.25, 0.5]) - data)
    np.testing.assert_allclose(
        influence(known, data, data[:2], rng=rng(), loss="squared-error"), residual @ residual[:2].T, rtol=1e-4
    )
    np.testing.assert_allclose(
        negative_elbo(known[0].module, data, rng=rng(), loss="squared-error"), (residual**2 / 4).sum(1), rtol=1e-5
    )


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10**6), factor=st.floats(0.1, 10), draws=st.integers(1, 5))
def test_laws(seed: int, factor: float, draws: int) -> None:
    known, data = checkpoints(lambda: MlpVae(SIZES[0]), seed=seed), samples(6, 12, seed=seed)
    own = self_influence(known, data, rng=rng(seed), draws=draws)
    assert (own >= 0).all()
    pairs = influence(known, data, data, rng=rng(seed), draws=draws)
    np.testing.assert_allclose(np.diag(pairs), own, rtol=1e-4)
    assert worst(pairs, pairs.T) < 1e-5
    assert (np.abs(pairs) <= np.sqrt(np.outer(own, own)) * (1 + 1e-4)).all()
    faster = [
        Checkpoint(module=c.module, rate=factor * c.rate, batch=8, interval=c.interval, training=40) for c in known
    ]
    np.testing.assert_allclose(self_influence(faster, data, rng=rng(seed), draws=draws), factor * own, rtol=1e-6)
    apart = sum(self_influence([each], data, rng=rng(seed), draws=draws) for each in known)
    np.testing.assert_allclose(apart, own, rtol=1e-6)
    order = rng(seed).permutation(len(data))
    np.testing.assert_allclose(self_influence(known, data[order], rng=rng(seed), draws=draws), own[order], rtol=1e-4)


def test_self_influence_foretells_a_step_of_descent() -> None:
    """A small step on one sample lowers its loss by rate * |gradient|^2: the definition, taken literally."""
    (known,) = checkpoints(lambda: MlpVae(SIZES[0]).double(), count=1)
    data, rate = samples(1, 12), 1e-6
    before = negative_elbo(known.module, data, rng=rng())
    step = Checkpoint(module=known.module, rate=rate, batch=1, interval=1, training=1)
    expected = self_influence([step], data, rng=rng())
    from whygen_experiments.influence_gradients import Elbo

    elbo = Elbo(known.module, loss="cross-entropy", weight=1.0)
    noise = elbo.tensor(rng().standard_normal((16, 3)))
    elbo(elbo.tensor(data), noise).sum().backward()
    with torch.no_grad():
        for parameter in elbo.inner.parameters():
            parameter.sub_(rate * parameter.grad)
    after = negative_elbo(elbo.inner, data, rng=rng())
    np.testing.assert_allclose(before - after, expected, rtol=1e-2)


def test_errors_say_what_to_do() -> None:
    module = MlpVae(SIZES[0])
    known, data = checkpoints(lambda: MlpVae(SIZES[0])), samples(3, 12)
    for field in ("rate", "batch", "interval", "training"):
        with pytest.raises(UsageError, match=f"{field} of a checkpoint is 0"):
            Checkpoint(module=module, **{**SETTINGS, field: 0})
    with pytest.raises(UsageError, match="without encode"):
        Checkpoint(module=nn.Linear(2, 2), rate=1.0, batch=1, interval=1, training=1)
    with pytest.raises(UsageError, match="No checkpoints"):
        self_influence([], data, rng=rng())
    with pytest.raises(UsageError, match="draws is 0"):
        self_influence(known, data, rng=rng(), draws=0)
    with pytest.raises(UsageError, match="chunk=0"):
        self_influence(known, data, rng=rng(), chunk=0)
    with pytest.raises(UnknownNameError, match="loss 'bce'"):
        self_influence(known, data, rng=rng(), loss="bce")
    with pytest.raises(UnknownNameError, match=r"way 'layer'.*layers"):
        self_influence(known, data, rng=rng(), way="layer")
    with pytest.raises(DataError, match=r"shape \(12,\)"):
        self_influence(known, data[0], rng=rng())
    with pytest.raises(DataError, match="shape \\(11,\\)"):
        self_influence(known, data[:, :11], rng=rng())
    with pytest.raises(DataError, match="Sample 1 holds NaN"):
        self_influence(known, np.where(np.arange(3)[:, None] == 1, np.nan, data), rng=rng())
    with pytest.raises(DataError, match="squared-error"):
        self_influence(known, data * 255, rng=rng())


def test_a_decoder_without_a_sigmoid_has_no_cross_entropy() -> None:
    class Open(MlpVae):
        def decode(self, latents):
            return 100 * self.generator(latents) - 1

    known, data = checkpoints(lambda: Open(SIZES[0])), samples(3, 12)
    with pytest.raises(UsageError, match="sigmoid"):
        self_influence(known, data, rng=rng())
    expected = looped_self_influence(known, data, rng=rng(), loss="squared-error")
    np.testing.assert_allclose(self_influence(known, data, rng=rng(), loss="squared-error"), expected, rtol=1e-4)


@pytest.mark.parametrize("way", ["layers", "vmap"])
def test_a_saturated_value_that_is_wrong_has_its_gradient(way: str) -> None:
    """In single precision the sigmoid of 40 is 1, whose cross-entropy has no gradient; the logit's is 1."""
    (known,) = checkpoints(lambda: MlpVae(SIZES[0]), count=1)
    with torch.no_grad():
        known.module.generator[-1].bias += 40
    data = np.zeros((2, 12), np.float32)
    assert (self_influence([known], data, rng=rng(), way=way) > known.weight * 12 * 0.99).all()
    np.testing.assert_allclose(negative_elbo(known.module, data, rng=rng()), 12 * 40, rtol=0.05)


def test_probabilities_that_no_sigmoid_gave_cost_what_they_should() -> None:
    class Softmax(MlpVae):
        def decode(self, latents):
            return torch.softmax(self.generator(latents), dim=1)

    known, data = checkpoints(lambda: Softmax(SIZES[0])), samples(3, 12)
    expected = looped_self_influence(known, data, rng=rng())
    np.testing.assert_allclose(self_influence(known, data, rng=rng(), way="layers"), expected, rtol=1e-4)
    np.testing.assert_allclose(self_influence(known, data, rng=rng(), way="vmap"), expected, rtol=1e-4)


@pytest.mark.parametrize("loss", ["cross-entropy", "squared-error"])
def test_a_loss_that_overflows_is_the_models_fault(loss: str) -> None:
    (known,) = checkpoints(lambda: MlpVae(SIZES[0]), count=1)
    with torch.no_grad():
        known.module.logvar.bias += 200
    with pytest.raises(ModelError, match="sample 0"):
        self_influence([known], samples(3, 12), rng=rng(), loss=loss, way="vmap")


def test_checkpoints_of_two_models_are_refused() -> None:
    first, second = (checkpoints(lambda size=size: MlpVae(size), count=1) for size in (SIZES[0], replace_latent(5)))
    with pytest.raises(UsageError, match="one training"):
        self_influence([*first, *second], samples(2, 12), rng=rng())


def replace_latent(latent: int) -> Sizes:
    return Sizes(values=SIZES[0].values, hidden=SIZES[0].hidden, latent=latent)


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import whygen_experiments

    known, data = checkpoints(lambda: MlpVae(SIZES[0])), samples(2, 12)
    self_influence(known, data, rng=rng())
    monkeypatch.delattr(whygen_experiments, "influence_gradients")
    monkeypatch.delitem(sys.modules, "whygen_experiments.influence_gradients")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"whygen\[torch\]"):
        self_influence(known, data, rng=rng())


def test_a_module_without_parameters_is_refused() -> None:
    class Bare(nn.Module):
        def encode(self, samples):
            return samples, samples

        decode = encode

    with pytest.raises(UsageError, match="no parameters"):
        self_influence([Checkpoint(module=Bare(), rate=1.0, batch=1, interval=1, training=1)], samples(2, 3), rng=rng())
