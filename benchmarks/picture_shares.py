"""How often the share of an answer that hangs on its pictures lies in its interval, and their sum in its own.

A planted game: three pictures and some words, each with a weight, one picture that acts together with a word, and
normal noise of .3. What pictures and words do is known, so is the share. ``python -m benchmarks picture_shares``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import whygen
from benchmarks import record
from whygen.media import pictures
from whygen.types import Chat, Message, Output, Request, Settings

RUNS = 72
NOISE = 0.3
IMAGES = [pictures.picture_of(np.full((8, 8, 3), 40 * shade, dtype=np.uint8)) for shade in range(3)]
WORDS = ("ab", "bc", "cd", "de", "ef", "fg", "gh")
CELLS = (("banzhaf", 7, 64), ("banzhaf", 2, 60), ("shapley", 7, 64))
"""Estimand, words, budget."""


def one(seed: int, estimand: str, words: tuple[str, ...], budget: int) -> tuple[bool, bool | None, float]:
    """Whether the sum and the share lie in their intervals (None where no share is told), and the share's width."""
    rng = np.random.default_rng(seed)
    weights = np.abs(rng.normal(0.3, 1.0, len(IMAGES) + len(words)))
    weights[: len(IMAGES)] += 0.5
    weights[len(IMAGES) :] *= 0.5
    together = rng.normal(0.0, 0.5)

    def answer(request: Request) -> Output:
        chat = request.prompt
        assert isinstance(chat, Chat)
        shown = [image for message in chat.messages for image in message.images]
        said = chat.messages[0].text.split()
        kept = np.array([*(image in shown for image in IMAGES), *(word in said for word in words)], dtype=np.float64)
        noise = NOISE * np.random.default_rng(request.sampling_seed).normal()
        return Output(text=repr(float(kept @ weights + together * kept[0] * kept[len(IMAGES)] + noise)))

    def value(text: str) -> float:
        return float(text)

    chat = Chat([Message("user", " ".join(words), tuple(IMAGES))])
    found = whygen.explain_prompt(
        answer, chat, units="image", target=value, budget=budget, seed=seed, estimand=estimand,
        settings=Settings(temperature=1.0, seed=seed),
    )  # fmt: skip
    weights[[0, len(IMAGES)]] += together / 2.0  # a pair's effect goes to both by halves, in both estimands
    own, share = weights[: len(IMAGES)].sum(), weights[: len(IMAGES)].sum() / weights.sum()
    told = found.picture_share
    assert told is not None
    if told.share is None or told.share_low is None or told.share_high is None:
        return told.low <= own <= told.high, None, float("nan")
    return told.low <= own <= told.high, told.share_low <= share <= told.share_high, told.share_high - told.share_low


def main(data: Path | None = None) -> None:
    del data
    rows: list[dict[str, object]] = []
    for estimand, count, budget in CELLS:
        found = [one(seed, estimand, WORDS[:count], budget) for seed in range(RUNS)]
        shares = [share for _, share, _ in found if share is not None]
        rows.append(
            {
                "estimand": estimand, "units": len(IMAGES) + count, "budget": budget,
                "sum covered": round(float(np.mean([own for own, _, _ in found])), 3),
                "share covered": round(float(np.mean(shares)), 3), "told": f"{len(shares)} of {RUNS}",
                "median width": round(float(np.nanmedian([width for *_, width in found])), 3),
            }
        )  # fmt: skip
        print(record.table(rows[-1:]), flush=True)
    record.write("picture_shares", {"rows": rows}, seed=0)
