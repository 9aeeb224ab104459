"""README and docs as what a reader would type: the blocks of a page, and a place where they run.

A block is a fence, or lines set in by four spaces. Of these,

- ``python`` runs, one after the other in one namespace;
- commands (fences of ``sh`` or ``console``, and set-in lines that begin with a command) run line by line, whygen's own
  in this process, against a loopback server that speaks OpenAI's protocol;
- ``json`` is read, and written to a file where ``<!-- file: NAME -->`` stands above it;
- ``text`` is what something printed.

A block that is not run has ``<!-- not run: WHY -->`` above it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from faults.answers import asked
from faults.batches import BatchPlan
from faults.scripts import Received
from faults.server import FaultServer
from whygen.cli import main

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
COMMANDS = ("whygen", "make", "pip", "python", "export", "git", "cd", "pytest")
_FENCE = re.compile(r"^(?P<fence>`{3,})(?P<kind>[^\n`]*)\n(?P<text>.*?)^(?P=fence)`*$", re.MULTILINE | re.DOTALL)
_SET_IN = re.compile(r"(?:(?<=\n\n)|\A)(?: {4}\S.*\n)(?:(?: {4}.*)?\n)*", re.MULTILINE)
_SAYS = re.compile(r"<!-- (?P<what>not run|file): (?P<text>[^>]+?) -->\s*\Z")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of a page.

    Attributes:
        kind: ``python``, ``sh``, ``json``, ``text``, or a directive in braces.
        why: why it is not run; empty where it runs.
        file: the file that it is the text of; empty for others.
    """

    page: str
    line: int
    kind: str
    text: str
    why: str = ""
    file: str = ""


def blocks(page: Path) -> list[Block]:
    """The blocks of a page in their order."""
    whole = page.read_text("utf-8")
    found: list[Block] = []
    outside = list(whole)
    for fence in _FENCE.finditer(whole):
        found.append(_block(page, whole, fence.start(), fence["kind"].strip(), fence["text"]))
        outside[fence.start() : fence.end()] = "\n" * (fence.end() - fence.start())
    for inner in _SET_IN.finditer("".join(outside)):
        text = re.sub(r"^ {4}", "", inner[0], flags=re.MULTILINE)
        found.append(_block(page, whole, inner.start(), _kind_of(text), text))
    return sorted(found, key=lambda block: block.line)


def _block(page: Path, whole: str, start: int, kind: str, text: str) -> Block:
    said = _SAYS.search(whole[max(0, start - 400) : start])
    told = {said["what"]: " ".join(said["text"].split())} if said else {}
    name = {"console": "sh", "shell": "sh", "bash": "sh"}.get(kind, kind)
    line = whole.count("\n", 0, start) + 1
    return Block(page.name, line, name, text, why=told.get("not run", ""), file=told.get("file", ""))


def _kind_of(text: str) -> str:
    first = text.split(maxsplit=1)[0]
    return "sh" if first in COMMANDS else "json" if first[0] in "{[" else ""


def lines(block: Block) -> list[str]:
    """The commands of a block, those that go on over several lines joined."""
    joined = block.text.replace("\\\n", " ")
    return [line.removeprefix("$ ") for line in joined.splitlines() if line.strip() and not line.startswith("#")]


def answer(received: Received) -> str:
    """What the loopback server says: a sentence for each word that it knows, so that words drive the answer."""
    body = received.json
    said = " ".join(str(message.get("content")) for message in body.get("messages", ())) or asked(body)
    known = {
        "refund": "refund", "brand": "It is named Quiet Hour.", "tea": "It is a green tea.", "calm": "Breathe out.",
        "fox": "A fox walked in.", "soup": "There is soup.", "opening": "We open at nine.", "Rome": "It is in Italy.",
    }  # fmt: skip
    return " ".join(line for word, line in known.items() if word.lower() in said.lower()) or "I see."


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    """Somebody who types what the pages say, in an empty folder with files of the names that they use."""
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "WHYGEN_PRICES": "prices.json",
        "WHYGEN_CACHE_DIR": str(tmp_path / "cache"),
        "COLUMNS": "100",
    }.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    shutil.copy(ROOT / "docs" / "images" / "scene.png", tmp_path / "photo.png")
    for name, text in STAND_INS.items():
        (tmp_path / name).write_text(text, "utf-8")
    with FaultServer(text=answer, batches=BatchPlan(), models=("gpt-4o-mini", "llama")) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OLLAMA_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        yield Reader(monkeypatch.setenv, server)


_CALL = json.dumps(
    {
        "request": {
            "model": "gpt-4o-mini",
            "messages": [{"role": "user", "content": "When is the opening of the fox show?"}],
        },
        "response": {"choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": "At nine."}}]},
    }
)
STAND_INS = {
    "prompt.txt": "Write a short slogan for a calm green tea brand.",
    "system.txt": "Answer in one word. Be kind. Offer a refund where goods are broken.",
    "questions.txt": "\n".join(
        f"My {thing} number {n} is broken." for thing in ("cup", "pot", "tin") for n in range(20)
    ),
    "prices.json": json.dumps({"openai/gpt-4o-mini": {"input": 0.15, "output": 0.6}}),
    "call.json": _CALL,
    "log.jsonl": f"{_CALL}\n{_CALL}\n",
    "run.jsonl": f"{_CALL}\n",
}
"""Files of a reader's own, by the names that the pages give them."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Types what stands on a page."""

    setenv: Callable[[str, str], None]
    server: FaultServer

    def reads(self, page: Path) -> int:
        """Run the blocks of a page in their order; how many ran.

        Raises:
            AssertionError: naming the line of the page, if a block does not do what it should.
        """
        names: dict[str, object] = {"__name__": "page"}
        ran = 0
        for block in blocks(page):
            if not block.why and block.kind in DOES:
                DOES[block.kind](self, block, names)
                ran += 1
        return ran

    def runs(self, block: Block, names: dict[str, object]) -> None:
        code = compile("\n" * block.line + block.text, block.page, "exec")
        exec(code, names)  # noqa: S102 - the documentation is ours

    def types(self, block: Block, names: dict[str, object]) -> None:
        del names
        for line in lines(block):
            where = f"{block.page}:{block.line}: {line}"
            command, *words = shlex.split(line, comments=True)
            if command == "export":
                name, _, value = words[0].partition("=")
                if not os.environ.get(name, "").startswith("http"):  # the address of the loopback server stays
                    self.setenv(name, value)
                continue
            assert command == "whygen", f"{where}: say above it why it is not run"
            code = ended(words)
            assert code == 0, f"{where} ended with {code}"

    def reads_data(self, block: Block, names: dict[str, object]) -> None:
        del names
        json.loads(block.text)
        if block.file:
            Path(block.file).write_text(block.text, "utf-8")


def ended(words: list[str]) -> object:
    """The exit code of a command of whygen, run in this process."""
    try:
        main(words)
    except SystemExit as end:
        return end.code
    return None


DOES: dict[str, Callable[[Reader, Block, dict[str, object]], None]] = {
    "python": Reader.runs, "sh": Reader.types, "json": Reader.reads_data,
}  # fmt: skip
SHOWN = ("text", "toml", "yaml")
"""Kinds that nobody types, and nothing runs."""
