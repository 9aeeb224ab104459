"""What a cheap model did beside the dear one, as estimators read it. METHODS A3.

Asked by `whygen.prompt.ask_proxy`, kept in the evidence, and put beside the surrogate here: the estimate of a run and
that of a saved explanation take the same road.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from whygen.errors import UsageError
from whygen.prompt.effects import Effects
from whygen.prompt.estimands import load_estimand
from whygen.prompt.intervals import Estimate
from whygen.prompt.options import PromptOptions
from whygen.prompt.surrogates import Proxied, Proxy, Surrogate
from whygen.results.evidence import ProxyEvidence
from whygen.results.records import ProxyRecord
from whygen.stats.intervals import student_half_width
from whygen.types import Floats, Masks

FEWEST = 64
"""The fewest answers of a proxy that say more than the model's own masks do."""


class ProxyAnswers(NamedTuple):
    """Which proxy was asked, how many answers it gave, and what they say."""

    uri: str
    calls: int
    evidence: ProxyEvidence


def check_proxy(options: PromptOptions) -> None:
    """Refuse what a proxy cannot help with, before anything is opened.

    Raises:
        UsageError: naming what to leave out.
    """
    if options.proxy is None:
        raise UsageError(f"proxy_budget={options.proxy_budget} goes with proxy: name one, or leave it out.")
    if options.proxy_budget < FEWEST:
        raise UsageError(f"proxy_budget={options.proxy_budget}: give a whole number of at least {FEWEST}.")
    wrong = {
        f"estimand={options.estimand!r}": not load_estimand(options.estimand).scored,
        f"distribution={options.distribution!r}": options.distribution is not None,
        f"irrelevant={options.irrelevant!r}": options.irrelevant != "count",
        f"hierarchy={options.hierarchy!r}": options.hierarchy is not None,
        "a design of your own": options.design != "auto",
    }
    if found := [what for what, is_so in wrong.items() if is_so]:
        raise UsageError(
            f"proxy does not go with {' or '.join(found)}: it predicts mean effects of masks that whygen draws for "
            "Banzhaf or Shapley values. Leave one of them out."
        )


def proxy_evidence(apart: Effects, estimate: Estimate, *, masks: Masks, effects: Floats) -> ProxyEvidence | None:
    """What a proxy did; None where nothing changed what it said, so that there is no interval.

    Args:
        apart: masks that it alone was asked.
        estimate: of these.
        masks: of the model that is explained, shape ``(m, n)``.
        effects: of the proxy there, shape ``(m,)``.
    """
    if estimate.interval is None or not np.ptp(apart.values):
        return None
    low, high = estimate.interval.low, estimate.interval.high
    normal = float(student_half_width(np.ones(1), 1e6)[0])
    return ProxyEvidence(
        masks=masks, effects=effects, apart=apart.masks, apart_effects=apart.values, attributions=(low + high) / 2.0,
        standard=(high - low) / 2.0 / normal, keep=apart.keep, sizes=apart.sizes, kept=apart.kept, total=apart.total,
    )  # fmt: skip


def with_proxy(surrogate: Surrogate, evidence: ProxyEvidence | None) -> Surrogate:
    """The surrogate with the proxy's answers beside it; as it is where there are none, or they say nothing."""
    if evidence is None:
        return surrogate
    apart = Effects(
        evidence.apart, evidence.apart_effects, np.arange(len(evidence.apart)) // 2, evidence.keep,
        sizes=evidence.sizes, total=evidence.total, kept=evidence.kept,
    )  # fmt: skip
    told = ~np.isnan(evidence.effects)
    pairs = zip(evidence.masks[told], evidence.effects[told].tolist(), strict=True)
    known = {mask.tobytes(): effect for mask, effect in pairs}
    fitted = cache(lambda: surrogate.fit(apart))
    proxy = Proxy(known, evidence.attributions, evidence.standard, evidence.total, len(apart) // 2, fitted)
    return Proxied(surrogate, proxy)


def proxy_record(answers: ProxyAnswers, effects: Effects, estimate: Estimate) -> ProxyRecord:
    """What the proxy was good for: how it goes with the model, and how wide the intervals are beside those without it.

    Args:
        answers: of the proxy.
        effects: of the model.
        estimate: with the proxy.
    """
    said = _correlation(answers.evidence, effects)
    limits, width = estimate.interval, None
    without = estimate.without or limits  # where nothing was fitted, the proxy had no part
    if limits is not None and without is not None and (own := float((without.high - without.low).mean())):
        width = float((limits.high - limits.low).mean()) / own
    return ProxyRecord(model=answers.uri, calls=answers.calls, correlation=said, weight=estimate.weight, width=width)


def _correlation(evidence: ProxyEvidence, effects: Effects) -> float | None:
    """Of the effects of both models on the masks that both answered; None where one of them never changes."""
    known = dict(zip((mask.tobytes() for mask in evidence.masks), evidence.effects.tolist(), strict=True))
    other: Floats = np.array([known.get(mask.tobytes(), np.nan) for mask in effects.masks], dtype=np.float64)
    both = ~np.isnan(other)
    own, other = effects.values[both], other[both]
    if len(own) < 3 or not np.ptp(own) or not np.ptp(other):
        return None
    return float(np.corrcoef(own, other)[0, 1])
