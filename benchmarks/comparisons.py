"""Does `compare` find changes in an unchanged model, and a change where there is one?

A model that samples is explained twice, with other seeds, and the two explanations are compared: the share of
comparisons with a finding should be at most 5%. The control is the same model deaf to one word: how many comparisons
call this word, and how many another. The one model repeats the words that it heard and adds some of its own (target:
the set of words, so that the reference is another in every run); the other says yes or no, with a chance that its
words decide (target: the same answer, so that two runs may have opposite references).

Of anchors the same is asked by VAEs of scikit-learn's digits (0 to 4 are learned, all ten are anchors): one model with
other posterior draws; with another reference, too; and the model trained again by another seed, or on other samples of
its kind, which are other models that nobody would call better. Whatever such a comparison calls learned or forgotten
is no progress.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

import whygen
from benchmarks import record
from whygen.anchors.data import SampleSet
from whygen.stats.seeds import generator
from whygen.stats.wilson import wilson
from whygen.types import Settings

WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa")
CELLS = (
    ("words", 5, 64, 400), ("words", 8, 64, 100), ("words", 5, 1024, 40), ("yes or no", 5, 64, 200),
    ("yes or no", 8, 64, 100),
)  # fmt: skip
"""Model, units, calls and comparisons without a change; a quarter as many with one."""
TARGETS = {"words": "token-set", "yes or no": "exact"}
SEED = 41


def sampling(kind: str, seed: int, deaf_to: str = "") -> Callable[[str], str]:
    rng = np.random.default_rng([SEED, seed])

    def words(text: str) -> str:
        said = [word for word in text.split() if word != deaf_to and rng.random() < 0.75]
        return " ".join([*said, *rng.choice(["red", "blue", "green", "black"], 2)])

    def yes_or_no(text: str) -> str:
        heard = set(text.split()) - {deaf_to}
        return "yes" if rng.random() < 0.2 + 0.5 * ("gamma" in heard) + 0.2 * ("alpha" in heard) else "no"

    return words if kind == "words" else yes_or_no


def explained(kind: str, units: int, calls: int, seed: int, deaf_to: str = "") -> whygen.PromptExplanation:
    return whygen.explain_prompt(
        sampling(kind, seed, deaf_to), " ".join(WORDS[:units]), target=TARGETS[kind], budget=calls, seed=seed,
        cache=None, settings=Settings(temperature=1.0),
    )  # fmt: skip


def row(kind: str, units: int, calls: int, comparisons: int, *, deaf_to: str = "") -> dict[str, object]:
    """One line of the table."""
    found = right = other = outside = silent = 0
    for number in range(comparisons):
        made = whygen.compare(
            explained(kind, units, calls, 2 * number), explained(kind, units, calls, 2 * number + 1, deaf_to=deaf_to)
        )
        called = {unit.text for unit in made.units if unit.changed}
        found += bool(called)
        right += deaf_to in called
        other += bool(called - {deaf_to})
        silent += all(unit.low is None for unit in made.units)
        outside += sum(
            unit.low is not None and unit.high is not None and not unit.low <= 0 <= unit.high for unit in made.units
        )
    low, high = wilson(found, comparisons)
    return {
        "model": kind, "units": units, "calls": calls, "changed": deaf_to or "nothing", "comparisons": comparisons,
        "with a finding": {"mean": found / comparisons, "low": low, "high": high},
        "calls what changed": right / comparisons if deaf_to else None,
        "calls another": other / comparisons,
        "intervals without zero": outside / (comparisons * units),
        "without intervals": silent / comparisons,
    }  # fmt: skip


def main(data: Path | None = None) -> None:
    del data
    rows: list[dict[str, object]] = []
    for kind, units, calls, comparisons in CELLS:
        rows.append(row(kind, units, calls, comparisons))
        rows.append(row(kind, units, calls, comparisons // 4, deaf_to="gamma"))
    print(record.table(rows))
    record.write("comparisons", {**record.figures("comparisons"), "rows": rows}, seed=SEED)
    anchors()


RUNS, REFERENCE, LEARNED = 100, 150, 5
SAME = ("draws", "draws and reference", "training seed", "training samples")
"""What the two runs of a comparison do not share."""


def anchors(runs: int = RUNS) -> None:
    """Comparisons of two explanations by the same anchors, where nothing was learned or forgotten."""
    scans = load_digits()
    images, labels = (scans.images / 16).astype(np.float32), scans.target
    counts = {what: list[tuple[int, int]]() for what in SAME}
    for run in range(runs):
        rng = generator(SEED, "anchors", run)
        known = rng.permutation(np.flatnonzero(labels < LEARNED))
        training, others, first, second = np.split(known, [200, 400, 400 + REFERENCE, 400 + 2 * REFERENCE])[:4]
        asked = np.concatenate([known[700:], rng.permutation(np.flatnonzero(labels >= LEARNED))[:200]])
        samples = SampleSet(samples=images[asked], layout="NHW", labels=tuple(labels[asked].tolist()))
        one, again, other = (
            _trained(images[rows], seed) for rows, seed in ((training, run), (training, run + runs), (others, run))
        )
        pairs = {
            "draws": (one, first), "draws and reference": (one, second), "training seed": (again, first),
            "training samples": (other, first),
        }  # fmt: skip
        told = _asked(one, samples, images[first], 0)
        for what, (model, reference) in pairs.items():
            made = whygen.compare(told, _asked(model, samples, images[reference], 1))
            counts[what].append((made.learned + made.forgotten + made.moved, made.unsure))
    rows = [_summed(what, np.array(found)) for what, found in counts.items()]
    print(record.table(rows))
    record.write("comparisons", {**record.figures("comparisons"), "anchors": rows}, seed=SEED)


def _trained(images: np.ndarray, seed: int) -> object:
    from whygen_experiments.mlp_vae import Schedule, Sizes, train_mlp_vae

    sizes, schedule = Sizes(values=64, hidden=64, latent=4), Schedule(epochs=40, batch=20, rate=2e-3)
    return train_mlp_vae(images.reshape(len(images), -1), seed=seed, sizes=sizes, schedule=schedule)


def _asked(model: object, samples: SampleSet, reference: np.ndarray, seed: int) -> whygen.AnchorExplanation:
    found = whygen.explain_anchors(model, samples, reference=reference, seed=seed, controls="none", cache=None)
    assert isinstance(found, whygen.AnchorExplanation)
    return found


def _summed(what: str, found: np.ndarray) -> dict[str, object]:
    runs, called = len(found), int((found[:, 0] > 0).sum())
    low, high = wilson(called, runs)
    return {
        "other": what, "comparisons": runs, "with a finding": {"mean": called / runs, "low": low, "high": high},
        "called": float(found[:, 0].mean()), "most called": int(found[:, 0].max()), "unsure": float(found[:, 1].mean()),
    }  # fmt: skip


if __name__ == "__main__":
    main()
