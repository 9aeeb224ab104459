"""A server on loopback that speaks OpenAI's protocol, counts what it was paid, and says what it counts in many ways."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(slots=True)
class Counted:
    """What one answer takes: what the server charges for, and what it says of that."""

    read: int
    written: int
    usage: dict[str, Any] | None
    text: str


Way = Callable[[int, int, str, int], Counted]
"""From tokens of the prompt and of the answer, the answer, and how many came before: what is charged and told."""


def name_of(model: str, prompt: str, seed: object) -> str:
    """One name for a request here and in the store of the one that asks."""
    return f"{model} {seed} {prompt}"


@dataclass(slots=True)
class Bill:
    """What came in, by the name of the request, and what it cost.

    Attributes:
        came: how often each request came in; each time is paid.
            tokens: charged for in all.
        money: charged for in all, by the price of the server.
    """

    came: Counter[str] = field(default_factory=Counter[str])
    tokens: int = 0
    money: float = 0.0

    @property
    def twice(self) -> int:
        """Requests that were paid for after the first time."""
        return self.came.total() - len(self.came)


PRICE = (2.0, 8.0)
"""Dollars for a million tokens read, and written."""


def plain(read: int, written: int, text: str, before: int) -> Counted:
    """As OpenAI counts."""
    del before
    return Counted(read, written, told(read, written), text)


def told(read: int, written: int, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written, **more}


def _says(read: int, written: int, usage: dict[str, Any] | None, text: str) -> Counted:
    return Counted(read, written, usage, text)


LONG = " and so on" * 300
WAYS: dict[str, Way] = {
    "as OpenAI": plain,
    "a chat template of 300 tokens": lambda r, w, t, n: _says(r + 300, w, told(r + 300, w), t),
    "400 thoughts among what was written": lambda r, w, t, n: _says(r, w + 400, told(r, w + 400), t),
    "400 thoughts in a detail alone": lambda r, w, t, n: _says(
        r, w + 400, told(r, w, completion_tokens_details={"reasoning_tokens": w + 400}), t
    ),
    "400 thoughts in the total alone": lambda r, w, t, n: _says(
        r, w + 400, {**told(r, w), "total_tokens": r + w + 400}, t
    ),
    "max_tokens ignored": lambda r, w, t, n: _says(r, w + 900, told(r, w + 900), t + LONG),
    "counts that grow": lambda r, w, t, n: _says(r + 4 * n, w, told(r + 4 * n, w), t),
    "cached tokens apart": lambda r, w, t, n: _says(r + 200, w, told(r, w, cache_read_input_tokens=200), t),
    "cached tokens apart, Anthropic's names": lambda r, w, t, n: _says(
        r + 200, w, {"input_tokens": r, "output_tokens": w, "cache_creation_input_tokens": 200}, t
    ),
    "cached tokens in a detail, the rest told": lambda r, w, t, n: _says(
        r + 200, w, told(r, w, prompt_tokens_details={"cached_tokens": 200}), t
    ),
    "hits and misses of a cache alone": lambda r, w, t, n: _says(
        r + 150, w, {"prompt_cache_hit_tokens": 150, "prompt_cache_miss_tokens": r, "completion_tokens": w}, t
    ),
    "the total alone": lambda r, w, t, n: _says(r + 100, w, {"total_tokens": r + w + 100}, t),
    "the prompt alone": lambda r, w, t, n: _says(r, w, {"prompt_tokens": r}, t),
    "the prompt, and 0 for the answer": lambda r, w, t, n: _says(r, w, told(r, 0), t),
    "the answer alone": lambda r, w, t, n: _says(r, w, {"completion_tokens": w}, t),
    "zeros": lambda r, w, t, n: _says(r, w, told(0, 0), t),
    "ones": lambda r, w, t, n: _says(r, w, told(1, 1), t),
    "no usage": lambda r, w, t, n: _says(r, w, None, t),
    "usage in a field of its own": lambda r, w, t, n: _says(r, w, {"x": told(r, w)}, t),
    "10^400 tokens": lambda r, w, t, n: _says(r, w, told(10**400, 10**400), t),
    "negative": lambda r, w, t, n: _says(r, w, told(-r, -w), t),
    "words for numbers": lambda r, w, t, n: _says(r, w, {"prompt_tokens": "many", "completion_tokens": [w]}, t),
    "usage now and then": lambda r, w, t, n: _says(r, w, told(r, w) if n % 3 == 0 else None, t),
    "a stream of events": plain,
}
"""Ways of counting; the last is also a way of answering."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: PayingServer

    def do_GET(self) -> None:
        self._send({"object": "list", "data": []})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        asked = json.loads(body)
        prompt = " ".join(str(message["content"]) for message in asked["messages"])
        key = name_of(str(asked["model"]), prompt, asked.get("seed"))
        words = sorted(prompt.split(), key=lambda word: hashlib.sha256(word.encode()).digest())
        limit = asked.get("max_tokens") or asked.get("max_completion_tokens") or 256
        text = " ".join(words[: min(limit, 6)]) or "nothing"
        with self.server.lock:
            counted = self.server.way(len(prompt.split()) + 3, len(text.split()), text, self.server.bill.came.total())
            self.server.bill.came[key] += 1
            self.server.bill.tokens += counted.read + counted.written
            self.server.bill.money += (counted.read * PRICE[0] + counted.written * PRICE[1]) / 1e6
        time.sleep(self.server.latency * (0.5 + hashlib.sha256(key.encode()).digest()[0] / 256))
        answer: dict[str, Any] = {
            "id": "1", "object": "chat.completion", "created": 1, "model": "paying",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": counted.text},
                         "finish_reason": "stop"}],
        }  # fmt: skip
        if counted.usage is not None:
            answer["usage"] = counted.usage
        self._send(answer)

    def _send(self, document: dict[str, Any]) -> None:
        data = json.dumps(document).encode()
        streams = self.server.streams
        data = b"data: " + data + b"\n\ndata: [DONE]\n\n" if streams else data
        try:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream" if streams else "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        except OSError:  # the one that asked was killed
            self.close_connection = True

    def log_message(self, *args: object) -> None:
        """Say nothing."""


class PayingServer(ThreadingHTTPServer):
    """Answers after half to one and a half times the latency; see `Bill`."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, *, latency: float = 0.0, way: Way = plain, streams: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.latency = latency
        self.way = way
        self.streams = streams
        self.lock = threading.Lock()
        self.bill = Bill()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is no error."""


@contextmanager
def paying(*, latency: float = 0.0, way: str = "as OpenAI") -> Iterator[PayingServer]:
    """A server, from here to the end of the block."""
    with PayingServer(latency=latency, way=WAYS[way], streams=way == "a stream of events") as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
