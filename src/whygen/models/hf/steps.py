# pyright: basic
"""What happens to a row as it is generated: noise on the prompt's embeddings, drawing tokens, seeing that it is done.

A row's draws come from a generator of its own, seeded by its request, so they do not depend on the batch.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import LogitsProcessor, StoppingCriteria

from whygen.models.hf.tokens import Tokens
from whygen.models.turns import Refused
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


class Sampler(LogitsProcessor):
    """Draws the next token of each row, and leaves no other for greedy decoding to choose.

    Inverse-transform sampling: one uniform number a row and step, looked up in the cumulative distribution. It is drawn
    on the processor, where a seed gives the same number on every machine.
    """

    def __init__(self, seeds: Sequence[int], temperature: float, top_p: float | None) -> None:
        self._rngs = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._temperature, self._top_p = temperature, top_p

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores ``(rows, vocabulary)`` to 0 for the drawn token and -inf for the others."""
        shares = torch.softmax(scores.float() / self._temperature, dim=-1)
        if self._top_p is not None:
            shares = nucleus(shares, self._top_p)
        # Apple's devices have no double precision.
        precision = torch.float32 if shares.device.type == "mps" else torch.float64
        below = shares.cumsum(dim=-1, dtype=precision)
        uniform = torch.stack([torch.rand(1, generator=rng, dtype=torch.float64) for rng in self._rngs])
        wanted = uniform.to(device=below.device, dtype=precision) * below[:, -1:]
        drawn = torch.searchsorted(below, wanted, right=True).clamp(max=shares.shape[1] - 1)
        return torch.full_like(scores, -torch.inf).scatter(-1, drawn, 0.0)


def nucleus(shares: torch.Tensor, top_p: float) -> torch.Tensor:
    """Keep the fewest tokens whose probability reaches ``top_p``, at least one (Holtzman et al., 2020)."""
    ordered, where = shares.sort(dim=-1, descending=True)
    drop = ordered.cumsum(dim=-1) - ordered >= top_p
    drop[:, 0] = False
    return shares.masked_fill(torch.zeros_like(drop).scatter(-1, where, drop), 0.0)


class StopStrings(StoppingCriteria):
    """Ends a row once its answer holds one of the strings. The prompt is not looked at.

    Attributes:
        lengths: for each row that was ended, how many tokens it had written.
    """

    def __init__(self, tokens: Tokens, stops: Sequence[str], *, begin: int) -> None:
        self.lengths: dict[int, int] = {}
        self._tokens, self._stops, self._begin = tokens, stops, begin
        # A token holds at least one byte; the margin is for special tokens, which hold none.
        self._tail = max(len(stop.encode("utf-8", "surrogatepass")) for stop in stops) + 8

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: object) -> torch.Tensor:
        """Which rows are done, shape ``(rows,)``."""
        new = input_ids[:, self._begin :]
        for row, tail in enumerate(self._tokens.texts(new[:, -self._tail :].tolist())):
            if row not in self.lengths and self._holds(tail) and self._holds(self._tokens.text(new[row].tolist())):
                self.lengths[row] = new.shape[1]
        done = [row in self.lengths for row in range(len(new))]
        return torch.tensor(done, dtype=torch.bool, device=input_ids.device)

    def _holds(self, text: str) -> bool:
        return any(stop in text for stop in self._stops)


def free_memory(device: torch.device) -> int:
    """Bytes that are free on the device; a cautious guess where nobody can be asked."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 4 * 2**30
