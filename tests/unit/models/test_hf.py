"""Transformers models: batches, context, sampling, scoring, loading."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import tiny_models
from whygen.errors import MissingError, UsageError
from whygen.models import HasContext, ModelOptions, load_model
from whygen.models.hf.model import HfModel
from whygen.types import Chat, Failure, Message, Output, Picture, Request, Settings

SHORT = Settings(max_tokens=8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


def texts(answers: Sequence[Output | Failure]) -> list[str]:
    assert all(isinstance(answer, Output) for answer in answers), answers
    return [answer.text for answer in answers if isinstance(answer, Output)]


def opened(kind: str, folder: Path, *, options: ModelOptions | None = None, chat: bool = False) -> HfModel:
    model = load_model(f"hf/{tiny_models.save(kind, folder, chat=chat)}", options)
    assert isinstance(model, HfModel)
    return model


def failure(answer: Output | Failure) -> Failure:
    assert isinstance(answer, Failure)
    assert answer.kind == "permanent"
    assert answer.advice
    return answer


def scored(answer: Output | Failure) -> list[float]:
    assert isinstance(answer, Output), answer
    assert answer.scores is not None
    return [score.logprob for score in answer.scores]


@pytest.mark.parametrize("kind", tiny_models.KINDS)
def test_sixteen_together_are_sixteen_alone_greedy_and_sampled(kind: str, folder: Path) -> None:
    model = load_model(f"hf/{tiny_models.save(kind, folder / f'{kind}-16')}")
    for settings in (Settings(max_tokens=12), Settings(max_tokens=12, temperature=0.8, top_p=0.9)):
        asked = [Request(prompt=tiny_models.TEXT[: 3 * i + 1], settings=settings, draw=i % 3) for i in range(16)]
        together = texts(list(model.answer(asked)))
        assert together == [texts(list(model.answer([one])))[0] for one in asked]


def test_draws_differ_when_sampling_and_agree_when_greedy(folder: Path) -> None:
    model = load_model(f"hf/{tiny_models.save('llama', folder / 'draws')}")
    hot = Settings(max_tokens=12, temperature=1.0)
    asked = [Request(prompt="Paris", settings=hot, draw=draw) for draw in range(8)]
    assert len(set(texts(list(model.answer(asked))))) > 1
    cold = [Request(prompt="Paris", settings=SHORT, draw=draw) for draw in range(4)]
    assert len(set(texts(list(model.answer(cold))))) == 1


def test_sampling_follows_the_model_s_probabilities(folder: Path) -> None:
    """Two roads to one number: shares of sampled first tokens, and the probabilities from scoring."""
    model = load_model(f"hf/{tiny_models.save('gpt2', folder / 'shares')}")
    settings = Settings(max_tokens=1, temperature=1.0)
    drawn = texts(list(model.answer([Request(prompt="Paris is", settings=settings, draw=i) for i in range(3000)])))
    single = [text for text in set(drawn) if text.isascii() and len(model.tokenizer(text)["input_ids"]) == 1]
    common = max(single, key=drawn.count)
    assert drawn.count(common) > 10
    (scored,) = model.score([Request(prompt="Paris is", continuation=common)])
    assert isinstance(scored, Output)
    assert scored.scores is not None
    probability = math.exp(sum(s.logprob for s in scored.scores))
    error = 4 * (probability * (1 - probability) / 3000) ** 0.5
    assert abs(drawn.count(common) / 3000 - probability) < error + 0.01


def test_a_prompt_longer_than_the_context_fails_alone(folder: Path) -> None:
    model = load_model(f"hf/{tiny_models.save('gpt2', folder / 'long')}")
    assert isinstance(model, HasContext)
    assert model.context_tokens == 64
    short, long = model.answer(
        [Request(prompt="Paris", settings=SHORT), Request(prompt="river " * 200, settings=SHORT)]
    )
    assert isinstance(short, Output)
    assert isinstance(long, Failure)
    assert long.kind == "permanent"
    assert "64" in long.message
    assert "Shorten" in long.advice


def test_stop_strings_and_length(folder: Path) -> None:
    model = load_model(f"hf/{tiny_models.save('llama', folder / 'stops')}")
    (whole,) = model.answer([Request(prompt="Paris is", settings=Settings(max_tokens=10))])
    assert isinstance(whole, Output)
    assert whole.finish == "length"
    assert whole.tokens_out == 10
    stop = whole.text[3:5]
    (cut,) = model.answer([Request(prompt="Paris is", settings=Settings(max_tokens=10, stop=(stop,)))])
    assert isinstance(cut, Output)
    assert cut.finish == "stop"
    assert cut.text == whole.text[: whole.text.index(stop)]


def test_chat_messages_need_a_template(folder: Path) -> None:
    talk = Request(prompt=Chat((Message("system", "be brief"), Message("user", "Paris?"))), settings=SHORT)
    with_template = load_model(f"hf/{tiny_models.save('llama', folder / 'talk', chat=True)}")
    assert isinstance(with_template.answer([talk])[0], Output)
    without = load_model(f"hf/{tiny_models.save('llama', folder / 'plain')}")
    assert isinstance(without.answer([talk])[0], Failure)


def test_weights_are_part_of_the_identity(folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    place = tiny_models.save("llama", folder / "identity")
    before = load_model(f"hf/{place}").identity
    assert load_model(f"hf/{place}").identity == before
    network = AutoModelForCausalLM.from_pretrained(place)
    with torch.no_grad():
        next(network.parameters()).add_(1e-3)
    network.save_pretrained(place)
    assert load_model(f"hf/{place}").identity != before


def test_room_for_the_answer_does_not_depend_on_the_batch(folder: Path) -> None:
    """A long neighbour widens the batch; it must not shorten the answers of the others."""
    model = opened("gpt2", folder / "room")
    long = "Paris is the capital of France and it lies on the river" * 4
    asked = [Request(prompt=prompt, settings=Settings(max_tokens=40)) for prompt in ("Paris", long, long[:-20], "a")]
    together = model.answer(asked)
    assert texts(together) == [texts(model.answer([one]))[0] for one in asked]
    assert together[0].tokens_out == 40
    assert together[1].tokens_out < 40
    assert together[1].finish == "length"


def test_a_text_to_score_that_does_not_fit_fails_alone(folder: Path) -> None:
    for kind in ("gpt2", "bart"):
        model = opened(kind, folder / f"fit-{kind}")
        long, fine = model.score(
            [Request(prompt="Paris", continuation="a river " * 80), Request(prompt="Paris", continuation=" is")]
        )
        assert "64" in failure(long).message
        assert scored(fine)


def test_an_answer_ends_where_the_positions_of_a_decoder_end(folder: Path) -> None:
    (answer,) = opened("bart", folder / "positions").answer([Request(prompt="a", settings=Settings(max_tokens=500))])
    assert isinstance(answer, Output)
    assert answer.tokens_out <= 64


@pytest.mark.parametrize("kind", tiny_models.KINDS)
def test_scores_are_those_of_feeding_one_token_after_another(kind: str, folder: Path) -> None:
    """The slow and plain way: one forward pass for each token, no padding, no batch, no cropping of logits."""
    import torch

    model = opened(kind, folder / f"slow-{kind}")
    asked = [
        Request(prompt=p, continuation=" so it is in Naïve 東京.") for p in ("Paris", "the river Seine, where", "a")
    ]
    for request, answer in zip(asked, model.score(asked), strict=True):
        prompt = model.tokenizer(request.prompt, return_tensors="pt")["input_ids"]
        target = model.tokenizer(request.continuation, add_special_tokens=False)["input_ids"]
        found = []
        for i, token in enumerate(target):
            before = torch.tensor([target[:i]], dtype=torch.long)
            with torch.inference_mode():
                if model.network.config.is_encoder_decoder:
                    start = torch.zeros((1, 1), dtype=torch.long)
                    fed = {"input_ids": prompt, "decoder_input_ids": torch.cat([start, before], dim=1)}
                else:
                    fed = {"input_ids": torch.cat([prompt, before], dim=1)}
                logits = model.network(**fed).logits[0, -1]
            found.append(float(torch.log_softmax(logits, dim=-1)[token]))
        assert scored(answer) == pytest.approx(found, abs=2e-4)


def test_a_character_of_several_tokens_belongs_to_the_first(folder: Path) -> None:
    model = opened("gpt2", folder / "spans")
    (answer,) = model.score([Request(prompt="Paris", continuation="ж☂")])
    assert isinstance(answer, Output)
    assert answer.scores is not None
    spans = [(score.start, score.end) for score in answer.scores]
    assert len(spans) == 5
    assert spans == [(0, 1), (1, 1), (1, 2), (2, 2), (2, 2)]


def test_greedy_means_greedy_whatever_the_checkpoint_prefers(folder: Path) -> None:
    """Beams and penalties of generation_config.json would change the answers, and with padding by the batch."""
    asked = [Request(prompt=p, settings=SHORT) for p in ("Paris", "the river Seine, where boats pass", "a")]
    place = tiny_models.save("gpt2", folder / "prefers")
    plain = texts(load_model(f"hf/{place}").answer(asked))
    file = place / "generation_config.json"
    preferred = {"num_beams": 4, "repetition_penalty": 1.8, "no_repeat_ngram_size": 2, "min_new_tokens": 3, "top_k": 5}
    file.write_text(json.dumps({**json.loads(file.read_text()), **preferred}))
    model = load_model(f"hf/{place}")
    assert isinstance(model, HfModel)
    assert texts(model.answer(asked)) == plain
    assert model.network.generation_config.num_beams == 4


def test_stop_strings_are_looked_for_in_the_answer_alone(folder: Path) -> None:
    model = opened("gpt2", folder / "spanning")
    (whole,) = model.answer([Request(prompt="Paris is", settings=SHORT)])
    assert isinstance(whole, Output)
    stop = ("s" + whole.text[:1],)  # from the end of the prompt into the answer
    (answer,) = model.answer([Request(prompt="Paris is", settings=Settings(max_tokens=8, stop=stop))])
    assert texts([answer]) == [whole.text]


def test_stopped_rows_do_not_depend_on_the_batch(folder: Path) -> None:
    model = opened("llama", folder / "stopping")
    prompts = [tiny_models.TEXT[: 4 * i + 1] for i in range(12)]
    free = texts(model.answer([Request(prompt=p, settings=Settings(max_tokens=16)) for p in prompts]))
    stop = (free[3][2:4], free[7][5:6])
    asked = [Request(prompt=p, settings=Settings(max_tokens=16, stop=stop)) for p in prompts]
    together = model.answer(asked)
    for request, answer, text in zip(asked, together, free, strict=True):
        (alone,) = model.answer([request])
        assert isinstance(answer, Output)
        assert isinstance(alone, Output)
        assert (answer.text, answer.finish, answer.tokens_out) == (alone.text, alone.finish, alone.tokens_out)
        ends = [at for one in stop if (at := text.find(one)) >= 0]
        assert answer.text == text[: min(ends, default=len(text))]
        assert answer.finish == "stop" or not ends


@pytest.mark.parametrize("top_p", [0.0, 0.5, 1.0])
def test_a_nucleus_is_never_empty(top_p: float) -> None:
    import torch

    from whygen.models.hf.steps import nucleus

    shares = torch.tensor([[0.4, 0.1, 0.3, 0.2]])
    kept = nucleus(shares, top_p) > 0
    assert kept.tolist() == {
        0.0: [[True, False, False, False]], 0.5: [[True, False, True, False]], 1.0: [[True, True, True, True]],
    }[top_p]  # fmt: skip


def test_a_cold_sampler_is_greedy(folder: Path) -> None:
    model = opened("llama", folder / "cold")
    (greedy,) = model.answer([Request(prompt="Paris", settings=SHORT)])
    (cold,) = model.answer([Request(prompt="Paris", settings=Settings(max_tokens=8, temperature=1e-4))])
    assert texts([greedy]) == texts([cold])


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(prompt="a", settings=Settings(max_tokens=0)), "max_tokens=0"),
        (Request(prompt="a", settings=Settings(extra={"num_beams": 4})), "num_beams"),
        (Request(prompt=Chat((Message("user", "look", (Picture(b"x"),)),)), settings=SHORT), "no images"),
        (Request(prompt="lone \ud800", settings=SHORT), "tokens"),
    ],
)
def test_what_it_cannot_do_it_refuses(request_: Request, message: str, folder: Path) -> None:
    assert message in failure(opened("llama", folder / "refuses", chat=True).answer([request_])[0]).message


def test_a_template_that_refuses_a_role_fails_that_request(folder: Path) -> None:
    place = tiny_models.save("llama", folder / "roles", chat=True)
    (place / "chat_template.jinja").write_text(
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
        "{{ m.content }}{% endfor %}"
    )
    system = Request(prompt=Chat((Message("system", "be brief"), Message("user", "Paris?"))), settings=SHORT)
    refused, fine = load_model(f"hf/{place}").answer([system, Request(prompt="Paris?", settings=SHORT)])
    assert "no system role" in failure(refused).message
    assert isinstance(fine, Output)


def test_an_empty_prompt_without_a_token_to_begin_with_is_refused(folder: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    place = tiny_models.save("gpt2", folder / "bare")
    words = PreTrainedTokenizerFast(tokenizer_object=tiny_models.tokenizer().backend_tokenizer)
    for file in place.glob("tokenizer*"):
        file.unlink()
    words.save_pretrained(place)
    empty, fine = load_model(f"hf/{place}").answer([Request(prompt=p, settings=SHORT) for p in ("", "Paris")])
    assert "no token that begins" in failure(empty).message
    assert isinstance(fine, Output)


class Small:
    """A network whose ``generate`` runs out of memory above two rows, or fails on one prompt."""

    def __init__(self, network: Any, *, most: int = 2, bad: int | None = None) -> None:
        self.sizes: list[int] = []
        inner = network.generate

        def generate(*, input_ids: Any, **how: Any) -> Any:
            self.sizes.append(len(input_ids))
            if len(input_ids) > most:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")
            if bad is not None and bad in input_ids:
                raise IndexError("index out of range in self")
            return inner(input_ids=input_ids, **how)

        network.generate = generate


def test_out_of_memory_halves_the_batch_and_remembers(folder: Path) -> None:
    model = opened("gpt2", folder / "memory", options=ModelOptions(batch_size=8))
    asked = [Request(prompt=tiny_models.TEXT[: 3 * i + 1], settings=SHORT) for i in range(8)]
    usual = texts(model.answer(asked))
    small = Small(model.network)
    assert texts(model.answer(asked)) == usual
    assert small.sizes == [8, 4, 2, 2, 4, 2, 2]
    assert model.limits.max_batch == 2
    assert texts(model.answer(asked)) == usual
    assert small.sizes[7:] == [2, 2, 2, 2]


def test_out_of_memory_on_a_single_prompt_is_told(folder: Path) -> None:
    model = opened("gpt2", folder / "memory-1")
    Small(model.network, most=0)
    assert "memory" in failure(model.answer([Request(prompt="Paris", settings=SHORT)])[0]).message


def test_what_breaks_the_network_fails_alone(folder: Path) -> None:
    model = opened("gpt2", folder / "breaks")
    bad = model.tokenizer("☂")["input_ids"][0]
    Small(model.network, most=99, bad=bad)
    asked = [Request(prompt=p, settings=SHORT) for p in ("Paris", "☂", "a", "river")]
    answers = model.answer(asked)
    assert "IndexError" in failure(answers[1]).message
    assert len(texts([*answers[:1], *answers[2:]])) == 3


def test_every_byte_of_the_weights_counts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from whygen.models import hf

    monkeypatch.setattr(hf, "_PIECE", 1000)
    place = folder / "bytes"
    place.mkdir()
    content = bytearray(range(256)) * 20
    seen = set()
    for at in (0, 999, 1000, 2500, 5119):
        changed = content.copy()
        changed[at] ^= 1
        (place / "model.safetensors").write_bytes(changed)
        seen.add(hf.files_digest(place))
    (place / "model.safetensors").write_bytes(content)
    seen.add(hf.files_digest(place))
    assert len(seen) == 6
    (place / "README.md").write_text("said of it, not used by it")
    assert hf.files_digest(place) in seen


def test_a_network_of_unknown_origin_has_no_identity(folder: Path) -> None:
    model = opened("gpt2", folder / "origin")
    assert model.identity is not None
    assert model.identity["dtype"] == "float32"
    assert HfModel(model.network, model.tokenizer, uri="hf/mine").identity is None


def test_precision_is_part_of_the_identity(folder: Path) -> None:
    place = tiny_models.save("llama", folder / "half", half=True)
    single, half = load_model(f"hf/{place}"), load_model(f"hf/{place}", ModelOptions(dtype="bfloat16"))
    assert isinstance(single, HfModel)
    assert isinstance(half, HfModel)
    assert str(single.network.dtype) == "torch.float32"  # a checkpoint saved in half precision would load as such
    assert str(half.network.dtype) == "torch.bfloat16"
    assert single.identity != half.identity
    assert isinstance(half.answer([Request(prompt="Paris", settings=SHORT)])[0], Output)


def test_a_device_that_is_not_here(folder: Path) -> None:
    place = tiny_models.save("gpt2", folder / "options")
    with pytest.raises(UsageError, match="such as cpu"):
        load_model(f"hf/{place}", ModelOptions(device="cuda:99"))


def test_what_is_not_there_or_damaged_is_one_clear_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name in (str(folder / "nowhere"), "no-such-org/no-such-model", "no-such-org/no-such-model@v2"):
        with pytest.raises(MissingError, match="not to be had from the hub"):
            load_model(f"hf/{name}")
    damaged = tiny_models.save("gpt2", folder / "damaged")
    (damaged / "model.safetensors").write_bytes(b"not weights at all")
    with pytest.raises(MissingError, match="without a usable model"):
        load_model(f"hf/{damaged}")


def test_weights_that_are_missing_are_not_made_up(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    place = tiny_models.save("gpt2", folder / "incomplete")
    weights = load_file(place / "model.safetensors")
    gone = next(name for name in weights if "attn.c_proj.weight" in name)
    save_file({k: v for k, v in weights.items() if k != gone}, place / "model.safetensors", {"format": "pt"})
    with pytest.raises(MissingError, match=r"weights are missing.*attn\.c_proj"):
        load_model(f"hf/{place}")


def test_nothing_is_printed(folder: Path) -> None:
    place, seq2seq = tiny_models.save("gpt2", folder / "silent"), tiny_models.save("bart", folder / "silent-bart")
    code = f"""
from whygen.models import load_model
from whygen.types import Request, Settings
for place in ({str(place)!r}, {str(seq2seq)!r}):
    model = load_model("hf/" + place)
    model.count_tokens(Request(prompt="river " * 300))
    model.answer([Request(prompt=p, settings=Settings(max_tokens=90, stop=("zz",))) for p in ("", "a", "river " * 300)])
    model.score([Request(prompt=p, continuation=" is") for p in ("", "a", "river " * 300)])
"""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], check=False, capture_output=True, text=True, timeout=200
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_without_the_packages_the_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "transformers.py").write_text("raise ImportError('not here', name='transformers')\n")
    code = (
        "from whygen.models import load_model, providers\n"
        "assert 'hf' in providers()\n"
        "from whygen.errors import MissingExtraError\n"
        "try:\n    load_model('hf/x')\nexcept MissingExtraError as error:\n    print(error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{code}"],
        check=False, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert "pip install 'whygen[hf]'" in run.stdout, run.stderr
