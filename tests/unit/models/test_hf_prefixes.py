"""What prompts begin with alike is read once, and nothing else changes: the plain way gives the same numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

import tiny_models
from whygen.models.hf import prefixes
from whygen.models.hf.model import HfModel
from whygen.types import Failure, Output, Request, Settings

IDS = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
WIDE = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "max_position_embeddings": 256, **IDS,
}  # fmt: skip
REUSED = ("gpt2", "llama", "qwen2", "phi")
PLAIN = ("mistral", "gpt_neo", "phi3", "lfm2", pytest.param("mamba", marks=pytest.mark.slow))
"""Windows of two names, positions scaled by the length of the whole, layers of both kinds, and a recurrent network (its
plain way takes long on a processor)."""
START = "Paris is the capital of France and it lies on the river Seine, where boats pass"


def config(kind: str, size: int) -> Any:
    made = {
        "gpt2": lambda: transformers.GPT2Config(
            vocab_size=size, n_positions=256, n_embd=32, n_layer=2, n_head=2, **IDS
        ),
        "phi": lambda: transformers.PhiConfig(vocab_size=size, **{**WIDE, "num_key_value_heads": 2}),
        "mistral": lambda: transformers.MistralConfig(vocab_size=size, sliding_window=8, head_dim=16, **WIDE),
        "gpt_neo": lambda: transformers.GPTNeoConfig(
            vocab_size=size,
            hidden_size=32,
            num_layers=2,
            num_heads=2,
            attention_types=[[["global", "local"], 1]],
            window_size=64,
            **IDS,
        ),
        "phi3": lambda: transformers.Phi3Config(
            vocab_size=size,
            rope_parameters={
                "rope_type": "longrope",
                "short_factor": [1.0] * 8,
                "long_factor": [4.0] * 8,
                "rope_theta": 10000.0,
                "original_max_position_embeddings": 100,
            },
            **WIDE,
        ),
        "lfm2": lambda: transformers.Lfm2Config(vocab_size=size, layer_types=["conv", "full_attention"], **WIDE),
        "mamba": lambda: transformers.MambaConfig(vocab_size=size, hidden_size=32, num_hidden_layers=2, **IDS),
    }
    if kind in made:
        return made[kind]()
    return transformers.AutoConfig.for_model(kind, vocab_size=size, **WIDE)


def network(kind: str, *, dtype: torch.dtype = torch.float32) -> Any:
    torch.manual_seed(5)
    made: Any = transformers.AutoModelForCausalLM.from_config(config(kind, len(tiny_models.tokenizer())))
    with torch.no_grad():
        for weight in made.parameters():
            if weight.dim() == 2:
                weight.mul_(4)
    return made.eval().to(dtype)


def model(kind: str, *, reuse: bool = True, dtype: torch.dtype = torch.float32) -> HfModel:
    found = HfModel(network(kind, dtype=dtype), tiny_models.tokenizer(), uri="hf/tiny", identity={"weights": kind})
    found._reuse.able = found._reuse.able and reuse
    return found


def asked(start: str = START) -> list[str]:
    """Masked prompts: one beginning, and words that are there or not."""
    words = ["", "all", "day", "and", "night,", "naive", "and", "old,", "past", "the", "towers", "and", "under", "it"]
    rng = torch.Generator().manual_seed(3)
    kept = torch.rand((12, len(words)), generator=rng) < 0.5
    return [start, *(f"{start} {' '.join(w for w, k in zip(words, row, strict=True) if k)}" for row in kept.tolist())]


def scores(answers: Sequence[Output | Failure]) -> list[list[float]]:
    found: list[list[float]] = []
    for answer in answers:
        assert isinstance(answer, Output), answer
        assert answer.scores is not None
        found.append([score.logprob for score in answer.scores])
    return found


def texts(answers: Sequence[Output | Failure]) -> list[str]:
    assert all(isinstance(answer, Output) for answer in answers), answers
    return [answer.text for answer in answers if isinstance(answer, Output)]


@pytest.mark.parametrize("kind", [*REUSED, *PLAIN])
def test_scores_and_answers_are_those_of_the_plain_way(kind: str) -> None:
    ours, plain = model(kind), model(kind, reuse=False)
    to_score = [Request(prompt=p, continuation=c) for p in asked() for c in (" over the hills", " far away")]
    found, wanted = scores(ours.score(to_score)), scores(plain.score(to_score))
    assert [len(row) for row in found] == [len(row) for row in wanted]
    worst = max(abs(a - b) for one, two in zip(found, wanted, strict=True) for a, b in zip(one, two, strict=True))
    assert worst < prefixes.TOLERANCE[torch.float32] / 10
    to_answer = [Request(prompt=p, settings=Settings(max_tokens=6)) for p in asked()]
    assert texts(ours.answer(to_answer)) == texts(plain.answer(to_answer))
    sampled = [Request(prompt=p, settings=Settings(max_tokens=6, temperature=0.9)) for p in asked()]
    assert texts(ours.answer(sampled)) == texts(plain.answer(sampled))
    assert ours._reuse._trusted == ({"score": True, "answer": True} if kind in REUSED else {})


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_the_tolerance_of_a_precision_holds(dtype: torch.dtype) -> None:
    to_score = [Request(prompt=p, continuation=" over the hills") for p in asked()]
    found, wanted = (scores(model("llama", reuse=reuse, dtype=dtype).score(to_score)) for reuse in (True, False))
    worst = max(abs(a - b) for one, two in zip(found, wanted, strict=True) for a, b in zip(one, two, strict=True))
    assert worst < prefixes.TOLERANCE[dtype]


def read_by(ours: HfModel, work: Any) -> int:
    """Tokens that the network reads meanwhile."""
    count = [0]

    def add(module: Any, given: Any, how: Any) -> None:
        del module, given
        count[0] += how["input_ids"].numel()

    hook = ours.network.register_forward_pre_hook(add, with_kwargs=True)
    work()
    hook.remove()
    return count[0]


def test_a_beginning_is_read_once_and_texts_beside_each_other_share_their_prompt() -> None:
    ours, plain = model("llama"), model("llama", reuse=False)
    requests = [Request(prompt=p, continuation=c) for p in asked() for c in (" far", " near", " here")]
    ours.score(requests)  # the first time it is tried both ways
    again, before = read_by(ours, lambda: ours.score(requests)), read_by(plain, lambda: plain.score(requests))
    distinct = {tuple(row[: i + 1]) for row in map(ids_of, requests) for i in range(len(row) - 1)}
    start = len(ours._tokens.prompt(Request(prompt=START))) - 1
    assert len(distinct) - start - 2 <= again <= len(distinct) - start + 2
    assert again < before / 5


def ids_of(request: Request) -> list[int]:
    words = tiny_models.tokenizer()
    return words(request.prompt)["input_ids"] + words(request.continuation)["input_ids"]


def test_a_network_that_computes_something_else_this_way_is_read_row_by_row() -> None:
    ours, plain = model("llama"), model("llama", reuse=False)
    forward = ours.network.forward

    def forgetful(*given: Any, past_key_values: Any = None, position_ids: Any = None, **how: Any) -> Any:
        """As networks do that count positions by themselves."""
        del position_ids
        return forward(*given, past_key_values=past_key_values, **how)

    ours.network.forward = forgetful
    requests = [Request(prompt=p, continuation=" far") for p in asked()]
    found, wanted = scores(ours.score(requests)), scores(plain.score(requests))
    assert all(one == pytest.approx(two, abs=1e-4) for one, two in zip(found, wanted, strict=True))
    assert ours._reuse._trusted == {"score": False}


def test_a_window_that_nobody_tells_of_is_found_in_longer_rows() -> None:
    ours, plain = model("gpt_neo"), model("gpt_neo", reuse=False)
    ours.network.config.window_size = 0  # the layers have theirs since they were made
    ours = HfModel(ours.network, tiny_models.tokenizer(), uri="hf/x", identity={})
    short = [Request(prompt=f"{START[:20]} {word}", continuation=" far") for word in ("a", "day", "in")]
    ours.score(short)
    assert ours._reuse._trusted == {"score": True}
    long = [Request(prompt=p, continuation=" far") for p in asked(f"{START} and {START}")]
    found, wanted = scores(ours.score(long)), scores(plain.score(long))
    assert ours._reuse._trusted == {"score": False}
    assert all(one == pytest.approx(two, abs=1e-4) for one, two in zip(found, wanted, strict=True))


def test_positions_scaled_by_the_longest_row_do_not_depend_on_the_batch() -> None:
    ours = model("phi3")
    to_score = [Request(prompt=p, continuation=" far") for p in (START[:20], START[:24], f"{START} {START}")]
    to_answer = [Request(prompt=each.prompt, settings=Settings(max_tokens=8)) for each in to_score]
    together, alone = scores(ours.score(to_score)), [scores(ours.score([each]))[0] for each in to_score]
    assert all(one == pytest.approx(two, abs=1e-4) for one, two in zip(together, alone, strict=True))
    assert texts(ours.answer(to_answer)) == [texts(ours.answer([each]))[0] for each in to_answer]


def test_a_batch_grows_while_memory_lasts() -> None:
    ours = model("llama")
    ours._batch, ours._most = 1, 16  # as on an accelerator
    requests = [Request(prompt=p, continuation=" far") for p in asked()]
    ours.score(requests)
    assert ours.limits.max_batch == 8
    inner = ours.network.forward

    def narrow(*given: Any, **how: Any) -> Any:
        if how["input_ids"].numel() > 90:
            raise RuntimeError("CUDA out of memory")
        return inner(*given, **how)

    ours.network.forward = narrow
    assert all(isinstance(answer, Output) for answer in ours.score(requests * 2))
    most = ours.limits.max_batch
    assert 1 <= most < 8
    ours.score(requests[:most])
    assert ours.limits.max_batch == most


def test_weights_that_changed_forget_what_was_kept() -> None:
    ours = model("llama")
    requests = [Request(prompt=p, continuation=" far") for p in asked()]
    before = scores(ours.score(requests))
    with torch.no_grad():
        ours.network.get_input_embeddings().weight.mul_(1.5)
    changed = HfModel(ours.network, tiny_models.tokenizer(), uri="hf/x")
    changed._reuse.able = False
    after, wanted = scores(ours.score(requests)), scores(changed.score(requests))
    assert after[0] != pytest.approx(before[0], abs=1e-3)
    for one, two in zip(after, wanted, strict=True):
        assert one == pytest.approx(two, abs=1e-4)


def test_two_prompts_by_turns_do_not_mix() -> None:
    ours, plain = model("qwen2"), model("qwen2", reuse=False)
    for start in (START, "Boats pass all day on the river, and the old towers of the town look down on it", START[:40]):
        requests = [Request(prompt=p, continuation=" far") for p in asked(start)]
        for one, two in zip(scores(ours.score(requests)), scores(plain.score(requests)), strict=True):
            assert one == pytest.approx(two, abs=1e-4)


def test_out_of_memory_while_it_is_tried_is_not_taken_for_a_difference() -> None:
    ours = model("llama")
    inner, failed = ours.network.forward, [False]

    def once(*given: Any, **how: Any) -> Any:
        if not failed[0]:
            failed[0] = True
            raise RuntimeError("CUDA out of memory")
        return inner(*given, **how)

    ours.network.forward = once
    answers = ours.score([Request(prompt=p, continuation=" far") for p in asked()])
    assert all(isinstance(answer, Output) for answer in answers)
    assert ours._reuse._trusted == {"score": True}


rows = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6), min_size=1, max_size=12)


@given(rows, st.integers(1, 12))
def test_a_trie_holds_every_row_once(found: list[list[int]], most: int) -> None:
    packs = prefixes.packed(found, most)
    assert sorted(place for places, _ in packs for place in places) == list(range(len(found)))
    for places, trie in packs:
        assert len(trie.tokens) <= max(most, *(len(found[place]) for place in places))
        seen = trie.seen()
        for place, path in zip(places, trie.paths, strict=True):
            assert [trie.tokens[node] for node in path] == found[place]
            assert [trie.depths[node] for node in path] == list(range(len(path)))
            assert torch.nonzero(seen[path[-1]])[:, 0].tolist() == sorted(path)
        distinct = {tuple(found[place][: i + 1]) for place in places for i in range(len(found[place]))}
        assert len(trie.tokens) == len(distinct)


@given(rows)
def test_what_all_rows_begin_with(found: list[list[int]]) -> None:
    same = prefixes.shared(found, most=99)
    assert all(row[:same] == found[0][:same] for row in found)
    assert any(len(row) == same for row in found) or len({tuple(row[: same + 1]) for row in found}) > 1


@given(
    steps=st.lists(st.tuples(st.sampled_from(["grow", "cut", "choose", "reset"]), st.integers(1, 70)), max_size=12),
    seed=st.integers(0, 99),
)
def test_a_roomy_layer_holds_what_the_library_s_own_holds(steps: list[tuple[str, int]], seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    ours, own = prefixes.RoomyLayer(), transformers.cache_utils.DynamicLayer()
    for verb, size in [("grow", 5), *steps]:
        length = own.get_seq_length()
        if verb == "grow":
            keys, values = torch.rand((3, 2, size, 4), generator=rng), torch.rand((3, 2, size, 6), generator=rng)
            for found, wanted in zip(ours.update(keys, values), own.update(keys, values), strict=True):
                assert torch.equal(found, wanted)
        elif verb == "reset":
            ours.reset(), own.reset()
        elif length > 1:
            for layer in (ours, own):
                layer.crop(-min(size, length - 1)) if verb == "cut" else layer.batch_select_indices(
                    torch.tensor([2, 0, 1])
                )
        assert ours.get_seq_length() == own.get_seq_length()


@pytest.mark.parametrize(
    "kind", ["gpt2", "llama", "qwen2", "qwen3", "phi", "gpt_neox", "olmo2", "falcon", "opt", "bloom"]
)
def test_answers_with_room_are_equal_to_the_bit(kind: str) -> None:
    ours = model(kind)
    assert ours._reuse.able or kind in ("falcon", "bloom", "opt")
    asked_of = [f"{word} boats pass the towers" for word in ("Many", "Old and", "Few", "No", "All the")]
    requests = [Request(prompt=each, settings=Settings(max_tokens=90)) for each in asked_of]
    assert texts(ours.answer(requests)) == texts(model(kind, reuse=False).answer(requests))
