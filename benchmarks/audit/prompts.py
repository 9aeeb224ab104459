# pyright: basic
"""What gSMILE computes, measured on its recorded run: 63 distinct masks of six words, answered by a real model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

import whygen
from whygen.distances.sets import optimal_transport
from whygen.distances.vectors import cosine
from whygen.encoders import TextEncoder
from whygen.lab import gsmile
from whygen.results.prompt import PromptExplanation
from whygen.stats.seeds import generator
from whygen_experiments.gsmile_life import RecordedDistance, RecordedRun, by_default, load_run, paired

Numbers = NDArray[np.float64]
Row = dict[str, Any]
REPLICATES = 1000
SPLITS = 500
BUDGETED = 100
"""Explanations from a part of the recorded pairs."""
PAIRS = 20
TOP = 2
ANAGRAMS = (
    ("make it snow", "make it wons"),
    ("turn the dog into a god", "turn the god into a dog"),
    ("listen to the night", "silent to the thing"),
    ("make it snow", "make it rain"),
)


@dataclass(frozen=True, slots=True)
class Effects:
    """The run as the published surrogate takes it; rows of one mask share a group."""

    masks: NDArray[np.bool_]
    target: Numbers
    weights: Numbers
    groups: NDArray[np.int64]

    def rows(self, groups: NDArray[np.int64]) -> Effects:
        """Rows of these groups, as often as they are named."""
        index = np.concatenate([np.flatnonzero(self.groups == each) for each in groups])
        return Effects(self.masks[index], self.target[index], self.weights[index], self.groups[index])

    @property
    def count(self) -> int:
        return int(self.groups.max()) + 1

    def coefficients(self) -> Numbers:
        return gsmile.fit(self.masks, self.target, self.weights).coefficients


def observed(run: RecordedRun) -> Effects:
    groups = np.unique(run.masks, axis=0, return_inverse=True)[1].ravel()
    return Effects(run.masks, gsmile.similarity(run.output_distances), gsmile.kernel(run.prompt_distances), groups)


def findings(seed: int) -> dict[str, list[Row]]:
    """Every figure of the prompt side."""
    run = load_run()
    encoder = _encoder()
    default = by_default(run)
    return {
        "fidelity": fidelity(run, default, generator(seed, "fidelity")),
        "coefficients": coefficients(run, default, generator(seed, "coefficients")),
        "budgeted": [budgeted(run, generator(seed, "budgeted"))],
        "stability": stability(run, generator(seed, "stability")),
        "sent": sent(run),
        "coordinates": coordinates(run, encoder, generator(seed, "coordinates")),
        "ranking": ranking(run, encoder, generator(seed, "ranking")),
        "characters": characters(encoder),
    }


def _encoder() -> TextEncoder:
    from whygen.encoders import load_text_encoder

    return load_text_encoder()


def spread(values: Numbers, centre: float | None = None) -> Row:
    """A figure and the middle 95% of its replicates."""
    low, high = np.percentile(values, [2.5, 97.5])
    return {"mean": float(np.mean(values) if centre is None else centre), "low": float(low), "high": float(high)}


def fidelity(
    run: RecordedRun, default: PromptExplanation, rng: np.random.Generator, *, replicates: int = REPLICATES
) -> list[Row]:
    """In-sample and left-out R2 of the surrogate, on the run and on effects dealt out anew among its masks.

    The interval of the left-out figure is a bootstrap over masks of its squared errors, predictions held.
    """
    data = observed(run)
    dealt = [replace(data, target=rng.permutation(data.target)) for _ in range(replicates)]
    inside, outside = _insample(data), left_out(data)
    predicted = _left_out_predictions(data)
    draws = [_resampled(data, predicted, rng) for _ in range(replicates)]
    chance_inside = np.array([_insample(each) for each in dealt])
    chance_outside = np.array([left_out(each) for each in dealt[: replicates // 5]])
    own = default.fidelity
    return [
        {"figure": "weighted R2, in sample", "gSMILE": inside, "on dealt-out effects": spread(chance_inside),
         "whygen's default": own.r2_insample, "default, dealt out": own.r2_chance},
        {"figure": "R2 on masks left out", "gSMILE": spread(np.array(draws), outside),
         "on dealt-out effects": spread(chance_outside), "whygen's default": own.r2_heldout,
         "default, dealt out": None},
    ]  # fmt: skip


def _insample(data: Effects) -> float:
    return gsmile.fit(data.masks, data.target, data.weights).weighted_r2


def left_out(data: Effects) -> float:
    """Weighted R2 of predictions for each mask by a surrogate that has not seen it."""
    return weighted_r2(data, _left_out_predictions(data))


def _left_out_predictions(data: Effects) -> Numbers:
    predicted = np.empty(len(data.target))
    for group in range(data.count):
        out = data.groups == group
        found = gsmile.fit(data.masks[~out], data.target[~out], data.weights[~out])
        predicted[out] = found.intercept + data.masks[out] @ found.coefficients
    return predicted


def weighted_r2(data: Effects, predicted: Numbers) -> float:
    mean = np.average(data.target, weights=data.weights)
    error = data.weights @ (data.target - predicted) ** 2
    return float(1 - error / (data.weights @ (data.target - mean) ** 2))


def _resampled(data: Effects, predicted: Numbers, rng: np.random.Generator) -> float:
    groups = rng.integers(data.count, size=data.count)
    index = np.concatenate([np.flatnonzero(data.groups == each) for each in groups])
    return weighted_r2(
        Effects(data.masks[index], data.target[index], data.weights[index], data.groups[index]), predicted[index]
    )


def coefficients(
    run: RecordedRun, default: PromptExplanation, rng: np.random.Generator, *, replicates: int = REPLICATES
) -> list[Row]:
    """The six coefficients with bootstrap intervals over masks, and the default's attributions on the same answers."""
    data = observed(run)
    draws = np.array([data.rows(rng.integers(data.count, size=data.count)).coefficients() for _ in range(replicates)])
    limits = np.percentile(draws, [2.5, 97.5], axis=0)
    return [
        {"word": unit.text, "coefficient": {"mean": float(value), "low": float(low), "high": float(high)},
         "excludes zero": "yes" if low > 0 or high < 0 else "no", "whygen's default": unit.attribution}
        for unit, value, low, high in zip(default.units, data.coefficients(), *limits, strict=True)
    ]  # fmt: skip


def budgeted(run: RecordedRun, rng: np.random.Generator, *, repeats: int = BUDGETED) -> Row:
    """How often 95% intervals of the default from some recorded pairs hold its value from all of them."""
    whole = np.array(_attributions(_from_pairs(run, None)))
    held, closeness = [], []
    for _ in range(repeats):
        found = _from_pairs(run, rng.choice(len(whole_pairs(run)), PAIRS, replace=False))
        held.append([_holds(unit.low, unit.high, truth) for unit, truth in zip(found.units, whole, strict=True)])
        closeness.append(ruzicka(np.array(_attributions(found)), whole))
    shares = np.mean(held, axis=1)
    draws = np.array([rng.choice(shares, len(shares)).mean() for _ in range(REPLICATES)])
    return {
        "pairs of": f"{PAIRS} of {len(whole_pairs(run))}", "explanations": repeats,
        "intervals that hold the value of all pairs": spread(draws, float(shares.mean())),
        "Ruzicka with all pairs": spread(np.array(closeness)),
    }  # fmt: skip


def _holds(low: float | None, high: float | None, truth: float) -> bool:
    return low is not None and high is not None and low <= truth <= high


def whole_pairs(run: RecordedRun) -> NDArray[np.int64]:
    return np.unique(paired(run).groups)


def _from_pairs(run: RecordedRun, chosen: NDArray[np.int64] | None) -> PromptExplanation:
    """The default on these recorded complement pairs; the recorded distances are its target."""
    design = paired(run)
    rows = np.arange(len(design.masks)) if chosen is None else np.flatnonzero(np.isin(design.groups, chosen))
    prompts = design.prompts or ()
    part = replace(
        design, masks=design.masks[rows], groups=np.arange(len(rows)) // 2, prompts=tuple(prompts[row] for row in rows)
    )
    known = {run.reference: 0.0, **dict(zip(run.outputs, run.output_distances.tolist(), strict=True))}
    return whygen.explain_prompt(
        run.answer, run.prompt, budget=len(rows) + 5, units="whitespace", design=part, empty="exclude",
        target=RecordedDistance(known), cache=None,
    )  # fmt: skip


def _attributions(explanation: PromptExplanation) -> list[float]:
    return [unit.attribution for unit in explanation.units]


def ruzicka(a: Numbers, b: Numbers) -> float:
    """The published stability: sum of the smaller over sum of the larger absolute values."""
    return float(np.minimum(abs(a), abs(b)).sum() / np.maximum(abs(a), abs(b)).sum())


def top_jaccard(a: Numbers, b: Numbers, *, top: int = TOP) -> float:
    one, other = (set(np.argsort(-abs(each))[:top].tolist()) for each in (a, b))
    return len(one & other) / len(one | other)


def stability(
    run: RecordedRun, rng: np.random.Generator, *, splits: int = SPLITS, defaults: int = BUDGETED
) -> list[Row]:
    """Agreement of two explanations of the same prompt from different masks, beside what chance gives."""
    data = observed(run)

    def halves() -> tuple[Numbers, Numbers]:
        order = rng.permutation(data.count)
        cut = data.count // 2
        return data.rows(order[:cut]).coefficients(), data.rows(order[cut:]).coefficients()

    def designs() -> tuple[Numbers, Numbers]:
        one, other = (rng.choice(data.count, 30, replace=False) for _ in range(2))
        return data.rows(one).coefficients(), data.rows(other).coefficients()

    def nothing() -> tuple[Numbers, Numbers]:
        return rng.standard_normal(data.masks.shape[1]), rng.standard_normal(data.masks.shape[1])

    def default_halves() -> tuple[Numbers, Numbers]:
        order = rng.permutation(whole_pairs(run))
        cut = len(order) // 2
        one, other = (_attributions(_from_pairs(run, half)) for half in (order[:cut], order[cut : 2 * cut]))
        return np.array(one), np.array(other)

    made: dict[str, tuple[int, Callable[[], tuple[Numbers, Numbers]]]] = {
        "gSMILE, two halves of the 63 masks": (splits, halves),
        "gSMILE, two draws of 30 masks": (splits, designs),
        "two random vectors": (splits, nothing),
        "whygen's default, two halves of the 31 pairs": (defaults, default_halves),
    }
    rows = []
    for name, (count, make) in made.items():
        both = [make() for _ in range(count)]
        rows.append({
            "explanations": name, "repeats": count, "Ruzicka": spread(np.array([ruzicka(*each) for each in both])),
            f"top-{TOP} Jaccard": spread(np.array([top_jaccard(*each) for each in both])),
        })  # fmt: skip
    return rows


def sent(run: RecordedRun) -> list[Row]:
    """What was sent for each mask, beside what the mask says."""
    words = run.prompt.split()
    kept = [[w for w, keep in zip(words, mask, strict=True) if keep] for mask in run.masks]
    texts = [prompt.split() for prompt in run.prompts]
    both = list(zip(kept, texts, strict=True))
    weights = gsmile.kernel(run.prompt_distances)
    removed = ~run.masks.all(axis=1)
    counts = {
        "prompts sent": len(texts),
        "masks that repeat another": len(texts) - len({mask.tobytes() for mask in run.masks}),
        "other words than the mask says (fillers)": sum(Counter(a) != Counter(b) for a, b in both),
        "same words in another order": sum(a != b and Counter(a) == Counter(b) for a, b in both),
        "exactly the words of the mask, in order": sum(a == b for a, b in both),
        "words removed, yet input distance 0 and weight 1": int((removed & (run.prompt_distances == 0)).sum()),
    }  # fmt: skip
    effective = float(weights.sum() ** 2 / (weights @ weights))
    return [
        *({"what": name, "of the run": count} for name, count in counts.items()),
        {"what": "effective sample size of the weights", "of the run": effective},
    ]


def coordinates(run: RecordedRun, encoder: TextEncoder, rng: np.random.Generator) -> list[Row]:
    """The one-dimensional Wasserstein distance between coordinate values, in thousandths, beside the cosine distance.

    On vectors made from that of the reference answer, whose relation to it is known, and on the recorded answers.
    """
    whole = np.asarray(encoder.sentences([run.reference])[0], dtype=np.float64)
    vectors = np.asarray(encoder.sentences(run.outputs), dtype=np.float64)

    def median(some: Numbers) -> float:
        return 1000 * float(np.median([gsmile.coordinate_wasserstein(whole, each) for each in some]))

    compared = {
        "its own coordinates, shuffled": rng.permutation(whole)[None],
        "the opposite vector": -whole[None],
        f"the {len(vectors)} answers, median": vectors,
    }
    return [
        {
            "compared with": name,
            "coordinate Wasserstein (thousandths)": median(some),
            "cosine distance": float(np.median(cosine(some, whole))),
        }
        for name, some in compared.items()
    ]


def ranking(run: RecordedRun, encoder: TextEncoder, rng: np.random.Generator) -> list[Row]:
    """How distances between pooled vectors rank the distinct answers, beside exact transport between their tokens."""
    outputs = sorted(set(run.outputs))
    whole = np.asarray(encoder.sentences([run.reference])[0], dtype=np.float64)
    vectors = np.asarray(encoder.sentences(outputs), dtype=np.float64)
    moved = optimal_transport(encoder.tokens(outputs), encoder.tokens([run.reference])[0])
    by = {
        "coordinate Wasserstein": np.array([gsmile.coordinate_wasserstein(whole, each) for each in vectors]),
        "cosine": cosine(vectors, whole),
    }
    return [
        {"distance": name, "answers": len(outputs), "rank correlation with transport": _rank(values, moved, rng)}
        for name, values in by.items()
    ]


def _rank(a: Numbers, b: Numbers, rng: np.random.Generator, *, replicates: int = REPLICATES) -> Row:
    draws = [rng.integers(len(a), size=len(a)) for _ in range(replicates)]
    rank: Any = spearmanr
    return spread(np.array([rank(a[d], b[d])[0] for d in draws]), float(rank(a, b)[0]))


def characters(encoder: TextEncoder | None) -> list[Row]:
    """Transport between the characters of two prompts: 0 for equal counts of letters, whatever a letter costs to move.

    A cost of 1 between different characters stands for any; transport between words is beside it.
    """
    rows = []
    for one, other in ANAGRAMS:
        shares = [Counter(text) for text in (one, other)]
        common = sum(min(shares[0][c] / len(one), shares[1][c] / len(other)) for c in set(one) | set(other))
        distance = max(0.0, 1.0 - common)
        row: Row = {"prompt": one, "other prompt": other, "between characters": 0.0 if distance < 1e-12 else distance}
        if encoder is not None:
            a, b = encoder.tokens([one, other])
            row["between token embeddings"] = float(optimal_transport([a], b)[0])
        rows.append(row)
    return rows
