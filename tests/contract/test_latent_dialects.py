"""Torch modules as others write them, and what is refused with the door for that very thing."""

# pyright: basic
from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest

from whygen.anchors.criteria import Criterion
from whygen.anchors.explain import explain_anchors
from whygen.errors import DataError, UsageError
from whygen.models import LatentModel, Posterior, load_latent

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

DATA = np.random.default_rng(0).random((7, 12)).astype(np.float32)


class ModelOutput(OrderedDict):
    """As pythae and transformers have it: names as keys and as attributes."""

    def __getattr__(self, name: str):
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(name) from error


class Base(nn.Module):
    """One set of weights for all spellings."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.first, self.second, self.third = nn.Linear(12, 3), nn.Linear(12, 3), nn.Linear(3, 12)
        with torch.no_grad():
            self.second.bias -= 2

    def posterior(self, x):
        return self.first(x), self.second(x)

    def drawn(self, x):
        mean, logvar = self.posterior(x)
        return mean + (logvar / 2).exp() * torch.randn_like(mean)


class Plain(Base):
    def encode(self, x):
        return self.posterior(x)

    def decode(self, z):
        return torch.sigmoid(self.third(z))


class DrawFirst(Plain):
    def encode(self, x):
        return self.drawn(x), *self.posterior(x)


class DrawLast(Plain):
    def encode(self, x):
        return *self.posterior(x), self.drawn(x)


class MeanTwice(Plain):
    """In evaluation mode the draw is the mean."""

    def encode(self, x):
        mean, logvar = self.posterior(x)
        return mean, mean, logvar


class ListOfTwo(Plain):
    def encode(self, x):
        return list(self.posterior(x))


class Part(nn.Module):
    def __init__(self, call) -> None:
        super().__init__()
        self.call = call

    def forward(self, x):
        return self.call(x)


class Pythae(Base):
    """encoder(x) and decoder(z) give ModelOutput; there is no encode, no decode."""

    def __init__(self) -> None:
        super().__init__()
        names = ("embedding", "log_covariance")
        self.encoder = Part(lambda x: ModelOutput(zip(names, self.posterior(x), strict=True)))
        self.decoder = Part(lambda z: ModelOutput(reconstruction=torch.sigmoid(self.third(z))))


class Lightning(nn.Module):
    """encoder, fc_mu, fc_var, decoder, and a forward that returns the reconstruction first."""

    def __init__(self, logvar: str = "fc_var") -> None:
        super().__init__()
        base = Base()
        self.encoder, self.fc_mu = nn.Identity(), base.first
        setattr(self, logvar, base.second)
        self.decoder = nn.Sequential(base.third, nn.Sigmoid())

    def forward(self, x):
        mean, logvar = self.fc_mu(x), self.fc_var(x)
        return self.decoder(mean), mean, logvar


class ForwardOnly(Base):
    def __init__(self) -> None:
        super().__init__()
        self.decoder = nn.Sequential(self.third, nn.Sigmoid())

    def forward(self, x):
        mean, logvar = self.posterior(x)
        return self.decoder(self.drawn(x)), mean, logvar


class ForwardWithDraw(ForwardOnly):
    def forward(self, x):
        return self.decoder(self.drawn(x)), self.drawn(x), *self.posterior(x)


@pytest.mark.parametrize(
    "make",
    [
        DrawFirst, DrawLast, MeanTwice, ListOfTwo, Pythae, Lightning, lambda: Lightning("fc_logvar"), ForwardOnly,
        ForwardWithDraw,
    ],
)  # fmt: skip
def test_every_spelling_gives_the_posterior_and_the_reconstruction_of_the_plain_one(make) -> None:
    plain, found = load_latent(Plain()), load_latent(make())
    state = torch.get_rng_state()
    found.encode(DATA)
    assert torch.equal(torch.get_rng_state(), state)
    for one, other in zip(plain.encode(DATA), found.encode(DATA), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    latents = plain.encode(DATA)[0]
    np.testing.assert_allclose(plain.decode(latents), found.decode(latents), atol=1e-6)
    assert found.untrained is not None
    assert found.untrained(1).encode(DATA)[0].shape == (7, 3)


class ThreeOfAKind(Plain):
    def encode(self, x):
        return self.first(x), self.second(x), self.second(x) + self.first(x)


class Conditional(Plain):
    def encode(self, x, y):
        return self.posterior(x)


class ConditionalDecoder(Plain):
    def decode(self, z, labels):
        return z


class Autoencoder(Plain):
    def encode(self, x):
        return self.first(x)


class Quantised(Plain):
    def encode(self, x):
        return ModelOutput(latents=self.first(x))


class Codebook(Plain):
    """As `vq_vae` of many tutorials: what was found in the codebook, the loss, and the places."""

    def encode(self, x):
        latents = self.first(x)
        return latents, latents.mean(), latents.argmin(-1)


class Heads(nn.Module):
    """An encoder with two heads, used in `forward` alone."""

    def __init__(self):
        super().__init__()
        self.enc, self.mean, self.log_var, self.dec = (nn.Linear(4, 4) for _ in range(4))

    def forward(self, x):
        return self.dec(self.mean(self.enc(x))), (self.mean(x), self.log_var(x))


class OwnMethods(nn.Module):
    def inference(self, x):
        return x, x

    def generative(self, z):
        return z


class UNet2DModel(nn.Module):
    def forward(self, x, t):
        return x


class Generator(nn.Module):
    def forward(self, z):
        return z


class Decoder(nn.Module):
    def decode(self, z):
        return z


class Encoder(nn.Module):
    def encode(self, x):
        return x, x


class DiffusionPipeline:
    vae = object()


class LanguageModel(nn.Module):
    config = None

    def generate(self, tokens):
        return tokens


class Pca:
    def transform(self, x):
        return x

    def inverse_transform(self, z):
        return z


class OutlierMixin:
    """As scikit-learn marks what scores outliers."""


class Outliers(OutlierMixin):
    def score_samples(self, x):
        return x


class Sampler:
    def sample(self, n):
        return n


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        (Conditional(), r"encode of the model needs y .*conditional.*self\.model\.encode\(x, y\)"),
        (ConditionalDecoder(), "decode of the model needs labels"),
        (UNet2DModel(), r"network of a diffusion model.*give both, as \(network, scheduler\)"),
        (Generator(), "part of one, and no latents were found.*latent_dim"),
        (nn.Sequential(nn.Linear(4, 3)), "chain of layers"),
        (Decoder(), "has no method encode.*one way"),
        (Heads(), r"names of their own: give both as one: whygen\.models\.Generator\(encode="),
        (OwnMethods(), r"names of their own: give both as one"),
        (Encoder(), "has no method decode.*If you have a decoder"),
        (DiffusionPipeline(), r"diffusion pipeline of another library.*\(network, scheduler\).*pipeline\.vae"),
        (LanguageModel(), "explain_prompt"),
        (Pca(), "no posterior.*intrinsic.*Criterion"),
        (Outliers(), r"scores outliers.*Generator\(log_prob="),
        (Sampler(), r"sample\(16\).*must give \(16, ...\)"),
        (lambda z: z, r"Generator\(sampler=.*samples/PATH"),
        ({"weight": DATA}, "state dict"),
        (object(), "torch module that encodes and decodes"),
        ("vae.pt", "load_state_dict"),
        ("./models/vae.safetensors", "load_state_dict"),
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_what_is_refused_is_told_the_door_for_that_thing(thing: object, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        load_latent(thing)
    assert "Give a torch module," not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Autoencoder, "without a posterior"),
        (Quantised, "without a posterior"),
        (Codebook, "quantised autoencoder"),
        (ThreeOfAKind, "three tensors"),
    ],
)
def test_what_encode_gives_without_a_posterior_is_named(make, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        load_latent(make()).encode(DATA)


def test_the_way_around_for_autoencoders_works() -> None:
    """What the message for autoencoders without a posterior says to do."""
    module = load_latent(Plain())

    def encode(x: np.ndarray) -> Posterior:
        latents = module.encode(x)[0]
        return Posterior(latents, np.full_like(latents, -20))

    def begin(batch):
        values = np.square(batch.mean.astype(float)).sum(axis=1)
        return lambda made: values

    far = Criterion("distance", "intrinsic", "squared latents", begin)
    images = np.random.default_rng(1).random((80, 12)).astype(np.float32)
    model = LatentModel(encode=encode, decode=module.decode, shape=(12,))
    found = explain_anchors(
        model, images[:20], reference=images[20:], criteria=[far, "sse"], controls="trivial,foils"
    )  # fmt: skip
    assert list(found.thresholds) == ["distance", "sse"]


def test_quantised_and_tiny_autoencoders_of_diffusers_are_told_apart() -> None:
    diffusers = pytest.importorskip("diffusers")
    tiny = diffusers.AutoencoderTiny(
        encoder_block_out_channels=(4, 4), decoder_block_out_channels=(4, 4), num_encoder_blocks=(1, 1),
        num_decoder_blocks=(1, 1), latent_channels=4,
    )  # fmt: skip
    with pytest.raises(UsageError, match="without a posterior"):
        load_latent(tiny).encode(np.zeros((1, 3, 16, 16), np.float32))


def test_a_model_in_the_place_of_its_anchors_is_told_so() -> None:
    for model in (Plain(), nn.Sequential(nn.Linear(4, 3)), Decoder()):
        with pytest.raises(DataError, match="the model comes first"):
            explain_anchors(np.zeros((8, 4)), model)
