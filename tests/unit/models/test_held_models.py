"""What people of transformers and torch hold is a model, or is answered with the way that works."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import transformers

import tiny_models
import whygen
from whygen.errors import UsageError
from whygen.models import load_model
from whygen.models.hf.model import HfModel
from whygen.types import Request, Settings

PROMPT = "Paris is the capital of France"


@pytest.fixture(scope="module")
def parts() -> tuple[torch.nn.Module, transformers.PreTrainedTokenizerFast]:
    torch.manual_seed(3)
    tokenizer = tiny_models.tokenizer()
    return tiny_models.network("gpt2", len(tokenizer)), tokenizer


def test_a_model_with_its_tokenizer_is_explained(parts: tuple[torch.nn.Module, object]) -> None:
    settings = Settings(max_tokens=8)
    found = [
        whygen.explain_prompt(each, PROMPT, target="token-set", budget=24, cache=None, settings=settings)
        for each in (parts, list(parts), parts[::-1])
    ]
    assert len(found[0].units) == 6
    assert found[0].units == found[1].units == found[2].units


def test_a_pipeline_answers_as_its_model_does(parts: tuple[torch.nn.Module, object]) -> None:
    pipeline = transformers.pipeline("text-generation", model=parts[0], tokenizer=parts[1], device="cpu")
    request = Request(prompt=PROMPT, settings=Settings(max_tokens=8))
    [one], [two] = (load_model(each).answer([request]) for each in (pipeline, parts))
    assert (one.text, one.finish) == (two.text, two.finish)


def test_the_network_stays_in_its_place_and_precision(parts: tuple[torch.nn.Module, object]) -> None:
    opened = load_model(parts)
    assert isinstance(opened, HfModel)
    assert opened.network is parts[0]
    assert opened.identity is None  # nobody knows what the weights are now: answers are kept for the run only


class _Encoder(torch.nn.Module):
    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        return samples


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda parts: parts[0], r"without its tokenizer.*\(model, tokenizer\)"),
        (lambda parts: parts[1], r"is a tokenizer.*\(model, tokenizer\)"),
        (lambda _: _Encoder(), "takes tensors and no text.*explain_anchors"),
        (lambda parts: (_Encoder(), parts[1]), "does not generate text"),
        (lambda parts: (parts[1], parts[1]), "is a tuple: give a URI"),
        (lambda _: 3, "is a int: give a URI"),
    ],
)
def test_what_is_no_model_is_answered_with_the_way_that_works(
    parts: tuple[torch.nn.Module, object], make: Callable[[object], object], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        load_model(make(parts))


def test_a_pipeline_that_writes_no_text_is_refused(parts: tuple[torch.nn.Module, object]) -> None:
    bert = transformers.BertForSequenceClassification(
        transformers.BertConfig(
            vocab_size=400, hidden_size=16, num_hidden_layers=1, num_attention_heads=1, intermediate_size=16
        )
    )
    pipeline = transformers.pipeline("text-classification", model=bert, tokenizer=parts[1], device="cpu")
    with pytest.raises(UsageError, match=r"pipeline for 'text-classification'.*function str -> str"):
        load_model(pipeline)
