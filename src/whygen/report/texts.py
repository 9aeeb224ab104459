"""Text of models and numbers made fit to be shown: nothing hidden, nothing that commands a terminal or a browser."""

from __future__ import annotations

import math
from collections.abc import Sequence

from whygen.safe import visible
from whygen.texts import counted as counted  # noqa: PLC0414 - those who draw have it from here

MINUS = "\u2212"


def clip(text: str, most: int) -> tuple[str, int]:
    """At most so many characters, and how many were left out."""
    return (text, 0) if len(text) <= most else (text[:most], len(text) - most)


def shorten(text: str, most: int = 32) -> str:
    """One line of at most ``most`` characters, with an ellipsis where something was left out."""
    line = " ".join(visible(text).split()) or "(blank)"
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def quoted(text: str, most: int = 32) -> str:
    """The text, shortened, in typographic quotes."""
    return f"“{shorten(text, most)}”"


def listed(parts: Sequence[str]) -> str:
    """``a, b and c``."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


MOST_DECIMALS = 9
"""Numbers that need more are written with a power of ten."""


def decimals_for(largest: float) -> int:
    """Decimals that show three figures of the largest number."""
    if not math.isfinite(largest) or largest <= 0:
        return 3
    return max(0, 2 - math.floor(math.log10(largest)))


def number(value: float | None, decimals: int = 3) -> str:
    """With a true minus sign; a dash where there is no number, and never a negative zero."""
    if value is None or not math.isfinite(value):
        return "–"
    power = decimals > MOST_DECIMALS and abs(value) >= 0.5 * 10.0**-decimals
    text = f"{abs(value):.2e}" if power else f"{abs(value):,.{min(decimals, MOST_DECIMALS)}f}"
    return MINUS + text if value < 0 and any(digit in text for digit in "123456789") else text


def signed(value: float | None, decimals: int = 3) -> str:
    """As `number`, with a plus before what is positive."""
    text = number(value, decimals)
    return f"+{text}" if text[0].isdigit() and any(digit in text for digit in "123456789") else text


def p_value(value: float | None) -> str:
    """``<0.001`` or three decimals."""
    if value is None:
        return "–"
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def percent(share: float) -> str:
    """A share as a whole percentage; what is not quite nothing or all is not written as such: ``0.2%``, ``>99.9%``."""
    text = f"{100.0 * share:.0f}".replace("-0", "0")
    if text in ("0", "100") and 0.0 < share < 1.0 - 1e-9:
        text = "<0.1" if share < 0.0005 else ">99.9" if share >= 0.9995 else f"{100.0 * share:.1f}"
    return f"{text}%".replace("-", MINUS)
