"""The estimate behind a saved explanation, made again from its evidence: same masks, same surrogate, no call.

What an explanation keeps suffices for every estimand but `local` under a kernel that read the prompts; that is found
out by comparing with what was recorded, and refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from whygen.errors import UnknownNameError, UsageError
from whygen.prompt import intervals
from whygen.prompt.effects import Effects
from whygen.prompt.estimands import load_estimand
from whygen.prompt.kernels import WeightedLeastSquares
from whygen.prompt.proxy import with_proxy
from whygen.prompt.saved import effects_of
from whygen.prompt.surrogates import Remembers, Surrogate, load_surrogate, one_thread
from whygen.results.prompt import PromptExplanation
from whygen.stats.seeds import generator
from whygen.types import Floats

CLOSE = 1e-6
"""What is rebuilt agrees with what was recorded to this share of the largest value."""

ROUNDS = 20
"""Times that effects are shuffled, to see what comes by chance."""


def attributions(explanation: PromptExplanation) -> Floats:
    """Attributions, shape ``(n,)``."""
    return np.array([unit.attribution for unit in explanation.units], dtype=np.float64)


class Shuffled(NamedTuple):
    """Effects shuffled over the masks, and what the explanation would have been of them."""

    effects: Effects
    estimate: intervals.Estimate


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What the explanation was estimated from, and how."""

    explanation: PromptExplanation
    observed: Effects
    surrogate: Surrogate

    def estimate(self, observed: Effects, seed: int) -> intervals.Estimate:
        """The explanation's estimand from other effects on its masks, or on fewer of them."""
        estimand = load_estimand(self.explanation.estimand)
        if not estimand.samples:  # differences from f(1)
            observed = replace(observed, whole=np.array([whole_effect(self.explanation)]))
        if self.explanation.masks == "enumerated":
            return estimand.from_all(observed)
        return estimand.from_drawn(observed, self.surrogate, generator(seed, "folds"))

    def shuffled(self, seed: int) -> tuple[Shuffled, ...]:
        """The explanation estimated again `ROUNDS` times from effects that say nothing, for every figure's chance.

        This is what takes time: each round fits a surrogate to every fold. One set of rounds serves all figures.

        Raises:
            UsageError: if groups have different sizes.
        """
        rng = generator(seed, "randomisation")
        every = [self.permuted(rng) for _ in range(ROUNDS)]
        with one_thread():
            return tuple(Shuffled(effects, self.estimate(effects, seed)) for effects in every)

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
    evidence = explanation.evidence
    surrogate = with_proxy(_surrogate(explanation, metric), None if evidence is None else evidence.proxy)
    kept = surrogate.remembering() if isinstance(surrogate, Remembers) else surrogate
    rebuilt = Rebuilt(explanation, effects_of(explanation, metric), kept)
    if explanation.recipe is None and load_estimand(explanation.estimand).weighted:
        _check_kernel(rebuilt, metric)
    return rebuilt


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
    again, recorded = rebuilt.estimate(rebuilt.observed, 0).attributions, attributions(rebuilt.explanation)
    if np.abs(again - recorded).max() > CLOSE * max(float(np.abs(recorded).max()), 1e-300):
        raise UsageError(
            f"{metric} needs the weight of each mask, and an explanation keeps it for kernel='dropped' alone. Explain "
            "with that kernel, or with estimand='banzhaf'."
        )
