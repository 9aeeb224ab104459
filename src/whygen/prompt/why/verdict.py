"""Who made the model act: from the answers to masks to counts, and from counts to sentences that say no more.

A suspect is accused where the test of `rules` finds that it had a say, after false-discovery control over the suspects.
Whether it acted without the request's own parts, with them, or beside them is then read from the same answers: how
often the action was taken where the suspect was kept and such a part was not, and the other way round. A share is on
one side of one half only where Wilson's interval is; all else "cannot be told at this budget".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from whygen.prompt.designs import Design
from whygen.prompt.findings import Findings
from whygen.prompt.operators.base import Delete
from whygen.prompt.targets import Compares
from whygen.prompt.targets.structured import JsonField
from whygen.prompt.units import shown
from whygen.prompt.why import words
from whygen.prompt.why.rules import Answered, beside_others, p_values
from whygen.prompt.why.suspects import named_parts
from whygen.results.records import AnswerSets
from whygen.results.why import PartTest, Rate, Together, Verdict, Why
from whygen.stats.multiplicity import benjamini_hochberg
from whygen.stats.seeds import generator
from whygen.stats.wilson import wilson
from whygen.types import Floats, Masks

if TYPE_CHECKING:
    from whygen.prompt.asker import Asker

FALSE_DISCOVERY = 0.05


@dataclass(frozen=True, slots=True)
class ActionCounts:
    """Answers to masks: how many of how many took the action. Shapes ``(m, n)``, ``(m,)`` and ``(m,)``."""

    masks: Masks
    taken: Floats
    drawn: Floats

    def rate(self, *, kept: Sequence[int] = (), out: Sequence[int] = (), some: Sequence[int] = ()) -> Rate:
        """Of the answers where all of ``kept`` were sent, none of ``out``, and one of ``some`` at least."""
        rows = self.masks[:, list(kept)].all(axis=1) & ~self.masks[:, list(out)].any(axis=1)
        if some:
            rows &= self.masks[:, list(some)].any(axis=1)
        return rate(int(self.taken[rows].sum()), int(self.drawn[rows].sum()))


def rate(taken: int, drawn: int) -> Rate:
    """A share with its interval."""
    low, high = wilson(taken, drawn)
    return Rate(taken=taken, drawn=drawn, low=low, high=high)


def is_choice(effects: Floats) -> bool:
    """Whether effects say yes or no: only then is there an action that was taken or not."""
    known = effects[~np.isnan(effects)]
    return bool(len(known) and np.isin(known, (0.0, 1.0)).all())


def _as_choice(found: Findings, effects: Floats) -> Floats:
    """Effects as yes (1: what the recorded answer did) or no, where the target knows how to say so."""
    if isinstance(found.target, Compares):  # a distance of 0 is the same answer, one of 1 (an effect of -1) another
        return 1.0 + effects
    references = found.answers.references
    if isinstance(found.target, JsonField) and len(references) == 1 and not found.target.unchanged(references[0]):
        return np.where(np.isnan(effects), np.nan, effects == 0.0)  # a number is the same one or another
    return effects


def judge(found: Findings, *, suspect: Sequence[str]) -> Why | None:
    """What the parts had to do with the action, in counts; None where the target is no choice of yes or no.

    Args:
        found: the answers to masks, measured by the target of the action.
        suspect: names of parts that are suspects besides those that came from outside.
    """
    effects, answers = found.effects, found.answers
    if effects.draws is None:
        return None
    measured = (effects.draws, effects.whole, found.meter(answers.empty))
    draws, whole, empty = (_as_choice(found, each) for each in measured)
    if not all(is_choice(each) for each in (draws, whole)):
        return None
    names, suspects = named_parts(answers.units, suspect)
    counts = ActionCounts(effects.masks, np.nansum(draws, axis=1), (~np.isnan(draws)).sum(axis=1).astype(np.float64))
    answered = _by_chance(found, counts)
    tested = _tested(found, counts, answered)
    parts = tuple(
        PartTest(unit=unit, name=name, suspect=suspects[unit], p_value=float(tested[unit]), named=False)
        for unit, name in enumerate(names)
    )
    parts = _with_say(parts, found.estimate.attributions)
    if answered is not None:
        named = [part.unit for part in parts if part.named]
        still = set(beside_others(answered, named, generator(found.seed, "why", "beside")))
        parts = tuple(part.model_copy(update={"named": part.unit in still}) for part in parts)
    together = _together(parts, counts)
    accused = [part.unit for part in parts if part.suspect and part.named]
    alone = _alone(found, accused)
    verdict, parts, with_them = _weighed(parts, counts, together, alone)
    drivers = [part.unit for part in parts if part.named]
    why = Why(
        action=words.action(found.target.record, answers.references[0]),
        verdict=verdict if counts.taken.any() or whole.any() else "nothing",
        together=together,
        sentences=(),
        whole=rate(int(whole.sum()), len(whole)),
        empty=_empty(counts, empty),
        kept=with_them,
        alone=alone,
        masked=counts.rate(),
        missing=counts.rate(out=drivers) if drivers else None,
        parts=parts,
    )
    if why.comes_anyway and verdict != "nothing":
        why = why.model_copy(update={"verdict": "open" if why.accused else "untold"})
    return why.model_copy(update={"shown": _shown(found, why, draws)})


def told(why: Why, sets: AnswerSets | None) -> Why:
    """The same with its sentences.

    Args:
        why: in counts.
        sets: the fewest parts that change the action, where they were looked for.
    """
    return why.model_copy(update={"sentences": words.sentences(why, sets)})


def _alone(found: Findings, accused: Sequence[int]) -> Rate | None:
    """How often the action came where nothing but the accused parts was sent, if that was asked."""
    effects = answers_alone(found, accused) if accused else np.zeros(0)
    known = _as_choice(found, effects[~np.isnan(effects)])
    return rate(int(known.sum()), len(known)) if len(known) and is_choice(known) else None


def _by_chance(found: Findings, counts: ActionCounts) -> Answered | None:
    """The answers, where masks were drawn with one half.

    None where they had another law, and where all masks of a model that is known to answer alike were asked: nothing is
    left to chance then.
    """
    design = found.design
    chance = not (found.effects.known and design.enumerated)
    drawn = chance and not isinstance(found.plan.options.design, Design)
    if drawn and design.keep == 0.5 and design.sizes is None and design.kept is None:
        return Answered(counts.masks, found.effects.groups, counts.taken, counts.drawn)
    return None


def _tested(found: Findings, counts: ActionCounts, answered: Answered | None) -> Floats:
    """p-values of each part having no say; those of the explanation, where there are none of chance."""
    if answered is not None:
        return p_values(answered, generator(found.seed, "why"))
    told, interval = found.estimate.p_values, found.estimate.interval
    if told is None:
        above = np.zeros(counts.masks.shape[1], dtype=bool) if interval is None else interval.low > 0.0
        return np.where(above, 0.0, 1.0)
    return np.where(found.estimate.attributions > 0.0, told / 2.0, 1.0 - told / 2.0)


def _with_say(parts: tuple[PartTest, ...], values: Floats) -> tuple[PartTest, ...]:
    """Those that had a say: the suspects by themselves, and the request's own by themselves.

    What pulls away from the action by its attribution is not named, whatever a rule says that it takes part in.
    """
    named: set[int] = set()
    for suspect in (True, False):
        family = [part for part in parts if part.suspect is suspect]
        if family:
            sure = benjamini_hochberg([part.p_value or 0.0 for part in family], level=FALSE_DISCOVERY)
            named |= {part.unit for part, one in zip(family, sure, strict=True) if one and values[part.unit] > 0.0}
    return tuple(part.model_copy(update={"named": part.unit in named}) for part in parts)


def _together(parts: tuple[PartTest, ...], counts: ActionCounts) -> Together:
    """How several accused parts hang together."""
    accused = [part.unit for part in parts if part.suspect and part.named]
    if len(accused) < 2:
        return "one"
    alone = [counts.rate(kept=[unit], out=[other for other in accused if other != unit]) for unit in accused]
    if all(each.low > 0.5 for each in alone):
        return "each"
    return "all" if all(each.high < 0.5 for each in alone) else "open"


def _weighed(
    parts: tuple[PartTest, ...], counts: ActionCounts, together: Together, alone: Rate | None
) -> tuple[Verdict, tuple[PartTest, ...], Rate | None]:
    """The verdict; the parts with what happened without those of the request; and how often accused parts led to it."""
    accused = [part.unit for part in parts if part.suspect and part.named]
    drivers = [part.unit for part in parts if not part.suspect and part.named]
    if not accused and not drivers:
        without = {part.unit: counts.rate(out=[part.unit]) for part in parts}
        return "untold", tuple(part.model_copy(update={"without": without[part.unit]}) for part in parts), None
    if not accused:
        return "request", parts, None
    there = {"kept": accused} if together != "each" else {"some": accused}
    with_them = counts.rate(**there)
    without = {part.unit: counts.rate(**there, out=[part.unit]) for part in parts if not part.suspect}
    parts = tuple(part.model_copy(update={"without": without.get(part.unit)}) for part in parts)
    # A part of the request that is needed would cost the action in the half of these answers that lack it.
    needless = {unit for unit, each in without.items() if each.low > 0.5 or 2.0 * with_them.low - 1.0 > 0.5}
    if alone is not None and alone.low > 0.5:  # it came without any of them
        needless = set(without)
    if not drivers:
        return ("suspects" if needless == set(without) else "open"), parts, with_them
    theirs = counts.rate(kept=drivers, out=accused)
    if theirs.low > 0.5 and needless >= set(drivers):
        return "either", parts, with_them
    needed = any(without[unit].high < 0.5 for unit in drivers)
    return ("both" if theirs.high < 0.5 and needed else "open"), parts, with_them


def _empty(counts: ActionCounts, empty: Floats) -> Rate | None:
    """Answers where nothing was sent: those that were asked for, else those of the mask without any unit."""
    if len(empty):
        return rate(int(empty.sum()), len(empty))
    found = counts.rate(out=range(counts.masks.shape[1]))
    return found if found.drawn else None


def _shown(found: Findings, why: Why, draws: Floats) -> tuple[int, ...]:
    """A pair of samples: the action without the request's other parts, and none without what is named."""
    named = [part.unit for part in why.parts if part.named]
    if not named:
        return ()
    others = [part.unit for part in why.parts if not part.named and not part.suspect]
    masks = found.effects.masks
    with_them = masks[:, named].any(axis=1) & (np.nanmean(draws, axis=1) > 0.5)
    lacking = ~masks[:, named].any(axis=1) & (np.nanmean(draws, axis=1) < 0.5)
    place = {id(one.output): number for number, one in enumerate(found.answers.log)}
    rows = [
        _first(with_them, -masks[:, others].sum(axis=1)),
        _first(lacking, masks.sum(axis=1)),
    ]
    return tuple(place[id(found.answers.of(found.effects.rows[row])[0])] for row in rows if row is not None)


def _first(rows: NDArray[np.bool_], by: NDArray[np.int64]) -> int | None:
    """The row of the largest value among these; None where there is none."""
    found = np.flatnonzero(rows)
    return int(found[np.argmax(by[found])]) if len(found) else None


TAKES_OUT = Delete()
"""How parts of a call are left out: what was asked is found again by what it sent, also in a folder."""


def ask_alone(asker: Asker, units: Sequence[int], *, times: int) -> None:
    """Ask for these units and no others, where it is open whether others are needed; the answers stand in the log.

    Masks that keep all accused parts and lack one of the request's own are few, and fewer where two accused parts need
    each other. If the action comes in more than half of these calls, none of the other parts is needed. How often is
    fixed before, and it is asked after the masks, so that its share has an interval of its own.

    A model that is known to answer alike says the same each time, and is not asked; nor where parts are not taken out
    but replaced.
    """
    mask = np.zeros(len(asker.units), dtype=np.bool_)
    mask[list(units)] = True
    for _ in range(times if asker.steadiness != "known" and asker.operator.name == TAKES_OUT.name else 0):
        asker.further(mask)


def answers_alone(found: Findings, units: Sequence[int]) -> Floats:
    """The effects of what was asked with these units and no others, beside the design."""
    answers = found.answers
    if answers.operator.name != TAKES_OUT.name:
        return np.zeros(0)
    mask = np.zeros(len(answers.units), dtype=np.bool_)
    mask[list(units)] = True
    sent = shown(TAKES_OUT.render(answers.units, mask))
    said = [one.output for one in answers.log if one.kind == "further" and shown(one.prompt) == sent]
    return found.meter(said) if said else np.zeros(0)
