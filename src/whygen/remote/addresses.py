"""Fetching a picture, or how a job is going, from where a server says it is, and nothing else that it may point at.

An answer is not trusted with where it sends its reader: an address inside the network, a redirect to one, or a name
that means another machine at the second look would have this machine read what it alone can reach. So each address is
looked at before it is visited, each redirect too, and the connection goes to the very numbers that were looked at. The
key goes to the server that was asked, and to no other.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, cast
from urllib.request import getproxies, proxy_bypass

import httpcore2
import httpx2

from whygen.remote.reading import Unacceptable
from whygen.remote.service import Service
from whygen.types import FailureKind
from whygen.version import __version__

MOST_REDIRECTS: Final = 3
TRIES: Final = 3
"""Of one address: the picture behind it is paid for, and another one would be paid again."""
LONGEST: Final = 120.0
"""Seconds that a picture may take to come, from the first try on, whatever the time-out of an answer."""
_FIRST_PAUSE: Final = 0.5
_CONNECT: Final = 10.0
_LONGEST_ADDRESS: Final = 16_384
"""Characters; those of storage services with their signatures take two thousand."""
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PASSING: Final = frozenset({404, 408, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same address is tried again; a store may not have the picture yet."""
_TRANSLATED: Final = ipaddress.ip_network("64:ff9b::/96")
"""IPv4 in IPv6 (RFC 6052): its last 32 bits say where it goes."""
_LOCAL: Final = tuple(map(ipaddress.ip_network, ("::/96", "64:ff9b:1::/48", "fec0::/10")))
"""Forms that `ipaddress` takes for public: IPv4-compatible, translated within one network, and site-local."""
_ADVICE: Final = (
    "Have the server send pictures themselves (response_format b64_json), or their addresses at its own host; or use "
    "another server."
)
_SPACES: Final = re.compile(r"[\x00-\x20\x7f]")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is fetched.

    Attributes:
        noun: what it is called.
        accept: the header that asks for it.
        also: statuses beside 200 that bring something to read.
    """

    noun: str
    accept: str
    also: Container[int] = ()


PICTURE: Final = Wanted("picture", "image/*")


class Found(NamedTuple):
    """What was at an address: the last one, where redirects led."""

    url: httpx2.URL
    status: int
    data: bytes


def fetch(address: str, service: Service, *, most: int, timeout: float, wanted: Wanted = PICTURE) -> Found:
    """What is at an address that a server answered with.

    Hosts are the server's own, at any port, or public ones; from a server behind https only https is taken. Proxies of
    the environment are used as for the server; they look names up themselves, so that what a name means is looked at
    here only where this machine can look it up too.

    Args:
        address: where the picture is; a path is taken as one at the server.
        service: the server; its key goes nowhere but to its own scheme, host and port.
        most: bytes that are taken.
        timeout: seconds for the whole of it, redirects and tries included; `LONGEST` at most.
        wanted: what it should be.

    Raises:
        Unacceptable: saying what is wrong with the address or what came back. Only the host is named: paths and queries
            hold signatures.
    """
    visitor = _Visitor(service, most, time.monotonic() + min(timeout, LONGEST), wanted)
    url = visitor.parsed(address, httpx2.URL(service.place))
    for tried in range(TRIES):
        try:
            return visitor.follow(url)
        except Passing:
            pause = _FIRST_PAUSE * 2**tried
            if tried == TRIES - 1 or time.monotonic() + pause > visitor.deadline:
                raise
            time.sleep(pause)
    raise AssertionError  # the last try returns or raises


class Passing(Unacceptable):
    """What may pass by itself."""


@dataclass(frozen=True, slots=True)
class _Visitor:
    """Who visits addresses of one answer.

    Attributes:
        service: that gave them.
        most: bytes that are taken.
        deadline: of `time.monotonic`.
        wanted: what it visits them for.
    """

    service: Service
    most: int
    deadline: float
    wanted: Wanted

    def parsed(self, address: str, base: httpx2.URL) -> httpx2.URL:
        """An address as it stands in an answer or a redirect."""
        none = Unacceptable(f"the address of its {self.wanted.noun} is none", kind="permanent", advice=_ADVICE)
        if len(address) > _LONGEST_ADDRESS or _SPACES.search(address):
            raise none
        try:
            return base.join(address)
        except (httpx2.InvalidURL, ValueError):
            raise none from None

    def follow(self, url: httpx2.URL) -> Found:
        """What is at an address, or where it redirects to."""
        before: httpx2.URL | None = None
        for _ in range(MOST_REDIRECTS + 1):
            self._check(url, before)
            found = self._visit(url)
            if isinstance(found, Found):
                return found
            before, url = url, self.parsed(found, url)
        raise self._refused(url, f"is behind more than {MOST_REDIRECTS} redirects")

    def _check(self, url: httpx2.URL, before: httpx2.URL | None) -> None:
        """Refuse what is not to be visited, as far as the address itself shows it."""
        if url.scheme not in {"http", "https"} or not url.host:
            raise Unacceptable(
                f"the address of its {self.wanted.noun} is no http address", kind="permanent", advice=_ADVICE
            )
        if url.userinfo:
            raise self._refused(url, "holds a user or a password")
        if url.scheme == "http" and "https" in (self._own.scheme, "" if before is None else before.scheme):
            raise self._refused(url, "is not encrypted (http), though the way to it is (https)")

    @property
    def _own(self) -> httpx2.URL:
        return httpx2.URL(self.service.place)

    def _visit(self, url: httpx2.URL) -> Found | str:
        """What is at an address: something, or another address."""
        proxy = _proxy_for(url)
        if proxy is not None and not self._is_own(url):
            self._look_up(url, unknown="the proxy's")
        numbers = None if proxy is not None or self._is_own(url) else self._look_up(url)
        backend = _Sockets(self.deadline, numbers)
        secure = httpx2.create_ssl_context() if "https" in (url.scheme, "https" if proxy else "") else None
        try:
            with (
                httpcore2.ConnectionPool(ssl_context=secure, proxy=proxy, network_backend=backend) as pool,
                pool.stream("GET", _core(url), headers=self._headers(url), extensions=self._timeouts()) as response,
            ):
                return self._read(url, response)
        except httpcore2.TimeoutException as error:
            raise self._passing(url, "did not come in time") from error
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.ProxyError, OSError) as error:
            if isinstance(error.__cause__ or error.__context__, ssl.SSLCertVerificationError):
                raise self._refused(url, "is at a host whose certificate is not accepted") from error
            raise self._passing(url, f"cannot be fetched ({_reason(error)})") from error

    def _headers(self, url: httpx2.URL) -> list[tuple[bytes | str, bytes | str]]:
        headers: list[tuple[bytes | str, bytes | str]] = [
            (b"Host", url.netloc), (b"Accept", self.wanted.accept.encode()), (b"Accept-Encoding", b"identity"),
            (b"User-Agent", f"whygen/{__version__}".encode()), (b"Connection", b"close"),
        ]  # fmt: skip
        if self.service.key is not None and is_at(self.service, url):
            headers.append((b"Authorization", f"Bearer {self.service.key}".encode()))
        return headers

    def _timeouts(self) -> dict[str, Any]:
        left = max(0.001, self.deadline - time.monotonic())
        return {"timeout": {"connect": min(left, _CONNECT), "read": left, "write": left, "pool": left}}

    def _read(self, url: httpx2.URL, response: httpcore2.Response) -> Found | str:
        headers = {name.lower(): value for name, value in response.headers}
        status = response.status
        if status in REDIRECTS and (to := headers.get(b"location")):
            return to.decode("latin-1")
        if status != 200 and status not in self.wanted.also:
            refuse = self._passing if status in _PASSING else self._refused
            noun = self.wanted.noun
            raise refuse(url, f"was answered {status} instead of a {noun}", kind="permanent" if status < 500 else None)
        if headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
            raise self._refused(url, "is compressed, which was not asked for", kind="permanent")
        if int(length if (length := headers.get(b"content-length", b"0")).isdigit() else 0) > self.most:
            raise self._refused(url, self._too_large, kind="permanent")
        data = bytearray()
        for piece in cast(Iterable[bytes], response.stream):
            data += piece
            if len(data) > self.most:
                raise self._refused(url, self._too_large, kind="permanent")
            if time.monotonic() > self.deadline:
                raise self._passing(url, "trickles in and does not end")
        return Found(url, status, bytes(data))

    @property
    def _too_large(self) -> str:
        return f"is over {self.most // 2**20} MiB"

    def _is_own(self, url: httpx2.URL) -> bool:
        """Whether it is the host that was asked, whatever its port; this machine is one host under all its names."""
        if _host(url) == _host(self._own):
            return True
        return self.service.is_local and Service("", f"http://{url.netloc.decode('ascii', 'replace')}").is_local

    def _look_up(self, url: httpx2.URL, *, unknown: str = "") -> Sequence[str]:
        """The numbers of a host, all of them public.

        Args:
            url: the host's.
            unknown: whose matter it is if this machine cannot look the name up; empty: then nobody can.
        """
        host = _host(url)
        if host == "localhost" or host.endswith(".localhost"):
            raise self._inside(url)
        try:
            found = socket.getaddrinfo(host, url.port or 443, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            if unknown:
                return ()
            raise self._passing(url, "is at a host that is not found") from error
        numbers = list(dict.fromkeys(str(each[4][0]) for each in found))
        if not numbers or not all(map(_is_public, numbers)):
            raise self._inside(url)
        return numbers

    def _inside(self, url: httpx2.URL) -> Unacceptable:
        return self._refused(url, "is inside this network, where only the server's own host is visited")

    def _refused(self, url: httpx2.URL, what: str, *, kind: FailureKind | None = None) -> Unacceptable:
        """For good. What is wrong with one address of a server is wrong with all, unless ``kind`` says otherwise."""
        return Unacceptable(self._told(url, what), kind=kind or "fatal", advice=_ADVICE)

    def _passing(self, url: httpx2.URL, what: str, *, kind: FailureKind | None = None) -> Passing:
        return Passing(
            self._told(url, what), kind=kind or "transient",
            advice="Run the same command again, it goes on from here; check the network and proxies if it stays so.",
        )  # fmt: skip

    def _told(self, url: httpx2.URL, what: str) -> str:
        host = self.service.scrub(_host(url))[:253]
        return f"the {self.wanted.noun} that it gives the address of, at {host}, {what}"


class _Sockets(httpcore2.NetworkBackend):
    """Connections to numbers that were looked at (None: to whatever the host's name means), until a deadline."""

    def __init__(self, deadline: float, numbers: Sequence[str] | None) -> None:
        self._deadline = deadline
        self._numbers = numbers

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        backend = httpcore2.SyncBackend()
        failed: Exception = httpcore2.ConnectError("no address")
        for number in [host] if self._numbers is None else self._numbers:
            try:
                stream = backend.connect_tcp(number, port, _left(self._deadline, timeout), None, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failed = error
            else:
                return _Timed(stream, self._deadline)
        raise failed


class _Timed(httpcore2.NetworkStream):
    """A connection that lasts until a deadline, however slowly its bytes come."""

    def __init__(self, inner: httpcore2.NetworkStream, deadline: float) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(self._deadline, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _left(self._deadline, timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        secure = self._inner.start_tls(ssl_context, server_hostname, _left(self._deadline, timeout))
        return _Timed(secure, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _left(deadline: float, timeout: float | None) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore2.ReadTimeout("the time for it is over")
    return left if timeout is None else min(left, timeout)


def _host(url: httpx2.URL) -> str:
    return url.raw_host.decode("ascii", "replace").lower().rstrip(".")


def is_at(service: Service, url: httpx2.URL) -> bool:
    """Whether an address is where the key of a service may go: its own scheme, host and port."""
    return _origin(url) == _origin(httpx2.URL(service.place))


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, _host(url), url.port or {"http": 80, "https": 443}.get(url.scheme)


def _core(url: httpx2.URL) -> httpcore2.URL:
    return httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


def _is_public(number: str) -> bool:
    """Whether an address is one that anybody can reach, whatever it is wrapped in."""
    try:
        address = ipaddress.ip_address(number.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast
    inside = address.ipv4_mapped or address.sixtofour
    if address in _TRANSLATED:
        inside = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    if inside is not None:
        return _is_public(str(inside))
    return address.is_global and not address.is_multicast and not any(address in each for each in _LOCAL)


def _proxy_for(url: httpx2.URL) -> httpcore2.Proxy | None:
    """The proxy that the environment names for an address."""
    proxies: Mapping[str, str] = getproxies()
    named = proxies.get(url.scheme) or proxies.get("all")
    if not named or proxy_bypass(url.host):
        return None
    found = httpx2.URL(named if "://" in named else f"http://{named}")
    auth = (found.username, found.password) if found.username else None
    return httpcore2.Proxy(str(found.copy_with(username=None, password=None)), auth=auth)


def _reason(error: BaseException) -> str:
    """A word for what broke, without anything that the other side said."""
    cause = error.__cause__ or error.__context__
    return type(cause if isinstance(cause, OSError) else error).__name__
