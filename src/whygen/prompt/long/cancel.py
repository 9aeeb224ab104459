"""What values of parts cannot show: parts whose inside cancels out, and leaves that matter only together. METHODS A4.

Children of opposite sign cancel, and so do children that act as a pair: an opening and a closing tag, a quotation mark
and its partner. A part that is wholly in or out says nothing of either, nor does a comparison of its two halves (one
tag is as bad as the other). So masks of the level are asked again with every closed part cut by a coin of its own, and
compared with what the whole parts gave. Where that makes a difference, the cuts that told most are put into each part
alone.

A pair of tags is worth nothing each, and nothing as their parts are opened: the values of the levels are right, and say
nothing. So where the values leave something over, masks of the leaves alone are asked, each leaf in or out by a fair
coin, and read as those of a short prompt are. Why: docs/decisions/0012-built-on-noise.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from whygen.prompt import designs
from whygen.prompt.effects import Effects
from whygen.prompt.findings import FEWEST_GROUPS, Interaction, strongest_pairs
from whygen.prompt.long.levels import Ask, LevelRows, answered_pairs
from whygen.prompt.long.parts import PromptPart, cuts_needed, halves, put
from whygen.prompt.surrogates import Surrogate
from whygen.types import Floats, Masks

CUTS = 16
"""Cuts of all parts at once, at least. One that hides a pair is told by each with probability one half, a condition of
three units by one in five: 16 miss it in one of 65,000 and one of 40."""

TELLING = 4
"""Cuts that told most, which are put into each part alone."""

SURE = 0.05
"""Chance with which noise alone is taken for a difference, and parts are asked about in vain."""

FEWEST = 64
"""Calls under which no pair is looked for: half of the masks choose among all pairs of leaves."""

MOST = 128
"""Calls at most: half of them tell a pair that is half of the variance from a thousand others nearly always."""


def cuts_for(suspects: Sequence[PromptPart]) -> int:
    """So many that any two units of a suspect are apart twice; it grows with the logarithm of its length."""
    return max(CUTS, *(2 * cuts_needed(part.last - part.first) for part in suspects))


def cost_of_looking(suspects: Sequence[PromptPart]) -> int:
    """The most calls that `hidden` asks for."""
    return cuts_for(suspects) + TELLING * (len(suspects) + 1) if suspects else 0


def hidden(
    suspects: Sequence[PromptPart], rows: LevelRows, ask: Ask, rng: np.random.Generator, *, noise: float, worth: float
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
    # All suspects are cut at once, in masks of the level whose answers are known: one call a comparison. It is the same
    # mask that is compared, not the complement of the cut, since one tag alone is as bad as the other.
    count = cuts_for(suspects)
    chosen = np.concatenate([rng.permutation(len(rows.masks)) for _ in range(-(-count // len(rows.masks)))])[:count]
    before, effects = rows.masks[chosen], rows.effects[chosen]
    after = before.copy()
    for part in suspects:
        after[:, part.first : part.last] = halves(part, count, rng)
    differences = ask(after) - effects
    known = differences[~np.isnan(differences)]
    # Under noise alone the sum of squares, over twice the noise of an effect, is a chi-square of as many degrees.
    by_chance = 2.0 * noise * float(chdtri(max(len(known), 1), SURE)) / max(len(known), 1)
    if not len(known) or float(np.mean(known**2)) <= max(worth**2, by_chance):
        return np.zeros(len(suspects))
    telling = np.argsort(-np.abs(np.nan_to_num(differences)))[:TELLING]
    # Under noise a cut may have told most because its mask was an odd one: the masks before the cut are asked anew.
    base = ask(before[telling]) if noise > 0.0 else effects[telling]
    alone = _one_by_one(suspects, before[telling], after[telling], base, ask)
    # Twice the noise is what both sides of a comparison add to its square.
    size = np.sqrt(np.maximum((alone**2).mean(axis=1) - 2.0 * noise, 0.0))
    return np.where(size > worth, size, 0.0)


def _one_by_one(suspects: Sequence[PromptPart], before: Masks, after: Masks, base: Floats, ask: Ask) -> Floats:
    """What each suspect alone changes under cuts, shape ``(suspects, cuts)``; 0 if unanswered.

    Args:
        suspects: parts.
        before: masks with every suspect wholly in or out, shape ``(cuts, n)``.
        after: the same with every suspect cut.
        base: effects of ``before``, shape ``(cuts,)``.
        ask: the model.
    """
    masks = np.tile(before, (len(suspects), 1, 1))
    for place, part in enumerate(suspects):
        masks[place, :, part.first : part.last] = after[:, part.first : part.last]
    effects: Floats = ask(masks.reshape(-1, before.shape[1])).reshape(len(suspects), -1)
    return np.nan_to_num(effects - base)


def pairs_of_leaves(
    leaves: Sequence[PromptPart],
    n: int,
    ask: Ask,
    rng: np.random.Generator,
    *,
    calls: int,
    surrogate: Surrogate,
    most: int,
) -> tuple[Interaction, ...]:
    """The pairs of leaves that act together most; none where the calls do not reach.

    Args:
        leaves: parts of the prompt that were not opened, in order.
        n: units of the finest level.
        ask: the model.
        rng: draws the masks.
        calls: that may be made.
        surrogate: fits what the leaves do alone.
        most: as many pairs at most.
    """
    calls = min(calls, MOST, 2 ** min(len(leaves), designs.MAX_ENUMERATED))
    if calls < min(FEWEST, 2 ** len(leaves)) or calls < 2 * FEWEST_GROUPS or most < 1:
        return ()
    design = designs.independent(len(leaves), calls // 2, rng)
    masks = np.zeros((len(design.masks), n), dtype=bool)
    put(masks, leaves, design.masks)
    effects = ask(masks)
    kept: NDArray[np.bool_] = np.repeat(answered_pairs(effects), 2)
    observed = Effects(design.masks[kept], effects[kept], design.groups[kept])
    return strongest_pairs(observed, surrogate, rng, most=most) if kept.any() else ()
