"""The scale of effects: how far they can be apart, and their rescaling over a run, which the default never does."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from whygen.errors import UnknownNameError
from whygen.prompt import gsmile, relevance
from whygen.prompt.targets import Target
from whygen.results.prompt import TargetRecord
from whygen.types import Floats, Output


def _min_max(effects: Floats) -> Floats:
    alive = ~np.isnan(effects)
    scaled = np.full(len(effects), np.nan)
    scaled[alive] = gsmile.similarity(-effects[alive])
    return scaled


SCALES: dict[str, Callable[[Floats], Floats]] = {"none": lambda effects: effects, "min-max": _min_max}


def check_scale(name: str) -> None:
    """Refuse an unknown scale.

    Raises:
        UnknownNameError: naming those there are.
    """
    if name not in SCALES:
        raise UnknownNameError("scale", name, SCALES)


def rescale(name: str, effects: Floats) -> Floats:
    """Floats ``(m,)`` on the scale of that name; NaN stays NaN."""
    return SCALES[name](effects)


def unit_of(name: str, record: TargetRecord) -> TargetRecord:
    """The target's record, with the unit that its effects have on that scale."""
    if name == "none":
        return record
    return record.model_copy(update={"unit": f"min-max over this run of 1 / ({record.unit} + 1e-8), 0 to 1"})


UNIT = frozenset({"exact", "contains", "tool", "refusal", "token-set", "edit", "tfidf"})
"""Targets whose effects are at most one apart; labels, patterns and fields carry what they look for in their name."""


def reach(target: Target, references: Sequence[Output], scale: str = "none") -> float:
    """How far two effects of a target can be apart; for distances without a bound, as texts about other things are.

    0 where nobody knows: a score of one's own, log-probabilities, pictures.
    """
    record = target.record
    if scale != "none":
        return 1.0
    if record.name in UNIT or record.unit.startswith("1 if") or record.name.startswith(("label:", "regex:")):
        return 1.0
    return -(relevance.level(target, references) or 0.0)
