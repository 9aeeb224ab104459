"""Failure signatures of a prompt explanation, each with what to do next. METHODS A8."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from whygen.media import sounds
from whygen.prompt import relevance
from whygen.prompt.designs import LEVEL_BY_LEVEL
from whygen.prompt.fidelity import falls_short
from whygen.prompt.findings import Findings
from whygen.prompt.intervals import LIKE_THESE, Collapse, collapsed
from whygen.prompt.noise import MOST
from whygen.prompt.plan import REDRAWS
from whygen.prompt.targets import Counts, HearsRefusals, Target, Timed
from whygen.prompt.units import ChatUnits
from whygen.results.evidence import Sample
from whygen.results.prompt import Fidelity, InteractionRecord, Warned
from whygen.texts import counted
from whygen.types import Floats, Output, Sound, Video


@dataclass(frozen=True, slots=True)
class Signs:
    """What the warnings look at."""

    samples: Sequence[Sample]
    findings: Findings
    figures: Fidelity
    notices: Sequence[tuple[str, str]]
    predicted: Floats | None = None
    """Held-out predictions ``(m,)``."""
    acting: tuple[InteractionRecord, ...] = ()
    """Pairs of units that were found to act together."""

    @property
    def target(self) -> Target:
        """What was measured."""
        return self.findings.target

    @property
    def asked(self) -> int:
        """Calls so far."""
        return self.findings.answers.calls.asked

    @property
    def outputs(self) -> list[Output]:
        """What each of ``samples`` is a record of."""
        return [one.output for one in self.findings.answers.log]

    @property
    def reference(self) -> Output:
        """What the model said to the whole prompt."""
        return self.findings.answers.references[0]

    @property
    def perturbed(self) -> list[Sample]:
        """Answers to prompts that lack something."""
        return [sample for sample in self.samples if sample.kind in {"mask", "redraw"}]


def warn(signs: Signs) -> tuple[Warned, ...]:
    """All warnings that apply, the gravest first."""
    found = [Warned(code=code, text=text) for code, text in signs.notices]
    for look in _LOOKS:
        text = look(signs)
        if text is not None:
            found.append(Warned(code=_code(look), text=text))
    return tuple(found)


def _code(look: Callable[[Signs], str | None]) -> str:
    return look.__name__.strip("_").replace("_", "-")


def _collapse(signs: Signs) -> Collapse | None:
    """Means of answers that differ may be equal by chance: of these nothing is said."""
    effects = signs.findings.effects
    return None if effects.noise.source == "measured" else collapsed(effects, effects.whole, effects.reach)


def _all_lost(signs: Signs) -> str | None:
    """Every perturbation destroyed the answer: the opposite of nothing having changed it."""
    collapse, findings = _collapse(signs), signs.findings
    if collapse is None or collapse.kind != "lost" or findings.effects.n < 2:
        return None
    if findings.design.name == "leave-one-out":
        return f"Each of the {collapse.masks} units is needed: the prompt without any one of them lost the answer."
    lost = (
        f"Each of the {collapse.masks} perturbed prompts lost the answer: they have one effect, and the whole prompt "
        "has another."
    )
    if findings.design.enumerated:
        return f"{lost} Every mask was asked, so the answer needs all {findings.effects.n} units at once."
    higher = next((keep for keep in (0.8, 0.9, 0.95) if keep > findings.design.keep), None)
    nearer = "" if higher is None or findings.design.sizes is not None else f"a higher keep (keep={higher}), "
    return (
        f"{lost} So the answer needs many units at once, and these masks cannot say which matter more. Use {nearer}"
        "coarser units, or estimand='loo', which leaves out one unit at a time."
    )


def _same_output(signs: Signs) -> str | None:
    collapse = _collapse(signs)
    if collapse is None or collapse.kind != "unchanged":
        return None
    if signs.findings.design.name == "leave-one-out" and signs.findings.effects.n > 1:
        return (
            f"None of the {collapse.masks} perturbed prompts changed what this target sees: no unit is needed by "
            "itself. Units that stand in for each other do not show that way. Use estimand='banzhaf', which leaves out "
            "several at once."
        )
    bound = ""
    if not signs.findings.design.enumerated:
        bound = f" At 95%, fewer than {100 * collapse.rate:.2g}% of such prompts change it."
    if isinstance(signs.findings.answers.units, ChatUnits):
        return (
            f"None of the {collapse.masks} requests with parts taken away changed what this target sees: no part that "
            f"was left out is needed for it.{bound} Cut finer (units='sentence'), pin less, or choose another target; "
            "if the model does not repeat the recorded answer to the whole request either, ask the one that gave it."
        )
    none = f"None of the {collapse.masks} perturbed prompts" if collapse.masks > 1 else "The one perturbed prompt never"
    return f"{none} changed what this target sees, so there is nothing to explain.{bound} {_what_stayed(signs)}"


def _what_stayed(signs: Signs) -> str:
    """What to do next: another target sees more only where answers differ."""
    if signs.reference.medium is not None or any(output.scores is not None for output in signs.outputs):
        return "Check that the model reads the prompt, or choose another target."
    if any(output.said != signs.reference.said for output in signs.outputs):
        return "The answers do differ, in what this target does not see: choose another target."
    return (
        "Every answer has the same text, so no other target of texts says more: check that the model reads the prompt."
    )


def _empty_reference(signs: Signs) -> str | None:
    if signs.reference.said.strip() or signs.reference.medium is not None:
        return None
    return (
        "The model answered the whole prompt with nothing. Attributions say what keeps it silent. Raise max_tokens, or "
        "check the prompt's format (chat template, instruction style)."
    )


def _refused_reference(signs: Signs) -> str | None:
    if signs.reference.finish != "refused" or isinstance(signs.target, HearsRefusals):
        return None
    return (
        "The model refused the whole prompt (a safety checker, or a blank picture): attributions say what keeps it "
        "refusing. Try another seed (temperature 1), or other words."
    )


def _nothing_to_hear(signs: Signs) -> str | None:
    """Silence or black frames are an answer, and one that tells a person to look at the model first."""
    reference, target = signs.reference.medium, signs.target
    if not isinstance(target, Timed) or not isinstance(reference, Sound | Video):
        return None
    [track] = target.encoder.tracks([reference])
    if not np.array_equal(track.points, np.broadcast_to(target.encoder.nothing(), track.points.shape)):
        return None
    what = "silence" if isinstance(reference, Sound) else "black frames"
    return (
        f"The model answered the whole prompt with {what}. Attributions say what keeps it so. Play the reference, and "
        "check the prompt's format and the model's length setting."
    )


def _other_lengths(signs: Signs) -> str | None:
    reference = signs.reference.medium
    if not isinstance(reference, Sound | Video):
        return None
    own = _seconds(reference)
    pairs = zip(signs.samples, signs.outputs, strict=False)
    media = [output.medium for sample, output in pairs if sample.kind in {"mask", "redraw"}]
    made = [_seconds(medium) for medium in media if isinstance(medium, Sound | Video)]
    other = sum(abs(each - own) > 0.05 * own for each in made)
    if other < max(1, len(made) // 20):
        return None
    return (
        f"{other} of {len(made)} answers are more than 5% shorter or longer than the reference ({own:.2f} s; they last "
        f"{min(made):.2f} to {max(made):.2f} s): a word that goes moves all that comes after it. Moments are compared "
        "as they come in the timeline and by target='in-time', where what is over is silent or black; "
        "'optimal-transport' and 'energy' forget time. With keep=0.8, or estimand='loo', less moves."
    )


def _seconds(medium: Sound | Video) -> float:
    return sounds.seconds(medium) if isinstance(medium, Sound) else medium.count / medium.rate


def _failed_calls(signs: Signs) -> str | None:
    failures = signs.findings.answers.failures
    if not failures:
        return None
    kinds = Counter(failure.kind for failure in failures)
    told = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in kinds.most_common())
    lost = "its pair of masks is" if len(failures) == 1 else "their pairs of masks are"
    return f"{counted(len(failures), 'call')} failed ({told}); {lost} left out. First: {failures[0].sentence}"


def _odd_answers(signs: Signs) -> str | None:
    if signs.target.verb == "score":
        return None  # a scored text is not written by the model
    perturbed = signs.perturbed
    made = {id(s) for s, output in zip(signs.samples, signs.outputs, strict=False) if output.medium is not None}
    empty = sum(not sample.said.strip() and id(sample) not in made for sample in perturbed)
    heard = isinstance(signs.target, HearsRefusals)  # a refusal is what is measured then, and not far from it
    refused = 0 if heard else sum(sample.finish == "refused" for sample in perturbed)
    if empty + refused < max(1, len(perturbed) // 20):
        return None
    return (
        f"{counted(empty, 'empty answer')} and {counted(refused, 'refusal')} of {len(perturbed)} count as far from the "
        "reference. If they are not what you want explained, pin what keeps the prompt valid, or try placeholders."
    )


def _unread_answers(signs: Signs) -> str | None:
    if not isinstance(signs.target, Counts):
        return None
    pairs = zip(signs.samples, signs.outputs, strict=False)
    perturbed = [output for sample, output in pairs if sample.kind in {"mask", "redraw"}]
    unread = Counter(signs.target.unread(perturbed))
    if unread.total() < max(1, len(perturbed) // 20):
        return None
    told = ", ".join(f"{counted(count, 'time')} {reason}" for reason, count in unread.most_common())
    return (
        f"{unread.total()} of {len(perturbed)} answers cannot be read ({told}): they count as other than the "
        "reference, so what keeps the answer readable is attributed too. Pin the words that ask for the format to "
        "leave that out."
    )


def _truncated(signs: Signs) -> str | None:
    perturbed = [sample for sample in signs.samples if sample.kind != "empty"]
    cut = sum(sample.finish == "length" for sample in perturbed)
    if cut < max(1, len(perturbed) // 10):
        return None
    return f"{cut} of {len(perturbed)} answers were cut at max_tokens: distances see beginnings only. Raise max_tokens."


def _irrelevant_answers(signs: Signs) -> str | None:
    count, perturbed = signs.findings.effects.irrelevant, len(signs.perturbed)
    if count < max(1.0, relevance.MANY * perturbed) or signs.findings.effects.strange is not None:
        return None
    return (
        f"{count} of {perturbed} answers are as far from the reference as texts about other things: the model wanders "
        f"off when words are missing. Pin what keeps it on its subject, {_nearer(signs)}or leave such answers out with "
        "irrelevant='exclude'."
    )


def _left_out_answers(signs: Signs) -> str | None:
    """What was left out as irrelevant is a finding: which units keep the model on its subject."""
    seen = signs.findings.effects
    if seen.draws is None or seen.strange is None or not seen.strange.any():
        return None
    found = relevance.on_relevance(seen, seen.draws, seen.strange)
    if found.interval is None or found.p_values is None:
        return None
    names, order = signs.findings.answers.units.texts, np.argsort(found.p_values)[:3].tolist()
    told = [
        f"{names[i]!r} {found.attributions[i]:+.2f} ({found.interval.low[i]:+.2f} to {found.interval.high[i]:+.2f})"
        for i in order
    ]
    return (
        f"{counted(int(seen.strange.sum()), 'answer')} about something else left out: attributions compare relevant "
        f"answers only. What units do to the chance of a relevant answer, the clearest first: {', '.join(told)}."
    )


def _low_noise_ceiling(signs: Signs) -> str | None:
    figures = signs.figures
    ceiling, low, high = figures.noise_ceiling, figures.noise_ceiling_low, figures.noise_ceiling_high
    if ceiling is None or ceiling >= 0.5:
        return None
    known = "" if low is None or high is None else f" ({100 * (1 - high):.0f}% to {100 * (1 - low):.0f}% at 95%)"
    return (
        f"The model's own noise makes up about {100 * (1 - ceiling):.0f}% of the variation{known}: no explanation can "
        "predict more than the rest. Use more draws (draws=4), or a lower temperature."
    )


def _noise_not_measured(signs: Signs) -> str | None:
    """No interval, or none of the noise: what to do about it."""
    findings = signs.findings
    if findings.effects.noise.source != "unknown":
        return None
    if findings.design.asks_all and findings.estimate.interval is None:
        masks = int((findings.effects.masks.sum(axis=1) < findings.effects.n).sum())
        more = _unless_ended(
            signs,
            f"Use a budget of {signs.asked + masks}, which asks each twice, or state that equal questions get equal "
            "answers (model_noise='none').",
        )
        return (
            "No masked prompt was asked twice, so nothing says how much answers to one question differ: "
            f"there is no interval, and no unit can be called significant. {more}"
        )
    if not findings.answers.differs:
        return None
    ended = findings.answers.ended is not None
    why = (
        "the run ended before masked prompts were asked twice"
        if ended
        else "the budget has no call left to ask masked prompts twice"
    )
    more = _unless_ended(signs, f"Use a budget of at least {signs.asked + REDRAWS}, or a lower temperature.")
    return f"Repeats of the whole prompt differ, and {why}: how much of the variation is noise is not known. {more}"


def _low_fidelity(signs: Signs) -> str | None:
    heldout, predicted, effects = signs.figures.r2_heldout, signs.predicted, signs.findings.effects
    if heldout is None or predicted is None:
        return None
    # What noise is likely to allow: of few repeats its share is known to a factor, and pure noise looked predictable.
    allowed, what = 1.0, "surely under half of what the noise allows"
    if effects.noise.source == "measured":
        allowed -= effects.noise.most / max(float(np.var(effects.values)), 1e-300)
        what = (
            "under half of what the noise allows, if that is no larger than "
            f"{effects.noise.repeats} repeats leave likely (at {MOST:.0%})"
        )
    if allowed <= 0.0 or not falls_short(effects, predicted, share=0.5 * allowed):
        return None
    return (
        f"Held-out R2 is {heldout:.2f}, {what}: the attributions do not predict the model well. "
        f"The intervals do not rest on that. {_unless_ended(signs, _remedy(signs))}"
    )


def _remedy(signs: Signs) -> str:
    """What can raise the fidelity: no larger budget where every mask was asked."""
    if signs.findings.design.enumerated and signs.findings.effects.noise.source == "measured":
        return "Every mask was asked: more draws of each (draws=4) tell the model's noise from units that act together."
    if signs.findings.design.enumerated:
        return (
            "Every mask was asked, so they do not act each by itself: look at the interactions, or use coarser units."
        )
    if pair := next((each for each in signs.acting if each.significant), None):
        first, second = (signs.findings.answers.units.texts[unit] for unit in (pair.first, pair.second))
        return (
            f"{first!r} and {second!r} act together, which no number of a single unit can say: look at the "
            f"interactions. Use coarser units that hold both, {_nearer(signs)}or a larger budget where more act so."
        )
    return f"Use a larger budget, {_nearer(signs)}or coarser units."


def _nearer(signs: Signs) -> str:
    """To ask nearer to the whole prompt, where that can still be chosen: part of a sentence, or nothing."""
    findings = signs.findings
    higher = next((keep for keep in (0.8, 0.9, 0.95) if keep > findings.design.keep), None)
    design = findings.design
    unchosen = design.sizes is not None or design.enumerated or design.name.startswith(LEVEL_BY_LEVEL)
    return "" if higher is None or unchosen else f"use a higher keep (keep={higher}), "


_TO_ITS_END = "Let it run to its end."


def _unless_ended(signs: Signs, advice: str) -> str:
    """What to do; where a run ended early, what it was allowed to ask was not what there was too little of."""
    return advice if signs.findings.answers.ended is None else _TO_ITS_END


def _few_masks(signs: Signs) -> str | None:
    findings = signs.findings
    pairs, n, rows = len(np.unique(findings.effects.groups)), findings.effects.n, len(findings.effects)
    if findings.design.asks_all or pairs >= n:
        return None
    enough = signs.asked + (4 * n - rows) * max(1, round(signs.asked / rows))
    of_chat = isinstance(findings.answers.units, ChatUnits)
    fewer = "parts that are pinned leave fewer to tell apart" if of_chat else "coarser units (sentences) need fewer"
    told = (
        f"{counted(pairs, 'pair')} of masks for {n} units: attributions are shrunk towards zero and intervals are wide."
    )
    more = _unless_ended(signs, f"A budget of about {enough} gives two pairs a unit; {fewer}.")
    return f"{told} {more}"


def _few_pairs(signs: Signs) -> str | None:
    """Sign flips of so few pairs reach no small p-value; a Student t over inputs or draws does not rest on pairs."""
    pairs, estimate = len(np.unique(signs.findings.effects.groups)), signs.findings.estimate
    whole = signs.findings.design.asks_all
    if estimate.p_values is None or pairs >= 6 or whole or estimate.method.endswith(LIKE_THESE):
        return None
    lost = [failure for failure in signs.findings.answers.failures if failure.kind == "permanent"]
    # Where calls fail for good, more of them fail alike.
    advice = _unless_ended(signs, "Raise the budget.")
    if len(lost) > 2 * pairs:
        advice = f"First mend what made {counted(len(lost), 'call')} fail."
    least = f"{2.0 ** -(pairs - 1):g}"
    return f"With {counted(pairs, 'pair')} no p-value is under {least}: nothing can be significant. {advice}"


def _effective_sample(signs: Signs) -> str | None:
    effective, n = signs.findings.estimate.effective, signs.findings.effects.n
    if effective is None or effective >= 2 * n:
        return None
    more = _unless_ended(signs, f"Use a larger budget, {_nearer(signs)}or estimand='banzhaf'.")
    return f"The kernel leaves an effective sample of {counted(round(effective), 'mask')} for {n} units. {more}"


_LOOKS: tuple[Callable[[Signs], str | None], ...] = (
    _all_lost,
    _same_output,
    _empty_reference,
    _refused_reference,
    _nothing_to_hear,
    _other_lengths,
    _failed_calls,
    _odd_answers,
    _unread_answers,
    _truncated,
    _irrelevant_answers,
    _left_out_answers,
    _low_noise_ceiling,
    _noise_not_measured,
    _low_fidelity,
    _few_masks,
    _few_pairs,
    _effective_sample,
)

CODES = tuple(map(_code, _LOOKS))
"""Codes of what a reading of the answers shows, the gravest first; others come from whoever was asked."""
