"""Pictures that servers give the address of: what is visited, what is not, what goes there, and what is said of it."""

from __future__ import annotations

import io
import json
import re
import socket
import time
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from faults.site import Handler, Site
from whygen.models import ModelOptions, load_model
from whygen.remote import Service, Unacceptable, addresses
from whygen.types import Failure, Output, Request

KEY = "sk-planted-77aa20c1f9e4"
SIGNED = "?X-Signature=planted-signature-5521"
SERVER, STORE = "images.example", "store.example"
"""Names that these tests give to 127.0.0.1 and to 127.0.0.2, which counts as public here."""


def picture(kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), 200, dtype=np.uint8)).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    known = {SERVER: "127.0.0.1", STORE: "127.0.0.2"}
    look_up = socket.getaddrinfo

    def named(host: object, *rest: object, **more: object) -> object:
        name = host.decode() if isinstance(host, bytes) else host
        return look_up(known.get(str(name), host), *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", named)
    is_public = addresses._is_public
    monkeypatch.setattr(addresses, "_is_public", lambda number: number == "127.0.0.2" or is_public(number))
    monkeypatch.setattr(addresses, "_FIRST_PAUSE", 0.01)
    found = Site(**{"picture.png": lambda handler: handler.send(200, picture())})
    yield found
    found.close()


def answer(site: Site, address: str, *, host: str = SERVER, timeout: float = 5.0) -> Output | Failure:
    """What a model says whose server answers with an address."""
    gives = json.dumps({"data": [{"url": address}]}).encode()
    site.routes["/v1/images/generations"] = lambda handler: handler.send(200, gives)
    options = ModelOptions(base_url=f"http://{host}:{site.port}/v1", endpoint="images", timeout=timeout)
    (found,) = load_model("openai/any", options).answer([Request(prompt="a fox")])
    assert isinstance(found, Output | Failure)
    return found


def refusal(found: Output | Failure) -> str:
    """The words of a failure, which hold neither the key nor a signature."""
    assert isinstance(found, Failure), found
    words = f"{found.message} {found.advice}"
    assert KEY not in words
    assert "planted-signature" not in words
    assert found.advice
    return words


@pytest.mark.parametrize("host", [SERVER, STORE])
def test_a_picture_comes_from_the_servers_own_host_or_a_public_one(site: Site, host: str) -> None:
    found = answer(site, f"http://{host}:{site.port}/picture.png{SIGNED}")
    assert isinstance(found, Output), found
    assert found.picture is not None
    assert found.picture.data == picture()
    assert "url" not in json.dumps(dict(found.extra))
    assert site.paths[-1] == f"/picture.png{SIGNED}"


def test_a_path_is_one_at_the_server(site: Site) -> None:
    assert isinstance(answer(site, f"/picture.png{SIGNED}"), Output)


@pytest.mark.parametrize(("kind", "media_type"), [("JPEG", "image/jpeg"), ("WEBP", "image/webp"), ("PNG", "image/png")])
def test_the_bytes_say_what_kind_of_picture_it_is(site: Site, kind: str, media_type: str) -> None:
    site.routes["/picture.png"] = lambda handler: handler.send(200, picture(kind), content_type="text/html")
    found = answer(site, f"http://{STORE}:{site.port}/picture.png")
    assert isinstance(found, Output), found
    assert found.picture is not None
    assert found.picture.media_type == media_type


INSIDE = [
    "http://127.0.0.1:{port}/picture.png", "http://localhost:{port}/picture.png", "http://[::1]:{port}/picture.png",
    "http://2130706433:{port}/picture.png", "http://0x7f.1:{port}/picture.png", "http://127.1:{port}/picture.png",
    "http://[::ffff:127.0.0.1]:{port}/picture.png", "http://[::ffff:7f00:1]:{port}/picture.png",
    "http://0.0.0.0:{port}/picture.png", "http://10.0.0.5/x", "http://192.168.1.1/x", "http://169.254.169.254/latest",
    "http://metadata.localhost:{port}/picture.png", "http://100.64.0.1/x", "http://[fe80::1]/x", "http://[fd00::1]/x",
    "http://[64:ff9b::7f00:1]/x", "//127.0.0.1:{port}/picture.png", "http://LOCALHOST.:{port}/picture.png",
]  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_nothing_inside_the_network_is_visited(site: Site, address: str) -> None:
    found = answer(site, address.format(port=site.port) + SIGNED)
    assert "inside this network" in refusal(found)
    assert isinstance(found, Failure)
    assert found.kind == "fatal"
    assert site.paths == ["/v1/images/generations"]


@pytest.mark.parametrize("address", INSIDE[:8])
def test_no_redirect_leads_inside(site: Site, address: str) -> None:
    site.routes["/hop"] = lambda handler: handler.send(302, location=address.format(port=site.port) + SIGNED)
    found = answer(site, f"http://{STORE}:{site.port}/hop{SIGNED}")
    assert "inside this network" in refusal(found)
    assert site.paths == ["/v1/images/generations", f"/hop{SIGNED}"]


def test_on_this_machine_every_port_is_the_servers(site: Site) -> None:
    other = Site(**{"picture.png": lambda handler: handler.send(200, picture())})
    found = answer(site, f"http://localhost:{other.port}/picture.png", host="127.0.0.1")
    other.close()
    assert isinstance(found, Output), found
    assert not other.given(KEY)  # another port is another server


def test_the_connection_goes_to_the_numbers_that_were_looked_at(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is public when it is looked at, and this machine's when it is visited."""
    look_up, asked = socket.getaddrinfo, list[str]()

    def rebound(host: object, *rest: object, **more: object) -> object:
        name = host.decode() if isinstance(host, bytes) else str(host)
        if name != "turncoat.example":
            return look_up(host, *rest, **more)  # type: ignore[arg-type]
        asked.append(name)
        return look_up("127.0.0.2" if len(asked) == 1 else "127.0.0.1", *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", rebound)
    visited = list[str]()

    def page(handler: Handler) -> None:
        visited.append(handler.connection.getsockname()[0])
        handler.send(200, picture())

    site.routes["/picture.png"] = page
    assert isinstance(answer(site, f"http://turncoat.example:{site.port}/picture.png"), Output)
    assert visited == ["127.0.0.2"]
    assert len(asked) == 1


def test_one_inner_number_among_public_ones_is_enough_to_refuse(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    look_up = socket.getaddrinfo

    def both(host: object, *rest: object, **more: object) -> list[object]:
        if host != "both.example":
            return look_up(host, *rest, **more)  # type: ignore[arg-type,return-value]
        return [*look_up("127.0.0.2", *rest, **more), *look_up("127.0.0.1", *rest, **more)]  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    assert "inside this network" in refusal(answer(site, f"http://both.example:{site.port}/picture.png"))


def _sent_to(site: Site) -> list[str]:
    """Where the key goes when a picture is at the server, behind a redirect of it, and elsewhere."""
    far, near = f"http://{STORE}:{site.port}/picture.png", f"http://{SERVER}:{site.port}"
    site.routes["/away"] = lambda handler: handler.send(307, location=f"{far}?away")
    other = Site(**{"picture.png": lambda handler: handler.send(200, picture())})
    for address in (
        f"{far}?far",
        f"{near}/away",
        f"{near}/picture.png?near",
        f"http://{SERVER}:{other.port}/picture.png",
    ):
        assert isinstance(answer(site, address), Output)
    other.close()
    assert not other.given(KEY)
    return [path for path in site.given(KEY) if "images" not in path]


def test_the_key_goes_to_the_server_and_to_no_other(site: Site) -> None:
    assert _sent_to(site) == ["/away", "/picture.png?near"]


def test_that_test_notices_a_key_that_goes_elsewhere(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "_origin", lambda url: "blind")
    with pytest.raises(AssertionError):
        _sent_to(site)
    assert "/picture.png?far" in site.given(KEY)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://user:word@{store}/picture.png", "user or a password"),
        ("http://{key}@{store}/picture.png", "user or a password"),
        ("ftp://{store}/picture.png", "no http address"),
        ("file:///etc/passwd", "no http address"),
        ("http://{store}/a b", "is none"),
        ("http://{store}/\r\nx: y", "is none"),
        ("http://[::1/x", "is none"),
        ("http://nowhere.invalid/x", "not found"),
        ("http://{key}.invalid/x", "not found"),
        ("http://" + "a" * 20_000, "is none"),
    ],
)
def test_odd_addresses_are_not_visited(site: Site, address: str, words: str) -> None:
    found = answer(site, address.format(store=f"{STORE}:{site.port}", key=KEY))
    assert words in refusal(found)
    assert site.paths == ["/v1/images/generations"]


def test_nothing_is_fetched_in_the_clear_for_a_server_behind_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service("openai", "https://images.example/v1")
    for address in ("http://images.example/x", "http://8.8.8.8/x"):
        with pytest.raises(Unacceptable, match="not encrypted"):
            addresses.fetch(address, service, most=9, timeout=0.2)
    # Nor after a step that was encrypted, whatever the server itself is.
    monkeypatch.setattr(addresses._Visitor, "_visit", lambda self, url: "http://store.example/x")
    with pytest.raises(Unacceptable, match="not encrypted"):
        addresses.fetch("https://store.example/x", Service("openai", "http://images.example/v1"), most=9, timeout=0.2)


def endless(handler: Handler) -> None:
    """A gigabyte that does not say its length."""
    handler.send_response(200)
    handler.end_headers()
    for _ in range(1024):
        handler.wfile.write(bytes(2**20))


def announced(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("content-length", str(2**30))
    handler.end_headers()
    handler.wfile.write(bytes(2**20))


def trickle(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("content-length", "100000")
    handler.end_headers()
    for _ in range(200):
        handler.wfile.write(b"x")
        time.sleep(0.05)


def trickling_head(handler: Handler) -> None:
    for character in b"HTTP/1.1 200 OK\r\n" + b"x-much: y\r\n" * 1000:
        handler.wfile.write(bytes([character]))
        time.sleep(0.05)


def silent(handler: Handler) -> None:
    time.sleep(3)
    del handler


def cut(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("content-length", "100000")
    handler.end_headers()
    handler.wfile.write(picture()[:40])


def looped(handler: Handler) -> None:
    handler.send(302, location=f"{handler.path}x")
    site = handler.routes
    site[f"{handler.path}x"] = looped


FAULTS = {
    "endless": (endless, "over 64 MiB", "permanent"),
    "announced": (announced, "over 64 MiB", "permanent"),
    "trickle": (trickle, "in time|trickles", "transient"),
    "trickling-head": (trickling_head, "in time", "transient"),
    "silent": (silent, "in time", "transient"),
    "cut": (cut, "cannot be fetched", "transient"),
    "looped": (looped, "more than 3 redirects", "fatal"),
    "page": (lambda handler: handler.send(200, b"<!doctype html><title>Sign in</title>"), "a web page", "permanent"),
    "words": (lambda handler: handler.send(200, b"gone"), "no picture", "permanent"),
    "nothing": (lambda handler: handler.send(200), "no picture", "permanent"),
    "vector": (lambda handler: handler.send(200, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"), "not taken",
               "permanent"),
    "403": (lambda handler: handler.send(403), "answered 403", "permanent"),
    "404": (lambda handler: handler.send(404), "answered 404", "permanent"),
    "503": (lambda handler: handler.send(503), "answered 503", "transient"),
    "packed": (lambda handler: handler.send(200, b"x", content_encoding="gzip"), "compressed", "permanent"),
    "no-location": (lambda handler: handler.send(302), "answered 302", "permanent"),
    "odd-location": (lambda handler: handler.send(302, location="http://a:b:c/"), "is none", "permanent"),
    "to-file": (lambda handler: handler.send(302, location="file:///etc/passwd"), "no http", "permanent"),
    "to-user": (lambda handler: handler.send(302, location=f"http://{KEY}@store.example/"), "user or a", "fatal"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_what_goes_wrong_at_an_address_is_said_and_ends_in_time(site: Site, fault: str) -> None:
    page, words, kind = FAULTS[fault]
    site.routes["/odd"] = page
    found = answer(site, f"http://{STORE}:{site.port}/odd{SIGNED}", timeout=1.0 if "in time" in words else 60.0)
    # What trickles or is silent ends by itself some time; then the words would be others.
    assert re.search(words, refusal(found)), found
    assert isinstance(found, Failure)
    assert found.kind == kind


def test_a_store_that_is_late_is_asked_again_and_no_picture_is_drawn_again(site: Site) -> None:
    pages = iter([503, 404])
    site.routes["/late"] = lambda handler: handler.send(next(pages, 200), picture())
    assert isinstance(answer(site, f"http://{STORE}:{site.port}/late"), Output)
    assert site.paths == ["/v1/images/generations", *["/late"] * 3]


def test_a_proxy_of_the_environment_fetches_what_is_public_alone(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Site()
    proxy.routes["http://far.invalid/x.png"] = lambda handler: handler.send(200, picture())
    monkeypatch.setenv("http_proxy", f"http://who:pass@127.0.0.1:{proxy.port}")
    monkeypatch.setenv("no_proxy", SERVER)
    assert isinstance(answer(site, f"http://far.invalid/x.png{SIGNED}"), Output)
    assert proxy.seen[0][1] == f"http://far.invalid/x.png{SIGNED}"
    assert not proxy.given(KEY)
    assert "inside this network" in refusal(answer(site, f"http://10.0.0.5/x{SIGNED}"))
    assert len(proxy.seen) == 1
    proxy.close()
