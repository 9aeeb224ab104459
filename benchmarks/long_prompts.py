"""Long prompts: how many calls find a few planted words, as the prompt grows.

Four places of the prompt matter, one of them by two words of opposite effect that hide each other. The search is left
to stop by itself. Beside the calls stands what a flat explanation would take: two pairs of masks a word.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import whygen
from benchmarks import record
from whygen.models.planted import WeighedWords

WORDS = (100, 500, 1000, 5000)
PROMPTS = 8
WEIGHTS = {"Alpha": 3.0, "Beta": 2.0, "Gamma": 1.5, "Delta": 2.0, "Epsilon": -2.0}
TOGETHER = [["Alpha"], ["Beta"], ["Gamma"], ["Delta", "Epsilon"]]
"""Delta and Epsilon hide each other: their paragraph is worth nothing."""
_SYLLABLES = ("ba", "do", "fi", "ku", "le", "mo", "na", "pi", "ru", "sa", "te", "vo")


def long_prompt(
    words: int, planted: Sequence[Sequence[str]], rng: np.random.Generator, *, punctuated: bool = True
) -> str:
    """Made-up words with planted ones among them.

    Args:
        words: how many, planted ones included, punctuation not.
        planted: words that go into one paragraph together; each group into another paragraph, as far as there are.
        rng: draws words, lengths and places.
        punctuated: whether there are sentences of 8 to 20 words and paragraphs of 1 to 6 sentences, or one endless one.
    """
    text = ["".join(rng.choice(_SYLLABLES, size=int(rng.integers(2, 4)))) for _ in range(words)]
    ends = _sentence_ends(words, rng)
    breaks = _paragraph_breaks(ends, rng)
    edges = [0, *breaks, words]
    order: list[int] = rng.permutation(len(edges) - 1).tolist()
    taken: set[int] = set()
    for i, together in enumerate(planted):
        place = order[i % len(order)]
        free = [spot for spot in range(edges[place], edges[place + 1]) if spot not in taken]
        spots: list[int] = rng.choice(free, size=len(together), replace=False).tolist()
        taken.update(spots)
        for spot, word in zip(spots, together, strict=True):
            text[spot] = word
    if not punctuated:
        return " ".join(text)
    for end in ends:
        text[end - 1] += "."
    after = dict.fromkeys(breaks, "\n\n")
    return "".join(word + after.get(i, " " if i < words else "") for i, word in enumerate(text, start=1))


def _sentence_ends(words: int, rng: np.random.Generator) -> list[int]:
    """Numbers of words after which a sentence ends; the last is ``words``."""
    ends: list[int] = []
    while not ends or ends[-1] < words:
        ends.append(min(words, (ends[-1] if ends else 0) + int(rng.integers(8, 21))))
    return ends


def _paragraph_breaks(ends: Sequence[int], rng: np.random.Generator) -> list[int]:
    """Numbers of words after which a paragraph ends, the last paragraph aside."""
    breaks: list[int] = []
    sentence = int(rng.integers(1, 7))
    while sentence < len(ends):
        breaks.append(ends[sentence - 1])
        sentence += int(rng.integers(1, 7))
    return breaks


def one(words: int, seed: int, *, punctuated: bool) -> dict[str, float]:
    prompt = long_prompt(words, TOGETHER, np.random.default_rng([words, seed]), punctuated=punctuated)
    begun = time.perf_counter()
    found = whygen.explain_prompt(
        WeighedWords(WEIGHTS), prompt, hierarchy="auto", budget=20_000, target="logprob", cache=None, seed=seed
    )
    assert found.tree is not None
    significant = {unit.text: unit.attribution for unit in found.units if unit.significant}
    return {
        "calls": found.calls.asked,
        "opened": sum(node.opened for node in found.tree.nodes) + 1,
        "depth": 1 + max(node.level for node in found.tree.nodes),
        "found": float(np.mean([word in significant for word in WEIGHTS])),
        "false": sum(word not in WEIGHTS for word in significant),
        "seconds": time.perf_counter() - begun,
    }


def run(prompts: int = PROMPTS) -> dict[str, object]:
    rows: list[dict[str, object]] = []
    fits: dict[str, dict[str, float]] = {}
    for punctuated in (True, False):
        kind = "paragraphs" if punctuated else "no punctuation"
        counts: list[tuple[int, float]] = []
        for words in WORDS:
            runs = [one(words, seed, punctuated=punctuated) for seed in range(prompts)]
            counts += [(words, run["calls"]) for run in runs]
            means = {key: float(np.mean([run[key] for run in runs])) for key in runs[0]}
            rows.append({"text": kind, "words": words, **means, "flat": 4 * words})
        fits[kind] = _fit(counts)
    return {"rows": rows, "fits": fits, "prompts": prompts}


def _fit(counts: list[tuple[int, float]]) -> dict[str, float]:
    """Exponent of a power law, and calls added by each tenfold of the words with the R2 of that line."""
    words, calls = np.array(counts, dtype=np.float64).T
    exponent = float(np.polyfit(np.log(words), np.log(calls), 1)[0])
    slope, start = np.polyfit(np.log10(words), calls, 1)
    left = calls - (start + slope * np.log10(words))
    return {
        "exponent": exponent,
        "calls a tenfold": float(slope),
        "r2 of the logarithm": float(1.0 - (left**2).sum() / ((calls - calls.mean()) ** 2).sum()),
    }


def main(data: Path | None = None) -> None:
    del data
    figures = run()
    print(record.table(figures["rows"]))  # type: ignore[arg-type]
    for kind, fit in figures["fits"].items():  # type: ignore[attr-defined]
        print(f"\n{kind}: " + ", ".join(f"{name} {value:.2f}" for name, value in fit.items()))
    record.write("long_prompts", figures, seed=0)


if __name__ == "__main__":
    main()
