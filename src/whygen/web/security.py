"""Who may ask the viewer: a browser on this computer that was given the token, from a page of the viewer itself.

Any page in the world can make a browser send requests to ``127.0.0.1``, and a name that its owner points there (DNS
rebinding) makes such a page "the same origin". So every request is held against three things: the name it was sent to,
the page that sent it, and a token that only the person at this computer has seen. Answers carry a policy under which
text that got through the escaping could still do nothing.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
from dataclasses import dataclass
from html import escape
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' data: blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Nothing inline, nothing from elsewhere, no frame around it, and no markup made from strings by scripts."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-cache",
}
_CHANGES_NOTHING = frozenset({"GET", "HEAD"})


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(24)


def cookie_name(token: str) -> str:
    """A name of its own for each viewer: cookies are shared by all ports of a computer."""
    return f"whygen_{hashlib.sha256(token.encode()).hexdigest()[:12]}"


def is_loopback(host: str) -> bool:
    """Whether a ``Host`` header, with or without a port, names this computer itself."""
    if set(host) & set("@/\\#?"):
        return False
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Guard:
    """The middleware around everything that the viewer serves."""

    app: ASGIApp
    token: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, let in, or exchange a token in the address for a cookie."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # no room speaks over a web socket
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        answer = self._answered(scope)
        await (self.app if answer is None else answer)(scope, receive, send_marked)

    def _answered(self, scope: Scope) -> Response | None:
        """What is answered here; None lets the request in."""
        headers = Headers(scope=scope)
        trouble = _wrong_place(headers, scope["method"])
        if trouble:
            return PlainTextResponse(trouble, status_code=403)
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = next((value for name, value in query if name == "token"), None)
        if given is not None and scope["method"] in _CHANGES_NOTHING and self._is_token(given):
            rest = urlencode([pair for pair in query if pair[0] != "token"])
            return self._let_in(scope["path"] + (f"?{rest}" if rest else ""))
        cookies = cookie_parser(headers.get("cookie", ""))
        if self._is_token(cookies.get(cookie_name(self.token), "")):
            return None
        return PlainTextResponse(
            "This viewer shows its pages to the person who started it. Open the whole address, with its token, that "
            "`whygen view` printed.\n",
            status_code=401,
        )

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self.token.encode())

    def _let_in(self, address: str) -> Response:
        """A page that sets the cookie and goes on: a redirect from another site would not carry a strict cookie."""
        there = escape("/" + address.lstrip("/\\"), quote=True)  # "//name" would be another computer
        page = HTMLResponse(
            f'<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0; url={there}">'
            f'<link rel="icon" href="data:,"><title>whygen</title><p><a href="{there}">Go on</a></p></html>'
        )
        page.set_cookie(cookie_name(self.token), self.token, httponly=True, samesite="strict", path="/")
        return page


def _wrong_place(headers: Headers, method: str) -> str:
    """Why a request comes from, or goes to, a place that it must not; empty where it does not."""
    host = headers.get("host", "")
    if len(headers.getlist("host")) != 1 or not is_loopback(host):
        return "This viewer answers to 127.0.0.1 and localhost alone, and the request names another computer.\n"
    origin = headers.get("origin")
    if origin is not None and origin != f"http://{host}":
        return "This viewer answers its own pages alone, and the request comes from a page of another site.\n"
    if method not in _CHANGES_NOTHING and origin is None:
        return "A request that changes something must say which page it comes from (Origin).\n"
    navigates = headers.get("sec-fetch-mode") == "navigate" and method in _CHANGES_NOTHING
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none") and not navigates:
        return "This viewer answers its own pages alone, and the request comes from a page of another site.\n"
    return ""
