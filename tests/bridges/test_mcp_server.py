"""`whygen mcp`, asked by the client of the SDK over standard input and output."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest
from mcp import Client, StdioServerParameters, stdio_client

import whygen
from whygen.bridges import mcp_server

MODEL = '''
import pathlib, time

def clerk(prompt):
    """Answers by one word, and says too much on standard output."""
    print("a model that prints")
    with pathlib.Path("asked.txt").open("a") as asked:
        asked.write(".")
    time.sleep(0.3 if "slowly" in prompt else 0.02)
    return "yes \\x1b[2J" if "refund" in prompt else "no"
'''
PROMPT = "Please grant the refund to our customer"


def ask(folder: Path, use: Callable[[Client], Awaitable[Any]], *options: str) -> Any:
    """Start a server in a folder, and use it."""
    (folder / "models.py").write_text(MODEL)
    environment = {**os.environ, "PYTHONPATH": str(folder), "WHYGEN_CACHE_DIR": str(folder / "cache")}
    parameters = StdioServerParameters(
        command=sys.executable, args=["-c", "from whygen.cli import main; main()", "mcp", *options], env=environment,
        cwd=folder,
    )  # fmt: skip

    async def session() -> Any:
        async with Client(stdio_client(parameters)) as client:
            return await use(client)

    return asyncio.run(asyncio.wait_for(session(), 120))


def told(result: Any) -> Any:
    assert not result.is_error, result.content[0].text
    return result.structured_content


def refused(result: Any) -> str:
    assert result.is_error
    return result.content[0].text


def asked(folder: Path) -> int:
    file = folder / "asked.txt"
    return len(file.read_text()) if file.exists() else 0


def test_a_prompt_is_explained_saved_read_again_and_listed(tmp_path: Path) -> None:
    steps: list[tuple[float, float | None]] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        steps.append((done, total))

    async def use(client: Client) -> tuple[Any, ...]:
        tools = (await client.list_tools()).tools
        given = {"prompt": PROMPT, "target": "contains:yes", "budget": 40}
        counted = told(await client.call_tool("explain_prompt", {**given, "dry_run": True}))
        found = told(await client.call_tool("explain_prompt", given, progress_callback=progress))
        again = told(await client.call_tool("explain_prompt", given))
        saved = told(await client.call_tool("read_explanation", {"folder": found["saved"], "target": "exact"}))
        return tools, counted, found, again, saved, told(await client.call_tool("list_explanations", {}))["result"]

    tools, counted, found, again, saved, listed = ask(tmp_path, use, "--model", "py/models:clerk", "-o", "kept")
    assert {tool.name for tool in tools} == {
        "explain_prompt", "why_last_call", "read_explanation", "list_explanations",
    }  # fmt: skip
    schema = next(tool for tool in tools if tool.name == "explain_prompt").input_schema
    assert schema["required"] == ["prompt"]
    assert "context" not in schema["properties"]
    assert counted["calls"] > 20
    assert found["units"][0]["text"] == "refund"
    assert found["units"][0]["low"] > 0.5
    assert "“refund” drove" in found["summary"]
    assert found["answer"] == "yes ⟨U+001B⟩[2J"
    assert again["calls"]["made"] == 0
    assert saved["target"]["name"] == "exact"
    assert saved["calls"]["made"] == 0
    assert sorted(listed) == sorted([found["saved"], again["saved"]])
    assert asked(tmp_path) == found["calls"]["made"]
    done = [step for step, _ in steps]
    assert done == sorted(set(done))
    assert done[-1] == asked(tmp_path)


def test_only_what_the_command_line_names_is_asked_read_and_spent(tmp_path: Path) -> None:
    inside = tmp_path / "logs"
    inside.mkdir()
    (tmp_path / "secret.json").write_text("{}")
    (inside / "link.json").symlink_to(tmp_path / "secret.json")
    reads = ("../secret.json", str(tmp_path / "secret.json"), "link.json", "/etc/passwd", "\0", "~/x", "none.json")

    async def use(client: Client) -> tuple[list[str], ...]:
        async def refusals(tool: str, *many: dict[str, Any]) -> list[str]:
            return [refused(await client.call_tool(tool, each)) for each in many]

        return (
            await refusals("why_last_call", *({"file": name} for name in reads)),
            await refusals("read_explanation", *({"folder": name} for name in reads)),
            await refusals(
                "explain_prompt",
                {"prompt": PROMPT, "model": "openai/gpt-4o"},
                {"prompt": PROMPT, "budget": 65},
                {"prompt": PROMPT, "target": "py/os:system"},
                {"prompt": PROMPT, "units": "py/os:system"},
                {"prompt": "x" * 100_001},
                {"prompt": PROMPT, "budget": 2, "target": "exact"},
                {"prompt": "", "target": "exact"},
            ),
            await refusals("explain_prompt", {"prompt": PROMPT, "target": "exact"}),
        )

    files, folders, choices, spent = ask(
        tmp_path, use, "--model", "py/models:clerk", "--allow", "logs", "--max-calls", "10"
    )
    assert all("is not in what this server may read" in each for each in (*files, *folders))
    for said, each in zip(
        (
            "Known: py/models:clerk",
            "allows 64 calls",
            "names code",
            "names code",
            "at most 100000 char",
            "smallest",
            "",
        ),
        choices,
        strict=True,
    ):
        assert said in each
    assert asked(tmp_path) <= 10
    assert "budget" in spent[0].lower() or "calls=10" in spent[0]


def test_a_recorded_call_goes_to_the_servers_model_alone(tmp_path: Path) -> None:
    from tests.bridges.test_pytest_plugin import recorded

    record = recorded()
    record["url"] = "http://127.0.0.1:9/v1/chat/completions"
    (tmp_path / "log.jsonl").write_text(json.dumps(record) + "\n")

    async def use(client: Client) -> tuple[Any, str]:
        found = told(await client.call_tool("why_last_call", {"file": "log.jsonl"}))
        return found, refused(await client.call_tool("why_last_call", {"file": "log.jsonl", "pick": "7"}))

    found, missing = ask(tmp_path, use, "--model", "planted/agent", "--allow", "log.jsonl")
    assert found["model"] == "planted/agent"
    assert found["why"]["verdict"] == "suspects"
    assert [part["name"] for part in found["why"]["parts"] if part["made_it_act"]] == ["tool result 2"]
    assert "7" in missing


def test_what_is_told_is_bounded() -> None:
    from whygen.bridges.mcp_server import document

    words = " ".join(f"word{number}\u202e{'x' * 500}" for number in range(42))
    found = whygen.explain_prompt(lambda _: "long " * 5000, words, target="exact", budget=96, cache=None)
    text = json.dumps(document(found))
    assert len(text) < 40_000
    assert "\u202e" not in document(found)["units"][0]["text"]


@pytest.mark.parametrize(("options", "said"), [(["--allow", "nowhere"], "nowhere"), (["--budget", "0"], "--budget")])
def test_a_server_that_cannot_work_does_not_start(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from whygen.cli import main

    with pytest.raises(SystemExit) as stopped:
        main(["mcp", *options])
    assert stopped.value.code in (2, 3)
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_a_call_that_the_client_gives_up_asks_no_more(tmp_path: Path) -> None:
    async def use(client: Client) -> tuple[int, int]:
        given = {"prompt": f"slowly {PROMPT}", "target": "exact", "budget": 64}
        with pytest.raises(Exception, match=r"(?i)timed out"):
            await client.call_tool("explain_prompt", given, read_timeout_seconds=4)
        await asyncio.sleep(0.5)
        first = asked(tmp_path)
        await asyncio.sleep(1.5)
        await client.list_tools()  # the server goes on
        return first, asked(tmp_path)

    first, last = ask(tmp_path, use, "--model", "py/models:clerk")
    assert first == last < 64


def test_the_last_notice_arrives_though_another_is_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow client: the run ends while a notice is being handed over, and says that all answers are there."""
    arrived: list[float] = []

    class SlowClient:
        async def report_progress(self, done: float, total: float, message: str) -> None:
            await asyncio.sleep(0.05)
            arrived.append(done)

    async def run(answers: int) -> None:
        async with mcp_server._reported(cast("Any", SlowClient())) as progress:
            progress.begin(answers, "asking")
            progress.advance(answers, cached=False)
            await asyncio.sleep(0.03)  # by now the watch is in the middle of its notice

    monkeypatch.setattr(mcp_server, "PAUSE", 0.01)
    asyncio.run(run(38))
    assert arrived == [38]
