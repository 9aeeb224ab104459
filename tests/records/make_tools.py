"""Makes the samples of evaluation and observability tools, each in an environment with its packages.

Run from the folder of the project: ``python -m tests.records.make_tools NAME``, where NAME is ``inspect`` (inspect-ai,
openai), ``promptfoo`` (``PROMPTFOO`` is its command), ``mitmproxy`` (``MITMDUMP`` is its command; openai), ``langfuse``
(langfuse, openai) or ``phoenix`` (arize-phoenix is
served at ``PHOENIX``; arize-phoenix-client, openinference-instrumentation-openai, OpenTelemetry's exporter by HTTP).
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.records.conversation import ASKED, MAIL, SYSTEM, agent_answers, openai_answer, openai_request, picture
from tests.records.loopback import serving
from tests.records.make_spans import ask_openai, hexadecimal

SAMPLES = Path(__file__).parent / "samples"
KEY = "sk-not-a-real-key-0123456789"


def inspect() -> None:
    """A log of inspect_ai, as JSON and as an archive."""
    from inspect_ai import Task, eval  # noqa: A004
    from inspect_ai.dataset import Sample
    from inspect_ai.model import ChatMessageUser, ContentImage, ContentText, get_model
    from inspect_ai.solver import generate, system_message, use_tools
    from inspect_ai.tool import ToolDef

    async def read_mail(number: int) -> str:
        return MAIL

    async def send_email(to: str, body: str) -> str:
        return "sent"

    tools = [
        ToolDef(read_mail, "read_mail", "Reads a mail.", {"number": "which"}).as_tool(),
        ToolDef(send_email, "send_email", "Sends a mail.", {"to": "whom", "body": "what"}).as_tool(),
    ]
    asked = [ContentText(text=ASKED), ContentImage(image=f"data:image/png;base64,{picture()}")]
    task = Task(
        name="mail",
        dataset=[Sample(id="mail", input=[ChatMessageUser(content=asked)], target="sent")],
        solver=[system_message(SYSTEM), use_tools(*tools), generate()],
    )
    for form in ("json", "eval"):
        with tempfile.TemporaryDirectory() as folder, serving(*agent_answers()) as server:
            model = get_model(
                "openai/gpt-4o-mini", base_url=f"{server.url}/v1", api_key=KEY, responses_api=False, memoize=False
            )
            eval(task, model=model, log_dir=folder, log_format=form, display="none", temperature=0.2)
            (log,) = Path(folder).glob(f"*.{form}")
            (SAMPLES / f"inspect.{form}").write_bytes(log.read_bytes())


def promptfoo() -> None:
    """Results of promptfoo: a chat with tools, and a text."""
    with tempfile.TemporaryDirectory() as home, serving(*agent_answers()[1:]) as server:
        folder = Path(home)
        turns = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "{{name}} wants: {{mail}}"}]
        (folder / "chat.json").write_text(json.dumps(turns))
        config = {
            "prompts": ["file://chat.json", "Say hello to {{name}}."],
            "providers": [{"id": "openai:chat:gpt-4o-mini", "config": {
                "apiBaseUrl": f"{server.url}/v1", "apiKey": KEY, "temperature": 0.2, "max_tokens": 300,
                "tools": openai_request()["tools"],
            }}],
            "tests": [{"vars": {"name": "Ann", "mail": MAIL}}],
        }  # fmt: skip
        (folder / "promptfooconfig.json").write_text(json.dumps(config))
        off = {f"PROMPTFOO_DISABLE_{name}": "1" for name in ("TELEMETRY", "UPDATE", "REMOTE_GENERATION", "SHARING")}
        environment = {**os.environ, **off, "PROMPTFOO_CONFIG_DIR": str(folder / "home")}
        command = [os.environ["PROMPTFOO"], "eval", "-c", "promptfooconfig.json", "-o", "results.json", "--no-cache"]
        subprocess.run([*command, "-j", "1", "--no-share"], cwd=folder, env=environment, check=True)
        found = (folder / "results.json").read_text(encoding="utf-8").replace(server.url, "http://127.0.0.1:8000")
        (SAMPLES / "promptfoo.json").write_text(found.replace(home, ""), encoding="utf-8")


def mitmproxy() -> None:
    """What mitmproxy writes of a call that goes through it (HAR)."""
    from openai import OpenAI

    with tempfile.TemporaryDirectory() as folder, serving(openai_answer()) as server:
        out, port = Path(folder) / "out.har", 8931
        ways = ["--mode", f"reverse:{server.url}", "-p", str(port), "--set", f"confdir={folder}"]
        proxy = subprocess.Popen([os.environ["MITMDUMP"], "-q", *ways, "--set", f"hardump={out}"])
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(1)
        OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=KEY).chat.completions.create(**openai_request())
        proxy.send_signal(signal.SIGINT)
        proxy.wait()
        found = out.read_text(encoding="utf-8").replace(server.url, "http://127.0.0.1:8000")
        (SAMPLES / "mitmproxy.har").write_text(f"{found.rstrip()}\n", encoding="utf-8")


def langfuse() -> None:
    """What Langfuse's client sends to its server: spans with attributes of its own."""
    sent: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.path.endswith("/traces"):
                sent.append(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    os.environ |= {
        "LANGFUSE_PUBLIC_KEY": "pk-lf-1", "LANGFUSE_SECRET_KEY": "sk-lf-not-a-real-key", "LANGFUSE_BASE_URL": url,
        "LANGFUSE_HOST": url,
    }  # fmt: skip
    from google.protobuf.json_format import MessageToDict
    from langfuse import get_client
    from langfuse.openai import OpenAI
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    with serving(openai_answer()) as asked:
        OpenAI(base_url=f"{asked.url}/v1", api_key=KEY).chat.completions.create(**openai_request())
    get_client().flush()
    message = ExportTraceServiceRequest()
    message.ParseFromString(sent[0])
    text = json.dumps(hexadecimal(MessageToDict(message)), indent=1)
    (SAMPLES / "langfuse_otlp.json").write_text(f"{text}\n", encoding="utf-8")


def phoenix() -> None:
    """Spans as Phoenix gives them back: by its address, and as the rows of its client's table."""
    from openinference.instrumentation.openai import OpenAIInstrumentor
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from phoenix.client import Client

    url = os.environ["PHOENIX"]
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{url}/v1/traces")))
    OpenAIInstrumentor().instrument(tracer_provider=tracers)
    ask_openai()
    time.sleep(10)  # it writes them down by and by
    with urllib.request.urlopen(f"{url}/v1/projects/default/spans") as response:  # noqa: S310
        found: Any = json.load(response)
    (SAMPLES / "phoenix.json").write_text(f"{json.dumps(found, indent=1)}\n", encoding="utf-8")
    table = Client(base_url=url).spans.get_spans_dataframe(project_identifier="default")
    table.to_json(SAMPLES / "phoenix_table.jsonl", orient="records", lines=True)


if __name__ == "__main__":
    makers = {
        "inspect": inspect, "promptfoo": promptfoo, "mitmproxy": mitmproxy, "langfuse": langfuse, "phoenix": phoenix,
    }  # fmt: skip
    makers[sys.argv[1]]()
