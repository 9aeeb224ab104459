"""The shipped storyteller: it follows instructions it has never seen, and keeps to its size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training.storyteller.instructions import (
    draw_slots,
    is_held_combination,
    is_held_filler,
    write_instruction,
)
from training.storyteller.stories import read_slots, tells_unnamed, told_slots
from training.storyteller.words import NAMES, SLOTS

from whygen.demo.provider import storyteller_path
from whygen.prompt.operators import Delete
from whygen.prompt.units import split

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

ORDINARY = (
    "account", "album", "anchor", "arrow", "attic", "autumn", "balance", "balloon", "banner", "barrel",
    "battery", "beard", "bench", "bicycle", "bottle", "brick", "bucket", "cabinet", "camera", "carpet",
    "ceiling", "chapter", "charcoal", "circle", "circus", "concert", "copper", "cotton", "curtain", "diamond",
    "donkey", "elbow", "engine", "envelope", "fabric", "fence", "ferry", "flute", "furniture", "garage",
    "glove", "hammer", "helmet", "hockey", "jacket", "kettle", "kitchen", "leather", "lemon", "magnet",
    "marble", "meadow", "needle", "notebook", "orchestra", "pencil", "piano", "pillow", "pocket", "pottery",
    "quarter", "radio", "ribbon", "saddle", "scissors", "shoulder", "sketch", "slogan", "stamp", "tobacco",
    "ticket", "trumpet", "tunnel", "turbine", "velvet", "wagon", "whistle",
)  # fmt: skip


@pytest.fixture(scope="module")
def storyteller() -> Iterator[tuple[Any, Any]]:
    path = storyteller_path()
    network = transformers.AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so small a network gains nothing from a second one, and loses much on a busy machine
    yield network.eval(), transformers.AutoTokenizer.from_pretrained(path)
    torch.set_num_threads(threads)


def tell(storyteller: tuple[Any, Any], prompts: Sequence[str], **how: Any) -> list[str]:
    network, tokenizer = storyteller
    texts = [
        tokenizer.apply_chat_template([{"role": "user", "content": p}], tokenize=False, add_generation_prompt=True)
        for p in prompts
    ]
    batch = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
    with torch.inference_mode():
        ids = network.generate(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], **how)
    start = batch["input_ids"].shape[1]
    return [text.strip() for text in tokenizer.batch_decode(ids[:, start:], skip_special_tokens=True)]


def held_out(n: int, seed: int) -> list[str]:
    """Instructions of held-out phrasings, combinations and filler words."""
    rng = np.random.default_rng(seed)
    fillers = [word for word in ORDINARY if is_held_filler(word)]
    assert len(fillers) >= 5
    found: list[str] = []
    while len(found) < n:
        slots = draw_slots(rng, share=float(rng.choice((0.5, 0.7, 1.0))))
        if is_held_combination(slots):
            found.append(write_instruction(slots, rng, part="held-out", fillers=fillers).text)
    return found


def shares(prompts: Sequence[str], stories: Sequence[str]) -> tuple[float, float]:
    """Shares of named slots told, and of stories with every slot right, those not named included."""
    named, whole = [], []
    for prompt, story in zip(prompts, stories, strict=True):
        wanted, told = read_slots(prompt), told_slots(story)
        named += [told.get(slot) == value for slot, value in wanted.items()]
        whole.append(told == wanted and all(tells_unnamed(story, slot) for slot in SLOTS if slot not in wanted))
    return float(np.mean(named)), float(np.mean(whole))


def test_it_follows_instructions_of_phrasings_combinations_and_words_it_has_not_seen(
    storyteller: tuple[Any, Any],
) -> None:
    prompts = held_out(60, seed=1)
    slots, whole = shares(prompts, tell(storyteller, prompts))
    assert slots >= 0.99
    assert whole >= 0.95


def test_it_follows_what_is_left_when_half_of_the_words_are_deleted(storyteller: tuple[Any, Any]) -> None:
    rng = np.random.default_rng(2)
    prompts = [Delete().render(units, rng.random(len(units)) < 0.5) for units in map(split, held_out(60, seed=3))]
    slots, whole = shares(prompts, tell(storyteller, prompts))
    assert slots >= 0.99
    assert whole >= 0.95


def test_sampling_varies_the_wording_and_keeps_the_facts(storyteller: tuple[Any, Any]) -> None:
    prompts = held_out(40, seed=4)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        sampled = tell(storyteller, prompts, do_sample=True, temperature=1.0)
    slots, whole = shares(prompts, sampled)
    assert slots >= 0.98
    assert whole >= 0.90
    assert np.mean([a != b for a, b in zip(sampled, tell(storyteller, prompts), strict=True)]) > 0.1


def test_nothing_asked_nothing_named(storyteller: tuple[Any, Any]) -> None:
    (story,) = tell(storyteller, [""])
    assert told_slots(story) == {}
    assert all(tells_unnamed(story, slot) for slot in SLOTS)
    assert story.endswith(".")


def test_one_word_is_enough(storyteller: tuple[Any, Any]) -> None:
    words = sorted(NAMES)
    told = [told_slots(story) for story in tell(storyteller, words)]
    assert np.mean([found == dict([NAMES[word]]) for word, found in zip(words, told, strict=True)]) >= 0.99


def test_a_story_does_not_depend_on_its_batch(storyteller: tuple[Any, Any]) -> None:
    prompts = held_out(3, seed=5)
    assert tell(storyteller, prompts) == [tell(storyteller, [prompt])[0] for prompt in prompts]


def test_every_slot_word_is_one_token(storyteller: tuple[Any, Any]) -> None:
    tokenizer = storyteller[1]
    assert [name for name in NAMES if len(tokenizer(f" {name}", add_special_tokens=False)["input_ids"]) != 1] == []


def test_the_template_puts_a_system_message_before_the_instruction(storyteller: tuple[Any, Any]) -> None:
    tokenizer = storyteller[1]
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "A fox."}]
    shown = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert shown == "<|user|>Be brief. A fox.<|story|>"
    shown = tokenizer.apply_chat_template(turns[1:], tokenize=False, add_generation_prompt=True)
    assert shown == "<|user|>A fox.<|story|>"


def test_it_is_small_and_whole(storyteller: tuple[Any, Any]) -> None:
    path: Path = storyteller_path()
    names = {file.name for file in path.iterdir()}
    assert {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
            "chat_template.jinja", "README.md"} <= names  # fmt: skip
    assert sum(file.stat().st_size for file in path.iterdir()) <= 10_000_000
    assert sum(parameter.numel() for parameter in storyteller[0].parameters()) <= 5_000_000
    assert type(storyteller[0]).__name__ == "LlamaForCausalLM"
