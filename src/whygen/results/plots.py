# pyright: basic
"""Plots by matplotlib, for papers and notebooks (extra ``plots``). Nothing is shown or styled beyond the axes given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from whygen.errors import MissingExtraError, UsageError
from whygen.report.colours import LIGHT
from whygen.report.texts import shorten
from whygen.results.prompt import PromptExplanation

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def axes_or_new(ax: Axes | None, *, height: float = 4.0) -> Axes:
    """The axes given, or those of a new figure.

    Raises:
        MissingExtraError: if matplotlib is not installed.
        UsageError: if it is something else than axes.
    """
    if ax is not None:
        if not (hasattr(ax, "barh") and hasattr(ax, "set_title")):
            raise UsageError(f"ax is a {type(ax).__name__}: give the Axes of matplotlib, or None for new ones.")
        return ax
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("Plotting", extra="plots", package="matplotlib") from error
    return Figure(figsize=(6.0, height), layout="constrained").add_subplot()


def plot_attributions(explanation: PromptExplanation, *, ax: Axes | None = None) -> Axes:
    """A bar a unit, first unit on top, with its interval; what is not significant is pale.

    Args:
        explanation: what to draw.
        ax: where to draw; a new figure of its own (not pyplot's) if None, as ``ax.figure``.

    Raises:
        MissingExtraError: if matplotlib is not installed.
    """
    units = explanation.units
    ax = axes_or_new(ax, height=max(2.0, 0.24 * len(units) + 0.8))
    rows = np.arange(len(units))
    values = np.array([unit.attribution for unit in units])
    fills = [LIGHT.pos_fill if unit.attribution > 0 else LIGHT.neg_fill for unit in units]
    bars = ax.barh(rows, values, color=fills, height=0.7)
    for patch, unit in zip(bars, units, strict=True):
        patch.set_alpha(1.0 if unit.significant else 0.35)
        patch.set_hatch("//" if unit.attribution < 0 else "")
        patch.set_edgecolor(LIGHT.card)
    for row, unit in zip(rows, units, strict=True):
        if unit.band_low is not None and unit.band_high is not None:
            ax.hlines(row, unit.band_low, unit.band_high, color=LIGHT.faint, linewidth=0.8)
        if unit.low is not None and unit.high is not None:
            ax.hlines(row, unit.low, unit.high, color=LIGHT.ink, linewidth=1.2)
    ax.axvline(0.0, color=LIGHT.faint, linewidth=0.8)
    ax.set_yticks(rows, [_literal(shorten(unit.text, 24)) for unit in units])
    ax.set_ylim(len(units) - 0.4, -0.6)
    ax.set_xlabel(_literal(f"attribution ({explanation.target.unit})"))
    return ax


def plot_fidelity(explanation: PromptExplanation, *, ax: Axes | None = None) -> Axes:
    """Held-out predictions against the effects seen; on the diagonal they agree.

    Raises:
        MissingExtraError: if matplotlib is not installed.
        UsageError: if the explanation was loaded without its evidence.
    """
    if explanation.evidence is None:
        raise UsageError("This explanation has no evidence: it was loaded from its JSON alone. Load its folder.")
    ax = axes_or_new(ax)
    seen, predicted = explanation.evidence.effects, explanation.evidence.predicted
    ax.scatter(seen, predicted, s=14, color=LIGHT.pos_fill, alpha=0.7, linewidths=0)
    both = np.concatenate([seen, predicted])
    both = both[np.isfinite(both)]
    if both.size:
        ends = [float(both.min()), float(both.max())]
        ax.plot(ends, ends, color=LIGHT.faint, linestyle="--", linewidth=1.0)
    heldout = explanation.fidelity.r2_heldout
    ax.set_xlabel(_literal(f"effect seen ({explanation.target.unit})"))
    ax.set_ylabel("effect predicted, held out")
    ax.set_title("" if heldout is None else f"held-out R² {heldout:.2f}")
    return ax


def _literal(text: str) -> str:
    """Matplotlib reads what stands between dollar signs as mathematics."""
    return text.replace("$", r"\$")
