"""An explanation of anchors in words: no more than what was compared says.

Headlines, names of groups, and what controls add: every sentence says what was compared with what. "Knows" and
"reproduces" are words of a claim about the model: they are said only where an untrained copy of it does not do the
same, and where every criterion tells the reference from foils. "Delusion" is said only where a classifier read the
reconstructions. The paper's preset speaks in the paper's words, as the paper's (decision 13).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from whygen.results.anchors_scores import MOST_NAMED

if TYPE_CHECKING:
    from whygen.results.anchors import AnchorExplanation, GroupRecord
    from whygen.results.anchors_scores import ComesBackRecord, ControlRecord, FoilRecord

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

_RETURNED = {
    "reconstruction": ("what comes back", "other samples' reconstructions", "reconstruction"),
    "nearest generated sample": (
        "the nearest generated sample", "those nearest to others", "nearest generated sample",
    ),
    "re-denoised sample": (
        "what the model makes of it under noise", "what it makes of others under noise", "sample denoised again",
    ),
    "round trip to noise": ("what comes back from noise", "what comes back of others", "sample after a round trip"),
    "nearest sample found among its latents": (
        "the nearest sample that was found among its latents", "those found for others", "nearest sample found",
    ),
}  # fmt: skip
"""What the model gives back, in words: as the subject of a sentence, the same of other samples, and after "their"."""
OWN_RETURNS = ("reconstruction", "re-denoised sample", "round trip to noise")
"""What is made of the sample itself, so that the sample comes back, well or badly."""


def returned(explanation: AnchorExplanation) -> tuple[str, str, str]:
    """What the model gives back: as the subject of a sentence, the same of other samples, and its name alone."""
    name = explanation.given_back
    return _RETURNED.get(name, (f"the {name}", f"the {name} of others", name))


_SAID = {
    "HIHE": "looks like {it} on both counts",
    "HILE": "is familiar, but comes back worse than {it} does",
    "LIHE": "is unfamiliar, yet comes back as well as {it} does",
    "LILE": "is unfamiliar, and comes back worse than {it} does",
    "BELOW": "is simpler or better known than nearly all of {it}",
}
_SAID_OF_OTHERS = {
    "HILE": "is familiar, but {what} is farther from it than from {it}",
    "LIHE": "is unfamiliar, yet {what} is as near as to {it}",
    "LILE": "is unfamiliar, and {what} is farther from it than from {it}",
}
"""The same where nothing is reconstructed."""
_SAID_OF_ONE = {
    "intrinsic": {"HIGH": "is as familiar as {it}", "LOW": "is less familiar than nearly all of {it}"},
    "extrinsic": {
        "HIGH": "is as near to {what} as {it}",
        "LOW": "is farther from {what} than nearly all of {it}",
    },
}
"""By criteria of one kind."""
_WELL_KNOWN = "is unusually well known: likelier to this model than nearly all of {it}, as what it has memorised is"
DENSITIES = ("nll", "nll-complexity")
"""Criteria whose lower tail speaks of what is too well known."""
_PLAIN = {
    "HIHE": "looks like {it}",
    "HILE": "familiar, but {badly}",
    "LIHE": "unfamiliar, yet {well}",
    "LILE": "unfamiliar, and {badly}",
    "BELOW": "simpler or better known than {it}",
}
_PLAIN_OF_ONE = {
    "intrinsic": {"HIGH": "as familiar as {it}", "LOW": "less familiar than {it}"},
    "extrinsic": {"HIGH": "{well}", "LOW": "{badly}"},
}
_WELL_BADLY = {
    "nearest generated sample": ("the model makes the like of it", "the model makes nothing near it"),
    "nearest sample found among its latents": ("the model can make the like of it", "nothing near it was found"),
    "re-denoised sample": ("comes back well from noise", "comes back badly from noise"),
    "round trip to noise": ("comes back well from noise", "comes back badly from noise"),
}
"""How an anchor fares by an extrinsic criterion, well and badly; of reconstructions it comes back so."""
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


def familiar(explanation: AnchorExplanation) -> bool:
    """Whether anything says how familiar the model finds an anchor: what comes back does not say what it knows."""
    return any(each.kind == "intrinsic" for each in explanation.criteria)


def meanings(explanation: AnchorExplanation) -> dict[str, str]:
    """What an anchor of each group is to the model, as far as that was measured."""
    it = "the reference" if by_reference(explanation) else "what the model generates"
    said = {name: text.format(it=it, what=returned(explanation)[0]) for name, text in _texts(explanation).items()}
    if is_paper(explanation):
        return {**said, **{name: text for name, text in _PAPER.items() if name in said}}
    tested = None if explanation.details is None else explanation.details.of_hile
    if tested is not None and tested.low > MOST:
        said["HILE"] = "model delusion: is familiar, and a classifier reads the trained class in what comes back"
    back = explanation.comes_back
    if "HIHE" in said and back is not None and earned(explanation) and back.count > MOST * _first(explanation).count:
        what = "known and reproduced" if _reconstructs(explanation) else "near to a sample that it made"
        said["HIHE"] = f"looks like the reference; {back.count:,} are {what}"
    return said


def plain_names(explanation: AnchorExplanation) -> dict[str, str]:
    """A few words for each group, which stand before its code on pages."""
    kinds = sorted({each.kind for each in explanation.criteria})
    texts = _PLAIN if len(kinds) > 1 else {**_PLAIN_OF_ONE[kinds[0]], "BELOW": _PLAIN["BELOW"]}
    if any(each.name in DENSITIES for each in explanation.criteria):
        texts = {**texts, "BELOW": "unusually well known"}
    well, badly = _WELL_BADLY.get(explanation.given_back, ("comes back well", "comes back badly"))
    it = "the reference" if by_reference(explanation) else "what the model makes"
    return {name: text.format(it=it, well=well, badly=badly) for name, text in texts.items()}


def _texts(explanation: AnchorExplanation) -> dict[str, str]:
    """What each group is called, before names are put in."""
    kinds = sorted({each.kind for each in explanation.criteria})
    others = {} if explanation.given_back in OWN_RETURNS else _SAID_OF_OTHERS
    texts = {**_SAID, **others} if len(kinds) > 1 else {**_SAID_OF_ONE[kinds[0]], "BELOW": _SAID["BELOW"]}
    if any(each.name in DENSITIES for each in explanation.criteria):
        texts["BELOW"] = _WELL_KNOWN
    return texts


def alike_name(explanation: AnchorExplanation) -> str:
    """The name of the group that looks like what it is compared with: HIHE, or HIGH by criteria of one kind."""
    return explanation.group_names[0]


def _first(explanation: AnchorExplanation) -> GroupRecord:
    return explanation.groups[alike_name(explanation)]


def headline(explanation: AnchorExplanation) -> str:
    """The first sentences of a report."""
    first, rest = headline_parts(explanation)
    return f"{first}{rest}"


def headline_parts(explanation: AnchorExplanation) -> tuple[str, str]:
    """The same in two: what a page says in large letters, and what it says below them."""
    if is_paper(explanation) and "HILE" in explanation.groups:
        wrong = explanation.groups["HILE"]
        said = (
            f"By the paper's rule {percent(_first(explanation).share)} of {counted(explanation):,} anchors are "
            f"HIHE, in its words known and reproduced, and {percent(wrong.share)} HILE, in its words model delusion"
        )
        return said, "; nothing was run beside it to compare."
    if blind := _blind(explanation):
        return blind, _of_its_own(explanation)
    beside = "".join(_joined(part) for part in _beside(explanation))
    return _alike(explanation), f"{beside}.{_back(explanation)}{_of_its_own(explanation)}"


def _of_its_own(explanation: AnchorExplanation) -> str:
    """What is to be known first whatever the groups are: what it memorised, that it collapsed, what it dropped."""
    found, said = explanation.memorisation, ""
    if found is not None and found.found and found.flagged:
        said = (
            f" {found.flagged:,} of {found.n_training:,} training anchors are called memorised beside "
            f"{found.n_held_out:,} held-out samples, where {found.by_chance:.1f} would be by chance."
        )
    alike = next((each.text for each in explanation.warnings if each.code == "generator-collapse"), "")
    said += f" {alike.partition(':')[0]}." if alike else ""
    return f"{said}{_dropped(explanation)}"


def _dropped(explanation: AnchorExplanation) -> str:
    """Labels that the model does not make, whatever its criteria say of anchors of them."""
    modes = explanation.modes
    if modes is None or not modes.dropped:
        return ""
    names, n = [str(each.label) for each in modes.dropped], len(modes.dropped)
    shown = _listed(names if n <= MOST_NAMED else [*names[:MOST_NAMED], f"{n - MOST_NAMED} more labels"])
    real = sum(each.real for each in modes.dropped) / modes.real
    none = all(each.generated == 0 for each in modes.dropped)
    made = f"{'none' if none else 'hardly any'} of {modes.generated:,} generated samples is one"
    return f" It has dropped {shown}: {made}{'' if n == 1 else ' of these'}, as {percent(real)} of the reference are."


def _joined(part: str) -> str:
    return f", {part}" if part.startswith(("and so", "though")) else f"; {part}"


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
    alike, below, n = _first(explanation), explanation.groups.get("BELOW"), counted(explanation)
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
    return below is not None and _are_below(explanation) and below.share > _first(explanation).share


def _labelled(explanation: AnchorExplanation) -> str:
    """The share among anchors of the reference's labels, and among the others: what a share of all mixes."""
    foil = next((each for each in explanation.foils if each.name == "other labels"), None)
    rest = 0 if foil is None else counted(explanation) - foil.n
    if foil is None or rest < FEWEST_LABELLED or foil.alike.low > MOST or _mostly_below(explanation):
        return ""
    inside = (_first(explanation).count - round(foil.alike.share * foil.n)) / rest
    few = 0 < len(foil.reference_labels) <= FEW_LABELS
    which = f"labelled {_listed([str(each) for each in foil.reference_labels])}" if few else "whose label these have"
    return f": {percent(inside)} of the anchors {which}, and {percent(foil.alike.share)} of the others"


def _tail(explanation: AnchorExplanation) -> float:
    """The largest share that may be BELOW among samples like the reference."""
    tails = explanation.tails
    return 1.0 if tails is None else tails.high * len(explanation.criteria)


def _beside(explanation: AnchorExplanation) -> list[str]:
    """What the controls say, in the same breath."""
    alike, below = _first(explanation), explanation.groups.get("BELOW")
    foil, said = easiest_foil(explanation), list[str]()
    fewer = below is None or below.share <= alike.share
    if foil is not None and foil.alike.low > MOST and fewer:
        too = f"{percent(foil.alike.share)} of {foil.what}"
        said.append(f"and so do {too}" if alike.share >= foil.alike.low else f"though {too} do")
    if below is not None and fewer and by_reference(explanation) and _are_below(explanation):
        said.append(f"{percent(below.share)} are {_SIMPLER} these")
    copy, mean = control(explanation, "untrained"), control(explanation, "mean")
    name, are = (
        ("BELOW", " are simpler or better known") if _mostly_below(explanation) else (alike_name(explanation), "")
    )
    copy, mean = (each if each is not None and name in each.groups else None for each in (copy, mean))
    if copy is not None:
        said.append(f"an untrained copy says {percent(copy.groups[name].share)}{are}{_copied(explanation, copy)}")
    if mean is not None:
        share = mean.groups[name]
        if copy is None or (share.share > copy.groups[name].share and share.high >= alike.low):
            place = f"every {returned(explanation)[2]}"
            said.append(f"the mean sample in the place of {place} would say {percent(share.share)}{are}")
    return said or ["nothing was run beside it to compare"]


def _copied(explanation: AnchorExplanation, copy: ControlRecord) -> str:
    """By labels, where the share of the model itself is told by labels."""
    if copy.own_labels is None or copy.other_labels is None or not _labelled(explanation):
        return ""
    return f" ({percent(copy.own_labels.share)} and {percent(copy.other_labels.share)})"


def _back(explanation: AnchorExplanation) -> str:
    back = explanation.comes_back
    if back is None or not by_reference(explanation) or not _first(explanation).count:
        return ""  # of none that look like the reference nothing can be said to come back or not
    if not _reconstructs(explanation):
        return _returned_said(explanation, back)
    if back.count == 0:
        return " None of them comes back nearer to itself than a trivial reconstruction."
    if earned(explanation):
        return f" It {'knows and reproduces' if familiar(explanation) else 'reproduces'} {percent(back.share)}."
    alike = _first(explanation).count
    who = f"All {alike:,}" if back.count == alike else f"{back.count:,} of these {alike:,}"
    return f" {who} also come back, nearer to themselves than the trivial reconstructions."


def _reconstructs(explanation: AnchorExplanation) -> bool:
    return explanation.given_back == "reconstruction"


def _returned_said(explanation: AnchorExplanation, back: ComesBackRecord) -> str:
    """The same where nothing is reconstructed."""
    what = returned(explanation)[0]
    if back.count == 0:
        return f" To none of them {what} is nearer than what is trivial."
    alike = _first(explanation).count
    who = f"all {alike:,}" if back.count == alike else f"{back.count:,} of these {alike:,}"
    return f" To {who} {what} is also nearer than what is trivial."
