"""Images endpoints of other makes: what they refuse, and the shapes of their answers."""

from __future__ import annotations

import base64
import io
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import whygen
from faults.answers import drawn
from faults.scripts import Received
from faults.site import Handler, Site
from whygen.cli import main
from whygen.media.pictures import picture_of
from whygen.models import Model, ModelOptions, load_model, output_kind
from whygen.models.openai.pictures import decoded
from whygen.remote import Malformed
from whygen.types import Edit, Failure, Output, Request, Settings

KEY = "sk-planted-10c4d7e2ab55"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    found = Site()
    yield found
    found.close()


def model(site: Site, name: str = "any", *, endpoint: str = "images") -> Model:
    options = ModelOptions(base_url=f"http://127.0.0.1:{site.port}/v1", endpoint=endpoint, timeout=5.0)
    return load_model(f"openai/{name}", options)


def picture(kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), 60, dtype=np.uint8)).save(buffer, kind)
    return buffer.getvalue()


BLACK = picture_of(np.zeros((8, 8, 3), dtype=np.uint8))
B64 = base64.b64encode(picture()).decode()
DATA = f"data:image/png;base64,{B64}"
ANSWERS: dict[str, Any] = {
    "openai": {"created": 1, "data": [{"b64_json": B64}], "usage": {"input_tokens": 5, "output_tokens": 9}},
    "localai": {"created": 1, "id": "x", "data": [{"embedding": None, "index": 0, "url": "{site}/p.png"}]},
    "vllm-omni": {"created": 1, "data": [{"b64_json": B64, "url": None, "revised_prompt": None}]},
    "xai": {"data": [{"b64_json": DATA, "revised_prompt": "a fox, in detail"}]},
    "xai-address": {"data": [{"url": "{site}/p.png", "mime_type": "image/jpeg", "revised_prompt": ""}]},
    "together": {"id": "o", "model": "flux", "object": "list", "data": [{"timings": {}, "url": "{site}/p.png"}]},
    "together-both": {"data": [{"index": 0, "url": None, "b64_json": B64}]},
    "siliconflow": {"images": [{"url": "{site}/p.png"}], "timings": {"inference": 1.2}, "seed": 7},
    "fal": {"images": [{"url": "{site}/p.png", "width": 8, "height": 8}], "has_nsfw_concepts": [False]},
    "fal-data": {"images": [{"url": DATA, "content_type": "image/png"}], "seed": 3, "prompt": "x"},
    "deepinfra": {"images": [DATA], "nsfw_content_detected": [False], "seed": 3},
    "stable-diffusion-webui": {"images": [B64], "parameters": {"prompt": "x"}, "info": "{}"},
    "koboldcpp": {"images": [B64], "parameters": {}, "info": ""},
    "stability": {"artifacts": [{"base64": B64, "seed": 1, "finishReason": "SUCCESS"}]},
    "nvidia": {"image": B64, "finish_reason": "SUCCESS", "seed": 0},
    "minimax": {"id": "1", "data": {"image_urls": ["{site}/p.png"]}, "base_resp": {"status_code": 0}},
    "minimax-base64": {"data": {"image_base64": [B64]}, "base_resp": {"status_code": 0}},
    "replicate": {"id": "1", "output": ["{site}/p.png"], "urls": {"get": "{site}/never"}},
    "replicate-one": {"output": "{site}/p.png", "logs": "", "status": "succeeded"},
    "dashscope": {"output": {"results": [{"url": "{site}/p.png"}]}, "request_id": "x"},
    "cloudflare": {"result": {"image": B64}, "success": True, "errors": [], "messages": []},
    "recraft": {"created": 1, "credits": 5, "data": [{"image_id": "12ab", "url": "{site}/p.png"}]},
    "g4f-path": {"data": [{"url": "/p.png", "b64_json": None}], "model": "flux", "provider": "x"},
    "image-url": {"data": [{"type": "image_url", "image_url": {"url": DATA}}]},
    "lines": {"data": [{"b64_json": "\n".join(B64[i : i + 76] for i in range(0, len(B64), 76))}]},
    "unpadded": {"data": [{"b64_json": B64.rstrip("=")}]},
    "odd-revised": {"data": [{"b64_json": B64, "revised_prompt": ["a", 1]}]},
    "first-is-none": {"data": [None, {"b64_json": B64}]},
}  # fmt: skip
"""Shapes of answers that are in use, as their makers document them."""


def page(answer: Any, site: Site) -> Callable[[Handler], None]:
    text = json.dumps(answer).replace("{site}", f"http://127.0.0.1:{site.port}")
    return lambda handler: handler.send(200, text.encode(), content_type="application/json")


@pytest.mark.parametrize("make", ANSWERS)
@pytest.mark.parametrize(
    "prompt", ["a fox", Edit(picture_of(np.zeros((8, 8, 3), np.uint8)), "brighter")], ids=["t", "e"]
)
def test_the_picture_is_found_wherever_it_stands(site: Site, make: str, prompt: str | Edit) -> None:
    path = "edits" if isinstance(prompt, Edit) else "generations"
    site.routes |= {f"/v1/images/{path}": page(ANSWERS[make], site), "/p.png": lambda h: h.send(200, picture())}
    (found,) = model(site).answer([Request(prompt=prompt)])
    assert isinstance(found, Output), found
    assert found.picture is not None
    assert found.picture.data == picture()
    assert "/never" not in site.paths


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_body_that_is_the_picture_itself_is_one(site: Site, kind: str) -> None:
    site.routes["/v1/images/generations"] = lambda handler: handler.send(200, picture(kind), content_type="image/x")
    (found,) = model(site).answer([Request(prompt="a fox")])
    assert isinstance(found, Output), found
    assert found.picture is not None
    assert found.picture.data == picture(kind)


@pytest.mark.parametrize(
    "answer",
    [{"data": []}, {"data": None}, {"data": [{}]}, {"data": [{"url": ""}]}, {"images": []}, {}, {"data": [{"url": 3}]},
     {"data": [{"b64_json": "!!"}]}, {"data": "x y"}, {"data": [[[[[[[[B64]]]]]]]]}],
)  # fmt: skip
def test_an_answer_without_a_picture_is_none(site: Site, answer: Any) -> None:
    site.routes["/v1/images/generations"] = page(answer, site)
    (found,) = model(site).answer([Request(prompt="a fox")])
    assert isinstance(found, Failure)
    assert found.advice


@pytest.mark.parametrize(
    "answer",
    [{"artifacts": [{"base64": B64, "finishReason": "CONTENT_FILTERED"}]},
     {"data": [{"url": None, "respect_moderation": False}]},
     {"images": [{"url": DATA}], "has_nsfw_concepts": [True]}],
)  # fmt: skip
def test_a_picture_that_a_filter_withholds_is_a_refusal(site: Site, answer: Any) -> None:
    site.routes["/v1/images/generations"] = page(answer, site)
    (found,) = model(site).answer([Request(prompt="a fox")])
    assert isinstance(found, Failure)
    assert found.kind == "refused"


@pytest.mark.parametrize(
    "text", [DATA, B64, B64.replace("+", "-").replace("/", "_"), f" {B64}\r\n", DATA.replace("b", "b", 1)]
)
def test_base64_is_read_in_every_dress(text: str) -> None:
    assert decoded(text) == picture()


def test_what_is_no_base64_is_said() -> None:
    with pytest.raises(Malformed, match="not base64"):
        decoded("data:image/png;base64,???")


REFUSALS: dict[str, tuple[int, Any]] = {
    "openai": (400, {"error": {"message": "Unknown parameter: 'response_format'.", "param": "response_format",
                               "type": "invalid_request_error", "code": "unknown_parameter"}}),
    "fastapi": (422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "response_format"],
                                  "msg": "Extra inputs are not permitted"}]}),
    "value": (422, {"error": {"message": "Input should be 'url', got 'b64_json'", "type": "invalid_request_error"}}),
    "words": (400, {"error": "The response format b64 is not supported by this model"}),
    "camel": (400, {"message": "property responseFormat should not exist"}),
    "inside": (200, {"error": {"code": 400, "message": "unsupported parameter response_format"}}),
}  # fmt: skip


def without_format(site: Site, status: int, refusal: Any, *, seconds: float = 0.0) -> Callable[[Handler], None]:
    """A server that refuses to be told how to send pictures, and sends their address."""

    def answer(handler: Handler) -> None:
        time.sleep(seconds)
        if b"response_format" in handler.body:
            handler.send(status, json.dumps(refusal).encode(), content_type="application/json")
        else:
            page({"data": [{"url": "{site}/p.png"}]}, site)(handler)

    site.routes["/p.png"] = lambda handler: handler.send(200, picture())
    return answer


@pytest.mark.parametrize("maker", REFUSALS)
@pytest.mark.parametrize("path", ["generations", "edits"])
def test_a_server_that_refuses_the_words_is_asked_without_them_from_then_on(site: Site, maker: str, path: str) -> None:
    site.routes[f"/v1/images/{path}"] = without_format(site, *REFUSALS[maker])
    prompts = ["a fox", "a fox by a pond", "a pond"]
    requests = [Request(prompt=Edit(BLACK, text) if path == "edits" else text) for text in prompts]
    found = model(site).answer(requests)
    assert all(isinstance(answer, Output) for answer in found), found
    assert site.paths.count(f"/v1/images/{path}") == len(requests) + 1


def test_one_request_alone_is_refused_however_many_are_asked_at_once(site: Site) -> None:
    site.routes["/v1/images/generations"] = without_format(site, *REFUSALS["openai"], seconds=0.1)
    asked = model(site)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda n: asked.answer([Request(prompt=f"fox {n}")])[0], range(8)))
    assert all(isinstance(answer, Output) for answer in found)
    assert site.paths.count("/v1/images/generations") == 9


def test_those_who_wait_go_on_when_the_first_fails_otherwise(site: Site) -> None:
    failing = threading.Event()
    accepts = without_format(site, *REFUSALS["openai"])

    def answer(handler: Handler) -> None:
        if failing.is_set():
            accepts(handler)
        else:
            failing.set()
            handler.send(503)

    site.routes["/v1/images/generations"] = answer
    asked = model(site)
    first, second, third = (asked.answer([Request(prompt=text)])[0] for text in ("a", "b", "c"))
    assert isinstance(first, Failure)
    assert isinstance(second, Output)
    assert isinstance(third, Output)
    assert site.paths.count("/v1/images/generations") == 4


def test_another_error_is_not_taken_for_that_refusal(site: Site) -> None:
    error = {"error": {"message": "Your prompt is too long.", "type": "invalid_request_error"}}
    site.routes["/v1/images/generations"] = lambda handler: handler.send(400, json.dumps(error).encode())
    (found,) = model(site).answer([Request(prompt="a fox")])
    assert isinstance(found, Failure)
    assert len(site.seen) == 1


@pytest.mark.parametrize(("given", "times"), [("b64_json", 1), ("url", 1), (None, 1)])
def test_what_a_person_says_of_the_format_is_sent_as_it_is(site: Site, given: str | None, times: int) -> None:
    site.routes["/v1/images/generations"] = without_format(site, *REFUSALS["openai"])
    request = Request(prompt="a fox", settings=Settings(extra={"response_format": given}))
    (found,) = model(site).answer([request])
    assert isinstance(found, Output if given is None else Failure)
    assert site.paths.count("/v1/images/generations") == times


def test_a_whole_explanation_of_a_server_that_answers_with_addresses(site: Site) -> None:
    """Its pictures depend on the words, and are behind addresses with signatures."""
    kept, number = dict[str, bytes](), itertools.count()

    def answer(handler: Handler) -> None:
        if b"response_format" in handler.body:
            handler.send(422, json.dumps(REFUSALS["fastapi"][1]).encode())
            return
        made = json.loads(drawn(Received(method="POST", path=handler.path, headers={}, body=handler.body)).body)
        name = f"/{next(number)}.png"
        kept[name] = base64.b64decode(made["data"][0]["b64_json"])
        site.routes[name] = lambda handler: handler.send(200, kept[name])
        page({"data": [{"url": f"{{site}}{name}?sig=planted"}]}, site)(handler)

    site.routes["/v1/images/generations"] = answer
    found = whygen.explain_prompt(
        model(site), "draw a red fox near the old harbour", encoder="patches", budget=40, cache=None
    )
    assert any(unit.attribution for unit in found.units)
    assert site.paths.count("/v1/images/generations") == len(kept) + 1
    assert len(kept) <= 40
    assert "planted" not in found.model_dump_json()


def test_pictures_of_a_batch_come_from_their_addresses_too(site: Site) -> None:
    def line(name: str, address: str) -> bytes:
        body = {"data": [{"url": address}]}
        return json.dumps({"custom_id": name, "response": {"status_code": 200, "body": body}}).encode()

    lines = [line("a", "/p.png"), line("b", "http://10.0.0.5/secret"), line("c", "/gone.png")]
    site.routes |= {
        "/v1/batches/batch_1": page({"id": "batch_1", "status": "completed", "output_file_id": "file_1"}, site),
        "/v1/files/file_1/content": lambda handler: handler.send(200, b"\n".join(lines)),
        "/p.png": lambda handler: handler.send(200, picture()),
        "/gone.png": lambda handler: handler.send(410),
    }
    results = model(site).batches.collect("batch_1", {name: Request(prompt=name) for name in "abc"})  # type: ignore[attr-defined]
    assert isinstance(results.answers["a"], Output)
    assert "inside this network" in results.answers["b"].message
    assert "answered 410" in results.answers["c"].message


BY_CHAT: dict[str, Any] = {
    "openrouter": {"role": "assistant", "content": "Here it is.",
                   "images": [{"type": "image_url", "index": 0, "image_url": {"url": DATA}}]},
    "vllm-omni": {"role": "assistant", "content": [{"type": "image_url", "image_url": {"url": DATA}}]},
    "parts": {"content": [{"type": "text", "text": "!"}, {"type": "image_url", "image_url": {"url": "{site}/p.png"}}]},
    "image-part": {"content": [{"type": "image", "image": B64}]},
    "markdown": {"content": f"Here you are: ![a fox]({DATA}) Anything else?"},
    "markdown-address": {"content": "![image]({site}/p.png)"},
}  # fmt: skip
"""Messages that hold a picture, as routers and servers write them."""


def completion(message: Any, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": message, "finish_reason": "stop", **more}]}


@pytest.mark.parametrize("make", BY_CHAT)
@pytest.mark.parametrize("prompt", ["a fox", Edit(BLACK, "brighter")], ids=["text", "edit"])
def test_a_picture_that_comes_by_chat_is_found(site: Site, make: str, prompt: str | Edit) -> None:
    site.routes |= {
        "/v1/chat/completions": page(completion(BY_CHAT[make]), site), "/p.png": lambda h: h.send(200, picture()),
    }  # fmt: skip
    asked = model(site, endpoint="chat-images")
    assert output_kind(asked) == "picture"
    (found,) = asked.answer([Request(prompt=prompt)])
    assert isinstance(found, Output), found
    assert found.picture is not None
    assert found.picture.data == picture()


def test_a_chat_is_asked_for_pictures_with_its_picture_and_without_a_limit(site: Site) -> None:
    bodies: list[Any] = []

    def answer(handler: Handler) -> None:
        bodies.append(json.loads(handler.body))
        if "modalities" in bodies[-1]:
            handler.send(400, b'{"error": {"message": "Unknown parameter: modalities"}}')
        else:
            page(completion(BY_CHAT["openrouter"]), site)(handler)

    site.routes["/v1/chat/completions"] = answer
    asked = model(site, endpoint="chat-images")
    requests = [Request(prompt=Edit(BLACK, text), settings=Settings(extra={"seed": 3})) for text in ("brighter", "red")]
    assert all(isinstance(found, Output) for found in asked.answer(requests))
    assert [sorted(body) for body in bodies] == [
        ["messages", "modalities", "model", "seed"], *[["messages", "model", "seed"]] * 2,
    ]  # fmt: skip
    assert bodies[0]["modalities"] == ["image", "text"]
    text, image = bodies[0]["messages"][0]["content"]
    assert text["text"] == "brighter"
    assert decoded(image["image_url"]["url"]) == BLACK.data


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (
            completion({"content": "I cannot draw that."}),
            "refused",
            "words instead of a picture: 'I cannot draw that.'",
        ),
        (completion({"content": None}, finish_reason="content_filter"), "refused", "filter"),
        (completion({"content": ""}), "transient", "without a message that holds a picture"),
        ({"choices": []}, "transient", "without a message"),
        (completion({"content": f"the key is {KEY}"}), "refused", "[key]"),
        (completion({"images": [{"image_url": {"url": "data:image/png;base64,eA=="}}]}), "transient", "no picture"),
    ],
)
def test_a_message_without_a_picture_is_said(site: Site, answer: Any, kind: str, words: str) -> None:
    site.routes["/v1/chat/completions"] = page(answer, site)
    (found,) = model(site, endpoint="chat-images").answer([Request(prompt="a fox")])
    assert isinstance(found, Failure)
    assert (found.kind, words in found.message) == (kind, True), found
    assert KEY not in found.message


def test_an_edit_by_command_goes_by_chat_where_it_is_told_so(site: Site, tmp_path: Path) -> None:
    def answer(handler: Handler) -> None:
        given = json.loads(handler.body)["messages"][0]["content"][0]["text"]
        told = json.dumps({"prompt": given}).encode()
        made = json.loads(drawn(Received(method="POST", path="/", headers={}, body=told)).body)["data"][0]["b64_json"]
        page(completion({"images": [{"image_url": {"url": f"data:image/png;base64,{made}"}}]}), site)(handler)

    site.routes["/v1/chat/completions"] = answer
    (tmp_path / "in.png").write_bytes(BLACK.data)
    with pytest.raises(SystemExit) as end:
        main([
            "edit", "openai/any", str(tmp_path / "in.png"), "make the fox red", "--endpoint", "chat-images",
            "--no-cache", "--base-url", f"http://127.0.0.1:{site.port}/v1", "--encoder", "patches", "--budget", "16",
            "--quiet",
            "-o", str(tmp_path / "out"),
        ])  # fmt: skip
    assert end.value.code == 0
    assert any(unit.attribution for unit in whygen.load(tmp_path / "out").units)
    assert set(site.paths) == {"/v1/chat/completions"}
