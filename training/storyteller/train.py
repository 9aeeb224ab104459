"""Train the storyteller from scratch on one or two processor cores.

    python -m training.storyteller.train --out build/storyteller --minutes 20

The architecture is chosen by name: ``llama`` (shipped), ``gpt2`` (absolute positions) or ``seq2seq``; the siblings are
for benchmarks of consistency across architectures.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    GenerationConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from training.storyteller.data import english_words, stream
from training.storyteller.words import NAMES

USER, STORY, END, PAD = "<|user|>", "<|story|>", "<|end|>", "<|pad|>"
VOCABULARY = 2048
POSITIONS = 512
TEMPLATE = (
    "<|user|>"
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}"
    "<|story|>{{ message['content'] }}<|end|>{% if not loop.last %}<|user|>{% endif %}"
    "{% else %}"
    "{% if not loop.first and messages[loop.index0 - 1]['role'] == 'system' %} {% endif %}{{ message['content'] }}"
    "{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|story|>{% endif %}"
)


def train_tokenizer(rng: np.random.Generator, fillers: list[str]) -> PreTrainedTokenizerFast:
    """Byte-level BPE in which every slot word is one token: they are over-weighted in the corpus."""
    source = stream(rng, fillers)
    texts = [text for _ in range(6000) for text in next(source)]
    texts += [f" {name}" for name in NAMES for _ in range(3000)]
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, USER, STORY, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=PAD,
        bos_token=USER,
        eos_token=END,
        additional_special_tokens=[STORY],
        model_max_length=POSITIONS,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def build(architecture: str, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    ids = {"pad_token_id": tokenizer.pad_token_id, "bos_token_id": tokenizer.bos_token_id}
    ids["eos_token_id"] = tokenizer.eos_token_id
    size = len(tokenizer)
    if architecture == "llama":
        config = LlamaConfig(
            vocab_size=size, hidden_size=144, intermediate_size=432, num_hidden_layers=4, num_attention_heads=4,
            num_key_value_heads=4, max_position_embeddings=POSITIONS, tie_word_embeddings=True, **ids,
        )  # fmt: skip
        return LlamaForCausalLM(config)
    if architecture == "gpt2":
        config = GPT2Config(
            vocab_size=size, n_embd=144, n_layer=4, n_head=4, n_positions=POSITIONS,
            resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, **ids,
        )  # fmt: skip
        return GPT2LMHeadModel(config)
    config = BartConfig(
        vocab_size=size, d_model=128, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=384, decoder_ffn_dim=384, max_position_embeddings=POSITIONS,
        dropout=0.0, attention_dropout=0.0, forced_eos_token_id=None, decoder_start_token_id=ids["bos_token_id"], **ids,
    )  # fmt: skip
    return BartForConditionalGeneration(config)


class Batches:
    """Pairs as token ids, batched by length out of a buffer so that little is padded."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, rng: np.random.Generator, fillers: list[str]) -> None:
        self._tokenizer, self._rng = tokenizer, rng
        self._source = stream(rng, fillers)
        self.pairs = 0

    def next_buffer(self, batch: int, buffer: int = 512) -> list[list[tuple[list[int], list[int]]]]:
        pairs = [next(self._source) for _ in range(buffer)]
        self.pairs += buffer
        prompts = self._tokenizer([f"{USER}{text}{STORY}" for text, _ in pairs], add_special_tokens=False)["input_ids"]
        stories = self._tokenizer([f"{story}{END}" for _, story in pairs], add_special_tokens=False)["input_ids"]
        rows = sorted(zip(prompts, stories, strict=True), key=lambda row: len(row[0]) + len(row[1]))
        batches = [rows[i : i + batch] for i in range(0, len(rows), batch)]
        return [batches[i] for i in self._rng.permutation(len(batches))]


def causal_loss(model: PreTrainedModel, rows: list[tuple[list[int], list[int]]], pad: int) -> torch.Tensor:
    """Cross-entropy of the story tokens; the head is applied to story positions only."""
    width = max(len(a) + len(b) for a, b in rows)
    ids = torch.full((len(rows), width), pad)
    mask = torch.zeros((len(rows), width), dtype=torch.bool)
    for i, (a, b) in enumerate(rows):
        ids[i, : len(a) + len(b)] = torch.tensor(a + b)
        mask[i, len(a) : len(a) + len(b)] = True
    hidden = model.base_model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state
    logits = model.get_output_embeddings()(hidden[mask[:, 1:]])
    return torch.nn.functional.cross_entropy(logits, ids[:, 1:][mask[:, 1:]])


def seq2seq_loss(model: PreTrainedModel, rows: list[tuple[list[int], list[int]]], pad: int) -> torch.Tensor:
    def block(lists: list[list[int]], fill: int) -> torch.Tensor:
        out = torch.full((len(lists), max(map(len, lists))), fill)
        for i, row in enumerate(lists):
            out[i, : len(row)] = torch.tensor(row)
        return out

    source = block([a for a, _ in rows], pad)
    labels = block([b for _, b in rows], -100)
    return model(input_ids=source, attention_mask=(source != pad).long(), labels=labels).loss


def rate(progress: float, step: int, peak: float) -> float:
    """150 steps of warm-up, constant to 40% of the time, then linear to zero."""
    return peak * min(1.0, (step + 1) / 150) * (1.0 if progress < 0.4 else max(0.0, (1.0 - progress) / 0.6))


def fit(model: PreTrainedModel, batches: Batches, options: argparse.Namespace, pad: int) -> list[dict[str, float]]:
    loss_of = seq2seq_loss if options.architecture == "seq2seq" else causal_loss
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.rate, betas=(0.9, 0.98), weight_decay=0.05)
    model.train()
    log, recent, step, begun = [], [], 0, time.monotonic()
    while True:
        for rows in batches.next_buffer(options.batch):
            spent = time.monotonic() - begun
            progress = step / options.steps if options.steps else spent / (60 * options.minutes)
            if progress >= 1.0:
                return log
            for group in optimizer.param_groups:
                group["lr"] = rate(progress, step, options.rate)
            loss = loss_of(model, rows, pad)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            step += 1
            recent.append(float(loss.detach()))
            if step % 100 == 0:
                log.append({"step": step, "seconds": round(spent), "loss": round(float(np.mean(recent)), 4)})
                recent.clear()
                print(log[-1], flush=True)


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    model.generation_config = GenerationConfig(
        do_sample=False, max_new_tokens=120, pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
        decoder_start_token_id=getattr(model.config, "decoder_start_token_id", None),
    )  # fmt: skip
    model.eval().half().save_pretrained(out)
    tokenizer.save_pretrained(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--architecture", choices=("llama", "gpt2", "seq2seq"), default="llama")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--steps", type=int, default=0, help="a fixed number of steps instead of minutes")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    fillers, _ = english_words()
    tokenizer = train_tokenizer(np.random.default_rng([options.seed, 1]), fillers)
    pieces = {name: len(tokenizer(f" {name}", add_special_tokens=False)["input_ids"]) for name in NAMES}
    print("slot words of several tokens:", [name for name, count in pieces.items() if count > 1])
    model = build(options.architecture, tokenizer)
    parameters = sum(p.numel() for p in model.parameters())
    print(f"{parameters} parameters", flush=True)
    batches = Batches(tokenizer, np.random.default_rng([options.seed, 2]), fillers)
    log = fit(model, batches, options, tokenizer.pad_token_id)
    save(model, tokenizer, options.out)
    record = {
        **vars(options),
        "out": None,
        "parameters": parameters,
        "pairs": batches.pairs,
        "log": log[::5] + log[-1:],
    }
    (options.out / "training.json").write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
