"""Models of transformers that read pictures: tiny ones with random weights, through their own processors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
)

import tiny_models
from whygen import explain_prompt
from whygen.errors import DataError
from whygen.media import pictures
from whygen.models import ModelOptions, Randomises, ScoresText, load_model
from whygen.types import Chat, Failure, Message, Output, Picture, Request, Settings, Tool

TEMPLATE = (
    "{% for m in messages %}[{{ m['role'] }}] {% for p in m['content'] %}{% if p['type'] == 'image' %}<image>"
    "{% else %}{{ p['text'] }}{% endif %}{% endfor %}\n{% endfor %}[assistant]"
)


def llava(folder: Path) -> Path:
    words = tiny_models.tokenizer()
    words.add_special_tokens({"additional_special_tokens": ["<image>"]})
    torch.manual_seed(0)
    seen = CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=8,
    )  # fmt: skip
    written = LlamaConfig(
        vocab_size=len(words), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=128, bos_token_id=0, eos_token_id=0, pad_token_id=0,
    )  # fmt: skip
    network = LlavaForConditionalGeneration(
        LlavaConfig(
            vision_config=seen, text_config=written, image_seq_length=16,
            image_token_index=words.convert_tokens_to_ids("<image>"),
        )
    )  # fmt: skip
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() == 2:
                parameter.mul_(6)
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}),
        tokenizer=words, patch_size=8, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    )  # fmt: skip
    network.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_model(f"hf/{llava(tmp_path_factory.mktemp('llava'))}", ModelOptions(device="cpu"))


def image(seed: int) -> Picture:
    return pictures.picture_of(np.random.default_rng(seed).integers(0, 256, (40, 48, 3), dtype=np.uint8))


def asking(*parts: str | Picture, **settings: Any) -> Request:
    return Request(prompt=Chat((Message("user", "", parts=parts),)), settings=Settings(max_tokens=12, **settings))


def said(model: Any, *requests: Request) -> list[Output]:
    answers = model.answer(requests)
    assert all(isinstance(answer, Output) for answer in answers), answers
    return answers


def test_an_answer_hangs_on_the_picture_and_on_where_it_stands(model: Any) -> None:
    one, other = image(1), image(2)
    texts = [answer.text for answer in said(
        model, asking("Paris ", one), asking("Paris ", other), asking(one, "Paris "), asking("Paris "),
        asking("Paris ", one, other),
    )]  # fmt: skip
    assert len(set(texts)) == len(texts)


def test_alone_and_together_are_the_same_and_as_the_network_itself_says(model: Any) -> None:
    requests = [asking("the river ", image(1)), asking("the river"), asking(image(2), "all day", temperature=0.9)]
    together, alone = said(model, *requests), [said(model, request)[0] for request in requests]
    assert [answer.text for answer in together] == [answer.text for answer in alone]
    seen = Image.fromarray(pictures.pixels(image(1)))
    told = "[user] the river <image>[assistant]"  # templates lose the line break behind a block
    given = model.processor(text=[told], images=[seen], return_tensors="pt", add_special_tokens=False)
    with torch.no_grad():
        out = model.network.generate(**given, max_new_tokens=12, do_sample=False)
    own = model.tokenizer.decode(out[0, given["input_ids"].shape[1] :], skip_special_tokens=True)
    assert together[0].text == own.strip()
    assert together[0].tokens_in == given["input_ids"].shape[1] == model.count_tokens(requests[0])


def test_log_probabilities_are_those_of_the_answer_behind_the_picture(model: Any) -> None:
    assert isinstance(model, ScoresText)
    asked = asking("the river ", image(1))
    [answer] = said(model, asked)
    scored = [
        model.score([Request(prompt=prompt, continuation=answer.text)])[0]
        for prompt in (asked.prompt, asking("the river ", image(2)).prompt)
    ]
    totals = [sum(score.logprob for score in output.scores) for output in scored]
    assert totals[0] > totals[1]
    assert scored[0].scores[-1].end == len(answer.text)


def test_what_it_cannot_take_is_a_sentence(model: Any) -> None:
    tools = Request(prompt=Chat((Message("user", "x"),), (Tool("search"),)))
    long = asking(*[image(seed) for seed in range(9)], "x")
    for request, words in ((tools, "no place for tools"), (long, "tokens long")):
        [answer] = model.answer([request])
        assert isinstance(answer, Failure)
        assert words in answer.message
        assert answer.advice
    with pytest.raises(DataError, match="no place for tools"):
        model.count_tokens(tools)


def test_shuffled_weights_say_something_else(model: Any) -> None:
    assert isinstance(model, Randomises)
    request = asking("the river ", image(1))
    assert said(model, request)[0].text != said(model.randomised(1), request)[0].text


def test_an_explanation_of_words_and_picture(model: Any) -> None:
    chat = Chat((Message("user", "", parts=(image(1), "Paris is the capital")),))
    found = explain_prompt(model, chat, units="image", target="logprob", budget=40, settings=Settings(max_tokens=6))
    assert [unit.text for unit in found.units] == ["Paris", "is", "the", "capital", "image 1"]
    assert found.picture_share is not None
    assert found.units[-1].attribution == pytest.approx(found.picture_share.value)
