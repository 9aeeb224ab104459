# pyright: basic
"""Plots of an anchor explanation by matplotlib, for papers and notebooks (extra ``plots``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from whygen.errors import UsageError
from whygen.report.anchors_svg import COLOURS
from whygen.results.anchors import GROUPS, AnchorExplanation
from whygen.results.plots import axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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


def plot_representatives(explanation: AnchorExplanation, group: str = "HIHE", *, ax: Axes | None = None) -> Axes:
    """Originals, reconstructions and differences of a group's representatives, one column each.

    Raises:
        MissingExtraError: if the extra ``plots`` is not installed.
        UsageError: if the group is unknown or empty, or the anchors are no images.
    """
    evidence = explanation.evidence
    if group not in GROUPS:
        raise UsageError(f"group is {group!r}; give one of {', '.join(GROUPS)}.")
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
    drawn.set_yticks([height * (place + 0.5) for place in range(3)], ["original", "reconstruction", "difference"])
    drawn.set_xticks([])
    return drawn
