# pyright: basic
"""Requests ready for a network, and rows of tokens of one width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from whygen.models.hf.steps import NoiseSource
from whygen.models.hf.tokens import Continuation
from whygen.types import Request, canonical_json


@dataclass(frozen=True, slots=True, kw_only=True)
class TextJob:
    """A request ready for the network; jobs of one kind can share a batch."""

    place: int
    request: Request
    prompt: list[int]
    room: int = 0
    target: Continuation | None = None
    noise: NoiseSource | None = None

    @property
    def length(self) -> int:
        """Tokens that the network reads at once."""
        return len(self.prompt) + (len(self.target.ids) if self.target else 0)

    @property
    def kind(self) -> str:
        settings = self.request.settings
        if self.target:
            return ""
        return canonical_json([self.room, settings.temperature, settings.top_p, list(settings.stop)])


def padded(
    rows: Sequence[Sequence[int]], pad: int, *, device: Any, left: bool = False, after: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and attention mask, each ``(rows, longest)``.

    Args:
        rows: tokens.
        pad: the token that fills up short rows.
        device: where the tensors shall be.
        left: fill up on the left.
        after: on the left, behind so many tokens with which all rows begin alike.
    """
    width = max(len(row) for row in rows)
    ids = torch.full((len(rows), width), pad)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for i, row in enumerate(rows):
        first, rest = (row[:after], row[after:]) if left else (row, [])
        where = [*range(len(first)), *range(width - len(rest), width)]
        ids[i, where] = torch.tensor([*first, *rest], dtype=torch.long)
        mask[i, where] = 1
    return ids.to(device), mask.to(device)
