from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from whygen.calls import call_key, identity_of
from whygen.errors import DataError
from whygen.types import Chat, Edit, Message, Picture, Prompt, Request, Settings

TEXT = st.text(st.characters(exclude_categories=()), max_size=8)  # lone surrogates too
PICTURES = st.builds(Picture, st.binary(max_size=4), st.sampled_from(["image/png", "image/jpeg"]))
MESSAGES = st.builds(
    Message, st.sampled_from(["system", "user", "assistant"]), TEXT, st.lists(PICTURES, max_size=2).map(tuple)
)
PROMPTS: st.SearchStrategy[Prompt] = st.one_of(
    TEXT, st.builds(Chat, st.lists(MESSAGES, max_size=2).map(tuple)), st.builds(Edit, PICTURES, TEXT)
)
SETTINGS = st.builds(
    Settings,
    temperature=st.sampled_from([0.0, 0.5, 1.0]),
    max_tokens=st.integers(1, 3),
    top_p=st.none() | st.sampled_from([0.5, 0.9]),
    stop=st.lists(TEXT, max_size=2).map(tuple),
    seed=st.integers(0, 2),
    extra=st.dictionaries(TEXT, st.none() | st.booleans() | st.integers(0, 2) | TEXT, max_size=2),
)
REQUESTS = st.builds(Request, prompt=PROMPTS, settings=SETTINGS, draw=st.integers(0, 2), continuation=st.none() | TEXT)
IDENTITY = {"uri": "test/one"}


def what_counts(request: Request) -> Any:
    """Everything that can change the answer, written down a second time and without JSON."""
    settings = request.settings
    drawn = (settings.temperature, settings.seed if settings.temperature > 0 else None)
    generation = (drawn, settings.max_tokens, settings.top_p, settings.stop, dict(settings.extra))
    scoring = request.continuation is not None
    counts = (request.continuation, dict(settings.extra)) if scoring else generation
    return request.prompt, request.draw, counts, scoring


@given(REQUESTS)
def test_an_equal_request_has_the_same_key(request_: Request) -> None:
    again = dataclasses.replace(request_, settings=dataclasses.replace(request_.settings))
    assert call_key(IDENTITY, request_) == call_key(dict(IDENTITY), again)


@given(REQUESTS, REQUESTS)
def test_keys_are_equal_just_when_nothing_that_counts_differs(one: Request, other: Request) -> None:
    assert (call_key(IDENTITY, one) == call_key(IDENTITY, other)) == (repr_equal(what_counts(one), what_counts(other)))


def repr_equal(one: Any, other: Any) -> bool:
    """Equality that tells True from 1, as JSON does."""
    return one == other and typed(one) == typed(other)


def typed(value: Any) -> Any:
    match value:
        case dict():
            return sorted((repr(key), typed(item)) for key, item in value.items())  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        case tuple():
            return [typed(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        case _:
            return type(value).__name__  # pyright: ignore[reportUnknownArgumentType]


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "Why is the sky red?"},
        {"prompt": "Why is the sky blue? "},
        {"prompt": Chat((Message("user", "Why is the sky blue?"),))},
        {"draw": 1},
        {"continuation": ""},
        {"settings": Settings(temperature=0.1)},
        {"settings": Settings(max_tokens=255)},
        {"settings": Settings(top_p=1.0)},
        {"settings": Settings(stop=("\n",))},
        {"settings": Settings(extra={"steps": 4})},
    ],
)
def test_each_thing_that_counts_changes_the_key(change: dict[str, Any]) -> None:
    request = Request(prompt="Why is the sky blue?")
    assert call_key(IDENTITY, request) != call_key(IDENTITY, dataclasses.replace(request, **change))


def test_the_seed_counts_only_when_something_is_drawn() -> None:
    def key(temperature: float, seed: int) -> str:
        return call_key(IDENTITY, Request(prompt="p", settings=Settings(temperature=temperature, seed=seed)))

    assert key(0.0, 1) == key(0.0, 2)
    assert key(0.7, 1) != key(0.7, 2)


def test_settings_do_not_count_when_a_text_is_scored() -> None:
    greedy, drawn = (Request(prompt="p", continuation="c", settings=Settings(temperature=t)) for t in (0.0, 1.0))
    assert call_key(IDENTITY, greedy) == call_key(IDENTITY, drawn)


@given(st.dictionaries(TEXT, TEXT, max_size=3), st.dictionaries(TEXT, TEXT, max_size=3))
def test_the_identity_counts_and_its_order_does_not(one: dict[str, str], other: dict[str, str]) -> None:
    request = Request(prompt="p")
    assert call_key(one, request) == call_key(dict(reversed(one.items())), request)
    assume(one != other)
    assert call_key(one, request) != call_key(other, request)


def test_a_model_is_its_uri_unless_it_knows_better(logged: Any, known: Any) -> None:
    assert identity_of(logged(uri="a/b")) == {"uri": "a/b"}
    assert identity_of(known(known={"weights": "1f"})) == {"weights": "1f"}
    assert identity_of(known(known=None)) is None


def test_a_setting_that_is_not_json_is_named() -> None:
    with pytest.raises(DataError, match=r"not JSON.*nan"):
        call_key(IDENTITY, Request(prompt="p", settings=Settings(extra={"guidance": float("nan")})))


def test_keys_never_change() -> None:
    """A changed key would silently ask for every recorded answer again."""
    request = Request(prompt="Why?", settings=Settings(temperature=0.5, stop=("\n",), extra={"steps": 4}), draw=2)
    assert (
        call_key({"uri": "planted/colour"}, request)
        == "fd7b91fb4a93156d7dd4a2d481d62e5335196abe214f83bf19f1e73c31ac683f"
    )
