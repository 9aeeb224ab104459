"""Small web servers on loopback whose pages are functions: where answers point to, and servers of other makes."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Page = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Pages by the path's own function; notes what was sent to it."""

    routes: dict[str, Page]
    seen: list[tuple[str, str, dict[str, str]]]

    def _any(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("content-length", 0)))
        sent = {name.lower(): value for name, value in self.headers.items()}
        self.seen.append((sent.get("host", ""), self.path, sent))
        self.routes.get(self.path.partition("?")[0], lambda handler: handler.send(404))(self)

    do_GET = do_POST = _any  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        del format, args

    def send(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what these servers are for."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Site:
    """A server on every loopback address, at a free port."""

    def __init__(self, **routes: Page) -> None:
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.routes = {f"/{path}": answer for path, answer in routes.items()}
        handler = type("Bound", (Handler,), {"routes": self.routes, "seen": self.seen})
        self._server = _Server(("0.0.0.0", 0), handler)  # noqa: S104
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def paths(self) -> list[str]:
        return [path for _, path, _ in self.seen]

    def given(self, secret: str) -> list[str]:
        """Paths to which a secret came, in any header or in the path itself."""
        return [path for _, path, sent in self.seen if secret in json.dumps(sent) or secret in path]
