"""Where the regions of a picture lie, in words: a number says nothing to whoever does not see it in the picture."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from whygen.results.prompt import PromptExplanation

_WIDE: Final = 2 / 3
"""A region that spans more of its picture than this lies in no third of it."""


def places(explanation: PromptExplanation) -> list[str]:
    """Where each unit lies in its picture, in words; empty for what is no region of it, and without the evidence."""
    evidence = explanation.evidence
    if evidence is None or evidence.pictures is None or evidence.pictures.regions is None:
        return []
    drawn = evidence.pictures.regions
    of = [unit.text.rpartition("region ")[0] for unit in explanation.units]  # which of several pictures of a chat
    whole = {name: np.isin(drawn, [i for i, each in enumerate(of) if each == name]) for name in set(of)}
    return [
        _place(drawn == unit, whole[name]) if each.text.rpartition(" ")[0].endswith("region") else ""
        for unit, (name, each) in enumerate(zip(of, explanation.units, strict=True))
    ]


def _place(inside: NDArray[np.bool_], whole: NDArray[np.bool_]) -> str:
    """Which third of the picture a region lies in, down and across, by its middle."""
    if not inside.any():
        return ""
    down, wide = _third(inside, whole, ("upper", "", "lower"), axis=1)
    across, high = _third(inside, whole, ("left", "", "right"), axis=0)
    if wide and high:
        return "nearly everywhere"
    if high:
        return f"all across, {down or 'middle'}"
    if wide:
        return f"from top to bottom, {across or 'middle'}"
    return f"{down} {across or ('middle' if down else '')}".strip() or "middle"


def _third(
    inside: NDArray[np.bool_], whole: NDArray[np.bool_], called: tuple[str, str, str], *, axis: int
) -> tuple[str, bool]:
    """The name of the third that a region's middle is in along one side, and whether it spans most of that side."""
    span, of = (np.flatnonzero(np.any(each, axis=axis)) for each in (inside, whole))
    length = int(of[-1] - of[0]) + 1
    middle = ((span[0] + span[-1]) / 2 - of[0] + 0.5) / length
    return called[min(2, int(3 * middle))], (span[-1] - span[0] + 1) / length > _WIDE
