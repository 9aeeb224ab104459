"""Drawing: a plain dict becomes a page (`html`) or what a terminal shows (`terminal`).

It knows no explanation and no model. `whygen.results.summary` makes the dict.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from whygen.report.html import compact as compact
from whygen.report.html import html as html
from whygen.report.html import notebook as notebook
from whygen.report.terminal import anchors_terminal
from whygen.report.terminal import terminal as prompt_terminal
from whygen.report.text_anchors import texts_terminal

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["compact", "html", "notebook", "terminal"]


def terminal(summary: Mapping[str, Any]) -> RenderableType:
    """What a terminal shows of a summary; its ``kind`` names which."""
    drawn = {"anchors": anchors_terminal, "texts": texts_terminal}.get(summary["kind"], prompt_terminal)
    return drawn(summary)
