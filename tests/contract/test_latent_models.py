"""One suite over every adapter of a latent generator: torch modules of all spellings, diffusers, numpy, objects."""

# pyright: basic
from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest

from whygen.anchors.criteria import Criterion
from whygen.anchors.explain import explain_anchors
from whygen.anchors.loading import settle
from whygen.anchors.samples import prepare
from whygen.errors import DataError, MissingError, ModelError, UsageError
from whygen.models import LatentModel, Posterior, load_latent
from whygen.models.protocols import ModelOptions
from whygen.stats.seeds import generator
from whygen.testing import check_latent

torch = pytest.importorskip("torch")
from whygen.models.latent.torch_modules import posterior, reconstruction, sparing  # noqa: E402
from whygen_experiments.mlp_vae import MlpVae, Schedule, Sizes, train_mlp_vae  # noqa: E402

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


class Sigma(NamedTuple):
    mu: object
    sigma: object


def normal(mean, logvar):
    return torch.distributions.Normal(mean, torch.exp(logvar / 2))


SPELLINGS = {
    "tuple": (lambda m, v: (m, v), lambda x: x),
    "mapping": (lambda m, v: {"mu": m, "log_var": v}, lambda x: {"reconstruction": x}),
    "object": (lambda m, v: SimpleNamespace(mean=m, logvar=v), lambda x: SimpleNamespace(sample=x)),
    "latent_dist": (lambda m, v: SimpleNamespace(latent_dist=SimpleNamespace(mean=m, logvar=v)), lambda x: (x, None)),
    "distribution": (normal, lambda x: torch.distributions.Bernoulli(probs=x)),
    "named tuple": (lambda m, v: Sigma(m, torch.exp(v / 2)), lambda x: x),
    "mapping of a variance": (lambda m, v: {"mean": m, "variance": torch.exp(v)}, lambda x: x),
    "mapping of a log-deviation": (lambda m, v: {"loc": m, "log_scale": v / 2}, lambda x: x),
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


def test_it_is_a_latent_generator(model: LatentModel) -> None:
    check_latent(model, taken(model), seed=7)
    assert model.uri
    low, high = model.value_range
    made = model.decode(model.encode(taken(model))[0])
    assert made.min() >= low
    assert made.max() <= high


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
    with pytest.raises(UsageError, match="Unknown dtype 'half float'"):
        load_latent(ADAPTERS["torch mlp"](), ModelOptions(dtype="half float"))


def test_memory_that_does_not_hold_a_batch_gets_halves_of_it() -> None:
    sizes: list[int] = []

    def call(batch: np.ndarray) -> tuple[np.ndarray, ...]:
        sizes.append(len(batch))
        if len(batch) > 3:
            raise RuntimeError("CUDA out of memory. Tried to allocate more")
        return (batch * 2,)

    (found,) = sparing(call, np.arange(10, dtype=np.float32))
    np.testing.assert_array_equal(found, np.arange(10) * 2)
    assert sizes == [10, 5, 2, 3, 5, 2, 3]

    def never(batch: np.ndarray) -> tuple[np.ndarray, ...]:
        raise RuntimeError("out of memory")

    with pytest.raises(ModelError, match="single sample"):
        sparing(never, np.zeros(4, np.float32))


@pytest.mark.parametrize("answer", [torch.zeros(2, 3), (torch.zeros(2),) * 3, "text", None])
def test_what_is_no_posterior_is_described(answer: object) -> None:
    with pytest.raises(UsageError, match="encode of the model returned"):
        posterior(answer)
    if not torch.is_tensor(answer) and not isinstance(answer, tuple):
        with pytest.raises(UsageError, match="decode of the model returned"):
            reconstruction(answer)


def test_what_cannot_encode_is_an_error_that_says_what_to_give() -> None:
    with pytest.raises(UsageError, match=r"Generator\(encode"):
        load_latent(lambda text: text)
    with pytest.raises(UsageError, match="PROVIDER/NAME"):
        load_latent("digits")
    with pytest.raises(UsageError, match="Did you mean diffusers/x"):
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


CALLABLE = """
import functools, numpy as np, torch
from torch import nn
def built(size=4): return nn.Sequential(nn.Linear(size, 6), nn.Sigmoid())
module = built()
wrapped = nn.DataParallel(built())
class Called:
    def __call__(self, *args, **kwargs): raise RuntimeError("a batch is needed")
    def sample(self, n, rng): return rng.random((n, 6))
called = Called()
part, kept = functools.partial(built, 4), functools.lru_cache(built)
def sampler(n, rng): return rng.random((n, 6))
def missing(): return open("/nowhere/weights.pt")
class NeedsAPath(Called):
    def __init__(self, path): self.path = path
class Fails(Called):
    def __init__(self): raise OSError("no weights")
"""


def test_what_can_be_called_is_the_model_unless_it_is_a_function_or_a_class_that_makes_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_callables.py").write_text(CALLABLE)
    monkeypatch.chdir(tmp_path)
    for name in ("module", "wrapped", "called", "part", "kept", "sampler", "built", "Called"):
        assert load_latent(f"py/my_callables:{name}").shape == (6,), name
    for name, told in (
        ("missing", "called for the model, raised FileNotFoundError"),
        ("NeedsAPath", "is a class that needs path. Name an object of it"),
        ("Fails", "called for the model, raised OSError: no weights"),
    ):
        with pytest.raises((ModelError, UsageError), match=told):
            load_latent(f"py/my_callables:{name}")


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


# --- what the second part of a posterior is ------------------------------------------------------------------------


class Deviations(MlpVae):
    """A trained VAE has standard deviations below 1; this one returns them in place of log-variances."""

    def __init__(self) -> None:
        super().__init__(SIZES)
        with torch.no_grad():
            self.logvar.bias -= 2

    def encode(self, samples):
        mean, logvar = super().encode(samples)
        return mean, torch.exp(logvar / 2)


class LogVariances(Deviations):
    def encode(self, samples):
        mean, std = super().encode(samples)
        return mean, 2 * std.log()


def wrapped() -> LatentModel:
    """The same by numpy: nothing but a pair of arrays reaches whygen."""
    inner = load_latent(seeded(Deviations))
    return LatentModel(encode=lambda x: tuple(map(np.asarray, inner.encode(x))), decode=inner.decode, shape=(64,))


@pytest.mark.parametrize("make", [lambda: seeded(Deviations), wrapped])
def test_a_deviation_is_never_read_as_a_log_variance(make) -> None:
    data = {"anchors": samples(40), "reference": samples(90)[40:], "criteria": "kld,sse"}
    with pytest.raises(UsageError, match=r"standard deviations .*variance of 0\.\d+, .*scale='std'.*Posterior"):
        explain_anchors(make(), **data)
    with pytest.raises(UsageError, match="scale is 'sigma'"):
        load_latent(make(), scale="sigma")
    found = explain_anchors(make(), scale="std", **data)
    truth = explain_anchors(seeded(LogVariances), **data)
    assert found.thresholds == pytest.approx(truth.thresholds, rel=1e-5)
    np.testing.assert_array_equal(found.evidence.codes, truth.evidence.codes)
    as_logvar = explain_anchors(make(), scale="logvar", **data)
    assert as_logvar.thresholds["kld"] != pytest.approx(truth.thresholds["kld"], rel=0.1)


@pytest.mark.parametrize(
    ("second", "scale"),
    [
        (lambda v: np.exp(v / 2), "std"),
        (np.exp, "var"),
        (lambda v: v, "logvar"),
    ],
)
def test_every_scale_gives_one_log_variance(second, scale) -> None:
    logvar = generator(0, "logvar").normal(-1, 2, size=(5, 4)).astype(np.float32)
    model = LatentModel(encode=lambda x: (x, second(logvar)), decode=len, scale=scale)
    found = model.posterior(np.zeros((5, 4), np.float32)).logvar
    np.testing.assert_allclose(found, logvar, atol=1e-5)
    model.require_log_variance(np.zeros((5, 4), np.float32))


def test_what_cannot_be_a_deviation_is_taken_as_it_is() -> None:
    def told(second: object, **fields: object) -> LatentModel:
        return LatentModel(encode=lambda x: (x, second), decode=len, **fields)

    rows = np.ones((3, 2), np.float32)
    told(np.zeros((3, 2))).require_log_variance(rows)  # the log of the prior's own variance
    told(np.array([[0.5, 0.1], [0.2, -0.01], [0.3, 0.4]])).require_log_variance(rows)
    LatentModel(encode=lambda x: Posterior(x, x), decode=len).require_log_variance(rows)
    seeded_names = load_latent(seeded(lambda: Spelling(lambda m, v: {"mean": m, "logvar": v * 0 + 1}, lambda x: x)))
    seeded_names.require_log_variance(samples().reshape(5, 64))
    with pytest.raises(UsageError, match="nowhere below 0"):
        told(np.array([[0.5, 0.0], [0.2, 0.1], [0.3, 0.4]])).require_log_variance(rows)
    with pytest.raises(DataError, match=r"scale='std'.*returned -1"):
        told(-rows, scale="std").posterior(rows)


def test_a_module_may_say_itself_what_it_returns() -> None:
    module = seeded(Deviations)
    module.posterior_scale = "std"
    logvar = load_latent(module).posterior(samples().reshape(5, 64)).logvar
    np.testing.assert_allclose(logvar, load_latent(seeded(LogVariances)).encode(samples().reshape(5, 64))[1], atol=1e-5)


# --- one model, whichever door it comes in by ------------------------------------------------------------------------


def test_an_autoencoder_is_the_same_by_every_door(saved_autoencoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import diffusers

    class Own(diffusers.AutoencoderKL):
        """Somebody's own class, made from that of diffusers."""

    path = str(saved_autoencoder / "vae")
    code = f"import diffusers\ndef vae(): return diffusers.AutoencoderKL.from_pretrained({path!r})\n"
    (saved_autoencoder.parent / "my_autoencoder.py").write_text(code)
    monkeypatch.chdir(saved_autoencoder.parent)
    doors = [
        load_latent(f"diffusers/{path}"),
        load_latent(f"diffusers/{saved_autoencoder}/vae"),
        load_latent(diffusers.AutoencoderKL.from_pretrained(path)),
        load_latent(Own.from_pretrained(path)),
        load_latent("py/my_autoencoder:vae"),
        load_latent(load_latent(f"diffusers/{path}")),
    ]
    images = (generator(0, "rgb").random((60, 16, 16, 3)) * 255).astype(np.uint8)
    for model in doors:
        assert (model.shape, model.layout, model.value_range) == ((3, None, None), "NCHW", (-1.0, 1.0))
    told = [explain_anchors(each, images[:10], reference=images[10:], draws=1).thresholds for each in doors]
    for thresholds in told[1:]:
        assert thresholds == pytest.approx(told[0], rel=1e-5)
    assert load_latent(diffusers.AutoencoderKL.from_pretrained(path), value_range=(0.0, 1.0)).value_range == (0.0, 1.0)
    stating = diffusers.AutoencoderKL.from_pretrained(path)
    stating.value_range = (0.0, 1.0)
    assert load_latent(stating).value_range == (0.0, 1.0)


def test_what_a_model_states_holds_by_every_door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from test_latent_models_doors import Signed\nsigned = Signed()\ndef make(): return Signed()\n"
    shared = "class Signed:\n    sample_shape = (8, 8)\n    value_range = (-1.0, 1.0)\n    layout = 'NHW'\n"
    shared += "    def encode(self, x): return x[:, 0], x[:, 0] * 0 - 1\n"
    shared += "    def decode(self, z): return z[:, None] * [[1]] * 8\n"
    (tmp_path / "test_latent_models_doors.py").write_text(shared)
    (tmp_path / "my_signed_models.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    from test_latent_models_doors import Signed

    doors = [load_latent(each) for each in (Signed(), "py/my_signed_models:signed", "py/my_signed_models:make")]
    doors.append(load_latent(LatentModel(encode=Signed().encode, decode=Signed().decode, value_range=(-1, 1))))
    assert {model.value_range for model in doors} == {(-1.0, 1.0)}
    ready = [prepare((samples() * 255).astype(np.uint8), model).rows(slice(None)) for model in doors]
    for rows in ready[1:]:
        np.testing.assert_array_equal(rows, ready[0])
    assert ready[0].min() < -0.9


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


@pytest.mark.parametrize(
    ("encode", "what"),
    [
        (lambda x: x[:, :2], "one ndarray of shape"),
        (lambda x: (x[:, :2],), "a tuple of 1"),
        (lambda x: (x[:, :2], None), "a tuple of 1"),
    ],
    ids=["latents alone", "in a tuple", "no second part"],
)
@pytest.mark.parametrize("shape", [(6,), None])
def test_an_autoencoder_without_a_posterior_is_shown_its_door(encode, what, shape) -> None:
    model = LatentModel(encode=encode, decode=lambda z: np.pad(z, ((0, 0), (0, 4))), shape=shape)
    samples = np.random.default_rng(0).random((80, 6), np.float32)
    with pytest.raises(UsageError, match=what) as caught:
        explain_anchors(model, samples[:20], reference=samples[20:])
    assert "Posterior(latents, logvar)" in str(caught.value)
    with pytest.raises(UsageError, match=what):
        model.posterior(samples[:2])  # two rows of latents are no pair


def test_the_door_of_an_autoencoder_without_a_posterior_opens() -> None:
    def code_norm(batch):
        return lambda made: np.square(batch.mean).sum(axis=1)

    def encode(samples):
        return Posterior(samples[:, :2], np.full((len(samples), 2), -20, np.float32))

    model = LatentModel(encode=encode, decode=lambda z: np.pad(z, ((0, 0), (0, 4))), shape=(6,))
    samples = np.random.default_rng(0).random((80, 6), np.float32)
    own = Criterion("code norm", "intrinsic", "squares", code_norm)
    found = explain_anchors(model, samples[:20], reference=samples[20:], criteria=[own, "sse"], draws=1)
    assert [each.name for each in found.criteria] == ["code norm", "sse"]
    assert sum(group.count for group in found.groups.values()) == 20
