# pyright: basic
"""Plots by matplotlib, for papers and notebooks (extra ``plots``). Nothing is styled beyond the axes given; a new
figure is pyplot's, so that notebooks show it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from whygen.errors import MissingExtraError, UsageError
from whygen.report.anchors_svg import COLOURS
from whygen.report.colours import LIGHT
from whygen.report.texts import shorten
from whygen.results.anchors import GROUPS, AnchorExplanation
from whygen.results.prompt import PromptExplanation

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def axes_or_new(ax: Axes | None, *, height: float = 4.0) -> Axes:
    """The axes given, or those of a new figure of pyplot, which notebooks show and ``pyplot.show()`` opens.

    Raises:
        MissingExtraError: if matplotlib is not installed.
        UsageError: if it is something else than axes.
    """
    if ax is not None:
        if not (hasattr(ax, "barh") and hasattr(ax, "set_title")):
            raise UsageError(f"ax is a {type(ax).__name__}: give the Axes of matplotlib, or None for new ones.")
        return ax
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise MissingExtraError("Plotting", extra="plots", package="matplotlib") from error
    return pyplot.subplots(figsize=(6.0, height), layout="constrained")[1]


def plot_attributions(explanation: PromptExplanation, *, ax: Axes | None = None) -> Axes:
    """A bar a unit, first unit on top, with its interval; what is not significant is pale.

    Args:
        explanation: what to draw.
        ax: where to draw; a new figure of pyplot if None.

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


def plot_criteria(explanation: AnchorExplanation, *, ax: Axes | None = None) -> Axes:
    """Anchors by the first intrinsic and the first extrinsic criterion, thresholds as dashed lines.

    Raises:
        MissingExtraError: if the extra ``plots`` is not installed.
        UsageError: if only the JSON was loaded.
    """
    evidence = explanation.evidence
    if evidence is None:
        raise UsageError("This explanation was loaded from its JSON alone; load the folder that save wrote.")
    drawn = axes_or_new(ax)
    kinds = [criterion.kind for criterion in explanation.criteria]
    if len(set(kinds)) == 1:
        raise UsageError("The criteria are of one kind, and the figure has one of each. See table() for the values.")
    across, up = (explanation.criteria[kinds.index(kind)] for kind in ("intrinsic", "extrinsic"))
    values = evidence.values[:, [kinds.index("intrinsic"), kinds.index("extrinsic")]]
    for code, name in enumerate(GROUPS):
        part = values[evidence.codes == code]
        drawn.scatter(part[:, 0], part[:, 1], s=5, alpha=0.4, color=COLOURS[name], label=f"{name} ({len(part)})")
    drawn.axvline(explanation.thresholds[across.name], ls="--", lw=1, color="0.3")
    drawn.axhline(explanation.thresholds[up.name], ls="--", lw=1, color="0.3")
    drawn.set_xlabel(f"{across.name} ({across.unit})")
    drawn.set_ylabel(f"{up.name} ({up.unit})")
    drawn.legend(markerscale=3)
    return drawn


def plot_representatives(explanation: AnchorExplanation, group: str | None = None, *, ax: Axes | None = None) -> Axes:
    """Originals, what came back and differences of a group's representatives, one column each.

    Raises:
        MissingExtraError: if the extra ``plots`` is not installed.
        UsageError: if the group is unknown or empty, or the anchors are no images.
    """
    evidence = explanation.evidence
    names = explanation.group_names
    group = names[0] if group is None else group
    if group not in names.values():
        raise UsageError(f"group is {group!r}; give one of {', '.join(names.values())}.")
    if evidence is None or evidence.originals is None or evidence.reconstructions is None:
        raise UsageError("There are no pictures: the anchors are no images, or only the JSON was loaded.")
    rows = np.flatnonzero(np.isin(evidence.shown, explanation.selected[group]))
    if rows.size == 0:
        raise UsageError(f"{group} has no anchors to show.")
    one, made = evidence.originals[rows], evidence.reconstructions[rows]
    strips = [np.concatenate(list(strip), axis=1) for strip in (one, made, np.abs(one - made))]
    drawn = axes_or_new(ax)
    picture = np.concatenate(strips)
    drawn.imshow(picture[:, :, 0] if picture.shape[2] == 1 else picture[:, :, :3], cmap="gray", vmin=0, vmax=1)
    height = one.shape[1]
    drawn.set_yticks([height * (place + 0.5) for place in range(3)], ["original", explanation.given_back, "difference"])
    drawn.set_xticks([])
    return drawn
