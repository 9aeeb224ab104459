"""What is sent to a server that speaks OpenAI's or Anthropic's protocol, and what is made of pictures and scores."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
import pytest

from faults.answers import PNG, word_logprob
from faults.server import FaultServer
from whygen.media import pictures
from whygen.models import Model, ModelOptions, ScoresText, load_model
from whygen.models.openai.pictures import decoded, usable
from whygen.models.openai.text import parameters
from whygen.remote import Malformed
from whygen.types import Chat, Edit, Failure, Message, Output, Picture, Request, Settings

WARM = Settings(temperature=0.7, top_p=0.9, stop=("END",), max_tokens=9, seed=5)
CHAT = Chat((Message("system", "Be brief."), Message("user", "Look", (Picture(PNG),))))


def remote(server: FaultServer, endpoint: str | None = None) -> Model:
    return load_model("openai/test", ModelOptions(base_url=server.url, endpoint=endpoint))


def test_settings_are_sent_and_the_seed_is_the_requests_own() -> None:
    with FaultServer() as server:
        requests = [Request(prompt="x", settings=WARM, draw=draw) for draw in (0, 1)]
        answers = remote(server).answer(requests)
    first, second = (received.json for received in server.received)
    assert {name: first[name] for name in ("temperature", "top_p", "stop", "max_tokens")} == {
        "temperature": 0.7, "top_p": 0.9, "stop": ["END"], "max_tokens": 9,
    }  # fmt: skip
    assert first["seed"] != second["seed"]
    assert 0 <= first["seed"] < 2**31
    assert isinstance(answers[0], Output)
    assert answers[0].extra == {"model": "test-0613", "fingerprint": "fp_test", "seed": first["seed"]}


def test_a_greedy_call_has_no_seed_and_none_leaves_a_parameter_out() -> None:
    assert "seed" not in parameters(Request(prompt="x"), length="max_tokens")
    changed = Settings(extra={"temperature": None, "max_tokens": None, "max_completion_tokens": 7, "top_k": 3})
    assert parameters(Request(prompt="x", settings=changed), length="max_tokens") == {
        "max_completion_tokens": 7, "top_k": 3,
    }  # fmt: skip


def test_pictures_of_a_chat_are_sent_after_its_text() -> None:
    with FaultServer() as server:
        remote(server).answer([Request(prompt=CHAT)])
        load_model("anthropic/test", ModelOptions(base_url=server.root)).answer([Request(prompt=CHAT)])
    openai, anthropic = (received.json for received in server.received)
    encoded = base64.b64encode(PNG).decode()
    assert openai["messages"][0] == {"role": "system", "content": "Be brief."}
    text, image = openai["messages"][1]["content"]
    assert text == {"type": "text", "text": "Look"}
    assert image["image_url"]["url"] == f"data:image/png;base64,{encoded}"
    assert anthropic["system"] == "Be brief."
    assert anthropic["messages"][0]["content"][1]["source"]["data"] == encoded


def test_pictures_are_drawn_and_changed() -> None:
    with FaultServer() as server:
        drawn, changed = remote(server, "images").answer(
            [Request(prompt="a fox"), Request(prompt=Edit(Picture(PNG), "brighter"))]
        )
        (by_default,) = remote(server).answer([Request(prompt=Edit(Picture(PNG), "brighter"))])
    for answer in (drawn, changed, by_default):
        assert isinstance(answer, Output)
        assert answer.picture == Picture(PNG, "image/png")
    assert [received.path for received in server.received] == ["/v1/images/generations", *["/v1/images/edits"] * 2]
    assert PNG in server.received[1].body
    assert b"brighter" in server.received[1].body


@pytest.mark.parametrize("damage", ["truncated", "vast", "no picture"])
def test_a_picture_of_a_server_that_cannot_be_used_is_no_answer(damage: str) -> None:
    header = struct.pack(">IIBBBBB", 7000, 7000, 8, 2, 0, 0, 0)
    vast = (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + b"IHDR"
        + header
        + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    )
    noise = pictures.picture_of(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)).data
    data = {"truncated": noise[:1000], "vast": vast, "no picture": b"hello"}[damage]
    with pytest.raises(Malformed, match="picture"):
        usable(decoded(base64.b64encode(data).decode()))


def test_a_continuation_is_scored_and_only_completions_can() -> None:
    target = " so it is"
    with FaultServer() as server:
        assert not isinstance(remote(server), ScoresText)
        model = remote(server, "completions")
        assert isinstance(model, ScoresText)
        asked = [Request(prompt=p, continuation=target) for p in ("a b", "", "joi")]
        found = model.score([*asked[:2], Request(prompt="joi", continuation="ned")])
    for answer in found[:2]:
        assert isinstance(answer, Output)
        assert [(s.start, s.end) for s in answer.scores or ()] == [(0, 3), (3, 6), (6, 9)]
        assert [s.logprob for s in answer.scores or ()] == [word_logprob(w) for w in (" so", " it", " is")]
    assert isinstance(found[2], Failure)
    assert "joins" in found[2].message


@pytest.mark.parametrize("endpoint", ["completions", "images"])
def test_a_chat_is_refused_where_only_texts_are_taken(endpoint: str) -> None:
    with FaultServer() as server:
        (answer,) = remote(server, endpoint).answer([Request(prompt=CHAT)])
    assert isinstance(answer, Failure)
    assert answer.advice
    assert not server.received
