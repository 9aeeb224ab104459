"""Two figures of speed on SmolLM2: 512 scored masks with and without reuse, and what an explanation adds to its calls.

    python -m benchmarks.smol.speed [--masks 512] [--budget 64] [--seed 0] [--model FOLDER]

Processor time of one thread; 0 leaves a figure out. The prompt has 96 pinned tokens before 32 free ones, of which each
mask keeps half at random.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.smol import model_file
from whygen import explain_prompt
from whygen.models import ModelOptions, load_model
from whygen.models.hf.model import HfModel
from whygen.types import Failure, Output, Request, Settings

PINNED, FREE = 96, 32
SAID = " the red fox in the old harbour"
QUESTION = (
    "The museum opens at ten on weekdays. Tickets cost nine euros. The painting of the red fox hangs in room seven. "
    "The cafe closes at four. The shop sells cards. In which room hangs the painting of the red fox?"
)


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--masks", type=int, default=512)
    parser.add_argument("--budget", type=int, default=64)
    parser.add_argument("--plain", type=int, default=512, help="masks that are also read without reuse")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default=None, help="a folder of another language model")
    asked = parser.parse_args()
    model = load_model(f"hf/{asked.model or model_file()}", ModelOptions(device="cpu"))
    assert isinstance(model, HfModel)
    found: dict[str, dict[str, float]] = {}
    if asked.masks:
        found["scored"] = scored(model, asked.masks, asked.seed, plain=min(asked.plain, asked.masks))
    if asked.budget:
        found["explained"] = explained(model, asked.budget, asked.seed)
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


def scored(model: HfModel, masks: int, seed: int, *, plain: int) -> dict[str, float]:
    """Processor seconds for a mask by both ways, and the largest difference of a token's log-probability."""
    requests = masked(model, masks, seed)
    reused, values = timed(lambda: batched(model, requests))
    model._reuse.able = False
    without, wanted = timed(lambda: batched(model, requests[:plain]))
    model._reuse.able = True
    apart = max(abs(a - b) for a, b in zip(values, wanted, strict=False))
    each = {"plain": without / plain, "reused": reused / masks}
    return {"masks": masks, "plain masks": plain, **each, "times": each["plain"] / each["reused"], "apart": apart}


def masked(model: HfModel, masks: int, seed: int) -> list[Request]:
    """Prompts of words that are one token each: the pinned ones, and a random half of the free ones."""
    words = ["river", "stone", "bread", "light", "house", "green", "seven", "music", "paper", "north", "table", "water"]
    rng = np.random.default_rng(seed)
    start = [str(rng.choice(words)) for _ in range(PINNED)]
    start = start[: PINNED - (model.count_tokens(Request(prompt=" ".join(start))) - PINNED)]  # the template counts too
    free = [str(rng.choice(words)) for _ in range(FREE)]
    kept = rng.random((masks, FREE)) < 0.5
    return [
        Request(prompt=" ".join([*start, *(w for w, k in zip(free, row, strict=True) if k)]), continuation=SAID)
        for row in kept
    ]


def batched(model: HfModel, requests: Sequence[Request]) -> list[float]:
    """All scores, asked for as a run does: one batch after another."""
    most = model.limits.max_batch
    answers: list[Output | Failure] = []
    for start in range(0, len(requests), most):
        answers += model.score(requests[start : start + most])
    return [score.logprob for each in answers if isinstance(each, Output) for score in each.scores or ()]


def explained(model: HfModel, budget: int, seed: int) -> dict[str, float]:
    """What `explain_prompt` takes over the same answers asked for bare, and encoded."""
    settings = Settings(max_tokens=16)
    asked: list[Request] = []
    inner = model.answer

    def listen(requests: Sequence[Request]) -> list[Output | Failure]:
        asked.extend(requests)
        return inner(requests)

    model.answer = listen  # type: ignore[method-assign]
    explain = lambda: explain_prompt(model, QUESTION, budget=budget, settings=settings, seed=seed, cache=None)  # noqa: E731
    explain()  # the encoder is opened, and the network warm
    asked.clear()
    whole, _ = timed(explain)
    model.answer = inner  # type: ignore[method-assign]
    bare, encoded = bare_and_encoded(model, asked)
    model._reuse.able = False
    plain, _ = bare_and_encoded(model, asked)
    model._reuse.able = True
    return {
        "calls": len(asked), "whole": whole, "bare": bare, "encoding": encoded, "over": whole / (bare + encoded),
        "bare_without_reuse": plain, "over_without_reuse": whole / (plain + encoded),
    }  # fmt: skip


def bare_and_encoded(model: HfModel, asked: Sequence[Request]) -> tuple[float, float]:
    """Seconds for generating the answers in batches, and for encoding their texts."""
    from whygen.encoders import load_text_encoder

    most = model.limits.max_batch
    encoder: Any = load_text_encoder("auto")
    bare, answers = timed(
        lambda: [each for i in range(0, len(asked), most) for each in model.answer(asked[i : i + most])]
    )
    texts = [each.text for each in answers if isinstance(each, Output)]
    encoder.tokens(texts[:1])
    return bare, timed(lambda: encoder.tokens(list(dict.fromkeys(texts))))[0]


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Processor seconds, and what came of it."""
    begun = time.process_time()
    found = work()
    return time.process_time() - begun, found


if __name__ == "__main__":
    main()
