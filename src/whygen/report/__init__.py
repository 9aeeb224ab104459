"""Reports: an explanation becomes a plain dict (`summarise`), and that a page (`html`) or text (`terminal`).

Stands on `whygen.results` alone: it never calls a model, and nothing is found here that is not in the explanation.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whygen.report.html import html as html
from whygen.report.html import notebook as notebook
from whygen.report.summarise import summarise_prompt
from whygen.report.terminal import terminal as terminal
from whygen.results.anchors import AnchorExplanation
from whygen.results.files import write_together
from whygen.results.prompt import PromptExplanation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.console import Console

__all__ = [
    "html",
    "notebook",
    "plot_attributions",
    "plot_fidelity",
    "print_terminal",
    "summarise",
    "terminal",
    "write_html",
]


def summarise(explanation: PromptExplanation) -> dict[str, Any]:
    """Everything that a report shows, as JSON; ``kind`` names the page that shows it."""
    return summarise_prompt(explanation)


def write_html(explanation: PromptExplanation | AnchorExplanation | Mapping[str, Any], path: Path | str) -> Path:
    """Write the report of an explanation, or of its summary, to a file; returns the file.

    Raises:
        StoreError: if the file cannot be written.
    """
    document = html(explanation) if isinstance(explanation, Mapping) else explanation.to_html()
    place = Path(path)
    write_together(place.parent, {place.name: document.encode("utf-8", "replace")})
    return place


def print_terminal(explanation: PromptExplanation | AnchorExplanation, console: Console) -> None:
    """Print the summary of an explanation, as wide as the console is."""
    console.print(explanation if isinstance(explanation, AnchorExplanation) else terminal(summarise(explanation)))


def plot_attributions(explanation: PromptExplanation, *, ax: Axes | None = None) -> Axes:
    """Bars with intervals, drawn by matplotlib.

    Raises:
        MissingExtraError: if the extra ``plots`` is not installed.
    """
    from whygen.report import plots

    return plots.plot_attributions(explanation, ax=ax)


def plot_fidelity(explanation: PromptExplanation, *, ax: Axes | None = None) -> Axes:
    """Held-out predictions against the effects seen, drawn by matplotlib.

    Raises:
        MissingExtraError: if the extra ``plots`` is not installed.
    """
    from whygen.report import plots

    return plots.plot_fidelity(explanation, ax=ax)
