"""Keys: from the environment to the server's header, and nowhere else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import whygen
from faults.batches import BatchPlan
from faults.scripts import mixed
from faults.server import FaultServer
from whygen.cli import main
from whygen.errors import MissingError, UnknownNameError, UsageError
from whygen.models import Model, ModelOptions, load_model
from whygen.remote import Service
from whygen.results.summary import write_html
from whygen.types import Chat, Failure, Limits, Message, Output, Request, Settings, Tool

KEY = "sk-planted-4f1c9e77ab20"
PROMPT = "Write about a fox and a piano near the castle, please."
KEYS = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY", "my-box": "MY_BOX_API_KEY"}


def explain(folder: Path, provider: str, server: FaultServer, *more: str) -> subprocess.CompletedProcess[bytes]:
    address = server.root if provider == "anthropic" else server.url
    name = provider.replace("-", "_").upper()
    environment = {
        **os.environ, KEYS[provider]: KEY, f"{name}_BASE_URL": address, "OPENAI_LOG": "debug", "ANTHROPIC_LOG": "debug",
        "WHYGEN_CACHE_DIR": str(folder / "cache"),
    }  # fmt: skip
    arguments = [
        f"{provider}/test",
        PROMPT,
        "--budget",
        "30",
        "--target",
        "token-set",
        "-o",
        str(folder / "out"),
        "--debug",
        *more,
    ]
    command = [sys.executable, "-c", "from whygen.cli import main; main()", "prompt", *arguments]
    return subprocess.run(command, capture_output=True, cwd=folder, env=environment, timeout=120, check=False)


def left_behind(folder: Path) -> str:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return "\n".join(path.read_bytes().decode("latin-1") for path in files)


@pytest.mark.parametrize("provider", KEYS)
@pytest.mark.parametrize("action", ["ok", "401", "500"])
def test_a_key_is_in_no_file_and_in_nothing_that_is_printed(tmp_path: Path, provider: str, action: str) -> None:
    """The server repeats all headers in its errors, and the clients' own logs are on."""
    script = mixed({action: 0.2}, seed=1) if action == "ok" else action
    with FaultServer(script) as server:
        result = explain(tmp_path, provider, server)
    sent = [received.headers.get("authorization", received.headers.get("x-api-key")) for received in server.received]
    assert sent
    assert all(KEY in (header or "") for header in sent)
    assert (result.returncode == 0) == (action == "ok"), result.stderr.decode()
    everything = left_behind(tmp_path) + result.stdout.decode() + result.stderr.decode()
    assert "fox" in everything or action != "ok"
    assert "127.0.0.1" in everything
    assert KEY[3:] not in everything
    assert KEY[3:] not in "".join(everything.split())  # a terminal breaks lines anywhere


@pytest.mark.slow
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("action", ["ok", "401", "500"])
def test_a_key_is_in_no_file_of_a_batch_and_goes_to_no_other_server(tmp_path: Path, provider: str, action: str) -> None:
    """The run ends while its batch is under way; the server is asked, and says all headers, and names another host."""
    with FaultServer(
        lambda received: action if received.method == "GET" else "ok", batches=BatchPlan(polls=0)
    ) as server:
        result = explain(tmp_path, provider, server, "--batch", "provider", "--deadline", "12")
    sent = [received.headers.get("authorization", received.headers.get("x-api-key")) for received in server.received]
    assert all(KEY in (header or "") for header in sent)
    everything = left_behind(tmp_path) + result.stdout.decode() + result.stderr.decode()
    assert len(server.desk.batches) == (2 if action == "ok" else 1), everything
    assert "fox" in everything
    assert "batch_0" in everything or action == "ok"
    assert KEY[3:] not in "".join(everything.split())
    assert KEY not in str([batch.lines for batch in server.desk.batches])


def test_an_answer_that_repeats_the_key_is_thrown_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with FaultServer(text=lambda received: f"I was asked with {received.headers['authorization']}") as server:
        (answer,) = load_model("openai/test", ModelOptions(base_url=server.url)).answer([Request(prompt="x")])
    assert isinstance(answer, Failure)
    assert KEY not in str(answer)
    assert "holds the key" in answer.message


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (f"Incorrect API key provided: {KEY}.", "Incorrect API key provided: [key]."),
        ("Incorrect API key provided: sk-pla*****ab20. You can", "Incorrect API key provided: [key]. You can"),
        (
            "headers: {'Authorization': 'Bearer abc.def', 'x': '1'}",
            "headers: {'Authorization': 'Bearer [key]', 'x': '1'}",
        ),
        ('{"x-api-key": "abcdef"}', '{"x-api-key": "[key]"}'),
        ("the bearer of good news, and the basics", "the bearer [key] good news, and the basics"),
        ("Rate limit reached for gpt-4o in org-abc.", "Rate limit reached for gpt-4o in org-abc."),
    ],
)
def test_what_looks_like_a_key_is_taken_out(said: str, kept: str) -> None:
    assert Service("openai", "https://api.openai.com/v1", KEY).scrub(said) == kept


def test_an_address_is_shown_without_its_password() -> None:
    service = Service("box", "https://me:secret-word@box.example:8443/v1?token=abc", KEY)
    assert service.place == "https://box.example:8443/v1"
    assert "secret-word" not in service.scrub(f"cannot reach {service.base_url}")
    assert KEY not in repr(service)
    assert Service("box", f"https://box.example/{KEY}/v1", KEY).place == "https://box.example/[key]/v1"
    assert Service("box", "https://box.example/sk-of-somebody-else/v1").place == "https://box.example/[key]/v1"


def test_keys_in_settings_and_in_tools_are_sent_and_never_written(tmp_path: Path) -> None:
    """Gateways take keys in further headers, and the servers of tools in their definitions."""
    headers = {"extra_headers": {"Authorization": f"Bearer {KEY}", "X-Team": "blue"}, "api_key": KEY[3:]}
    tool = Tool("maps", extra={"type": "mcp", "server_url": "https://maps.example", "authorization": KEY[3:]})
    asked = list[Request]()

    class Model:
        uri = "test/maps"
        limits = Limits(max_batch=64)

        def answer(self, requests: Sequence[Request]) -> list[Output]:
            asked.extend(requests)
            return [Output(text=request.prompt.messages[0].text) for request in requests]  # type: ignore[union-attr]

    found = whygen.explain_prompt(
        Model(), Chat((Message("user", PROMPT),), (tool,)), target="token-set", cache=tmp_path / "calls.sqlite",
        settings=Settings(extra=headers), budget=30,
    )  # fmt: skip
    write_html(found.__class__.load(found.save(tmp_path / "out")), tmp_path / "out" / "report.html")
    assert asked[0].settings.extra["api_key"] == KEY[3:]
    assert asked[0].prompt.tools[0].extra["authorization"] == KEY[3:]  # type: ignore[union-attr]
    assert "blue" in left_behind(tmp_path)
    assert KEY[3:] not in left_behind(tmp_path)


@pytest.mark.parametrize("uri", ["openai/gpt-x", "anthropic/claude-x"])
@pytest.mark.parametrize("value", [None, ""])
def test_without_a_key_the_variable_is_named(uri: str, value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if value is not None:
        monkeypatch.setenv(KEYS[uri.partition("/")[0]], value)
    with pytest.raises(MissingError, match=KEYS[uri.partition("/")[0]]):
        load_model(uri)


@pytest.mark.parametrize("value", ["two words", "line\nbreak", "schlüssel-mit-umlaut"])
def test_what_cannot_be_a_key_is_refused_without_showing_it(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", value)
    with pytest.raises(UsageError, match="OPENAI_API_KEY") as caught:
        load_model("openai/gpt-x")
    assert value not in str(caught.value)


@pytest.mark.parametrize("address", ["localhost:8000", "ftp://box/v1", "http://", "http://[::1", "http://box:99999"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="base_url"):
        load_model("openai/x", ModelOptions(base_url=address))


def test_a_service_is_found_by_its_address_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="MY_BOX_BASE_URL"):
        load_model("my-box/llama")
    with FaultServer() as server:
        monkeypatch.setenv("MY_BOX_BASE_URL", server.url)
        model: Model = load_model("my-box/llama")
        assert model.uri == "my-box/llama"
        monkeypatch.setenv("PLANTED_BASE_URL", server.url)
        assert type(load_model("planted/additive")) is not type(model)
        monkeypatch.setenv("OPENAI_ORG_ID", "org-of-this-person")
        load_model("my-box/llama").answer([Request(prompt="x")])
    assert "org-of-this-person" not in str(server.received[-1].headers)


def test_an_unknown_endpoint_names_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="chat, chat-images, completions, images"):
        load_model("openai/x", ModelOptions(base_url="http://localhost:1/v1", endpoint="chats"))


def test_the_doctor_names_addresses_and_keys_and_shows_neither_key_nor_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prices = tmp_path / "prices.json"
    prices.write_text('{"my-box/llama": {"input": 1, "output": 2}}')
    for name, value in {
        "MY_BOX_BASE_URL": "https://me:secret-word@box.example:8443/v1?token=abc", "MY_BOX_API_KEY": KEY,
        "ODD_BASE_URL": "nowhere", "BARE_BASE_URL": "https://bare.example/v1", "OPENAI_API_KEY": "",
        "WHYGEN_PRICES": str(prices), "WHYGEN_CACHE_DIR": str(tmp_path), "COLUMNS": "300",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    said: list[str] = []
    for more in ([], ["--json"]):
        with pytest.raises(SystemExit) as end:
            main(["doctor", *more])
        assert end.value.code == 0
        said.append(capsys.readouterr().out)
    findings = {each["what"]: each for each in json.loads(said[1])["findings"]}
    assert findings["MY_BOX_BASE_URL"]["text"] == "https://box.example:8443/v1"
    assert findings["MY_BOX_API_KEY"]["text"] == "set"
    assert not findings["OPENAI_API_KEY"]["ok"]
    assert "no address" in findings["ODD_BASE_URL"]["text"]
    assert "BARE_API_KEY" in findings["BARE_BASE_URL"]["text"]
    assert findings["WHYGEN_PRICES"]["text"].startswith("1 prices")
    for secret in (KEY, "secret-word", "token=abc"):
        assert secret not in "".join(said)
