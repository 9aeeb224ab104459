"""What a forecast says of beginnings that providers keep, and the order in which requests are sent."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whygen import forecast
from whygen.calls.agenda import WINDOW, together
from whygen.models import ModelOptions
from whygen.types import Chat, Message, Request, Settings

HANDBOOK = "Rule: be kind. " * 400


def costs(system: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **price: float) -> tuple[float, float | None]:
    """Of a chat whose user message alone is cut."""
    table = tmp_path / "prices.json"
    table.write_text(json.dumps({"openai/x": {"input": 2.0, "output": 8.0, **price}}))
    monkeypatch.setenv("WHYGEN_PRICES", str(table))
    found = forecast(
        "openai/x", Chat([Message("system", system), Message("user", "Why is the red fox here today?")]), pin=[system],
        settings=Settings(max_tokens=10), target="tfidf",
        options=ModelOptions(base_url="http://localhost:1/v1"),
    )  # fmt: skip
    assert found.cost_at_most is not None
    return found.cost_at_most, found.cost_if_kept


def test_what_is_kept_is_billed_at_its_own_price(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    full, kept = costs(HANDBOOK, monkeypatch, tmp_path, cached=0.5)
    assert kept is not None
    saved = (2.0 - 0.5) * (len(HANDBOOK) // 4) / 1e6  # of each prompt but the first
    assert (full - kept) / saved == pytest.approx(round((full - kept) / saved), abs=0.02)
    assert kept < 0.9 * full


def test_nothing_is_said_without_a_price_or_of_a_short_beginning(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert costs(HANDBOOK, monkeypatch, tmp_path)[1] is None
    assert costs("Be kind.", monkeypatch, tmp_path, cached=0.5)[1] is None


@given(st.lists(st.text("ab ", max_size=6), max_size=150))
def test_requests_change_places_within_their_window_alone(ends: list[str]) -> None:
    prompts = [HANDBOOK + end for end in ends]
    given_ = {str(i): Request(prompt=prompt, draw=i) for i, prompt in enumerate(prompts)}
    found = together(given_)
    keys = list(found)
    assert found == given_
    short = {str(i): Request(prompt=end, draw=i) for i, end in enumerate(ends)}
    assert list(together(short)) == list(short)
    for start in range(0, len(keys), WINDOW):
        window = [int(key) for key in keys[start : start + WINDOW]]
        assert sorted(window) == list(range(start, start + len(window)))
        assert [(prompts[i], i) for i in window] == sorted((prompts[i], i) for i in window)


def test_a_forecast_opens_no_encoder() -> None:
    asked = "import sys, whygen; print(whygen.forecast('planted/additive', 'a red fox ran home').units)"
    code = f"{asked}; print('torch' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=240)
    assert ended.stdout.split() == ["5", "False"]
