"""Groups, flip rates and shares of anchors whose criteria are read shard by shard.

Thresholds, and what other runs would have in their place, depend on the reference alone. So they are drawn first, in
the order in which `whygen.anchors.groups.group` draws them, and each shard is held against all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whygen.anchors.arrays import averaged, finite_criteria
from whygen.anchors.calibration import Calibration
from whygen.anchors.groups import (
    SHARE_DRAWS,
    GroupShare,
    Kind,
    assign,
    codes_in,
    limits_left_open,
    other_run,
    shares_of,
)
from whygen.anchors.streaming.scored import ScoredShards
from whygen.errors import UsageError
from whygen.results.anchors import GROUPS
from whygen.stats.seeds import generator

AT_ONCE = 250_000
"""So many criteria are compared with thresholds at once: they stay in cache, and memory stays flat."""


@dataclass(frozen=True, slots=True)
class StreamedGroups:
    """The verdicts on all anchors; arrays of one number each are files that are mapped into memory.

    Attributes:
        codes: the group of each, a place in `GROUPS`, shard by shard.
        flips: in how many of the other runs it is in another group, shard by shard.
        distinct: whether it is counted, shard by shard: copies of earlier ones are not.
        replicates: other runs.
        shares: what the groups hold.
        mean_flip_rate: of the anchors that are counted.
    """

    codes: Sequence[NDArray[np.int8]]
    flips: Sequence[NDArray[np.uint16]]
    distinct: Sequence[NDArray[np.bool_]]
    replicates: int
    shares: tuple[GroupShare, ...]
    mean_flip_rate: float


def judge(
    scored: ScoredShards, calibration: Calibration, kinds: Sequence[Kind], *, seed: int, replicates: int,
    count_copies: bool, folder: Path,
) -> StreamedGroups:  # fmt: skip
    """Put every anchor in its group.

    Args:
        scored: criteria of all shards.
        calibration: thresholds.
        kinds: of the criteria.
        seed: of the run.
        replicates: other runs behind the flip rates, at most 65,535.
        count_copies: whether equal samples may be different ones, and all are counted.
        folder: where files of one number an anchor are written.

    Raises:
        UsageError: if the calibration looks at all anchors at once.
    """
    if calibration.multiplicity == "benjamini-hochberg":
        raise UsageError(
            "multiplicity='benjamini-hochberg' looks at all anchors at once, and a stream has them shard by shard. "
            "Leave it out, or explain fewer anchors in memory."
        )
    rng = generator(seed, "flips")
    draws = scored.array(0, "draws").shape[0]
    runs = [other_run(draws, calibration, rng) for _ in range(replicates)]
    limits, floors = limits_left_open(calibration, rng)
    codes, flips, distinct = (
        _mapped(scored, folder / f"{name}.npy", kind)
        for name, kind in (("groups", np.int8), ("flips", np.uint16), ("distinct", np.bool_))
    )
    _mark_copies(scored, distinct, folder, count_copies=count_copies)
    counts = np.zeros(len(GROUPS), np.int64)
    redrawn = np.zeros((SHARE_DRAWS, len(GROUPS)), np.int64)
    flipped = 0
    for place in range(len(scored)):
        values = finite_criteria(np.asarray(scored.array(place, "draws")), calibration.names)
        codes[place][:] = assign(calibration.high(values), kinds=kinds, below=calibration.below(values))
        found = np.zeros(len(codes[place]), np.uint16)
        for run in runs:
            found += codes_in(run, values, calibration, kinds) != codes[place]
        flips[place][:] = found
        own = np.flatnonzero(distinct[place])
        counts += np.bincount(codes[place][own], minlength=len(GROUPS))
        flipped += int(found[own].sum(dtype=np.int64))
        size = max(1, AT_ONCE // max(1, values[0].size))
        mean = averaged(values)[own]
        for start in range(0, SHARE_DRAWS, size):
            block = slice(start, start + size)
            below = None if floors is None else mean < floors[block, None]
            drawn = assign(calibration.within(mean, limits[block, None]), kinds=kinds, below=below)
            redrawn[block] += np.stack([(drawn == code).sum(axis=-1) for code in range(len(GROUPS))], axis=-1)
    return StreamedGroups(
        codes, flips, distinct, replicates, shares_of(counts, redrawn, calibration, kinds, rng),
        flipped / replicates / max(1, int(counts.sum())),
    )  # fmt: skip


def _mapped(scored: ScoredShards, path: Path, kind: type) -> list[NDArray[Any]]:
    """A new file of one number an anchor, as its parts by shard."""
    sizes = [scored.rows(place) for place in range(len(scored))]
    whole = np.lib.format.open_memmap(path, "w+", kind, (sum(sizes),))
    ends = np.cumsum(sizes)
    return [whole[end - size : end] for end, size in zip(ends, sizes, strict=True)]


def _mark_copies(
    scored: ScoredShards, distinct: Sequence[NDArray[np.bool_]], folder: Path, *, count_copies: bool
) -> None:
    """Mark who is counted: of equal samples the first. Fingerprints are sorted in a file, not in memory."""
    for part in distinct:
        part[:] = True
    if count_copies:
        return
    path = folder / ".fingerprints"
    total = sum(len(part) for part in distinct)
    held = np.memmap(path, np.uint64, "w+", shape=(total,))
    at = 0
    for place in range(len(scored)):
        one = scored.array(place, "fingerprints")
        held[at : at + len(one)] = one
        at += len(one)
    held.sort()
    blocks = (held[start : start + 2**20 + 1] for start in range(0, total, 2**20))
    twice = np.unique(np.concatenate([np.asarray(each[1:][each[1:] == each[:-1]]) for each in blocks]))
    del held
    path.unlink()
    seen: set[int] = set()
    for place in range(len(scored)) if len(twice) else ():
        one = np.asarray(scored.array(place, "fingerprints"))
        for row in np.flatnonzero(np.isin(one, twice)).tolist():
            if (key := int(one[row])) in seen:
                distinct[place][row] = False
            seen.add(key)
