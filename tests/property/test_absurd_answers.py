"""Whatever JSON a server sends, and however it trickles in: an answer that is used, or a failure in a sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whygen.calls.spending import Budget, BudgetGate, told_tokens
from whygen.models.anthropic.model import read_message
from whygen.models.openai.pictures import ServerPictures
from whygen.models.openai.text import read_chat, read_completion
from whygen.remote import Malformed, Unacceptable, bounded, from_status
from whygen.remote.bounded import _Stream
from whygen.remote.reading import document, usage
from whygen.remote.service import Service
from whygen.types import Failure, Limits, Output, Request, output_json

NUMBERS = st.one_of(
    st.integers(-(10**400), 10**400), st.integers(-3, 3), st.floats(), st.sampled_from([10**12, 10**13, 1e308, -0.0])
)
LEAVES = st.one_of(
    st.none(), st.booleans(), NUMBERS, st.text(max_size=8), st.sampled_from(["stop", "\ud800", "\x1b[2J"])
)
ANY = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip

CHAT: dict[str, Any] = {
    "id": "1", "model": "m", "system_fingerprint": "f",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "x", "refusal": None, "tool_calls": []},
                 "finish_reason": "stop", "logprobs": {"content": [{"token": "x", "logprob": -1.0}]}}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5,
              "completion_tokens_details": {"reasoning_tokens": 1}, "prompt_tokens_details": {"cached_tokens": 1}},
}  # fmt: skip
COMPLETION: dict[str, Any] = {
    "model": "m", "usage": CHAT["usage"],
    "choices": [{"text": "x", "finish_reason": "stop",
                 "logprobs": {"tokens": ["x"], "token_logprobs": [-1.0], "text_offset": [0]}}],
}  # fmt: skip
MESSAGE: dict[str, Any] = {
    "model": "m", "content": [{"type": "text", "text": "x"}], "stop_reason": "end_turn",
    "usage": {"input_tokens": 3, "output_tokens": 2, "cache_read_input_tokens": 1},
}  # fmt: skip
PICTURE: dict[str, Any] = {"created": 1, "data": [{"b64_json": "eA=="}], "usage": CHAT["usage"]}
READERS = {
    "chat": (CHAT, read_chat), "completion": (COMPLETION, read_completion), "message": (MESSAGE, read_message),
    "picture": (PICTURE, ServerPictures(Service("openai", "http://127.0.0.1:9/v1"), timeout=1.0).read),
}  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a document, itself left out."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in inside:
        yield (*path, key)
        yield from places(inner, (*path, key))


def put(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    copy = json.loads(json.dumps(document))
    here = copy
    for step in path[:-1]:
        here = here[step]
    here[path[-1]] = value
    return copy


@settings(max_examples=300)
@given(st.data())
@pytest.mark.parametrize("kind", READERS)
def test_anything_at_any_place_of_an_answer_is_used_or_is_no_answer(kind: str, data: st.DataObject) -> None:
    template, read = READERS[kind]
    changed = put(template, data.draw(st.sampled_from(list(places(template)))), data.draw(ANY))
    try:
        answer = read(document(json.dumps(changed).encode()))
    except Malformed:
        return
    if isinstance(answer, Failure):
        assert answer.message
        return
    assert isinstance(answer, Output)
    assert isinstance(answer.text, str)
    json.dumps(output_json(answer), allow_nan=False)
    read_tokens, written = told_tokens(Request(prompt="a fox"), answer)
    assert all(value is None or 0 <= value <= 3 * 10**12 for value in (read_tokens, written))


@given(ANY, ANY, ANY)
def test_a_count_is_a_whole_number_or_none(first: object, second: object, third: object) -> None:
    found = {"usage": {"prompt_tokens": first, "completion_tokens": second, "total_tokens": third}}
    for value in usage(found):
        assert value is None or (isinstance(value, int) and value >= 0)


@settings(max_examples=200)
@given(st.sampled_from([400, 401, 402, 403, 404, 409, 418, 429, 500, 503]), ANY, ANY, st.text(max_size=40))
def test_an_error_says_a_sentence_whatever_stands_in_it(status: int, body: object, inner: object, after: str) -> None:
    service = Service("openai", "http://127.0.0.1:1/v1", "sk-a-long-secret-key")
    for document_ in (body, {"error": inner}, {"error": {"message": inner, "code": body, "type": inner}}):
        header = after.encode("ascii", "ignore").decode().replace("\n", " ").replace("\r", " ")
        found = from_status(status, {"retry-after": header, "retry-after-ms": header}, json.dumps(document_), service)
        assert isinstance(found, Failure)
        assert found.message
        assert found.retry_after is None or 0 <= found.retry_after < float("inf")


class Counts:
    uri = "test/counts"
    limits = Limits(max_in_flight=8)

    def answer(self, requests: object) -> list[Output]:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("about", "wanted"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}, (5, 2)),
        ({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 90}, (5, 85)),
        ({"total_tokens": 90}, (None, 90)),
        ({"prompt_tokens": 5}, (5, None)),
        ({"prompt_tokens": 5, "total_tokens": 9}, (5, 4)),
        ({"input_tokens": 5, "output_tokens": 2, "cache_read_input_tokens": 100}, (105, 2)),
        ({"input_tokens": 5, "output_tokens": 2, "cache_creation_input_tokens": 9}, (14, 2)),
        ({"prompt_tokens": 105, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 100}}, (105, 2)),
        ({"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 100}}, (105, 2)),
        ({"prompt_tokens": 105, "completion_tokens": 2, "cache_read_input_tokens": 100}, (105, 2)),
        ({"prompt_cache_hit_tokens": 100, "prompt_cache_miss_tokens": 5, "completion_tokens": 2}, (105, 2)),
        ({"prompt_tokens": 5, "prompt_cache_hit_tokens": 100, "completion_tokens": 2}, (100, 2)),
        ({"prompt_tokens": 10**400, "completion_tokens": "many"}, (None, None)),
        ([], (None, None)),
    ],
)  # fmt: skip
def test_ways_of_counting(about: object, wanted: tuple[int | None, int | None]) -> None:
    assert usage({"usage": about}) == wanted


@pytest.mark.parametrize(("told", "credible"), [((0, 0), (None, None)), ((1, 1), (None, 1)), ((9, 0), (9, None))])
def test_a_count_too_small_for_the_text_is_none(told: tuple[int, int], credible: tuple[int | None, int | None]) -> None:
    answer = Output(text="a short answer", tokens_in=told[0], tokens_out=told[1])
    assert told_tokens(Request(prompt="word " * 20), answer) == credible


def test_what_is_not_told_is_taken_at_its_most() -> None:
    request = Request(prompt="word " * 20)
    gate = BudgetGate(Counts(), Budget(tokens=10_000))
    gate.reserve(request)
    gate.settle(request, Output(text="a short answer", tokens_in=0, tokens_out=0))
    assert gate.shared_budget.used.tokens == 116 + 256
    assert gate.total.untold == 1


def test_a_byte_a_second_ends_by_the_time_of_a_whole_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(10**6))
    monkeypatch.setattr(bounded.time, "monotonic", lambda: float(next(now)))

    def taken(piece: bytes, timeout: float) -> int:
        came: list[bytes] = []
        stream = _Stream((piece for _ in range(10**5)), "identity", most=2**20, timeout=timeout)  # type: ignore[arg-type]
        with pytest.raises(Unacceptable, match="trickles in") as raised:
            came.extend(stream)
        assert raised.value.kind == "transient"
        return len(came)

    assert taken(b"x", 60.0) == pytest.approx(12, abs=2)  # once its text has begun, a fifth of the time-out
    assert taken(b" ", 60.0) == pytest.approx(180, abs=2)  # white space, while it thinks: three times
    assert taken(b"x", 1.0) == pytest.approx(10, abs=2)  # ten seconds at least
