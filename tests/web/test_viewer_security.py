"""Who the viewer answers: a browser of this computer with the token, from its own pages; nobody else."""

from __future__ import annotations

from collections.abc import Callable
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import fastapi.dependencies.utils
import fastapi.routing
import pytest

from example_explanations import prompt_explanation
from viewers import TOKEN, Viewer
from whygen.web.security import POLICY, cookie_name, is_loopback, new_token


@pytest.fixture(scope="module")
def viewer(serve: Callable[..., Viewer], tmp_path_factory: pytest.TempPathFactory) -> Viewer:
    folder = tmp_path_factory.mktemp("shown")
    prompt_explanation(pairs=16).save(folder / "fox")
    (folder.parent / "secret.txt").write_text("nobody may read this")
    return serve(folder)


def test_without_the_token_nothing_is_shown(viewer: Viewer) -> None:
    for path in ("/", "/static/dom.js", "/?token=wrong", "/?token=", "/nowhere"):
        status, headers, body = viewer.ask(path, let_in=False)
        assert status == 401
        assert b"fox" not in body
        assert headers["content-security-policy"] == POLICY


def test_a_wrong_cookie_is_no_token(viewer: Viewer) -> None:
    for value in ("", "x", TOKEN + "x", TOKEN.upper(), "\u00e9".encode().decode("latin-1")):
        status, _, _ = viewer.ask("/", let_in=False, headers={"Cookie": f"{cookie_name(TOKEN)}={value}"})
        assert status == 401


def test_the_token_becomes_a_cookie_that_scripts_and_other_sites_cannot_have(viewer: Viewer) -> None:
    status, headers, body = viewer.ask(f"/?q=fox&token={TOKEN}", let_in=False)
    assert status == 200
    cookie = SimpleCookie(headers["set-cookie"])[cookie_name(TOKEN)]
    assert cookie.value == TOKEN
    assert cookie["httponly"]
    assert cookie["samesite"] == "strict"
    assert TOKEN not in body.decode()  # it leaves the address, and with it the history
    assert "url=/?q=fox" in body.decode()


def test_the_door_leads_nowhere_else(viewer: Viewer) -> None:
    for path in ("//evil.example/", "/\\evil.example/", "///evil.example"):
        _, _, body = viewer.ask(f"{path}?token={TOKEN}", let_in=False)
        assert b"url=//" not in body
        assert b'href="//' not in body
        assert b'href="/\\' not in body


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({"Host": "evil.example"}, "a name that its owner points to this computer"),
        ({"Host": "evil.example:8000"}, "the same, with a port"),
        ({"Host": "localhost.evil.example"}, "a name that begins like ours"),
        ({"Host": "127.0.0.1.nip.io"}, "a public name for 127.0.0.1"),
        ({"Host": ""}, "no name"),
        ({"Host": "192.168.0.7:8000"}, "another computer of the house"),
        ({"Origin": "http://evil.example"}, "a page of another site"),
        ({"Origin": "null"}, "a page from a file or a sandbox"),
        ({"Origin": "http://127.0.0.1:1"}, "another server of this computer"),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}, "a picture in a page of another port"),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}, "a script of another site"),
    ],
)
def test_requests_to_or_from_elsewhere_are_refused(viewer: Viewer, headers: dict[str, str], why: str) -> None:
    for path in ("/", "/static/dom.js", f"/?token={TOKEN}"):
        status, _, body = viewer.ask(path, headers=headers)
        assert status == 403, why
        assert b"fox" not in body
    status, _, _ = viewer.ask("/", method="POST", headers={"Origin": viewer.address, **headers}, body={})
    assert status == 403, why


def test_a_link_from_elsewhere_may_open_a_page(viewer: Viewer) -> None:
    status, _, _ = viewer.ask("/", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"})
    assert status == 200


def test_what_changes_something_must_say_where_it_comes_from(viewer: Viewer) -> None:
    status, _, _ = viewer.ask("/", method="POST")
    assert status == 403


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt", "/static/../../app.py", "/static/..%2f..%2fapp.py", "/static/%2e%2e/%2e%2e/app.py",
        "/static//etc/passwd", "/static/..\\..\\app.py", "/explanations/../../secret.txt",
        "/explanations/..%2f..%2fsecret.txt", "/explanations/%2Fetc%2Fpasswd", "/explanations/fox%00",
    ],
)  # fmt: skip
def test_no_path_leads_out(viewer: Viewer, path: str) -> None:
    status, _, body = viewer.ask(path)
    assert status in (400, 404)
    assert b"nobody may read" not in body
    assert b"FastAPI" not in body
    assert b"root:" not in body


def test_every_answer_carries_the_policy(viewer: Viewer) -> None:
    for path in ("/", "/static/report.css", "/static/dom.js", "/nowhere"):
        _, headers, _ = viewer.ask(path)
        assert headers["content-security-policy"] == POLICY
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("127.0.0.1", True), ("127.0.0.1:80", True), ("localhost:1", True), ("[::1]:8000", True), ("127.9.9.9", True),
        ("::1", False), ("10.0.0.1", False), ("localhost.", False), ("127.0.0.1@evil", False), ("[::1", False),
        ("2130706433", False), ("evil#127.0.0.1", False), ("evil/localhost", False), ("evil@127.0.0.1", False),
    ],
)  # fmt: skip
def test_names_of_this_computer(host: str, ours: bool) -> None:
    assert is_loopback(host) is ours


def test_tokens_differ() -> None:
    assert len({new_token() for _ in range(50)}) == 50


@pytest.mark.browser
def test_the_printed_address_opens_the_shelf(viewer: Viewer, browser: Any) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(viewer.door)
    page.wait_for_url(viewer.address + "/")
    assert page.get_by_role("link", name="fox").count() == 1
    assert page.evaluate("document.cookie") == ""
    context.close()


def test_nothing_is_put_together_while_it_serves(
    serve: Callable[..., Viewer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FastAPI silences pydantic while it builds its routes, which does not hold beside the thread of a run."""
    prompt_explanation(pairs=8).save(tmp_path / "one")
    viewer = serve(tmp_path)

    def late(*_: Any, **__: Any) -> None:
        raise AssertionError("a route was put together by a request")

    monkeypatch.setattr(fastapi.dependencies.utils, "create_model_field", late)
    monkeypatch.setattr(fastapi.routing, "create_model_field", late)
    for path in ("/", "/bench", "/gallery/nothing", "/compare?a=x&b=y", f"/e/{'x' * 8}", "/nowhere"):
        assert viewer.ask(path)[0] < 500
