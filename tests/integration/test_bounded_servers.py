"""Servers that count as they like, send without end, or send prompts on: held, or a failure of that call."""

from __future__ import annotations

import gzip
import json
import threading
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from faults.answers import Reply, changed
from faults.scripts import Received
from faults.server import FaultServer
from faults.site import Handler, Site
from whygen.calls import Budget, EndedError, Runner, Store
from whygen.errors import WhygenError
from whygen.models import ModelOptions, load_model
from whygen.remote import bounded
from whygen.types import Failure, Output, Request, Settings

CAP = 6000


def counted(read: float, written: float, **more: int) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        usage = document["usage"]
        usage["prompt_tokens"] = int(read * usage["prompt_tokens"]) + more.get("template", 0)
        usage["completion_tokens"] = int(written * usage["completion_tokens"]) + more.get("thoughts", 0)
        usage["total_tokens"] = usage["prompt_tokens"] + usage["completion_tokens"] + more.get("hidden", 0)

    return change


def grows() -> Callable[[dict[str, Any]], None]:
    seen = iter(range(10**6))

    def change(document: dict[str, Any]) -> None:
        counted(1, 1, template=4 * next(seen))(document)

    return change


WAYS: dict[str, Callable[[dict[str, Any]], None]] = {
    "a chat template": counted(1, 1, template=300),
    "thoughts beside the answer": counted(1, 1, thoughts=400),
    "thoughts in the total alone": counted(1, 1, hidden=400),
    "no limit of the answer": counted(1, 60),
    "the prompt twice": counted(40, 1),
    "counts that grow": grows(),
    "no usage": lambda document: document.pop("usage"),
    "usage that is null": lambda document: document.update(usage=None),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_budget_of_tokens_holds_however_a_server_counts(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    paid: list[int] = []

    def reply(received: Received) -> Reply:
        found = changed(received, WAYS[way])
        usage = json.loads(found.body).get("usage") or {"total_tokens": 30}
        paid.append(usage["total_tokens"])
        return found

    monkeypatch.setitem(__import__("faults.answers", fromlist=["FAULTS"]).FAULTS, "counting", reply)
    with FaultServer("counting", latency=0.01) as server:
        model = load_model("openai/test", ModelOptions(base_url=server.url))
        runner = Runner(model, store=Store(None), spending=Budget(tokens=CAP))
        with pytest.raises(EndedError, match="budget is spent"):
            runner.ask([Request(prompt=f"story {n}", settings=Settings(max_tokens=20)) for n in range(1000)])
    assert sum(paid) <= CAP, (sum(paid), len(paid))
    assert len(paid) > 3


@pytest.mark.parametrize(
    ("fault", "words", "kind"),
    [("elsewhere", "redirects to", "fatal"), ("bomb", "more than", "permanent"), ("long", "more than", "permanent"),
     ("brotli", "compressed as", "permanent"), ("no address", "what is no address", "fatal"),
     ("lie", "not compressed as 'gzip'", "permanent"), ("lie of a rate", "answered 429", "rate_limit"),
     ("brotli of a key", "answered 401", "fatal")],
)  # fmt: skip
def test_what_no_answer_excuses_is_a_failure(
    fault: str, words: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = gzip.compress(b" " * 200_000_000)
    replies = {
        "elsewhere": Reply(307, b"", headers={"location": "http://localhost:1/v1/chat/completions"}),
        "bomb": Reply(200, bomb, headers={"content-encoding": "gzip"}),
        "long": Reply(200, b"x" * 5_000_000),
        "brotli": Reply(200, b"x", headers={"content-encoding": "br"}),
        "no address": Reply(308, b"", headers={"location": "http://[::1"}),
        "lie": Reply(200, b"{}", headers={"content-encoding": "gzip"}),
        "lie of a rate": Reply(429, b"{}", headers={"content-encoding": "gzip"}),
        "brotli of a key": Reply(401, b"x", headers={"content-encoding": "br"}),
    }
    faults = __import__("faults.answers", fromlist=["FAULTS"]).FAULTS
    monkeypatch.setitem(faults, fault, lambda _: replies[fault])
    with FaultServer(fault) as server:
        [answer] = load_model("openai/test", ModelOptions(base_url=server.url)).answer([Request(prompt="x")])
    assert isinstance(answer, Failure)
    assert words in answer.message
    assert answer.kind == kind


def unheaded(text: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(text) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("", bytes), ("none", bytes), ("UTF-8", bytes), ("identity, gzip", gzip.compress), ("deflate", zlib.compress),
     ("deflate", unheaded), ("gzip", lambda text: gzip.compress(text[:20]) + gzip.compress(text[20:]))],
)  # fmt: skip
def test_an_answer_that_can_be_unpacked_is_read(
    encoding: str, pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def reply(received: Received) -> Reply:
        found = changed(received, lambda _: None)
        return Reply(200, pack(found.body), headers={"content-encoding": encoding})

    monkeypatch.setitem(__import__("faults.answers", fromlist=["FAULTS"]).FAULTS, "packed", reply)
    with FaultServer("packed") as server:
        [answer] = load_model("openai/test", ModelOptions(base_url=server.url)).answer([Request(prompt="x")])
    assert isinstance(answer, Output), answer


@pytest.mark.parametrize(
    ("path", "words"), [("/login", "no endpoint of a model"), ("/v2/chat/completions", "Give that address itself")]
)
def test_a_redirect_to_a_login_is_not_advised_as_an_address(
    path: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reply = Reply(302, b"", headers={"location": path})
    monkeypatch.setitem(__import__("faults.answers", fromlist=["FAULTS"]).FAULTS, "away", lambda _: reply)
    with FaultServer("away") as server:
        [answer] = load_model("openai/test", ModelOptions(base_url=server.url)).answer([Request(prompt="x")])
    assert isinstance(answer, Failure)
    assert words in answer.advice


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [("SSL_CERT_FILE", "/nowhere.pem", "SSL_CERT_FILE or SSL_CERT_DIR names cannot be read"),
     ("SSL_CERT_FILE", __file__, "SSL_CERT_FILE or SSL_CERT_DIR names cannot be read"),
     ("HTTP_PROXY", "ftp://me:pa55word@proxy", "The proxy in HTTP_PROXY is no address"),
     ("HTTP_PROXY", "http://me:pa55word@[::", "The proxy in HTTP_PROXY is no address")],
)  # fmt: skip
def test_what_the_environment_says_wrongly_is_named_and_no_password_shown(
    variable: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(WhygenError, match=words) as error:
        load_model("openai/test", ModelOptions(base_url="http://127.0.0.1:1/v1")).answer([Request(prompt="x")])
    assert "pa55word" not in str(error.value)


def test_a_proxy_that_does_not_answer_is_named_in_the_place_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://me:pa55word@127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    model = load_model("openai/test", ModelOptions(base_url="http://far.example/v1"))
    [answer] = model.answer([Request(prompt="x")])
    assert isinstance(answer, Failure)
    assert "the proxy that HTTP_PROXY names" in answer.message
    assert "pa55word" not in answer.message + answer.advice


@pytest.mark.parametrize(("status", "is_taken"), [(301, False), (302, False), (303, True), (307, True), (308, True)])
def test_a_redirect_that_leaves_the_prompt_behind_ends_the_run(
    status: int, is_taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-3be0")
    page = json.dumps({"choices": [{"message": {"content": "hello"}, "finish_reason": "stop"}]}).encode()
    site = Site(**{
        "v1/chat/completions": lambda handler: handler.send(status, location="/v2/there"),
        "v2/there": lambda handler: handler.send(200, page),
    })  # fmt: skip
    model = load_model("openai/any", ModelOptions(base_url=f"http://127.0.0.1:{site.port}/v1"))
    (answer,) = model.answer([Request(prompt="a fox")])
    site.close()
    assert isinstance(answer, Output) == is_taken
    if isinstance(answer, Failure):
        assert answer.kind == "fatal"
        assert "leaves the prompt behind" in answer.message


@pytest.mark.parametrize("status", [303, 307, 308])
def test_a_redirect_that_goes_round_ends_the_run_after_three(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-3be0")
    site = Site(**{f"v1/{name}": lambda handler: handler.send(status, location="/v1/other")
                   for name in ("chat/completions", "other")})  # fmt: skip
    model = load_model("openai/any", ModelOptions(base_url=f"http://127.0.0.1:{site.port}/v1"))
    answers = list(Runner(model, store=Store(None)).ask([Request(prompt=f"a fox {n}") for n in range(3)]))
    site.close()
    assert all(each.kind == "fatal" and "redirects more than 3 times" in each.message for each in answers)  # type: ignore[union-attr]
    assert len(site.paths) <= 3 * 4


def test_headers_that_trickle_end_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-3be0")
    monkeypatch.setattr(bounded, "_longest", lambda timeout: 2 * timeout)

    came_to_its_end = threading.Event()

    def trickle(handler: Handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(200):
            handler.wfile.write(b"x-%d: 1\r\n" % number)
            time.sleep(0.05)
        came_to_its_end.set()

    site = Site(**{"v1/chat/completions": trickle})
    model = load_model("openai/any", ModelOptions(base_url=f"http://127.0.0.1:{site.port}/v1", timeout=0.3))
    (answer,) = model.answer([Request(prompt="a fox")])
    assert not came_to_its_end.is_set()
    site.close()
    assert isinstance(answer, Failure)
    assert answer.kind == "transient"
