"""A cheap model beside a dear one, with real models: the storyteller, and copies of it with coarser weights.

Every mask of a few prompts is asked of the storyteller and of each copy, once. Then designs of 64 masks are drawn again
and again from these tables, and read with and without the copy beside: how wide intervals are, whether they hold the
values by all masks, and how far estimates are from them. A stranger (another prompt's table, its units shuffled) is the
control: it must cost nothing.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np

import whygen
from benchmarks import record
from benchmarks.partial import Rows, arguments
from whygen import lab
from whygen.demo.provider import storyteller_path
from whygen.types import Floats, Masks

PROMPTS = (
    "Tell a short sad story about an old fox in winter",
    "Write a happy tale about two frogs near the sea",
    "Tell a long story about a brave girl and snow",
)
BITS = (3, 4, 6)
TARGET = "logprob"
CALLS, DRAWS = 64, 40


def coarse(model: Any, bits: int) -> Any:
    """A copy whose weight matrices have ``2^bits`` levels a row, as the simplest quantisation has them."""
    import torch

    found = copy.deepcopy(model)
    with torch.no_grad():
        for weight in found.parameters():
            if weight.ndim == 2:
                step = weight.abs().amax(dim=1, keepdim=True).clamp_min(1e-12) / (2 ** (bits - 1) - 0.5)
                weight.copy_((weight / step).round() * step)
    return found


def opened() -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    path = str(storyteller_path())
    return AutoModelForCausalLM.from_pretrained(path), AutoTokenizer.from_pretrained(path)


def table(model: tuple[Any, Any], prompt: str) -> dict[str, object]:
    """The effect of every mask, by its number in binary."""
    n = len(prompt.split())
    found = whygen.explain_prompt(model, prompt, target=TARGET, budget=2**n + 3, cache=None)
    assert found.evidence is not None
    assert found.masks == "enumerated"
    codes = found.evidence.masks @ (1 << np.arange(n))
    effects = np.empty(2**n)
    effects[codes] = found.evidence.effects
    return {"n": n, "effects": effects.tolist()}


def compared(dear: Floats, cheap: Floats, n: int, seed: int) -> dict[str, float]:
    """With the cheap model beside and without it, over `DRAWS` designs."""
    code = 1 << np.arange(n)
    every: Masks = (np.arange(2**n)[:, None] & code).astype(bool)
    truth = ((2.0 * every - 1.0) * dear[:, None]).mean(axis=0) * 2.0
    apart = lab.enumerated(n)
    rows = []
    for draw in range(DRAWS):
        rng = np.random.default_rng([seed, draw])
        design = lab.draw(n, CALLS, rng)
        at = design.masks @ code
        shown = design.observed(dear[at])
        beside = lab.proxied(apart.observed(cheap[apart.masks @ code]), design.masks, cheap[at], rng)
        row = []
        for by in ("adaptive", beside):
            found = lab.estimate(shown, np.random.default_rng([seed, draw]), surrogate=by)
            assert found.interval is not None
            low, high = found.interval.low, found.interval.high
            error = np.sqrt(((found.attributions - truth) ** 2).mean())
            row += [((low <= truth) & (truth <= high)).mean(), (high - low).mean(), error]
        rows.append(row)
    mean = np.mean(rows, axis=0)
    return {
        "correlation": float(np.corrcoef(dear, cheap)[0, 1]), "coverage alone": float(mean[0]),
        "coverage beside": float(mean[3]), "width": float(mean[4] / mean[1]), "error": float(mean[5] / mean[2]),
    }  # fmt: skip


def main(data: Path | None = None, *, minutes: float = 600.0, fresh: bool = False) -> None:
    del data
    kept = Rows("proxy_models", minutes=minutes, fresh=fresh)
    model, tokenizer = opened()
    copies = {"full": model, **{f"{bits} bits": coarse(model, bits) for bits in BITS}}
    tables = {
        (name, prompt): kept.get(f"{name}: {prompt}", lambda own=own, prompt=prompt: table((own, tokenizer), prompt))
        for prompt in PROMPTS
        for name, own in copies.items()
    }
    known = {key: np.array(row["effects"]) for key, row in tables.items() if row is not None}
    rows: list[dict[str, object]] = []
    for place, prompt in enumerate(PROMPTS):
        dear = known.get(("full", prompt))
        beside = {name: known.get((name, prompt)) for name in copies if name != "full"}
        if dear is not None:
            beside["a stranger"] = np.random.default_rng(place).permutation(dear)
        for name, cheap in beside.items():
            if dear is not None and cheap is not None:
                n = len(prompt.split())
                key = f"compared {name}: {prompt}"
                row = kept.get(key, lambda dear=dear, cheap=cheap, n=n, place=place: compared(dear, cheap, n, place))
                rows += [] if row is None else [{"prompt": prompt, "proxy": name, **row}]
    print(record.table(rows))
    record.write("proxy_models", {"rows": rows, "target": TARGET, "calls": CALLS, "designs": DRAWS}, seed=0)


if __name__ == "__main__":
    main(**vars(arguments(__doc__).parse_args()))
