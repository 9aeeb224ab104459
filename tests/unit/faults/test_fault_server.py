"""The fault server itself: what the tests of remote models stand on."""

from __future__ import annotations

import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from faults.answers import FAULTS
from faults.scripts import Received, at_first, in_turn, mixed
from faults.server import FaultServer


def ask(server: FaultServer, prompt: str = "hello", *, timeout: float = 5) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=timeout)
    try:
        body = json.dumps({"model": "test", "messages": [{"role": "user", "content": prompt}]})
        connection.request("POST", "/v1/chat/completions", body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_it_answers_and_remembers() -> None:
    with FaultServer() as server:
        status, body = ask(server)
    assert status == 200
    assert json.loads(body)["choices"][0]["message"]["content"] == "You said: hello"
    assert [(r.path, r.json["model"], r.action) for r in server.received] == [("/v1/chat/completions", "test", "ok")]


@pytest.mark.parametrize("action", sorted(FAULTS))
def test_every_fault_is_an_http_response(action: str) -> None:
    with FaultServer(action) as server:
        status, _ = ask(server)
        assert status == int(action[:3]) if action[0].isdigit() else status in {200, 400, 403, 429}
    assert server.actions == {action: 1}


def test_the_connection_fails_by_script() -> None:
    with FaultServer(in_turn("reset", "hang", "half")) as server:
        with pytest.raises(ConnectionError):
            ask(server)
        with pytest.raises(TimeoutError):
            ask(server, timeout=0.2)
        with pytest.raises(http.client.IncompleteRead):
            ask(server)
        assert ask(server)[0] == 200


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.3, 1.0])
def test_the_rate_is_kept_and_depends_on_the_seed_alone(rate: float) -> None:
    asked = [Received(method="POST", path="/", headers={}, body=str(i).encode()) for i in range(2000)]
    struck = [[mixed({"500": rate}, seed=seed)(r) for r in asked] for seed in (1, 1, 2)]
    assert struck[0] == struck[1]
    assert struck[0].count("500") / 2000 == pytest.approx(rate, abs=0.03)
    assert (struck[0] != struck[2]) == (0 < rate < 1)


def test_each_request_fails_first_and_succeeds_then() -> None:
    with FaultServer(at_first("500", "503")) as server:
        assert [ask(server, prompt)[0] for prompt in ("a", "a", "b", "a", "b", "b")] == [500, 503, 500, 200, 503, 200]


def test_what_is_above_the_capacity_waits() -> None:
    with FaultServer(latency=0.05, capacity=2) as server, ThreadPoolExecutor(8) as pool:
        begun = time.perf_counter()
        answers = list(pool.map(lambda i: ask(server, str(i))[0], range(8)))
        seconds = time.perf_counter() - begun
    assert answers == [200] * 8
    assert seconds >= 4 * 0.05
    assert server.peak > 2


def test_what_is_above_the_capacity_is_rejected() -> None:
    with FaultServer(latency=0.2, capacity=2, mode="reject", retry_after=0.5) as server, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: ask(server, str(i))[0], range(8)))
    assert answers.count(200) >= 2
    assert answers.count(429) == server.actions["full"] == 8 - answers.count(200)
    assert server.actions["full"] > 0
