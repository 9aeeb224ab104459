"""Two language models, or two checkpoints of one, by the same texts: what was learned by heart, what was forgotten.

Each model is the other's baseline: a text that the second has learned by heart is likelier than it was to the first,
and more so than its twins are (`whygen.anchors.texts.contrasts`). Whether a model knows the kind is told by the place
of a text in the reference, as for samples (`whygen.anchors.changes`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit  # pyright: ignore[reportMissingTypeStubs]

from whygen.anchors.changes import p_of_places
from whygen.anchors.comparing import MOST_CHANGED, called_among, label_changes, table_of
from whygen.anchors.texts import reading
from whygen.anchors.texts.contrasts import called
from whygen.anchors.texts.measured import TextSide
from whygen.anchors.texts.preparing import plain
from whygen.anchors.texts.reading import MEANINGS, Levels
from whygen.anchors.texts.remarks import few_to_tell_by
from whygen.anchors.texts.telling import levels_of, scores_of, sides_of
from whygen.errors import UsageError
from whygen.results.anchors_compared import AnchorComparison, ChangedAnchor, CriterionDifference, GroupDifference
from whygen.results.texts import (
    CANNOT_BE_TOLD,
    DOES_NOT_KNOW,
    GROUPS,
    INVENTS,
    KNOWS_BY_HEART,
    KNOWS_THE_KIND,
    TextAnchorExplanation,
)
from whygen.stats.conformal import p_values
from whygen.stats.seeds import generator
from whygen.version import __version__

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Change = Literal["learned", "forgotten", "moved"]

KNOWN = {KNOWS_BY_HEART: 2, KNOWS_THE_KIND: 1, INVENTS: 0, DOES_NOT_KNOW: 0, CANNOT_BE_TOLD: 0}
"""To rise here is to learn, to fall to forget."""
HEART = GROUPS.index(KNOWS_BY_HEART)
REDRAWN = 200
"""References, and anchors, behind the interval of a difference of shares."""
SETTINGS = ("model", "baseline", "twins", "seed", "alpha", "fdr", "versions")
NAME = 40
"""Characters of a text that name it."""


@dataclass(frozen=True, slots=True)
class TextsSeen:
    """One of the two explanations, with what it rests on."""

    explanation: TextAnchorExplanation
    anchors: TextSide
    reference: TextSide | None
    levels: Levels

    @property
    def codes(self) -> Rows:
        """Of each text its group in their order; -1 where it was not scored."""
        groups = [text.group for text in self.explanation.texts]
        return np.array([-1 if group is None else GROUPS.index(group) for group in groups], np.int64)


def compare_texts(first: TextAnchorExplanation, second: TextAnchorExplanation) -> AnchorComparison:
    """Compare what two language models, or two checkpoints of one, make of the same texts.

    Args:
        first: an explanation with its scores: as `explain_anchors` returns it, or loaded from its folder.
        second: another one, by the same texts.

    Raises:
        MissingError: if an explanation holds no scores.
        UsageError: if texts or levels differ.
    """
    one, other = _seen(first, "first"), _seen(second, "second")
    _require_same_texts(one, other)
    _require_same_question(one, other)
    before, after = one.codes, other.codes
    counted = np.flatnonzero((before >= 0) & (after >= 0))
    differ = counted[before[counted] != after[counted]]
    p, sure, notes = _tests(one, other, differ, len(counted))
    order = np.argsort(p[sure], kind="stable")
    found = differ[sure][order]
    what: list[Change] = [_change(int(before[row]), int(after[row])) for row in found.tolist()]
    texts = first.texts
    return AnchorComparison(
        whygen=__version__,
        models=(first.model, second.model),
        n_anchors=len(counted),
        learned=what.count("learned"),
        forgotten=what.count("forgotten"),
        moved=what.count("moved"),
        unsure=len(differ) - len(found),
        tested=notes is not None,
        groups=_group_differences(one, other, counted),
        criteria=_criterion_differences(one, other, counted),
        table=table_of(before[counted], after[counted], dict(enumerate(GROUPS))),
        labels=label_changes([text.label for text in texts], counted, found, what),
        changed=tuple(
            _changed(one, other, row, change, float(value))
            for row, change, value in zip(found.tolist(), what, p[sure][order], strict=True)
        )[:MOST_CHANGED],
        settings=_settings(one, other),
        notes=_notes(one, other, counted=len(counted), tested=notes),
        plain=dict(MEANINGS),
    )


def _seen(explanation: TextAnchorExplanation, which: str) -> TextsSeen:
    scores = scores_of(explanation, which)
    return TextsSeen(explanation, *sides_of(scores), levels_of(explanation, scores))


def _keys(side: TextSide) -> list[tuple[str, str]]:
    return [(plain(ready.prompt), plain(ready.text)) for ready in side.ready]


def _require_same_texts(one: TextsSeen, other: TextsSeen) -> None:
    a, b = _keys(one.anchors), _keys(other.anchors)
    if a == b:
        return
    both = len(set(a) & set(b))
    how = f"{both:,} texts are in both" + (", in another order" if sorted(a) == sorted(b) else "")
    raise UsageError(
        f"The two explanations are of different texts: {len(a):,} and {len(b):,}; {how}. Explain both models by the "
        "same texts in the same order, then compare. A text that one context cuts earlier is another text: cut the "
        "texts to the shorter context."
    )


def _require_same_question(one: TextsSeen, other: TextsSeen) -> None:
    a, b = one.levels, other.levels
    if (a.alpha, a.fdr) != (b.alpha, b.fdr):
        raise UsageError(
            f"The levels differ: alpha {a.alpha:g}, fdr {a.fdr:g}; and alpha {b.alpha:g}, fdr {b.fdr:g}. To compare, "
            "read one of them by the levels of the other: read(alpha=..., fdr=...)."
        )
    if (one.reference is None) != (other.reference is None):
        raise UsageError(
            "One of the two explanations has a reference and the other has none, so their groups mean different "
            "things. Explain both with the same reference, or both without."
        )


def _same_reference(one: TextsSeen, other: TextsSeen) -> bool:
    if one.reference is None or other.reference is None:
        return False
    same = _keys(one.reference) == _keys(other.reference)
    return same and one.reference.scored() == other.reference.scored()


def _change(before: int, after: int) -> Change:
    rise = KNOWN[GROUPS[after]] - KNOWN[GROUPS[before]]
    return "learned" if rise > 0 else "forgotten" if rise < 0 else "moved"


# --- tests ---------------------------------------------------------------------------------------------------------


def _tests(
    one: TextsSeen, other: TextsSeen, differ: Rows, n: int
) -> tuple[Floats, NDArray[np.bool_], tuple[str, ...] | None]:
    """Of the texts whose group differs: p, whether the change is called, and notes; None where nothing can be."""
    p, sure = np.ones(len(differ)), np.zeros(len(differ), np.bool_)
    found = [_by_heart(a, b) for a, b in ((one, other), (other, one))]
    by_heart = [told for told, _ in found]
    before, after = one.codes[differ], other.codes[differ]
    heart = (before == HEART) != (after == HEART)
    for place in np.flatnonzero(heart).tolist():
        told = by_heart[0 if after[place] == HEART else 1].get(int(differ[place]))
        if told is not None:
            p[place], sure[place] = told
    rest = np.flatnonzero(~heart)
    if len(rest) and one.reference is not None and other.reference is not None:
        p[rest] = _p_of_kinds(one, other, differ[rest])
        sure[rest] = called_among(p[rest], n)
    tested = any(by_heart) or one.reference is not None
    return p, sure, tuple(dict.fromkeys(note for _, notes in found for note in notes)) if tested else None


def _by_heart(before: TextsSeen, after: TextsSeen) -> tuple[dict[int, tuple[float, bool]], list[str]]:
    """What was learned by heart from one model to the next: of each text that can be told, p and whether it was.

    And what keeps anything from being called.
    """
    anchors = _beside(after.anchors, before.anchors)
    same = _same_reference(before, after) and "training" not in (before.levels.role, after.levels.role)
    held = None
    if same and before.reference is not None and after.reference is not None:
        held = _beside(after.reference, before.reference)
    found, _ = reading.contrasts(anchors, held, after.levels)
    told: dict[int, tuple[float, bool]] = {}
    for each in found:
        yes = called(each, level=after.levels.fdr)
        told |= {int(row): (float(p), bool(y)) for row, p, y in zip(each.rows, each.p, yes, strict=True)}
    return told, [warned.text for each in found for warned in few_to_tell_by(each, after.levels)]


def _beside(side: TextSide, other: TextSide) -> TextSide:
    """A side with another model's scores as its baseline; twins that are not those of the other do not count."""
    twins = [own if own == theirs else () for own, theirs in zip(side.twins, other.twins, strict=True)]
    return replace(side, twins=twins, other=other.scores)


def _p_of_kinds(one: TextsSeen, other: TextsSeen, rows: Rows) -> Floats:
    """Whether these texts lie elsewhere in the reference: by likelihood, and by what is written in their place."""
    if one.reference is None or other.reference is None:
        return np.ones(len(rows))
    values = [each.anchors.per_token(rows.tolist())[None, :] for each in (one, other)]
    held = [each.per_token(each.scored())[None, :] for each in (one.reference, other.reference)]
    same = _same_reference(one, other)
    p = p_of_places((values[0], values[1]), (held[0], held[1]), paired_draws=False, paired_reference=same)
    misses = [_missed(each.anchors, rows.tolist()) for each in (one, other)]
    missed = [_missed(each, each.scored()) for each in (one.reference, other.reference)]
    told = np.isfinite(misses[0]) & np.isfinite(misses[1])
    if not told.any() or not all(np.isfinite(each).any() for each in missed):
        return p
    whole = [each[np.isfinite(each)][None, :] for each in missed]
    paired = same and np.array_equal(np.isfinite(missed[0]), np.isfinite(missed[1]))
    by_match = p_of_places(
        (misses[0][None, told], misses[1][None, told]), (whole[0], whole[1]),
        paired_draws=False, paired_reference=paired,
    )  # fmt: skip
    p = p.copy()
    p[told] = np.minimum(p[told], by_match)
    return np.minimum(1.0, 2 * p)


def _missed(side: TextSide, rows: Sequence[int]) -> Floats:
    """How much of each continuation the model does not write; NaN where it was not asked."""
    found = [side.continued.get(row) for row in rows]
    return np.array([np.nan if each is None else 1 - each.match for each in found])


# --- shares and means ----------------------------------------------------------------------------------------------


def _group_differences(one: TextsSeen, other: TextsSeen, counted: Rows) -> tuple[GroupDifference, ...]:
    """Shares and their difference: the texts are paired, and both texts and reference are samples.

    For each redraw of the reference (the same one where both have the same), the texts that entered and left a group
    are drawn by their posterior under Jeffreys' prior, as for samples. What is called by heart is held.
    """
    rng, n = generator(one.explanation.seed, "compared", "texts"), len(counted)
    codes = np.arange(len(GROUPS))[:, None]
    same, drawn = _same_reference(one, other), list[Floats]()
    for _ in range(REDRAWN):
        seeds = rng.integers(2**31, size=2).tolist()
        before, after = (
            _redrawn(each, counted, generator(seeds[0 if same else place], "redrawn"))
            for place, each in enumerate((one, other))
        )
        entered = ((before != codes) & (after == codes)).sum(axis=1)
        left = ((before == codes) & (after != codes)).sum(axis=1)
        counts: Floats = rng.gamma(np.stack([entered, left, n - entered - left]) + 0.5)
        drawn.append((counts[0] - counts[1]) / counts.sum(axis=0))
    low, high = np.quantile(np.array(drawn), [0.025, 0.975], axis=0)
    rows: list[GroupDifference] = []
    for place, name in enumerate(GROUPS):
        first, second = (float((each.codes[counted] == place).mean()) if n else 0.0 for each in (one, other))
        rows.append(
            GroupDifference(
                group=name, first=first, second=second, difference=second - first,
                low=min(float(low[place]), second - first), high=max(float(high[place]), second - first),
            )
        )  # fmt: skip
    return tuple(rows)


def _redrawn(side: TextsSeen, counted: Rows, rng: np.random.Generator) -> Rows:
    """Groups by another reference."""
    codes = side.codes[counted].copy()
    if side.reference is None or not len(counted):
        return codes
    theirs = side.reference.per_token(side.reference.scored())
    open_ = (codes != HEART) & (codes != GROUPS.index(CANNOT_BE_TOLD))
    if len(theirs) < 1 or not open_.any():
        return codes
    rows, alpha = counted[open_].tolist(), side.levels.alpha
    unlike = p_values(rng.choice(theirs, len(theirs)), side.anchors.per_token(rows)) <= alpha
    invents = codes[open_] == GROUPS.index(INVENTS)
    missed = _missed(side.reference, side.reference.scored())
    missed, own = missed[np.isfinite(missed)], _missed(side.anchors, rows)
    if len(missed):
        told = np.isfinite(own)
        invents = invents.copy()
        invents[told] = p_values(rng.choice(missed, len(missed)), own[told]) <= alpha
    kinds = np.where(invents, GROUPS.index(INVENTS), GROUPS.index(KNOWS_THE_KIND))
    codes[open_] = np.where(unlike, GROUPS.index(DOES_NOT_KNOW), kinds)
    return codes


def _criterion_differences(one: TextsSeen, other: TextsSeen, counted: Rows) -> tuple[CriterionDifference, ...]:
    """Means over the texts that both have, and Student's interval of the paired difference."""
    rows = counted.tolist()
    found = [
        ("nats a token", *(each.anchors.per_token(rows) for each in (one, other))),
        ("comes back", *(1 - _missed(each.anchors, rows) for each in (one, other))),
    ]
    differences: list[CriterionDifference] = []
    for name, a, b in found:
        both = np.isfinite(a) & np.isfinite(b)
        n, apart = int(both.sum()), (b - a)[both]
        if n > 1:
            middle = float(apart.mean())
            half = float(stdtrit(n - 1, 0.975)) * float(apart.std(ddof=1)) / n**0.5
            differences.append(
                CriterionDifference(
                    criterion=name, first=float(a[both].mean()), second=float(b[both].mean()), difference=middle,
                    low=middle - half, high=middle + half,
                )
            )  # fmt: skip
    return tuple(differences)


# --- rows and notes ------------------------------------------------------------------------------------------------


def _changed(one: TextsSeen, other: TextsSeen, row: int, change: str, p_value: float) -> ChangedAnchor:
    texts = [each.explanation.texts[row] for each in (one, other)]
    figures = [
        {
            name: value
            for name, value in (("nats a token", text.nll), ("contrast", text.contrast), ("comes back", text.match))
            if value is not None
        }
        for text in texts
    ]
    both = [name for name in figures[0] if name in figures[1]]
    first, second = ({name: each[name] for name in both} for each in figures)
    before, after = (cast("str", text.group) for text in texts)
    return ChangedAnchor(
        index=row, name=plain(texts[0].text)[:NAME], label=texts[0].label, before=before, after=after,
        change=cast("Change", change), p_value=p_value, flip_rates=None, first=first, second=second,
    )  # fmt: skip


def _settings(one: TextsSeen, other: TextsSeen) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for name in SETTINGS:
        values = [getattr(each.explanation, name) for each in (one, other)]
        if values[0] != values[1]:
            found[name] = (_setting(values[0]), _setting(values[1]))
    return found


def _setting(value: object) -> str:
    if not isinstance(value, dict):
        return str(value)
    return ", ".join(f"{name} {version}" for name, version in cast("dict[str, str]", value).items())


def _notes(one: TextsSeen, other: TextsSeen, *, counted: int, tested: Sequence[str] | None) -> tuple[str, ...]:
    notes: list[str] = [*(tested or ())]
    if tested is None:
        notes.append(
            "Nothing tells a change from chance: the texts have no twins that both models scored, and there is no "
            "reference. Explain both with the same seed and twins, or with the same held-out texts (reference=)."
        )
    if one.reference is not None and not _same_reference(one, other):
        notes.append(
            "The two references differ, or were not scored alike. Give both models the same reference: else groups may "
            "differ though the models do not."
        )
    if any(a != b for a, b in zip(one.anchors.twins, other.anchors.twins, strict=True)):
        notes.append("Some texts have other twins in the second explanation: give both the same seed and names.")
    if (left := len(one.explanation.texts) - counted) > 0:
        notes.append(f"{'1 text' if left == 1 else f'{left:,} texts'} left out: not scored by both models, or copies.")
    return tuple(notes)
