# pyright: basic
"""What happens at each step of a generation: drawing a token, seeing that a row is done.

A row's draws come from a generator of its own, seeded by its request, so they do not depend on the batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import LogitsProcessor, StoppingCriteria

from whygen.models.hf_tokens import Tokens


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
