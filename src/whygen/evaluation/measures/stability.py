"""Stability: what is left of an explanation when something changes that should not matter. METHODS A7.

``###``: it is appended to the prompt, always sent, never attributed; same seed. ``seed``: other masks (and other
samples, where the model samples). ``paraphrase``: the prompts that the person gives in other words; units are matched
by their text. ``reworded``: every unit that a lexicon or a paraphraser knows is said otherwise, units matched by place.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from whygen.errors import MissingError, UsageError
from whygen.evaluation.case import Case, Metric
from whygen.evaluation.measures import agreement
from whygen.evaluation.result import LeftOut, Measure
from whygen.prompt.operators import Operator, OperatorOptions, load_operator
from whygen.prompt.units import Units, split
from whygen.results.prompt import PromptExplanation

SUFFIX = " ###"

HELP = "Give paraphrases=[...] (the prompt in other words), lexicon= (words and others for them) or paraphraser=."


def seeds(case: Case) -> list[int]:
    """Seeds of further explanations, none of which is the explanation's own."""
    first = max(case.seed, case.explanation.seed) + 1
    return list(range(first, first + case.repeats))


def again(case: Case) -> list[PromptExplanation]:
    """The explanation by other seeds, which is asked for once in an evaluation."""
    if not case.again:
        case.again[:] = [case.lab.explain(seed=seed) for seed in seeds(case)]
    return case.again


def calls_again(case: Case) -> int:
    """Answers that the explanations by other seeds ask for, if that is still to be done."""
    return 0 if case.again else case.lab.ask_calls() * case.repeats


def calls(case: Case) -> int:
    """Explanations: by other seeds, with the suffix by each seed, and reworded."""
    reworded = len(case.paraphrases) + ("lexicon" in case.lab.choices) + ("paraphraser" in case.lab.choices)
    return case.lab.ask_calls() * (case.repeats + 1 + reworded) + calls_again(case)


def measure(case: Case) -> list[Measure]:
    """Agreement under each change."""
    own, others = case.explanation, again(case)
    by_seed = [agreement.pair(own, other) for other in others]
    rows = agreement.rows(
        "stability", "seed", by_seed, seed=case.seed, how=f"explained again by {case.repeats} other seeds"
    )
    try:
        rows += _suffixed(case, others)
    except UsageError as error:
        case.left.append(LeftOut(metric="stability under a suffix", reason=str(error)))
    changed, what = _paraphrased(case)
    if changed:
        rows += agreement.rows("stability", "paraphrase", changed, seed=case.seed, how=what)
    else:
        case.left.append(LeftOut(metric="stability under paraphrase", reason=what))
    return rows


def _suffixed(case: Case, others: Sequence[PromptExplanation]) -> list[Measure]:
    spans = [(unit.start, unit.end) for unit in case.explanation.units]
    prompt = case.explanation.prompt + SUFFIX
    suffixed = [
        case.lab.explain(seed=seed, prompt=prompt, units=spans) for seed in (case.explanation.seed, *seeds(case))
    ]
    pairs = [agreement.pair(one, two) for one, two in zip((case.explanation, *others), suffixed, strict=True)]
    how = f"'###' appended to the prompt, by the same seed, over {len(pairs)} seeds"
    return agreement.rows("stability", "suffix", pairs, seed=case.seed, how=how)


def _paraphrased(case: Case) -> tuple[list[agreement.Pair], str]:
    """Pairs with each paraphrase, and how they came about; no pair: why there is none."""
    explanation, lab = case.explanation, case.lab
    pairs = [
        agreement.pair(explanation, lab.explain(seed=explanation.seed, prompt=text, units=lab.kind()))
        for text in case.paraphrases
    ]
    ways = ["the given paraphrases"] if pairs else []
    for name, option in (("synonym", "lexicon"), ("paraphrase", "paraphraser")):
        if option not in lab.choices:
            continue
        try:
            operator = load_operator(name, OperatorOptions(**{option: lab.choices[option]}))
            pairs.append(agreement.pair(explanation, _reworded(case, operator)))
            ways.append(f"every unit that the {option} knows said otherwise")
        except (UsageError, MissingError) as error:
            case.left.append(LeftOut(metric=f"stability under {option}", reason=str(error)))
    return pairs, f"the prompt in other words: {', '.join(ways)}" if pairs else f"No paraphrase was given. {HELP}"


def _reworded(case: Case, operator: Operator) -> PromptExplanation:
    """The explanation of the prompt in which every unit is said otherwise, at the same places."""
    explanation, lab = case.explanation, case.lab
    units = split(explanation.prompt, [(unit.start, unit.end) for unit in explanation.units])
    ready = operator.prepare(units, lab.tools(case.seed))
    prompt, spans = reworded(units, ready.parts(units, np.zeros(len(units), dtype=bool)))
    return lab.explain(seed=explanation.seed, prompt=prompt, units=spans)


def reworded(units: Units, parts: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """The prompt of these parts, and the visible characters of each unit in it."""
    spans: list[tuple[int, int]] = []
    place = 0
    for piece, part in zip(units.pieces, parts, strict=True):
        if piece.unit is not None:
            lead, trail = piece.core - piece.start, piece.end - piece.stop
            spans.append((place + lead, place + len(part) - trail))
        place += len(part)
    return "".join(parts), spans


METRIC = Metric("stability", calls, measure)
