"""An explanation of anchors in rows and in words: no more than what was compared says.

A row an anchor, and the rows to look at first, each with its reason. Headlines, names of groups, and what controls add:
every sentence says what was compared with what. "Knows" and "reproduces" are words of a claim about the model: they are
said only where an untrained copy of it does not do the same, and where every criterion tells the reference from foils.
"Delusion" is said only where a classifier read the reconstructions. The paper's preset speaks in the paper's words, as
the paper's (decision 13).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whygen.errors import UsageError

if TYPE_CHECKING:
    from whygen.results.anchors import AnchorEvidence, AnchorExplanation
    from whygen.results.anchors_scores import ControlRecord, FoilRecord

LOOK_FIRST = (4, 0, 3, 1, 2)
"""The rank of HIHE, HILE, LIHE, LILE and BELOW among the anchors to look at."""
UNSURE = 0.2
"""A flip rate above this part makes a verdict one to look at, whatever the group."""
MAX_ROWS = 500


def columns(explanation: AnchorExplanation) -> dict[str, list[Any]]:
    """The table of `AnchorExplanation.table`, column by column.

    Raises:
        UsageError: if only the JSON was loaded.
    """
    evidence = _evidence(explanation)
    n = len(evidence.codes)
    table: dict[str, list[Any]] = {"index": list(range(n))}
    if evidence.names:
        table["name"] = list(evidence.names)
    if evidence.labels is not None:
        table["label"] = list(evidence.labels)
    table["group"] = [_groups()[code] for code in evidence.codes]
    table["flip_rate"] = evidence.flip_rate.tolist()
    for place, criterion in enumerate(explanation.criteria):
        table[criterion.name] = evidence.values[:, place].tolist()
        if evidence.p_values is not None:
            table[f"p_{criterion.name}"] = evidence.p_values[:, place].tolist()
        if evidence.p_high is not None:
            table[f"p_high_{criterion.name}"] = evidence.p_high[:, place].tolist()
    if evidence.comes_back is not None:
        table["comes_back"] = evidence.comes_back.tolist()
    if evidence.neighbour is not None and evidence.neighbour_distance is not None:
        looked = evidence.neighbour >= 0
        table["neighbour"] = _where(looked, evidence.neighbour)
        table["neighbour_distance"] = _where(looked, evidence.neighbour_distance)
    picked = {index for indices in explanation.selected.values() for index in indices}
    table["selected"] = [index in picked for index in range(n)]
    table["reason"] = list(reasons(explanation))
    return table


def _where(known: NDArray[np.bool_], values: NDArray[Any]) -> list[Any]:
    return [value if sure else None for sure, value in zip(known.tolist(), values.tolist(), strict=True)]


def look_at(explanation: AnchorExplanation) -> list[dict[str, Any]]:
    """The rows of the table that `telling` names, in its order."""
    evidence = _evidence(explanation)
    table = columns(explanation)
    rows = telling(evidence.codes, evidence.flip_rate, _excess(explanation, evidence), evidence.shown)
    return [{name: column[row] for name, column in table.items()} for row in rows.tolist()]


def telling(
    codes: NDArray[np.int8],
    flip_rate: NDArray[np.float64],
    excess: NDArray[np.float64],
    shown: NDArray[np.int64],
    *,
    most: int = MAX_ROWS,
) -> NDArray[np.int64]:
    """Anchors to look at: every representative, every anchor that is not HIHE, every unsure verdict.

    Representatives come first, then the groups in the order HILE, LILE, LIHE, HIHE, each by how far its anchors are
    above their thresholds; at most ``most``.
    """
    selected = np.zeros(len(codes), np.bool_)
    selected[shown] = True
    order = np.array(LOOK_FIRST)[codes]
    wanted = np.flatnonzero((codes != 0) | selected | (flip_rate > UNSURE))
    ranked = np.lexsort((wanted, -excess[wanted].max(axis=1), order[wanted], ~selected[wanted]))
    return wanted[ranked][:most].astype(np.int64)


def reasons(explanation: AnchorExplanation) -> Iterator[str]:
    """For each anchor, in words: its group, the criteria that failed and by how much, and how sure that is."""
    evidence = _evidence(explanation)
    above, said = _excess(explanation, evidence), meanings(explanation)
    floors = {} if explanation.tails is None else explanation.tails.floors
    names = [criterion.name for criterion in explanation.criteria]
    for row, code in enumerate(evidence.codes):
        parts = [said[_groups()[code]]]
        parts += [
            f"{name} {evidence.values[row, c]:.4g} against {explanation.thresholds[name]:.4g}"
            for c, name in enumerate(names)
            if above[row, c] > 0
        ]
        parts += [
            f"{name} {evidence.values[row, c]:.4g} below {floors[name]:.4g}"
            for c, name in enumerate(names)
            if name in floors and evidence.values[row, c] < floors[name]
        ]
        if evidence.comes_back is not None and code == 0 and not evidence.comes_back[row]:
            parts.append(
                "what comes back is no nearer to it than a mean sample, or than other samples' reconstructions"
            )
        if evidence.flip_rate[row] > UNSURE:
            parts.append(f"unsure: in another group in {evidence.flip_rate[row]:.0%} of other runs")
        yield "; ".join(parts)


def excess(values: NDArray[np.float64], limits: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each criterion ``(n, c)`` lies above its threshold ``(c,)``, relative to it."""
    return (values - limits) / np.maximum(np.abs(limits), np.finfo(np.float64).tiny)


def _excess(explanation: AnchorExplanation, evidence: AnchorEvidence) -> NDArray[np.float64]:
    limits = np.array([explanation.thresholds[criterion.name] for criterion in explanation.criteria])
    return excess(evidence.values, limits)


def _evidence(explanation: AnchorExplanation) -> AnchorEvidence:
    if explanation.evidence is None:
        raise UsageError(
            "This explanation was loaded from its JSON alone. Load the folder that save wrote: it has the values too."
        )
    return explanation.evidence


def _groups() -> tuple[str, ...]:
    from whygen.results.anchors import GROUPS

    return GROUPS


TELLING_FOILS = ("shuffled", "noise", "other labels")
"""Foils that a criterion must tell from the reference before the model is said to know it. Blends are left out: for
some data, such as sums of waves, a blend of two samples is another sample."""
FEWEST_LABELLED = 10
"""Below so many anchors of the reference's labels their share is not said apart."""
FEW_LABELS = 3
"""More labels than these are not named in a headline."""
_SIMPLER = "simpler, or better known to this model, than nearly all of"
MOST = 0.5
"""More than half: so many foils that pass, or reconstructions that are read as the trained class, are said."""

_SAID = {
    "HIHE": "looks like {it} on both counts",
    "HILE": "is familiar, but comes back worse than {it} does",
    "LIHE": "is unfamiliar, yet comes back as well as {it} does",
    "LILE": "is unfamiliar, and comes back worse than {it} does",
    "BELOW": "is simpler or better known than nearly all of {it}",
}
_PAPER = {
    "HIHE": "in the paper's words: known and reproduced",
    "HILE": "in the paper's words: model delusion",
    "LIHE": "in the paper's words: aligned conception",
    "LILE": "in the paper's words: neither known nor reproduced",
}


def percent(share: float) -> str:
    """A share of anchors: groups can be small, so one decimal, and two below a tenth of a percent."""
    return f"{100 * share:.{1 if share == 0 or share >= 0.001 else 2}f}%"


def counted(explanation: AnchorExplanation) -> int:
    """How many anchors the shares are of: all but copies of earlier ones."""
    return sum(group.count for group in explanation.groups.values())


def by_reference(explanation: AnchorExplanation) -> bool:
    """Whether thresholds rest on real samples, not on what the model generates."""
    return explanation.calibration.role != "generated"


def yardstick(explanation: AnchorExplanation) -> str:
    """What anchors are compared with, in words."""
    if not by_reference(explanation):
        return "what this model itself generates"
    whose = "its" if _brought(explanation) else "your"
    return f"{whose} {'training' if explanation.calibration.role == 'training' else 'reference'} samples"


def _brought(explanation: AnchorExplanation) -> bool:
    """Whether the reference came with the model, as its source then says."""
    source = "" if explanation.details is None else explanation.details.sources.get("reference", "")
    return source.endswith(f"(come with {explanation.model})")


def is_paper(explanation: AnchorExplanation) -> bool:
    """Whether a preset of the paper ran, without controls of ours."""
    return explanation.preset is not None and not explanation.controls


def control(explanation: AnchorExplanation, name: str) -> ControlRecord | None:
    """The control of that name, if it could be had."""
    return next((each for each in explanation.controls if each.name == name and each.groups), None)


def easiest_foil(explanation: AnchorExplanation) -> FoilRecord | None:
    """The foil that is most often taken for the reference; real anchors of other labels before what is made."""
    real = next((each for each in explanation.foils if each.name == "other labels" and each.alike.low > MOST), None)
    return real or max(explanation.foils, key=lambda each: each.alike.share, default=None)


def earned(explanation: AnchorExplanation) -> bool:
    """Whether the words "knows and reproduces" are earned.

    More anchors look like the reference and come back than of an untrained copy, by intervals that do not meet; and
    every criterion tells the reference from each of `TELLING_FOILS`.
    """
    own, copy = explanation.comes_back, control(explanation, "untrained")
    if not by_reference(explanation) or own is None or copy is None or copy.comes_back is None:
        return False
    telling = [record.tells for record in explanation.power if record.foil in TELLING_FOILS]
    return bool(telling) and all(telling) and own.low > copy.comes_back.high


def meanings(explanation: AnchorExplanation) -> dict[str, str]:
    """What an anchor of each group is to the model, as far as that was measured."""
    it = "the reference" if by_reference(explanation) else "what the model generates"
    said = {name: text.format(it=it) for name, text in _SAID.items()}
    if is_paper(explanation):
        return {**said, **_PAPER}
    tested = None if explanation.details is None else explanation.details.of_hile
    if tested is not None and tested.low > MOST:
        said["HILE"] = "model delusion: is familiar, and a classifier reads the trained class in what comes back"
    back = explanation.comes_back
    if back is not None and earned(explanation) and back.count > MOST * explanation.groups["HIHE"].count:
        said["HIHE"] = f"looks like the reference; {back.count:,} are known and reproduced"
    return said


def headline(explanation: AnchorExplanation) -> str:
    """The first sentences of a report."""
    if is_paper(explanation):
        wrong = explanation.groups["HILE"]
        return (
            f"By the paper's rule {percent(explanation.groups['HIHE'].share)} of {counted(explanation):,} anchors are "
            f"HIHE, in its words known and reproduced, and {percent(wrong.share)} HILE, in its words model delusion; "
            "nothing was run beside it to compare."
        )
    if blind := _blind(explanation):
        return blind
    said = "".join(_joined(part) for part in _beside(explanation))
    return f"{_alike(explanation)}{said}.{_back(explanation)}"


def _joined(part: str) -> str:
    return f", {part}" if part.startswith("and so") else f"; {part}"


def _blind(explanation: AnchorExplanation) -> str:
    """Where no criterion tells the reference from any foil, shares say nothing, and none makes a headline."""
    if not explanation.power or any(record.tells for record in explanation.power):
        return ""
    names, foils = [each.name for each in explanation.criteria], [each.what for each in explanation.foils]
    none = "neither of" if len(names) == 2 else "none of"
    return (
        f"The shares of this run say nothing of the model: {none} {_listed(names)} tells {yardstick(explanation)} from "
        f"{_listed(foils)}."
    )


def _listed(parts: Sequence[str]) -> str:
    return "".join(parts) if len(parts) < 2 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _alike(explanation: AnchorExplanation) -> str:
    alike, below, n = explanation.groups["HIHE"], explanation.groups.get("BELOW"), counted(explanation)
    it = yardstick(explanation)
    if not by_reference(explanation):
        held = explanation.details is not None and explanation.details.n_reference is not None
        why = "thresholds do not rest on the reference" if held else "no reference was given"
        return f"{percent(alike.share)} of {n:,} anchors lie within {it} by every criterion ({why})"
    if below is not None and _mostly_below(explanation):
        part = f"are {_SIMPLER} {it}"
        return f"{percent(below.share)} of {n:,} anchors {part}; {percent(alike.share)} look like them"
    return f"{percent(alike.share)} of {n:,} anchors look to this model like {it}{_labelled(explanation)}"


def _are_below(explanation: AnchorExplanation) -> bool:
    """Whether more anchors are BELOW than may be among samples like the reference."""
    below = explanation.groups.get("BELOW")
    return below is not None and below.low > _tail(explanation)


def _mostly_below(explanation: AnchorExplanation) -> bool:
    """Whether they are more than those that look like the reference, so that the report begins with them."""
    below = explanation.groups.get("BELOW")
    return below is not None and _are_below(explanation) and below.share > explanation.groups["HIHE"].share


def _labelled(explanation: AnchorExplanation) -> str:
    """The share among anchors of the reference's labels, and among the others: what a share of all mixes."""
    foil = next((each for each in explanation.foils if each.name == "other labels"), None)
    rest = 0 if foil is None else counted(explanation) - foil.n
    if foil is None or rest < FEWEST_LABELLED or foil.alike.low > MOST or _mostly_below(explanation):
        return ""
    inside = (explanation.groups["HIHE"].count - round(foil.alike.share * foil.n)) / rest
    few = 0 < len(foil.reference_labels) <= FEW_LABELS
    which = f"labelled {_listed([str(each) for each in foil.reference_labels])}" if few else "whose label these have"
    return f": {percent(inside)} of the anchors {which}, and {percent(foil.alike.share)} of the others"


def _tail(explanation: AnchorExplanation) -> float:
    """The largest share that may be BELOW among samples like the reference."""
    tails = explanation.tails
    return 1.0 if tails is None else tails.high * len(explanation.criteria)


def _beside(explanation: AnchorExplanation) -> list[str]:
    """What the controls say, in the same breath."""
    alike, below = explanation.groups["HIHE"], explanation.groups.get("BELOW")
    foil, said = easiest_foil(explanation), list[str]()
    fewer = below is None or below.share <= alike.share
    if foil is not None and foil.alike.low > MOST and fewer:
        said.append(f"and so do {percent(foil.alike.share)} of {foil.what}")
    if below is not None and fewer and by_reference(explanation) and _are_below(explanation):
        said.append(f"{percent(below.share)} are {_SIMPLER} these")
    copy, mean = control(explanation, "untrained"), control(explanation, "mean")
    if copy is not None:
        said.append(f"an untrained copy says {percent(copy.groups['HIHE'].share)}{_copied(explanation, copy)}")
    if mean is not None:
        share = mean.groups["HIHE"]
        if copy is None or (share.share > copy.groups["HIHE"].share and share.high >= alike.low):
            said.append(f"the mean sample in the place of every reconstruction would say {percent(share.share)}")
    return said or ["nothing was run beside it to compare"]


def _copied(explanation: AnchorExplanation, copy: ControlRecord) -> str:
    """By labels, where the share of the model itself is told by labels."""
    if copy.own_labels is None or copy.other_labels is None or not _labelled(explanation):
        return ""
    return f" ({percent(copy.own_labels.share)} and {percent(copy.other_labels.share)})"


def _back(explanation: AnchorExplanation) -> str:
    back = explanation.comes_back
    if back is None or not by_reference(explanation):
        return ""
    if back.count == 0:
        return " None of them comes back nearer to itself than a trivial reconstruction."
    if earned(explanation):
        return f" It knows and reproduces {percent(back.share)}."
    alike = explanation.groups["HIHE"].count
    who = f"All {alike:,}" if back.count == alike else f"{back.count:,} of these {alike:,}"
    return f" {who} also come back, nearer to themselves than the trivial reconstructions."
