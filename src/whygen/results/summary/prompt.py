"""First stage of a report: an explanation becomes a plain dict that holds all a page or a terminal shows.

Numbers are there raw and as text, colours as a sign and a step, sentences as sentences. Everything in it is JSON.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from whygen.report.colours import FAINT, LEVELS, level_of, sign_of
from whygen.report.svg import axis_over, finite
from whygen.report.texts import clip, counted, decimals_for, number, p_value, percent, shorten, signed, visible
from whygen.results.estimands import words_for
from whygen.results.prompt import Calls, PromptExplanation, UnitAttribution
from whygen.results.summary import passages, pictured, played, readings, words
from whygen.results.summary.conversation import conversation
from whygen.results.summary.outcomes import MOST_BESIDE, outcomes
from whygen.results.summary.readings import summarise_tree
from whygen.results.summary.words import names
from whygen.texts import has_word

MOST_REFERENCE = 4_000
MOST_POINTS = 2_000
MARKS = {"pos": "▲", "neg": "▼", "zero": "·"}


def summarise_prompt(explanation: PromptExplanation, *, beside: int = MOST_BESIDE) -> dict[str, Any]:
    """Everything that the report of a prompt shows, as JSON.

    Args:
        explanation: of a prompt.
        beside: how many units are shown with an answer with them and one without them, the strongest.
    """
    largest = max((abs(unit.attribution) for unit in explanation.units), default=0.0)
    decimals = decimals_for(largest)
    called = names(explanation)
    units = [_unit(i, unit, largest, decimals) | _names(called[i], unit) for i, unit in enumerate(explanation.units)]
    axis = axis_over(
        [
            bound
            for unit in explanation.units
            for bound in (unit.attribution, unit.low, unit.high, unit.band_low, unit.band_high)
        ],
        include=[0.0],
    )
    return {
        "kind": "prompt",
        "title": f"Why this output? {shorten(explanation.model, 60)}",
        "model": visible(explanation.model),
        "noun": words.noun(explanation),
        "headline": words.headline(explanation),
        "facts": _facts(explanation),
        "warnings": [{"code": visible(w.code), "text": visible(w.text)} for w in explanation.warnings],
        "pieces": passages.pieces(explanation),
        "turns": passages.turns(explanation),
        "talk": conversation(explanation),
        "inputs": passages.inputs(explanation),
        "prompt_left_out": len(explanation.prompt) - passages.shown_to(explanation),
        "reference": _reference(explanation),
        "pictures": pictured.summarise_pictures(explanation, decimals=_decimals(explanation)),
        "seen": pictured.summarise_seen(explanation, decimals=_decimals(explanation)),
        "media": played.summarise_media(explanation),
        "units": units,
        "besides": _besides(explanation, beside),
        "by_size": sorted(range(len(units)), key=lambda i: -abs(explanation.units[i].attribution)),
        "axis_range": {"low": axis.low, "high": axis.high},
        "tree": summarise_tree(explanation),
        "unit": visible(explanation.target.unit),
        "tested": words.tested(explanation),
        "at_once": words.at_once(explanation),
        "level": percent(explanation.interval.level),
        "meaning": words.meaning(explanation),
        "fidelity": _fidelity(explanation),
        "noise": _noise(explanation),
        "scatter": _scatter(explanation),
        "samples": _samples(explanation),
        "interactions": readings.interactions(explanation),
        "matrix": readings.matrix(explanation),
        "why": readings.why(explanation),
        "sets": readings.sets(explanation),
        "made": [[term, visible(text)] for term, text in _made(explanation)],
        "document": explanation.to_dict(),
    }


def _unit(index: int, unit: UnitAttribution, largest: float, decimals: int) -> dict[str, Any]:
    sign = sign_of(unit.attribution)
    value = signed(unit.attribution, decimals)
    interval = "–" if unit.low is None or unit.high is None else _interval(unit.low, unit.high, decimals)
    tip = value if interval == "–" else f"{value}  interval {interval}"
    if unit.p_value is not None:
        tip += f"  p {p_value(unit.p_value)}"
    if unit.band_low is not None and unit.band_high is not None:
        tip += f"  band {_interval(unit.band_low, unit.band_high, decimals)}"
    return {
        "number": index + 1,
        "text": visible(unit.text),
        "attribution": unit.attribution,
        "low": unit.low,
        "high": unit.high,
        "band_low": unit.band_low,
        "band_high": unit.band_high,
        "p_value": unit.p_value,
        "significant": unit.significant,
        "sign": sign,
        "quiet": not unit.significant and not has_word(unit.text),
        "step": level_of(unit.attribution, largest, most=LEVELS if unit.significant else FAINT),
        "mark": MARKS[sign] if unit.significant else MARKS["zero"],
        "attribution_text": value,
        "interval_text": interval,
        "p_text": p_value(unit.p_value),
        "tip": f"{shorten(unit.text, 40)}  {tip}{_verdict(unit)}",
    }


def _names(name: str, unit: UnitAttribution) -> dict[str, str]:
    """What the unit is called, and that in few words."""
    return {"name": name, "short": name or shorten(unit.text, 48)}


def _besides(explanation: PromptExplanation, most: int) -> list[dict[str, Any] | None]:
    """For each unit an answer with it and one without it, for a click on it; None where there are none to show."""
    found = outcomes(explanation) if most else None
    if found is None:
        return [None] * len(explanation.units)
    order = sorted(range(len(explanation.units)), key=lambda i: -abs(explanation.units[i].attribution))
    shown = set(order[:most])
    return [found.beside(i) if i in shown else None for i in range(len(explanation.units))]


def _verdict(unit: UnitAttribution) -> str:
    if unit.significant:
        return ""
    return "  not tested" if unit.low is None and unit.p_value is None else "  not significant"


def _interval(low: float, high: float, decimals: int) -> str:
    return f"{signed(low, decimals)} to {signed(high, decimals)}"


def _facts(explanation: PromptExplanation) -> list[dict[str, Any]]:
    """The three questions that an attribution alone leaves open."""
    found = explanation.fidelity
    shown = found.r2_heldout is not None
    ceiling = found.noise_ceiling
    return [
        {
            "question": "How sure is it?",
            "figure": words.surety_figure(explanation),
            "caption": _surety_caption(explanation),
            "text": words.surety(explanation),
        },
        {
            "question": "How well does it predict?",
            "figure": number(found.r2_heldout, 2) if shown else "–",
            "caption": f"held-out R²{f', of {number(ceiling, 2)} possible' if shown and ceiling is not None else ''}",
            "text": words.prediction(found),
        },
        {
            "question": "How much is noise?",
            "figure": "None seen" if _steady(explanation) else _noise_figure(explanation),
            "caption": _noise_caption(explanation),
            "text": words.noise(explanation, _masked_distance(explanation)),
        },
    ]


def _surety_caption(explanation: PromptExplanation) -> str:
    noun = words.noun(explanation)
    if explanation.units and not words.tested(explanation):
        return f"no {noun} has an interval"
    some = any(unit.p_value is not None for unit in explanation.units)
    return f"{noun}s stand out{' (5% false-discovery rate)' if some else ''}"


def _noise_figure(explanation: PromptExplanation) -> str:
    ceiling = explanation.fidelity.noise_ceiling
    return "Some" if ceiling is None else percent(1.0 - max(0.0, min(1.0, ceiling)))


def _steady(explanation: PromptExplanation) -> bool:
    """Whether no answer to an equal question was seen to differ."""
    return not explanation.noise.differs and explanation.noise.source != "measured"


def _noise_caption(explanation: PromptExplanation) -> str:
    if _steady(explanation) or explanation.fidelity.noise_ceiling is None:
        return f"in {counted(explanation.noise.repeats + explanation.noise.compared, 'repeat')}"
    low, high = explanation.fidelity.noise_ceiling_low, explanation.fidelity.noise_ceiling_high
    if low is not None and high is not None:
        return f"of all variation is the model's own ({percent(1.0 - high)} to {percent(1.0 - low)} at 95%)"
    return "of all variation is the model's own"


def _reference(explanation: PromptExplanation) -> dict[str, Any]:
    pictured_as = pictured.size_of(explanation) or ""
    said = explanation.reference.text or pictured_as or played.described_reference(explanation)
    text, left_out = clip(said, MOST_REFERENCE)
    return {"text": visible(text), "left_out": left_out, "n": explanation.reference.n, "empty": not text.strip()}


def _fidelity(explanation: PromptExplanation) -> dict[str, Any]:
    found = explanation.fidelity
    share = words.ceiling_share(found)
    return {
        **found.model_dump(),
        "r2_chance_p95": found.r2_chance_p95,
        "share": share,
        "heldout_text": number(found.r2_heldout, 2),
        "insample_text": number(found.r2_insample, 2),
        "chance_text": number(found.r2_chance, 2),
        "ceiling_text": number(found.noise_ceiling, 2),
        "share_text": None if share is None else percent(share),
        "predicts": words.prediction(found),
        "fitted": words.fitted(found),
    }


def _masked_distance(explanation: PromptExplanation) -> float | None:
    """Mean distance from the reference with units taken away; None for targets that are no distance."""
    if explanation.evidence is None or explanation.noise.level is None:
        return None
    effects = finite(explanation.evidence.effects)
    return -float(np.mean(effects)) if effects else None


def _noise(explanation: PromptExplanation) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    if explanation.evidence is not None:
        samples = explanation.evidence.samples
        for name, kinds in (
            ("whole prompt, asked again", ("repeat",)),
            (f"{words.noun(explanation)}s taken away", ("mask",)),
            ("the same, asked again", ("redraw",)),
            ("nothing kept", ("empty",)),
        ):
            values = finite([sample.effect for sample in samples if sample.kind in kinds])[:MOST_POINTS]
            if values:
                rows.append({"name": name, "values": values, "whole": kinds == ("repeat",)})
    axis = axis_over([value for row in rows for value in row["values"]], include=[0.0] if rows else [])
    return {
        **explanation.noise.model_dump(),
        "text": words.noise(explanation, _masked_distance(explanation)),
        "rows": rows,
        "axis": {"low": axis.low, "high": axis.high},
    }


def _scatter(explanation: PromptExplanation) -> dict[str, Any] | None:
    """Held-out predictions against observed effects, where both exist."""
    if explanation.evidence is None:
        return None
    observed, predicted = explanation.evidence.effects, explanation.evidence.predicted
    both = np.isfinite(observed) & np.isfinite(predicted)
    if not both.any():
        return None
    return {"observed": observed[both][:MOST_POINTS].tolist(), "predicted": predicted[both][:MOST_POINTS].tolist()}


def _samples(explanation: PromptExplanation) -> dict[str, Any]:
    evidence = explanation.evidence
    samples = () if evidence is None else evidence.samples
    rows = passages.rows(explanation, decimals=_decimals(explanation))
    return {"rows": rows, "total": len(samples), "scored": any(sample.finish == "scored" for sample in samples)}


def _decimals(explanation: PromptExplanation) -> int:
    """Of effects."""
    samples = () if explanation.evidence is None else explanation.evidence.samples
    return decimals_for(max(map(abs, finite([sample.effect for sample in samples])), default=0.0))


def _made(explanation: PromptExplanation) -> list[tuple[str, str]]:
    """How it was made, as terms and texts."""
    calls, settings = explanation.calls, explanation.settings
    rows = [
        ("Model", explanation.model),
        ("Generation", ", ".join(f"{name} {value}" for name, value in settings.items() if value is not None)),
        ("Target", _target(explanation)),
        ("Unit", explanation.target.unit),
        ("Attribution", words_for(explanation).title),
        ("Operator", explanation.operator),
        ("Design", f"{explanation.design}; masks {explanation.masks}{_mask_count(explanation)}"),
        ("Surrogate", explanation.surrogate),
        ("Intervals", f"{percent(explanation.interval.level)}, {explanation.interval.method}"),
        ("Given", f"{counted(explanation.reference.n, 'reference output')}; intervals hold given them"),
        (
            "Calls",
            _calls(calls),
        ),
        ("Proxy", _proxy(explanation)),
        ("Read from", _read_from(explanation)),
        ("Preset", explanation.preset or ""),
        ("Seed", str(explanation.seed)),
        ("whygen", f"{explanation.whygen}, schema {explanation.schema_version}"),
        ("Versions", ", ".join(f"{name} {version}" for name, version in explanation.versions.items())),
    ]
    return [(term, text) for term, text in rows if text]


def _target(explanation: PromptExplanation) -> str:
    target = explanation.target
    return target.name if target.distance == target.name else f"{target.name}: {target.distance}"


def _proxy(explanation: PromptExplanation) -> str:
    """Which cheap model was asked beside, and what that was good for; nothing where none was."""
    found = explanation.proxy
    if found is None:
        return ""
    said = f"{found.model}, {counted(found.calls, 'call')} beside"
    if found.correlation is not None:
        said += f"; its effects correlate {found.correlation:.2f} with the model's"
    if found.width is None:
        return said
    if found.weight == 0.0:
        return f"{said}; it has no part in the figures: intervals are not narrower with it"
    return f"{said}; intervals are {found.width:.2f} times as wide as without it"


def _read_from(explanation: PromptExplanation) -> str:
    """Whose answers these are, where another reading is shown; nothing where the explanation asked itself."""
    origin = explanation.read_from
    return "" if origin is None else f"the answers to target {origin.target}, {origin.estimand} ({origin.digest[:12]})"


def _mask_count(explanation: PromptExplanation) -> str:
    return "" if explanation.evidence is None else f" ({len(explanation.evidence.masks):,})"


def _calls(calls: Calls) -> str:
    if calls.asked and not calls.made:
        return f"No call was made: all {calls.asked:,} answers were recorded before"
    again = calls.made + calls.cached - calls.asked
    told = [f"{counted(calls.asked, 'answer')} asked for", f"{counted(calls.made, 'call')} sent"]
    told[1] += f", {again:,} of them again after a failure" if again > 0 else ""
    return ", ".join([*told, f"{calls.cached:,} from the store", f"{calls.failed:,} failed"])
