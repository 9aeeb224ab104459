"""Reports: an explanation becomes a plain dict (`summarise`), and that a page (`html`) or text (`terminal`).

Stands on `whygen.results` alone: it never calls a model, and nothing is found here that is not in the explanation.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whygen.report.anchors_summary import summarise_anchors
from whygen.report.anchors_terminal import anchors_terminal
from whygen.report.html import html as html
from whygen.report.html import notebook as notebook
from whygen.report.summarise import summarise_prompt
from whygen.report.terminal import terminal as prompt_terminal
from whygen.results.anchors import AnchorExplanation
from whygen.results.files import write_together
from whygen.results.prompt import PromptExplanation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.console import Console, RenderableType

__all__ = [
    "html",
    "notebook",
    "plot_attributions",
    "plot_criteria",
    "plot_fidelity",
    "plot_representatives",
    "print_terminal",
    "summarise",
    "terminal",
    "write_html",
]


def summarise(explanation: PromptExplanation | AnchorExplanation) -> dict[str, Any]:
    """Everything that a report shows, as JSON; ``kind`` names the page that shows it."""
    if isinstance(explanation, AnchorExplanation):
        return summarise_anchors(explanation)
    return summarise_prompt(explanation)


def terminal(summary: Mapping[str, Any]) -> RenderableType:
    """What a terminal shows of a summary."""
    return anchors_terminal(summary) if summary["kind"] == "anchors" else prompt_terminal(summary)


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
    console.print(terminal(summarise(explanation)))


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


def plot_criteria(explanation: AnchorExplanation, *, ax: Axes | None = None) -> Axes:
    """Anchors by two criteria with their thresholds, drawn by matplotlib.

    Raises:
        MissingExtraError: if the extra ``plots`` is not installed.
    """
    from whygen.report import anchors_plots

    return anchors_plots.plot_criteria(explanation, ax=ax)


def plot_representatives(explanation: AnchorExplanation, group: str = "HIHE", *, ax: Axes | None = None) -> Axes:
    """Originals, reconstructions and differences of a group's representatives, drawn by matplotlib.

    Raises:
        MissingExtraError: if the extra ``plots`` is not installed.
    """
    from whygen.report import anchors_plots

    return anchors_plots.plot_representatives(explanation, group, ax=ax)
