"""When every perturbed prompt has one effect: the answer was lost by all of them, or changed by none. METHODS A8.

The two are opposite findings. And masks are a sample: what none of G groups of them showed may still happen in one of
G / 3 (the rule of three), so an interval of no width would claim more than was seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from whygen.prompt.effects import Effects
from whygen.prompt.intervals import Estimate
from whygen.prompt.noise import resolution
from whygen.stats.intervals import Interval
from whygen.types import Floats

LEVEL = 0.95

_ROUNDING = 1e-12
"""Of the target's own range: less is rounding, even where all effects are that small."""


@dataclass(frozen=True, slots=True)
class Collapse:
    """All perturbed prompts have one effect.

    Attributes:
        kind: ``lost`` where it is not that of the whole prompt, ``unchanged`` where it is.
        masks: how many perturbed prompts there were.
        groups: how many of them were drawn independently of each other.
        reach: how far another effect may be from it; 0 where nobody knows.
    """

    kind: Literal["lost", "unchanged"]
    masks: int
    groups: int
    reach: float

    @property
    def rate(self) -> float:
        """Groups of masks that show another effect, at most, at 95%."""
        return 1.0 - (1.0 - LEVEL) ** (1.0 / self.groups)


def collapsed(observed: Effects, repeats: Floats, reach: float = 0.0) -> Collapse | None:
    """Whether all masks that lack a unit have one effect, to rounding in the scale of the scores.

    Args:
        observed: masks with their effects.
        repeats: effects of the whole prompt, shape ``(r,)``.
        reach: how far the target lets two effects be apart; 0 if nobody knows.
    """
    masked = observed.masks.sum(axis=1) < observed.n
    effects = observed.values[masked]
    if not len(effects):
        return None
    slack = max(resolution(np.append(effects, repeats)), _ROUNDING * reach)
    if float(np.ptp(effects)) > slack:
        return None
    apart = abs(float(repeats.mean() - effects.mean()))
    kind = "lost" if apart > slack else "unchanged"
    groups = len(np.unique(observed.groups[masked]))
    return Collapse(kind, len(effects), groups, max(reach, apart if kind == "lost" else 0.0))


def one_effect(observed: Effects) -> Collapse | None:
    """Whether all masks of a run have one effect, the whole prompt among them where it is one."""
    collapse = collapsed(observed, observed.whole, observed.reach)
    lacking = bool((observed.masks.sum(axis=1) < observed.n).all())
    return collapse if collapse is not None and (lacking or collapse.kind == "unchanged") else None


def collapsed_estimate(observed: Effects, collapse: Collapse) -> Estimate:
    """No sampled mask says which unit matters: a bound for each, where it is known how far effects can be apart.

    An attribution is the mean difference that a unit makes within groups of masks, so it is at most the share of groups
    in which anything differs times the reach; where units are kept with another chance than one half, the rarer side
    counts for more. Shapley values share out the total evenly, and carry the doubt of its two ends.
    """
    total = observed.total or 0.0
    values = np.full(observed.n, total / observed.n)
    if not collapse.reach:
        return Estimate(values, None, None, "none: every perturbed prompt had one effect")
    rarer = min(observed.keep, 1.0 - observed.keep)
    half = collapse.rate * collapse.reach * (0.5 / rarer if rarer > 0.0 else 1.0)
    if observed.total is not None:
        half += collapse.reach / observed.n
    method = f"rule of three: every perturbed prompt of {collapse.groups} groups had one effect"
    return Estimate(values, Interval(values, values - half, values + half), np.ones(observed.n), method)
