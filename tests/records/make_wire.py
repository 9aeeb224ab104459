"""Makes the samples of calls as they went over the wire: the official clients ask a server on this machine.

Run from the folder of the project: ``python -m tests.records.make_wire``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anthropic
import openai
from tests.records.conversation import (
    anthropic_answer,
    anthropic_request,
    anthropic_stream,
    openai_answer,
    openai_request,
    openai_stream,
    responses_answer,
    responses_request,
)
from tests.records.loopback import serving

SAMPLES = Path(__file__).parent / "samples"


def main() -> None:
    """Make all samples."""
    with serving(openai_answer(), openai_stream(), responses_answer()) as server:
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="sk-not-a-real-key-0123456789")
        client.chat.completions.create(**openai_request())
        list(client.chat.completions.create(**openai_request(), stream=True))
        client.responses.create(**responses_request())
    for name, sent in zip(("openai_chat", "openai_chat_stream", "openai_responses"), server.sent, strict=True):
        write(f"{name}.json", sent, server.url)
    with serving(anthropic_answer(), anthropic_stream()) as server:
        claude = anthropic.Anthropic(base_url=server.url, api_key="sk-ant-not-a-real-key-0123456789")
        claude.messages.create(**anthropic_request())
        list(claude.messages.create(**anthropic_request(), stream=True))
    for name, sent in zip(("anthropic", "anthropic_stream"), server.sent, strict=True):
        write(f"{name}.json", sent, server.url)


def write(name: str, value: Any, url: str) -> None:
    """Write a sample as JSON, the same way every time: the server's port is each run's own."""
    text = json.dumps(value, indent=1, ensure_ascii=False).replace(url, "http://127.0.0.1:8000")
    (SAMPLES / name).write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
