# pyright: basic
"""What a server may do to the client that asks it: how much it may send, for how long, and where it may send it to.

A small compressed answer may unpack to gigabytes, a byte a second never ends, and a redirect hands prompts to another
host. Compression is not asked for, and what comes compressed all the same is unpacked within the bound.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Iterator
from typing import Any, Final, cast

import httpcore2
import httpx2

from whygen.errors import MissingError, UsageError
from whygen.remote.addresses import MOST_REDIRECTS, REDIRECTS
from whygen.remote.reading import Unacceptable

_SPARE: Final = 2**20
"""Bytes that an answer may have whatever was asked for."""
_A_TOKEN: Final = 1024
"""Bytes that a token of the answer may take, with its log-probability and what the model thought of it."""
_LARGE: Final = {"images": 2**27, "files": 2**30, "batches": 2**30}
"""Bytes that may come from endpoints of pictures and of batches."""
_LENGTHS: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens")

_PLAIN: Final = "identity"
_ZIPPED: Final = frozenset({"gzip", "x-gzip", "deflate"})
_NO_ENCODINGS: Final = frozenset({"", _PLAIN, "none", "utf-8", "utf8"})
"""What some servers say of an answer that is not compressed."""

_PROXIES: Final = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy"})

_NO_COMPRESSION: Final = "Turn compression off in the server or the proxy before it."
_GIVE_ADDRESS: Final = "Give that address itself (--base-url), up to where the protocol begins (often it ends in /v1)."
_NO_ENDPOINT: Final = (
    "That is no endpoint of a model: where it is a login, of the network or of a proxy, log in; else check the address "
    "(--base-url): it should be where the protocol begins (often it ends in /v1)."
)
_CHECK_ADDRESS: Final = "Check the address (--base-url): it should be where the protocol begins (often it ends in /v1)."


def bounded_client(timeout: float) -> httpx2.Client:
    """A client whose answers are bounded.

    Args:
        timeout: seconds without a byte until an answer is given up. A whole answer may take three times as long; once
            its text has begun, a fifth of it; ten seconds at least.

    Raises:
        MissingError: if the environment names certificates or a kind of proxy that are not there.
        UsageError: if it names a proxy that is no address.
    """
    client = _client(timeout)
    # A transport that is handed in would switch off the proxies of the environment: those that are there are wrapped.
    for each in (client._transport, *filter(None, client._mounts.values())):
        pool = cast(Any, each)._pool
        pool._network_backend = _BoundedSockets(pool._network_backend, longest=_longest(timeout))
    client._transport = _Bounded(client._transport, timeout)
    client._mounts = {
        pattern: None if each is None else _Bounded(each, timeout) for pattern, each in client._mounts.items()
    }
    return client


def _client(timeout: float) -> httpx2.Client:
    """A client by what the environment says of certificates and proxies, which may hold passwords."""
    try:
        return httpx2.Client(follow_redirects=True, timeout=timeout, limits=httpx2.Limits(max_connections=1000))
    except ImportError:
        raise MissingError("The environment names a SOCKS proxy, which needs a package: pip install socksio.") from None
    except OSError as error:
        raise MissingError(
            f"The certificates that SSL_CERT_FILE or SSL_CERT_DIR names cannot be read ({error.strerror}). Name a file "
            "of certificates in PEM, or unset it."
        ) from None
    except (ValueError, httpx2.InvalidURL):
        named = [name for name in os.environ if name.lower() in _PROXIES]
        raise UsageError(
            f"The proxy in {' or '.join(named)} is no address of one. Write it like http://localhost:3128, or unset it."
        ) from None


def _longest(timeout: float) -> float:
    """Seconds that a whole answer may take."""
    return max(10.0, 3 * timeout)


class _BoundedSockets(httpcore2.NetworkBackend):
    """Connections whose answers begin in time: headers may trickle as well as what follows them."""

    def __init__(self, inner: httpcore2.NetworkBackend, *, longest: float) -> None:
        self._inner = inner
        self._longest = longest

    def connect_tcp(self, *given: Any, **named: Any) -> httpcore2.NetworkStream:
        return _BoundedStream(self._inner.connect_tcp(*given, **named), self._longest)

    def connect_unix_socket(self, *given: Any, **named: Any) -> httpcore2.NetworkStream:
        return _BoundedStream(self._inner.connect_unix_socket(*given, **named), self._longest)

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)


class _BoundedStream(httpcore2.NetworkStream):
    """A connection that is read for so long after what was written to it last."""

    def __init__(self, inner: httpcore2.NetworkStream, longest: float) -> None:
        self._inner = inner
        self._longest = longest
        self._until = time.monotonic() + longest

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left = self._until - time.monotonic()
        if left <= 0:
            raise httpcore2.ReadTimeout("the answer trickles in and does not end")
        return self._inner.read(max_bytes, left if timeout is None else min(left, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._until = time.monotonic() + self._longest
        self._inner.write(buffer, timeout)

    def close(self) -> None:
        self._inner.close()

    def start_tls(self, *given: Any, **named: Any) -> httpcore2.NetworkStream:
        return _BoundedStream(self._inner.start_tls(*given, **named), self._longest)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Bounded(httpx2.BaseTransport):
    def __init__(self, inner: httpx2.BaseTransport, timeout: float) -> None:
        self._inner = inner
        self._timeout = timeout

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.headers["accept-encoding"] = "identity"
        response = self._inner.handle_request(request)
        if response.status_code in REDIRECTS:
            _check_redirect(request, response)
        headers = response.headers.copy()
        encoding = _encoding(headers.pop("content-encoding", ""))
        if encoding != _PLAIN:
            headers.pop("content-length", None)
        stream = _Stream(
            cast(httpx2.SyncByteStream, response.stream), encoding, most=_most(request), timeout=self._timeout
        )
        if response.status_code >= 400:  # the status says what went wrong, readable or not
            stream = _Readable(stream)
        return httpx2.Response(response.status_code, headers=headers, stream=stream, extensions=response.extensions)

    def close(self) -> None:
        self._inner.close()


def _check_redirect(request: httpx2.Request, response: httpx2.Response) -> None:
    """Let a server redirect to itself, or from http to https on its own host: nobody else is given the prompts.

    A request that redirects carries its extensions on to the next one: each counts the redirects behind it.
    """
    request.extensions["redirects"] = 1 + request.extensions.get("redirects", 0)
    if request.extensions["redirects"] > MOST_REDIRECTS:
        response.close()
        raise Unacceptable(f"it redirects more than {MOST_REDIRECTS} times", kind="fatal", advice=_CHECK_ADDRESS)
    try:
        target = request.url.join(response.headers.get("location", ""))
    except httpx2.InvalidURL:
        response.close()
        raise Unacceptable("it redirects to what is no address", kind="fatal", advice=_CHECK_ADDRESS) from None
    shown = target.copy_with(query=None, fragment=None, userinfo=b"")
    # Where it is not the endpoint that it leads to, it is a page for people.
    further = target.path.endswith(request.url.path.rpartition("/")[2])
    same = (target.scheme, target.host, target.port) == (request.url.scheme, request.url.host, request.url.port)
    safer = target.host == request.url.host and (request.url.scheme, target.scheme) == ("http", "https")
    if (same or safer) and request.method == "POST" and response.status_code in (301, 302):
        response.close()
        raise Unacceptable(
            f"it redirects to {shown} in a way that leaves the prompt behind ({response.status_code})",
            kind="fatal",
            advice=_GIVE_ADDRESS if further else _NO_ENDPOINT,
        )
    if not same and not safer:
        response.close()
        raise Unacceptable(
            f"it redirects to {shown.copy_with(path='/')}, which was not asked",
            kind="fatal",
            advice="If that is the right server, give its address (--base-url)." if further else _NO_ENDPOINT,
        )


def _most(request: httpx2.Request) -> int:
    """Bytes that the answer to this may have, from the limit of the answer that was asked for."""
    for part, most in _LARGE.items():
        if f"/{part}" in request.url.path:
            return most
    try:
        body: Any = json.loads(request.content)
        if "image" in (body.get("modalities") or ()):
            return _LARGE["images"]
        tokens = max(value for name in _LENGTHS if isinstance(value := body.get(name), int))
    except (ValueError, TypeError, AttributeError, RecursionError, httpx2.RequestNotRead):
        return 2**26
    return _SPARE + _A_TOKEN * max(0, min(tokens, 10**6))


class _Readable(httpx2.SyncByteStream):
    """The bytes of an error, as far as they can be unpacked."""

    def __init__(self, inner: _Stream) -> None:
        self._inner = inner

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._inner
        except _PackedError:
            return

    def close(self) -> None:
        self._inner.close()


class _PackedError(Unacceptable):
    """Bytes that cannot be unpacked."""

    def __init__(self, message: str) -> None:
        super().__init__(message, kind="permanent", advice=_NO_COMPRESSION)


class _Stream(httpx2.SyncByteStream):
    """The bytes of an answer, unpacked, until there are too many or it takes too long."""

    def __init__(self, inner: httpx2.SyncByteStream, encoding: str, *, most: int, timeout: float) -> None:
        self._inner = inner
        self._encoding = encoding
        self._most = most
        self._timeout = timeout

    def __iter__(self) -> Iterator[bytes]:
        began = time.monotonic()
        told: float | None = None  # when the text began: some servers send white space while they think
        count = 0
        unpack = _unpacker(self._encoding)
        for packed in self._inner:
            try:
                piece = packed if unpack is None else unpack.decompress(packed, self._most - count)
            except zlib.error:
                raise _PackedError(f"its answer is not compressed as {self._encoding!r}, which it says") from None
            count += len(piece)
            if count > self._most:
                raise Unacceptable(
                    f"its answer has more than {self._most:,} bytes", kind="permanent",
                    advice="Raise max_tokens if answers are long; else do not use this server.",
                )  # fmt: skip
            now = time.monotonic()
            told = now if told is None and piece.strip() else told
            if now - began > _longest(self._timeout) or (
                told is not None and now - told > max(10.0, self._timeout / 5)
            ):
                raise Unacceptable(
                    "its answer trickles in and does not end", kind="transient",
                    advice="Run the same command again, it goes on from here; or use another server.",
                )  # fmt: skip
            yield piece

    def close(self) -> None:
        self._inner.close()


def _encoding(told: str) -> str:
    """How an answer is compressed, of a header that may list several ways."""
    named = [each for each in (part.strip().lower() for part in told.split(",")) if each not in _NO_ENCODINGS]
    return ", ".join(named) or _PLAIN


class _Unpacker:
    """Unpacks gzip, of several parts too, and deflate, which some servers send without its header."""

    def __init__(self, encoding: str) -> None:
        self._inner = zlib.decompressobj(zlib.MAX_WBITS | 32)
        self._may_lack_header = encoding == "deflate"

    def decompress(self, packed: bytes, most: int) -> bytes:
        """The next bytes, and one more than ``most`` where there are too many."""
        found = b""
        while packed and len(found) <= most:
            found += self._part(packed, most - len(found) + 1)
            packed = self._inner.unconsumed_tail or self._inner.unused_data
            if self._inner.eof and packed:
                self._inner = zlib.decompressobj(zlib.MAX_WBITS | 32)
        return found

    def _part(self, packed: bytes, most: int) -> bytes:
        try:
            found = self._inner.decompress(packed, most)
        except zlib.error:
            if not self._may_lack_header:
                raise
            self._inner = zlib.decompressobj(-zlib.MAX_WBITS)
            found = self._inner.decompress(packed, most)
        self._may_lack_header = False
        return found


def _unpacker(encoding: str) -> _Unpacker | None:
    if encoding == _PLAIN:
        return None
    if encoding in _ZIPPED:
        return _Unpacker(encoding)
    raise _PackedError(f"its answer is compressed as {encoding!r}, which was not asked for")
