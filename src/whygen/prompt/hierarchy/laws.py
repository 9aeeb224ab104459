"""How masks are drawn at one level: what happens to the rest of the prompt while a part is opened. METHODS A4.

Both values are nested. While a part is opened, its neighbours at each level above are wholly in or out: at the first
level by a fair coin each (symmetric coalitional Banzhaf value) or as before a random place in a random order (Owen
value), and below always as in a random order. Its own children follow the design of Shapley values.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from whygen.prompt.estimands import Estimand
from whygen.prompt.hierarchy.skeleton import Part, Skeleton
from whygen.types import Masks


def contexts(skeleton: Skeleton, part: Part, rows: int, rng: np.random.Generator, *, estimand: Estimand) -> Masks:
    """What is kept of the prompt around a part; the part itself is out. Shape ``(rows, n)``.

    Who stands before a random place in a random order: each with probability u, u uniform.
    """
    masks = np.zeros((rows, skeleton.n), dtype=bool)
    here = part
    while here.parent is not None:
        keep = estimand.chances(rows, rng) if here.parent == 0 else rng.random((rows, 1))
        others = [sibling for sibling in skeleton.children(here.parent) if sibling.index != here.index]
        put(masks, others, rng.random((rows, len(others))) < keep)
        here = skeleton.parts[here.parent]
    return masks


def put(masks: Masks, parts: Sequence[Part], kept: Masks) -> None:
    """Write into ``masks`` ``(rows, n)`` which parts are kept, ``(rows, len(parts))``; in place."""
    for column, part in enumerate(parts):
        masks[:, part.first : part.last] = kept[:, column, None]


def size_law(n: int) -> NDArray[np.float64]:
    """Chance of each size 1 .. n - 1 of a mask of children: ``q(s) ~ 1 / sqrt(s (n - s))``.

    It makes the mean square of the Shapley weights, the sum of ``1 / (q(s) s (n - s))``, as small as can be (Cauchy and
    Schwarz), and leaves a regression fewer masks of a single child than the kernel ``1 / (s (n - s))`` does.
    """
    size = np.arange(1, n)
    law: NDArray[np.float64] = 1.0 / np.sqrt(size * (n - size))
    return law / law.sum()


def paired_children(n: int, pairs: int, rng: np.random.Generator) -> Masks:
    """Complement pairs of masks of children, shape ``(2 * pairs, n)``; neither empty nor full.

    Each mask follows `size_law`, but sizes are drawn at even steps of it, so that no design is short of one.
    """
    steps = (rng.random() + np.arange(pairs)) / pairs
    sizes = 1 + np.minimum(np.searchsorted(np.cumsum(size_law(n)), steps), n - 2)
    ranks = np.argsort(np.argsort(rng.random((pairs, n)), axis=1), axis=1)
    first = ranks < rng.permutation(sizes)[:, None]
    return np.stack([first, ~first], axis=1).reshape(2 * pairs, n)


def cuts_needed(units: int) -> int:
    """Cuts by `halves` after which any two of so many units have been on different sides."""
    return max(1, (units - 1).bit_length())


def halves(part: Part, cuts: int, rng: np.random.Generator) -> Masks:
    """A part of at least two units cut in two, at random and each time another way. Shape ``(cuts, units in it)``.

    Units are numbered at random, and cut by the digits of their numbers in base two; when the digits are used up they
    are numbered anew. So any two are apart in one of `cuts_needed` cuts, and no side is ever empty.
    """
    units, digits = part.last - part.first, cuts_needed(part.last - part.first)
    numbers = np.stack([rng.permutation(units) for _ in range(-(-cuts // digits))])
    sides = (numbers[:, None, :] >> np.arange(digits)[:, None]) & 1
    # The last digit is mostly zero where their number is no power of two: a coin says which side is kept.
    return (sides.reshape(-1, units)[:cuts] ^ rng.integers(0, 2, (cuts, 1))).astype(bool)
