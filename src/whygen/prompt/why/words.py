"""What is found of an action, in sentences. Each rests on a count or a p-value that it names, and claims no more."""

from __future__ import annotations

from collections.abc import Sequence

from whygen.prompt.targets.structured import read_field, read_refusal
from whygen.results.records import AnswerSets, TargetRecord
from whygen.results.why import PartTest, Rate, Why
from whygen.texts import counted
from whygen.types import Output

CLEAN_CALLS, CLEAN_ACCUSED = 240, 2
"""Calls of the planted agent in which the person asked for the action, and those of them in which a part from outside
was accused of it (benchmarks/results/agent_1812.json)."""

LONGEST_VALUE = 60
"""Characters of an argument that a sentence holds."""

LEFT_OPEN = "cannot be told at this budget"

BESIDES = 0.1
"""Share of answers without what is named, over which the rest of them is spoken of."""

TELLING = 3
"""Answers without some parts that say the same, where nothing was named: fewer are shown nowhere."""


def action(record: TargetRecord, reference: Output) -> str:
    """What was done, as the subject of a sentence."""
    head, _, rest = record.name.partition(":")
    if head == "refusal":
        return "the refusal" if read_refusal(reference).value == "refused" else "answering without a refusal"
    if head == "json" and rest:
        return f"the field {rest} = {_cut(read_field(reference.said, rest.split('.')).value or 'nothing')}"
    if head == "contains":
        return f"this answer ({record.distance.removeprefix('whether the answer ')})"
    if head != "tool":
        return f"this answer ({record.name})"
    name, _, path = rest[1:].partition('"') if rest.startswith('"') else rest.partition(".")
    if field := path.removeprefix("."):
        values = next((call.values for call in reference.calls if call.name == name), None)
        said = values.get(field) if isinstance(values, dict) else None
        return f"the call of {name} with {f'{field} = {_short(said)}' if said is not None else f'this {field}'}"
    called = list(dict.fromkeys(call.name for call in reference.calls))
    if name:
        return f"the call of {name}" if name in called else f"answering without a call of {name}"
    return f"the call of {', '.join(called)}" if called else "answering without a tool"


def _short(value: object) -> str:
    return _cut(repr(value))


def _cut(told: str) -> str:
    return told if len(told) <= LONGEST_VALUE else f"{told[: LONGEST_VALUE - 1]}…"


def sentences(why: Why, sets: AnswerSets | None = None) -> tuple[str, ...]:
    """All that is said, what matters most first."""
    return (_headline(why), *_beside(why), *_proof(why, sets), *_anyway(why))


def _headline(why: Why) -> str:
    accused, drivers = why.accused, [part for part in why.parts if part.named and not part.suspect]
    what, blamed, own = _capital(why.action), _named(accused), _named(drivers)
    if why.verdict == "nothing":
        return (
            f"{what} came in no answer, with parts of the request or without: there is nothing to explain. If another "
            "model was recorded, ask that one (--model)."
        )
    if why.comes_anyway:
        return _anyhow(why)
    if why.verdict == "untold":
        return _untold(why)
    if why.verdict == "request":
        return f"{what} comes from the request's own {own} ({_worst(drivers)}). {_nobody(why)}"
    certain = f"{what} comes from {blamed} ({_worst(accused)} at 5% false discovery)"
    return {
        "suspects": f"{certain}, not from what the request itself says.",
        "both": f"{certain} together with {own}: it takes both.",
        "either": f"{certain}, and {own} would have led to it too: either will do.",
    }.get(why.verdict, f"{certain}; whether the request's own parts are needed for it {LEFT_OPEN}.")


def _anyhow(why: Why) -> str:
    """Something is named, and it comes mostly without that too."""
    named = [part for part in why.parts if part.named]
    say = "they have a say" if len(named) > 1 else "it has a say"
    return (
        f"{_capital(why.action)} comes without {_named(named)} too, in {_of(why.missing)}: {say} ({_worst(named)}), "
        f"and no more. What else leads to it {LEFT_OPEN}."
    )


def _untold(why: Why) -> str:
    """Nothing is named: since it comes anyway, since it takes much at once, or by chance."""
    what, masked = _capital(why.action), why.masked
    if masked is not None and masked.drawn and all(part.without and part.without.low > 0.5 for part in why.parts):
        if masked.taken == masked.drawn:
            return f"{what} comes whatever is taken away, in {_of(masked)}: no part that can be left out is needed."
        return (
            f"{what} came in {_of(masked)} with parts taken away: no part is needed by itself. Which can stand in for "
            f"each other {LEFT_OPEN}."
        )
    if masked is not None and masked.high < why.whole.low:
        return (
            f"{what} came in {_of(masked)} with parts taken away: it takes many of them at once, and which "
            f"{LEFT_OPEN}. Cut coarser, or pin what has to be there."
        )
    return f"What led to {why.action} {LEFT_OPEN}: no part stands out from chance."


def _nobody(why: Why) -> str:
    if any(part.suspect for part in why.parts):
        return "No part from outside is accused."
    return "It holds no part from outside."


def _worst(parts: Sequence[PartTest]) -> str:
    return _p(max(part.p_value or 0.0 for part in parts))


def _beside(why: Why) -> list[str]:
    """Counts that the headline rests on."""
    said = {
        "each": ["Each of them is enough by itself."],
        "all": ["None of them is enough by itself."],
        "open": [f"Whether each of them is enough {LEFT_OPEN}."],
    }.get(why.together, [])
    if why.kept is not None:
        said.append(f"With {'them' if why.together != 'one' else 'it'}, whatever else was sent: {_of(why.kept)}.")
    if why.alone is not None:
        said.append(f"With nothing else sent at all: {_of(why.alone)}.")
    drivers = [part for part in why.parts if part.named and part.without is not None]
    said += [f"With it and without {part.name}: {_of(part.without)}." for part in drivers if part.without]
    return said


def _proof(why: Why, sets: AnswerSets | None) -> list[str]:
    """The fewest parts without which the action does not come, where those are the ones that are named."""
    named = {part.unit for part in why.parts if part.named}
    unsure = why.verdict == "untold" and why.whole.taken == why.whole.drawn
    for found in () if sets is None else sets.changing:
        certain = set(found.units) <= named or (unsure and found.asked == found.did >= TELLING)
        if found.units and certain:
            names = _named([part for part in why.parts if part.unit in found.units])
            fewest = "; no fewer parts do that" if found.fewest or (found.minimal and len(found.units) == 1) else ""
            return [f"All else sent and only {names} taken away: {found.asked - found.did} of {found.asked}{fewest}."]
    return []


def _anyway(why: Why) -> list[str]:
    """How often the model would have done it anyway."""
    said: list[str] = []
    if why.missing is not None and why.missing.drawn:
        named = _named([part for part in why.parts if part.named])
        besides = ": by chance, or for something that is not named" if why.missing.low > BESIDES else ""
        said.append(f"Without {named} the model would have done it anyway in {_of(why.missing)}{besides}.")
    if why.empty is not None:
        said.append(f"With every part taken away: {_of(why.empty)}.")
    if why.accused:
        said.append(
            "How often this accuses wrongly: of planted calls whose person asked for the action, a part from outside "
            f"was accused in {CLEAN_ACCUSED} of {CLEAN_CALLS}."
        )
    if why.whole.taken < why.whole.drawn:
        said.append(f"The whole request led to it in {_of(why.whole)}.")
    return said


def listed(names: Sequence[str]) -> str:
    """Names as a sentence has them: one, the other and a third."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""


def _named(parts: Sequence[PartTest]) -> str:
    return listed([part.name for part in parts])


def _of(rate: Rate | None) -> str:
    if rate is None:
        return "no answers"
    return f"{rate.taken} of {counted(rate.drawn, 'answer')} ({100 * rate.low:.0f}–{100 * rate.high:.0f}%)"


def _p(value: float) -> str:
    return "p < 0.0001" if value < 1e-4 else f"p = {value:.4f}" if value < 0.01 else f"p = {value:.2f}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
