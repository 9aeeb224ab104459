"""A server on this machine that answers what it is told and keeps what it was sent: samples are made with it."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Loopback:
    """What was sent so far, as (path, headers, body); each request gets the next answer: JSON, or a text of events."""

    url: str
    answers: Iterator[Any]
    sent: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def serving(*answers: Any) -> Generator[Loopback, None, None]:
    """A server with these answers, for as long as the block runs."""
    state = Loopback("", iter(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            answer = next(state.answers)
            state.sent.append(
                {
                    "request": {
                        "method": "POST", "url": f"{state.url}{self.path}", "headers": dict(self.headers),
                        "body": json.loads(body),
                    },
                    "response": {"status": 200, "body": answer},
                }
            )  # fmt: skip
            data = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
            self.send_response(200)
            self.send_header("content-type", "text/event-stream" if isinstance(answer, str) else "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_PATCH = do_POST  # noqa: N815 - the name that the base class looks for

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
