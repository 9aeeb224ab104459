# pyright: basic
"""The network of ``demo/digits-vae``: a small convolutional VAE for images of 28 x 28. This file needs torch."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from whygen.errors import FormatError

SLOPE = 0.2


class DigitsVae(nn.Module):
    """Three convolutions of stride 2 (28, 14, 7, 4), a linear layer to mean and log-variance, and the way back.

    States what whygen wants to know of a model: shape, layout and range of a sample, and the size of the latent.
    """

    sample_shape = (1, 28, 28)
    layout = "NCHW"
    value_range = (0.0, 1.0)
    uri = "demo/digits-vae"

    def __init__(self, *, width: int, latent: int) -> None:
        super().__init__()
        self.latent_dim = latent
        self.inner = (4 * width, 4, 4)
        size = 4 * width * 4 * 4
        act = nn.LeakyReLU(SLOPE)
        self.encoder = nn.Sequential(
            nn.Conv2d(1, width, 4, stride=2, padding=1), act,
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1), act,
            nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1), act,
            nn.Flatten(), nn.Linear(size, 2 * latent),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.Linear(latent, size), act, nn.Unflatten(1, self.inner),
            nn.ConvTranspose2d(4 * width, 2 * width, 3, stride=2, padding=1), act,
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1), act,
            nn.ConvTranspose2d(width, 1, 4, stride=2, padding=1),
        )  # fmt: skip

    def encode(self, samples: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log-variance of the posterior, each ``(n, latent)``."""
        mean, logvar = self.encoder(samples).chunk(2, dim=1)
        return mean, logvar

    def logits(self, latents: torch.Tensor) -> torch.Tensor:
        """What `decode` gives before the sigmoid: the loss is computed from it."""
        return self.decoder(latents)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Samples between 0 and 1, ``(n, 1, 28, 28)``."""
        return torch.sigmoid(self.logits(latents))


def load_vae(file: Path, *, width: int, latent: int) -> DigitsVae:
    """The trained network, in single precision whatever the file is in, ready to be evaluated.

    Raises:
        FormatError: if the file is damaged, or holds other weights.
    """
    module = DigitsVae(width=width, latent=latent)
    try:
        module.load_state_dict({name: tensor.float() for name, tensor in load_file(file).items()})
    except (SafetensorError, RuntimeError) as error:
        raise FormatError(f"The weights in {str(file)!r} are damaged: {error}. Install whygen again.") from error
    return module.eval()
