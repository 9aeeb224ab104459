"""Generators as people have them: each door opens, by what the thing can do and as its library calls it."""

from __future__ import annotations

import base64
import io
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pandas
import pytest

torch = pytest.importorskip("torch")
from PIL import Image  # noqa: E402
from scipy import stats  # noqa: E402
from sklearn.decomposition import PCA  # noqa: E402
from sklearn.mixture import GaussianMixture  # noqa: E402
from sklearn.neighbors import KernelDensity  # noqa: E402

from whygen import explain_anchors  # noqa: E402
from whygen.anchors.explain import foresee_anchors  # noqa: E402
from whygen.errors import DataError, ModelError, UsageError  # noqa: E402
from whygen.models import Generator, load_latent  # noqa: E402

RNG = np.random.default_rng(0)
DATA = RNG.normal(0.5, 0.1, size=(120, 64)).clip(0, 1).astype(np.float32)
HELD, ANCHORS = DATA[:60].reshape(-1, 8, 8), DATA[60:].reshape(-1, 8, 8)


class Rng:
    def sample(self, n, rng):
        return rng.normal(0.5, 0.1, size=(n, 8, 8))


class Unseeded:
    def sample(self, n):
        return np.random.default_rng().normal(0.5, 0.1, size=(n, 8, 8))


class OneByOne:
    def sample(self):
        return RNG.random((8, 8))


class SelfSeeded:
    def sample(self, n):
        return np.random.default_rng(0).normal(0.5, 0.1, size=(n, 8, 8))


class Pictures:
    def sample(self, n, rng):
        return [Image.fromarray((255 * rng.random((8, 8))).astype(np.uint8)) for _ in range(n)]


class Tensors:
    """As nflows calls it: what is drawn comes from torch's own generator."""

    def __init__(self):
        self.law = torch.distributions.Normal(0.5, 0.1)

    def sample(self, num_samples):
        return self.law.sample((num_samples, 1, 8, 8)), "log q"

    def log_prob(self, inputs):
        return self.law.log_prob(inputs).flatten(1).sum(dim=1)


class Lazy(torch.nn.Module):
    """As zuko has it: a flow gives its law when it is called."""

    def __init__(self):
        super().__init__()
        self.middle = torch.nn.Parameter(torch.full((64,), 0.5))

    def forward(self):
        return torch.distributions.Independent(torch.distributions.Normal(self.middle, 0.1), 1)


class ConvGan(torch.nn.Module):
    """As in the tutorials: latents ``(n, 12, 1, 1)``, pictures between -1 and 1."""

    def __init__(self):
        super().__init__()
        self.main = torch.nn.Sequential(
            torch.nn.ConvTranspose2d(12, 8, 4), torch.nn.BatchNorm2d(8), torch.nn.ReLU(),
            torch.nn.ConvTranspose2d(8, 1, 4, 2, 1), torch.nn.Tanh(),
        )  # fmt: skip

    def forward(self, z):
        return self.main(z)


class NotCalled(torch.nn.Module):
    """As nflows has it: called, it says that it is not to be called; it tells densities of flat samples."""

    def __init__(self):
        super().__init__()
        self.middle = torch.nn.Parameter(torch.full((64,), 0.5))

    def forward(self, *args):
        raise RuntimeError("Forward method cannot be called for a Distribution object.")

    def log_prob(self, inputs, context=None):
        assert inputs.ndim == 2
        return -0.5 * (((inputs - self.middle) / 0.1) ** 2).sum(1)

    def sample(self, num_samples, context=None):
        return self.middle + 0.1 * torch.randn(num_samples, 64)


class InDict:
    """What comes back holds the samples by a name, beside something else."""

    def sample(self, n, rng):
        return {"images": list(rng.random((n, 8, 8))), "nsfw": [False] * n}


class InObject:
    def sample(self, n, rng):
        return SimpleNamespace(samples=rng.random((n, 8, 8)), time=1.0)


class Drawn(NamedTuple):
    time: float
    samples: np.ndarray


class InTuple:
    def sample(self, n, rng):
        return Drawn(1.0, rng.random((n, 8, 8)))


class Computed:
    """Has no attributes of its own: what it holds, its class computes."""

    __slots__ = ("made",)

    @property
    def images(self):
        return self.made


class InProperty:
    def sample(self, n, rng):
        drawn = Computed()
        drawn.made = rng.random((n, 8, 8))
        return drawn


def one_mapping_after_another(n, rng):
    while True:
        yield {"x": rng.random((8, 8)), "label": 3}


def one_after_another(n, rng):
    while True:
        yield rng.random((8, 8))


class Deaf:
    """Takes a source of randomness and draws from its own."""

    own = np.random.default_rng(1)

    def sample(self, n, rng):
        return self.own.normal(0.5, 0.1, size=(n, 8, 8))


class Epsilon(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Linear(3, 3)

    def forward(self, x, t):
        return self.net(x)


class ConditionalGan(torch.nn.Module):
    def forward(self, z, labels):
        return z * labels


class StatedDecoder:
    latent_dim = 5

    def decode(self, z):
        return np.tile(z[:, :1], (1, 64)).reshape(-1, 8, 8)


MLP = torch.nn.Sequential(torch.nn.Linear(6, 64), torch.nn.Sigmoid())
FLAT = DATA.astype(np.float64)


@pytest.mark.parametrize(
    ("thing", "abilities", "criteria"),
    [
        (Rng(), {"samples"}, "realism,nearest-sample"),
        (OneByOne(), {"samples"}, "realism,nearest-sample"),
        (Pictures(), {"samples"}, "realism,nearest-sample"),
        (InDict(), {"samples"}, "realism,nearest-sample"),
        (InObject(), {"samples"}, "realism,nearest-sample"),
        (InTuple(), {"samples"}, "realism,nearest-sample"),
        (InProperty(), {"samples"}, "realism,nearest-sample"),
        (one_mapping_after_another, {"samples"}, "realism,nearest-sample"),
        (one_after_another, {"samples"}, "realism,nearest-sample"),
        (NotCalled(), {"samples", "density"}, "nll,nearest-sample"),
        (Rng().sample, {"samples"}, "realism,nearest-sample"),
        (Tensors(), {"samples", "density"}, "nll,nearest-sample"),
        (Lazy(), {"samples", "density"}, "nll,nearest-sample"),
        (torch.distributions.Normal(torch.full((8, 8), 0.5), 0.1), {"samples", "density"}, "nll,nearest-sample"),
        (
            GaussianMixture(2, covariance_type="diag", random_state=0).fit(FLAT),
            {"samples", "density"},
            "nll,nearest-sample",
        ),
        (KernelDensity(bandwidth=0.1).fit(FLAT), {"samples", "density"}, "nll,nearest-sample"),
        (PCA(4).fit(FLAT), {"density"}, "nll"),
        (MLP, {"samples", "latents"}, "realism,nearest-sample"),
        (ConvGan(), {"samples", "latents"}, "realism,nearest-sample"),
        (StatedDecoder(), {"samples", "latents"}, "realism,nearest-sample"),
        (HELD, {"samples"}, "realism,nearest-sample"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_a_generator_is_asked_for_what_it_can(thing: object, abilities: set[str], criteria: str) -> None:
    if not isinstance(thing, np.ndarray):
        assert load_latent(thing).abilities == abilities
    found = explain_anchors(thing, ANCHORS, reference=HELD, bank=60, controls="none", cache=None)
    assert ",".join(each.name for each in found.criteria) == criteria
    assert found.details is not None
    assert found.details.criteria_reason.startswith(criteria.replace(",", " and ") + ":")
    assert found.given_back == ("" if criteria == "nll" else "nearest generated sample")
    assert list(found.groups) == (
        ["HIGH", "LOW", "BELOW"] if criteria == "nll" else ["HIHE", "HILE", "LIHE", "LILE", "BELOW"]
    )
    assert "econstruct" not in found.to_html().split("How it was made")[0]


@pytest.mark.parametrize("thing", [Rng(), Tensors(), MLP, KernelDensity(bandwidth=0.1).fit(FLAT),
                                   GaussianMixture(2, covariance_type="diag", random_state=3).fit(FLAT)],
                         ids=lambda each: type(each).__name__)  # fmt: skip
def test_a_seed_decides_what_is_drawn_and_draws_differ(thing: object) -> None:
    latent, before = load_latent(thing), torch.random.get_rng_state()
    one, again, other = (latent.sample(5, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert not np.array_equal(*(latent.sample(5, rng) for rng in [np.random.default_rng(1)] * 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert one.dtype == np.float32


@pytest.mark.parametrize(
    ("thing", "code"),
    [(Unseeded(), "unseeded-generator"), (SelfSeeded(), "generator-repeats"), (Deaf(), "unseeded-generator")],
)
def test_what_no_seed_decides_is_said(thing: object, code: str) -> None:
    found = explain_anchors(thing, ANCHORS, reference=HELD, bank=60, controls="none", cache=None)
    assert code in {each.code for each in found.warnings}


def test_the_range_of_a_tanh_generator_is_found_and_stated_ones_stay() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(6, 64), torch.nn.Tanh())
    with torch.no_grad():
        module[0].weight.mul_(4)
    assert load_latent(module).value_range == (-1.0, 1.0)
    assert load_latent(module, value_range=(0, 1)).value_range == (0, 1)
    standardised = torch.distributions.Independent(torch.distributions.Normal(torch.zeros(9), 3.0), 1)
    assert load_latent(standardised).value_range == (-np.inf, np.inf)


@pytest.mark.parametrize(
    ("thing", "error", "words"),
    [
        (
            Generator(sampler=lambda n, rng: np.full((n, 8, 8), np.nan, np.float32)),
            ModelError,
            "sample of .* generated sample 0",
        ),
        (Generator(sampler=lambda n, rng: rng.random((n, 5, 5))), DataError, r"shape \(8, 8\).*takes \(5, 5\)"),
        (Generator(sampler=lambda n, rng: rng.random((2, 8, 8))), DataError, "gave 2 samples, and 60 were asked for"),
        (
            Generator(log_prob=lambda x: np.full(len(x), np.nan)),
            ModelError,
            "log_prob of .* gave nan for reference sample 0",
        ),
        (HELD[:7], UsageError, "only 7: it takes 20. Give 20 samples or more, or criteria='nearest-sample'"),
        (
            Generator(sampler=lambda n, rng: rng.random((n, 8, 8)), log_prob=None, shape=(3, 8, 8)),
            DataError,
            "mode='RGB'",
        ),
        (type("Scalars", (), {"sample": lambda self, n, rng: rng.random(n)})(), UsageError, r"must give \(16, 1\)"),
        (Epsilon(), UsageError, r"\(network, scheduler\)"),
        (lambda text: -1.0, UsageError, r"def f\(text: str\) -> list\[float\]"),
        (
            type("OneByOneDensity", (), {"log_prob": lambda self, x: float(x[0].reshape(8, 8).sum())})(),
            DataError,
            r"log_prob gets several samples, \(n, \.\.\.\)",
        ),
        (ConditionalGan(), UsageError, r"needs labels besides latents.*self\.model\(z, labels\)"),
        (torch.nn.Linear(64, 3), UsageError, "no latents were found"),
        ("samples/", UsageError, "samples/PATH"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_what_cannot_work_says_why(thing: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        explain_anchors(thing, ANCHORS, reference=HELD, bank=60, controls="none", cache=None)


def test_thresholds_from_generated_samples_need_a_generator() -> None:
    with pytest.raises(UsageError, match=r"nothing more can be generated by samples/60 given\. Give reference="):
        explain_anchors(HELD, ANCHORS, cache=None)
    with pytest.raises(UsageError, match="Give reference="):
        explain_anchors(PCA(4).fit(FLAT), ANCHORS, calibration="mean-max", reference=HELD, cache=None)


def test_what_comes_back_is_never_called_a_reconstruction_and_controls_are_had_or_named() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(6, 64), torch.nn.Sigmoid())
    of_module = explain_anchors(module, ANCHORS, reference=HELD, bank=60, cache=None)
    assert {each.name for each in of_module.controls if each.groups} == {"untrained", "mean", "constant", "nearest"}
    of_density = explain_anchors(PCA(4).fit(FLAT), ANCHORS, reference=HELD, cache=None)
    missing = {each.name: each.missing for each in of_density.controls}
    assert list(missing) == ["untrained"]
    assert "cannot be had" in missing["untrained"]
    assert {each.foil for each in of_density.power} == {"shuffled", "noise", "blends"}
    for found in (of_module, of_density, explain_anchors(HELD, ANCHORS, reference=HELD[::-1] * 0.9, cache=None)):
        assert "econstruct" not in found.to_html().split("How it was made")[0]
        assert [each.missing for each in found.yardsticks if each.missing] == [] or found is not of_module


def test_scores_of_a_generator_are_recorded(tmp_path: Path) -> None:
    module = torch.nn.Sequential(torch.nn.Linear(6, 64), torch.nn.Sigmoid())
    given = {"reference": HELD, "bank": 60, "cache": tmp_path / "scores.sqlite"}
    first = explain_anchors(module, ANCHORS, **given)
    forecast = foresee_anchors(module, ANCHORS, **given)
    assert forecast.recorded == forecast.samples > 0
    assert forecast.generated == 60
    again = explain_anchors(module, ANCHORS, **given)
    assert again.to_dict() == first.to_dict()
    assert explain_anchors(module, ANCHORS, **{**given, "bank": 50}).generated.n == 50


def test_samples_are_taken_in_any_form_that_holds_them() -> None:
    given = {"reference": ANCHORS[:45], "controls": "none", "cache": None}
    usual = explain_anchors(HELD, ANCHORS, **given)
    for form in (torch.from_numpy(HELD), list(HELD), [torch.from_numpy(one) for one in HELD]):
        found = explain_anchors(form, ANCHORS, **given)
        assert found.model == "samples/60 given"
        assert np.array_equal(found.evidence.draws, usual.evidence.draws)
    pictures = [Image.fromarray(one) for one in (255 * HELD).round().astype(np.uint8)]
    assert explain_anchors(pictures, ANCHORS, **given).generated.n == 60


def test_a_path_without_a_provider_is_told_its_door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "made").mkdir()
    with pytest.raises(UsageError, match="type samples/made"):
        explain_anchors("made", ANCHORS, reference=HELD, cache=None)


def test_a_kernel_density_of_scipy_has_a_column_a_sample() -> None:
    law = stats.gaussian_kde(RNG.normal(size=(5, 200)))
    samples = RNG.normal(size=(30, 5)).astype(np.float32)
    found = explain_anchors(law, samples, reference=RNG.normal(size=(60, 5)), controls="none", cache=None)
    assert found.evidence.values[:, 0] == pytest.approx(-law.logpdf(samples.T), rel=1e-5)


def test_a_folder_of_generated_pictures_says_what_its_samples_say(tmp_path: Path) -> None:
    pictures = (255 * HELD).round().astype(np.uint8)
    for place, one in enumerate(pictures):
        Image.fromarray(one).save(tmp_path / f"{place:03}.png")
    given = {"reference": (255 * ANCHORS[:45]).astype(np.uint8), "controls": "none", "cache": None}
    anchors = (255 * ANCHORS).astype(np.uint8)
    of_folder = explain_anchors(f"samples/{tmp_path}", anchors, **given)
    of_array = explain_anchors(pictures, anchors, **given)
    assert of_folder.model == f"samples/{tmp_path}"
    assert np.array_equal(of_folder.evidence.draws, of_array.evidence.draws)
    assert of_folder.generated.n == 60


def as_files(n, rng):
    made = []
    for _ in range(n):
        file = io.BytesIO()
        Image.fromarray((255 * rng.normal(0.5, 0.1, size=(8, 8)).clip(0, 1)).astype(np.uint8)).save(file, "PNG")
        made.append(file.getvalue())
    return made


def as_texts(n, rng):
    return [base64.b64encode(each).decode() for each in as_files(n, rng)]


@pytest.mark.parametrize(
    "answer",
    [
        as_files,
        as_texts,
        lambda n, rng: {"created": 1, "data": [{"b64_json": each} for each in as_texts(n, rng)]},
        lambda n, rng: SimpleNamespace(data=[SimpleNamespace(b64_json=each, url=None) for each in as_texts(n, rng)]),
        lambda n, rng: ["data:image/png;base64," + each for each in as_texts(n, rng)],
        lambda n, rng: [Image.open(io.BytesIO(each)) for each in as_files(min(n, 10), rng)],
    ],
    ids=["files", "base64", "a mapping", "objects", "addresses that hold them", "ten a call at most"],
)
def test_what_a_server_of_pictures_answers_is_read(answer) -> None:
    model = load_latent(answer)
    made = model.sample(25, np.random.default_rng(1))
    assert made.shape == (25, 8, 8)
    plain = [np.asarray(Image.open(io.BytesIO(each))) for each in as_files(25, np.random.default_rng(1))]
    assert made == pytest.approx(np.stack(plain) / 255, abs=1e-6)
    assert model.notices == ()


async def promised(n, rng):
    return rng.random((n, 8, 8))


class Network(torch.nn.Module):
    """Pictures to logits of 256 values, of any height and width."""

    def __init__(self):
        super().__init__()
        self.net = torch.nn.Conv2d(1, 256, 3, padding=1)

    def forward(self, x):
        return self.net(x)


class PixelCnn(Network):
    pass


class Invertible(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Linear(64, 64)

    def forward(self, x, rev=False):
        return self.net(x), x.sum(1)


class Velocity(Epsilon):
    def forward(self, t, x):
        return self.net(x)


class Sized:
    def sample(self, n_sample, size):
        return torch.randn(n_sample, *size)


class Shaped:
    def sample(self, shape):
        return np.zeros(shape)


class ConditionalFlow(torch.nn.Module):
    """As zuko's: called without its context, it gives a law that fails."""

    def __init__(self):
        super().__init__()
        self.net = torch.nn.Linear(64, 3)

    def forward(self, c=None):
        def fails(n):
            raise RuntimeError("shapes cannot be multiplied.")

        return SimpleNamespace(sample=fails)


class Makes(torch.nn.Module):
    """Of latents what the function makes of them and of pictures."""

    def __init__(self, result):
        super().__init__()
        self.net, self.result = torch.nn.Linear(3, 64), result

    def forward(self, z):
        return self.result(z, self.net(z).reshape(-1, 8, 8).sigmoid())


class Kept:
    """As copulas: what it draws comes from a generator that it keeps, which its method sets."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def sample(self, num_rows):
        return self.random_state.get().normal(0.5, 0.1, size=(num_rows, 64))


class Copula(Kept):
    def set_random_state(self, seed):
        self.random_state = SimpleNamespace(get=lambda: np.random.default_rng(seed))


class Energy(torch.nn.Module):
    def __init__(self, name):
        super().__init__()
        self.net = torch.nn.Linear(64, 1)
        setattr(self, name, self.forward)

    def forward(self, x):
        return self.net(x.flatten(1))[:, 0]


class Score:
    def score(self, x):
        return -x


class InferenceSession:
    """As onnxruntime names it."""

    def run(self, names, inputs):
        return [inputs["z"]]


class Quantised(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Linear(64, 3)

    def encode(self, x):
        return self.net(x.flatten(1))

    def decode(self, z):
        return z @ self.net.weight


class OfClasses:
    def log_prob(self, x, y):
        return -np.square(x).sum(axis=1)


class Kernels:
    def pdf(self, x):
        return np.ones(len(x))


@pytest.mark.parametrize(
    ("thing", "error", "words"),
    [
        (promised, UsageError, r"is async.*asyncio\.run"),
        (lambda n, rng: {"data": [{"url": "https://x.invalid/1.png"}] * n}, UsageError, "gave what is a dict"),
        (lambda n, rng: ["https://x.invalid/1.png"] * n, UsageError, "gave texts.*fetch and open them"),
        (
            lambda n, rng: pandas.DataFrame({"a": rng.random(n), "job": ["x"] * n}),
            UsageError,
            "columns job.*get_dummies",
        ),
        (lambda n, rng: ["CCO", "C=O"] * (n // 2), UsageError, r"turned into vectors.*as hf/PATH or openai/NAME"),
        (lambda n, rng: rng.random((n, 8)) * 1j, UsageError, "complex128.*real and imaginary parts side by side"),
        (lambda n, rng: None, UsageError, "gave what is a NoneType"),
        (Network(), UsageError, "no latents were found"),
        (PixelCnn(), UsageError, r"autoregressive model.*log_prob\(samples\)"),
        (Invertible(), UsageError, r"can be turned round.*log_prob=\.\.\., sampler=\.\.\."),
        (Velocity(), UsageError, r"\(network, scheduler\)"),
        (Sized(), ModelError, r"Its size was a numpy\.random\.Generator.*model\.sample\(n, size=\.\.\.\)"),
        (Shaped(), UsageError, r"takes the shape of all samples together.*model\.sample\(\(n, \.\.\.\)\)"),
        (ConditionalFlow(), ModelError, r"multiplied\. It can be told c: .* with c=\.\.\. of one condition"),
        (Kernels(), UsageError, r"numpy\.log\(model\.pdf\(samples\)\)"),
        (GaussianMixture(2), DataError, r"not fitted yet.* estimator\. Give anchors"),
        (
            Makes(lambda z, x: [None, z]),
            UsageError,
            r"Tried with latents \(2, 3\): forward gave a NoneType, a tensor of",
        ),
        (Makes(lambda z, x: x[:1]), UsageError, r"gave a tensor of shape \(1, 8, 8\): no tensor of 2 samples"),
        (Makes(lambda z, x: z[5]), UsageError, r"Tried with latents \(2, 3\): forward raised IndexError"),
        (Kept(3.0), ModelError, r"sample of object/Kept raised AttributeError: 'int' object has no attribute 'get'"),
        (Energy("other"), UsageError, r"gave a tensor of shape \(2,\).*energy of a sample, give Generator\(log_prob="),
        (Energy("energy"), UsageError, r"It tells an energy: give .*minus the energy of each sample"),
        (
            Score(),
            UsageError,
            r"anchors are numbers, and Score is taken for a language model.*log_prob=\.\.\.\), or samp",
        ),
        (InferenceSession(), UsageError, r"session of onnxruntime.*session\.run\(None"),
        (iter([np.zeros((8, 8))]), UsageError, r"yields one thing after another.*itertools\.islice"),
        (Quantised(), UsageError, r"without a posterior.*give its samples alone.*sampler=lambda n, rng"),
        (OfClasses(), UsageError, r"log_prob of OfClasses takes x and y\. It can be told y: .*log_prob=lambda samples"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_each_thing_is_named_with_its_door(thing: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        explain_anchors(thing, ANCHORS, reference=HELD, bank=60, controls="none", cache=None)


def fails_after(calls, answer):
    asked = []

    def fails(*given):
        asked.append(1)
        if len(asked) > calls:
            raise ValueError("429: too many.")
        return answer(*given)

    return fails


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"sampler": lambda n, rng: rng.random((n, 8, 8))}, r"sample\(\d+\) of latent"),
        ({"log_prob": lambda x: -np.square(x).reshape(len(x), -1).sum(axis=1)}, "log_prob of latent"),
    ],
    ids=["sampler", "log_prob"],
)
@pytest.mark.parametrize("calls", [0, 1, 3])
def test_what_a_model_raises_is_said_whenever_it_does(parts, words: str, calls: int) -> None:
    ((name, answer),) = parts.items()
    model = Generator(**{name: fails_after(calls, answer)}, batch_size=16, shape=(8, 8))
    with pytest.raises(ModelError, match=rf"{words}.* raised ValueError: 429: too many\.$"):
        explain_anchors(model, ANCHORS, reference=HELD, bank=60, controls="none", cache=None)


@pytest.mark.parametrize("part", ["encode", "decode"])
def test_what_an_autoencoder_raises_later_is_said(part: str) -> None:
    coders = {
        "encode": lambda x: (x.reshape(len(x), -1)[:, :4], np.full((len(x), 4), -1.0, np.float32)),
        "decode": lambda z: np.repeat(z[:, :1], 64, axis=1).reshape(-1, 8, 8),
    }
    coders[part] = fails_after(3, coders[part])
    model = Generator(**coders, batch_size=16, shape=(8, 8))
    with pytest.raises(ModelError, match=rf"{part} of latent raised ValueError: 429: too many for .*sample.*\d"):
        explain_anchors(model, ANCHORS, reference=HELD, controls="none", cache=None)


@pytest.mark.parametrize(
    "result",
    [
        lambda z, x: {"w": z, "image": x},
        lambda z, x: (z, x),
        lambda z, x: (x, z[:, None].expand(-1, 99, -1)),
        lambda z, x: [x[:, None, ::4, ::4], x[:, None, ::2, ::2], x[:, None]],
        lambda z, x: (x[:, None], x[:, None, ::2, ::2].expand(-1, 90, -1, -1)),
    ],
    ids=["a mapping", "latents first", "layers' latents behind", "several sizes", "features behind"],
)
def test_samples_are_found_in_what_a_generator_returns(result) -> None:
    module = Makes(result)
    latents = np.random.default_rng(0).standard_normal((5, 3), dtype=np.float32)
    with torch.inference_mode():
        wanted = module.net(torch.from_numpy(latents)).sigmoid().numpy()
    assert load_latent(module).decode(latents).reshape(5, -1) == pytest.approx(wanted)


@pytest.mark.parametrize(
    "law",
    [stats.norm(1, 2), stats.poisson(3), stats.Normal(mu=1, sigma=2), torch.distributions.Normal(1.0, 2.0)],
    ids=["scipy", "of whole numbers", "a newer one of scipy", "torch"],
)
def test_a_law_of_one_number_has_samples_of_one_value(law) -> None:
    model = load_latent(law)
    made = model.sample(200, np.random.default_rng(0))
    assert made.shape == (200, 1)
    likely = stats.poisson(3).logpmf if law is model or "discrete" in type(law).__name__ else stats.norm(1, 2).logpdf
    assert model.log_prob(made) == pytest.approx(likely(made[:, 0]), abs=1e-5)
    assert model.notices == ()


def test_a_law_of_matrices_has_a_sample_a_row() -> None:
    law = stats.wishart(5, np.eye(3))
    model, some = load_latent(law), law.rvs(4, random_state=0)
    assert model.sample(6, np.random.default_rng(0)).shape == (6, 3, 3)
    assert model.log_prob(some) == pytest.approx([law.logpdf(each) for each in some])
    assert model.log_prob(some[:1]).shape == (1,)


def test_what_a_law_cannot_make_has_no_density_and_foils_may_be_such() -> None:
    law = torch.distributions.Independent(torch.distributions.Bernoulli(torch.full((64,), 0.4)), 1)
    black = (np.random.default_rng(0).random((180, 64)) < 0.4).astype(np.float32)
    black[0] = 0.5
    found = explain_anchors(law, black[:40], reference=black[40:], bank=60, cache=None)
    assert found.evidence.values[0, 0] == 1e9
    assert found.evidence.values[1:, 0].max() < 64
    assert next(row for row in found.power if (row.criterion, row.foil) == ("nll", "blends")).auroc == 1
    grey = explain_anchors(law, DATA[60:], reference=DATA[:60], bank=60, cache=None)
    assert "density-nowhere" in {each.code for each in grey.warnings}
    assert "density-nowhere" not in {each.code for each in found.warnings}


def test_a_density_that_refuses_foils_is_asked_for_the_others() -> None:
    def log_prob(x):
        if (x.max(axis=1) > 0.97).any():
            raise ValueError("out of range.")
        return -np.square(x - 0.5).sum(axis=1)

    known = DATA[DATA.max(axis=1) <= 0.97]
    model = Generator(log_prob=log_prob, shape=(64,))
    assert explain_anchors(model, known[:30], reference=known[30:], cache=None).criteria[0].name == "nll"
    with pytest.raises(ModelError, match=r"raised ValueError: out of range\.$"):
        explain_anchors(model, np.ones((3, 64)), reference=known[30:], cache=None)


def test_a_copula_is_seeded_by_its_own_method_and_left_as_it_was() -> None:
    copula = Copula()
    model = load_latent(copula)
    assert np.array_equal(*(model.sample(9, np.random.default_rng(3)) for _ in range(2)))
    assert not np.array_equal(*(model.sample(9, np.random.default_rng(seed)) for seed in (3, 4)))
    assert copula.random_state is None
    assert model.notices == ()


def of_torch(batch_size, generator=None):
    return torch.rand(batch_size, 8, 8, generator=generator)


class KeyFirst:
    """As numpyro: the source of randomness stands before how many."""

    def sample(self, key, sample_shape=()):
        return torch.rand(*sample_shape, 8, 8, generator=key)


class Draws:
    def generate(self, n_samples, seed=None):
        return np.random.default_rng(seed).random((n_samples, 8, 8))


class Called:
    def __call__(self, n, rng):
        return rng.random((n, 8, 8))


def told(settings, n, rng):
    return rng.random((n, settings, settings))


@pytest.mark.parametrize(
    "thing",
    [of_torch, KeyFirst(), Draws(), Called(), partial(told, 8), stats.qmc.Sobol(64, seed=0)],
    ids=["a generator of torch", "a key first", "generate", "an object that is called", "partial", "a sequence"],
)
def test_samplers_are_asked_as_their_libraries_call_them(thing: object) -> None:
    model = load_latent(thing)
    made = model.sample(8, np.random.default_rng(3))
    assert len(made) == 8
    assert made[0].size == 64
    if not isinstance(thing, stats.qmc.Sobol):  # a sequence goes on where it was
        assert np.array_equal(made, model.sample(8, np.random.default_rng(3)))
        assert not np.array_equal(made, model.sample(8, np.random.default_rng(4)))
        assert model.notices == ()


@pytest.mark.parametrize(
    ("sample", "error", "words"),
    [
        (
            lambda n, rng: [np.zeros((i % 3 + 2, 3)) for i in range(n)],
            UsageError,
            r"3 shapes \(\(2, 3\) and \(3, 3\)\)",
        ),
        (lambda n, rng: rng.random((n if n < 50 else 7, 8, 8)), DataError, r"gave 7 samples, .*give these themselves"),
    ],
    ids=["of several sizes", "so many and no more"],
)
def test_samples_that_cannot_be_compared_name_what_to_give(sample, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        explain_anchors(sample, ANCHORS, reference=HELD, bank=60, controls="none", cache=None)


class Plain(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Linear(3, 64)

    def forward(self, z):
        return self.net(z).sigmoid().reshape(-1, 8, 8)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("compiled", ["script", "trace"])
def test_a_generator_that_was_compiled_to_torchscript_gives_what_it_gave_before(compiled: str) -> None:
    plain = Plain()
    made = torch.jit.script(plain) if compiled == "script" else torch.jit.trace(plain, torch.zeros(2, 3))
    found = [
        explain_anchors(each, ANCHORS, reference=HELD, bank=60, controls="none", cache=None) for each in (plain, made)
    ]
    assert np.allclose(found[0].evidence.values, found[1].evidence.values, atol=1e-5)


def test_what_a_density_tells_beside_its_values_is_left_alone_and_randomness_of_torch_is_tried_where_numpys_fails() -> (
    None
):
    def density(x):
        return -np.square(x.reshape(len(x), -1) - 0.5).sum(axis=1)

    def drawn(n, generator):
        return torch.rand(n, 8, 8, generator=torch.Generator().manual_seed(generator.initial_seed()))

    two = [
        explain_anchors(SimpleNamespace(log_prob=each), ANCHORS, reference=HELD, controls="none", cache=None)
        for each in (density, lambda x: (density(x), "states"))
    ]
    assert np.array_equal(two[0].evidence.values, two[1].evidence.values)
    found = explain_anchors(drawn, ANCHORS, reference=HELD, bank=60, controls="none", cache=None)
    assert found.generated is not None
    assert not any(each.code == "unseeded-generator" for each in found.warnings)
