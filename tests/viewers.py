"""A running viewer as tests see it, and what axe finds on its pages."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from whygen.web.security import cookie_name

TOKEN = "a-token-of-tests"  # noqa: S105


@dataclass(frozen=True)
class Viewer:
    """A running viewer."""

    address: str
    """Without a slash at its end."""
    token: str = TOKEN

    @property
    def door(self) -> str:
        return f"{self.address}/?token={self.token}"

    @property
    def cookie(self) -> dict[str, str]:
        """What a client that is no browser sends to be let in."""
        return {cookie_name(self.token): self.token}

    def ask(
        self,
        path: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        let_in: bool = True,
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers in lower case and body of a request that no browser has changed."""
        sent = dict(headers or {})
        if let_in:
            sent.setdefault("Cookie", "; ".join(f"{name}={value}" for name, value in self.cookie.items()))
        if body is not None:
            sent = {"Content-Type": "application/json", "Origin": self.address, **sent}
        line = http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=20)
        try:
            line.putrequest(method, path, skip_host="Host" in sent)
            data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
            for name, value in (sent | ({} if data is None else {"Content-Length": str(len(data))})).items():
                line.putheader(name, value)
            line.endheaders(data)
            answer = line.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            line.close()


def teller(prompt: str) -> str:
    """A model for tests, ``py/viewers:teller``: three words bring a sentence each."""
    told = ["Once a fox walked by the sea." if "fox" in prompt else "Nobody walked by the sea."]
    told += ["The fog was thick." if "foggy" in prompt else "The sun shone."]
    told += ["All was well."] if "well" in prompt else []
    return " ".join(told)


def violations(page: Any) -> list[str]:
    """What axe finds on a page as it is now: rule and elements, one line each."""
    import axe_playwright_python

    # The policy of the page forbids scripts of others; what a test evaluates is let through by the browser's own door.
    page.evaluate((Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text() + ";0")
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [f"{one['id']}: {[node['html'][:160] for node in one['nodes']][:4]}" for one in found["violations"]]
