"""Criteria: closed forms, agreement with scikit-image, independence of the batch."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whygen.anchors.choosing import choose
from whygen.anchors.criteria import dssim, kld, mse, sse
from whygen.anchors.features import features
from whygen.anchors.samples import prepare
from whygen.anchors.scoring import Generation, noise_for, score
from whygen.errors import DataError, ModelError, UnknownNameError, UsageError
from whygen.models.latent import UNBOUNDED, LatentModel
from whygen.stats.seeds import generator

DIM, LATENT = 12, 3
WEIGHTS = generator(0, "test", "weights").standard_normal((DIM, LATENT)).astype(np.float32)


def linear_model(batch_size: int | None = None) -> LatentModel:
    """Row by row on purpose: no result of one sample can depend on its batch."""

    def encode(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean = np.stack([row @ WEIGHTS for row in samples])
        return mean, np.tanh(mean) - 1

    def decode(latents: np.ndarray) -> np.ndarray:
        return np.stack([1 / (1 + np.exp(-(WEIGHTS @ row))) for row in latents])

    return LatentModel(encode=encode, decode=decode, shape=(DIM,), latent_dim=LATENT, batch_size=batch_size)


def samples(n: int, seed: int = 0) -> np.ndarray:
    return generator(seed, "test", "samples").random((n, DIM)).astype(np.float32)


def test_kld_of_a_known_gaussian_is_its_closed_form() -> None:
    mean, sd = np.array([[1.5, -2.0, 0.0]]), np.array([[0.5, 2.0, 1.0]])
    expected = sum(-math.log(s) + (s * s + m * m) / 2 - 0.5 for m, s in zip(mean[0], sd[0], strict=True))
    assert kld(mean, 2 * np.log(sd))[0] == pytest.approx(expected, abs=1e-12)


@given(st.integers(1, 6), st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_kld_agrees_with_monte_carlo_integration(dim: int, seed: int) -> None:
    rng = generator(seed, "kld")
    mean, logvar = rng.normal(size=(1, dim)), rng.normal(scale=0.5, size=(1, dim))
    z = mean + np.exp(logvar / 2) * rng.standard_normal((20_000, dim))
    log_ratio = (0.5 * z**2 - 0.5 * (z - mean) ** 2 / np.exp(logvar) - logvar / 2).sum(axis=1)
    spread = log_ratio.std() / math.sqrt(len(z))
    assert kld(mean, logvar)[0] == pytest.approx(log_ratio.mean(), abs=6 * spread + 1e-9)


def test_kld_is_zero_at_the_prior_and_positive_elsewhere() -> None:
    assert kld(np.zeros((2, 5)), np.zeros((2, 5))) == pytest.approx([0, 0])
    rng = generator(0, "positive")
    assert (kld(rng.normal(size=(50, 4)), rng.normal(size=(50, 4))) > 0).all()


def test_sse_and_mse_are_sums_and_means_of_squares() -> None:
    one, other = samples(4), samples(4, seed=1)
    assert sse(one, other) == pytest.approx([float(((a - b) ** 2).sum()) for a, b in zip(one, other, strict=True)])
    assert mse(one, other) == pytest.approx(sse(one, other) / DIM)


@pytest.mark.parametrize(("shape", "span"), [((9, 12, 1), 1.0), ((28, 28, 1), 1.0), ((16, 10, 3), 2.0)])
def test_dssim_is_that_of_skimage(shape: tuple[int, ...], span: float) -> None:
    skimage = pytest.importorskip("skimage.metrics")
    rng = generator(0, "ssim")
    one, other = rng.random((5, *shape)) * span, rng.random((5, *shape)) * span
    expected = [
        (1 - skimage.structural_similarity(a, b, data_range=span, channel_axis=-1)) / 2
        for a, b in zip(one, other, strict=True)
    ]
    assert dssim(one, other, span=span) == pytest.approx(expected, abs=1e-10)
    assert dssim(one, one, span=span) == pytest.approx(np.zeros(5), abs=1e-12)


def test_dssim_of_tiny_images_says_what_to_do() -> None:
    with pytest.raises(DataError, match="at least 3 x 3"):
        dssim(np.zeros((1, 2, 5, 1)), np.zeros((1, 2, 5, 1)), span=1.0)


@pytest.mark.parametrize("draws", [1, 4, "mean"])
@pytest.mark.parametrize("kind", ["shared", "independent"])
def test_same_seed_same_answer_in_any_batch_size(draws: int, kind: str) -> None:
    prepared = prepare(samples(23), linear_model())
    chosen = choose("kld,sse", prepared)
    noise = noise_for(draws, seed=5, kind=kind)
    found = [
        score(linear_model(size), prepared, chosen.criteria, noise.stream("anchors")).draws for size in (1, 5, 23, 100)
    ]
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


def test_shared_noise_gives_a_sample_one_score_wherever_it_stands() -> None:
    data = samples(17)
    order = generator(0, "order").permutation(17)
    noise = noise_for(3, seed=1)
    prepared, shuffled = prepare(data, linear_model()), prepare(data[order], linear_model(), what="reference sample")
    criteria = choose("kld,sse", prepared).criteria
    one = score(linear_model(4), prepared, criteria, noise.stream("anchors")).draws
    other = score(linear_model(7), shuffled, criteria, noise.stream("reference")).draws
    np.testing.assert_array_equal(one[:, order], other)


def test_generated_samples_do_not_depend_on_the_batch() -> None:
    prepared = prepare(samples(2), linear_model())
    criteria = choose("kld,sse", prepared).criteria
    noise = noise_for(1, seed=0, kind="independent")
    found = [
        np.concatenate(list(Generation(linear_model(size), prepared, criteria, noise, round_=2).part(slice(0, 31))))
        for size in (4, 31)
    ]
    np.testing.assert_array_equal(found[0], found[1])


def test_auto_takes_pixels_for_small_simple_images_and_says_why() -> None:
    model = LatentModel(encode=lambda x: (x, x), decode=lambda z: z)
    chosen = choose("auto", prepare(np.zeros((3, 28, 28), np.uint8), model))
    assert chosen.names == ("kld", "sse")
    assert "28 x 28 x 1" in chosen.reason


def test_auto_takes_features_for_complex_images_where_there_is_an_encoder() -> None:
    model = LatentModel(encode=lambda x: (x, x), decode=lambda z: z)
    coloured = prepare(np.zeros((3, 32, 32, 3), np.uint8), model, layout="NHWC")
    assert choose("auto", coloured, encoder=lambda x: x.reshape(len(x), -1)).names == ("kld", "feature-l2")
    installed = choose("auto", coloured)
    assert installed.names == ("kld", "feature-l2")
    assert "which is installed" in installed.reason
    unbounded = LatentModel(encode=lambda x: (x, x), decode=lambda z: z, value_range=UNBOUNDED)
    without = choose("auto", prepare(np.zeros((3, 32, 32, 3), np.float32), unbounded, layout="NHWC"))
    assert without.names == ("kld", "sse")
    assert "encoder" in without.reason


def test_fid_pair_is_the_square_of_feature_l2() -> None:
    prepared = prepare(samples(6), linear_model())
    chosen = choose("feature-l2,fid-pair", prepared, encoder=lambda x: x[:, :4])
    assert [criterion.kind for criterion in chosen.criteria] == ["extrinsic", "extrinsic"]
    values = score(linear_model(), prepared, chosen.criteria, noise_for(1, seed=0).stream()).values
    assert values[:, 1] == pytest.approx(values[:, 0] ** 2)


def test_any_callable_is_an_extrinsic_criterion() -> None:
    def largest(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.abs(one - other).max(axis=1)

    prepared = prepare(samples(6), linear_model())
    chosen = choose(["kld", largest], prepared)
    assert chosen.names == ("kld", "largest")
    assert chosen.kinds == ("intrinsic", "extrinsic")
    assert score(linear_model(), prepared, chosen.criteria, noise_for(1, seed=0).stream()).values.shape == (6, 2)


@pytest.mark.parametrize(
    ("criteria", "error", "message"),
    [
        ("kdl,sse", UnknownNameError, "Did you mean 'kld'"),
        ("kld,feature-l2", UsageError, "encoder"),
        ("kld,kld", UsageError, "each once"),
        ("", UnknownNameError, "criterion"),
    ],
)
def test_criteria_that_cannot_work(criteria: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        choose(criteria, prepare(samples(2), linear_model()))


def test_a_criterion_of_another_shape_is_named() -> None:
    prepared = prepare(samples(3), linear_model())
    chosen = choose(["kld", lambda one, other: one - other], prepared)
    with pytest.raises(DataError, match=r"gave shape \(3, 12\)"):
        score(linear_model(), prepared, chosen.criteria, noise_for(1, seed=0).stream())


@pytest.mark.parametrize("where", ["encode", "decode"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_model_that_returns_nan_is_named_with_the_first_bad_sample(where: str, value: float) -> None:
    good = linear_model(4)

    def broken(method: Callable[..., object]) -> Callable[..., object]:
        def call(batch: np.ndarray) -> object:
            result = method(batch)
            array = np.array(result[0] if isinstance(result, tuple) else result)
            if len(seen) == 2:
                array[1, 0] = value
            seen.append(1)
            return (array, result[1]) if isinstance(result, tuple) else array

        seen: list[int] = []
        return call

    model = LatentModel(
        encode=broken(good.encode) if where == "encode" else good.encode,
        decode=broken(good.decode) if where == "decode" else good.decode,
        shape=(DIM,),
        batch_size=4,
    )
    prepared = prepare(samples(12), model)
    with pytest.raises(ModelError, match=f"{where}.*anchor 9"):
        score(model, prepared, choose("kld,sse", prepared).criteria, noise_for(1, seed=0).stream())


def test_an_encoder_of_features_must_give_one_vector_for_each() -> None:
    with pytest.raises(DataError, match="one vector for each"):
        features(lambda x: np.zeros(3), samples(4))
    with pytest.raises(DataError, match="preprocessing"):
        features(lambda x: np.full((len(x), 2), np.nan), samples(4))


@pytest.mark.parametrize("draws", [0, -1, 2.5, "median", True])
def test_draws_that_are_no_number(draws: object) -> None:
    with pytest.raises(UsageError, match="draws"):
        noise_for(draws, seed=0)
