"""The parts that shares are read against: foils, likeness, trivial reconstructions, areas under curves, new weights."""

# pyright: basic
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import ks_2samp, mannwhitneyu

from whygen.anchors.choosing import choose
from whygen.anchors.foils import (
    BARS,
    NEAREST,
    OTHERS,
    base_of,
    coming_back,
    gains,
    make_foils,
    reconstructions,
    sizes,
    stand_ins,
)
from whygen.anchors.likeness import likeness, own_neighbours
from whygen.anchors.samples import prepare
from whygen.anchors.scoring import noise_for, score
from whygen.encoders import PixelPatches
from whygen.errors import UsageError
from whygen.models.latent import LatentModel
from whygen.stats.auroc import auroc


def model(**fields) -> LatentModel:
    same = {"encode": lambda x: (x.reshape(len(x), -1), np.zeros((len(x), 64), np.float32)), "decode": None}
    known = {**same, "decode": lambda z: z.reshape(-1, 8, 8), "shape": (8, 8), **fields}
    return LatentModel(**known)


def pictures(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((n, 8, 8)).astype(np.float32)


def scored(latent: LatentModel, anchors: np.ndarray, reference: np.ndarray):
    known = prepare(reference, latent)
    made = reconstructions(latent, known, np.random.default_rng(0))
    base = base_of(known, made, np.random.default_rng(0), is_reference=True)
    criteria = choose("kld,sse", known).criteria
    noise = noise_for("mean", seed=0).stream()
    held = score(latent, known, criteria, noise, stand_ins=stand_ins(base, own=True))
    shown = score(latent, prepare(anchors, latent), criteria, noise, stand_ins=stand_ins(base, own=False))
    return criteria, shown, held


def test_the_area_is_that_of_mann_and_whitney_and_its_interval_covers() -> None:
    rng, inside = np.random.default_rng(0), 0
    true = 0.7602  # of normals one apart: the distribution function at 1 / sqrt(2)
    for _ in range(400):
        low, high = np.round(rng.normal(size=60), 2), np.round(rng.normal(1, 1, size=40), 2)
        area, lower, upper = auroc(low, high)
        inside += lower <= true <= upper
    assert area == pytest.approx(mannwhitneyu(high, low).statistic / 2400)
    assert inside / 400 > 0.95 - 3 * np.sqrt(0.05 * 0.95 / 400)
    assert auroc([0.0, 1.0], [2.0, 3.0])[0] == 1.0
    assert auroc(np.zeros(30), np.ones(30))[1] < 0.95  # no width of zero where no error was seen
    assert auroc(np.zeros(9), np.zeros(9))[0] == 0.5
    with pytest.raises(UsageError, match="at least one"):
        auroc([], [1.0])


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 3), (3, 8, 8), (50,)])
def test_foils_keep_what_they_should_keep(shape: tuple[int, ...]) -> None:
    samples = np.random.default_rng(0).random((40, *shape)).astype(np.float32) * 0.2 + 0.4
    latent = LatentModel(encode=lambda x: (x, x), decode=lambda z: z, shape=shape)
    base = prepare(samples, latent)
    made = {foil.name: foil.prepared.rows(slice(None)) for foil in make_foils(base, 30, np.random.default_rng(1))}
    assert {each.shape for each in made.values()} == {(30, *shape)}
    known = {tuple(np.sort(row.ravel())) for row in samples}
    assert all(tuple(np.sort(row.ravel())) in known for row in made["shuffled"])
    means = made["noise"].reshape(30, -1).mean(axis=1)
    assert np.abs(samples.reshape(40, -1).mean(axis=1)[:, None] - means).min(axis=0).max() < 1e-3
    assert made["blends"].std() < samples.std()


def test_noise_has_the_spectrum_of_its_sample() -> None:
    samples = np.cumsum(np.cumsum(np.random.default_rng(0).normal(size=(1, 8, 8)), axis=1), axis=2).astype(np.float32)
    base = prepare(samples, LatentModel(encode=lambda x: (x, x), decode=lambda z: z, value_range=(-np.inf, np.inf)))
    noise = next(foil for foil in make_foils(base, 3, np.random.default_rng(1)) if foil.name == "noise")
    for row in noise.prepared.rows(slice(None)):
        assert np.abs(np.fft.fft2(row)) == pytest.approx(np.abs(np.fft.fft2(samples[0])), rel=1e-2, abs=0.05)
        assert np.abs(row - samples[0]).max() > 0.1


def test_simple_samples_compress() -> None:
    like = pictures(20)
    assert (sizes(np.zeros((3, 8, 8), np.float32), like=like) < sizes(like, like=like).min()).all()


@pytest.mark.parametrize("shift", [0.0, 0.4])
def test_likeness_rejects_as_often_as_it_says(shift: float) -> None:
    latent, told = model(value_range=(-9.0, 9.0)), []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        one, two = rng.normal(size=(60, 8, 8)), rng.normal(shift, 1, size=(80, 8, 8))
        values = rng.normal(size=(60, 2)), rng.normal(size=(80, 2))
        near = own_neighbours(prepare(one, latent), prepare(two, latent), np.random.default_rng(seed))
        told.append(likeness(near, values, np.random.default_rng(seed)).told_apart)
    assert np.mean(told) == (pytest.approx(0.05, abs=0.085) if shift == 0 else 1.0)


def test_likeness_sees_criteria_and_says_nothing_of_few() -> None:
    latent, rng = model(), np.random.default_rng(0)
    one, two = prepare(pictures(50), latent), prepare(pictures(50, 1), latent)
    values = rng.normal(size=(50, 1)), rng.normal(2, 1, size=(50, 1))
    found = likeness(own_neighbours(one, two, np.random.default_rng(1)), values, np.random.default_rng(1))
    assert found.told_apart
    assert found.p_value >= ks_2samp(values[0][:, 0], values[1][:, 0]).pvalue
    assert own_neighbours(prepare(pictures(9), latent), two, rng) is None
    assert likeness(None, (values[0][:9], values[1]), rng) is None


def test_trivial_reconstructions_are_what_they_are_called() -> None:
    reference, anchors = pictures(40, 1), pictures(10, 2)
    _, shown, held = scored(model(), anchors, reference)
    mean = reference.mean(axis=0)
    assert shown.stand_ins["mean"][:, 1] == pytest.approx(((anchors - mean) ** 2).sum(axis=(1, 2)), rel=1e-4)
    flat = anchors.mean(axis=(1, 2), keepdims=True)
    assert shown.stand_ins["constant"][:, 1] == pytest.approx(((anchors - flat) ** 2).sum(axis=(1, 2)), rel=1e-4)
    apart = ((reference[:, None] - reference[None]) ** 2).sum(axis=(2, 3))
    np.fill_diagonal(apart, np.inf)
    assert held.stand_ins[NEAREST][:, 1] == pytest.approx(apart.min(axis=1), rel=1e-3)
    without = (40 * mean - reference) / 39
    assert held.stand_ins["mean"][:, 1] == pytest.approx(((reference - without) ** 2).sum(axis=(1, 2)), rel=1e-4)


@pytest.mark.parametrize("constant", [0.5, 0.0, 0.493])
def test_a_constant_never_comes_back_and_a_copy_always_does(constant: float) -> None:
    reference, anchors = pictures(60, 1), pictures(30, 2)
    one = model(decode=lambda z: np.full((len(z), 8, 8), constant, np.float32))
    criteria, shown, _ = scored(one, anchors, reference)
    assert not coming_back(shown, gains(shown, criteria)).any()
    criteria, shown, _ = scored(model(), anchors, reference)
    assert coming_back(shown, gains(shown, criteria)).all()
    assert np.isnan(gains(shown, criteria)[:, 0]).all()


def test_a_reconstruction_that_does_not_look_comes_back_by_chance_alone() -> None:
    reference, anchors = pictures(100, 1), pictures(400, 2)
    rng = np.random.default_rng(3)
    blind = model(decode=lambda z: (0.5 + 0.05 * rng.normal(size=(len(z), 8, 8))).astype(np.float32))
    criteria, shown, _ = scored(blind, anchors, reference)
    assert coming_back(shown, gains(shown, criteria)).mean() <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)
    assert set(BARS) | {OTHERS} <= set(shown.stand_ins)


def test_new_weights_know_nothing_and_the_model_keeps_its_own() -> None:
    torch = pytest.importorskip("torch")
    from whygen.models.latent.torch_modules import reinitialised, torch_latent

    class Odd(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(4, 4))
            self.free = torch.nn.Parameter(torch.arange(12.0))
            self.norm = torch.nn.BatchNorm1d(4)

        def encode(self, x):
            return self.layer(x), torch.zeros(len(x), 4)

        def decode(self, z):
            return self.norm(z)

    module = Odd().eval()
    with torch.no_grad():
        module.norm.running_mean.fill_(7.0)
    before = {name: each.clone() for name, each in module.state_dict().items()}
    state = torch.random.get_rng_state()
    one, same, other = (reinitialised(module, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(each, before[name]) for name, each in module.state_dict().items())
    assert sorted(one.free.tolist()) == list(range(12))
    assert one.free.tolist() != list(range(12))
    assert not torch.equal(one.layer.weight, module.layer.weight)
    assert one.norm.running_mean.tolist() == [0.0] * 4
    for name, each in one.state_dict().items():
        assert torch.equal(each, same.state_dict()[name])
    assert not torch.equal(one.free, other.free)
    assert torch_latent(module).untrained(1).decode(np.ones((2, 4), np.float32)).shape == (2, 4)
    with pytest.raises(UsageError, match="no weights"):
        reinitialised(torch.nn.Identity(), 0)


@pytest.mark.parametrize("size", [(16, 16), (13, 20)])
def test_cells_are_what_the_encoder_of_patches_gives(size: tuple[int, int]) -> None:
    from whygen.anchors.features import installed_features
    from whygen.encoders import load_image_encoder
    from whygen.media import pictures

    coarse = np.random.default_rng(0).random((5, 4, 4, 3))
    rows, columns = (np.arange(side) * 4 // side for side in size)
    samples = coarse[:, rows][:, :, columns].astype(np.float32)
    prepared = prepare(samples, LatentModel(encode=lambda x: (x, x), decode=lambda z: z, layout="NHWC"))
    features = installed_features(prepared)
    assert features is not None
    expected = load_image_encoder("patches").images(
        [pictures.picture_of((one * 255).round().astype(np.uint8)) for one in samples]
    )
    assert np.linalg.norm(features(samples) - expected, axis=1).max() < 0.15  # boxes here, bicubic there
    grey = prepare(samples[..., 0], LatentModel(encode=lambda x: (x, x), decode=lambda z: z))
    assert installed_features(grey) is None


def test_colour_pictures_take_the_encoder_that_is_here_and_say_when_none_has_learned_to_see(monkeypatch) -> None:
    from whygen.anchors import features

    class Sees:
        name = "sees"

        def images(self, pictures):
            return np.array([np.asarray(each).mean(axis=(0, 1)) for each in pictures])

    model = LatentModel(encode=lambda x: (x, x), decode=lambda z: z, layout="NHWC")
    samples = np.random.default_rng(0).random((3, 16, 16, 3), np.float32)
    prepared = prepare(samples, model)
    monkeypatch.setattr(features, "load_image_encoder", lambda name: PixelPatches())
    bare = choose("auto", prepared)
    assert bare.names == ("kld", "feature-l2")
    assert [each.code for each in bare.warnings] == ["no-encoder"]
    assert choose("auto", prepared, encoder=lambda x: x.reshape(len(x), -1)).warnings == ()
    monkeypatch.setattr(features, "load_image_encoder", lambda name: Sees())
    seeing = choose("auto", prepared)
    assert seeing.warnings == ()
    assert "sees, which is installed" in seeing.reason
    endless = prepare(samples, replace(model, value_range=(-np.inf, np.inf)))
    assert "give value_range=" in choose("auto", endless).reason
