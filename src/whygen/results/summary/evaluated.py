"""First stage of two pages: how good an explanation is, and what two explanations of a prompt share.

Both are made of the JSON of their results, which live a floor above: a verdict in a sentence, then the figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Literal, TypeAlias

from whygen.report.svg import axis_over
from whygen.report.texts import counted, listed, number, percent, shorten, signed, visible

Found: TypeAlias = Mapping[str, Any]
Verdict: TypeAlias = Literal["better", "same", "worse", "none"]
"""Of a figure beside chance: better, not told apart from it, worse; or nobody knows what chance gives."""

MAIN = "r2_heldout"
ENOUGH = 3
"""Figures beside the main one, from which on a verdict is given without a reservation."""
_COPIES = ("mse", "wmse", "mae", "wmae", "adjusted_r2", "wr2", "adjusted_wr2", "mean_loss", "l1", "l2", "weighted_l1",
           "weighted_l2")  # fmt: skip
"""Figures that say what R2 says in other units, or weighted: in the table, and in no verdict."""
_COST = "cost"
_SAID = {"better": "better than chance", "same": "not told apart from chance", "worse": "worse than chance", "none": ""}
_MARK = {"better": "▲", "same": "·", "worse": "▼", "none": ""}


def summarise_evaluation(document: Found) -> dict[str, Any]:
    """Everything that the page of an evaluation shows, as JSON."""
    measures: Sequence[Found] = document["measures"]
    return {
        "kind": "evaluated",
        "title": f"How good is it? {shorten(document['model'], 60)}",
        "model": visible(shorten(document["model"], 60)),
        "headline": evaluation_verdict(document),
        "prompt": visible(shorten(document["prompt"], 300)),
        "groups": [
            {
                "name": metric,
                "rows": [row for row in rows if not row["copy"]],
                "copies": [row for row in rows if row["copy"]],
            }
            for metric, rows in (
                (metric, [_measure(each) for each in group])
                for metric, group in groupby(measures, key=lambda each: str(each["metric"]))
                if metric != _COST
            )
        ],
        "left_out": [
            {"metric": visible(each["metric"]), "reason": visible(each["reason"])} for each in document["left_out"]
        ],
        "made": [
            ("model", visible(document["model"])),
            (
                "evaluating",
                (
                    f"{counted(document['calls']['asked'], 'answer')} asked for, "
                    f"{counted(document['calls']['made'], 'call')} made"
                ),
            ),
            *(
                (visible(each["name"].replace("_", " ")), _figure(each["value"]))
                for each in measures
                if each["metric"] == _COST
            ),
            ("explanation", str(document["digest"])[:12]),
            ("seed", str(document["seed"])),
            ("whygen", visible(document["whygen"])),
        ],
        "document": dict(document),
    }


def evaluation_verdict(document: Found) -> str:
    """Whether to rely on the explanation, in a sentence: by held-out figures first, then by all that have a chance."""
    measures: Sequence[Found] = document["measures"]
    weighed = [each for each in measures if not _is_copy(each) and _beside_chance(each) != "none"]
    main = next((each for each in measures if each["name"] == MAIN and each["value"] is not None), None)
    others = [each for each in weighed if each is not main]
    failing = [str(each["name"]).replace("_", " ") for each in others if _beside_chance(each) != "better"]
    begun = ""
    if main is not None:
        begun = f"on prompts it was not fitted to, it predicts {percent(main['value'])} of the variation"
        if main["value"] <= max(0.0, _or(main["chance"], 0.0)):
            return "Do not rely on it: on prompts it was not fitted to, it predicts no better than chance."
        if _beside_chance(main) == "same":  # with few prompts, chance alone can reach 100%
            advice = "Take it with care" if main["value"] >= MUCH else "Do not rely on it"
            return f"{advice}: {begun}, which cannot be told from chance{_reached(main)}."
    if not others:
        return f"{begun[:1].upper()}{begun[1:]}; no other figure has a chance level." if begun else _NOTHING
    if failing:
        rest = listed(failing[:4]) + (f" and {len(failing) - 4} more" if len(failing) > 4 else "")
        said = f"{len(failing)} of {counted(len(others), 'figure')} cannot be told from chance or are worse: {rest}"
        return f"Take it with care: {begun + ', but ' if begun else ''}{said}."
    all_of = "the one figure that has a chance level beats it" if len(others) == 1 else (
        f"all {len(others)} figures that have a chance level beat it"
    )  # fmt: skip
    sure = "It holds up" if len(others) >= ENOUGH else "It holds up so far as this was measured"
    return f"{sure}: {begun + ', and ' if begun else ''}{all_of}."


def _reached(main: Found) -> str:
    high = main["chance_high"]
    return f": shuffled effects reach {percent(high)} as well" if high is not None and high >= main["value"] else ""


MUCH = 0.5
"""Share of the variation from which a figure that chance may reach is a reason for care, and none to dismiss it."""
_NOTHING = "Nothing was measured that chance could be held against: no verdict."


def _is_copy(each: Found) -> bool:
    """Whether a figure is in no verdict: in sample, another unit of R2, what was paid, or a control of chance."""
    name = str(each["name"])
    return (
        name.endswith("_insample")
        or name.removesuffix("_heldout") in _COPIES
        or each["metric"] == _COST
        or each["better"] == "neither"
    )


def _beside_chance(each: Found) -> Verdict:
    """A figure against its chance level: beyond the range of chance where that is known, else beyond its mean."""
    value, chance, better = each["value"], each["chance"], each["better"]
    if value is None or chance is None or better == "neither":
        return "none"
    sign = 1.0 if better == "higher" else -1.0
    good, bad = sorted((sign * _or(each["chance_high"], chance), sign * _or(each["chance_low"], chance)), reverse=True)
    ends = sorted((sign * _or(each["low"], value), sign * _or(each["high"], value)))
    if sign * value > good and ends[0] > sign * chance:
        return "better"
    return "worse" if sign * value < bad and ends[1] < sign * chance else "same"


def _or(value: float | None, other: float) -> float:
    return other if value is None else value


def _measure(each: Found) -> dict[str, Any]:
    verdict = _beside_chance(each)
    span = [each[name] for name in ("value", "low", "high", "chance", "chance_low", "chance_high")]
    axis = axis_over(span, include=[0.0, 1.0] if all(v is None or -1.0 <= v <= 1.0 for v in span) else [0.0])
    low, high = each["low"], each["high"]
    chance = [each["chance_low"], each["chance_high"]]
    return {
        "name": visible(str(each["name"]).replace("_", " ")),
        "better": {"higher": "higher is better", "lower": "lower is better"}.get(str(each["better"]), ""),
        "value": each["value"],
        "low": low,
        "high": high,
        "chance_low": _or(chance[0], each["chance"]) if each["chance"] is not None else None,
        "chance_high": _or(chance[1], each["chance"]) if each["chance"] is not None else None,
        "axis": {"low": axis.low, "high": axis.high},
        "text": _figure(each["value"]),
        "interval": "" if low is None or high is None else f"{_figure(low)} to {_figure(high)}",
        "chance": ""
        if each["chance"] is None
        else _figure(each["chance"]) + ("" if None in chance else f" ({_figure(chance[0])} to {_figure(chance[1])})"),
        "verdict": _SAID[verdict],
        "mark": _MARK[verdict],
        "sign": {"better": "pos", "worse": "neg"}.get(verdict, "zero"),
        "how": visible(each["how"]),
        "copy": _is_copy(each),
    }


def _figure(value: float | None) -> str:
    if value is None:
        return "–"
    return (
        f"{value:,.0f}"
        if value == int(value) and (abs(value) >= 10 or value == 0)
        else number(value, 2 if abs(value) >= 0.1 else 3)
    )


def summarise_changes(document: Found, *, names: tuple[str, str]) -> dict[str, Any]:
    """Everything that the page of two explanations of a prompt shows, as JSON.

    Args:
        document: the JSON of a `Comparison`.
        names: what the two are called.
    """
    units: Sequence[Found] = document["units"]
    axis = axis_over([each[side] for each in units for side in ("first", "second")], include=[0.0])
    return {
        "kind": "changes",
        "title": f"What changed? {shorten(names[0], 40)} and {shorten(names[1], 40)}",
        "names": [visible(shorten(name, 60)) for name in names],
        "headline": changes_verdict(document),
        "notes": [visible(note) for note in document["notes"]],
        "facts": _agreement(document),
        "axis_range": {"low": axis.low, "high": axis.high},
        "units": [_pair(each) for each in units],
        "only": [
            {"name": name, "units": ", ".join(visible(shorten(unit, 40)) for unit in document[key])}
            for name, key in zip(("the first", "the second"), ("only_first", "only_second"), strict=True)
            if document[key]
        ],
        "settings": [
            (visible(name), f"{visible(str(one))} | {visible(str(other))}")
            for name, (one, other) in document["settings"].items()
        ],
        "document": dict(document),
    }


def changes_verdict(document: Found) -> str:
    """Whether the two say the same, in a sentence that says no more than was tested."""
    units: Sequence[Found] = document["units"]
    changed = sorted((each for each in units if each["changed"]), key=lambda each: -abs(each["second"] - each["first"]))
    tested = sum(each["low"] is not None for each in units)
    if not document["same_unit"]:
        return f"The values cannot be compared, for they measure different things; {_order(document)}."
    if not tested:
        return f"No unit could be tested for a change; {_order(document)}."
    if not changed:
        return f"No change can be told from noise in {counted(tested, 'unit')}; {_order(document)}."
    named = [visible(shorten(each["text"])) for each in changed[:4]]
    more = f" and {len(changed) - 4} more" if len(changed) > 4 else ""
    return f"{len(changed)} of {counted(tested, 'unit')} changed: {', '.join(named) if more else listed(named)}{more}."


def _order(document: Found) -> str:
    rank = document["rank_correlation"]
    return (
        "their orders cannot be compared"
        if rank is None
        else f"their orders agree by {number(rank, 2)} (rank correlation)"
    )


def _agreement(document: Found) -> list[dict[str, str]]:
    (jaccard, chance), (overlap, by_chance) = document["jaccard"], document["overlap"]
    tested = sum(each["low"] is not None for each in document["units"])
    return [
        {
            "question": "What changed?",
            "figure": f"{document['changed']} of {tested}" if tested else "Not tested",
            "caption": "units (5% false-discovery rate)" if tested else "no unit has an interval of its difference",
            "text": "",
        },
        {
            "question": "Are the strongest the same?",
            "figure": number(jaccard, 2),
            "caption": f"of the strongest units shared; by chance {number(chance, 2)}",
            "text": "",
        },
        {
            "question": "How alike are they in all?",
            "figure": number(overlap, 2),
            "caption": f"overlap of attributions; by chance {number(by_chance, 2)}",
            "text": ""
            if document["rank_correlation"] is None
            else f"Rank correlation {number(document['rank_correlation'], 2)}.",
        },
    ]


def _pair(each: Found) -> dict[str, Any]:
    low, high = each["low"], each["high"]
    return {
        "text": visible(shorten(each["text"], 48)),
        "first": each["first"],
        "second": each["second"],
        "first_text": signed(each["first"]),
        "second_text": signed(each["second"]),
        "signs": ["pos" if each[side] > 0 else "neg" for side in ("first", "second")],
        "difference": signed(each["second"] - each["first"] if low is None or high is None else (low + high) / 2.0),
        "interval": "" if low is None or high is None else f"{signed(low)} to {signed(high)}",
        "changed": each["changed"],
    }
