"""Long prompts: words that act only together, and levels of a model that samples.

Twenty paragraphs of three or six sentences (and single ones) hold two or three planted words; the answer is right by a
rule over them, which no word or paragraph decides alone. In lines with "anywhere" their places are drawn anew for each
prompt, and the model is not stated to be steady. Found: the words' units are a significant pair of one another, or
(three words) each is significant. Then four paragraphs with one word that matters, on models whose answers are odd at
times or 0/1 by chance: coverage of 95% intervals at every level, and false discoveries among the finest units.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import whygen
from benchmarks import record
from whygen.results.prompt import PromptExplanation
from whygen.types import Settings

PROMPTS = 40
RUNS = 80
"""Of a line of levels: 80 to 1,900 intervals a cell."""
SEED = 61
FILLERS = ("the", "cat", "dog", "house", "runs", "blue", "sees", "finds", "under", "over", "green", "tree", "river")

Place = tuple[int, int, str]
"""Paragraph, sentence, word."""
Rule = Callable[[set[str]], bool]


def both_or_none(words: set[str]) -> bool:
    return ("zopen" in words) == ("zclose" in words)


def both_needed(words: set[str]) -> bool:
    return {"zopen", "zclose"} <= words


def all_three(words: set[str]) -> bool:
    return {"zopen", "zmid", "zclose"} <= words


def apart(*words: str) -> Callable[[np.random.Generator, int, int], list[Place]]:
    """Words in paragraphs of their own, drawn for each prompt."""

    def places(rng: np.random.Generator, paragraphs: int, sentences: int) -> list[Place]:
        chosen = rng.choice(paragraphs, len(words), replace=False).tolist()
        return [(where, int(rng.integers(sentences)), word) for where, word in zip(chosen, words, strict=True)]

    return places


@dataclass(frozen=True, slots=True)
class Kind:
    """Prompts of so many paragraphs and sentences, where the words are, and the model."""

    paragraphs: int
    sentences: int
    places: list[Place] | Callable[[np.random.Generator, int, int], list[Place]]
    rule: Rule = both_or_none
    budget: int = 512
    model_noise: str = "none"

    def drawn(self, rng: np.random.Generator) -> list[Place]:
        return self.places(rng, self.paragraphs, self.sentences) if callable(self.places) else self.places


TAGS = ("zopen", "zclose")
KINDS: dict[str, Kind] = {
    "pair of tags in a sentence": Kind(20, 3, [(7, 1, "zopen"), (7, 1, "zclose")]),
    "pair of tags in a paragraph": Kind(20, 3, [(7, 0, "zopen"), (7, 2, "zclose")]),
    "pair in two paragraphs": Kind(20, 3, [(3, 1, "zopen"), (12, 2, "zclose")]),
    "pair in two paragraphs, anywhere": Kind(20, 3, apart(*TAGS), model_noise="measure"),
    "pair in two paragraphs of six sentences, anywhere": Kind(20, 6, apart(*TAGS), model_noise="measure"),
    "two needed in two paragraphs, anywhere": Kind(20, 3, apart(*TAGS), both_needed, model_noise="measure"),
    "quotation marks, one paragraph": Kind(1, 5, [(0, 1, "zopen"), (0, 3, "zclose")]),
    "quotation marks, one sentence": Kind(1, 1, [(0, 0, "zopen"), (0, 0, "zclose")]),
    "three needed, one paragraph": Kind(
        20, 3, [(3, s, w) for s, w in enumerate(("zopen", "zmid", "zclose"))], all_three, 1000
    ),
    "three needed in three paragraphs, anywhere": Kind(
        20, 3, apart("zopen", "zmid", "zclose"), all_three, 1000, "measure"
    ),
}
ODD = {"one in 50": 0.02, "one in 20": 0.05, "one in 5": 0.2}


def prompt_of(rng: np.random.Generator, paragraphs: int, sentences: int, places: Sequence[Place]) -> str:
    def sentence(paragraph: int, number: int) -> str:
        words = [FILLERS[i] for i in rng.integers(0, len(FILLERS), int(rng.integers(5, 9)))]
        for where, place, word in places:
            if (where, place) == (paragraph, number):
                words.insert(int(rng.integers(0, len(words) + 1)), word)
        return " ".join(words).capitalize() + "."

    return "\n\n".join(" ".join(sentence(p, s) for s in range(sentences)) for p in range(paragraphs))


def words_of(text: str) -> set[str]:
    return set(text.lower().replace(".", " ").split())


def units_of(found: PromptExplanation, places: Sequence[Place]) -> list[int]:
    starts = [found.prompt.lower().index(word) for _, _, word in places]
    return [next(i for i, unit in enumerate(found.units) if unit.start <= at < unit.end) for at in starts]


def pairs() -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for name, kind in KINDS.items():
        hits, calls, false, idle = 0, [], 0, 0
        for number in range(PROMPTS):
            rng = np.random.default_rng((SEED, number))
            places = kind.drawn(rng)
            prompt = prompt_of(rng, kind.paragraphs, kind.sentences, places)
            found = whygen.explain_prompt(
                lambda text: text, prompt, target=lambda text, rule=kind.rule: float(rule(words_of(text))),
                hierarchy="auto", budget=kind.budget, model_noise=kind.model_noise, cache=None, seed=number,
            )  # fmt: skip
            units = set(units_of(found, places))
            pairs_sure = {frozenset((pair.first, pair.second)) for pair in found.interactions if pair.significant}
            sure = {place for place, unit in enumerate(found.units) if unit.significant}
            together = frozenset(units) in pairs_sure or (kind.rule is not both_or_none and units <= sure)
            hits += len(units) == len(places) and together
            false += any(not pair <= units for pair in pairs_sure)
            idle += bool(sure - units)
            calls.append(found.calls.asked)
        rows.append({"words": name, "calls": kind.budget, "used": float(np.mean(calls)), "found": hits / PROMPTS,
                     "runs with another pair": false / PROMPTS, "runs with another unit": idle / PROMPTS})  # fmt: skip
    return rows


def levels() -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for name, odd in [*ODD.items(), ("0/1: .9 with the word, .3 without", None)]:
        held: dict[tuple[int, bool], list[bool]] = {}
        false: list[float] = []
        for number in range(RUNS):
            rng = np.random.default_rng((SEED, number))
            prompt = prompt_of(rng, 4, 3, [(2, 1, "zopen")])

            def target(text: str, rng: np.random.Generator = rng, odd: float | None = odd) -> float:
                there = "zopen" in words_of(text)
                return (
                    float(rng.random() < (0.9 if there else 0.3))
                    if odd is None
                    else float(there != (rng.random() < odd))
                )

            sent = Settings(temperature=1.0 if odd in {None, 0.2} else 0.0, seed=number)
            found = whygen.explain_prompt(
                lambda text: text,
                prompt,
                hierarchy="auto",
                target=target,
                budget=400,
                cache=None,
                seed=number,
                settings=sent,
            )
            assert found.tree is not None
            at = prompt.lower().index("zopen")
            for node in found.tree.nodes:
                truth = (0.6 if odd is None else 1.0 - 2.0 * odd) if node.start <= at < node.end else 0.0
                inside = node.low is not None and node.high is not None and node.low <= truth <= node.high
                held.setdefault((min(node.level, 2), truth != 0.0), []).append(inside)
            sure = [unit for unit in found.units if unit.significant]
            false.append(sum(not unit.start <= at < unit.end for unit in sure) / max(1, len(sure)))
        shown: dict[str, object] = {"odd answers": name}
        for (level, matters), each in sorted(held.items()):
            shown[f"level {level}, {'matters' if matters else 'idle'}"] = float(np.mean(each))
        rows.append({**shown, "false discoveries": float(np.mean(false))})
    return rows


def main(data: Path | None = None) -> None:
    del data
    figures = {"pairs": pairs(), "levels": levels()}
    for rows in figures.values():
        print(record.table(rows))
    record.write("long_pairs", figures, seed=SEED)


if __name__ == "__main__":
    main()
