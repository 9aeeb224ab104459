"""Figures of an anchor explanation as SVG text: criteria with thresholds and densities, the covering-radius curve.

Colours of the groups are those of Okabe and Ito, readable on light and on dark pages and by colour-blind people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import escape
from numpy.typing import NDArray

from whygen.report.svg import Axis
from whygen.report.texts import number

COLOURS: dict[str, str] = {
    "HIHE": "#009e73",
    "HILE": "#d55e00",
    "LIHE": "#0072b2",
    "LILE": "#8a8a8a",
    "BELOW": "#cc79a7",
}
ALONE: dict[str, str] = {"HIGH": COLOURS["HIHE"], "LOW": COLOURS["LILE"]}
"""By criteria of one kind."""
OF_TEXTS: dict[str, str] = {
    "knows by heart": COLOURS["BELOW"],
    "knows the kind": COLOURS["HIHE"],
    "invents": COLOURS["HILE"],
    "does not know": COLOURS["LIHE"],
    "cannot be told": COLOURS["LILE"],
}
"""To a language model."""
BINS = 60


@dataclass(frozen=True, slots=True)
class Plot:
    """The area of a figure in the units of its view box."""

    x_axis: Axis
    y_axis: Axis
    left: float = 58.0
    top: float = 62.0
    width: float = 480.0
    height: float = 320.0

    @property
    def bottom(self) -> float:
        return self.top + self.height

    @property
    def right(self) -> float:
        return self.left + self.width

    def x(self, value: float) -> float:
        return self.left + self.width * self.x_axis.share(value)

    def y(self, value: float) -> float:
        return self.bottom - self.height * self.y_axis.share(value)

    def frame(self, x_label: str, y_label: str) -> str:
        """Grid lines with ticks, and what the axes are."""
        body = ""
        for tick in self.x_axis.ticks(6):
            x = f"{self.x(tick):.1f}"
            body += f'<line class="grid" x1="{x}" x2="{x}" y1="{self.top}" y2="{self.bottom}"/>'
            body += f'<text class="tick" x="{x}" y="{self.bottom + 15}" text-anchor="middle">{_short(tick)}</text>'
        for tick in self.y_axis.ticks(6):
            y = f"{self.y(tick):.1f}"
            body += f'<line class="grid" x1="{self.left}" x2="{self.right}" y1="{y}" y2="{y}"/>'
            body += f'<text class="tick" x="{self.left - 6}" y="{y}" dy="3.5" text-anchor="end">{_short(tick)}</text>'
        middle = self.top + self.height / 2
        body += f'<text class="axis" x="{self.left + self.width / 2}" y="{self.bottom + 36}" text-anchor="middle">'
        body += f'{escape(x_label)}</text><text class="axis" transform="translate(13 {middle}) rotate(-90)" '
        return body + f'text-anchor="middle">{escape(y_label)}</text>'


def criteria_scatter(
    points: Mapping[str, NDArray[np.float64]],
    every: Mapping[str, NDArray[np.float64]],
    *,
    thresholds: tuple[float, float],
    names: tuple[str, str],
    titles: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """Anchors by two criteria, thresholds as lines, and the density of each group along both sides.

    Args:
        points: for each group what is drawn, ``(n, 2)``.
        every: for each group all of its anchors, ``(n, 2)``: the densities are of these.
        thresholds: of the two criteria.
        names: of the two criteria, with their units.
        titles: for each group what each dot is called; None: dots have no names.
    """
    whole = np.concatenate([part for part in every.values() if len(part)])
    plot = Plot(_axis(whole[:, 0], thresholds[0]), _axis(whole[:, 1], thresholds[1]))
    body = plot.frame(*names)
    for group, part in points.items():
        called = [f"<title>{escape(each)}</title>" for each in titles[group]] if titles else [""] * len(part)
        dots = "".join(
            f'<circle cx="{plot.x(a):.1f}" cy="{plot.y(b):.1f}" r="2.2">{title}</circle>'
            for (a, b), title in zip(part, called, strict=True)
        )
        body += f'<g fill="{COLOURS[group]}" fill-opacity="0.45">{dots}</g>'
    for group, part in every.items():
        body += _density(plot, part[:, 0], COLOURS[group], along="x") + _density(
            plot, part[:, 1], COLOURS[group], along="y"
        )
    x, y = f"{plot.x(thresholds[0]):.1f}", f"{plot.y(thresholds[1]):.1f}"
    line = 'stroke="currentColor" stroke-width="1.5" stroke-dasharray="6 4"'
    body += f'<line {line} x1="{x}" x2="{x}" y1="{plot.top}" y2="{plot.bottom}"/>'
    body += f'<line {line} x1="{plot.left}" x2="{plot.right}" y1="{y}" y2="{y}"/>'
    return _figure(body, width=620, height=440, label=f"Anchors by {names[0]} and {names[1]}, coloured by group")


def covering(counts: Sequence[int], radii: Sequence[float], *, enough: int | None) -> str:
    """The covering radius by number of anchors; a line where more anchors stop helping."""
    plot = Plot(Axis(0, max(counts) + 1), Axis(0, max(radii) * 1.05 or 1.0), top=12, height=240)
    path = " ".join(f"{plot.x(n):.1f},{plot.y(r):.1f}" for n, r in zip(counts, radii, strict=True))
    body = plot.frame("number of anchors, farthest first", "covering radius")
    body += f'<polyline points="{path}" fill="none" stroke="{COLOURS["LIHE"]}" stroke-width="2"/>'
    if enough is not None:
        x = f"{plot.x(enough):.1f}"
        body += (
            f'<line stroke="currentColor" stroke-dasharray="6 4" x1="{x}" x2="{x}" y1="{plot.top}" y2="{plot.bottom}"/>'
        )
    return _figure(body, width=560, height=300, label="Covering radius by number of anchors")


def key(group: str) -> str:
    """A dot in the colour of a group, for a cell of a table."""
    return f'<svg width="12" height="12" aria-hidden="true"><circle cx="6" cy="6" r="5" fill="{colour(group)}"/></svg>'


def colour(group: str) -> str:
    """The colour of a group."""
    return (COLOURS | ALONE | OF_TEXTS)[group]


def _axis(values: NDArray[np.float64], threshold: float) -> Axis:
    """From the least value to the 99.5th percentile, and past the threshold: what lies beyond is put at the edge."""
    low = min(float(values.min()), threshold)
    high = max(float(np.quantile(values, 0.995)), 1.2 * threshold - 0.2 * low)
    room = max(0.03 * (high - low), 1e-6 * max(abs(low), abs(high))) or 0.5  # values may differ by rounding alone
    return Axis(low - room, high + room)


def _density(plot: Plot, values: NDArray[np.float64], colour: str, *, along: str) -> str:
    """A histogram of shares of one group, above the plot or right of it."""
    if len(values) == 0:
        return ""
    axis = plot.x_axis if along == "x" else plot.y_axis
    counts, edges = np.histogram(np.clip(values, axis.low, axis.high), bins=BINS, range=(axis.low, axis.high))
    heights = 44 * counts / counts.max()
    middles = (edges[:-1] + edges[1:]) / 2
    if along == "x":
        spots = [f"{plot.x(m):.1f},{plot.top - 4 - h:.1f}" for m, h in zip(middles, heights, strict=True)]
    else:
        spots = [f"{plot.right + 4 + h:.1f},{plot.y(m):.1f}" for m, h in zip(middles, heights, strict=True)]
    return f'<polyline points="{" ".join(spots)}" fill="none" stroke="{colour}" stroke-width="1.4"/>'


def _figure(body: str, *, width: int, height: int, label: str) -> str:
    return f'<svg class="plot" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">{body}</svg>'


def _short(tick: float) -> str:
    return number(tick, 0 if tick == round(tick) else 2)
