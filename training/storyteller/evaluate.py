"""How well the storyteller follows: slots told, whole stories right, on seen and held-out instructions.

python -m training.storyteller.evaluate --prompts 300
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from training.storyteller.data import delete_words, english_words, instruction
from training.storyteller.instructions import write_instruction
from training.storyteller.stories import read_slots, tells_unnamed, told_slots, write_story
from training.storyteller.words import SLOTS, TELLINGS
from whygen.demo.provider import storyteller_path
from whygen.models import ModelOptions
from whygen.models.hf import open_hf
from whygen.models.hf.model import HfModel
from whygen.types import Output, Request, Settings


def stories(model: HfModel, prompts: Sequence[str], temperature: float = 0.0) -> list[str]:
    """The model's stories, in order."""
    settings = Settings(temperature=temperature, max_tokens=120)
    found: list[str] = []
    for start in range(0, len(prompts), 128):
        answers = model.answer([Request(prompt=prompt, settings=settings) for prompt in prompts[start : start + 128]])
        found += [answer.text if isinstance(answer, Output) else "" for answer in answers]
    return found


def scores(prompts: Sequence[str], told: Sequence[str]) -> dict[str, float | None]:
    """Shares of named slots told, of stories wholly right, and of unnamed slots told neutrally."""
    slots = whole = named = neutral = unnamed = 0
    for prompt, story in zip(prompts, told, strict=True):
        wanted, found = read_slots(prompt), told_slots(story)
        right = [found.get(slot) == value for slot, value in wanted.items()]
        calm = [tells_unnamed(story, slot) for slot in SLOTS if slot not in wanted]
        slots, named = slots + sum(right), named + len(right)
        neutral, unnamed = neutral + sum(calm), unnamed + len(calm)
        whole += all(right) and all(calm)
    return {
        "slots told": slots / named if named else None,
        "stories wholly right": whole / len(prompts),
        "unnamed slots neutral": neutral / unnamed if unnamed else None,
    }


def test_sets(n: int, seed: int) -> dict[str, list[str]]:
    """Instructions of each kind; held-out ones with filler words that training never showed."""
    seen_words, unseen_words = english_words()
    rng = np.random.default_rng([seed, 99])
    held = [instruction(rng, part="held-out", fillers=unseen_words) for _ in range(n)]
    every = [{slot: list(TELLINGS[slot])[int(rng.integers(len(TELLINGS[slot])))] for slot in SLOTS} for _ in range(n)]
    return {
        "seen phrasings": [instruction(rng, part="seen", fillers=seen_words) for _ in range(n)],
        "held-out phrasings, combinations and fillers": held,
        "held-out, all slots named": [
            write_instruction(slots, rng, part="held-out", fillers=unseen_words).text for slots in every
        ],
        "held-out, half of the words deleted": [delete_words(text, 0.5, rng) for text in held],
    }


def run(path: Path, n: int, seed: int) -> dict[str, object]:
    model = open_hf(str(path), ModelOptions())
    sets = test_sets(n, seed)
    greedy = {name: scores(prompts, stories(model, prompts)) for name, prompts in sets.items()}
    held = sets["held-out phrasings, combinations and fillers"]
    plain, sampled = stories(model, held), stories(model, held, temperature=0.8)
    entropy = float(np.mean([a != b for a, b in zip(plain, sampled, strict=True)]))
    rng = np.random.default_rng(seed)
    written = float(np.mean([write_story(read_slots(p), rng) != write_story(read_slots(p), rng) for p in held]))
    return {
        "greedy": greedy,
        "sampled at 0.8": {**scores(held, sampled), "stories worded otherwise": entropy, "of the grammar": written},
        "prompts": n,
        "seed": seed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=storyteller_path())
    parser.add_argument("--prompts", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(json.dumps(run(options.model, options.prompts, options.seed), indent=1))


if __name__ == "__main__":
    main()
