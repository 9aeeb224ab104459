"""A server's embeddings as an encoder."""

from __future__ import annotations

import gzip
import subprocess
import sys

import numpy as np
import pytest

from faults.answers import FAULTS, Reply, embedding
from faults.scripts import in_turn
from faults.server import FaultServer
from whygen import distances
from whygen.encoders import TextEncoder, load_text_encoder
from whygen.encoders.openai_embeddings import OpenAIEmbeddings
from whygen.errors import MissingError, ModelError
from whygen.remote import Service

TEXTS = ["a fox plays", "a fox plays the piano", "", "rain in the harbour"]


def encoder(server: FaultServer) -> TextEncoder:
    return load_text_encoder("openai/embed", base_url=server.url)


def test_rows_are_unit_vectors_in_the_order_of_the_texts() -> None:
    """The server sends them backwards."""
    with FaultServer() as server:
        found = encoder(server).sentences(TEXTS)
    expected = np.array([embedding(text or "(no text)") for text in TEXTS])
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected, axis=1, keepdims=True))


def test_sets_hold_a_row_for_each_word_and_nothing_is_embedded_twice() -> None:
    with FaultServer() as server:
        opened = encoder(server)
        sets = opened.tokens(TEXTS)
        again = opened.tokens(TEXTS)
    assert [len(each) for each in sets] == [3, 5, 1, 4]
    assert all(np.array_equal(a, b) for a, b in zip(sets, again, strict=True))
    assert len(server.received) == 1


def test_optimal_transport_orders_texts_by_their_words() -> None:
    with FaultServer() as server:
        same, near, far = (encoder(server).tokens([text])[0] for text in (TEXTS[0], TEXTS[1], TEXTS[3]))
        found = distances.optimal_transport([same, near, far], same)
    assert found[0] == pytest.approx(0, abs=1e-9)
    assert found[0] < found[1] < found[2]


def test_what_passes_is_asked_again_and_what_lasts_is_a_clear_error() -> None:
    with FaultServer(in_turn("429-ms", "503")) as server:
        assert encoder(server).sentences(["x"]).shape[0] == 1
        assert len(server.received) == 3
    for action in ("401", "list", "html"):
        with FaultServer(action) as server, pytest.raises(ModelError, match="openai/embed"):
            encoder(server).sentences(["x"])


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(307, b"", headers={"location": "http://localhost:1/v1/embeddings"}), "redirects to"),
        (Reply(200, gzip.compress(b" " * 100_000_000), headers={"content-encoding": "gzip"}), "more than"),
    ],
)
def test_what_a_server_may_send_is_bounded(reply: Reply, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAULTS, "unbounded", lambda _: reply)
    with FaultServer("unbounded") as server, pytest.raises(ModelError, match=words):
        OpenAIEmbeddings(Service("openai", server.url, "a-key-of-the-test"), "embed", retries=0).sentences(["x"])


def test_a_name_that_repeats_the_key_is_shown_without_it() -> None:
    with FaultServer(models=["embed-a-key-of-the-test"]) as server:
        listed = OpenAIEmbeddings(Service("openai", server.url, "a-key-of-the-test"), "", retries=0).listed()
    assert listed == ["embed-[key]"]


def test_without_a_key_the_variable_is_named() -> None:
    with pytest.raises(MissingError, match="OPENAI_API_KEY"):
        load_text_encoder("openai/text-embedding-3-small")


def test_neither_a_remote_model_nor_a_remote_encoder_needs_torch() -> None:
    code = (
        "import sys\n"
        "from whygen.encoders import load_text_encoder\n"
        "from whygen.models import ModelOptions, load_model\n"
        "load_model('openai/x', ModelOptions(base_url='http://localhost:1/v1'))\n"
        "load_text_encoder('openai/x', base_url='http://localhost:1/v1')\n"
        "print(sorted({'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert result.stdout.strip() == "[]"
