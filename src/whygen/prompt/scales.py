"""Rescaling effects over a run. Only for comparison with what was published: the default never does it (METHODS A1)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from whygen.errors import UnknownNameError
from whygen.prompt import gsmile
from whygen.results.prompt import TargetRecord
from whygen.types import Effects


def _min_max(effects: Effects) -> Effects:
    alive = ~np.isnan(effects)
    scaled = np.full(len(effects), np.nan)
    scaled[alive] = gsmile.similarity(-effects[alive])
    return scaled


SCALES: dict[str, Callable[[Effects], Effects]] = {"none": lambda effects: effects, "min-max": _min_max}


def check_scale(name: str) -> None:
    """Refuse an unknown scale.

    Raises:
        UnknownNameError: naming those there are.
    """
    if name not in SCALES:
        raise UnknownNameError("scale", name, SCALES)


def rescale(name: str, effects: Effects) -> Effects:
    """Effects ``(m,)`` on the scale of that name; NaN stays NaN."""
    return SCALES[name](effects)


def unit_of(name: str, record: TargetRecord) -> TargetRecord:
    """The target's record, with the unit that its effects have on that scale."""
    if name == "none":
        return record
    return record.model_copy(update={"unit": f"min-max over this run of 1 / ({record.unit} + 1e-8), 0 to 1"})
