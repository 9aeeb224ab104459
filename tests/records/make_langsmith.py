"""Makes the sample of LangSmith's runs: its wrapped client and LangChain are traced to a server on this machine.

Run from the folder of the project, where langsmith and langchain-openai are installed (no other test needs them):
``LANGSMITH_TRACING=true python -m tests.records.make_langsmith``.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from tests.records.conversation import ASKED, MAIL, SYSTEM, openai_answer, openai_request
from tests.records.loopback import serving

SAMPLES = Path(__file__).parent / "samples"
_OF_THE_MACHINE = re.compile(r"LANGSMITH_|revision_id|lc_versions|runtime")


def ask(url: str, kept: str) -> None:
    import langsmith
    import openai
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
    from langchain_core.tracers import LangChainTracer
    from langchain_openai import ChatOpenAI
    from langsmith.wrappers import wrap_openai

    client = langsmith.Client(api_url=kept, api_key="lsv2-not-a-real-key", auto_batch_tracing=False)
    wrapped = wrap_openai(openai.OpenAI(base_url=f"{url}/v1"), tracing_extra={"client": client})
    wrapped.chat.completions.create(**openai_request())
    model = ChatOpenAI(model="gpt-4o-mini", base_url=f"{url}/v1", temperature=0.2, max_tokens=300)  # type: ignore[call-arg]
    asked = [
        SystemMessage(SYSTEM), HumanMessage(ASKED), ToolMessage(MAIL, tool_call_id="call_1"),
    ]  # fmt: skip
    asked.insert(2, AIMessage("", tool_calls=[{"name": "read_mail", "args": {"number": 1}, "id": "call_1"}]))
    tools = [tool["function"] for tool in openai_request()["tools"]]
    model.bind_tools(tools).invoke(asked, config={"callbacks": [LangChainTracer(client=client)]})


def told(value: Any) -> Any:
    """A run without what tells of the machine that made it."""
    if isinstance(value, dict):
        return {key: told(each) for key, each in value.items() if not _OF_THE_MACHINE.match(key)}
    return [told(each) for each in value] if isinstance(value, list) else value


def main() -> None:
    """Make the sample: two runs, each as its beginning and its end were sent."""
    os.environ["OPENAI_API_KEY"] = "sk-not-a-real-key-0123456789"
    with serving(*[openai_answer()] * 2) as server, serving(*[{}] * 8) as kept:
        ask(server.url, kept.url)
    rows = [told(sent["request"]["body"]) for sent in kept.sent]
    text = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
    (SAMPLES / "langsmith.jsonl").write_text(text.replace(server.url, "http://127.0.0.1:8000"), encoding="utf-8")


if __name__ == "__main__":
    main()
