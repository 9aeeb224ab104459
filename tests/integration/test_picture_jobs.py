"""Images endpoints that answer with a job, and edits that go as JSON: what is asked, where the key goes, the end."""

from __future__ import annotations

import base64
import io
import json
import socket
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from faults.site import Handler, Site
from whygen.media.pictures import picture_of
from whygen.models import Model, ModelOptions, load_model
from whygen.remote import addresses, jobs
from whygen.types import Edit, Failure, Output, Request

KEY = "sk-planted-55d0aa17be93"
BLACK = picture_of(np.zeros((8, 8, 3), dtype=np.uint8))


def _drawn() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), 60, dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


DRAWN = _drawn()
B64 = base64.b64encode(DRAWN).decode()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server at images.example (127.0.0.1); other.example is 127.0.0.2, which counts as public here."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(jobs, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(addresses, "_FIRST_PAUSE", 0.01)
    look_up, is_public = socket.getaddrinfo, addresses._is_public
    known = {"images.example": "127.0.0.1", "other.example": "127.0.0.2"}

    def named(host: object, *rest: object, **more: object) -> object:
        name = host.decode() if isinstance(host, bytes) else host
        return look_up(known.get(str(name), host), *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", named)
    monkeypatch.setattr(addresses, "_is_public", lambda number: number == "127.0.0.2" or is_public(number))
    found = Site(**{"p.png": lambda handler: handler.send(200, DRAWN)})
    yield found
    found.close()


def model(site: Site, *, timeout: float = 5.0) -> Model:
    options = ModelOptions(base_url=f"http://images.example:{site.port}/v1", endpoint="images", timeout=timeout)
    return load_model("openai/any", options)


def ask(site: Site, prompt: str | Edit = "a fox", *, timeout: float = 5.0) -> Output | Failure:
    (found,) = model(site, timeout=timeout).answer([Request(prompt=prompt)])
    assert isinstance(found, Output | Failure)
    return found


def page(site: Site, answer: Any, status: int = 200, **headers: str) -> Callable[[Handler], None]:
    body = json.dumps(answer).replace("{here}", f"http://images.example:{site.port}")
    body = body.replace("{other}", f"http://other.example:{site.port}")
    return lambda handler: handler.send(status, body.encode(), **headers)


def in_turn(*pages: Callable[[Handler], None]) -> Callable[[Handler], None]:
    """The pages one after another; the last one stays."""
    left = list(pages)

    def turn(handler: Handler) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(handler)

    return turn


JOBS: dict[str, tuple[tuple[int, Any], list[tuple[int, Any]], Any]] = {
    "replicate": (
        (201, {"id": "1", "status": "starting", "output": None, "error": None, "urls": {"get": "{here}/job"}}),
        [(200, {"id": "1", "status": "processing", "output": None, "error": None, "urls": {"get": "{here}/job"}}),
         (200, {"id": "1", "status": "succeeded", "output": ["{here}/p.png"], "error": None})], None,
    ),
    "black-forest-labs": (
        (200, {"id": "1", "polling_url": "{here}/job?id=1"}),
        [(404, {"status": "Task not found"}), (200, {"id": "1", "status": "Pending", "result": None}),
         (200, {"id": "1", "status": "Ready", "result": {"sample": "{here}/p.png", "prompt": "x"}})], None,
    ),
    "fal": (
        (200, {"status": "IN_QUEUE", "request_id": "1", "status_url": "{here}/job", "response_url": "{here}/made"}),
        [(202, {"status": "IN_QUEUE", "queue_position": 2, "response_url": "{here}/made"}),
         (202, {"status": "IN_PROGRESS", "logs": None, "response_url": "{here}/made"}),
         (200, {"status": "COMPLETED", "response_url": "{here}/made", "metrics": {}})],
        {"images": [{"url": "{here}/p.png"}], "has_nsfw_concepts": [False]},
    ),
    "azure": (
        (202, {}), [(200, {"id": "1", "status": "notRunning"}), (200, {"status": "running"}),
                    (200, {"status": "succeeded", "result": {"data": [{"url": "{here}/p.png"}]}})], None,
    ),
    "wavespeed": (
        (200, {"code": 200, "data": {"id": "1", "status": "created", "outputs": [], "urls": {"get": "{here}/job"}}}),
        [(200, {"data": {"status": "completed", "outputs": ["{here}/p.png"]}})], None,
    ),
    "task": (
        (202, {"task": {"state": "queued", "links": {"self": "/job"}}}),
        [(202, {}), (200, {"task": {"state": "done"}, "data": [{"b64_json": B64}]})], None,
    ),
    "bytes": ((202, {"status_url": "/job", "status": "queued"}), [(202, {"status": "queued"}), (200, DRAWN)], None),
    "preview": (
        (200, {"status": "processing", "polling_url": "/job", "images": [{"url": "{here}/preview.png"}]}),
        [(200, {"status": "success", "images": [B64]})], None,
    ),
}  # fmt: skip
"""First answers, words of the job one after another, and what is kept apart; as their makers document them."""


@pytest.mark.parametrize("make", JOBS)
@pytest.mark.parametrize("prompt", ["a fox", Edit(BLACK, "brighter")], ids=["text", "edit"])
def test_a_job_is_asked_for_until_it_is_done(site: Site, make: str, prompt: str | Edit) -> None:
    first, words, apart = JOBS[make]
    headers = {"Operation_Location": f"http://images.example:{site.port}/job"} if make == "azure" else {}
    path = "edits" if isinstance(prompt, Edit) else "generations"
    site.routes[f"/v1/images/{path}"] = page(site, first[1], first[0], **headers)
    site.routes["/job"] = in_turn(
        *[
            (lambda handler: handler.send(200, DRAWN)) if word is DRAWN else page(site, word, status)
            for status, word in words
        ]
    )
    site.routes["/made"] = page(site, apart)
    found = ask(site, prompt)
    assert isinstance(found, Output), found
    assert found.picture is not None
    assert found.picture.data == DRAWN
    assert "/preview.png" not in site.paths
    assert sum(path.startswith("/v1") for path in site.paths) == 1


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ({"status": "failed", "error": "NSFW content detected"}, "refused"),
        ({"status": "Content Moderated", "result": None}, "refused"),
        ({"status": "Request Moderated"}, "refused"),
        ({"status": "failed", "error": {"code": "insufficient_quota", "message": "no credit"}}, "fatal"),
        ({"status": "canceled", "error": None}, "transient"),
        ({"state": "failed", "failure_reason": "400: prompt flagged by moderation"}, "refused"),
        ({"output": {"task_status": "FAILED", "message": "internal"}}, "transient"),
    ],
)
def test_a_job_that_fails_says_why(site: Site, word: Any, kind: str) -> None:
    site.routes["/v1/images/generations"] = page(site, {"polling_url": "{here}/job"})
    site.routes["/job"] = page(site, word)
    found = ask(site)
    assert isinstance(found, Failure)
    assert found.kind == kind, found


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [(422, {"detail": "content_policy_violation: flagged"}, "refused"), (401, {"error": "invalid api key"}, "fatal"),
     (402, {"error": "payment required"}, "fatal"), (404, {}, "permanent"), (500, {}, "transient")],
)  # fmt: skip
def test_a_refusal_at_the_address_of_a_job_is_read_like_any(site: Site, status: int, body: Any, kind: str) -> None:
    site.routes["/v1/images/generations"] = page(site, {"polling_url": "{here}/job"})
    site.routes["/job"] = page(site, body, status)
    found = ask(site)
    assert isinstance(found, Failure)
    assert found.kind == kind, found
    assert KEY not in f"{found.message}{found.advice}"


def test_a_job_at_another_host_gets_no_key(site: Site) -> None:
    site.routes["/v1/images/generations"] = page(site, {"polling_url": "{other}/job"})
    site.routes["/job"] = page(site, {"status": "Ready", "result": {"sample": "{other}/p.png"}})
    assert isinstance(ask(site), Output)
    assert site.given(KEY) == ["/v1/images/generations"]
    site.routes["/job"] = page(site, {"detail": "no key"}, 403)
    found = ask(site)
    assert isinstance(found, Failure)
    assert found.kind == "fatal"
    assert "other.example" in found.message
    assert "--base-url" in found.advice
    assert set(site.given(KEY)) == {"/v1/images/generations"}


@pytest.mark.parametrize(
    "address",
    ["http://10.0.0.7/job", "http://169.254.169.254/latest", "file:///etc/passwd", "ftp://images.example/x",
     "http://user:word@other.example/job", "http://[::1]:9/job", "http://x" * 3000],
)  # fmt: skip
def test_a_job_inside_this_network_is_not_visited(site: Site, address: str) -> None:
    site.routes["/v1/images/generations"] = page(site, {"status": "queued", "status_url": address})
    found = ask(site)
    assert isinstance(found, Failure)
    assert "job" in found.message
    assert site.paths == ["/v1/images/generations"]


def test_a_job_that_redirects_inside_is_not_followed(site: Site) -> None:
    site.routes["/v1/images/generations"] = page(site, {"status": "queued", "status_url": "{here}/job"})
    site.routes["/job"] = lambda handler: handler.send(302, location="http://192.168.0.1/x")
    found = ask(site)
    assert isinstance(found, Failure)
    assert "inside this network" in found.message


def test_a_job_that_never_ends_is_given_up_in_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.routes["/v1/images/generations"] = page(site, {"status": "queued", "status_url": "{here}/job"})
    site.routes["/job"] = page(site, {"status": "somewhere in a queue"}, 202)
    waited: list[float] = []
    monkeypatch.setattr(jobs, "time", SimpleNamespace(sleep=waited.append, monotonic=lambda: sum(waited)))
    found = ask(site, timeout=10.0)
    assert isinstance(found, Failure)
    assert found.kind == "transient"
    assert "does not end" in found.message
    assert 15 < sum(waited) <= 30


@pytest.mark.parametrize(
    "answer", [{"id": "1", "status": "queued"}, {"output": {"task_id": "1", "task_status": "PENDING"}}]
)
def test_a_job_without_an_address_is_said(site: Site, answer: Any) -> None:
    site.routes["/v1/images/generations"] = page(site, answer)
    found = ask(site)
    assert isinstance(found, Failure)
    assert "no address at which to ask" in found.message


def asks_for_json(site: Site, taken: Callable[[Any], bool], refusal: tuple[int, Any]) -> Callable[[Handler], None]:
    def edits(handler: Handler) -> None:
        try:
            body = json.loads(handler.body)
        except ValueError:
            body = None
        if body is None or not taken(body.get("image")):
            page(site, refusal[1], refusal[0])(handler)
        else:
            page(site, {"data": [{"b64_json": B64}]})(handler)

    return edits


@pytest.mark.parametrize(
    ("taken", "refusal"),
    [
        (lambda image: isinstance(image, dict), (415, {"error": "Unsupported Media Type"})),
        (lambda image: isinstance(image, dict), (400, {"error": "Expected `Content-Type: application/json`"})),
        (lambda image: isinstance(image, str), (422, {"detail": [{"msg": "Input should be a valid dictionary"}]})),
        (lambda image: isinstance(image, str), (400, {"error": {"message": "field image: string required"}})),
    ],
)  # fmt: skip
def test_an_edit_goes_as_json_where_a_form_is_refused(site: Site, taken: Any, refusal: tuple[int, Any]) -> None:
    site.routes["/v1/images/edits"] = asks_for_json(site, taken, refusal)
    found = model(site)
    with_all = [Request(prompt=Edit(BLACK, f"brighter {number}")) for number in range(4)]
    answers = found.answer(with_all[:1])
    first = len(site.paths)
    threads = [threading.Thread(target=lambda each=each: answers.extend(found.answer([each]))) for each in with_all[1:]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(isinstance(answer, Output) for answer in answers), answers
    assert first <= 3
    assert len(site.paths) == first + 3  # what is learned is kept
    sent: dict[str, Any] = {}

    def note(handler: Handler) -> None:
        sent.update(json.loads(handler.body))
        page(site, {"data": [{"b64_json": B64}]})(handler)

    site.routes["/v1/images/edits"] = note
    found.answer([Request(prompt=Edit(BLACK, "darker"))])
    assert sent["prompt"] == "darker"
    assert sent["response_format"] == "b64_json"
    image = sent["image"]["url"] if isinstance(sent["image"], dict) else sent["image"]
    assert base64.b64decode(image.partition(",")[2]) == BLACK.data


def test_a_refusal_of_what_is_asked_is_told_and_nothing_is_learned_from_it(site: Site) -> None:
    refusals = {"form": "the image is a string of noise", "json": "multipart expected"}

    def edits(handler: Handler) -> None:
        kind = "json" if handler.body.startswith(b"{") else "form"
        page(site, {"error": {"message": refusals[kind]}}, 400)(handler)

    site.routes["/v1/images/edits"] = edits
    found = model(site)
    (answer,) = found.answer([Request(prompt=Edit(BLACK, "brighter"))])
    assert isinstance(answer, Failure)
    assert "string of noise" in answer.message
    site.routes["/v1/images/edits"] = page(site, {"data": [{"b64_json": B64}]})
    (answer,) = found.answer([Request(prompt=Edit(BLACK, "brighter"))])
    assert isinstance(answer, Output)
    assert "multipart" in site.seen[-1][2]["content-type"]
