"""Prices: listed, overridden, or unknown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from whygen.errors import DataError, MissingError
from whygen.models import ModelOptions, load_model
from whygen.models.prices import LISTED, Price, batch_price_of, price_of

KNOWN, ELSEWHERE = "openai/gpt-4o-mini", ModelOptions(base_url="http://localhost:1/v1")


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "some-key-of-a-person")


def test_a_million_tokens_cost_the_list_price() -> None:
    price = price_of(load_model(KNOWN))
    assert price is not None
    assert price.cost(10**6, 0) == price.input
    assert price.cost(500, 200) == pytest.approx((500 * price.input + 200 * price.output) / 1e6)


def test_what_is_not_listed_or_runs_elsewhere_is_unknown() -> None:
    assert price_of(load_model("openai/gpt-of-tomorrow")) is None
    assert price_of(load_model(KNOWN, ELSEWHERE)) is None
    assert price_of(load_model("planted/additive")) is None


def test_the_persons_own_table_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "prices.json"
    path.write_text(json.dumps({KNOWN: {"input": 1, "output": 2.5}}))
    monkeypatch.setenv("WHYGEN_PRICES", str(path))
    own = Price(input=1, output=2.5, source=str(path))
    assert price_of(load_model(KNOWN)) == price_of(load_model(KNOWN, ELSEWHERE)) == own


def test_batches_cost_half_where_that_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual, batch = price_of(load_model(KNOWN)), batch_price_of(load_model(KNOWN))
    assert usual is not None
    assert batch is not None
    assert batch.cost(300, 70) == pytest.approx(usual.cost(300, 70) / 2)
    assert batch_price_of(load_model("openai/gpt-of-tomorrow")) is None
    path = tmp_path / "prices.json"
    path.write_text(json.dumps({KNOWN: {"input": 1, "output": 2}, "openai/b": {"input": 1, "output": 2, "batch": 0.7}}))
    monkeypatch.setenv("WHYGEN_PRICES", str(path))
    assert batch_price_of(load_model(KNOWN, ELSEWHERE)) is None  # who knows what that server takes for a batch
    found = batch_price_of(load_model(KNOWN))
    assert found is not None
    assert found.output == 1.0
    found = batch_price_of(load_model("openai/b", ELSEWHERE))
    assert found is not None
    assert found.cost(10**6, 10**6) == pytest.approx(0.7 * 3)


def test_every_listed_price_says_where_it_is_from() -> None:
    assert all("20" in price.source for price in LISTED.values())


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"a/b": 1}', '{"a/b": {"input": -1, "output": 1}}', '{"a/b": {"input": 1}}']
)
def test_a_table_that_cannot_be_used_shows_the_form(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "prices.json"
    path.write_text(text)
    monkeypatch.setenv("WHYGEN_PRICES", str(path))
    with pytest.raises(DataError, match="million tokens"):
        price_of(load_model(KNOWN))


def test_a_table_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHYGEN_PRICES", "/nowhere/prices.json")
    with pytest.raises(MissingError, match="WHYGEN_PRICES"):
        price_of(load_model(KNOWN))
