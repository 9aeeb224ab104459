"""What the measurements say: contrasts, groups, and a record for each text. No model is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whygen.anchors.texts.contrasts import (
    Contrast,
    by_baseline,
    by_reference,
    by_twins,
    by_twins_of_both,
    called,
    is_enough,
)
from whygen.anchors.texts.criteria import Likelihood, draws_for
from whygen.anchors.texts.measured import TextSide
from whygen.results.texts import (
    CANNOT_BE_TOLD,
    DOES_NOT_KNOW,
    GROUPS,
    INVENTS,
    KNOWS_BY_HEART,
    KNOWS_THE_KIND,
    ContrastRecord,
    ReferenceRecord,
    TextGroupRecord,
    TextRecord,
)
from whygen.stats.conformal import p_values
from whygen.stats.wilson import wilson

SHOWN = 1000
"""Characters of a text that its record holds."""
MOST_DRAWS = 1e15
Floats = NDArray[np.float64]

MEANINGS = {
    KNOWS_BY_HEART: "likelier than the same text would be if the model had not seen it",
    KNOWS_THE_KIND: "as likely as held-out texts of its kind, and continued as well",
    INVENTS: "as likely as held-out texts of its kind, but the model writes something else in its place",
    DOES_NOT_KNOW: "less likely than nearly all held-out texts",
    CANNOT_BE_TOLD: "not known by heart as far as that was told; without held-out texts no more can be said",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """What is read, and how surely.

    Attributes:
        alpha: chance that a text of the reference's kind is called unlike it, and that its continuation is.
        fdr: expected share of false ones among the texts that are called known by heart.
        role: of the reference: ``held-out`` or ``training``.
        automatic: whether twins were made here, so that those of anchors and reference are alike.
        false_positives: share of held-out texts that may be called memorised, where anchors have roles.
    """

    alpha: float
    fdr: float
    role: str
    automatic: bool
    false_positives: float = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one text is told by."""

    contrast: Contrast | None = None
    place: int = 0
    """Of the text, in the contrast."""
    called: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TextKind:
    """How the texts stand among the reference, by places; NaN where it was not measured."""

    unlike: Floats
    too_well: Floats
    match: Floats


def contrasts(anchors: TextSide, reference: TextSide | None, levels: Levels) -> tuple[list[Contrast], list[str]]:
    """The contrasts that there are, each text in one of them, and codes of what was found on the way."""
    notes: list[str] = []
    held = reference if reference is not None and levels.role == "held-out" else None
    rows, table = anchors.among_twins()
    found: list[Contrast] = []
    if len(rows):
        found.append(_with_twins(rows, table, held, levels, has_baseline=anchors.other is not None))
    rest = np.array(sorted(set(anchors.scored()) - set(rows.tolist())), dtype=np.int64)
    if len(rest):
        other = _without_twins(rest, anchors, held, levels, notes)
        found += [] if other is None else [other]
    return found, notes


def _with_twins(
    rows: NDArray[np.int64], table: Floats, held: TextSide | None, levels: Levels, *, has_baseline: bool
) -> Contrast:
    kind = "twins and baseline" if has_baseline else "twins"
    if held is not None and levels.automatic:
        _, theirs = held.among_twins()
        if theirs.shape[1] == table.shape[1] and is_enough(theirs, levels.fdr):
            return by_twins_of_both(rows, table, theirs, kind=f"{kind}, against the reference")
    return by_twins(rows, table, kind=kind)


def _without_twins(
    rows: NDArray[np.int64], anchors: TextSide, held: TextSide | None, levels: Levels, notes: list[str]
) -> Contrast | None:
    own = anchors.per_token(rows.tolist())
    if anchors.other is not None:
        other = anchors.per_token(rows.tolist(), other=True)
        known = np.isfinite(other)
        rows, own, other = rows[known], own[known], other[known]
        if held is not None:
            places = held.scored()
            theirs = held.per_token(places, other=True) - held.per_token(places)
            theirs = theirs[np.isfinite(theirs)]
            if is_enough(theirs, levels.fdr):
                return by_reference(rows, other - own, theirs, kind="baseline, against the reference")
        found = by_baseline(rows, own, other) if len(rows) else None
        if found is None:
            notes.append("baseline-better")
        return found
    if held is not None and is_enough(places := held.per_token(held.scored()), levels.fdr):
        return by_reference(rows, -own, -places, kind="reference")
    return None


def verdicts(found: Sequence[Contrast], n: int, levels: Levels) -> list[Verdict]:
    """What each of n texts is told by."""
    each = [Verdict() for _ in range(n)]
    for contrast in found:
        told = called(contrast, level=levels.fdr)
        for place, row in enumerate(contrast.rows.tolist()):
            each[row] = Verdict(contrast=contrast, place=place, called=bool(told[place]))
    return each


def kinds(anchors: TextSide, reference: TextSide | None, levels: Levels) -> TextKind:
    """How the texts stand among the reference, by their likelihood and by what the model writes in their place."""
    n = len(anchors.ready)
    unlike, too_well, match = (np.full(n, np.nan) for _ in range(3))
    if reference is not None:
        theirs, rows = reference.per_token(reference.scored()), anchors.scored()
        if is_enough(theirs, levels.alpha) and rows:
            own = anchors.per_token(rows)
            unlike[rows], too_well[rows] = p_values(theirs, own), p_values(-theirs, -own)
        mismatch = [1 - each.match for each in reference.continued.values()]
        places = [row for row in rows if row in anchors.continued]
        if is_enough(mismatch, levels.alpha) and places:
            match[places] = p_values(mismatch, [1 - anchors.continued[place].match for place in places])
    return TextKind(unlike=unlike, too_well=too_well, match=match)


def group_of(verdict: Verdict, place: int, kind: TextKind, alpha: float) -> str:
    """The group of a text that was scored: by heart first, since texts that are known so may be unlike any other."""
    if verdict.called:
        return KNOWS_BY_HEART
    if not np.isfinite(kind.unlike[place]):
        return CANNOT_BE_TOLD
    if kind.unlike[place] <= alpha:
        return DOES_NOT_KNOW
    return INVENTS if kind.match[place] <= alpha else KNOWS_THE_KIND


def records(anchors: TextSide, told: Sequence[Verdict], kind: TextKind, levels: Levels) -> tuple[TextRecord, ...]:
    """A record for each text."""
    groups: dict[int, str] = {}
    for place in anchors.scored():
        groups[place] = group_of(told[place], place, kind, levels.alpha)
    return tuple(_record(place, anchors, told[place], kind, groups, levels) for place in range(len(anchors.ready)))


def _record(
    place: int, anchors: TextSide, verdict: Verdict, kind: TextKind, groups: dict[int, str], levels: Levels
) -> TextRecord:
    ready, (state, why) = anchors.ready[place], anchors.state(place)
    base = TextRecord(
        index=place, text=ready.text[:SHOWN], prompt=ready.prompt[:SHOWN], state=state, group=groups.get(place),
        reason=why, notes=ready.notes, copy_of=ready.copy_of, role=ready.role, label=ready.label,
    )  # fmt: skip
    own = anchors.own(place)
    if own is None or place not in groups:
        return base
    about = {
        "reason": reason_for(groups[place], verdict, kind, place, levels),
        **_likelihoods(place, anchors, own),
        **_told(verdict),
        **_nearest(place, anchors),
        **_continued(place, anchors, own),
        "p_unlike": float(kind.unlike[place]),
        "p_too_well": float(kind.too_well[place]),
        "p_match": float(kind.match[place]),
    }
    return TextRecord.model_validate({**base.model_dump(), **about})


def _likelihoods(place: int, anchors: TextSide, own: Likelihood) -> dict[str, object]:
    less = None if anchors.other is None else own.per_token - float(anchors.per_token([place], other=True)[0])
    return {
        "tokens": own.tokens, "nats": own.nats, "nll": own.per_token, "minus_baseline": less, "zlib": own.zlib,
        "min_k": own.min_k,
    }  # fmt: skip


def _told(verdict: Verdict) -> dict[str, object]:
    found, place = verdict.contrast, verdict.place
    if found is None:
        return {}
    return {
        "told_by": found.kind,
        "contrast": float(found.value[place]),
        "strength": float(found.strength[place]),
        "p": float(found.p[place]),
        "q": float(found.q[place]),
    }


def _nearest(place: int, anchors: TextSide) -> dict[str, object]:
    twins = anchors.twins[place]
    found = {twin: anchors.nats(place, twin) for twin in twins}
    known = {twin: nats for twin, nats in found.items() if np.isfinite(nats)}
    if not known:
        return {"twins": len(twins)}
    nearest = min(known, key=lambda twin: known[twin])
    return {"twins": len(twins), "nearest_twin": nearest[:SHOWN], "nearest_twin_nats": known[nearest]}


def _continued(place: int, anchors: TextSide, own: Likelihood) -> dict[str, object]:
    drawn: dict[str, object] = {}
    if own.drawn_tokens:
        counts = [draws_for(own.drawn, p) for p in (0.5, 0.9)]
        drawn = {
            "drawn_nats": own.drawn, "drawn_tokens": own.drawn_tokens,
            **dict(zip(("draws_half", "draws_ninety"), (n if n <= MOST_DRAWS else None for n in counts), strict=True)),
        }  # fmt: skip
    if (found := anchors.continued.get(place)) is None:
        return drawn
    return {**drawn, "written": found.written[:SHOWN], "match": found.match, "verbatim": found.verbatim}


def group_records(texts: Sequence[TextRecord], told: Sequence[Verdict], kind: TextKind) -> dict[str, TextGroupRecord]:
    """How many texts each group holds, and whether anything could put one there."""
    counted = [text for text in texts if text.group is not None]
    measured = {
        KNOWS_BY_HEART: any(verdict.contrast is not None for verdict in told),
        KNOWS_THE_KIND: bool(np.isfinite(kind.unlike).any()),
        INVENTS: bool(np.isfinite(kind.match).any()),
        DOES_NOT_KNOW: bool(np.isfinite(kind.unlike).any()),
        CANNOT_BE_TOLD: True,
    }
    found: dict[str, TextGroupRecord] = {}
    for name in GROUPS:
        count = sum(text.group == name for text in counted)
        low, high = wilson(count, len(counted)) if measured[name] else (0.0, 1.0)
        found[name] = TextGroupRecord(
            count=count, share=count / len(counted) if counted else 0.0, low=low, high=high, measured=measured[name],
            meaning=MEANINGS[name],
        )  # fmt: skip
    return found


def contrast_records(found: Sequence[Contrast], told: Sequence[Verdict]) -> tuple[ContrastRecord, ...]:
    """The contrasts, with the share that each estimates."""
    return tuple(_contrast_record(each, told) for each in found)


def _contrast_record(found: Contrast, told: Sequence[Verdict]) -> ContrastRecord:
    return ContrastRecord(
        kind=found.kind, n=len(found.rows), called=sum(told[int(row)].called for row in found.rows),
        estimate=found.share.estimate, low=found.share.low, high=found.share.high, measured_by=found.measured_by,
    )  # fmt: skip


def reference_record(reference: TextSide | None, role: str) -> ReferenceRecord | None:
    """What the reference is like."""
    if reference is None or not (rows := reference.scored()):
        return None
    nll = float(reference.per_token(rows).mean())
    return ReferenceRecord(n=len(rows), nll=nll, role=role, continued=len(reference.continued))


def reason_for(group: str, verdict: Verdict, kind: TextKind, place: int, levels: Levels) -> str:
    """Why a text is in its group."""
    heart = _heart(verdict, levels)
    if group == KNOWS_BY_HEART:
        return heart
    if group == CANNOT_BE_TOLD:
        return f"{heart} There are no held-out texts to tell its kind by."
    unlike = f"{kind.unlike[place]:.3f} of held-out texts are as unlikely"
    if group == DOES_NOT_KNOW:
        return f"Only {unlike}. {heart}"
    if group == INVENTS:
        return f"{unlike.capitalize()}, but only {kind.match[place]:.3f} are continued as badly. {heart}"
    more = "" if np.isfinite(kind.match[place]) else " What the model writes in its place was not measured."
    return f"{unlike.capitalize()}.{more} {heart}"


def _heart(verdict: Verdict, levels: Levels) -> str:
    """What the contrast says of a text."""
    found, place = verdict.contrast, verdict.place
    if found is None:
        return "Whether it is known by heart cannot be told: it has no twin, and there is nothing to hold it against."
    value, p = float(found.value[place]), float(found.p[place])
    way = "likelier" if value >= 0 else "less likely"
    if found.kind.startswith("twins"):
        said = f"{abs(value):.1f} nats {way} than its twins on average"
    elif found.kind.startswith("baseline"):
        said = f"{abs(value):.2f} nats a token {way} than under the baseline"
    else:
        said = f"{abs(value):.2f} nats a token"
    verb = "known by heart" if verdict.called else "not called known by heart"
    return f"{said[0].upper()}{said[1:]}; p = {p:.3g}: {verb} at a false discovery rate of {levels.fdr:g}."
