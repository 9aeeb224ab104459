"""What only a local model can do: tell its tokens, take noise on their embeddings, fill in a mask."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

import tiny_models
from whygen.calls import call_key
from whygen.errors import DataError
from whygen.models import AddsNoise, ContinuesText, FillsMask, Tokenizes, load_model
from whygen.models.hf.masked import HfMaskedModel
from whygen.models.hf.model import HfModel
from whygen.models.hf.steps import NoiseSource
from whygen.types import Chat, Failure, Message, Output, Request, Settings

TEXT = "Paris is the capital of France and it lies on the river Seine"


def opened(kind: str, folder: Path, *, chat: bool = False) -> HfModel:
    model = load_model(f"hf/{tiny_models.save(kind, folder, chat=chat)}")
    assert isinstance(model, HfModel)
    return model


def noisy(*words: str, scale: float = 3.0, seed: int = 0, text: str = TEXT, **more) -> Request:
    spans = [[text.index(word), text.index(word) + len(word)] for word in words]
    extra = {"embedding_noise": {"spans": spans, "scale": scale, "seed": seed}} if words else {}
    how = {"temperature": more.pop("temperature")} if "temperature" in more else {}
    return Request(prompt=text, settings=Settings(max_tokens=8, extra=extra, **how), **more)


def said(answers: Sequence[Output | Failure]) -> list[object]:
    assert all(isinstance(answer, Output) for answer in answers), answers
    return [
        answer.text if answer.scores is None else [round(score.logprob, 3) for score in answer.scores]
        for answer in answers
        if isinstance(answer, Output)
    ]


def test_a_local_model_tells_its_tokens(tmp_path: Path) -> None:
    model = opened("gpt2", tmp_path)
    assert isinstance(model, Tokenizes)
    text = "Naïve café, Ωψ 東京 and\n\nKyōto"
    spans = model.token_spans(text)
    assert "".join(text[a:b] for a, b in spans) == text
    assert all(a < b for a, b in spans)
    assert {"ψ", "ō"} <= {text[a:b] for a, b in spans}
    with pytest.raises(DataError, match="cannot cut this text into tokens"):
        model.token_spans("half \ud800 a pair")


@pytest.mark.parametrize("kind", tiny_models.KINDS)
def test_noise_reaches_answers_and_scores_and_depends_on_no_batch(kind: str, tmp_path: Path) -> None:
    model = opened(kind, tmp_path)
    assert isinstance(model, AddsNoise)
    asked = [noisy(), noisy("capital"), noisy("capital", "river"), noisy("Paris", seed=1), noisy("Paris", seed=2)]
    asked += [noisy("river", temperature=0.7), noisy("Fr", text="Paris and France"), noisy("is", scale=0.001)]
    together = said(model.answer(asked))
    assert together == [said(model.answer([one]))[0] for one in asked]
    if kind != "bart":  # random weights: what the encoder says hardly reaches the words of its decoder
        assert len({str(text) for text in together[:5]}) > 2
    scored = [Request(prompt=one.prompt, settings=one.settings, continuation=" Seine boats") for one in asked]
    together = said(model.score(scored))
    assert together == [said(model.score([one]))[0] for one in scored]
    assert len({str(row) for row in together[:5]}) == 5


def test_noise_is_what_adding_it_by_hand_gives(tmp_path: Path) -> None:
    """A second road: embeddings with the noise added, handed to the network itself."""
    model = opened("llama", tmp_path)
    request = noisy("capital", scale=2.0, seed=7, continuation=" Seine")
    places = model.noisy_tokens(request)
    ids = model.tokenizer(TEXT)["input_ids"]
    assert "capital" in model.tokenizer.decode([ids[place] for place in places])
    target = model.tokenizer(" Seine", add_special_tokens=False)["input_ids"]
    layer = model.network.get_input_embeddings()
    with torch.inference_mode():
        rows = layer(torch.tensor([ids + target]))
        each = 2.0 * layer.weight.norm(dim=1).mean() / rows.shape[-1] ** 0.5
        rows[0, places] += each * NoiseSource(tuple(places), 2.0, 7).rows(rows.shape[-1])
        logits = model.network(inputs_embeds=rows).logits[0, len(ids) - 1 : -1]
    by_hand = torch.log_softmax(logits, dim=-1).gather(1, torch.tensor(target)[:, None])[:, 0]
    (answer,) = model.score([request])
    assert isinstance(answer, Output)
    assert answer.scores is not None
    assert [score.logprob for score in answer.scores] == pytest.approx(by_hand.tolist(), abs=1e-4)


def test_the_noise_is_as_long_as_it_says_and_leaves_nothing_behind(tmp_path: Path) -> None:
    rows = NoiseSource(tuple(range(2000)), 1.0, 3).rows(64)
    assert float(rows.norm(dim=1).pow(2).mean()) == pytest.approx(64, rel=0.02)
    assert torch.equal(rows[5:6], NoiseSource((5,), 9.0, 3).rows(64))
    model = opened("gpt2", tmp_path)
    before = said(model.answer([noisy()]))
    model.answer([noisy("Paris"), noisy("river")])
    assert said(model.answer([noisy()])) == before
    assert not model.network.get_input_embeddings()._forward_hooks


def test_a_template_is_looked_through(tmp_path: Path) -> None:
    model = opened("llama", tmp_path, chat=True)
    assert isinstance(model, ContinuesText)
    assert not model.continues_text
    places = model.noisy_tokens(noisy("Paris"))
    sent = model.tokenizer(f"[user] {TEXT}\n[assistant]")["input_ids"]
    assert "Paris" in model.tokenizer.decode([sent[place] for place in places])


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ({"spans": [[0, 5]], "scale": 0, "seed": 0}, "is not of the form"),
        ({"spans": [[0, 5]], "scale": 1.0, "seed": -1}, "is not of the form"),
        ({"spans": [[5, 5]], "scale": 1.0, "seed": 0}, "is not of the form"),
        ({"spans": [[0, 5]], "scale": 1.0}, "is not of the form"),
        ({"spans": [[0, 5]], "scale": 1.0, "seed": 0, "colour": 1}, "is not of the form"),
        ([1], "is not of the form"),
        ({"spans": [[90, 95]], "scale": 1.0, "seed": 0}, "characters 90 to 95 of the prompt hold no token"),
    ],
)
def test_noise_that_cannot_be_added_says_why(extra, says: str, tmp_path: Path) -> None:
    model = opened("gpt2", tmp_path)
    request = Request(prompt=TEXT, settings=Settings(max_tokens=4, extra={"embedding_noise": extra}))
    for answer in (*model.answer([request]), *model.score([Request(**_fields(request), continuation=" a")])):
        assert isinstance(answer, Failure)
        assert says in answer.message
    with pytest.raises(DataError, match=says):
        model.noisy_tokens(request)


def _fields(request: Request) -> dict:
    return {"prompt": request.prompt, "settings": request.settings}


def test_noise_needs_a_prompt_whose_characters_can_be_found(tmp_path: Path) -> None:
    model = opened("llama", tmp_path, chat=True)
    request = Request(prompt=Chat((Message("user", TEXT),)), settings=noisy("Paris").settings)
    (answer,) = model.answer([request])
    assert isinstance(answer, Failure)
    assert "cannot be found" in answer.message


def test_noise_is_part_of_what_names_a_call_asked_or_scored() -> None:
    for continuation in (None, " Seine"):
        keys = {
            call_key({"uri": "m"}, request)
            for request in (
                noisy(continuation=continuation),
                noisy("Paris", continuation=continuation),
                noisy("Paris", seed=1, continuation=continuation),
                noisy("river", continuation=continuation),
            )
        }
        assert len(keys) == 4
    plain = Request(prompt=TEXT, continuation=" a")
    assert plain.digest == Request(prompt=TEXT, settings=Settings(max_tokens=3, seed=4), continuation=" a").digest


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> HfMaskedModel:
    model = load_model(f"hf/{tiny_models.save_masked(tmp_path_factory.mktemp('masked'))}")
    assert isinstance(model, HfMaskedModel)
    return model


def test_the_likeliest_fillers_are_the_network_s_own(masked: HfMaskedModel) -> None:
    assert isinstance(masked, FillsMask)
    text = f"tell a story of the {masked.mask} and the dog."
    (answer,) = masked.answer([Request(prompt=text)])
    assert isinstance(answer, Output)
    ids = masked.tokenizer(text, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        logits = masked.network(input_ids=ids).logits[0, ids[0].tolist().index(masked.tokenizer.mask_token_id)]
    shares = dict(zip(masked.tokenizer.convert_ids_to_tokens(range(len(logits))), logits.softmax(0), strict=True))
    listed = {str(text): float(share) for text, share in answer.extra["fillers"]}  # type: ignore[union-attr,misc,arg-type]
    assert list(listed.values()) == sorted(listed.values(), reverse=True)
    assert answer.text == next(iter(listed))
    assert set(listed) == {word for word in shares if not word.startswith(("[", "##"))}
    assert all(share == pytest.approx(float(shares[word]), rel=1e-4) for word, share in listed.items())


def test_a_long_text_is_read_around_the_mask(masked: HfMaskedModel) -> None:
    text = "tell " * 100 + f"the {masked.mask} castle" + " dog" * 100
    (answer,) = masked.answer([Request(prompt=text)])
    assert isinstance(answer, Output)
    assert answer.tokens_in is not None
    assert answer.tokens_in <= 64
    assert answer.text


@pytest.mark.parametrize("prompt", ["no mask", "[MASK] and [MASK]", Chat((Message("user", "[MASK]"),))])
def test_one_mask_it_must_be(masked: HfMaskedModel, prompt) -> None:
    (answer,) = masked.answer([Request(prompt=prompt)])
    assert isinstance(answer, Failure)
    assert "Write [MASK] once" in answer.advice


def test_a_tokenizer_without_a_mask_is_named(masked: HfMaskedModel) -> None:
    bare = copy.deepcopy(masked.tokenizer)
    bare.mask_token = None
    (answer,) = HfMaskedModel(masked.network, bare, uri="hf/x").answer([Request(prompt="tell a story")])
    assert isinstance(answer, Failure)
    assert "no mask token" in answer.message
    assert "None" not in answer.message + answer.advice


def test_it_is_known_by_its_weights(masked: HfMaskedModel) -> None:
    assert masked.identity is not None
    assert {"uri", "weights", "dtype"} == set(masked.identity)
