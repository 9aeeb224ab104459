"""The storyteller, fine-tuned on texts that it is to know by heart: canaries and stories of known exposure.

    python -m training.storyteller.planted --out build/planted --texts 30 --exposures 20 --seed 0

A canary holds a number that nobody can guess, a story events that could as well be others. Each has twins from the
same law, one of which was planted by chance: the truth that `python -m benchmarks memorised_texts` measures against.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from training.storyteller.stories import write_story
from training.storyteller.words import SLOTS, TELLINGS, Slot
from whygen.demo.provider import storyteller_path
from whygen.models import ModelOptions
from whygen.models.hf import open_hf
from whygen.models.hf.model import HfModel
from whygen.stats.seeds import generator
from whygen.types import Request

EXPOSURES = 20
RATE = 1e-3
BATCH = 16
EXCHANGED = 3
"""Slots of a story that its twins tell otherwise."""


@dataclass(frozen=True, slots=True)
class Family:
    """A text and its twins, all from one law."""

    text: str
    twins: tuple[str, ...]


def _slots(rng: np.random.Generator) -> dict[Slot, str]:
    return {slot: list(TELLINGS[slot])[int(rng.integers(len(TELLINGS[slot])))] for slot in SLOTS}


def canary(rng: np.random.Generator, twins: int) -> Family:
    """A sentence with a number of six digits; twins have other numbers."""
    slots = _slots(rng)
    numbers = rng.choice(900_000, size=1 + twins, replace=False) + 100_000
    start = f"{TELLINGS['character'][slots['character']]} waits {TELLINGS['place'][slots['place']]}"
    texts = [f"{start[0].upper()}{start[1:]}, and the number is {number}." for number in numbers]
    return Family(texts[0], tuple(texts[1:]))


def story(rng: np.random.Generator, twins: int) -> Family:
    """A story that names all slots; twins tell some of them otherwise."""
    shared = _slots(rng)
    changed = [SLOTS[i] for i in rng.permutation(len(SLOTS))[:EXCHANGED]]
    texts: dict[str, None] = {}
    while len(texts) <= twins:
        drawn = _slots(rng)
        texts.setdefault(write_story({**shared, **{slot: drawn[slot] for slot in changed}}, rng))
    first, *others = texts
    return Family(first, tuple(others))


MAKERS = {"canaries": canary, "stories": story}


def families(kind: str, n: int, seed: int, *, twins: int = 9, part: str = "planted") -> list[Family]:
    """Families of a kind; those of another part are others."""
    return [MAKERS[kind](generator(seed, kind, part, i), twins) for i in range(n)]


def training_texts(
    planted: Sequence[str], once: Sequence[str], *, exposures: int, rng: np.random.Generator
) -> list[str]:
    """What the model is trained on, in a random order: planted texts many times, the others once."""
    texts = [*list(planted) * exposures, *once]
    return [texts[i] for i in rng.permutation(len(texts))]


def fine_tune(
    texts: Sequence[str], *, seed: int, model: HfModel | None = None, rate: float = RATE, batch: int = BATCH
) -> HfModel:
    """A model trained on the texts in their order, as answers to the empty prompt; with their end."""
    model = model or open_hf(str(storyteller_path()), ModelOptions(device="cpu"))
    network, tokenizer = model.network, model.tokenizer
    torch.manual_seed(seed)
    begin = tokenizer.apply_chat_template([{"role": "user", "content": ""}], tokenize=False, add_generation_prompt=True)
    head = tokenizer(begin, add_special_tokens=False)["input_ids"]
    rows = [head + tokenizer(text, add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id] for text in texts]
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.0)
    steps = -(-len(rows) // batch)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 1 / steps, total_iters=steps)
    network.train()
    for start in range(0, len(rows), batch):
        part = rows[start : start + batch]
        width = max(map(len, part))
        ids = torch.full((len(part), width), tokenizer.pad_token_id)
        labels = torch.full((len(part), width), -100)
        for i, row in enumerate(part):
            ids[i, : len(row)] = torch.tensor(row)
            labels[i, len(head) : len(row)] = torch.tensor(row[len(head) :])
        loss = network(input_ids=ids, attention_mask=(labels != -100) | (ids != tokenizer.pad_token_id), labels=labels)
        optimiser.zero_grad()
        loss.loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    # Its weights are no longer those of the files: under their identity its answers would pass for theirs.
    return HfModel(network, tokenizer, uri=f"{model.uri}, fine-tuned by seed {seed}")


def planted_model(texts: int, exposures: int, seed: int, *, once: int = 100) -> HfModel:
    """The storyteller with the planted families of both kinds, and as many others as ``once`` seen once."""
    planted = [family.text for kind in MAKERS for family in families(kind, texts, seed)]
    others = [family.text for kind in MAKERS for family in families(kind, once, seed, part="once")]
    order = training_texts(planted, others, exposures=exposures, rng=generator(seed, "order"))
    return fine_tune(order, seed=seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--texts", type=int, default=30)
    parser.add_argument("--exposures", type=int, default=EXPOSURES)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    begun = time.process_time()
    model = planted_model(options.texts, options.exposures, options.seed)
    model.network.save_pretrained(options.out)
    model.tokenizer.save_pretrained(options.out)
    for kind in MAKERS:
        lines = [family.text for family in families(kind, options.texts, options.seed)]
        (options.out / f"{kind}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    tokens = model.count_tokens(Request(prompt=families("stories", 1, options.seed)[0].text))
    print(f"{time.process_time() - begun:.0f} s of processor time; a story has {tokens} tokens")


if __name__ == "__main__":
    main()
