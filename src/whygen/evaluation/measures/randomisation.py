"""Model randomisation: an explanation of a model that learned nothing must be unrelated. METHODS A7.

Adebayo et al. 2018 (arXiv 1810.03292) re-initialise the weights. Of a black box there are none: ``answers`` deals the
recorded effects out anew over groups of masks, so that answers no longer depend on units, and estimates again; it costs
no call. ``model`` explains a model of the same kind that learned nothing: one that the person gives, or, of a model
that runs here and where the budget allows it, a copy with the values within every weight shuffled.

A figure is good when it is where chance is: the attributions then come from the model, not from the procedure.
"""

from __future__ import annotations

import numpy as np

from whygen.errors import UsageError
from whygen.evaluation.case import Case, Floats, Metric, mean_of, percentiles
from whygen.evaluation.compare import generalised_jaccard
from whygen.evaluation.measures import agreement
from whygen.evaluation.measures.fidelity import spearman
from whygen.evaluation.rebuilt import ROUNDS, attributions
from whygen.evaluation.result import LeftOut, Measure
from whygen.stats.seeds import generator

COPY = "copy"
"""What stands for a copy of the model with random weights."""


AUTOMATIC = "randomisation of weights"


def calls(case: Case) -> int:
    """One explanation where a randomised model was asked for; the automatic one is made if calls are left for it."""
    return 0 if case.randomised is None else case.lab.ask_calls()


def measure(case: Case) -> list[Measure]:
    """Likeness of the explanation to those of shuffled answers, and of a randomised model.

    Raises:
        UsageError: if a copy was asked for by name and there is none.
    """
    rows = _shuffled(case)
    try:
        return rows + _for(case, _random_model(case))
    except UsageError as error:
        if case.randomised is not None:
            raise
        case.left.append(LeftOut(metric=AUTOMATIC, reason=str(error)))
    return rows


def _random_model(case: Case) -> object:
    """What was given; else a copy of the explained model, if it may be asked.

    Raises:
        UsageError: if there is none; `BudgetError` if calls are missing.
    """
    if case.randomised not in (None, COPY):
        return case.randomised
    case.lab.require(case.lab.ask_calls(), AUTOMATIC)
    return case.lab.randomised(case.seed)


def _for(case: Case, model: object) -> list[Measure]:
    told = case.lab.explain(seed=case.explanation.seed, model=model)
    how = f"explained again for {told.model}, a model that learned nothing"
    pairs = [agreement.pair(case.explanation, told)]
    found = agreement.rows("randomisation", "model", pairs, seed=case.seed, how=how)
    return [row.model_copy(update={"better": "neither"}) for row in found]


def _shuffled(case: Case) -> list[Measure]:
    own = attributions(case.explanation)
    others = [one.estimate.attributions for one in case.shuffled("randomisation")]
    rng = generator(case.seed, "randomisation by chance")
    dealt = [rng.permutation(other) for other in others for _ in range(ROUNDS)]
    strength = [float(np.abs(other).sum() / max(np.abs(own).sum(), 1e-300)) for other in others]
    rows = [
        _row(
            "spearman_answers",
            np.array([spearman(own, o) for o in others]),
            np.array([spearman(own, d) for d in dealt]),
        ),
        _row(
            "generalised_jaccard_answers",
            np.array([generalised_jaccard(own, o) for o in others]),
            np.array([generalised_jaccard(own, d) for d in dealt]),
        ),
    ]
    low, high = percentiles(np.array(strength))
    rows.append(
        Measure(
            metric="randomisation", name="strength_answers", value=float(np.mean(strength)), low=low, high=high,
            n=ROUNDS, better="lower",
            how=f"sum of |attribution| of shuffled answers over that of the explanation; range over {ROUNDS} shuffles. "
            "What the procedure finds where nothing is to be found",
        )
    )  # fmt: skip
    return rows


def _row(name: str, values: Floats, chance: Floats) -> Measure:
    low, high = percentiles(values)
    span = percentiles(chance)
    return Measure(
        metric="randomisation", name=name, value=mean_of(values), low=low, high=high, chance=mean_of(chance),
        chance_low=span[0], chance_high=span[1], n=ROUNDS, better="neither",
        how=f"recorded effects shuffled over groups of masks, {ROUNDS} times, and estimated again; range over "
        "these. Should be at chance: the same attributions shuffled over units",
    )  # fmt: skip


METRIC = Metric("randomisation", calls, measure)
