"""Training against held-out texts: the memorisation gap of a language model, as `whygen.anchors.memorising` has it.

A criterion is low where a text is well known. Between sets of texts drawn from one source even the level speaks: what
it cannot tell of one text, the gap between the two sets can. The baseline stands for the untrained copy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from whygen.anchors.memorising import among_others, area, differing, gap_between, is_found
from whygen.anchors.texts.contrasts import value_of
from whygen.anchors.texts.measured import TextSide
from whygen.results.anchors_memorised import ROLES, AreaRecord, GapRecord, MemorisationRecord, RoleRecord
from whygen.results.prompt import Warned
from whygen.results.texts import GROUPS
from whygen.stats.conformal import p_values, realised_level, smallest_reference
from whygen.stats.knockoffs import spread
from whygen.stats.seeds import generator

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Rows: TypeAlias = Mapping[str, NDArray[np.int64]]
Measured: TypeAlias = Callable[[TextSide, Sequence[int]], Floats]

NLL, LESS, TWINS = "nll", "nll less the baseline's", "contrast with twins"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextMemory:
    """What training, held-out and foreign texts say beside each other.

    Attributes:
        record: the gap; None without training anchors and enough held-out texts.
        roles: groups by role.
        p: the smallest lower-tail p-value of each text, times the number of criteria; NaN where there is none.
        flagged: which texts are called memorised, ``(n,)``.
        warnings: what makes the gap say less.
    """

    record: MemorisationRecord | None = None
    roles: tuple[RoleRecord, ...] = ()
    p: Floats
    flagged: Flags
    warnings: tuple[Warned, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compared:
    """One criterion of the anchors ``(n,)``, NaN where it was not measured, and of the held-out texts.

    ``untrained`` is the same by the baseline.
    """

    name: str
    own: Floats
    held: Floats
    untrained: tuple[Floats, Floats] | None = None


def text_memory(
    anchors: TextSide, reference: TextSide | None, groups: Sequence[str | None], *, rate: float, seed: int
) -> TextMemory | None:
    """The gap, and the groups by role; None without roles.

    Args:
        anchors: as they were scored.
        reference: held-out texts, which stand for held-out anchors where there are none; or None.
        groups: of each anchor.
        rate: share of held-out texts that may be called memorised.
        seed: of permutations and bootstrap.
    """
    roles = np.array([ready.role or "" for ready in anchors.ready])
    if not roles.any():
        return None
    scored = np.isin(np.arange(len(roles)), anchors.scored())
    rows = {role: np.flatnonzero(scored & (roles == role)) for role in ROLES}
    nothing = TextMemory(
        roles=tuple(_role(role, own, groups) for role, own in rows.items() if len(own)),
        p=np.full(len(roles), np.nan), flagged=np.zeros(len(roles), np.bool_), warnings=tuple(_overlap_said(anchors)),
    )  # fmt: skip
    if not len(rows["training"]):
        return nothing
    held = None if len(rows["held-out"]) else reference
    if held is None and not len(rows["held-out"]):
        return _and(nothing, _no_held_out())
    compared = _compared(anchors, held, rows["held-out"])
    known = _enough(compared, rows["training"], rate)
    if not known:
        most = max((len(each.held) for each in compared), default=0)
        return _and(nothing, _few(most, smallest_reference(rate), rate))
    return _told(known, anchors, held, rows, nothing, rate=rate, seed=seed)


def _and(found: TextMemory, warnings: Sequence[Warned]) -> TextMemory:
    return replace(found, warnings=(*found.warnings, *warnings))


def _enough(compared: Sequence[_Compared], training: NDArray[np.int64], rate: float) -> list[_Compared]:
    """As many of the criteria, the first ones first, as there are held-out texts for: they share the rate."""
    for count in range(len(compared), 0, -1):
        enough = smallest_reference(rate / count)
        known = [each for each in compared[:count] if np.isfinite(each.own[training]).sum() > 1]
        if known and all(len(each.held) >= enough for each in known):
            return known
    return []


def _told(
    known: Sequence[_Compared], anchors: TextSide, reference: TextSide | None, rows: Rows, nothing: TextMemory,
    *, rate: float, seed: int,
) -> TextMemory:  # fmt: skip
    """The record, by criteria that were measured of enough texts."""
    p, flagged, gaps = nothing.p.copy(), nothing.flagged.copy(), list[GapRecord]()
    training, by_chance = rows["training"], 0.0
    for each in known:
        level, measured = realised_level(len(each.held), rate / len(known)), np.isfinite(each.own)
        own_p = _lower_tail(each, rows["held-out"] if reference is None else rows["held-out"][:0])
        called = np.nan_to_num(own_p, nan=1.0) <= level * (1 + 1e-9)
        flagged |= called
        p = np.fmin(p, np.minimum(1.0, own_p * len(known)))
        here, foreign = training[measured[training]], rows["foreign"][measured[rows["foreign"]]]
        by_chance += level * len(here)
        gaps.append(
            gap_between(
                each.name, each.own[here], each.held, rate=rate, criteria=len(known), foreign=each.own[foreign],
                flagged=int(called[here].sum()), untrained=_untrained(each, here),
                rng=generator(seed, "memorised", each.name),
            )
        )  # fmt: skip
    size = _size(anchors, reference, rows)
    record = MemorisationRecord(
        held_by="anchors" if reference is None else "reference", n_training=len(training),
        n_held_out=len(known[0].held), overlap=_overlap(anchors), false_positives=rate,
        level=realised_level(len(known[0].held), rate / len(known)), flagged=int(flagged[training].sum()),
        by_chance=min(by_chance, float(len(training))), criteria=tuple(gaps), size=size, found=is_found(gaps, size),
    )  # fmt: skip
    return replace(
        nothing, record=record, p=p, flagged=flagged, warnings=(*nothing.warnings, *differing(record))
    )  # fmt: skip


def _lower_tail(each: _Compared, held: NDArray[np.int64]) -> Floats:
    """Conformal p-values, small where a text is better known than held-out ones; those are held against each other."""
    measured = np.isfinite(each.own)
    p = np.full(len(measured), np.nan)
    p[measured] = p_values(-each.held, -each.own[measured])
    own = held[measured[held]]
    p[own] = among_others(p[own], len(each.held))
    return p


def _untrained(each: _Compared, training: NDArray[np.int64]) -> tuple[Floats, Floats] | None:
    if each.untrained is None:
        return None
    own, held = each.untrained[0][training], each.untrained[1]
    own, held = own[np.isfinite(own)], held[np.isfinite(held)]
    return (own, held) if len(own) > 1 and len(held) > 1 else None


def _size(anchors: TextSide, reference: TextSide | None, rows: Rows) -> AreaRecord:
    """By bytes of the text under zlib, which need no model."""
    held = anchors if reference is None else reference
    others = rows["held-out"].tolist() if reference is None else reference.scored()
    return area(_packed(anchors, rows["training"].tolist()), _packed(held, others))


def _packed(side: TextSide, rows: Sequence[int]) -> Floats:
    found = [side.own(row) for row in rows]
    return np.array([each.nats / each.zlib if each is not None and each.zlib else 0.0 for each in found])


def _compared(anchors: TextSide, reference: TextSide | None, held: NDArray[np.int64]) -> list[_Compared]:
    """The criteria, of all anchors and of the held-out texts: those anchors, or the reference."""
    scored = anchors.scored()

    def both(measure: Measured) -> tuple[Floats, Floats]:
        own = np.full(len(anchors.ready), np.nan)
        own[scored] = measure(anchors, scored)
        theirs = own[held] if reference is None else measure(reference, reference.scored())
        return own, theirs[np.isfinite(theirs)]

    own, theirs = both(lambda side, rows: side.per_token(rows))
    twins = _of_twins(anchors, reference, held)
    if anchors.other is None:
        return [_Compared(name=NLL, own=own, held=theirs), *twins]
    without = both(lambda side, rows: side.per_token(rows, other=True))
    less, known = both(lambda side, rows: side.per_token(rows) - side.per_token(rows, other=True))
    return [
        _Compared(name=NLL, own=own, held=theirs, untrained=without),
        _Compared(name=LESS, own=less, held=known),
        *twins,
    ]


def _of_twins(anchors: TextSide, reference: TextSide | None, held: NDArray[np.int64]) -> list[_Compared]:
    """How much less likely each text is than its twins, in their spread: one measure of spread for both sets."""
    rows, table = anchors.among_twins()
    theirs = table[:0] if reference is None else reference.among_twins()[1]
    if not len(rows) or (reference is not None and theirs.shape[1] != table.shape[1]):
        return []
    whole = np.vstack([table, theirs])
    value = -value_of(whole) / spread(whole[:, 1:])
    own = np.full(len(anchors.ready), np.nan)
    own[rows] = value[: len(rows)]
    known = own[held] if reference is None else value[len(rows) :]
    return [_Compared(name=TWINS, own=own, held=known[np.isfinite(known)])]


def _role(role: str, rows: NDArray[np.int64], groups: Sequence[str | None]) -> RoleRecord:
    own = [groups[int(row)] for row in rows]
    counts = {name: own.count(name) for name in GROUPS}
    return RoleRecord.model_validate({"role": role, "n": len(rows), "groups": counts})


def _overlap(anchors: TextSide) -> int:
    """Held-out anchors that are copies of training anchors."""
    ready = anchors.ready
    originals = [ready[each.copy_of] for each in ready if each.role == "held-out" and each.copy_of is not None]
    return sum(original.role == "training" for original in originals)


def _overlap_said(anchors: TextSide) -> list[Warned]:
    if not (count := _overlap(anchors)):
        return []
    text = (
        f"{count:,} held-out anchors are copies of training anchors: the model has seen them, and they are left out of "
        "the held-out ones."
    )
    return [Warned(code="role-overlap", text=text)]


def _no_held_out() -> list[Warned]:
    text = (
        "The anchors are training texts, and there are none that the model has not seen: whether it knows them better "
        'than others of their kind cannot be told. Give such anchors too ({"training": ..., "held-out": ...}), or a '
        "held-out reference."
    )
    return [Warned(code="no-held-out", text=text)]


def _few(n: int, enough: int, rate: float) -> list[Warned]:
    text = (
        f"At {rate:g} false positives at least {enough} held-out texts are needed, and {n} were scored: the "
        "memorisation gap is left out. Give more held-out texts, or a larger false_positives."
    )
    return [Warned(code="few-held-out", text=text)]
