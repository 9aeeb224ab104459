"""Finds parts whose children cancel each other out, so that the part alone shows no effect.

Children of opposite sign cancel, and so do children that act as a pair: an opening and a closing tag, a quotation mark
and its partner. A part that is wholly in or out says nothing of either, nor does a comparison of its two halves (one
tag is as bad as the other). So masks of the level are asked again with every closed part cut by a coin of its own, and
compared with what the whole parts gave. Where that makes a difference, the cuts that told most are put into each part
alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from whygen.prompt.hierarchy.laws import cuts_needed, halves
from whygen.prompt.hierarchy.levels import Ask, Rows
from whygen.prompt.hierarchy.skeleton import Part
from whygen.types import Floats, Masks

CUTS = 16
"""Cuts of all parts at once, at least. One that hides a pair is told by each with probability one half, a condition of
three units by one in five: 16 miss it in one of 65,000 and one of 40."""

TELLING = 4
"""Cuts that told most, which are put into each part alone."""

SURE = 0.05
"""Chance with which noise alone is taken for a difference, and parts are asked about in vain."""


@dataclass(frozen=True, slots=True)
class _Cut:
    """Masks before ``(m, n)`` and after the suspects were cut, and what that changed ``(m,)``; NaN where unanswered."""

    before: Masks
    after: Masks
    effects: Floats
    differences: Floats


def cuts_for(suspects: Sequence[Part]) -> int:
    """So many that any two units of a suspect are apart twice; it grows with the logarithm of its length."""
    return max(CUTS, *(2 * cuts_needed(part.last - part.first) for part in suspects))


def cost_of_looking(suspects: Sequence[Part]) -> int:
    """The most calls that `hidden` asks for."""
    return cuts_for(suspects) + TELLING * (len(suspects) + 1) if suspects else 0


def hidden(
    suspects: Sequence[Part], rows: Rows, ask: Ask, rng: np.random.Generator, *, noise: float, worth: float
) -> Floats:
    """How much the output changes where a suspect is cut in two at random, beyond the model's noise.

    Args:
        suspects: parts of at least two units.
        rows: what their level asked, with every suspect wholly in or out.
        ask: the model.
        rng: draws masks and cuts.
        noise: variance of one effect under repetition.
        worth: a difference below this is none.

    Returns:
        Root mean square differences, shape ``(len(suspects),)``.
    """
    if not suspects:
        return np.zeros(0)
    cut = _all_at_once(suspects, rows, ask, rng)
    known = cut.differences[~np.isnan(cut.differences)]
    if not len(known) or float(np.mean(known**2)) <= max(worth**2, _by_chance(noise, len(known))):
        return np.zeros(len(suspects))
    alone = _one_by_one(suspects, cut, ask, noise=noise)
    size = np.sqrt(np.maximum((alone**2).mean(axis=1) - 2.0 * noise, 0.0))
    return np.where(size > worth, size, 0.0)


def _by_chance(noise: float, count: int) -> float:
    """Mean square of so many differences between two effects that noise alone stays under, but for `SURE`."""
    return 2.0 * noise * float(chdtri(count, SURE)) / count


def _all_at_once(suspects: Sequence[Part], rows: Rows, ask: Ask, rng: np.random.Generator) -> _Cut:
    """Masks of the level at random, with every suspect cut, whether it was in or out."""
    count = cuts_for(suspects)
    chosen = np.concatenate([rng.permutation(len(rows.masks)) for _ in range(-(-count // len(rows.masks)))])[:count]
    before = rows.masks[chosen]
    after = before.copy()
    for part in suspects:
        after[:, part.first : part.last] = halves(part, count, rng)
    effects = rows.effects[chosen]
    return _Cut(before, after, effects, ask(after) - effects)


def _one_by_one(suspects: Sequence[Part], cut: _Cut, ask: Ask, *, noise: float) -> Floats:
    """What each suspect alone changes under the cuts that told most, shape ``(suspects, TELLING)``; 0 if unanswered.

    Under noise a cut may have told most because its mask was an odd one: the masks before the cut are then asked anew.
    """
    telling = np.argsort(-np.abs(np.nan_to_num(cut.differences)))[:TELLING]
    before, after = cut.before[telling], cut.after[telling]
    base = ask(before) if noise > 0.0 else cut.effects[telling]
    masks = np.tile(before, (len(suspects), 1, 1))
    for place, part in enumerate(suspects):
        masks[place, :, part.first : part.last] = after[:, part.first : part.last]
    effects: NDArray[np.float64] = ask(masks.reshape(-1, before.shape[1])).reshape(len(suspects), -1)
    return np.nan_to_num(effects - base)
