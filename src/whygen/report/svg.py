"""Small figures as SVG text, shared by all reports: bars with intervals, scatter, strips of dots, gauges.

Figures of one row have no view box and place things by percentages, so they fit any width with undistorted text.
Colours come from the page's style sheet by class (``pos``, ``neg``, ``sure`` ...): no figure holds a colour.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from whygen.report.texts import decimals_for, number

ROW = 22
"""Height of a row in pixels."""


def _svg(body: str, *, height: int, label: str, kind: str) -> Markup:
    named = f'role="img" aria-label="{escape(label)}"' if label else 'aria-hidden="true"'
    return Markup(f'<svg class="{kind}" width="100%" height="{height}" {named}>{body}</svg>')  # noqa: S704 - parts are numbers and escaped


def _at(axis: Axis, value: float) -> str:
    return f"{100 * axis.share(value):.2f}%"


def _span(axis: Axis, one: float, other: float) -> str:
    left, right = sorted((axis.share(one), axis.share(other)))
    return f'x="{100 * left:.2f}%" width="{100 * max(0.003, right - left):.2f}%"'


def bar(
    value: float,
    low: float | None,
    high: float | None,
    *,
    axis: Axis,
    band: tuple[float | None, float | None] = (None, None),
    classes: str = "",
    label: str = "",
) -> Markup:
    """A bar from zero to a value, a whisker over its interval and a finer line over its band, where it has them.

    Args:
        value: where the bar ends.
        low: left end of the interval.
        high: right end of the interval.
        axis: shared by all bars of a figure.
        band: both ends of the band that holds for all bars at once.
        classes: of the bar, such as ``pos sure``.
        label: what a screen reader says; empty if a table beside it says the same.
    """
    zero = _at(axis, 0.0)
    body = f'<line class="zero" x1="{zero}" x2="{zero}" y1="0" y2="{ROW}"/>'
    body += f'<rect class="bar {escape(classes)}" {_span(axis, 0.0, value)} y="5" height="{ROW - 10}" rx="1.5"/>'
    middle = ROW / 2
    if band[0] is not None and band[1] is not None:
        left, right = _at(axis, band[0]), _at(axis, band[1])
        body += f'<line class="band" x1="{left}" x2="{right}" y1="{middle}" y2="{middle}"/>'
    if low is not None and high is not None:
        left, right = _at(axis, low), _at(axis, high)
        body += f'<line class="whisker" x1="{left}" x2="{right}" y1="{middle}" y2="{middle}"/>'
        body += "".join(
            f'<line class="whisker" x1="{end}" x2="{end}" y1="{middle - 4}" y2="{middle + 4}"/>'
            for end in (left, right)
        )
    return _svg(body, height=ROW, label=label, kind="row")


def scale(axis: Axis, *, about: int = 4) -> Markup:
    """The ticks of an axis, to stand above or below rows of bars."""
    ticks = axis.ticks(about)
    decimals = _tick_decimals(ticks)
    body = ""
    for tick in ticks:
        place = _at(axis, tick)
        body += f'<line class="tick" x1="{place}" x2="{place}" y1="15" y2="{ROW}"/>'
        body += f'<text class="tick" x="{place}" y="11" text-anchor="middle">{number(tick, decimals)}</text>'
    return _svg(body, height=ROW, label="", kind="row")


def _tick_decimals(ticks: Sequence[float]) -> int:
    if len(ticks) < 2:
        return 2
    return max(0, decimals_for(ticks[1] - ticks[0]) - 2)


def heat(shares: Sequence[float], ends: Sequence[float], *, axis: Axis, label: str) -> Markup:
    """A row of cells, the fuller the larger the share.

    Args:
        shares: 0 to 1, one a cell.
        ends: where the cells begin and end, one more than there are cells.
        axis: shared by all rows of a figure.
        label: what a screen reader says.
    """
    body = "".join(
        f'<rect class="cell" {_span(axis, left, right)} y="2" height="{ROW - 4}" fill-opacity="{share:.3f}"/>'
        for share, left, right in zip(shares, ends[:-1], ends[1:], strict=True)
        if share > 0.004
    )
    return _svg(
        f'<rect class="bed" x="0" width="100%" y="2" height="{ROW - 4}"/>{body}', height=ROW, label=label, kind="row"
    )


def envelope(levels: Sequence[float], end: float, *, axis: Axis, label: str) -> Markup:
    """How loud a sound is from moment to moment: bars about a middle line, each as high as its level, 0 to 1.

    Args:
        levels: one a bar; the bars share the time from 0 to ``end``.
        end: where the last one ends.
        axis: shared by all rows of a figure.
        label: what a screen reader says.
    """
    width, height = end / max(1, len(levels)), 2 * ROW
    body = "".join(
        f'<rect class="level" {_span(axis, i * width, (i + 0.8) * width)} '
        f'y="{height / 2 * (1 - level) - 0.5:.1f}" height="{height * level + 1:.1f}"/>'
        for i, level in enumerate(levels)
    )
    return _svg(body, height=height, label=label, kind="row")


def gauge(value: float | None, *, marks: Sequence[float] = (), shade_from: float | None = None, label: str) -> Markup:
    """A bar from 0 to 1; ``marks`` are lines across it, and what lies right of ``shade_from`` is shaded."""
    axis = Axis(0.0, 1.0)
    body = f'<rect class="groove" x="0" width="100%" y="5" height="{ROW - 10}" rx="2"/>'
    if shade_from is not None:
        body += f'<rect class="beyond" {_span(axis, shade_from, 1.0)} y="5" height="{ROW - 10}"/>'
    if value is not None and value > 0:
        body += f'<rect class="bar gauge" {_span(axis, 0.0, value)} y="5" height="{ROW - 10}" rx="2"/>'
    for mark in marks:
        place = _at(axis, mark)
        body += f'<line class="mark" x1="{place}" x2="{place}" y1="1" y2="{ROW - 1}"/>'
    return _svg(body, height=ROW, label=label, kind="row")


def strip(values: Sequence[float], *, axis: Axis, classes: str = "", label: str) -> Markup:
    """One row of dots, half transparent so that crowds show, and a line at their mean."""
    body = f'<line class="rail" x1="0" x2="100%" y1="{ROW / 2}" y2="{ROW / 2}"/>'
    body += "".join(f'<circle class="dot {escape(classes)}" cx="{_at(axis, v)}" cy="{ROW / 2}" r="4"/>' for v in values)
    if values:
        mean = _at(axis, float(np.mean(values)))
        body += f'<line class="mean" x1="{mean}" x2="{mean}" y1="2" y2="{ROW - 2}"/>'
    return _svg(body, height=ROW, label=label, kind="row")


SWARM = 3 * ROW
"""The highest a row of dots becomes; more dots in one place lie on each other."""
_SIDE_BY_SIDE = 64
"""Dots that fit beside each other in the narrowest chart."""


def swarm(values: Sequence[float], *, axis: Axis, mean: float, label: str) -> Markup:
    """A row of dots that move up and down where they would hide each other (a beeswarm), and a line at the mean."""
    steps = _stacked([round(axis.share(value) * _SIDE_BY_SIDE) for value in values])
    height = min(SWARM, max(ROW, 5 * (2 * max(map(abs, steps), default=0) + 3)))
    middle, reach = height / 2, height / 2 - 5
    body = f'<line class="rail" x1="0" x2="100%" y1="{middle}" y2="{middle}"/>'
    for value, step in zip(values, steps, strict=True):
        y = middle + min(max(5 * step, -reach), reach)
        body += f'<circle class="dot" cx="{_at(axis, value)}" cy="{y:g}" r="4"/>'
    if values:
        body += f'<line class="mean" x1="{_at(axis, mean)}" x2="{_at(axis, mean)}" y1="2" y2="{height - 2:g}"/>'
    return _svg(body, height=int(height), label=label, kind="row")


def _stacked(places: Sequence[int]) -> list[int]:
    """For each of those in one place the next free step from the middle: 0, 1, -1, 2, -2 ..."""
    seen: dict[int, int] = {}
    steps: list[int] = []
    for place in places:
        before = seen.get(place, 0)
        steps.append((before + 1) // 2 * (1 if before % 2 else -1))
        seen[place] = before + 1
    return steps


def scatter(
    x: Sequence[float],
    y: Sequence[float],
    *,
    x_axis: Axis,
    y_axis: Axis,
    x_label: str,
    y_label: str,
    label: str,
    diagonal: bool = False,
    classes: Sequence[str] = (),
) -> Markup:
    """Points with round ticks; ``diagonal`` draws where x equals y. ``classes`` gives one class a point."""
    box = _Box(x_axis, y_axis)
    body = box.frame() + (box.diagonal() if diagonal else "")
    kinds = classes or [""] * len(x)
    for a, b, kind in zip(x, y, kinds, strict=True):
        body += f'<circle class="dot {escape(kind)}" cx="{box.x(a):.1f}" cy="{box.y(b):.1f}" r="3.4"/>'
    body += f'<text class="axis" x="{box.left + box.width / 2}" y="{box.bottom + 36}" text-anchor="middle">'
    body += f"{escape(x_label)}</text>"
    turned = f"translate(13 {box.top + box.height / 2}) rotate(-90)"
    body += f'<text class="axis" transform="{turned}" text-anchor="middle">{escape(y_label)}</text>'
    return Markup(  # noqa: S704 - parts are numbers and escaped
        f'<svg class="plot" viewBox="0 0 420 340" role="img" aria-label="{escape(label)}">{body}</svg>'
    )


class _Box:
    """The plotting area of a scatter, in the units of its view box."""

    left, top, width, height = 58.0, 10.0, 350.0, 282.0

    def __init__(self, x_axis: Axis, y_axis: Axis) -> None:
        self.x_axis, self.y_axis = x_axis, y_axis

    @property
    def bottom(self) -> float:
        return self.top + self.height

    def x(self, value: float) -> float:
        return self.left + self.width * self.x_axis.share(value)

    def y(self, value: float) -> float:
        return self.bottom - self.height * self.y_axis.share(value)

    def frame(self) -> str:
        """Grid lines with their ticks."""
        right = self.left + self.width
        body = ""
        ticks = self.x_axis.ticks(5)
        for tick in ticks:
            x = f"{self.x(tick):.1f}"
            body += f'<line class="grid" x1="{x}" x2="{x}" y1="{self.top}" y2="{self.bottom}"/>'
            body += f'<text class="tick" x="{x}" y="{self.bottom + 15}" text-anchor="middle">'
            body += f"{number(tick, _tick_decimals(ticks))}</text>"
        ticks = self.y_axis.ticks(5)
        for tick in ticks:
            y = self.y(tick)
            body += f'<line class="grid" x1="{self.left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            body += f'<text class="tick" x="{self.left - 6}" y="{y + 3.5:.1f}" text-anchor="end">'
            body += f"{number(tick, _tick_decimals(ticks))}</text>"
        return body

    def diagonal(self) -> str:
        low = max(self.x_axis.low, self.y_axis.low)
        high = min(self.x_axis.high, self.y_axis.high)
        ends = f'x1="{self.x(low):.1f}" y1="{self.y(low):.1f}" x2="{self.x(high):.1f}" y2="{self.y(high):.1f}"'
        return f'<line class="diagonal" {ends}/>'


def finite(values: NDArray[np.float64] | Sequence[float | None]) -> list[float]:
    """The finite numbers, in order."""
    array = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    return array[np.isfinite(array)].tolist()


@dataclass(frozen=True, slots=True)
class Axis:
    """The interval ``[low, high]`` that a figure shows; ``low < high``."""

    low: float
    high: float

    def share(self, value: float) -> float:
        """Place of a value, 0 at the left end and 1 at the right; what lies outside is put at the end."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))

    def ticks(self, about: int = 5) -> list[float]:
        """Round numbers inside, about so many: steps of 1, 2 or 5 times a power of ten."""
        rough = (self.high - self.low) / max(1, about)
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= 0.7 * rough)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(index * step, 12) for index in range(first, last + 1)]


def axis_over(values: Iterable[float | None], *, include: Iterable[float] = (), margin: float = 0.04) -> Axis:
    """The axis that holds all finite values and those to include, with a margin on each side."""
    found = [value for value in (*values, *include) if value is not None and math.isfinite(value)]
    low, high = (min(found), max(found)) if found else (0.0, 1.0)
    if high - low <= 1e-12 * max(1.0, abs(low), abs(high)):
        low, high = low - 0.5, high + 0.5
    room = margin * (high - low)
    return Axis(low - room, high + room)
