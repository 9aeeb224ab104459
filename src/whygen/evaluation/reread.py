"""A saved explanation measured against other reference answers: the same answers, read again, without a call.

Two runs of a model that samples have two references, and effects against different references differ even where the
model is the same. `against` gives both runs the same yardstick (docs/decisions/0018-evaluation.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from whygen.errors import UsageError
from whygen.evaluation.rebuilt import Rebuilt, rebuild
from whygen.prompt.estimating import estimate_from
from whygen.prompt.noise import measure
from whygen.prompt.options import EstimandName, PromptOptions
from whygen.prompt.plan import Plan
from whygen.prompt.recipe import opened_target
from whygen.prompt.saved import outputs, recorded, references
from whygen.prompt.targets import Target
from whygen.results.prompt import PromptExplanation
from whygen.types import Floats, Output


@dataclass(frozen=True, slots=True)
class Reread:
    """Attributions ``(n,)`` with half widths of their 95% intervals, and the groups of masks that they rest on."""

    attributions: Floats
    half: Floats
    groups: int


def references_of(explanation: PromptExplanation) -> tuple[Output, ...]:
    """The recorded reference answers; none where the explanation came without its evidence."""
    return references(explanation.evidence)


def target_of(explanation: PromptExplanation, encoder: object = "auto") -> Target:
    """The target of an explanation, opened again.

    Raises:
        UsageError: if its name does not say it wholly.
        MissingError: if its encoder is not installed.
    """
    recipe = recorded(explanation)
    texts = explanation.evidence is None or (explanation.evidence.pictures, explanation.evidence.media) == (None, None)
    if not texts or "target" in recipe.again or recipe.target.verb == "score":
        raise UsageError(f"target={explanation.target.name!r} cannot be opened again from its name alone.")
    return opened_target(recipe, encoder=encoder)


def against(explanation: PromptExplanation, told: Sequence[Sequence[Output]], target: Target) -> Reread | None:
    """The explanation's estimand, its effects measured against all of these references alike.

    Args:
        explanation: with its evidence.
        told: sets of reference answers; each set weighs the same.
        target: reads them; its effects are averaged over the sets.

    Returns:
        None where the answers do not suffice for an interval: a mask has none, or noise was not measured.

    Raises:
        UsageError: if what it was estimated from was not kept.
    """
    rebuilt, evidence = rebuild(explanation, "compare"), explanation.evidence
    assert evidence is not None  # noqa: S101 - rebuild refuses otherwise
    measured = [sample for sample in evidence.samples if sample.effect is not None]
    pairs = zip(evidence.samples, outputs(evidence), strict=True)
    answers = [output for sample, output in pairs if sample.effect is not None]
    effects = np.mean([target.effects(answers, each) for each in told], axis=0)
    kept = _kept(explanation, evidence.masks)
    by_mask: dict[bytes, list[float]] = {}
    by_text: dict[tuple[str, ...], list[float]] = {}
    ends: dict[str, list[float]] = {"repeat": [], "empty": []}
    for sample, effect in zip(measured, effects.tolist(), strict=True):
        if sample.kind in {"mask", "redraw"} and sample.mask is not None:
            by_mask.setdefault(evidence.masks[sample.mask].tobytes(), []).append(effect)
            by_text.setdefault(kept[sample.mask], []).append(effect)
        elif sample.kind in ends:
            ends[sample.kind].append(effect)
    answered = [
        by_mask.get(mask.tobytes()) or by_text.get(text, []) for mask, text in zip(evidence.masks, kept, strict=True)
    ]
    draws = _draws(evidence.masks, answered, ends)
    return None if draws is None else _estimated(rebuilt, draws, ends)


def _kept(explanation: PromptExplanation, masks: NDArray[np.bool_]) -> list[tuple[str, ...]]:
    """What names the prompt of each mask: masks that leave the same text are asked once (two units *a*, one kept).

    Under other operators than deletion what is taken out leaves a trace at its place, and each mask has its own prompt.
    """
    if explanation.operator != "delete":
        return [tuple(map(str, np.flatnonzero(mask).tolist())) for mask in masks]
    texts = np.array([unit.text for unit in explanation.units], dtype=object)
    return [tuple(texts[mask].tolist()) for mask in masks]


def _draws(masks: NDArray[np.bool_], answered: Sequence[list[float]], ends: Mapping[str, list[float]]) -> Floats | None:
    """Effects of the draws of each mask ``(m, d)``, NaN where there are fewer; None where a mask has no answer.

    The full mask is answered by the repeats of the whole prompt, and the empty one may be f(0).
    """
    rows: list[list[float]] = []
    for mask, known in zip(masks, answered, strict=True):
        row = known or (ends["repeat"] if mask.all() else ends["empty"] if not mask.any() else [])
        if not row:
            return None
        rows.append(row)
    found = np.full((len(rows), max(map(len, rows))), np.nan)
    for place, row in enumerate(rows):
        found[place, : len(row)] = row
    return found


def _estimated(rebuilt: Rebuilt, draws: Floats, ends: Mapping[str, list[float]]) -> Reread | None:
    """The estimate that a run of its own would have made of these effects; the middle and half width of its interval.

    The middle, not the value of less squared error: differences are compared with half widths.
    """
    explanation, before = rebuilt.explanation, rebuilt.observed
    known = explanation.noise.source == "none"
    observed = replace(before, values=np.nanmean(draws, axis=1))
    if before.total is not None:
        if not ends["repeat"] or not ends["empty"]:
            return None
        observed = replace(observed, total=float(np.mean(ends["repeat"])) - float(np.mean(ends["empty"])))
    share = observed.masks.mean(axis=1)
    noise = measure(draws, known=known, speaks=share < 1.0, kept=share)
    observed = replace(observed, noise=noise, draws=draws, whole=np.array(ends["repeat"]), known=known)
    options = PromptOptions(estimand=cast("EstimandName", explanation.estimand), keep=explanation.keep)
    plan = Plan(options=options, surrogate=rebuilt.surrogate)
    found = estimate_from(observed, plan, explanation.seed).interval
    if found is None:
        return None
    return Reread((found.low + found.high) / 2.0, (found.high - found.low) / 2.0, len(np.unique(observed.groups)))
