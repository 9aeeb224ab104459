"""When a server wants to be asked again, in the units that servers write."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

from whygen.texts import counted

PATIENCE: Final = 300.0
"""Seconds that a run waits for a server that asks to be left alone; what asks for longer ends it."""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait: ``retry-after-ms``, or ``retry-after`` in seconds or as a date (RFC 9110, section 10.2.3).

    Servers also write a unit beside the number, a date of ISO 8601, or a moment in seconds since 1970. A date
    is held against the server's own ``date`` where it sends one: the clock here may be wrong.
    """
    told = {name.lower(): value.strip() for name, value in headers.items()}
    now = _moment(told.get("date", ""))
    now = time.time() if now is None else now
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        first = re.split("[,;]", told.get(name, ""))[0]  # a proxy joins two headers to one
        try:
            seconds = float(first) * unit
        except ValueError:
            seconds = span(first)
        if seconds is None or not (math.isfinite(seconds) and seconds >= 0):
            continue
        if seconds < _SINCE_1970:
            return seconds
        until = seconds if seconds < _SINCE_1970 * 1000 else seconds / 1000
        return max(0.0, until - now)
    until = _moment(told.get("retry-after", ""))
    return None if until is None or not math.isfinite(until - now) else max(0.0, until - now)


_SINCE_1970 = 1e9
"""A wait of thirty years is a moment: seconds since 1970, or milliseconds where it is a thousand times as much."""
_NUMBER = r"\d+(?:\.\d+)?"
_SPAN = re.compile(
    rf"(?i)(?:pt)?(?:({_NUMBER}) ?h[a-z]*)? ?(?:({_NUMBER}) ?m(?:in[a-z]*)?)? ?(?:({_NUMBER}) ?s[a-z]*)?"
)
_MILLISECONDS = re.compile(rf"(?i)({_NUMBER}) ?m(?:illi)?s[a-z]*")
AGAIN_IN = re.compile(rf"(?i)\b(?:try again|retry) (?:in|after) ((?:{_NUMBER} ?(?:h|ms?|min|s)[a-z]* ?){{1,3}})")


def span(told: str) -> float | None:
    """Seconds in ``1.5s``, ``500ms``, ``1m30s``, ``PT1M`` or ``7 seconds``; None if it is no such span."""
    if (thousandths := _MILLISECONDS.fullmatch(told.strip())) is not None:
        return float(thousandths[1]) / 1000
    found = _SPAN.fullmatch(told.strip())
    if found is None or not any(found.groups()):
        return None
    seconds = sum(float(part or 0) * unit for part, unit in zip(found.groups(), (3600, 60, 1), strict=True))
    return seconds if math.isfinite(seconds) else None


def lasting(seconds: float) -> str:
    """A wait in words, in the largest unit of which there are two."""
    units = (("year", 365 * 86_400), ("day", 86_400), ("hour", 3_600), ("minute", 60))
    name, size = next(((name, size) for name, size in units if seconds >= 2 * size), ("second", 1))
    count = round(seconds / size)
    return counted(count, name) if count < 1000 * 365 else "a time without end"


def _moment(told: str) -> float | None:
    """Seconds since 1970 of a date as HTTP or as ISO 8601 writes it; None if it is none."""
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            return read(told).timestamp()
        except (ValueError, TypeError, OverflowError, OSError):  # zones of a hundred hours, years of six digits
            continue
    return None
