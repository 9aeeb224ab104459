# pyright: basic
"""Gaussian noise on the embeddings of some tokens of a prompt: what a request asks for, and how a network gets it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from whygen.models.hf_tokens import Refused
from whygen.types import JsonValue

NOISE = "embedding_noise"
"""The name in ``Settings.extra``."""

_FORM = '{"spans": [[start, end], ...], "scale": a number above 0, "seed": a whole number from 0}'


@dataclass(frozen=True, slots=True)
class NoiseSource:
    """Noise on the tokens at ``places`` of a prompt, as long as ``scale`` average embeddings on average."""

    places: tuple[int, ...]
    scale: float
    seed: int

    def rows(self, width: int) -> torch.Tensor:
        """Standard noise for each place, ``(places, width)``; a row depends on the seed and its place alone."""
        drawn = [np.random.default_rng([self.seed, place]).standard_normal(width) for place in self.places]
        return torch.from_numpy(np.array(drawn, dtype=np.float32).reshape(len(drawn), width))


def refuse_others(extra: Mapping[str, JsonValue], uri: str) -> None:
    """Refuse settings of models that do something else than write.

    Raises:
        Refused: naming them.
    """
    if strange := sorted(set(extra) - {NOISE}):
        raise Refused(
            f"{uri} writes texts, and takes no further settings but {NOISE}: not {', '.join(strange)}",
            "Leave them out; temperature, top_p, max_tokens, stop and seed work.",
        )


def asked_noise(extra: Mapping[str, JsonValue]) -> tuple[list[tuple[int, int]], float, int] | None:
    """Spans, scale and seed of the noise that a request asks for; None if it asks for none.

    Raises:
        Refused: if it is not of the form that `AddsNoise` describes.
    """
    if NOISE not in extra:
        return None
    told: Any = extra[NOISE]
    try:
        spans = [(int(start), int(end)) for start, end in told["spans"]]
        scale, seed = float(told["scale"]), int(told["seed"])
        good = set(told) == {"spans", "scale", "seed"} and math.isfinite(scale) and scale > 0 and seed >= 0
    except (TypeError, ValueError, KeyError):
        good = False
    if not good or any(not 0 <= start < end for start, end in spans):
        raise Refused(f"{NOISE}={told!r} is not of the form {_FORM}", "Give it in that form.")
    return spans, scale, seed


class NoisyEmbeddings:
    """Adds noise where a network turns its prompt into embeddings."""

    def __init__(self, network: Any) -> None:
        holder = network.get_encoder() if network.config.is_encoder_decoder else network
        self._layer = holder.get_input_embeddings()
        self._length: float | None = None

    def _mean_length(self) -> float:
        """Mean norm of an embedding, with the factor that some layers apply."""
        if self._length is None:
            factor = float(getattr(self._layer, "embed_scale", 1.0))
            self._length = factor * float(self._layer.weight.detach().float().norm(dim=1).mean())
        return self._length

    @contextmanager
    def on(self, rows: Sequence[NoiseSource | None], starts: Sequence[int]) -> Iterator[None]:
        """The next pass of the network is noisy; ``starts`` is where each row's prompt begins in the batch."""
        if not any(rows):
            yield
            return

        def add(layer: Any, given: Any, out: torch.Tensor) -> torch.Tensor:
            del layer, given
            hook.remove()  # later passes embed the tokens of the answer
            out = out.clone()
            each = self._mean_length() / math.sqrt(out.shape[-1])
            for row, (noise, start) in enumerate(zip(rows, starts, strict=True)):
                if noise is not None and noise.places:
                    where = [start + place for place in noise.places]
                    drawn = noise.rows(out.shape[-1]) * (noise.scale * each)
                    out[row, where] += drawn.to(device=out.device, dtype=out.dtype)
            return out

        hook = self._layer.register_forward_hook(add)
        try:
            yield
        finally:
            hook.remove()
