"""A server on this machine that speaks OpenAI's protocol, and keeps to its instructions."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COLOURS = {"sky": "blue", "grass": "green", "snow": "white", "coal": "black", "blood": "red", "milk": "white"}
SYSTEM = "You answer questions about paint. Use one word. Never name a colour. Be polite."


def answer(messages: list[dict[str, Any]]) -> str:
    """What it says: the colour, unless it must not."""
    system = " ".join(str(each["content"]) for each in messages if each["role"] in ("system", "developer"))
    user = " ".join(str(each["content"]) for each in messages if each["role"] == "user")
    thing = next((name for name in COLOURS if name in user), "")
    return COLOURS[thing] if thing and "Never name a colour" not in system else "nice"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        message = {"role": "assistant", "content": answer(body["messages"])}
        usage = {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}
        document = {
            "id": "x", "object": "chat.completion", "created": 0, "model": body["model"], "usage": usage,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        }  # fmt: skip
        data = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@contextmanager
def serving() -> Generator[str, None, None]:
    """Its address, for as long as the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
