"""What can be said of an explanation by texts from its own record. METHODS B6; no call is made.

``groups``: the share of each group, and the estimated share of what is known by heart. ``false_alarms``: held-out texts
in the place of the anchors, of which none should be called. ``stability``: how often a call depends on which twins were
made. ``memorisation``: training against held-out texts, where anchors have roles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from whygen.anchors.texts import reading
from whygen.anchors.texts.measured import TextSide
from whygen.anchors.texts.telling import levels_of, scores_of, sides_of
from whygen.errors import UsageError
from whygen.evaluation.case import percentiles
from whygen.evaluation.result import Measure
from whygen.results.texts import TextAnchorExplanation
from whygen.stats.seeds import generator

HALVES = 20
"""Random halves behind a rate of false alarms, and behind a flip rate."""
FEWEST = 20
"""Held-out texts that can be halved."""


def groups(explanation: TextAnchorExplanation, seed: int) -> list[Measure]:
    """Shares of the groups, and of what is known by heart, called or not."""
    del seed
    rows = [
        Measure(
            metric="groups", name=f"share_{name.replace(' ', '_')}", value=group.share, low=group.low, high=group.high,
            n=explanation.counted, better="neither", how="share of texts. Interval: other texts (Wilson)",
        )
        for name, group in explanation.groups.items()
        if group.measured
    ]  # fmt: skip
    known = [
        Measure(
            metric="groups", name=f"known_by_heart_by_{each.kind.replace(', ', '_').replace(' ', '_')}",
            value=each.estimate, low=each.low, high=each.high, chance=0.0, n=each.n, better="neither",
            how="estimated share that is known by heart, called or not. The lower end holds whatever the texts look "
            "like. Chance: none is",
        )
        for each in explanation.contrasts
    ]  # fmt: skip
    return [*rows, *known]


def false_alarms(explanation: TextAnchorExplanation, seed: int) -> list[Measure]:
    """How many held-out texts are called known by heart where they stand in the place of the anchors.

    Raises:
        UsageError: if there are too few of them.
    """
    scores = scores_of(explanation)
    _, held = sides_of(scores)
    levels = levels_of(explanation, scores)
    known = [] if held is None or levels.role != "held-out" else held.scored()
    if held is None or len(known) < FEWEST:
        raise UsageError(f"false_alarms needs a held-out reference of {FEWEST} scored texts; this has {len(known)}.")
    rng, shares = generator(seed, "false alarms"), list[float]()
    for _ in range(HALVES):
        order = rng.permutation(known).tolist()
        anchors, others = (_part(held, rows) for rows in (order[::2], order[1::2]))
        shares.append(float(_called(anchors, others, levels).mean()))
    low, high = percentiles(np.array(shares))
    return [
        Measure(
            metric="false_alarms", name="held_out_called", value=float(np.mean(shares)), low=low, high=high,
            chance=explanation.fdr, n=len(known) // 2, better="lower",
            how=f"share of held-out texts called known by heart: half of them as anchors, half as the reference, "
            f"{HALVES} times. Interval: of the halves. Chance: the false discovery rate asked for, which bounds it",
        )
    ]  # fmt: skip


def stability(explanation: TextAnchorExplanation, seed: int) -> list[Measure]:
    """How often a text is called otherwise by half of the twins.

    Raises:
        UsageError: if there are no twins to halve.
    """
    scores = scores_of(explanation)
    anchors, held = sides_of(scores)
    levels = levels_of(explanation, scores)
    most = max((len(twins) for twins in anchors.twins), default=0)
    if most < 4:
        raise UsageError(f"stability halves the twins, and texts have {most}: explain with twins=9.")
    counted = anchors.scored()
    usual = _called(anchors, held, levels)[counted]
    rng, flips = generator(seed, "twins halved"), np.zeros((HALVES, len(counted)))
    for place in range(HALVES):
        kept = rng.permutation(most)[: most // 2].tolist()
        halved = [None if each is None else _with_twins(each, kept) for each in (anchors, held)]
        if halved[0] is not None:
            flips[place] = _called(halved[0], halved[1], levels)[counted] != usual
    low, high = percentiles(flips.mean(axis=1))
    share = float(usual.mean()) if len(usual) else 0.0
    return [
        Measure(
            metric="stability", name="call_flips", value=float(flips.mean()), low=low, high=high,
            chance=2 * share * (1 - share), n=len(counted), better="lower",
            how=f"how often a text is called otherwise by {most // 2} of its {most} twins, drawn {HALVES} times; fewer "
            "twins call fewer. Interval: of the draws. Chance: two sets of calls drawn by their share",
        )
    ]  # fmt: skip


def memorisation(explanation: TextAnchorExplanation, seed: int) -> list[Measure]:
    """Training against held-out texts.

    Raises:
        UsageError: if anchors have no roles, or held-out texts are too few.
    """
    del seed
    found = explanation.memorisation
    if found is None:
        raise UsageError("memorisation needs training and held-out texts: explain with roles.")
    return [
        Measure(
            metric="memorisation", name=f"auroc_{each.criterion.replace(' ', '_')}", value=each.auroc.area,
            low=each.auroc.low, high=each.auroc.high, chance=0.5, n=found.n_training, better="neither",
            how="chance that a training text is better known than a held-out one. Interval: other texts",
        )
        for each in found.criteria
    ]  # fmt: skip


def _called(anchors: TextSide, reference: TextSide | None, levels: reading.Levels) -> NDArray[np.bool_]:
    found, _ = reading.contrasts(anchors, reference, levels)
    told = reading.verdicts(found, len(anchors.ready), levels)
    return np.array([each.called for each in told], np.bool_)


def _part(side: TextSide, rows: list[int]) -> TextSide:
    continued = {place: side.continued[row] for place, row in enumerate(rows) if row in side.continued}
    return replace(
        side, ready=[side.ready[row] for row in rows], twins=[side.twins[row] for row in rows], continued=continued
    )  # fmt: skip


def _with_twins(side: TextSide, kept: list[int]) -> TextSide:
    return replace(side, twins=[tuple(twins[k] for k in kept if k < len(twins)) for twins in side.twins])


METRICS: Mapping[str, Callable[[TextAnchorExplanation, int], list[Measure]]] = {
    "groups": groups,
    "false_alarms": false_alarms,
    "stability": stability,
    "memorisation": memorisation,
}
