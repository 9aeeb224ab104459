"""Does a scorer say the same of a prompt alone, in a batch, and with cached keys and values?

Fresh random models of two kinds: learned absolute positions (GPT-2), which padding shifts if nobody counts positions,
and rotary ones (Llama). The score is what each library calls its own; `worst` is the largest difference to asking one
by one without a cache, in the library's unit, `spread` the standard deviation of the scores.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from typing import Any

import numpy as np

from benchmarks.rivals.rooms import BUILD, ROOT, python_of

PROMPT = "Paris is the capital of France and it lies on the river Seine"
TARGET = " so it is in Europe"
KINDS = ("gpt2", "llama")
SEEDS = (0, 1, 2)
MASKS = 16
TOLERANCE = 1e-3
"""Of the spread: rounding in single precision is a hundred times smaller."""

CHECKED = {"captum": "captum", "context_cite": "context_cite", "icx360": "icx360"}
"""Rooms with a scorer of local models, and the module under `scorers` that runs it."""


def tiny(kind: str, seed: int) -> tuple[Any, Any]:
    """A random language model whose logits are spread, and a tokenizer of bytes that pads on the left."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    learn = trainers.BpeTrainer(
        vocab_size=500, special_tokens=["<|end|>", "<|pad|>"], initial_alphabet=alphabet, show_progress=False
    )
    core.train_from_iterator([PROMPT + TARGET] * 8, learn)
    names = {f"{use}_token": text for use, text in (("bos", "<|end|>"), ("eos", "<|end|>"), ("pad", "<|pad|>"))}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, padding_side="left", model_max_length=256, **names,
        chat_template="{% for m in messages %}{{ m['content'] }}\n{% endfor %}",
    )  # fmt: skip
    torch.manual_seed(seed)
    ids = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 1, "vocab_size": len(tokenizer)}
    if kind == "gpt2":
        network: Any = GPT2LMHeadModel(GPT2Config(n_positions=256, n_embd=32, n_layer=2, n_head=2, **ids))
    else:
        network = LlamaForCausalLM(
            LlamaConfig(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, **ids)
        )
    with torch.no_grad():
        for weights in network.parameters():
            if weights.dim() == 2:
                weights.mul_(6.0)
    return network.eval(), tokenizer


def prompts(seed: int) -> list[str]:
    """The prompt with units deleted at random: they differ in length, so that a batch is padded."""
    words, rng = PROMPT.split(" "), np.random.default_rng(seed)
    masks = rng.random((MASKS, len(words))) < 0.6
    masks[:, 0] = True
    return [" ".join(word for word, keep in zip(words, mask, strict=True) if keep) for mask in masks]


def one_by_one(network: Any, tokenizer: Any, texts: list[str]) -> np.ndarray:
    """Log-probability of the target after each prompt: one row, no cache, no padding."""
    import torch

    found, target = [], tokenizer.encode(TARGET, add_special_tokens=False)
    for text in texts:
        prompt = tokenizer.encode(text, add_special_tokens=False)
        with torch.no_grad():
            logits = network(torch.tensor([prompt + target])).logits[0, len(prompt) - 1 : -1]
        found.append(float(logits.log_softmax(-1).gather(1, torch.tensor(target)[:, None]).sum()))
    return np.array(found)


def row(library: str, way: str, kind: str, alone: np.ndarray, other: np.ndarray) -> dict[str, Any]:
    """One comparison on one model."""
    worst, spread = float(np.abs(alone - other).max()), float(alone.std())
    correlation = float(np.corrcoef(alone, other)[0, 1])
    return {"library": library, "way": way, "model": kind, "worst": worst, "spread": spread,
            "correlation": correlation, "agrees": worst < TOLERANCE * spread}  # fmt: skip


def ours() -> list[dict[str, Any]]:
    """Whygen's scorer: a batch of all prompts beside one by one, and beside the plain forward pass."""
    from whygen.models.hf.model import HfModel
    from whygen.types import Request

    found = []
    for kind in KINDS:
        for seed in SEEDS:
            network, tokenizer = tiny(kind, seed)
            tokenizer.chat_template = None  # a prompt as it is, as in the plain pass
            asked = [Request(prompt=text, continuation=TARGET) for text in prompts(seed)]
            alone, together = (
                _totals(HfModel(network, tokenizer, uri="hf/tiny", identity={}, batch_size=size), asked)
                for size in (1, MASKS)
            )
            found.append(row("whygen", "batch of 16", kind, alone, together))
            plain = one_by_one(network, tokenizer, prompts(seed))
            found.append(row("whygen", "plain forward pass", kind, plain, together))
    return found


def _totals(model: Any, asked: list[Any]) -> np.ndarray:
    return np.array([sum(score.logprob for score in answer.scores) for answer in model.score(asked)])


def rows(rooms: tuple[str, ...]) -> list[dict[str, Any]]:
    """The table: ours, and every rival that scores local models and is installed. The worst of the models is shown."""
    found = ours()
    for room in rooms:
        if room in CHECKED:
            found += _in_room(room)
    return _worst(found)


def _in_room(room: str) -> list[dict[str, Any]]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [str(python_of(room)), "-m", "benchmarks.rivals.agreement", room]
    with (BUILD / room / "agreement.txt").open("w", encoding="utf-8") as log:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment, check=False)
    if done.returncode:
        return [{"library": room, "failed": f"see {log.name}"}]
    return json.loads(done.stdout.splitlines()[-1])


def _worst(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    cells: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for one in found:
        cells.setdefault((one["library"], one.get("way", ""), one.get("model", "")), []).append(one)
    return [
        max(some, key=lambda one: one.get("worst", 0.0) / one.get("spread", 1.0)) | {"models": len(some)}
        for some in cells.values()
    ]


if __name__ == "__main__":
    print(json.dumps(importlib.import_module(f"benchmarks.rivals.scorers.{CHECKED[sys.argv[1]]}").rows()))
