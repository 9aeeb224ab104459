"""How much of the answer hangs on the pictures of a chat at all: all of their units together, against the words.

What units do together is the sum of their attributions, read from the same answers. Its interval is that of the sum of
their scores, or of their contrasts where every mask was asked. The share's is that of the linear part of the ratio
(Fieller's line at the estimate): of ``pictures - share * all``, over all.
"""

from __future__ import annotations

import numpy as np

from whygen.prompt.findings import Findings
from whygen.results.records import PictureShare
from whygen.stats.intervals import Interval
from whygen.types import Floats


def picture_share(found: Findings) -> PictureShare | None:
    """What the pictures do together, and as a share of what all units do.

    None where pictures are no units, or the estimand gives no interval of a sum. The share is None where it means
    nothing: all units together may do nothing, or pictures and words pull apart.
    """
    units = found.answers.units
    spans = [(section.start, section.end) for section in units.sections if section.kind == "image"]
    pictures = np.array([float(any(a <= start and end <= b for a, b in spans)) for start, end in units.spans])
    if not pictures.any():
        return None
    every = np.ones(len(pictures))
    limits = _limits(found, np.stack([pictures, every], axis=1))
    if limits is None:
        return None
    values = found.estimate.attributions
    own, total = float(values @ pictures), float(values.sum())
    low, high = min(float(limits.low[0]), own), max(float(limits.high[0]), own)
    known = limits.low[1] > 0.0 or limits.high[1] < 0.0
    share = own / total if known and total else None
    alone = PictureShare(units=int(pictures.sum()), value=own, low=low, high=high)
    if share is None or not 0.0 <= share <= 1.0:
        return alone
    line = _limits(found, (pictures - share * every)[:, None])
    ends = [0.0] if line is None else [float(line.low[0]) / total, float(line.high[0]) / total, 0.0]
    bounds = {"share_low": max(0.0, share + min(ends)), "share_high": min(1.0, share + max(ends))}
    return alone.model_copy(update={"share": share, **bounds})


def _limits(found: Findings, parts: Floats) -> Interval | None:
    return found.plan.estimand.together(found.effects, found.plan.fitting(found.seed), parts)
