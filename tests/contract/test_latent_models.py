"""One suite over every adapter of a latent generator: torch modules of all spellings, diffusers, numpy, objects."""

# pyright: basic
from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from whygen.anchors.scoring import settle
from whygen.errors import MissingError, ModelError, UnknownNameError, UsageError
from whygen.models import LatentModel, load_latent
from whygen.models.options import ModelOptions
from whygen.models.protocols import Decodes, Encodes, Samples
from whygen.stats.seeds import generator

torch = pytest.importorskip("torch")
from whygen.models.latent_mlp import MlpVae, Schedule, Sizes, train_mlp_vae  # noqa: E402
from whygen.models.latent_torch import _sparing, posterior, reconstruction  # noqa: E402

SIZES = Sizes(values=64, hidden=16, latent=4)


def seeded(make: Callable[[], object]) -> object:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make()


class Spelling(MlpVae):
    """The same VAE, whose encode returns what another author would."""

    def __init__(self, spell: Callable[[object, object], object], unspell: Callable[[object], object]) -> None:
        super().__init__(SIZES)
        self._spell, self._unspell = spell, unspell

    def encode(self, samples):
        return self._spell(*super().encode(samples))

    def decode(self, latents):
        return self._unspell(super().decode(latents))


class ConvVae(torch.nn.Module):
    """States nothing of itself; takes (1, 8, 8)."""

    def __init__(self) -> None:
        super().__init__()
        self.down = torch.nn.Conv2d(1, 4, 4, stride=4)
        self.up = torch.nn.ConvTranspose2d(2, 1, 4, stride=4)

    def encode(self, samples):
        return self.down(samples).chunk(2, dim=1)

    def decode(self, latents):
        return torch.sigmoid(self.up(latents))


def normal(mean, logvar):
    return torch.distributions.Normal(mean, torch.exp(logvar / 2))


SPELLINGS = {
    "tuple": (lambda m, v: (m, v), lambda x: x),
    "mapping": (lambda m, v: {"mu": m, "log_var": v}, lambda x: {"reconstruction": x}),
    "object": (lambda m, v: SimpleNamespace(mean=m, logvar=v), lambda x: SimpleNamespace(sample=x)),
    "latent_dist": (lambda m, v: SimpleNamespace(latent_dist=SimpleNamespace(mean=m, logvar=v)), lambda x: (x, None)),
    "distribution": (normal, lambda x: torch.distributions.Bernoulli(probs=x)),
    "list of one": (lambda m, v: [(m, v)], lambda x: [x]),
}


def numpy_model() -> LatentModel:
    weights = generator(0, "weights").normal(scale=0.1, size=(64, 4)).astype(np.float32)
    return LatentModel(
        encode=lambda x: (x @ weights, np.zeros((len(x), 4), np.float32)),
        decode=lambda z: (1 / (1 + np.exp(-z @ weights.T))).astype(np.float32),
        shape=(64,),
        latent_dim=4,
    )


class PlainObject:
    """Not of torch, and not of whygen."""

    sample_shape = (64,)
    value_range = (0.0, 1.0)
    latent_dim = 4

    def encode(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return numpy_model().encode(samples)

    def decode(self, latents: np.ndarray) -> np.ndarray:
        return numpy_model().decode(latents)


ADAPTERS: dict[str, Callable[[], object]] = {
    "torch mlp": lambda: seeded(lambda: MlpVae(SIZES)),
    "torch conv": lambda: seeded(ConvVae),
    "numpy": numpy_model,
    "object": PlainObject,
    **{f"torch {name}": lambda pair=pair: seeded(lambda: Spelling(*pair)) for name, pair in SPELLINGS.items()},
}


@pytest.fixture(params=ADAPTERS)
def model(request: pytest.FixtureRequest) -> LatentModel:
    return settle(load_latent(ADAPTERS[request.param]()), samples())


@pytest.fixture(scope="module")
def saved_autoencoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    diffusers = pytest.importorskip("diffusers")
    module = seeded(
        lambda: diffusers.AutoencoderKL(
            in_channels=3,
            out_channels=3,
            down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
            up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
            block_out_channels=(8, 16),
            layers_per_block=1,
            latent_channels=4,
            norm_num_groups=4,
            sample_size=16,
        )
    )
    folder = tmp_path_factory.mktemp("autoencoder") / "pipeline"
    module.save_pretrained(folder / "vae")
    (folder / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    return folder


def samples(n: int = 5) -> np.ndarray:
    return generator(0, "images").random((n, 8, 8)).astype(np.float32)


def taken(model: LatentModel, n: int = 5) -> np.ndarray:
    return samples(n).reshape(n, *model.shape)


def test_it_fulfils_the_protocols(model: LatentModel) -> None:
    assert isinstance(model, Encodes)
    assert isinstance(model, Decodes)
    assert isinstance(model, Samples)
    assert model.uri


def test_encode_gives_mean_and_log_variance_of_each_sample(model: LatentModel) -> None:
    mean, logvar = model.encode(taken(model))
    assert mean.shape == logvar.shape == (5, model.latent_dim)
    assert mean.dtype == logvar.dtype == np.float32
    assert np.isfinite(mean).all()
    assert np.isfinite(logvar).all()


def test_decode_gives_samples_of_the_shape_they_came_in(model: LatentModel) -> None:
    mean, _ = model.encode(taken(model))
    made = model.decode(mean)
    assert made.shape == (5, *model.shape)
    assert made.dtype == np.float32
    low, high = model.value_range
    assert made.min() >= low
    assert made.max() <= high


def test_batches_change_nothing_but_rounding(model: LatentModel) -> None:
    data = taken(model)
    mean, logvar = model.encode(data)
    one_by_one = [model.encode(data[i : i + 1]) for i in range(5)]
    assert np.concatenate([m for m, _ in one_by_one]) == pytest.approx(mean, abs=1e-5)
    assert np.concatenate([v for _, v in one_by_one]) == pytest.approx(logvar, abs=1e-5)
    assert np.concatenate([model.decode(row[None]) for row in mean]) == pytest.approx(model.decode(mean), abs=1e-5)


def test_samples_come_from_the_generator_alone(model: LatentModel) -> None:
    one, again = (model.sample(3, generator(7, "sample")) for _ in range(2))
    np.testing.assert_array_equal(one, again)
    assert one.shape == (3, *model.shape)
    assert not np.array_equal(one, model.sample(3, generator(8, "sample")))


def test_all_spellings_of_one_module_agree() -> None:
    mean, logvar = load_latent(ADAPTERS["torch mlp"]()).encode(samples().reshape(5, 64))
    for name in SPELLINGS:
        found = load_latent(ADAPTERS[f"torch {name}"]()).encode(samples().reshape(5, 64))
        assert found[0] == pytest.approx(mean, abs=1e-6)
        assert found[1] == pytest.approx(logvar, abs=1e-5)


def test_a_module_is_left_as_it_was() -> None:
    module = seeded(lambda: MlpVae(SIZES)).train()
    module.trunk.eval()
    state, draw = torch.get_rng_state(), [part.training for part in module.modules()]
    load_latent(module).encode(samples().reshape(5, 64))
    assert [part.training for part in module.modules()] == draw
    assert torch.equal(torch.get_rng_state(), state)


def test_half_precision_is_asked_for_by_name() -> None:
    found = load_latent(ADAPTERS["torch mlp"](), ModelOptions(dtype="bfloat16"))
    mean, _ = found.encode(samples().reshape(5, 64))
    assert mean.dtype == np.float32
    with pytest.raises(UsageError, match="dtype is 'half float'"):
        load_latent(ADAPTERS["torch mlp"](), ModelOptions(dtype="half float"))


def test_memory_that_does_not_hold_a_batch_gets_halves_of_it() -> None:
    sizes: list[int] = []

    def call(batch: np.ndarray) -> tuple[np.ndarray, ...]:
        sizes.append(len(batch))
        if len(batch) > 3:
            raise RuntimeError("CUDA out of memory. Tried to allocate more")
        return (batch * 2,)

    (found,) = _sparing(call, np.arange(10, dtype=np.float32))
    np.testing.assert_array_equal(found, np.arange(10) * 2)
    assert sizes == [10, 5, 2, 3, 5, 2, 3]

    def never(batch: np.ndarray) -> tuple[np.ndarray, ...]:
        raise RuntimeError("out of memory")

    with pytest.raises(ModelError, match="single sample"):
        _sparing(never, np.zeros(4, np.float32))


@pytest.mark.parametrize("answer", [torch.zeros(2, 3), (torch.zeros(2),) * 3, "text", None])
def test_what_is_no_posterior_is_described(answer: object) -> None:
    with pytest.raises(UsageError, match="encode of the model returned"):
        posterior(answer)
    if not torch.is_tensor(answer) and not isinstance(answer, tuple):
        with pytest.raises(UsageError, match="decode of the model returned"):
            reconstruction(answer)


def test_what_cannot_encode_is_an_error_that_says_what_to_give() -> None:
    with pytest.raises(UsageError, match="LatentModel"):
        load_latent(lambda text: text)
    with pytest.raises(UsageError, match="provider/name"):
        load_latent("digits")
    with pytest.raises(UnknownNameError, match="difusers"):
        load_latent("difusers/x")


def test_the_users_own_code_is_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import numpy as np\nclass Vae:\n    sample_shape = (4,)\n"
    code += "    def encode(self, x): return x, x * 0\n    def decode(self, z): return z\n"
    code += "def build(): return Vae()\nvae = Vae()\ndef answer(prompt): return prompt\n"
    (tmp_path / "my_latent_model.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    for name in ("build", "vae", "Vae"):
        model = load_latent(f"py/my_latent_model:{name}")
        assert model.shape == (4,)
        assert model.encode(np.ones((2, 4), np.float32))[0].shape == (2, 4)
        assert model.uri == f"py/my_latent_model:{name}"
    with pytest.raises(UsageError, match="no methods encode and decode"):
        load_latent("py/my_latent_model:answer")


def test_fields_of_a_latent_model_are_checked() -> None:
    with pytest.raises(UsageError, match="value_range"):
        LatentModel(encode=len, decode=len, value_range=(1, 0))
    with pytest.raises(UsageError, match="layout"):
        LatentModel(encode=len, decode=len, layout="CHW")
    with pytest.raises(UsageError, match="batch_size"):
        LatentModel(encode=len, decode=len, batch_size=0)
    with pytest.raises(UsageError, match="latent_dim"):
        LatentModel(encode=len, decode=len).sample(2, generator(0))


@pytest.mark.parametrize("part", ["", "/vae"])
def test_a_saved_autoencoder_opens_by_uri(saved_autoencoder: Path, part: str) -> None:
    folder = saved_autoencoder if part else saved_autoencoder / "vae"
    model = load_latent(f"diffusers/{folder}{part}")
    assert model.value_range == (-1.0, 1.0)
    images = generator(0, "rgb").random((3, 16, 16, 3)).astype(np.float32) * 2 - 1
    ready = settle(model, images)
    mean, logvar = ready.encode(images.transpose(0, 3, 1, 2))
    assert mean.shape == logvar.shape == (3, 4 * 8 * 8)
    assert ready.decode(mean).shape == (3, 3, 16, 16)
    assert ready.sample(2, generator(0)).shape == (2, 3, 16, 16)


def test_pipelines_and_what_is_not_there_say_what_to_do(saved_autoencoder: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="/vae"):
        load_latent(f"diffusers/{saved_autoencoder}")
    with pytest.raises(MissingError, match="config"):
        load_latent(f"diffusers/{tmp_path}")


def test_training_is_seeded_and_learns() -> None:
    data = np.repeat(generator(0, "train").random((4, 64)) > 0.5, 10, axis=0).astype(np.float32)
    losses: list[float] = []
    schedule = Schedule(epochs=60, batch=10, rate=5e-3)
    state = torch.get_rng_state()
    one = train_mlp_vae(data, seed=3, sizes=SIZES, schedule=schedule, after_epoch=lambda _, loss: losses.append(loss))
    again = train_mlp_vae(data, seed=3, sizes=SIZES, schedule=schedule)
    assert torch.equal(torch.get_rng_state(), state)
    assert losses[-1] < 0.5 * losses[0]
    assert math.isfinite(losses[-1])
    for a, b in zip(one.parameters(), again.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-5)
