"""Makes the sample of MLflow's traces: its client watches those of OpenAI, Anthropic and LangChain ask a server here.

Run from the folder of the project, in an environment of its own with mlflow (or mlflow-skinny), openai, anthropic and
langchain-openai: ``python -m tests.records.make_mlflow``.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from tests.records import conversation as said
from tests.records.loopback import serving

SAMPLES = Path(__file__).parent / "samples"


def ask(url: str) -> None:
    from anthropic import Anthropic
    from langchain_openai import ChatOpenAI
    from openai import OpenAI

    client = OpenAI(base_url=f"{url}/v1", api_key="sk-not-a-real-key")
    client.chat.completions.create(**said.openai_request())
    client.responses.create(**said.responses_request())
    Anthropic(base_url=url, api_key="sk-ant-not-a-real-key").messages.create(**said.anthropic_request())
    asked = said.openai_request()
    model = ChatOpenAI(
        base_url=f"{url}/v1", api_key="sk-not-a-real-key", model="gpt-4o-mini", temperature=0.2, max_tokens=300
    )
    model.bind(tools=asked["tools"]).invoke(asked["messages"])


def main() -> None:
    import mlflow

    with tempfile.TemporaryDirectory() as folder:
        mlflow.set_tracking_uri(f"sqlite:///{folder}/traces.db")
        for flavor in ("openai", "anthropic", "langchain"):
            getattr(mlflow, flavor).autolog()
        answers = (said.openai_answer(), said.responses_answer(), said.anthropic_answer(), said.openai_answer())
        with serving(*answers) as server:
            ask(server.url)
            mlflow.flush_trace_async_logging()
            found: Any = mlflow.search_traces(return_type="list")
            traces = [json.loads(trace.to_json()) for trace in found]
        for trace in traces:  # whose machine it was
            trace["info"] = {name: trace["info"][name] for name in ("trace_id", "request_time", "state")}
        text = json.dumps(sorted(traces, key=lambda each: each["info"]["request_time"]), indent=1)
        text = text.replace(server.url, "http://127.0.0.1:8000")
    (SAMPLES / "mlflow.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
