"""What an explanation found, in sentences that need no statistics to be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from whygen.report.texts import (
    counted,
    decimals_for,
    listed,
    number,
    p_value,
    percent,
    quoted,
    shorten,
    signed,
    visible,
)
from whygen.results.estimands import words_for
from whygen.results.prompt import PART_KINDS, Fidelity, PromptExplanation, Section, UnitAttribution
from whygen.results.summary.places import places


def parts_of(explanation: PromptExplanation) -> dict[tuple[int, int], Section]:
    """The parts that a chat was cut into, by where they stand; empty for any other prompt."""
    if explanation.chat is None:
        return {}
    return {(s.start, s.end): s for s in explanation.sections if s.kind in PART_KINDS or _is_image(s)}


def _is_image(section: Section) -> bool:
    """Whether it is a picture that was cut, or a region of one; notes of pictures that are always sent have no name."""
    return section.kind == "image" and section.name != "image"


def names(explanation: PromptExplanation) -> list[str]:
    """The name of each unit; empty where it is no part with a name."""
    parts = parts_of(explanation)
    found = [parts.get((unit.start, unit.end)) for unit in explanation.units]
    return ["" if part is None else visible(part.name) for part in found]


def labels(explanation: PromptExplanation) -> list[str]:
    """What each unit is called in a sentence: its name, or its text in quotes; and where it lies in a picture."""
    called = (name or quoted(unit.text) for name, unit in zip(names(explanation), explanation.units, strict=True))
    where = places(explanation) or [""] * len(explanation.units)
    return [f"{name} ({place})" if place else name for name, place in zip(called, where, strict=True)]


MOST_NAMED = 5

WORTH_NAMING = 0.01
"""Share of the largest attribution from which a significant unit is said to drive the output: with enough calls the
smallest effect is significant."""


def noun(explanation: PromptExplanation) -> str:
    """What a unit is called: a word if none holds white space, else a part."""
    return "part" if any(len(unit.text.split()) > 1 for unit in explanation.units) else "word"


def strongest(units: Sequence[UnitAttribution], *, significant: bool = True) -> list[UnitAttribution]:
    """Units by the size of their attribution, largest first; only significant ones unless told otherwise."""
    chosen = [unit for unit in units if unit.significant or not significant]
    return sorted(chosen, key=lambda unit: -abs(unit.attribution))


def tested(explanation: PromptExplanation) -> bool:
    """Whether anything says how sure an attribution is: without, a unit that is not significant was never tested."""
    return any(unit.p_value is not None or unit.low is not None for unit in explanation.units)


def headline(explanation: PromptExplanation) -> str:
    """What was found, in a sentence: who made the model act, where that was asked; else which units drove it."""
    return drivers(explanation) if explanation.why is None else visible(explanation.why.sentences[0])


def drivers(explanation: PromptExplanation) -> str:
    """Which units drove the output."""
    if explanation.units and not tested(explanation):
        return _untested(explanation)
    significant = strongest(explanation.units)
    found = [unit for unit in significant if abs(unit.attribution) >= WORTH_NAMING * abs(significant[0].attribution)]
    towards = [unit for unit in found if unit.attribution > 0]
    away = [unit for unit in found if unit.attribution < 0]
    if not found:
        return f"No {noun(explanation)} of this prompt stands out."
    what = "these outputs" if explanation.inputs else "this output"
    sentences: list[str] = []
    if towards:
        sentences.append(f"{_named(towards, explanation)} drove {what}")
    if away:
        verb, them = "pulls" if len(away) == 1 else "pull", "them" if explanation.inputs else "it"
        them = them if towards else what
        sentences.append(f"{_named(away, explanation)} {verb} away from {them}")
    told = "; ".join(sentences)
    return f"{told[:1].upper()}{told[1:]}.{_too_small(len(significant) - len(found), explanation)}"


def _too_small(many: int, explanation: PromptExplanation) -> str:
    """That further units are significant, and next to nothing beside the largest."""
    if not many:
        return ""
    verb = "has" if many == 1 else "have"
    what = counted(many, f"other {noun(explanation)}")
    return f" {what} {verb} an effect beyond doubt, under {percent(WORTH_NAMING)} of the largest."


def _untested(explanation: PromptExplanation) -> str:
    """The largest unit, since "no word stands out" would pass for a finding where nobody looked."""
    top = strongest(explanation.units, significant=False)[0]
    if not top.attribution:
        return f"No {noun(explanation)} changed this output; how sure that is was not tested."
    which = _named([top], explanation)
    way = "towards this output" if top.attribution > 0 else "away from this output"
    return f"{which} pulls most strongly {way}; how sure that is was not tested."


def _named(units: Sequence[UnitAttribution], explanation: PromptExplanation) -> str:
    """The first few names; one that more than one unit has, as it is shown, is told apart by its place."""
    shown = labels(explanation)
    times = Counter(shown)
    place = {unit.start: number for number, unit in enumerate(explanation.units)}
    places = [place[unit.start] for unit in units]
    names = [shown[place] + (f" (number {place + 1})" if times[shown[place]] > 1 else "") for place in places]
    rest = len(names) - MOST_NAMED
    return listed([*names[:MOST_NAMED], f"{rest} more"] if rest > 1 else names)


def surety(explanation: PromptExplanation) -> str:
    """How sure the attributions are."""
    if not explanation.units:
        return "The prompt has no part that could be taken away."
    top = strongest(explanation.units, significant=False)[0]
    largest = f"The largest, {_named([top], explanation)}, is {signed(top.attribution, decimals_for(top.attribution))}"
    if top.low is None or top.high is None:
        method = explanation.interval.method
        why = f"No interval: {shorten(method[6:], 200)}" if method.startswith("none: ") else "It has no interval"
        return f"{largest}. {why}."
    places = decimals_for(max(abs(top.low), abs(top.high)))
    level = percent(explanation.interval.level)
    sentence = f"{largest} ({level} interval {signed(top.low, places)} to {signed(top.high, places)}"
    if top.p_value is not None:
        sentence += f", p {p_value(top.p_value) if top.p_value < 0.001 else '= ' + p_value(top.p_value)}"
    given = explanation.reference.n == 1 and explanation.noise.level is not None and explanation.noise.differs
    condition = ["The intervals hold for this reference; with references=4 they hold for what the model says."]
    return " ".join([f"{sentence}).", *_by_test(explanation), *(condition if given else []), *_stopping(explanation)])


def _by_test(explanation: PromptExplanation) -> list[str]:
    """Why a part that is named as having had a say need not stand out here: two tests, of unequal strength."""
    named = [part for part in explanation.why.parts if part.named] if explanation.why is not None else []
    missed = [visible(part.name) for part in named if explanation.units[part.unit].significant is not True]
    if not missed:
        return []
    return [f"That {listed(missed)} had a say is found by the exact test, which takes fewer answers than intervals do."]


def at_once(explanation: PromptExplanation) -> str:
    """Which units keep their sign in the simultaneous band; empty where there is none.

    An interval holds for one unit chosen beforehand. A reader who picks the largest, or counts, needs the band.
    """
    bands = [(unit, unit.band_low, unit.band_high) for unit in explanation.units]
    banded = [(unit, low, high) for unit, low, high in bands if low is not None and high is not None]
    if len(banded) < 2:
        return ""
    sure = strongest([unit for unit, low, high in banded if low > 0.0 or high < 0.0], significant=False)
    verb = "keeps its sign" if len(sure) == 1 else "keep their sign"
    kept = f"{_named(sure, explanation)} {verb}" if sure else "none keeps its sign"
    return f"Read all at once ({percent(explanation.interval.level)} band), {kept}."


def _stopping(explanation: PromptExplanation) -> list[str]:
    """What ended the run, if a rule did, and what more calls would buy."""
    rule = {
        "width": ["The run stopped as every interval was narrow enough."],
        "order": ["The run stopped as the order of the strongest no longer changed; that says nothing of precision."],
    }
    advice = [] if explanation.advice is None or settled(explanation) else [explanation.advice]
    return [*(rule[explanation.stopped] if explanation.stopped else []), *advice]


SETTLED = 0.1
"""A unit that is not significant is settled where its whole interval is within this share of the largest value."""


def settled(explanation: PromptExplanation) -> bool:
    """Whether more calls would change no verdict: each unit is significant, or known to be small."""
    largest = max((abs(unit.attribution) for unit in explanation.units), default=0.0)
    ends = [(unit.low, unit.high) for unit in explanation.units if not unit.significant]
    return all(
        low is not None and high is not None and max(abs(low), abs(high)) <= SETTLED * largest for low, high in ends
    )


def surety_figure(explanation: PromptExplanation) -> str:
    """How many units are significant, of how many; that none is says nothing where none was tested."""
    if explanation.units and not tested(explanation):
        return "Not tested"
    return f"{sum(unit.significant is True for unit in explanation.units)} of {len(explanation.units)}"


def prediction(fidelity: Fidelity) -> str:
    """How well the explanation predicts the model on prompts that it was not fitted to."""
    heldout, ceiling = fidelity.r2_heldout, fidelity.noise_ceiling
    if heldout is None:
        return "It was not tested on prompts it was not fitted to: there were too few, or the design has none to spare."
    if heldout <= 0:
        return "On prompts it was not fitted to, the explanation predicts no better than their mean. Do not rely on it."
    sentence = f"On prompts it was not fitted to, the explanation predicts {percent(heldout)} of the variation"
    if ceiling is None:
        return f"{sentence}. What noise would allow is not known."
    if ceiling <= 0:
        return f"{sentence}, though repeats vary as much as everything else: that is noise."
    if ceiling > 0.9995:
        return f"{sentence}; repeats did not differ, so all of it could be predicted."
    return f"{sentence}: {percent(min(1.0, heldout / ceiling))} of what the model's own noise allows."


def ceiling_share(fidelity: Fidelity) -> float | None:
    """Held-out R2 as a share of the noise ceiling, or None where there is none."""
    heldout, ceiling = fidelity.r2_heldout, fidelity.noise_ceiling
    if heldout is None or ceiling is None or ceiling <= 0:
        return None
    return max(0.0, min(1.0, heldout / ceiling))


def fitted(fidelity: Fidelity) -> str:
    """What the in-sample figure is worth."""
    if fidelity.r2_insample is None:
        return ""
    sentence = f"On the prompts it was fitted to: {number(fidelity.r2_insample, 2)}."
    if fidelity.r2_chance is None:
        return sentence
    sentence += f" Shuffled effects give {number(fidelity.r2_chance, 2)}"
    if fidelity.r2_chance_p95 is not None:
        sentence += f" on average and up to {number(fidelity.r2_chance_p95, 2)} in 95% of shuffles"
    return f"{sentence}, so judge by the held-out figure."


def noise(explanation: PromptExplanation, masked: float | None) -> str:
    """What repeating the whole prompt showed. ``masked`` is the mean distance of masked prompts, if known."""
    found = explanation.noise
    times = f"Asked {counted(found.repeats, 'more time')}, the whole prompt"
    if not found.repeats:
        return "The whole prompt was not repeated, so the model's own noise is not known."
    if not found.differs:
        return f"{times} gave no other output. {_masks_again(explanation)}"
    if found.level is None:
        return f"{times} gave other values."
    places = decimals_for(max(found.level, masked or 0.0))
    sentence = f"{times} gave other outputs, {number(found.level, places)} from the reference on average"
    if masked is None or masked <= 0:
        return f"{sentence}."
    return f"{sentence}; with {noun(explanation)}s taken away they lie {number(masked, places)} from it."


def _masks_again(explanation: PromptExplanation) -> str:
    """What asking masked prompts again showed, where the whole prompt gave no other output."""
    found = explanation.noise
    if found.source == "none":
        return "The model gives equal answers to equal questions by the way it is built, or as you stated."
    if found.source == "measured":
        return f"Masked prompts did differ: {found.changed} of {found.compared} further answers had another effect."
    if found.source == "steady":
        bounds = any(unit.low is not None for unit in explanation.units)
        more = ", which bounds the noise in the intervals" if bounds else ""
        return f"Nor did {found.compared} further answers to masked prompts{more}."
    return "That is no proof that it never will."


def meaning(explanation: PromptExplanation) -> str:
    """What one attribution says."""
    return (
        f"An attribution says how much nearer keeping a {noun(explanation)} brings the output to what the model said, "
        f"{words_for(explanation).sentence}. Its unit: {explanation.target.unit}."
    )
