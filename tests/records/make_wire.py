"""Makes the samples of calls as they went over the wire: the official clients ask a server on this machine.

Run from the folder of the project: ``python -m tests.records.make_wire``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anthropic
import openai
from tests.records.conversation import anthropic_answer, anthropic_request, openai_answer, openai_request
from tests.records.loopback import serving

SAMPLES = Path(__file__).parent / "samples"


def main() -> None:
    """Make all samples."""
    with serving(openai_answer()) as server:
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="sk-not-a-real-key-0123456789")
        client.chat.completions.create(**openai_request())
    write("openai_chat.json", server.sent[0], server.url)
    with serving(anthropic_answer()) as server:
        client = anthropic.Anthropic(base_url=server.url, api_key="sk-ant-not-a-real-key-0123456789")
        client.messages.create(**anthropic_request())
    write("anthropic.json", server.sent[0], server.url)


def write(name: str, value: Any, url: str) -> None:
    """Write a sample as JSON, the same way every time: the server's port is each run's own."""
    text = json.dumps(value, indent=1, ensure_ascii=False).replace(url, "http://127.0.0.1:8000")
    (SAMPLES / name).write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
