"""Whether texts are known by heart: a contrast of each with what it would be if it were not.

Which contrast a text has depends on what there is: twins of its own; the same text under a model that has not seen it
(with twins, the difference of both); and held-out texts as the measure of either. A level alone (how likely a text is)
says nothing: canaries that were learned by heart are less likely than any ordinary text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from whygen.stats.conformal import p_values, smallest_reference
from whygen.stats.knockoffs import KnockoffStanding, among_twins, conformal_share, spread, standing_share

LOOKED_AT = 0.25
"""Conformal p-values above this are taken to be those of texts that are not known by heart (`conformal_share`)."""
MOSTLY = 0.9
"""Where the model finds more texts than this likelier than the baseline does, it may just be the better model."""
FEWEST = 8
"""Texts below which a baseline alone shows no such tendency."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """One way to tell, for the texts that it can be used for.

    Attributes:
        kind: ``twins``, ``twins and baseline``, with ``, against the reference`` where that is the measure;
            ``baseline, against the reference``, ``baseline`` or ``reference``.
        rows: places of the texts, ``(n,)``.
        value: how much likelier each is than it should be, in nats: of the whole text with twins, else of a token.
        strength: what p rests on: with twins, the value over their spread; else the value.
        p: of each by itself, small where it is known by heart.
        q: the smallest false discovery rate at which each is called.
        share: of these texts that are known by heart.
        measured_by: twins of each text, or texts of the reference.
    """

    kind: str
    rows: NDArray[np.int64]
    value: Floats
    strength: Floats
    p: Floats
    q: Floats
    share: KnockoffStanding
    measured_by: int


def value_of(nats: Floats) -> Floats:
    """How much likelier each text is than its twins on average; ``(n, 1 + m)``, the text first."""
    return nats[:, 1:].mean(axis=1) - nats[:, 0]


def by_twins(rows: NDArray[np.int64], nats: Floats, *, kind: str) -> Contrast:
    """By twins of each text alone.

    Args:
        rows: places of the texts, ``(n,)``.
        nats: of texts and twins, ``(n, 1 + m)``, the text first; less those of the baseline, where there is one.
        kind: what it is called.
    """
    stands, value = among_twins(nats), value_of(nats)
    return Contrast(
        kind=kind, rows=rows, value=value, strength=value / spread(nats[:, 1:]), p=stands.rank_p, q=stands.q,
        share=standing_share(nats), measured_by=nats.shape[1] - 1,
    )  # fmt: skip


def by_twins_of_both(rows: NDArray[np.int64], nats: Floats, theirs: Floats, *, kind: str) -> Contrast:
    """By twins of each text, and what held-out texts are to theirs.

    Args:
        rows: places of the texts, ``(n,)``.
        nats: of texts and twins, ``(n, 1 + m)``, as `by_twins` takes them.
        theirs: the same of held-out texts, ``(r, 1 + m)``.
        kind: what it is called.
    """
    both = np.vstack([nats, theirs])  # one measure of spread for all, so that held-out texts stay exchangeable
    strength = value_of(both) / spread(both[:, 1:])
    found = by_reference(rows, strength[: len(nats)], strength[len(nats) :], kind=kind)
    return replace(found, value=value_of(nats))


def by_baseline(rows: NDArray[np.int64], own: Floats, other: Floats) -> Contrast | None:
    """By a model that has not seen the texts, alone: differences are as often negative as positive by chance.

    That holds only if both models find unseen texts equally likely. None where nearly all differences have one sign:
    nothing tells a model that knows all texts by heart from one that is better at their kind.

    Args:
        rows: places of the texts, ``(n,)``.
        own: nats a token under the model.
        other: under the baseline.
    """
    nats = np.column_stack([own, other])
    if len(nats) >= FEWEST and (own < other).mean() > MOSTLY:
        return None
    return by_twins(rows, nats, kind="baseline")


def by_reference(rows: NDArray[np.int64], value: Floats, reference: Floats, *, kind: str) -> Contrast:
    """By held-out texts: how many of them are as much likelier than they should be.

    Args:
        rows: places of the texts, ``(n,)``.
        value: of the texts, high where they are known by heart.
        reference: the same of held-out texts.
        kind: what it is called.
    """
    p = p_values(reference, value)
    share = conformal_share(p, reference=len(reference), at=LOOKED_AT)
    return Contrast(
        kind=kind, rows=rows, value=value, strength=value, p=p, q=adjusted(p) * (1 - share.low), share=share,
        measured_by=len(reference),
    )  # fmt: skip


def adjusted(p: Floats) -> Floats:
    """The smallest level at which Benjamini and Hochberg's procedure calls each test.

    Times the largest share of null tests that is possible, it is that of the scaled procedure, whose level is not held
    below what was asked for by the texts that are known by heart (arXiv 2510.09717 scales so, too).
    """
    order = np.argsort(p, kind="stable")
    raw = p[order] * len(p) / np.arange(1, len(p) + 1)
    found = np.empty_like(p)
    found[order] = np.minimum(np.minimum.accumulate(raw[::-1])[::-1], 1.0)
    return found


def called(contrast: Contrast, *, level: float) -> NDArray[np.bool_]:
    """Which texts are called known by heart when the expected share of false ones among them is at most ``level``."""
    return contrast.q <= level * (1 + 1e-12)


def is_enough(reference: Sequence[float] | Floats, alpha: float) -> bool:
    """Whether so many held-out texts can measure anything at that level."""
    return len(reference) >= smallest_reference(alpha)
