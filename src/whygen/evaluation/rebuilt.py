"""The estimate behind a saved explanation, made again from its evidence: same masks, same surrogate, no call.

What an explanation keeps suffices for every estimand but `local` under a kernel that read the prompts; that is found
out by comparing with what was recorded, and refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whygen.errors import UnknownNameError, UsageError
from whygen.prompt import designs, exact, intervals
from whygen.prompt.effects import Effects
from whygen.prompt.kernels import Dropped
from whygen.prompt.surrogates import Surrogate, load_surrogate
from whygen.prompt.weighted import WeightedLeastSquares
from whygen.results.prompt import Evidence, PromptExplanation
from whygen.stats.seeds import generator
from whygen.types import Floats

CLOSE = 1e-6
"""What is rebuilt agrees with what was recorded to this share of the largest value."""


def evidence_of(explanation: PromptExplanation, metric: str) -> Evidence:
    """The arrays and samples.

    Raises:
        UsageError: if the explanation came without them.
    """
    if explanation.evidence is None or not len(explanation.evidence.effects):
        raise UsageError(
            f"{metric} needs the masks and answers, and this explanation has none: it was loaded from its JSON file "
            "alone, or explained part by part. Load the folder that -o or save() wrote, or explain without hierarchy."
        )
    return explanation.evidence


def attributions(explanation: PromptExplanation) -> Floats:
    """Attributions, shape ``(n,)``."""
    return np.array([unit.attribution for unit in explanation.units], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What the explanation was estimated from, and how."""

    explanation: PromptExplanation
    observed: Effects
    surrogate: Surrogate

    def estimate(self, observed: Effects, seed: int) -> Floats:
        """Attributions of the explanation's estimand from other effects on its masks (or fewer of them), ``(n,)``."""
        estimand = self.explanation.estimand
        if estimand == "loo":
            return exact.leave_one_out_estimate(observed, np.array([whole_effect(self.explanation)])).attributions
        if estimand == "local":
            return intervals.local_estimate(observed).attributions
        if self.explanation.masks == "enumerated":
            return exact.complete_estimate(observed, estimand=estimand).attributions
        rng = generator(seed, "folds")
        fit = intervals.cross_fit(observed, self.surrogate, rng)
        if observed.total is not None:
            return intervals.shapley_estimate(fit, observed, rng).attributions
        return intervals.sampled_estimate(fit, rng).attributions

    def permuted(self, rng: np.random.Generator) -> Effects:
        """The same masks with the effects of whole groups shuffled, and those in a group: an explanation says nothing.

        Groups that were shuffled alone would keep what the first masks of all pairs have over the second ones, which
        the explanation rests on: shuffled and own attributions then correlate by one over the number of groups.

        Raises:
            UsageError: if groups have different sizes.
        """
        observed = self.observed
        order = np.argsort(observed.groups, kind="stable")
        groups = len(np.unique(observed.groups))
        if len(order) % groups:
            raise UsageError("Groups of masks have different sizes: their effects cannot be shuffled.")
        blocks = observed.values[order].reshape(groups, -1)
        dealt = np.empty(len(observed))
        dealt[order] = rng.permuted(blocks[rng.permutation(groups)], axis=1).ravel()
        return observed.with_values(dealt)


def whole_effect(explanation: PromptExplanation) -> float:
    """f(1): the mean effect of the repeats of the whole prompt.

    Raises:
        UsageError: if no repeat was recorded.
    """
    samples = () if explanation.evidence is None else explanation.evidence.samples
    repeats = [sample.effect for sample in samples if sample.kind == "repeat" and sample.effect is not None]
    if not repeats:
        raise UsageError("The explanation records no repeat of the whole prompt. Explain again with this version.")
    return float(np.mean(repeats))


def rebuild(explanation: PromptExplanation, metric: str) -> Rebuilt:
    """What the explanation was estimated from.

    Raises:
        UsageError: if that was not kept: no evidence, a surrogate or a kernel of one's own.
    """
    evidence = evidence_of(explanation, metric)
    observed = Effects(
        evidence.masks,
        evidence.effects,
        evidence.groups,
        explanation.keep,
        _sizes(explanation),
        float(attributions(explanation).sum()) if explanation.estimand == "shapley" else None,
        Dropped().weights(evidence.masks, (), "") if explanation.estimand == "local" else None,
        _numbers(explanation, evidence.masks),
        _drawn_from(explanation),
    )
    rebuilt = Rebuilt(explanation, observed, _surrogate(explanation, metric))
    if explanation.estimand == "local":
        _check_kernel(rebuilt, metric)
    return rebuilt


def _sizes(explanation: PromptExplanation) -> Floats | None:
    if explanation.estimand != "shapley" or explanation.masks == "enumerated":
        return None
    if explanation.design == designs.LAYERED and explanation.evidence is not None:
        masks = explanation.evidence.masks
        drawn = designs.by_layers(masks.shape[1], len(masks), _any()) if masks.shape[1] > 2 else None
        return drawn.sizes if drawn and len(drawn.masks) == len(masks) else designs.law_of_sizes(masks)[1:-1]
    law = "kernel" if "(kernel)" in explanation.design else "leverage"
    return designs.size_law(len(explanation.units), law)


def _any() -> np.random.Generator:
    """For a design that is drawn for its law alone, which no draw changes."""
    return np.random.default_rng(0)


def _numbers(explanation: PromptExplanation, masks: NDArray[np.bool_]) -> Floats | None:
    """The chance of each number of kept units, where masks were drawn by it; of a part of a design, their shares."""
    if not explanation.design.startswith(designs.NUMBERED):
        return None
    drawn = designs.by_number(masks.shape[1], len(masks) - 1, _any(), keep=explanation.keep)
    return drawn.kept if len(drawn.masks) == len(masks) else designs.law_of_sizes(masks)


def _drawn_from(explanation: PromptExplanation) -> float:
    """How many masks there were, where none came twice."""
    n = len(explanation.units)
    if explanation.design == designs.LAYERED or explanation.design.startswith(designs.NUMBERED):
        return float(np.exp2(n))
    distinct = explanation.design in {"complement pairs", "independent masks"} and n <= designs.MAX_ENUMERATED
    return 2.0**n if distinct else math.inf


def _surrogate(explanation: PromptExplanation, metric: str) -> Surrogate:
    if explanation.surrogate == WeightedLeastSquares().name:
        return WeightedLeastSquares()
    try:
        return load_surrogate(explanation.surrogate or "pairs")
    except UnknownNameError:
        raise UsageError(
            f"{metric} fits the surrogate again, and {explanation.surrogate!r} is one of your own. Explain with one "
            "that whygen has, such as 'pairs'."
        ) from None


def _check_kernel(rebuilt: Rebuilt, metric: str) -> None:
    again, recorded = rebuilt.estimate(rebuilt.observed, 0), attributions(rebuilt.explanation)
    if np.abs(again - recorded).max() > CLOSE * max(float(np.abs(recorded).max()), 1e-300):
        raise UsageError(
            f"{metric} needs the weight of each mask, and an explanation keeps it for kernel='dropped' alone. Explain "
            "with that kernel, or with estimand='banzhaf'."
        )
