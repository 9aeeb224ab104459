"""whygen's own targets, operators, criteria and encoders pass the checks that are shipped for those of others."""

from __future__ import annotations

from typing import Any

import pytest

from whygen.anchors.choosing import CRITERIA, by_name
from whygen.errors import UsageError
from whygen.models import load_model
from whygen.prompt.operators import EmbeddingNoise, OperatorOptions, Tools, load_operator
from whygen.prompt.targets import TARGETS, load_target
from whygen.testing import check_criterion, check_encoder, check_operator, check_target
from whygen.types import Output

JSON = [Output(text=f'{{"price": {price}}}') for price in (3, 4, 3)]
NAMES = {
    "contains": "contains:fox",
    "contrastive": "contrastive:a cat",
    "label": "label:red,blue",
    "regex": "regex:fox",
}


@pytest.mark.parametrize("name", [*TARGETS, "logprob:fox"])
def test_every_target_passes(name: str) -> None:
    check_target(NAMES.get(name, f"{name}:price" if name == "json" else name), outputs=JSON if name == "json" else None)


@pytest.mark.parametrize("distance", ["tfidf", "edit", "logprob"])
def test_contrasts_pass(distance: str) -> None:
    check_target(load_target("contrastive", distance=distance, alternative="a cat"))


@pytest.mark.parametrize("name", ["delete", "placeholder", "synonym"])
def test_every_operator_that_needs_no_model_passes(name: str) -> None:
    check_operator(name)


def test_operators_that_ask_a_model_pass() -> None:
    check_operator(load_operator("paraphrase", OperatorOptions(paraphraser=lambda text: f"{text}{text}")))
    check_operator(EmbeddingNoise(), tools=Tools(model=load_model("demo/storyteller")), prompts=["Tell a long story."])


ASKING = ("nll", "nll-complexity", "inversion", "denoising-loss", "iw-elbo", "realism")
"""Criteria that ask the model for more than a posterior."""


@pytest.mark.parametrize("name", [name for name in CRITERIA if name not in {"feature-l2", "fid-pair", *ASKING}])
def test_every_criterion_passes(name: str) -> None:
    check_criterion(name)


@pytest.mark.parametrize("name", ASKING)
def test_a_criterion_that_asks_more_of_the_model_is_sent_to_one(name: str) -> None:
    with pytest.raises(UsageError, match=f"'{name}' needs .* of a model"):
        check_criterion(name)


def test_criteria_on_features_pass() -> None:
    for name in ("feature-l2", "fid-pair"):
        check_criterion(by_name(name, lambda samples: samples.reshape(len(samples), -1)).criteria[0])


@pytest.mark.parametrize(
    ("name", "media"),
    [
        ("auto", "text"),
        ("patches", "picture"),
        ("colour", "picture"),
        ("log-mel", "sound"),
        ("frame-colours", "frames"),
    ],
)
def test_every_encoder_passes(name: str, media: Any) -> None:
    check_encoder(name, media=media)
