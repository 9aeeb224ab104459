"""Which units may go: a chain of ever shorter prompts, each tried on the inputs that choose. No error rate is claimed.

Units are tried from the weakest attribution on, a group at a time: a group that may not go is halved (group testing).
What is tried is always the whole remaining prompt, so of two units that say the same one stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from whygen.types import Floats

Mask = NDArray[np.bool_]

Passes = Callable[[Mask], bool | None]
"""Whether a prompt does as well as the whole one, as far as the choosing inputs say; None where no call is left."""


def shortened(order: Sequence[int], passes: Passes) -> list[Mask]:
    """The chain of prompts that passed, each a part of the one before; the first is the whole prompt.

    Args:
        order: all units, those that may go first.
        passes: tries a prompt.
    """
    chain = [np.ones(len(order), dtype=bool)]
    waiting = [list(order)]
    while waiting:
        group = waiting.pop(0)
        less = chain[-1].copy()
        less[group] = False
        passed = passes(less)
        if passed is None:
            break
        if passed:
            chain.append(less)
        elif len(group) > 1:
            half = len(group) // 2
            waiting[:0] = [group[:half], group[half:]]
    return chain


def attributions(masks: NDArray[np.bool_], effects: Floats) -> Floats:
    """Banzhaf values ``(n,)`` from complement pairs: ridge of half their differences on the signs. METHODS A2.

    Args:
        masks: the first of each pair, shape ``(pairs, n)``.
        effects: of both, shape ``(pairs, 2)``; pairs with NaN are left out. Each pair is of one input.
    """
    known = ~np.isnan(effects).any(axis=1)
    signs: Floats = 2.0 * masks[known].astype(np.float64) - 1.0
    differences: Floats = (effects[known, 0] - effects[known, 1]) / 2.0
    gram: Floats = signs.T @ signs + np.eye(masks.shape[1])
    return np.asarray(2.0 * np.linalg.solve(gram, signs.T @ differences), dtype=np.float64)


def candidates(chain: Sequence[Mask], *, most: int) -> list[Mask]:
    """What is put to the test, boldest first: the end of the chain, and prompts half and a quarter of the way to it."""
    steps = len(chain) - 1
    places = dict.fromkeys(steps // 2**k for k in range(most))
    return [chain[place] for place in places if place > 0]
