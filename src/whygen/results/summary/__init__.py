"""Summaries: an explanation becomes a plain dict that holds everything a report shows, and no more.

`whygen.report` draws it. Nothing is found here that is not in the explanation, and no model is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from whygen import report
from whygen._arguments import typed
from whygen.results.anchors import AnchorExplanation
from whygen.results.files import write_together
from whygen.results.prompt import PromptExplanation
from whygen.results.summary.anchors import summarise_anchors
from whygen.results.summary.prompt import summarise_prompt
from whygen.results.summary.texts import summarise_texts
from whygen.results.texts import TextAnchorExplanation

if TYPE_CHECKING:
    from rich.console import Console

Explanation: TypeAlias = PromptExplanation | AnchorExplanation | TextAnchorExplanation

__all__ = ["print_terminal", "summarise", "write_html"]


@typed()
def summarise(explanation: Explanation) -> dict[str, Any]:
    """Everything that a report shows, as JSON; ``kind`` names the page that shows it."""
    if isinstance(explanation, AnchorExplanation):
        return summarise_anchors(explanation)
    if isinstance(explanation, TextAnchorExplanation):
        return summarise_texts(explanation)
    return summarise_prompt(explanation)


@typed()
def write_html(explanation: Explanation | Mapping[str, Any], path: Path | str) -> Path:
    """Write the report of an explanation, or of its summary, to a file; returns the file.

    Raises:
        StoreError: if the file cannot be written.
    """
    document = report.html(explanation) if isinstance(explanation, Mapping) else explanation.to_html()
    place = Path(path)
    write_together(place.parent, {place.name: document.encode("utf-8", "replace")})
    return place


def print_terminal(explanation: Explanation, console: Console) -> None:
    """Print the summary of an explanation, as wide as the console is."""
    console.print(report.terminal(summarise(explanation)))
