"""The order in which requests are sent: those that begin alike beside each other, so that what reads them reads less.

Servers and local models keep what they computed for the beginning of a prompt. Requests are put in the order of their
texts within windows only: a run that ends early has whole windows of the design, each as balanced as it was drawn.
Short prompts, of which there is nothing to save, are sent as they were drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from whygen.types import Chat, Request

WINDOW: Final = 64
"""Requests that may change places. Masks are drawn in pairs, and a window is whole pairs."""
LONG: Final = 512
"""Characters of the texts of a window on average, from which on they are sorted: over a hundred tokens."""


def together(missing: Mapping[str, Request]) -> dict[str, Request]:
    """The requests, by the same keys; draws of one prompt stay in their order."""
    entries = list(missing.items())
    windows = (entries[start : start + WINDOW] for start in range(0, len(entries), WINDOW))
    return {key: request for window in windows for key, request in _sorted(window)}


def _sorted(window: list[tuple[str, Request]]) -> list[tuple[str, Request]]:
    texts = {key: _text(request) for key, request in window}
    if sum(len(text) for said in texts.values() for text in said) < LONG * len(window):
        return window
    return sorted(window, key=lambda each: texts[each[0]])


def _text(request: Request) -> tuple[str, ...]:
    """What is sent, in order; of a picture with an instruction nothing is shared."""
    prompt = request.prompt
    texts = [prompt] if isinstance(prompt, str) else prompt.texts if isinstance(prompt, Chat) else []
    return (*texts, request.continuation or "")
