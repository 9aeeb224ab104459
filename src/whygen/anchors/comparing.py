"""Two explanations by the same anchors beside each other: what was learned, what forgotten, what is noise.

A change of group is called where the anchor's place in the reference differs significantly, under Benjamini-Hochberg
over all anchors, and few other runs of either model take the change back (METHODS B3, B6; `whygen.anchors.changes`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit  # pyright: ignore[reportMissingTypeStubs]

from whygen.anchors.arrays import averaged
from whygen.anchors.calibrating import calibrate
from whygen.anchors.changes import (
    ALIKE,
    Floats,
    Rows,
    Side,
    of_draws,
    p_values_of_change,
    part_of,
    same_noise,
    same_reference,
    sure_changes,
)
from whygen.anchors.copies import fingerprints
from whygen.anchors.groups import GROUPS, Codes, codes_redrawn, jumps
from whygen.anchors.options import AnchorOptions
from whygen.anchors.representing import samples_of
from whygen.errors import MissingError, UsageError
from whygen.results.anchors import AnchorExplanation
from whygen.results.anchors_compared import (
    AnchorComparison,
    ChangedAnchor,
    CriterionDifference,
    GroupDifference,
    LabelChanges,
)
from whygen.results.anchors_pictures import pixels, shrunk
from whygen.results.anchors_scores import Scores
from whygen.results.anchors_words import plain_names
from whygen.stats.multiplicity import benjamini_hochberg
from whygen.stats.seeds import generator
from whygen.version import __version__

LEVEL = 0.05
"""False discovery rate over anchors."""
MOST_CHANGED = 10_000
"""More changed anchors than these are counted, not listed."""
MOST_SHOWN = 48
"""So many of the changed are shown as pictures."""
SETTINGS = ("model", "preset", "seed", "versions")


def compare_anchors(first: AnchorExplanation, second: AnchorExplanation) -> AnchorComparison:
    """Compare what two models, or two checkpoints of one, say of the same anchors.

    Args:
        first: an explanation with its scores: as `explain_anchors` returns it, or loaded from its folder.
        second: another one, by the same anchors, criteria and calibration.

    Raises:
        MissingError: if an explanation holds no scores.
        UsageError: if anchors, criteria or calibrations differ.
    """
    one, other = side_of(first, "first"), side_of(second, "second")
    _require_same_anchors(one.scores, other.scores)
    _require_same_question(one.explanation, other.explanation)
    counted = one.scores.arrays["distinct"]
    differ = counted[one.codes[counted] != other.codes[counted]]
    p_values = p_values_of_change(one, other, differ)
    changed = np.zeros(0, np.int64)
    if p_values is not None and len(differ):
        called = called_among(p_values, len(counted))
        places = np.flatnonzero(called & sure_changes(one, other)[differ]) if called.any() else changed
        changed = places[np.argsort(p_values[places], kind="stable")]
    found = differ[changed]
    what = [_change(int(one.codes[row]), int(other.codes[row])) for row in found.tolist()]
    listed = range(min(len(found), MOST_CHANGED))
    return AnchorComparison(
        whygen=__version__,
        models=(first.model, second.model),
        n_anchors=len(counted),
        learned=what.count("learned"),
        forgotten=what.count("forgotten"),
        moved=what.count("moved"),
        unsure=len(differ) - len(found),
        tested=p_values is not None,
        groups=_group_differences(one, other, counted),
        criteria=_criterion_differences(one, other, counted),
        table=table_of(one.codes[counted], other.codes[counted], first.group_names),
        labels=label_changes(one.scores.facts.labels, counted, found, what),
        changed=tuple(
            _changed(one, other, int(found[place]), what[place], float(p_values[changed[place]]))
            for place in listed
            if p_values is not None
        ),
        settings=_settings(one.explanation, other.explanation),
        notes=(
            *_against_the_word(one, other, found, what),
            *_notes(one, other, tested=p_values is not None, changed=len(found)),
        ),
        plain=plain_names(first),
        pictures=_pictures(one.scores, other.scores, found[:MOST_SHOWN]),
    )


def side_of(explanation: AnchorExplanation, which: str) -> Side:
    """An explanation with the calibration that its groups came from.

    Raises:
        MissingError: if it holds no scores.
    """
    scores, evidence, details = explanation.scores, explanation.evidence, explanation.details
    if scores is None or evidence is None or details is None:
        raise MissingError(
            f"The {which} explanation holds no scores: it was loaded from its JSON alone, or saved by an earlier "
            "version. Load its folder, or explain the anchors again with this version."
        )
    stated, plan = explanation.calibration, AnchorOptions(**scores.facts.plan)
    changes: dict[str, Any] = {"level": stated.level, "multiplicity": details.multiplicity}
    if stated.alpha is not None:
        changes["alpha"] = stated.alpha * (len(scores.names) if stated.level == "joint" else 1)
    if details.rounds is not None:
        changes |= {"rounds": details.rounds, "per_round": details.per_round}
    plan = replace(plan, **changes)
    calibration = calibrate(stated.kind, plan, scores, scores.scored("reference"))
    return Side(explanation, scores, calibration, evidence.codes, evidence.flip_rate)


def _require_same_anchors(one: Scores, other: Scores) -> None:
    """Refuse other anchors, or the same ones in another order.

    Raises:
        UsageError: says how many are in both, where the samples were kept.
    """
    a, b = one.facts.anchors, other.facts.anchors
    if a.digest == b.digest:
        return
    held = [samples_of(each)[0] for each in (one, other)]
    how = "their digests differ"
    if held[0] is not None and held[1] is not None:
        known, seen = (list(fingerprints(each)) for each in held if each is not None)
        if known == seen:  # the same samples for models that take them in other ranges
            return
        both = len(set(known) & set(seen))
        how = f"{both:,} samples are in both" + (", in another order" if sorted(known) == sorted(seen) else "")
    raise UsageError(
        f"The two explanations are of different anchors: {a.n:,} ({a.source}) and {b.n:,} ({b.source}); {how}. Explain "
        "both models by the same anchors in the same order, then compare."
    )


def _require_same_question(one: AnchorExplanation, other: AnchorExplanation) -> None:
    """Refuse groups that mean different things.

    Raises:
        UsageError: says how both are read alike.
    """
    names = [[each.name for each in explanation.criteria] for explanation in (one, other)]
    if names[0] != names[1]:
        both = [name for name in names[0] if name in names[1]]
        way = f"read both by these: read(criteria={','.join(both)!r})" if both else "explain the anchors again"
        raise UsageError(f"The criteria differ: {', '.join(names[0])} and {', '.join(names[1])}. To compare, {way}.")
    said = [
        (each.calibration.kind, each.calibration.alpha, each.calibration.level, each.details.multiplicity)
        for each in (one, other)
        if each.details is not None
    ]
    if said[0] != said[1]:
        texts = [f"{kind}, alpha {alpha}, {level}, multiplicity {many}" for kind, alpha, level, many in said]
        raise UsageError(
            f"The thresholds have different rules: {texts[0]}; and {texts[1]}. To compare, read one of them by the "
            "rule of the other: read(calibration=..., alpha=..., level=..., multiplicity=...)."
        )


def _change(before: int, after: int) -> str:
    if (before in ALIKE) == (after in ALIKE):
        return "moved"
    return "learned" if after in ALIKE else "forgotten"


# --- shares and means ----------------------------------------------------------------------------------------------


def _group_differences(one: Side, other: Side, counted: Rows) -> tuple[GroupDifference, ...]:
    """Shares of each group, and their difference with the errors of both: anchors are paired, thresholds drawn."""
    low, high = _share_intervals(one, other, counted)
    rows: list[GroupDifference] = []
    for place, name in one.explanation.group_names.items():
        first, second = (float((each.codes[counted] == place).mean()) for each in (one, other))
        rows.append(
            GroupDifference(
                group=name, first=first, second=second, difference=second - first,
                low=min(float(low[place]), second - first), high=max(float(high[place]), second - first),
            )
        )  # fmt: skip
    return tuple(rows)


def _share_intervals(one: Side, other: Side, counted: Rows) -> tuple[Floats, Floats]:
    """Ends of the 95% intervals of differences of shares, ``(groups,)`` each.

    For each draw of the thresholds, which are those of the same reference samples where both runs have the same, the
    anchors that entered and left a group are drawn by their posterior under Jeffreys' prior.
    """
    same = same_reference(one, other)
    blocks = [
        codes_redrawn(
            averaged(side.scores.anchors.draws)[counted], side.calibration, side.kinds,
            generator(one.scores.facts.seed, "compared", "shares", "both" if same else which),
        )
        for which, side in (("first", one), ("second", other))
    ]  # fmt: skip
    counts = [_entered_and_left(a, b) for a, b in zip(*blocks, strict=True)]
    entered, left = (np.concatenate([each[place] for each in counts]) for place in (0, 1))
    rng = generator(one.scores.facts.seed, "compared", "anchors")
    n = len(counted)
    if jumps(one.calibration) or jumps(other.calibration):
        middle = (entered - left) / (n + 2)
        error = np.sqrt(entered + left + 1 - (entered - left) ** 2 / (n + 2)) / (n + 2)
        half = float(stdtrit(np.inf, 0.975)) * error
        return (middle - half).min(axis=0), (middle + half).max(axis=0)
    gained, lost, rest = (rng.gamma(each + 0.5) for each in (entered, left, n - entered - left))
    drawn = (gained - lost) / (gained + lost + rest)
    return np.quantile(drawn, 0.025, axis=0), np.quantile(drawn, 0.975, axis=0)


def _entered_and_left(before: Codes, after: Codes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many anchors entered and left each group, from codes ``(b, n)`` to ``(b, groups)`` each."""
    pairs = before.astype(np.int64) * len(GROUPS) + after
    table = np.stack([np.bincount(row, minlength=len(GROUPS) ** 2) for row in pairs])
    table = table.reshape(-1, len(GROUPS), len(GROUPS))
    stayed = np.diagonal(table, axis1=1, axis2=2)
    return table.sum(axis=1) - stayed, table.sum(axis=2) - stayed


def _criterion_differences(one: Side, other: Side, counted: Rows) -> tuple[CriterionDifference, ...]:
    a, b = (each.scores.anchors.draws[:, counted] for each in (one, other))
    means = averaged(a).mean(axis=0), averaged(b).mean(axis=0)
    apart = averaged(b) - averaged(a)
    rows: list[CriterionDifference] = []
    for column, name in enumerate(one.scores.names):
        by_draw = [each[:, :, column].mean(axis=1)[:, None] for each in (a, b)]
        parts = [part_of(apart[:, [column]], axis=0), *of_draws(by_draw, paired=same_noise(one, other))]
        variance = float(sum(part.variance[0] for part in parts))
        weights = float(sum(part.variance[0] ** 2 / part.degrees for part in parts))
        degrees = variance**2 / weights if weights > 0 else 1.0
        half = float(stdtrit(degrees, 0.975)) * variance**0.5
        middle = float(apart[:, column].mean())
        rows.append(
            CriterionDifference(
                criterion=name, first=float(means[0][column]), second=float(means[1][column]), difference=middle,
                low=middle - half, high=middle + half,
            )
        )  # fmt: skip
    return tuple(rows)


def called_among(p_values: Floats, n: int) -> NDArray[np.bool_]:
    """Which changes are told from chance, where all but these of ``n`` anchors are of one group in both.

    Those count as tests that found nothing.
    """
    every = np.ones(n)
    every[: len(p_values)] = p_values
    return benjamini_hochberg(every, level=LEVEL)[: len(p_values)]


# --- rows and pictures ---------------------------------------------------------------------------------------------


def table_of(
    before: NDArray[np.signedinteger[Any]], after: NDArray[np.signedinteger[Any]], names: Mapping[int, str]
) -> dict[str, dict[str, int]]:
    """How many anchors went from each group to each, by the names of their codes."""
    counts = np.zeros((max(names) + 1, max(names) + 1), np.int64)
    np.add.at(counts, (before, after), 1)
    return {name: {other: int(counts[code, place]) for place, other in names.items()} for code, name in names.items()}


def _changed(one: Side, other: Side, row: int, change: str, p_value: float) -> ChangedAnchor:
    facts = one.scores.facts
    values = [averaged(each.scores.anchors.draws[:, [row]])[0] for each in (one, other)]
    first, second = (dict(zip(one.scores.names, map(float, each), strict=True)) for each in values)
    return ChangedAnchor(
        index=row,
        name=facts.names[row] if facts.names else None,
        label=None if facts.labels is None else facts.labels[row],
        before=one.explanation.group_names[int(one.codes[row])],
        after=one.explanation.group_names[int(other.codes[row])],
        change=cast("Any", change),
        p_value=p_value,
        flip_rates=(float(one.flip_rate[row]), float(other.flip_rate[row])),
        first=first,
        second=second,
    )


def label_changes(
    labels: Sequence[str | int | None] | None, counted: Rows, found: Rows, what: Sequence[str]
) -> tuple[LabelChanges, ...]:
    """How many anchors of each label changed, and how.

    Args:
        labels: of all anchors; None for one without.
        counted: places of those that are compared.
        found: places of those that changed.
        what: how each did.
    """
    if labels is None:
        return ()
    changes: dict[str | int, list[str]] = {}
    for row, change in zip(cast("list[int]", found.tolist()), what, strict=True):
        if (label := labels[row]) is not None:
            changes.setdefault(label, []).append(change)
    sizes: dict[str | int, int] = {}
    for row in cast("list[int]", counted.tolist()):
        if (label := labels[row]) is not None:
            sizes[label] = sizes.get(label, 0) + 1
    return tuple(
        LabelChanges(
            label=label, n=n, learned=changes.get(label, []).count("learned"),
            forgotten=changes.get(label, []).count("forgotten"), moved=changes.get(label, []).count("moved"),
        )
        for label, n in sorted(sizes.items(), key=lambda each: str(each[0]))
    )  # fmt: skip


def _settings(one: AnchorExplanation, other: AnchorExplanation) -> dict[str, tuple[str, str]]:
    def shown(explanation: AnchorExplanation, name: str) -> str:
        if name == "versions":
            return ", ".join(f"{package} {version}" for package, version in explanation.versions.items())
        if name == "reference":
            return "none" if explanation.details is None else explanation.details.sources.get("reference", "none")
        return str(getattr(explanation, name))

    both = {name: (shown(one, name), shown(other, name)) for name in (*SETTINGS, "reference")}
    return {name: values for name, values in both.items() if values[0] != values[1]}


_AGAINST: tuple[tuple[str, str, int], ...] = (("learned", "worse", 1), ("forgotten", "better", -1))


def _against_the_word(one: Side, other: Side, found: Rows, what: Sequence[str]) -> list[str]:
    """Where most of what is called learned comes back worse than before, or what is called forgotten better.

    Each model is read by its own thresholds. One whose scores of the reference are poor has wide ones, within which
    more anchors look like the reference, so the words alone would take an early checkpoint for the better one.
    """
    notes: list[str] = []
    for column, name in enumerate(one.scores.names):
        if one.kinds[column] != "extrinsic":
            continue
        rise = averaged(other.scores.anchors.draws)[:, column] - averaged(one.scores.anchors.draws)[:, column]
        before, after = (each.calibration.thresholds[column].value for each in (one, other))
        for word, how, sign in _AGAINST:
            rows = found[np.array([each == word for each in what], dtype=bool)]
            against = int((sign * rise[rows] > 0).sum())
            if 2 * against > len(rows):
                notes.append(
                    f"Of the {len(rows):,} {word}, {against:,} are {how} by {name} to the second model than to the "
                    f"first. Each model has thresholds of its own (of {name} {before:.4g}, then {after:.4g}): {word} "
                    f"here does not mean that the second model makes them {_OTHER_WAY[how]}."
                )
    return notes


_OTHER_WAY = {"worse": "better", "better": "worse"}


def _notes(one: Side, other: Side, *, tested: bool, changed: int) -> tuple[str, ...]:
    notes: list[str] = []
    if one.scores.facts.identity is not None and one.scores.facts.identity == other.scores.facts.identity:
        notes.append("Both explanations are of the same model: what differs is noise.")
    elif changed:  # docs/decisions/0037-memorisation-and-comparison.md: 68 of 100 pairs of such trainings had some
        notes.append(
            "The noise is that of asking. Trainings that differ by their seed alone are different models too, and a "
            "few anchors in a hundred may change between them: compare a second training of either before few changes "
            "are put down to its data or its recipe."
        )
    if not tested:
        notes.append(
            "The noise is not known, so no anchor is called changed: a run has one posterior draw, one round or one "
            "set of generated samples, or a criterion with one set of noise of its own. Where it is draws or rounds, "
            "explain both again with draws=8 (or draws='mean', which is not random) and rounds=10."
        )
    if one.reference is not None and other.reference is not None and not same_reference(one, other):
        notes.append(
            "The two references differ. Where they are not of one kind, so may the anchors' groups though the models "
            "do not: give both models the same reference."
        )
    if changed and any("anchors/made" not in each.scores.arrays for each in (one, other)):
        notes.append("Pictures of what changed were not kept: explain with controls='trivial', which makes them.")
    if changed > MOST_CHANGED:
        notes.append(f"{changed:,} anchors changed; the {MOST_CHANGED:,} surest are listed.")
    return tuple(notes)


def _pictures(
    one: Scores, other: Scores, rows: Rows
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]] | None:
    """The anchors, and what each model makes of them; None where these were not kept."""
    anchors, made = pixels(one, "anchors", rows), [each.arrays.get("anchors/made") for each in (one, other)]
    if anchors is None or made[0] is None or made[1] is None or not len(rows):
        return None
    anchors = shrunk(anchors, max(1, anchors.shape[1] // made[0].shape[1]))
    shown = [each.astype(np.float32) / np.float32(255) for each in (anchors, made[0][rows], made[1][rows])]
    return shown[0], shown[1], shown[2]
