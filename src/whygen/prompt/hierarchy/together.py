"""Pairs of the finest parts that act together: what no value of a part shows. METHODS A4.

An opening and a closing tag are worth nothing each, and nothing as their parts are opened: the values of the levels are
right, and say nothing. So where the values leave something over, masks of the leaves alone are asked, each leaf in or
out by a fair coin, and read as those of a short prompt are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from whygen.prompt import designs
from whygen.prompt.effects import Effects
from whygen.prompt.findings import FEWEST_GROUPS, Interaction, strongest_pairs
from whygen.prompt.hierarchy.laws import put
from whygen.prompt.hierarchy.levels import Ask, answered_pairs
from whygen.prompt.hierarchy.skeleton import Part
from whygen.prompt.surrogates import Surrogate

FEWEST = 64
"""Calls under which no pair is looked for: half of the masks choose among all pairs of leaves."""

MOST = 128
"""Calls at most: half of them tell a pair that is half of the variance from a thousand others nearly always."""


def pairs_of_leaves(
    leaves: Sequence[Part], n: int, ask: Ask, rng: np.random.Generator, *, calls: int, surrogate: Surrogate, most: int
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
