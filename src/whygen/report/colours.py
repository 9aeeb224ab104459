"""A diverging palette that colour-blind people can read: blue pulls towards, orange pushes away; nine steps each.

Hues are those of Okabe and Ito. Text on every step has a contrast of at least 4.5 (a test holds this).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

Sign: TypeAlias = Literal["pos", "neg", "zero"]
LEVELS = 8
"""Steps of intensity; 0 is no colour."""
UNSEEN = 0.005
"""Share of the largest below which a value is no more than a zero."""
FAINT = 2
"""What is not significant gets at most this step."""


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of one mode of the page, as ``#rrggbb``."""

    ink: str
    soft: str
    faint: str
    page: str
    card: str
    line: str
    pos: str
    neg: str
    pos_fill: str
    neg_fill: str
    warn: str
    warn_fill: str


LIGHT = Theme(
    ink="#1a1c20", soft="#575c66", faint="#6b707a", page="#f5f4f0", card="#ffffff", line="#dedbd3",
    pos="#0b5fa5", neg="#b04a00", pos_fill="#3f93d6", neg_fill="#ee8a34", warn="#8a5a00", warn_fill="#fff6dd",
)  # fmt: skip
DARK = Theme(
    ink="#eceae4", soft="#b3b6bd", faint="#969aa3", page="#131519", card="#1c1f25", line="#353a43",
    pos="#7db8f2", neg="#f5a05a", pos_fill="#2b6cb0", neg_fill="#a3560f", warn="#f2c66b", warn_fill="#2b2617",
)  # fmt: skip


def sign_of(value: float) -> Sign:
    """Which way a value points."""
    return "pos" if value > 0 else "neg" if value < 0 else "zero"


def level_of(value: float, largest: float, *, most: int = LEVELS) -> int:
    """Step of intensity 0 .. ``most`` of a value beside the largest absolute one; what rounding leaves has none."""
    if largest <= 0 or not math.isfinite(value) or abs(value) < UNSEEN * largest:
        return 0
    return min(most, math.ceil(LEVELS * min(1.0, abs(value) / largest)))


def mix(under: str, over: str, share: float) -> str:
    """So much of the second colour over the first."""
    pairs = ((int(under[i : i + 2], 16), int(over[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def step(theme: Theme, sign: Sign, level: int) -> str:
    """Background of a step in a theme."""
    fill = theme.pos_fill if sign == "pos" else theme.neg_fill
    return mix(theme.card, fill, 0.0 if sign == "zero" else 0.95 * level / LEVELS)


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, 1 to 21 (WCAG 2, relative luminance)."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
