"""Generators as the libraries of others write them, each a few lines with tiny random weights."""

# pyright: basic
from __future__ import annotations

import dataclasses
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

SIDE, LATENTS = 8, 3
PIXELS = SIDE * SIDE


class ModelOutput(OrderedDict):
    """As pythae and transformers have it: keys that are attributes too."""

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        raise AttributeError(name)


class Coders(nn.Module):
    """The weights that all spellings share: pictures of 8 x 8, flat or not."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(PIXELS, LATENTS), nn.Linear(PIXELS, LATENTS)
        self.back = nn.Linear(LATENTS, PIXELS)
        with torch.no_grad():
            self.two.bias -= 2

    def gaussian(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        flat = x.flatten(1)
        return self.one(flat), self.two(flat)

    def drawn(self, x: torch.Tensor) -> torch.Tensor:
        mean, logvar = self.gaussian(x)
        return mean + (logvar / 2).exp() * torch.randn_like(mean)

    def picture(self, z: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.back(z)).view(-1, 1, SIDE, SIDE)


def spelled(name: str, **methods: Callable[..., Any]) -> type[Coders]:
    """A class of that name with these methods: what a repository calls its VAE."""
    return type(name, (Coders,), {"decode": lambda self, z: self.picture(z), **methods})


class Part(nn.Module):
    """A call as a module."""

    def __init__(self, call: Callable[..., Any]) -> None:
        super().__init__()
        self.call = call

    def forward(self, x: torch.Tensor) -> Any:
        return self.call(x)


class Pythae(Coders):
    """pythae: ``encoder`` and ``decoder`` return ModelOutput; there is no encode."""

    def __init__(self) -> None:
        super().__init__()
        names = ("embedding", "log_covariance")
        self.encoder = Part(lambda x: ModelOutput(zip(names, self.gaussian(x), strict=True)))
        self.decoder = Part(lambda z: ModelOutput(reconstruction=self.picture(z)))


class PythaeAE(Coders):
    """pythae's plain autoencoder: the encoder gives an embedding alone."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Part(lambda x: ModelOutput(embedding=self.gaussian(x)[0]))
        self.decoder = Part(lambda z: ModelOutput(reconstruction=self.picture(z)))


class Bolts(Coders):
    """Lightning-Bolts: ``encoder``, ``fc_mu``, ``fc_var``, ``decoder``, a forward that gives all."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.fc_mu, self.fc_var = nn.Flatten(), self.one, self.two
        self.decoder = Part(self.picture)

    def forward(self, x: torch.Tensor) -> Any:
        mean, logvar = self.gaussian(x)
        return self.decoder(mean), mean, logvar


class ForwardAlone(Coders):
    """(recon, mu, logvar) from forward, and a decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = Part(self.picture)

    def forward(self, x: torch.Tensor) -> Any:
        return self.picture(self.drawn(x)), *self.gaussian(x)


class DrawsInside(Coders):
    """Dropout in front, and left in training mode."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.5)
        self.train()

    def encode(self, x: torch.Tensor) -> Any:
        return self.gaussian(self.drop(x))

    def decode(self, z: torch.Tensor) -> Any:
        return self.picture(z)


class Wrapper(nn.Module):
    """A Lightning module that keeps its network as ``model``."""

    def __init__(self) -> None:
        super().__init__()
        self.model = PLAIN()

    def training_step(self, batch: Any, number: int) -> Any:
        return self.model.encode(batch), number


class Generator(nn.Module):
    """DCGAN: latents to samples."""

    def __init__(self) -> None:
        super().__init__()
        self.main = nn.Sequential(nn.ConvTranspose2d(LATENTS, 1, SIDE), nn.Tanh())

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.main(z)


class RealNVP(nn.Module):
    """A flow: log_prob and sample."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(PIXELS))

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        return -(x.flatten(1) ** 2).sum(1) / 2

    def sample(self, n: int) -> torch.Tensor:
        return torch.randn(n, PIXELS) * self.scale.exp()


class Taming(Coders):
    """taming-transformers: encode gives (quantised, loss, (perplexity, encodings, indices))."""

    def encode(self, x: torch.Tensor) -> Any:
        mean, _ = self.gaussian(x)
        return mean.round(), mean.pow(2).mean(), (None, None, mean.round().long())

    def decode(self, z: torch.Tensor) -> Any:
        return self.picture(z)


class Conditional(Coders):
    """A class beside the samples."""

    def encode(self, x: torch.Tensor, y: torch.Tensor) -> Any:
        mean, logvar = self.gaussian(x)
        return mean + y.view(-1, 1), logvar

    def decode(self, z: torch.Tensor, y: torch.Tensor) -> Any:
        return self.picture(z - y.view(-1, 1))


class OneCondition(nn.Module):
    """The way that the refusal of `Conditional` names."""

    def __init__(self, model: Conditional) -> None:
        super().__init__()
        self.model = model

    def encode(self, x: torch.Tensor) -> Any:
        return self.model.encode(x, torch.ones(len(x)))

    def decode(self, z: torch.Tensor) -> Any:
        return self.model.decode(z, torch.ones(len(z)))


class Scripted(Coders):
    """What torch.jit can read."""

    @torch.jit.export
    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        flat = x.flatten(1)
        return self.one(flat), self.two(flat)

    @torch.jit.export
    def decode(self, z: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.back(z)).view(-1, 1, 8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decode(self.encode(x)[0])


class Numpy:
    """Not torch at all: two methods over arrays, as a JAX or a Keras model would be wrapped."""

    def __init__(self) -> None:
        self.inside = PLAIN()

    def encode(self, x: np.ndarray) -> Any:
        with torch.no_grad():
            return tuple(part.numpy() for part in self.inside.encode(torch.from_numpy(np.asarray(x, np.float32))))

    def decode(self, z: np.ndarray) -> Any:
        with torch.no_grad():
            return self.inside.decode(torch.from_numpy(np.asarray(z, np.float32))).numpy()


class NumpyDoubled(Numpy):
    """The same, with mean and log-variance side by side in one array."""

    def encode(self, x: np.ndarray) -> Any:
        return np.concatenate(super().encode(x), axis=1)


class Chained(Coders):
    """Two chains of layers: the encoder's last one is twice as wide as the decoder's first."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Part(lambda x: torch.cat(self.gaussian(x), dim=1))
        self.decoder = Part(self.picture)


class Convolutional(Coders):
    """Latents with a height and a width; mean and log-variance are halves of the channels."""

    def encode(self, x: torch.Tensor) -> Any:
        return torch.cat([part[..., None, None] for part in self.gaussian(x)], dim=1)

    def decode(self, z: torch.Tensor) -> Any:
        return self.picture(z[..., 0, 0])


@dataclasses.dataclass
class Output:
    """A result with names."""

    mu: torch.Tensor
    logvar: torch.Tensor


Pair = namedtuple("Pair", "mean log_var")
PLAIN = spelled("VAE", encode=lambda self, x: self.gaussian(x))
AUTOENCODER = spelled("Autoencoder", encode=lambda self, x: self.gaussian(x)[0])


def normal(self: Coders, x: torch.Tensor) -> Any:
    mean, logvar = self.gaussian(x)
    return torch.distributions.Normal(mean, (logvar / 2).exp())


def sigmas(self: Coders, x: torch.Tensor) -> Any:
    mean, logvar = self.gaussian(x)
    return mean, (logvar / 2).exp()


def softplus(self: Coders, x: torch.Tensor) -> Any:
    mean, logvar = self.gaussian(x)
    return mean, nn.functional.softplus(logvar)


SPELLINGS: dict[str, Callable[[], Any]] = {
    "pytorch/examples: encode gives (mu, logvar)": PLAIN,
    "AntixK: a list of both": spelled("VanillaVAE", encode=lambda self, x: list(self.gaussian(x))),
    "(z, mu, logvar)": spelled("BetaVAE", encode=lambda self, x: (self.drawn(x), *self.gaussian(x))),
    "(mu, logvar, z)": spelled("ConvVAE", encode=lambda self, x: (*self.gaussian(x), self.drawn(x))),
    "pythae VAE": Pythae,
    "Lightning-Bolts VAE": Bolts,
    "(recon, mu, logvar) from forward": ForwardAlone,
    "a dict of mu and logvar": spelled(
        "DictVAE", encode=lambda self, x: dict(zip(("mu", "logvar"), self.gaussian(x), strict=True))
    ),
    "a dict of z_mean and z_log_var": spelled(
        "KerasLikeVAE", encode=lambda self, x: dict(zip(("z_mean", "z_log_var"), self.gaussian(x), strict=True))
    ),
    "a dataclass": spelled("DataVAE", encode=lambda self, x: Output(*self.gaussian(x))),
    "a named tuple": spelled("PairVAE", encode=lambda self, x: Pair(*self.gaussian(x))),
    "torch.distributions.Normal": spelled("NormalVAE", encode=normal),
    "torch.distributions.Independent": spelled(
        "IndependentVAE", encode=lambda self, x: torch.distributions.Independent(normal(self, x), 1)
    ),
    "training mode with dropout": DrawsInside,
    "one tensor of both": spelled("DoubledVAE", encode=lambda self, x: torch.cat(self.gaussian(x), dim=1)),
    "one tensor of both from a chain": Chained,
    "one tensor of both in channels": Convolutional,
    "bfloat16": lambda: PLAIN().bfloat16(),
    "float64": lambda: PLAIN().double(),
    "frozen weights": lambda: PLAIN().requires_grad_(False),
    "torch.jit.script": lambda: torch.jit.script(Scripted()),
    "torch.compile": lambda: torch.compile(PLAIN(), backend="eager"),
    "DataParallel": lambda: nn.DataParallel(PLAIN()),
    "encode and decode over arrays (JAX, Keras)": Numpy,
}
"""Each of these is one VAE, spelled as others spell it."""


def diffusers_kl() -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(block_out_channels=(8,), norm_num_groups=4, latent_channels=2, in_channels=1, out_channels=1)


def diffusers_asymmetric() -> Any:
    from diffusers import AsymmetricAutoencoderKL

    class NoMask(AsymmetricAutoencoderKL):
        """As it stands: decode takes a mask that may be left out."""

    return NoMask(
        in_channels=1, out_channels=1, down_block_out_channels=(8,), up_block_out_channels=(8,), norm_num_groups=4,
        latent_channels=2,
    )  # fmt: skip


def diffusers_tiny() -> Any:
    from diffusers import AutoencoderTiny

    return AutoencoderTiny(
        in_channels=1, out_channels=1, encoder_block_out_channels=(8, 8), decoder_block_out_channels=(8, 8),
        num_encoder_blocks=(1, 1), num_decoder_blocks=(1, 1), latent_channels=2,
    )  # fmt: skip


def diffusers_vq() -> Any:
    from diffusers import VQModel

    return VQModel(in_channels=1, out_channels=1, block_out_channels=(8,), norm_num_groups=4, num_vq_embeddings=16)


def unet() -> Any:
    from diffusers import UNet2DModel

    return UNet2DModel(
        sample_size=8, in_channels=1, out_channels=1, block_out_channels=(8,), norm_num_groups=4,
        down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",), layers_per_block=1,
    )  # fmt: skip


def ddpm() -> Any:
    from diffusers import DDPMPipeline, DDPMScheduler

    return DDPMPipeline(unet(), DDPMScheduler())


def gpt2() -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(GPT2Config(vocab_size=64, n_positions=32, n_embd=8, n_layer=1, n_head=1))


def vit_mae() -> Any:
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    return ViTMAEForPreTraining(
        ViTMAEConfig(
            hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, image_size=8, patch_size=4,
            num_channels=1, decoder_hidden_size=8, decoder_num_hidden_layers=1, decoder_num_attention_heads=1,
            decoder_intermediate_size=8,
        )
    )  # fmt: skip


def fitted(name: str) -> Any:
    """An estimator of scikit-learn, fitted to pictures."""
    from sklearn import decomposition, mixture, neighbors

    kinds = {
        "PCA": lambda: decomposition.PCA(3),
        "NMF": lambda: decomposition.NMF(3, max_iter=20, tol=1.0),
        "KernelPCA": lambda: decomposition.KernelPCA(3, fit_inverse_transform=True),
        "GaussianMixture": lambda: mixture.GaussianMixture(2, reg_covar=0.1),
        "KernelDensity": neighbors.KernelDensity,
    }
    return kinds[name]().fit(np.random.default_rng(0).random((40, PIXELS)))


def weights(folder: Path, name: str) -> str:
    """A file of weights under that name."""
    path = folder / name
    if path.suffix == ".safetensors":
        from safetensors.torch import save_file

        save_file(PLAIN().state_dict(), path)
    elif path.suffix == ".pt":
        torch.save(PLAIN().state_dict(), path)
    else:
        path.write_bytes(b"GGUF" if path.suffix == ".gguf" else b"\x08\x07onnx")
    return str(path)
