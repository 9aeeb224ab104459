"""First stage of the report of an anchor explanation: a plain dict that holds all a page or a terminal shows."""

from __future__ import annotations

from typing import Any

import numpy as np

from whygen.report import anchors_svg
from whygen.report.colours import LEVELS, level_of
from whygen.report.texts import number, shorten, visible
from whygen.results.anchors import AnchorEvidence, AnchorExplanation, Details, SelectionRecord
from whygen.results.anchors_pictures import nearest_of
from whygen.results.anchors_scores import ControlRecord, PowerRecord, ShareRecord, YardstickRecord
from whygen.results.anchors_words import (
    OWN_RETURNS,
    alike_name,
    by_reference,
    control,
    counted,
    earned,
    familiar,
    headline,
    headline_parts,
    meanings,
    percent,
    plain_names,
    returned,
)
from whygen.results.prompt import Warned
from whygen.results.summary.anchors_pictures import ShownPictures, galleries, glance, worst
from whygen.results.summary.memorised import memorised, metrics, traced

MOST_POINTS = 3_000
MOST_LABELS = 60
REMARKS = ("unsure-group", "small-group", "near-duplicates", "greedy-instead", "skipped-files")
"""Warnings of what is shown, not of what the figures mean: they stand below the figures."""


def summarise_anchors(explanation: AnchorExplanation) -> dict[str, Any]:
    """Everything that the report of an anchor explanation shows, as JSON; figures are SVG text."""
    evidence, details = explanation.evidence, explanation.details
    drawn = None if evidence is None else ShownPictures(explanation, evidence)
    first, rest = headline_parts(explanation)
    return {
        "kind": "anchors",
        "title": f"What has it learned? {shorten(explanation.model, 60)}",
        "model": visible(explanation.model),
        "shown": shown(explanation),
        "given_back": returned(explanation)[2] if explanation.given_back else "",
        "beside": "" if evidence is None else nearest_of(explanation).words,
        "criteria": [visible(each.name) for each in explanation.criteria],
        "headline": visible(headline(explanation)),
        "lead": [visible(f"{first.rstrip('.')}."), visible(_sentence(rest))],
        "about": [[term, visible(text)] for term, text in _about(explanation)],
        "facts": facts(explanation),
        "warnings": [_warned(each) for each in explanation.warnings if each.code not in REMARKS],
        "remarks": [_warned(each) for each in explanation.warnings if each.code in REMARKS],
        "groups": [_group(explanation, name) for name in _names(explanation)],
        "controls": columns(explanation),
        "comes_back": explanation.comes_back is not None,
        "notes": notes(explanation),
        "power": powers(explanation),
        "calibrations": calibrations(explanation),
        "likeness": likeness(explanation),
        "below": below(explanation),
        "thresholds": _thresholds(explanation),
        "scatter": None if evidence is None else _scatter(explanation, evidence),
        "glance": {} if drawn is None else glance(drawn),
        "worst": [] if drawn is None else worst(drawn),
        "galleries": [] if drawn is None else galleries(drawn),
        "metrics": metrics(explanation),
        "memorised": memorised(explanation),
        "traced": [] if evidence is None else traced(explanation, evidence),
        "labels": None if details is None else _labels(explanation, details),
        "readings": None if details is None else _readings(details),
        "coverage": None if details is None else _coverage(details),
        "made": [[term, visible(text)] for term, text in _made(explanation)],
        "document": explanation.to_dict(),
    }


def _names(explanation: AnchorExplanation) -> list[str]:
    """Names of the groups, in order."""
    return [name for name in explanation.group_names.values() if name in explanation.groups]


def _sentence(rest: str) -> str:
    """What follows the first half of the headline, as sentences of their own."""
    said = rest.lstrip(",;. ")
    said = f"but {said.removeprefix('though ')}" if said.startswith("though ") else said.removeprefix("and ")
    return ". ".join(part[:1].upper() + part[1:] for part in said.split("; "))


def _about(explanation: AnchorExplanation) -> list[tuple[str, str]]:
    """Whom the page is about: the model, what it was trained on, and what anchors are compared with."""
    details = explanation.details
    sources = {} if details is None else details.sources
    rows = [("Model", shorten(explanation.model, 120))]
    roles = {each.role: each.n for each in explanation.roles}
    if known := sources.get("training"):
        rows.append(("Trained on", shorten(known, 160)))
    elif roles.get("training"):
        rows.append(("Trained on", f"the {roles['training']:,} anchors called training, as far as is known"))
    elif explanation.calibration.role == "training":
        rows.append(("Trained on", f"the reference, as far as is known: {shorten(sources.get('reference', ''), 120)}"))
    else:
        rows.append(("Trained on", "not stated"))
    rows.append(("Anchors", f"{explanation.n_anchors:,}: {shorten(sources.get('anchors', 'not stated'), 120)}"))
    if not by_reference(explanation):
        rows.append(("Compared with", "what the model itself generates"))
    elif "reference" in sources and details is not None:
        rows.append(("Compared with", f"{details.n_reference or 0:,}: {shorten(sources['reference'], 120)}"))
    return rows


def _warned(warned: Warned) -> dict[str, str]:
    return {"code": visible(warned.code), "text": visible(warned.text)}


def _group(explanation: AnchorExplanation, name: str) -> dict[str, Any]:
    record, details, back = explanation.groups[name], explanation.details, explanation.comes_back
    return {
        "name": name,
        "key": anchors_svg.key(name),
        "plain": visible(plain_names(explanation)[name]),
        "meaning": meanings(explanation)[name],
        "colour": anchors_svg.colour(name),
        "part": record.share,
        "ends": [record.low, record.high],
        "count": record.count,
        "share": percent(record.share),
        "interval": f"{percent(record.low)} to {percent(record.high)}",
        "controls": beside(explanation, name),
        "parts": parts_beside(explanation, name),
        "back": "–" if back is None else f"{back.groups.get(name, 0):,}",
        "selected": _selected(explanation, name),
        "selection": None if details is None else _selection(details.selections.get(name)),
    }


def _selected(explanation: AnchorExplanation, name: str) -> list[str]:
    """The numbers of the representatives, unsure ones labelled."""
    record = None if explanation.details is None else explanation.details.selections.get(name)
    unsure = () if record is None else record.unsure
    return [f"{index}{' (unsure)' if index in unsure else ''}" for index in explanation.selected.get(name, ())]


def _selection(record: SelectionRecord | None) -> str:
    """What the representatives reached, and how much better they could be."""
    if record is None:
        return ""
    reached = "" if record.objective is None else f"; {record.means} {number(record.objective)}"
    best = "" if record.bound is None or record.exact else f", at best {number(record.bound)}"
    spread = "" if record.diversity is None else f"; mean distance between them {number(record.diversity)}"
    return visible(f"{record.name}{reached}{best}{' (the optimum)' if record.exact else ''}{spread}")


def _thresholds(explanation: AnchorExplanation) -> list[dict[str, str]]:
    details = explanation.details
    known = {} if details is None else {record.criterion: record for record in details.thresholds}
    rows: list[dict[str, str]] = []
    for criterion in explanation.criteria:
        record = known.get(criterion.name)
        spread = "–" if record is None or record.spread is None else percent(record.spread)
        comparison = "" if record is None else record.comparison
        value = number(explanation.thresholds[criterion.name])
        unit, name = visible(criterion.unit), visible(criterion.name)
        rows.append(
            {"name": name, "kind": criterion.kind, "value": f"{comparison} {value}", "spread": spread, "unit": unit}
        )
    return rows


def _scatter(explanation: AnchorExplanation, evidence: AnchorEvidence) -> dict[str, Any] | None:
    """The first intrinsic criterion across, the first extrinsic one up; None by criteria of one kind."""
    kinds = [criterion.kind for criterion in explanation.criteria]
    if len(set(kinds)) == 1:
        return None
    across, up = kinds.index("intrinsic"), kinds.index("extrinsic")
    both = evidence.values[:, [across, up]]
    rows = {name: np.flatnonzero(evidence.codes == code) for code, name in explanation.group_names.items()}
    step = max(1, -(-len(both) // MOST_POINTS))
    every = {name: both[some] for name, some in rows.items()}
    called = ShownPictures(explanation, evidence).called
    names = [explanation.criteria[place] for place in (across, up)]
    figure = anchors_svg.criteria_scatter(
        {name: part[::step] for name, part in every.items()},
        every,
        thresholds=(explanation.thresholds[names[0].name], explanation.thresholds[names[1].name]),
        names=(visible(f"{names[0].name} ({names[0].unit})"), visible(f"{names[1].name} ({names[1].unit})")),
        titles={name: [called(row) for row in some[::step].tolist()] for name, some in rows.items()},
    )
    drawn = sum(len(part[::step]) for part in every.values())
    return {
        "figure": figure,
        "drawn": drawn,
        "of": len(both),
        "others": len(explanation.criteria) > 2,
    }


def _labels(explanation: AnchorExplanation, details: Details) -> dict[str, Any] | None:
    """Label by group as a heat table: each row in shares."""
    table = details.label_table
    if table is None:
        return None
    rows = table.counts[:MOST_LABELS]
    known = {code: name for code, name in explanation.group_names.items() if rows and code < len(rows[0])}
    cells = [[_cell(row[code], sum(row)) for code in known] for row in rows]
    names = [visible(f"{label} ({sum(row):,})") for label, row in zip(table.labels, rows, strict=False)]
    columns = list(known.values())
    return {"columns": columns, "names": names, "cells": cells, "left_out": len(table.labels) - len(rows)}


def _cell(count: int, total: int) -> dict[str, Any]:
    share = count / total if total else 0.0
    return {"text": percent(share), "sign": "pos", "step": level_of(share, 1.0, most=LEVELS)}


def _readings(details: Details) -> dict[str, Any] | None:
    """What a classifier read in the reconstructions, for all labels together."""
    rows = [row for row in details.delusion if row.label is None]
    if not rows:
        return None
    hile = details.of_hile
    said = "No anchor is in HILE." if hile is None else (
        f"A classifier reads {percent(hile.share)} ({percent(hile.low)} to {percent(hile.high)}) of what comes out of "
        "HILE anchors as the trained class."
    )  # fmt: skip
    shown = [
        {"group": row.group, "count": row.count, "share": percent(row.share),
         "interval": f"{percent(row.low)} to {percent(row.high)}"}
        for row in rows
    ]  # fmt: skip
    return {"said": said, "rows": shown}


def _coverage(details: Details) -> dict[str, Any]:
    found, curve = details.coverage, details.curve
    said = [f"A mode that holds under {percent(details.missable_mode)} of the samples can be missed by all anchors."]
    if found is not None:
        said.insert(0, f"Anchors cover {percent(found.share)} of the reference; equal distributions would "
                       f"cover {percent(found.expected)}.")  # fmt: skip
    if curve is None or len(curve.counts) < 2:
        return {"said": said, "figure": None}
    said.append(
        "The curve has not flattened: more anchors still find something new."
        if curve.enough is None
        else f"From {curve.enough} anchors on, twice as many bring the radius down by less than a tenth."
    )
    return {"said": said, "figure": anchors_svg.covering(curve.counts, curve.radii, enough=curve.enough)}


def _made(explanation: AnchorExplanation) -> list[tuple[str, str]]:
    details = explanation.details
    rows = [("Model", explanation.model), ("Preset", explanation.preset or "none: the default")]
    if details is not None:
        seconds = ", ".join(f"{phase} {value:.1f} s" for phase, value in details.seconds.items())
        sources = "; ".join(f"{name}: {source}" for name, source in details.sources.items())
        rows += [
            ("Criteria", details.criteria_reason),
            ("Thresholds", details.provenance),
            ("Multiplicity", details.multiplicity),
            ("Draws", _draws(explanation, details)),
            ("Data", sources),
            ("Skipped", "1 file or row" if len(details.skipped) == 1 else f"{len(details.skipped)} files or rows"),
            ("Selection", f"{details.select}, distances in the space of {details.space}"),
            ("Time", seconds),
        ]
    versions = ", ".join(f"{name} {version}" for name, version in explanation.versions.items())
    return [*rows, ("Seed", str(explanation.seed)), ("Versions", versions)]


def _draws(explanation: AnchorExplanation, details: Details) -> str:
    """Posterior draws, where criteria are averaged over any; and generated samples."""
    if explanation.given_back == "reconstruction":
        return f"{details.draws} from the posterior, random numbers {details.noise}"
    made = explanation.generated
    return "none" if made is None else f"{made.n:,} samples of the model, drawn once for all anchors"


def shown(explanation: AnchorExplanation) -> str:
    """What a strip of pictures shows, in words."""
    if not explanation.given_back:
        return "the anchor alone: by these criteria the model gives nothing back"
    how = " from the posterior mean" if explanation.given_back == "reconstruction" else ""
    return f"original, {explanation.given_back}{how}, and where they differ"


COLUMNS = {"untrained": "untrained copy", "mean": "mean", "constant": "flat", "nearest": "nearest"}
"""Controls as heads of columns."""


def facts(explanation: AnchorExplanation) -> list[dict[str, str]]:
    """The cards: how many look like the reference, how many come back, how sure a verdict is."""
    cards = [_alike(explanation), _back(explanation), _sure(explanation)]
    return [card for card in cards if card is not None]


def _alike(explanation: AnchorExplanation) -> dict[str, str]:
    name, tails = alike_name(explanation), explanation.tails
    alike = explanation.groups[name]
    beside = [(each.name, each.groups[name]) for each in explanation.controls if each.groups]
    texts = [_controls_say(explanation, beside)]
    if tails is not None:
        texts.append(f"Of samples like the reference at least {tails.least_alike:.0%} would, whatever the model is.")
    return {
        "question": "How many look like the reference?" if by_reference(explanation) else "How many lie within?",
        "figure": percent(alike.share),
        "caption": f"{name}: {alike.count:,} of {counted(explanation):,}; {_between(alike.low, alike.high)}",
        "text": " ".join(filter(None, texts)),
    }


def _back(explanation: AnchorExplanation) -> dict[str, str] | None:
    back = explanation.comes_back
    if back is None:
        return None
    said = [(each.name, each.comes_back) for each in explanation.controls if each.comes_back is not None]
    who = "look like the reference" if by_reference(explanation) else "lie within"
    text = (
        f"They {who}, and their {returned(explanation)[2]} is nearer than {back.than}. "
        f"{_controls_say(explanation, said)}"
    )
    return {
        "question": f"How many does it {'know and ' if familiar(explanation) else ''}reproduce?"
        if earned(explanation) and explanation.given_back == "reconstruction"
        else "How many of them come back?"
        if explanation.given_back in OWN_RETURNS
        else "How many have the like of them generated?",
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


def parts_beside(explanation: AnchorExplanation, group: str) -> list[float | None]:
    """The same as numbers, for bars."""
    found = (control(explanation, name) for name in COLUMNS)
    return [share.share if (share := each.groups.get(group)) else None for each in found if each is not None]


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
    return {"criteria": [visible(name) for name in names], "alike": alike_name(explanation), "rows": rows}


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
    own = [percent(explanation.groups[name].share) if name in explanation.groups else "–"
           for name in explanation.group_names.values()]  # fmt: skip
    rows = [{"name": f"{explanation.calibration.kind}, used here", "cells": own}]
    for each in others:
        rows.append({"name": f"{each.kind}, anchors", "cells": _cells(explanation, each.groups)})
        if each.reference is not None:
            rows.append({"name": f"{each.kind}, the reference itself", "cells": _cells(explanation, each.reference)})
    said = [] if details is None else [f"Here: {details.provenance}."]
    said += [f"Beside it: {each.provenance}; thresholds {_listed_thresholds(each)}.{_covered(each)}" for each in others]
    return {
        "columns": list(explanation.group_names.values()),
        "rows": rows,
        "said": [visible(sentence) for sentence in said],
    }


def _cells(explanation: AnchorExplanation, groups: dict[str, float]) -> list[str]:
    return [percent(groups[name]) if name in groups else "–" for name in explanation.group_names.values()]


def _listed_thresholds(record: YardstickRecord) -> str:
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
