"""Looks for parts whose inside cancels out: children of opposite sign leave no trace in the masks of their parent.

Closed parts are cut in two in several ways. If the halves of all of them at once make no difference, nothing is there;
if they do, each is asked alone with the cuts that told most.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from whygen.prompt.hierarchy.laws import contexts, cuts_needed, halves, put
from whygen.prompt.hierarchy.levels import Ask, Floats
from whygen.prompt.hierarchy.skeleton import Part, Skeleton
from whygen.types import Masks

KEPT_CUTS = 2
"""Cuts that each part is asked about alone."""


def cuts_for(suspects: Sequence[Part]) -> int:
    """So many that any two units of a suspect are apart at least once; it grows with the logarithm of its length."""
    return max(KEPT_CUTS, *(cuts_needed(part.last - part.first) for part in suspects))


def cost_of_looking(suspects: Sequence[Part]) -> int:
    """The most calls that `hidden` asks for."""
    return 2 * cuts_for(suspects) + 2 * KEPT_CUTS * len(suspects) if suspects else 0


def hidden(
    skeleton: Skeleton,
    parent: Part,
    suspects: Sequence[Part],
    ask: Ask,
    rng: np.random.Generator,
    *,
    estimand: str,
    noise: float,
    worth: float,
) -> Floats:
    """How much the output differs between two random halves of each suspect, beyond the model's noise.

    Args:
        skeleton: the parts.
        parent: what the suspects are children of.
        suspects: parts of at least two units.
        ask: the model.
        rng: draws cuts and surroundings.
        estimand: the law of the surroundings.
        noise: variance of one effect under repetition.
        worth: a difference below this is none.

    Returns:
        Root mean square differences, shape ``(len(suspects),)``.
    """
    if not suspects:
        return np.zeros(0)
    count = cuts_for(suspects)
    cuts = [halves(part, count, rng) for part in suspects]
    differences = _all_at_once(skeleton, parent, suspects, cuts, ask, rng, estimand=estimand)
    chance = max(worth**2, 2.0 * noise * float(chdtri(count, 0.05)) / count)
    if float(np.mean(differences**2)) <= chance:
        return np.zeros(len(suspects))
    telling = np.argsort(-np.abs(differences))[:KEPT_CUTS]
    alone = _one_by_one(skeleton, suspects, [cut[telling] for cut in cuts], ask, rng, estimand=estimand)
    size = np.sqrt(np.maximum((alone**2).mean(axis=1) - 2.0 * noise, 0.0))
    return np.where(size > worth, size, 0.0)


def _all_at_once(
    skeleton: Skeleton,
    parent: Part,
    suspects: Sequence[Part],
    cuts: Sequence[Masks],
    ask: Ask,
    rng: np.random.Generator,
    *,
    estimand: str,
) -> Floats:
    """One difference a cut, shape ``(cuts,)``; 0 where a call failed. Their neighbours are in or out by a coin."""
    count = len(cuts[0])
    first = contexts(skeleton, parent, count, rng, estimand=estimand)
    known = {part.index for part in suspects}
    others = [part for part in skeleton.children(parent.index) if part.index not in known]
    put(first, others, rng.random((count, len(others))) < 0.5)
    second = first.copy()
    for part, cut in zip(suspects, cuts, strict=True):
        first[:, part.first : part.last], second[:, part.first : part.last] = cut, ~cut
    return _differences(ask, first, second)


def _one_by_one(
    skeleton: Skeleton,
    suspects: Sequence[Part],
    cuts: Sequence[Masks],
    ask: Ask,
    rng: np.random.Generator,
    *,
    estimand: str,
) -> Floats:
    """Differences of each suspect alone, shape ``(len(suspects), KEPT_CUTS)``."""
    firsts: list[Masks] = []
    seconds: list[Masks] = []
    for part, cut in zip(suspects, cuts, strict=True):
        around = contexts(skeleton, part, KEPT_CUTS, rng, estimand=estimand)
        one, other = around.copy(), around.copy()
        one[:, part.first : part.last], other[:, part.first : part.last] = cut, ~cut
        firsts.append(one)
        seconds.append(other)
    return _differences(ask, np.vstack(firsts), np.vstack(seconds)).reshape(len(suspects), KEPT_CUTS)


def _differences(ask: Ask, first: Masks, second: Masks) -> NDArray[np.float64]:
    effects = ask(np.vstack([first, second]))
    return np.nan_to_num(effects[: len(first)] - effects[len(first) :])
