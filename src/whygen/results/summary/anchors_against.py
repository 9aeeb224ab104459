"""The part of an anchor report that shares are read against: controls, foils and power, the other calibration."""

from __future__ import annotations

from typing import Any

from whygen.report.texts import number, visible
from whygen.results.anchors import GROUPS, AnchorExplanation
from whygen.results.anchors_controls import ControlRecord, PowerRecord, ShareRecord, YardstickRecord
from whygen.results.anchors_words import by_reference, control, counted, earned, percent

COLUMNS = {"untrained": "untrained copy", "mean": "mean", "constant": "flat", "nearest": "nearest"}
"""Controls as heads of columns."""


def facts(explanation: AnchorExplanation) -> list[dict[str, str]]:
    """The cards: how many look like the reference, how many come back, how sure a verdict is."""
    cards = [_alike(explanation), _back(explanation), _sure(explanation)]
    return [card for card in cards if card is not None]


def _alike(explanation: AnchorExplanation) -> dict[str, str]:
    alike, tails = explanation.groups["HIHE"], explanation.tails
    texts = [
        _controls_say(explanation, [(each.name, each.groups["HIHE"]) for each in explanation.controls if each.groups])
    ]
    if tails is not None:
        texts.append(f"Of samples like the reference at least {tails.least_alike:.0%} would, whatever the model is.")
    return {
        "question": "How many look like the reference?" if by_reference(explanation) else "How many lie within?",
        "figure": percent(alike.share),
        "caption": f"HIHE: {alike.count:,} of {counted(explanation):,}; {_between(alike.low, alike.high)}",
        "text": " ".join(filter(None, texts)),
    }


def _back(explanation: AnchorExplanation) -> dict[str, str] | None:
    back = explanation.comes_back
    if back is None:
        return None
    said = [(each.name, each.comes_back) for each in explanation.controls if each.comes_back is not None]
    text = (
        f"They look like the reference, and their reconstruction is nearer than {back.than}. "
        f"{_controls_say(explanation, said)}"
    )
    return {
        "question": "How many does it know and reproduce?" if earned(explanation) else "How many of them come back?",
        "figure": percent(back.share),
        "caption": f"{back.count:,} of {counted(explanation):,}; {_between(back.low, back.high)}",
        "text": text.strip(),
    }


def _sure(explanation: AnchorExplanation) -> dict[str, str]:
    details = explanation.details
    level = "" if details is None else f" Thresholds: {details.provenance}."
    return {
        "question": "How sure is a verdict?",
        "figure": percent(explanation.mean_flip_rate),
        "caption": "mean flip rate",
        "text": visible(f"So often another run, with its own reference and draws, puts an anchor elsewhere.{level}"),
    }


def _controls_say(explanation: AnchorExplanation, shares: list[tuple[str, ShareRecord]]) -> str:
    """What the controls say of the same figure, or why there are none."""
    said = [f"{COLUMNS[name]} {percent(share.share)}" for name, share in shares if name in COLUMNS]
    if said:
        return f"Controls: {', '.join(said)}."
    missing = [each.missing for each in explanation.controls if each.missing]
    return visible(f"No control: {'; '.join(missing)}.") if missing else "No control was run."


def _between(low: float, high: float) -> str:
    return f"{percent(low)} to {percent(high)}"


def columns(explanation: AnchorExplanation) -> list[str]:
    """Heads of the controls' columns beside the shares of the groups."""
    return [COLUMNS[name] for name in COLUMNS if control(explanation, name) is not None]


def beside(explanation: AnchorExplanation, group: str) -> list[str]:
    """What each control says of a group."""
    found = (control(explanation, name) for name in COLUMNS)
    return [_said(each, group) for each in found if each is not None]


def _said(record: ControlRecord, group: str) -> str:
    share = record.groups.get(group)
    return "–" if share is None else percent(share.share)


def notes(explanation: AnchorExplanation) -> list[str]:
    """What each control is, and which could not be had."""
    return [
        visible(
            f"{COLUMNS.get(each.name, each.name).capitalize()}: "
            + (f"left out, {each.missing}." if each.missing else f"{each.what} ({each.n:,} anchors).")
        )
        for each in explanation.controls
    ]


def powers(explanation: AnchorExplanation) -> dict[str, Any] | None:
    """Foils as rows: how many are called HIHE, how well each criterion and the compressed size tell them apart."""
    if not explanation.foils:
        return None
    names = [criterion.name for criterion in explanation.criteria]
    rows: list[dict[str, Any]] = []
    for foil in explanation.foils:
        own = {each.criterion: each for each in explanation.power if each.foil == foil.name}
        size = next((f"{each.size_auroc:.2f}" for each in own.values()), "–")
        rows.append(
            {
                "name": foil.what,
                "n": f"{foil.n:,}",
                "alike": percent(foil.alike.share),
                "interval": _between(foil.alike.low, foil.alike.high),
                "cells": [_power(own.get(name)) for name in names],
                "size": size,
            }
        )
    return {"criteria": [visible(name) for name in names], "rows": rows}


def _power(record: PowerRecord | None) -> dict[str, Any]:
    if record is None:
        return {"text": "–", "interval": "", "tells": True}
    return {
        "text": f"{record.auroc:.2f}",
        "interval": f"{record.low:.2f} to {record.high:.2f}",
        "tells": record.tells,
    }


def calibrations(explanation: AnchorExplanation) -> dict[str, Any] | None:
    """Both calibrations beside each other."""
    others = [each for each in explanation.yardsticks if each.groups]
    if not others:
        return None
    details = explanation.details
    own = [percent(explanation.groups[name].share) if name in explanation.groups else "–" for name in GROUPS]
    rows = [{"name": f"{explanation.calibration.kind}, used here", "cells": own}]
    for each in others:
        rows.append({"name": f"{each.kind}, anchors", "cells": _cells(each.groups)})
        if each.reference is not None:
            rows.append({"name": f"{each.kind}, the reference itself", "cells": _cells(each.reference)})
    said = [] if details is None else [f"Here: {details.provenance}."]
    said += [f"Beside it: {each.provenance}; thresholds {_thresholds(each)}.{_covered(each)}" for each in others]
    return {"columns": list(GROUPS), "rows": rows, "said": [visible(sentence) for sentence in said]}


def _cells(groups: dict[str, float]) -> list[str]:
    return [percent(groups[name]) if name in groups else "–" for name in GROUPS]


def _thresholds(record: YardstickRecord) -> str:
    return ", ".join(f"{name} {number(value)}" for name, value in record.thresholds.items())


def _covered(record: YardstickRecord) -> str:
    if record.covered is None:
        return ""
    return f" The model's own samples come near {record.covered:.0%} of the reference (100% if both were of one kind)."


def likeness(explanation: AnchorExplanation) -> str:
    """Whether anchors can be told from the reference."""
    found = explanation.likeness
    if found is None:
        return ""
    told = "can be told" if found.told_apart else "cannot be told"
    return (
        f"Anchors {told} from the reference: p = {found.p_value:.2g} (permutation tests, {found.n} of each). The "
        f"nearest neighbour of a sample is of its own set in {found.own_neighbour:.0%} of cases (50% if alike)."
    )


def below(explanation: AnchorExplanation) -> str:
    """What the anchors BELOW the reference are, as far as their compressed size says."""
    found = None if explanation.details is None else explanation.details.below
    if found is None:
        return ""
    rest = found.count - found.simple
    return (
        f"Of {found.count:,} anchors BELOW the reference {found.simple:,} compress to less than 97.5% of it does: "
        f"blank or simple samples. {rest:,} do not: the model may know them too well, as it does its training data."
    )
