# pyright: basic
"""The way between pictures and the latents that a network sees: through the autoencoder of its pipeline.

A sample's latents are the mode of what the encoder tells, so that nothing is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from whygen.errors import UsageError

AUTOENCODERS = ("vae", "vqvae", "movq", "vqgan")
"""Names of the autoencoder in a pipeline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coder:
    """An autoencoder, and how its latents are scaled for the network.

    Attributes:
        module: encodes and decodes pictures between -1 and 1.
        offset: what is taken from latents, of one number or one for each channel,
        factor: and what they are multiplied with then.
    """

    module: Any
    offset: torch.Tensor
    factor: torch.Tensor

    def encode(self, samples: torch.Tensor) -> torch.Tensor:
        """Latents as the network sees them."""
        raw = self.raw(samples)
        return (raw - self.offset.to(raw)) * self.factor.to(raw)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Pictures of such latents, with values of -1 to 1."""
        return self.decoded(latents / self.factor.to(latents) + self.offset.to(latents))

    def raw(self, samples: torch.Tensor) -> torch.Tensor:
        """Latents as the autoencoder gives them.

        Raises:
            UsageError: if it does not take pictures, or gives something else.
        """
        weights = next(self.module.parameters())
        try:
            found = self.module.encode(samples.to(device=weights.device, dtype=weights.dtype))
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            raise UsageError(
                f"The autoencoder {type(self.module).__name__} of the pipeline cannot encode pictures of shape "
                f"{tuple(samples.shape[1:])} ({str(error)[:200]}). Give anchors of the size that the model makes."
            ) from error
        latents = _latents(found)
        if not torch.is_tensor(latents) or latents.ndim != samples.ndim:
            raise UsageError(
                f"The autoencoder {type(self.module).__name__} of the pipeline gives no latents of pictures that "
                "whygen can read. It reads AutoencoderKL, AutoencoderTiny, AutoencoderDC, VQModel and their like."
            )
        return latents.to(torch.float32)

    def decoded(self, raw: torch.Tensor) -> torch.Tensor:
        """Pictures of latents as the autoencoder gives them."""
        found = self.module.decode(raw.to(next(self.module.parameters()).dtype))
        return getattr(found, "sample", found).to(torch.float32).clamp(-1, 1)

    def without_offset(self) -> Coder:
        """The same for pipelines that leave the offset out."""
        return replace(self, offset=torch.zeros_like(self.offset))


def _latents(found: Any) -> Any:
    if hasattr(found, "latent_dist"):
        return found.latent_dist.mode()
    return next((getattr(found, name) for name in ("latents", "latent") if hasattr(found, name)), None)


def coder_of(pipeline: Any) -> Coder | None:
    """The autoencoder of a pipeline with the scale that its configuration states; None where it has none."""
    module = next((part for name in AUTOENCODERS if (part := getattr(pipeline, name, None)) is not None), None)
    if module is None:
        return None
    config = module.config
    factor = torch.tensor(float(getattr(config, "scaling_factor", None) or 1.0))
    offset = torch.tensor(float(getattr(config, "shift_factor", None) or 0.0))
    means, spreads = (getattr(config, f"latents_{name}", None) for name in ("mean", "std"))
    if means is not None and spreads is not None:
        offset = torch.tensor(means, dtype=torch.float32).view(1, -1, 1, 1)
        factor = factor / torch.tensor(spreads, dtype=torch.float32).view(1, -1, 1, 1)
    return Coder(module=module, offset=offset, factor=factor)


def stride_of(coder: Coder) -> int:
    """Pixels of a picture along a side of one latent."""
    config = coder.module.config
    blocks = getattr(config, "block_out_channels", None) or getattr(config, "encoder_block_out_channels", (1,))
    return 2 ** (len(blocks) - 1)
